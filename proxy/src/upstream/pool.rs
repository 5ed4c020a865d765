//! Connections of one endpoint that are kept: idle ones of HTTP/1.1, and those of HTTP/2 with room for another request.
//!
//! A pool belongs to one endpoint of one load. What a reload changes about trust, identity or the peer that is expected
//! can therefore never be met by a connection that was made before.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use postern_filters::Peer;
use tokio::time::Instant;

use super::failure::{Failure, FailureKind};
use super::wire::Wire;

/// How long a connection without a request is kept.
const IDLE: Duration = Duration::from_secs(60);
/// Idle connections of an endpoint.
const MAX_IDLE: usize = 128;
/// Requests on one HTTP/2 connection, if its server allows that many.
const MAX_STREAMS: usize = 100;
/// Bytes of one answer, and of all answers of a connection, that may come before we have read what came before.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 2 << 20;
/// Bytes of a head or of trailers.
const MAX_HEAD: u32 = 64 << 10;

#[derive(Debug, Default)]
pub(crate) struct Pool {
    idle: Mutex<Vec<(Wire, Instant)>>,
    shared: Mutex<Vec<H2Connection>>,
}

impl Pool {
    /// An idle HTTP/1.1 connection to an address that `may` be used and that is still open; the one used last, so that the
    /// others can age.
    pub(crate) fn take(&self, may: impl Fn(Peer) -> bool) -> Option<Wire> {
        loop {
            // One at a time: the lock is not held while a connection is looked at.
            let (wire, since) = {
                let mut idle = lock(&self.idle);
                let at = idle.iter().rposition(|(wire, _)| may(wire.address()))?;
                idle.remove(at)
            };
            if since.elapsed() < IDLE && wire.is_quiet() {
                return Some(wire);
            }
        }
    }

    pub(crate) fn keep(&self, wire: Wire) {
        let mut idle = lock(&self.idle);
        if idle.len() < MAX_IDLE {
            idle.push((wire, Instant::now()));
        }
    }

    /// Closes the idle connection that was not used for longest.
    pub(crate) fn evict(&self) -> bool {
        let mut idle = lock(&self.idle);
        let evicted = (!idle.is_empty()).then(|| idle.remove(0));
        drop(idle);
        evicted.is_some()
    }

    /// Takes a place on an HTTP/2 connection that has one.
    pub(crate) fn join(&self, may: impl Fn(Peer) -> bool) -> Option<H2Place> {
        let mut shared = lock(&self.shared);
        shared.retain(|connection| !connection.state.is_over());
        shared.iter().filter(|connection| may(connection.state.address)).find_map(H2Connection::place)
    }

    pub(crate) fn share(&self, connection: H2Connection) {
        lock(&self.shared).push(connection);
    }

    /// Lets go of everything: what is idle closes, and no further request goes to what is in use.
    pub(crate) fn clear(&self) {
        lock(&self.idle).clear();
        for connection in lock(&self.shared).drain(..) {
            connection.state.retire();
        }
    }

    /// Lets go of what is over, or was idle for too long.
    pub(crate) fn sweep(&self) {
        let idle: Vec<_> = std::mem::take(&mut *lock(&self.idle));
        let alive = idle.into_iter().filter(|(wire, since)| since.elapsed() < IDLE && wire.is_quiet());
        let alive: Vec<_> = alive.collect();
        // What was kept meanwhile is younger.
        let mut idle = lock(&self.idle);
        let younger = std::mem::replace(&mut *idle, alive);
        idle.extend(younger);
        drop(idle);
        lock(&self.shared).retain(|connection| !connection.state.is_over() && !connection.state.is_stale());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An HTTP/2 connection. It closes once nobody holds it and its last request has ended.
#[derive(Debug)]
pub(crate) struct H2Connection {
    send: SendRequest<Bytes>,
    state: Arc<H2State>,
}

/// A place for one request on an HTTP/2 connection.
#[derive(Debug)]
pub(crate) struct H2Place {
    pub(crate) send: SendRequest<Bytes>,
    pub(crate) state: Arc<H2State>,
}

/// What requests share about their connection.
#[derive(Debug)]
pub(crate) struct H2State {
    pub(crate) address: Peer,
    active: AtomicUsize,
    /// Takes no further request: it ended, the server said so, or something hung on it.
    over: AtomicBool,
    used: Mutex<Instant>,
}

impl H2State {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    fn is_stale(&self) -> bool {
        self.active.load(Ordering::Relaxed) == 0 && lock(&self.used).elapsed() >= IDLE
    }

    /// No further request goes there; those that are under way go on.
    pub(crate) fn retire(&self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

impl H2Connection {
    /// Begins HTTP/2 on `wire`. Its task ends with the connection.
    pub(crate) async fn begin(wire: Wire, deadline: Instant) -> Result<Self, Failure> {
        let address = wire.address();
        let failed = |why: &str| Failure::new(FailureKind::Connect, format!("HTTP/2 with {address}: {why}"));
        let handshake = Builder::new()
            .enable_push(false)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(MAX_HEAD)
            .initial_max_send_streams(MAX_STREAMS)
            .max_send_buffer_size(STREAM_WINDOW as usize)
            .handshake(wire);
        let begun = tokio::time::timeout_at(deadline, handshake).await.map_err(|_| failed("it took too long"))?;
        let (send, connection) = begun.map_err(|error| failed(&error.to_string()))?;
        let state = Arc::new(H2State {
            address,
            active: AtomicUsize::new(0),
            over: AtomicBool::new(false),
            used: Mutex::new(Instant::now()),
        });
        let watched = state.clone();
        tokio::spawn(async move {
            let _ = connection.await;
            watched.retire();
        });
        Ok(Self { send, state })
    }

    pub(crate) fn place(&self) -> Option<H2Place> {
        let room = self.send.current_max_send_streams().min(MAX_STREAMS);
        let more = |active: usize| (active < room).then(|| active + 1);
        if self.state.is_over() || self.state.active.fetch_update(Ordering::AcqRel, Ordering::Relaxed, more).is_err() {
            return None;
        }
        Some(H2Place { send: self.send.clone(), state: self.state.clone() })
    }
}

impl Drop for H2Place {
    fn drop(&mut self) {
        self.state.active.fetch_sub(1, Ordering::AcqRel);
        *lock(&self.state.used) = Instant::now();
    }
}
