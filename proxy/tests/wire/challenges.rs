//! What a refusal tells the client to do: challenges, step-up, scopes, and where tokens come from.

use serde_json::{Value, json};

use crate::house::caller::ASSISTANT;
use crate::house::{Ask, House, Plan};

const HOST: &str = "ai.house.test";
const METADATA: &str = "/.well-known/oauth-protected-resource/orders";
const POINTER: &str = "resource_metadata=\"https://ai.house.test/.well-known/oauth-protected-resource/orders\"";

const RESOURCE: &str = "
  protectedResource:
    resource: https://ai.house.test/orders
    authorizationServers: [https://login.house.test]
    scopes: [\"orders:read\", \"orders:write\"]
";

/// The house's IAMPolicy with more in it.
fn with(iam: &str) -> Plan {
    let tenancy = "  tenancy: {resource: {from: Label, key: tenant}, crossTenant: Forbid}\n";
    House::plan().with("manifests/identity.yaml", tenancy, &format!("{tenancy}{}", iam.trim_start_matches('\n')))
}

#[tokio::test]
async fn a_challenge_points_to_the_metadata_and_the_metadata_needs_no_credential() {
    let limit = "apiVersion: secure.platformspec.io/v1alpha1\nkind: APIAccessPolicy\nmetadata: {name: few}\nspec:\n  targetRefs: [{kind: \
                 Route, name: orders}]\n  rateLimits: [{name: few, key: [SourceIp], unit: Requests, limit: 9, window: 1h}]";
    let house = with(RESOURCE).also(limit).start().await;
    let mia = &house.who.mia;
    let bad = "e30.e30.e30";
    for (case, ask, want) in [
        ("nothing", Ask::get("/orders").authority(HOST), format!("Bearer {POINTER}")),
        (
            "a bad token",
            Ask::get("/orders").authority(HOST).bearer(bad),
            format!("Bearer error=\"invalid_token\", {POINTER}"),
        ),
        (
            "another resource",
            Ask::get("/globex/orders").authority(HOST).bearer(bad),
            "Bearer error=\"invalid_token\"".to_owned(),
        ),
        ("another name", Ask::get("/orders").bearer(bad), "Bearer error=\"invalid_token\"".to_owned()),
        ("HTTP/2", Ask::get("/orders").authority(HOST).h2(), format!("Bearer {POINTER}")),
    ] {
        let reply = house.send(Some(&mia.issued), ask).await;
        assert_eq!((reply.status, reply.header("www-authenticate")), (401, want.as_str()), "{case}");
    }
    for (h2, method) in [(false, "GET"), (true, "GET"), (true, "HEAD"), (false, "HEAD")] {
        let reply = house.send(None, Ask::new(method, METADATA).open().authority(HOST).over(h2)).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        assert!(!reply.header("postern-decision").is_empty());
        assert_eq!(reply.header("content-type"), "application/json");
        if method == "HEAD" {
            assert_eq!(reply.body, "");
            assert_ne!(reply.header("content-length"), "0");
            continue;
        }
        let want = json!({
            "resource": "https://ai.house.test/orders",
            "authorization_servers": ["https://login.house.test"],
            "scopes_supported": ["orders:read", "orders:write"],
            "bearer_methods_supported": ["header"],
        });
        assert_eq!(reply.json(), want);
    }
    // Whatever else is asked there is a request like any other, and so is the same path of another name.
    for ask in [
        Ask::post(METADATA, "application/json", "{}").authority(HOST),
        Ask::get(METADATA),
        Ask::get("/.well-known/oauth-protected-resource").authority(HOST),
    ] {
        assert_eq!(house.send(Some(&mia.issued), ask).await.status, 403);
    }
    // Nine of the limit were for the orders: five refusals less one, and four documents; so one is left.
    assert_eq!(house.send(None, Ask::get(METADATA).open().authority(HOST)).await.status, 200);
    let over = house.send(None, Ask::get(METADATA).open().authority(HOST)).await;
    assert_eq!(over.status, 429, "counted like any request: {}", over.body);
    assert_eq!(house.plain.count(), 0);
    let records = house.stop().await;
    let outcomes = records.outcomes();
    assert_eq!(outcomes[5..9], ["allow", "allow", "allow", "allow"], "{outcomes:?}");
    assert_eq!(records.requests()[5].rule(), "built-in protected-resource");
    assert_eq!(outcomes.last().map(String::as_str), Some("deny: over_limit"));
}

#[tokio::test]
async fn who_has_not_proven_enough_is_told_what_is_demanded() {
    let demand = "  assurance: {principals: [User], acrValues: [\"urn:house:mfa\", \"urn:house:key\"], amr: [mfa], maxAge: 5m}\n";
    let house = with(demand).start().await;
    let (mia, assistant) = (&house.who.mia, &house.who.assistant);
    let now = house.now;
    let told = "Bearer error=\"insufficient_user_authentication\", acr_values=\"urn:house:key urn:house:mfa\", max_age=\"300\"";
    let good = json!({"acr": "urn:house:mfa", "amr": ["pwd", "mfa"], "auth_time": now - 60});
    let but = |change: Value| {
        let mut claims = good.clone();
        claims.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        claims
    };
    for (case, claims, want) in [
        ("all of it", good.clone(), 200),
        ("nothing said", json!({}), 401),
        ("a weaker class", but(json!({"acr": "urn:house:password"})), 401),
        ("no class", but(json!({"acr": null})), 401),
        ("another method", but(json!({"amr": ["pwd"]})), 401),
        ("too long ago", but(json!({"auth_time": now - 301})), 401),
        ("a fresh token of an old session", but(json!({"auth_time": null})), 401),
        ("a moment to come", but(json!({"auth_time": now + 4000})), 401),
    ] {
        let reply =
            house.send(Some(&mia.issued), Ask::get("/orders").bearer(&house.token_with(mia, mia, claims))).await;
        assert_eq!(reply.status, want, "{case}: {}", reply.body);
        if want == 401 {
            assert_eq!(reply.header("www-authenticate"), told, "{case}");
        }
    }
    // An Agent is judged by the User it acts for, and a workload on its own only where it is asked.
    let delegated = |claims: Value| {
        let mut claims = claims;
        claims["act"] = json!({"sub": ASSISTANT});
        house.token_with(mia, assistant, claims)
    };
    for (case, token, want) in [
        ("for a User who proved it", Some(delegated(good.clone())), 200),
        ("for a User who did not", Some(delegated(json!({}))), 401),
        ("alone", None, 200),
    ] {
        let ask = Ask::chat("hello");
        let ask = if let Some(token) = &token { ask.bearer(token) } else { ask };
        let reply = house.send(Some(&assistant.issued), ask).await;
        assert_eq!(reply.status, want, "{case}: {}", reply.body);
        if want == 401 {
            let error = &reply.json()["error"];
            assert_eq!(error["type"], "authentication_error");
            assert_eq!(error["code"], "insufficient_user_authentication");
            assert_eq!(reply.header("www-authenticate"), told);
        }
    }
    assert_eq!((house.plain.count(), house.model.count()), (1, 2));
    let expected = house.promised("orders", postern_config::Direction::Request, false);
    assert!(expected.contains(&"assurance".to_owned()), "{expected:?}");
    let records = house.stop().await;
    assert_eq!(records.outcomes()[1], "deny: insufficient_user_authentication");
    assert!(records.requests()[2].detail().contains("`acr`"), "{}", records.requests()[2].detail());
}

const RULES: &str = r#"
apiVersion: secure.platformspec.io/v1alpha1
kind: AccessControlPolicy
metadata: {name: strong}
spec:
  targetRefs: [{kind: Route, name: orders}]
  rules:
    - name: recent
      effect: Forbid
      actions: [delete]
      unless: 'context.authn.acr == "urn:house:key"'
      onDeny: {type: StepUp, acrValues: ["urn:house:key"], maxAge: 5m}
    - name: scoped
      effect: Forbid
      actions: [create, delete]
      unless: 'principal.scopes.contains("orders:write")'
      onDeny: {type: Scope, scopes: ["orders:read", "orders:write"]}
    - {name: frozen, effect: Forbid, actions: [delete], when: 'context.http.path == "/orders/frozen"'}
"#;

#[tokio::test]
async fn a_forbid_tells_a_way_out_where_it_stands_alone() {
    let house = with(RESOURCE).also(RULES).start().await;
    let (mia, noah, gwen) = (&house.who.mia, &house.who.noah, &house.who.gwen);
    let step = "Bearer error=\"insufficient_user_authentication\", acr_values=\"urn:house:key\", max_age=\"300\"";
    let scope = "Bearer error=\"insufficient_scope\", scope=\"orders:read orders:write\"";
    let strong = json!({"acr": "urn:house:key"});
    let both = json!({"acr": "urn:house:key", "scope": "orders:read orders:write"});
    let delete = |path: &str| Ask::new("DELETE", path);
    let create = || Ask::json("/orders", &json!({"a": 1}));
    for (case, who, claims, ask, want) in [
        ("both rules", mia, json!({}), delete("/orders/7"), (401, step)),
        ("the scope is left", mia, strong.clone(), delete("/orders/7"), (403, scope)),
        ("nothing is left", mia, both.clone(), delete("/orders/7"), (200, "")),
        ("one rule", mia, json!({}), create(), (403, scope)),
        ("another forbid", mia, json!({}), delete("/orders/frozen"), (403, "")),
        ("another forbid, all else done", mia, both.clone(), delete("/orders/frozen"), (403, "")),
        ("no permit", noah, json!({}), delete("/orders/7"), (403, "")),
        ("another tenant", gwen, json!({}), delete("/orders/7"), (403, "")),
    ] {
        for h2 in [false, true] {
            let token = house.token_with(who, who, claims.clone());
            let reply = house.send(Some(&who.issued), ask.clone().over(h2).bearer(&token)).await;
            assert_eq!((reply.status, reply.header("www-authenticate")), want, "{case}: {}", reply.body);
            if want.0 != 200 {
                assert_eq!(reply.header("x-should-retry"), "false", "{case}");
                assert!(!reply.body.contains("rule") && !reply.body.contains("house"), "{case}: {}", reply.body);
            }
        }
    }
    let token = house.token_with(mia, mia, json!({}));
    let reply = house.send(Some(&mia.issued), create().authority(HOST).bearer(&token)).await;
    assert_eq!(reply.header("www-authenticate"), format!("{scope}, {POINTER}"), "MCP clients go on from here");
    assert_eq!(house.plain.count(), 2);
    let records = house.stop().await;
    let outcomes: Vec<String> = records.outcomes().into_iter().step_by(2).collect();
    assert_eq!(outcomes[..3], ["deny: insufficient_user_authentication", "deny: insufficient_scope", "allow"]);
    assert!(records.requests()[0].rule().contains("strong rule recent"), "{}", records.requests()[0].rule());
}
