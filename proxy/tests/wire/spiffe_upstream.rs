//! Towards upstreams: what we present comes from a SPIFFE agent, and so does what is believed of them.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use postern_certs::{Authority, Issued, Template};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::house::agent::Says;
use crate::house::{Ask, House, Plan, within};
use crate::spiffe::{EDGE, Mesh, PROMISED};

const OURS: &str = "spiffe://mesh.test/ns/acme/sa/orders";
const THEIRS: &str = "spiffe://other.test/ns/acme/sa/orders";

/// A request: the number of its connection, and the certificate that was presented on it.
type Seen = (usize, Vec<u8>);

/// A workload that asks for an SVID of `mesh.test`. It answers on connections that stay open, except `/orders/never`.
struct Workload {
    port: u16,
    shows: Arc<Mutex<Arc<ServerConfig>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Workload {
    async fn start(mesh: &Mesh, shown: &Issued) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shows = Arc::new(Mutex::new(config(&mesh.mesh, shown)));
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let (config, told) = (shows.clone(), seen.clone());
        tokio::spawn(async move {
            for number in 0.. {
                let Ok((tcp, _)) = listener.accept().await else { return };
                let (config, told) = (config.lock().unwrap().clone(), told.clone());
                tokio::spawn(async move {
                    let Ok(mut tls) = TlsAcceptor::from(config).accept(tcp).await else { return };
                    let presented = tls.get_ref().1.peer_certificates().unwrap()[0].to_vec();
                    let mut bytes = [0; 8192];
                    while let Ok(read @ 1..) = tls.read(&mut bytes).await {
                        told.lock().unwrap().push((number, presented.clone()));
                        if bytes[..read].starts_with(b"GET /orders/never ") {
                            continue;
                        }
                        if tls.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { port, shows, seen }
    }

    fn shows(&self, mesh: &Mesh, issued: &Issued) {
        *self.shows.lock().unwrap() = config(&mesh.mesh, issued);
    }

    fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    fn last(&self) -> Seen {
        self.seen.lock().unwrap().last().unwrap().clone()
    }
}

fn config(callers: &Authority, issued: &Issued) -> Arc<ServerConfig> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(callers.issued().der).unwrap();
    let provider = Arc::new(default_provider());
    let callers = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
    let key = PrivateKeyDer::from_pem_slice(issued.key_pem.expose().as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(config.with_client_cert_verifier(callers).with_single_cert(vec![issued.der.clone()], key).unwrap())
}

/// The house, whose upstream `plain` is a workload with this ID.
fn plan(mesh: &Mesh, workload: &Workload, expected: &str) -> Plan {
    let socket = mesh.agent.socket();
    let url = format!("url: \"https://127.0.0.1:{}\", tls: {{spiffeId: \"{expected}\"}}", workload.port);
    let trust = format!(
        r#"
apiVersion: secure.platformspec.io/v1alpha1
kind: CertificatePolicy
metadata: {{name: upstream}}
spec:
  targetRefs: [{{kind: Upstream, name: plain}}]
  identities: [{{name: own, source: {{type: Spiffe, socket: "{socket}", spiffeId: "{EDGE}"}}}}]
  trust:
    anchors:
      - {{name: own, spiffeTrustDomain: mesh.test, socket: "{socket}"}}
      - {{name: other, spiffeTrustDomain: other.test, socket: "{socket}"}}
"#
    );
    House::plan().with("postern.yaml", "url: \"http://PLAIN\"", &url).also(&trust)
}

async fn ask(house: &House) -> u16 {
    house.call(&house.who.mia, Ask::get("/orders")).await.status
}

/// Asks until the answer is `status`.
async fn until(house: &House, status: u16) {
    let answered = async {
        while ask(house).await != status {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    within(&format!("an answer {status}"), answered).await;
}

#[tokio::test]
async fn an_upstream_is_vouched_for_by_the_trust_domain_of_its_id_alone() {
    let mesh = Mesh::start();
    let issue = |authority: &Authority, template: &Template| authority.issue(template).unwrap();
    let good = issue(&mesh.mesh, &Template::svid(OURS));
    let workload = Workload::start(&mesh, &good).await;
    let house = plan(&mesh, &workload, OURS).start().await;
    assert_eq!(ask(&house).await, 200);
    let named = Template { hosts: vec!["127.0.0.1".to_owned()], ..Template::svid(THEIRS) };
    for (what, shown) in [
        ("our ID by the other domain's authority", issue(&mesh.other, &Template::svid(OURS))),
        ("the other domain", issue(&mesh.other, &Template::svid(THEIRS))),
        ("the other domain with our address", issue(&mesh.other, &named)),
        ("another workload of our domain", issue(&mesh.mesh, &Template::svid(EDGE))),
        ("a host of our domain", issue(&mesh.mesh, &Template::server(&["127.0.0.1"]))),
    ] {
        workload.shows(&mesh, &shown);
        mesh.renew();
        until(&house, 502).await;
        let before = workload.count();
        assert_eq!((ask(&house).await, workload.count()), (502, before), "{what}");
        workload.shows(&mesh, &good);
        until(&house, 200).await;
    }
    house.stop().await;
}

#[tokio::test]
async fn a_new_svid_is_presented_on_new_connections_and_one_taken_back_on_none() {
    let mesh = Mesh::start();
    let workload = Workload::start(&mesh, &mesh.mesh.issue(&Template::svid(OURS)).unwrap()).await;
    let house = plan(&mesh, &workload, OURS).start().await;
    assert_eq!((ask(&house).await, ask(&house).await), (200, 200));
    let (first, _) = workload.last();
    assert_eq!(workload.seen.lock().unwrap()[0].0, first, "one connection carries both");
    let svid = mesh.renew();
    let renewed = async {
        while workload.last().1 != svid.der.to_vec() {
            assert_eq!(ask(&house).await, 200, "no request fails while it is renewed");
        }
    };
    within("the new SVID", renewed).await;
    assert_ne!(workload.last().0, first);
    mesh.agent.denies();
    until(&house, 502).await;
    let before = workload.count();
    assert_eq!(ask(&house).await, 502);
    assert_eq!(workload.count(), before, "nobody is called without the identity that policy wants presented");
    mesh.renew();
    until(&house, 200).await;
    let records = house.stop().await;
    assert!(
        records.requests().iter().any(|record| record.detail().contains("the SVID of identity `own` was taken back"))
    );
}

#[tokio::test]
async fn a_bundle_that_is_taken_back_ends_what_an_upstream_of_it_is_asked() {
    let mesh = Mesh::start();
    let workload = Workload::start(&mesh, &mesh.other.issue(&Template::svid(THEIRS)).unwrap()).await;
    let house = plan(&mesh, &workload, THEIRS).start().await;
    assert_eq!(ask(&house).await, 200);
    let asked = workload.count() + 1;
    let svid = mesh.mesh.issue(&Template::svid(EDGE)).unwrap();
    let mut never = Box::pin(house.call(&house.who.mia, Ask::get("/orders/never")));
    let renewed = async {
        let arrived = async {
            while workload.count() < asked {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        within("the request", arrived).await;
        // A new SVID of the same ID ends nothing.
        mesh.agent.says(&mesh.says(&svid));
        while workload.last().1 != svid.der.to_vec() {
            assert_eq!(ask(&house).await, 200);
        }
    };
    tokio::select! {
        answer = &mut never => panic!("it ended: {}", answer.status),
        () = renewed => {}
    }
    mesh.agent.says(&Says::svid(EDGE, &svid, &mesh.mesh));
    let began = Instant::now();
    let answer = never.await;
    assert!(began.elapsed() < PROMISED, "{:?}", began.elapsed());
    assert_eq!(answer.status, 502);
    let before = workload.count();
    assert_eq!(ask(&house).await, 502);
    assert_eq!(workload.count(), before);
    mesh.renew();
    until(&house, 200).await;
    house.stop().await;
}
