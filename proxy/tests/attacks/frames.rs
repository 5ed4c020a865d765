//! HTTP/2 frames by hand (RFC 9113), with header fields that no library would send (RFC 7541).

use postern_certs::Issued;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::house::{Caller, House, within};

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RESET: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW: u8 = 8;
pub const CONTINUATION: u8 = 9;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;
/// The client keeps no table, so every field of an answer stands in the answer.
const NO_TABLE: [u8; 6] = [0, 1, 0, 0, 0, 0];

/// A connection that speaks frames.
pub struct Frames {
    stream: TlsStream<TcpStream>,
    came: Vec<u8>,
}

#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

/// How a stream, or its connection, ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With this status.
    Answered(u16),
    Reset,
    /// The whole connection.
    Closed,
}

impl House {
    /// A connection of `who` past the preface.
    pub async fn frames(&self, who: &Caller) -> Frames {
        let mut frames = self.frames_before_preface(Some(&who.issued)).await;
        frames.send(&[PREFACE, &frame(SETTINGS, 0, 0, &NO_TABLE)].concat()).await.unwrap();
        frames
    }

    pub async fn frames_before_preface(&self, identity: Option<&Issued>) -> Frames {
        Frames { stream: self.connect(identity, "public", b"h2").await.unwrap(), came: Vec::new() }
    }

    /// The fields of a good request of `who` for `target`.
    pub fn fields(&self, who: &Caller, method: &str, target: &str) -> Vec<(String, String)> {
        let token = format!("Bearer {}", self.token(who));
        [
            (":method", method),
            (":scheme", "https"),
            (":authority", "localhost"),
            (":path", target),
            ("authorization", &token),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    }

    /// How one request with these fields and no body ends, on a connection of its own.
    pub async fn h2(&self, fields: &[(String, String)]) -> End {
        let mut frames = self.frames(&self.who.mia).await;
        let _ = frames.send(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &block(fields))).await;
        frames.end_of(1).await
    }
}

impl Frames {
    pub async fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// The next frame; nothing once the connection has ended.
    pub async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.whole() {
                if frame.kind == SETTINGS && frame.flags == 0 {
                    let _ = self.send(&self::frame(SETTINGS, 1, 0, &[])).await;
                }
                return Some(frame);
            }
            let read = within("a frame", self.stream.read_buf(&mut self.came)).await;
            if !matches!(read, Ok(read) if read > 0) {
                return None;
            }
        }
    }

    fn whole(&mut self) -> Option<Frame> {
        let head: [u8; 9] = self.came.get(..9)?.try_into().ok()?;
        let length = usize::try_from(u32::from_be_bytes([0, head[0], head[1], head[2]])).unwrap();
        if self.came.len() < 9 + length {
            return None;
        }
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let payload = self.came.drain(..9 + length).skip(9).collect();
        Some(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    /// Waits for the end of `stream` and says what it was.
    pub async fn end_of(&mut self, stream: u32) -> End {
        let mut status = None;
        while let Some(frame) = self.next().await {
            if frame.kind == GOAWAY && frame.payload[4..8] != [0; 4] {
                return End::Closed;
            }
            if frame.stream != stream {
                continue;
            }
            match frame.kind {
                RESET => return status.map_or(End::Reset, End::Answered),
                HEADERS if status.is_none() => status = status_of(&frame.payload).filter(|status| *status >= 200),
                _ => {}
            }
            if matches!(frame.kind, HEADERS | DATA) && frame.flags & END_STREAM != 0 {
                return status.map_or(End::Reset, End::Answered);
            }
        }
        End::Closed
    }
}

/// The status of an answer's header block: the first field, as an index or as three Huffman-coded digits.
fn status_of(block: &[u8]) -> Option<u16> {
    let mut rest = block;
    while let [first, tail @ ..] = rest {
        match first {
            0x88..=0x8e => return Some([200, 204, 206, 304, 400, 404, 500][usize::from(first - 0x88)]),
            // The size of the table changes.
            0x20..=0x3f => {
                let more = first & 0x1f == 0x1f;
                let skip = if more { tail.iter().take_while(|byte| **byte & 0x80 != 0).count() + 1 } else { 0 };
                rest = &tail[skip..];
            }
            _ => {
                let [length, value @ ..] = tail else { return None };
                let value = &value[..usize::from(length & 0x7f)];
                return if length & 0x80 == 0 { std::str::from_utf8(value).ok()?.parse().ok() } else { digits(value) };
            }
        }
    }
    None
}

fn digits(coded: &[u8]) -> Option<u16> {
    let bits: String = coded.iter().map(|byte| format!("{byte:08b}")).collect();
    let mut rest = bits.as_str();
    let mut number = 0;
    for _ in 0..3 {
        let short = u16::from_str_radix(rest.get(..5)?, 2).ok()?;
        let (digit, used) = match short {
            0..=2 => (short, 5),
            _ => (u16::from_str_radix(rest.get(..6)?, 2).ok()?.checked_sub(0x19)? + 3, 6),
        };
        number = number * 10 + digit;
        rest = &rest[used..];
    }
    Some(number)
}

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut out = vec![length[1], length[2], length[3], kind, flags];
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
    out
}

/// Fields as literals without indexing and without Huffman coding.
pub fn block<N: AsRef<[u8]>, V: AsRef<[u8]>>(fields: &[(N, V)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in fields {
        out.push(0);
        text(&mut out, name.as_ref());
        text(&mut out, value.as_ref());
    }
    out
}

pub fn text(out: &mut Vec<u8>, text: &[u8]) {
    match text.len() {
        short @ 0..127 => out.push(u8::try_from(short).unwrap()),
        long => {
            let mut rest = long - 127;
            out.push(127);
            while rest >= 128 {
                out.push(u8::try_from(rest % 128).unwrap() | 0x80);
                rest /= 128;
            }
            out.push(u8::try_from(rest).unwrap());
        }
    }
    out.extend_from_slice(text);
}
