//! Policy: compliance modes of routes, and the types of principal that exist.

use std::collections::{BTreeMap, BTreeSet};

use super::attach::Attachments;
use crate::bootstrap::RouteSpec;
use crate::decode::At;
use crate::manifest::{self, Manifest, Policy, Spec};
use crate::{Bootstrap, Code, Posture, PrincipalType, Report, Route, SubjectKind};

const PV_TARGET: Code = Code(4);
const PV_CONFLICT: Code = Code(5);
const PV_BLIND: Code = Code(25);

fn policies<'a, 'm>(attached: &'a Attachments<'m>) -> impl Iterator<Item = (&'m Manifest, &'m Policy)> + use<'a, 'm> {
    attached.manifests().filter_map(|manifest| match &manifest.spec {
        Spec::Policy(policy) => Some((manifest, &**policy)),
        _ => None,
    })
}

/// The posture of one route, and the manifests that make it.
pub(super) fn of_route(attached: &Attachments<'_>, spec: &RouteSpec) -> (Posture, Vec<String>) {
    let (mut modes, mut owners, mut sets_compliance) = (BTreeSet::new(), BTreeSet::new(), false);
    for (manifest, policy) in policies(attached) {
        sets_compliance |= !policy.compliance_modes.is_empty();
        let selected = policy.compliance_modes.iter().filter(|mode| selects(mode, spec));
        let before = modes.len();
        modes.extend(selected.map(|mode| mode.name.as_str().to_owned()));
        if modes.len() > before || policy.identity_types.is_some() {
            owners.insert(manifest.id.to_string());
        }
    }
    let identity_types = existing(attached).into_iter().collect();
    (Posture { compliance: modes.into_iter().collect(), sets_compliance, identity_types }, owners.into_iter().collect())
}

fn selects(mode: &manifest::ComplianceMode, spec: &RouteSpec) -> bool {
    mode.routes.match_labels.iter().all(|(name, value)| {
        let label = spec.labels.as_ref().and_then(|labels| labels.get(name));
        label.is_some_and(|label| label.value == value.value)
    })
}

/// The types in every list.
fn existing(attached: &Attachments<'_>) -> BTreeSet<PrincipalType> {
    let all = PrincipalType::ALL.into_iter().filter(|kind| *kind != PrincipalType::Anonymous);
    all.filter(|kind| {
        let lists =
            policies(attached).filter_map(|(_, policy)| policy.identity_types.as_ref()).filter(|list| !list.is_empty());
        lists.into_iter().all(|list| list.iter().any(|listed| listed.value == *kind))
    })
    .collect()
}

pub(super) fn check(bootstrap: &Bootstrap, attached: &Attachments<'_>, routes: &[Option<Route>], report: &mut Report) {
    let specs = &bootstrap.spec.routes;
    let mut standards: BTreeMap<&str, (&Manifest, &str)> = BTreeMap::new();
    for (manifest, policy) in policies(attached) {
        for mode in &policy.compliance_modes {
            let labels = &mode.routes.match_labels;
            if labels.is_empty() {
                labels.error(report, Code(2), "`matchLabels` is empty", "name at least one label");
            } else if !specs.iter().any(|spec| selects(mode, spec)) {
                let message =
                    format!("no route has these labels, so mode `{}` is in force nowhere", mode.name.as_str());
                labels.error(report, PV_TARGET, message, "label a route, or correct the selector");
            }
            let standard = mode.standard_ref.name.as_str();
            match standards.get(mode.name.as_str()) {
                Some((other, known)) if *known != standard => {
                    let message = format!("mode `{}` is of standard `{known}` in {}", mode.name.as_str(), other.id);
                    mode.name.error(report, PV_CONFLICT, message, "rename one of them, or name one standard");
                }
                Some(_) => {}
                None => drop(standards.insert(mode.name.as_str(), (manifest, standard))),
            }
        }
    }
    let Some((limiting, _)) = policies(attached).find(|(_, policy)| policy.identity_types.is_some()) else { return };
    let exist = existing(attached);
    let gone = |kind: PrincipalType| kind != PrincipalType::Anonymous && !exist.contains(&kind);
    let refuse = |at: &dyn Fn(&mut Report, String), what: &str, kind: PrincipalType, report: &mut Report| {
        at(report, format!("{what} `{}`, and {} says that there are none", kind.as_str(), limiting.id));
    };
    let help = "add the type to `identityTypes`, or remove what speaks of it";
    for manifest in attached.manifests() {
        match &manifest.spec {
            Spec::IamPolicy(policy) => {
                for provider in policy.providers.iter() {
                    let kind = resolved(routes, provider.name().as_str());
                    if let Some(kind) = kind.filter(|kind| gone(*kind)) {
                        let place = provider.name();
                        refuse(
                            &|r, m| place.error(r, PV_BLIND, m, help),
                            "the provider makes principals of type",
                            kind,
                            report,
                        );
                    }
                }
            }
            Spec::AccessControlPolicy(policy) => {
                for kind in policy.rules.iter().flat_map(|rule| &rule.principals).filter(|kind| gone(kind.value.0)) {
                    refuse(
                        &|r, m| kind.error(r, PV_BLIND, m, help),
                        "the rule is about principals of type",
                        kind.value.0,
                        report,
                    );
                }
            }
            Spec::RbacPolicy(policy) => {
                for subject in policy.bindings.iter().flat_map(|binding| binding.subjects.iter()) {
                    if let SubjectKind::Principal(kind) = subject.kind.value
                        && gone(kind)
                    {
                        let place: &At<_> = &subject.kind;
                        refuse(&|r, m| place.error(r, PV_BLIND, m, help), "the subject is of type", kind, report);
                    }
                }
            }
            _ => {}
        }
    }
}

/// What a provider makes of its credentials, as the routes know it.
fn resolved(routes: &[Option<Route>], name: &str) -> Option<PrincipalType> {
    let providers = routes.iter().flatten().flat_map(|route| &route.policy.identity.providers);
    providers.into_iter().find(|provider| provider.name == name).map(|provider| provider.principal)
}
