//! The workload's side: a Unix socket through which it calls out, by route and through tunnels, as the workload that the
//! listener names, and only where policy allows.

use std::path::PathBuf;
use std::sync::Arc;

use postern_certs::client_config;
use postern_config::Direction;
use postern_proxy::reload::Reload;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::mpsc;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::house::{House, Plan, within};

const WORKLOAD: &str = "spiffe://house.test/ns/acme/sa/assistant";
const OPEN: &str = "  - {name: open, bind: \"127.0.0.1:0\", protocol: https}\n";
const ROUTES: &str = "routes:\n";

fn policies(port: u16) -> String {
    let head = |kind: &str, name: &str, route: &str| {
        format!(
            "---\napiVersion: secure.platformspec.io/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec:\n  targetRefs: [{{kind: Route, name: {route}}}]\n"
        )
    };
    let rule = |action: &str| {
        format!(
            "  rules:\n    - {{name: own, effect: Permit, principals: [Agent], actions: [{action}], when: 'principal.tenant == \"acme\"'}}\n"
        )
    };
    let auth = "  authentication: {providers: [agents], require: AnyOf}\n";
    [
        head("APIAccessPolicy", "out-orders", "out-orders") + auth + "  allow: [{methods: [GET], paths: [/orders]}]\n",
        head("AccessControlPolicy", "out-orders", "out-orders") + &rule("read"),
        head("APIAccessPolicy", "tunnels", "tunnels") + auth + "  allow: [{methods: [CONNECT], paths: [/]}]\n",
        head("AccessControlPolicy", "tunnels", "tunnels") + &rule("create"),
        head("NetworkPolicy", "tunnels", "tunnels")
            + &format!("  egress: {{allow: [{{name: here, hosts: [localhost], cidrs: [\"127.0.0.1/32\"], ports: [{port}]}}], privateRanges: AllowListed}}\n"),
    ]
    .concat()
    .trim_start_matches("---\n")
    .to_owned()
}

fn plan(port: u16) -> Plan {
    let listener = format!(
        "{OPEN}  - {{name: out, bind: \"unix:run/out.sock\", protocol: http, direction: Outbound, principal: \"{WORKLOAD}\"}}\n"
    );
    let routes = format!(
        "{ROUTES}  - {{name: out-orders, match: {{listener: out, host: orders.internal, pathPrefix: /orders}}, upstream: plain, dialect: http, labels: {{tenant: acme}}}}\n  \
         - {{name: tunnels, match: {{listener: out, pathPrefix: /}}, tunnel: true, dialect: http, labels: {{tenant: acme}}}}\n"
    );
    House::plan().with("postern.yaml", OPEN, &listener).with("postern.yaml", ROUTES, &routes).also(&policies(port))
}

fn socket(house: &House) -> PathBuf {
    house.proxy.state_dir().parent().unwrap().join("run/out.sock")
}

/// Sends `bytes` and returns the stream with the head of the answer.
async fn ask(house: &House, bytes: impl AsRef<[u8]>) -> (UnixStream, String) {
    let mut stream = UnixStream::connect(socket(house)).await.unwrap();
    stream.write_all(bytes.as_ref()).await.unwrap();
    let head = head(&mut stream).await;
    (stream, head)
}

async fn head(stream: &mut UnixStream) -> String {
    let mut came = Vec::new();
    while !came.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if within("an answer", stream.read(&mut byte)).await.unwrap_or(0) == 0 {
            break;
        }
        came.push(byte[0]);
    }
    String::from_utf8(came).unwrap()
}

fn connect(host: &str, port: u16) -> String {
    format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n")
}

/// A listener that tells what reaches it, and never answers.
async fn silent() -> (u16, mpsc::UnboundedReceiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let tell = tell.clone();
            tokio::spawn(async move {
                let mut came = Vec::new();
                let _ = stream.read_to_end(&mut came).await;
                let _ = tell.send(came);
            });
        }
    });
    (port, told)
}

#[tokio::test]
async fn a_request_of_the_workload_goes_by_route_as_the_workload_of_the_listener() {
    let house = plan(1).start().await;
    for target in ["/orders", "http://orders.internal/orders"] {
        let (_, head) = ask(&house, format!("GET {target} HTTP/1.1\r\nHost: orders.internal\r\n\r\n")).await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{target}: {head}");
    }
    assert_eq!(house.plain.count(), 2);
    assert!(
        house.plain.seen().iter().all(|seen| seen.request_line() == "GET /orders HTTP/1.1"),
        "{:?}",
        house.plain.seen()
    );
    let records = house.stop().await;
    assert_eq!(records.outcomes(), ["allow", "allow"]);
    for record in records.requests() {
        assert_eq!((record.principal(), record.route()), (WORKLOAD, "out-orders"));
    }
}

#[tokio::test]
async fn attack_19_targets_that_are_not_the_workloads_to_write_are_refused() {
    let house = plan(1).start().await;
    for (case, request, status) in [
        ("https", "GET https://orders.internal/orders HTTP/1.1\r\nHost: orders.internal\r\n\r\n", "400"),
        ("two hosts", "GET http://orders.internal/orders HTTP/1.1\r\nHost: other.internal\r\n\r\n", "400"),
        ("a user", "GET http://u@orders.internal/orders HTTP/1.1\r\nHost: u@orders.internal\r\n\r\n", "400"),
        ("dots", "GET http://orders.internal/x/../orders HTTP/1.1\r\nHost: orders.internal\r\n\r\n", "400"),
        ("no host", "GET http:///orders HTTP/1.1\r\nHost: \r\n\r\n", "400"),
        ("another route's host", "GET /orders HTTP/1.1\r\nHost: localhost\r\n\r\n", "403"),
        ("a request on a tunnel's route", "GET http://localhost/x HTTP/1.1\r\nHost: localhost\r\n\r\n", "403"),
    ] {
        let (_, head) = ask(&house, request).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{case}: {head}");
    }
    let mut wire = house.wire(&house.who.mia).await;
    wire.send(format!("GET http://localhost/orders HTTP/1.1\r\n{}\r\n", house.lines(&house.who.mia))).await;
    assert_eq!(wire.answer().await.status, 400, "absolute targets are for the workload's side only");
    assert_eq!(house.plain.count(), 0);
    house.stop().await;
}

#[tokio::test]
async fn a_tunnel_carries_tls_with_the_host_it_was_asked_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let house = plan(port).start().await;
    let issued = house.issue(&postern_certs::Template::server(&["localhost"]));
    let chain = vec![CertificateDer::from_pem_slice(issued.cert_pem.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(issued.key_pem.expose().as_bytes()).unwrap();
    let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = TlsAcceptor::from(Arc::new(config)).accept(stream).await.unwrap();
        let mut asked = [0; 4];
        stream.read_exact(&mut asked).await.unwrap();
        stream.write_all(&[asked.as_slice(), &vec![7; 300_000]].concat()).await.unwrap();
        stream.shutdown().await.unwrap();
    });
    let (stream, head) = ask(&house, connect("localhost", port)).await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let client = client_config(house.ca_pem().as_bytes(), None, &[]).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = within("a handshake", TlsConnector::from(Arc::new(client)).connect(name, stream)).await.unwrap();
    stream.write_all(b"ping").await.unwrap();
    let mut came = Vec::new();
    within("the answer", stream.read_to_end(&mut came)).await.unwrap();
    assert_eq!((came.len(), &came[..4]), (300_004, &b"ping"[..]));
    within("the server", server).await.unwrap();
    drop(stream);
    let promised = house.promised("tunnels", Direction::Request, false);
    let records = house.stop().await;
    let record = records.sole();
    assert_eq!((record.outcome().as_str(), record.status(), record.route()), ("allow", 200, "tunnels"));
    assert_eq!(record.request_guards(), promised);
    assert!(promised.contains(&"tunnel".to_owned()) && record.response_guards().is_empty(), "{record:?}");
    assert_eq!(record.principal(), WORKLOAD);
    let text = format!("{record:?}");
    assert!(text.contains(&format!("localhost:{port}")), "{text}");
}

#[tokio::test]
async fn a_tunnel_without_tls_for_its_host_is_closed_before_a_byte_leaves() {
    let (port, mut told) = silent().await;
    let house = plan(port).start().await;
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let _ = provider.install_default();
    let hello = |name: &'static str| {
        let config = client_config(house.ca_pem().as_bytes(), None, &[]).unwrap();
        let mut client = rustls::ClientConnection::new(Arc::new(config), ServerName::try_from(name).unwrap()).unwrap();
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        bytes
    };
    let first = [
        ("HTTP", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(), "not TLS"),
        ("SSH", b"SSH-2.0-x\r\n".to_vec(), "not TLS"),
        ("another name", hello("other.example.com"), "another host"),
        ("no name", hello("127.0.0.1"), "names no server"),
    ];
    for (case, bytes, _) in &first {
        let (mut stream, head) = ask(&house, connect("localhost", port)).await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{case}: {head}");
        stream.write_all(bytes).await.unwrap();
        let mut rest = Vec::new();
        let ended = within("the end", stream.read_to_end(&mut rest)).await;
        assert!(ended.is_err() || rest.is_empty(), "{case}");
        assert_eq!(within("what came", told.recv()).await.unwrap(), b"", "{case}");
    }
    let records = house.stop().await;
    for (record, (case, _, why)) in records.requests().into_iter().zip(&first) {
        assert_eq!(record.outcome(), "deny: not_permitted", "{case}");
        assert!(record.detail().contains(why), "{case}: {}", record.detail());
    }
    assert_eq!(records.requests().len(), first.len());
}

#[tokio::test]
async fn attack_38_a_tunnel_is_for_what_was_permitted_and_nothing_before_it() {
    let (port, mut told) = silent().await;
    let house = plan(port).start().await;
    let other = port.wrapping_add(1).max(1);
    for (case, request, status) in [
        ("bytes before the answer", format!("{}\x16\x03\x01", connect("localhost", port)), "400"),
        (
            "a request before the answer",
            format!("{}GET /orders HTTP/1.1\r\nHost: orders.internal\r\n\r\n", connect("localhost", port)),
            "400",
        ),
        ("a body", connect("localhost", port).replace("\r\n\r\n", "\r\nContent-Length: 3\r\n\r\n"), "400"),
        ("chunks", connect("localhost", port).replace("\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n"), "400"),
        ("another Host", connect("localhost", port).replace("Host: localhost", "Host: evil.example"), "400"),
        ("no port", "CONNECT localhost HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(), "400"),
        ("a path", format!("CONNECT localhost:{port}/x HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n"), "400"),
        ("a URL", format!("CONNECT http://localhost:{port}/ HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n"), "400"),
        ("another port", connect("localhost", other), "403"),
        ("another host", connect("evil.example", port), "403"),
        ("an address", connect("127.0.0.1", port), "403"),
        ("metadata", connect("169.254.169.254", 80), "403"),
    ] {
        let (mut stream, head) = ask(&house, &request).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{case}: {head}");
        // Meant for the tunnel that never was.
        let _ = stream.write_all(b"GET /orders HTTP/1.1\r\nHost: orders.internal\r\n\r\n").await;
        let mut rest = Vec::new();
        let _ = within("the end", stream.read_to_end(&mut rest)).await;
        assert!(!String::from_utf8_lossy(&rest).contains("HTTP/1.1"), "{case}: one answer and no other");
    }
    for who in ["public", "open"] {
        let mut wire = house.wire_as(Some(&house.who.assistant.issued), who).await;
        wire.send(connect("localhost", port)).await;
        assert_eq!(wire.answer().await.status, 400, "no tunnels on ordinary listeners");
    }
    assert!(told.try_recv().is_err(), "nobody connected");
    assert_eq!(house.plain.count(), 0);
    house.stop().await;
}

#[tokio::test]
async fn only_the_users_that_the_listener_names_may_connect() {
    let nobody = "direction: Outbound, peers: {uids: [4294967294]}";
    let house = plan(1).with("postern.yaml", "direction: Outbound", nobody).start().await;
    let mut stream = UnixStream::connect(socket(&house)).await.unwrap();
    let _ = stream.write_all(b"GET /orders HTTP/1.1\r\nHost: orders.internal\r\n\r\n").await;
    assert_eq!(head(&mut stream).await, "");
    let records = house.stop().await;
    assert!(records.requests().is_empty());
    assert!(records.connections()[0].detail().contains("may not call out here"), "{records:?}");
}

#[tokio::test]
async fn a_workload_that_is_named_otherwise_now_has_to_come_again() {
    let house = plan(1).start().await;
    let request = "GET /orders HTTP/1.1\r\nHost: orders.internal\r\n\r\n";
    let (mut stream, first) = ask(&house, request).await;
    assert!(first.starts_with("HTTP/1.1 200 "), "{first}");
    let length =
        first.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    stream.read_exact(&mut vec![0; length.unwrap_or(0)]).await.unwrap();
    let changed = house.change("postern.yaml", WORKLOAD, "spiffe://house.test/ns/acme/sa/other").await;
    assert!(matches!(changed, Reload::Taken), "{changed:?}");
    stream.write_all(request.as_bytes()).await.unwrap();
    let second = head(&mut stream).await;
    assert!(second.starts_with("HTTP/1.1 401 "), "{second}");
    let (_, third) = ask(&house, request).await;
    assert!(third.starts_with("HTTP/1.1 200 "), "{third}");
    let records = house.stop().await;
    assert_eq!(records.requests()[2].principal(), "spiffe://house.test/ns/acme/sa/other");
}

#[tokio::test]
async fn inbound_callers_do_not_reach_what_is_the_workloads() {
    let house = plan(1).start().await;
    let mut wire = house.wire_as(Some(&house.who.assistant.issued), "public").await;
    wire.send("GET /orders HTTP/1.1\r\nHost: orders.internal\r\n\r\n").await;
    assert!(matches!(wire.answer().await.status, 403 | 421), "the route is the workload's");
    assert_eq!(house.plain.count(), 0);
    house.stop().await;
}

#[tokio::test]
async fn attack_39_a_tunnel_ends_with_its_permission() {
    for (file, from, to) in [
        ("manifests/also-6.yaml", "actions: [create]", "actions: [read]"),
        ("manifests/also-6.yaml", "hosts: [localhost]", "hosts: [other.example]"),
        (
            "postern.yaml",
            "principal: \"spiffe://house.test/ns/acme/sa/assistant\"",
            "principal: \"spiffe://house.test/ns/other/sa/assistant\"",
        ),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let house = plan(port).start().await;
        let (mut stream, head) = ask(&house, connect("localhost", port)).await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        let config = client_config(house.ca_pem().as_bytes(), None, &[]).unwrap();
        let mut client =
            rustls::ClientConnection::new(Arc::new(config), ServerName::try_from("localhost").unwrap()).unwrap();
        let mut hello = Vec::new();
        client.write_tls(&mut hello).unwrap();
        stream.write_all(&hello).await.unwrap();
        let (mut far, _) = within("the tunnel", listener.accept()).await.unwrap();
        within("the hello", far.read_exact(&mut vec![0; hello.len()])).await.unwrap();
        let changed = house.change(file, from, to).await;
        assert!(matches!(changed, Reload::Taken), "{changed:?}");
        let mut rest = Vec::new();
        let _ = within("the end", stream.read_to_end(&mut rest)).await;
        let _ = within("the end", far.read_to_end(&mut rest)).await;
        assert!(rest.is_empty());
        let records = house.stop().await;
        assert!(records.sole().detail().contains("policy refuses it now"), "{to}: {:?}", records.sole());
    }
}
