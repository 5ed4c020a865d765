//! The open connections of a process, so that one of them can be ended while it is open: because its peer is not believed
//! any more, and for whatever else a part of the proxy has a reason.
//!
//! A cut is told to the connection. Its running requests end at once and leave records that say so, its streams break off,
//! and a moment later the socket is closed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use postern_certs::ListenerTls;
use postern_config::ListenerTls as Settings;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::connection::Connection;
use crate::runtime::Runtime;
use crate::shared::Shared;

/// How often ends of certificates and revocation lists are looked at.
const TICK: Duration = Duration::from_millis(250);
/// Connections that one thread judges in a row.
const CHUNK: usize = 1000;

/// Why a connection is cut; a label of the metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum CutReason {
    /// What the peer presented would not be accepted today: revoked, its authority or name taken away, TLS too old.
    Distrusted,
    /// A certificate of the peer has expired.
    Expired,
    /// The exception that allowed the connection has ended.
    Exception,
}

impl CutReason {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Distrusted => "distrusted",
            Self::Expired => "expired",
            Self::Exception => "exception_ended",
        }
    }
}

/// What a connection is told.
#[derive(Debug, Clone)]
pub(crate) struct Cut {
    pub(crate) reason: CutReason,
    pub(crate) detail: String,
}

/// Every open connection by its number. Bounded by the number of connections that are accepted.
#[derive(Debug, Default)]
pub(crate) struct Registry(Mutex<HashMap<u64, Arc<Connection>>>);

/// A place in the registry; leaving is dropping it.
#[derive(Debug)]
pub(crate) struct Entry {
    registry: Arc<Registry>,
    number: u64,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.registry.open().remove(&self.number);
    }
}

impl Registry {
    pub(crate) fn enter(self: &Arc<Self>, connection: Arc<Connection>) -> Entry {
        let number = connection.number;
        self.open().insert(number, connection);
        Entry { registry: self.clone(), number }
    }

    /// Calls `each` with every open connection; the registry is free meanwhile.
    pub(crate) fn for_each(&self, mut each: impl FnMut(&Arc<Connection>)) {
        let open: Vec<Arc<Connection>> = self.open().values().cloned().collect();
        open.iter().for_each(&mut each);
    }

    /// Ends a connection. False where it is gone, or was told before.
    pub(crate) fn cut(&self, number: u64, reason: CutReason, detail: String) -> bool {
        let connection = self.open().get(&number).cloned();
        connection.is_some_and(|connection| connection.cut(Cut { reason, detail }))
    }

    fn open(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Arc<Connection>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Judges every open connection by the running set: what its client presented must be believed today, and what streams on it
/// must be permitted today. Verifying is work, so it is done beside the runtime's threads, on several at once.
pub(crate) async fn judge(shared: &Arc<Shared>) {
    let mut open = Vec::new();
    shared.registry.for_each(|connection| open.push(connection.clone()));
    let runtime = shared.runtime.load_full();
    let judging = open.chunks(CHUNK).map(|chunk| {
        let (chunk, shared, runtime) = (chunk.to_vec(), shared.clone(), runtime.clone());
        tokio::task::spawn_blocking(move || {
            for one in chunk {
                judge_one(&shared, &runtime, &one);
                one.streams().iter().for_each(|stream| stream.judge(&shared, &runtime, &one));
            }
        })
    });
    for judged in judging.collect::<Vec<_>>() {
        // A panic in there was reported by the runtime; the next request of the connection is judged again.
        let _ = judged.await;
    }
}

/// Judges one connection by `runtime`.
pub(crate) fn judge_one(shared: &Shared, runtime: &Runtime, connection: &Connection) {
    // A listener that is gone drains; it has a deadline of its own, and its requests are refused.
    let Some((tls, settings)) = runtime.tls_of(&connection.listener) else { return };
    if let Err(why) = connection.is_trusted(tls, settings) {
        let detail = format!("the connection is not trusted any more: {why}");
        shared.registry.cut(connection.number, CutReason::Distrusted, detail);
    }
}

/// Looks for what has ended by time, until `stop` turns true.
pub(crate) async fn run(shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let mut before = None;
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stopped(&mut stop) => return,
            _ = tick.tick() => {
                let looking = shared.clone();
                // Beside the runtime's threads: there may be many connections. A panic in there does not end the watch.
                let Ok(now) = tokio::task::spawn_blocking(move || look(&looking)).await else { continue };
                if begins_to_act(&shared.runtime.load(), before.replace(now).unwrap_or(now), now) {
                    judge(&shared).await;
                }
            }
        }
    }
}

/// Whether policy that was on trial acts since `before`: what it refuses ends like after a load. Once more a while later, for
/// requests that were on their way to a stream at that moment.
fn begins_to_act(runtime: &Runtime, before: i64, now: i64) -> bool {
    let routes = &runtime.snapshot.routes;
    let of_rules = routes.iter().flat_map(|route| &route.policy.trials).map(|trial| trial.from);
    let moments = of_rules.chain(routes.iter().flat_map(|route| &route.later).map(|later| later.from));
    let mut looks =
        moments.flat_map(|from| [from, from.saturating_add(60)]).map(|seconds| seconds.saturating_mul(1000));
    looks.any(|moment| before < moment && moment <= now)
}

/// Returns once `stop` is true. Holds no lock of the channel across an await of the caller's.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Ends what has ended, and says by which moment.
fn look(shared: &Shared) -> i64 {
    let now_ms = shared.clock.unix_ms();
    let now = now_ms / 1000;
    let runtime = shared.runtime.load_full();
    shared.registry.for_each(|connection| {
        if let Some(over) = runtime.plaintext(&connection.listener).filter(|waived| waived.has_ended(now_ms)) {
            shared.registry.cut(connection.number, CutReason::Exception, over.ended());
        }
        let Some((tls, settings)) = runtime.tls_of(&connection.listener) else { return };
        // Who has just come was judged by the handshake, and has a request on the way.
        if connection.opened.elapsed() < TICK {
            return;
        }
        if has_expired(connection, settings, now) {
            let detail = "the client certificate has expired".to_owned();
            shared.registry.cut(connection.number, CutReason::Expired, detail);
        } else if nobody_knows(connection, tls, settings, now_ms) {
            // A list that is over believes nobody whom it would have to cover.
            connection.forget_trust();
            judge_one(shared, &runtime, connection);
        }
    });
    now_ms
}

/// Whether it may be that no current list covers the client's certificate, and no exception allows that any more.
fn nobody_knows(connection: &Connection, tls: &ListenerTls, settings: &Settings, now_ms: i64) -> bool {
    let over = tls.lists_end().is_some_and(|end| end < now_ms / 1000);
    match &settings.trust.unknown {
        Some(waived) if !waived.has_ended(now_ms) => false,
        Some(_) => over || connection.revocation_is_unknown(),
        None => over,
    }
}

fn has_expired(connection: &Connection, settings: &Settings, now: i64) -> bool {
    settings.deny_after_expiry && connection.valid_until().is_some_and(|until| until < now)
}
