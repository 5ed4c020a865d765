//! One connection's HTTP: reads each request, has it served, and writes its record, whatever happens.
//!
//! This stands on Pingora's HTTP server sessions. The loops over requests and streams are ours: Pingora's proxy framework
//! answers malformed requests itself, its HTTP/1.1 loop waits for heads in steps of a minute, and its HTTP/2 loop drops
//! malformed streams, all without a callback and so without a record.

#[cfg(test)]
mod differential;
mod h1;
mod h2;
mod inbound;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use pingora_core::protocols::http::{ReusableHttpStream, ServerSession};
use pingora_core::protocols::{ALPN, Stream};
use postern_filters::{Reason, Refusal};
use tokio::sync::watch;
use tracing::error;

use crate::accept::Notice;
use crate::connection::Connection;
use crate::exchange::Exchange;
use crate::shared::Shared;
use crate::standing::Standing;
use crate::story::Story;
use crate::tunnel::{self, Flow, Tunnel};

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
    notice: Notice,
}

impl ConnectionApp {
    pub(crate) fn new(shared: Arc<Shared>, connection: Arc<Connection>, notice: Notice) -> Self {
        Self { shared, connection, notice }
    }

    /// Serves the connection to its end. Returns once the record of its last request is written.
    pub(crate) async fn serve_connection(self: &Arc<Self>, stream: Stream, shutdown: watch::Receiver<bool>) {
        if matches!(stream.selected_alpn_proto(), Some(ALPN::H2)) {
            self.serve_h2(stream, shutdown).await;
        } else {
            self.serve_h1(stream, shutdown).await;
        }
    }

    /// Serves one request and records it. `begun` is what reading its head came to. What comes back may carry another.
    async fn request(
        &self,
        mut session: ServerSession,
        begun: Result<(), Refusal>,
        shutdown: &watch::Receiver<bool>,
    ) -> Option<ReusableHttpStream> {
        let _busy = self.shared.begin_request();
        let _asking = self.connection.admitted.as_ref().map(|admitted| admitted.ask());
        let mut story = Story::begin(&self.connection, &self.shared);
        let standing = Arc::<Standing>::default();
        let reusable = self.serve(&mut session, &mut story, begun, &standing).await;
        if let Some(tunnel) = story.tunnel.take() {
            self.tunnel(session, tunnel, &mut story, &standing).await;
            self.shared.finish(story, &self.connection);
            return None;
        }
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
        if !reusable || *shutdown.borrow() {
            session.set_keepalive(None);
        }
        tokio::time::timeout(FINISH, session.finish()).await.ok()?.ok().flatten()
    }

    /// Runs a tunnel on the connection of its request, which carries nothing else afterwards.
    async fn tunnel(&self, session: ServerSession, tunnel: Tunnel, story: &mut Story, standing: &Arc<Standing>) {
        let ServerSession::H1(session) = session else {
            return story.refuse(Refusal::new(Reason::Internal, "a tunnel on something else than HTTP/1.1"));
        };
        let flow = Flow::of(story, &self.shared, standing);
        let run = tunnel::run(session.into_inner(), tunnel, &flow, story);
        let ended = tokio::select! {
            biased;
            () = self.notice.cut(&self.shared) => Some("cut at the deadline of a drain".to_owned()),
            () = self.connection.banished(&self.shared) => Some("cut, as its address is banned".to_owned()),
            cut = self.connection.was_cut() => Some(format!("the connection was cut: {}", cut.detail)),
            over = standing.over() => Some(over),
            ended = AssertUnwindSafe(run).catch_unwind() => ended.is_err().then(|| "the tunnel panicked".to_owned()),
        };
        flow.note(story);
        if let Some(why) = ended {
            story.note_trouble(why);
        }
    }

    /// Serves the request that was read. Returns whether the connection may carry another.
    async fn serve(
        &self,
        session: &mut ServerSession,
        story: &mut Story,
        begun: Result<(), Refusal>,
        standing: &Arc<Standing>,
    ) -> bool {
        let exchange = Exchange::new(&self.shared, &self.connection, &self.notice, standing);
        let served = tokio::select! {
            // First: the cut also drops the connection, and would be taken for the client's leaving.
            biased;
            () = self.notice.cut(&self.shared) => Err("cut at the deadline of a drain".to_owned()),
            () = self.connection.banished(&self.shared) => Err("cut, as its address is banned".to_owned()),
            cut = self.connection.was_cut() => Err(format!("the connection was cut: {}", cut.detail)),
            over = standing.over() => Err(over),
            served = AssertUnwindSafe(exchange.run(session, story, begun)).catch_unwind() => Ok(served),
        };
        match served {
            Err(why) => {
                story.note_trouble(&why);
                false
            }
            Ok(Ok(reusable)) => reusable,
            Ok(Err(_)) => {
                error!("error.type" = "panic", decision = %story.id, "a request panicked");
                self.shared.metrics.panicked();
                story.refuse(Refusal::new(Reason::Internal, "the request panicked"));
                session.set_keepalive(None);
                // What panicked once may do so again; the record is written in any case.
                if AssertUnwindSafe(exchange.answer_refusal(session, story)).catch_unwind().await.is_err() {
                    story.note_trouble("answering panicked as well");
                }
                false
            }
        }
    }
}

/// Whether a client may still be writing a body that was refused. One that asked before it sends has been told.
fn unread(session: &mut ServerSession, story: &Story) -> bool {
    let Some(head) = &story.head else { return false };
    story.refusal.is_some() && !head.expects_continue && !session.is_http2() && !session.is_body_done()
}

/// Says that nothing more will come, and reads what does come to no end (attack 1: it is never taken for a request).
async fn linger(session: &mut ServerSession) {
    let rest = async {
        session.shutdown().await;
        let _ = session.drain_request_body().await;
    };
    let _ = tokio::time::timeout(LINGER, rest).await;
}
