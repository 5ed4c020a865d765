//! A review of access: which permits of a set requests used, as the audit log tells, and which none did.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;

use postern_filters::audit::note::VerifyingKey;
use postern_filters::audit::verify::{LogRead, Standing};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::recorded::moment;
use super::{Mark, Set, marks_of, places};
use crate::audit::{self, RunError};

/// Callers that are named for one permit.
const MOST_CALLERS: usize = 16;
/// Names that are told of which the set knows nothing.
const MOST_GONE: usize = 64;

/// A log and what checks it.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) dir: PathBuf,
    pub(crate) key: Option<VerifyingKey>,
}

/// What logs say of the permits of a set, within a window.
#[derive(Debug)]
pub(crate) struct Review<'s> {
    set: &'s Set,
    /// Unix milliseconds.
    from: i64,
    to: i64,
    permits: BTreeMap<String, Permit>,
    gone: BTreeMap<String, u64>,
    more_gone: bool,
    seen: Seen,
    logs: Vec<(PathBuf, LogRead)>,
}

/// One permit.
#[derive(Debug)]
struct Permit {
    mark: Mark,
    used: Use,
}

#[derive(Debug, Default)]
struct Use {
    count: u64,
    last_ms: i64,
    last: String,
    by: BTreeMap<String, u64>,
    more: bool,
}

/// What was seen of the logs themselves.
#[derive(Debug, Default)]
struct Seen {
    /// Requests of the window that were permitted.
    permitted: u64,
    /// Of them, those that another set than the present one decided.
    by_others: u64,
    /// Of them, those of a version that wrote down no entries of allow lists.
    without_entries: u64,
    first_ms: Option<i64>,
    /// Since when each manifest is as it is now, by its name, as far as the logs tell.
    since: BTreeMap<String, i64>,
    /// Whether a log tells of sets at all.
    sets: bool,
}

#[derive(Deserialize)]
struct Record<'r> {
    #[serde(default)]
    time: i64,
    #[serde(borrow)]
    metadata: Metadata<'r>,
    #[serde(borrow)]
    policy: Option<Named<'r>>,
    #[serde(borrow)]
    actor: Option<Actor<'r>>,
    #[serde(borrow)]
    unmapped: Unmapped<'r>,
}

#[derive(Deserialize)]
struct Metadata<'r> {
    #[serde(borrow)]
    uid: Cow<'r, str>,
}

#[derive(Deserialize)]
struct Named<'r> {
    #[serde(borrow)]
    name: Cow<'r, str>,
}

#[derive(Deserialize)]
struct Actor<'r> {
    #[serde(borrow)]
    user: User<'r>,
}

#[derive(Deserialize)]
struct User<'r> {
    #[serde(borrow)]
    uid: Option<Cow<'r, str>>,
}

#[derive(Deserialize)]
struct Unmapped<'r> {
    #[serde(borrow)]
    postern: Ours<'r>,
}

#[derive(Deserialize)]
struct Ours<'r> {
    #[serde(borrow)]
    decision: Option<Cow<'r, str>>,
    #[serde(borrow)]
    snapshot: Option<Cow<'r, str>>,
    #[serde(borrow)]
    permits: Option<Cow<'r, str>>,
    #[serde(borrow, default)]
    bindings: Vec<Cow<'r, str>>,
    #[serde(borrow)]
    entries: Option<Vec<Cow<'r, str>>>,
    #[serde(borrow)]
    on_behalf_of: Option<User<'r>>,
    #[serde(borrow, default)]
    manifests: Vec<Loaded<'r>>,
    #[serde(borrow)]
    dialect: Option<Cow<'r, str>>,
}

#[derive(Deserialize)]
struct Loaded<'r> {
    #[serde(borrow)]
    kind: Cow<'r, str>,
    #[serde(borrow)]
    namespace: Cow<'r, str>,
    #[serde(borrow)]
    name: Cow<'r, str>,
    #[serde(borrow)]
    digest: Cow<'r, str>,
}

impl<'s> Review<'s> {
    /// Reads the logs. `from` and `to` are Unix milliseconds.
    ///
    /// # Errors
    /// Where a log cannot be read.
    pub(crate) fn of(set: &'s Set, logs: &[Log], from: i64, to: i64) -> Result<Self, RunError> {
        let permits = marks_of(set).into_iter().filter(|(_, does)| *does != "Forbid");
        let permits = permits.map(|(mark, _)| (mark.to_string(), Permit { mark, used: Use::default() }));
        let mut review = Self {
            set,
            from,
            to,
            permits: permits.collect(),
            gone: BTreeMap::new(),
            more_gone: false,
            seen: Seen::default(),
            logs: Vec::new(),
        };
        let present = format!("sha256:{}", hex(&set.snapshot().digest));
        for log in logs {
            let read = audit::read(&log.dir, log.key.as_ref(), &mut |_, bytes| {
                // A record that is not ours says nothing of permits.
                if let Ok(record) = serde_json::from_slice::<Record<'_>>(bytes) {
                    review.take(&record, &present);
                }
            })?;
            review.logs.push((log.dir.clone(), read));
        }
        Ok(review)
    }

    fn take(&mut self, record: &Record<'_>, present: &str) {
        let ours = &record.unmapped.postern;
        let first = self.seen.first_ms.get_or_insert(record.time);
        *first = record.time.min(*first);
        if !ours.manifests.is_empty() {
            self.note_set(record.time, &ours.manifests);
        }
        if record.time < self.from || record.time >= self.to {
            return;
        }
        // Whatever came of it later, it was permitted.
        let rules = match ours.decision.as_deref() {
            Some("Allow") => record.policy.as_ref().map(|policy| &policy.name),
            _ => ours.permits.as_ref(),
        };
        let Some(rules) = rules else { return };
        self.seen.permitted += 1;
        self.seen.by_others += u64::from(ours.snapshot.as_deref() != Some(present));
        self.seen.without_entries += u64::from(ours.entries.is_none() && ours.dialect.is_some());
        let who = caller(record);
        let entries = ours.entries.iter().flatten();
        for name in rules.split(", ").chain(entries.chain(&ours.bindings).map(|name| &**name)) {
            match self.permits.get_mut(name) {
                Some(permit) => permit.used.add(record, &who),
                None if name.starts_with("built-in ") => {}
                None if self.gone.len() < MOST_GONE || self.gone.contains_key(name) => {
                    *self.gone.entry(name.to_owned()).or_default() += 1;
                }
                None => self.more_gone = true,
            }
        }
    }

    /// Since when each manifest of the set is as it is now.
    fn note_set(&mut self, time: i64, manifests: &[Loaded<'_>]) {
        self.seen.sets = true;
        for present in &self.set.snapshot().manifests {
            let is = |one: &&Loaded<'_>| {
                one.kind == present.kind && one.namespace == present.namespace && one.name == present.name
            };
            let digest = format!("sha256:{}", hex(&present.digest));
            let same = manifests.iter().find(is).is_some_and(|one| one.digest == digest);
            let id = format!("{}/{}/{}", present.kind, present.namespace, present.name);
            if same {
                self.seen.since.entry(id).or_insert(time);
            } else {
                self.seen.since.remove(&id);
            }
        }
    }

    /// Whether a log is known not to be what was signed.
    pub(crate) fn is_bad(&self) -> bool {
        self.logs.iter().any(|(_, read)| matches!(read.standing, Standing::Bad(_)))
    }

    /// What the logs cannot tell, in sentences.
    fn doubts(&self) -> Vec<String> {
        let mut doubts = Vec::new();
        for (dir, read) in &self.logs {
            let dir = dir.display();
            match &read.standing {
                Standing::Bad(bad) => doubts.push(format!("{dir} is not what was signed: {bad}")),
                Standing::Unchecked => doubts.push(format!("{dir} was not checked: give its key with `--key`")),
                Standing::Signed { size, .. } if *size < read.records => {
                    let late = read.records - size;
                    doubts.push(format!("the last {late} records of {dir} are under no checkpoint yet"));
                }
                Standing::Signed { .. } => {}
            }
            if read.gap_count > 0 {
                doubts.push(format!("{} records are missing in {dir}, or there twice", read.gap_count));
            }
            if read.unreadable > 0 {
                doubts.push(format!("{} lines of {dir} are no records", read.unreadable));
            }
            if read.connections_not_followed > 0 {
                doubts.push(format!(
                    "{} connections of {dir} were not followed for omissions",
                    read.connections_not_followed
                ));
            }
        }
        match self.seen.first_ms {
            None => doubts.push("no record was there".to_owned()),
            Some(first) if first > self.from => {
                doubts.push(format!("the records begin at {}, later than the window", moment(first)));
            }
            Some(_) => {}
        }
        let Seen { permitted, by_others, without_entries, .. } = self.seen;
        if by_others > 0 {
            let what =
                "of the requests were permitted by other sets than the present one; permits are told apart by name";
            doubts.push(format!("{by_others} of {permitted} {what}"));
        }
        if without_entries > 0 {
            let what = "were recorded by a version that names neither bindings nor entries of allow lists";
            doubts.push(format!("{without_entries} of {permitted} permitted requests {what}"));
        }
        if self.set.snapshot().shared.is_some() {
            doubts.push(format!("{} of the logs of all replicas were read", self.logs.len()));
        }
        doubts
    }

    pub(crate) fn as_json(&self) -> Value {
        let permits: Vec<Value> = self.permits.iter().map(|(name, permit)| self.permit(name, permit)).collect();
        let unused = self.permits.values().filter(|permit| permit.used.count == 0).count();
        let logs = self.logs.iter().map(|(dir, read)| {
            let standing = match read.standing {
                Standing::Signed { .. } => "Signed",
                Standing::Unchecked => "Unchecked",
                Standing::Bad(_) => "Bad",
            };
            json!({"dir": dir.display().to_string(), "standing": standing, "records": read.records})
        });
        json!({
            "window": {"from": moment(self.from), "to": moment(self.to)},
            "logs": logs.collect::<Vec<_>>(),
            "permittedRequests": self.seen.permitted,
            "unused": unused,
            "permits": permits,
            "gone": self.gone.iter().map(|(name, uses)| json!({"name": name, "uses": uses})).collect::<Vec<_>>(),
            "moreGone": self.more_gone,
            "cannotTell": self.doubts(),
        })
    }

    fn permit(&self, name: &str, permit: &Permit) -> Value {
        let Permit { mark, used } = permit;
        let mut told = Map::new();
        told.insert("kind".to_owned(), json!(mark.kind()));
        if let Value::Object(placed) = places::told(Some(self.set), None, "name", name) {
            told.extend(placed);
        }
        told.insert("uses".to_owned(), json!(used.count));
        if used.count > 0 {
            told.insert("last".to_owned(), json!({"time": moment(used.last_ms), "decisionId": used.last}));
            let by = used.by.iter().map(|(who, uses)| json!({"principal": who, "uses": uses}));
            told.insert("by".to_owned(), by.collect());
            told.insert("byMore".to_owned(), json!(used.more));
        }
        match self.seen.since.get(mark.manifest()) {
            Some(since) if *since > self.from => {
                told.insert("asItIsSince".to_owned(), json!(moment(*since)));
            }
            None if self.seen.sets => {
                told.insert("asItIsSince".to_owned(), Value::Null);
            }
            _ => {}
        }
        Value::Object(told)
    }

    /// For people: what nobody used first.
    pub(crate) fn as_text(&self) -> String {
        let mut out = format!(
            "permits from {} to {}, over {} permitted requests\n",
            moment(self.from),
            moment(self.to),
            self.seen.permitted
        );
        let (unused, used): (Vec<_>, Vec<_>) = self.permits.iter().partition(|(_, permit)| permit.used.count == 0);
        out.push_str(&format!("\nnever used ({}):\n", unused.len()));
        for (name, permit) in unused {
            out.push_str(&format!("  {name}{}\n", self.notes(name, permit)));
        }
        out.push_str(&format!("\nused ({}):\n", used.len()));
        for (name, permit) in used {
            let Use { count, last_ms, by, more, .. } = &permit.used;
            out.push_str(&format!("  {name}{}\n", self.notes(name, permit)));
            let who: Vec<String> = by.iter().map(|(who, uses)| format!("{who} ({uses})")).collect();
            let more = if *more { ", and others" } else { "" };
            out.push_str(&format!("    {count} times, last {}, by {}{more}\n", moment(*last_ms), who.join(", ")));
        }
        if !self.gone.is_empty() {
            out.push_str("\nused, and not in the set any more:\n");
            self.gone.iter().for_each(|(name, uses)| out.push_str(&format!("  {name}: {uses} times\n")));
        }
        let doubts = self.doubts();
        if !doubts.is_empty() {
            out.push_str("\nwhat this cannot tell:\n");
            doubts.iter().for_each(|doubt| out.push_str(&format!("  {doubt}\n")));
        }
        out
    }

    fn notes(&self, name: &str, permit: &Permit) -> String {
        let place = places::place(self.set, None, name);
        let at = place.map(|place| format!("  {}:{}", place.position.file, place.position.line)).unwrap_or_default();
        let since = match self.seen.since.get(permit.mark.manifest()) {
            Some(since) if *since > self.from => format!("  as it is since {}", moment(*since)),
            None if self.seen.sets => "  never loaded as it is".to_owned(),
            _ => String::new(),
        };
        format!("{at}{since}")
    }
}

impl Use {
    fn add(&mut self, record: &Record<'_>, who: &str) {
        self.count += 1;
        if record.time >= self.last_ms {
            self.last_ms = record.time;
            self.last = record.metadata.uid.clone().into_owned();
        }
        if let Some(uses) = self.by.get_mut(who) {
            *uses += 1;
        } else if self.by.len() < MOST_CALLERS {
            self.by.insert(who.to_owned(), 1);
        } else {
            self.more = true;
        }
    }
}

fn caller(record: &Record<'_>) -> String {
    let uid = record.actor.as_ref().and_then(|actor| actor.user.uid.as_deref()).unwrap_or("anonymous");
    match record.unmapped.postern.on_behalf_of.as_ref().and_then(|user| user.uid.as_deref()) {
        Some(user) => format!("{uid} for {user}"),
        None => uid.to_owned(),
    }
}

fn hex(digest: &postern_config::Digest) -> String {
    digest.iter().fold(String::with_capacity(64), |text, byte| format!("{text}{byte:02x}"))
}
