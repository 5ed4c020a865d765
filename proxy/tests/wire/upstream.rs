//! Several endpoints, of which some are gone, hang, break off or close what was kept.

use serde_json::json;

use crate::house::upstream::{Act, Upstream, answer, json_answer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::house::{Ask, House, Plan, within};

/// The plain upstream with these settings in place of its address.
fn plan(settings: &str) -> Plan {
    House::plan().with("postern.yaml", r#"url: "http://PLAIN""#, settings)
}

fn endpoints(upstreams: &[&Upstream]) -> String {
    let urls: Vec<String> = upstreams.iter().map(|upstream| format!("\"http://{}\"", upstream.address())).collect();
    format!("endpoints: [{}]", urls.join(", "))
}

/// An address where nobody listens, and nobody else will.
fn nowhere() -> tokio::net::TcpSocket {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    socket
}

fn post() -> Ask {
    Ask::json("/orders", &json!({"n": 1}))
}

#[tokio::test]
async fn requests_go_to_the_endpoints_in_turn_each_with_its_own_host() {
    let (a, b) = (Upstream::start().await, Upstream::start().await);
    let house = plan(&endpoints(&[&a, &b])).start().await;
    for _ in 0..6 {
        assert_eq!(house.call(&house.who.mia, Ask::get("/orders")).await.status, 200);
    }
    assert_eq!((a.count(), b.count()), (3, 3));
    assert_eq!(a.seen()[0].header("host"), [a.address().to_string()]);
    assert_eq!(b.seen()[0].header("host"), [b.address().to_string()]);
    let records = house.stop().await;
    let ports: Vec<u64> = records.requests().iter().map(|record| record.endpoint().unwrap().1).collect();
    assert_eq!(ports.iter().filter(|port| **port == u64::from(a.address().port())).count(), 3);
}

#[tokio::test]
async fn requests_with_one_key_go_to_one_endpoint_until_it_is_gone() {
    let (a, b, c) = (Upstream::start().await, Upstream::start().await, Upstream::start().await);
    let all = endpoints(&[&a, &b, &c]);
    let house = plan(&format!("{all}, balance: {{type: ConsistentHash, key: \"Header:x-cart\"}}")).start().await;
    for cart in 0..12 {
        for _ in 0..2 {
            let ask = Ask::get("/orders").header("x-cart", &cart.to_string());
            assert_eq!(house.call(&house.who.mia, ask).await.status, 200);
        }
    }
    let home = |upstream: &Upstream| -> Vec<String> {
        upstream.seen().iter().map(|seen| seen.header("x-cart")[0].to_owned()).collect()
    };
    let homes = [home(&a), home(&b), home(&c)];
    assert!(homes.iter().all(|carts| carts.chunks(2).all(|pair| pair[0] == pair[1])), "{homes:?}");
    assert!(homes.iter().filter(|carts| !carts.is_empty()).count() > 1, "{homes:?}");
    house.stop().await;
}

#[tokio::test]
async fn a_request_goes_on_to_the_next_endpoint_where_one_cannot_be_reached() {
    let a = Upstream::start().await;
    let socket = nowhere();
    let gone = socket.local_addr().unwrap();
    let house = plan(&format!("endpoints: [\"http://{gone}\", \"http://{}\"]", a.address())).start().await;
    for _ in 0..4 {
        // Nothing was sent, so this holds for what must not be sent twice as well.
        assert_eq!(house.call(&house.who.mia, post()).await.status, 200);
    }
    assert_eq!(a.count(), 4);
    let page = house.metrics().await;
    assert!(
        page.contains("postern_upstream_failures_total{postern_upstream=\"plain\",error_type=\"connect\"} "),
        "{page}"
    );
    assert!(page.contains("postern_upstream_retries_total{postern_upstream=\"plain\"} "), "{page}");
    house.stop().await;
}

#[tokio::test]
async fn a_request_that_is_not_idempotent_is_never_sent_twice() {
    let (a, b) = (Upstream::start().await, Upstream::start().await);
    a.does(|_| Act::Close(Vec::new()));
    b.does(|_| Act::Close(b"HTTP/1.1 200 OK\r\ncontent-le".to_vec()));
    let house = plan(&format!(
        "{}, retries: {{max: 5, budget: 100, after: [ConnectFailure, ClosedUnanswered, RefusedStream, Refused503]}}",
        endpoints(&[&a, &b])
    ))
    .start()
    .await;
    for _ in 0..4 {
        assert_eq!(house.call(&house.who.mia, post()).await.status, 502);
    }
    assert_eq!(a.count() + b.count(), 4);
    a.says(answer(503, &[], b""));
    b.says(answer(503, &[], b""));
    assert_eq!(house.call(&house.who.mia, post()).await.status, 503);
    assert_eq!(a.count() + b.count(), 5);
    house.stop().await;
}

/// A server may close a connection it kept at the moment we use it.
#[tokio::test]
async fn a_kept_connection_that_ends_unanswered_is_retried_for_what_may_be_sent_twice() {
    let house = House::start().await;
    for (method, status, arrived) in [("GET", 200, 3), ("POST", 502, 2), ("DELETE", 200, 3)] {
        let before = house.plain.count();
        let seen = std::sync::atomic::AtomicUsize::new(0);
        house.plain.does(move |_| match seen.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
            1 => Act::Close(Vec::new()),
            _ => json_answer(&json!({})),
        });
        assert_eq!(house.call(&house.who.mia, Ask::get("/orders")).await.status, 200);
        let ask = if method == "POST" { post() } else { Ask::new(method, "/orders") };
        assert_eq!(house.call(&house.who.mia, ask).await.status, status, "{method}");
        assert_eq!(house.plain.count() - before, arrived, "{method}");
    }
    house.stop().await;
}

#[tokio::test]
async fn a_503_is_retried_elsewhere_where_the_upstream_says_so() {
    let (a, b) = (Upstream::start().await, Upstream::start().await);
    a.says(answer(503, &[], b"busy"));
    let house = plan(&format!("{}, retries: {{after: [Refused503]}}", endpoints(&[&a, &b]))).start().await;
    for _ in 0..4 {
        assert_eq!(house.call(&house.who.mia, Ask::get("/orders")).await.status, 200);
    }
    assert_eq!(b.count(), 4);
    b.says(answer(503, &[], b"busy"));
    let reply = house.call(&house.who.mia, Ask::get("/orders")).await;
    assert_eq!((reply.status, reply.body.as_str()), (503, "busy"), "the last answer is the answer");
    house.stop().await;
}

#[tokio::test]
async fn endpoints_that_are_asked_and_fail_are_left_out_until_they_are_well() {
    let (a, b) = (Upstream::start().await, Upstream::start().await);
    let well = |upstream: &Upstream, status: u16| {
        upstream.does(move |seen| match seen.request_line() {
            "GET /healthz HTTP/1.1" => Act::Answer(answer(status, &[], b"")),
            _ => json_answer(&json!({})),
        });
    };
    well(&a, 500);
    well(&b, 200);
    let health = "health: {path: /healthz, interval: 50ms, timeout: 2s, healthyAfter: 1, unhealthyAfter: 1}";
    let house = plan(&format!("{}, {health}", endpoints(&[&a, &b]))).start().await;
    let served =
        |upstream: &Upstream| upstream.seen().iter().filter(|seen| seen.request_line().contains("/orders")).count();
    house.until_endpoints("plain", "down", 1).await;
    for _ in 0..4 {
        assert_eq!(house.call(&house.who.mia, Ask::get("/orders")).await.status, 200);
    }
    assert_eq!((served(&a), served(&b)), (0, 4));
    well(&b, 500);
    house.until_endpoints("plain", "down", 2).await;
    let reply = house.call(&house.who.mia, Ask::get("/orders")).await;
    assert_eq!(reply.status, 503);
    // What is known about endpoints that stay survives a reload.
    house.change("postern.yaml", "labels: {vendor: house}", "labels: {vendor: other}").await;
    assert_eq!(house.call(&house.who.mia, Ask::get("/orders")).await.status, 503);
    well(&a, 204);
    house.until_endpoints("plain", "usable", 1).await;
    assert_eq!(house.call(&house.who.mia, Ask::get("/orders")).await.status, 200);
    assert_eq!(served(&a), 1);
    let outcomes = house.stop().await.outcomes();
    assert_eq!(outcomes.iter().filter(|outcome| *outcome == "error: upstream_unavailable").count(), 2);
}

#[tokio::test]
async fn an_endpoint_that_fails_requests_is_left_out_and_the_only_one_never_is() {
    let (a, b) = (Upstream::start().await, Upstream::start().await);
    a.does(|_| Act::Close(Vec::new()));
    let passive = "health: {passive: {consecutiveFailures: 2, ejectFor: 1h}}";
    let house = plan(&format!("{}, {passive}", endpoints(&[&a, &b]))).start().await;
    let mut failed = 0;
    for _ in 0..12 {
        failed += usize::from(house.call(&house.who.mia, post()).await.status == 502);
    }
    assert_eq!((failed, a.count(), b.count()), (2, 2, 10));
    house.until_endpoints("plain", "ejected", 1).await;
    b.does(|_| Act::Close(Vec::new()));
    for _ in 0..4 {
        assert_eq!(house.call(&house.who.mia, post()).await.status, 502, "half of them stay in use");
    }
    assert_eq!(b.count(), 14);
    house.stop().await;
}

#[tokio::test]
async fn more_requests_than_the_circuit_breaker_allows_are_refused_at_once() {
    for limits in ["{maxRequests: 1}", "{maxConnections: 1, maxPending: 0}"] {
        let a = Upstream::start().await;
        a.does(|_| Act::Hang);
        let house = plan(&format!("{}, circuitBreaker: {limits}", endpoints(&[&a]))).start().await;
        let mut first = house.wire(&house.who.mia).await;
        first.send(format!("GET /orders HTTP/1.1\r\n{}\r\n", house.lines(&house.who.mia))).await;
        a.arrived(1).await;
        assert_eq!(house.call(&house.who.mia, Ask::get("/orders")).await.status, 503, "{limits}");
        assert_eq!(a.count(), 1);
        assert!(
            house.metrics().await.contains("postern_upstream_circuit_open{postern_upstream=\"plain\"} 1"),
            "{limits}"
        );
        drop(first);
        a.left(1).await;
        a.does(|_| json_answer(&json!({})));
        assert_eq!(house.call(&house.who.mia, Ask::get("/orders")).await.status, 200, "{limits}");
        let records = house.stop().await;
        assert!(records.outcomes().contains(&"error: upstream_unavailable".to_owned()));
    }
}

#[tokio::test]
async fn a_request_waits_for_a_connection_where_there_are_no_more() {
    let a = Upstream::start().await;
    let tell = a.steps();
    let house = plan(&format!("{}, circuitBreaker: {{maxConnections: 1}}", endpoints(&[&a]))).start().await;
    let mut first = house.wire(&house.who.mia).await;
    first.send(format!("GET /orders HTTP/1.1\r\n{}\r\n", house.lines(&house.who.mia))).await;
    a.arrived(1).await;
    a.does(|_| json_answer(&json!({})));
    let second = house.call(&house.who.mia, Ask::get("/orders"));
    let finish = async {
        tell.send(answer(200, &[], b"first")).await.unwrap();
        drop(tell);
        first.answer().await.body
    };
    let (second, first) = within("both answers", async { tokio::join!(second, finish) }).await;
    assert_eq!((second.status, first), (200, b"first".to_vec()));
    house.stop().await;
}

#[tokio::test]
async fn an_upstream_that_does_not_answer_in_time_has_failed() {
    let a = Upstream::start().await;
    a.does(|_| Act::Hang);
    let timeouts = "timeouts: {connect: 1s, firstByte: 100ms}, retries: {max: 5, budget: 100}";
    let house = plan(&format!("{}, {timeouts}", endpoints(&[&a]))).start().await;
    assert_eq!(house.call(&house.who.mia, Ask::get("/orders")).await.status, 502);
    a.left(1).await;
    assert_eq!(a.count(), 1, "nobody knows whether it was processed");
    let records = house.stop().await;
    assert!(records.sole().detail().contains("the head of the answer took too long"), "{}", records.sole().detail());
}

#[tokio::test]
async fn an_answer_that_stops_for_too_long_is_cut_where_the_client_must_notice() {
    let a = Upstream::start().await;
    let tell = a.steps();
    let house = plan(&format!("{}, timeouts: {{idle: 200ms}}", endpoints(&[&a]))).start().await;
    let mut open = {
        let open = house.open(&house.who.mia, Ask::get("/orders"));
        let head = async {
            a.arrived(1).await;
            tell.send(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello".to_vec()).await.unwrap();
        };
        tokio::join!(open, head).0
    };
    assert_eq!(open.rest().await, Err("hello".to_owned()));
    drop(open);
    house.stop().await;
}

/// Connections that were made before a reload are not used after it: it may have changed whom to trust.
#[tokio::test]
async fn a_reload_uses_no_connection_that_was_made_before() {
    let house = House::start().await;
    assert_eq!(house.call(&house.who.mia, Ask::get("/orders")).await.status, 200);
    assert_eq!(house.call(&house.who.mia, Ask::get("/orders")).await.status, 200);
    house.change("postern.yaml", "labels: {vendor: house}", "labels: {vendor: other}").await;
    house.plain.left(1).await;
    assert_eq!(house.call(&house.who.mia, Ask::get("/orders")).await.status, 200);
    house.stop().await;
}

#[tokio::test]
async fn an_upstream_that_refuses_a_body_before_it_has_it_all_is_heard() {
    for (status, head) in [
        (413, "HTTP/1.1 413 Content Too Large\r\ncontent-length: 4\r\nconnection: close\r\n\r\nmuch"),
        // Nothing is sent on that connection afterwards, whatever it says.
        (429, "HTTP/1.1 429 Too Many Requests\r\ncontent-length: 4\r\n\r\nmuch"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let house = plan(&format!("url: \"http://{}\"", listener.local_addr().unwrap()))
            .with("manifests/plain.yaml", "maxBodySize: 16Ki", "maxBodySize: 9Mi")
            .start()
            .await;
        let server = tokio::spawn(async move {
            let mut streams = Vec::new();
            for _ in 0..2 {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut came = Vec::new();
                while !came.windows(4).any(|four| four == b"\r\n\r\n") {
                    stream.read_buf(&mut came).await.unwrap();
                }
                stream.write_all(head.as_bytes()).await.unwrap();
                streams.push(stream);
            }
            streams
        });
        let large = serde_json::to_vec(&json!({"n": "x".repeat(8 << 20)})).unwrap();
        for _ in 0..2 {
            let reply = house.call(&house.who.mia, Ask::post("/orders", "application/json", large.clone())).await;
            assert_eq!((reply.status, reply.body.as_str()), (status, "much"));
        }
        within("the server", server).await.unwrap();
        house.stop().await;
    }
}
