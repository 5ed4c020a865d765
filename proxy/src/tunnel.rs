//! Tunnels: `CONNECT` of the workload, once the whole chain and `NetworkPolicy.egress` permitted it.
//!
//! What goes through is not read, so its first bytes must be a TLS hello for the very host that was permitted; another
//! protocol, another name or a hidden one ends the tunnel before a byte of it has left. Nothing that came before our 200
//! is ever taken for a part of it (attack 38).

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::FutureExt as _;
use pingora_core::protocols::Stream;
use pingora_core::protocols::http::ServerSession;
use postern_config::Timeouts;
use postern_filters::hello::{self, Hello, MAX_HELLO};
use postern_filters::limit::Meter;
use postern_filters::{Context, Peer, Permit, Reason, Refusal};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::exchange::{Deadline, Exchange, Matched, limits};
use crate::head::Head;
use crate::shared::Shared;
use crate::standing::Standing;
use crate::story::Story;

/// Time for a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// Time for the hello, from our 200 (§10: TLS 5s).
const HELLO: Duration = Duration::from_secs(5);
/// Longest time in which nothing moves (§10: stream idle 5m).
const IDLE: Duration = Duration::from_secs(300);
/// No upstream of the bootstrap says how long, so the defaults of one hold.
const TIMEOUTS: Timeouts =
    Timeouts { connect: CONNECT, first_byte: HELLO, idle: IDLE, total: Duration::from_secs(3600) };
/// Addresses of a host that are tried.
const ATTEMPTS: usize = 4;
/// Bytes on the way, in each direction.
const BUFFER: usize = 16 * 1024;

/// A tunnel that was permitted and reaches its host. Nothing has been said to either side.
#[derive(Debug)]
pub(crate) struct Tunnel {
    host: String,
    upstream: TcpStream,
}

/// Judges a `CONNECT` whose head passed the chain, and dials where it leads.
///
/// # Errors
/// A refusal of the chain or of egress policy; 502 where the host cannot be reached.
pub(crate) async fn open(
    exchange: Exchange<'_>,
    matched: Matched<'_>,
    port: u16,
    head: &Head,
    session: &mut ServerSession,
    story: &mut Story,
) -> Result<(), Refusal> {
    if !matched.route.is_tunnel() {
        return Err(Refusal::new(Reason::NotPermitted, "the route takes no tunnels"));
    }
    let Some((permit, _)) = exchange.check_message(matched, head, Bytes::new(), session, story).await? else {
        return Ok(());
    };
    exchange.keep_place(story)?;
    story.upstream = Some(format!("{}:{port}", head.host));
    let addresses = matched.network.egress.resolve(&head.host, port).await?;
    let upstream = dial(permit, &addresses).await?;
    story.told.address = upstream.peer_addr().ok().map(Peer::Tcp);
    exchange.stand(matched, head, session, story, &head.host);
    story.tunnel = Some(Tunnel { host: head.host.clone(), upstream });
    Ok(())
}

/// Spends the permit on the addresses that were checked, and no others.
async fn dial(_: Permit, addresses: &[SocketAddr]) -> Result<TcpStream, Refusal> {
    let failed = |why: String| Refusal::new(Reason::UpstreamFailed, format!("the host could not be reached: {why}"));
    let mut last = failed("no address".to_owned());
    let until = Instant::now() + CONNECT;
    let mut left = u32::try_from(addresses.len().min(ATTEMPTS)).unwrap_or(1);
    for address in addresses.iter().take(ATTEMPTS) {
        // Each its share of what is left, so that one that swallows everything does not stand for the others.
        let share = until.saturating_duration_since(Instant::now()) / left.max(1);
        left = left.saturating_sub(1);
        match tokio::time::timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // A delayed segment is the only harm of a socket that does not take the option.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => last = failed(format!("{address}: {error}")),
            Err(_) => last = failed(format!("{address}: not within {} ms", share.as_millis())),
        }
    }
    Err(last)
}

/// Runs a tunnel to its end. What went through it is in `flow`, also where this is dropped in the middle.
pub(crate) async fn run(mut client: Stream, tunnel: Tunnel, flow: &Flow, story: &mut Story) {
    let Tunnel { host, mut upstream } = tunnel;
    let deadline = Deadline::of(story, &TIMEOUTS);
    story.status = 200;
    // What came by now was sent without waiting for an answer: it is for whoever would have answered otherwise.
    if client.read_buf(&mut BytesMut::with_capacity(1)).now_or_never().is_some() {
        return story.refuse(Refusal::new(Reason::Malformed, "bytes behind `CONNECT` before its answer"));
    }
    let began = async {
        let head = format!("HTTP/1.1 200 Connected\r\npostern-decision: {}\r\n\r\n", story.id);
        client.write_all(head.as_bytes()).await.and(client.flush().await).map_err(|_| Ended::Left)?;
        read_hello(&mut client, &host, &mut story.context).await
    };
    let hello = match tokio::time::timeout(HELLO, began).await {
        Ok(Ok(hello)) => hello,
        Ok(Err(Ended::Left)) => return story.note_trouble("the client left before it said hello"),
        Ok(Err(Ended::Refused(why))) => {
            return story.refuse(Refusal::new(Reason::NotPermitted, format!("the tunnel was closed: {why}")));
        }
        Err(_) => return story.refuse(Refusal::new(Reason::SlowRequest, "no TLS hello in the tunnel in time")),
    };
    story.streamed = true;
    let (mut from_client, mut to_client) = tokio::io::split(client);
    let (mut from_upstream, mut to_upstream) = upstream.split();
    flow.touch();
    let ended = {
        let up = async {
            flow.send(&mut to_upstream, &hello, &flow.up).await?;
            flow.pump(&mut from_client, &mut to_upstream, &flow.up).await
        };
        let down = flow.pump(&mut from_upstream, &mut to_client, &flow.down);
        // Each side may end its own direction; a direction that breaks ends both.
        let both = async { tokio::try_join!(up, down).map(drop) };
        tokio::select! {
            ended = tokio::time::timeout_at(deadline.at, both) => match ended {
                Ok(Ok(())) => None,
                Ok(Err(_)) => Some("a side of the tunnel broke off"),
                Err(_) => Some("the time of the tunnel was up"),
            },
            () = flow.idle() => Some("nothing moved in the tunnel for too long"),
        }
    };
    if let Some(why) = ended {
        story.note_trouble(why);
    }
}

enum Ended {
    Left,
    Refused(String),
}

/// Reads until it is known which server the client asks for, which must be `host`.
async fn read_hello(
    client: &mut (impl AsyncRead + Unpin),
    host: &str,
    context: &mut Context,
) -> Result<BytesMut, Ended> {
    let mut came = BytesMut::with_capacity(4096);
    loop {
        match hello::judge(&came, host, context) {
            Ok(Hello::Names(_)) => return Ok(came),
            Ok(Hello::Partial) => {}
            Err(error) => return Err(Ended::Refused(error.to_string())),
        }
        // One byte beyond, so that a hello that is too long is seen to be.
        let room = (MAX_HELLO + 1).saturating_sub(came.len());
        let read = client.take(u64::try_from(room).unwrap_or(0)).read_buf(&mut came).await;
        if !read.is_ok_and(|read| read > 0) {
            return Err(Ended::Left);
        }
    }
}

/// What moved, and when last.
#[derive(Debug)]
pub(crate) struct Flow {
    up: AtomicU64,
    down: AtomicU64,
    began: Instant,
    /// Milliseconds from `began`.
    last: AtomicU64,
    /// What the bytes are charged to, and the time of its clock at `began`.
    meter: Meter,
    uptime: Duration,
    shared: Arc<Shared>,
    standing: Arc<Standing>,
    over: OnceLock<Refusal>,
}

impl Flow {
    pub(crate) fn of(story: &Story, shared: &Arc<Shared>, standing: &Arc<Standing>) -> Self {
        Self {
            up: AtomicU64::new(0),
            down: AtomicU64::new(0),
            began: Instant::now(),
            last: AtomicU64::new(0),
            meter: story.context.meter().clone(),
            uptime: story.context.uptime() + story.began.elapsed(),
            shared: shared.clone(),
            standing: standing.clone(),
            over: OnceLock::new(),
        }
    }

    /// Notes how much went through.
    pub(crate) fn note(&self, story: &mut Story) {
        story.bytes_in = self.up.load(Ordering::Relaxed);
        story.bytes_out = self.down.load(Ordering::Relaxed);
        if let Some(refusal) = self.over.get() {
            story.refuse(refusal.clone());
        }
    }

    fn touch(&self) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(now, Ordering::Relaxed);
    }

    async fn pump(
        &self,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
        count: &AtomicU64,
    ) -> std::io::Result<()> {
        let mut buffer = BytesMut::with_capacity(BUFFER);
        loop {
            buffer.clear();
            if from.read_buf(&mut buffer).await? == 0 {
                return to.shutdown().await;
            }
            self.send(to, &buffer, count).await?;
        }
    }

    async fn send(&self, to: &mut (impl AsyncWrite + Unpin), bytes: &[u8], count: &AtomicU64) -> std::io::Result<()> {
        let now = self.uptime + self.began.elapsed();
        let links = &self.shared.limit_links;
        if let Err(refusal) = limits::charge(&self.meter, bytes.len(), now, links, &self.standing).await {
            let over = std::io::Error::other(refusal.detail.clone());
            // Both directions may come to it.
            let _ = self.over.set(refusal);
            return Err(over);
        }
        to.write_all(bytes).await?;
        to.flush().await?;
        count.fetch_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.touch();
        Ok(())
    }

    /// Resolves when nothing has moved for too long.
    async fn idle(&self) {
        loop {
            let until = self.began + Duration::from_millis(self.last.load(Ordering::Relaxed)) + IDLE;
            if Instant::now() >= until {
                return;
            }
            tokio::time::sleep_until(until).await;
        }
    }
}
