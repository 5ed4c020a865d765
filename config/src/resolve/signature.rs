//! Providers of signed requests.

use super::attach::{Attachments, of};
use super::identity::{tags, tenant_source};
use crate::bootstrap::{Bodies, RouteSpec};
use crate::manifest;
use crate::{Code, HttpSignatureProvider, Identity, Provider, ProviderKind, Report};

const PV_BLIND: Code = Code(25);

pub(super) fn resolved(signed: &manifest::HttpSignatureProvider) -> Provider {
    Provider {
        name: signed.name.as_str().to_owned(),
        principal: signed.principal.kind.value,
        tenant: tenant_source(&signed.tenant),
        tenants: signed.tenants.iter().map(|tenant| tenant.value.clone()).collect(),
        kind: ProviderKind::HttpSignature(Box::new(HttpSignatureProvider {
            issuer: signed.issuer.as_str().to_owned(),
            keys: signed.jwks_from.value.clone(),
            algorithms: signed.algorithms.iter().map(|algorithm| algorithm.value).collect(),
            tag: signed.tag.as_ref().map(|tag| tag.as_str().to_owned()),
            components: signed.components.iter().map(|name| name.as_str().to_ascii_lowercase()).collect(),
            max_age: *signed.max_age,
            clock_skew: *signed.clock_skew,
            id_claim: signed.principal.id_claim.as_str().to_owned(),
            groups_claim: signed.groups_claim.as_ref().map(|claim| claim.as_str().to_owned()),
            tags: tags(&signed.tags),
        })),
    }
}

pub(super) fn check(signed: &manifest::HttpSignatureProvider, report: &mut Report) -> bool {
    if !signed.max_age.is_zero() {
        return true;
    }
    let message = format!("provider `{}` accepts no signature: `maxAge` is 0", signed.name.as_str());
    signed.max_age.at.error(report, PV_BLIND, message, "use an age such as `1m`");
    false
}

/// A digest of a body is held against the whole body before anything of it is forwarded, which is not possible where bodies are
/// forwarded as they come.
pub(super) fn check_streamed(
    attached: &Attachments<'_>,
    route: usize,
    spec: &RouteSpec,
    identity: &Identity,
    report: &mut Report,
) {
    if *spec.bodies != Bodies::Streamed {
        return;
    }
    let signed =
        |name: &str| identity.providers.iter().any(|provider| provider.name == name && provider.kind.signs_requests());
    for (_, _, policy) in of!(attached.on_route(route), ApiAccessPolicy) {
        let named = policy.authentication.iter().flat_map(|authentication| &authentication.providers.value);
        for name in named.filter(|name| signed(name.as_str())) {
            let message = format!(
                "route `{}` streams bodies, so that nobody can hold one against the digest that provider `{}` wants signed",
                spec.name.as_str(),
                name.as_str()
            );
            name.error(report, PV_BLIND, message, "write `bodies: Whole`, or accept another provider there");
        }
    }
}
