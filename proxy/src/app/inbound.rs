//! Waits for the next request on an HTTP/1.1 connection and reads its head whole, within time and size, before anything
//! is parsed.
//!
//! Pingora would take a byte every minute and a mebibyte of head, and rewrites request lines that it cannot read until
//! it can (attacks 6, 18, 42). What comes out of here is a whole head of a bounded size with a plain request line.

use std::time::Duration;

use bytes::{Buf, BytesMut};
use pingora_core::protocols::Stream;
use postern_config::ConnectionGuard;
use postern_filters::{Reason, Refusal};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::watch;

/// Time a connection may wait for its next request.
pub(crate) const IDLE: Duration = Duration::from_secs(60);
/// Room beside the headers for the request line, and for what makes a line.
const BESIDE: usize = 16 * 1024;
const READ: usize = 4096;
/// Time for a first request that was on its way when a stop was asked for.
const FIRST_CHANCE: Duration = Duration::from_millis(500);

/// What a head may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Time for it, from its first byte; on a new connection from the handshake.
    pub(crate) within: Duration,
    /// Bytes of it.
    max: usize,
}

impl Limits {
    pub(crate) fn of(guard: &ConnectionGuard) -> Self {
        Self { within: guard.headers, max: guard.max_header_size.saturating_add(BESIDE) }
    }
}

/// What came.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// A head is in the buffer, maybe with more behind it.
    Head,
    /// Nothing: the client left or idled, or we are shutting down.
    Nothing,
    /// The connection ended inside a head.
    Torn,
    Refused(Refusal),
}

/// Reads into `bytes`, which may hold what came behind the last request, until they begin with a whole head.
pub(crate) async fn next(
    stream: &mut Stream,
    bytes: &mut BytesMut,
    first: bool,
    stop: &mut watch::Receiver<bool>,
    limits: Limits,
) -> Arrival {
    if bytes.is_empty() {
        let patience = if first { limits.within } else { IDLE };
        let ending = async {
            stopped(stop).await;
            if first {
                // Who has just connected has not been told that we are leaving, and may have sent what cannot be sent twice.
                tokio::time::sleep(FIRST_CHANCE).await;
            }
        };
        let came = tokio::select! {
            biased; // a request that has arrived is served even when we are shutting down
            came = tokio::time::timeout(patience, fill(stream, bytes)) => came,
            () = ending => return Arrival::Nothing,
        };
        match came {
            Ok(true) => {}
            Err(_) if first => return slow(),
            Ok(false) | Err(_) => return Arrival::Nothing,
        }
    }
    tokio::time::timeout(limits.within, rest(stream, bytes, limits.max)).await.unwrap_or_else(|_| slow())
}

/// Whether the whole head in `bytes` asks for a tunnel, and something was sent behind it without waiting for the answer.
pub(crate) fn is_early_tunnel(bytes: &[u8]) -> bool {
    bytes.starts_with(b"CONNECT ") && end_of_head(bytes, 0).is_some_and(|end| bytes.len() > end)
}

/// Returns once `stop` is true.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn rest(stream: &mut (impl AsyncRead + Unpin), bytes: &mut BytesMut, max: usize) -> Arrival {
    let mut seen = 0;
    loop {
        // RFC 9112 §2.2: an empty line in front of a request is passed over.
        while bytes.starts_with(b"\r\n") {
            bytes.advance(2);
            seen = 0;
        }
        if let Some(end) = end_of_head(bytes, seen) {
            return match check_line(bytes.get(..end).unwrap_or_default()) {
                Ok(()) => Arrival::Head,
                Err(detail) => Arrival::Refused(Refusal::new(Reason::Malformed, detail)),
            };
        }
        if bytes.len() > max {
            return Arrival::Refused(Refusal::new(
                Reason::HeadersTooLarge,
                format!("no end of the head in {max} bytes"),
            ));
        }
        seen = bytes.len().saturating_sub(2);
        if !fill(stream, bytes).await {
            return Arrival::Torn;
        }
    }
}

/// Reads once. False where the other side has ended or broken off.
async fn fill(stream: &mut (impl AsyncRead + Unpin), bytes: &mut BytesMut) -> bool {
    bytes.reserve(READ);
    matches!(stream.take(READ as u64).read_buf(bytes).await, Ok(read) if read > 0)
}

/// Where the head ends, by any reading of line ends; the first `seen` bytes were looked at before.
fn end_of_head(bytes: &[u8], seen: usize) -> Option<usize> {
    let fresh = bytes.get(seen..)?;
    let mut from = 0;
    while let Some(at) = fresh.get(from..)?.iter().position(|byte| *byte == b'\n') {
        let after = fresh.get(from + at + 1..)?;
        if after.first() == Some(&b'\n') {
            return Some(seen + from + at + 2);
        }
        if after.starts_with(b"\r\n") {
            return Some(seen + from + at + 3);
        }
        from += at + 1;
    }
    None
}

/// The request line as it was sent: three words of visible ASCII, one space between them, and a whole line end.
fn check_line(head: &[u8]) -> Result<(), &'static str> {
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").ok_or("the request line ends without carriage return")?;
    let mut words = line.split(|byte| *byte == b' ');
    let plain = |word: &[u8]| !word.is_empty() && word.iter().all(u8::is_ascii_graphic);
    let three = [words.next(), words.next(), words.next()];
    if words.next().is_some() || !three.iter().all(|word| word.is_some_and(plain)) {
        return Err("the request line is not three plain words");
    }
    Ok(())
}

fn slow() -> Arrival {
    Arrival::Refused(Refusal::new(Reason::SlowRequest, "no request head in time"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX_HEAD: usize = 48 * 1024;

    async fn read(pieces: &[&[u8]]) -> (Arrival, BytesMut) {
        let (mut client, mut server) = tokio::io::duplex(1 << 20);
        for piece in pieces {
            tokio::io::AsyncWriteExt::write_all(&mut client, piece).await.unwrap();
        }
        drop(client);
        let mut bytes = BytesMut::new();
        (rest(&mut server, &mut bytes, MAX_HEAD).await, bytes)
    }

    #[tokio::test]
    async fn a_head_is_whole_wherever_it_is_cut() {
        let head = b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\nbehind";
        for cut in 0..head.len() {
            let (first, second) = head.split_at(cut);
            let mut bytes = BytesMut::from(first);
            let arrival = rest(&mut &*second, &mut bytes, MAX_HEAD).await;
            assert!(matches!(arrival, Arrival::Head), "{cut}: {arrival:?}");
            assert!(bytes.starts_with(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), "{cut}");
        }
        let (arrival, _) = read(&[b"GET / HTTP/1.1\r\nHost: a\r\n"]).await;
        assert!(matches!(arrival, Arrival::Torn));
    }

    #[tokio::test]
    async fn a_head_without_an_end_is_refused_before_it_is_kept() {
        let (arrival, bytes) = read(&[b"GET / HTTP/1.1\r\nX: ", &[b'a'; 200_000]]).await;
        assert!(matches!(arrival, Arrival::Refused(refusal) if refusal.reason == Reason::HeadersTooLarge));
        assert!(bytes.len() <= MAX_HEAD + READ, "{}", bytes.len());
    }

    #[test]
    fn attack_18_a_request_line_is_taken_as_it_was_sent_or_not_at_all() {
        for (line, ok) in [
            ("GET / HTTP/1.1\r\n", true),
            ("GET /a%20b?c HTTP/1.1\r\n", true),
            ("GET /a b HTTP/1.1\r\n", false),
            ("GET  / HTTP/1.1\r\n", false),
            ("GET / HTTP/1.1 \r\n", false),
            ("GET\t/\tHTTP/1.1\r\n", false),
            ("GET /\u{e9} HTTP/1.1\r\n", false),
            ("GET /\u{1} HTTP/1.1\r\n", false),
            ("GET / HTTP/1.1\n", false),
            ("GET /\r\n", false),
            ("\r\n", false),
        ] {
            assert_eq!(check_line(format!("{line}Host: a\r\n\r\n").as_bytes()).is_ok(), ok, "{line:?}");
        }
    }
}
