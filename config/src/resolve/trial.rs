//! `mode: Audit`: what is merged without it, and what from the moment on at which it acts.

use std::collections::{BTreeMap, BTreeSet};

use super::attach::Attachments;
use crate::decode::At;
use crate::manifest::{
    CountedWhere, CrossSite, DataProtectionPolicy, Manifest, OverLimit, RuntimeDetector, RuntimeSecurityPolicy, Spec,
    SystemText,
};
use crate::values::Time;
use crate::{Authz, AuthzTrial, Code, LimitUnit, Opaque, Report};

const PV_TRIAL: Code = Code(3);
const PV_UNTRIED: Code = Code(7);

/// 30 days.
const LONGEST: i64 = 30 * 86_400;

/// `now` in unix seconds: how far an end may lie ahead counts from the load.
pub(super) fn check(attached: &Attachments<'_>, now: i64, report: &mut Report) {
    for manifest in attached.manifests() {
        let Some(until) = &manifest.common.trial else { continue };
        if until.value.0 > now {
            check_fields(manifest, report);
        }
        let latest = now.saturating_add(LONGEST);
        if until.value.0 > latest {
            let message = format!("{} is in `mode: Audit` for more than 30 days from now", manifest.id);
            let help = format!("use a moment until {}, and look at what it would do until then", Time(latest));
            until.error(report, PV_TRIAL, message, help);
        } else if until.value.0 <= now {
            let message = format!("the trial of {} has ended: it acts", manifest.id);
            until.warning(report, PV_TRIAL, message, "remove `mode` and `modeUntil`");
        }
    }
}

/// The moments at which manifests of a route begin to act, with those that do; of kinds of which a trial is one of the whole route.
pub(super) fn ends(attached: &Attachments<'_>, route: usize, now: i64) -> Vec<(i64, Vec<String>)> {
    let mut ends: BTreeMap<i64, Vec<String>> = BTreeMap::new();
    for (_, manifest) in attached.on_route(route) {
        let until = manifest.common.trial.as_ref().map(|until| until.value.0).filter(|until| *until > now);
        if let Some(until) = until.filter(|_| manifest.id.kind.is_tried_by_route()) {
            ends.entry(until).or_default().push(manifest.id.to_string());
        }
    }
    ends.into_iter().collect()
}

/// Refuses what nobody could say of what it would have done: a trial that is silent about a field would be one of something else.
fn check_fields(manifest: &Manifest, report: &mut Report) {
    let apart = "put it into a manifest of its own that acts";
    let policy = match &manifest.spec {
        Spec::ApiAccessPolicy(policy) => policy,
        Spec::RuntimeSecurityPolicy(policy) => return runtime_fields(policy, apart, report),
        Spec::DataProtectionPolicy(policy) => return data_fields(policy, apart, report),
        _ => return,
    };
    if let Some(authentication) = &policy.authentication {
        untried(authentication, "`authentication`", apart, report);
    }
    if let Some(document) = &policy.schema_from {
        untried(document, "`schemaFrom`", apart, report);
    }
    if let Some(cors) = &policy.cors {
        untried(cors, "`cors`", apart, report);
    }
    if let Some(cross_site) = policy.cross_site.written().filter(|written| !matches!(written.value, CrossSite::Deny(_)))
    {
        untried(cross_site, "letting other sites in", apart, report);
    }
    if let Some(headers) = policy.response_headers.written() {
        untried(headers, "`responseHeaders`", apart, report);
    }
    for limit in &policy.rate_limits {
        if *limit.store == CountedWhere::Shared {
            let help = "write `store: Local` while it is tried out";
            untried(&limit.store.at, "a limit that is counted in the shared store", help, report);
        }
        if let OverLimit::Queue(_) = &*limit.over_limit {
            let help = "write `overLimit: {type: Refuse}` while it is tried out";
            untried(&limit.over_limit.at, "a limit that lets wait", help, report);
        }
        if limit.unit.value == LimitUnit::Bytes || limit.unit.value.is_tokens() {
            untried(&limit.unit, "a limit of bytes or tokens", "count `Requests` while it is tried out", report);
        }
    }
}

fn data_fields(policy: &DataProtectionPolicy, apart: &str, report: &mut Report) {
    if let Some(first) = policy.minimize.first() {
        untried(first, "`minimize`", apart, report);
    }
    if let Some(opaque) = policy.opaque.written().filter(|opaque| opaque.value != Opaque::Deny) {
        untried(opaque, "content that nobody reads", apart, report);
    }
}

/// What changes a request cannot only be looked at.
fn runtime_fields(policy: &RuntimeSecurityPolicy, apart: &str, report: &mut Report) {
    if let Some(layer) = policy.prompt_layers.first() {
        untried(layer, "`promptLayers`", apart, report);
    }
    if let Some(word) = policy.system_text.written().filter(|word| word.value != SystemText::Deny) {
        untried(word, "letting in system text", apart, report);
    }
    if let Some(word) = policy.isolate.written() {
        untried(word, "`isolate`", apart, report);
    }
    if let Some(calls) = policy.output.as_ref().and_then(|output| output.tool_calls.as_ref()) {
        untried(calls, "`toolCalls`", apart, report);
    }
    if let Some(schema) = policy.output.as_ref().and_then(|output| output.schemas.first()) {
        untried(schema, "`schemas`", apart, report);
    }
    if let Some(behaviour) = &policy.behaviour {
        untried(behaviour, "`behaviour`", apart, report);
    }
    for detector in &policy.detectors {
        match &detector.value {
            RuntimeDetector::Canary(spec) => untried(&spec.name, "a detector of type `Canary`", apart, report),
            // What is on trial delays nothing.
            RuntimeDetector::External(spec) => untried(&spec.name, "a detector of type `External`", apart, report),
            _ => {}
        }
    }
}

fn untried<T>(place: &At<T>, what: &str, help: &str, report: &mut Report) {
    place.error(
        report,
        PV_UNTRIED,
        format!("{what} cannot be tried out by this version: nobody could say what it would do"),
        help,
    );
}

/// Authorization as it is now, and as it will be from each end of a trial on.
pub(super) fn authz(
    attached: &Attachments<'_>,
    route: usize,
    now: i64,
    report: &mut Report,
    merge: impl Fn(&Attachments<'_>, &mut Report) -> Authz,
) -> (Authz, Vec<AuthzTrial>) {
    let tried = |(_, manifest): &(_, &Manifest)| {
        let until = manifest.common.trial.as_ref()?.value.0;
        (until > now).then(|| (until, manifest.id.to_string()))
    };
    let tried: BTreeSet<(i64, String)> = attached.on_route(route).iter().filter_map(tried).collect();
    if tried.is_empty() {
        return (merge(attached, report), Vec::new());
    }
    let first = merge(&attached.acting(now), report);
    let ends: BTreeSet<i64> = tried.iter().map(|(until, _)| *until).collect();
    let later = ends.into_iter().map(|from| AuthzTrial {
        from,
        authz: merge(&attached.acting(from), report),
        manifests: tried.iter().filter(|(until, _)| *until == from).map(|(_, id)| id.clone()).collect(),
    });
    (first, later.collect())
}
