//! How much one key may use: GCRA limits in requests, with the time handed in.
//!
//! A [`LimitStore`] lives as long as the process and holds what was spent; a [`LimitSet`] belongs to one route of one
//! snapshot and says what may be spent. A limit that a reload left as it was keeps its state.
//!
//! Limits are checked in two steps, because address limits have to hold before a signature is worth checking:
//! [`LimitSet::check_address`] for limits over `SourceIp` and `Route` alone, then, once the caller is known,
//! [`LimitSet::check_principal`] for the rest. Within a step all limits pass or none is spent. A request that the
//! second step refuses has spent the first: that it came at all is what address limits count.

mod gcra;
mod headers;
mod key;
mod shard;
mod store;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use postern_config::{LimitKey, RateLimit};

pub use store::LimitStore;

use crate::{Principal, Source};
use gcra::Probe;
use key::Facts;
use store::Limit;

/// The limits of one route.
#[derive(Debug)]
pub struct LimitSet {
    /// By number, which is the order in which their locks are taken.
    limits: Vec<Entry>,
    address: Step,
    principal: Step,
}

/// The limits that are checked together.
#[derive(Debug, Default)]
struct Step {
    /// Indices into [`LimitSet::limits`], rising.
    limits: Vec<usize>,
    /// Value of `RateLimit-Policy`.
    policy: String,
}

#[derive(Debug)]
struct Entry {
    limit: Arc<Limit>,
    name: String,
    /// The name as a structured-field string, unique in the set.
    label: String,
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
}

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
    /// Requests that would pass now.
    pub remaining: u32,
    /// Seconds until one more would, rounded up.
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
        let mut set =
            Self { limits: Vec::with_capacity(compiled.len()), address: Step::default(), principal: Step::default() };
        for (index, ((limit, written), label)) in compiled.into_iter().zip(labels).enumerate() {
            let step = if limit.needs_principal() { &mut set.principal } else { &mut set.address };
            step.limits.push(index);
            headers::add_policy(&mut step.policy, &label, written);
            set.limits.push(Entry { limit, name: written.name.clone(), label });
        }
        Ok(set)
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.limits.is_empty()
    }

    /// Limits over address and route alone. `now` is monotonic, since any moment that stays the same for the store.
    #[must_use]
    pub fn check_address(&self, source: Source, route: &str, now: Duration) -> Outcome {
        self.check(&self.address.limits, &Facts { principal: None, source, route }, now)
    }

    /// Limits over the principal or its tenant, also together with address or route. An Agent is counted as itself,
    /// for whomever it acts.
    #[must_use]
    pub fn check_principal(&self, principal: &Principal, source: Source, route: &str, now: Duration) -> Outcome {
        self.check(&self.principal.limits, &Facts { principal: Some(principal), source, route }, now)
    }

    /// Names of the guards that the two steps are, address limits first: `limit/per-user`.
    #[must_use]
    pub fn guard_names(&self) -> (Vec<String>, Vec<String>) {
        let names = |step: &Step| {
            let entries = step.limits.iter().filter_map(|index| self.limits.get(*index));
            entries.map(|entry| format!("limit/{}", entry.name)).collect()
        };
        (names(&self.address), names(&self.principal))
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
        let step = if entry.limit.needs_principal() { &self.principal } else { &self.address };
        vec![("ratelimit-policy", step.policy.clone()), ("ratelimit", headers::standing(&entry.label, standing))]
    }

    fn check(&self, limits: &[usize], facts: &Facts<'_>, now: Duration) -> Outcome {
        let mut outcome = Outcome::Unlimited;
        self.settle(limits, facts, gcra::nanos(now), &mut outcome);
        outcome
    }

    /// Probes the first of `limits` and, still holding its lock, the rest; spends only where all passed. Locks are
    /// taken in the order of the limits' numbers, at most one of each limit, so that two requests cannot wait for each
    /// other. As deep as the route has limits.
    fn settle(&self, limits: &[usize], facts: &Facts<'_>, now: u64, outcome: &mut Outcome) {
        let Some((index, rest)) = limits.split_first() else { return };
        let Some(Entry { limit, .. }) = self.limits.get(*index) else { return };
        let key = limit.key(facts);
        let mut shard = limit.lock(key);
        let probe = limit.probe(&mut shard, key, now);
        outcome.add(*index, &probe);
        self.settle(rest, facts, now, outcome);
        if let (Probe::Pass { next, .. }, Outcome::Allowed(_)) = (probe, &outcome) {
            shard.set(key, next);
        }
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

    /// Value of `Retry-After`, at least 1; `None` unless refused.
    #[must_use]
    pub fn retry_after(self) -> Option<u64> {
        match self {
            Self::Refused { retry_after, .. } => Some(retry_after),
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

    fn add(&mut self, limit: usize, probe: &Probe) {
        let one = match *probe {
            Probe::Pass { remaining, seconds, .. } => Self::Allowed(Standing { limit, remaining, seconds }),
            Probe::Refuse { seconds } => {
                Self::Refused { standing: Standing { limit, remaining: 0, seconds }, retry_after: seconds }
            }
        };
        *self = self.tighter(one);
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

/// Whether a key is known only after the caller is.
fn needs_principal(key: &LimitKey) -> bool {
    matches!(key, LimitKey::Principal | LimitKey::Tenant)
}
