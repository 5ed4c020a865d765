//! A secret that is replaced: how old each one is, and the one of before for as long as it may still be shown.
//!
//! What is known is carried from set to set: a secret that is read again unchanged becomes no younger, and one that changed leaves its
//! predecessor behind for the `overlap` of its rotation.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use postern_config::{Inject, Redacted, Rotation};

use super::{Held, Put, Recipe};

/// A secret, as it was read.
#[derive(Debug, Clone)]
pub(super) struct Secret {
    pub(super) value: Redacted<Vec<u8>>,
    /// It is `id:secret`.
    pub(super) is_client: bool,
    /// Unix seconds since when it is what it is, as far as that is known.
    since: i64,
}

impl Secret {
    pub(super) fn new(value: Redacted<Vec<u8>>, is_client: bool, since: i64) -> Self {
        Self { value, is_client, since }
    }

    /// A copy under another name is the same secret, and as old.
    fn is_same(&self, other: &Self) -> bool {
        self.value.expose() == other.value.expose()
    }
}

/// How old a secret is, as its rotation takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Age {
    Current,
    /// Past `maxAge`.
    Aged,
    /// Past `maxAge` and `graceAfter`: it is not shown.
    Expired,
}

impl Age {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Aged => "aged",
            Self::Expired => "expired",
        }
    }

    fn of(since: i64, rotation: Option<&Rotation>, now: i64) -> Self {
        let age = Duration::from_secs(u64::try_from(now.saturating_sub(since)).unwrap_or_default());
        let Some(max) = rotation.and_then(|rotation| rotation.max_age).filter(|max| age > *max) else {
            return Self::Current;
        };
        let grace = rotation.and_then(|rotation| rotation.grace);
        if grace.is_some_and(|grace| age > max.saturating_add(grace)) { Self::Expired } else { Self::Aged }
    }
}

/// What a secret was replaced from.
#[derive(Debug)]
pub(super) struct Previous {
    put: Put,
    secrets: Vec<Secret>,
    /// Unix milliseconds until which it may be shown.
    until_ms: i64,
}

/// What became of the secrets of a credential with a new set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// They are others; the old ones may be shown for a while or not.
    Replaced,
    /// The old ones are not kept any longer.
    Retired,
}

/// The age that was told last.
#[derive(Debug, Default)]
pub(super) struct Told(AtomicU8);

/// A credential of the set that runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Running<'r> {
    pub(crate) held: &'r Held,
    /// How it is shown there.
    pub(crate) inject: &'r Inject,
    /// Whether its upstream is the same one: under the same addresses, and expected to be the same.
    pub(crate) same_upstream: bool,
}

impl Held {
    /// Takes over what is known.
    pub(super) fn follow(&mut self, running: &Running<'_>, recipe: &Recipe<'_>, now: i64) {
        let known = &running.held.secrets;
        for secret in &mut self.secrets {
            if let Some(known) = known.iter().find(|known| known.is_same(secret)) {
                secret.since = secret.since.min(known.since);
            }
        }
        let pairs = self.secrets.iter().zip(known);
        let same = self.secrets.len() == known.len() && pairs.into_iter().all(|(own, known)| own.is_same(known));
        if same {
            self.told.0.store(running.held.told.0.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        let now_ms = now.saturating_mul(1000);
        // Another host, or another place of the request, was never shown the old one.
        let may = running.same_upstream && is_alike(running.inject, &recipe.credential.inject);
        let until_ms = self.rotation.filter(|_| may).map_or(0, |own| now_ms.saturating_add(millis(own.overlap)));
        let (secrets, until_ms) = match &running.held.previous {
            Some(kept) if same => (kept.secrets.clone(), kept.until_ms.min(until_ms)),
            None if same => (Vec::new(), 0),
            _ => (known.clone(), until_ms),
        };
        if until_ms > now_ms {
            // By the settings of now: what they forbid is not done with an old secret either.
            self.previous = recipe.put(&secrets).ok().map(|put| Previous { put, secrets, until_ms });
        }
        self.change = match (same, &running.held.previous, &self.previous) {
            (false, ..) => Some(Change::Replaced),
            (true, Some(_), None) => Some(Change::Retired),
            (true, ..) => None,
        };
    }

    /// How old the oldest of its secrets is; nothing where it has none.
    pub(crate) fn seconds_old(&self, now: i64) -> Option<i64> {
        self.secrets.iter().map(|secret| now.saturating_sub(secret.since)).max()
    }

    pub(crate) fn age(&self, now: i64) -> Age {
        oldest(&self.secrets, self.rotation.as_ref(), now)
    }

    /// The age, where it was not told yet. From then on it was.
    pub(crate) fn untold(&self, now: i64) -> Option<Age> {
        let age = self.age(now);
        (self.told.0.fetch_max(age as u8, Ordering::Relaxed) < age as u8).then_some(age)
    }

    /// What it was replaced from, where that may be shown at the moment.
    pub(super) fn previous(&self, now_ms: i64) -> Option<&Put> {
        let previous = self.previous.as_ref().filter(|previous| now_ms < previous.until_ms)?;
        let age = oldest(&previous.secrets, self.rotation.as_ref(), now_ms.div_euclid(1000));
        (age != Age::Expired).then_some(&previous.put)
    }

    /// Whether it keeps a secret that is not shown any more.
    pub(crate) fn is_overdue(&self, now_ms: i64) -> bool {
        self.previous.as_ref().is_some_and(|previous| now_ms >= previous.until_ms)
    }

    /// The secrets of before that are kept.
    pub(super) fn kept(&self) -> impl Iterator<Item = &Secret> {
        self.previous.iter().flat_map(|previous| &previous.secrets)
    }
}

/// Whether both go to the same place of a request, or are exchanged for the same.
fn is_alike(one: &Inject, other: &Inject) -> bool {
    match (one, other) {
        (Inject::Header { header, .. }, Inject::Header { header: other, .. }) => header == other,
        (Inject::Query { name, .. }, Inject::Query { name: other, .. }) => name == other,
        (Inject::Exchange(one), Inject::Exchange(other)) => {
            (&one.url, &one.audience, &one.scopes, one.subject.is_some())
                == (&other.url, &other.audience, &other.scopes, other.subject.is_some())
        }
        _ => false,
    }
}

fn oldest(secrets: &[Secret], rotation: Option<&Rotation>, now: i64) -> Age {
    secrets.iter().map(|secret| Age::of(secret.since, rotation, now)).max().unwrap_or(Age::Current)
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_told_past_the_most_and_ends_past_the_grace() {
        let rotation = |max: Option<u64>, grace: Option<u64>| Rotation {
            max_age: max.map(Duration::from_secs),
            overlap: Duration::ZERO,
            grace: grace.map(Duration::from_secs),
        };
        for (max, grace, age, want) in [
            (None, None, i64::MAX, Age::Current),
            (Some(10), None, 10, Age::Current),
            (Some(10), None, 11, Age::Aged),
            (Some(10), None, i64::MAX, Age::Aged),
            (Some(10), Some(5), 15, Age::Aged),
            (Some(10), Some(5), 16, Age::Expired),
            (Some(10), Some(0), 11, Age::Expired),
            (Some(10), Some(0), -5, Age::Current),
        ] {
            assert_eq!(Age::of(0, Some(&rotation(max, grace)), age), want, "{max:?} {grace:?} {age}");
        }
        assert_eq!(Age::of(0, None, i64::MAX), Age::Current);
    }
}
