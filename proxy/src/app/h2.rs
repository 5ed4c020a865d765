//! HTTP/2: one task a stream, a record for streams that Pingora refuses before anybody sees them, and nothing left of a
//! connection when it ends: its streams are waited for, and counted with it.

use std::sync::Arc;
use std::time::Duration;

use pingora_core::protocols::http::ServerSession;
use pingora_core::protocols::http::v2::server::{H2Accept, H2Options, HttpSession, default_h2_options, handshake};
use pingora_core::protocols::{Digest, Stream};
use postern_config::ConnectionGuard;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tracing::{debug, error};

use super::ConnectionApp;
use super::inbound::{IDLE, stopped};
use crate::guard::{self, Counted};
use crate::trouble;

/// Time for a client to go once it was told to and has no stream left.
const FAREWELL: Duration = Duration::from_secs(1);
/// Streams of one connection that may be malformed; with the last of them the connection ends (attack 5).
const MAX_MALFORMED: u32 = 32;
/// Room for pseudo-headers in a header list.
const MAX_TARGET: usize = 16 * 1024;
/// Pingora's own bound on a header list.
const LEAST_LIST: usize = 64 * 1024;

/// From Pingora's own: options made from nothing lose its bounds on header lists and streams (attack 6).
fn options(guard: &ConnectionGuard) -> H2Options {
    // As the protocol counts them, with a few bytes for each line; what exceeds the bound itself gets an answer.
    let lines = guard.max_headers.saturating_mul(32);
    let list = guard.max_header_size.saturating_add(lines).saturating_add(MAX_TARGET).max(LEAST_LIST);
    let mut options = default_h2_options();
    options.max_header_list_size(u32::try_from(list).unwrap_or(u32::MAX));
    options.max_concurrent_streams(guard.http2.max_concurrent_streams);
    options
}

impl ConnectionApp {
    pub(super) async fn serve_h2(self: &Arc<Self>, stream: Stream, mut shutdown: watch::Receiver<bool>) {
        let guard = self.connection.guard();
        let (stream, verdict) = Counted::new(stream, guard.http2, guard.headers);
        let handshake = handshake(Box::new(stream), Some(options(&guard)));
        let mut connection = match tokio::time::timeout(guard.headers, handshake).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return debug!(error = trouble::of(&error), "no HTTP/2"),
            Err(_) => return debug!("no HTTP/2 preface in time"),
        };
        let digest = Arc::new(Digest::default());
        let stop = shutdown.clone();
        let mut streams = JoinSet::new();
        let (mut malformed, mut draining) = (0, false);
        // Pings and window updates do not put it off: only streams do.
        let mut leave = Instant::now() + IDLE;
        loop {
            let accepted = tokio::select! {
                biased;
                () = stopped(&mut shutdown), if !draining => {
                    connection.graceful_shutdown();
                    draining = true;
                    leave = Instant::now() + FAREWELL;
                    continue;
                }
                Some(ended) = streams.join_next() => {
                    self.note_panic(ended);
                    leave = Instant::now() + if draining { FAREWELL } else { IDLE };
                    continue;
                }
                accepted = HttpSession::from_h2_conn(&mut connection, digest.clone()) => accepted,
                () = tokio::time::sleep_until(leave), if streams.is_empty() => break,
            };
            match accepted {
                Ok(Some(H2Accept::Session(session))) => {
                    let (app, stop) = (self.clone(), stop.clone());
                    let session = ServerSession::new_http2(session);
                    streams.spawn(async move { drop(app.request(session, Ok(()), &stop).await) });
                }
                Ok(Some(H2Accept::Rejected)) => {
                    // Answered or reset before we saw its head: there is no request to tell of.
                    self.shared.record_connection(
                        &self.connection,
                        false,
                        "an HTTP/2 request was malformed or ambiguous",
                    );
                    guard::find(&self.shared, &self.connection.listener, self.connection.source);
                    malformed += 1;
                    if malformed >= MAX_MALFORMED {
                        break;
                    }
                }
                Ok(None) | Err(_) => break,
            }
        }
        if let Some(why) = verdict.get() {
            self.shared.metrics.connection_refused(&self.connection.listener, "frames");
            self.shared.record_connection(&self.connection, false, why);
            guard::find(&self.shared, &self.connection.listener, self.connection.source);
        }
        // Shows what is still being served that nobody listens any more.
        drop(connection);
        while let Some(ended) = streams.join_next().await {
            self.note_panic(ended);
        }
    }

    fn note_panic(&self, ended: Result<(), JoinError>) {
        if let Err(panic) = ended {
            error!("error.type" = "panic", %panic, "a stream panicked outside of its request");
            self.shared.metrics.panicked();
            self.shared.record_connection(&self.connection, false, "a stream panicked outside of its request");
        }
    }
}
