//! From checked claims to a [`Principal`].

use postern_config::{Carried, IntrospectionProvider, JwtProvider, Provider, TenantSource};
use serde_json::Value;

use super::claims::{self, Claims};
use super::{Excerpt, TokenError};
use crate::{Assurance, Principal};

/// What the caller of [`principal`] worked out from the claims before.
pub(super) struct Facts {
    pub(super) issued_at: i64,
    pub(super) expires_at: i64,
    pub(super) sender_bound: bool,
}

/// Which claims say what, and how they came.
#[derive(Clone, Copy)]
pub(super) struct Mapping<'p> {
    issuer: &'p str,
    method: &'static str,
    id_claim: &'p str,
    groups_claim: Option<&'p str>,
    scopes_claim: &'p str,
    tags: &'p [(String, String)],
}

impl<'p> From<&'p JwtProvider> for Mapping<'p> {
    fn from(jwt: &'p JwtProvider) -> Self {
        Self {
            issuer: &jwt.issuer,
            method: match jwt.carried {
                Carried::Authorization => "jwt",
                Carried::TxnToken => Principal::BY_TXN,
            },
            id_claim: &jwt.id_claim,
            groups_claim: jwt.groups_claim.as_deref(),
            scopes_claim: &jwt.scopes_claim,
            tags: &jwt.tags,
        }
    }
}

impl<'p> From<&'p IntrospectionProvider> for Mapping<'p> {
    fn from(asked: &'p IntrospectionProvider) -> Self {
        Self {
            issuer: &asked.issuer,
            method: "introspection",
            id_claim: &asked.id_claim,
            groups_claim: asked.groups_claim.as_deref(),
            scopes_claim: &asked.scopes_claim,
            tags: &asked.tags,
        }
    }
}

/// The principal that `claims` describe, as `provider` maps them.
pub(super) fn principal(
    provider: &Provider,
    mapping: Mapping<'_>,
    claims: &Claims,
    facts: &Facts,
) -> Result<Principal, TokenError> {
    claims.text("sub")?;
    let subject = not_spiffe(mapping.id_claim, claims.required_text(mapping.id_claim)?)?;
    Ok(Principal {
        kind: provider.principal,
        issuer: mapping.issuer.to_owned(),
        subject: subject.to_owned(),
        tenant: tenant(provider, claims)?,
        groups: mapping.groups_claim.map(|name| claims.texts(name)).transpose()?.unwrap_or_default(),
        scopes: claims.words(mapping.scopes_claim)?,
        tags: tags(mapping.tags, claims)?,
        authn: assurance(provider, mapping.method, claims, facts)?,
        on_behalf_of: None,
    })
}

/// A SPIFFE ID is proven by an SVID. A token that merely says one would share the id of that workload.
pub(super) fn not_spiffe<'s>(claim: &str, subject: &'s str) -> Result<&'s str, TokenError> {
    match subject.get(..7) {
        Some(scheme) if scheme.eq_ignore_ascii_case("spiffe:") => {
            Err(TokenError::claim(claim, "is a SPIFFE ID, which only an SVID can assert"))
        }
        _ => Ok(subject),
    }
}

pub(super) fn tenant(provider: &Provider, claims: &Claims) -> Result<String, TokenError> {
    let tenant = match &provider.tenant {
        TenantSource::Value(value) => value.as_str(),
        TenantSource::Claim(pointer) => {
            claims::text(pointer, claims.at(pointer).ok_or_else(|| TokenError::claim(pointer, "is missing"))?)?
        }
        TenantSource::SpiffeSegment(_) | TenantSource::Key => return Err(TokenError::SpiffeId),
    };
    may_assert(provider, tenant)
}

/// `tenant`, where `provider` may assert it.
pub(super) fn may_assert(provider: &Provider, tenant: &str) -> Result<String, TokenError> {
    if provider.tenants.iter().any(|allowed| allowed == tenant) {
        return Ok(tenant.to_owned());
    }
    Err(TokenError::Tenant { provider: provider.name.clone(), tenant: Excerpt::of(tenant) })
}

/// Tags the token does not carry are left out; a value that is neither a text nor an array of texts is refused.
pub(super) fn tags(mapped: &[(String, String)], claims: &Claims) -> Result<Vec<(String, Vec<String>)>, TokenError> {
    let mut tags = Vec::with_capacity(mapped.len());
    for (name, pointer) in mapped {
        let values = match claims.at(pointer) {
            None => continue,
            Some(Value::Array(items)) => {
                items.iter().map(|item| claims::text(pointer, item).map(str::to_owned)).collect::<Result<_, _>>()?
            }
            Some(value) => vec![claims::text(pointer, value)?.to_owned()],
        };
        tags.push((name.clone(), values));
    }
    Ok(tags)
}

fn assurance(provider: &Provider, method: &str, claims: &Claims, facts: &Facts) -> Result<Assurance, TokenError> {
    let auth_time = claims.time("auth_time")?;
    Ok(Assurance {
        provider: provider.name.clone(),
        method: method.to_owned(),
        acr: claims.text("acr")?.unwrap_or_default().to_owned(),
        amr: claims.texts("amr")?,
        authenticated_at: auth_time.unwrap_or(facts.issued_at),
        auth_time,
        sender_bound: facts.sender_bound,
        expires_at: facts.expires_at,
        prior_actors: Vec::new(),
    })
}
