//! One connection's HTTP: reads each request, has it served, and writes its record, whatever happens.
//!
//! This stands on Pingora's HTTP server sessions and its connection loop (HTTP/1.1 keep-alive, HTTP/2 streams), not on
//! its proxy framework: that one answers malformed requests itself, without a callback, and so without a record.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use pingora_core::apps::{HttpPersistentSettings, HttpServerApp, ReusedHttpStream};
use pingora_core::protocols::http::ServerSession;
use pingora_core::server::ShutdownWatch;
use postern_filters::{Reason, Refusal};
use tracing::error;

use crate::connection::Connection;
use crate::exchange::Exchange;
use crate::shared::Shared;
use crate::story::Story;

/// Time for the head of the first request on a connection (§10: headers 10s).
const FIRST_HEAD: Duration = Duration::from_secs(10);
/// Time for the next head on a kept-alive connection: Pingora's 60 s of idling and the 10 s of the head.
const NEXT_HEAD: Duration = Duration::from_secs(70);

/// Time for a first request that was on its way when a stop was asked for.
const FIRST_CHANCE: Duration = Duration::from_millis(500);

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

    async fn read(&self, session: &mut ServerSession, shutdown: &ShutdownWatch) -> Read {
        let first = self.connection.requests() == 0;
        let mut shutdown = shutdown.clone();
        let ending = async {
            let _ = shutdown.wait_for(|stop| *stop).await;
            if first {
                // Who has just connected has not been told that we are leaving, and may have sent what cannot be sent twice.
                tokio::time::sleep(FIRST_CHANCE).await;
            }
        };
        let read = tokio::select! {
            biased; // a request that has arrived is served even when we are shutting down
            read = tokio::time::timeout(if first { FIRST_HEAD } else { NEXT_HEAD }, session.read_request()) => read,
            () = ending => return Read::Closed,
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
        let served = tokio::select! {
            biased;
            served = AssertUnwindSafe(exchange.run(session, story)).catch_unwind() => Some(served),
            () = self.shared.cut() => None,
        };
        match served {
            None => {
                story.trouble = Some("cut at the deadline of a stop".to_owned());
                false
            }
            Some(Ok(reusable)) => reusable,
            Some(Err(_)) => {
                error!("error.type" = "panic", decision = %story.id, "a request panicked");
                self.shared.metrics.panicked();
                story.refuse(Refusal::new(Reason::Internal, "the request panicked"));
                exchange.answer_refusal(session, story).await;
                false
            }
        }
    }
}

#[async_trait]
impl HttpServerApp for ConnectionApp {
    async fn process_new_http(
        self: &Arc<Self>,
        mut session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        // What a client sends behind a request waits its turn instead of being taken for its leaving.
        session.set_pipelining_enabled(true);
        let read = self.read(&mut session, shutdown).await;
        if matches!(read, Read::Closed) {
            return None;
        }
        let _busy = self.shared.begin_request();
        let mut story = Story::begin(&self.connection, self.shared.clock.unix_ms(), self.shared.uptime());
        let reusable = match read {
            Read::Refused(refusal) => {
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
