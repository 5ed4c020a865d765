//! Limits that all replicas keep together: what is asked of their store, and what is remembered of what it said.
//!
//! The names of keys leave this process, so they are digests: a store tells nobody who its callers are. Two replicas make
//! the same name of the same manifest and the same caller, and of no other.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use postern_config::{CountedIn, OnUnavailable, RateLimit};

use super::key::{Digest, Facts, Kind};
use super::store::Limit;
use super::{LimitSet, Outcome, Stage, Standing};

/// What is asked for the shared limits of one step.
#[derive(Debug)]
pub struct SharedAsk {
    pub claims: Vec<Claim>,
}

/// One limit of a request, in microseconds.
#[derive(Debug)]
pub struct Claim {
    /// Name of the key.
    pub key: String,
    /// What gives back one request, and a burst.
    pub interval: u64,
    pub full: u64,
    /// How long the request may wait for it.
    pub patience: u64,
    /// The state that was last heard of, in the store's time; zero for none.
    pub floor: u64,
    /// Whether what the store lost counts as spent.
    pub strict: bool,
    index: usize,
    limit: Arc<Limit>,
    digest: Digest,
}

/// What the store decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// Whether all passed, and were spent.
    pub passes: bool,
    /// The store's time.
    pub now: u64,
    /// As they were asked for.
    pub claims: Vec<DecidedClaim>,
}

/// What it says of one limit, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecidedClaim {
    /// Until the request may go on, or could have; zero where it may at once.
    pub wait: u64,
    /// Requests that would pass afterwards.
    pub remaining: u64,
    /// The moment at which the key will have its whole burst again, if the request passed.
    pub state: u64,
}

/// The store did not say, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unavailable(pub String);

/// A limit that is kept in the store.
#[derive(Debug)]
pub(super) struct Shared {
    id: [u8; 32],
    interval: u64,
    full: u64,
    on_unavailable: OnUnavailable,
}

impl Shared {
    /// Nothing for a limit of this process alone.
    pub(super) fn of(written: &RateLimit, key: &[Kind]) -> Option<Self> {
        let CountedIn::Shared(on_unavailable) = written.store else { return None };
        let mut id = Context::new(&SHA256);
        part(&mut id, written.owner.as_bytes());
        part(&mut id, written.name.as_bytes());
        for kind in key {
            part(&mut id, kind.name().as_bytes());
        }
        let window = u64::try_from(written.window.as_micros()).unwrap_or(u64::MAX / 2);
        for figure in [written.limit, written.burst, window] {
            part(&mut id, &figure.to_be_bytes());
        }
        // Whole microseconds, rounded up: the store reckons in them, and never lets pass more than the limit says.
        let interval = window.div_ceil(written.limit.max(1)).max(1);
        let full = interval.saturating_mul(written.burst);
        Some(Self { id: fixed(id), interval, full, on_unavailable })
    }

    /// Whether the store's arithmetic, in numbers of 53 bits, can hold it.
    pub(super) fn fits(&self) -> bool {
        self.full < 1 << 50
    }

    fn name(&self, key: &[Kind], facts: &Facts<'_>) -> String {
        let mut name = Context::new(&SHA256);
        part(&mut name, &self.id);
        for kind in key {
            kind.tell(facts, &mut |bytes| part(&mut name, bytes));
        }
        fixed(name).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// With its length, so that two neighbours cannot trade characters.
fn part(to: &mut Context, bytes: &[u8]) {
    to.update(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
    to.update(bytes);
}

fn fixed(digest: Context) -> [u8; 32] {
    // INVARIANT: a SHA-256 has 32 bytes.
    digest.finish().as_ref().try_into().unwrap_or_default()
}

/// What came of asking the store.
pub(super) enum Settled {
    Said {
        outcome: Outcome,
        wait: Duration,
    },
    /// It said nothing, and these limits are counted here meanwhile.
    CountHere,
    /// It said nothing, and one of the limits does not go without.
    Unknown(String),
}

impl LimitSet {
    /// What has to be asked of the store for a step.
    pub(super) fn ask(&self, stage: Stage, facts: &Facts<'_>) -> Option<SharedAsk> {
        let claims = self.step(stage).shared.iter().filter_map(|index| {
            let entry = self.limits.get(*index)?;
            let limit = &entry.limit;
            let shared = limit.shared.as_ref()?;
            let digest = limit.key(facts);
            Some(Claim {
                key: shared.name(&limit.key, facts),
                interval: shared.interval,
                full: shared.full,
                patience: entry.max_wait / 1000,
                floor: limit.floor(digest),
                strict: shared.on_unavailable == OnUnavailable::Deny,
                index: *index,
                limit: limit.clone(),
                digest,
            })
        });
        let claims: Vec<_> = claims.collect();
        (!claims.is_empty()).then_some(SharedAsk { claims })
    }
}

impl SharedAsk {
    /// Takes in what the store said. An answer that does not fit the question is none.
    pub(super) fn settle(&self, said: Result<Decided, Unavailable>) -> Settled {
        let decided = match said {
            Ok(decided) if decided.claims.len() == self.claims.len() => decided,
            Ok(_) => return self.without("an answer to another question"),
            Err(Unavailable(why)) => return self.without(&why),
        };
        let (mut outcome, mut wait) = (Outcome::Unlimited, 0);
        for (claim, said) in self.claims.iter().zip(&decided.claims) {
            let seconds = said.wait.div_ceil(1_000_000);
            let standing = Standing { limit: claim.index, remaining: said.remaining, seconds };
            outcome = outcome.tighter(if decided.passes || said.wait <= claim.patience {
                Outcome::Allowed(standing)
            } else {
                Outcome::Refused { standing: Standing { remaining: 0, ..standing }, retry_after: seconds.max(1) }
            });
            if decided.passes {
                claim.limit.raise_floor(claim.digest, said.state, decided.now);
                wait = wait.max(said.wait);
            }
        }
        match (decided.passes, outcome.is_refused()) {
            (true, _) => Settled::Said { outcome, wait: Duration::from_micros(wait) },
            (false, true) => Settled::Said { outcome, wait: Duration::ZERO },
            (false, false) => self.without("a refusal without a reason"),
        }
    }

    fn without(&self, why: &str) -> Settled {
        let must = self
            .claims
            .iter()
            .any(|claim| claim.limit.shared.as_ref().is_none_or(|shared| shared.on_unavailable == OnUnavailable::Deny));
        if must { Settled::Unknown(why.to_owned()) } else { Settled::CountHere }
    }
}
