//! IAMPolicy and `APIAccessPolicy.authentication`: who is recognised on a route, and who is accepted.

use std::collections::BTreeMap;

use super::attach::{Attachments, listed, of};
use crate::bootstrap::RouteSpec;
use crate::decode::At;
use crate::manifest::{self, Authentication, Kind, Manifest, Parsed};
use crate::{
    Code, Demand, Dialect, Identity, JwtProvider, Provider, ProviderKind, Report, SenderConstraint, TenantSource,
};

const PV_TARGET: Code = Code(4);
const PV_CONFLICT: Code = Code(5);
const PV_ANONYMOUS: Code = Code(10);
const PV_JWT: Code = Code(11);
const PV_BEARER: Code = Code(13);

pub(super) fn merge(
    attached: &Attachments<'_>,
    parsed: &Parsed,
    route: usize,
    spec: &RouteSpec,
    report: &mut Report,
) -> Option<Identity> {
    let mut identity = Identity { providers: providers(attached, route, spec, report)?, demands: Vec::new() };
    let mut named = false;
    for (_, _, policy) in of!(attached.on_route(route), ApiAccessPolicy) {
        let Some(authentication) = &policy.authentication else { continue };
        named = true;
        identity.demands.extend(demand(&identity, parsed, authentication, spec, report));
    }
    let unreadable = !parsed.whole || parsed.broken.iter().any(|id| id.kind == Kind::ApiAccessPolicy);
    if !named && !unreadable {
        let message =
            format!("no APIAccessPolicy names a provider for route `{}`: anybody could call it", spec.name.as_str());
        let help = "attach an APIAccessPolicy with `authentication: {providers: [...]}` to the route or the gateway";
        spec.name.error(report, PV_ANONYMOUS, message, help);
        return None;
    }
    Some(identity)
}

/// Union by name: the same name with other content is a conflict.
fn providers(attached: &Attachments<'_>, route: usize, spec: &RouteSpec, report: &mut Report) -> Option<Vec<Provider>> {
    let mut found: BTreeMap<String, (&Manifest, &manifest::Provider)> = BTreeMap::new();
    let mut good = true;
    for (_, manifest, policy) in of!(attached.on_route(route), IamPolicy) {
        for provider in &policy.providers.value {
            let name = provider.name();
            match found.get(name.as_str()) {
                Some((other, same)) if !same_provider(same, provider) => {
                    let message = format!("provider `{}` is defined differently by {}", name.as_str(), other.id);
                    name.error(report, PV_CONFLICT, message, "rename one of them, or attach them to different routes");
                    good = false;
                }
                Some(_) => {}
                None => {
                    good &= check(provider, spec, report);
                    found.insert(name.as_str().to_owned(), (manifest, &provider.value));
                }
            }
        }
    }
    good.then(|| found.into_values().map(|(_, provider)| resolved(provider)).collect())
}

/// Positions do not make a difference; everything else does.
fn same_provider(a: &manifest::Provider, b: &manifest::Provider) -> bool {
    format!("{:?}", resolved(a)) == format!("{:?}", resolved(b))
}

fn check(provider: &manifest::Provider, spec: &RouteSpec, report: &mut Report) -> bool {
    let manifest::Provider::Jwt(jwt) = provider else { return true };
    let mut good = true;
    for (list, name) in [(jwt.audiences.is_empty(), "audiences"), (jwt.algorithms.is_empty(), "algorithms")] {
        if list {
            jwt.name.error(
                report,
                PV_JWT,
                format!("`{name}` is empty, so no token could pass"),
                format!("name the {name}"),
            );
            good = false;
        }
    }
    let executes = spec.dialect.value != Dialect::Http;
    if executes && *jwt.sender_constraint == SenderConstraint::None {
        let message = format!(
            "provider `{}` accepts stolen tokens (`senderConstraint: None`) on route `{}`, which executes",
            jwt.name.as_str(),
            spec.name.as_str()
        );
        jwt.sender_constraint.at.error(report, PV_BEARER, message, "use `Mtls` or `Any`");
        good = false;
    }
    good
}

fn resolved(provider: &manifest::Provider) -> Provider {
    let texts = |list: &[At<String>]| list.iter().map(|text| text.value.clone()).collect::<Vec<_>>();
    match provider {
        manifest::Provider::Jwt(jwt) => Provider {
            name: jwt.name.as_str().to_owned(),
            principal: jwt.principal.kind.value,
            tenant: tenant_source(&jwt.tenant),
            tenants: texts(&jwt.tenants),
            kind: ProviderKind::Jwt(Box::new(JwtProvider {
                issuer: jwt.issuer.as_str().to_owned(),
                audiences: texts(&jwt.audiences),
                algorithms: jwt.algorithms.iter().map(|algorithm| algorithm.value).collect(),
                token_types: texts(&jwt.token_types),
                jwks: jwt.jwks_from.value.clone(),
                max_token_age: *jwt.max_token_age,
                clock_skew: *jwt.clock_skew,
                sender_constraint: *jwt.sender_constraint,
                id_claim: jwt.principal.id_claim.as_str().to_owned(),
                actor_claim: jwt.principal.actor_claim.as_str().to_owned(),
                groups_claim: jwt.groups_claim.as_ref().map(|claim| claim.as_str().to_owned()),
                scopes_claim: jwt.scopes_claim.as_str().to_owned(),
                tags: jwt
                    .tags
                    .iter()
                    .map(|tag| (tag.name.as_str().to_owned(), tag.claim.as_str().to_owned()))
                    .collect(),
            })),
        },
        manifest::Provider::Spiffe(spiffe) => Provider {
            name: spiffe.name.as_str().to_owned(),
            principal: spiffe.principal.kind.value,
            tenant: tenant_source(&spiffe.tenant),
            tenants: texts(&spiffe.tenants),
            kind: ProviderKind::Spiffe,
        },
    }
}

fn tenant_source(tenant: &manifest::TenantFrom) -> TenantSource {
    if let Some(claim) = &tenant.claim {
        return TenantSource::Claim(claim.as_str().to_owned());
    }
    if let Some(segment) = &tenant.spiffe_segment {
        return TenantSource::SpiffeSegment(usize::try_from(segment.value).unwrap_or(usize::MAX));
    }
    TenantSource::Value(tenant.value.as_ref().map(|value| value.value.clone()).unwrap_or_default())
}

fn demand(
    identity: &Identity,
    parsed: &Parsed,
    authentication: &At<Authentication>,
    spec: &RouteSpec,
    report: &mut Report,
) -> Option<Demand> {
    let known: Vec<&str> = identity.providers.iter().map(|provider| provider.name.as_str()).collect();
    let mut providers = Vec::new();
    let mut good = true;
    for name in &authentication.providers.value {
        match known.iter().position(|provider| *provider == name.as_str()) {
            Some(index) => providers.push(index),
            None => {
                good = false;
                let may_be_broken = !parsed.whole || parsed.broken.iter().any(|id| id.kind == Kind::IamPolicy);
                if !may_be_broken {
                    let message =
                        format!("no IAMPolicy recognises `{}` on route `{}`", name.as_str(), spec.name.as_str());
                    name.error(report, PV_TARGET, message, format!("the route's providers are {}", listed(&known)));
                }
            }
        }
    }
    if providers.is_empty() && good {
        let message = "`providers` is empty, so anybody could call";
        authentication.providers.error(report, PV_ANONYMOUS, message, "name at least one provider");
        good = false;
    }
    good.then(|| Demand { providers, require: *authentication.require })
}

/// The tenant of what is behind a route, where an IAMPolicy says how to find it.
pub(super) fn tenant(
    attached: &Attachments<'_>,
    route: usize,
    spec: &RouteSpec,
    report: &mut Report,
) -> Option<String> {
    let mut key: Option<(&Manifest, String)> = None;
    for (_, manifest, policy) in of!(attached.on_route(route), IamPolicy) {
        let Some(tenancy) = &policy.tenancy else { continue };
        let written = &tenancy.resource.key;
        match &key {
            Some((other, known)) if known != written.as_str() => {
                let message = format!("{} takes the tenant from label `{known}`", other.id);
                written.error(report, PV_CONFLICT, message, "use one label for tenants");
            }
            _ => key = Some((manifest, written.as_str().to_owned())),
        }
    }
    let (manifest, key) = key?;
    let labels = spec.labels.as_ref();
    let found = labels.and_then(|labels| labels.iter().find(|(name, _)| name.as_str() == key));
    if found.is_none() {
        let message =
            format!("route `{}` has no label `{key}`, from which {} takes its tenant", spec.name.as_str(), manifest.id);
        let help = format!("label the route: `labels: {{{key}: ...}}`; without it nobody could call it");
        spec.name.error(report, PV_TARGET, message, help);
    }
    found.map(|(_, value)| value.value.clone())
}
