//! `tenancy`: of which tenant the resources of a route are, or where its requests say it.

use super::attach::{Attachments, of};
use crate::bootstrap::RouteSpec;
use crate::decode::At;
use crate::manifest::{self, Kind, Manifest, ResourceTenantSource};
use crate::{Code, Identity, Report, TenantFromRequest, host_matches};

const PV_TARGET: Code = Code(4);
const PV_CONFLICT: Code = Code(5);
const PV_BLIND: Code = Code(25);

/// Where the tenant of a route's resources comes from.
#[derive(Debug, Default)]
pub(super) struct Tenancy {
    /// The label's value.
    pub(super) fixed: Option<String>,
    pub(super) from_request: Option<TenantFromRequest>,
}

/// Without a tenant nobody could call the route: callers of another tenant are refused, and a caller always has one.
pub(super) fn of_route(
    attached: &Attachments<'_>,
    route: usize,
    spec: &RouteSpec,
    identity: Option<&Identity>,
    report: &mut Report,
) -> Tenancy {
    let mut chosen: Option<(&Manifest, &At<manifest::ResourceTenant>)> = None;
    for (_, manifest, policy) in of!(attached.on_route(route), IamPolicy) {
        let Some(tenancy) = &policy.tenancy else { continue };
        let written = &tenancy.resource;
        if !written.is_sound() {
            return Tenancy::default();
        }
        match chosen {
            Some((other, known))
                if (known.from.value, known.key.as_str()) != (written.from.value, written.key.as_str()) =>
            {
                let message = format!("{} takes the tenant from {}", other.id, told(known));
                written.key.error(report, PV_CONFLICT, message, "take it from one place");
            }
            Some(_) => {}
            None => chosen = Some((manifest, written)),
        }
    }
    let Some((manifest, written)) = chosen else {
        // Without any provider, that is what is wrong.
        let recognises = of!(attached.on_route(route), IamPolicy).next().is_some();
        if recognises && !attached.may_miss(Kind::IamPolicy) {
            let message =
                format!("no IAMPolicy says of which tenant route `{}` is, so nobody could call it", spec.name.as_str());
            let help =
                "add `tenancy: {resource: {from: Label, key: tenant}}` to the IAMPolicy, and the label to the route";
            spec.name.error(report, PV_BLIND, message, help);
        }
        return Tenancy::default();
    };
    let key = written.key.as_str();
    let from_request = match written.from.value {
        ResourceTenantSource::Label => {
            return Tenancy { fixed: label(manifest, key, spec, report), from_request: None };
        }
        ResourceTenantSource::Host => {
            manifest::host_pattern(key).map(|(before, after)| TenantFromRequest::Host { before, after })
        }
        ResourceTenantSource::PathSegment => manifest::segment(key).map(TenantFromRequest::PathSegment),
        ResourceTenantSource::Header => Some(TenantFromRequest::Header(key.to_ascii_lowercase())),
    };
    if let Some(from) = &from_request {
        check(from, spec, written, report);
    }
    let nobody = |identity: &Identity| identity.providers.iter().all(|provider| provider.tenants.is_empty());
    if identity.is_some_and(nobody) {
        let message =
            format!("no provider of route `{}` may assert a tenant, so no request could name one", spec.name.as_str());
        written.error(
            report,
            PV_BLIND,
            message,
            "name the tenants in `tenants` of a provider, or take the tenant from a label",
        );
    }
    Tenancy { fixed: None, from_request }
}

fn told(tenant: &manifest::ResourceTenant) -> String {
    let key = tenant.key.as_str();
    match tenant.from.value {
        ResourceTenantSource::Label => format!("label `{key}`"),
        ResourceTenantSource::Host => format!("the host `{key}`"),
        ResourceTenantSource::PathSegment => format!("segment {key} of the path"),
        ResourceTenantSource::Header => format!("header `{key}`"),
    }
}

fn label(manifest: &Manifest, key: &str, spec: &RouteSpec, report: &mut Report) -> Option<String> {
    let labels = spec.labels.as_ref();
    let found = labels.and_then(|labels| labels.iter().find(|(name, _)| name.as_str() == key));
    let found = found.map(|(_, value)| value.value.clone());
    if found.is_none() {
        let message =
            format!("route `{}` has no label `{key}`, from which {} takes its tenant", spec.name.as_str(), manifest.id);
        let help = format!("label the route: `labels: {{{key}: ...}}`; without it nobody could call it");
        spec.name.error(report, PV_TARGET, message, help);
    }
    found
}

/// Whether requests of the route can name more than one tenant, or one at all.
fn check(from: &TenantFromRequest, spec: &RouteSpec, written: &At<manifest::ResourceTenant>, report: &mut Report) {
    let (name, key) = (spec.name.as_str(), &written.key);
    match from {
        TenantFromRequest::Host { before, after } => {
            let possible = spec.matches.host.as_ref().is_none_or(|host| {
                let pattern = host.as_str();
                let some = format!("{before}tenant{after}");
                host_matches(pattern, &some)
                    || (pattern.starts_with(before.as_str()) && pattern.ends_with(after.as_str()))
            });
            if !possible {
                let message = format!("no request of route `{name}` can be for `{}`", key.as_str());
                let help = "write the route's `match.host` with `*` in place of the tenant, or correct the key";
                key.error(report, PV_BLIND, message, help);
            }
        }
        TenantFromRequest::PathSegment(number) => {
            let prefix = spec.matches.path_prefix.as_str();
            if let Some(fixed) = prefix.split('/').filter(|segment| !segment.is_empty()).nth(*number) {
                let message =
                    format!("segment {number} of every path of route `{name}` is `{fixed}`, as its `pathPrefix` says");
                key.error(
                    report,
                    PV_BLIND,
                    message,
                    "count from 0 to a segment beyond the prefix, or take the tenant from a label",
                );
            }
        }
        TenantFromRequest::Header(header) => {
            let own = spec.matches.header.as_ref().is_some_and(|headers| headers.keys().any(|n| n.as_str() == header));
            if own {
                let message = format!("every request of route `{name}` has the same `{header}`, as its `match` says");
                key.error(
                    report,
                    PV_BLIND,
                    message,
                    "take the tenant from a label, or leave the header out of `match`",
                );
            }
        }
    }
}
