//! HTTP/2 requests whose stated length is not what comes, where the frames come one after the other.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::house::{House, within};

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    [&[0, length[0], length[1], kind, flags, 0, 0, 0, stream], payload].concat()
}

/// A header field without indexing and Huffman coding (RFC 7541 §6.2.2), of lengths that need two bytes at most.
fn literal(name: &str, value: &str) -> Vec<u8> {
    let mut out = vec![0];
    for text in [name, value] {
        match text.len() {
            short @ 0..127 => out.push(u8::try_from(short).unwrap()),
            long => {
                let rest = long - 127;
                out.extend([127, u8::try_from(rest % 128).unwrap() | 0x80, u8::try_from(rest / 128).unwrap()]);
            }
        }
        out.extend_from_slice(text.as_bytes());
    }
    out
}

/// Reads frames until one of `kind` has come, and returns what came, it included.
async fn until(stream: &mut (impl tokio::io::AsyncRead + Unpin), kind: u8) -> Vec<u8> {
    let mut kinds = Vec::new();
    loop {
        let mut head = [0; 9];
        within("a frame", stream.read_exact(&mut head)).await.unwrap();
        let length = usize::from(head[1]) << 8 | usize::from(head[2]);
        within("its payload", stream.read_exact(&mut vec![0; length])).await.unwrap();
        kinds.push(head[3]);
        if head[3] == kind {
            return kinds;
        }
    }
}

#[tokio::test]
async fn attack_36_a_body_behind_a_length_of_zero_is_waited_for_before_anything_is_forwarded() {
    let house = House::start().await;
    let bearer = format!("Bearer {}", house.token(&house.who.mia));
    let fields = [
        (":method", "POST"),
        (":scheme", "https"),
        (":authority", "localhost"),
        (":path", "/orders"),
        ("authorization", &bearer),
        ("content-type", "application/json"),
        ("content-length", "0"),
    ];
    let block: Vec<u8> = fields.iter().flat_map(|(name, value)| literal(name, value)).collect();
    let mut stream = house.connect(Some(&house.who.mia.issued), "public", b"h2").await.unwrap();
    let open = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(SETTINGS, 0, 0, &[]), frame(HEADERS, 4, 1, &block)]
        .concat();
    stream.write_all(&open).await.unwrap();
    for _ in 0..50 {
        // Answered in turn: time for what was begun to show, without sleeping.
        stream.write_all(&frame(PING, 0, 0, b"8 bytes.")).await.unwrap();
        stream.flush().await.unwrap();
        let came = until(&mut stream, PING).await;
        assert!(!came.contains(&HEADERS), "answered before the request had ended");
    }
    stream.write_all(&frame(0, 1, 1, b"{}")).await.unwrap();
    stream.flush().await.unwrap();
    until(&mut stream, RST_STREAM).await;
    drop(stream);
    assert_eq!(house.plain.count(), 0, "{:?}", house.plain.seen());
    let records = house.stop().await;
    assert_eq!(records.outcomes(), ["deny: malformed"]);
}
