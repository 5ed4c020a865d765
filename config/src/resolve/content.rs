//! DataProtectionPolicy and RuntimeSecurityPolicy: what is looked for in messages, and what happens then.

mod behaviour;
mod eligible;
pub(super) mod managed;
pub(super) mod output;
pub(super) mod revise;
mod streams;

use std::collections::BTreeMap;
use std::time::Duration;

use super::attach::{Attachments, Place, listed, of, tighten};
use super::lists::Lists;
use super::prompts;
use crate::bootstrap::{RouteSpec, UpstreamSpec};
use crate::decode::At;
use crate::manifest::{self, Kind, Manifest};
use crate::{
    Bootstrap, Code, DataDetector, DataDetectorKind, DataProtection, DataRule, Dialect, Direction, ExternalSource,
    Part, Report, RuntimeDetector, RuntimeDetectorKind, RuntimeSecurity, TokenRule, Waived, Waiver, WebAttack,
    capability,
};

const PV_TARGET: Code = Code(4);
const PV_CONFLICT: Code = Code(5);
const PV_BLIND: Code = Code(25);
const PV_UNGUARDED: Code = Code(50);

const DEFAULT_HOLD_BACK: u64 = 512;
const DEFAULT_STALL: Duration = Duration::from_secs(5);

/// By name, with the manifest that defines it.
type Detectors<'m> = BTreeMap<&'m str, (&'m Manifest, &'m At<manifest::DataDetector>)>;

pub(super) fn data(
    bootstrap: &Bootstrap,
    attached: &Attachments<'_>,
    route: usize,
    spec: &RouteSpec,
    waived: &mut Vec<Waived>,
    report: &mut Report,
) -> DataProtection {
    let policies: Vec<_> = of!(attached.on_route(route), DataProtectionPolicy).collect();
    let may_miss = attached.may_miss(Kind::DataProtectionPolicy);
    let mut detectors: Detectors<'_> = BTreeMap::new();
    let (mut hold_back, mut stall) = (None, None);
    for (_, manifest, policy) in &policies {
        for detector in &policy.detectors {
            add_detector(&mut detectors, manifest, detector, report);
        }
        let streaming = &policy.streaming;
        tighten(&mut hold_back, streaming.hold_back.written().map(|size| size.value.0), u64::min);
        tighten(&mut stall, streaming.stall.written().map(|stall| stall.value), Duration::min);
    }
    let hold_back = usize::try_from(hold_back.unwrap_or(DEFAULT_HOLD_BACK)).unwrap_or(usize::MAX);
    let mut rules: Vec<DataRule> = Vec::new();
    let mut taken: Vec<&str> = Vec::new();
    for (_, manifest, policy) in &policies {
        for rule in &policy.rules {
            if taken.contains(&rule.name.as_str()) {
                let message = format!("another rule on the same route is named `{}`", rule.name.as_str());
                rule.name.error(report, PV_CONFLICT, message, "rename one: records and coverage name rules");
                continue;
            }
            taken.push(rule.name.as_str());
            let found = matched(rule, &detectors, spec, may_miss, report);
            rules.extend(data_rule(manifest, rule, found, spec.dialect.value));
        }
    }
    let own = |upstream: &&At<UpstreamSpec>| spec.upstream.as_ref().is_some_and(|own| own.value == upstream.name.value);
    let upstream = bootstrap.spec.upstreams.iter().find(own).map(|upstream| &upstream.value);
    // Each counts what rules of all manifests take out, and nothing that another blocks.
    let mut eligible = Vec::new();
    for (_, manifest, policy) in &policies {
        let mut all = rules.clone();
        eligible::add(&mut all, (manifest, policy), &detectors, attached, (spec, upstream), report);
        eligible.extend(all.into_iter().skip(rules.len()));
    }
    rules.extend(eligible);
    if rules.is_empty() && spec.dialect.value != Dialect::Http && !may_miss {
        waived.extend(attached.waive(Waiver::Unguarded, Place::Route(route), || {
            unguarded("DataProtectionPolicy", !taken.is_empty() || !policies.is_empty(), spec, report);
        }));
    }
    streams::check_data(&detectors, &rules, hold_back, spec.dialect.value, report);
    revise::check_unseen(&policies, &detectors, attached, (route, spec, upstream), waived, report);
    DataProtection {
        // Of a list that could not be read nothing is known, and the set does not load.
        detectors: detectors.values().map(|(_, detector)| resolved(detector, &attached.lists)).collect(),
        rules,
        hold_back,
        stall: stall.unwrap_or(DEFAULT_STALL),
        revision: revise::revision(&policies, spec),
        keeps_tokens: revise::keeps_tokens(&policies),
    }
}

/// A policy that looks at nothing of the route guards it as little as none.
fn unguarded(kind: &str, attached: bool, spec: &RouteSpec, report: &mut Report) {
    let message = if attached {
        format!(
            "route `{}` leads to a model, and no rule or detector of its {kind} sees anything there",
            spec.name.as_str()
        )
    } else {
        format!("route `{}` leads to a model and has no {kind}", spec.name.as_str())
    };
    let help = format!("attach a {kind} that looks at its message parts to the route or the gateway");
    spec.name.error(report, PV_UNGUARDED, message, help);
}

fn add_detector<'m>(
    detectors: &mut BTreeMap<&'m str, (&'m Manifest, &'m At<manifest::DataDetector>)>,
    manifest: &'m Manifest,
    detector: &'m At<manifest::DataDetector>,
    report: &mut Report,
) {
    let name = detector.name();
    match detectors.get(name.as_str()) {
        Some((other, same)) => {
            if written(same) != written(detector) {
                let message = format!("detector `{}` is defined differently by {}", name.as_str(), other.id);
                name.error(report, PV_CONFLICT, message, "rename one of them");
            }
        }
        None => {
            detectors.insert(name.as_str(), (manifest, detector));
        }
    }
}

/// What a detector is, to be compared.
fn written(detector: &manifest::DataDetector) -> String {
    let list = detector.list().map(|list| &list.value);
    format!("{:?} {list:?}", resolved(detector, &Lists::default()))
}

fn resolved(detector: &manifest::DataDetector, lists: &Lists) -> DataDetector {
    let kind = match detector {
        manifest::DataDetector::Builtin(builtin) => DataDetectorKind::Builtin(builtin.id.value.0),
        manifest::DataDetector::Regex(regex) => DataDetectorKind::Regex {
            pattern: regex.pattern.as_str().to_owned(),
            validate: regex.validate.as_ref().map(|validate| validate.value),
        },
        manifest::DataDetector::Dictionary(spec) => DataDetectorKind::Dictionary(lists.dictionary(&spec.values_from)),
        manifest::DataDetector::ExactMatch(spec) => DataDetectorKind::ExactMatch(lists.exact(&spec.hashes_from)),
        manifest::DataDetector::Managed(_) => DataDetectorKind::Managed,
    };
    DataDetector { name: detector.name().as_str().to_owned(), kind, class: detector.class() }
}

/// A rule as one route needs it: the directions and parts that exist there. `None` where it sees nothing, which is right
/// where the same manifest reaches another route; [`super::blind`] finds those that never see anything.
fn data_rule(
    manifest: &Manifest,
    rule: &At<manifest::DataRule>,
    detectors: Vec<usize>,
    dialect: Dialect,
) -> Option<DataRule> {
    let written = || rule.parts.iter().map(|part| part.value);
    let seen = |direction| written().filter(move |part| capability::parts(dialect, direction).contains(part));
    let request = rule.direction.request() && seen(Direction::Request).next().is_some();
    let response = rule.direction.response() && seen(Direction::Response).next().is_some();
    let inward = seen(Direction::Request).filter(|_| request);
    let parts: Vec<Part> = sorted(inward.chain(seen(Direction::Response).filter(|_| response)));
    (!parts.is_empty() && !detectors.is_empty()).then(|| DataRule {
        name: rule.name.as_str().to_owned(),
        owner: manifest.id.to_string(),
        request,
        response,
        parts,
        detectors,
        action: rule.action.value,
        tokens: TokenRule { scope: *rule.scope, restore: *rule.restore },
    })
}

/// Detectors by name and by class; where both are written, both must hold.
fn matched(
    rule: &manifest::DataRule,
    detectors: &Detectors<'_>,
    spec: &RouteSpec,
    may_miss: bool,
    report: &mut Report,
) -> Vec<usize> {
    let mut whole = !may_miss;
    let named = rule.matches.detectors.as_ref();
    for name in named.iter().flat_map(|names| names.iter()) {
        if !detectors.contains_key(name.as_str()) && !may_miss {
            let names: Vec<&str> = detectors.keys().copied().collect();
            let message = format!("there is no detector `{}`", name.as_str());
            name.error(report, PV_TARGET, message, format!("the detectors are {}", listed(&names)));
            whole = false;
        }
    }
    let is_named = |name: &str| named.is_none_or(|names| names.iter().any(|written| written.as_str() == name));
    let least = rule.matches.min_class.as_ref().map(|least| least.value);
    let of_class = |detector: &manifest::DataDetector| least.is_none_or(|least| detector.class() >= least);
    let all = detectors.iter().enumerate();
    let found = all.filter(|(_, (name, (_, detector)))| is_named(name) && of_class(detector));
    let found: Vec<usize> = found.map(|(index, _)| index).collect();
    if found.is_empty() && whole {
        let message = format!(
            "no detector of route `{}` is of the class that rule `{}` asks for",
            spec.name.as_str(),
            rule.name.as_str()
        );
        rule.matches.error(report, PV_BLIND, message, "lower `minClass`, or add a detector");
    }
    found
}

fn sorted<T: Ord>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut items: Vec<T> = items.into_iter().collect();
    items.sort();
    items.dedup();
    items
}

pub(super) fn runtime(
    attached: &Attachments<'_>,
    route: usize,
    spec: &RouteSpec,
    hold_back: usize,
    waived: &mut Vec<Waived>,
    report: &mut Report,
) -> RuntimeSecurity {
    let policies: Vec<_> = of!(attached.on_route(route), RuntimeSecurityPolicy).collect();
    let mut detectors: Vec<RuntimeDetector> = Vec::new();
    let mut taken: Vec<&str> = Vec::new();
    for (_, manifest, policy) in &policies {
        for detector in &policy.detectors {
            let name = detector.name();
            if taken.contains(&name.as_str()) {
                let message = format!("another detector on the same route is named `{}`", name.as_str());
                name.error(report, PV_CONFLICT, message, "rename one: records and coverage name detectors");
                continue;
            }
            taken.push(name.as_str());
            streams::check_hostile(detector, hold_back, spec.dialect.value, report);
            detectors.extend(runtime_detector(manifest, detector, spec.dialect.value));
        }
    }
    let may_miss = attached.may_miss(Kind::RuntimeSecurityPolicy);
    let output = output::output(&policies, spec, attached);
    if detectors.is_empty() && output.is_empty() && spec.dialect.value != Dialect::Http && !may_miss {
        waived.extend(attached.waive(Waiver::Unguarded, Place::Route(route), || {
            unguarded("RuntimeSecurityPolicy", !policies.is_empty(), spec, report);
        }));
    }
    let prompts = prompts::rules(&policies, spec.dialect.value, attached, report);
    RuntimeSecurity { detectors, prompts, output, behaviour: behaviour::behaviour(&policies, spec) }
}

/// As [`data_rule`].
fn runtime_detector(
    manifest: &Manifest,
    detector: &manifest::RuntimeDetector,
    dialect: Dialect,
) -> Option<RuntimeDetector> {
    let kind = match detector {
        manifest::RuntimeDetector::PromptInjection(_) => RuntimeDetectorKind::PromptInjection,
        manifest::RuntimeDetector::Jailbreak(_) => RuntimeDetectorKind::Jailbreak,
        manifest::RuntimeDetector::HiddenText(_) => RuntimeDetectorKind::HiddenText,
        manifest::RuntimeDetector::EncodedPayload(_) => RuntimeDetectorKind::EncodedPayload,
        manifest::RuntimeDetector::SqlInjection(_) => RuntimeDetectorKind::Web(WebAttack::SqlInjection),
        manifest::RuntimeDetector::Xss(_) => RuntimeDetectorKind::Web(WebAttack::Xss),
        manifest::RuntimeDetector::CommandInjection(_) => RuntimeDetectorKind::Web(WebAttack::CommandInjection),
        manifest::RuntimeDetector::PathTraversal(_) => RuntimeDetectorKind::Web(WebAttack::PathTraversal),
        manifest::RuntimeDetector::Ssrf(_) => RuntimeDetectorKind::Web(WebAttack::Ssrf),
        manifest::RuntimeDetector::Regex(spec) => RuntimeDetectorKind::Regex(spec.pattern.as_str().to_owned()),
        manifest::RuntimeDetector::Canary(_) => RuntimeDetectorKind::Canary,
        manifest::RuntimeDetector::External(spec) => RuntimeDetectorKind::External(ExternalSource {
            url: spec.url.as_str().to_owned(),
            timeout: *spec.timeout,
            auth: spec.auth_from.as_ref().map(|auth| auth.value.clone()),
            ca: spec.ca_from.as_ref().map(|ca| ca.value.clone()),
        }),
    };
    let ways = [Direction::Request, Direction::Response];
    let there = |part: &Part| ways.iter().any(|way| capability::parts_for(&kind, dialect, *way).contains(part));
    let parts: Vec<Part> = seen_parts(detector).into_iter().filter(there).collect();
    (!parts.is_empty()).then(|| RuntimeDetector {
        name: detector.name().as_str().to_owned(),
        owner: manifest.id.to_string(),
        kind,
        parts,
        threshold: detector.threshold().0,
        action: detector.action(),
    })
}

/// The parts a detector looks at: with `untrustedOnly`, those of them that come from outside.
pub(super) fn seen_parts(detector: &manifest::RuntimeDetector) -> Vec<Part> {
    let parts = detector.parts().iter().map(|part| part.value);
    sorted(parts.filter(|part| !detector.untrusted_only() || capability::is_untrusted(*part)))
}
