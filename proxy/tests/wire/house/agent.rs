//! A SPIFFE agent: a Workload API on a Unix socket that says what a test tells it to, over real gRPC. Its messages are put
//! together by hand from the field numbers of the specification.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use postern_certs::{Authority, Issued};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use tempfile::TempDir;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::within;

/// What the agent does with every call, the open ones included.
#[derive(Debug, Clone)]
enum Act {
    /// Takes the call and says nothing.
    Hang,
    /// Sends these bytes as they are; the frame of gRPC is in them.
    Say(Bytes),
    /// Ends the call with this status.
    End(&'static str),
}

pub struct Agent {
    _dir: TempDir,
    path: PathBuf,
    act: watch::Sender<Act>,
    calls: Arc<AtomicUsize>,
    task: Option<JoinHandle<()>>,
}

/// An `X509SVIDResponse`, to be changed.
#[derive(Debug, Clone, Default)]
pub struct Says {
    pub svids: Vec<SaysSvid>,
    pub crls: Vec<Vec<u8>>,
    pub federated: Vec<(String, Vec<u8>)>,
}

#[derive(Debug, Clone)]
pub struct SaysSvid {
    pub id: String,
    pub chain: Vec<u8>,
    pub key: Vec<u8>,
    pub bundle: Vec<u8>,
}

impl Says {
    /// One SVID, and the bundle of its trust domain.
    pub fn svid(id: &str, issued: &Issued, authority: &Authority) -> Self {
        let key = PrivateKeyDer::from_pem_slice(issued.key_pem.expose().as_bytes()).unwrap();
        let svid = SaysSvid {
            id: id.to_owned(),
            chain: issued.der.to_vec(),
            key: key.secret_der().to_vec(),
            bundle: authority.issued().der.to_vec(),
        };
        Self { svids: vec![svid], ..Self::default() }
    }

    /// Besides, the bundle of another trust domain.
    pub fn federated(mut self, domain: &str, authority: &Authority) -> Self {
        self.federated.push((format!("spiffe://{domain}"), authority.issued().der.to_vec()));
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for svid in &self.svids {
            let mut one = Vec::new();
            put(&mut one, 1, svid.id.as_bytes());
            put(&mut one, 2, &svid.chain);
            put(&mut one, 3, &svid.key);
            put(&mut one, 4, &svid.bundle);
            put(&mut one, 5, b"internal");
            put(&mut out, 1, &one);
        }
        self.crls.iter().for_each(|crl| put(&mut out, 2, crl));
        for (domain, bundle) in &self.federated {
            let mut entry = Vec::new();
            put(&mut entry, 1, domain.as_bytes());
            put(&mut entry, 2, bundle);
            put(&mut out, 3, &entry);
        }
        out
    }
}

/// A field of bytes.
fn put(out: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    out.push(field << 3 | 2);
    let mut length = bytes.len();
    while length > 127 {
        out.push(u8::try_from(length & 127).unwrap() | 128);
        length >>= 7;
    }
    out.push(u8::try_from(length).unwrap());
    out.extend_from_slice(bytes);
}

fn framed(compressed: u8, length: usize, message: &[u8]) -> Act {
    let mut frame = vec![compressed];
    frame.extend_from_slice(&u32::try_from(length).unwrap().to_be_bytes());
    frame.extend_from_slice(message);
    Act::Say(frame.into())
}

impl Agent {
    /// Listens, and says nothing yet.
    pub fn start() -> Self {
        let dir = tempfile::Builder::new().prefix("postern-agent-").tempdir().unwrap();
        let path = dir.path().join("agent.sock");
        let mut agent = Self { _dir: dir, path, act: watch::Sender::new(Act::Hang), calls: Arc::default(), task: None };
        agent.listen();
        agent
    }

    /// As manifests name it.
    pub fn socket(&self) -> String {
        format!("unix:{}", self.path.display())
    }

    pub fn says(&self, says: &Says) {
        let message = says.bytes();
        self.act.send_replace(framed(0, message.len(), &message));
    }

    /// A message that is none, in a good frame.
    pub fn says_bytes(&self, message: &[u8]) {
        self.act.send_replace(framed(0, message.len(), message));
    }

    /// A frame that says what is wrong about it.
    pub fn says_frame(&self, compressed: u8, length: usize) {
        self.act.send_replace(framed(compressed, length, b""));
    }

    pub fn hangs(&self) {
        self.act.send_replace(Act::Hang);
    }

    /// Gives this workload nothing.
    pub fn denies(&self) {
        self.act.send_replace(Act::End("7"));
    }

    /// Is gone, with its socket and with every call.
    pub async fn stop(&mut self) {
        let task = self.task.take().unwrap();
        task.abort();
        let _ = task.await;
        std::fs::remove_file(&self.path).unwrap();
    }

    /// Is there again.
    pub fn listen(&mut self) {
        let listener = UnixListener::bind(&self.path).unwrap();
        let (act, calls) = (self.act.clone(), self.calls.clone());
        self.task = Some(tokio::spawn(async move {
            let mut open = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                open.spawn(serve(stream, act.subscribe(), calls.clone()));
            }
        }));
    }

    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// Waits for another call than those that were made by now.
    pub async fn called_again(&self) {
        let before = self.calls();
        let called = async {
            while self.calls() == before {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        within("another call of the agent", called).await;
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

async fn serve(stream: UnixStream, act: watch::Receiver<Act>, calls: Arc<AtomicUsize>) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    let mut open = tokio::task::JoinSet::new();
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        calls.fetch_add(1, Ordering::SeqCst);
        let mut act = act.clone();
        let good = is_good(&request);
        open.spawn(async move {
            if !good {
                let answer = Response::builder().header("content-type", "application/grpc").header("grpc-status", "3");
                let _ = respond.send_response(answer.body(()).unwrap(), true);
                return;
            }
            let answer = Response::builder().header("content-type", "application/grpc").body(()).unwrap();
            let Ok(mut body) = respond.send_response(answer, false) else { return };
            loop {
                let now = act.borrow_and_update().clone();
                match now {
                    Act::Hang => {}
                    Act::Say(bytes) => {
                        if body.send_data(bytes, false).is_err() {
                            return;
                        }
                    }
                    Act::End(status) => {
                        let mut trailers = HeaderMap::new();
                        trailers.insert("grpc-status", HeaderValue::from_static(status));
                        trailers.insert("grpc-message", HeaderValue::from_static("no identity issued"));
                        let _ = body.send_trailers(trailers);
                        return;
                    }
                }
                let gone = std::future::poll_fn(|cx| body.poll_reset(cx));
                tokio::select! {
                    changed = act.changed() => if changed.is_err() { return },
                    _ = gone => return,
                }
            }
        });
    }
}

/// What every client of a Workload API must send.
fn is_good(request: &Request<h2::RecvStream>) -> bool {
    let is = |name: &str, value: &str| request.headers().get(name).is_some_and(|sent| sent == value);
    request.method() == "POST"
        && request.uri().path() == "/SpiffeWorkloadAPI/FetchX509SVID"
        && is("workload.spiffe.io", "true")
        && is("content-type", "application/grpc")
        && is("te", "trailers")
}
