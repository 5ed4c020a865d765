//! Which classes of data the upstream of a route may see.
//!
//! It becomes rules that block: for each part of requests, the detectors of a higher class whose findings no other rule takes out
//! there.

use std::collections::BTreeMap;

use super::{Attachments, Detectors, PV_BLIND};
use crate::bootstrap::{RouteSpec, UpstreamSpec};
use crate::decode::At;
use crate::manifest::{DataProtectionPolicy, Eligibility, Kind, Manifest};
use crate::{ContentAction, DataClass, DataRule, Direction, Part, Report, TokenRule, capability};

/// Adds what `policy` says of the upstream to the rules of the route, which are all there otherwise.
pub(super) fn add(
    rules: &mut Vec<DataRule>,
    (manifest, policy): (&Manifest, &DataProtectionPolicy),
    detectors: &Detectors<'_>,
    attached: &Attachments<'_>,
    (spec, upstream): (&RouteSpec, Option<&UpstreamSpec>),
    report: &mut Report,
) {
    let (Some(first), Some(upstream)) = (policy.eligibility.first(), upstream) else { return };
    let Some(most) = most(policy, upstream) else {
        let message = format!(
            "upstream `{}` of route `{}` is eligible for nothing by {}, so every request would be refused",
            upstream.name.as_str(),
            spec.name.as_str(),
            manifest.id
        );
        let help = "add an entry for its labels and its `region`, or attach the manifest to other routes";
        return first.upstreams.error(report, PV_BLIND, message, help);
    };
    let above: Vec<usize> =
        detectors.values().enumerate().filter(|(_, (_, one))| one.class() > most).map(|(index, _)| index).collect();
    if above.is_empty() {
        if most < DataClass::Restricted && !attached.may_miss(Kind::DataProtectionPolicy) {
            let message = format!(
                "no detector of route `{}` finds anything above {}, so its upstream would be sent everything",
                spec.name.as_str(),
                most.as_str()
            );
            first.max_class.error(report, PV_BLIND, message, "add detectors of higher classes");
        }
        return;
    }
    let mut by_detectors: BTreeMap<Vec<usize>, Vec<Part>> = BTreeMap::new();
    for part in capability::parts(spec.dialect.value, Direction::Request) {
        let taken_out = |index: &usize| {
            let own = |rule: &&DataRule| rule.request && rule.parts.contains(part) && rule.detectors.contains(index);
            rules.iter().filter(own).any(|rule| !rule.action.keeps() && rule.action != ContentAction::Block)
        };
        let left: Vec<usize> = above.iter().copied().filter(|index| !taken_out(index)).collect();
        if !left.is_empty() {
            by_detectors.entry(left).or_default().push(*part);
        }
    }
    rules.extend(by_detectors.into_iter().map(|(detectors, mut parts)| {
        parts.sort();
        DataRule {
            // No name that is written has a slash.
            name: format!("eligibility/{}", manifest.id.name),
            owner: manifest.id.to_string(),
            request: true,
            response: false,
            parts,
            detectors,
            action: ContentAction::Block,
            tokens: TokenRule::default(),
        }
    }));
}

/// The highest class that `policy` lets the upstream see; nothing where it does not name it.
pub(super) fn most(policy: &DataProtectionPolicy, upstream: &UpstreamSpec) -> Option<DataClass> {
    policy.eligibility.iter().filter(|entry| names(entry, upstream)).map(|entry| entry.max_class.value).max()
}

fn names(entry: &At<Eligibility>, upstream: &UpstreamSpec) -> bool {
    let label = |name: &str| {
        let labels = upstream.labels.as_ref()?;
        labels.iter().find(|(known, _)| known.as_str() == name).map(|(_, value)| value.as_str())
    };
    let labelled =
        entry.upstreams.match_labels.iter().all(|(name, value)| label(name.as_str()) == Some(value.as_str()));
    let near = entry
        .regions
        .as_ref()
        .is_none_or(|regions| label("region").is_some_and(|own| regions.iter().any(|region| region.as_str() == own)));
    labelled && near
}
