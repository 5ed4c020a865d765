//! Callers recognised by a client certificate that is no SVID.

use postern_certs::Template;

use crate::house::{Ask, House};

const ISSUER: &str = "https://ca.house.test";

#[tokio::test]
async fn a_certificate_with_one_name_is_its_holder_and_an_ambiguous_one_is_nobody() {
    let provider = format!(
        "apiVersion: secure.platformspec.io/v1alpha1\nkind: IAMPolicy\nmetadata: {{name: hosts}}\nspec:\n  \
         targetSelector: {{kind: Route, matchLabels: {{app: shop}}}}\n  providers:\n    - {{name: hosts, type: Mtls, \
         issuer: \"{ISSUER}\", principal: {{type: Component}}, tenant: {{value: acme}}, tenants: [acme]}}\n---\n\
         apiVersion: secure.platformspec.io/v1alpha1\nkind: RBACPolicy\nmetadata: {{name: hosts}}\nspec:\n  \
         targetRefs: [{{kind: Route, name: orders}}]\n  roles: [{{name: reader, permissions: [{{actions: [read]}}]}}]\n  \
         bindings: [{{name: hosts, role: reader, subjects: [{{kind: Component, name: mia.clients.house.test}}]}}]"
    );
    let accepted = "matchLabels: {app: shop}}\n  authentication: {providers: [";
    let globex = "  - {name: globex, match: {pathPrefix: /globex}, rewrite: {pathPrefix: /}, upstream: plain, dialect: http, \
                  labels: {app: shop, tenant: globex}}\n";
    let house = House::plan()
        .with("manifests/plain.yaml", &format!("{accepted}sso, "), &format!("{accepted}hosts, "))
        .with("postern.yaml", globex, "")
        .with("manifests/plain.yaml", ", /globex/orders", "")
        .also(&provider)
        .start()
        .await;
    let issue = |hosts: &[&str]| {
        let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
        house.issue(&Template { hosts, for_clients: true, for_servers: false, ..Template::server(&["mia"]) })
    };
    let name = "mia.clients.house.test";
    let (two, wild) = (issue(&[name, "ned.clients.house.test"]), issue(&["*.clients.house.test"]));
    let capitals = issue(&["MIA.clients.house.test"]);
    let ask = async |who: &postern_certs::Issued| house.send(Some(who), Ask::get("/orders").open()).await.status;
    assert_eq!(ask(&house.who.mia.issued).await, 200);
    assert_eq!(ask(&capitals).await, 200, "a host name has no case");
    assert_eq!(ask(&house.who.ned.issued).await, 403, "recognised, and given nothing");
    assert_eq!(ask(&two).await, 401, "attack 30: two names");
    assert_eq!(ask(&issue(&[name, "127.0.0.1"])).await, 401, "attack 30: a name and an address");
    let wild = house.try_send(Some(&wild), Ask::get("/orders").open()).await;
    assert!(
        wild.as_ref().map_or(true, |reply| reply.status == 401),
        "attack 30: a wildcard is nobody's name: {wild:?}"
    );
    assert_eq!(house.send(None, Ask::get("/orders").open()).await.status, 401, "no certificate");
    // A person's token beside it: two answers to who asks.
    let both = Ask::get("/orders").bearer(&house.token(&house.who.mia));
    assert_eq!(house.send(Some(&house.who.mia.issued), both).await.status, 401);
    // On a route without the provider the certificate is only what the token is bound to.
    let chat = Ask::chat("hi").bearer(&house.token(&house.who.mia));
    assert_eq!(house.send(Some(&house.who.mia.issued), chat).await.status, 200);
    assert_eq!(house.plain.count(), 2);
    let records = house.stop().await;
    assert_eq!(records.requests()[0].principal(), format!("{ISSUER}|{name}"));
}
