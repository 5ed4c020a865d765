//! Who answers at the other end of an https upstream: the expected name or SPIFFE ID under the upstream's own trust, or
//! nothing is sent.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use postern_certs::{Authority, Issued, Template};
use postern_proxy::reload::Reload;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::house::{Ask, House, Plan};

const NAME: &str = "orders.test";
const ID: &str = "spiffe://house.test/ns/acme/sa/orders";
const TRUST: &str = r#"
apiVersion: secure.platformspec.io/v1alpha1
kind: CertificatePolicy
metadata: {name: upstream}
spec:
  targetRefs: [{kind: Upstream, name: plain}]
  identities: [{name: edge, source: {type: Files, certFrom: "file:tls/edge.pem", keyFrom: "file:tls/edge.key"}}]
  trust:
    anchors: [{name: house, caFrom: "file:tls/ca.pem"}]
    revocation: {crlFrom: "file:tls/ca.crl"}
---
apiVersion: secure.platformspec.io/v1alpha1
kind: SecretManagement
metadata: {name: upstream}
spec:
  targetRefs: [{kind: Upstream, name: plain}]
  credentials: [{name: as-the-edge, inject: {type: ClientCertificate, identity: edge}}]
"#;

/// A server over TLS that demands a certificate, answers one request a connection and counts them.
struct Origin {
    port: u16,
    shown: Arc<Mutex<Option<Arc<ServerConfig>>>>,
    asked: Arc<AtomicUsize>,
}

impl Origin {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (shown, asked) = (Arc::new(Mutex::new(None::<Arc<ServerConfig>>)), Arc::new(AtomicUsize::new(0)));
        let (config, count) = (shown.clone(), asked.clone());
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let Some(config) = config.lock().unwrap().clone() else { continue };
                let count = count.clone();
                tokio::spawn(async move {
                    let Ok(mut tls) = TlsAcceptor::from(config).accept(tcp).await else { return };
                    let mut bytes = [0; 4096];
                    if matches!(tls.read(&mut bytes).await, Ok(read) if read > 0) {
                        count.fetch_add(1, Ordering::SeqCst);
                        let _ =
                            tls.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok").await;
                        let _ = tls.shutdown().await;
                    }
                });
            }
        });
        Self { port, shown, asked }
    }

    /// What it presents from now on.
    fn shows(&self, house: &House, issued: &Issued) {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(house.ca_pem().as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(default_provider());
        let callers = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
        let chain = vec![CertificateDer::from_pem_slice(issued.cert_pem.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(issued.key_pem.expose().as_bytes()).unwrap();
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_client_cert_verifier(callers).with_single_cert(chain, key).unwrap();
        *self.shown.lock().unwrap() = Some(Arc::new(config));
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn plan(origin: &Origin, tls: &str) -> Plan {
    let url = format!("url: \"https://127.0.0.1:{}\", tls: {{{tls}}}", origin.port);
    House::plan().with("postern.yaml", "url: \"http://PLAIN\"", &url).also(TRUST)
}

/// Asks once. A refusal is a 502 of which nothing reached the other end.
async fn passes(house: &House, origin: &Origin, issued: &Issued) -> bool {
    origin.shows(house, issued);
    let before = origin.asked();
    let status = house.call(&house.who.mia, Ask::get("/orders")).await.status;
    let sent = origin.asked() - before;
    assert!(matches!((status, sent), (200, 1) | (502, 0)), "{status}, {sent} requests sent");
    status == 200
}

#[tokio::test]
async fn attack_30_an_upstream_is_whom_its_name_says_or_nothing_is_sent() {
    let origin = Origin::start().await;
    let house = plan(&origin, &format!("serverName: {NAME}")).start().await;
    let elsewhere = Authority::new("House CA", UnixTime::now()).unwrap();
    let expired = Template { begins: -7200, ends: -3600, ..Template::server(&[NAME]) };
    for (what, issued, good) in [
        ("the name", house.issue(&Template::server(&[NAME])), true),
        ("another name", house.issue(&Template::server(&["other.test"])), false),
        ("its address alone", house.issue(&Template::server(&["127.0.0.1"])), false),
        ("no name", house.issue(&Template::svid(ID)), false),
        ("an authority of the same name", elsewhere.issue(&Template::server(&[NAME])).unwrap(), false),
        ("expired", house.issue(&expired), false),
        ("an authority as a server", house.issue(&Template { is_ca: true, ..Template::server(&[NAME]) }), false),
        ("the name once more", house.issue(&Template::server(&[NAME])), true),
    ] {
        assert_eq!(passes(&house, &origin, &issued).await, good, "{what}");
    }
    let records = house.stop().await;
    assert!(records.requests()[1].detail().contains("TLS with 127.0.0.1"), "{}", records.requests()[1].detail());
    assert_eq!(records.requests()[0].credentials(), ["as-the-edge"], "the certificate is a credential too");
}

#[tokio::test]
async fn attack_9_a_revoked_upstream_is_sent_nothing_from_the_reload_on() {
    let origin = Origin::start().await;
    let house = plan(&origin, &format!("serverName: {NAME}")).start().await;
    let (revoked, other) = (house.issue(&Template::server(&[NAME])), house.issue(&Template::server(&[NAME])));
    assert!(passes(&house, &origin, &revoked).await);
    house.write("tls/ca.crl", &house.crl(&[&revoked]));
    assert_eq!(house.proxy.reload().await, Reload::Taken);
    assert!(!passes(&house, &origin, &revoked).await);
    assert!(passes(&house, &origin, &other).await);
    house.stop().await;
}

#[tokio::test]
async fn an_upstream_is_the_one_workload_that_is_expected() {
    let origin = Origin::start().await;
    let house = plan(&origin, &format!("spiffeId: \"{ID}\"")).start().await;
    let two = Template { uris: vec![ID.to_owned(), "https://a.test".to_owned()], ..Template::svid(ID) };
    let named =
        Template { hosts: vec!["127.0.0.1".to_owned()], ..Template::svid("spiffe://house.test/ns/acme/sa/other") };
    for (what, issued, good) in [
        ("the workload", house.issue(&Template::svid(ID)), true),
        ("another workload", house.issue(&Template::svid("spiffe://house.test/ns/acme/sa/other")), false),
        ("another workload with our address", house.issue(&named), false),
        ("two URIs", house.issue(&two), false),
        ("a host", house.issue(&Template::server(&["127.0.0.1"])), false),
    ] {
        assert_eq!(passes(&house, &origin, &issued).await, good, "{what}");
    }
    house.stop().await;
}
