//! What the proxy shows an upstream instead of the caller's credentials: where it goes, what it replaces, and that its
//! value is nowhere else.

use postern_config::Direction;
use postern_config::values::Time;
use postern_proxy::reload::Reload;
use rustls_pki_types::UnixTime;

use crate::house::set::UPSTREAM_KEY;
use crate::house::upstream::{answer, chat, streamed};
use crate::house::{Ask, House, Plan};

const HEADER: &str = "house-shop-key-0001";
const QUERY: &str = "house map/key&0001";
const ESCAPED: &str = "house%20map%2Fkey%260001";

fn soon() -> String {
    Time(i64::try_from(UnixTime::now().as_secs()).unwrap() + 600).to_string()
}

/// `plain` is shown a header and a query parameter.
fn plan() -> Plan {
    let secrets = r#"
apiVersion: secure.platformspec.io/v1alpha1
kind: SecretManagement
metadata: {name: shop}
spec:
  targetRefs: [{kind: Upstream, name: plain}]
  credentials:
    - {name: shop, valueFrom: "file:keys/shop", inject: {type: Header, header: X-Shop-Key, format: "{secret}"}}
    - {name: map, valueFrom: "file:keys/map", inject: {type: QueryParam, name: key}}
  strip: [X-Legacy, "query:session"]
---
apiVersion: secure.platformspec.io/v1alpha1
kind: Policy
metadata: {name: posture}
spec:
  type: SecurityPolicy
  exceptions:
    - {name: map, allow: PV-093, targetRefs: [{kind: Upstream, name: plain}], reason: A test., owner: tests, until: "UNTIL"}
"#;
    House::plan().file("keys/shop", HEADER).file("keys/map", QUERY).also(&secrets.replace("UNTIL", &soon()))
}

#[tokio::test]
async fn a_credential_takes_the_place_of_the_callers_and_is_in_no_record() {
    let house = plan().start().await;
    let asked = [
        ("/orders", "/orders?key=SECRET"),
        ("/orders?a=b", "/orders?a=b&key=SECRET"),
        ("/orders?a=b&KEY=mine&%6bey=mine&key[]=mine", "/orders?a=b&key=SECRET"),
        ("/orders?Session=mine;x=1&y", "/orders?x=1&y&key=SECRET"),
    ];
    for h2 in [false, true] {
        for (target, want) in asked {
            let ask = Ask::get(target).over(h2).header("x-shop-key", "mine").header("x-legacy", "mine");
            assert_eq!(house.call(&house.who.mia, ask).await.status, 200, "{target}");
            let seen = house.plain.seen().pop().unwrap();
            assert_eq!(seen.request_line(), format!("GET {} HTTP/1.1", want.replace("SECRET", ESCAPED)), "{target}");
            assert_eq!(seen.header("x-shop-key"), [HEADER]);
            assert!(!seen.head.contains("mine"), "{}", seen.head);
        }
    }
    house.clock.forward(601);
    let count = house.plain.count();
    assert_eq!(house.call(&house.who.mia, Ask::get("/orders")).await.status, 403, "the exception has ended");
    assert_eq!(house.plain.count(), count);
    let records = house.stop().await;
    for record in &records.requests()[..8] {
        assert_eq!(record.credentials(), ["map", "shop"], "each access is recorded, by name");
        assert_eq!(record.exceptions(), ["Policy/default/posture#map"]);
    }
    assert_eq!(records.requests()[8].outcome(), "deny: exception_ended");
    assert!(records.requests()[8].credentials().is_empty());
    for secret in [HEADER, QUERY, ESCAPED, "mine"] {
        assert!(!records.text().contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn one_secret_under_two_names_does_not_load_and_is_not_repeated() {
    let why = plan().file("keys/map", HEADER).try_start().await.err().unwrap();
    for said in ["PV-091", "keys/shop", "keys/map", "credential `shop`", "credential `map`"] {
        assert!(why.contains(said), "{said}: {why}");
    }
    assert!(!why.contains(HEADER), "{why}");
    // One in a file and in the environment, by whatever variable every process has.
    let path = std::env::var("PATH").unwrap();
    let both = plan().file("keys/map", &path).with("manifests/also-8.yaml", "file:keys/shop", "env:PATH");
    let why = both.try_start().await.err().unwrap();
    for said in ["PV-091", "env:PATH", "keys/map"] {
        assert!(why.contains(said) && !why.contains(&path), "{said}: {why}");
    }

    let house = plan().start().await;
    for (file, text) in [("keys/map", HEADER), ("keys/map", UPSTREAM_KEY)] {
        house.write(file, &format!("{text}\n"));
        let Reload::Refused(why) = house.proxy.reload().await else { panic!("{file}") };
        assert!(why.contains("PV-091") && !why.contains(text), "{why}");
    }
    assert_eq!(house.call(&house.who.mia, Ask::get("/orders")).await.status, 200, "the set of before serves on");
    assert!(house.plain.sole().request_line().contains(ESCAPED));
    house.stop().await;
}

#[tokio::test]
async fn a_secret_that_others_can_read_is_refused_at_a_reload_and_the_old_one_serves_on() {
    use std::os::unix::fs::PermissionsExt as _;
    let house = plan().start().await;
    let key = house.path("keys/shop");
    let change = |text: &str, mode: u32| {
        house.write("keys/shop", text);
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    for (text, mode, shown) in [
        ("house-shop-key-0002", 0o640, HEADER),
        ("house-shop-key-0002", 0o604, HEADER),
        ("", 0o600, HEADER),
        ("house-shop-key-0002", 0o600, "house-shop-key-0002"),
    ] {
        change(text, mode);
        assert_eq!(house.proxy.reload().await == Reload::Taken, shown != HEADER, "{mode:o}");
        assert_eq!(house.call(&house.who.mia, Ask::get("/orders")).await.status, 200);
        assert_eq!(house.plain.seen().pop().unwrap().header("x-shop-key"), [shown]);
    }
    house.stop().await;
}

const LEAKS: &str = r#"
apiVersion: secure.platformspec.io/v1alpha1
kind: SecretManagement
metadata: {name: leaks}
spec:
  targetRefs: [{kind: Upstream, name: model}]
  leakDetection: {action: ACTION}
"#;

#[tokio::test]
async fn a_managed_secret_in_a_message_is_blocked_in_every_direction_and_form() {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let house = House::plan().also(&LEAKS.replace("ACTION", "Block")).start().await;
    let key = UPSTREAM_KEY;
    let encoded = STANDARD.encode(format!("the key: {key}"));
    for text in [key, &encoded, &format!("%68{}", &key[1..])] {
        house.model.says(chat(&format!("as you asked: {text}")));
        let reply = house.call(&house.who.mia, Ask::chat("what is your key?")).await;
        assert_eq!(reply.status, 403, "{}", reply.body);
        assert!(!reply.body.contains(text));
    }
    // In two events, neither of which holds it.
    house.model.says(streamed(&["it is ", &key[..9], &key[9..], " indeed"]));
    let reply = house.call(&house.who.mia, Ask::streamed("what is your key?")).await;
    assert!(!reply.said().contains(&key[..9]) && reply.body.contains("error"), "{}", reply.body);
    let asked = house.model.count();
    assert_eq!(house.call(&house.who.mia, Ask::chat(&format!("is it {key}?"))).await.status, 403);
    assert_eq!(house.model.count(), asked, "a request with it is not sent");
    house.model.says(chat("it is a secret"));
    assert_eq!(house.call(&house.who.mia, Ask::chat("and now?")).await.status, 200);
    let promised = house.promised("chat", Direction::Response, false);
    assert!(promised.contains(&"secrets/leak".to_owned()), "{promised:?}");
    let records = house.stop().await;
    let outcomes = records.outcomes();
    assert_eq!(outcomes[..3], ["deny: answer_refused", "deny: answer_refused", "deny: answer_refused"]);
    assert_eq!(outcomes[4..], ["deny: content_refused", "allow"]);
    let mut ran = records.requests()[5].response_guards();
    ran.sort();
    assert_eq!(ran, promised);
    assert!(records.requests()[0].detail().contains("secrets/leak"));
    assert!(!records.text().contains(key));
}

#[tokio::test]
async fn a_managed_secret_is_taken_out_of_an_answer_where_policy_says_so() {
    let secrets =
        LEAKS.replace("ACTION", "Redact").replace("name: model}]", "name: model}, {kind: Upstream, name: plain}]");
    let own = r#"
---
apiVersion: secure.platformspec.io/v1alpha1
kind: SecretManagement
metadata: {name: shop}
spec:
  targetRefs: [{kind: Upstream, name: plain}]
  credentials: [{name: shop, valueFrom: "file:keys/shop", inject: {type: Header, header: X-Shop-Key, format: "{secret}"}}]
"#;
    let house = House::plan()
        .with("postern.yaml", ", upgrades: [websocket]", "")
        .file("keys/shop", HEADER)
        .also(&format!("{secrets}{own}"))
        .start()
        .await;
    house.model.says(chat(&format!("it is {UPSTREAM_KEY}.")));
    let reply = house.call(&house.who.mia, Ask::chat("what is your key?")).await;
    assert_eq!(reply.said(), "it is [redacted:api-key].");
    for (kind, body, want) in [
        ("application/json", format!(r#"{{"key":"{}\u0031"}}"#, &HEADER[..HEADER.len() - 1]), Some("redacted:shop")),
        ("text/plain", "nothing of that kind".to_owned(), Some("nothing of that kind")),
        ("application/octet-stream", "nobody can read this".to_owned(), None),
    ] {
        house.plain.says(answer(200, &[("content-type", kind)], body.as_bytes()));
        let reply = house.call(&house.who.mia, Ask::get("/orders")).await;
        assert_eq!(reply.status == 200, want.is_some(), "{kind}: {}", reply.body);
        assert!(want.is_none_or(|want| reply.body.contains(want)), "{}", reply.body);
        assert!(!reply.body.contains(&HEADER[..12]), "{}", reply.body);
    }
    house.stop().await;
}

#[tokio::test]
async fn a_secret_too_short_to_be_looked_for_does_not_load() {
    let plan = House::plan().also(&LEAKS.replace("ACTION", "Block"));
    let why = plan.with("manifests/house.yaml", "file:keys/model", "file:keys/short").file("keys/short", "hunter2");
    let why = why.try_start().await.err().unwrap();
    assert!(why.contains("api-key") && why.contains("8 characters") && !why.contains("hunter2"), "{why}");
}
