//! Connections that would become something else (attacks 2, 38 and 39).

use rustls_pki_types::UnixTime;
use serde_json::json;

use crate::frames::{DATA, END_HEADERS, END_STREAM, End, HEADERS, block, frame};
use crate::house::House;
use crate::house::upstream::{Act, answer};
use crate::one::one;

const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

fn handshake(lines: &str, protocol: &str) -> String {
    format!(
        "GET /socket HTTP/1.1\r\n{lines}Connection: Upgrade\r\nUpgrade: {protocol}\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

/// Whatever the upgrade is called and whatever the upstream says to it: what stands behind is not served unjudged.
#[tokio::test]
async fn attack_2_a_request_behind_an_upgrade_is_judged_or_dropped() {
    let house = House::start().await;
    let lines = house.lines(&house.who.mia);
    for protocol in ["x", "h2c", "websocket", "WebSocket", "TLS/1.2", "websocket, x"] {
        for path in ["/socket", "/orders"] {
            house.plain.says(answer(200, &[], b"no switch"));
            let upgrade = handshake(&lines, protocol).replace("/socket", path);
            let mut wire = house.wire(&house.who.mia).await;
            wire.send(format!("{upgrade}GET /admin/smuggled HTTP/1.1\r\n{lines}Connection: close\r\n\r\n")).await;
            while let Some(answer) = wire.try_answer().await {
                assert!(matches!(answer.status, 400 | 403 | 502), "{protocol} {path}: {}", answer.head);
            }
        }
    }
    assert!(
        house.plain.seen().iter().all(|seen| seen.request_line() == "GET /socket HTTP/1.1" && seen.body.is_empty())
    );
    house.stop().await;
}

#[tokio::test]
async fn attack_38_connect_is_refused_in_every_form() {
    let house = House::start().await;
    for request in [
        "CONNECT localhost:443 HTTP/1.1\r\n{lines}\r\n",
        "CONNECT localhost HTTP/1.1\r\n{lines}\r\n",
        "CONNECT /orders HTTP/1.1\r\n{lines}\r\n",
        "CONNECT https://localhost/orders HTTP/1.1\r\n{lines}\r\n",
        "CONNECT * HTTP/1.1\r\n{lines}\r\n",
        "CONNECT localhost:443 HTTP/1.1\r\n{lines}Content-Length: 2\r\n\r\n{}",
        "CONNECT localhost:443 HTTP/1.1\r\n{lines}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "CONNECT localhost:443 HTTP/1.1\r\n{lines}\r\nGET /orders HTTP/1.1\r\n{lines}\r\n",
        "CONNECT localhost:443 HTTP/1.1\r\n{lines}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    ] {
        let (status, closed) = one(&house, request).await;
        assert_eq!((status, closed), (400, true), "{request}");
    }
    for fields in [
        vec![(":method", "CONNECT"), (":authority", "localhost:443")],
        vec![(":method", "CONNECT"), (":authority", "localhost:443"), (":scheme", "https"), (":path", "/orders")],
        vec![
            (":method", "CONNECT"),
            (":scheme", "https"),
            (":authority", "localhost"),
            (":path", "/socket"),
            (":protocol", "websocket"),
        ],
        vec![
            (":method", "GET"),
            (":scheme", "https"),
            (":authority", "localhost"),
            (":path", "/socket"),
            (":protocol", "websocket"),
        ],
        vec![(":method", "CONNECT"), (":authority", "localhost"), (":protocol", "")],
        vec![(":method", "CONNECT")],
    ] {
        let mut fields: Vec<(String, String)> =
            fields.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        fields.push(("authorization".to_owned(), format!("Bearer {}", house.token(&house.who.mia))));
        let mut frames = house.frames(&house.who.mia).await;
        let tunnelled = frame(DATA, END_STREAM, 1, b"GET /orders HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let _ = frames.send(&[frame(HEADERS, END_HEADERS, 1, &block(&fields)), tunnelled].concat()).await;
        let end = frames.end_of(1).await;
        assert!(matches!(end, End::Answered(400 | 403 | 405) | End::Reset | End::Closed), "{fields:?}: {end:?}");
    }
    assert_eq!(house.plain.count(), 0);
    let records = house.stop().await;
    assert!(records.outcomes().iter().all(|outcome| outcome.starts_with("deny: ")), "{:?}", records.outcomes());
}

/// A tunnel is as long as the credential that opened it: it is cut when that ends, in the middle of a frame.
#[tokio::test]
async fn attack_39_a_tunnel_ends_with_the_credential_that_opened_it() {
    let house = House::start().await;
    house.plain.does(|_| Act::Echo(SWITCHED.into()));
    let mia = &house.who.mia;
    let now = UnixTime::now().as_secs();
    let token = house.token_with(mia, mia, json!({"exp": now + 3}));
    let mut wire = house.wire(mia).await;
    wire.send(handshake(&format!("Host: localhost\r\nAuthorization: Bearer {token}\r\n"), "websocket")).await;
    assert_eq!(wire.answer().await.status, 101);
    wire.send(b"\x81\x85").await;
    assert_eq!(wire.bytes(2).await, b"\x81\x85");
    assert!(wire.is_closed().await, "the tunnel outlives its credential");
    house.plain.left(1).await;
    house.stop().await;
}
