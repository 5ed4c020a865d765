//! DataProtectionPolicy and RuntimeSecurityPolicy: what is looked for in messages, and what happens then.

use std::collections::BTreeMap;
use std::time::Duration;

use super::attach::{Attachments, Place, listed, of, tighten};
use crate::bootstrap::RouteSpec;
use crate::decode::At;
use crate::manifest::{self, Kind, Manifest};
use crate::{
    Code, DataDetector, DataDetectorKind, DataProtection, DataRule, Dialect, Direction, Part, Report, RuntimeDetector,
    RuntimeDetectorKind, RuntimeSecurity, Waived, Waiver, capability,
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
    waived: &mut Vec<Waived>,
    report: &mut Report,
) -> DataProtection {
    let policies: Vec<_> = of!(attached.on_route(route), DataProtectionPolicy).collect();
    let may_miss = attached.may_miss(Kind::DataProtectionPolicy);
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
    if rules.is_empty() && spec.dialect.value != Dialect::Http && !may_miss {
        waived.extend(attached.waive(Waiver::Unguarded, Place::Route(route), || {
            unguarded("DataProtectionPolicy", !taken.is_empty() || !policies.is_empty(), spec, report);
        }));
    }
    if rules.iter().any(|rule| rule.response) && capability::streams(spec.dialect.value, Direction::Response) {
        check_patterns(&detectors, &rules, hold_back, report);
    }
    DataProtection {
        detectors: detectors.values().map(|(_, detector)| resolved(detector)).collect(),
        rules,
        hold_back,
        stall: stall.unwrap_or(DEFAULT_STALL),
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
    })
}

/// Detectors by name and by class; where both are written, both must hold.
fn matched(
    rule: &manifest::DataRule,
    detectors: &BTreeMap<&str, (&Manifest, &At<manifest::DataDetector>)>,
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
        let what = longest.map_or("of any length".to_owned(), |longest| format!("{longest} bytes long"));
        let name = regex.name.as_str();
        let message = format!("a match of detector `{name}` can be {what}; a stream holds back {hold_back} bytes");
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
    waived: &mut Vec<Waived>,
    report: &mut Report,
) -> RuntimeSecurity {
    let policies: Vec<_> = of!(attached.on_route(route), RuntimeSecurityPolicy).collect();
    let mut detectors: Vec<RuntimeDetector> = Vec::new();
    let mut taken: Vec<&str> = Vec::new();
    for (_, manifest, policy) in &policies {
        for detector in &policy.detectors.value {
            let name = detector.name();
            if taken.contains(&name.as_str()) {
                let message = format!("another detector on the same route is named `{}`", name.as_str());
                name.error(report, PV_CONFLICT, message, "rename one: records and coverage name detectors");
                continue;
            }
            taken.push(name.as_str());
            detectors.extend(runtime_detector(manifest, detector, spec.dialect.value));
        }
    }
    let may_miss = attached.may_miss(Kind::RuntimeSecurityPolicy);
    if detectors.is_empty() && spec.dialect.value != Dialect::Http && !may_miss {
        waived.extend(attached.waive(Waiver::Unguarded, Place::Route(route), || {
            unguarded("RuntimeSecurityPolicy", !policies.is_empty(), spec, report);
        }));
    }
    RuntimeSecurity { detectors }
}

/// As [`data_rule`].
fn runtime_detector(
    manifest: &Manifest,
    detector: &manifest::RuntimeDetector,
    dialect: Dialect,
) -> Option<RuntimeDetector> {
    let there = |part: &Part| {
        [Direction::Request, Direction::Response].iter().any(|way| capability::parts(dialect, *way).contains(part))
    };
    let parts: Vec<Part> = seen_parts(detector).into_iter().filter(there).collect();
    let kind = match detector {
        manifest::RuntimeDetector::PromptInjection(_) => RuntimeDetectorKind::PromptInjection,
        manifest::RuntimeDetector::HiddenText(_) => RuntimeDetectorKind::HiddenText,
    };
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
