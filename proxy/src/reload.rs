//! Picks up changed files: a new set is read, merged and compiled beside the running one, and swapped in whole. On any
//! problem the old set stays, and the log, a metric and an audit record say why.

mod stamps;
mod watch;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use postern_filters::limit::LimitStore;
use tokio::signal::unix::Signal;
use tokio::sync::{mpsc, watch as channel};
use tokio::time::MissedTickBehavior;
use tracing::{error, info};

use crate::listeners::Opening;
use crate::outside::Outside;
use crate::runtime::{LoadError, Runtime};
use crate::shared::Shared;
use crate::spiffe::Agents;
use crate::{connections, credentials, hardening, record};
pub(crate) use stamps::Stamps;
use watch::Watching;

/// Writers touch several files at once; this much quiet means they are done.
const QUIET: Duration = Duration::from_millis(100);
/// A writer that never stops does not put a reload off for longer than this.
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// Files are compared even without an event: some file systems report none. A refused set is tried again then, because
/// what it lacks may be where nobody watches.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// Reads of a set that changes meanwhile, with pauses that give its writer time.
const READS: u32 = 5;
const BETWEEN_READS: Duration = Duration::from_millis(50);

/// What came of a reload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reload {
    Taken,
    /// The old set stays. The text says why.
    Refused(String),
}

/// The last attempt. Whoever loads holds it, so that loads come one after the other and the newest files win.
#[derive(Debug)]
pub(crate) struct LastLoad {
    stamps: Stamps,
    /// Why it was refused, if it was.
    refused: Option<String>,
}

impl LastLoad {
    pub(crate) fn new(stamps: Stamps) -> Self {
        Self { stamps, refused: None }
    }
}

/// Watches and reloads, on change and on SIGHUP, until `stop` turns true.
pub(crate) async fn run(
    shared: Arc<Shared>,
    config: PathBuf,
    mut hangup: Option<Signal>,
    mut stop: channel::Receiver<bool>,
) {
    let (tell, mut told) = mpsc::channel::<()>(1);
    let mut watching = Watching::start(&shared.runtime.load().files, &tell);
    let mut again = tokio::time::interval(LOOK_AGAIN);
    again.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let outcome = tokio::select! {
            () = asked_to_stop(&mut stop) => return,
            _ = told.recv() => {
                settle(&mut told).await;
                look(&shared, &config, false).await
            }
            _ = again.tick() => {
                credentials::tell_ages(&shared);
                look(&shared, &config, true).await
            }
            () = hung_up(&mut hangup) => Some(reload(&shared, &config).await),
        };
        if outcome == Some(Reload::Taken) {
            // Folders may be others now, or be new ones under an old name.
            drop(watching);
            watching = Watching::start(&shared.runtime.load().files, &tell);
        }
    }
}

/// Returns once `stop` is true. Holds no lock of the channel across an await of the caller's.
async fn asked_to_stop(stop: &mut channel::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn hung_up(hangup: &mut Option<Signal>) {
    match hangup {
        Some(hangup) => {
            hangup.recv().await;
        }
        None => std::future::pending().await,
    }
}

async fn settle(told: &mut mpsc::Receiver<()>) {
    let quiet = async { while let Ok(Some(())) = tokio::time::timeout(QUIET, told.recv()).await {} };
    let _ = tokio::time::timeout(LONGEST_WAIT, quiet).await;
}

/// Reloads if files changed since the last attempt; with `again` also if that was refused. The same refusal of the same
/// files is told once.
async fn look(shared: &Arc<Shared>, config: &Path, again: bool) -> Option<Reload> {
    let mut last = shared.last_load.lock().await;
    let files = shared.runtime.load().files.clone();
    let same = tokio::task::spawn_blocking(move || Stamps::of(&files)).await.is_ok_and(|now| now == last.stamps);
    // A secret that is not shown any more is not kept either.
    let retry = again && (last.refused.is_some() || credentials::is_overdue(shared));
    if same && !retry {
        return None;
    }
    let known = if same { last.refused.take() } else { None };
    Some(attempt(shared, config, &mut last, known).await)
}

/// Loads the files of `config` and swaps them in, or leaves everything as it is.
pub(crate) async fn reload(shared: &Arc<Shared>, config: &Path) -> Reload {
    let mut last = shared.last_load.lock().await;
    attempt(shared, config, &mut last, None).await
}

/// One load. A refusal that is `known` is not told again.
async fn attempt(shared: &Arc<Shared>, config: &Path, last: &mut LastLoad, known: Option<String>) -> Reload {
    let now = shared.clock.unix_ms() / 1000;
    let files = shared.runtime.load().files.clone();
    let (loaded, stamps) = load_whole(
        config,
        files,
        &shared.limits,
        &shared.outside,
        &shared.agents,
        Some(shared.runtime.load_full()),
        now,
    )
    .await;
    last.stamps = stamps;
    // What was read was read, whatever comes of it.
    let read = match &loaded {
        Ok(new) => credentials::read_by(&new.snapshot),
        Err(error) => error.read.clone(),
    };
    let outcome = loaded.map_err(|error| error.to_string());
    let outcome = outcome.and_then(|new| match shared.runtime.load().needs_restart(&new) {
        None => Ok(new),
        Some(why) => Err(format!("{why}: restart to take it over")),
    });
    let outcome = outcome.and_then(|new| match hardening::enforce(new.snapshot.harden) {
        Ok(hardened) => Ok((new, hardened)),
        Err(error) => Err(error.to_string()),
    });
    let outcome = match outcome {
        // All of its sockets, or nothing at all.
        Ok((new, hardened)) => {
            let prepared = shared.listeners.prepare(&new.snapshot).await;
            prepared.map(|open| (new, hardened, open)).map_err(|e| e.to_string())
        }
        Err(why) => Err(why),
    };
    match outcome {
        Ok((new, hardened, opening)) => {
            last.refused = None;
            shared.metrics.hardened(hardened);
            take(shared, new, opening, now).await;
            // Before the reload is over: what it takes away is taken from open connections too.
            connections::judge(shared).await;
            Reload::Taken
        }
        Err(why) => {
            // What only the refused set needs is not listened to.
            let running = shared.runtime.load();
            shared.agents.keep(&running.places);
            shared.outside.follow(&running.snapshot, &running.setup);
            last.refused = Some(why.clone());
            if known.as_ref() != Some(&why) {
                refuse(shared, &why);
                credentials::tell_refused(shared, read);
            }
            Reload::Refused(why)
        }
    }
}

/// Loads `config`, and loads it again if a file changed meanwhile: of two files that were changed together, one would be
/// the old and one the new. `files` are those known so far, `running` is the set that it would follow. Returns how the files looked that
/// were read.
pub(crate) async fn load_whole(
    config: &Path,
    mut files: Vec<PathBuf>,
    limits: &Arc<LimitStore>,
    outside: &Arc<Outside>,
    agents: &Arc<Agents>,
    running: Option<Arc<Runtime>>,
    now: i64,
) -> (Result<Runtime, LoadError>, Stamps) {
    let mut seen = Vec::new();
    for read in 0..READS {
        if read > 1 {
            tokio::time::sleep(BETWEEN_READS).await;
        }
        let (path, known) = (config.to_owned(), files.clone());
        let (limits, outside, agents) = (limits.clone(), outside.clone(), agents.clone());
        let running = running.clone();
        let load = move || {
            let before = Stamps::of(&known);
            let loaded = Runtime::load(&path, &limits, &outside, &agents, running.as_deref(), now);
            // Where a file became known only now, nothing tells that it did not change: the next read will.
            let after = Stamps::of(loaded.as_ref().map_or(known.as_slice(), |new| new.files.as_slice()));
            (loaded, before, after)
        };
        let (loaded, before, after) = match tokio::task::spawn_blocking(load).await {
            Ok(read) => read,
            Err(panic) => {
                return (Err(LoadError::because(format!("the load did not finish: {panic}"))), Stamps::default());
            }
        };
        if after == before {
            return (loaded, after);
        }
        match loaded {
            Ok(new) => {
                seen = credentials::read_by(&new.snapshot);
                files = new.files;
            }
            Err(error) => seen = error.read,
        }
    }
    // No stamps: whatever is there next is a change.
    let why = "the files kept changing while they were read; nothing was taken over";
    (Err(LoadError { read: seen, ..LoadError::because(why.to_owned()) }), Stamps::default())
}

async fn take(shared: &Arc<Shared>, new: Runtime, opening: Opening, now: i64) {
    new.tell();
    shared.submit(record::of_reload(Ok(()), &new.snapshot, shared.clock.unix_ms()));
    credentials::tell_load(shared, &new);
    info!(manifests = new.snapshot.manifests.len(), routes = new.snapshot.routes.len(), "policy set taken over");
    let drain = new.snapshot.drain;
    shared.listeners.exchange(shared, opening, drain, || shared.swap(new)).await;
    shared.metrics.reloaded("taken");
    shared.metrics.loaded_at.set(now);
    credentials::tell_ages(shared);
}

fn refuse(shared: &Shared, why: &str) {
    error!("error.type" = "reload", "the new policy set does not load, the running one stays:\n{why}");
    shared.metrics.reloaded("refused");
    shared.submit(record::of_reload(Err(why), &shared.runtime.load().snapshot, shared.clock.unix_ms()));
}
