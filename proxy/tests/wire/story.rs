//! One record whatever happens: clients that leave, upstreams that fail, connections that carry nothing; and what a
//! connection carries in turn.

use crate::house::upstream::{Act, answer, chat, delta, stream_head};
use crate::house::{Ask, House};

#[tokio::test]
async fn an_upstream_that_closes_or_speaks_garbage_is_502_with_a_record() {
    let house = House::start().await;
    for (case, bytes) in [
        ("closes", Vec::new()),
        ("garbage", b"\x00\x01\x02\r\n\r\n".to_vec()),
        ("half a head", b"HTTP/1.1 200 OK\r\ncontent-".to_vec()),
        ("half a body", b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{".to_vec()),
        ("switches unasked", crate::relay::SWITCHED.into()),
    ] {
        house.model.does(move |_| Act::Close(bytes.clone()));
        for h2 in [false, true] {
            let reply = house.call(&house.who.mia, Ask::chat("hello").over(h2)).await;
            assert_eq!(reply.status, 502, "{case}: {}", reply.body);
            assert_eq!(reply.json()["error"]["type"], "server_error");
            assert_eq!(reply.header("x-should-retry"), "");
        }
    }
    let records = house.stop().await;
    assert_eq!(records.outcomes(), ["error: upstream_failed"; 10]);
}

#[tokio::test]
async fn an_upstream_that_is_not_there_is_502_with_a_record() {
    let house = House::plan().with("postern.yaml", "http://MODEL", "http://127.0.0.1:1").start().await;
    for h2 in [false, true] {
        assert_eq!(house.call(&house.who.mia, Ask::chat("hello").over(h2)).await.status, 502);
    }
    assert_eq!(house.stop().await.outcomes(), ["error: upstream_failed"; 2]);
}

#[tokio::test]
async fn an_answer_that_ends_in_the_middle_does_not_look_whole() {
    let house = House::start().await;
    for bytes in [
        &b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nhalf"[..],
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ] {
        house.plain.does(move |_| Act::Close(bytes.to_vec()));
        for h2 in [false, true] {
            let mut open = house.open(&house.who.mia, Ask::get("/orders").over(h2)).await;
            assert_eq!(open.response.status(), 200);
            // A reset may overtake what was sent before it.
            let came = open.rest().await.unwrap_err();
            assert!("half".starts_with(&came), "h2 {h2}: {came}");
        }
    }
    let records = house.stop().await;
    assert_eq!(records.requests().len(), 4);
    assert!(records.requests().iter().all(|r| r.detail().contains("the upstream broke off")), "{records:?}");
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_of_its_request_leaves_a_record_and_no_upstream_request() {
    let house = House::start().await;
    let lines = house.lines(&house.who.mia);
    for body in ["Content-Length: 100\r\n\r\n{", "Transfer-Encoding: chunked\r\n\r\n5\r\n{"] {
        let mut wire = house.wire(&house.who.mia).await;
        wire.send(format!("POST /orders HTTP/1.1\r\n{lines}Content-Type: application/json\r\n{body}")).await;
        wire.half_close().await;
        let _ = wire.try_answer().await;
    }
    assert_eq!(house.plain.count(), 0);
    let records = house.stop().await;
    assert_eq!(records.requests().len(), 2);
    assert!(records.requests().iter().all(|r| r.decision() == "Deny"), "{:?}", records.outcomes());
}

#[tokio::test]
async fn connections_without_a_request_leave_one_record_each() {
    let house = House::start().await;
    // A handshake and nothing more, in both versions; half a head; no handshake at all.
    drop(house.wire(&house.who.mia).await);
    drop(house.connect(Some(&house.who.mia.issued), "public", b"h2").await.unwrap());
    let mut wire = house.wire(&house.who.mia).await;
    wire.send("GET /orders HT").await;
    wire.half_close().await;
    assert!(wire.is_closed().await);
    let mut tcp = tokio::net::TcpStream::connect(house.address("public")).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut tcp, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut came = Vec::new();
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut tcp, &mut came).await;
    assert!(!came.starts_with(b"HTTP"), "plain HTTP is not answered");
    let records = house.stop().await;
    assert_eq!(records.requests().len(), 0);
    assert_eq!(records.connections().len(), 4, "{records:#?}");
}

#[tokio::test]
async fn a_request_after_a_refused_one_is_judged_for_itself_on_the_same_connection() {
    let house = House::start().await;
    let lines = house.lines(&house.who.mia);
    let mut wire = house.wire(&house.who.mia).await;
    for (line, want) in [("GET /orders", 200), ("GET /nothing", 403), ("GET /orders/7", 200)] {
        wire.send(format!("{line} HTTP/1.1\r\n{lines}\r\n")).await;
        let answer = wire.answer().await;
        assert_eq!((answer.status, answer.header("connection")), (want, Some("keep-alive")), "{line}");
    }
    // The credential belongs to a request, not to the connection.
    wire.send("GET /orders HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert_eq!(wire.answer().await.status, 401);
    drop(wire);
    assert_eq!(house.plain.count(), 2);
    let records = house.stop().await;
    assert_eq!(records.outcomes(), ["allow", "deny: not_permitted", "allow", "deny: credential_missing"]);
    let places: Vec<_> = records.requests().iter().map(|record| record.place().1).collect();
    assert_eq!(places, [0, 1, 2, 3], "numbered, so that one that is missing shows");
    assert_eq!(records.connections().len(), 0);
}

#[tokio::test]
async fn pipelined_requests_are_each_judged_and_answered_in_order() {
    let house = House::start().await;
    house.plain.does(|seen| {
        let path = seen.request_line().split(' ').nth(1).unwrap().to_owned();
        Act::Answer(answer(200, &[], path.as_bytes()))
    });
    let lines = house.lines(&house.who.mia);
    let post =
        format!("POST /orders HTTP/1.1\r\n{lines}Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}");
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\n{lines}\r\n");
    let mut wire = house.wire(&house.who.mia).await;
    wire.send([get("/orders/1"), get("/admin"), post, get("/orders/2"), get("/orders/3")].concat()).await;
    let mut got = Vec::new();
    for _ in 0..5 {
        let answer = wire.answer().await;
        got.push((answer.status, String::from_utf8(answer.body).unwrap()));
    }
    let bodies: Vec<_> = got.iter().filter(|(status, _)| *status == 200).map(|(_, body)| body.as_str()).collect();
    assert_eq!(got.iter().map(|(status, _)| *status).collect::<Vec<_>>(), [200, 403, 200, 200, 200]);
    assert_eq!(bodies, ["/orders/1", "/orders", "/orders/2", "/orders/3"]);
    drop(wire);
    assert_eq!(house.plain.count(), 4);
    assert_eq!(house.stop().await.requests().len(), 5);
}

#[tokio::test]
async fn what_is_pipelined_behind_an_ambiguous_request_is_never_served() {
    let house = House::start().await;
    let lines = house.lines(&house.who.mia);
    let mut wire = house.wire(&house.who.mia).await;
    wire.send(format!(
        "POST /orders HTTP/1.1\r\n{lines}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n\
         GET /orders HTTP/1.1\r\n{lines}\r\n"
    ))
    .await;
    assert_eq!(wire.answer().await.status, 400);
    assert!(wire.is_closed().await);
    assert_eq!(house.plain.count(), 0);
    assert_eq!(house.stop().await.requests().len(), 1);
}

#[tokio::test]
async fn head_and_empty_answers_keep_their_frame() {
    let house = House::start().await;
    let lines = house.lines(&house.who.mia);
    house.plain.does(|seen| match seen.request_line().split(' ').next() {
        Some("HEAD") => Act::Answer(b"HTTP/1.1 200 OK\r\ncontent-length: 1234\r\n\r\n".to_vec()),
        Some("DELETE") => Act::Answer(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()),
        _ => Act::Answer(answer(200, &[], b"body")),
    });
    let mut wire = house.wire(&house.who.mia).await;
    wire.send(format!("DELETE /orders/1 HTTP/1.1\r\n{lines}\r\n")).await;
    let answer = wire.answer().await;
    assert_eq!((answer.status, answer.header("content-length"), answer.header("transfer-encoding")), (204, None, None));
    wire.send(format!("GET /orders HTTP/1.1\r\n{lines}\r\n")).await;
    assert_eq!(wire.answer().await.body, b"body");
    drop(wire);
    for h2 in [false, true] {
        let reply = house.call(&house.who.mia, Ask::new("HEAD", "/orders").over(h2)).await;
        assert_eq!((reply.status, reply.header("content-length"), reply.body.as_str()), (200, "1234", ""));
    }
    assert_eq!(house.stop().await.outcomes(), ["allow"; 4]);
}

#[tokio::test]
async fn an_upstream_connection_is_used_again_and_not_after_trouble() {
    let house = House::start().await;
    house.model.says(chat("hi"));
    for _ in 0..3 {
        assert_eq!(house.call(&house.who.mia, Ask::chat("hello")).await.status, 200);
    }
    // The pooled connection is closed by the other side without a word: the next request must not suffer from its answer.
    house.model.does(|_| Act::Close(chat("last")));
    assert_eq!(house.call(&house.who.mia, Ask::chat("hello")).await.said(), "last");
    house.model.says(chat("again"));
    assert_eq!(house.call(&house.who.mia, Ask::chat("hello")).await.said(), "again");
    house.stop().await;
}

#[tokio::test]
async fn a_shutdown_lets_an_open_stream_end_and_records_it() {
    let house = House::start().await;
    let tell = house.model.steps();
    tell.send([stream_head(), delta("some words. "), delta("more. ")].concat()).await.unwrap();
    let mut open = house.open(&house.who.mia, Ask::streamed("hello").h2()).await;
    open.until("some").await;
    let stopping = tokio::spawn(house.stop());
    tell.send([delta("and the end."), crate::house::upstream::done()].concat()).await.unwrap();
    drop(tell);
    assert!(open.rest().await.unwrap().contains("[DONE]"));
    drop(open);
    let records = stopping.await.unwrap();
    assert_eq!(records.outcomes(), ["allow"]);
    assert!(records.sole().streamed());
}

#[tokio::test]
async fn a_panic_leaves_a_record_and_takes_nobody_else_along() {
    let house = House::start().await;
    let lines = house.lines(&house.who.mia);
    for alpn in [&b"http/1.1"[..], b"h2"] {
        house.clock.fail_once();
        if alpn == b"h2" {
            house.try_send(Some(&house.who.mia.issued), Ask::get("/orders").h2()).await.unwrap_err();
        } else {
            let mut wire = house.wire(&house.who.mia).await;
            wire.send(format!("GET /orders HTTP/1.1\r\n{lines}\r\n")).await;
            assert!(wire.is_closed().await);
        }
        assert_eq!(house.call(&house.who.mia, Ask::get("/orders")).await.status, 200);
    }
    let records = house.stop().await;
    assert_eq!(records.outcomes(), ["allow", "allow"]);
    let panicked = records.connections().into_iter().filter(|record| record.detail().contains("panicked")).count();
    assert_eq!(panicked, 2, "{records:#?}");
}

#[tokio::test]
async fn a_credential_that_expires_while_the_connection_is_open_ends_what_it_may_do() {
    let house = House::start().await;
    let lines = house.lines(&house.who.mia);
    let mut wire = house.wire(&house.who.mia).await;
    for (forward, want, why) in [(0, 200, ""), (3100, 401, "expired")] {
        house.clock.forward(forward);
        wire.send(format!("GET /orders HTTP/1.1\r\n{lines}\r\n")).await;
        assert_eq!(wire.answer().await.status, want, "{why}");
    }
    drop(wire);
    assert_eq!(house.plain.count(), 1);
    let records = house.stop().await;
    let details: Vec<_> = records.requests().iter().map(|record| record.detail().to_owned()).collect();
    assert!(details[1].contains("expired"), "{details:?}");
}
