//! Clients that take their time, at every step: who means well is served while they do (attack 42, in its short form).

use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::frames::{DATA, END_HEADERS, HEADERS, PREFACE, SETTINGS, block, frame};
use crate::house::House;
use crate::one::honest;

const EACH: usize = 30;

#[tokio::test]
async fn attack_42_slow_clients_keep_nobody_waiting() {
    let house = House::start().await;
    let lines = house.lines(&house.who.mia);
    let mut sockets = Vec::new();
    for at in 0..EACH {
        let mut socket = TcpStream::connect(house.address("public")).await.unwrap();
        // Nothing, half a record header, a record that promises more.
        let begun: &[u8] = [&b""[..], b"\x16\x03", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc"][at % 3];
        socket.write_all(begun).await.unwrap();
        sockets.push(socket);
    }
    let mut wires = Vec::new();
    for at in 0..EACH {
        let mut wire = house.wire(&house.who.mia).await;
        let begun = [
            String::new(),
            "G".to_owned(),
            format!("GET /orders HTTP/1.1\r\n{lines}X-Slow: a"),
            format!("POST /orders HTTP/1.1\r\n{lines}Content-Type: application/json\r\nContent-Length: 9999\r\n\r\n{{"),
            format!(
                "POST /orders HTTP/1.1\r\n{lines}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nf"
            ),
        ];
        wire.send(&begun[at % begun.len()]).await;
        wires.push(wire);
    }
    let mut streams = Vec::new();
    let mut post = house.fields(&house.who.mia, "POST", "/orders");
    post.push(("content-type".to_owned(), "application/json".to_owned()));
    let post = block(&post);
    for at in 0..EACH {
        let mut frames = house.frames_before_preface(Some(&house.who.mia.issued)).await;
        let begun = [
            b"PRI * HT".to_vec(),
            PREFACE.to_vec(),
            [PREFACE, &frame(SETTINGS, 0, 0, &[]), &frame(HEADERS, 0, 1, &post[..9])].concat(),
            [PREFACE, &frame(SETTINGS, 0, 0, &[]), &frame(HEADERS, END_HEADERS, 1, &post), &frame(DATA, 0, 1, b"{")]
                .concat(),
        ];
        frames.send(&begun[at % begun.len()]).await.unwrap();
        streams.push(frames);
    }
    let began = Instant::now();
    for _ in 0..5 {
        honest(&house).await;
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(house.plain.count(), 10, "none of the slow ones has asked for anything yet");
    drop((sockets, wires, streams));
    drop(house);
}
