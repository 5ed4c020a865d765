//! Identities and trust from a SPIFFE Workload API: who is let in, what is presented, and what a change does at once.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use postern_certs::{Authority, Issued, Template};
use postern_proxy::reload::Reload;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::house::agent::{Agent, Says};
use crate::house::raw::Wire;
use crate::house::{Caller, House, Plan, within};

pub(crate) const EDGE: &str = "spiffe://mesh.test/ns/edge/sa/postern";
const BOT: &str = "spiffe://mesh.test/ns/acme/sa/bot";
const PARTNER: &str = "spiffe://other.test/ns/acme/sa/bot";
/// What an operator is promised.
pub(crate) const PROMISED: Duration = Duration::from_secs(1);

const FILES: &str = r#"    - {name: house, source: {type: Files, certFrom: "file:tls/server.pem", keyFrom: "file:tls/server.key"}}
  trust:
    anchors: [{name: house-ca, caFrom: "file:tls/ca.pem"}]
    names: ["spiffe://house.test/ns/**", "*.clients.house.test"]
    clientAuth: Required
"#;

/// An agent of `mesh.test`, which is federated with `other.test`.
pub(crate) struct Mesh {
    pub(crate) agent: Agent,
    pub(crate) mesh: Authority,
    pub(crate) other: Authority,
}

impl Mesh {
    /// An agent that gives the proxy its SVID.
    pub(crate) fn start() -> Self {
        let now = UnixTime::now();
        let (mesh, other) = (Authority::new("Mesh CA", now).unwrap(), Authority::new("Other CA", now).unwrap());
        let mesh = Self { agent: Agent::start(), mesh, other };
        mesh.renew();
        mesh
    }

    /// Gives it another one.
    pub(crate) fn renew(&self) -> Issued {
        let issued = self.mesh.issue(&Template::svid(EDGE)).unwrap();
        self.agent.says(&self.says(&issued));
        issued
    }

    pub(crate) fn says(&self, issued: &Issued) -> Says {
        Says::svid(EDGE, issued, &self.mesh).federated("other.test", &self.other)
    }

    /// The house, whose listener `public` presents the SVID and believes these trust domains.
    fn plan(&self, domains: &[&str]) -> Plan {
        let socket = self.agent.socket();
        let anchors: Vec<String> = domains
            .iter()
            .enumerate()
            .map(|(index, domain)| format!("{{name: a{index}, spiffeTrustDomain: {domain}, socket: \"{socket}\"}}"))
            .collect();
        let spiffe = format!(
            "    - {{name: mesh, source: {{type: Spiffe, socket: \"{socket}\"}}}}\n  trust:\n    anchors: [{}]\n    names: \
             [\"spiffe://mesh.test/ns/**\", \"spiffe://other.test/ns/**\", \"*.clients.house.test\"]\n    clientAuth: \
             Required\n",
            anchors.join(", ")
        );
        House::plan().with("manifests/tls.yaml", FILES, &spiffe)
    }
}

fn caller(authority: &Authority, template: &Template) -> Caller {
    Caller { name: "mia", tenant: "acme", groups: &["staff"], issued: authority.issue(template).unwrap() }
}

/// A client that believes any server, and says what it was shown.
#[derive(Debug)]
struct Believes(Mutex<Option<Vec<u8>>>);

impl ServerCertVerifier for Believes {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        *self.0.lock().unwrap() = Some(leaf.to_vec());
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// Connects with an SVID; the second is what the listener presented.
async fn connect(house: &House, issued: &Issued) -> Result<(Wire, Vec<u8>), String> {
    let believes = Arc::new(Believes(Mutex::default()));
    let key = PrivateKeyDer::from_pem_slice(issued.key_pem.expose().as_bytes()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(believes.clone())
        .with_client_auth_cert(vec![issued.der.clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let tcp = TcpStream::connect(house.address("public")).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = within("a handshake", TlsConnector::from(Arc::new(config)).connect(name, tcp)).await;
    let stream = stream.map_err(|error| error.to_string())?;
    let shown = believes.0.lock().unwrap().take().unwrap();
    Ok((Wire::of(stream), shown))
}

/// The status of a request on a connection of its own; nothing where there is no connection.
async fn status(house: &House, who: &Caller) -> Option<u16> {
    let (mut wire, _) = connect(house, &who.issued).await.ok()?;
    wire.try_send(format!("GET /orders HTTP/1.1\r\n{}\r\n", house.lines(who))).await.ok()?;
    Some(wire.try_answer().await?.status)
}

/// Waits until the listener presents `issued`.
async fn until_presented(house: &House, who: &Caller, issued: &Issued) {
    let presented = async {
        while connect(house, &who.issued).await.map(|(_, shown)| shown) != Ok(issued.der.to_vec()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    within("the new SVID", presented).await;
}

#[tokio::test]
async fn a_listener_presents_its_svid_and_lets_in_whom_its_trust_domain_vouches_for() {
    let mesh = Mesh::start();
    let house = mesh.plan(&["mesh.test"]).start().await;
    let svid = mesh.renew();
    let bot = caller(&mesh.mesh, &Template::svid(BOT));
    until_presented(&house, &bot, &svid).await;
    assert_eq!(status(&house, &bot).await, Some(200));
    let host = Template { hosts: vec!["mia.clients.house.test".to_owned()], ..Template::svid(BOT) };
    let named = Template { uris: Vec::new(), ..host.clone() };
    let two = Template { uris: vec![BOT.to_owned(), PARTNER.to_owned()], ..Template::svid(BOT) };
    for (what, authority, template) in [
        ("of another domain, whose bundle is federated and no anchor", &mesh.other, Template::svid(PARTNER)),
        ("of our domain, signed by the other's authority", &mesh.other, Template::svid(BOT)),
        ("of the other domain, signed by our authority", &mesh.mesh, Template::svid(PARTNER)),
        ("a host, signed by our authority", &mesh.mesh, named),
        ("two IDs", &mesh.mesh, two),
        ("the trust domain itself", &mesh.mesh, Template::svid("spiffe://mesh.test")),
    ] {
        assert_eq!(status(&house, &caller(authority, &template)).await, None, "{what}");
    }
    assert_eq!(status(&house, &house.who.mia).await, None, "an authority of a file that is no anchor here");
    house.stop().await;
}

#[tokio::test]
async fn a_bundle_speaks_for_its_own_domain_alone_where_both_are_anchors() {
    let mesh = Mesh::start();
    let house = mesh.plan(&["mesh.test", "other.test"]).start().await;
    for (authority, id, good) in
        [(&mesh.mesh, BOT, true), (&mesh.other, PARTNER, true), (&mesh.mesh, PARTNER, false), (&mesh.other, BOT, false)]
    {
        let came = status(&house, &caller(authority, &Template::svid(id))).await;
        assert_eq!(came, good.then_some(200), "{id}");
    }
    let records = house.stop().await;
    let refused = records.connections().iter().filter(|record| record.detail().contains("UnknownIssuer")).count();
    assert_eq!(refused, 2);
}

#[tokio::test]
async fn an_svid_is_renewed_under_load_without_a_failed_request() {
    const RENEWALS: usize = 20;
    let mesh = Mesh::start();
    let house = mesh.plan(&["mesh.test"]).start().await;
    let bot = caller(&mesh.mesh, &Template::svid(BOT));
    let (over, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    let fresh = async {
        while !over.load(Ordering::Relaxed) {
            assert_eq!(status(&house, &bot).await, Some(200));
            asked.fetch_add(1, Ordering::Relaxed);
        }
    };
    let kept = async {
        let (mut wire, _) = connect(&house, &bot.issued).await.unwrap();
        while !over.load(Ordering::Relaxed) {
            wire.send(format!("GET /orders HTTP/1.1\r\n{}\r\n", house.lines(&bot))).await;
            assert_eq!(wire.answer().await.status, 200, "a connection outlives the SVID it was made with");
            asked.fetch_add(1, Ordering::Relaxed);
        }
    };
    let renew = async {
        for _ in 0..RENEWALS {
            let svid = mesh.renew();
            until_presented(&house, &bot, &svid).await;
        }
        over.store(true, Ordering::Relaxed);
    };
    tokio::join!(fresh, kept, renew);
    assert!(asked.into_inner() > RENEWALS);
    house.stop().await;
}

#[tokio::test]
async fn a_bundle_that_is_taken_back_closes_its_connections_within_a_second() {
    let mesh = Mesh::start();
    let house = mesh.plan(&["mesh.test", "other.test"]).start().await;
    let (bot, partner) = (caller(&mesh.mesh, &Template::svid(BOT)), caller(&mesh.other, &Template::svid(PARTNER)));
    let (mut ours, _) = connect(&house, &bot.issued).await.unwrap();
    let (mut theirs, _) = connect(&house, &partner.issued).await.unwrap();
    let lines = house.lines(&partner);
    theirs.send(format!("GET /orders HTTP/1.1\r\n{lines}\r\n")).await;
    assert_eq!(theirs.answer().await.status, 200);
    let svid = mesh.mesh.issue(&Template::svid(EDGE)).unwrap();
    mesh.agent.says(&Says::svid(EDGE, &svid, &mesh.mesh));
    let began = Instant::now();
    assert!(theirs.is_closed().await);
    assert!(began.elapsed() < PROMISED, "{:?}", began.elapsed());
    assert_eq!(status(&house, &partner).await, None);
    ours.send(format!("GET /orders HTTP/1.1\r\n{}\r\n", house.lines(&bot))).await;
    assert_eq!(ours.answer().await.status, 200, "nobody else is cut");
    drop(ours);
    // It is there again as soon as the agent says so.
    mesh.renew();
    let back = async {
        while status(&house, &partner).await != Some(200) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    within("the bundle", back).await;
    let records = house.stop().await;
    assert!(records.connections().iter().any(|record| record.detail().contains("not trusted any more")));
}

#[tokio::test]
async fn attack_9_what_an_agent_revokes_is_refused() {
    let mesh = Mesh::start();
    let house = mesh.plan(&["mesh.test"]).start().await;
    let (good, bad) = (caller(&mesh.mesh, &Template::svid(BOT)), caller(&mesh.mesh, &Template::svid(BOT)));
    let (mut open, _) = connect(&house, &bad.issued).await.unwrap();
    let svid = mesh.renew();
    let crl = mesh.mesh.crl(&[&bad.issued], 86_400).unwrap();
    let crl = rustls_pki_types::CertificateRevocationListDer::from_pem_slice(crl.as_bytes()).unwrap();
    mesh.agent.says(&Says { crls: vec![crl.to_vec()], ..mesh.says(&svid) });
    assert!(open.is_closed().await);
    assert_eq!(status(&house, &bad).await, None);
    assert_eq!(status(&house, &good).await, Some(200));
    house.stop().await;
}

#[tokio::test]
async fn an_svid_that_is_taken_back_is_presented_no_more() {
    let mesh = Mesh::start();
    let house = mesh.plan(&["mesh.test"]).start().await;
    let bot = caller(&mesh.mesh, &Template::svid(BOT));
    let (mut open, _) = connect(&house, &bot.issued).await.unwrap();
    mesh.agent.denies();
    let began = Instant::now();
    assert!(open.is_closed().await);
    assert!(began.elapsed() < PROMISED, "{:?}", began.elapsed());
    assert_eq!(status(&house, &bot).await, None);
    let svid = mesh.renew();
    until_presented(&house, &bot, &svid).await;
    assert_eq!(status(&house, &bot).await, Some(200));
    // Another ID is another workload: what was presented before is ours no more.
    let (mut open, _) = connect(&house, &bot.issued).await.unwrap();
    let renamed = mesh.mesh.issue(&Template::svid("spiffe://mesh.test/ns/edge/sa/other")).unwrap();
    mesh.agent.says(&Says::svid("spiffe://mesh.test/ns/edge/sa/other", &renamed, &mesh.mesh));
    assert!(open.is_closed().await);
    assert_eq!(connect(&house, &bot.issued).await.unwrap().1, renamed.der.to_vec());
    house.stop().await;
}

#[tokio::test]
async fn a_lost_agent_changes_nothing_until_its_svid_ends() {
    let mut mesh = Mesh::start();
    let short = mesh.mesh.issue(&Template { ends: 3600, ..Template::svid(EDGE) }).unwrap();
    mesh.agent.says(&mesh.says(&short));
    let house = mesh.plan(&["mesh.test"]).start().await;
    let bot = caller(&mesh.mesh, &Template { ends: 7200, ..Template::svid(BOT) });
    until_presented(&house, &bot, &short).await;
    let connected = |is: u8| format!("postern_spiffe_connected{{postern_socket=\"{}\"}} {is}\n", mesh.agent.socket());
    assert!(house.metrics().await.contains(&connected(1)));
    let (up, down) = (connected(1), connected(0));
    mesh.agent.stop().await;
    let lost = async {
        while !house.metrics().await.contains(&down) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    within("the loss of the agent", lost).await;
    let left = format!(
        "postern_svid_expiry_seconds{{postern_socket=\"{}\",postern_spiffe_id=\"{EDGE}\"}} 3",
        mesh.agent.socket()
    );
    let page = house.metrics().await;
    assert!(page.contains(&left), "{page}");
    assert_eq!(status(&house, &bot).await, Some(200), "what it said last stays");
    let (mut open, _) = connect(&house, &bot.issued).await.unwrap();
    house.clock.forward(3700);
    assert!(open.is_closed().await);
    assert!(connect(&house, &bot.issued).await.is_err(), "and ends with its certificate");
    let svid = mesh.renew();
    mesh.agent.listen();
    until_presented(&house, &bot, &svid).await;
    assert!(house.metrics().await.contains(&up));
    house.stop().await;
}

#[tokio::test]
async fn a_message_that_is_wrong_changes_nothing() {
    let mesh = Mesh::start();
    let house = mesh.plan(&["mesh.test"]).start().await;
    let bot = caller(&mesh.mesh, &Template::svid(BOT));
    let agent = &mesh.agent;
    let next = mesh.mesh.issue(&Template::svid(EDGE)).unwrap();
    let good = mesh.says(&next);
    let with = |change: &dyn Fn(&mut Says)| {
        let mut says = good.clone();
        change(&mut says);
        agent.says(&says);
    };
    let other = |template: Template| mesh.says(&mesh.mesh.issue(&template).unwrap());
    let two = Template { uris: vec![EDGE.to_owned(), BOT.to_owned()], ..Template::svid(EDGE) };
    let leaf = bot.issued.der.to_vec();
    let cases: [(&str, &dyn Fn()); 15] = [
        ("nothing in it", &|| agent.says_bytes(b"")),
        ("no protocol buffers", &|| agent.says_bytes(b"\xff\xff\xff\xff\xff\xff")),
        ("longer than is read", &|| agent.says_frame(0, 64 << 20)),
        ("compressed", &|| agent.says_frame(1, 0)),
        ("a chain that is none", &|| with(&|says| says.svids[0].chain = b"garbage".to_vec())),
        ("no chain", &|| with(&|says| says.svids[0].chain.clear())),
        ("bytes behind the chain", &|| with(&|says| says.svids[0].chain.push(0x30))),
        ("the key of another", &|| with(&|says| says.svids[0].key = other(Template::svid(EDGE)).svids[0].key.clone())),
        ("no key", &|| with(&|says| says.svids[0].key.clear())),
        ("two URIs", &|| agent.says(&other(two.clone()))),
        ("the certificate of another ID", &|| with(&|says| says.svids[0].id = BOT.to_owned())),
        ("expired", &|| agent.says(&other(Template { begins: -7200, ends: -3600, ..Template::svid(EDGE) }))),
        ("no bundle", &|| with(&|says| says.svids[0].bundle.clear())),
        ("a bundle of a workload", &|| with(&|says| says.svids[0].bundle.clone_from(&leaf))),
        ("a federated bundle of no domain", &|| with(&|says| says.federated[0].0 = "other.test".to_owned())),
    ];
    for (what, say) in cases {
        let before = mesh.renew();
        until_presented(&house, &bot, &before).await;
        let (mut open, _) = connect(&house, &bot.issued).await.unwrap();
        say();
        // It is not believed, so it is asked again.
        agent.called_again().await;
        let shown = connect(&house, &bot.issued).await.unwrap().1;
        assert_eq!(shown, before.der.to_vec(), "{what}");
        open.send(format!("GET /orders HTTP/1.1\r\n{}\r\n", house.lines(&bot))).await;
        assert_eq!(open.answer().await.status, 200, "{what}");
    }
    house.stop().await;
}

/// Says how a start fails.
async fn refused(plan: Plan) -> String {
    let started = tokio::time::timeout(Duration::from_secs(15), plan.try_start()).await;
    started.expect("a start waits for a limited time").err().expect("it started")
}

#[tokio::test]
async fn nothing_starts_without_the_word_of_an_agent() {
    let (mut gone, hanging, denying, poor) = (Mesh::start(), Mesh::start(), Mesh::start(), Mesh::start());
    gone.agent.stop().await;
    hanging.agent.hangs();
    denying.agent.denies();
    let svid = poor.mesh.issue(&Template::svid(EDGE)).unwrap();
    poor.agent.says(&Says::svid(EDGE, &svid, &poor.mesh));
    let all = ["mesh.test"];
    let (gone, hanging, denying, poor) = tokio::join!(
        refused(gone.plan(&all)),
        refused(hanging.plan(&all)),
        refused(denying.plan(&all)),
        refused(poor.plan(&["mesh.test", "other.test"])),
    );
    for (why, want) in [
        (gone, "gave nothing within 10 s: cannot connect: No such file or directory"),
        (hanging, "gave nothing within 10 s: no answer within 5 s"),
        (denying, "gave nothing within 10 s: it gives this workload nothing, PermissionDenied (no identity issued)"),
        (poor, "listener `public`: the Workload API gives this workload no bundle of trust domain `other.test`"),
    ] {
        assert!(why.contains(want), "{why}");
    }
}

#[tokio::test]
async fn a_reload_without_the_word_of_an_agent_changes_nothing() {
    let mut mesh = Mesh::start();
    mesh.agent.stop().await;
    let house = House::start().await;
    let source = "source: {type: Files, certFrom: \"file:tls/server.pem\", keyFrom: \"file:tls/server.key\"}";
    let spiffe = format!("source: {{type: Spiffe, socket: \"{}\"}}", mesh.agent.socket());
    let Reload::Refused(why) = house.change("manifests/tls.yaml", source, &spiffe).await else { panic!("taken") };
    assert!(why.contains("gave nothing within 10 s"), "{why}");
    let mut wire = house.wire(&house.who.mia).await;
    wire.send(format!("GET /orders HTTP/1.1\r\n{}\r\n", house.lines(&house.who.mia))).await;
    assert_eq!(wire.answer().await.status, 200);
    drop(wire);
    mesh.agent.listen();
    assert_eq!(house.proxy.reload().await, Reload::Taken);
    house.stop().await;
}
