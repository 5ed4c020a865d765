//! One connection's HTTP: reads each request, has it served, and writes its record, whatever happens.
//!
//! This stands on Pingora's HTTP server sessions, not on its proxy framework: that one answers malformed requests itself,
//! without a callback, and so without a record.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use futures::FutureExt;
use pingora_core::protocols::http::{ReusableHttpStream, ServerSession};
use pingora_core::protocols::{ALPN, Stream};
use postern_filters::{Reason, Refusal};
use tokio::sync::watch;
use tracing::error;

use crate::connection::Connection;
use crate::exchange::Exchange;
use crate::inbound::{self, Arrival};
use crate::shared::Shared;
use crate::story::Story;
use crate::{h2, trouble};

/// Time for the last bytes of an answer to be taken.
const FINISH: Duration = Duration::from_secs(10);
/// How long the rest of a body is thrown away after a refusal. A connection that is closed with bytes unread is reset, and
/// a client that is still writing would never see why.
const LINGER: Duration = Duration::from_secs(1);

/// The HTTP application of one connection.
#[derive(Debug)]
pub(crate) struct ConnectionApp {
    shared: Arc<Shared>,
    connection: Arc<Connection>,
}

impl ConnectionApp {
    pub(crate) fn new(shared: Arc<Shared>, connection: Arc<Connection>) -> Self {
        Self { shared, connection }
    }

    /// Serves the connection until it ends.
    pub(crate) async fn run(self: Arc<Self>, stream: Stream, stop: watch::Receiver<bool>) {
        match stream.selected_alpn_proto() {
            Some(ALPN::H2) => h2::run(&self, stream, &stop).await,
            _ => self.http1(stream, stop).await,
        }
    }

    /// Turns true when requests that are still open have to end.
    pub(crate) fn cut(&self) -> watch::Receiver<bool> {
        self.shared.cut.subscribe()
    }

    /// Records a panic outside of a request's own handling, which has caught its own already.
    pub(crate) fn panicked(&self) {
        error!("error.type" = "panic", source = %self.connection.source, "a stream panicked outside of its request");
        self.shared.metrics.panicked();
        self.shared.record_connection(&self.connection, false, "a stream panicked outside of its request");
    }

    /// Records what could not be read as a request.
    pub(crate) fn malformed(&self, detail: &str) {
        self.shared.record_connection(&self.connection, false, detail);
    }

    async fn http1(&self, mut stream: Stream, mut stop: watch::Receiver<bool>) {
        let (mut ahead, mut first) = (BytesMut::new(), true);
        loop {
            let arrival = inbound::next(&mut stream, &mut ahead, first, &mut stop).await;
            first = false;
            let mut session = ServerSession::new_http1(stream);
            // What a client sends behind a request waits its turn instead of being taken for its leaving.
            session.set_pipelining_enabled(true);
            let begun = match arrival {
                Arrival::Nothing => return,
                Arrival::Torn => return self.malformed("the connection ended inside a request head"),
                Arrival::Refused(refusal) => Err(refusal),
                Arrival::Head => {
                    session.set_pipelined_prefix(ahead);
                    parse(&mut session).await
                }
            };
            let Some(reusable) = self.request(session, begun, &stop).await else { return };
            let (next, rest) = reusable.into_parts();
            (stream, ahead) = (next, rest.unwrap_or_default());
        }
    }

    /// Serves one HTTP/2 stream.
    pub(crate) async fn stream(&self, session: ServerSession) {
        let (_never, stop) = watch::channel(false);
        self.request(session, Ok(()), &stop).await;
    }

    /// Serves one request and records it. `begun` is what reading its head came to.
    async fn request(
        &self,
        mut session: ServerSession,
        begun: Result<(), Refusal>,
        stop: &watch::Receiver<bool>,
    ) -> Option<ReusableHttpStream> {
        let _busy = self.shared.begin_request();
        let mut story = Story::begin(&self.connection, &self.shared);
        story.parsed = begun.is_ok();
        let reusable = self.serve(&mut session, &mut story, begun).await;
        let broken = story.trouble.is_some();
        let unread = unread(&mut session, &story);
        self.shared.finish(story, &self.connection);
        if broken {
            // Finishing would make a truncated answer look whole: dropping the stream shows the client that it is not.
            return None;
        }
        if unread {
            linger(&mut session).await;
            return None;
        }
        if !reusable || *stop.borrow() {
            session.set_keepalive(None);
        }
        tokio::time::timeout(FINISH, session.finish()).await.ok()?.ok().flatten()
    }

    /// Returns whether the connection may carry another request.
    async fn serve(&self, session: &mut ServerSession, story: &mut Story, begun: Result<(), Refusal>) -> bool {
        let exchange = Exchange::new(&self.shared, &self.connection);
        let mut cut = self.cut();
        let served = AssertUnwindSafe(exchange.run(session, story, begun)).catch_unwind();
        let served = tokio::select! {
            // First: the cut also drops the connection, and would be taken for the client's leaving.
            biased;
            () = inbound::stopped(&mut cut) => None,
            served = served => Some(served),
        };
        match served {
            Some(Ok(reusable)) => reusable,
            Some(Err(_)) => {
                error!("error.type" = "panic", decision = %story.id, "a request panicked");
                self.shared.metrics.panicked();
                story.refuse(Refusal::new(Reason::Internal, "the request panicked"));
                if AssertUnwindSafe(exchange.answer_refusal(session, story)).catch_unwind().await.is_err() {
                    story.trouble = Some("answering panicked as well".to_owned());
                }
                false
            }
            None => {
                story.trouble = Some("cut at the deadline of a stop".to_owned());
                false
            }
        }
    }
}

/// Has Pingora parse the head that was read.
async fn parse(session: &mut ServerSession) -> Result<(), Refusal> {
    match tokio::time::timeout(inbound::HEAD, session.read_request()).await {
        Ok(Ok(true)) => Ok(()),
        Ok(Ok(false)) => Err(Refusal::new(Reason::Malformed, "the request has no head")),
        Ok(Err(error)) => Err(Refusal::new(Reason::Malformed, trouble::of(&error))),
        Err(_) => Err(Refusal::new(Reason::SlowRequest, "no request head in time")),
    }
}

/// Whether a client may still be writing a body that was refused. One that asked before it sends has been told.
fn unread(session: &mut ServerSession, story: &Story) -> bool {
    let asked = story.head.as_ref().is_some_and(|head| head.expects_continue);
    story.parsed && story.refusal.is_some() && !asked && !session.is_http2() && !session.is_body_done()
}

/// Says that nothing more will come, and reads what does come to no end (attack 1: it is never taken for a request).
async fn linger(session: &mut ServerSession) {
    let _ = tokio::time::timeout(LINGER, async {
        session.shutdown().await;
        let _ = session.drain_request_body().await;
    })
    .await;
}
