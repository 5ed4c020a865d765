//! Principals from X.509-SVIDs, and an agent's SVID together with a user's token.

use std::sync::Arc;

use postern_config::{PrincipalType, Provider, ProviderKind, TenantSource};

use super::subject::may_assert;
use super::{TokenError, VerifiedToken};
use crate::{Assurance, Principal, SpiffeSubject};

/// Longest SPIFFE ID (SPIFFE-ID §2.4).
const MAX_ID: usize = 2048;

/// The principal `provider` makes of an SVID whose chain was verified.
///
/// # Errors
/// [`TokenError::SpiffeId`] for an ID that is malformed, has no path, or lacks the segment that names the tenant;
/// [`TokenError::Tenant`] for a tenant the provider may not assert; [`TokenError::NotSpiffe`] for another kind of
/// provider.
pub fn principal_from_svid(svid: &SpiffeSubject, provider: &Provider) -> Result<Principal, TokenError> {
    if !matches!(provider.kind, ProviderKind::Spiffe(_)) {
        return Err(TokenError::NotSpiffe(provider.name.clone()));
    }
    let (trust_domain, segments) = split(&svid.id)?;
    let tenant = match &provider.tenant {
        TenantSource::Value(value) => value.as_str(),
        TenantSource::SpiffeSegment(index) => segments.get(*index).copied().ok_or(TokenError::SpiffeId)?,
        TenantSource::Claim(_) | TenantSource::Key => return Err(TokenError::NotSpiffe(provider.name.clone())),
    };
    Ok(Principal {
        kind: provider.principal,
        issuer: format!("spiffe://{trust_domain}"),
        subject: svid.id.clone(),
        tenant: may_assert(provider, tenant)?,
        groups: Vec::new(),
        scopes: Vec::new(),
        tags: Vec::new(),
        authn: Assurance {
            provider: provider.name.clone(),
            method: "spiffe".to_owned(),
            authenticated_at: svid.not_before,
            sender_bound: true,
            expires_at: svid.not_after,
            ..Assurance::default()
        },
        on_behalf_of: None,
    })
}

/// The agent of an SVID on behalf of the user of a token: never the user. What they prove ends when the first of the
/// two credentials does.
///
/// # Errors
/// [`TokenError::Combination`] unless it is an Agent's SVID and a User's token; [`TokenError::TenantsDiffer`] where
/// they are of different tenants; [`TokenError::Actor`] where the token was issued for another workload to act with, and
/// [`TokenError::MayNotAct`] where it says that only another may.
pub fn combine(agent: Principal, token: &VerifiedToken) -> Result<Arc<Principal>, TokenError> {
    let user = &token.principal;
    if agent.kind != PrincipalType::Agent || user.kind != PrincipalType::User {
        return Err(TokenError::Combination { svid: agent.kind.as_str(), token: user.kind.as_str() });
    }
    if agent.tenant != user.tenant {
        return Err(TokenError::TenantsDiffer { agent: agent.tenant, user: user.tenant.clone() });
    }
    // An actor named otherwise (a client id) cannot be compared with a SPIFFE ID; the SVID is what was proven.
    if let (Some(actor), None) = (&token.actor, &token.delegate)
        && *actor != agent.subject
    {
        return Err(TokenError::Actor { actor: super::Excerpt::of(actor) });
    }
    token.chain.check(&agent.subject, &agent.issuer)?;
    let expires_at = agent.authn.expires_at.min(user.authn.expires_at);
    let prior_actors = token.chain.before(&agent.subject, token.actor.as_deref());
    let authn = Assurance { expires_at, prior_actors, ..agent.authn };
    Ok(Arc::new(Principal { authn, on_behalf_of: Some(Arc::clone(user)), ..agent }))
}

/// Trust domain and path segments (SPIFFE-ID §2). The certificate was checked where the chain was; this is the second
/// look of the code that turns a segment into a tenant.
pub(super) fn split(id: &str) -> Result<(&str, Vec<&str>), TokenError> {
    let rest = id.strip_prefix("spiffe://").filter(|_| id.len() <= MAX_ID).ok_or(TokenError::SpiffeId)?;
    let (trust_domain, path) = rest.split_once('/').ok_or(TokenError::SpiffeId)?;
    let named = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-_".contains(&b);
    let segments: Vec<&str> = path.split('/').collect();
    let sound = |segment: &&str| {
        !matches!(*segment, "" | "." | "..") && segment.bytes().all(|b| b.is_ascii_uppercase() || named(b))
    };
    if trust_domain.is_empty() || !trust_domain.bytes().all(named) || !segments.iter().all(sound) {
        return Err(TokenError::SpiffeId);
    }
    Ok((trust_domain, segments))
}
