//! IAMPolicy and `APIAccessPolicy.authentication`: who is recognised on a route, and who is accepted.

use std::collections::BTreeMap;
use std::time::Duration;

use super::attach::{Attachments, Place, listed, of};
use super::{accepted, browser, signature};
use crate::bootstrap::RouteSpec;
use crate::decode::At;
use crate::manifest::{self, Authentication, Kind, Manifest};
use crate::values::{CallUrl, Issuer, Name};
use crate::{
    ApiKeyProvider, Carried, Code, Demand, Dialect, Identity, IntrospectionProvider, IntrospectionSource, JwtKeys,
    JwtProvider, JwtSvids, KeySource, KeysAt, Material, MtlsProvider, Provider, ProviderKind, Report, SenderConstraint,
    SpiffeProvider, TenantSource, Waived, Waiver,
};

const PV_TARGET: Code = Code(4);
const PV_CONFLICT: Code = Code(5);
const PV_ANONYMOUS: Code = Code(10);
const PV_BEARER: Code = Code(13);
const PV_BLIND: Code = Code(25);

pub(super) fn merge(
    attached: &Attachments<'_>,
    route: usize,
    spec: &RouteSpec,
    waived: &mut Vec<Waived>,
    report: &mut Report,
) -> Option<Identity> {
    let mut identity = Identity { providers: providers(attached, route, spec, report)?, ..Identity::default() };
    accepted::check_overlap(attached, route, &identity.providers, report);
    let (mut named, mut good) = (false, true);
    for (_, _, policy) in of!(attached.on_route(route), ApiAccessPolicy) {
        let Some(authentication) = &policy.authentication else { continue };
        named = true;
        match demand(attached, &identity, authentication, spec, report) {
            Some(demand) => identity.demands.push(demand),
            None => good = false,
        }
    }
    if !named {
        if attached.may_miss(Kind::ApiAccessPolicy) {
            return None;
        }
        let open = attached.waive(Waiver::Anonymous, Place::Route(route), || {
            let message = format!(
                "no APIAccessPolicy names a provider for route `{}`: anybody could call it",
                spec.name.as_str()
            );
            let help =
                "attach an APIAccessPolicy with `authentication: {providers: [...]}` to the route or the gateway";
            spec.name.error(report, PV_ANONYMOUS, message, help);
        });
        identity.is_open = open.is_some();
        waived.extend(open);
        return identity.is_open.then_some(identity);
    }
    good.then_some(identity)
}

/// Union by name: the same name with other content is a conflict.
fn providers(attached: &Attachments<'_>, route: usize, spec: &RouteSpec, report: &mut Report) -> Option<Vec<Provider>> {
    let mut found: BTreeMap<String, (&Manifest, &manifest::Provider)> = BTreeMap::new();
    let mut allowed: BTreeMap<&str, Waived> = BTreeMap::new();
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
                    good &= check(provider, report);
                    if let Some(place) = unbound(provider, spec) {
                        match attached.waive(Waiver::UnboundTokens, Place::Route(route), || {
                            refuse_unbound(name, &place, spec, report)
                        }) {
                            Some(waived) => drop(allowed.insert(name.as_str(), waived)),
                            None => good = false,
                        }
                    }
                    found.insert(name.as_str().to_owned(), (manifest, &provider.value));
                }
            }
        }
    }
    let made = found.into_iter().map(|(name, (_, provider))| {
        let mut made = resolved(provider);
        let unbound = allowed.remove(name.as_str());
        match &mut made.kind {
            ProviderKind::Jwt(jwt) => jwt.unbound = unbound,
            ProviderKind::Introspection(asked) => asked.unbound = unbound,
            ProviderKind::Spiffe(spiffe) => {
                if let Some(tokens) = &mut spiffe.tokens {
                    tokens.unbound = unbound;
                }
            }
            ProviderKind::ApiKey(_) | ProviderKind::Mtls(_) | ProviderKind::HttpSignature(_) => {}
        }
        made
    });
    good.then(|| made.collect())
}

/// Positions do not make a difference; everything else does.
fn same_provider(a: &manifest::Provider, b: &manifest::Provider) -> bool {
    format!("{:?}", resolved(a)) == format!("{:?}", resolved(b)) && browser::is_same(a, b)
}

fn check(provider: &manifest::Provider, report: &mut Report) -> bool {
    let mut good = true;
    if let Some(value) = provider.tenant().and_then(|tenant| tenant.value.value.as_ref())
        && !provider.tenants().iter().any(|tenant| tenant.value == value.value)
    {
        let message =
            format!("provider `{}` gives tenant `{}`, which it may not assert", provider.name().as_str(), value.value);
        value.error(report, PV_BLIND, message, "add it to `tenants`; a principal of any other tenant is refused");
        good = false;
    }
    if let manifest::Provider::HttpSignature(signed) = provider {
        return good & signature::check(signed, report);
    }
    if let manifest::Provider::Introspection(asked) = provider
        && asked.max_token_age.is_zero()
    {
        let message = format!("provider `{}` accepts no token: `maxTokenAge` is 0", asked.name.as_str());
        asked.max_token_age.at.error(report, PV_BLIND, message, "use an age such as `1h`");
        good = false;
    }
    if let manifest::Provider::TxnToken(txn) = provider {
        for (setting, field) in [(&txn.max_token_age, "maxTokenAge"), (&txn.keys_max_age, "keysMaxAge")] {
            if setting.is_zero() {
                let message = format!("provider `{}` accepts no token: `{field}` is 0", txn.name.as_str());
                setting.at.error(report, PV_BLIND, message, "use an age such as `10m`");
                good = false;
            }
        }
    }
    let manifest::Provider::Jwt(jwt) = provider else { return good };
    if jwt.keys_max_age.is_zero() {
        let message = format!("provider `{}` accepts no token: `keysMaxAge` is 0", jwt.name.as_str());
        jwt.keys_max_age.at.error(report, PV_BLIND, message, "use an age such as `24h`");
        good = false;
    }
    if jwt.token_types.is_empty() {
        let message = format!("provider `{}` accepts no type of token", jwt.name.as_str());
        jwt.token_types.at.error(report, PV_BLIND, message, "name the `typ` of the tokens: `[at+jwt]`");
        good = false;
    }
    if jwt.max_token_age.is_zero() {
        let message = format!("provider `{}` accepts no token: `maxTokenAge` is 0", jwt.name.as_str());
        jwt.max_token_age.at.error(report, PV_BLIND, message, "use an age such as `1h`");
        good = false;
    }
    good
}

/// Where a provider says that anybody may use its tokens.
enum Unbound<'p> {
    Constraint(&'p At<SenderConstraint>),
    /// JWT-SVIDs are never bound.
    Svids(&'p At<Vec<At<String>>>),
}

/// What a provider accepts from anybody, on a route that executes.
fn unbound<'p>(provider: &'p manifest::Provider, spec: &RouteSpec) -> Option<Unbound<'p>> {
    let constraint = |constraint: &'p At<SenderConstraint>| {
        (**constraint == SenderConstraint::None).then_some(Unbound::Constraint(constraint))
    };
    let found = match provider {
        manifest::Provider::Jwt(jwt) => constraint(&jwt.sender_constraint.at),
        manifest::Provider::Introspection(asked) => constraint(&asked.sender_constraint.at),
        manifest::Provider::Spiffe(spiffe) => spiffe.audiences.as_ref().map(Unbound::Svids),
        manifest::Provider::ApiKey(_)
        | manifest::Provider::Mtls(_)
        | manifest::Provider::TxnToken(_)
        | manifest::Provider::HttpSignature(_) => None,
    };
    found.filter(|_| spec.dialect.value != Dialect::Http)
}

fn refuse_unbound(name: &At<Name>, place: &Unbound<'_>, spec: &RouteSpec, report: &mut Report) {
    let (name, route) = (name.as_str(), spec.name.as_str());
    match place {
        Unbound::Constraint(place) => {
            let message = format!(
                "provider `{name}` accepts stolen tokens (`senderConstraint: None`) on route `{route}`, which executes"
            );
            place.error(report, PV_BEARER, message, "use `Mtls` or `Any`");
        }
        Unbound::Svids(place) => {
            let message =
                format!("provider `{name}` accepts stolen JWT-SVIDs (`audiences`) on route `{route}`, which executes");
            let help =
                "remove `audiences`, so that workloads come over mTLS, or attach a provider with it to other routes";
            place.error(report, PV_BEARER, message, help);
        }
    }
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
                keys: token_keys(
                    &jwt.issuer,
                    jwt.jwks_from.as_ref(),
                    jwt.jwks_url.as_ref(),
                    jwt.ca_from.as_ref(),
                    *jwt.keys_max_age,
                ),
                max_token_age: *jwt.max_token_age,
                clock_skew: *jwt.clock_skew,
                sender_constraint: *jwt.sender_constraint,
                unbound: None,
                id_claim: jwt.principal.id_claim.as_str().to_owned(),
                actor_claim: jwt.principal.actor_claim.as_str().to_owned(),
                groups_claim: jwt.groups_claim.as_ref().map(|claim| claim.as_str().to_owned()),
                scopes_claim: jwt.scopes_claim.as_str().to_owned(),
                tags: tags(&jwt.tags),
                browser: None,
                carried: Carried::Authorization,
            })),
        },
        manifest::Provider::TxnToken(txn) => Provider {
            name: txn.name.as_str().to_owned(),
            principal: txn.principal.kind.value,
            tenant: tenant_source(&txn.tenant),
            tenants: texts(&txn.tenants),
            kind: ProviderKind::Jwt(Box::new(JwtProvider {
                issuer: txn.issuer.as_str().to_owned(),
                audiences: texts(&txn.audiences),
                algorithms: txn.algorithms.iter().map(|algorithm| algorithm.value).collect(),
                token_types: vec!["txntoken+jwt".to_owned()],
                keys: token_keys(
                    &txn.issuer,
                    txn.jwks_from.as_ref(),
                    txn.jwks_url.as_ref(),
                    txn.ca_from.as_ref(),
                    *txn.keys_max_age,
                ),
                max_token_age: *txn.max_token_age,
                clock_skew: *txn.clock_skew,
                // The certificate beside it says who sends it.
                sender_constraint: SenderConstraint::None,
                unbound: None,
                id_claim: txn.principal.id_claim.as_str().to_owned(),
                actor_claim: txn.principal.actor_claim.as_str().to_owned(),
                groups_claim: txn.groups_claim.as_ref().map(|claim| claim.as_str().to_owned()),
                scopes_claim: txn.scopes_claim.as_str().to_owned(),
                tags: tags(&txn.tags),
                browser: None,
                carried: Carried::TxnToken,
            })),
        },
        manifest::Provider::Introspection(asked) => Provider {
            name: asked.name.as_str().to_owned(),
            principal: asked.principal.kind.value,
            tenant: tenant_source(&asked.tenant),
            tenants: texts(&asked.tenants),
            kind: ProviderKind::Introspection(Box::new(IntrospectionProvider {
                issuer: asked.issuer.as_str().to_owned(),
                audiences: texts(&asked.audiences),
                at: IntrospectionSource {
                    url: asked.introspection_url.as_str().to_owned(),
                    client_auth: asked.client_auth_from.value.clone(),
                    ca: asked.ca_from.as_ref().map(|ca| ca.value.clone()),
                },
                cache_for: *asked.cache_for,
                max_token_age: *asked.max_token_age,
                clock_skew: *asked.clock_skew,
                sender_constraint: *asked.sender_constraint,
                unbound: None,
                id_claim: asked.principal.id_claim.as_str().to_owned(),
                actor_claim: asked.principal.actor_claim.as_str().to_owned(),
                groups_claim: asked.groups_claim.as_ref().map(|claim| claim.as_str().to_owned()),
                scopes_claim: asked.scopes_claim.as_str().to_owned(),
                tags: tags(&asked.tags),
            })),
        },
        manifest::Provider::Spiffe(spiffe) => Provider {
            name: spiffe.name.as_str().to_owned(),
            principal: spiffe.principal.kind.value,
            tenant: tenant_source(&spiffe.tenant),
            tenants: texts(&spiffe.tenants),
            kind: ProviderKind::Spiffe(Box::new(SpiffeProvider { tokens: jwt_svids(spiffe) })),
        },
        manifest::Provider::Mtls(mtls) => Provider {
            name: mtls.name.as_str().to_owned(),
            principal: mtls.principal.kind.value,
            tenant: tenant_source(&mtls.tenant),
            tenants: texts(&mtls.tenants),
            kind: ProviderKind::Mtls(Box::new(MtlsProvider { issuer: mtls.issuer.as_str().to_owned() })),
        },
        manifest::Provider::HttpSignature(signed) => signature::resolved(signed),
        manifest::Provider::ApiKey(keys) => Provider {
            name: keys.name.as_str().to_owned(),
            principal: keys.principal.kind.value,
            tenant: TenantSource::Key,
            tenants: texts(&keys.tenants),
            kind: ProviderKind::ApiKey(Box::new(ApiKeyProvider {
                issuer: keys.issuer.as_str().to_owned(),
                prefix: keys.prefix.as_str().to_owned(),
                keys: keys.keys_from.value.clone(),
            })),
        },
    }
}

fn token_keys(
    issuer: &At<Issuer>,
    file: Option<&At<Material>>,
    url: Option<&At<CallUrl>>,
    ca: Option<&At<Material>>,
    max_age: Duration,
) -> JwtKeys {
    if let Some(from) = file {
        return JwtKeys::Material(from.value.clone());
    }
    let at = match url {
        Some(url) => KeysAt::Url(url.as_str().to_owned()),
        None => KeysAt::Issuer(issuer.as_str().to_owned()),
    };
    JwtKeys::Fetched { source: KeySource { at, ca: ca.map(|ca| ca.value.clone()) }, max_age }
}

fn jwt_svids(spiffe: &manifest::SpiffeProvider) -> Option<JwtSvids> {
    let (audiences, bundles) = (spiffe.audiences.as_ref()?, spiffe.jwt_bundles.as_ref()?);
    let bundle =
        |bundle: &At<manifest::JwtBundle>| (bundle.trust_domain.as_str().to_owned(), bundle.bundle_from.value.clone());
    Some(JwtSvids {
        audiences: audiences.iter().map(|audience| audience.value.clone()).collect(),
        bundles: bundles.iter().map(bundle).collect(),
        unbound: None,
    })
}

pub(super) fn tags(tags: &[At<manifest::TagFrom>]) -> Vec<(String, String)> {
    tags.iter().map(|tag| (tag.name.as_str().to_owned(), tag.claim.as_str().to_owned())).collect()
}

pub(super) fn tenant_source(tenant: &manifest::TenantFrom) -> TenantSource {
    if let Some(claim) = &tenant.claim {
        return TenantSource::Claim(claim.as_str().to_owned());
    }
    if let Some(segment) = &tenant.spiffe_segment {
        return TenantSource::SpiffeSegment(usize::try_from(segment.value).unwrap_or(usize::MAX));
    }
    TenantSource::Value(tenant.value.as_ref().map(|value| value.value.clone()).unwrap_or_default())
}

fn demand(
    attached: &Attachments<'_>,
    identity: &Identity,
    authentication: &At<Authentication>,
    spec: &RouteSpec,
    report: &mut Report,
) -> Option<Demand> {
    let known: Vec<&str> = identity.providers.iter().map(|provider| provider.name.as_str()).collect();
    let mut providers = Vec::new();
    for name in &authentication.providers.value {
        match known.iter().position(|provider| *provider == name.as_str()) {
            Some(index) => providers.push(index),
            None if !attached.may_miss(Kind::IamPolicy) => {
                let message = format!("no IAMPolicy recognises `{}` on route `{}`", name.as_str(), spec.name.as_str());
                name.error(report, PV_TARGET, message, format!("the route's providers are {}", listed(&known)));
            }
            None => {}
        }
    }
    let whole = providers.len() == authentication.providers.len();
    providers.sort_unstable();
    providers.dedup();
    whole.then(|| Demand { providers, require: *authentication.require })
}
