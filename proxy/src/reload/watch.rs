//! Tells when something happened in the folders of a set.

use std::path::PathBuf;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tracing::warn;

use super::stamps::folders;

/// Events of some folders. Dropping it ends them.
#[derive(Debug)]
pub(super) struct Watching {
    _watcher: Option<RecommendedWatcher>,
}

impl Watching {
    /// Watches the folders of `files` and says so once at the end: what happened before may have gone unseen.
    pub(super) fn start(files: &[PathBuf], tell: &mpsc::Sender<()>) -> Self {
        let told = tell.clone();
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if event.as_ref().map_or(true, is_change) {
                // One place is enough: an event that finds it taken is part of the same change.
                let _ = told.try_send(());
            }
        });
        let watcher = watcher.and_then(|mut watcher| {
            for folder in folders(files) {
                watcher.watch(&folder, RecursiveMode::NonRecursive)?;
            }
            Ok(watcher)
        });
        let watcher =
            watcher.inspect_err(|error| warn!("error.type" = "watch", %error, "files are compared every 10 s instead"));
        let _ = tell.try_send(());
        Self { _watcher: watcher.ok() }
    }
}

/// Reading is no change. Our own reading least of all: each look would cause the next.
fn is_change(event: &Event) -> bool {
    match event.kind {
        EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
        _ => true,
    }
}
