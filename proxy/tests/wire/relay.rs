//! Upgrades: opaque once permitted, on routes that allow them, and nowhere else (attacks 2 and 39).

use crate::house::upstream::{Act, answer};
use crate::house::{Ask, House};

pub const SWITCHED: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n";

/// A WebSocket handshake of mia.
pub fn handshake(house: &House, path: &str) -> String {
    let lines = house.lines(&house.who.mia);
    format!(
        "GET {path} HTTP/1.1\r\n{lines}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

#[tokio::test]
async fn frames_pass_both_ways_once_the_handshake_is_permitted() {
    let house = House::start().await;
    house.plain.does(|_| Act::Echo(SWITCHED.into()));
    let mut wire = house.wire(&house.who.mia).await;
    wire.send(handshake(&house, "/socket")).await;
    let answer = wire.answer().await;
    assert_eq!(answer.status, 101);
    assert!(answer.header("upgrade").unwrap().eq_ignore_ascii_case("websocket"));
    for frame in [&b"\x81\x85\x01\x02\x03\x04iijj\x6e"[..], &[0x82, 0x7e, 0x01, 0x00], &vec![7; 70_000]] {
        wire.send(frame).await;
        assert_eq!(wire.bytes(frame.len()).await, frame);
    }
    let seen = house.plain.sole();
    assert_eq!(seen.header("upgrade"), ["websocket"]);
    assert_eq!(seen.header("sec-websocket-key"), ["dGhlIHNhbXBsZSBub25jZQ=="]);
    assert!(seen.header("authorization").is_empty());
    drop(wire);
    house.plain.left(1).await;
    let records = house.stop().await;
    assert_eq!((records.sole().status(), records.sole().decision()), (101, "Allow"));
}

#[tokio::test]
async fn an_upgrade_is_refused_where_the_route_does_not_allow_it() {
    let house = House::start().await;
    house.plain.does(|_| Act::Echo(SWITCHED.into()));
    house.model.does(|_| Act::Echo(SWITCHED.into()));
    let handshakes = [
        handshake(&house, "/orders"),
        handshake(&house, "/forms"),
        handshake(&house, "/socket").replace("websocket", "h2c"),
        handshake(&house, "/socket").replace("Upgrade: websocket", "Upgrade: websocket, h2c"),
        handshake(&house, "/socket").replace("GET", "POST"),
    ];
    for handshake in &handshakes {
        let mut wire = house.wire(&house.who.mia).await;
        wire.send(handshake).await;
        let status = wire.answer().await.status;
        assert!(matches!(status, 400 | 403), "{status} for {handshake}");
    }
    let reply = house.call(&house.who.noah, Ask::get("/socket").header("upgrade", "websocket")).await;
    assert_eq!(reply.status, 403, "the handshake walks the chain like any request");
    assert_eq!(house.plain.count() + house.model.count(), 0);
    assert_eq!(house.stop().await.requests().len(), handshakes.len() + 1);
}

#[tokio::test]
async fn attack_39_an_upstream_that_does_not_switch_is_an_upstream_that_failed() {
    let house = House::start().await;
    for bytes in [answer(200, &[], b"hello"), answer(404, &[], b""), b"garbage\r\n\r\n".to_vec()] {
        house.plain.does(move |_| Act::Close(bytes.clone()));
        let mut wire = house.wire(&house.who.mia).await;
        wire.send(handshake(&house, "/socket")).await;
        let answer = wire.answer().await;
        assert_eq!(answer.status, 502);
        assert!(wire.is_closed().await);
    }
    assert_eq!(house.stop().await.outcomes(), ["error: upstream_failed"; 3]);
}

/// Attack 2: bytes behind the handshake belong to the new protocol, and only once there is one.
#[tokio::test]
async fn attack_2_bytes_behind_a_handshake_that_fails_are_never_a_request() {
    let house = House::start().await;
    house.plain.does(|_| Act::Close(answer(200, &[], b"no")));
    let mut wire = house.wire(&house.who.mia).await;
    let lines = house.lines(&house.who.mia);
    wire.send(format!("{}GET /orders HTTP/1.1\r\n{lines}\r\n", handshake(&house, "/socket"))).await;
    assert_eq!(wire.answer().await.status, 502);
    assert!(wire.is_closed().await);
    let seen = house.plain.sole();
    assert_eq!(seen.request_line(), "GET /socket HTTP/1.1");
    assert_eq!(house.stop().await.requests().len(), 1);
}

#[tokio::test]
async fn attack_2_bytes_behind_a_handshake_are_not_sent_before_the_upstream_has_switched() {
    let house = House::start().await;
    let tell = house.plain.steps();
    let mut wire = house.wire(&house.who.mia).await;
    wire.send(format!("{}early", handshake(&house, "/socket"))).await;
    house.plain.arrived(1).await;
    assert_eq!(house.plain.sole().body, b"");
    tell.send(SWITCHED.into()).await.unwrap();
    assert_eq!(wire.answer().await.status, 101);
    tell.send(b"frame".to_vec()).await.unwrap();
    assert_eq!(wire.bytes(5).await, b"frame");
    drop((wire, tell));
    house.stop().await;
}

#[tokio::test]
async fn an_upstream_that_ends_the_tunnel_ends_it_for_the_client() {
    let house = House::start().await;
    let tell = house.plain.steps();
    let mut wire = house.wire(&house.who.mia).await;
    wire.send(handshake(&house, "/socket")).await;
    tell.send(SWITCHED.into()).await.unwrap();
    assert_eq!(wire.answer().await.status, 101);
    drop(tell);
    assert!(wire.is_closed().await);
    assert_eq!(house.stop().await.outcomes(), ["allow"]);
}
