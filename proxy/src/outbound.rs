//! The one client for everything that Postern itself fetches or sends: key sets, webhooks, sinks.
//!
//! What an operator writes as a URL is dialled with the proxy's own reach, so it is held narrower than an upstream
//! (attack 34): https, no redirect, no address that policy does not allow, the address that was checked is the address
//! that is dialled, and time, size and number of calls are bounded. Answers are handed over as they came, less what
//! could be read two ways; nothing is decompressed, kept or repeated.

mod connect;
mod error;
mod exchange;
mod tls;
mod url;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderName, Method, StatusCode};
use postern_config::Redacted;
use rustls::ClientConfig;
use tokio::sync::Semaphore;
use tokio::time::Instant;

pub(crate) use connect::Dialled;
pub(crate) use error::{OutboundError, Step};
pub(crate) use tls::{Identity, Roots, TlsSetupError, client as tls_client, store as store_tls};
pub(crate) use url::{Url, UrlError};

/// Calls at once; a further one waits, within its own deadline.
const AT_ONCE: usize = 64;

/// Says which addresses of a host may be dialled. What it returns is dialled and nothing else: there is no second lookup
/// between the check and the call.
pub(crate) trait Addresses: Send + Sync {
    /// The addresses of `host` that policy allows on `port`, in the order in which they are tried.
    ///
    /// # Errors
    /// Why none may be dialled, in words for operators.
    fn admit<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, Result<Vec<SocketAddr>, String>>;
}

/// The client. One serves the whole process.
pub(crate) struct Outbound {
    gate: Arc<dyn Addresses>,
    tls: Arc<ClientConfig>,
    room: Arc<Semaphore>,
}

impl std::fmt::Debug for Outbound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbound").field("room", &self.room.available_permits()).finish_non_exhaustive()
    }
}

/// Bounds of one call. Deadlines are deadlines: bytes that trickle in do not put them off.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Lookup and connection together.
    pub(crate) connect: Duration,
    pub(crate) handshake: Duration,
    /// From the end of the handshake to the whole head of the answer.
    pub(crate) first_byte: Duration,
    /// Everything, the wait for room included.
    pub(crate) whole: Duration,
    /// Bytes of the answer's head, at least 8 KiB.
    pub(crate) head: usize,
    /// Lines of the answer's head.
    pub(crate) headers: usize,
    /// Bytes of the answer's body.
    pub(crate) body: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            handshake: Duration::from_secs(5),
            first_byte: Duration::from_secs(10),
            whole: Duration::from_secs(30),
            head: 16 * 1024,
            headers: 64,
            body: 1 << 20,
        }
    }
}

/// One call.
#[derive(Debug)]
pub(crate) struct Request {
    method: Method,
    url: Url,
    /// Values are kept out of logs.
    headers: Vec<(HeaderName, Redacted<Vec<u8>>)>,
    body: Redacted<Vec<u8>>,
    limits: Limits,
    plain_loopback: bool,
}

impl Request {
    pub(crate) fn get(url: Url) -> Self {
        Self::new(Method::GET, url, Redacted::new(Vec::new()))
    }

    /// A call with a body; its type is a header of the caller's.
    pub(crate) fn post(url: Url, body: Redacted<Vec<u8>>) -> Self {
        Self::new(Method::POST, url, body)
    }

    fn new(method: Method, url: Url, body: Redacted<Vec<u8>>) -> Self {
        Self { method, url, headers: Vec::new(), body, limits: Limits::default(), plain_loopback: false }
    }

    /// Adds a header. `Host`, `Cookie`, framing and what concerns one hop are the client's own: such a call fails.
    pub(crate) fn header(mut self, name: HeaderName, value: Redacted<Vec<u8>>) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(crate) fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Lets an `http:` URL through where every address of its host is this machine.
    pub(crate) fn allow_plain_loopback(mut self) -> Self {
        self.plain_loopback = true;
        self
    }
}

/// What came back: whole, within its bounds, neither a redirect nor encoded.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// As it was sent; whoever asked knows which type it wants.
    pub(crate) content_type: Option<String>,
    /// How long it is good by `Cache-Control: max-age`; nothing of it where it must not be kept.
    pub(crate) max_age: Option<Duration>,
    pub(crate) body: Bytes,
    /// The connection it came over.
    pub(crate) over: Dialled,
}

impl Outbound {
    /// A client that dials what `gate` allows and believes certificates by `tls` (see [`tls::client`]).
    pub(crate) fn new(
        gate: Arc<dyn Addresses>,
        roots: Roots,
        identity: Option<Identity>,
    ) -> Result<Self, TlsSetupError> {
        Ok(Self::with(gate, Arc::new(tls::client(roots, identity)?), Self::room()))
    }

    /// A client with TLS that was made before, which shares its room with others.
    pub(crate) fn with(gate: Arc<dyn Addresses>, tls: Arc<ClientConfig>, room: Arc<Semaphore>) -> Self {
        Self { gate, tls, room }
    }

    /// Room for the calls of one process.
    pub(crate) fn room() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(AT_ONCE))
    }

    /// Makes one call. Dropping the future ends it and closes its connection.
    ///
    /// # Errors
    /// [`OutboundError`]. It names hosts and limits, and never what was sent or what came.
    pub(crate) async fn send(&self, request: Request) -> Result<Answer, OutboundError> {
        let whole = Instant::now() + request.limits.whole;
        let call = async {
            let _room = self.room.acquire().await.map_err(|_| OutboundError::Late(Step::Room))?;
            let (stream, over) = self.dial(&request).await?;
            exchange::run(stream, over, request).await
        };
        tokio::time::timeout_at(whole, call).await.map_err(|_| OutboundError::Late(Step::Whole))?
    }

    /// Goes as far as the handshake and hangs up: what a call to `url` would reach.
    ///
    /// # Errors
    /// As [`Outbound::send`].
    pub(crate) async fn probe(&self, request: &Request) -> Result<Dialled, OutboundError> {
        let _room = self.room.acquire().await.map_err(|_| OutboundError::Late(Step::Room))?;
        self.dial(request).await.map(|(_, over)| over)
    }

    async fn dial(&self, request: &Request) -> Result<(connect::Stream, Dialled), OutboundError> {
        let Request { url, limits, plain_loopback, .. } = request;
        connect::dial(&*self.gate, &self.tls, url, *plain_loopback, limits).await
    }
}

#[cfg(test)]
mod tests;
