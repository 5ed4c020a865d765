//! The open TLS connections of an upstream: one whose other end is not believed any more, or that was made with an SVID that is
//! ours no more, is closed, as connections of clients are.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwapOption;
use postern_certs::UpstreamTls;
use tracing::info;

use super::wire::{WeakWire, Wire};

/// What the sets that know an upstream share about it: requests go on with the set they began with, and dial with it, too.
#[derive(Default)]
pub(crate) struct Open {
    /// What connections are judged by; `None` as long as there was one set.
    current: ArcSwapOption<UpstreamTls>,
    /// Each with what it was made with. As many as are open, and up to as many again that are gone.
    wires: Mutex<Vec<(WeakWire, Arc<UpstreamTls>)>>,
}

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Open").finish_non_exhaustive()
    }
}

impl Open {
    fn wires(&self) -> MutexGuard<'_, Vec<(WeakWire, Arc<UpstreamTls>)>> {
        self.wires.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why nobody may be connected to with `made_by`, if so.
    pub(crate) fn lacks(&self, made_by: &UpstreamTls) -> Option<String> {
        made_by.lacks().or_else(|| self.current.load().as_ref()?.lacks())
    }

    /// Takes in a new connection.
    ///
    /// # Errors
    /// Why it must not be used: trust may have changed since the set that made it.
    pub(crate) fn enter(&self, wire: &Wire, made_by: &Arc<UpstreamTls>) -> Result<(), String> {
        {
            let mut wires = self.wires();
            if wires.len() == wires.capacity() {
                wires.retain(|(wire, _)| wire.is_open());
            }
            wires.push((wire.downgrade(), made_by.clone()));
        }
        // After it was entered: whoever changes what is current before that is seen here, whoever does later sees it there.
        match &*self.current.load() {
            Some(current) if !Arc::ptr_eq(current, made_by) => current.judge(made_by, &wire.chain()),
            _ => Ok(()),
        }
    }

    /// Judges every connection by `current`, and closes those that it would not make.
    pub(crate) fn judge(&self, current: &Arc<UpstreamTls>, upstream: &str) {
        if self.current.load().as_ref().is_some_and(|known| Arc::ptr_eq(known, current)) {
            return;
        }
        self.current.store(Some(current.clone()));
        let open: Vec<_> = {
            let mut wires = self.wires();
            // What was made with a key of the past keeps it in memory no longer than its connection is open.
            wires.retain(|(wire, _)| wire.is_open());
            wires.iter().filter_map(|(wire, by)| Some((wire.upgrade()?, by.clone()))).collect()
        };
        for (wire, made_by) in open {
            if let Err(why) = current.judge(&made_by, &wire.chain()) {
                info!(upstream, address = %wire.address(), why, "a connection to an upstream was cut");
                wire.shut();
            }
        }
    }
}
