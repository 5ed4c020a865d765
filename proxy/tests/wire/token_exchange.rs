//! The caller's token is exchanged for one that the upstream takes, and never goes there itself.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::house::upstream::{Act, Seen, answer};
use crate::house::{Ask, House, Plan, Upstream, within};
use crate::relay::{SWITCHED, handshake};

const CLIENT: &str = "postern:s3cret/of+client";
const BASIC: &str = "Basic cG9zdGVybjpzM2NyZXQvb2YrY2xpZW50";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// All routes of `plain` exchange at `service`; `own` is a further line of the credential.
fn plan(service: &Upstream, own: &str, routes: &str) -> Plan {
    let text = r#"
apiVersion: secure.platformspec.io/v1alpha1
kind: SecretManagement
metadata: {name: shop}
spec:
  targetRefs: [{kind: Upstream, name: plain}]
  credentials:
    - name: for-shop
OWN      inject:
        type: TokenExchange
        tokenUrl: "http://127.0.0.1:SERVICE_PORT/token"
        audience: "https://shop.test/a b"
        scopes: [write, read]
        clientAuthFrom: "file:keys/client"
---
apiVersion: secure.platformspec.io/v1alpha1
kind: NetworkPolicy
metadata: {name: out}
spec:
  targetRefs: [{kind: Gateway, name: house}]
  egress:
    allow: [{name: own, hosts: ["127.0.0.1"], cidrs: ["127.0.0.1/32"], ports: [SERVICE_PORT, MODEL_PORT, PLAIN_PORT]}]
    privateRanges: AllowListed
"#;
    let text = text.replace("OWN", own).replace("SERVICE_PORT", &service.address().port().to_string());
    House::plan().file("keys/client", CLIENT).also(&format!("{text}{routes}"))
}

const OF_CALLERS: &str = r#"
---
apiVersion: secure.platformspec.io/v1alpha1
kind: IAMPolicy
metadata: {name: exchange}
spec:
  targetRefs: [{kind: Route, name: orders}, {kind: Route, name: globex}, {kind: Route, name: forms}, {kind: Route, name: socket}]
  providers:
    - {name: agents, type: Spiffe, principal: {type: Agent}, tenant: {spiffeSegment: 1}, tenants: [acme]}
  tokenForwarding: Exchange
"#;

fn issued(token: &str, life: i64) -> Vec<u8> {
    let body = json!({"access_token": token, "issued_token_type": JWT, "token_type": "Bearer", "expires_in": life});
    answer(200, &[("content-type", "application/json")], body.to_string().as_bytes())
}

/// A service that gives a token of its own for each that it sees, good for a minute.
async fn service() -> Upstream {
    let service = Upstream::start().await;
    service.does(|seen| Act::Answer(issued(&format!("issued-{}", form(seen, "subject_token").len()), 60)));
    service
}

fn form(seen: &Seen, name: &str) -> String {
    let body = String::from_utf8(seen.body.clone()).unwrap();
    let pair = body.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")));
    pair.unwrap_or_else(|| panic!("no `{name}` in {body}")).to_owned()
}

/// As [`House::call`], with this token.
async fn call(house: &House, token: &str, ask: Ask) -> u16 {
    house.send(Some(&house.who.mia.issued), ask.bearer(token)).await.status
}

#[tokio::test]
async fn the_callers_token_is_exchanged_and_never_forwarded() {
    let service = service().await;
    let house = plan(&service, "", OF_CALLERS).start().await;
    let token = house.token(&house.who.mia);
    for h2 in [false, true] {
        assert_eq!(call(&house, &token, Ask::get("/orders").over(h2)).await, 200);
        let ask = Ask::json("/orders", &json!({"a": 1})).over(h2);
        assert_eq!(call(&house, &token, ask).await, 200);
    }
    let asked = service.sole();
    assert_eq!(asked.request_line(), "POST /token HTTP/1.1");
    assert_eq!(asked.header("authorization"), [BASIC]);
    for (name, value) in [
        ("grant_type", "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange"),
        ("audience", "https%3A%2F%2Fshop.test%2Fa%20b"),
        ("scope", "read%20write"),
        ("requested_token_type", "urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token"),
        ("subject_token_type", "urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token"),
        ("subject_token", &token),
    ] {
        assert_eq!(form(&asked, name), value, "{name}");
    }
    let seen = house.plain.seen();
    assert_eq!(seen.len(), 4);
    for seen in &seen {
        assert_eq!(seen.header("authorization"), [format!("Bearer issued-{}", token.len())]);
        assert!(!seen.head.contains(&token));
    }
    // An upgrade is a request like any other.
    house.plain.does(|_| Act::Echo(SWITCHED.into()));
    let mut wire = house.wire(&house.who.mia).await;
    wire.send(handshake(&house, "/socket")).await;
    assert_eq!(wire.answer().await.status, 101);
    assert!(house.plain.seen().pop().unwrap().header("authorization")[0].starts_with("Bearer issued-"));
    drop(wire);
    assert_eq!(service.count(), 2, "another token is exchanged by itself");

    // Who brings no token has none to exchange.
    let agent = &house.who.assistant;
    assert_eq!(house.send(Some(&agent.issued), Ask::get("/orders")).await.status, 403);
    let records = house.stop().await;
    assert_eq!(records.requests()[0].credentials(), ["for-shop"]);
    for secret in [token.as_str(), "issued-", "s3cret", BASIC] {
        assert!(!records.text().contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn a_token_is_kept_until_it_or_the_callers_ends_and_for_nobody_else() {
    let service = service().await;
    let house = plan(&service, "", OF_CALLERS).start().await;
    let mia = house.token(&house.who.mia);
    let short = house.token_with(&house.who.mia, &house.who.mia, json!({"exp": house.now + 40}));
    for (token, count) in [(&mia, 1), (&mia, 1), (&short, 2), (&short, 2), (&mia, 2)] {
        assert_eq!(call(&house, token, Ask::get("/orders")).await, 200);
        assert_eq!(service.count(), count);
    }
    house.clock.forward(45);
    assert_eq!(call(&house, &mia, Ask::get("/orders")).await, 200);
    assert_eq!(service.count(), 2, "it has a quarter of a minute left");
    house.clock.forward(12);
    assert_eq!(call(&house, &mia, Ask::get("/orders")).await, 200);
    assert_eq!(service.count(), 3, "one that is about to end is not used");

    // All who wait for one token wait for one call.
    let steps = service.steps();
    let other = house.token(&house.who.mia);
    let calls = join_all((0..6).map(|_| call(&house, &other, Ask::get("/orders"))));
    let give = async {
        service.arrived(4).await;
        steps.send(issued("issued-once", 60)).await.unwrap();
        drop(steps);
    };
    let (statuses, ()) = tokio::join!(within("the calls", calls), give);
    assert_eq!(statuses, [200; 6]);
    assert_eq!(service.count(), 4);
    house.stop().await;
}

#[tokio::test]
async fn without_a_token_nothing_is_sent() {
    let service = service().await;
    let house = plan(&service, "", OF_CALLERS).start().await;
    let json_of = |body: Value| body.to_string();
    let good = json!({"access_token": "x", "issued_token_type": JWT, "token_type": "Bearer"});
    let with = |name: &str, value: &str| {
        let mut body = good.clone();
        body[name] = json!(value);
        json_of(body)
    };
    let kind = "application/json";
    let cases = [
        ("refused", 400, kind, json_of(json!({"error": "invalid_grant", "error_description": "planted"})), 502),
        ("refused in other words", 403, "text/html", "planted".to_owned(), 502),
        ("away", 500, kind, "planted".to_owned(), 503),
        ("busy", 429, kind, String::new(), 503),
        ("elsewhere", 302, kind, String::new(), 503),
        ("no JSON", 200, "text/plain", json_of(good.clone()), 502),
        ("a list", 200, kind, "[]".to_owned(), 502),
        ("another type", 200, kind, with("issued_token_type", "urn:ietf:params:oauth:token-type:saml2"), 502),
        ("bound", 200, kind, with("token_type", "DPoP"), 502),
        ("no line", 200, kind, with("access_token", "x\r\nplanted: y"), 502),
        ("too large", 200, kind, with("access_token", &"x".repeat(100_000)), 503),
    ];
    for (what, status, kind, body, want) in &cases {
        service.says(answer(*status, &[("content-type", kind)], body.as_bytes()));
        let token = house.token(&house.who.mia);
        assert_eq!(call(&house, &token, Ask::get("/orders")).await, *want, "{what}");
        let asked = service.count();
        assert_eq!(call(&house, &token, Ask::get("/orders")).await, *want, "{what}");
        assert_eq!(service.count(), asked, "{what}: a failure is not asked for again at once");
    }
    assert_eq!(house.plain.count(), 0);
    let records = house.stop().await;
    assert_eq!(records.requests().len(), 2 * cases.len());
    assert!(records.requests()[0].detail().contains("invalid_grant"), "{}", records.requests()[0].detail());
    assert!(!records.text().contains("planted"));
}

#[tokio::test]
async fn a_token_of_our_own_is_exchanged_once_for_everybody() {
    let service = service().await;
    let house =
        plan(&service, "      valueFrom: \"file:keys/own\"\n", "").file("keys/own", "head.body.tail\n").start().await;
    for who in [&house.who.mia, &house.who.ned] {
        assert_eq!(house.call(who, Ask::get("/orders")).await.status, 200);
    }
    let asked = service.sole();
    assert_eq!(form(&asked, "subject_token"), "head.body.tail");
    assert!(form(&asked, "subject_token_type").ends_with("jwt"));
    assert!(house.plain.seen().iter().all(|seen| seen.header("authorization") == ["Bearer issued-14"]));
    house.stop().await;
}
