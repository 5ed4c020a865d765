//! One HTTP/1.1 connection over TLS, with one request at a time. Reads what Postern sends: a head, and a body of a stated
//! length; anything else ends the run with an error.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustls::{ClientConnection, StreamOwned};

use crate::site::Site;

/// An answer that takes longer is a hanging proxy.
const PATIENCE: Duration = Duration::from_secs(30);
const LONGEST_HEAD: usize = 32 * 1024;

/// What an answer begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head {
    status: u16,
    /// Bytes of the head, the empty line included.
    length: usize,
    body: usize,
}

/// An open connection. `S` is a TLS stream, or bytes in a test.
#[derive(Debug)]
pub(crate) struct Connection<S> {
    stream: S,
    /// Received and not used yet.
    received: Vec<u8>,
}

impl Connection<StreamOwned<ClientConnection, TcpStream>> {
    pub(crate) fn open(site: &Site) -> anyhow::Result<Self> {
        let tcp = TcpStream::connect(site.address)?;
        tcp.set_nodelay(true)?;
        tcp.set_read_timeout(Some(PATIENCE))?;
        let tls = ClientConnection::new(site.tls.clone(), site.name.clone())?;
        Ok(Self::over(StreamOwned::new(tls, tcp)))
    }
}

impl<S: Read + Write> Connection<S> {
    fn over(stream: S) -> Self {
        Self { stream, received: Vec::new() }
    }

    /// Sends `request` and reads the whole answer; returns its status.
    pub(crate) fn send(&mut self, request: &[u8]) -> anyhow::Result<u16> {
        self.stream.write_all(request)?;
        self.stream.flush()?;
        let head = loop {
            if let Some(head) = head(&self.received)? {
                break head;
            }
            if self.received.len() > LONGEST_HEAD {
                bail!("the head of an answer is longer than {LONGEST_HEAD} bytes");
            }
            self.fill()?;
        };
        let whole = head.length.saturating_add(head.body);
        while self.received.len() < whole {
            self.fill()?;
        }
        self.received.drain(..whole);
        Ok(head.status)
    }

    fn fill(&mut self) -> anyhow::Result<()> {
        let mut chunk = [0; 16 * 1024];
        let count = self.stream.read(&mut chunk)?;
        if count == 0 {
            bail!("the connection ended before the answer did");
        }
        self.received.extend(chunk.iter().take(count));
        Ok(())
    }
}

/// The head that `received` begins with; `None` while it is not whole.
fn head(received: &[u8]) -> anyhow::Result<Option<Head>> {
    let Some(end) = received.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let text = std::str::from_utf8(received.get(..end).unwrap_or_default()).context("a head that is not text")?;
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).context("no status line")?.parse()?;
    let body = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .context("an answer without a content length")?;
    Ok(Some(Head { status, length: end.saturating_add(4), body: body.1.trim().parse()? }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers with what it was given, a few bytes at a time.
    struct Scripted(Vec<u8>);

    impl Read for Scripted {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let count = self.0.len().min(3).min(buffer.len());
            for (to, from) in buffer.iter_mut().zip(self.0.drain(..count)) {
                *to = from;
            }
            Ok(count)
        }
    }

    impl Write for Scripted {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn reads_answers_one_after_the_other_however_they_are_cut() {
        let wire =
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 429 Too Many\r\ncontent-length:0\r\n\r\n";
        let mut connection = Connection::over(Scripted(wire.to_vec()));
        assert_eq!(connection.send(b"GET").unwrap(), 200);
        assert_eq!(connection.send(b"GET").unwrap(), 429);
        assert!(connection.send(b"GET").unwrap_err().to_string().contains("ended before"));
    }

    #[test]
    fn refuses_answers_it_cannot_measure() {
        for (case, wire) in [
            ("no length", &b"HTTP/1.1 200 OK\r\n\r\n"[..]),
            ("no status", b"nonsense\r\ncontent-length: 0\r\n\r\n"),
            ("a body cut short", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello"),
            ("bytes that are no text", b"HTTP/1.1 200 OK\r\nx: \xff\r\n\r\n"),
        ] {
            assert!(Connection::over(Scripted(wire.to_vec())).send(b"GET").is_err(), "{case}");
        }
    }
}
