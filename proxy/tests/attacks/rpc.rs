//! A remote procedure is its path, whole and as it is written (attack 20).

use crate::frames::{DATA, END_HEADERS, END_STREAM, End, HEADERS, block, frame};
use crate::house::House;

const ROUTE: &str = "  - {name: globex,";
const RPC: &str = "  - {name: rpc, match: {pathPrefix: /pkg.Service}, upstream: plain, dialect: http, labels: {app: rpc, tenant: acme}}\n  - {name: globex,";
const MANIFESTS: &str = r#"
apiVersion: secure.platformspec.io/v1alpha1
kind: APIAccessPolicy
metadata: {name: rpc}
spec:
  targetRefs: [{kind: Route, name: rpc}]
  authentication: {providers: [sso], require: AnyOf}
  allow:
    - {methods: [POST], paths: [/pkg.Service/Method], contentTypes: [application/grpc]}
---
apiVersion: secure.platformspec.io/v1alpha1
kind: AccessControlPolicy
metadata: {name: rpc}
spec:
  targetRefs: [{kind: Route, name: rpc}]
  rules:
    - {name: staff, effect: Permit, principals: [User], actions: [create], when: 'principal.groups.contains("staff")'}
---
apiVersion: secure.platformspec.io/v1alpha1
kind: APIAccessPolicy
metadata: {name: socket}
"#;

async fn call(house: &House, method: &str, path: &str, content_type: &str) -> End {
    let mut fields = house.fields(&house.who.mia, method, path);
    fields.push(("content-type".to_owned(), content_type.to_owned()));
    fields.push(("te".to_owned(), "trailers".to_owned()));
    let mut frames = house.frames(&house.who.mia).await;
    let bytes = [frame(HEADERS, END_HEADERS, 1, &block(&fields)), frame(DATA, END_STREAM, 1, b"\0\0\0\0\0")].concat();
    let _ = frames.send(&bytes).await;
    frames.end_of(1).await
}

#[tokio::test]
async fn attack_20_a_procedure_that_is_written_otherwise_is_another_one() {
    let socket = "\napiVersion: secure.platformspec.io/v1alpha1\nkind: APIAccessPolicy\nmetadata: {name: socket}\n";
    let house =
        House::plan().with("postern.yaml", ROUTE, RPC).with("manifests/plain.yaml", socket, MANIFESTS).start().await;
    let grpc = "application/grpc";
    for path in [
        "pkg.Service/Method",
        "/pkg.Service",
        "/pkg.Service/",
        "/pkg.Service/Method/",
        "/pkg.Service/Method/x",
        "/x/pkg.Service/Method",
        "//pkg.Service/Method",
        "/pkg.Service//Method",
        "/pkg.service/Method",
        "/pkg.Service/method",
        "/PKG.SERVICE/METHOD",
        "/pkg/Service/Method",
        "/pkg.Service.Method",
        "/pkg.Service/Other",
        "/pkg.Service/Method%2f",
        "/pkg.Service%2fMethod",
        "/pkg.Service/Method;x",
        "/pkg.Service/./Method",
        "/pkg.Service/Other/../Method",
        "/pkg.Service/Method%00",
        "/pkg.Service/*",
        "/*",
        "",
    ] {
        let end = call(&house, "POST", path, grpc).await;
        assert!(matches!(end, End::Answered(400 | 403) | End::Reset | End::Closed), "{path}: {end:?}");
    }
    for content_type in [
        "application/grpc-web",
        "application/grpc-web+proto",
        "application/grpc-web-text",
        "application/grpc+json",
        "application/grpc+proto",
        "application/grpcx",
        "application/json",
        "application/grpc, application/json",
        "text/plain",
        "",
    ] {
        let end = call(&house, "POST", "/pkg.Service/Method", content_type).await;
        assert_eq!(end, End::Answered(415), "{content_type}");
    }
    for method in ["GET", "PUT", "OPTIONS"] {
        assert_eq!(call(&house, method, "/pkg.Service/Method", grpc).await, End::Answered(403), "{method}");
    }
    assert_eq!(house.plain.count(), 0);
    assert_eq!(call(&house, "POST", "/pkg.Service/Method", grpc).await, End::Answered(200));
    assert_eq!(house.plain.sole().request_line(), "POST /pkg.Service/Method HTTP/1.1");
    house.stop().await;
}
