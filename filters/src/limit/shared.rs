//! Limits that all replicas keep together: what is asked of their store, and what is remembered of what it said.
//!
//! The names of keys leave this process, so they are digests: a store tells nobody who its callers are. Two replicas make
//! the same name of the same manifest and the same caller, and of no other.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use postern_config::{CountedIn, LimitUnit, OnUnavailable, RateLimit};

use super::key::{Digest, Facts, Kind};
use super::line::Place;
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
    pub wanted: Wanted,
    /// How long the request may wait for it.
    pub patience: u64,
    /// Whether what the store lost counts as spent.
    pub strict: bool,
    pub(super) index: usize,
    pub(super) limit: Arc<Limit>,
    pub(super) digest: Digest,
}

/// What a claim wants, in microseconds of the rate: what gives back as much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// As much as `take`, where `need` is left.
    Rate { budget: Budget, need: u64, take: u64 },
    /// At least so much, as long as less than a whole burst is owed; and up to `most` where that is not owed.
    Debt { budget: Budget, least: u64, most: u64 },
    /// To be one of so many at once.
    Seat { seats: u64 },
}

/// How far a key can spend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// What gives back a burst.
    pub full: u64,
    /// The furthest that a key can be ahead.
    pub ceiling: u64,
    /// The state that was last heard of, in the store's time; zero for none.
    pub floor: u64,
}

/// What the store decided.
#[derive(Debug)]
pub struct Decided {
    /// Whether all passed, and were spent.
    pub passes: bool,
    /// The store's time.
    pub now: u64,
    /// As they were asked for.
    pub claims: Vec<DecidedClaim>,
    /// The seats, where it gave any: they are given back with it.
    pub seats: Option<Seats>,
}

/// What it says of one limit, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecidedClaim {
    /// Until the request may go on, or could have; zero where it may at once.
    pub wait: u64,
    /// What is left afterwards: of a rate its time, of a debt what was taken, of seats their number.
    pub left: u64,
    /// The moment at which the key will have its whole burst again, if the request passed.
    pub state: u64,
}

/// Seats in the store, whatever they are to who asks it. Dropping them gives them back.
pub struct Seats(#[expect(dead_code, reason = "held to be dropped")] Box<dyn Any + Send + Sync>);

impl Seats {
    pub fn new(held: impl Any + Send + Sync) -> Self {
        Self(Box::new(held))
    }
}

impl std::fmt::Debug for Seats {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seats")
    }
}

/// The store did not say, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unavailable(pub String);

/// A limit that is kept in the store.
#[derive(Debug)]
pub(super) struct Shared {
    id: [u8; 32],
    unit: LimitUnit,
    limit: u64,
    /// Microseconds.
    window: u64,
    burst: u64,
    on_unavailable: OnUnavailable,
}

/// The most that is ever charged at once; what is more is charged as so much.
const MOST_BYTES: u64 = 1 << 30;
/// The furthest that any key can be ahead, in microseconds: the store's numbers have 53 bits, and count from 1970.
const FURTHEST: u64 = 1 << 51;
/// The longest that any request may wait, in microseconds. The same for all: replicas whose policy differs count together.
const LONGEST_WAIT: u64 = 60_000_000;
/// Bytes that are charged ahead, so that not every event of a stream asks the store; and the part of a burst that they
/// are at most.
const AHEAD: u64 = 64 << 10;
const AHEAD_PART: u64 = 16;

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
        part(&mut id, format!("{:?}", written.unit).as_bytes());
        let (unit, limit, burst) = (written.unit, written.limit, written.burst);
        Some(Self { id: fixed(id), unit, limit, window, burst, on_unavailable })
    }

    pub(super) fn is_strict(&self) -> bool {
        self.on_unavailable == OnUnavailable::Deny
    }

    /// What gives back so many units: whole microseconds, rounded up, as the store never lets pass more than the limit says.
    fn time(&self, units: u64) -> u64 {
        let time = (u128::from(units) * u128::from(self.window)).div_ceil(u128::from(self.limit.max(1)));
        u64::try_from(time).unwrap_or(u64::MAX / 4)
    }

    /// Units that so much time gives back.
    fn units(&self, time: u64) -> u64 {
        let units = u128::from(time) * u128::from(self.limit) / u128::from(self.window.max(1));
        u64::try_from(units).unwrap_or(u64::MAX)
    }

    /// Of a rate whose single request takes a whole microsecond or more, the same for every burst.
    fn full(&self) -> u64 {
        match self.unit {
            LimitUnit::Requests => self.time(1).saturating_mul(self.burst),
            _ => self.time(self.burst),
        }
    }

    fn budget(&self, max_wait: u64, floor: u64) -> Budget {
        let full = self.full();
        let ahead = match self.unit {
            LimitUnit::Bytes => full.saturating_add(self.time(MOST_BYTES)),
            _ => max_wait.max(LONGEST_WAIT),
        };
        Budget { full, ceiling: full.saturating_add(ahead).min(FURTHEST), floor }
    }

    /// Whether the store's arithmetic can hold it.
    pub(super) fn fits(&self) -> bool {
        self.unit == LimitUnit::ConcurrentRequests || self.full() < FURTHEST / 2
    }

    /// What a request wants that comes to the limit.
    fn wanted(&self, max_wait: u64, floor: u64) -> Wanted {
        let budget = self.budget(max_wait, floor);
        match self.unit {
            LimitUnit::ConcurrentRequests => Wanted::Seat { seats: self.limit },
            LimitUnit::Bytes => Wanted::Rate { budget, need: self.time(1), take: 0 },
            _ => Wanted::Rate { budget, need: self.time(1), take: self.time(1) },
        }
    }

    /// What is wanted for so many bytes that are about to go on.
    pub(super) fn charge(&self, bytes: u64, floor: u64) -> Wanted {
        let bytes = bytes.min(MOST_BYTES);
        let ahead = AHEAD.min(self.burst / AHEAD_PART);
        let (least, most) = (self.time(bytes), self.time(bytes.saturating_add(ahead)));
        Wanted::Debt { budget: self.budget(0, floor), least, most }
    }

    /// Bytes that were paid for with `taken` and are not `charged` yet.
    pub(super) fn ahead(&self, taken: u64, charged: u64) -> u64 {
        self.units(taken).saturating_sub(charged)
    }

    /// What is left for requests that come.
    fn remaining(&self, left: u64) -> u64 {
        match self.unit {
            LimitUnit::ConcurrentRequests => left,
            LimitUnit::Requests => left / self.time(1).max(1),
            _ => self.units(left),
        }
    }

    pub(super) fn name(&self, key: &[Kind], facts: &Facts<'_>) -> String {
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
    /// What has to be asked of the store for a step of a request that has waited so long.
    pub(super) fn ask(&self, stage: Stage, facts: &Facts<'_>, waited: Duration) -> Option<SharedAsk> {
        let waited = u64::try_from(waited.as_micros()).unwrap_or(u64::MAX);
        let claims = self.step(stage).shared.iter().filter_map(|index| {
            let entry = self.limits.get(*index)?;
            let limit = &entry.limit;
            let shared = limit.shared.as_ref()?;
            let (digest, max_wait) = (limit.key(facts), entry.max_wait / 1000);
            Some(Claim {
                key: shared.name(&limit.key, facts),
                wanted: shared.wanted(max_wait, limit.floor(digest)),
                patience: max_wait.saturating_sub(waited),
                strict: shared.is_strict(),
                index: *index,
                limit: limit.clone(),
                digest,
            })
        });
        let claims: Vec<_> = claims.collect();
        (!claims.is_empty()).then_some(SharedAsk { claims })
    }
}

impl Claim {
    /// Takes in the store's time where it refused: no key is further ahead than it can be, and what was heard by a clock that has
    /// gone back since would refuse for as long.
    pub(super) fn hear_time(&self, now: u64) {
        if let Wanted::Rate { budget, .. } | Wanted::Debt { budget, .. } = self.wanted {
            self.limit.bound_floor(self.digest, now.saturating_add(budget.ceiling));
        }
    }

    fn stands_in_line(&self) -> bool {
        matches!(self.wanted, Wanted::Seat { .. }) && self.patience > 0
    }
}

impl SharedAsk {
    /// A place for a request that may stand in the store's line. Where there is none, it is not to.
    pub(super) fn line_up(&mut self) -> Option<Place> {
        if !self.claims.iter().any(Claim::stands_in_line) {
            return None;
        }
        let place = self.place();
        if place.is_none() {
            for claim in self.claims.iter_mut().filter(|claim| claim.stands_in_line()) {
                claim.patience = 0;
            }
        }
        place
    }

    /// A place among all that wait in this process.
    pub(super) fn place(&self) -> Option<Place> {
        self.claims.first()?.limit.places.take()
    }

    /// Takes in what the store said of a request. An answer that does not fit the question is none.
    pub(super) fn settle(&self, said: &Result<Decided, Unavailable>) -> Settled {
        let decided = match said {
            Ok(decided) if decided.claims.len() == self.claims.len() => decided,
            Ok(_) => return self.without("an answer to another question"),
            Err(Unavailable(why)) => return self.without(why),
        };
        let (mut outcome, mut wait) = (Outcome::Unlimited, 0);
        for (claim, said) in self.claims.iter().zip(&decided.claims) {
            let seconds = said.wait.div_ceil(1_000_000);
            let remaining = claim.limit.shared.as_ref().map_or(0, |shared| shared.remaining(said.left));
            let standing = Standing { limit: claim.index, remaining, seconds };
            let may_wait = said.wait <= claim.patience && !matches!(claim.wanted, Wanted::Seat { .. });
            outcome = outcome.tighter(if decided.passes || said.wait == 0 || may_wait {
                Outcome::Allowed(standing)
            } else {
                Outcome::Refused { standing: Standing { remaining: 0, ..standing }, retry_after: seconds.max(1) }
            });
            if decided.passes {
                claim.limit.raise_floor(claim.digest, said.state, decided.now);
                wait = wait.max(said.wait);
            } else {
                claim.hear_time(decided.now);
            }
        }
        match (decided.passes, outcome.is_refused()) {
            (true, _) => Settled::Said { outcome, wait: Duration::from_micros(wait) },
            (false, true) => Settled::Said { outcome, wait: Duration::ZERO },
            (false, false) => self.without("a refusal without a reason"),
        }
    }

    fn without(&self, why: &str) -> Settled {
        let must = self.claims.iter().any(|claim| claim.strict);
        if must { Settled::Unknown(why.to_owned()) } else { Settled::CountHere }
    }
}
