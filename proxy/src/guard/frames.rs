//! Counts the frames of an HTTP/2 connection as they pass, and ends the connection that sends more of a kind than any
//! honest client does: resets (attack 41, CVE-2023-44487), resets that it makes us send (attack 5), CONTINUATION without
//! end (attack 8), PING, SETTINGS, PRIORITY, empty DATA and window updates that trickle. A head has its deadline here,
//! too: to the HTTP/2 library a head that never ends is only a quiet connection (attack 42).
//!
//! The library has bounds of its own behind this; it does not count over time, and does not say what it saw.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use pingora_core::protocols::raw_connect::ProxyDigest;
use pingora_core::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, Stream, TimingDigest,
    UniqueID, UniqueIDType,
};
use postern_config::Http2Limits;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

mod wire;

use wire::{Frame, Frames};

const MINUTE: Duration = Duration::from_secs(60);
/// In a minute: frames that ask for an answer or change nothing.
const MAX_SETTINGS: u32 = 100;
const MAX_CONTROL: u32 = 3_000;
const MAX_EMPTY_DATA: u32 = 200;
/// Window updates beyond one for each so many bytes of answers.
const MAX_UPDATES: u64 = 1_000;
const BYTES_AN_UPDATE: u64 = 256;

/// Why a connection was ended; empty while it is in order.
pub(crate) type Verdict = Arc<OnceLock<&'static str>>;

/// A stream whose frames are counted.
#[derive(Debug)]
pub(crate) struct Counted {
    inner: Stream,
    incoming: Frames,
    outgoing: Frames,
    meter: Meter,
    /// Runs while a head is incomplete.
    deadline: Option<Pin<Box<Sleep>>>,
    head_within: Duration,
    verdict: Verdict,
}

/// What came in the present minute.
#[derive(Debug)]
struct Meter {
    limits: Http2Limits,
    since: Instant,
    resets: u32,
    settings: u32,
    control: u32,
    empty: u32,
    updates: u64,
    sent: u64,
    /// CONTINUATION frames of the head that has begun; none where no head has.
    head: Option<u32>,
}

impl Counted {
    /// Counts from the client's preface on.
    pub(crate) fn new(inner: Stream, limits: Http2Limits, head_within: Duration) -> (Self, Verdict) {
        let verdict = Verdict::default();
        let (incoming, outgoing) = (Frames::after_preface(), Frames::new());
        let meter = Meter::new(limits);
        (Self { inner, incoming, outgoing, meter, deadline: None, head_within, verdict: verdict.clone() }, verdict)
    }

    fn came(&mut self, bytes: &[u8]) -> io::Result<()> {
        let meter = &mut self.meter;
        meter.tick();
        let mut bad = None;
        self.incoming.feed(bytes, |frame| bad = bad.or(meter.received(&frame)));
        if let Some(why) = bad {
            return Err(self.end(why));
        }
        let open = self.meter.head.is_some() || self.incoming.is_inside_of_other_than_data();
        match (open, &self.deadline) {
            (true, None) => self.deadline = Some(Box::pin(tokio::time::sleep(self.head_within))),
            (false, Some(_)) => self.deadline = None,
            _ => {}
        }
        Ok(())
    }

    fn went(&mut self, bytes: &[u8]) -> io::Result<()> {
        let meter = &mut self.meter;
        let mut bad = None;
        self.outgoing.feed(bytes, |frame| bad = bad.or(meter.sent(&frame)));
        bad.map_or(Ok(()), |why| Err(self.end(why)))
    }

    fn end(&self, why: &'static str) -> io::Error {
        let _ = self.verdict.set(why);
        io::Error::new(io::ErrorKind::ConnectionAborted, why)
    }
}

impl Meter {
    fn new(limits: Http2Limits) -> Self {
        Self {
            limits,
            since: Instant::now(),
            resets: 0,
            settings: 0,
            control: 0,
            empty: 0,
            updates: 0,
            sent: 0,
            head: None,
        }
    }

    fn tick(&mut self) {
        if self.since.elapsed() >= MINUTE {
            *self = Self { head: self.head, ..Self::new(self.limits) };
        }
    }

    fn received(&mut self, frame: &Frame) -> Option<&'static str> {
        const ACK: u8 = 1;
        const END_STREAM: u8 = 1;
        const END_HEADERS: u8 = 4;
        match frame.kind {
            wire::DATA if frame.length == 0 && frame.flags & END_STREAM == 0 => {
                over(&mut self.empty, MAX_EMPTY_DATA, "too many empty DATA frames")
            }
            wire::DATA => None,
            wire::HEADERS => {
                self.head = (frame.flags & END_HEADERS == 0).then_some(0);
                None
            }
            wire::CONTINUATION => {
                let count = self.head.unwrap_or_default().saturating_add(1);
                self.head = (frame.flags & END_HEADERS == 0).then_some(count);
                (count > self.limits.max_continuation).then_some("too many CONTINUATION frames")
            }
            wire::RST_STREAM => over(&mut self.resets, self.limits.max_resets_per_minute, "too many stream resets"),
            wire::SETTINGS if frame.flags & ACK == 0 => {
                over(&mut self.settings, MAX_SETTINGS, "too many SETTINGS frames")
            }
            wire::WINDOW_UPDATE => {
                self.updates = self.updates.saturating_add(1);
                let most = MAX_UPDATES.saturating_add(self.sent / BYTES_AN_UPDATE);
                (self.updates > most).then_some("too many WINDOW_UPDATE frames")
            }
            _ => over(&mut self.control, MAX_CONTROL, "too many PING, PRIORITY or unknown frames"),
        }
    }

    fn sent(&mut self, frame: &Frame) -> Option<&'static str> {
        match frame.kind {
            wire::DATA => self.sent = self.sent.saturating_add(u64::from(frame.length)),
            // A reset with an error is one that the client made us send.
            wire::RST_STREAM if !matches!(frame.code, wire::NO_ERROR | wire::CANCEL | wire::REFUSED_STREAM) => {
                return over(
                    &mut self.resets,
                    self.limits.max_resets_per_minute,
                    "too many streams that broke the protocol",
                );
            }
            _ => {}
        }
        None
    }
}

fn over(count: &mut u32, most: u32, why: &'static str) -> Option<&'static str> {
    *count = count.saturating_add(1);
    (*count > most).then_some(why)
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        match Pin::new(&mut self.inner).poll_read(cx, buf) {
            Poll::Ready(Ok(())) => {
                let fresh = buf.filled().get(before..).unwrap_or_default();
                Poll::Ready(self.came(fresh))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => match self.deadline.as_mut().map(|deadline| deadline.as_mut().poll(cx)) {
                Some(Poll::Ready(())) => Poll::Ready(Err(self.end("a head was not complete in time"))),
                _ => Poll::Pending,
            },
        }
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let wrote = std::task::ready!(Pin::new(&mut self.inner).poll_write(cx, buf))?;
        self.went(buf.get(..wrote).unwrap_or_default())?;
        Poll::Ready(Ok(wrote))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = std::task::ready!(Pin::new(&mut self.inner).poll_write_vectored(cx, bufs))?;
        let mut left = wrote;
        for buf in bufs {
            let part = buf.get(..left.min(buf.len())).unwrap_or_default();
            left = left.saturating_sub(part.len());
            self.went(part)?;
        }
        Poll::Ready(Ok(wrote))
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[async_trait]
impl Shutdown for Counted {
    async fn shutdown(&mut self) {
        self.inner.shutdown().await;
    }
}

impl UniqueID for Counted {
    fn id(&self) -> UniqueIDType {
        self.inner.id()
    }
}

impl Ssl for Counted {
    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.inner.selected_alpn_proto()
    }
}

impl GetTimingDigest for Counted {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.inner.get_timing_digest()
    }
}

impl GetProxyDigest for Counted {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.inner.get_proxy_digest()
    }
}

impl GetSocketDigest for Counted {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.inner.get_socket_digest()
    }
}

impl Peek for Counted {}

#[cfg(test)]
mod tests;
