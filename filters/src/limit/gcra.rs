//! The arithmetic of one limit: governor's GCRA over a state that the caller holds the lock of.

use std::cell::Cell;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::{Quota, RateLimiter};

/// Latest moment and longest span that are told apart, a hundred and forty years; sums of three stay within 64 bits.
const MAX_NANOS: u64 = 1 << 62;

/// What one request would do to one key.
#[derive(Debug, Clone, Copy)]
pub(super) enum Probe {
    /// It passes; `next` is the state to keep if it does.
    Pass { next: u64, remaining: u32, seconds: u64 },
    /// It would pass in so many seconds, rounded up, at least 1.
    Refuse { seconds: u64 },
}

/// A rate and a burst.
pub(super) struct Gcra {
    limiter: RateLimiter<Slot, Slots, HandedIn, StateInformationMiddleware>,
    clock: HandedIn,
    /// Nanoseconds that give back one request.
    interval: u64,
    burst: u32,
}

impl Gcra {
    /// `limit` requests per `window`, `burst` at once; `None` where one is zero or the burst takes longer than a hundred
    /// years to come back.
    pub(super) fn new(limit: u32, window: Duration, burst: u32) -> Option<Self> {
        let (limit, burst) = (NonZeroU32::new(limit)?, NonZeroU32::new(burst)?);
        let window = u64::try_from(window.as_nanos()).ok().filter(|window| (1..MAX_NANOS).contains(window))?;
        // Rounded up: never more than the limit says.
        let interval = window.div_ceil(u64::from(limit.get()));
        interval.checked_mul(u64::from(burst.get())).filter(|span| *span < MAX_NANOS / 2)?;
        let quota = Quota::with_period(Duration::from_nanos(interval))?.allow_burst(burst);
        let clock = HandedIn::default();
        // The clock still says zero, so that governor counts from the same moment as the caller.
        let limiter = RateLimiter::new(quota, Slots, clock.clone());
        Some(Self { limiter, clock, interval, burst: burst.get() })
    }

    /// What a request at `now` would do to a key in `state`, `None` for one that never asked.
    pub(super) fn probe(&self, state: Option<u64>, now: u64) -> Probe {
        let now = self.clock.advance(now);
        let slot = Slot(Cell::new(state));
        match self.limiter.check_key(&slot) {
            Ok(snapshot) => {
                let next = slot.0.get().unwrap_or(now);
                let remaining = snapshot.remaining_burst_capacity();
                Probe::Pass { next, remaining, seconds: seconds(self.more_at(next, remaining).saturating_sub(now)) }
            }
            Err(until) => {
                let wait = until.wait_time_from(Nanos::new(now));
                Probe::Refuse { seconds: seconds(nanos(wait)).max(1) }
            }
        }
    }

    /// When one more than `remaining` would pass: the moment at which the state allows that many.
    fn more_at(&self, state: u64, remaining: u32) -> u64 {
        let missing = u64::from(self.burst.saturating_sub(remaining).saturating_sub(1));
        state.saturating_sub(missing.saturating_mul(self.interval))
    }
}

impl fmt::Debug for Gcra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gcra").field("interval", &self.interval).field("burst", &self.burst).finish_non_exhaustive()
    }
}

/// Nanoseconds, cut to what the arithmetic can hold.
pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(MAX_NANOS).min(MAX_NANOS)
}

/// Whole seconds, rounded up.
pub(super) fn seconds(nanos: u64) -> u64 {
    nanos.div_ceil(1_000_000_000)
}

/// The latest time that was handed in. Requests on two threads may hand theirs in out of order; time does not go back.
#[derive(Debug, Clone, Default)]
struct HandedIn(Arc<AtomicU64>);

impl HandedIn {
    fn advance(&self, now: u64) -> u64 {
        self.0.fetch_max(now, Ordering::Relaxed).max(now)
    }
}

impl Clock for HandedIn {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::new(self.0.load(Ordering::Relaxed))
    }
}

/// The state of one key (its theoretical arrival time) while it is judged. It stands where governor expects a key: the
/// map behind it is ours, bounded and locked, and a probe that does not pass everywhere must leave no trace in it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Slot(Cell<Option<u64>>);

impl Hash for Slot {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.get().hash(state);
    }
}

#[derive(Debug)]
struct Slots;

impl StateStore for Slots {
    type Key = Slot;

    fn measure_and_replace<T, F, E>(&self, slot: &Slot, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let (out, next) = decide(slot.0.get().map(Nanos::new))?;
        slot.0.set(Some(next.as_u64()));
        Ok(out)
    }
}
