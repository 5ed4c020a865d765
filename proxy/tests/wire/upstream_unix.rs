//! Upstreams on Unix sockets: what goes over them, and to whom nothing is said.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::Response;
use serde_json::json;
use tempfile::TempDir;
use tokio::net::UnixListener;

use crate::house::upstream::{Act, Upstream};
use crate::house::{Ask, House, Plan, within};
use crate::relay::{SWITCHED, handshake};

fn folder() -> TempDir {
    tempfile::Builder::new().prefix("postern-unix-").tempdir().unwrap()
}

/// The plain upstream with these settings in place of its address.
fn plan(settings: &str) -> Plan {
    House::plan().with("postern.yaml", r#"url: "http://PLAIN""#, settings)
}

fn url(path: &Path) -> String {
    format!("url: \"unix:{}\"", path.display())
}

fn me() -> u64 {
    rustix::process::geteuid().as_raw().into()
}

#[tokio::test]
async fn requests_go_over_a_unix_socket_and_its_connection_is_kept() {
    let dir = folder();
    let path = dir.path().join("app.sock");
    let app = Upstream::start_unix(&path);
    let house = plan(&url(&path)).start().await;
    let big = "x".repeat(8 << 10);
    for ask in [Ask::get("/orders"), Ask::json("/orders", &json!({"n": 1})), Ask::json("/orders", &json!({"big": big}))]
    {
        assert_eq!(house.call(&house.who.mia, ask).await.status, 200);
    }
    let seen = app.seen();
    assert_eq!(seen[0].header("host"), ["localhost"]);
    assert!(seen[0].header("authorization").is_empty());
    assert_eq!(seen[1].json(), json!({"n": 1}));
    assert_eq!(seen[2].json()["big"].as_str().unwrap().len(), big.len());
    assert_eq!(app.connections(), 1, "kept between requests");
    let records = house.stop().await;
    for record in records.requests() {
        assert_eq!(record.destination(), &json!({"name": "plain", "type": "unix"}));
        assert_eq!(record.upstream_process()["uid"].as_u64(), Some(me()));
        assert_eq!(record.upstream_process()["pid"].as_u64(), Some(std::process::id().into()));
    }
}

#[tokio::test]
async fn a_socket_that_is_not_there_is_502_until_it_is() {
    let dir = folder();
    let path = dir.path().join("app.sock");
    let house = plan(&url(&path)).start().await;
    assert_eq!(house.call(&house.who.mia, Ask::get("/orders")).await.status, 502);
    // Left by a server that was killed.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert_eq!(house.call(&house.who.mia, Ask::get("/orders")).await.status, 502);
    // Something else than a socket.
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "").unwrap();
    assert_eq!(house.call(&house.who.mia, Ask::get("/orders")).await.status, 502);
    std::fs::remove_file(&path).unwrap();
    let app = Upstream::start_unix(&path);
    assert_eq!(house.call(&house.who.mia, Ask::get("/orders")).await.status, 200);
    assert_eq!(app.count(), 1);
    let records = house.stop().await;
    let requests = records.requests();
    assert_eq!(
        records.outcomes(),
        ["error: upstream_failed", "error: upstream_failed", "error: upstream_failed", "allow"]
    );
    assert!(requests[0].detail().contains(&format!("`{}`: No such file", path.display())), "{}", requests[0].detail());
    assert!(requests[1].detail().contains("Connection refused"), "{}", requests[1].detail());
}

#[tokio::test]
async fn nothing_is_said_to_a_process_of_another_user() {
    let dir = folder();
    let path = dir.path().join("app.sock");
    let app = Upstream::start_unix(&path);
    let house = plan(&format!("{}, peers: {{uids: [{}]}}", url(&path), me() + 1)).start().await;
    for ask in [Ask::get("/orders"), Ask::json("/orders", &json!({"n": 1}))] {
        assert_eq!(house.call(&house.who.mia, ask).await.status, 502);
    }
    assert_eq!(app.count(), 0);
    let page = house.metrics().await;
    assert!(
        page.contains("postern_upstream_failures_total{postern_upstream=\"plain\",error_type=\"peer\"} "),
        "{page}"
    );
    let records = house.stop().await;
    let detail = records.requests()[0].detail().to_owned();
    assert!(detail.contains(&format!("belongs to a process of user {}", me())), "{detail}");

    let house = plan(&format!("{}, peers: {{uids: [{}, {}]}}", url(&path), me() + 1, me())).start().await;
    assert_eq!(house.call(&house.who.mia, Ask::get("/orders")).await.status, 200);
    assert_eq!(app.count(), 1);
    house.stop().await;
}

#[tokio::test]
async fn several_sockets_are_endpoints_like_any() {
    let dir = folder();
    let paths: Vec<PathBuf> = ["a.sock", "b.sock", "gone.sock"].iter().map(|name| dir.path().join(name)).collect();
    let (a, b) = (Upstream::start_unix(&paths[0]), Upstream::start_unix(&paths[1]));
    let urls: Vec<String> = paths.iter().map(|path| format!("\"unix:{}\"", path.display())).collect();
    let settings = format!(
        "endpoints: [{}], health: {{path: /healthz, interval: 50ms, unhealthyAfter: 1, healthyAfter: 1}}",
        urls.join(", ")
    );
    let house = plan(&settings).start().await;
    house.until_endpoints("plain", "usable", 2).await;
    house.until_endpoints("plain", "down", 1).await;
    let orders = |upstream: &Upstream| {
        let seen = upstream.seen();
        seen.iter().filter(|seen| seen.request_line().contains("/orders")).count()
    };
    for _ in 0..6 {
        assert_eq!(house.call(&house.who.mia, Ask::json("/orders", &json!({"n": 1}))).await.status, 200);
    }
    assert_eq!((orders(&a), orders(&b)), (3, 3));
    let probe = a.seen().into_iter().find(|seen| seen.request_line().contains("/healthz")).unwrap();
    assert_eq!(probe.header("host"), ["localhost"]);
    house.stop().await;
}

/// A list of addresses does not speak of sockets, and does not open the address that a socket's `Host` would name.
#[tokio::test]
async fn attack_34_an_egress_list_neither_forbids_a_socket_nor_is_passed_by_it() {
    let dir = folder();
    let path = dir.path().join("app.sock");
    let app = Upstream::start_unix(&path);
    let egress = "apiVersion: secure.platformspec.io/v1alpha1\nkind: NetworkPolicy\nmetadata: {name: net}\nspec:\n  \
        targetRefs: [{kind: Route, name: orders}]\n  egress: {allow: [{name: none, hosts: [nowhere.example]}], privateRanges: Deny}\n";
    let house = plan(&url(&path)).also(egress).start().await;
    assert_eq!(house.call(&house.who.mia, Ask::get("/orders")).await.status, 200);
    app.says(crate::house::upstream::answer(302, &[("location", "http://elsewhere.example/")], b""));
    assert_eq!(house.call(&house.who.mia, Ask::get("/orders")).await.status, 403, "redirects are judged all the same");
    assert_eq!(app.count(), 2);
    house.stop().await;
}

#[tokio::test]
async fn an_upgrade_goes_over_a_socket() {
    let dir = folder();
    let path = dir.path().join("app.sock");
    let app = Upstream::start_unix(&path);
    app.does(|_| Act::Echo(SWITCHED.into()));
    let house = plan(&url(&path)).start().await;
    let mut wire = house.wire(&house.who.mia).await;
    wire.send(handshake(&house, "/socket")).await;
    assert_eq!(wire.answer().await.status, 101);
    let frame = vec![7; 70_000];
    wire.send(&frame).await;
    assert_eq!(wire.bytes(frame.len()).await, frame);
    drop(wire);
    app.left(1).await;
    house.stop().await;
}

#[tokio::test]
async fn http_2_goes_over_a_socket() {
    let dir = folder();
    let path = dir.path().join("app.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let served = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut connection = h2::server::handshake(stream).await.unwrap();
        let mut authorities = Vec::new();
        while let Some(Ok((request, mut answer))) = connection.accept().await {
            authorities.push(request.uri().authority().unwrap().to_string());
            let head = Response::builder().header("content-type", "application/json").body(()).unwrap();
            let mut body = answer.send_response(head, false).unwrap();
            body.send_data(Bytes::from_static(b"{}"), true).unwrap();
        }
        authorities
    });
    let plan = plan(&format!("{}, protocol: Http2", url(&path))).with("postern.yaml", "upgrades: [websocket], ", "");
    let house = plan.start().await;
    for _ in 0..3 {
        assert_eq!(house.call(&house.who.mia, Ask::json("/orders", &json!({"n": 1}))).await.status, 200);
    }
    house.stop().await;
    assert_eq!(within("the end of the connection", served).await.unwrap(), ["localhost"; 3]);
}
