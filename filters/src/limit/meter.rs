//! Bytes: charged to the keys of a request as they come and go.

use std::sync::Arc;
use std::time::Duration;

use super::gcra;
use super::key::Digest;
use super::shared::{Claim, Decided, SharedAsk, Unavailable};
use super::store::Limit;
use crate::{Reason, Refusal};

/// The byte limits of one request.
#[derive(Debug, Clone, Default)]
pub struct Meter(Vec<Entry>);

#[derive(Debug, Clone)]
struct Entry {
    limit: Arc<Limit>,
    key: Digest,
    name: Arc<str>,
    /// What the store of all replicas calls the key, where it counts.
    shared: Option<Arc<str>>,
}

/// A charge that the store of all replicas has to take.
#[derive(Debug)]
#[must_use = "what was not asked for is not paid"]
pub struct Charge {
    ask: SharedAsk,
    entries: Vec<Entry>,
    /// What each of them is charged.
    bytes: Vec<u64>,
}

impl Meter {
    pub(super) fn add(&mut self, limit: &Arc<Limit>, key: Digest, name: &str, shared: Option<Arc<str>>) {
        self.0.push(Entry { limit: limit.clone(), key, name: Arc::from(name), shared });
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Charges bytes that are about to go on. Where it returns a charge, they have to stay until the store has taken it.
    ///
    /// # Errors
    /// A refusal where a key owes a whole burst: these bytes have to stay. Other limits may have been charged.
    pub fn charge(&self, bytes: usize, now: Duration) -> Result<Option<Charge>, Refusal> {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        if bytes == 0 {
            return Ok(None);
        }
        let now = gcra::nanos(now);
        let mut owing = None;
        let mut charge = Charge { ask: SharedAsk { claims: Vec::new() }, entries: Vec::new(), bytes: Vec::new() };
        // All of them are charged, also behind one that owes.
        for entry in &self.0 {
            match &entry.shared {
                Some(name) => charge.add(entry, name, bytes, now),
                None if !entry.limit.charge(entry.key, bytes, now) => owing = Some(entry),
                None => {}
            }
        }
        match owing {
            Some(entry) => Err(entry.owes(entry.limit.seconds_of(entry.key, now))),
            None => Ok((!charge.entries.is_empty()).then_some(charge)),
        }
    }
}

impl Entry {
    fn owes(&self, seconds: u64) -> Refusal {
        let limit = format!("limit/{}", self.name);
        let mut refusal = Refusal::new(Reason::OverLimit, format!("a whole burst over `{limit}`")).by(limit);
        refusal.headers.push(("retry-after", seconds.max(1).to_string()));
        refusal
    }
}

impl Charge {
    /// What was paid ahead goes first.
    fn add(&mut self, entry: &Entry, name: &str, bytes: u64, now: u64) {
        let Some(shared) = &entry.limit.shared else { return };
        let bytes = entry.limit.take_paid(entry.key, bytes, now);
        if bytes == 0 {
            return;
        }
        self.ask.claims.push(Claim {
            key: name.to_owned(),
            wanted: shared.charge(bytes, entry.limit.floor(entry.key)),
            patience: 0,
            strict: shared.is_strict(),
            index: 0,
            limit: entry.limit.clone(),
            digest: entry.key,
        });
        self.entries.push(entry.clone());
        self.bytes.push(bytes);
    }

    /// What has to be asked.
    #[must_use]
    pub fn ask(&self) -> &SharedAsk {
        &self.ask
    }

    /// Takes in what the store said.
    ///
    /// # Errors
    /// A refusal where a key owes a whole burst, or nobody knows.
    pub fn settle(self, said: Result<Decided, Unavailable>, now: Duration) -> Result<(), Refusal> {
        let now = gcra::nanos(now);
        let why = match said {
            Ok(decided) if decided.claims.len() == self.entries.len() => return self.hear(&decided, now),
            Ok(_) => "an answer to another question".to_owned(),
            Err(Unavailable(why)) => why,
        };
        if self.ask.claims.iter().any(|claim| claim.strict) {
            return Err(Refusal::new(Reason::Undecided, format!("the shared limits: {why}")));
        }
        for (entry, bytes) in self.entries.iter().zip(&self.bytes) {
            if !entry.limit.charge(entry.key, *bytes, now) {
                return Err(entry.owes(entry.limit.seconds_of(entry.key, now)));
            }
        }
        Ok(())
    }

    fn hear(&self, decided: &Decided, now: u64) -> Result<(), Refusal> {
        let entries = self.entries.iter().zip(&self.bytes).zip(&self.ask.claims);
        for (((entry, bytes), claim), said) in entries.zip(&decided.claims) {
            if !decided.passes {
                claim.hear_time(decided.now);
                if said.wait > 0 {
                    return Err(entry.owes(said.wait.div_ceil(1_000_000)));
                }
                continue;
            }
            entry.limit.raise_floor(entry.key, said.state, decided.now);
            let ahead = entry.limit.shared.as_ref().map_or(0, |shared| shared.ahead(said.left, *bytes));
            // What was paid ahead counts as spent until the key would have it back.
            let until = now.saturating_add(said.state.saturating_sub(decided.now).saturating_mul(1000));
            entry.limit.pay_ahead(entry.key, ahead, until, now);
        }
        if decided.passes { Ok(()) } else { Err(Refusal::new(Reason::Undecided, "a charge refused without a reason")) }
    }
}
