//! Where a set says what: its manifests as they were written, for explanations. Nothing that runs reads this.

use std::path::Path;

use crate::manifest::Kind;
use crate::yaml::{Node, Value};
use crate::{
    Bootstrap, Loaded, ManifestRules, Parsed, Position, Report, SourceFile, load_bootstrap, parse_manifests, resolve,
};

/// A set that loads, with all that it was made from.
#[derive(Debug)]
pub struct Opened {
    pub loaded: Loaded,
    pub bootstrap: Bootstrap,
    pub parsed: Parsed,
    pub written: Written,
}

/// The manifests of a set, sorted by their identity.
#[derive(Debug, Default)]
pub struct Written {
    manifests: Vec<WrittenManifest>,
}

/// One manifest.
#[derive(Debug)]
pub struct WrittenManifest {
    pub kind: Kind,
    /// `APIAccessPolicy/default/ai-edge`, as records and rules name it.
    pub id: String,
    /// Pointer to the spec: `/spec`, or `/spec/config` in the envelope of a Policy.
    base: &'static str,
    spec: Node,
}

/// One place in a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// `APIAccessPolicy/default/ai-edge`.
    pub manifest: String,
    /// RFC 6901: `/spec/rateLimits/0`.
    pub pointer: String,
    pub position: Position,
}

/// One step on the way to a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'s> {
    Key(&'s str),
    /// The item of a list with this `name`.
    Named(&'s str),
    Item(usize),
}

/// As [`crate::load`], and keeps what was read.
///
/// # Errors
/// Every problem of the whole set, warnings included.
pub fn open(path: &Path, now: i64) -> Result<Opened, Report> {
    let mut report = Report::new();
    let Some(bootstrap) = load_bootstrap(path, &mut report) else { return Err(report) };
    let settings = &bootstrap.spec.manifests;
    let (folder, rules) = (settings.path.0.clone(), bootstrap.manifest_rules());
    let (files, whole) = crate::disk::read_folder(&folder, *settings.recursive, &rules.base, &mut report);
    let mut parsed = parse_manifests(&files, &rules, &mut report);
    parsed.whole &= whole;
    let snapshot = resolve(&bootstrap, &parsed, now, &mut report);
    let written = Written::of(&files, &rules);
    match snapshot {
        Some(snapshot) if !report.has_errors() => {
            let loaded = Loaded { snapshot, warnings: report, files: Vec::new() };
            Ok(Opened { loaded, bootstrap, parsed, written })
        }
        _ => Err(report),
    }
}

impl Written {
    /// Reads files that load once more. What is wrong with them was told.
    #[must_use]
    pub fn of(files: &[SourceFile], rules: &ManifestRules) -> Self {
        let mut manifests = Vec::new();
        for file in files {
            let name = std::sync::Arc::from(file.name.as_str());
            let documents = crate::yaml::parse(&name, &file.bytes, 1 << 20, rules.end, &mut Report::new());
            manifests.extend(documents.nodes.into_iter().filter_map(WrittenManifest::of));
        }
        manifests.sort_by(|a: &WrittenManifest, b| a.id.cmp(&b.id));
        Self { manifests }
    }

    /// The manifest of this name.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&WrittenManifest> {
        self.manifests.iter().find(|manifest| manifest.id == id)
    }

    /// The first place among the manifests `ids` of a kind that has all `steps`.
    #[must_use]
    pub fn first(&self, ids: &[String], kind: Kind, steps: &[Step<'_>]) -> Option<Place> {
        self.of_kind(ids, kind).find_map(|manifest| manifest.place(steps))
    }

    /// Every manifest of a kind.
    pub fn every(&self, kind: Kind) -> impl Iterator<Item = &WrittenManifest> {
        self.manifests.iter().filter(move |manifest| manifest.kind == kind)
    }

    /// Of the manifests `ids`, those of a kind, in their order.
    pub fn of_kind<'w>(&'w self, ids: &'w [String], kind: Kind) -> impl Iterator<Item = &'w WrittenManifest> {
        ids.iter().filter_map(|id| self.get(id)).filter(move |manifest| manifest.kind == kind)
    }
}

impl WrittenManifest {
    fn of(node: Node) -> Option<Self> {
        let scalar = |at: &[&str]| -> Option<String> {
            let found = at.iter().try_fold(&node, |node, key| node.get(key))?;
            found.scalar().map(str::to_owned)
        };
        let (kind, namespace) = (scalar(&["kind"])?, scalar(&["metadata", "namespace"]));
        let carried = scalar(&["spec", "type"]).filter(|within| kind == "Policy" && within != "SecurityPolicy");
        let base = if carried.is_some() { "/spec/config" } else { "/spec" };
        let word = carried.unwrap_or(kind);
        let kind = Kind::ALL.into_iter().find(|kind| kind.as_str() == word)?;
        let id = format!("{kind}/{}/{}", namespace.as_deref().unwrap_or("default"), scalar(&["metadata", "name"])?);
        let spec =
            if base == "/spec" { node.get("spec") } else { node.get("spec").and_then(|spec| spec.get("config")) };
        Some(Self { kind, id, base, spec: spec?.clone() })
    }

    /// The place that `steps` lead to below the spec, if something is written there.
    #[must_use]
    pub fn place(&self, steps: &[Step<'_>]) -> Option<Place> {
        let (mut node, mut pointer) = (&self.spec, self.base.to_owned());
        for step in steps {
            let (next, key) = below(node, *step)?;
            node = next;
            pointer = format!("{pointer}/{key}");
        }
        Some(Place { manifest: self.id.clone(), pointer, position: node.position.clone() })
    }

    /// What is written below the spec.
    #[must_use]
    pub fn node(&self, steps: &[Step<'_>]) -> Option<&Node> {
        steps.iter().try_fold(&self.spec, |node, step| below(node, *step).map(|(node, _)| node))
    }
}

fn below<'n>(node: &'n Node, step: Step<'_>) -> Option<(&'n Node, String)> {
    match (&node.value, step) {
        (Value::Mapping(_), Step::Key(key)) => Some((node.get(key)?, escaped(key))),
        (Value::Sequence(items), Step::Item(index)) => Some((items.get(index)?, index.to_string())),
        (Value::Sequence(items), Step::Named(name)) => {
            let is = |item: &&Node| item.get("name").and_then(Node::scalar) == Some(name);
            let index = items.iter().position(|item| is(&item))?;
            Some((items.get(index)?, index.to_string()))
        }
        _ => None,
    }
}

fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// `spec.rules[0].when`, as diagnostics spell a place, as an RFC 6901 pointer.
#[must_use]
pub fn json_pointer(pointer: &str) -> String {
    let mut out = String::new();
    for part in pointer.split('.').filter(|part| !part.is_empty()) {
        let (key, items) = part.split_once('[').unwrap_or((part, ""));
        out.push('/');
        out.push_str(&escaped(key));
        for item in items.split(['[', ']']).filter(|item| !item.is_empty()) {
            out.push('/');
            out.push_str(&escaped(item));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_found_by_key_name_and_number() {
        let text = "apiVersion: x\nkind: APIAccessPolicy\nmetadata: {name: a}\nspec:\n  maxBodySize: 1Ki\n  rateLimits:\n    - {name: x}\n    - {name: y, limit: 3}\n\
            ---\nkind: Policy\nmetadata: {name: b, namespace: n}\nspec:\n  type: IAMPolicy\n  config: {providers: [{name: sso}]}\n";
        let files = [SourceFile { name: "a.yaml".to_owned(), bytes: text.as_bytes().to_vec() }];
        let rules = ManifestRules {
            base: std::path::PathBuf::new(),
            system_namespace: "default".to_owned(),
            end: crate::yaml::End::Newline,
            secrets: None,
        };
        let written = Written::of(&files, &rules);
        let ids = ["APIAccessPolicy/default/a".to_owned(), "IAMPolicy/n/b".to_owned()];
        for (kind, steps, want) in [
            (Kind::ApiAccessPolicy, vec![Step::Key("maxBodySize")], Some(("/spec/maxBodySize", 5))),
            (Kind::ApiAccessPolicy, vec![Step::Key("rateLimits"), Step::Named("y")], Some(("/spec/rateLimits/1", 8))),
            (
                Kind::ApiAccessPolicy,
                vec![Step::Key("rateLimits"), Step::Item(0), Step::Key("name")],
                Some(("/spec/rateLimits/0/name", 7)),
            ),
            (Kind::ApiAccessPolicy, vec![Step::Key("cors")], None),
            (Kind::IamPolicy, vec![Step::Key("providers"), Step::Named("sso")], Some(("/spec/config/providers/0", 14))),
        ] {
            let found = written.first(&ids, kind, &steps);
            let found = found.as_ref().map(|place| (place.pointer.as_str(), place.position.line));
            assert_eq!(found, want, "{steps:?}");
        }
    }

    #[test]
    fn a_pointer_of_a_diagnostic_is_one_of_json() {
        for (written, want) in [
            ("spec.rules[0].when", "/spec/rules/0/when"),
            ("spec.config.roles[12].name", "/spec/config/roles/12/name"),
            ("", ""),
        ] {
            assert_eq!(json_pointer(written), want);
        }
    }
}
