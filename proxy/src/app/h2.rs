//! HTTP/2: one task a stream, and a record for streams that Pingora refuses before anybody sees them.

use std::sync::Arc;
use std::time::Duration;

use pingora_core::protocols::http::ServerSession;
use pingora_core::protocols::http::v2::server::{H2Accept, HttpSession, handshake};
use pingora_core::protocols::{Digest, Stream};
use postern_filters::{Reason, Refusal};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tracing::{debug, error};

use super::ConnectionApp;
use crate::story::Story;

/// Longest time without a stream.
const IDLE: Duration = Duration::from_secs(60);
/// Streams of one connection that may be malformed; with the last of them the connection ends (attack 5).
const MAX_MALFORMED: u32 = 32;

impl ConnectionApp {
    pub(super) async fn serve_h2(self: &Arc<Self>, stream: Stream, mut shutdown: watch::Receiver<bool>) {
        // No options of ours: those would lose Pingora's bounds on header lists and streams (attack 6).
        let mut connection = match handshake(stream, None).await {
            Ok(connection) => connection,
            Err(error) => return debug!(%error, "no HTTP/2"),
        };
        let digest = Arc::new(Digest::default());
        let stop = shutdown.clone();
        let mut streams = JoinSet::new();
        let (mut malformed, mut draining) = (0, false);
        loop {
            let accepted = tokio::select! {
                biased;
                _ = shutdown.wait_for(|stop| *stop), if !draining => {
                    connection.graceful_shutdown();
                    draining = true;
                    continue;
                }
                Some(ended) = streams.join_next() => {
                    self.note_panic(ended);
                    continue;
                }
                accepted = HttpSession::from_h2_conn(&mut connection, digest.clone()) => accepted,
                () = tokio::time::sleep(IDLE), if streams.is_empty() => break,
            };
            match accepted {
                Ok(Some(H2Accept::Session(session))) => {
                    let (app, stop) = (self.clone(), stop.clone());
                    streams.spawn(async move { drop(app.request(ServerSession::new_http2(session), &stop).await) });
                }
                Ok(Some(H2Accept::Rejected)) => {
                    self.record_rejected();
                    malformed += 1;
                    if malformed >= MAX_MALFORMED {
                        break;
                    }
                }
                Ok(None) | Err(_) => break,
            }
        }
        // Shows what is still being served that nobody listens any more.
        drop(connection);
        while let Some(ended) = streams.join_next().await {
            self.note_panic(ended);
        }
    }

    /// A stream that was answered or reset before we saw its head.
    fn record_rejected(&self) {
        let mut story = Story::begin(&self.connection, self.shared.clock.unix_ms(), self.shared.uptime());
        story.http_version = "2";
        story.status = Reason::Malformed.status();
        story.refuse(Refusal::new(Reason::Malformed, "a stream whose head is malformed or ambiguous"));
        self.shared.finish(story, &self.connection);
    }

    fn note_panic(&self, ended: Result<(), JoinError>) {
        if let Err(panic) = ended {
            error!("error.type" = "panic", %panic, "a stream panicked outside of its request");
            self.shared.metrics.panicked();
            self.shared.record_connection(&self.connection, false, "a stream panicked outside of its request");
        }
    }
}
