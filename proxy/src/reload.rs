//! Picks up changed files: a new set is read, merged and compiled beside the running one, and swapped in whole. On any
//! problem the old set stays, and the log, a metric and an audit record say why.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tracing::{error, info, warn};

use crate::record;
use crate::runtime::Runtime;
use crate::shared::Shared;

/// Writers touch several files at once; this much quiet means they are done.
const QUIET: Duration = Duration::from_millis(100);
/// A writer that never stops does not put a reload off for longer than this.
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// Files are compared even without an event: some file systems report none.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// What came of a reload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reload {
    Taken,
    /// The old set stays. The text says why.
    Refused(String),
}

/// Watches and reloads, on change and on SIGHUP, until `stop` turns true.
pub(crate) async fn run(shared: Arc<Shared>, config: PathBuf, mut stop: watch::Receiver<bool>) {
    // One place is enough: an event that finds it taken is part of the same change.
    let (tell, mut told) = mpsc::channel::<()>(1);
    let mut watching = Watching::start(&shared, &config, &tell);
    let mut hangup = signal(SignalKind::hangup()).ok();
    loop {
        let asked = tokio::select! {
            () = asked_to_stop(&mut stop) => return,
            _ = told.recv() => { settle(&mut told).await; false }
            () = tokio::time::sleep(LOOK_AGAIN) => false,
            () = hung_up(&mut hangup) => true,
        };
        let stamps = stamps(&watching.files);
        if asked || stamps != watching.stamps {
            watching.stamps = stamps;
            if reload(&shared, &config).await == Reload::Taken {
                watching = Watching::start(&shared, &config, &tell);
            }
        }
    }
}

/// Returns once `stop` is true. Holds no lock of the channel across an await of the caller's.
async fn asked_to_stop(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn hung_up(hangup: &mut Option<tokio::signal::unix::Signal>) {
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

/// Loads the files of `config` and swaps them in, or leaves everything as it is.
pub(crate) async fn reload(shared: &Arc<Shared>, config: &Path) -> Reload {
    let (limits, now) = (shared.limits.clone(), shared.clock.unix_ms() / 1000);
    let path = config.to_owned();
    let loaded = tokio::task::spawn_blocking(move || Runtime::load(&path, &limits, now)).await;
    let outcome = match loaded {
        Ok(Ok(new)) => match shared.runtime.load().needs_restart(&new) {
            None => Ok(new),
            Some(why) => Err(format!("{why}: restart to take it over")),
        },
        Ok(Err(error)) => Err(error.to_string()),
        Err(panic) => Err(format!("the load did not finish: {panic}")),
    };
    match outcome {
        Ok(new) => {
            take(shared, new, now);
            Reload::Taken
        }
        Err(why) => {
            error!("error.type" = "reload", "the new policy set does not load, the running one stays:\n{why}");
            shared.metrics.reloaded("refused");
            shared.submit(record::of_reload(Err(&why), &shared.runtime.load().snapshot, shared.clock.unix_ms()));
            Reload::Refused(why)
        }
    }
}

fn take(shared: &Shared, new: Runtime, now: i64) {
    for warning in &new.warnings {
        warn!("{warning}");
    }
    shared.submit(record::of_reload(Ok(()), &new.snapshot, shared.clock.unix_ms()));
    info!(manifests = new.snapshot.manifests.len(), routes = new.snapshot.routes.len(), "policy set taken over");
    shared.runtime.store(Arc::new(new));
    shared.metrics.reloaded("taken");
    shared.metrics.loaded_at.set(now);
}

/// A file as far as a change would show.
type Stamp = (PathBuf, Option<(SystemTime, u64)>);

fn stamps(files: &[PathBuf]) -> Vec<Stamp> {
    let look = |path: &PathBuf| {
        let meta = std::fs::metadata(path).ok()?;
        Some((meta.modified().ok()?, meta.len()))
    };
    let mut all: BTreeSet<PathBuf> = files.iter().cloned().collect();
    for folder in files.iter().filter(|path| path.is_dir()) {
        let inside = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
        all.extend(inside.map(|entry| entry.path()));
    }
    all.into_iter().map(|path| (path.clone(), look(&path))).collect()
}

/// What is being watched, and how it looked when it was last read.
#[derive(Debug)]
struct Watching {
    files: Vec<PathBuf>,
    stamps: Vec<Stamp>,
    /// Kept for its events: dropping it ends them.
    _watcher: Option<RecommendedWatcher>,
}

impl Watching {
    fn start(shared: &Shared, config: &Path, tell: &mpsc::Sender<()>) -> Self {
        let mut files = shared.runtime.load().files.clone();
        files.push(config.to_owned());
        let stamps = stamps(&files);
        let tell = tell.clone();
        let watcher = notify::recommended_watcher(move |_| {
            let _ = tell.try_send(());
        });
        let watcher = watcher.and_then(|mut watcher| {
            // Folders, not files: editors and Kubernetes replace files instead of writing into them.
            let folders: BTreeSet<&Path> = files
                .iter()
                .filter_map(|path| if path.is_dir() { Some(path.as_path()) } else { path.parent() })
                .collect();
            for folder in folders.into_iter().filter(|folder| folder.is_dir()) {
                watcher.watch(folder, RecursiveMode::NonRecursive)?;
            }
            Ok(watcher)
        });
        let watcher = watcher
            .inspect_err(|error| warn!("error.type" = "watch", %error, "files are compared every 10 s instead"))
            .ok();
        Self { files, stamps, _watcher: watcher }
    }
}
