//! What was spent, kept over reloads.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use postern_config::{CountedIn, LimitUnit, RateLimit};

use super::gcra::{self, Fine, Gcra};
use super::key::{Digest, Facts, Kind, Secrets};
use super::line::Places;
use super::shard::Shard;
use super::shared::Shared;
use super::tally::Counted;
use super::{LimitError, Stage};
use crate::course::Tasks;

/// The state of all limits of the process, in memory. A limit stays as long as a [`super::LimitSet`] uses it, and is
/// found again by the next snapshot if owner, name, key, unit, limit, window and burst are the same.
#[derive(Debug)]
pub struct LimitStore {
    secrets: Secrets,
    max_keys: usize,
    places: Places,
    tasks: Arc<Tasks>,
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
    key: Vec<Kind>,
    unit: LimitUnit,
    store: CountedIn,
    limit: u64,
    window: Duration,
    burst: u64,
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
        Self {
            secrets: Secrets::default(),
            max_keys,
            places: Places::default(),
            tasks: Arc::new(Tasks::new()),
            limits: Mutex::default(),
        }
    }

    /// Requests that wait for a limit now.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.places.taken()
    }

    /// When tasks began.
    pub(crate) fn tasks(&self) -> &Arc<Tasks> {
        &self.tasks
    }

    /// The state of `written`, kept from before or new.
    pub(super) fn limit(&self, written: &RateLimit) -> Result<Arc<Limit>, LimitError> {
        let identity = Identity::of(written)?;
        let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(limit) = limits.known.get(&identity).and_then(Weak::upgrade) {
            return Ok(limit);
        }
        limits.known.retain(|_, limit| limit.strong_count() > 0);
        let shared = Shared::of(written, &identity.key);
        if shared.is_some() && written.unit.is_tokens() {
            return Err(LimitError::SharedTokens(written.name.clone()));
        }
        if shared.as_ref().is_some_and(|shared| !shared.fits()) {
            return Err(LimitError::TooLong(written.name.clone()));
        }
        let limit = Arc::new(Limit::new(limits.next, identity.key.clone(), Measure::of(written)?, shared, self));
        limits.next += 1;
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
        Ok(Self {
            owner: written.owner.clone(),
            name: written.name.clone(),
            key: Kind::all(&written.name, &written.key)?,
            unit: written.unit,
            store: written.store,
            limit: written.limit,
            window: written.window,
            burst: written.burst,
        })
    }
}

/// How a limit measures.
#[derive(Debug)]
pub(super) enum Measure {
    Requests(Gcra),
    Bytes(Gcra),
    Tokens(Gcra, Counted),
    /// So many at once.
    Seats(u64),
}

impl Measure {
    fn of(written: &RateLimit) -> Result<Self, LimitError> {
        let name = || written.name.clone();
        let timed = written.unit != LimitUnit::ConcurrentRequests;
        if written.limit == 0 || timed && (written.burst == 0 || written.window.is_zero()) {
            return Err(LimitError::Zero(name()));
        }
        let gcra = || {
            let gcra = Gcra::new(written.limit, written.window, written.burst);
            gcra.ok_or_else(|| LimitError::TooLong(name()))
        };
        Ok(match written.unit {
            LimitUnit::Requests => Self::Requests(gcra()?),
            LimitUnit::Bytes => Self::Bytes(gcra()?),
            LimitUnit::InputTokens => Self::Tokens(gcra()?, Counted::Input),
            LimitUnit::OutputTokens => Self::Tokens(gcra()?, Counted::Output),
            LimitUnit::TotalTokens => Self::Tokens(gcra()?, Counted::Total),
            LimitUnit::ConcurrentRequests => Self::Seats(written.limit),
        })
    }
}

/// What a request would do to one key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Probed {
    /// Nanoseconds until it would pass; zero where it does now.
    pub(super) wait: u64,
    pub(super) remaining: u64,
    pub(super) seconds: u64,
    next: Next,
}

/// What is kept if it passes.
#[derive(Debug, Clone, Copy)]
enum Next {
    State(Fine),
    Seat,
    /// Bytes are charged as they come.
    Nothing,
}

/// How long a request is told to wait that found no seat: nobody knows when one is free.
const SEAT_SECONDS: u64 = 1;

/// One limit and what its keys have spent.
#[derive(Debug)]
pub(super) struct Limit {
    /// Unique in the store; locks of several limits are taken in this order.
    pub(super) number: u64,
    pub(super) key: Vec<Kind>,
    /// How the store of all replicas counts it, where that one does.
    pub(super) shared: Option<Shared>,
    secrets: Secrets,
    measure: Measure,
    pub(super) places: Places,
    /// Keys are spread over the first shard and these.
    first: Mutex<Shard>,
    more: Vec<Mutex<Shard>>,
}

impl Limit {
    /// Shards of a limit with many keys; each then holds thousands, so that they fill evenly.
    const SHARDS: usize = 16;

    fn new(number: u64, key: Vec<Kind>, measure: Measure, shared: Option<Shared>, store: &LimitStore) -> Self {
        let shards = if store.max_keys >= Self::SHARDS * 1024 { Self::SHARDS } else { 1 };
        let shard = || Mutex::new(Shard::new(store.max_keys / shards));
        Self {
            number,
            key,
            shared,
            secrets: store.secrets.clone(),
            measure,
            places: store.places.clone(),
            first: shard(),
            more: (1..shards).map(|_| shard()).collect(),
        }
    }

    /// The earliest stage at which all of its key is known, and what a request takes of it.
    pub(super) fn stage(&self) -> Stage {
        let key = self.key.iter().map(Kind::stage).max().unwrap_or(Stage::Address);
        if self.counts_tokens().is_some() { key.max(Stage::Model) } else { key }
    }

    /// How many may be in at once; none where it does not count that.
    pub(super) fn seats(&self) -> u64 {
        match self.measure {
            Measure::Seats(seats) => seats,
            Measure::Requests(_) | Measure::Bytes(_) | Measure::Tokens(..) => 0,
        }
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

    /// What a request of `key` would do that takes so many tokens. A key that is not known and finds no room would have to wait for it.
    pub(super) fn probe(&self, shard: &mut Shard, key: Digest, tokens: u64, now: u64) -> Probed {
        let (gcra, take) = match &self.measure {
            Measure::Requests(gcra) => (gcra, 1),
            Measure::Bytes(gcra) => (gcra, 0),
            Measure::Tokens(gcra, _) => (gcra, tokens),
            Measure::Seats(seats) => return Self::probe_seats(shard, key, *seats),
        };
        let state = shard.get(key);
        if state.is_none()
            && let Err(room_at) = shard.make_room(now)
        {
            let wait = room_at.saturating_sub(now).max(1);
            return Probed { wait, remaining: 0, seconds: gcra::seconds(wait), next: Next::Nothing };
        }
        let probe = gcra.probe(state, now, take, take.max(1));
        let next = if take == 0 { Next::Nothing } else { Next::State(probe.next) };
        Probed { wait: probe.wait, remaining: probe.remaining, seconds: probe.seconds, next }
    }

    fn probe_seats(shard: &Shard, key: Digest, seats: u64) -> Probed {
        let line = shard.lines.get(&key);
        let left = seats.saturating_sub(line.map_or(0, |line| line.taken));
        let has_room = line.is_some() || shard.has_room();
        let wait = if left > 0 && has_room { 0 } else { SEAT_SECONDS * 1_000_000_000 };
        let seconds = if left <= 1 { SEAT_SECONDS } else { 0 };
        Probed { wait, remaining: left.saturating_sub(1), seconds, next: Next::Seat }
    }

    /// Seconds until a request of `key` would pass, rounded up, at least 1.
    pub(super) fn seconds_of(&self, key: Digest, now: u64) -> u64 {
        let mut shard = self.lock(key);
        gcra::seconds(self.probe(&mut shard, key, 1, now).wait).max(1)
    }

    /// The latest state of a key that the shared store told.
    pub(super) fn floor(&self, key: Digest) -> u64 {
        self.lock(key).floor(key)
    }

    pub(super) fn raise_floor(&self, key: Digest, state: u64, now: u64) {
        self.lock(key).raise_floor(key, state, now);
    }

    /// Says how far ahead a key can be at most.
    pub(super) fn bound_floor(&self, key: Digest, most: u64) {
        self.lock(key).bound_floor(key, most);
    }

    /// Takes what was paid ahead to the shared store; what is left of `bytes` has to be asked for.
    pub(super) fn take_paid(&self, key: Digest, bytes: u64, now: u64) -> u64 {
        bytes - self.lock(key).take_paid(key, bytes, now)
    }

    pub(super) fn pay_ahead(&self, key: Digest, bytes: u64, until: u64, now: u64) {
        self.lock(key).pay_ahead(key, bytes, until, now);
    }

    pub(super) fn seats_left(&self, key: Digest) -> u64 {
        let taken = self.lock(key).lines.get(&key).map_or(0, |line| line.taken);
        self.seats().saturating_sub(taken)
    }

    /// Keeps what a probe said. True where a seat was taken, which a [`super::line::Hold`] has to give back.
    pub(super) fn spend(shard: &mut Shard, key: Digest, probed: &Probed) -> bool {
        match probed.next {
            Next::State(state) => shard.set(key, state),
            Next::Seat => shard.lines.entry(key).or_default().taken += 1,
            Next::Nothing => {}
        }
        matches!(probed.next, Next::Seat)
    }

    /// Whether what requests carry is charged to it.
    pub(super) fn counts_bytes(&self) -> bool {
        matches!(self.measure, Measure::Bytes(_))
    }

    /// What of a request's tokens it counts, if tokens.
    pub(super) fn counts_tokens(&self) -> Option<Counted> {
        match &self.measure {
            Measure::Tokens(_, counted) => Some(*counted),
            Measure::Requests(_) | Measure::Bytes(_) | Measure::Seats(_) => None,
        }
    }

    /// Whether it ever lets so many tokens through at once.
    pub(super) fn ever_passes(&self, tokens: u64) -> bool {
        match &self.measure {
            Measure::Tokens(gcra, _) => gcra.ever(tokens),
            Measure::Requests(_) | Measure::Bytes(_) | Measure::Seats(_) => true,
        }
    }

    /// Takes more tokens for a request that is under way. False where they are not left.
    pub(super) fn take_tokens(&self, key: Digest, tokens: u64, now: u64) -> bool {
        let mut shard = self.lock(key);
        let probed = self.probe(&mut shard, key, tokens, now);
        if probed.wait > 0 {
            return false;
        }
        Self::spend(&mut shard, key, &probed);
        true
    }

    /// Sets right what a request took, once it is known what it came to: gives back, or takes what may be a debt.
    pub(super) fn settle_tokens(&self, key: Digest, taken: u64, used: u64) {
        let Measure::Tokens(gcra, _) = &self.measure else { return };
        let mut shard = self.lock(key);
        let state = gcra.adjust(shard.get(key), taken.saturating_sub(used), used.saturating_sub(taken));
        shard.set(key, state);
    }

    /// Whether requests of it can wait for their time: what they take is known beforehand.
    pub(super) fn counts_requests(&self) -> bool {
        matches!(self.measure, Measure::Requests(_))
    }

    /// Charges what has come or is about to go. False where the key owes a whole burst: it has to stop.
    pub(super) fn charge(&self, key: Digest, bytes: u64, now: u64) -> bool {
        let Measure::Bytes(gcra) = &self.measure else { return true };
        let mut shard = self.lock(key);
        let state = shard.get(key);
        // There was room when the request began; one that finds none any more is let go on, and no further.
        if state.is_none() && shard.make_room(now).is_err() {
            return false;
        }
        let next = gcra.charge(state, now, bytes);
        if let Some(next) = next {
            shard.set(key, next);
        }
        next.is_some()
    }

    /// Keys remembered now.
    #[cfg(test)]
    pub(super) fn keys(&self) -> usize {
        self.more.iter().chain([&self.first]).map(|shard| shard.lock().unwrap().len()).sum()
    }
}
