//! What was spent, kept over reloads.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use postern_config::{LimitKey, RateLimit};

use super::gcra::{self, Gcra, Probe};
use super::key::{Digest, Facts, Secrets};
use super::shard::Shard;
use super::{LimitError, needs_principal};

/// The state of all limits of the process, in memory. A limit stays as long as a [`super::LimitSet`] uses it, and is
/// found again by the next snapshot if owner, name, key, limit, window and burst are the same.
#[derive(Debug)]
pub struct LimitStore {
    secrets: Secrets,
    max_keys: usize,
    limits: Mutex<Limits>,
}

#[derive(Debug, Default)]
struct Limits {
    known: HashMap<Identity, Weak<Limit>>,
    next: u64,
}

/// What makes a limit the same limit.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Identity {
    owner: String,
    name: String,
    key: Vec<u8>,
    limit: u32,
    window: Duration,
    burst: u32,
}

impl LimitStore {
    /// Keys that one limit remembers at once, unless told otherwise.
    pub const MAX_KEYS: usize = 100_000;

    #[must_use]
    pub fn new() -> Self {
        Self::with_max_keys(Self::MAX_KEYS)
    }

    /// A store whose limits each remember at most `max_keys` keys that have not got their whole burst back; a further
    /// key is refused until one has.
    #[must_use]
    pub fn with_max_keys(max_keys: usize) -> Self {
        Self { secrets: Secrets::default(), max_keys, limits: Mutex::default() }
    }

    /// The state of `written`, kept from before or new.
    pub(super) fn limit(&self, written: &RateLimit) -> Result<Arc<Limit>, LimitError> {
        let identity = Identity::of(written)?;
        let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(limit) = limits.known.get(&identity).and_then(Weak::upgrade) {
            return Ok(limit);
        }
        limits.known.retain(|_, limit| limit.strong_count() > 0);
        let name = || written.name.clone();
        if written.limit == 0 || written.burst == 0 || written.window.is_zero() {
            return Err(LimitError::Zero(name()));
        }
        let gcra =
            Gcra::new(written.limit, written.window, written.burst).ok_or_else(|| LimitError::TooLong(name()))?;
        let number = limits.next;
        limits.next += 1;
        let limit = Arc::new(Limit::new(number, sorted(&written.key), gcra, self));
        limits.known.insert(identity, Arc::downgrade(&limit));
        Ok(limit)
    }
}

impl Default for LimitStore {
    fn default() -> Self {
        Self::new()
    }
}

impl Identity {
    fn of(written: &RateLimit) -> Result<Self, LimitError> {
        if written.key.is_empty() {
            return Err(LimitError::NoKey(written.name.clone()));
        }
        let kind = |key: &LimitKey| match key {
            LimitKey::Principal => 0,
            LimitKey::Tenant => 1,
            LimitKey::SourceIp => 2,
            LimitKey::Route => 3,
        };
        Ok(Self {
            owner: written.owner.clone(),
            name: written.name.clone(),
            key: sorted(&written.key).iter().map(kind).collect(),
            limit: written.limit,
            window: written.window,
            burst: written.burst,
        })
    }
}

/// `[Route, Tenant]` counts the same as `[Tenant, Route]`, and as either written twice.
fn sorted(key: &[LimitKey]) -> Vec<LimitKey> {
    let mut key = key.to_vec();
    key.sort();
    key.dedup();
    key
}

/// One limit and what its keys have spent.
#[derive(Debug)]
pub(super) struct Limit {
    /// Unique in the store; locks of several limits are taken in this order.
    pub(super) number: u64,
    key: Vec<LimitKey>,
    secrets: Secrets,
    gcra: Gcra,
    /// Keys are spread over the first shard and these.
    first: Mutex<Shard>,
    more: Vec<Mutex<Shard>>,
}

impl Limit {
    /// Shards of a limit with many keys; each then holds thousands, so that they fill evenly.
    const SHARDS: usize = 16;

    fn new(number: u64, key: Vec<LimitKey>, gcra: Gcra, store: &LimitStore) -> Self {
        let shards = if store.max_keys >= Self::SHARDS * 1024 { Self::SHARDS } else { 1 };
        let shard = || Mutex::new(Shard::new(store.max_keys / shards));
        Self {
            number,
            key,
            secrets: store.secrets.clone(),
            gcra,
            first: shard(),
            more: (1..shards).map(|_| shard()).collect(),
        }
    }

    pub(super) fn needs_principal(&self) -> bool {
        self.key.iter().any(needs_principal)
    }

    pub(super) fn key(&self, facts: &Facts<'_>) -> Digest {
        self.secrets.digest(&self.key, facts)
    }

    /// The shard of `key`. A panic under the lock leaves whole states behind, so a poisoned shard is still good.
    pub(super) fn lock(&self, key: Digest) -> MutexGuard<'_, Shard> {
        let count = u64::try_from(self.more.len()).unwrap_or(u64::MAX - 1) + 1;
        // The index one past the end is the first shard.
        let index = usize::try_from(key.high % count).unwrap_or_default();
        let shard = self.more.get(index).unwrap_or(&self.first);
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a request of `key` would do. A key that is not known and finds no room is refused.
    pub(super) fn probe(&self, shard: &mut Shard, key: Digest, now: u64) -> Probe {
        let state = shard.get(key);
        if state.is_none()
            && let Err(room_at) = shard.make_room(now)
        {
            return Probe::Refuse { seconds: gcra::seconds(room_at.saturating_sub(now)).max(1) };
        }
        self.gcra.probe(state, now)
    }

    /// Keys remembered now.
    #[cfg(test)]
    pub(super) fn keys(&self) -> usize {
        self.more.iter().chain([&self.first]).map(|shard| shard.lock().unwrap().len()).sum()
    }
}
