//! The two sets of sidecars that are shipped, back to back: a workload calls another one, each speaks plain HTTP to the
//! sidecar beside it, and between the two there is mutual TLS, an identity, and a decision on either side.

use std::path::{Path, PathBuf};

use postern_certs::{Authority, Issued, Template};
use postern_proxy::server::{Running, Server};
use rustls_pki_types::UnixTime;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};

use crate::house::raw::Wire;
use crate::house::upstream::Act;
use crate::house::{Records, Upstream, within};

const CHECKOUT: &str = "spiffe://example.org/ns/shop/sa/checkout";
const ORDERS: &str = "spiffe://example.org/ns/shop/sa/orders";

const CONFINED: &str = "\
---
# The process is confined, or it does not start. docs/hardening.md says how.
apiVersion: secure.platformspec.io/v1alpha1
kind: WorkloadSecurityPolicy
metadata: {name: process}
spec:
  targetRefs: [{kind: Gateway, name: orders}]
  self: {harden: Require}
";

/// A copy of a shipped set, with addresses of this test and certificates of its own authority.
struct Set(TempDir);

impl Set {
    fn copy(name: &str, changes: &[(&str, &str)]) -> Self {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/examples").join(name);
        let set = Self(tempfile::Builder::new().prefix("postern-sidecar-").tempdir().unwrap());
        let mut files = vec![PathBuf::from("postern.yaml")];
        for entry in std::fs::read_dir(from.join("manifests")).unwrap() {
            files.push(Path::new("manifests").join(entry.unwrap().file_name()));
        }
        let mut texts: Vec<String> =
            files.iter().map(|file| std::fs::read_to_string(from.join(file)).unwrap()).collect();
        for (old, new) in changes {
            assert!(texts.iter().any(|text| text.contains(old)), "`{name}` holds no `{old}`");
            texts.iter_mut().for_each(|text| *text = text.replace(old, new));
        }
        for (file, text) in files.iter().zip(texts) {
            set.write(file.to_str().unwrap(), &text);
        }
        set
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
        let path = self.path(name);
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn certified(&self, ca: &Authority, name: &str, issued: &Issued) {
        self.write("tls/mesh-ca.pem", &ca.ca_pem());
        self.write(&format!("tls/{name}.pem"), &issued.cert_pem);
        self.write(&format!("tls/{name}.key"), issued.key_pem.expose());
    }

    async fn start(&self) -> Running {
        Server::start(&self.path("postern.yaml")).await.unwrap_or_else(|error| panic!("{error}"))
    }
}

/// Both sidecars, and the workload that is called.
struct Pair {
    orders: Upstream,
    inbound: Running,
    outbound: Running,
    ca: Authority,
    near: Set,
    _far: Set,
    /// Where the workload listens.
    _run: TempDir,
}

impl Pair {
    /// `shown`: what the far side says it is.
    async fn start(shown: &str) -> Self {
        let ca = Authority::new("Mesh CA", UnixTime::now()).unwrap();
        let run = tempfile::Builder::new().prefix("postern-orders-").tempdir().unwrap();
        let socket = run.path().join("app.sock");
        let orders = Upstream::start_unix(&socket);
        let own = format!("uids: [{}]", rustix::process::geteuid().as_raw());
        let far = Set::copy(
            "sidecar-inbound",
            &[
                ("0.0.0.0:8443", "127.0.0.1:0"),
                ("127.0.0.1:9901", "127.0.0.1:0"),
                ("/run/orders/app.sock", socket.to_str().unwrap()),
                ("uids: [1000]", &own),
                ("orders.shop.internal", "localhost"),
                // Tests are run by anybody, and what is given up here would be given up for them all.
                (CONFINED, ""),
            ],
        );
        far.certified(
            &ca,
            "orders",
            &ca.issue(&Template { hosts: vec!["localhost".to_owned()], ..Template::svid(shown) }).unwrap(),
        );
        let inbound = far.start().await;
        let port = inbound.address("mesh").unwrap().port();
        let near = Set::copy(
            "sidecar-outbound",
            &[
                ("127.0.0.1:9901", "127.0.0.1:0"),
                ("orders.shop.internal:8443", &format!("localhost:{port}")),
                ("orders.shop.internal", "localhost"),
                ("uids: [1000]", &own),
            ],
        );
        near.certified(&ca, "checkout", &ca.issue(&Template::svid(CHECKOUT)).unwrap());
        near.write("keys/payments", "not-used-here-5b1e");
        let outbound = near.start().await;
        Self { orders, inbound, outbound, ca, near, _far: far, _run: run }
    }

    /// What the workload gets for this request.
    async fn ask(&self, request: &str) -> String {
        let mut stream = UnixStream::connect(self.near.path("run/out.sock")).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut came = String::new();
        within("an answer", stream.read_to_string(&mut came)).await.unwrap();
        came
    }

    async fn stop(self) -> (Records, Records) {
        let logs = (self.outbound.audit_dir(), self.inbound.audit_dir());
        within("the stop", self.outbound.shutdown()).await;
        within("the stop", self.inbound.shutdown()).await;
        (Records::read(&logs.0), Records::read(&logs.1))
    }
}

fn request(method: &str, path: &str, body: &str) -> String {
    let framed = match body {
        "" => String::new(),
        body => format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()),
    };
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{framed}\r\n{body}")
}

#[tokio::test]
async fn a_workload_calls_another_through_both_sidecars() {
    let pair = Pair::start(ORDERS).await;
    pair.orders.does(|_| Act::Answer(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nseven".to_vec()));
    let got = pair.ask(&request("GET", "/orders/7", "")).await;
    assert!(got.starts_with("HTTP/1.1 200 ") && got.ends_with("seven"), "{got}");
    let posted = pair.ask(&request("POST", "/orders", "{\"item\":1}")).await;
    assert!(posted.starts_with("HTTP/1.1 200 "), "{posted}");
    let deleted = pair.ask(&request("DELETE", "/orders/7", "")).await;
    assert!(deleted.starts_with("HTTP/1.1 403 "), "the near side permits no deleting: {deleted}");
    let named =
        request("GET", "/orders/8", "").replace("\r\n\r\n", "\r\nX-Forwarded-Client-Cert: URI=spiffe://x\r\n\r\n");
    assert!(pair.ask(&named).await.starts_with("HTTP/1.1 200 "));
    let seen = pair.orders.seen();
    assert_eq!(
        seen.iter().map(|seen| seen.request_line()).collect::<Vec<_>>(),
        ["GET /orders/7 HTTP/1.1", "POST /orders HTTP/1.1", "GET /orders/8 HTTP/1.1"]
    );
    assert!(seen.iter().all(|seen| seen.header("x-forwarded-client-cert").is_empty()), "{seen:?}");
    let (near, far) = pair.stop().await;
    assert_eq!(near.outcomes(), ["allow", "allow", "deny: not_permitted", "allow"]);
    assert_eq!(far.outcomes(), ["allow", "allow", "allow"]);
    for (records, mtls) in [(&near, false), (&far, true)] {
        for record in records.requests().into_iter().filter(|record| record.decision() == "Allow") {
            assert_eq!(record.principal(), CHECKOUT);
            assert_eq!(format!("{record:?}").contains("TLSv1"), mtls, "{record:?}");
        }
    }
}

#[tokio::test]
async fn attack_30_another_workload_in_the_place_of_the_one_that_is_called_gets_nothing() {
    let pair = Pair::start("spiffe://example.org/ns/shop/sa/other").await;
    let got = pair.ask(&request("GET", "/orders/7", "")).await;
    assert!(got.starts_with("HTTP/1.1 502 "), "{got}");
    assert_eq!(pair.orders.count(), 0);
    let (near, far) = pair.stop().await;
    assert_eq!(near.outcomes(), ["error: upstream_failed"]);
    assert!(far.requests().is_empty());
}

#[tokio::test]
async fn attack_30_who_has_no_name_in_the_mesh_does_not_get_in() {
    let pair = Pair::start(ORDERS).await;
    let address = pair.inbound.address("mesh").unwrap();
    let other = Authority::new("Mesh CA", UnixTime::now()).unwrap();
    let strangers = [
        ("nobody", None),
        ("another namespace", Some(pair.ca.issue(&Template::svid("spiffe://example.org/ns/web/sa/checkout")).unwrap())),
        ("another domain", Some(pair.ca.issue(&Template::svid("spiffe://example.com/ns/shop/sa/checkout")).unwrap())),
        ("another authority of that name", Some(other.issue(&Template::svid(CHECKOUT)).unwrap())),
        ("a host", Some(pair.ca.issue(&Template::server(&["checkout"])).unwrap())),
    ];
    for (who, issued) in &strangers {
        assert_eq!(direct(&pair, address, issued.as_ref()).await, None, "{who}");
    }
    let far_namesake = pair.ca.issue(&Template::svid("spiffe://example.org/ns/shop/sa/billing")).unwrap();
    assert_eq!(direct(&pair, address, Some(&far_namesake)).await, Some(403), "in the mesh, and not permitted");
    let mut plain = TcpStream::connect(address).await.unwrap();
    plain.write_all(request("GET", "/orders/7", "").as_bytes()).await.unwrap();
    let mut came = Vec::new();
    let _ = within("the end", plain.read_to_end(&mut came)).await;
    assert!(!came.starts_with(b"HTTP"), "{came:?}");
    assert_eq!(pair.orders.count(), 0);
    pair.stop().await;
}

/// The status that a caller gets who goes around the near sidecar; nothing where TLS ends it.
async fn direct(pair: &Pair, address: std::net::SocketAddr, issued: Option<&Issued>) -> Option<u16> {
    let identity = issued.map(|issued| (issued.cert_pem.as_bytes(), issued.key_pem.expose().as_bytes()));
    let config = postern_certs::client_config(pair.ca.ca_pem().as_bytes(), identity, &[b"http/1.1"]).unwrap();
    let tcp = TcpStream::connect(address).await.unwrap();
    let name = rustls_pki_types::ServerName::try_from("localhost").unwrap();
    let stream = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config)).connect(name, tcp).await.ok()?;
    let mut wire = Wire::of(stream);
    wire.try_send(request("GET", "/orders/7", "")).await.ok()?;
    Some(wire.try_answer().await?.status)
}
