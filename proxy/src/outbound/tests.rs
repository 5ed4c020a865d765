//! Over real sockets: a server that does what a test tells it, under a name that the test's gate resolves.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::header;
use postern_certs::{Authority, Issued, Template};
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use super::*;

const HOST: &str = "keys.example.com";

/// Admits what it was told to, one answer a lookup; the last one stays.
struct Answers {
    answers: Mutex<VecDeque<Result<Vec<SocketAddr>, String>>>,
    asked: AtomicUsize,
}

impl Addresses for Answers {
    fn admit<'a>(&'a self, _: &'a str, _: u16) -> BoxFuture<'a, Result<Vec<SocketAddr>, String>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let mut answers = self.answers.lock().unwrap();
        let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
        Box::pin(std::future::ready(answer.unwrap()))
    }
}

fn gate(answers: Vec<Result<Vec<SocketAddr>, String>>) -> Arc<Answers> {
    Arc::new(Answers { answers: Mutex::new(answers.into()), asked: AtomicUsize::new(0) })
}

/// What the server does with a request it has read the head of.
enum Act {
    /// Writes the pieces, then closes.
    Say(Vec<Vec<u8>>),
    /// Writes the first piece, and then the second again and again, a moment apart, for as long as anybody listens.
    Drip(Vec<u8>, Vec<u8>),
    /// Writes, then leaves without saying that this was all.
    Vanish(Vec<u8>),
}

struct Site {
    address: SocketAddr,
    ca: String,
    /// Heads of the requests that came.
    seen: mpsc::UnboundedReceiver<String>,
}

fn provider() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

fn server_config(issued: &Issued, anyone: Option<&Authority>) -> Arc<ServerConfig> {
    provider();
    let chain = CertificateDer::pem_slice_iter(issued.cert_pem.as_bytes()).collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(issued.key_pem.expose().as_bytes()).unwrap();
    let builder = match anyone {
        None => ServerConfig::builder().with_no_client_auth(),
        Some(authority) => {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(authority.ca_pem().as_bytes()).unwrap()).unwrap();
            let verifier = rustls::server::WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
            ServerConfig::builder().with_client_cert_verifier(verifier)
        }
    };
    Arc::new(builder.with_single_cert(chain, key).unwrap())
}

fn authority() -> Authority {
    Authority::new("Outside CA", UnixTime::now()).unwrap()
}

async fn site(act: impl Fn() -> Act + Send + 'static) -> Site {
    let ca = authority();
    let config = server_config(&ca.server(&[HOST]).unwrap(), None);
    serve(ca.ca_pem(), Some(config), act).await
}

async fn serve(ca: String, config: Option<Arc<ServerConfig>>, act: impl Fn() -> Act + Send + 'static) -> Site {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, seen) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (act, tell, config) = (act(), tell.clone(), config.clone());
            tokio::spawn(async move {
                match config {
                    Some(config) => {
                        if let Ok(stream) = TlsAcceptor::from(config).accept(stream).await {
                            answer(stream, act, tell).await;
                        }
                    }
                    None => answer(stream, act, tell).await,
                }
            });
        }
    });
    Site { address, ca, seen }
}

async fn answer(
    mut stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    act: Act,
    tell: mpsc::UnboundedSender<String>,
) {
    let mut came = Vec::new();
    while !came.windows(4).any(|four| four == b"\r\n\r\n") {
        if stream.read_buf(&mut came).await.unwrap_or(0) == 0 {
            return;
        }
    }
    tell.send(String::from_utf8(came).unwrap()).ok();
    match act {
        Act::Say(pieces) => {
            for piece in pieces {
                if stream.write_all(&piece).await.is_err() || stream.flush().await.is_err() {
                    return;
                }
            }
            stream.shutdown().await.ok();
        }
        Act::Drip(head, piece) => {
            stream.write_all(&head).await.ok();
            while stream.write_all(&piece).await.is_ok() && stream.flush().await.is_ok() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        Act::Vanish(bytes) => {
            stream.write_all(&bytes).await.ok();
            stream.flush().await.ok();
        }
    }
}

fn say(text: &str) -> Act {
    Act::Say(vec![text.as_bytes().to_vec()])
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn url(port: u16, path: &str) -> Url {
    Url::parse(&format!("https://{HOST}:{port}{path}")).unwrap()
}

impl Site {
    fn client(&self) -> Outbound {
        Outbound::new(gate(vec![Ok(vec![self.address])]), Roots::Given(self.ca.clone().into_bytes()), None).unwrap()
    }

    fn get(&self, path: &str) -> Request {
        Request::get(url(self.address.port(), path))
    }
}

fn short() -> Limits {
    Limits { first_byte: Duration::from_millis(300), whole: Duration::from_millis(600), ..Limits::default() }
}

#[tokio::test]
async fn an_answer_comes_whole_with_its_type_and_what_it_came_over() {
    let mut site = site(|| say(&ok("{\"keys\":[]}"))).await;
    let secret = Redacted::new(b"Bearer t0psecret".to_vec());
    let request = site.get("/keys?x=1").header(header::AUTHORIZATION, secret);
    assert!(!format!("{request:?}").contains("t0psecret"));
    let answer = site.client().send(request).await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.content_type.as_deref()), (200, Some("application/json")));
    assert_eq!(&answer.body[..], b"{\"keys\":[]}");
    assert_eq!(answer.over.address, site.address);
    let security = answer.over.security.unwrap();
    assert_eq!((security.version.as_str(), security.group.as_str()), ("TLSv1_3", "X25519MLKEM768"));
    let seen = site.seen.recv().await.unwrap().to_ascii_lowercase();
    assert!(seen.starts_with("get /keys?x=1 http/1.1\r\n"), "{seen}");
    assert!(seen.contains(&format!("host: {HOST}:{}\r\n", site.address.port())), "{seen}");
    assert!(
        seen.contains("authorization: bearer t0psecret\r\n") && seen.contains("accept-encoding: identity"),
        "{seen}"
    );
    assert!(!seen.contains("cookie"), "{seen}");
}

#[tokio::test]
async fn a_body_is_sent_with_its_length() {
    let mut site = site(|| say("HTTP/1.1 204 No Content\r\n\r\n")).await;
    let body = Redacted::new(b"token=t0psecret".to_vec());
    let request = Request::post(url(site.address.port(), "/introspect"), body);
    assert!(!format!("{request:?}").contains("t0psecret"));
    let answer = site.client().send(request).await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.body.len(), answer.content_type), (204, 0, None));
    let seen = site.seen.recv().await.unwrap().to_ascii_lowercase();
    assert!(seen.starts_with("post /introspect ") && seen.contains("content-length: 15\r\n"), "{seen}");
}

#[tokio::test]
async fn attack_34_an_answer_that_is_not_plain_is_no_answer() {
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X-A: b\r\n".repeat(10_000));
    let long = format!("HTTP/1.1 200 OK\r\nX-A: {}\r\nContent-Length: 0\r\n\r\n", "a".repeat(40_000));
    let endless = format!("{}{}", "HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n".repeat(5), ok("{}"));
    for (case, bytes, want) in [
        (
            "redirect",
            "HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n".into(),
            "redirect",
        ),
        (
            "moved for ever",
            "HTTP/1.1 308 Moved\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n".into(),
            "redirect",
        ),
        ("another protocol", "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n".into(), "no answer"),
        ("10 000 headers", many, "malformed, has more than 64 lines"),
        ("one long header", long, "more than"),
        ("encoded", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nhi".into(), "encoded"),
        (
            "two types",
            "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Type: c/d\r\nContent-Length: 0\r\n\r\n".into(),
            "repeated",
        ),
        ("two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhix".into(), "malformed"),
        ("declared too long", "HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n".into(), "more than 1048576 bytes"),
        ("early close", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf".into(), "broke off"),
        (
            "early close of chunks",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n".into(),
            "broke off",
        ),
        ("early close of the head", "HTTP/1.1 200 OK\r\nContent".into(), "broke off"),
        ("nothing", String::new(), "broke off"),
        ("no HTTP", "NONSENSE t0psecret\r\n\r\n".into(), "malformed"),
        ("folded", "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n".into(), "malformed"),
    ] {
        let site = site(move || say(&bytes)).await;
        let error = site.client().send(site.get("/")).await.unwrap_err().to_string();
        assert!(error.contains(want), "{case}: {error}");
        assert!(!error.contains("t0psecret"), "{case}: {error}");
    }
    let site = site(move || say(&endless)).await;
    assert_eq!(&site.client().send(site.get("/")).await.unwrap().body[..], b"{}");
}

#[tokio::test]
async fn attack_34_bytes_that_are_no_text_stay_bytes_and_are_no_header() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: a/\xff\r\nContent-Length: 0\r\n\r\n".to_vec();
    let site_of = |bytes: Vec<u8>| site(move || Act::Say(vec![bytes.clone()]));
    let site = site_of(head).await;
    assert!(matches!(site.client().send(site.get("/")).await, Err(OutboundError::AnswerHeader("content-type"))));
    let site = site_of([&b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"[..], b"\xff\xfe"].concat()).await;
    assert_eq!(&site.client().send(site.get("/")).await.unwrap().body[..], b"\xff\xfe");
}

#[tokio::test]
async fn a_body_that_ends_with_the_connection_must_end_it_on_purpose() {
    let body = b"HTTP/1.1 200 OK\r\n\r\nwhole".to_vec();
    let said = body.clone();
    let site_said = site(move || Act::Say(vec![said.clone()])).await;
    assert_eq!(&site_said.client().send(site_said.get("/")).await.unwrap().body[..], b"whole");
    let cut = site(move || Act::Vanish(body.clone())).await;
    assert!(matches!(cut.client().send(cut.get("/")).await, Err(OutboundError::Broken { .. })), "no close_notify");
}

#[tokio::test]
async fn attack_34_a_body_without_an_end_costs_no_more_than_its_limit() {
    let chunk = [b"10000\r\n".as_slice(), &vec![b'a'; 0x10000], b"\r\n"].concat();
    let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    let site = site(move || Act::Drip(head.clone(), chunk.clone())).await;
    let limits = Limits { body: 300_000, ..Limits::default() };
    let error = site.client().send(site.get("/").limits(limits)).await.unwrap_err();
    assert!(matches!(error, OutboundError::Body(300_000)), "{error}");
}

#[tokio::test]
async fn attack_34_a_server_that_drips_is_not_waited_for() {
    let slow_body = || Act::Drip(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n".to_vec(), b"a".to_vec());
    let slow_head = || Act::Drip(b"HTTP/1.1 200 OK\r\nX: ".to_vec(), b"a".to_vec());
    let hints = || Act::Drip(Vec::new(), b"HTTP/1.1 103 Early Hints\r\n\r\n".to_vec());
    let site_body = site(slow_body).await;
    let late = site_body.client().send(site_body.get("/").limits(short())).await.unwrap_err();
    assert!(matches!(late, OutboundError::Late(Step::Whole)), "{late}");
    for act in [slow_head as fn() -> Act, hints] {
        let site = site(act).await;
        let late = site.client().send(site.get("/").limits(short())).await.unwrap_err();
        assert!(matches!(late, OutboundError::Late(Step::FirstByte(_))), "{late}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_shake_hands_is_not_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let client = Outbound::new(gate(vec![Ok(vec![address])]), Roots::Given(authority().ca_pem().into()), None).unwrap();
    let limits = Limits { handshake: Duration::from_millis(200), ..Limits::default() };
    let late = client.send(Request::get(url(address.port(), "/")).limits(limits)).await.unwrap_err();
    assert!(matches!(late, OutboundError::Late(Step::Handshake(_))), "{late}");
}

#[tokio::test]
async fn attack_34_a_certificate_of_anybody_else_ends_the_call_before_a_byte_is_sent() {
    let ca = authority();
    let other_name = server_config(&ca.server(&["other.example.com"]).unwrap(), None);
    let other_ca = server_config(&authority().server(&[HOST]).unwrap(), None);
    let expired = server_config(&ca.issue(&Template { ends: -60, ..Template::server(&[HOST]) }).unwrap(), None);
    let no_server = server_config(
        &ca.issue(&Template { for_servers: false, for_clients: true, ..Template::server(&[HOST]) }).unwrap(),
        None,
    );
    for (case, config) in
        [("another name", other_name), ("another authority", other_ca), ("expired", expired), ("a client's", no_server)]
    {
        let mut site = serve(ca.ca_pem(), Some(config), || say(&ok("{}"))).await;
        let error = site.client().send(site.get("/")).await.unwrap_err();
        assert!(matches!(error, OutboundError::Tls { .. }), "{case}: {error}");
        assert!(site.seen.try_recv().is_err(), "{case}");
    }
}

#[tokio::test]
async fn the_client_shows_its_certificate_where_it_is_asked() {
    let ca = authority();
    let config = server_config(&ca.server(&[HOST]).unwrap(), Some(&ca));
    let site = serve(ca.ca_pem(), Some(config), || say(&ok("{}"))).await;
    assert!(site.client().send(site.get("/")).await.is_err(), "without one");
    let own = ca.issue(&Template::svid("spiffe://house.test/ns/edge/sa/postern")).unwrap();
    let identity =
        Identity { chain: own.cert_pem.into_bytes(), key: Redacted::new(own.key_pem.expose().clone().into_bytes()) };
    let roots = Roots::Given(ca.ca_pem().into_bytes());
    let client = Outbound::new(gate(vec![Ok(vec![site.address])]), roots, Some(identity)).unwrap();
    assert_eq!(client.send(site.get("/")).await.unwrap().status, 200);
}

#[tokio::test]
async fn attack_34_what_was_checked_is_what_is_dialled() {
    let site = site(|| say(&ok("{}"))).await;
    // The second answer would lead elsewhere; nobody asks for it within one call.
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gate = gate(vec![Ok(vec![site.address]), Ok(vec![elsewhere.local_addr().unwrap()])]);
    let client = Outbound::new(gate.clone(), Roots::Given(site.ca.clone().into()), None).unwrap();
    assert_eq!(client.send(site.get("/")).await.unwrap().status, 200);
    assert_eq!(gate.asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn attack_34_an_address_that_policy_refuses_is_not_dialled() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gate = gate(vec![Err("`keys.example.com` is at 169.254.169.254, a metadata address".to_owned())]);
    let client = Outbound::new(gate, Roots::Given(authority().ca_pem().into()), None).unwrap();
    let error = client.send(Request::get(url(listener.local_addr().unwrap().port(), "/"))).await.unwrap_err();
    assert!(matches!(&error, OutboundError::NotAdmitted(why) if why.contains("metadata")), "{error}");
    let refused = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
    assert!(refused.is_err(), "nobody connects");
}

#[tokio::test]
async fn plain_http_is_for_this_machine_and_only_where_the_caller_says_so() {
    let site = serve(authority().ca_pem(), None, || say(&ok("{}"))).await;
    let plain = |host: &str| Url::parse(&format!("http://{host}:{}/", site.address.port())).unwrap();
    let client = |gate| Outbound::new(gate, Roots::Given(site.ca.clone().into()), None).unwrap();
    let here = || gate(vec![Ok(vec![site.address])]);
    let error = client(here()).send(Request::get(plain("localhost"))).await.unwrap_err();
    assert!(matches!(error, OutboundError::NotHttps(_)), "{error}");
    let answer = client(here()).send(Request::get(plain("localhost")).allow_plain_loopback()).await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.over.security), (200, None));
    let away = gate(vec![Ok(vec![site.address, "192.0.2.1:80".parse().unwrap()])]);
    let error = client(away).send(Request::get(plain(HOST)).allow_plain_loopback()).await.unwrap_err();
    assert!(matches!(error, OutboundError::NotHttps(_)), "{error}");
}

#[tokio::test]
async fn headers_that_are_the_clients_own_are_refused() {
    let site = site(|| say(&ok("{}"))).await;
    for name in [header::HOST, header::COOKIE, header::CONTENT_LENGTH, header::CONNECTION, header::TRANSFER_ENCODING] {
        let request = site.get("/").header(name.clone(), Redacted::new(b"1".to_vec()));
        assert!(matches!(site.client().send(request).await, Err(OutboundError::Header(_))), "{name}");
    }
    let request = site.get("/").header(header::AUTHORIZATION, Redacted::new(b"a\r\nX: y".to_vec()));
    assert!(matches!(site.client().send(request).await, Err(OutboundError::Header(_))), "a line end");
}

#[tokio::test]
async fn the_next_address_is_tried_where_the_first_does_not_answer() {
    let site = site(|| say(&ok("{}"))).await;
    let nobody = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let gate = gate(vec![Ok(vec![nobody, site.address])]);
    let client = Outbound::new(gate, Roots::Given(site.ca.clone().into()), None).unwrap();
    assert_eq!(client.send(site.get("/")).await.unwrap().over.address, site.address);
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_any_more_hangs_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let client = Outbound::new(gate(vec![Ok(vec![address])]), Roots::Given(authority().ca_pem().into()), None).unwrap();
    let request = Request::get(Url::parse(&format!("http://localhost:{}/", address.port())).unwrap());
    let accepted = async {
        let (mut stream, _): (TcpStream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        stream.read_buf(&mut head).await.unwrap();
        stream
    };
    let mut stream = tokio::select! {
        stream = accepted => stream,
        answer = client.send(request.allow_plain_loopback()) => panic!("{answer:?}"),
    };
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut rest)).await;
    assert!(matches!(ended, Ok(Ok(_) | Err(_))), "the connection ends with the call");
}
