//! The effective policy of a route, value by value: what came of the merge, who said it, and what was said besides.
//!
//! The merge keeps no account of this, and needs none. Every value is read from what the merge made. Who said it is found by
//! merging again with one manifest of the kind alone, by the same code: whoever then makes the value that all made together
//! is where it comes from, and what another makes alone is what was beaten.

mod fields;

use super::attach::{self, Attachments};
use super::{access, content, ddos, network};
use crate::bootstrap::RouteSpec;
use crate::manifest::{Kind, Parsed};
use crate::written::{Opened, Place, Step};
use crate::yaml::{Node, Value, canonical_json};
use crate::{Report, Route};
use fields::{ITEMS, Items, Parts, SINGLES, Single};

/// How values of one field merge: §5 of the manifests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    /// The smaller counts.
    Maximum,
    /// The stricter counts.
    Demand,
    /// A request must be matched by every manifest's list.
    AllowList,
    /// The larger counts.
    Minimum,
    /// All of them apply.
    Union,
    /// One of them counts, and two that differ do not load.
    Exclusive,
}

impl Nature {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Maximum => "maximum",
            Self::Minimum => "minimum",
            Self::Exclusive => "exclusive choice",
            Self::Demand => "demand",
            Self::AllowList => "allow list",
            Self::Union => "union",
        }
    }
}

/// One field of the effective policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectiveField {
    pub kind: Kind,
    /// `maxBodySize`, `streaming.holdBack`.
    pub field: String,
    pub nature: Nature,
    pub values: Vec<EffectiveValue>,
}

/// One value: of a field that has one, or one item of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectiveValue {
    /// As JSON, an item as it was written.
    pub value: String,
    /// Who said it; empty where it is the default.
    pub from: Vec<Place>,
    /// What was said besides, and counts no more.
    pub beaten: Vec<(Place, String)>,
}

/// The effective policy of the route with this name, in the order of kinds; nothing where there is no such route.
#[must_use]
pub fn effective(opened: &Opened, route: &str, now: i64) -> Option<Vec<EffectiveField>> {
    let number = opened.bootstrap.spec.routes.iter().position(|spec| spec.name.as_str() == route)?;
    let spec = opened.bootstrap.spec.routes.get(number)?;
    let snapshot = &opened.loaded.snapshot;
    let made = snapshot.routes.iter().find(|made| made.name == route)?;
    let merge = Merge { opened, number, spec, listener: listener(opened, made), now };
    let on_trial = |id: &String| made.on_trial().any(|(tried, from)| tried == id && from > now);
    let ids: Vec<String> = attached(opened, made).into_iter().filter(|id| !on_trial(id)).collect();
    let mut fields: Vec<EffectiveField> =
        SINGLES.iter().filter_map(|single| merge.single(single, made, &ids)).collect();
    let near = merge.near(made);
    fields.extend(ITEMS.iter().filter_map(|items| merge.items(items, &near)));
    fields.sort_by_key(|field| field.kind);
    Some(fields)
}

/// The manifests of a route and of its upstream, in their order.
fn attached(opened: &Opened, route: &Route) -> Vec<String> {
    let manifests = &opened.loaded.snapshot.manifests;
    let named = route.policy.manifests.iter().filter_map(|index| manifests.get(*index));
    named.map(|one| format!("{}/{}/{}", one.kind, one.namespace, one.name)).collect()
}

/// The first listener that the route takes requests from.
fn listener(opened: &Opened, route: &Route) -> usize {
    let first = route.matches.listeners.first();
    let listeners = &opened.loaded.snapshot.listeners;
    listeners.iter().position(|listener| Some(&listener.name) == first).unwrap_or_default()
}

struct Merge<'o> {
    opened: &'o Opened,
    number: usize,
    spec: &'o RouteSpec,
    listener: usize,
    now: i64,
}

impl Merge<'_> {
    /// Every manifest that has a say in a request of the route: of the process, the gateway, the listeners it comes in by, the route
    /// and its upstream.
    fn near(&self, route: &Route) -> Vec<String> {
        let (bootstrap, parsed) = (&self.opened.bootstrap, &self.opened.parsed);
        let attached = Attachments::find(bootstrap, parsed, self.now, &mut Report::new()).acting(self.now);
        let listeners = &self.opened.loaded.snapshot.listeners;
        let is_near = |place: attach::Place| match place {
            attach::Place::Process | attach::Place::Gateway => true,
            attach::Place::Listener(index) => {
                listeners.get(index).is_some_and(|listener| route.matches.listeners.contains(&listener.name))
            }
            attach::Place::Route(index) => index == self.number,
            attach::Place::Upstream(index) => Some(index) == route.upstream,
        };
        let near = attached.all().iter().filter(|(place, _)| is_near(*place));
        near.map(|(_, manifest)| manifest.id.to_string()).collect()
    }

    /// Merges again, with those manifests of `kind` alone that are `kept`.
    fn with(&self, kind: Kind, kept: Option<&str>) -> Parts {
        let (bootstrap, parsed) = (&self.opened.bootstrap, &self.opened.parsed);
        let wanted = |id: &crate::ManifestId| id.kind != kind || kept == Some(id.to_string().as_str());
        let manifests = parsed.manifests.iter().filter(|manifest| wanted(&manifest.id)).cloned().collect();
        let parsed = Parsed { manifests, ..Parsed { whole: true, ..Parsed::default() } };
        let mut report = Report::new();
        let attached = Attachments::find(bootstrap, &parsed, self.now, &mut report).acting(self.now);
        let upstream = self.spec.upstream.as_ref();
        let upstream = upstream
            .and_then(|own| bootstrap.spec.upstreams.iter().position(|upstream| upstream.name.value == own.value));
        // What such a set lacks was not asked.
        let (mut waived, route, spec) = (Vec::new(), self.number, self.spec);
        Parts {
            access: access::merge(&attached, route, spec, true, &mut waived, &mut report),
            data: content::data(bootstrap, &attached, route, spec, &mut waived, &mut report),
            network: network::of_route(&attached, route, upstream),
            guard: ddos::of_route(bootstrap, &attached, route, spec).into_iter().nth(self.listener).unwrap_or_default(),
        }
    }

    fn single(&self, single: &Single, route: &Route, ids: &[String]) -> Option<EffectiveField> {
        let steps: Vec<Step<'_>> = single.path.iter().map(|key| Step::Key(key)).collect();
        let value = single.read.of(&Parts {
            access: route.policy.access.clone(),
            data: route.policy.data.clone(),
            network: route.policy.network.clone(),
            guard: route.policy.guards.get(self.listener).cloned().unwrap_or_default(),
        })?;
        let (mut from, mut beaten) = (Vec::new(), Vec::new());
        // A listener and an upstream have manifests of their own, which are not among the route's.
        for manifest in self.opened.written.every(single.kind) {
            let Some(place) = manifest.place(&steps) else { continue };
            let applies = ids.contains(&manifest.id) || self.applies_elsewhere(&manifest.id, single.kind);
            if !applies {
                continue;
            }
            match single.read.of(&self.with(single.kind, Some(&manifest.id))) {
                Some(alone) if alone == value => from.push(place),
                Some(alone) => beaten.push((place, alone)),
                None => {}
            }
        }
        if from.is_empty() {
            // Nobody alone says it: what is left is what they have in common.
            from = beaten.drain(..).map(|(place, _)| place).collect();
        }
        let values = vec![EffectiveValue {
            value: quoted(&value),
            from,
            beaten: beaten.into_iter().map(|(place, value)| (place, quoted(&value))).collect(),
        }];
        Some(EffectiveField { kind: single.kind, field: single.path.join("."), nature: single.nature, values })
    }

    /// Whether a manifest that is not of the route alone has a say in it: by its upstream, or by its listener.
    fn applies_elsewhere(&self, id: &str, kind: Kind) -> bool {
        let of_listener = kind == Kind::DdosProtectionPolicy;
        let of_upstream = kind == Kind::NetworkPolicy;
        if !of_listener && !of_upstream {
            return false;
        }
        let read = |parts: &Parts| {
            let egress = parts.network.egress.as_ref().map(|egress| format!("{egress:?}"));
            (format!("{:?}", parts.guard), egress)
        };
        read(&self.with(kind, Some(id))) != read(&self.with(kind, None))
    }

    fn items(&self, items: &Items, ids: &[String]) -> Option<EffectiveField> {
        let mut values = Vec::new();
        for manifest in self.opened.written.every(items.kind) {
            if !ids.contains(&manifest.id) {
                continue;
            }
            let steps: Vec<Step<'_>> = items.path.iter().map(|key| Step::Key(key)).collect();
            let Some(node) = manifest.node(&steps) else { continue };
            let count = match &node.value {
                Value::Sequence(list) if items.nature == Nature::Union => list.len(),
                _ => 0,
            };
            let places: Vec<Vec<Step<'_>>> = if count == 0 {
                vec![steps]
            } else {
                (0..count).map(|index| steps.iter().copied().chain([Step::Item(index)]).collect()).collect()
            };
            for steps in places {
                let (Some(node), Some(place)) = (manifest.node(&steps), manifest.place(&steps)) else { continue };
                add(&mut values, node, place);
            }
        }
        let field = items.path.join(".");
        (!values.is_empty()).then_some(EffectiveField { kind: items.kind, field, nature: items.nature, values })
    }
}

/// What two manifests say alike is said once, by both.
fn add(values: &mut Vec<EffectiveValue>, node: &Node, place: Place) {
    let value = canonical_json(node);
    match values.iter_mut().find(|known| known.value == value) {
        Some(known) => known.from.push(place),
        None => values.push(EffectiveValue { value, from: vec![place], beaten: Vec::new() }),
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
