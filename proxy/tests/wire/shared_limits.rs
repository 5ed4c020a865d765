//! Limits that replicas share, against a real `redis-server`: two proxies, and everything that can happen to a store.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use postern_certs::{Authority, Issued, Template};
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::house::{Ask, House, within};
use crate::store::{Redis, until_connected};

async fn asks(house: &House) -> u16 {
    house.call(&house.who.mia, Ask::get("/orders")).await.status
}

#[tokio::test]
async fn two_replicas_let_through_together_what_one_may() {
    let Some(redis) = Redis::start().await else { return };
    redis.open("house").await;
    let limit = "name: shared, key: [Principal], unit: Requests, limit: 6, window: 1h, store: Shared";
    let (one, other) = (redis.plan(limit).start().await, redis.plan(limit).start().await);
    until_connected(&one, true).await;
    until_connected(&other, true).await;
    let first = one.call(&one.who.mia, Ask::get("/orders")).await;
    assert_eq!((first.status, first.header("ratelimit-policy")), (200, "\"shared\";q=6;w=3600"));
    assert!(first.header("ratelimit").starts_with("\"shared\";r=5"), "{}", first.header("ratelimit"));
    let (mut passed, mut refused) = (1, 0);
    for _ in 0..5 {
        for house in [&one, &other] {
            match asks(house).await {
                200 => passed += 1,
                429 => refused += 1,
                status => panic!("{status}"),
            }
        }
    }
    assert_eq!((passed, refused), (6, 5));
    let over = other.call(&other.who.mia, Ask::get("/orders")).await;
    let after: u64 = over.header("retry-after").parse().unwrap();
    assert!((500..=600).contains(&after), "{after}");
    assert_eq!(other.call(&other.who.ned, Ask::get("/orders")).await.status, 200, "another caller has his own");

    // A script that is forgotten is told again, and a key that somebody takes away is missed by who has seen it spend.
    redis.ask(&["SCRIPT", "FLUSH"]).await;
    assert_eq!(asks(&one).await, 429);
    let keys = redis.ask(&["KEYS", "postern:{house}:limits:????????????????????????????????"]).await;
    let keys: Vec<&str> = keys.lines().filter(|line| line.starts_with("postern:")).map(str::trim).collect();
    assert_eq!(keys.len(), 2, "one key each, and no name of anybody: {keys:?}");
    for key in &keys {
        redis.ask(&["DEL", key]).await;
    }
    assert_eq!((asks(&one).await, asks(&other).await), (429, 429));
    // All of it gone: nobody has a budget before it would have come back.
    redis.ask(&["FLUSHALL"]).await;
    assert_eq!((asks(&one).await, asks(&other).await), (429, 429));
    assert_eq!(other.call(&other.who.noah, Ask::get("/orders")).await.status, 429, "nor who had not spent");
    assert!(one.metrics().await.contains("postern_limits_store_decisions_total{outcome=\"refused\"}"));
    one.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn without_the_store_requests_are_refused_or_counted_here_as_policy_says() {
    let Some(mut redis) = Redis::start().await else { return };
    redis.open("house").await;
    let limit = "name: shared, key: [Principal], unit: Requests, limit: 3, window: 1h, store: Shared";
    let strict = redis.plan(limit).start().await;
    let lenient = redis.plan(&format!("{limit}, onUnavailable: Local")).start().await;
    for house in [&strict, &lenient] {
        until_connected(house, true).await;
        assert_eq!(asks(house).await, 200);
    }
    redis.kill();
    until_connected(&strict, false).await;
    until_connected(&lenient, false).await;
    let began = Instant::now();
    let away = strict.call(&strict.who.mia, Ask::get("/orders")).await;
    assert_eq!((away.status, away.header("retry-after")), (503, "1"));
    assert!(began.elapsed() < Duration::from_millis(1500), "nobody waits for a store that is away");
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(asks(&lenient).await);
    }
    assert_eq!(statuses, [200, 200, 200, 429], "a replica for itself");
    assert_eq!(strict.plain.count(), 1, "nothing passed that could not be counted");
    // It comes back with nothing: one policy takes that for spent, the other for new.
    assert!(redis.run().await);
    until_connected(&strict, true).await;
    until_connected(&lenient, true).await;
    assert_eq!((asks(&strict).await, asks(&lenient).await), (429, 200));
    let outcomes = strict.stop().await.outcomes();
    assert_eq!(outcomes, ["allow", "error: undecided", "deny: over_limit"]);
    lenient.stop().await;
}

#[tokio::test]
async fn a_limit_is_never_exceeded_whatever_happens_to_the_store() {
    let Some(mut redis) = Redis::start().await else { return };
    redis.open("house").await;
    // Ten at once, and ten a second.
    let limit = "name: shared, key: [Tenant], unit: Requests, limit: 10, window: 1s, store: Shared";
    let (one, other) = (redis.plan(limit).start().await, redis.plan(limit).start().await);
    until_connected(&one, true).await;
    until_connected(&other, true).await;
    let seconds = if std::env::var_os("POSTERN_TEST_FULL").is_some() { 20 } else { 1 };
    let (began, over) = (Instant::now(), AtomicBool::new(false));
    let load = async |house: &House| {
        let mut passed = 0_u32;
        while !over.load(Ordering::Relaxed) {
            match asks(house).await {
                200 => passed += 1,
                429 | 503 => {}
                status => panic!("{status}"),
            }
        }
        passed
    };
    let trouble = async {
        let mut round = 0;
        while began.elapsed() < Duration::from_secs(seconds) {
            // Trouble has to come while something is passing.
            tokio::time::sleep(Duration::from_millis(250)).await;
            match round % 4 {
                0 => drop(redis.ask(&["FLUSHALL"]).await),
                1 => drop(redis.ask(&["SCRIPT", "FLUSH"]).await),
                2 => drop(redis.ask(&["FLUSHALL", "ASYNC"]).await),
                _ => {
                    redis.kill();
                    assert!(redis.run().await);
                }
            }
            round += 1;
        }
        over.store(true, Ordering::Relaxed);
    };
    let (a, b, c, ()) = tokio::join!(load(&one), load(&other), load(&one), trouble);
    let passed = a + b + c;
    let most = 10.0 + 10.0 * began.elapsed().as_secs_f64();
    assert!(f64::from(passed) <= most, "{passed} passed, at most {most} may");
    assert!(passed > 0, "nothing passed, so nothing was tested");
    assert_eq!(one.plain.count() + other.plain.count(), usize::try_from(passed).unwrap());
    one.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn a_queued_request_waits_for_its_moment_in_the_store() {
    let Some(redis) = Redis::start().await else { return };
    redis.open("house").await;
    let limit = "name: shared, key: [Principal], unit: Requests, limit: 10, window: 1s, burst: 1, store: Shared, \
                 overLimit: {type: Queue, maxWait: 150ms}";
    let (one, other) = (redis.plan(limit).start().await, redis.plan(limit).start().await);
    until_connected(&one, true).await;
    until_connected(&other, true).await;
    let began = Instant::now();
    let (a, b, c) = tokio::join!(asks(&one), asks(&other), asks(&one));
    let mut statuses = [a, b, c];
    statuses.sort_unstable();
    assert_eq!(statuses[..2], [200, 200], "{statuses:?}");
    assert!(began.elapsed() >= Duration::from_millis(100), "one of them waited");
    one.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn a_store_that_forgets_or_does_not_take_our_password_counts_nothing() {
    let Some(redis) = Redis::start().await else { return };
    redis.open("house").await;
    redis.ask(&["CONFIG", "SET", "maxmemory", "100mb"]).await;
    redis.ask(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]).await;
    let limit = "name: shared, key: [Principal], unit: Requests, limit: 3, window: 1h, store: Shared";
    let house = redis.plan(limit).start().await;
    assert_eq!(asks(&house).await, 503);
    redis.ask(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]).await;
    until_connected(&house, true).await;
    assert_eq!(asks(&house).await, 200);
    redis.ask(&["CONFIG", "SET", "requirepass", "correct horse"]).await;
    let without = redis.plan(limit).start().await;
    assert_eq!(asks(&without).await, 503);
    let with = redis.plan(limit).with("postern.yaml", ".sock\"}", ".sock\", authFrom: \"file:keys/store\"}");
    let with = with.file("keys/store", "correct horse\n").start().await;
    until_connected(&with, true).await;
    assert_eq!(asks(&with).await, 200);
    for house in [house, without, with] {
        house.stop().await;
    }
}

#[tokio::test]
async fn a_primary_that_follows_another_now_is_left_and_looked_for() {
    let Some(redis) = Redis::start().await else { return };
    redis.open("house").await;
    let limit = "name: shared, key: [Principal], unit: Requests, limit: 3, window: 1h, store: Shared";
    let house = redis.plan(limit).start().await;
    until_connected(&house, true).await;
    assert_eq!(asks(&house).await, 200);
    redis.ask(&["REPLICAOF", "127.0.0.1", "1"]).await;
    // Each link finds out for itself.
    within("a store that is away", async {
        while !house.metrics().await.contains("postern_limits_store_connected 0\n") {
            assert_eq!(asks(&house).await, 503);
        }
    })
    .await;
    redis.ask(&["REPLICAOF", "NO", "ONE"]).await;
    until_connected(&house, true).await;
    assert_eq!(asks(&house).await, 200);
    house.stop().await;
}

/// The store behind TLS.
struct Terminator {
    port: u16,
    /// The certificate it shows; without one it hangs up.
    shows: watch::Sender<Option<Arc<ServerConfig>>>,
    /// Handshakes that came to nothing.
    failed: watch::Receiver<usize>,
}

impl Terminator {
    async fn start(socket: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (shows, config) = watch::channel::<Option<Arc<ServerConfig>>>(None);
        let (fail, failed) = watch::channel(0);
        let fail = Arc::new(fail);
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (config, socket, fail) = (config.borrow().clone(), socket.clone(), fail.clone());
                tokio::spawn(async move {
                    let Some(config) = config else { return };
                    let Ok(mut tls) = TlsAcceptor::from(config).accept(tcp).await else {
                        return fail.send_modify(|failed| *failed += 1);
                    };
                    let mut store = UnixStream::connect(socket).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut tls, &mut store).await;
                });
            }
        });
        Self { port, shows, failed }
    }
}

fn presents(issued: &Issued) -> Option<Arc<ServerConfig>> {
    let chain = CertificateDer::pem_slice_iter(issued.cert_pem.as_bytes()).collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(issued.key_pem.expose().as_bytes()).unwrap();
    Some(Arc::new(ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap()))
}

#[tokio::test]
async fn a_store_behind_tls_is_asked_if_it_is_the_one_that_is_named() {
    let Some(redis) = Redis::start().await else { return };
    redis.open("house").await;
    let mut terminator = Terminator::start(redis.socket()).await;
    let port = terminator.port;
    let limit = "name: shared, key: [Principal], unit: Requests, limit: 3, window: 1h, store: Shared";
    let unix = format!("unix:{}\"", redis.socket().display());
    let tls = format!("rediss://localhost:{port}\", caFrom: \"file:tls/ca.pem\"");
    let house = redis.plan(limit).with("postern.yaml", &unix, &tls).start().await;
    assert_eq!(asks(&house).await, 503, "nobody answers the handshake");
    let other = Authority::new("Other CA", UnixTime::now()).unwrap();
    for stranger in [house.issue(&Template::server(&["redis.house.test"])), other.server(&["localhost"]).unwrap()] {
        let before = *terminator.failed.borrow();
        terminator.shows.send_replace(presents(&stranger));
        within("a handshake that fails", terminator.failed.wait_for(|failed| *failed > before)).await.unwrap();
        assert_eq!(asks(&house).await, 503);
    }
    terminator.shows.send_replace(presents(&house.issue(&Template::server(&["localhost"]))));
    until_connected(&house, true).await;
    assert_eq!(asks(&house).await, 200);
    assert_eq!(house.plain.count(), 1);
    house.stop().await;
}
