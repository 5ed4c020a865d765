//! Transaction tokens: made for the upstream of one proxy, and taken by the next one from the workload in between.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::health::probe;
use crate::house::caller::ASSISTANT;
use crate::house::{Ask, House, Plan};

const KEYS: &str = r#"
---
apiVersion: secure.platformspec.io/v1alpha1
kind: KeyManagementPolicy
metadata: {name: txn}
spec:
  keys:
    - {name: txn, purpose: TokenSigning, algorithm: ES256, source: {type: Generate}, publish: Jwks}
"#;

/// At the edge: callers show tokens of their issuer, the shop gets transaction tokens.
fn edge() -> Plan {
    House::plan().also(&format!(
        r#"
apiVersion: secure.platformspec.io/v1alpha1
kind: IAMPolicy
metadata: {{name: shop-tokens}}
spec:
  targetRefs: [{{kind: Route, name: orders}}]
  providers:
    - {{name: agents, type: Spiffe, principal: {{type: Agent}}, tenant: {{spiffeSegment: 1}}, tenants: [acme]}}
  tokenForwarding: TxnToken
  txnTokens: {{issuer: "https://edge.house.test", audience: inside.house.test, keyName: txn, lifetime: 2m}}
{KEYS}"#
    ))
}

/// Further in: workloads show transaction tokens of the edge, whose keys are `jwks`.
fn inside(jwks: &str) -> Plan {
    House::plan().file("keys/edge.json", jwks).also(&format!(
        r#"
apiVersion: secure.platformspec.io/v1alpha1
kind: IAMPolicy
metadata: {{name: from-the-edge}}
spec:
  targetRefs: [{{kind: Route, name: orders}}]
  providers:
    - name: edge
      type: TxnToken
      issuer: https://edge.house.test
      audiences: [inside.house.test]
      algorithms: [ES256]
      jwksFrom: "file:keys/edge.json"
      principal: {{type: User}}
      tenant: {{claim: /tctx/tenant}}
      tenants: [acme, globex]
  tokenForwarding: TxnToken
  txnTokens: {{issuer: "https://inside.house.test", audience: inside.house.test, keyName: txn}}
---
apiVersion: secure.platformspec.io/v1alpha1
kind: APIAccessPolicy
metadata: {{name: from-the-edge}}
spec:
  targetRefs: [{{kind: Route, name: orders}}]
  authentication: {{providers: [edge, agents], require: AllOf}}
  allow: [{{methods: [GET], paths: [/orders]}}]
---
apiVersion: secure.platformspec.io/v1alpha1
kind: AccessControlPolicy
metadata: {{name: from-the-edge}}
spec:
  targetRefs: [{{kind: Route, name: orders}}]
  rules:
    - {{name: decided, effect: Permit, principals: [User], actions: [read], when: 'principal.scopes.contains("read")'}}
{KEYS}"#
    ))
}

fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

/// What the upstream of `house` got last.
fn shown(house: &House) -> Vec<String> {
    house.plain.seen().last().unwrap().header("txn-token").into_iter().map(str::to_owned).collect()
}

#[tokio::test]
async fn the_upstream_learns_for_whom_a_request_is_and_never_gets_the_callers_token() {
    let house = edge().start().await;
    let token = house.token(&house.who.mia);
    let mut ids = Vec::new();
    for h2 in [false, true] {
        let ask = Ask::get("/orders?page=2").over(h2).bearer(&token).header("txn-token", "e30.e30.forged");
        let reply = house.send(Some(&house.who.mia.issued), ask).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        let seen = house.plain.seen().pop().unwrap();
        assert!(
            seen.header("authorization").is_empty() && !seen.head.contains(&token) && !seen.head.contains("forged")
        );
        let [made] = &shown(&house)[..] else { panic!("{:?}", shown(&house)) };
        let claims = claims(made);
        for (name, want) in [
            ("iss", json!("https://edge.house.test")),
            ("req_wl", json!("https://edge.house.test")),
            ("aud", json!("inside.house.test")),
            ("sub", json!("https://login.house.test|mia")),
            ("scope", json!("read")),
            ("tctx", json!({"tenant": "acme", "route": "orders", "method": "GET"})),
        ] {
            assert_eq!(claims[name], want, "{name}");
        }
        let (made_at, ends) = (claims["iat"].as_i64().unwrap(), claims["exp"].as_i64().unwrap());
        assert!((house.now..house.now + 60).contains(&made_at) && ends == made_at + 120, "{made_at} {ends}");
        assert_eq!((&claims["rctx"]["authn"], &claims["rctx"]["type"]), (&json!("jwt"), &json!("User")));
        ids.push(claims["txn"].clone());
    }
    assert_ne!(ids[0], ids[1]);

    // An agent that shows a user's token acts for the user.
    let agent = &house.who.assistant;
    let lent = house.token_with(&house.who.mia, agent, json!({"act": {"sub": ASSISTANT}}));
    let reply = house.send(Some(&agent.issued), Ask::get("/orders").bearer(&lent)).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let claims = claims(&shown(&house)[0]);
    assert_eq!((&claims["sub"], &claims["act"]), (&json!("https://login.house.test|mia"), &json!({"sub": ASSISTANT})));

    // Other routes get none, whatever a client writes.
    let globex = house.token(&house.who.gwen);
    let ask = Ask::get("/globex/orders").bearer(&globex).header("txn-token", "e30.e30.forged");
    assert_eq!(house.send(Some(&house.who.gwen.issued), ask).await.status, 200);
    assert!(shown(&house).is_empty());

    let (status, page) = probe(&house, "GET /jwks.json").await;
    let set: Value = serde_json::from_str(&page).unwrap();
    assert_eq!((status, set["keys"].as_array().unwrap().len()), (200, 1));
    assert!(set["keys"][0].get("d").is_none() && set["keys"][0]["alg"] == "ES256");
    let records = house.stop().await;
    assert_eq!(records.requests()[0].credentials(), ["txn-token"]);
    for id in &ids {
        assert!(records.text().contains(id.as_str().unwrap()), "the decision is in the log");
    }
    assert!(!records.text().contains("e30.e30") && !records.text().contains("eyJ"), "no token is in a record");
}

#[tokio::test]
async fn a_workload_in_between_hands_on_for_whom_it_asks_and_nobody_else_can() {
    let edge = edge().start().await;
    let (_, jwks) = probe(&edge, "GET /jwks.json").await;
    assert_eq!(edge.call(&edge.who.mia, Ask::get("/orders")).await.status, 200);
    let made = shown(&edge).remove(0);
    edge.stop().await;

    let house = inside(&jwks).start().await;
    let (agent, mia) = (&house.who.assistant.issued, &house.who.mia.issued);
    for h2 in [false, true] {
        let reply = house.send(Some(agent), Ask::get("/orders").over(h2).header("txn-token", &made)).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        assert_eq!(shown(&house), [made.as_str()], "it goes on as it is");
    }
    let forged = format!("{}x", made.strip_suffix(|_: char| true).unwrap());
    let login = house.token(&house.who.mia);
    let cases = [
        ("nobody brings it", None, Ask::get("/orders").open().header("txn-token", &made)),
        ("a person brings it", Some(mia), Ask::get("/orders").header("txn-token", &made)),
        ("in the place of a token", Some(agent), Ask::get("/orders").bearer(&made)),
        ("another signature", Some(agent), Ask::get("/orders").header("txn-token", &forged)),
        ("not a token", Some(agent), Ask::get("/orders").header("txn-token", "mia")),
        ("twice", Some(agent), Ask::get("/orders").header("txn-token", &made).header("txn-token", &made)),
        ("with a token beside it", Some(agent), Ask::get("/orders").header("txn-token", &made).bearer(&login)),
        ("an access token in its place", Some(agent), Ask::get("/orders").header("txn-token", &login)),
        ("without it", Some(agent), Ask::get("/orders")),
    ];
    let sent = house.plain.count();
    let count = cases.len();
    for (case, who, ask) in cases {
        let reply = house.send(who, ask).await;
        assert_eq!(reply.status, 401, "{case}: {}", reply.body);
    }
    house.clock.forward(200);
    let late = house.send(Some(agent), Ask::get("/orders").header("txn-token", &made)).await;
    assert_eq!(late.status, 401, "it has ended");
    assert_eq!(house.plain.count(), sent, "none of them reached the upstream");
    let records = house.stop().await;
    assert_eq!(records.requests().len(), 2 + count + 1);
    let first = records.requests()[0];
    assert_eq!(first.principal(), ASSISTANT);
    assert_eq!(first.on_behalf_of(), "https://edge.house.test|https://login.house.test|mia");
}

#[tokio::test]
async fn a_key_of_tokens_is_nothing_else_besides() {
    let seed = "5a".repeat(32);
    let plan = edge()
        .file("keys/txn", &seed)
        .file("keys/shop", &seed)
        .also(
            r#"
---
apiVersion: secure.platformspec.io/v1alpha1
kind: KeyManagementPolicy
metadata: {name: more}
spec:
  keys:
    - {name: other, purpose: TokenSigning, algorithm: Ed25519, source: {type: Material, from: "file:keys/txn"}, publish: Jwks}
---
apiVersion: secure.platformspec.io/v1alpha1
kind: SecretManagement
metadata: {name: shop}
spec:
  targetRefs: [{kind: Upstream, name: plain}]
  credentials: [{name: shop, valueFrom: "file:keys/shop", inject: {type: Header, header: X-Shop-Key}}]
"#,
        );
    let why = plan.try_start().await.err().unwrap();
    for said in ["PV-091", "key `other` of tokens", "credential `shop`"] {
        assert!(why.contains(said), "{said}: {why}");
    }
    assert!(!why.contains(&seed), "{why}");
}
