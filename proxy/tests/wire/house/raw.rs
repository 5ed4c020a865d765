//! A client that sends whatever bytes a test wants on a TLS connection.

use postern_certs::Issued;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::{Caller, House, within};

/// A connection and what has come on it so far.
pub struct Wire {
    stream: TlsStream<TcpStream>,
    came: Vec<u8>,
}

/// An answer as it stood on the wire.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// The head as it was sent.
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

impl House {
    /// A connection of `who` to the `public` listener.
    pub async fn wire(&self, who: &Caller) -> Wire {
        self.wire_as(Some(&who.issued), "public").await
    }

    pub async fn wire_as(&self, identity: Option<&Issued>, listener: &str) -> Wire {
        let stream = self.connect(identity, listener, b"http/1.1").await.unwrap();
        Wire { stream, came: Vec::new() }
    }

    /// The lines that make a request of `who` a good one: host and token.
    pub fn lines(&self, who: &Caller) -> String {
        format!("Host: localhost\r\nAuthorization: Bearer {}\r\n", self.token(who))
    }
}

impl Wire {
    pub fn of(stream: TlsStream<TcpStream>) -> Self {
        Self { stream, came: Vec::new() }
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).await.unwrap();
    }

    /// As [`Wire::send`], where the other side may have closed already.
    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.stream.write_all(bytes.as_ref()).await?;
        self.stream.flush().await
    }

    /// The next answer, of a request that was not `HEAD`. Informational answers count as answers.
    pub async fn answer(&mut self) -> Answer {
        self.try_answer().await.unwrap_or_else(|| panic!("closed instead of an answer: {:?}", self.text()))
    }

    /// Nothing where the connection ends first.
    pub async fn try_answer(&mut self) -> Option<Answer> {
        let end = self.find(b"\r\n\r\n").await? + 4;
        let head = String::from_utf8(self.came.drain(..end).collect()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Answer { status, head, body: Vec::new() };
        if let Some(length) = answer.header("content-length") {
            let length: usize = length.parse().unwrap();
            while self.came.len() < length {
                self.read().await.then_some(())?;
            }
            answer.body = self.came.drain(..length).collect();
        } else if answer.header("transfer-encoding").is_some() {
            loop {
                let line = self.find(b"\r\n").await?;
                let size = usize::from_str_radix(std::str::from_utf8(&self.came[..line]).unwrap(), 16).unwrap();
                while self.came.len() < line + 2 + size + 2 {
                    self.read().await.then_some(())?;
                }
                answer.body.extend_from_slice(&self.came[line + 2..line + 2 + size]);
                self.came.drain(..line + 2 + size + 2);
                if size == 0 {
                    break;
                }
            }
        }
        Some(answer)
    }

    /// The next head alone, where no body follows it.
    pub async fn head(&mut self) -> String {
        let end = self.find(b"\r\n\r\n").await.unwrap_or_else(|| panic!("closed: {:?}", self.text())) + 4;
        String::from_utf8(self.came.drain(..end).collect()).unwrap()
    }

    /// Whether the other side ends the connection, and sends nothing before.
    pub async fn is_closed(&mut self) -> bool {
        while self.read().await {}
        self.came.is_empty()
    }

    /// Bytes up to `needle`; waits for it.
    async fn find(&mut self, needle: &[u8]) -> Option<usize> {
        loop {
            if let Some(at) = self.came.windows(needle.len()).position(|window| window == needle) {
                return Some(at);
            }
            self.read().await.then_some(())?;
        }
    }

    /// Exactly `count` bytes.
    pub async fn bytes(&mut self, count: usize) -> Vec<u8> {
        while self.came.len() < count {
            assert!(self.read().await, "closed after {:?}", self.text());
        }
        self.came.drain(..count).collect()
    }

    /// Sends that nothing more will come, and keeps reading.
    pub async fn half_close(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    async fn read(&mut self) -> bool {
        let read = within("bytes on the wire", self.stream.read_buf(&mut self.came)).await;
        matches!(read, Ok(read) if read > 0)
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.came).into_owned()
    }
}
