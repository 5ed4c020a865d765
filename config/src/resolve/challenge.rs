//! What callers are asked for beyond an identity: assurance, step-up, and where tokens come from.

use std::collections::{BTreeMap, BTreeSet};

use super::attach::{Attachments, Place, of};
use super::blind;
use crate::bootstrap::RouteSpec;
use crate::decode::At;
use crate::manifest::{self, Manifest};
use crate::values::ChallengeWord;
use crate::{
    AssuranceDemand, Bootstrap, Challenges, Code, Identity, OnDeny, PrincipalType, ProtectedResource, ProviderKind,
    Report, Route, WELL_KNOWN, host_matches, prefix_matches,
};

const PV_CONFLICT: Code = Code(5);
const PV_BLIND: Code = Code(25);

pub(super) fn merge(
    attached: &Attachments<'_>,
    route: usize,
    spec: &RouteSpec,
    identity: Option<&Identity>,
    report: &mut Report,
) -> Challenges {
    let mut assurance = Vec::new();
    for (_, _, policy) in of!(attached.on_route(route), IamPolicy) {
        if let Some(written) = &policy.assurance {
            assurance.push(demand_of(written));
            check_met(&assurance, written, spec, identity, report);
        }
    }
    assurance.sort();
    assurance.dedup();
    Challenges { assurance, resource: resource(attached, route, spec, report) }
}

fn demand_of(written: &manifest::AssuranceDemand) -> AssuranceDemand {
    let sorted = |list: &Option<At<Vec<At<ChallengeWord>>>>| list.as_ref().map(|list| words(list));
    let principals: BTreeSet<PrincipalType> =
        written.principals.iter().flat_map(|list| list.iter()).map(|kind| kind.value).collect();
    AssuranceDemand {
        principals: principals.into_iter().collect(),
        acr_values: sorted(&written.acr_values),
        amr: sorted(&written.amr).unwrap_or_default(),
        max_age: written.max_age.as_ref().map(|age| age.value),
    }
}

/// Sorted, each once.
fn words(list: &[At<ChallengeWord>]) -> Vec<String> {
    let words: BTreeSet<&str> = list.iter().map(|word| word.as_str()).collect();
    words.into_iter().map(str::to_owned).collect()
}

/// A demand that nobody on the route could meet closes it in silence.
fn check_met(
    demands: &[AssuranceDemand],
    written: &At<manifest::AssuranceDemand>,
    spec: &RouteSpec,
    identity: Option<&Identity>,
    report: &mut Report,
) {
    let Some(identity) = identity.filter(|identity| !identity.providers.is_empty()) else { return };
    let kinds: BTreeSet<PrincipalType> = identity.providers.iter().flat_map(blind::principals).collect();
    for kind in kinds {
        let lists = demands.iter().filter(|d| d.applies_to(kind)).filter_map(|d| d.acr_values.as_deref());
        // An empty list was reported where it stands.
        let mut lists = lists.filter(|list| !list.is_empty());
        let Some(first) = lists.next() else { continue };
        let lists: Vec<&[String]> = lists.collect();
        if !first.iter().any(|value| lists.iter().all(|list| list.contains(value))) {
            let message = format!(
                "no `acr` is in the lists of all manifests of route `{}`, so no {} could pass",
                spec.name.as_str(),
                kind.as_str()
            );
            written.error(report, PV_BLIND, message, "name one value in all of them, or demand it in one manifest");
            return;
        }
    }
    // Only a token tells how somebody authenticated.
    let silent = |provider: &crate::Provider| {
        matches!(provider.kind, ProviderKind::Spiffe(_) | ProviderKind::ApiKey(_) | ProviderKind::HttpSignature(_))
    };
    let refused = |provider: &crate::Provider| demands.iter().any(|demand| demand.applies_to(provider.principal));
    if !identity.is_open && identity.providers.iter().all(|provider| silent(provider) && refused(provider)) {
        let message = format!(
            "route `{}` recognises no tokens, and nothing else says how somebody authenticated",
            spec.name.as_str()
        );
        let help =
            "name in `principals` of whom it is demanded, `[User]` for example, or attach it to the routes of people";
        written.error(report, PV_BLIND, message, help);
    }
}

pub(super) fn on_deny(written: &manifest::OnDeny) -> OnDeny {
    match written {
        manifest::OnDeny::StepUp(step) => OnDeny::StepUp {
            acr_values: in_order(step.acr_values.as_ref().map_or(&[], |list| list.value.as_slice())),
            max_age: step.max_age.as_ref().map(|age| age.value),
        },
        manifest::OnDeny::Scope(more) => OnDeny::Scope { scopes: in_order(&more.scopes) },
    }
}

/// In the order they were written, which is that of preference (RFC 9470 §3), each once.
fn in_order(list: &[At<ChallengeWord>]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for word in list {
        if !found.iter().any(|known| known == word.as_str()) {
            found.push(word.as_str().to_owned());
        }
    }
    found
}

/// The resource of a route: an exclusive choice, the route's own before that of the gateway.
fn resource(
    attached: &Attachments<'_>,
    route: usize,
    spec: &RouteSpec,
    report: &mut Report,
) -> Option<ProtectedResource> {
    let mut chosen: Option<(bool, &Manifest, ProtectedResource)> = None;
    for (_, manifest, policy) in of!(attached.on_route(route), IamPolicy) {
        let Some(written) = &policy.protected_resource else { continue };
        let made = resource_of(written);
        if !fits(spec, &made) {
            continue;
        }
        let own = attached.places(manifest).any(|place| place == Place::Route(route));
        match &chosen {
            Some((known, other, same)) if *known == own && *same != made => {
                let message = format!("{} gives route `{}` another `protectedResource`", other.id, spec.name.as_str());
                written.error(report, PV_CONFLICT, message, "give a route one; attach the others to other routes");
            }
            Some((known, _, _)) if *known >= own => {}
            _ => chosen = Some((own, manifest, made)),
        }
    }
    chosen.map(|(_, _, made)| made)
}

fn resource_of(written: &manifest::ProtectedResource) -> ProtectedResource {
    let servers = &written.authorization_servers;
    let mut found: Vec<String> = Vec::new();
    for server in servers.iter().map(|server| server.as_str()) {
        if !found.iter().any(|known| known == server) {
            found.push(server.to_owned());
        }
    }
    let resource = &written.resource.value;
    ProtectedResource {
        resource: resource.text.clone(),
        host: resource.host.clone(),
        authority: resource.authority.clone(),
        path: resource.path.clone(),
        authorization_servers: found,
        scopes: in_order(&written.scopes),
    }
}

/// Whether a request of the route can be for the resource.
fn fits(spec: &RouteSpec, resource: &ProtectedResource) -> bool {
    let prefix = spec.matches.path_prefix.as_str();
    let path = if resource.path.is_empty() { "/" } else { &resource.path };
    is_for_host(spec, &resource.host) && (prefix_matches(prefix, path) || prefix_matches(path, prefix))
}

fn is_for_host(spec: &RouteSpec, host: &str) -> bool {
    spec.matches.host.as_ref().is_none_or(|pattern| host_matches(pattern.as_str(), host))
}

/// Every `protectedResource` must be one of its manifest's routes, its metadata must be one document, and no route may begin
/// where it is served.
pub(super) fn check(bootstrap: &Bootstrap, attached: &Attachments<'_>, routes: &[Option<Route>], report: &mut Report) {
    let specs = &bootstrap.spec.routes;
    for manifest in attached.manifests() {
        let manifest::Spec::IamPolicy(policy) = &manifest.spec else { continue };
        let Some(written) = &policy.protected_resource else { continue };
        let made = resource_of(written);
        let reached = |(index, spec): (usize, &At<RouteSpec>)| {
            attached.places(manifest).any(|place| matches!(place, Place::Gateway) || place == Place::Route(index))
                && fits(spec, &made)
        };
        if !specs.iter().enumerate().any(reached) {
            let message = format!("no route of the manifest takes requests for `{}`", made.resource);
            let help = "write the address that clients call: its host is matched by `match.host` of a route, and its path lies on the \
                route's `pathPrefix`";
            written.resource.error(report, PV_BLIND, message, help);
            continue;
        }
        let path = made.metadata_path();
        for spec in specs.iter().filter(|spec| is_for_host(spec, &made.host)) {
            let prefix = &spec.matches.path_prefix;
            if prefix_matches(WELL_KNOWN, prefix.as_str()) && prefix_matches(prefix.as_str(), &path) {
                let message = format!("`{path}` is where {} serves the metadata of its resource", manifest.id);
                let help = "remove the route, or the `protectedResource`: a path answers one thing";
                prefix.error(report, PV_CONFLICT, message, help);
            }
        }
    }
    let mut documents: BTreeMap<(&str, String), (&str, &ProtectedResource)> = BTreeMap::new();
    for (spec, route) in specs.iter().zip(routes) {
        let resource = route.as_ref().and_then(|route| route.policy.challenges.resource.as_ref());
        let Some(resource) = resource else { continue };
        let key = (resource.host.as_str(), resource.metadata_path());
        match documents.get(&key) {
            Some((other, known)) if *known != resource => {
                let message =
                    format!("routes `{other}` and `{}` are one resource with two metadata", spec.name.as_str());
                let help = "give them the same `protectedResource`, or resources with paths of their own";
                spec.name.error(report, PV_CONFLICT, message, help);
            }
            Some(_) => {}
            None => drop(documents.insert(key, (spec.name.as_str(), resource))),
        }
    }
}
