//! Workloads that bring a token of their own instead of a certificate.

use postern_filters::token::mint::SigningKey;
use serde_json::{Value, json};

use crate::house::{Ask, House};

const JOB: &str = "spiffe://house.test/ns/acme/sa/job";

fn bundle(keys: &[&SigningKey]) -> String {
    let keys = keys.iter().map(|key| {
        let mut jwk = key.jwk();
        jwk["use"] = "jwt-svid".into();
        jwk
    });
    json!({"keys": keys.collect::<Vec<Value>>()}).to_string()
}

#[tokio::test]
async fn a_workloads_token_opens_until_its_domain_takes_the_key_back() {
    let (key, thief) = (SigningKey::generate_es256("k1").unwrap(), SigningKey::generate_es256("k1").unwrap());
    let provider = "apiVersion: secure.platformspec.io/v1alpha1\nkind: IAMPolicy\nmetadata: {name: jobs}\nspec:\n  \
        targetRefs: [{kind: Route, name: orders}]\n  providers:\n    - {name: jobs, type: Spiffe, audiences: [\"https://ai.house.test\"], \
        jwtBundles: [{trustDomain: house.test, bundleFrom: \"file:keys/house.test.json\"}], principal: {type: Component}, \
        tenant: {value: acme}, tenants: [acme]}\n---\napiVersion: secure.platformspec.io/v1alpha1\nkind: RBACPolicy\nmetadata: {name: jobs}\nspec:\n  \
        targetRefs: [{kind: Route, name: orders}]\n  roles: [{name: reader, permissions: [{actions: [read]}]}]\n  \
        bindings: [{name: jobs, role: reader, subjects: [{kind: Component, name: \"spiffe://house.test/ns/acme/sa/job\"}]}]";
    let shop = "targetSelector: {kind: Route, matchLabels: {app: shop}}\n  authentication: {providers: [sso, agents";
    let orders = "targetRefs: [{kind: Route, name: orders}]\n  authentication: {providers: [jobs, sso, agents";
    let house = House::plan()
        .with("manifests/plain.yaml", shop, orders)
        .with("manifests/plain.yaml", ", /globex/orders]", "]")
        .with("postern.yaml", "  - {name: globex, match: {pathPrefix: /globex}, rewrite: {pathPrefix: /}, upstream: plain, dialect: http, labels: {app: shop, tenant: globex}}\n", "")
        .also(provider)
        .file("keys/house.test.json", &bundle(&[&key]))
        .start()
        .await;
    let token = |key: &SigningKey, change: Value| {
        let mut claims = json!({"sub": JOB, "aud": "https://ai.house.test", "iat": house.now, "exp": house.now + 60});
        claims.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        key.sign(&json!({"alg": "ES256", "kid": "k1", "typ": "JWT"}), &claims).unwrap()
    };
    let other = json!({"sub": "spiffe://other.test/ns/acme/sa/job"});
    let nobody = json!({"sub": "spiffe://house.test/ns/acme/sa/nobody"});
    let get = |token: &str| Ask::get("/orders").open().bearer(token);
    for (case, ask, status) in [
        ("its own", get(&token(&key, json!({}))), 200),
        ("made by somebody else", get(&token(&thief, json!({}))), 401),
        ("of another domain", get(&token(&key, other)), 401),
        ("for somebody else", get(&token(&key, json!({"aud": "https://other.test"}))), 401),
        ("of a workload without a role", get(&token(&key, nobody)), 403),
        ("on a route that knows none", Ask::get("/forms").open().bearer(&token(&key, json!({}))), 401),
    ] {
        let before = house.plain.count();
        let reply = house.send(None, ask).await;
        assert_eq!(reply.status, status, "{case}: {}", reply.body);
        assert_eq!(house.plain.count() - before, usize::from(status == 200), "{case}");
    }
    let kept = token(&key, json!({}));
    house.write("keys/house.test.json", &bundle(&[]));
    house.proxy.reload().await;
    assert_eq!(
        house.send(None, get(&kept)).await.status,
        401,
        "an empty bundle takes everything back, tokens seen before included"
    );
    let records = house.stop().await;
    assert_eq!(records.requests()[0].principal(), JOB);
}
