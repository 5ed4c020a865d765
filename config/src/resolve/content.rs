//! DataProtectionPolicy and RuntimeSecurityPolicy: what is looked for in messages, and what happens then.

use std::collections::BTreeMap;
use std::time::Duration;

use super::attach::{Attachments, listed, of, tighten};
use crate::bootstrap::RouteSpec;
use crate::decode::At;
use crate::manifest::{self, Manifest};
use crate::{
    Code, DataDetector, DataDetectorKind, DataProtection, DataRule, Dialect, Direction, Part, Report, RuntimeDetector,
    RuntimeDetectorKind, RuntimeSecurity, capability,
};

const PV_TARGET: Code = Code(4);
const PV_CONFLICT: Code = Code(5);
const PV_BLIND: Code = Code(25);
const PV_UNGUARDED: Code = Code(50);
const PV_PATTERN: Code = Code(53);

const DEFAULT_HOLD_BACK: u64 = 512;
const DEFAULT_STALL: Duration = Duration::from_secs(5);

pub(super) fn data(
    attached: &Attachments<'_>,
    route: usize,
    spec: &RouteSpec,
    report: &mut Report,
) -> Option<DataProtection> {
    let policies: Vec<_> = of!(attached.on_route(route), DataProtectionPolicy).collect();
    if policies.is_empty() && spec.dialect.value != Dialect::Http {
        unguarded("DataProtectionPolicy", spec, report);
    }
    let mut detectors: BTreeMap<&str, (&Manifest, &At<manifest::DataDetector>)> = BTreeMap::new();
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
    let names: Vec<&str> = detectors.keys().copied().collect();
    let mut rules: Vec<DataRule> = Vec::new();
    for (_, manifest, policy) in &policies {
        for rule in &policy.rules {
            if rules.iter().any(|other| other.name == rule.name.as_str()) {
                let message = format!("another rule on the same route is named `{}`", rule.name.as_str());
                rule.name.error(report, PV_CONFLICT, message, "rename one: records and coverage name rules");
                continue;
            }
            rules.extend(data_rule(manifest, rule, &names, &detectors, spec, report));
        }
    }
    if rules.iter().any(|rule| rule.response) && capability::streams(spec.dialect.value, Direction::Response) {
        check_patterns(&detectors, &rules, hold_back, report);
    }
    Some(DataProtection {
        detectors: detectors.values().map(|(_, detector)| resolved(detector)).collect(),
        rules,
        hold_back,
        stall: stall.unwrap_or(DEFAULT_STALL),
    })
}

fn unguarded(kind: &str, spec: &RouteSpec, report: &mut Report) {
    let message = format!("route `{}` leads to a model and has no {kind}", spec.name.as_str());
    spec.name.error(report, PV_UNGUARDED, message, format!("attach a {kind} to the route or the gateway"));
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
            if format!("{:?}", resolved(same)) != format!("{:?}", resolved(detector)) {
                let message = format!("detector `{}` is defined differently by {}", name.as_str(), other.id);
                name.error(report, PV_CONFLICT, message, "rename one of them");
            }
        }
        None => {
            detectors.insert(name.as_str(), (manifest, detector));
        }
    }
}

fn resolved(detector: &manifest::DataDetector) -> DataDetector {
    let kind = match detector {
        manifest::DataDetector::Builtin(builtin) => DataDetectorKind::Builtin(builtin.id.value.0),
        manifest::DataDetector::Regex(regex) => DataDetectorKind::Regex {
            pattern: regex.pattern.as_str().to_owned(),
            validate: regex.validate.as_ref().map(|validate| validate.value),
        },
    };
    DataDetector { name: detector.name().as_str().to_owned(), kind, class: detector.class() }
}

fn data_rule(
    manifest: &Manifest,
    rule: &At<manifest::DataRule>,
    names: &[&str],
    detectors: &BTreeMap<&str, (&Manifest, &At<manifest::DataDetector>)>,
    spec: &RouteSpec,
    report: &mut Report,
) -> Option<DataRule> {
    let matched = matched(rule, names, detectors, report);
    if matched.is_empty() {
        if rule.matches.detectors.is_none() {
            let message = format!(
                "no detector of route `{}` is of the class that rule `{}` asks for",
                spec.name.as_str(),
                rule.name.as_str()
            );
            rule.matches.error(report, PV_BLIND, message, "lower `minClass`, or add a detector");
        }
        return None;
    }
    let parts: Vec<Part> = sorted(rule.parts.iter().map(|part| part.value));
    Some(DataRule {
        name: rule.name.as_str().to_owned(),
        owner: manifest.id.to_string(),
        request: rule.direction.request(),
        response: rule.direction.response(),
        parts,
        detectors: matched,
        action: rule.action.value,
    })
}

/// Detectors by name and by class: one that either names is matched.
fn matched(
    rule: &manifest::DataRule,
    names: &[&str],
    detectors: &BTreeMap<&str, (&Manifest, &At<manifest::DataDetector>)>,
    report: &mut Report,
) -> Vec<usize> {
    let mut found = Vec::new();
    for name in rule.matches.detectors.iter().flat_map(|names| names.iter()) {
        match names.iter().position(|known| *known == name.as_str()) {
            Some(index) => found.push(index),
            None => {
                let message = format!("there is no detector `{}`", name.as_str());
                name.error(report, PV_TARGET, message, format!("the detectors are {}", listed(names)));
            }
        }
    }
    if let Some(least) = &rule.matches.min_class {
        let of_class = detectors.values().enumerate().filter(|(_, (_, detector))| detector.class() >= least.value);
        found.extend(of_class.map(|(index, _)| index));
    }
    sorted(found)
}

fn sorted<T: Ord>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut items: Vec<T> = items.into_iter().collect();
    items.sort();
    items.dedup();
    items
}

/// A match that can grow past the window could not be judged before a part of it has left.
fn check_patterns(
    detectors: &BTreeMap<&str, (&Manifest, &At<manifest::DataDetector>)>,
    rules: &[DataRule],
    hold_back: usize,
    report: &mut Report,
) {
    for (index, (_, detector)) in detectors.values().enumerate() {
        let manifest::DataDetector::Regex(regex) = &detector.value else { continue };
        if !rules.iter().any(|rule| rule.response && rule.detectors.contains(&index)) {
            continue;
        }
        let longest = longest_match(regex.pattern.as_str());
        if longest.is_some_and(|longest| longest <= hold_back) {
            continue;
        }
        let what = longest.map_or("without limit".to_owned(), |longest| format!("{longest} bytes long"));
        let message =
            format!("a match of detector `{}` can be {what}; a stream holds back {hold_back}", regex.name.as_str());
        let help = "bound the repetitions of the pattern, raise `streaming.holdBack`, or use it for requests only";
        regex.pattern.error(report, PV_PATTERN, message, help);
    }
}

/// Bytes of the longest match; `None` where there is no bound.
fn longest_match(pattern: &str) -> Option<usize> {
    regex_syntax::parse(pattern).ok()?.properties().maximum_len()
}

pub(super) fn runtime(
    attached: &Attachments<'_>,
    route: usize,
    spec: &RouteSpec,
    report: &mut Report,
) -> Option<RuntimeSecurity> {
    let policies: Vec<_> = of!(attached.on_route(route), RuntimeSecurityPolicy).collect();
    if policies.is_empty() && spec.dialect.value != Dialect::Http {
        unguarded("RuntimeSecurityPolicy", spec, report);
    }
    let mut detectors: Vec<RuntimeDetector> = Vec::new();
    for (_, manifest, policy) in policies {
        for detector in &policy.detectors.value {
            if detectors.iter().any(|other| other.name == detector.name().as_str()) {
                let message = format!("another detector on the same route is named `{}`", detector.name().as_str());
                detector.name().error(report, PV_CONFLICT, message, "rename one: records and coverage name detectors");
                continue;
            }
            detectors.push(runtime_detector(manifest, detector));
        }
    }
    Some(RuntimeSecurity { detectors })
}

fn runtime_detector(manifest: &Manifest, detector: &manifest::RuntimeDetector) -> RuntimeDetector {
    let kind = match detector {
        manifest::RuntimeDetector::PromptInjection(_) => RuntimeDetectorKind::PromptInjection,
        manifest::RuntimeDetector::HiddenText(_) => RuntimeDetectorKind::HiddenText,
    };
    RuntimeDetector {
        name: detector.name().as_str().to_owned(),
        owner: manifest.id.to_string(),
        kind,
        parts: seen_parts(detector),
        threshold: detector.threshold().0,
        action: detector.action(),
    }
}

/// The parts a detector looks at: with `untrustedOnly`, those of them that come from outside.
pub(super) fn seen_parts(detector: &manifest::RuntimeDetector) -> Vec<Part> {
    let parts = detector.parts().iter().map(|part| part.value);
    sorted(parts.filter(|part| !detector.untrusted_only() || capability::is_untrusted(*part)))
}
