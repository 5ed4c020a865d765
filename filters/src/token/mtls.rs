//! Principals from client certificates that are not SVIDs.

use postern_config::{Identity, Provider, ProviderKind, TenantSource};

use super::subject::{may_assert, not_spiffe};
use super::{Excerpt, TokenError};
use crate::{Assurance, Principal};

/// A client certificate that is not an SVID and whose chain was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedCertificate {
    /// Its DNS name, where that is the only name it has.
    pub name: Option<String>,
    /// Unix seconds.
    pub not_before: i64,
    pub not_after: i64,
}

/// The principal of a certificate; `None` where the route has no Mtls provider. Two of them do not load.
pub(super) fn recognise(identity: &Identity, peer: &NamedCertificate) -> Result<Option<Principal>, TokenError> {
    let mut providers = identity.providers.iter().filter_map(|provider| match &provider.kind {
        ProviderKind::Mtls(mtls) => Some((provider, mtls.issuer.as_str())),
        _ => None,
    });
    let Some((provider, issuer)) = providers.next() else { return Ok(None) };
    if let Some((other, _)) = providers.next() {
        return Err(TokenError::SeveralProviders(provider.name.clone(), other.name.clone()));
    }
    let name = peer.name.as_deref().ok_or_else(|| TokenError::CertificateName(provider.name.clone()))?;
    principal(provider, issuer, not_spiffe("name", name)?, peer).map(Some)
}

fn principal(provider: &Provider, issuer: &str, name: &str, peer: &NamedCertificate) -> Result<Principal, TokenError> {
    let TenantSource::Value(tenant) = &provider.tenant else {
        return Err(TokenError::Tenant { provider: provider.name.clone(), tenant: Excerpt::of("") });
    };
    Ok(Principal {
        kind: provider.principal,
        issuer: issuer.to_owned(),
        subject: name.to_owned(),
        tenant: may_assert(provider, tenant)?,
        groups: Vec::new(),
        scopes: Vec::new(),
        tags: Vec::new(),
        authn: Assurance {
            provider: provider.name.clone(),
            method: Principal::BY_CERTIFICATE.to_owned(),
            authenticated_at: peer.not_before,
            sender_bound: true,
            expires_at: peer.not_after,
            ..Assurance::default()
        },
        on_behalf_of: None,
    })
}
