//! A secret that is replaced: the one of before for a while, where the upstream does not know the new one yet; and one that becomes
//! too old.

use std::fs::File;
use std::time::{Duration, UNIX_EPOCH};

use postern_proxy::reload::Reload;
use serde_json::json;

use crate::health::probe;
use crate::house::records::Records;
use crate::house::upstream::{Act, answer, chat, json_answer};
use crate::house::{Ask, House, Plan, Upstream};

const OLD: &str = "house-shop-key-0001";
const NEW: &str = "house-shop-key-0002";
const MODEL_NEW: &str = "house-upstream-key-new";
const MODEL_OLD: &str = crate::house::set::UPSTREAM_KEY;

/// Both upstreams are shown secrets with this rotation.
fn plan(rotation: &str) -> Plan {
    let secrets = r#"
apiVersion: secure.platformspec.io/v1alpha1
kind: SecretManagement
metadata: {name: shop}
spec:
  targetRefs: [{kind: Upstream, name: plain}]
  credentials:
    - {name: shop, valueFrom: "file:keys/shop", inject: {type: Header, header: X-Shop-Key, format: "{secret}"}, rotation: ROTATION}
---
apiVersion: secure.platformspec.io/v1alpha1
kind: SecretManagement
metadata: {name: leaks}
spec:
  targetRefs: [{kind: Upstream, name: model}]
  leakDetection: {action: Block}
"#;
    let inject = "inject: {type: Header, header: Authorization, format: \"Bearer {secret}\"}";
    House::plan()
        .with("manifests/house.yaml", inject, &format!("{inject}\n      rotation: {rotation}"))
        .file("keys/shop", OLD)
        .also(&secrets.replace("ROTATION", rotation))
}

/// Takes requests with `key` in this header, and no others.
fn takes(upstream: &Upstream, header: &'static str, key: &'static str, good: Vec<u8>) {
    upstream.does(move |seen| {
        let known = seen.header(header).iter().any(|value| value.trim_start_matches("Bearer ") == key);
        Act::Answer(if known { good.clone() } else { answer(401, &[("content-type", "text/plain")], b"who?") })
    });
}

async fn replace(house: &House, file: &str, text: &str) {
    house.write(file, text);
    assert_eq!(house.proxy.reload().await, Reload::Taken);
}

fn keys(upstream: &Upstream, from: usize) -> Vec<String> {
    upstream.seen()[from..].iter().map(|seen| seen.header("x-shop-key").join(",")).collect()
}

fn events(records: &Records) -> Vec<String> {
    let all = records.of_secrets().into_iter().flat_map(|record| record.events());
    all.filter(|event| event != "secret.read").collect()
}

#[tokio::test]
async fn an_old_secret_is_shown_again_for_its_overlap_and_only_where_a_request_may_be_repeated() {
    let house = plan("{overlap: 10m}").start().await;
    let ok = |body: &str| answer(200, &[("content-type", "application/json")], body.as_bytes());
    takes(&house.plain, "x-shop-key", OLD, ok("{}"));
    takes(&house.model, "authorization", MODEL_OLD, chat("hi"));
    let mia = &house.who.mia;
    assert_eq!(house.call(mia, Ask::get("/orders")).await.status, 200);
    replace(&house, "keys/shop", NEW).await;
    replace(&house, "keys/model", MODEL_NEW).await;

    for (what, ask, status, shown) in [
        ("a read", Ask::get("/orders"), 200, &[NEW, OLD][..]),
        ("over HTTP/2", Ask::get("/orders").over(true), 200, &[NEW, OLD]),
        ("what may have done something", Ask::json("/orders", &json!({"a": 1})), 401, &[NEW]),
    ] {
        let from = house.plain.count();
        assert_eq!(house.call(mia, ask).await.status, status, "{what}");
        assert_eq!(keys(&house.plain, from), shown, "{what}");
    }
    // A question to a model is a POST that changes nothing.
    let asked = house.model.count();
    assert_eq!(house.call(mia, Ask::chat("hello?")).await.said(), "hi");
    assert_eq!(house.model.count() - asked, 2);
    assert_eq!(house.model.seen()[asked].body, house.model.seen()[asked + 1].body);
    // The old secret is still a secret.
    house.model.says(chat(&format!("it was {MODEL_OLD}")));
    assert_eq!(house.call(mia, Ask::chat("and before?")).await.status, 403);
    // An upstream that takes the new one is asked once.
    takes(&house.plain, "x-shop-key", NEW, ok("{}"));
    let before = house.plain.count();
    assert_eq!(house.call(mia, Ask::get("/orders")).await.status, 200);
    assert_eq!(keys(&house.plain, before), [NEW]);
    let page = house.metrics().await;
    for line in [
        "postern_secrets_overlapping 2\n",
        "postern_secrets_retries_total{postern_upstream=\"plain\",outcome=\"accepted\"} 2\n",
        "postern_secrets_retries_total{postern_upstream=\"model\",outcome=\"accepted\"} 1\n",
    ] {
        assert!(page.contains(line), "{line}: {page}");
    }

    // After the overlap it is gone.
    house.clock.forward(601);
    takes(&house.plain, "x-shop-key", OLD, ok("{}"));
    let before = house.plain.count();
    assert_eq!(house.call(mia, Ask::get("/orders")).await.status, 401);
    assert_eq!(keys(&house.plain, before), [NEW]);
    assert_eq!(house.proxy.reload().await, Reload::Taken);
    assert_eq!(house.call(mia, Ask::chat("and before?")).await.status, 200, "what is not kept is not looked for");
    assert!(house.metrics().await.contains("postern_secrets_overlapping 0\n"));
    let records = house.stop().await;
    assert_eq!(events(&records), ["secret.rotated", "secret.rotated", "secret.retired", "secret.retired"]);
    let requests = records.requests();
    assert_eq!(requests[0].events(), ["secret.used"]);
    assert_eq!(requests[1].events(), ["secret.used", "secret.previous_used"]);
    assert_eq!(requests[3].events(), ["secret.used"]);
    for secret in [OLD, NEW, MODEL_OLD, MODEL_NEW] {
        assert!(!records.text().contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn an_old_secret_goes_to_no_other_host_and_nowhere_without_a_rotation() {
    let other = Upstream::start().await;
    takes(&other, "x-shop-key", OLD, answer(200, &[("content-type", "application/json")], b"{}"));
    let house = plan("{overlap: 10m}").start().await;
    let mia = &house.who.mia;
    // The key and the host change at once.
    house.write("keys/shop", NEW);
    let (from, to) = (house.plain.address().to_string(), other.address().to_string());
    assert_eq!(house.change("postern.yaml", &from, &to).await, Reload::Taken);
    assert_eq!(house.call(mia, Ask::get("/orders")).await.status, 401);
    assert_eq!(keys(&other, 0), [NEW]);
    house.stop().await;

    let house = plan("{overlap: 0s}").start().await;
    takes(&house.plain, "x-shop-key", OLD, answer(200, &[], b""));
    replace(&house, "keys/shop", NEW).await;
    assert_eq!(house.call(&house.who.mia, Ask::get("/orders")).await.status, 401);
    assert_eq!(keys(&house.plain, 0), [NEW]);
    house.stop().await;
}

#[tokio::test]
async fn a_secret_is_told_of_when_it_is_old_and_not_shown_when_it_is_too_old() {
    let house = plan("{maxAge: 30d, graceAfter: 200s}").start().await;
    let mia = &house.who.mia;
    let written = UNIX_EPOCH + Duration::from_secs(u64::try_from(house.now).unwrap() - (30 * 86_400 - 100));
    let age = |file: &str| File::options().append(true).open(house.path(file)).unwrap().set_modified(written).unwrap();
    for (file, key) in [("keys/shop", NEW), ("keys/model", MODEL_NEW)] {
        house.write(file, key);
        age(file);
    }
    assert_eq!(house.proxy.reload().await, Reload::Taken);
    assert_eq!(probe(&house, "GET /readyz").await.1, "ok\n");
    assert!(house.metrics().await.contains("postern_secrets{postern_state=\"current\"} 2\n"));

    house.clock.forward(200);
    assert_eq!(house.call(mia, Ask::get("/orders")).await.status, 200);
    assert!(
        probe(&house, "GET /readyz")
            .await
            .1
            .contains("credential `shop` of upstream `plain` is older than its `maxAge`")
    );
    assert_eq!(house.proxy.reload().await, Reload::Taken);

    house.clock.forward(150);
    let seen = house.plain.count();
    let reply = house.call(mia, Ask::get("/orders")).await;
    assert_eq!((reply.status, house.plain.count()), (503, seen));
    assert!(!reply.body.contains("shop") && !reply.body.contains("secret"), "{}", reply.body);
    let page = house.metrics().await;
    assert!(page.contains("postern_secrets{postern_state=\"expired\"} 2\n"), "{page}");
    assert!(
        page.contains("postern_secret_age_seconds{postern_upstream=\"plain\",postern_credential=\"shop\"} 25922"),
        "{page}"
    );
    // What is written again unchanged is no younger.
    replace(&house, "keys/shop", NEW).await;
    assert_eq!(house.call(mia, Ask::get("/orders")).await.status, 503);
    // Nor is it shown as the one of before.
    takes(&house.plain, "x-shop-key", NEW, answer(200, &[], b""));
    replace(&house, "keys/shop", "house-shop-key-0003").await;
    let seen = house.plain.count();
    assert_eq!(house.call(mia, Ask::get("/orders")).await.status, 401);
    assert_eq!(keys(&house.plain, seen), ["house-shop-key-0003"]);
    let records = house.stop().await;
    let told = events(&records);
    let count = |event: &str| told.iter().filter(|told| *told == event).count();
    assert_eq!((count("secret.aged"), count("secret.expired")), (2, 2), "each is told once: {told:?}");
    let outcomes = records.outcomes();
    assert_eq!(outcomes, ["allow", "deny: secret_expired", "deny: secret_expired", "allow"]);
    let refused = records.requests()[1];
    assert_eq!((refused.events(), refused.credentials()), (vec!["secret.refused".to_owned()], vec![]));
    assert!(refused.detail().contains("credential `shop` is 30 days old"), "{}", refused.detail());
}

#[tokio::test]
async fn a_token_service_that_does_not_know_a_new_secret_is_shown_the_old_one() {
    let service = Upstream::start().await;
    service.does(|seen| {
        let old = seen.header("authorization") == ["Basic cG9zdGVybjpvbGQtc2VjcmV0"];
        let token = json!({"access_token": "issued", "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "token_type": "Bearer", "expires_in": 60});
        if old { json_answer(&token) } else { Act::Answer(answer(401, &[], b"")) }
    });
    let secrets = r#"
apiVersion: secure.platformspec.io/v1alpha1
kind: SecretManagement
metadata: {name: shop}
spec:
  targetRefs: [{kind: Upstream, name: plain}]
  credentials:
    - name: for-shop
      valueFrom: "file:keys/own"
      inject: {type: TokenExchange, tokenUrl: "http://127.0.0.1:SERVICE/token", audience: shop, clientAuthFrom: "file:keys/client"}
      rotation: {overlap: 10m}
---
apiVersion: secure.platformspec.io/v1alpha1
kind: NetworkPolicy
metadata: {name: out}
spec:
  targetRefs: [{kind: Gateway, name: house}]
  egress:
    allow: [{name: own, hosts: ["127.0.0.1"], cidrs: ["127.0.0.1/32"], ports: [SERVICE, MODEL_PORT, PLAIN_PORT]}]
    privateRanges: AllowListed
"#;
    let secrets = secrets.replace("SERVICE", &service.address().port().to_string());
    let plan = House::plan().file("keys/own", "own-token").file("keys/client", "postern:old-secret").also(&secrets);
    let house = plan.start().await;
    let mia = &house.who.mia;
    assert_eq!(house.call(mia, Ask::get("/orders")).await.status, 200);
    replace(&house, "keys/client", "postern:new-secret").await;
    for _ in 0..2 {
        assert_eq!(house.call(mia, Ask::json("/orders", &json!({}))).await.status, 200);
    }
    assert_eq!(house.plain.seen().pop().unwrap().header("authorization"), ["Bearer issued"]);
    house.clock.forward(601);
    assert_eq!(house.call(mia, Ask::get("/orders")).await.status, 502);
    let page = house.metrics().await;
    for (outcome, least) in [("issued", 2), ("refused", 2), ("reused", 1)] {
        let line = format!("postern_token_exchanges_total{{postern_upstream=\"plain\",outcome=\"{outcome}\"}} ");
        let count = page.split(&line).nth(1).and_then(|rest| rest.split('\n').next()).unwrap_or("0");
        assert!(count.parse::<u32>().unwrap() >= least, "{outcome}: {page}");
    }
    assert!(page.contains("postern_token_exchanges_duration_seconds_count"));
    let records = house.stop().await;
    assert!(records.requests().last().unwrap().credentials() == ["for-shop"], "the service saw it");
    for secret in ["own-token", "old-secret", "new-secret", "issued\""] {
        assert!(!records.text().contains(secret), "{secret}");
    }
}
