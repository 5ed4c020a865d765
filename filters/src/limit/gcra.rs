//! The arithmetic of one rate: GCRA over a state that the caller holds the lock of.
//!
//! The state of a key is a moment: the one at which it will have all of its burst again. What is spent moves it on; a key
//! is over its limit where it lies further ahead than a burst takes to come back. Moments are kept in parts of a
//! nanosecond, so that a byte of a fast limit is a span too, and what is rounded is rounded to the strict side.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Latest moment and longest span that are told apart, a hundred and forty years.
const MAX_NANOS: u64 = 1 << 62;
/// Bits behind the nanoseconds.
const PARTS: u32 = 32;
const MAX: Fine = (MAX_NANOS as Fine) << PARTS;

/// A moment or a span, in 2^-32 of a nanosecond.
pub(super) type Fine = u128;

/// What a request would do to one key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Probe {
    /// The state to keep if it passes, now or when its time has come.
    pub(super) next: Fine,
    /// Nanoseconds until it would pass; zero where it does now.
    pub(super) wait: u64,
    /// Units that would pass afterwards.
    pub(super) remaining: u64,
    /// Seconds until there is one more, rounded up; zero where there is none to come.
    pub(super) seconds: u64,
}

/// A rate and a burst.
#[derive(Debug)]
pub(super) struct Gcra {
    /// What gives back one unit.
    interval: Fine,
    /// What gives back a burst.
    full: Fine,
    burst: u64,
    /// The latest time that was handed in: two threads may hand theirs in out of order, and time does not go back.
    latest: AtomicU64,
}

impl Gcra {
    /// `limit` units per `window`, `burst` at once; `None` where one is zero or the burst takes longer than a hundred years
    /// to come back.
    pub(super) fn new(limit: u64, window: Duration, burst: u64) -> Option<Self> {
        let window = u64::try_from(window.as_nanos()).ok().filter(|window| (1..MAX_NANOS).contains(window))?;
        // Rounded up: never more than the limit says.
        let interval =
            (Fine::from(window) << PARTS).checked_add(Fine::from(limit).checked_sub(1)?)? / Fine::from(limit);
        let full = interval.checked_mul(Fine::from(burst)).filter(|full| (1..MAX / 4).contains(full))?;
        Some(Self { interval, full, burst, latest: AtomicU64::new(0) })
    }

    /// What taking `take` units at `now` would do to a key in `state`, `None` for one that never asked, if it passes only
    /// where `need` units are left.
    pub(super) fn probe(&self, state: Option<Fine>, now: u64, take: u64, need: u64) -> Probe {
        let now = self.advance(now);
        let base = state.unwrap_or_default().max(now);
        let next = base.saturating_add(self.interval.saturating_mul(take.into())).min(MAX);
        let (spent, after) = (base - now, next.saturating_sub(now));
        let wait = spent.saturating_add(self.interval.saturating_mul(need.into())).saturating_sub(self.full);
        if wait > 0 {
            let wait = u64::try_from(wait.div_ceil(1 << PARTS)).unwrap_or(MAX_NANOS);
            return Probe { next, wait, remaining: 0, seconds: seconds(wait).max(1) };
        }
        let left = self.full.saturating_sub(after) / self.interval;
        let more = after.saturating_add(self.interval.saturating_mul(left + 1)).saturating_sub(self.full);
        let remaining = u64::try_from(left).unwrap_or(u64::MAX);
        let more =
            if remaining >= self.burst { 0 } else { u64::try_from(more.div_ceil(1 << PARTS)).unwrap_or(MAX_NANOS) };
        Probe { next, wait: 0, remaining, seconds: seconds(more) }
    }

    /// The state after `units` more, which may be a debt; `None` where the key owes a whole burst as it is.
    pub(super) fn charge(&self, state: Option<Fine>, now: u64, units: u64) -> Option<Fine> {
        let now = self.advance(now);
        let base = state.unwrap_or_default().max(now);
        let owes = base - now >= self.full.saturating_mul(2);
        (!owes).then(|| base.saturating_add(self.interval.saturating_mul(units.into())).min(MAX))
    }

    /// The state after `back` units were not used after all, and `more` were beyond what was taken.
    pub(super) fn adjust(&self, state: Option<Fine>, back: u64, more: u64) -> Fine {
        let now = fine(self.latest.load(Ordering::Relaxed));
        let base = state.unwrap_or_default();
        let base = if more > 0 { base.max(now) } else { base };
        let back = self.interval.saturating_mul(back.into());
        base.saturating_add(self.interval.saturating_mul(more.into())).saturating_sub(back).min(MAX)
    }

    /// Whether so many units pass at all, at any time.
    pub(super) fn ever(&self, units: u64) -> bool {
        units <= self.burst
    }

    fn advance(&self, now: u64) -> Fine {
        fine(self.latest.fetch_max(now, Ordering::Relaxed).max(now))
    }
}

pub(super) fn fine(nanos: u64) -> Fine {
    Fine::from(nanos.min(MAX_NANOS)) << PARTS
}

/// Nanoseconds until a moment, rounded up.
pub(super) fn until(moment: Fine, now: u64) -> u64 {
    u64::try_from(moment.saturating_sub(fine(now)).div_ceil(1 << PARTS)).unwrap_or(MAX_NANOS)
}

/// Nanoseconds, cut to what the arithmetic can hold.
pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(MAX_NANOS).min(MAX_NANOS)
}

/// Whole seconds, rounded up.
pub(super) fn seconds(nanos: u64) -> u64 {
    nanos.div_ceil(1_000_000_000)
}
