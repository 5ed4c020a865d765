//! A decision that was made: found in the log, shown with the policy that made it, and asked once more of the present one.

mod again;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use memchr::memmem::Finder;
use postern_config::values::Time;
use postern_config::{ManifestRef, Route, Snapshot};
use postern_filters::audit::note::VerifyingKey;
use postern_filters::audit::verify::{LogRead, Standing};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{Question, Set, places};
use crate::audit::{self, RunError};
use again::Again;

/// Sets of manifests that are remembered while a log is read.
const MOST_SETS: usize = 256;
/// Texts that an operator had covered read so.
const COVERED: &str = "[redacted]";

/// What a log holds about one decision.
#[derive(Debug)]
pub(crate) struct Found {
    dir: PathBuf,
    log: LogRead,
    recorded: Option<Recorded>,
    /// The manifests of the sets that ran, by the digest of the set, as the log tells them.
    sets: BTreeMap<String, Value>,
}

/// One record and its place in the log.
#[derive(Debug)]
struct Recorded {
    index: u64,
    record: Value,
}

/// What is asked besides the decision itself.
#[derive(Debug)]
pub(crate) struct Besides {
    /// What replaces or completes what the record holds.
    pub(crate) question: Question,
    /// Whether it says who asks.
    pub(crate) names_caller: bool,
    /// Whether it says when.
    pub(crate) names_moment: bool,
}

/// Looks for the decision `id` in the log of a directory.
///
/// # Errors
/// Where the log cannot be read.
pub(crate) fn find(dir: &Path, key: Option<&VerifyingKey>, id: Uuid) -> Result<Found, RunError> {
    let id = id.hyphenated().to_string();
    let (wanted, set_told) = (Finder::new(id.as_bytes()), Finder::new(b"\"manifests\":["));
    let (mut recorded, mut sets) = (None, BTreeMap::new());
    let log = audit::read(dir, key, &mut |index, bytes| {
        let is_set = set_told.find(bytes).is_some();
        if !is_set && (recorded.is_some() || wanted.find(bytes).is_none()) {
            return;
        }
        let Ok(record) = serde_json::from_slice::<Value>(bytes) else { return };
        if is_set
            && let Some((digest, manifests)) = set_of(&record)
            && (sets.len() < MOST_SETS || sets.contains_key(&digest))
        {
            sets.insert(digest, manifests);
        }
        // A path may hold the id as well.
        if recorded.is_none() && record.pointer("/metadata/uid").and_then(Value::as_str) == Some(id.as_str()) {
            recorded = Some(Recorded { index, record });
        }
    })?;
    Ok(Found { dir: dir.to_owned(), log, recorded, sets })
}

fn set_of(record: &Value) -> Option<(String, Value)> {
    let ours = record.pointer("/unmapped/postern")?;
    let digest = ours.get("snapshot")?.as_str()?.to_owned();
    ours.get("manifests").map(|manifests| (digest, manifests.clone()))
}

impl Recorded {
    fn text(&self, pointer: &str) -> Option<&str> {
        self.record.pointer(pointer)?.as_str()
    }

    fn ours(&self, name: &str) -> Option<&Value> {
        self.record.pointer("/unmapped/postern")?.get(name)
    }

    fn our_text(&self, name: &str) -> Option<&str> {
        self.ours(name)?.as_str()
    }

    fn names(&self, name: &str) -> Vec<&str> {
        self.ours(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// Unix milliseconds.
    fn time_ms(&self) -> i64 {
        self.record.get("time").and_then(Value::as_i64).unwrap_or(0)
    }

    fn decision(&self) -> &str {
        self.our_text("decision").unwrap_or_default()
    }

    fn rule(&self) -> Option<&str> {
        self.text("/policy/name")
    }

    fn route(&self) -> Option<&str> {
        self.text("/api/service/name")
    }
}

impl Found {
    /// Whether the decision is there at all.
    pub(crate) fn is_there(&self) -> bool {
        self.recorded.is_some()
    }

    /// Whether what stands there is known not to be what was signed.
    pub(crate) fn is_bad(&self) -> bool {
        matches!(self.log.standing, Standing::Bad(_))
    }

    /// How many records there were.
    pub(crate) fn records(&self) -> u64 {
        self.log.records
    }

    /// Everything about it. `set` is the present one, or why there is none.
    pub(crate) fn document(&self, set: Result<&Set, &str>, besides: &Besides) -> Value {
        let Some(recorded) = &self.recorded else { return Value::Null };
        let present = set.ok();
        let same = present.is_some_and(|set| Some(digest(set.snapshot()).as_str()) == recorded.our_text("snapshot"));
        let places = present.filter(|_| same);
        let route =
            present.and_then(|set| set.snapshot().routes.iter().find(|r| Some(r.name.as_str()) == recorded.route()));
        let mut told = Map::new();
        told.insert("decisionId".to_owned(), json!(recorded.text("/metadata/uid")));
        told.insert("time".to_owned(), json!(moment(recorded.time_ms())));
        told.insert("decision".to_owned(), json!(recorded.decision()));
        for name in ["reason", "lifecycle", "failure"] {
            told.extend(recorded.our_text(name).map(|word| (name.to_owned(), json!(word))));
        }
        let rules: Vec<&str> = recorded.rule().into_iter().flat_map(|rules| rules.split(", ")).collect();
        let rules = rules.into_iter().map(|rule| places::told(places, route.filter(|_| same), "rule", rule));
        told.insert("decidedBy".to_owned(), rules.collect());
        told.extend(recorded.our_text("detail").map(|detail| ("detail".to_owned(), json!(detail))));
        told.insert("request".to_owned(), recorded.request());
        told.insert(
            "ran".to_owned(),
            json!({
                "request": recorded.names("request_guards"),
                "response": recorded.names("response_guards"),
            }),
        );
        told.extend(recorded.what_permitted(places));
        for name in ["findings", "exceptions", "credentials", "shadow"] {
            told.extend(recorded.ours(name).map(|value| (name.to_owned(), value.clone())));
        }
        told.insert("clientSaw".to_owned(), json!({"status": recorded.record.pointer("/http_response/code")}));
        told.insert("evidence".to_owned(), self.evidence(recorded.index));
        told.insert("configuration".to_owned(), self.configuration(recorded, set));
        told.insert("now".to_owned(), now(recorded, set, same, besides));
        Value::Object(told)
    }

    /// What shows that the record is what was written then.
    fn evidence(&self, index: u64) -> Value {
        let (standing, why) = match &self.log.standing {
            Standing::Signed { origin, size } if index < *size => {
                ("Signed", format!("entry {index} of the {size} under the signed checkpoint of {origin}"))
            }
            Standing::Signed { size, .. } => {
                ("NotYetSigned", format!("the checkpoint covers {size} entries, and this is entry {index}"))
            }
            Standing::Unchecked => ("Unchecked", "no key to check it with: give one with `--key`".to_owned()),
            Standing::Bad(bad) => ("Bad", format!("the log is not what was signed: {bad}; see `postern audit verify`")),
        };
        json!({"standing": standing, "because": why, "log": self.dir.display().to_string(), "entry": index})
    }

    /// Whether the set that decided is the present one, and what has changed since.
    fn configuration(&self, recorded: &Recorded, set: Result<&Set, &str>) -> Value {
        let then = recorded.our_text("snapshot");
        let set = match set {
            Ok(set) => set,
            Err(why) => return json!({"then": then, "now": null, "changed": null, "because": why}),
        };
        let now = digest(set.snapshot());
        if then == Some(now.as_str()) {
            return json!({"then": then, "now": now, "changed": false});
        }
        let Some(then) = then else {
            return json!({"then": null, "now": now, "changed": null, "because": "the record names no set: it was refused before one was asked"});
        };
        let since = match self.sets.get(then) {
            Some(manifests) => since(manifests, &set.snapshot().manifests),
            None => vec!["the log does not hold the record that lists the manifests of that day".to_owned()],
        };
        json!({"then": then, "now": now, "changed": true, "since": since})
    }
}

impl Recorded {
    fn request(&self) -> Value {
        let mut told = Map::new();
        let mut put = |name: &str, value: Option<&str>| {
            told.extend(value.map(|value| (name.to_owned(), json!(value))));
        };
        put("listener", self.our_text("listener"));
        put("route", self.route());
        put("method", self.text("/http_request/http_method"));
        put("host", self.text("/http_request/url/hostname"));
        put("path", self.text("/http_request/url/path"));
        put("action", self.ours("decision").and_then(|_| self.text("/api/operation")));
        put("model", self.our_text("model"));
        put("tenant", self.our_text("resource_tenant"));
        put("from", self.text("/src_endpoint/ip").or(self.text("/src_endpoint/name")));
        put("principal", self.text("/actor/user/uid").or(self.text("/actor/user/name")));
        put("type", self.text("/actor/user/type"));
        put("ofTenant", self.text("/actor/user/org/uid"));
        put("provider", self.our_text("provider").filter(|name| !name.is_empty()));
        put("method of proof", self.our_text("authn"));
        put("onBehalfOf", self.text("/unmapped/postern/on_behalf_of/uid"));
        put("upstream", self.text("/dst_endpoint/name").filter(|_| self.route().is_some()));
        Value::Object(told)
    }

    /// Entries, bindings, and the rules that permitted it where something else refused it afterwards.
    fn what_permitted(&self, set: Option<&Set>) -> Option<(String, Value)> {
        let rules: Vec<&str> = self.our_text("permits").into_iter().flat_map(|rules| rules.split(", ")).collect();
        let (entries, bindings) = (self.names("entries"), self.names("bindings"));
        let all = entries.iter().map(|name| ("entry", name));
        let all =
            all.chain(rules.iter().map(|name| ("rule", name))).chain(bindings.iter().map(|name| ("binding", name)));
        let told: Vec<Value> = all.map(|(key, name)| places::told(set, None, key, name)).collect();
        (!told.is_empty()).then(|| ("tookPart".to_owned(), Value::Array(told)))
    }
}

/// What the present set makes of it.
fn now(recorded: &Recorded, set: Result<&Set, &str>, same: bool, besides: &Besides) -> Value {
    let set = match set {
        Ok(set) => set,
        Err(why) => return json!({"unknown": why}),
    };
    match again::ask(recorded, set, besides) {
        Err(why) => json!({"unknown": why}),
        Ok(Again { answer, assumed }) => {
            let differs = again::differences(recorded, &answer);
            let mut told = Map::new();
            told.insert("differs".to_owned(), json!(differs));
            if same && !differs.is_empty() {
                let why = "the set is the one that decided: what differs comes of what the record does not hold, or of the moment";
                told.insert("because".to_owned(), json!(why));
            }
            if let Value::Object(document) = super::as_json(&answer) {
                told.extend(document.into_iter().filter(|(name, _)| name != "request" && name != "assumed"));
            }
            told.insert("assumed".to_owned(), json!([assumed, answer.assumed].concat()));
            Value::Object(told)
        }
    }
}

/// What has changed since the set that the log tells of.
fn since(then: &Value, now: &[ManifestRef]) -> Vec<String> {
    let hex = |digest: &postern_config::Digest| {
        digest.iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
    };
    let now: BTreeMap<String, (String, &str)> = now
        .iter()
        .map(|one| (format!("{}/{}/{}", one.kind, one.namespace, one.name), (hex(&one.digest), one.file.as_str())))
        .collect();
    let text = |one: &Value, name: &str| one.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let then: BTreeMap<String, String> = then
        .as_array()
        .into_iter()
        .flatten()
        .map(|one| {
            (format!("{}/{}/{}", text(one, "kind"), text(one, "namespace"), text(one, "name")), text(one, "digest"))
        })
        .collect();
    let mut told = Vec::new();
    for (id, digest) in &then {
        match now.get(id) {
            None => told.push(format!("{id} is not there any more")),
            Some((present, file)) if present != digest => told.push(format!("{id} is another: {file}")),
            Some(_) => {}
        }
    }
    told.extend(
        now.iter().filter(|(id, _)| !then.contains_key(*id)).map(|(id, (_, file))| format!("{id} is new: {file}")),
    );
    if told.is_empty() {
        told.push("the manifests are the same, the bootstrap file is another".to_owned());
    }
    told
}

fn digest(snapshot: &Snapshot) -> String {
    snapshot.digest.iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

/// RFC 3339, in whole seconds.
pub(super) fn moment(unix_ms: i64) -> String {
    Time(unix_ms.div_euclid(1000)).to_string()
}

/// The route that a record names, as it is now.
fn route_of<'s>(set: &'s Set, recorded: &Recorded) -> Option<&'s Route> {
    set.snapshot().routes.iter().find(|route| Some(route.name.as_str()) == recorded.route())
}
