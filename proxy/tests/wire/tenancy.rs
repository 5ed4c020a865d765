//! Whose data is asked for, where each request says it: by its host, its path or a header. Only who is of that tenant passes,
//! and the upstream gets what was judged.

use serde_json::json;

use crate::house::{Ask, House, Plan};

const TENANCY: &str = "tenancy: {resource: {from: Label, key: tenant}, crossTenant: Forbid}";

/// The orders and the model, with the tenant from elsewhere.
fn with(from: &str, key: &str) -> Plan {
    House::plan().with(
        "manifests/identity.yaml",
        TENANCY,
        &format!("tenancy: {{resource: {{from: {from}, key: \"{key}\"}}, crossTenant: Forbid}}"),
    )
}

#[tokio::test]
async fn attack_21_to_24_a_tenant_in_a_header_is_asked_for_never_claimed() {
    let house = with("Header", "X-Tenant").start().await;
    let (mia, gwen) = (&house.who.mia, &house.who.gwen);
    let ask =
        |tenant: &[(&str, &str)]| tenant.iter().fold(Ask::get("/orders"), |ask, (name, value)| ask.header(name, value));
    for (case, who, heads, want) in [
        ("her own", mia, &[("x-tenant", "acme")][..], 200),
        ("her own", gwen, &[("x-tenant", "globex")], 200),
        ("another's", mia, &[("x-tenant", "globex")], 403),
        ("another's", gwen, &[("x-tenant", "acme")], 403),
        ("nobody's", mia, &[], 403),
        ("unknown", mia, &[("x-tenant", "evil")], 403),
        ("empty", mia, &[("x-tenant", "")], 403),
        ("twice the same", mia, &[("x-tenant", "acme"), ("x-tenant", "acme")], 403),
        ("two", mia, &[("x-tenant", "acme"), ("x-tenant", "globex")], 403),
        ("a list", mia, &[("x-tenant", "acme, globex")], 403),
        ("another case of the name", mia, &[("X-TENANT", "acme")], 200),
        ("only in another spelling", mia, &[("x_tenant", "acme")], 403),
        ("only from a forwarding header", mia, &[("x-forwarded-tenant", "acme")], 403),
        ("another spelling beside it", mia, &[("x-tenant", "acme"), ("x_tenant", "globex")], 200),
        ("another separator beside it", mia, &[("x-tenant", "acme"), ("x.tenant", "globex")], 200),
    ] {
        for h2 in [false, true] {
            let before = house.plain.count();
            let reply = house.call(who, ask(heads).over(h2)).await;
            assert_eq!(reply.status, want, "{case}: {}", reply.body);
            if want == 200 {
                let seen = house.plain.seen().pop().unwrap();
                assert_eq!(seen.header("x-tenant"), [who.tenant], "{case}: {}", seen.head);
                assert!(!seen.head.contains("globex") || who.tenant == "globex", "{case}: {}", seen.head);
            } else {
                assert_eq!(house.plain.count(), before, "{case}");
                assert_eq!(reply.json()["title"], "Not permitted", "{case}: foreign and unknown look the same");
            }
        }
    }
    // What a client nominates is still told (attack 7).
    let mut wire = house.wire(mia).await;
    wire.send(format!("GET /orders HTTP/1.1\r\n{}x-tenant: acme\r\nconnection: x-tenant\r\n\r\n", house.lines(mia)))
        .await;
    assert_eq!(wire.answer().await.status, 200);
    assert_eq!(house.plain.seen().pop().unwrap().header("x-tenant"), ["acme"]);
    drop(wire);
    let records = house.stop().await;
    assert_eq!(records.requests()[0].facts()["resource_tenant"], "acme");
    assert_eq!(records.requests()[4].outcome(), "deny: other_tenant");
    assert_eq!(records.requests()[4].facts()["resource_tenant"], "globex");
    assert_eq!(records.requests()[10].outcome(), "deny: other_tenant");
    assert!(records.requests()[10].facts().get("resource_tenant").is_none(), "what is not known is not written down");
}

#[tokio::test]
async fn attack_29_a_tenant_in_the_host_is_the_label_that_routing_saw() {
    let plan = with("Host", "{tenant}.house.test");
    let house =
        plan.with("manifests/identity.yaml", "tenants: [acme, globex]", "tenants: [acme, globex, ai]").start().await;
    let mia = &house.who.mia;
    for (case, tenant, host, want) in [
        ("her own", "ai", "ai.house.test", 200),
        ("another case of the host", "ai", "AI.house.test", 200),
        ("another's", "acme", "ai.house.test", 403),
        ("no tenant's", "acme", "localhost", 403),
        ("no tenant's", "ai", "localhost", 403),
        // No certificate of ours covers it, so nobody asks which tenant it is.
        ("not ours", "acme", "acme.house.test", 421),
    ] {
        for h2 in [false, true] {
            let token = house.token_with(mia, mia, json!({"tenant": tenant}));
            let ask = Ask::get("/orders").authority(host).over(h2).bearer(&token);
            let reply = house.send(Some(&mia.issued), ask).await;
            assert_eq!(reply.status, want, "{case}: {host} {}", reply.body);
        }
    }
    assert_eq!(house.plain.count(), 4);
    house.stop().await;
}

#[tokio::test]
async fn a_tenant_in_the_path_is_one_segment_as_it_stands() {
    let house = with("PathSegment", "1").start().await;
    let (mia, gwen) = (&house.who.mia, &house.who.gwen);
    for (case, who, path, want) in [
        ("her own", mia, "/orders/acme/7", 200),
        ("her own", gwen, "/orders/globex/7", 200),
        ("another's", mia, "/orders/globex/7", 403),
        ("another's, with her own behind it", mia, "/orders/globex/acme", 403),
        ("unknown", mia, "/orders/evil/7", 403),
        ("none", mia, "/orders", 403),
        ("with parameters (attack 13)", mia, "/orders/acme;globex/7", 403),
        ("with dots (attack 16)", mia, "/orders/acme/../globex/7", 403),
    ] {
        let reply = house.call(who, Ask::get(path)).await;
        assert!(
            reply.status == want || (want == 403 && reply.status == 400),
            "{case}: {} {}",
            reply.status,
            reply.body
        );
    }
    assert_eq!(house.plain.count(), 2);
    assert_eq!(house.plain.seen()[0].request_line(), "GET /orders/acme/7 HTTP/1.1");
    house.stop().await;
}

const POSTURE: &str = r#"
apiVersion: secure.platformspec.io/v1alpha1
kind: Policy
metadata: {name: posture}
spec:
  type: SecurityPolicy
  complianceModes:
    - {name: hipaa, standardRef: {kind: ComplianceStandard, name: hipaa-security-rule}, routes: {matchLabels: {app: shop}}}
---
apiVersion: secure.platformspec.io/v1alpha1
kind: AccessControlPolicy
metadata: {name: health}
spec:
  targetRefs: [{kind: Gateway, name: house}]
  rules:
    - name: strong-where-it-matters
      effect: Forbid
      actions: [read, create]
      when: 'context.compliance.contains("hipaa")'
      unless: 'context.authn.amr.contains("hwk")'
"#;

#[tokio::test]
async fn a_compliance_mode_holds_on_the_routes_it_selects() {
    let house = House::plan().also(POSTURE).start().await;
    let mia = &house.who.mia;
    for (case, path, claims, want) in [
        ("in the mode", "/orders", json!({}), 403),
        ("in the mode, with what it takes", "/orders", json!({"amr": ["hwk"]}), 200),
        ("on another route", "/forms/a", json!({}), 200),
    ] {
        let token = house.token_with(mia, mia, claims);
        let reply = house.send(Some(&mia.issued), Ask::get(path).bearer(&token)).await;
        assert_eq!(reply.status, want, "{case}: {}", reply.body);
    }
    let snapshot = house.proxy.snapshot();
    let orders = snapshot.routes.iter().find(|route| route.name == "orders").unwrap();
    let made = orders.policy.manifests.iter().map(|index| &snapshot.manifests[*index].kind);
    assert!(made.into_iter().any(|kind| kind == "Policy"), "records name the manifest that set the mode");
    house.stop().await;
}

#[tokio::test]
async fn a_type_of_principal_that_does_not_exist_is_refused_however_it_comes() {
    let types = POSTURE.split("---").next().unwrap();
    let modes = types.find("  complianceModes").unwrap();
    let posture = format!("{}  identityTypes: [User]\n", &types[..modes]);
    let refused = House::plan().also(&posture).try_start().await.err().unwrap();
    assert!(refused.contains("PV-025") && refused.contains("`Agent`"), "{refused}");
    // Without the provider of agents, a token that names an actor still makes one.
    let agents = "    - name: agents\n      type: Spiffe\n      principal: {type: Agent}\n      tenant: {spiffeSegment: 1}\n      tenants: [acme]\n";
    let plan = House::plan()
        .also(&posture)
        .with("manifests/identity.yaml", agents, "")
        .with("manifests/chat.yaml", "providers: [sso, agents]", "providers: [sso]")
        .with("manifests/chat.yaml", "    - {name: assistant, role: asker, subjects: [{kind: Agent, name: \"spiffe://house.test/ns/acme/sa/assistant\"}]}\n", "")
        .with("manifests/plain.yaml", "providers: [sso, agents]", "providers: [sso]")
        .with("manifests/plain.yaml", "principals: [User, Agent]", "principals: [User]");
    let house = plan.start().await;
    let mia = &house.who.mia;
    assert_eq!(house.call(mia, Ask::get("/orders")).await.status, 200);
    let delegated = house.token_with(mia, mia, json!({"act": {"sub": "some-client"}}));
    let reply = house.send(Some(&mia.issued), Ask::get("/orders").bearer(&delegated)).await;
    assert_eq!(reply.status, 403, "{}", reply.body);
    assert_eq!(house.plain.count(), 1);
    let records = house.stop().await;
    assert!(records.requests()[1].detail().contains("type Agent"), "{}", records.requests()[1].detail());
}
