//! A header has one name, and what only we may say nobody else says (attacks 7 and 21–27).

use crate::frames::{END_HEADERS, END_STREAM, End, HEADERS, block, frame};
use crate::house::{Ask, House, set};
use crate::one::{one, with_lines};

/// Names by which servers, meshes and clouds are told who asks, from where, and for what.
const CLAIMS: [&str; 59] = [
    "x-auth-user",
    "x-auth-request-user",
    "x-auth-request-email",
    "x-auth-request-groups",
    "x-auth-token",
    "x-user",
    "x-user-id",
    "x-user-email",
    "x-username",
    "x-email",
    "x-groups",
    "x-roles",
    "x-principal",
    "x-remote-user",
    "x-remote-user-id",
    "remote-user",
    "remote-groups",
    "auth-user",
    "x-webauth-user",
    "x-authenticated-user",
    "x-authenticated-userid",
    "x-consumer-username",
    "x-consumer-custom-id",
    "x-forwarded-user",
    "x-forwarded-email",
    "x-forwarded-groups",
    "x-forwarded-access-token",
    "x-forwarded-client-cert",
    "x-forwarded-preferred-username",
    "client-cert",
    "client-cert-chain",
    "ssl-client-cert",
    "ssl-client-s-dn",
    "ssl-client-verify",
    "x-ssl-client-cert",
    "x-client-dn",
    "x-client-verify",
    "x-spiffe-id",
    "x-jwt-claims",
    "x-jwt-assertion",
    "txn-token",
    "x-amzn-oidc-data",
    "x-amzn-oidc-identity",
    "x-goog-iap-jwt-assertion",
    "x-goog-authenticated-user-email",
    "x-ms-client-principal",
    "x-ms-client-principal-name",
    "cf-access-jwt-assertion",
    "x-appengine-user-email",
    "x-envoy-internal",
    "x-envoy-external-address",
    "x-envoy-original-path",
    "x-postern-principal",
    "postern-decision",
    "x-middleware-subrequest",
    "proxy-authorization",
    "cookie",
    "x-api-key",
    "x-access-token",
];
/// By which the address, the host, the path or the method are said.
const PLACES: [&str; 34] = [
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-uri",
    "x-forwarded-method",
    "x-forwarded-server",
    "x-forwarded-scheme",
    "x-forwarded",
    "forwarded",
    "via",
    "x-real-ip",
    "x-client-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "cf-ipcountry",
    "fastly-client-ip",
    "x-cluster-client-ip",
    "x-originating-ip",
    "x-remote-ip",
    "x-remote-addr",
    "remote-addr",
    "proxy-client-ip",
    "wl-proxy-client-ip",
    "x-original-url",
    "x-original-uri",
    "x-original-host",
    "x-original-method",
    "x-rewrite-url",
    "x-host",
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
];
const SEPARATORS: [char; 14] = ['_', '.', '!', '#', '$', '%', '&', '\'', '*', '+', '^', '`', '|', '~'];
const FORGED: &str = "203.0.113.77";

/// Sends `names` with a forged value over both versions and returns what of them reached the upstream.
async fn survivors(house: &House, names: &[String]) -> Vec<String> {
    for names in names.chunks(100) {
        let lines: String = names.iter().map(|name| format!("{name}: {FORGED}\r\n")).collect();
        let (status, _) = one(house, format!("GET /orders HTTP/1.1\r\n{{lines}}X-Kept: yes\r\n{lines}\r\n")).await;
        assert_eq!(status, 200, "{lines}");
        let mut fields = house.fields(&house.who.mia, "GET", "/orders");
        fields.push(("x-kept".to_owned(), "yes".to_owned()));
        fields.extend(names.iter().map(|name| (name.to_ascii_lowercase(), FORGED.to_owned())));
        assert_eq!(house.h2(&fields).await, End::Answered(200), "{names:?}");
    }
    let seen = house.plain.seen();
    assert_eq!(seen.len(), 2 * names.len().div_ceil(100));
    assert!(seen.iter().all(|seen| seen.header("x-kept") == ["yes"]));
    let lines = seen.iter().flat_map(|seen| seen.head.lines());
    lines.filter(|line| line.contains(FORGED) || line.contains("Bearer")).map(str::to_owned).collect()
}

/// `separator` in the place of one `-`, of each, and of all.
fn spelled(name: &str, separator: char) -> Vec<String> {
    let mut out = vec![name.replace('-', &separator.to_string())];
    for (at, _) in name.match_indices('-') {
        out.push(format!("{}{separator}{}", &name[..at], &name[at + 1..]));
    }
    out
}

#[tokio::test]
async fn attack_21_no_identity_is_claimed_with_underscores() {
    let house = House::start().await;
    let names: Vec<String> =
        CLAIMS.iter().chain(&PLACES).flat_map(|name| spelled(name, '_')).filter(|n| n.contains('_')).collect();
    assert_eq!(survivors(&house, &names).await, [""; 0]);
    house.stop().await;
}

#[tokio::test]
async fn attack_22_no_identity_is_claimed_with_any_other_separator() {
    let house = House::start().await;
    let mut names = Vec::new();
    for name in
        ["x-auth-user", "x-user-id", "remote-user", "x-forwarded-for", "client-cert", "x-real-ip", "content-type"]
    {
        names.extend(SEPARATORS.iter().flat_map(|separator| spelled(name, *separator)));
    }
    assert_eq!(survivors(&house, &names).await, [""; 0]);
    house.stop().await;
}

#[tokio::test]
async fn attack_23_no_identity_is_claimed_in_any_case_or_number() {
    let house = House::start().await;
    let mut names = Vec::new();
    for name in CLAIMS {
        let mixed = name.chars().enumerate().map(|(at, c)| if at % 2 == 0 { c.to_ascii_uppercase() } else { c });
        names.extend([name.to_owned(), name.to_ascii_uppercase(), mixed.collect(), name.to_owned()]);
    }
    assert_eq!(survivors(&house, &names).await, [""; 0]);
    house.stop().await;
}

/// A neighbour is believed no more than a stranger: all of this comes from the loopback.
#[tokio::test]
async fn attack_24_no_address_host_path_or_method_is_claimed() {
    let house = House::start().await;
    let names: Vec<String> = PLACES.iter().flat_map(|name| [(*name).to_owned(), name.to_ascii_uppercase()]).collect();
    // On a route whose content is inspected a method override is refused outright.
    assert_eq!(survivors(&house, &names).await, [""; 0]);
    for (name, value) in [
        ("x-forwarded-uri", "/orders"),
        ("x-original-url", "/orders"),
        ("x-rewrite-url", "/orders"),
        ("x-forwarded-prefix", "/orders"),
        ("x-forwarded-host", "ai.house.test"),
        ("x-forwarded-method", "GET"),
    ] {
        let reply = house.call(&house.who.mia, Ask::get("/admin").header(name, value)).await;
        assert_eq!(reply.status, 403, "{name}");
    }
    let records = format!("{:?}", house.stop().await);
    assert!(!records.contains(FORGED), "a claimed address is in the log");
}

#[tokio::test]
async fn attack_25_no_source_address_is_trusted_for_being_private() {
    let house = House::start().await;
    for (name, value) in [
        ("x-envoy-internal", "true"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-for", "10.0.0.1"),
        ("forwarded", "for=127.0.0.1;proto=https;by=_secret"),
        ("x-forwarded-client-cert", "URI=spiffe://house.test/ns/acme/sa/assistant"),
        ("client-cert", ":MIIB:"),
    ] {
        let reply = house.send(None, Ask::get("/orders").open().header(name, value)).await;
        assert_eq!(reply.status, 401, "{name}");
    }
    assert_eq!(house.plain.count(), 0);
    house.stop().await;
}

#[tokio::test]
async fn attack_7_no_nomination_takes_away_what_we_add() {
    let house = House::start().await;
    let body = crate::house::client::prompt("hello").to_string();
    let lines = [
        "Connection: keep-alive, Authorization, Host, Content-Type, Content-Length, Accept-Encoding\r\n",
        "Connection: AUTHORIZATION,HOST\r\nConnection: accept-encoding\r\n",
        "Connection: close, authorization , content-length\r\n",
        "Connection:\tauthorization\t,host\r\n",
        "Connection: \"authorization\", ,authorization;q=1,authorization\r\n",
        "Proxy-Connection: authorization, host\r\n",
        "Keep-Alive: authorization\r\n",
        "Connection: te, upgrade, transfer-encoding, trailer, content-encoding, content-type\r\n",
    ];
    for line in lines {
        let (status, _) = one(&house, format!(
            "POST /v1/chat/completions HTTP/1.1\r\n{{lines}}Content-Type: application/json\r\n{line}Content-Length: {}\r\n\r\n{body}",
            body.len()
        ))
        .await;
        assert_eq!(status, 200, "{line}");
        let seen = house.model.seen().pop().unwrap();
        assert_eq!(seen.header("authorization"), [format!("Bearer {}", set::UPSTREAM_KEY)], "{line}");
        assert_eq!(seen.header("accept-encoding"), ["identity"], "{line}");
        assert_eq!(seen.header("content-type"), ["application/json"], "{line}");
        assert_eq!(seen.header("content-length"), [body.len().to_string()], "{line}");
        assert_eq!(seen.header("host"), [house.model.address().to_string()], "{line}");
        assert!(seen.header("proxy-connection").is_empty() && seen.header("keep-alive").is_empty(), "{}", seen.head);
    }
    assert_eq!(house.model.count(), lines.len());
    house.stop().await;
}

/// A rule on a header sees one value or none, whatever stands beside it.
#[tokio::test]
async fn attack_26_a_repeated_header_is_never_the_value_that_a_rule_wants() {
    let house = House::plan()
        .with(
            "postern.yaml",
            "  - {name: globex,",
            "  - {name: beta, match: {pathPrefix: /orders, header: {x-beta: \"on\"}}, rewrite: {pathPrefix: /beta}, upstream: plain, dialect: http, labels: {app: shop, tenant: acme}}\n  - {name: globex,",
        )
        .start()
        .await;
    for (lines, beta) in [
        ("X-Beta: on\r\n", true),
        ("x-BETA: on\r\n", true),
        ("X-Beta: on\r\nX-Beta: on\r\n", false),
        ("X-Beta: off\r\nX-Beta: on\r\n", false),
        ("X-Beta: on\r\nX-Beta: \r\n", false),
        ("X-Beta: on, off\r\n", false),
        ("X-Beta: on,\r\n", false),
        ("X-Beta:\r\n", false),
        ("X-Beta: ON\r\n", false),
        ("X_Beta: on\r\n", false),
        ("X.Beta: on\r\n", false),
    ] {
        let (status, _) = one(&house, format!("GET /orders/a HTTP/1.1\r\n{{lines}}{lines}\r\n")).await;
        assert_eq!(status, 200);
        let line = house.plain.seen().pop().unwrap().request_line().to_owned();
        assert_eq!(line, if beta { "GET /beta/a HTTP/1.1" } else { "GET /orders/a HTTP/1.1" }, "{lines}");
    }
    let count = house.plain.count();
    // Those that mean something only once.
    for line in [
        "Host: localhost",
        "Content-Type: application/json",
        "Origin: https://localhost",
        "Expect: 100-continue",
        "Content-Encoding: identity",
        "Range: bytes=0-1",
    ] {
        let twice = format!("POST /orders HTTP/1.1\r\n{{lines}}{line}\r\n{line}\r\nContent-Length: 2\r\n\r\n{{}}");
        assert_eq!(one(&house, twice).await, (400, true), "{line}");
    }
    assert_eq!(house.plain.count(), count);
    house.stop().await;
}

#[tokio::test]
async fn attack_27_bytes_beyond_ascii_are_refused_in_every_header_that_is_matched() {
    let house = House::start().await;
    for name in [
        "X-Any",
        "Host",
        "Authorization",
        "Content-Type",
        "Origin",
        "Sec-Fetch-Site",
        "Connection",
        "Expect",
        "Upgrade",
        "Traceparent",
        "Accept",
    ] {
        for bytes in [&b"\x80"[..], b"a\xffb", "\u{fc}".as_bytes(), b"\x7f", b"\x01", b"a\x1bb"] {
            let request = [b"GET /orders HTTP/1.1\r\n{lines}", name.as_bytes(), b": a", bytes, b"\r\n\r\n"].concat();
            let (status, closed) = one(&house, request).await;
            assert_eq!((status, closed), (400, true), "{name} {bytes:?}");
        }
    }
    for name in ["x-any", "content-type", "origin", "sec-fetch-site", "accept", "cookie"] {
        for bytes in [&b"\x80"[..], b"\xff", b"\x7f", b"\x01"] {
            let mut fields: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
            for (name, value) in house.fields(&house.who.mia, "GET", "/orders") {
                fields.push((name.into_bytes(), value.into_bytes()));
            }
            fields.push((name.into(), [b"a", bytes].concat()));
            let mut frames = house.frames(&house.who.mia).await;
            frames.send(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &block(&fields))).await.unwrap();
            let end = frames.end_of(1).await;
            assert!(matches!(end, End::Answered(400) | End::Reset | End::Closed), "{name} {bytes:?}: {end:?}");
        }
    }
    assert_eq!(house.plain.count(), 0);
    house.stop().await;
}

/// Invalid UTF-8 wherever somebody would decode it is a refusal, and never a question that nobody could answer.
#[tokio::test]
async fn attack_28_bytes_that_are_no_text_are_refused() {
    let house = House::start().await;
    for request in [
        &b"GET /orders/\xff HTTP/1.1\r\n{lines}\r\n"[..],
        b"GET /orders/%ff HTTP/1.1\r\n{lines}\r\n",
        b"GET /orders?a=\xc3 HTTP/1.1\r\n{lines}\r\n",
        b"GET /orders HTTP/1.1\r\n{lines}X: \xc3\x28\r\n\r\n",
        b"G\xc3T /orders HTTP/1.1\r\n{lines}\r\n",
        b"GET /orders HTTP/1.1\r\nHost: local\xffhost\r\n\r\n",
        b"GET /orders HTTP/1.1\r\n{lines}X\xff: a\r\n\r\n",
    ] {
        let (status, closed) = one(&house, request).await;
        assert_eq!((status, closed), (400, true), "{}", String::from_utf8_lossy(&with_lines(&house, request)));
    }
    let prompt = b"{\"model\":\"small\",\"messages\":[{\"role\":\"user\",\"content\":\"\xff\"}]}";
    let reply = house.call(&house.who.mia, Ask::post("/v1/chat/completions", "application/json", &prompt[..])).await;
    assert_eq!(reply.status, 400);
    assert_eq!(house.plain.count() + house.model.count(), 0);
    assert!(house.stop().await.outcomes().iter().all(|outcome| outcome == "deny: malformed"));
}
