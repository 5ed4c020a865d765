//! Where each manifest applies: Gateway ⊇ listener ⊇ Route, and Upstream separately.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::contracts::Apis;
use super::exceptions::Exceptions;
use super::lists::Lists;
use super::prompts::Texts;
use super::schemas::Schemas;
use crate::bootstrap::{RouteSpec, UpstreamSpec};
use crate::decode::At;
use crate::manifest::{Kind, LabelName, Manifest, Parsed, Target, TargetKind, TargetRef, TargetSelector};
use crate::values::Name;
use crate::{Bootstrap, Code, ManifestRef, Report, Waived, Waiver};

const PV_TARGET: Code = Code(4);

/// A place a manifest applies to. The order is from general to specific.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Process,
    Gateway,
    Listener(usize),
    Route(usize),
    Upstream(usize),
}

/// Which manifest applies where.
#[derive(Debug)]
pub(super) struct Attachments<'m> {
    /// Sorted by manifest id, so that the order of files decides nothing.
    pairs: Vec<(Place, &'m Manifest)>,
    /// Kinds of which a manifest is there that could not be read or attached. What it would have said is not missing.
    unread: BTreeSet<Kind>,
    pub(super) exceptions: Rc<Exceptions<'m>>,
    /// Documents that manifests name, once they were read.
    pub(super) apis: Rc<Apis>,
    pub(super) lists: Rc<Lists>,
    pub(super) prompts: Rc<Texts>,
    pub(super) schemas: Rc<Schemas>,
}

impl<'m> Attachments<'m> {
    pub(super) fn find(bootstrap: &Bootstrap, parsed: &'m Parsed, now: i64, report: &mut Report) -> Self {
        let mut pairs = Vec::new();
        let mut unread: BTreeSet<Kind> = parsed.broken.iter().map(|id| id.kind).collect();
        if !parsed.whole {
            unread.extend(Kind::ALL);
        }
        for manifest in &parsed.manifests {
            let mut finder = Finder { bootstrap, manifest, report: &mut *report, whole: true };
            pairs.extend(finder.places().into_iter().map(|place| (place, manifest)));
            if !finder.whole {
                unread.insert(manifest.id.kind);
            }
        }
        pairs.sort_by(|a, b| (&a.1.id, a.0).cmp(&(&b.1.id, b.0)));
        pairs.dedup_by(|a, b| a.0 == b.0 && a.1.id == b.1.id);
        let exceptions = Exceptions::find(bootstrap, pairs.iter().map(|(_, manifest)| *manifest), now, report);
        Self {
            pairs,
            unread,
            exceptions: Rc::new(exceptions),
            apis: Rc::default(),
            lists: Rc::default(),
            prompts: Rc::default(),
            schemas: Rc::default(),
        }
    }

    /// What acts at `moment`: a manifest in `mode: Audit` until later counts as absent.
    pub(super) fn acting(&self, moment: i64) -> Self {
        let acts = |manifest: &Manifest| manifest.common.trial.as_ref().is_none_or(|until| until.value.0 <= moment);
        Self {
            pairs: self.pairs.iter().filter(|(_, manifest)| acts(manifest)).copied().collect(),
            unread: self.unread.clone(),
            exceptions: Rc::clone(&self.exceptions),
            apis: Rc::clone(&self.apis),
            lists: Rc::clone(&self.lists),
            prompts: Rc::clone(&self.prompts),
            schemas: Rc::clone(&self.schemas),
        }
    }

    /// Whether a manifest of this kind is there that could not be read or attached, which was reported: then nothing is
    /// said about what seems to be missing.
    pub(super) fn may_miss(&self, kind: Kind) -> bool {
        self.unread.contains(&kind)
    }

    /// The exception that allows `what` at `place`, which `refuse` speaks of where there is none. Where a Policy could not be
    /// read, nothing is said about what it may have allowed.
    pub(super) fn waive(&self, what: Waiver, place: Place, refuse: impl FnOnce()) -> Option<Waived> {
        let waived = self.exceptions.at(what, place);
        if waived.is_none() && !self.may_miss(Kind::Policy) {
            refuse();
        }
        waived
    }

    /// Manifests that apply to a route: attached to it or to the gateway. Each once, with its most general place.
    pub(super) fn on_route(&self, route: usize) -> Vec<(Place, &'m Manifest)> {
        self.at(|place| matches!(place, Place::Gateway) || place == Place::Route(route))
    }

    /// Manifests that apply to a listener. Each once, with its most specific place: exclusive choices go by it.
    pub(super) fn on_listener(&self, listener: usize) -> Vec<(Place, &'m Manifest)> {
        let mut found = self.at(|place| matches!(place, Place::Gateway) || place == Place::Listener(listener));
        for (place, manifest) in &mut found {
            if self.places(manifest).any(|other| other == Place::Listener(listener)) {
                *place = Place::Listener(listener);
            }
        }
        found
    }

    /// Everywhere one manifest applies.
    pub(super) fn places<'a>(&'a self, manifest: &'a Manifest) -> impl Iterator<Item = Place> + use<'a, 'm> {
        self.pairs.iter().filter(|(_, other)| other.id == manifest.id).map(|(place, _)| *place)
    }

    /// Every manifest once.
    pub(super) fn manifests(&self) -> impl Iterator<Item = &'m Manifest> + use<'_, 'm> {
        let firsts = self.pairs.iter().enumerate().filter(|(index, (_, manifest))| {
            index
                .checked_sub(1)
                .and_then(|before| self.pairs.get(before))
                .is_none_or(|(_, other)| other.id != manifest.id)
        });
        firsts.map(|(_, (_, manifest))| *manifest)
    }

    pub(super) fn on_upstream(&self, upstream: usize) -> Vec<(Place, &'m Manifest)> {
        self.at(|place| place == Place::Upstream(upstream))
    }

    /// Every manifest with every place of it.
    pub(super) fn all(&self) -> &[(Place, &'m Manifest)] {
        &self.pairs
    }

    fn at(&self, wanted: impl Fn(Place) -> bool) -> Vec<(Place, &'m Manifest)> {
        let mut found: Vec<(Place, &'m Manifest)> = Vec::new();
        for (place, manifest) in self.pairs.iter().filter(|(place, _)| wanted(*place)) {
            if found.last().is_none_or(|(_, last)| last.id != manifest.id) {
                found.push((*place, manifest));
            }
        }
        found
    }

    /// Numbers, in `refs`, of the manifests that made the policy of a route, those with its `exceptions` included. Those of
    /// listeners are not among them.
    pub(super) fn indices<'e>(
        &self,
        route: usize,
        refs: &[ManifestRef],
        exceptions: impl Iterator<Item = &'e str>,
    ) -> Vec<usize> {
        let is = |reference: &ManifestRef, manifest: &Manifest| {
            reference.kind == manifest.id.kind.as_str()
                && reference.namespace == manifest.id.namespace
                && reference.name == manifest.id.name
        };
        let mut found: Vec<usize> = self
            .on_route(route)
            .into_iter()
            .filter(|(_, manifest)| manifest.id.kind.targets().contains(&TargetKind::Route))
            .filter_map(|(_, manifest)| refs.iter().position(|reference| is(reference, manifest)))
            .collect();
        let of = |exception: &str| {
            let manifest = exception.split('#').next().unwrap_or_default();
            refs.iter().position(|r| format!("{}/{}/{}", r.kind, r.namespace, r.name) == manifest)
        };
        found.extend(exceptions.filter_map(of));
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// Picks the manifests of one kind: `of!(list, IamPolicy)` yields `(Place, &Manifest, &IamPolicy)`.
macro_rules! of {
    ($list:expr, $kind:ident) => {
        $list.into_iter().filter_map(|(place, manifest)| match &manifest.spec {
            $crate::manifest::Spec::$kind(spec) => Some((place, manifest, &**spec)),
            _ => None,
        })
    };
}
pub(super) use of;

struct Finder<'b, 'm, 'r> {
    bootstrap: &'b Bootstrap,
    manifest: &'m Manifest,
    report: &'r mut Report,
    /// Every target was found.
    whole: bool,
}

impl<'b> Finder<'b, '_, '_> {
    fn places(&mut self) -> Vec<Place> {
        if !self.in_system_namespace() {
            self.whole = false;
            return Vec::new();
        }
        let (places, written) = match &self.manifest.common.target {
            Target::Process => (vec![Place::Process], 1),
            Target::Refs(refs) => (refs.iter().filter_map(|reference| self.one(reference)).collect(), refs.len()),
            Target::Selector(selector) => (self.selected(selector), 1),
        };
        self.whole = places.len() >= written;
        places
    }

    /// A reference stays in its own namespace, and what the bootstrap declares is in the system namespace.
    fn in_system_namespace(&mut self) -> bool {
        let system = self.bootstrap.spec.manifests.system_namespace.as_str();
        let namespace = self.manifest.id.namespace.as_str();
        if namespace == system || matches!(self.manifest.common.target, Target::Process) {
            return true;
        }
        let message = format!("the targets are in namespace `{system}`, the manifest in `{namespace}`");
        self.manifest.metadata.namespace.at.error(
            self.report,
            PV_TARGET,
            message,
            format!("write `namespace: {system}`, or leave it out if that is the default"),
        );
        false
    }

    fn one(&mut self, reference: &At<TargetRef>) -> Option<Place> {
        if !self.may_attach(&reference.kind) {
            return None;
        }
        let kind = self.manifest.id.kind;
        if let (TargetKind::Gateway, Some(section), false) =
            (reference.kind.value, &reference.section_name, kind.attaches_to_listeners())
        {
            let message = format!("{kind} cannot attach to one listener");
            section.error(self.report, PV_TARGET, message, "remove `sectionName`, or attach to routes");
            return None;
        }
        place_of(self.bootstrap, reference, self.report)
    }

    fn selected(&mut self, selector: &At<TargetSelector>) -> Vec<Place> {
        if !self.may_attach(&selector.kind) {
            return Vec::new();
        }
        let wanted = &selector.match_labels.value;
        let places: Vec<Place> = match selector.kind.value {
            TargetKind::Route => {
                matching(self.routes().map(|route| route.labels.as_ref()), wanted).map(Place::Route).collect()
            }
            TargetKind::Upstream => matching(self.upstreams().map(|upstream| upstream.labels.as_ref()), wanted)
                .map(Place::Upstream)
                .collect(),
            // Refused by the decoder.
            TargetKind::Gateway => Vec::new(),
        };
        if places.is_empty() {
            let kind = selector.kind.value.to_string().to_lowercase();
            let message = format!("no {kind} has these labels, so the manifest applies nowhere");
            selector.match_labels.error(
                self.report,
                PV_TARGET,
                message,
                format!("label a {kind}, or correct the selector"),
            );
        }
        places
    }

    fn may_attach(&mut self, kind: &At<TargetKind>) -> bool {
        let own = self.manifest.id.kind;
        if !own.targets().contains(&kind.value) {
            let names: Vec<&str> = own.targets().iter().map(|target| target.as_str()).collect();
            let message = format!("{own} cannot attach to {}", a(kind.value));
            kind.error(self.report, PV_TARGET, message, format!("it attaches to {}", listed(&names)));
            return false;
        }
        true
    }

    fn routes(&self) -> impl Iterator<Item = &'b RouteSpec> + use<'b> {
        self.bootstrap.spec.routes.iter().map(|route| &route.value)
    }

    fn upstreams(&self) -> impl Iterator<Item = &'b UpstreamSpec> + use<'b> {
        self.bootstrap.spec.upstreams.iter().map(|upstream| &upstream.value)
    }
}

/// What a reference names, or `None` after it was reported that nothing has that name.
pub(super) fn place_of(bootstrap: &Bootstrap, reference: &At<TargetRef>, report: &mut Report) -> Option<Place> {
    let spec = &bootstrap.spec;
    if let (TargetKind::Route | TargetKind::Upstream, Some(section)) = (reference.kind.value, &reference.section_name) {
        let message = "`sectionName` names a listener, and only a Gateway has listeners";
        section.error(report, PV_TARGET, message, "remove it, or target the Gateway");
        return None;
    }
    match reference.kind.value {
        TargetKind::Route => {
            let names: Vec<&str> = spec.routes.iter().map(|route| route.name.as_str()).collect();
            index("route", &reference.name, &names, report).map(Place::Route)
        }
        TargetKind::Upstream => {
            let names: Vec<&str> = spec.upstreams.iter().map(|upstream| upstream.name.as_str()).collect();
            index("upstream", &reference.name, &names, report).map(Place::Upstream)
        }
        TargetKind::Gateway => {
            let gateway = spec.gateway.name.as_str();
            if reference.name.as_str() != gateway {
                let message = format!("there is no gateway `{}`", reference.name.as_str());
                reference.name.error(report, PV_TARGET, message, format!("the gateway is `{gateway}`"));
                return None;
            }
            let Some(section) = &reference.section_name else { return Some(Place::Gateway) };
            let names: Vec<&str> = spec.listeners.iter().map(|listener| listener.name.as_str()).collect();
            index("listener", section, &names, report).map(Place::Listener)
        }
    }
}

fn index(kind: &str, name: &At<Name>, names: &[&str], report: &mut Report) -> Option<usize> {
    let found = names.iter().position(|known| *known == name.as_str());
    if found.is_none() {
        let message = format!("there is no {kind} `{}`", name.as_str());
        name.error(report, PV_TARGET, message, format!("the {kind}s are {}", listed(names)));
    }
    found
}

fn a(kind: TargetKind) -> String {
    match kind {
        TargetKind::Upstream => "an Upstream".to_owned(),
        other => format!("a {other}"),
    }
}

type Labels = BTreeMap<LabelName, At<String>>;

fn matching<'l>(all: impl Iterator<Item = Option<&'l At<Labels>>>, wanted: &Labels) -> impl Iterator<Item = usize> {
    let has = |labels: Option<&At<Labels>>| {
        wanted.iter().all(|(name, value)| {
            labels.and_then(|labels| labels.get(name)).is_some_and(|label| label.value == value.value)
        })
    };
    all.enumerate().filter(|(_, labels)| has(*labels)).map(|(index, _)| index).collect::<Vec<_>>().into_iter()
}

/// Names in backticks, for a help.
pub(super) fn listed(names: &[&str]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Merge of two settings: what was written replaces the default, and a further one tightens.
pub(super) fn tighten<T: Copy>(merged: &mut Option<T>, written: Option<T>, stricter: impl Fn(T, T) -> T) {
    *merged = match (*merged, written) {
        (Some(a), Some(b)) => Some(stricter(a, b)),
        (a, b) => a.or(b),
    };
}
