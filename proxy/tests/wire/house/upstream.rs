//! An upstream that remembers every byte it was sent and does with a request what a test told it to.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{mpsc, watch};

use super::within;

/// One request as it arrived.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The head, byte for byte.
    pub head: String,
    pub body: Vec<u8>,
}

impl Seen {
    pub fn request_line(&self) -> &str {
        self.head.lines().next().unwrap()
    }

    /// Values of a header, in order.
    pub fn header(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).collect()
    }

    /// Lower-case names of all headers.
    pub fn names(&self) -> Vec<String> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines.map(|(name, _)| name.to_ascii_lowercase()).collect()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// What to do with a request.
pub enum Act {
    /// Write these bytes, and take the next request.
    Answer(Vec<u8>),
    /// Write these bytes and close.
    Close(Vec<u8>),
    /// Write what comes through the channel, as it comes, and close when it ends.
    Steps(mpsc::Receiver<Vec<u8>>),
    /// Nothing, until the other side leaves.
    Hang,
    /// Write these bytes, then give back every byte that comes.
    Echo(Vec<u8>),
}

type Script = Box<dyn Fn(&Seen) -> Act + Send + Sync>;

struct State {
    seen: Mutex<Vec<Seen>>,
    script: Mutex<Script>,
    /// Requests that arrived, and connections the other side ended.
    arrived: watch::Sender<usize>,
    left: watch::Sender<usize>,
}

pub struct Upstream {
    /// `None` for a Unix socket.
    address: Option<SocketAddr>,
    state: Arc<State>,
    accepted: Arc<AtomicUsize>,
}

impl Upstream {
    /// Answers every request with a small JSON document, until told otherwise.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let upstream = Self::new(Some(address));
        let (shared, accepted) = (upstream.state.clone(), upstream.accepted.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                accepted.fetch_add(1, Ordering::SeqCst);
                stream.set_nodelay(true).unwrap();
                tokio::spawn(serve(stream, shared.clone()));
            }
        });
        upstream
    }

    /// As [`Upstream::start`], on a Unix socket.
    pub fn start_unix(path: &Path) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        let upstream = Self::new(None);
        let (shared, accepted) = (upstream.state.clone(), upstream.accepted.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                accepted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream, shared.clone()));
            }
        });
        upstream
    }

    fn new(address: Option<SocketAddr>) -> Self {
        let state = Arc::new(State {
            seen: Mutex::default(),
            script: Mutex::new(Box::new(|_| json_answer(&json!({"ok": true})))),
            arrived: watch::channel(0).0,
            left: watch::channel(0).0,
        });
        Self { address, state, accepted: Arc::default() }
    }

    pub fn address(&self) -> SocketAddr {
        self.address.unwrap()
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    pub fn does(&self, script: impl Fn(&Seen) -> Act + Send + Sync + 'static) {
        *self.state.script.lock().unwrap() = Box::new(script);
    }

    /// Answers every request with these bytes.
    pub fn says(&self, bytes: impl Into<Vec<u8>>) {
        let bytes = bytes.into();
        self.does(move |_| Act::Answer(bytes.clone()));
    }

    /// Answers the next request with what is sent into the channel.
    pub fn steps(&self) -> mpsc::Sender<Vec<u8>> {
        let (tell, told) = mpsc::channel(64);
        let told = Mutex::new(Some(told));
        self.does(move |_| Act::Steps(told.lock().unwrap().take().unwrap()));
        tell
    }

    pub fn count(&self) -> usize {
        self.state.seen.lock().unwrap().len()
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().unwrap().clone()
    }

    /// The one request that arrived.
    pub fn sole(&self) -> Seen {
        let seen = self.seen();
        assert_eq!(seen.len(), 1, "requests that reached the upstream");
        seen.into_iter().next().unwrap()
    }

    /// Waits until `count` requests have arrived.
    pub async fn arrived(&self, count: usize) {
        let mut arrived = self.state.arrived.subscribe();
        within("a request to the upstream", arrived.wait_for(|n| *n >= count)).await.unwrap();
    }

    /// Waits until the other side has ended `count` connections.
    pub async fn left(&self, count: usize) {
        let mut left = self.state.left.subscribe();
        within("the end of an upstream connection", left.wait_for(|n| *n >= count)).await.unwrap();
    }
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, state: Arc<State>) {
    let mut buffer = Vec::new();
    while let Some(seen) = read_request(&mut stream, &mut buffer).await {
        let act = (state.script.lock().unwrap())(&seen);
        state.seen.lock().unwrap().push(seen);
        state.arrived.send_modify(|n| *n += 1);
        match act {
            Act::Answer(bytes) => {
                if stream.write_all(&bytes).await.is_err() {
                    break;
                }
            }
            Act::Close(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
                return;
            }
            Act::Steps(told) => {
                if !step(&mut stream, told).await {
                    break;
                }
                return;
            }
            Act::Hang => {
                let mut byte = [0; 1];
                while matches!(stream.read(&mut byte).await, Ok(n) if n > 0) {}
                break;
            }
            Act::Echo(bytes) => {
                echo(&mut stream, bytes, &buffer).await;
                break;
            }
        }
    }
    state.left.send_modify(|n| *n += 1);
}

/// Whether the steps ended before the other side left.
async fn step(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), mut told: mpsc::Receiver<Vec<u8>>) -> bool {
    let mut byte = [0; 1];
    loop {
        tokio::select! {
            piece = told.recv() => match piece {
                Some(piece) => {
                    if stream.write_all(&piece).await.is_err() {
                        return false;
                    }
                }
                None => {
                    let _ = stream.shutdown().await;
                    return true;
                }
            },
            read = stream.read(&mut byte) => {
                if !matches!(read, Ok(n) if n > 0) {
                    return false;
                }
            }
        }
    }
}

async fn echo(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), bytes: Vec<u8>, ahead: &[u8]) {
    let mut piece = [0; 1024];
    if stream.write_all(&bytes).await.is_err() || stream.write_all(ahead).await.is_err() {
        return;
    }
    while let Ok(read) = stream.read(&mut piece).await {
        if read == 0 || stream.write_all(&piece[..read]).await.is_err() {
            return;
        }
    }
}

async fn read_request(stream: &mut (impl AsyncRead + Unpin), buffer: &mut Vec<u8>) -> Option<Seen> {
    let end = loop {
        if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    };
    let mut seen = Seen { head: String::from_utf8(buffer[..end].to_vec()).unwrap(), body: Vec::new() };
    let length: usize = seen.header("content-length").first().map_or(0, |value| value.parse().unwrap());
    while buffer.len() < end + length {
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
    seen.body = buffer[end..end + length].to_vec();
    buffer.drain(..end + length);
    Some(seen)
}

/// A whole HTTP/1.1 answer.
pub fn answer(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut out = format!("HTTP/1.1 {status} Said\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        out.push_str(&format!("{name}: {value}\r\n"));
    }
    out.push_str("\r\n");
    [out.as_bytes(), body].concat()
}

pub fn json_answer(body: &Value) -> Act {
    Act::Answer(answer(200, &[("content-type", "application/json")], body.to_string().as_bytes()))
}

/// A chat completion that says `text`.
pub fn chat(text: &str) -> Vec<u8> {
    answer(200, &[("content-type", "application/json")], completion(text).to_string().as_bytes())
}

pub fn completion(text: &str) -> Value {
    json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "small", "choices": [
        {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}})
}

/// The head of a stream; its pieces follow as they are, until the connection closes.
pub fn stream_head() -> Vec<u8> {
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n".to_vec()
}

/// One event of a streamed completion that adds `text`.
pub fn delta(text: &str) -> Vec<u8> {
    event(&json!({ "content": text }), &Value::Null)
}

/// The last events of a streamed completion.
pub fn done() -> Vec<u8> {
    [event(&json!({}), &json!("stop")), b"data: [DONE]\n\n".to_vec()].concat()
}

pub fn event(delta: &Value, finish: &Value) -> Vec<u8> {
    let chunk = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "small",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
    format!("data: {chunk}\n\n").into_bytes()
}

/// A whole stream that says `pieces`, one event each.
pub fn streamed(pieces: &[&str]) -> Vec<u8> {
    let mut out = stream_head();
    pieces.iter().for_each(|piece| out.extend(delta(piece)));
    out.extend(done());
    out
}
