//! Tokens of models: what a request may come to is taken before it is sent, and set right once it is known what it came to.

use std::sync::Arc;
use std::time::Duration;

use super::gcra;
use super::key::Digest;
use super::store::Limit;
use crate::{Reason, Refusal};

/// What a request takes for an answer of which it does not say how long it may be.
const UNSAID: u64 = 4096;
/// What a stream takes more that has used what was taken for it.
const MORE: u64 = 256;

/// Which tokens a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counted {
    Input,
    Output,
    Total,
}

/// What a request may come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tokens {
    /// An estimate.
    pub input: u64,
    /// The most that it asks for; `None` where it does not say.
    pub output: Option<u64>,
}

/// What the upstream said that a request came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used {
    pub input: u64,
    pub output: u64,
}

impl Tokens {
    pub(super) fn taken(self, counted: Counted) -> u64 {
        let used = Used { input: self.input, output: self.output.unwrap_or(UNSAID) };
        used.of(counted).max(1)
    }
}

impl Used {
    fn of(self, counted: Counted) -> u64 {
        match counted {
            Counted::Input => self.input,
            Counted::Output => self.output,
            Counted::Total => self.input.saturating_add(self.output),
        }
    }
}

/// The token limits of one request. What it came to is set right when this is dropped: nothing where it was never sent; what the
/// upstream said, or else what was seen, where its answer came to an end. Where nobody saw the end, it keeps what it took at
/// least: who leaves before a stream says what it cost has not saved it.
#[derive(Debug, Default)]
pub struct Tally {
    entries: Vec<Entry>,
    /// What went to the upstream, and what has come so far, both estimates.
    seen: Used,
    said: Option<Used>,
    is_sent: bool,
    has_ended: bool,
}

#[derive(Debug)]
struct Entry {
    limit: Arc<Limit>,
    key: Digest,
    name: Arc<str>,
    counted: Counted,
    taken: u64,
}

impl Tally {
    pub(super) fn add(&mut self, limit: &Arc<Limit>, key: Digest, name: &str, counted: Counted, tokens: Tokens) {
        let (limit, name, taken) = (limit.clone(), Arc::from(name), tokens.taken(counted));
        self.entries.push(Entry { limit, key, name, counted, taken });
        self.seen.input = tokens.input;
    }

    pub(crate) fn extend(&mut self, mut other: Self) {
        self.entries.append(&mut other.entries);
        self.seen.input = self.seen.input.max(other.seen.input);
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The request goes to its upstream: from here on it costs.
    pub(crate) fn send(&mut self) {
        self.is_sent = true;
    }

    /// It did not get to an upstream after all.
    pub(crate) fn unsend(&mut self) {
        self.is_sent = false;
    }

    /// Its answer came to an end.
    pub(crate) fn end(&mut self) {
        self.has_ended = true;
    }

    /// What the upstream says it came to. The latest word counts.
    pub(crate) fn said(&mut self, used: Used) {
        self.said = Some(used);
    }

    /// Notes that an answer of so many tokens has come, by what was seen of it. What is beyond what was taken is a debt.
    pub(crate) fn came(&mut self, output: u64) {
        self.seen.output = self.seen.output.max(output);
    }

    /// Notes that `output` tokens have come in all, by what was seen of them.
    ///
    /// # Errors
    /// A refusal where a limit has no more than was taken: the answer has to end.
    pub(crate) fn flows(&mut self, output: u64, now: Duration) -> Result<(), Refusal> {
        self.came(output);
        let now = gcra::nanos(now);
        for entry in &mut self.entries {
            let used = self.seen.of(entry.counted);
            if entry.counted == Counted::Input || used <= entry.taken {
                continue;
            }
            let more = (used - entry.taken).max(MORE);
            if !entry.limit.take_tokens(entry.key, more, now) {
                let limit = format!("limit/{}", entry.name);
                return Err(Refusal::new(Reason::OverLimit, format!("the answer is over `{limit}`")).by(limit));
            }
            entry.taken = entry.taken.saturating_add(more);
        }
        Ok(())
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        let known = self.said.unwrap_or(self.seen);
        for entry in &self.entries {
            let used = match (self.is_sent, self.has_ended) {
                (false, _) => 0,
                (true, true) => known.of(entry.counted),
                (true, false) => known.of(entry.counted).max(entry.taken),
            };
            entry.limit.settle_tokens(entry.key, entry.taken, used);
        }
    }
}
