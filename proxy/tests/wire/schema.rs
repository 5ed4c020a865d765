//! Requests that must match an OpenAPI document, over sockets.

use postern_config::Direction;
use postern_proxy::reload::Reload;

use crate::house::{Ask, House, Plan};

const DOCUMENT: &str = r#"
openapi: 3.1.0
paths:
  /api/orders:
    get: {parameters: [{name: page, in: query, schema: {type: integer, maximum: 100}}]}
    post:
      requestBody:
        required: true
        content:
          application/json:
            schema:
              type: object
              required: [item, quantity]
              additionalProperties: false
              properties:
                item: {type: string, maxLength: 40}
                quantity: {type: integer, minimum: 1, maximum: 99}
                card: {type: string, pattern: '^[0-9 ]+$'}
  /api/orders/mine: {get: {}}
  /api/orders/{id}:
    parameters: [{name: id, in: path, required: true, schema: {type: string, maxLength: 12}}]
    delete: {}
"#;

const POLICIES: &str = r#"
apiVersion: secure.platformspec.io/v1alpha1
kind: APIAccessPolicy
metadata: {name: api}
spec:
  targetRefs: [{kind: Route, name: api}]
  authentication: {providers: [sso], require: AnyOf}
  allow:
    - {methods: [GET, PUT, DELETE], paths: [/api/**]}
    - {methods: [POST], paths: [/api/**], contentTypes: [application/json, text/xml]}
  schemaFrom: "file:api.yaml"
---
apiVersion: secure.platformspec.io/v1alpha1
kind: AccessControlPolicy
metadata: {name: api}
spec:
  targetRefs: [{kind: Route, name: api}]
  rules:
    - {name: staff, effect: Permit, principals: [User], actions: [read, create, update, delete], when: 'principal.groups.contains("staff")'}
---
apiVersion: secure.platformspec.io/v1alpha1
kind: DataProtectionPolicy
metadata: {name: api}
spec:
  targetRefs: [{kind: Route, name: api}]
  detectors: [{name: card, type: Builtin, id: payment-card, class: Restricted}]
  rules: [{name: hide-cards, direction: Request, parts: [HttpBody], match: {detectors: [card]}, action: Redact}]
"#;

fn plan() -> Plan {
    let route = "  - {name: socket,";
    let added = "  - {name: api, match: {pathPrefix: /api}, upstream: plain, dialect: http, labels: {tenant: acme}}\n  - {name: socket,";
    House::plan().with("postern.yaml", route, added).also(POLICIES).file("api.yaml", DOCUMENT)
}

#[tokio::test]
async fn attack_48_what_does_not_match_the_document_never_reaches_the_upstream() {
    let house = plan().start().await;
    let post = |body: &str| Ask::post("/api/orders", "application/json", body);
    let order = r#"{"item": "pen", "quantity": 2}"#;
    let deep = format!("{}1{}", "[".repeat(70), "]".repeat(70));
    for (case, ask, want, outcome) in [
        ("an order", post(order), 200, "allow"),
        ("a page", Ask::get("/api/orders?page=2"), 200, "allow"),
        ("one order", Ask::new("DELETE", "/api/orders/a%2Db"), 200, "allow"),
        ("no such path", Ask::get("/api/customers"), 404, "deny: no_such_operation"),
        ("a slash too many", Ask::get("/api/orders/"), 404, "deny: no_such_operation"),
        ("no such method", Ask::new("PUT", "/api/orders"), 405, "deny: method_not_allowed"),
        (
            "the concrete path, which has no such method",
            Ask::new("DELETE", "/api/orders/mine"),
            405,
            "deny: method_not_allowed",
        ),
        ("attack 16: an escaped slash", Ask::new("DELETE", "/api/orders/a%2fb"), 400, "deny: malformed"),
        ("attack 16: a path in a parameter", Ask::new("DELETE", "/api/orders/%2e%2e"), 400, "deny: malformed"),
        ("a parameter of two values", Ask::get("/api/orders?page=1&page=2"), 400, "deny: schema_mismatch"),
        ("a parameter nobody described", Ask::get("/api/orders?page=1&debug=true"), 400, "deny: schema_mismatch"),
        ("a separator of some servers", Ask::get("/api/orders?page=1;page=2"), 400, "deny: malformed"),
        ("a member of two values", post(r#"{"item": "pen", "quantity": 2, "quantity": 99}"#), 400, "deny: malformed"),
        (
            "a member nobody described",
            post(r#"{"item": "pen", "quantity": 2, "admin": true}"#),
            400,
            "deny: schema_mismatch",
        ),
        (
            "a number that readers round",
            post(r#"{"item": "pen", "quantity": 1.00000000000000000001}"#),
            400,
            "deny: schema_mismatch",
        ),
        (
            "a number beyond every integer",
            post(r#"{"item": "pen", "quantity": 184467440737095516170}"#),
            400,
            "deny: schema_mismatch",
        ),
        ("a number beyond every double", post(r#"{"item": "pen", "quantity": 1e999}"#), 400, "deny: malformed"),
        ("attack 44: a nest", post(&deep), 400, "deny: malformed"),
        ("no body", Ask::new("POST", "/api/orders").header("content-type", "application/json"), 400, "deny: malformed"),
        (
            "another type, which the allow list has",
            Ask::post("/api/orders", "text/xml", "<a/>"),
            415,
            "deny: unsupported_content",
        ),
        (
            "a body where there is none",
            Ask::new("GET", "/api/orders").header("content-type", "application/json"),
            415,
            "deny: unsupported_content",
        ),
        // The order matches; what would be left of it once the card is hidden does not.
        (
            "a rewritten order that matches no more",
            post(r#"{"item": "pen", "quantity": 2, "card": "4111 1111 1111 1111"}"#),
            400,
            "deny: schema_mismatch",
        ),
        (
            "a rewritten order that still matches",
            post(r#"{"item": "4111 1111 1111 1111", "quantity": 2}"#),
            200,
            "allow",
        ),
    ] {
        let before = house.plain.count();
        let reply = house.call(&house.who.mia, ask).await;
        assert_eq!(reply.status, want, "{case}: {}", reply.body);
        assert_eq!(house.plain.count() - before, usize::from(outcome == "allow"), "{case}");
        if want == 405 {
            let allowed = if reply.header("allow").contains("POST") { "GET, POST" } else { "GET" };
            assert_eq!(reply.header("allow"), allowed, "{case}");
        }
        assert!(!reply.body.contains("quantity"), "{case}: the caller is told no place");
    }
    let promised = house.promised("api", Direction::Request, false);
    assert!(promised.contains(&"schema/api".to_owned()), "{promised:?}");
    let metrics = house.metrics().await;
    assert!(metrics.contains("postern_reason=\"schema_mismatch\""), "{metrics}");
    let seen = house.plain.seen();
    assert_eq!(seen[0].body, order.as_bytes(), "what was judged is what is sent");
    let records = house.stop().await;
    let all = records.requests();
    assert_eq!(all[0].request_guards().iter().filter(|guard| *guard == "schema/api").count(), 1);
    let mismatch = all.iter().find(|record| record.detail().contains("additionalProperties")).unwrap();
    assert_eq!(mismatch.rule(), "schema/api");
    assert_eq!(mismatch.detail(), "`POST /api/orders`: the body: `additionalProperties` does not hold");
    assert!(!records.text().contains("1.00000000000000000001"), "no value is recorded");
}

#[tokio::test]
async fn a_document_that_changes_is_loaded_and_one_with_a_problem_changes_nothing() {
    let house = plan().start().await;
    let ask = || Ask::get("/api/orders?page=101");
    assert_eq!(house.call(&house.who.mia, ask()).await.status, 400);
    assert!(matches!(house.change("api.yaml", "maximum: 100}", "maximum: 200}").await, Reload::Taken));
    assert_eq!(house.call(&house.who.mia, ask()).await.status, 200);
    let refused = house.change("api.yaml", "maximum: 200}", "$ref: 'https://example.com/x'}").await;
    assert!(!matches!(refused, Reload::Taken), "{refused:?}");
    assert_eq!(house.call(&house.who.mia, ask()).await.status, 200, "the last document that loaded holds");
    house.stop().await;
}

#[tokio::test]
async fn a_route_whose_bodies_nobody_reads_does_not_load_with_a_document() {
    let streamed = "upstream: plain, dialect: http, bodies: Streamed, labels: {tenant: acme}}\n  - {name: socket,";
    let whole = "upstream: plain, dialect: http, labels: {tenant: acme}}\n  - {name: socket,";
    let refused = plan().with("postern.yaml", whole, streamed).try_start().await.err().unwrap();
    assert!(refused.contains("nothing reads bodies that are streamed"), "{refused}");
}
