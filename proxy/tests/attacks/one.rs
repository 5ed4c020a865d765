//! One request as it is, on a connection of its own.

use crate::house::raw::Answer;
use crate::house::{Ask, House};

/// The answer to `request`, with `{lines}` replaced by mia's host and token, and whether the connection ended with it.
pub async fn one(house: &House, request: impl AsRef<[u8]>) -> (u16, bool) {
    let (answer, closed) = answered(house, request).await;
    (answer.status, closed)
}

pub async fn answered(house: &House, request: impl AsRef<[u8]>) -> (Answer, bool) {
    let request = with_lines(house, request.as_ref());
    let mut wire = house.wire(&house.who.mia).await;
    wire.send(request).await;
    let answer = wire.answer().await;
    let says_close = answer.header("connection") == Some("close");
    let closed = says_close && wire.is_closed().await;
    (answer, closed)
}

/// Host and token of mia in the place of `{lines}`.
pub fn with_lines(house: &House, request: &[u8]) -> Vec<u8> {
    let mark = b"{lines}";
    match request.windows(mark.len()).position(|window| window == mark) {
        Some(at) => {
            let lines = house.lines(&house.who.mia);
            [&request[..at], lines.as_bytes(), &request[at + mark.len()..]].concat()
        }
        None => request.to_vec(),
    }
}

/// Somebody who means well is served, on both versions.
pub async fn honest(house: &House) {
    for h2 in [false, true] {
        let reply = house.call(&house.who.ned, Ask::get("/orders/honest").over(h2)).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
    }
}
