//! Who could be meant by a subject of a binding.

use std::collections::BTreeSet;

use super::blind;
use crate::manifest::{RbacPolicy, Subject};
use crate::{Code, Provider, ProviderKind, Report, SubjectKind};

const PV_SUBJECT: Code = Code(21);
const PV_BLIND: Code = Code(25);

/// A binding names the issuer where more than one could assert its subject: else the role is held by whoever an issuer
/// that was meant for others gives the same name.
pub(super) fn check_ambiguous(policy: &RbacPolicy, providers: &[Provider], report: &mut Report) {
    for subject in policy.bindings.iter().flat_map(|binding| binding.subjects.iter()) {
        if subject.issuer.is_some() || is_spiffe_id(&subject.name) {
            continue;
        }
        let issuers: BTreeSet<&str> = providers
            .iter()
            .filter(|provider| may_assert(provider, subject))
            .filter_map(|provider| provider.kind.issuer())
            .collect();
        if issuers.len() > 1 {
            let message = format!("several issuers can assert {} `{}`", kind(subject), subject.name.value);
            let names = issuers.iter().map(|issuer| format!("`{issuer}`")).collect::<Vec<_>>().join(" or ");
            subject.error(report, PV_SUBJECT, message, format!("add `issuer`: {names}"));
        }
    }
}

/// A binding that has ended holds no more; that never stops a load.
pub(super) fn warn_of_ended(policy: &RbacPolicy, now: i64, report: &mut Report) {
    for binding in &policy.bindings {
        if let Some(until) = binding.until.as_ref().filter(|until| until.value.0 <= now) {
            let message = format!("binding `{}` has ended", binding.name.as_str());
            until.warning(report, PV_BLIND, message, "remove it, or set a later date");
        }
    }
}

/// Whether a provider could make a principal that the subject names. Only an SVID asserts a SPIFFE ID.
pub(super) fn may_assert(provider: &Provider, subject: &Subject) -> bool {
    let by_token = |issuer: &str, groups: bool| match subject.kind.value {
        SubjectKind::Group => groups && issued_by(subject, issuer),
        SubjectKind::Principal(kind) => {
            blind::principals(provider).contains(&kind) && !is_spiffe_id(&subject.name) && issued_by(subject, issuer)
        }
    };
    match (&provider.kind, subject.kind.value) {
        (ProviderKind::Jwt(jwt), _) => by_token(&jwt.issuer, jwt.groups_claim.is_some()),
        (ProviderKind::Introspection(asked), _) => by_token(&asked.issuer, asked.groups_claim.is_some()),
        (ProviderKind::ApiKey(keys), _) => by_token(&keys.issuer, true),
        (ProviderKind::HttpSignature(signed), _) => by_token(&signed.issuer, signed.groups_claim.is_some()),
        (ProviderKind::Mtls(_), SubjectKind::Group) => false,
        (ProviderKind::Mtls(mtls), SubjectKind::Principal(kind)) => {
            provider.principal == kind && !is_spiffe_id(&subject.name) && issued_by(subject, &mtls.issuer)
        }
        (ProviderKind::Spiffe(_), SubjectKind::Principal(kind)) => {
            // Its issuer is the trust domain, which the name says.
            provider.principal == kind && is_spiffe_id(&subject.name) && subject.issuer.is_none()
        }
        (ProviderKind::Spiffe(_), SubjectKind::Group) => false,
    }
}

pub(super) fn kind(subject: &Subject) -> &'static str {
    match subject.kind.value {
        SubjectKind::Group => "group",
        SubjectKind::Principal(kind) => kind.as_str(),
    }
}

fn issued_by(subject: &Subject, issuer: &str) -> bool {
    subject.issuer.as_ref().is_none_or(|written| written.as_str() == issuer)
}

fn is_spiffe_id(name: &str) -> bool {
    name.starts_with("spiffe://")
}
