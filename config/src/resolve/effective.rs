//! The effective policy of a route, value by value: what came of the merge, who said it, and what was said besides.
//!
//! The merge keeps no account of this, and needs none. Every value is read from what the merge made. Who said it is found by
//! merging again with one manifest of the kind alone, by the same code: whoever then makes the value that all made together
//! is where it comes from, and what another makes alone is what was beaten.

use super::attach::Attachments;
use super::{access, content, ddos, network};
use crate::bootstrap::RouteSpec;
use crate::manifest::{Kind, Parsed};
use crate::values::{Size, show_duration};
use crate::written::{Opened, Place, Step};
use crate::yaml::{Node, Value, canonical_json};
use crate::{Access, CrossSite, DataProtection, Network, PrivateRanges, Redirects, Report, RequestGuard, Route};

/// How values of one field merge: §5 of the manifests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    /// The smaller counts.
    Maximum,
    /// The stricter counts.
    Demand,
    /// A request must be matched by every manifest's list.
    AllowList,
    /// All of them apply.
    Union,
}

impl Nature {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Maximum => "maximum",
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

/// What the merge makes of the kinds whose fields have one value.
struct Parts {
    access: Access,
    data: DataProtection,
    network: Network,
    guard: RequestGuard,
}

/// A field with one value.
struct Single {
    kind: Kind,
    path: &'static [&'static str],
    nature: Nature,
    read: Read,
}

enum Read {
    Any(fn(&Parts) -> Option<String>),
    Guard(fn(&RequestGuard) -> String),
}

impl Read {
    fn of(&self, parts: &Parts) -> Option<String> {
        match self {
            Self::Any(read) => read(parts),
            Self::Guard(read) => Some(read(&parts.guard)),
        }
    }
}

const fn guard(path: &'static [&'static str], read: fn(&RequestGuard) -> String) -> Single {
    Single { kind: Kind::DdosProtectionPolicy, path, nature: Nature::Maximum, read: Read::Guard(read) }
}

/// A list, or a list of lists.
struct Items {
    kind: Kind,
    path: &'static [&'static str],
    nature: Nature,
}

const SINGLES: &[Single] = &[
    Single {
        kind: Kind::ApiAccessPolicy,
        path: &["maxBodySize"],
        nature: Nature::Maximum,
        read: Read::Any(|parts| Some(Size(parts.access.max_body).to_string())),
    },
    Single {
        kind: Kind::ApiAccessPolicy,
        path: &["crossSite"],
        nature: Nature::Demand,
        read: Read::Any(|parts| Some(cross_site(&parts.access.cross_site))),
    },
    Single {
        kind: Kind::DataProtectionPolicy,
        path: &["streaming", "holdBack"],
        nature: Nature::Maximum,
        read: Read::Any(|parts| Some(size(parts.data.hold_back))),
    },
    Single {
        kind: Kind::DataProtectionPolicy,
        path: &["streaming", "stall"],
        nature: Nature::Maximum,
        read: Read::Any(|parts| Some(show_duration(parts.data.stall))),
    },
    Single {
        kind: Kind::NetworkPolicy,
        path: &["egress", "privateRanges"],
        nature: Nature::Demand,
        read: Read::Any(|parts| parts.network.egress.as_ref().map(|egress| private_ranges(egress.private_ranges))),
    },
    Single {
        kind: Kind::NetworkPolicy,
        path: &["egress", "redirects"],
        nature: Nature::Demand,
        read: Read::Any(|parts| parts.network.egress.as_ref().map(|egress| redirects(egress.redirects))),
    },
    guard(&["timeouts", "bodyIdle"], |guard| show_duration(guard.body_idle)),
    guard(&["timeouts", "firstByte"], |guard| show_duration(guard.first_byte)),
    guard(&["timeouts", "streamIdle"], |guard| show_duration(guard.stream_idle)),
    guard(&["timeouts", "streamTotal"], |guard| show_duration(guard.stream_total)),
    guard(&["sizes", "maxHeaders"], |guard| guard.max_headers.to_string()),
    guard(&["sizes", "maxHeaderSize"], |guard| size(guard.max_header_size)),
    guard(&["sizes", "maxBody"], |guard| Size(guard.max_body).to_string()),
    guard(&["sizes", "maxJsonDepth"], |guard| guard.max_json_depth.to_string()),
    guard(&["sizes", "maxSseEvent"], |guard| size(guard.max_sse_event)),
];

const ITEMS: &[Items] = &[
    items(Kind::IamPolicy, &["providers"], Nature::Union),
    items(Kind::ApiAccessPolicy, &["allow"], Nature::AllowList),
    items(Kind::ApiAccessPolicy, &["authentication"], Nature::AllowList),
    items(Kind::ApiAccessPolicy, &["rateLimits"], Nature::Union),
    items(Kind::ApiAccessPolicy, &["schemaFrom"], Nature::Union),
    items(Kind::ApiAccessPolicy, &["responseHeaders"], Nature::Union),
    items(Kind::RbacPolicy, &["roles"], Nature::Union),
    items(Kind::RbacPolicy, &["bindings"], Nature::Union),
    items(Kind::RbacPolicy, &["exclusive"], Nature::Union),
    items(Kind::AccessControlPolicy, &["rules"], Nature::Union),
    items(Kind::DataProtectionPolicy, &["detectors"], Nature::Union),
    items(Kind::DataProtectionPolicy, &["rules"], Nature::Union),
    items(Kind::RuntimeSecurityPolicy, &["detectors"], Nature::Union),
    items(Kind::NetworkPolicy, &["ingress", "allow"], Nature::AllowList),
    items(Kind::NetworkPolicy, &["ingress", "deny"], Nature::Union),
    items(Kind::NetworkPolicy, &["egress", "allow"], Nature::AllowList),
    items(Kind::DdosProtectionPolicy, &["requests"], Nature::Union),
    items(Kind::DdosProtectionPolicy, &["shed"], Nature::Union),
];

const fn items(kind: Kind, path: &'static [&'static str], nature: Nature) -> Items {
    Items { kind, path, nature }
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
    fields.extend(ITEMS.iter().filter_map(|items| merge.items(items, &ids)));
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
            data: content::data(&attached, route, spec, &mut waived, &mut report),
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
            if !ids.contains(&manifest.id) && !self.applies_elsewhere(&manifest.id, items.kind) {
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

fn size(bytes: usize) -> String {
    Size(u64::try_from(bytes).unwrap_or(u64::MAX)).to_string()
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn cross_site(rule: &CrossSite) -> String {
    match rule {
        CrossSite::Deny => "Deny".to_owned(),
        CrossSite::AllowOrigins(origins) => format!("AllowOrigins {}", origins.join(", ")),
    }
}

fn private_ranges(ranges: PrivateRanges) -> String {
    match ranges {
        PrivateRanges::Deny => "Deny".to_owned(),
        PrivateRanges::AllowListed => "AllowListed".to_owned(),
    }
}

fn redirects(redirects: Redirects) -> String {
    match redirects {
        Redirects::Deny => "Deny".to_owned(),
        Redirects::SameHost => "SameHost".to_owned(),
    }
}
