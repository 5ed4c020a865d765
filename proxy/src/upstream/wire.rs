//! One connection to an upstream, plain or TLS, as Pingora's and h2's sessions take it.
//!
//! It is a handle: a second one can write while a session reads, so that a body goes out while its answer comes in.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use pingora_core::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest, UniqueID,
    UniqueIDType, raw_connect::ProxyDigest,
};
use postern_filters::Peer;
use rustix::net::{Shutdown as Halves, shutdown};
use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::client::TlsStream;

use super::breaker::Lease;

static NUMBERS: AtomicI32 = AtomicI32::new(1);

/// What bytes go through.
#[derive(Debug)]
pub(crate) enum Line {
    Plain(TcpStream),
    Unix(UnixStream),
    /// Its end is only an end if the peer said so (`close_notify`): a read fails where the connection is cut.
    Tls(Box<TlsStream<TcpStream>>),
}

/// A connection.
#[derive(Clone)]
pub(crate) struct Wire {
    shared: Arc<Shared>,
}

/// A connection that somebody else holds, or nobody any more.
pub(crate) struct WeakWire(Weak<Shared>);

impl WeakWire {
    pub(crate) fn is_open(&self) -> bool {
        self.0.strong_count() > 0
    }

    pub(crate) fn upgrade(&self) -> Option<Wire> {
        self.0.upgrade().map(|shared| Wire { shared })
    }
}

struct Shared {
    line: Mutex<Line>,
    number: i32,
    address: Peer,
    read: AtomicU64,
    /// Counts the connection for as long as it is open.
    _lease: Option<Lease>,
}

impl Wire {
    pub(crate) fn new(line: Line, address: Peer, lease: Option<Lease>) -> Self {
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        let shared = Shared { line: Mutex::new(line), number, address, read: AtomicU64::new(0), _lease: lease };
        Self { shared: Arc::new(shared) }
    }

    pub(crate) fn downgrade(&self) -> WeakWire {
        WeakWire(Arc::downgrade(&self.shared))
    }

    /// What the other end showed in the handshake, leaf first; nothing without TLS.
    pub(crate) fn chain(&self) -> Vec<CertificateDer<'static>> {
        match &*self.line() {
            Line::Tls(tls) => tls.get_ref().1.peer_certificates().map(<[_]>::to_vec).unwrap_or_default(),
            Line::Plain(_) | Line::Unix(_) => Vec::new(),
        }
    }

    /// Ends it, whatever goes on there: reads and writes fail from now on.
    pub(crate) fn shut(&self) {
        // One that is at its end already cannot be shut, and need not be.
        let _ = match &*self.line() {
            Line::Plain(tcp) => shutdown(tcp, Halves::Both),
            Line::Unix(unix) => shutdown(unix, Halves::Both),
            Line::Tls(tls) => shutdown(tls.get_ref().0, Halves::Both),
        };
    }

    /// Where it leads.
    pub(crate) fn address(&self) -> Peer {
        self.shared.address
    }

    /// Bytes read so far, TLS taken off.
    pub(crate) fn bytes_read(&self) -> u64 {
        self.shared.read.load(Ordering::Relaxed)
    }

    /// Whether an idle connection is still open, and silent as it has to be.
    pub(crate) fn is_quiet(&self) -> bool {
        let mut byte = [0];
        let mut buffer = ReadBuf::new(&mut byte);
        let mut cx = Context::from_waker(Waker::noop());
        Pin::new(&mut *self.line()).poll_read(&mut cx, &mut buffer).is_pending()
    }

    // Nobody holds it across an await: the halves of one exchange run in one task.
    fn line(&self) -> MutexGuard<'_, Line> {
        self.shared.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("number", &self.shared.number).field("address", &self.shared.address).finish()
    }
}

impl AsyncRead for Line {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Unix(unix) => Pin::new(unix).poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Line {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Self::Unix(unix) => Pin::new(unix).poll_write(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Unix(unix) => Pin::new(unix).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Unix(unix) => Pin::new(unix).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut *self.line()).poll_read(cx, buf);
        let came = buf.filled().len().saturating_sub(before);
        self.shared.read.fetch_add(u64::try_from(came).unwrap_or(u64::MAX), Ordering::Relaxed);
        polled
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.line()).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.line()).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.line()).poll_shutdown(cx)
    }
}

#[async_trait]
impl Shutdown for Wire {
    async fn shutdown(&mut self) {
        let _ = AsyncWriteExt::shutdown(self).await;
    }
}

impl UniqueID for Wire {
    fn id(&self) -> UniqueIDType {
        self.shared.number
    }
}

impl Ssl for Wire {}

impl GetTimingDigest for Wire {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for Wire {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        None
    }
}

impl GetSocketDigest for Wire {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        None
    }
}

impl Peek for Wire {}
