//! Requests at once and bytes that replicas count together, and limits by model: against a real `redis-server`.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, watch};

use crate::house::client::Open;
use crate::house::upstream::{Act, answer};
use crate::house::{Ask, House, within};
use crate::relay::{SWITCHED, handshake};
use crate::store::{Redis, until_connected};

const HEAD: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-type: text/plain\r\n\r\n3\r\none\r\n";

/// Streams of an upstream that go on for as long as this lives.
type Streams = Arc<Mutex<Vec<mpsc::Sender<Vec<u8>>>>>;

/// Has every request answered with a stream that does not end.
fn streams(house: &House) -> Streams {
    let open = Streams::default();
    let kept = open.clone();
    house.plain.does(move |_| {
        let (send, come) = mpsc::channel(8);
        send.try_send(HEAD.into()).unwrap();
        kept.lock().unwrap().push(send);
        Act::Steps(come)
    });
    open
}

async fn opens(house: &House) -> Option<Open> {
    let open = house.open(&house.who.mia, Ask::get("/orders")).await;
    match open.response.status().as_u16() {
        200 => Some(open),
        429 | 503 => None,
        status => panic!("{status}"),
    }
}

/// Asks until there is a place.
async fn until_open(house: &House) -> Open {
    within("a free place", async {
        loop {
            if let Some(open) = opens(house).await {
                return open;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
}

#[tokio::test]
async fn places_are_of_all_replicas_and_come_back_however_a_request_ends() {
    let Some(redis) = Redis::start().await else { return };
    redis.open("house").await;
    let limit = "name: open, key: [Tenant], unit: ConcurrentRequests, limit: 2, store: Shared";
    // As docs/limits.md has the store's user.
    let rights = "+auth +info +ping +eval +evalsha +time +get +set +zadd +zrem +zcard +zrank +zrangebyscore +zremrangebyscore +pexpire";
    let user: Vec<&str> = "ACL SETUSER postern on >horse ~postern:*".split(' ').chain(rights.split(' ')).collect();
    assert_eq!(redis.ask(&user).await, "+OK\r\n");
    let plan = || {
        let plan = redis.plan(limit).file("keys/store", "horse\n");
        plan.with("postern.yaml", ".sock\"}", ".sock\", user: postern, authFrom: \"file:keys/store\"}")
    };
    let (one, other) = (plan().start().await, plan().start().await);
    until_connected(&one, true).await;
    until_connected(&other, true).await;
    let (here, there) = (streams(&one), streams(&other));
    let first = opens(&one).await.unwrap();
    assert_eq!(first.response.headers()["ratelimit-policy"], "\"open\";q=2;qu=\"concurrent-requests\"");
    assert_eq!(first.response.headers()["ratelimit"], "\"open\";r=1");
    let mut second = opens(&other).await.unwrap();
    for house in [&one, &other] {
        let refused = house.call(&house.who.mia, Ask::get("/orders")).await;
        assert_eq!((refused.status, refused.header("retry-after")), (429, "1"));
    }
    assert_eq!((one.plain.count(), other.plain.count()), (1, 1));
    // The client leaves.
    drop(first);
    let third = until_open(&other).await;
    assert!(opens(&one).await.is_none());
    // The upstream ends the answer.
    second.until("one").await;
    let stream = there.lock().unwrap()[0].clone();
    stream.send(b"0\r\n\r\n".to_vec()).await.unwrap();
    drop(stream);
    assert_eq!(second.rest().await, Ok(String::new()));
    let fourth = until_open(&one).await;
    // Held for longer than a lease: both are asked for again in time.
    let until = Instant::now() + Duration::from_millis(1500);
    while Instant::now() < until {
        assert!(opens(&one).await.is_none() && opens(&other).await.is_none());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(one.metrics().await.contains("postern_limits_store_seats 1\n"));
    let keys = redis.ask(&["KEYS", "postern:*"]).await;
    assert!(!keys.contains("acme") && !keys.contains("line"), "{keys}");
    drop((third, fourth, here));
    drop(until_open(&one).await);
    for house in [one, other] {
        let outcomes = house.stop().await.outcomes();
        assert!(outcomes.iter().all(|outcome| outcome == "allow" || outcome == "deny: over_limit"), "{outcomes:?}");
    }
}

#[tokio::test]
async fn who_waits_for_a_place_gets_it_in_turn_wherever_it_asked() {
    let Some(redis) = Redis::start().await else { return };
    redis.open("house").await;
    let limit = "name: open, key: [Tenant], unit: ConcurrentRequests, limit: 1, store: Shared, \
                 overLimit: {type: Queue, maxWait: 20s}";
    let (one, other) = (redis.plan(limit).start().await, redis.plan(limit).start().await);
    until_connected(&one, true).await;
    until_connected(&other, true).await;
    let kept = (streams(&one), streams(&other));
    let first = opens(&one).await.unwrap();
    let in_line = async |count: usize| {
        within("a line in the store", async {
            loop {
                let keys = redis.ask(&["KEYS", "*:line"]).await;
                if let Some(line) = keys.lines().find(|line| line.ends_with(":line")) {
                    if redis.ask(&["ZCARD", line.trim()]).await.trim() == format!(":{count}") {
                        return;
                    }
                } else if count == 0 {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    };
    let leaves = async {
        in_line(1).await;
        // One that leaves the line is waited for by nobody.
        tokio::select! {
            _ = opens(&one) => panic!("a place that is taken"),
            () = in_line(1) => {}
        }
        drop(first);
    };
    let (second, ()) = tokio::join!(opens(&other), leaves);
    let second = second.unwrap();
    assert_eq!((one.plain.count(), other.plain.count()), (1, 1));
    let ends = async {
        in_line(1).await;
        drop(second);
    };
    let (third, ()) = tokio::join!(opens(&one), ends);
    assert!(third.is_some());
    in_line(0).await;
    drop((third, kept));
    one.stop().await;
    other.stop().await;
}

/// A way to the store that can be held up.
struct Way {
    socket: PathBuf,
    flows: watch::Sender<bool>,
}

impl Way {
    fn open(redis: &Redis, dir: &Path) -> Self {
        let (store, socket) = (redis.socket(), dir.join("way.sock"));
        let listener = UnixListener::bind(&socket).unwrap();
        let (flows, watched) = watch::channel(true);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let (store, watched) = (store.clone(), watched.clone());
                tokio::spawn(async move {
                    let Ok(far) = UnixStream::connect(store).await else { return };
                    let ((mut near_in, mut near_out), (mut far_in, mut far_out)) =
                        (near.into_split(), far.into_split());
                    tokio::join!(
                        pass(&mut near_in, &mut far_out, watched.clone()),
                        pass(&mut far_in, &mut near_out, watched)
                    );
                });
            }
        });
        Self { socket, flows }
    }
}

async fn pass(
    from: &mut (impl tokio::io::AsyncRead + Unpin),
    to: &mut (impl tokio::io::AsyncWrite + Unpin),
    mut flows: watch::Receiver<bool>,
) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut buffer = vec![0; 65536];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if flows.wait_for(|flows| *flows).await.is_err() || to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn requests_that_are_cut_off_from_the_store_end_before_their_places_are_given_away() {
    let Some(redis) = Redis::start().await else { return };
    redis.open("house").await;
    let dir = tempfile::tempdir().unwrap();
    let way = Way::open(&redis, dir.path());
    let limit = "name: open, key: [Tenant], unit: ConcurrentRequests, limit: 1, store: Shared";
    let (one, other) = (redis.plan_over(&way.socket, limit).start().await, redis.plan(limit).start().await);
    until_connected(&one, true).await;
    until_connected(&other, true).await;
    let kept = (streams(&one), streams(&other));
    let mut held = opens(&one).await.unwrap();
    held.until("one").await;
    // The store hangs: for this replica, and under its load.
    way.flows.send_replace(false);
    let ended = async {
        assert_eq!(held.rest().await, Err(String::new()), "the stream is cut, and does not look whole");
        Instant::now()
    };
    let given = async {
        let open = until_open(&other).await;
        (Instant::now(), open)
    };
    let hung = async {
        let began = Instant::now();
        assert!(opens(&one).await.is_none(), "nobody decides");
        assert!(began.elapsed() < Duration::from_secs(1), "nobody waits for a store that hangs");
    };
    let (ended, (given, open), ()) = tokio::join!(ended, given, hung);
    assert!(ended <= given, "the place had two requests for {:?}", ended - given);
    drop((open, kept));
    assert!(one.metrics().await.contains("postern_limits_store_seats_lost_total 1\n"));
    way.flows.send_replace(true);
    drop(until_open(&one).await);
    let records = one.stop().await;
    assert!(records.text().contains("its seat among the requests at once could not be kept"));
    other.stop().await;
}

#[tokio::test]
async fn a_place_that_others_have_by_now_is_lost_and_one_that_nobody_has_is_taken_again() {
    let Some(redis) = Redis::start().await else { return };
    redis.open("house").await;
    let limit = "name: open, key: [Tenant], unit: ConcurrentRequests, limit: 1, store: Shared";
    // Replicas may have leases of their own for a while, and none ends the place of another.
    let longer = redis.plan(limit).with("postern.yaml", "lease: 1s", "lease: 1m").start().await;
    let house = redis.plan(limit).start().await;
    until_connected(&longer, true).await;
    until_connected(&house, true).await;
    let kept = (streams(&longer), streams(&house));
    let key = async || {
        let keys = redis.ask(&["KEYS", "postern:{house}:limits:????????????????????????????????"]).await;
        keys.lines().find(|line| line.starts_with("postern:")).map(|key| key.trim().to_owned())
    };
    drop(opens(&longer).await.unwrap());
    let mut held = until_open(&house).await;
    held.until("one").await;
    let key = key().await.unwrap();
    let lives: u64 = redis.ask(&["PTTL", &key]).await.trim().trim_start_matches(':').parse().unwrap();
    assert!(lives > 60_000, "{lives}");
    // Taken away, and given to nobody.
    redis.ask(&["DEL", &key]).await;
    within("a place that is known again", async {
        while redis.ask(&["ZCARD", &key]).await != ":1\r\n" {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    // Taken away, and given to another.
    redis.ask(&["DEL", &key]).await;
    redis.ask(&["ZADD", &key, "9000000000000000", "another"]).await;
    assert_eq!(held.rest().await, Err(String::new()), "the stream is cut");
    assert!(house.metrics().await.contains("postern_limits_store_seats_lost_total 1\n"));
    assert_eq!(redis.ask(&["ZCARD", &key]).await, ":1\r\n");
    drop(kept);
    let records = house.stop().await;
    assert!(records.text().contains("others have it"));
    longer.stop().await;
}

#[tokio::test]
async fn a_store_whose_clock_went_back_gives_places_and_budgets_again() {
    let Some(redis) = Redis::start().await else { return };
    redis.open("house").await;
    let limits = "name: open, key: [Tenant], unit: ConcurrentRequests, limit: 1, store: Shared}\n    \
                  - {name: rate, key: [Tenant], unit: Requests, limit: 100, window: 1s, burst: 1, store: Shared";
    let house = redis.plan(limits).start().await;
    until_connected(&house, true).await;
    let kept = streams(&house);
    drop(opens(&house).await.unwrap());
    // As if all of this had been written an hour later.
    let info = redis.ask(&["INFO", "server"]).await;
    let run = info.lines().find_map(|line| line.strip_prefix("run_id:")).unwrap().trim().to_owned();
    let later = (std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap() + Duration::from_secs(3600)).as_micros();
    let rate = within("the key of the rate alone", async {
        loop {
            let keys = redis.ask(&["KEYS", "postern:{house}:limits:????????????????????????????????"]).await;
            let keys: Vec<_> = keys.lines().filter(|line| line.starts_with("postern:")).map(str::trim).collect();
            if let [rate] = keys[..] {
                return rate.to_owned();
            }
            // It is gone soon after what was spent has come back.
            drop(until_open(&house).await);
        }
    })
    .await;
    redis.ask(&["SET", &rate, &format!("{later} 0")]).await;
    assert!(opens(&house).await.is_none());
    // It comes back from here on, and not in an hour: the longest wait there is, a minute, and a burst.
    let state = redis.ask(&["GET", &rate]).await;
    let state: u128 = state.lines().nth(1).and_then(|state| state.split(' ').next()).unwrap().parse().unwrap();
    assert!(state < later - 3500 * 1_000_000, "{state}");
    redis.ask(&["DEL", &rate]).await;
    drop(until_open(&house).await);
    redis.ask(&["SET", "postern:{house}:limits:epoch", &format!("{run} {later}")]).await;
    drop(until_open(&house).await);
    drop(kept);
    house.stop().await;
}

#[tokio::test]
async fn places_are_never_exceeded_whatever_happens_to_the_store() {
    let Some(mut redis) = Redis::start().await else { return };
    redis.open("house").await;
    let limit = "name: open, key: [Tenant], unit: ConcurrentRequests, limit: 3, store: Shared";
    let (one, other) = (redis.plan(limit).start().await, redis.plan(limit).start().await);
    until_connected(&one, true).await;
    until_connected(&other, true).await;
    let kept = (streams(&one), streams(&other));
    let rounds = if std::env::var_os("POSTERN_TEST_FULL").is_some() { 12 } else { 3 };
    let (over, open, most, passed) =
        (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    // Counted from before the proxy can know that a request ended until after it let the next one in.
    let load = async |house: &House, stays: Duration| {
        while !over.load(Ordering::Relaxed) {
            let Some(mut held) = opens(house).await else {
                tokio::time::sleep(Duration::from_millis(3)).await;
                continue;
            };
            passed.fetch_add(1, Ordering::Relaxed);
            most.fetch_max(open.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            held.until("one").await;
            let _ = tokio::time::timeout(stays, held.rest()).await;
            open.fetch_sub(1, Ordering::SeqCst);
        }
    };
    let trouble = async {
        for round in 0..rounds {
            // Trouble has to come while something is open, and the store to count again.
            let before = passed.load(Ordering::Relaxed);
            within("requests that pass", async {
                while passed.load(Ordering::Relaxed) < before + 4 {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            })
            .await;
            match round % 3 {
                0 => drop(redis.ask(&["FLUSHALL"]).await),
                1 => {
                    redis.kill();
                    assert!(redis.run().await);
                }
                _ => drop(redis.ask(&["SCRIPT", "FLUSH"]).await),
            }
        }
        over.store(true, Ordering::Relaxed);
    };
    let (short, long) = (Duration::from_millis(15), Duration::from_millis(1300));
    tokio::join!(
        load(&one, short),
        load(&other, short),
        load(&one, long),
        load(&other, long),
        load(&one, short),
        trouble
    );
    let (most, passed) = (most.into_inner(), passed.into_inner());
    assert!(most <= 3, "{most} were open at once");
    assert!(most == 3 && passed > rounds, "{most} of {passed}: nothing was tested");
    drop(kept);
    one.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn bytes_are_of_all_replicas_and_what_goes_a_burst_beyond_is_cut() {
    let Some(redis) = Redis::start().await else { return };
    redis.open("house").await;
    let limit = "name: volume, key: [Principal], unit: Bytes, limit: 10Ki, window: 1h, store: Shared";
    let socket = "apiVersion: secure.platformspec.io/v1alpha1\nkind: APIAccessPolicy\nmetadata: {name: socket-replicas}\n\
                  spec:\n  targetRefs: [{kind: Route, name: socket}]\n  rateLimits:\n";
    let socket = format!("{socket}    - {{{limit}}}\n");
    let (one, other) = (redis.plan(limit).also(&socket).start().await, redis.plan(limit).start().await);
    until_connected(&one, true).await;
    until_connected(&other, true).await;
    for house in [&one, &other] {
        let body = "x".repeat(4000);
        house.plain.says(answer(200, &[("content-type", "application/json")], body.as_bytes()));
    }
    let post = Ask::post("/orders", "application/json", format!("\"{}\"", "1".repeat(3998)));
    let first = one.call(&one.who.mia, post.clone()).await;
    assert_eq!((first.status, first.header("ratelimit")), (200, "\"volume\";r=10240"));
    let second = other.call(&other.who.mia, post.clone()).await;
    // 8000 were charged, and at most a part of a burst ahead.
    let left = second.header("ratelimit");
    let left: u64 =
        left.strip_prefix("\"volume\";r=").and_then(|left| left.split(';').next()).unwrap().parse().unwrap();
    assert!((1600..=2240).contains(&left), "{left}");
    assert_eq!(second.status, 200, "what has begun goes on");
    for house in [&one, &other] {
        assert_eq!(
            house.call(&house.who.mia, Ask::get("/orders")).await.status,
            429,
            "the next waits for what is owed"
        );
    }
    assert_eq!((one.plain.count(), other.plain.count()), (1, 1));

    one.plain.says(answer(200, &[("content-type", "text/plain")], "x".repeat(600_000).as_bytes()));
    let mut open = one.open(&one.who.ned, Ask::get("/orders")).await;
    let came = open.rest().await.map_or_else(|came| came.len(), |whole| panic!("{} bytes came whole", whole.len()));
    assert!(came < 600_000, "{came}");
    one.plain.does(|_| Act::Echo(SWITCHED.into()));
    let mut wire = one.wire(&one.who.mia).await;
    wire.send(handshake(&one, "/socket")).await;
    assert_eq!(wire.answer().await.status, 101, "counted by the manifest of the other route");
    let mut sent = 0;
    while sent < 64 && wire.try_send([7; 1024]).await.is_ok() {
        sent += 1;
    }
    assert!(wire.is_closed().await, "the tunnel is cut");
    let outcomes = one.stop().await.outcomes();
    assert_eq!(outcomes.iter().filter(|outcome| *outcome == "deny: over_limit").count(), 3, "{outcomes:?}");
    other.stop().await;
}

#[tokio::test]
async fn models_are_counted_by_all_replicas_once_the_body_is_read() {
    let Some(redis) = Redis::start().await else { return };
    redis.open("house").await;
    let limits = "apiVersion: secure.platformspec.io/v1alpha1\nkind: APIAccessPolicy\nmetadata: {name: chat-replicas}\n\
         spec:\n  targetRefs: [{kind: Route, name: chat}]\n  rateLimits:\n    \
         - {name: per-model, key: [Principal, Model], unit: Requests, limit: 1, window: 1h, store: Shared}\n    \
         - {name: volume, key: [Model], unit: Bytes, limit: 1Mi, window: 1h, store: Shared}\n    \
         - {name: turn, key: [Model], unit: ConcurrentRequests, limit: 1, store: Shared, overLimit: {type: Queue, maxWait: 10s}}\n";
    let other_limit = "name: shared, key: [Route], unit: Requests, limit: 100, window: 1h, store: Shared";
    let one = redis.plan(other_limit).also(limits).start().await;
    let other = redis.plan(other_limit).also(limits).start().await;
    until_connected(&one, true).await;
    until_connected(&other, true).await;
    let chat = |model: &str| {
        let body = json!({"model": model, "messages": [{"role": "user", "content": "hi"}]});
        Ask::json("/v1/chat/completions", &body)
    };
    for (case, house, model, want) in [
        ("a model", &one, "small", 200),
        ("another", &other, "large", 200),
        ("the first again, elsewhere", &other, "small", 429),
        ("and the other", &one, "large", 429),
    ] {
        let reply = house.call(&house.who.mia, chat(model)).await;
        assert_eq!(reply.status, want, "{case}: {}", reply.body);
    }
    let (a, b) = tokio::join!(one.call(&one.who.ned, chat("small")), other.call(&other.who.ned, chat("large")));
    assert_eq!((a.status, b.status), (200, 200), "another caller has his own");
    assert_eq!(one.model.count() + other.model.count(), 4);
    let records = one.stop().await;
    for guard in ["limit/per-model", "limit/volume", "limit/turn"] {
        assert!(records.requests()[0].request_guards().contains(&guard.to_owned()), "{guard}");
    }
    other.stop().await;
}
