//! Between the sockets: heads that are no HTTP, answers that are none, clients that leave, write on or do not read.

use std::time::{Duration, Instant};

use tokio::time::timeout;

use crate::house::upstream::{self, Act};
use crate::house::{Ask, House, Records};

const SECRET: &str = "t0psecret";

fn keeps_no_secret(records: &Records) {
    assert!(!format!("{records:?}").contains(SECRET), "{records:#?}");
}

#[tokio::test]
async fn a_head_that_is_no_http_is_answered_and_recorded_without_its_bytes() {
    let house = House::start().await;
    let secret = format!("Authorization: Bearer {SECRET}");
    let heads = [
        format!("NONSENSE\r\n{secret}\r\n\r\n"),
        format!("GET /orders HTTP/1.1\r\n{secret}\r\nno colon\r\n\r\n"),
        format!("GET /orders HTTP/1.1\r\n{secret}\r\nX: \u{1}\r\n\r\n"),
        format!("GET /orders HTTP/1.1\r\n{secret}\r\nHost : localhost\r\n\r\n"),
        format!("GET /orders HTTP/7.1\r\nHost: localhost\r\n{secret}\r\n\r\n"),
        format!("GET /orders HTTP/1.1\r\n{secret}\r\nHost: a\r\nHost: b\r\n\r\n"),
        format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{secret}"),
    ];
    for head in &heads {
        let mut wire = house.wire(&house.who.mia).await;
        wire.send(head).await;
        assert_eq!(wire.answer().await.status, 400, "{head:?}");
        assert!(wire.is_closed().await, "{head:?}");
    }
    let records = house.stop().await;
    assert_eq!(records.outcomes(), vec!["deny: malformed"; heads.len()]);
    keeps_no_secret(&records);
}

#[tokio::test]
async fn attack_18_a_request_line_that_would_have_to_be_mended_is_refused() {
    let house = House::start().await;
    let lines = house.lines(&house.who.mia);
    for line in [
        "GET /orders /x HTTP/1.1\r\n",
        "GET /orders/<x> HTTP/1.1\r\n",
        "GET  /orders HTTP/1.1\r\n",
        "GET /orders HTTP/1.1\n",
    ] {
        let mut wire = house.wire(&house.who.mia).await;
        wire.send(format!("{line}{lines}\r\n")).await;
        assert_eq!(wire.answer().await.status, 400, "{line:?}");
    }
    assert_eq!(house.plain.count(), 0);
}

#[tokio::test]
async fn attack_6_a_head_without_an_end_is_refused_long_before_a_mebibyte() {
    let house = House::start().await;
    let mut wire = house.wire(&house.who.mia).await;
    let _ = wire.try_send(format!("GET / HTTP/1.1\r\nX: {}", "a".repeat(50 * 1024))).await;
    assert_eq!(wire.answer().await.status, 431);
}

#[tokio::test]
async fn attack_1_a_client_that_is_still_writing_reads_why_it_was_refused() {
    let house = House::start().await;
    let lines = house.lines(&house.who.mia);
    let mut wire = house.wire(&house.who.mia).await;
    let body = format!("GET /orders HTTP/1.1\r\n{lines}\r\n").repeat(2000);
    let head = format!(
        "POST /orders HTTP/1.1\r\n{lines}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    wire.send(head).await;
    wire.send(body).await;
    assert_eq!(wire.answer().await.status, 413);
    assert!(wire.is_closed().await, "nothing of the body is taken for a request");
    assert_eq!(house.plain.count(), 0);
    assert_eq!(house.stop().await.outcomes(), ["deny: too_large"]);
}

#[tokio::test]
async fn an_answer_that_two_could_read_differently_does_not_come_through() {
    let house = House::start().await;
    let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\nContent-Length: 0\r\n\r\n", "a".repeat(70 * 1024));
    let answers = [
        (
            "two lengths",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        ),
        ("another coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"),
        ("a folded line", "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\nhi"),
        ("a long head", &long),
        ("101 unasked", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
        ("no HTTP", "HTTP/1.1 200 OK\r\nSet-Cookie: t0psecret\r\nX\u{1}: a\r\n\r\n"),
        ("informational without end", &"HTTP/1.1 103 Early Hints\r\nSet-Cookie: t0psecret\r\n\r\n".repeat(100)),
    ];
    for (case, bytes) in answers {
        let bytes = bytes.as_bytes().to_vec();
        house.plain.does(move |_| Act::Close(bytes.clone()));
        let reply = house.call(&house.who.mia, Ask::get("/orders")).await;
        assert_eq!(reply.status, 502, "{case}: {}", reply.body);
    }
    let records = house.stop().await;
    assert_eq!(records.outcomes(), vec!["error: upstream_failed"; answers.len()]);
    keeps_no_secret(&records);
}

#[tokio::test]
async fn a_client_that_leaves_takes_the_upstream_request_with_it() {
    for h2 in [false, true] {
        // Before the head of the answer; in the middle of one that is read whole; in the middle of one that is passed on.
        for (path, sent) in [
            ("/orders", ""),
            ("/forms", "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\nhalf"),
            ("/orders", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"),
        ] {
            let house = House::start().await;
            let tell = house.plain.steps();
            tell.send(sent.as_bytes().to_vec()).await.unwrap();
            let call = house.call(&house.who.mia, Ask::get(path).over(h2));
            let arrived = async {
                house.plain.arrived(1).await;
                tell.send(Vec::new()).await.unwrap();
                // Whatever was sent has been seen by now, or will be with the leaving: both are fine.
                tokio::task::yield_now().await;
            };
            tokio::select! {
                reply = call => panic!("{reply:?}"),
                () = arrived => {}
            }
            let left = Instant::now();
            house.plain.left(1).await;
            let took = left.elapsed();
            println!("h2 {h2}, {path} after {} bytes: upstream closed after {took:?}", sent.len());
            assert!(took < Duration::from_millis(500), "{took:?}");
            let records = house.stop().await;
            assert_eq!(records.outcomes(), ["allow"], "leaving is no refusal");
            assert!(records.sole().detail().contains("the client left"), "{:?}", records.sole());
        }
    }
}

#[tokio::test]
async fn every_event_of_a_stream_leaves_as_it_comes() {
    for h2 in [false, true] {
        let house = House::start().await;
        let tell = house.model.steps();
        let (mut open, _) =
            tokio::join!(house.open(&house.who.mia, Ask::streamed("hi").over(h2)), tell.send(upstream::stream_head()),);
        let mut slowest = Duration::ZERO;
        for word in ["one. ", "two. ", "three. ", "four. "] {
            let began = Instant::now();
            tell.send(upstream::delta(word)).await.unwrap();
            open.until(word.trim()).await;
            slowest = slowest.max(began.elapsed());
        }
        println!("h2 {h2}: slowest event {slowest:?}");
        tell.send(upstream::done()).await.unwrap();
        drop(tell);
        open.until("[DONE]").await;
        open.rest().await.unwrap();
        drop(open);
        house.stop().await;
    }
}

#[tokio::test]
async fn attack_42_a_client_that_does_not_read_holds_its_upstream_back() {
    const PIECE: usize = 256 * 1024;
    for h2 in [false, true] {
        let house = House::start().await;
        let tell = house.plain.steps();
        tell.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_vec()).await.unwrap();
        let open = house.open(&house.who.mia, Ask::get("/orders").over(h2)).await;
        let mut sent = 0;
        while let Ok(taken) = timeout(Duration::from_millis(500), tell.send(vec![b'a'; PIECE])).await {
            taken.unwrap();
            sent += PIECE;
            assert!(sent < 256 << 20, "nothing holds the upstream back");
        }
        // Less what waits in the test's own channel.
        println!("h2 {h2}: {} KiB on the way before the upstream had to wait", (sent - 64 * PIECE) / 1024);
        assert!(sent - 64 * PIECE < 32 << 20);
        drop(open);
        house.plain.left(1).await;
        assert_eq!(house.stop().await.outcomes(), ["allow"]);
    }
}
