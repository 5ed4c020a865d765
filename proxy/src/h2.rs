//! One HTTP/2 connection: its preface within a deadline, its streams side by side, and nothing of it left when it ends.
//!
//! The loop is ours because Pingora's waits for a preface and for idle connections for ever, answers malformed streams
//! without a word to us, and lets streams outlive their connection, where nobody counts them.

use std::sync::Arc;
use std::time::Duration;

use pingora_core::protocols::http::ServerSession;
use pingora_core::protocols::http::v2::server::{H2Accept, HttpSession, default_h2_options, handshake};
use pingora_core::protocols::{Digest, Stream};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use crate::app::ConnectionApp;
use crate::inbound::{HEAD, IDLE, stopped};

/// Time for a client to go once it was told to and has no stream left.
const FAREWELL: Duration = Duration::from_secs(1);
/// Streams that were refused before they could be read; a client that sends more has lost its connection.
const MAX_MALFORMED: usize = 32;

/// Serves the connection until it ends, and its last stream with it.
pub(crate) async fn run(app: &Arc<ConnectionApp>, stream: Stream, stop: &watch::Receiver<bool>) {
    let begun = tokio::time::timeout(HEAD, handshake(stream, Some(default_h2_options()))).await;
    let Ok(Ok(mut connection)) = begun else { return };
    let (mut cut, mut stop) = (app.cut(), stop.clone());
    let digest = Arc::new(Digest::default());
    let mut streams = JoinSet::new();
    let (mut draining, mut malformed) = (false, 0);
    let mut leave = Instant::now() + IDLE;
    loop {
        let accepted = tokio::select! {
            biased;
            () = stopped(&mut cut) => break,
            () = stopped(&mut stop), if !draining => {
                connection.graceful_shutdown();
                draining = true;
                leave = Instant::now() + FAREWELL;
                continue;
            }
            Some(ended) = streams.join_next() => {
                note(app, ended);
                leave = Instant::now() + if draining { FAREWELL } else { IDLE };
                continue;
            }
            () = tokio::time::sleep_until(leave), if streams.is_empty() => break,
            accepted = HttpSession::from_h2_conn(&mut connection, digest.clone()) => accepted,
        };
        match accepted {
            Ok(Some(H2Accept::Session(session))) => {
                let app = app.clone();
                streams.spawn(async move { app.stream(ServerSession::new_http2(session)).await });
            }
            Ok(Some(H2Accept::Rejected)) => {
                app.malformed("an HTTP/2 request was malformed");
                malformed += 1;
                if malformed >= MAX_MALFORMED {
                    break;
                }
            }
            Ok(None) | Err(_) => break,
        }
    }
    // Streams learn from it that their client has gone; each of them ends, and leaves its record.
    drop(connection);
    while let Some(ended) = streams.join_next().await {
        note(app, ended);
    }
}

fn note(app: &ConnectionApp, ended: Result<(), JoinError>) {
    if ended.is_err_and(|error| error.is_panic()) {
        app.panicked();
    }
}
