//! How much one key may use: requests and bytes in a window (GCRA), requests at once; with the time handed in.
//!
//! A [`LimitStore`] lives as long as the process and holds what was spent; a [`LimitSet`] belongs to one route of one
//! snapshot and says what may be spent. A limit that a reload left as it was keeps its state.
//!
//! Limits are checked in steps, each as early as its key is known: over addresses, routes and headers before a signature is
//! worth checking, over principals and tenants once the caller is known, over models once the body is read. Within a step
//! all limits pass or none is spent. A request that a later step refuses has spent the earlier ones: that it came at all is
//! what they count.
//!
//! A step goes on in parts, of which some may have to wait (see [`Wait`]): seats of limits that queue, in the order of
//! the limits' numbers, so that no two requests wait for each other; then all other limits at once, where one that queues
//! reserves its moment; then what the store of all replicas says of its own, all of them at once; then that moment.

mod gcra;
mod headers;
mod key;
mod line;
mod meter;
mod shard;
mod shared;
mod store;
mod tally;
#[cfg(test)]
mod tests;
mod wait;

use std::sync::Arc;
use std::time::Duration;

use postern_config::RateLimit;

pub use key::Facts;
pub use meter::{Charge, Meter};
pub use shared::{Budget, Claim, Decided, DecidedClaim, Seats, SharedAsk, Unavailable, Wanted};
pub use store::LimitStore;
pub use tally::{Tally, Tokens, Used};
pub use wait::{Wait, Waited};

use crate::{Principal, Source};
pub(crate) use line::Hold;
use line::Place;
use store::{Limit, Probed};
pub(crate) use wait::{Judged, Rating};

/// The limits of one route.
#[derive(Debug, Default)]
pub struct LimitSet {
    /// By number, which is the order in which their locks are taken.
    limits: Vec<Entry>,
    address: Step,
    principal: Step,
    model: Step,
}

/// When a limit can be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// Once there is a head.
    Address,
    /// Once the caller is known.
    Principal,
    /// Once the body is read.
    Model,
}

/// The limits that are checked together.
#[derive(Debug, Default)]
struct Step {
    /// Indices into [`LimitSet::limits`], rising: those whose seats are queued for, and the rest of this process.
    queues: Vec<usize>,
    limits: Vec<usize>,
    /// Those that are asked of the store of all replicas.
    shared: Vec<usize>,
    /// Value of `RateLimit-Policy`.
    policy: String,
}

#[derive(Debug)]
struct Entry {
    limit: Arc<Limit>,
    name: String,
    /// The name as a structured-field string, unique in the set.
    label: String,
    /// How long a request may wait for it, in nanoseconds.
    max_wait: u64,
}

/// A limit that cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum LimitError {
    #[error("limit `{0}` counts nothing: it has no key")]
    NoKey(String),
    #[error("limit `{0}` has a limit, window or burst of zero")]
    Zero(String),
    #[error("limit `{0}` spans more than a hundred years")]
    TooLong(String),
    #[error("limit `{0}` counts tokens in a store")]
    SharedTokens(String),
    #[error("limit `{limit}` counts by `{header}`, which is no header")]
    Header { limit: String, header: String },
}

/// Seconds after which a request passes that asks for more than is ever let through at once.
const NEVER: u64 = u64::MAX;

/// What one step of the limits says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// No limit of this step.
    Unlimited,
    /// Spent; what the limit closest to its end has left.
    Allowed(Standing),
    /// Nothing was spent in this step.
    Refused { standing: Standing, retry_after: u64 },
}

/// How a limit stands for one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    limit: usize,
    /// Units that would pass now.
    pub remaining: u64,
    /// Seconds until one more would, rounded up; zero where nobody knows, or none is missing.
    pub seconds: u64,
}

impl LimitSet {
    /// Prepares the limits of a route against `store`. A limit listed twice (by owner, name and figures) counts once.
    ///
    /// # Errors
    /// [`LimitError`] for a limit without key, of zero, or beyond what nanoseconds in 64 bits can tell.
    pub fn compile(limits: &[RateLimit], store: &LimitStore) -> Result<Self, LimitError> {
        let mut compiled: Vec<(Arc<Limit>, &RateLimit)> = Vec::with_capacity(limits.len());
        for written in limits {
            let limit = store.limit(written)?;
            if !compiled.iter().any(|(other, _)| other.number == limit.number) {
                compiled.push((limit, written));
            }
        }
        compiled.sort_by_key(|(limit, _)| limit.number);
        let labels = headers::labels(compiled.iter().map(|(_, written)| written.name.as_str()));
        let mut set = Self { limits: Vec::with_capacity(compiled.len()), ..Self::default() };
        for (index, ((limit, written), label)) in compiled.into_iter().zip(labels).enumerate() {
            let max_wait = gcra::nanos(written.max_wait);
            let step = set.step_mut(limit.stage());
            let queues = max_wait > 0 && limit.seats() > 0;
            if limit.shared.is_some() {
                step.shared.push(index);
            }
            // Seats are counted here as well: what one replica has is never more than all may have, and who waits here does
            // not ask the store.
            match (&limit.shared, limit.seats(), queues) {
                (Some(_), 0, _) => {}
                (_, _, true) => step.queues.push(index),
                (_, _, false) => step.limits.push(index),
            }
            headers::add_policy(&mut step.policy, &label, written);
            set.limits.push(Entry { limit, name: written.name.clone(), label, max_wait });
        }
        Ok(set)
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.limits.is_empty()
    }

    /// Limits over address and route alone, of sets in which nothing waits and nothing is held. `now` is monotonic, since any
    /// moment that stays the same for the store.
    #[must_use]
    pub fn check_address(&self, source: Source, route: &str, now: Duration) -> Outcome {
        let facts = Facts { principal: None, source, route, model: None, headers: None, tokens: Tokens::default() };
        self.settle(Stage::Address, &facts, now).outcome
    }

    /// Limits over the principal or its tenant, likewise. An Agent is counted as itself, for whomever it acts.
    #[must_use]
    pub fn check_principal(&self, principal: &Principal, source: Source, route: &str, now: Duration) -> Outcome {
        let tokens = Tokens::default();
        let facts = Facts { principal: Some(principal), source, route, model: None, headers: None, tokens };
        self.settle(Stage::Principal, &facts, now).outcome
    }

    /// Names of the guards of a step: `limit/per-user`.
    pub(crate) fn guard_names(&self, stage: Stage) -> Vec<String> {
        let step = self.step(stage);
        let mut limits: Vec<usize> = step.queues.iter().chain(&step.limits).chain(&step.shared).copied().collect();
        limits.sort_unstable();
        limits.dedup();
        let entries = limits.into_iter().filter_map(|index| self.limits.get(index));
        entries.map(|entry| format!("limit/{}", entry.name)).collect()
    }

    fn step(&self, stage: Stage) -> &Step {
        match stage {
            Stage::Address => &self.address,
            Stage::Principal => &self.principal,
            Stage::Model => &self.model,
        }
    }

    fn step_mut(&mut self, stage: Stage) -> &mut Step {
        match stage {
            Stage::Address => &mut self.address,
            Stage::Principal => &mut self.principal,
            Stage::Model => &mut self.model,
        }
    }

    /// Name of the limit that a standing is of, as its manifest writes it.
    #[must_use]
    pub fn name_of(&self, standing: &Standing) -> &str {
        self.limits.get(standing.limit).map_or("", |entry| &entry.name)
    }

    /// Headers for the answer: `ratelimit-policy` with all limits of the step that `outcome` is from, and `ratelimit`
    /// with the one closest to its end. The fields are lists, so those of both steps can stand beside each other.
    #[must_use]
    pub fn headers(&self, outcome: &Outcome) -> Vec<(&'static str, String)> {
        let standing = outcome.standing();
        let Some((standing, entry)) = standing.and_then(|s| Some((s, self.limits.get(s.limit)?))) else {
            return Vec::new();
        };
        let step = self.step(entry.limit.stage());
        vec![("ratelimit-policy", step.policy.clone()), ("ratelimit", headers::standing(&entry.label, standing))]
    }

    /// Judges all limits of a step but those that are queued for, and spends them where all pass. A request that has to wait
    /// for its moment has spent them too: the moment is its own.
    fn settle(&self, stage: Stage, facts: &Facts<'_>, now: Duration) -> Settled {
        let mut settled = Settled::default();
        self.judge_next(&self.step(stage).limits, facts, gcra::nanos(now), &mut settled);
        settled
    }

    /// What the limits of a step say to a request that none of them stops: the name of the one it would be over, and the seats it
    /// has meanwhile. Of limits of this process in which nothing waits.
    pub(crate) fn rehearse(&self, stage: Stage, facts: &Facts<'_>, now: Duration) -> (Option<&str>, Vec<Hold>) {
        let settled = self.settle(stage, facts, now);
        let over = settled.outcome.standing().filter(|_| settled.outcome.is_refused());
        (over.and_then(|standing| self.limits.get(standing.limit)).map(|entry| entry.name.as_str()), settled.holds)
    }

    /// As [`LimitSet::settle`], for the shared rates of a step while their store is away. Seats were taken here before.
    fn settle_here(&self, stage: Stage, facts: &Facts<'_>, now: Duration) -> Settled {
        let mut settled = Settled::default();
        let rates = self.step(stage).shared.iter().copied().filter(|index| self.seats_of(*index) == 0);
        self.judge_next(&rates.collect::<Vec<_>>(), facts, gcra::nanos(now), &mut settled);
        settled
    }

    /// Whether any of them counts tokens.
    pub(crate) fn counts_tokens(&self) -> bool {
        self.limits.iter().any(|entry| entry.limit.counts_tokens().is_some())
    }

    fn seats_of(&self, index: usize) -> u64 {
        self.limits.get(index).map_or(0, |entry| entry.limit.seats())
    }

    /// What the bytes of a request are charged to that the store let pass.
    fn meter_of(&self, stage: Stage, facts: &Facts<'_>) -> Meter {
        let mut meter = Meter::default();
        let entries = self.step(stage).shared.iter().filter_map(|index| self.limits.get(*index));
        for entry in entries.filter(|entry| entry.limit.counts_bytes()) {
            entry.add_to(&mut meter, facts);
        }
        meter
    }

    /// Probes the first of `limits` and, still holding its lock, the rest; spends only where all passed. Locks are
    /// taken in the order of the limits' numbers, at most one of each limit, so that two requests cannot wait for each
    /// other. As deep as the route has limits.
    fn judge_next(&self, limits: &[usize], facts: &Facts<'_>, now: u64, settled: &mut Settled) {
        let Some((index, rest)) = limits.split_first() else { return };
        let Some(entry) = self.limits.get(*index) else { return };
        let limit = &entry.limit;
        let key = limit.key(facts);
        let take = limit.counts_tokens().map_or(0, |counted| facts.tokens.taken(counted));
        let mut shard = limit.lock(key);
        let probed = limit.probe(&mut shard, key, take, now);
        settled.add(*index, entry, &probed, limit.ever_passes(take));
        self.judge_next(rest, facts, now, settled);
        if settled.outcome.is_refused() {
            return;
        }
        if Limit::spend(&mut shard, key, &probed) {
            settled.holds.push(Hold::of(limit, key));
        }
        if let Some(counted) = limit.counts_tokens() {
            settled.tally.add(limit, key, &entry.name, counted, facts.tokens);
        }
        if limit.counts_bytes() && limit.shared.is_none() {
            settled.meter.add(limit, key, &entry.name, None);
        }
    }
}

impl Entry {
    fn add_to(&self, meter: &mut Meter, facts: &Facts<'_>) {
        let Some(shared) = &self.limit.shared else { return };
        let name = shared.name(&self.limit.key, facts);
        meter.add(&self.limit, self.limit.key(facts), &self.name, Some(Arc::from(name)));
    }
}

/// What came of the limits of a step.
#[derive(Debug)]
struct Settled {
    outcome: Outcome,
    /// Nanoseconds until the request may go on.
    wait: u64,
    /// Where it waits.
    place: Option<Place>,
    holds: Vec<Hold>,
    meter: Meter,
    tally: Tally,
}

impl Default for Settled {
    fn default() -> Self {
        let (holds, meter, tally) = (Vec::new(), Meter::default(), Tally::default());
        Self { outcome: Outcome::Unlimited, wait: 0, place: None, holds, meter, tally }
    }
}

impl Settled {
    fn add(&mut self, index: usize, entry: &Entry, probed: &Probed, ever: bool) {
        let standing = Standing { limit: index, remaining: probed.remaining, seconds: probed.seconds };
        let mut passes = probed.wait == 0;
        if !passes && probed.wait <= entry.max_wait && entry.limit.counts_requests() {
            self.place = self.place.take().or_else(|| entry.limit.places.take());
            passes = self.place.is_some();
            self.wait = self.wait.max(probed.wait);
        }
        let one = if passes {
            Outcome::Allowed(standing)
        } else {
            let retry_after = if ever { probed.seconds.max(1) } else { NEVER };
            Outcome::Refused { standing: Standing { remaining: 0, ..standing }, retry_after }
        };
        self.outcome = self.outcome.tighter(one);
    }
}

impl Outcome {
    #[must_use]
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }

    #[must_use]
    pub fn standing(self) -> Option<Standing> {
        match self {
            Self::Unlimited => None,
            Self::Allowed(standing) | Self::Refused { standing, .. } => Some(standing),
        }
    }

    /// Value of `Retry-After`, at least 1; `None` unless refused, and where no later request would pass either.
    #[must_use]
    pub fn retry_after(self) -> Option<u64> {
        match self {
            Self::Refused { retry_after, .. } => Some(retry_after).filter(|after| *after != NEVER),
            _ => None,
        }
    }

    /// Of two limits: the refusal, the longer one of two, else the limit with less left.
    fn tighter(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unlimited, one) | (one, Self::Unlimited) => one,
            (Self::Allowed(a), Self::Allowed(b)) => Self::Allowed(a.tighter(b)),
            (refused @ Self::Refused { .. }, Self::Allowed(_)) | (Self::Allowed(_), refused) => refused,
            (Self::Refused { standing: a, retry_after: x }, Self::Refused { standing: b, retry_after: y }) => {
                Self::Refused { standing: if x >= y { a } else { b }, retry_after: x.max(y) }
            }
        }
    }
}

impl Standing {
    fn tighter(self, other: Self) -> Self {
        if (other.remaining, std::cmp::Reverse(other.seconds)) < (self.remaining, std::cmp::Reverse(self.seconds)) {
            other
        } else {
            self
        }
    }
}
