//! The keys of an issuer that are fetched over the network: whoever fetches them puts new ones in, and tokens are verified
//! with those that are in at the moment.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use arc_swap::ArcSwapOption;
use postern_config::KeySource;

use super::KeySet;

/// The keys of one [`KeySource`]. It outlives snapshots, and is empty until somebody puts keys in.
pub struct KeyRing {
    source: KeySource,
    held: ArcSwapOption<Held>,
}

/// Keys, and since when they are the issuer's.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) keys: Arc<KeySet>,
    /// Unlike that of every other set of keys of the process. Tokens that were verified with other keys are verified again.
    pub(super) generation: u64,
    /// Unix seconds at which the issuer last said that these are its keys.
    pub(super) confirmed_at: i64,
}

impl KeyRing {
    #[must_use]
    pub fn new(source: KeySource) -> Self {
        Self { source, held: ArcSwapOption::empty() }
    }

    #[must_use]
    pub fn source(&self) -> &KeySource {
        &self.source
    }

    /// Takes what the issuer published at `now` (Unix seconds). From here on nothing else verifies, tokens that were verified
    /// before included.
    pub fn put(&self, keys: KeySet, now: i64) {
        static GENERATION: AtomicU64 = AtomicU64::new(0);
        let generation = GENERATION.fetch_add(1, Ordering::Relaxed);
        self.held.store(Some(Arc::new(Held { keys: Arc::new(keys), generation, confirmed_at: now })));
    }

    /// Notes that the issuer published the same keys again at `now`. Nothing where there are none.
    pub fn confirm(&self, now: i64) {
        if let Some(held) = &*self.held.load() {
            let (keys, generation) = (held.keys.clone(), held.generation);
            self.held.store(Some(Arc::new(Held { keys, generation, confirmed_at: now })));
        }
    }

    pub(super) fn held(&self) -> arc_swap::Guard<Option<Arc<Held>>> {
        self.held.load()
    }

    /// Number of keys, and Unix seconds of the last word of the issuer; `None` before the first.
    #[must_use]
    pub fn standing(&self) -> Option<(usize, i64)> {
        self.held.load().as_ref().map(|held| (held.keys.len(), held.confirmed_at))
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing").field("source", &self.source).field("standing", &self.standing()).finish()
    }
}

/// The key rings of a process, one for each source. A ring lasts as long as a snapshot or whoever fills it has it, so that a
/// reload forgets no key.
#[derive(Debug, Default)]
pub struct KeyRings(Mutex<HashMap<KeySource, Weak<KeyRing>>>);

impl KeyRings {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The ring of `source`, empty where nobody has it.
    pub fn of(&self, source: &KeySource) -> Arc<KeyRing> {
        let mut rings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ring) = rings.get(source).and_then(Weak::upgrade) {
            return ring;
        }
        rings.retain(|_, ring| ring.strong_count() > 0);
        let ring = Arc::new(KeyRing::new(source.clone()));
        rings.insert(source.clone(), Arc::downgrade(&ring));
        ring
    }
}
