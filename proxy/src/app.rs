//! One connection's HTTP: reads each request, has it served, and writes its record, whatever happens.
//!
//! This stands on Pingora's HTTP server sessions. The loops over requests and streams are ours: Pingora's proxy framework
//! answers malformed requests itself, and its HTTP/2 loop drops malformed streams, both without a callback and so without
//! a record.

mod h1;
mod h2;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use pingora_core::apps::{HttpPersistentSettings, ReusedHttpStream};
use pingora_core::protocols::http::ServerSession;
use pingora_core::protocols::{ALPN, Stream};
use postern_filters::{Reason, Refusal};
use tokio::sync::watch;
use tracing::error;

use crate::connection::Connection;
use crate::exchange::Exchange;
use crate::shared::Shared;
use crate::story::Story;

/// Time for the head of the first request on a connection (§10: headers 10s).
const FIRST_HEAD: Duration = Duration::from_secs(10);
/// Time for the next head on a kept-alive connection: Pingora's 60 s of idling and the 10 s of the head.
const NEXT_HEAD: Duration = Duration::from_secs(70);

/// The HTTP application of one connection.
#[derive(Debug)]
pub(crate) struct ConnectionApp {
    shared: Arc<Shared>,
    connection: Arc<Connection>,
}

enum Read {
    Request,
    Closed,
    Refused(Refusal),
}

impl ConnectionApp {
    pub(crate) fn new(shared: Arc<Shared>, connection: Arc<Connection>) -> Self {
        Self { shared, connection }
    }

    /// Serves the connection to its end. Returns once the record of its last request is written.
    pub(crate) async fn serve_connection(self: &Arc<Self>, stream: Stream, shutdown: watch::Receiver<bool>) {
        if matches!(stream.selected_alpn_proto(), Some(ALPN::H2)) {
            self.serve_h2(stream, shutdown).await;
        } else {
            self.serve_h1(stream, &shutdown).await;
        }
    }

    async fn read(&self, session: &mut ServerSession, shutdown: &watch::Receiver<bool>) -> Read {
        let first = self.connection.requests() == 0;
        let mut shutdown = shutdown.clone();
        let read = tokio::select! {
            biased; // a request that has arrived is served even when we are shutting down
            read = tokio::time::timeout(if first { FIRST_HEAD } else { NEXT_HEAD }, session.read_request()) => read,
            _ = shutdown.wait_for(|stop| *stop) => return Read::Closed,
        };
        match read {
            Ok(Ok(true)) => Read::Request,
            Ok(Ok(false)) => Read::Closed,
            Ok(Err(error)) if matches!(error.etype, pingora_core::ErrorType::InvalidHTTPHeader) => {
                Read::Refused(Refusal::new(Reason::Malformed, error.to_string()))
            }
            // Idle time-outs and broken connections: nobody is there to be answered.
            Ok(Err(_)) => Read::Closed,
            Err(_) if first => Read::Refused(Refusal::new(Reason::SlowRequest, "no request head in time")),
            Err(_) => Read::Closed,
        }
    }

    /// Serves the request that was read. Returns whether the connection may carry another.
    async fn serve(&self, session: &mut ServerSession, story: &mut Story) -> bool {
        let exchange = Exchange::new(&self.shared, &self.connection);
        match AssertUnwindSafe(exchange.run(session, story)).catch_unwind().await {
            Ok(reusable) => reusable,
            Err(_) => {
                error!("error.type" = "panic", decision = %story.id, "a request panicked");
                self.shared.metrics.panicked();
                story.refuse(Refusal::new(Reason::Internal, "the request panicked"));
                session.set_keepalive(None);
                // What panicked once may do so again; the record is written in any case.
                let _ = AssertUnwindSafe(exchange.answer_refusal(session, story)).catch_unwind().await;
                false
            }
        }
    }

    /// Reads one request and serves it. What comes back may carry another one.
    async fn request(&self, mut session: ServerSession, shutdown: &watch::Receiver<bool>) -> Option<ReusedHttpStream> {
        // What a client sends behind a request waits its turn instead of being taken for its leaving.
        session.set_pipelining_enabled(true);
        let read = self.read(&mut session, shutdown).await;
        if matches!(read, Read::Closed) {
            return None;
        }
        let mut story = Story::begin(&self.connection, self.shared.clock.unix_ms(), self.shared.uptime());
        let reusable = match read {
            Read::Refused(refusal) => {
                // Nobody knows where this request ends, so nothing behind it can be read.
                session.set_keepalive(None);
                story.refuse(refusal);
                Exchange::new(&self.shared, &self.connection).answer_refusal(&mut session, &mut story).await;
                false
            }
            _ => self.serve(&mut session, &mut story).await,
        };
        let broken = story.trouble.is_some();
        self.shared.finish(story, &self.connection);
        if broken {
            // Finishing would make a truncated answer look whole: dropping the stream shows the client that it is not.
            return None;
        }
        if !reusable || *shutdown.borrow() {
            session.set_keepalive(None);
        }
        let settings = HttpPersistentSettings::for_session(&session);
        let stream = session.finish().await.ok().flatten()?;
        Some(ReusedHttpStream::from_reusable_stream(stream, settings))
    }
}
