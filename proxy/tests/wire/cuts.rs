//! Open connections whose peer is not believed any more are closed within a second, whatever they do.

use std::time::{Duration, Instant};

use postern_proxy::reload::Reload;
use rustls::version::{TLS12, TLS13};
use tokio::io::AsyncReadExt as _;

use crate::house::client::Open;
use crate::house::raw::Wire;
use crate::house::upstream::{delta, stream_head};
use crate::house::{Ask, Caller, House, Plan, Records, within};
use crate::tls::client_of;

/// What an operator is promised.
const PROMISED: Duration = Duration::from_secs(1);
const NAMES: &str = "names: [\"spiffe://house.test/ns/**\", \"*.clients.house.test\"]\n    clientAuth: Required";

/// The house, with a revocation list on `public`.
fn with_lists() -> Plan {
    House::plan().with(
        "manifests/tls.yaml",
        NAMES,
        &format!("{NAMES}\n    revocation: {{crlFrom: \"file:tls/ca.crl\"}}"),
    )
}

/// What somebody holds open: an idle connection, one that never asked anything, and a stream on each version of HTTP.
struct Held {
    idle: Wire,
    silent: tokio_rustls::client::TlsStream<tokio::net::TcpStream>,
    streams: Vec<(Open, tokio::sync::mpsc::Sender<Vec<u8>>)>,
}

async fn hold(house: &House, who: &Caller) -> Held {
    let mut idle = house.wire(who).await;
    idle.send(format!("GET /orders HTTP/1.1\r\n{}\r\n", house.lines(who))).await;
    assert_eq!(idle.answer().await.status, 200);
    let silent = house.connect(Some(&who.issued), "public", b"h2").await.unwrap();
    let mut streams = Vec::new();
    for h2 in [false, true] {
        let tell = house.model.steps();
        tell.send(stream_head()).await.unwrap();
        let mut open = house.open(who, Ask::streamed("hello").over(h2)).await;
        tell.send(delta("one two three. ")).await.unwrap();
        open.until("one").await;
        streams.push((open, tell));
    }
    Held { idle, silent, streams }
}

impl Held {
    /// Waits for the end of all of it, which must come in the time that is promised after `began`.
    async fn ends(mut self, began: Instant) {
        for (open, _) in &mut self.streams {
            open.rest().await.unwrap_err();
        }
        assert!(self.idle.is_closed().await);
        let mut rest = Vec::new();
        let _ = within("the end of a silent connection", self.silent.read_to_end(&mut rest)).await;
        let took = began.elapsed();
        assert!(took < PROMISED, "{took:?}");
    }
}

/// What the records say of connections and requests.
fn told(records: &Records) -> Vec<String> {
    records.connections().iter().chain(&records.requests()).map(|record| record.detail().to_owned()).collect()
}

async fn taken(house: &House) {
    assert_eq!(house.proxy.reload().await, Reload::Taken);
}

#[tokio::test]
async fn attack_9_a_revoked_certificate_loses_its_open_connections_within_a_second() {
    let house = with_lists().start().await;
    let held = hold(&house, &house.who.mia).await;
    let mut other = house.wire(&house.who.ned).await;
    house.write("tls/ca.crl", &house.crl(&[&house.who.mia.issued]));
    let began = Instant::now();
    taken(&house).await;
    held.ends(began).await;
    let error = house.try_send(Some(&house.who.mia.issued), Ask::get("/orders")).await.unwrap_err();
    assert!(error.contains("CertificateRevoked"), "{error}");
    other.send(format!("GET /orders HTTP/1.1\r\n{}\r\n", house.lines(&house.who.ned))).await;
    assert_eq!(other.answer().await.status, 200, "nobody else is cut");
    drop(other);
    let records = house.stop().await;
    let ended = records.requests().iter().filter(|r| r.detail().contains("the connection was cut")).count();
    assert_eq!(ended, 2, "each open stream leaves a record that says so: {:?}", told(&records));
    let cut = records.connections().iter().filter(|r| r.detail().contains("not trusted any more")).count();
    assert_eq!(cut, 4, "and each connection one: {:?}", told(&records));
}

#[tokio::test]
async fn attack_9_a_malformed_revocation_list_changes_nothing() {
    let house = with_lists().start().await;
    let mut open = house.wire(&house.who.mia).await;
    house.write("tls/ca.crl", "-----BEGIN X509 CRL-----\nMAUCAQEwAA==\n-----END X509 CRL-----\n");
    let Reload::Refused(why) = house.proxy.reload().await else { panic!("taken") };
    assert!(why.contains("revocation list 0 cannot be read"), "{why}");
    open.send(format!("GET /orders HTTP/1.1\r\n{}\r\n", house.lines(&house.who.mia))).await;
    assert_eq!(open.answer().await.status, 200);
    house.write("tls/ca.crl", &house.crl(&[&house.who.mia.issued]));
    taken(&house).await;
    assert!(open.is_closed().await);
    house.stop().await;
}

#[tokio::test]
async fn an_authority_or_a_name_that_is_taken_away_takes_its_connections_with_it() {
    let house = House::start().await;
    let held = hold(&house, &house.who.mia).await;
    let mut agent = house.wire(&house.who.assistant).await;
    let began = Instant::now();
    let change = house.change("manifests/tls.yaml", "\"*.clients.house.test\"", "\"*.others.house.test\"");
    assert_eq!(change.await, Reload::Taken);
    held.ends(began).await;
    agent.send("GET /none HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert_eq!(agent.answer().await.status, 403, "whose name is still listed stays");
    let other = postern_certs::Authority::new("Next CA", rustls_pki_types::UnixTime::now()).unwrap();
    house.write("tls/ca.pem", &other.ca_pem());
    let began = Instant::now();
    taken(&house).await;
    assert!(agent.is_closed().await);
    assert!(began.elapsed() < PROMISED);
    house.stop().await;
}

#[tokio::test]
async fn a_certificate_that_expires_takes_its_connections_with_it() {
    let house = House::start().await;
    let held = hold(&house, &house.who.mia).await;
    // Connections of this age and younger are judged by their handshake.
    tokio::time::sleep(Duration::from_millis(300)).await;
    house.clock.forward(90_000);
    held.ends(Instant::now()).await;
    let records = house.stop().await;
    let cut = records.connections().iter().filter(|r| r.detail() == "the client certificate has expired").count();
    assert_eq!(cut, 4, "{:?}", told(&records));
}

#[tokio::test]
async fn an_expired_certificate_keeps_its_connection_where_policy_says_so() {
    let plan = House::plan().with(
        "manifests/tls.yaml",
        "rotation: {warnBefore: 1h}",
        "rotation: {warnBefore: 1h, denyAfterExpiry: false}",
    );
    let house = plan.start().await;
    let mut wire = house.wire(&house.who.assistant).await;
    house.clock.forward(90_000);
    tokio::time::sleep(Duration::from_millis(600)).await;
    wire.send("GET /none HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert_eq!(wire.answer().await.status, 403);
    drop(wire);
    house.stop().await;
}

#[tokio::test]
async fn a_raised_minimum_closes_connections_below_it() {
    let house = House::plan().with("manifests/tls.yaml", "minVersion: TLSv1.3", "minVersion: TLSv1.2").start().await;
    let old = client_of(&house, Some(&house.who.mia.issued), &[&TLS12], None, None);
    let new = client_of(&house, Some(&house.who.mia.issued), &[&TLS13], None, None);
    let mut old = crate::tls::connect(&house, "public", old).await.unwrap();
    let mut new = Wire::of(crate::tls::connect(&house, "public", new).await.unwrap());
    let began = Instant::now();
    let change = house.change("manifests/tls.yaml", "minVersion: TLSv1.2", "minVersion: TLSv1.3");
    assert_eq!(change.await, Reload::Taken);
    let mut rest = Vec::new();
    let _ = within("the end of an old connection", old.read_to_end(&mut rest)).await;
    assert!(began.elapsed() < PROMISED);
    new.send(format!("GET /orders HTTP/1.1\r\n{}\r\n", house.lines(&house.who.mia))).await;
    assert_eq!(new.answer().await.status, 200);
    drop(new);
    house.stop().await;
}
