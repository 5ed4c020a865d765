//! Manifests as text, of every kind that merges, and the load of a set of them.

mod content;
mod secrets;
mod traffic;
mod trust;

use std::path::Path;
use std::sync::LazyLock;

use postern_config::{
    Bootstrap, ManifestId, Parsed, Report, Snapshot, SourceFile, parse_bootstrap, parse_manifests, resolve,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

pub(crate) use content::forbid;
use content::{data, runtime};
use secrets::secrets;
use traffic::{api_access, guard, hardening, network};
use trust::{certificate, encryption, others};

pub(crate) const NOW: i64 = 1_790_812_800;
pub(crate) const BOOTSTRAP: &str = concat!(
    include_str!("../rejects/postern.yaml"),
    "shared: {redis: \"rediss://redis.example.com:6379\", authFrom: \"file:redis.password\"}\n"
);
pub(crate) const BASE: &str = include_str!("base.yaml");

/// A manifest without its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) kind: &'static str,
    pub(crate) targets: Vec<&'static str>,
    /// Fields of `spec`, each a line. `%` stands for a name of the content's own.
    fields: Vec<String>,
}

impl Content {
    /// `own` names list items that must be unique on a route; `name` is the manifest's.
    pub(crate) fn text(&self, name: &str, own: &str) -> String {
        let mut text = format!(
            "apiVersion: secure.platformspec.io/v1alpha1\nkind: {}\nmetadata: {{name: {name}}}\nspec:\n  targetRefs: [{}]\n",
            self.kind,
            self.targets.join(", ")
        );
        for field in &self.fields {
            text.push_str(&format!("  {}\n", field.replace('%', own)));
        }
        text
    }

    /// The same in `mode: Audit`.
    pub(crate) fn on_trial(mut self) -> Self {
        self.fields.extend(["mode: Audit".to_owned(), "modeUntil: 2026-10-20T00:00:00Z".to_owned()]);
        self
    }

    /// Whether it makes a choice that others of its level cannot make too, and that a level nearer to the request overrules.
    pub(crate) fn is_exclusive(&self) -> bool {
        self.fields.iter().any(|field| field.starts_with("txnTokens"))
    }

    /// Whether a second manifest with the same content is legal: it names nothing that must be unique on a route.
    pub(crate) fn may_be_repeated(&self) -> bool {
        !self.fields.iter().any(|field| field.contains('%'))
    }
}

/// A snapshot, and every problem without its place.
pub(crate) type Outcome = (Option<Snapshot>, Vec<String>);

/// Loads files.
pub(crate) fn load(files: &[String]) -> Outcome {
    let (bootstrap, _) = &*READ;
    let mut report = Report::new();
    let parsed = parse_manifests(&sources(files.iter().cloned()), &bootstrap.manifest_rules(), &mut report);
    finish(bootstrap, &parsed, report)
}

/// The base and these manifests, one file each, named in their order.
pub(crate) fn with_base(contents: &[Content]) -> Outcome {
    beside(None, contents)
}

/// The base and these texts, one file each.
pub(crate) fn with_first_base(texts: Vec<String>) -> Outcome {
    add(&READ.1, |_| true, texts)
}

/// The base, without its manifest of `kind`, and these manifests.
pub(crate) fn beside(kind: Option<&str>, contents: &[Content]) -> Outcome {
    let is_kept = |id: &ManifestId| kind != Some(id.kind.as_str()) || id.name != "base";
    add(&READ.1, is_kept, texts(contents))
}

/// The base, under a name after those of all others, and these texts.
pub(crate) fn with_last_base(texts: Vec<String>) -> Outcome {
    static LAST: LazyLock<Parsed> = LazyLock::new(|| read(&READ.0, BASE.replace("name: base}", "name: zz-base}")));
    add(&LAST, |_| true, texts)
}

/// The bootstrap and the base, read once.
static READ: LazyLock<(Bootstrap, Parsed)> = LazyLock::new(|| {
    let mut report = Report::new();
    let bootstrap = parse_bootstrap("postern.yaml", BOOTSTRAP.as_bytes(), Path::new(""), &mut report).unwrap();
    assert_eq!(report.to_string(), "");
    let base = read(&bootstrap, BASE.to_owned());
    (bootstrap, base)
});

fn read(bootstrap: &Bootstrap, text: String) -> Parsed {
    let mut report = Report::new();
    let parsed = parse_manifests(&sources([text]), &bootstrap.manifest_rules(), &mut report);
    assert_eq!(report.to_string(), "");
    parsed
}

fn add(base: &Parsed, is_kept: impl Fn(&ManifestId) -> bool, texts: impl IntoIterator<Item = String>) -> Outcome {
    let bootstrap = &READ.0;
    let mut report = Report::new();
    let mut parsed = parse_manifests(&sources(texts), &bootstrap.manifest_rules(), &mut report);
    parsed.manifests.extend(base.manifests.iter().filter(|manifest| is_kept(&manifest.id)).cloned());
    finish(bootstrap, &parsed, report)
}

fn sources(texts: impl IntoIterator<Item = String>) -> Vec<SourceFile> {
    let texts = texts.into_iter().enumerate();
    texts.map(|(index, text)| SourceFile { name: format!("{index}.yaml"), bytes: text.into_bytes() }).collect()
}

fn finish(bootstrap: &Bootstrap, parsed: &Parsed, mut report: Report) -> Outcome {
    let snapshot = resolve(bootstrap, parsed, NOW, &mut report);
    let mut problems: Vec<String> = report.problems().iter().map(|p| format!("{} {}", p.code, p.message)).collect();
    problems.sort();
    problems.dedup();
    (snapshot.filter(|_| !report.has_errors()), problems)
}

const GATEWAY: &str = "{kind: Gateway, name: edge}";
const LISTENER: &str = "{kind: Gateway, name: edge, sectionName: public}";
const APP: &str = "{kind: Route, name: app}";
const CHAT: &str = "{kind: Route, name: chat}";

fn some<T: Clone + std::fmt::Debug + 'static>(all: &[T]) -> impl Strategy<Value = Vec<T>> + use<T> {
    subsequence(all.to_vec(), 1..=all.len())
}

/// Whether every field is written, or some are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    All,
    Some,
}

fn maybe(written: Written, field: impl Strategy<Value = String> + 'static) -> BoxedStrategy<Option<String>> {
    match written {
        Written::All => field.prop_map(Some).boxed(),
        Written::Some => option::weighted(0.7, field).boxed(),
    }
}

fn word(words: &[&'static str]) -> impl Strategy<Value = String> + use<> {
    select(words.to_vec()).prop_map(str::to_owned)
}

fn list(words: &[&str]) -> String {
    format!("[{}]", words.join(", "))
}

fn content(
    kind: &'static str,
    targets: &'static [&'static str],
    fields: impl Strategy<Value = Vec<Option<String>>>,
) -> impl Strategy<Value = Content> {
    (some(targets), fields).prop_map(move |(targets, fields)| Content {
        kind,
        targets,
        fields: fields.into_iter().flatten().collect(),
    })
}

pub(crate) fn any_content() -> impl Strategy<Value = Content> {
    prop_oneof![
        4 => api_access(Written::Some),
        3 => certificate(Written::Some),
        1 => encryption(),
        3 => data(Written::Some),
        2 => runtime(),
        2 => forbid(),
        2 => network(Written::Some),
        1 => guard(Written::Some, true),
        1 => guard(Written::Some, false),
        1 => hardening(),
        2 => others(),
        2 => secrets(Written::Some),
    ]
}

pub(crate) fn contents(most: usize) -> impl Strategy<Value = Vec<Content>> {
    vec(any_content(), 1..=most)
}

/// Two manifests of one kind. The first sets every field, so that the second can only tighten.
pub(crate) fn pair() -> impl Strategy<Value = (Content, Content)> {
    prop_oneof![
        4 => (api_access(Written::All), api_access(Written::Some)),
        6 => (certificate(Written::All), certificate(Written::Some)),
        2 => (encryption(), encryption()),
        2 => (data(Written::All), data(Written::Some)),
        1 => (runtime(), runtime()),
        2 => (guard(Written::All, true), guard(Written::Some, true)),
        2 => (guard(Written::All, false), guard(Written::Some, false)),
        3 => (network(Written::All), network(Written::Some)),
        1 => (forbid(), forbid()),
        1 => (hardening(), hardening()),
        1 => (others(), others()),
        2 => (secrets(Written::All), secrets(Written::Some)),
    ]
}

fn texts(contents: &[Content]) -> impl Iterator<Item = String> {
    let texts = contents.iter().enumerate();
    texts.map(|(index, content)| content.text(&format!("m{index}"), &format!("own{index}")))
}
