//! Where in the manifests a rule stands that a record names.

use postern_config::Route;
use postern_config::manifest::Kind;
use postern_config::written::{Place, Step};
use serde_json::{Map, Value, json};

use super::Set;

/// The place of what records name: a rule, a role, an entry, a binding, an exception, or a guard of `route`. Nothing for what is
/// built in, or is not there any more.
pub(crate) fn place(set: &Set, route: Option<&Route>, name: &str) -> Option<Place> {
    let written = &set.opened.written;
    if let Some((manifest, within)) = name.split_once(' ') {
        let manifest = written.get(manifest)?;
        return match within.split_once(' ') {
            Some(("rule", rule)) => manifest.place(&[Step::Key("rules"), Step::Named(rule)]),
            Some(("role", role)) => manifest.place(&[Step::Key("roles"), Step::Named(role)]),
            _ => {
                let index = within.strip_prefix("allow[")?.strip_suffix(']')?.parse().ok()?;
                manifest.place(&[Step::Key("allow"), Step::Item(index)])
            }
        };
    }
    if let Some((manifest, item)) = name.split_once('#') {
        let manifest = written.get(manifest)?;
        let lists = ["bindings", "exceptions"].iter();
        return lists.into_iter().find_map(|list| manifest.place(&[Step::Key(list), Step::Named(item)]));
    }
    let route = route?;
    let (list, item) = match name.split_once('/')? {
        ("limit", limit) => {
            let steps = [Step::Key("rateLimits"), Step::Named(limit)];
            return written.first(&set.ids(route), Kind::ApiAccessPolicy, &steps);
        }
        ("data", rule) => ("rules", rule),
        (_, detector) => ("detectors", detector),
    };
    let guard = route.policy.coverage.guards.iter().find(|guard| guard.name == name)?;
    written.get(&guard.owner)?.place(&[Step::Key(list), Step::Named(item)])
}

/// A name with its place: `{rule, field, at}`.
pub(crate) fn told(set: Option<&Set>, route: Option<&Route>, key: &str, name: &str) -> Value {
    let mut told = Map::new();
    told.insert(key.to_owned(), json!(name));
    if let Some(place) = set.and_then(|set| place(set, route, name)) {
        told.insert("field".to_owned(), json!(place.pointer));
        told.insert("at".to_owned(), json!(format!("{}:{}", place.position.file, place.position.line)));
    }
    Value::Object(told)
}
