//! Tells what becomes of secrets: in the log, in records, on the page of metrics and on the one that says what lacks.

use postern_config::Snapshot;
use postern_filters::audit::{AuditRecord, SecretEvent, SecretRef, SecretWord};
use tracing::{info, warn};

use super::{Age, Change, Held, secret_uses};
use crate::record;
use crate::runtime::Runtime;
use crate::shared::Shared;

/// How one credential stands.
#[derive(Debug)]
pub(crate) struct Standing {
    pub(crate) upstream: String,
    pub(crate) name: String,
    pub(crate) seconds_old: i64,
    pub(crate) age: Age,
    /// Whether the secret of before may still be shown.
    pub(crate) overlaps: bool,
}

/// Tells that a set was taken over with all the secrets it names, and which of them are others than before.
pub(crate) fn tell_load(shared: &Shared, new: &Runtime) {
    let read = read_by(&new.snapshot);
    if !read.is_empty() {
        submit(shared, &new.snapshot, SecretWord::Read, read);
    }
    for (upstream, held) in new.credentials() {
        let what = match held.change {
            Some(Change::Replaced) => SecretWord::Rotated,
            Some(Change::Retired) => SecretWord::Retired,
            None => continue,
        };
        let overlaps = held.previous(shared.clock.unix_ms()).is_some();
        info!(upstream, credential = &*held.name, event = what.as_str(), overlaps, "a secret changed");
        submit(shared, &new.snapshot, what, vec![reference(upstream, held)]);
    }
}

/// Every secret that a set names, and that whoever loads it reads.
pub(crate) fn read_by(snapshot: &Snapshot) -> Vec<SecretRef> {
    let uses = secret_uses(snapshot).into_iter();
    uses.map(|used| SecretRef { from: Some(used.from.to_string()), purpose: used.place }).collect()
}

/// Tells which secrets were read for a set that was then refused. They are forgotten, and have been seen.
pub(crate) fn tell_refused(shared: &Shared, read: Vec<SecretRef>) {
    if read.is_empty() {
        return;
    }
    let event = SecretEvent { what: SecretWord::Read, secrets: read };
    let record = record::of_secrets(event, &shared.runtime.load().snapshot, shared.clock.unix_ms());
    shared.submit(AuditRecord { detail: Some("for a policy set that was refused".to_owned()), ..record });
}

/// Tells of every secret that has become too old since it was looked at last.
pub(crate) fn tell_ages(shared: &Shared) {
    let now = shared.clock.unix_ms().div_euclid(1000);
    let runtime = shared.runtime.load();
    for (upstream, held) in runtime.credentials() {
        let (what, help) = match held.untold(now) {
            None | Some(Age::Current) => continue,
            Some(Age::Aged) => (SecretWord::Aged, "replace it"),
            Some(Age::Expired) => (SecretWord::Expired, "requests that need it are refused until it is replaced"),
        };
        let days = held.seconds_old(now).unwrap_or_default() / 86_400;
        warn!(
            "error.type" = "secret_age",
            upstream,
            credential = &*held.name,
            days,
            "a secret is older than its `maxAge`: {help}"
        );
        submit(shared, &runtime.snapshot, what, vec![reference(upstream, held)]);
    }
}

/// Whether a secret is kept that is not shown any more.
pub(crate) fn is_overdue(shared: &Shared) -> bool {
    let now_ms = shared.clock.unix_ms();
    shared.runtime.load().credentials().any(|(_, held)| held.is_overdue(now_ms))
}

/// How every credential stands that has a secret of its own.
pub(crate) fn standing(runtime: &Runtime, now_ms: i64) -> Vec<Standing> {
    let now = now_ms.div_euclid(1000);
    let of = |(upstream, held): (&str, &Held)| {
        Some(Standing {
            upstream: upstream.to_owned(),
            name: held.name.to_string(),
            seconds_old: held.seconds_old(now)?,
            age: held.age(now),
            overlaps: held.previous(now_ms).is_some(),
        })
    };
    runtime.credentials().filter_map(of).collect()
}

impl Standing {
    /// What is wrong with it, in words for people.
    pub(crate) fn trouble(&self) -> Option<String> {
        let why = match self.age {
            Age::Current => return None,
            Age::Aged => "is older than its `maxAge`",
            Age::Expired => "is too old to be shown, and its requests are refused",
        };
        Some(format!("credential `{}` of upstream `{}` {why}: replace it", self.name, self.upstream))
    }
}

fn reference(upstream: &str, held: &Held) -> SecretRef {
    SecretRef { from: None, purpose: format!("credential `{}` for upstream `{upstream}`", held.name) }
}

fn submit(shared: &Shared, snapshot: &Snapshot, what: SecretWord, secrets: Vec<SecretRef>) {
    let event = SecretEvent { what, secrets };
    shared.submit(record::of_secrets(event, snapshot, shared.clock.unix_ms()));
}
