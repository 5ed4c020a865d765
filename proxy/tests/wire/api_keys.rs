//! Keys that callers hold: what they open, where they may stand, and how they end.

use postern_filters::token::MadeKey;
use postern_proxy::reload::Reload;
use rustls_pki_types::UnixTime;

use crate::house::{Ask, House, Plan};

const ISSUER: &str = "https://keys.house.test";

/// A key of acme that ends in an hour, and its line.
fn made(id: &str, tenant: &str) -> (String, String) {
    let until = (UnixTime::now().as_secs() + 3600).try_into().unwrap();
    let made = MadeKey::new("house_", id, tenant, &["jobs".to_owned()], until).unwrap();
    (String::from_utf8(made.key.expose().clone()).unwrap(), made.line)
}

/// The shop recognises keys beside people and agents; whoever is in group jobs may read.
fn plan(lines: &[&str]) -> Plan {
    let provider = format!(
        "apiVersion: secure.platformspec.io/v1alpha1\nkind: IAMPolicy\nmetadata: {{name: keys}}\nspec:\n  \
         targetSelector: {{kind: Route, matchLabels: {{app: shop}}}}\n  providers:\n    - {{name: jobs, type: ApiKey, issuer: \"{ISSUER}\", \
         prefix: house_, keysFrom: \"file:keys/jobs\", principal: {{type: ServiceAccount}}, tenants: [acme]}}\n---\n\
         apiVersion: secure.platformspec.io/v1alpha1\nkind: RBACPolicy\nmetadata: {{name: jobs}}\nspec:\n  \
         targetRefs: [{{kind: Route, name: orders}}]\n  roles: [{{name: reader, permissions: [{{actions: [read]}}]}}]\n  \
         bindings: [{{name: jobs, role: reader, subjects: [{{kind: Group, name: jobs, issuer: \"{ISSUER}\"}}]}}]"
    );
    let accepted = "matchLabels: {app: shop}}\n  authentication: {providers: [sso, agents";
    House::plan()
        .with("manifests/plain.yaml", accepted, &format!("{accepted}, jobs"))
        .also(&provider)
        .file("keys/jobs", &lines.join("\n"))
}

#[tokio::test]
async fn a_key_opens_by_either_header_and_never_beside_another_credential() {
    let ((key, line), (other, _)) = (made("nightly", "acme"), made("nobody", "acme"));
    let house = plan(&[&line]).start().await;
    let mia = &house.who.mia;
    let token = house.token(mia);
    let get = || Ask::get("/orders");
    for h2 in [false, true] {
        for (case, ask, status) in [
            ("as a bearer", get().bearer(&key), 200),
            ("in its own header", get().header("x-api-key", &key), 200),
            ("in both, equal", get().bearer(&key).header("x-api-key", &key), 401),
            ("beside a token", get().bearer(&token).header("x-api-key", &key), 401),
            ("twice", get().header("x-api-key", &key).header("x-api-key", &key), 401),
            ("a key that nobody listed", get().bearer(&other), 401),
            ("another scheme", get().header("authorization", &format!("Basic {key}")), 401),
            ("a wrong key beside a good token", get().bearer(&token).header("x-api-key", &other), 401),
            ("not a key at all", get().header("x-api-key", "let me in"), 401),
            ("an empty one", get().header("x-api-key", ""), 401),
            ("more than it may", Ask::new("DELETE", "/orders/1").bearer(&key), 403),
        ] {
            let before = house.plain.count();
            let reply = house.send(Some(&mia.issued), ask.over(h2)).await;
            assert_eq!(reply.status, status, "{case}, h2 {h2}: {}", reply.body);
            assert_eq!(house.plain.count() - before, usize::from(status == 200), "{case}");
        }
    }
    let with_svid = house.send(Some(&house.who.assistant.issued), get().bearer(&key)).await;
    assert_eq!(with_svid.status, 401, "an agent does not pass as the holder of a key");
    for seen in house.plain.seen() {
        assert!(seen.header("authorization").is_empty() && seen.header("x-api-key").is_empty());
    }
    // A route that knows no keys: the header is nobody's credential there, and is not passed on.
    let chat = house.send(Some(&mia.issued), Ask::chat("hi").bearer(&token).header("x-api-key", &key)).await;
    assert_eq!(chat.status, 200);
    assert!(house.model.sole().header("x-api-key").is_empty());
    assert_eq!(house.send(Some(&mia.issued), Ask::chat("hi").bearer(&key)).await.status, 401);

    let records = house.stop().await;
    let random = key.strip_prefix("house_").unwrap();
    assert!(!records.text().contains(random), "no key is written down");
    let allowed: Vec<&str> = records.requests().iter().map(|record| record.principal()).take(2).collect();
    assert_eq!(allowed, [format!("{ISSUER}|nightly").as_str(); 2]);
}

#[tokio::test]
async fn a_key_ends_with_its_line_and_at_its_end() {
    let ((first, line), (second, other)) = (made("first", "acme"), made("second", "acme"));
    let (_, foreign) = made("third", "globex");
    let house = plan(&[&line]).start().await;
    let ask = async |key: &str| house.send(Some(&house.who.mia.issued), Ask::get("/orders").bearer(key)).await.status;
    assert_eq!((ask(&first).await, ask(&second).await), (200, 401));

    house.write("keys/jobs", &other);
    house.proxy.reload().await;
    assert_eq!((ask(&first).await, ask(&second).await), (401, 200), "taken back, and given");

    for wrong in [format!("{other}\n{foreign}"), format!("{other}\n{other}"), String::new(), "secret".to_owned()] {
        house.write("keys/jobs", &wrong);
        let Reload::Refused(why) = house.proxy.reload().await else { panic!("`{wrong}` was taken") };
        assert!(why.contains("provider `jobs`") && !why.contains("secret"), "{why}");
        assert_eq!((ask(&first).await, ask(&second).await), (401, 200), "the old set stays");
    }
    house.write("keys/jobs", &other);
    house.proxy.reload().await;
    house.clock.forward(3500);
    assert_eq!(ask(&second).await, 200);
    house.clock.forward(100);
    assert_eq!(ask(&second).await, 401, "without a reload");
    house.stop().await;
}
