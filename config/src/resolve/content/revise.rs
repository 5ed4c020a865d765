//! What requests leave without, and what becomes of content that nobody can read.

use std::time::Duration;

use super::super::attach::{Attachments, Place, listed, tighten};
use super::{Detectors, PV_TARGET};
use crate::bootstrap::{RouteSpec, UpstreamSpec};
use crate::decode::At;
use crate::manifest::{self, DataProtectionPolicy, Manifest};
use crate::{Bootstrap, Code, DataClass, Dialect, Minimized, Opaque, Report, Revision, Waived, Waiver, pointer};

const PV_UNSEEN: Code = Code(51);

const DEFAULT_TOKENS: Duration = Duration::from_secs(3600);

/// The policies of a route, each with its manifest.
type Policies<'p, 'm> = &'p [(Place, &'m Manifest, &'m DataProtectionPolicy)];

pub(super) fn revision(policies: Policies<'_, '_>, spec: &RouteSpec) -> Revision {
    let opaque = policies.iter().filter_map(|(_, _, policy)| policy.opaque.written()).map(|opaque| opaque.value).max();
    let all = policies.iter().flat_map(|(_, manifest, policy)| policy.minimize.iter().map(move |one| (*manifest, one)));
    Revision {
        minimize: all.filter(|(_, one)| reaches(one, spec)).map(|(manifest, one)| minimized(manifest, one)).collect(),
        opaque: opaque.unwrap_or_default(),
        not_kept: !policies.is_empty() && spec.dialect.value != Dialect::Http,
    }
}

/// How long the way back from tokens lasts.
pub(super) fn keeps_tokens(policies: Policies<'_, '_>) -> Duration {
    let mut most = None;
    for (_, _, policy) in policies {
        tighten(&mut most, policy.retention.tokens.written().map(|tokens| tokens.value), Duration::min);
    }
    most.unwrap_or(DEFAULT_TOKENS)
}

fn reaches(minimize: &manifest::Minimize, spec: &RouteSpec) -> bool {
    let named =
        |routes: &At<Vec<At<_>>>| routes.iter().any(|name: &At<crate::values::Name>| name.value == spec.name.value);
    minimize.routes.as_ref().is_none_or(named)
}

fn minimized(manifest: &Manifest, written: &manifest::Minimize) -> Minimized {
    let split =
        |list: &At<Vec<At<crate::values::Pointer>>>| list.iter().map(|one| pointer::split(one.as_str())).collect();
    Minimized {
        owner: manifest.id.to_string(),
        // No name that is written has a slash.
        guard: format!("data/minimize/{}", manifest.id.name),
        drop: written.drop.as_ref().map(split).unwrap_or_default(),
        keep: written.keep.as_ref().map(split),
    }
}

/// Routes that `minimize` names must be among those of the manifest.
pub(in super::super) fn check(bootstrap: &Bootstrap, attached: &Attachments<'_>, report: &mut Report) {
    for manifest in attached.manifests() {
        let manifest::Spec::DataProtectionPolicy(policy) = &manifest.spec else { continue };
        let reached: Vec<&str> = attached
            .places(manifest)
            .flat_map(|place| match place {
                Place::Gateway => (0..bootstrap.spec.routes.len()).collect(),
                Place::Route(index) => vec![index],
                Place::Process | Place::Listener(_) | Place::Upstream(_) => Vec::new(),
            })
            .filter_map(|index| bootstrap.spec.routes.get(index).map(|route| route.name.as_str()))
            .collect();
        for name in policy.minimize.iter().filter_map(|one| one.routes.as_ref()).flat_map(|routes| routes.iter()) {
            if !reached.contains(&name.as_str()) {
                let message = format!("{} is attached to no route `{}`", manifest.id, name.as_str());
                name.error(report, PV_TARGET, message, format!("its routes are {}", listed(&reached)));
            }
        }
    }
}

/// What nobody reads may hold the highest class that the route knows of.
pub(super) fn check_unseen(
    policies: Policies<'_, '_>,
    detectors: &Detectors<'_>,
    attached: &Attachments<'_>,
    (route, spec, upstream): (usize, &RouteSpec, Option<&UpstreamSpec>),
    waived: &mut Vec<Waived>,
    report: &mut Report,
) {
    let Some(upstream) = upstream.filter(|_| revision(policies, spec).opaque == Opaque::Allow) else { return };
    let most = policies.iter().filter_map(|(_, _, policy)| super::eligible::most(policy, upstream)).min();
    let highest = detectors.values().map(|(_, detector)| detector.class()).max().unwrap_or(DataClass::Public);
    let Some(most) = most.filter(|most| *most < highest) else { return };
    let Some(written) = policies.iter().find_map(|(_, _, policy)| policy.opaque.written()) else { return };
    waived.extend(attached.waive(Waiver::Unseen, Place::Route(route), || {
        let message = format!(
            "upstream `{}` of route `{}` may see {} at most, and what nobody reads may be {}",
            upstream.name.as_str(),
            spec.name.as_str(),
            most.as_str(),
            highest.as_str()
        );
        written.error(report, PV_UNSEEN, message, "write `opaque: Deny` or `Strip`, or lead the route elsewhere");
    }));
}
