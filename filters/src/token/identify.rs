//! The identify rule: from what was presented to one principal, or a refusal.
//!
//! A provider is *recognised* where an IAMPolicy attaches it and *accepted* where an APIAccessPolicy names it. Three
//! decisions hang on that:
//!
//! * **An SVID on a route that recognises no Spiffe provider is not a credential of that route.** It belongs to the
//!   connection: a workload in a mesh presents one everywhere. It still binds tokens, by its digest.
//! * **An SVID on a route that does recognise Spiffe providers is presented.** If none of them can make a principal of
//!   it (its tenant is not listed, say), the request is refused, even with a good token: a credential that is presented
//!   and does not verify refuses. Whether the provider is demanded is not asked, or else an unlisted tenant's agent
//!   would turn into the plain User by losing its identity.
//! * **Any other certificate is a credential on routes that recognise an Mtls provider**, by the same two rules. What is said
//!   of SVIDs here goes for it.
//! * **An Agent whose SVID is recognised stays the Agent**, even where only the token's provider is accepted.

use std::sync::Arc;

use postern_config::{Demand, Identity, PrincipalType, Provider, ProviderKind, Require};

use super::mtls::{self, NamedCertificate};
use super::spiffe::{combine, principal_from_svid};
use super::{Excerpt, TokenError, VerifiedToken};
use crate::{Principal, SpiffeSubject};

/// What is known of the peer of a connection: facts of a client certificate whose chain was verified, or the workload that
/// a listener names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerFacts {
    /// Where the certificate is an X.509-SVID.
    pub spiffe: Option<SpiffeSubject>,
    /// Where it is none.
    pub named: Option<NamedCertificate>,
    /// SHA-256 of the DER certificate. `None` where there is none: the listener names the workload behind its socket, and
    /// the kernel vouches for the process. Nothing that is bound to a certificate holds then.
    pub leaf_sha256: Option<[u8; 32]>,
    /// Unix seconds.
    pub not_after: i64,
}

/// Who asks. `token` was verified and its sender checked ([`super::TokenSet::authenticate`]); a token that was presented
/// and did not verify must have been refused before.
///
/// | SVID | token | principal |
/// |---|---|---|
/// | – | – | refused, no credential |
/// | – | any | the token's subject; its actor on behalf of it where it names one |
/// | any | – | the workload |
/// | Agent | User | the Agent on behalf of the User |
/// | – | transaction token | refused: it does not say who asks |
/// | any but an Agent | transaction token | whom the token names |
/// | other pairs | | refused, unless one `AllOf` names both providers and no Agent would pass as something else: then the token says who asks |
///
/// # Errors
/// [`TokenError`]: nothing presented, a pair of credentials that gives two answers, or a demand that does not hold.
pub fn identify(
    identity: &Identity,
    token: Option<&VerifiedToken>,
    peer: Option<&PeerFacts>,
) -> Result<Arc<Principal>, TokenError> {
    let svid = match (peer.and_then(|peer| peer.spiffe.as_ref()), peer.and_then(|peer| peer.named.as_ref())) {
        (Some(svid), _) => recognise(identity, svid)?.map(|principal| by_proof(principal, peer)),
        (None, Some(certificate)) => mtls::recognise(identity, certificate)?,
        (None, None) => None,
    };
    let by_token = token.map(|token| token.principal.authn.provider.as_str());
    let by_svid = svid.as_ref().map(|principal| principal.authn.provider.clone());
    if by_token.is_none() && by_svid.is_none() {
        return Err(TokenError::Missing);
    }
    let presented = Presented { identity, token: by_token, svid: by_svid.as_deref() };
    if identity.demands.is_empty() {
        return Err(TokenError::NotAccepted("no provider".to_owned()));
    }
    identity.demands.iter().try_for_each(|demand| presented.check(demand))?;
    match (svid, token) {
        (None, None) => Err(TokenError::Missing),
        (Some(workload), None) => Ok(Arc::new(workload)),
        (None, Some(token)) if token.is_txn() => Err(TokenError::TxnAlone),
        (None, Some(token)) => of_token(token),
        (Some(workload), Some(token)) => both(&presented, workload, token),
    }
}

/// Says of a workload without a certificate that it proved nothing by one.
fn by_proof(mut workload: Principal, peer: Option<&PeerFacts>) -> Principal {
    if peer.is_some_and(|peer| peer.leaf_sha256.is_none()) {
        workload.authn.method = Principal::BY_SOCKET.to_owned();
    }
    workload
}

/// The principal of an SVID; `None` where the route has no Spiffe provider. Accepted providers are asked before those
/// that are merely recognised, so that a platform-wide provider does not make an application's ambiguous.
fn recognise(identity: &Identity, svid: &SpiffeSubject) -> Result<Option<Principal>, TokenError> {
    let accepted = |index: usize| identity.demands.iter().any(|demand| demand.providers.contains(&index));
    let spiffe = || identity.providers.iter().enumerate().filter(|(_, p)| matches!(p.kind, ProviderKind::Spiffe(_)));
    if spiffe().next().is_none() {
        return Ok(None);
    }
    let named = sole(svid, spiffe().filter(|(index, _)| accepted(*index)).map(|(_, provider)| provider))?;
    let found = match named {
        Some(principal) => Some(principal),
        None => sole(svid, spiffe().map(|(_, provider)| provider))?,
    };
    found.map(Some).ok_or_else(|| TokenError::UnknownSvid(Excerpt::of(&svid.id)))
}

/// The one principal that `providers` make of an SVID.
fn sole<'p>(
    svid: &SpiffeSubject,
    providers: impl Iterator<Item = &'p Provider>,
) -> Result<Option<Principal>, TokenError> {
    let mut found: Option<Principal> = None;
    for provider in providers {
        let Ok(principal) = principal_from_svid(svid, provider) else { continue };
        if let Some(first) = found {
            return Err(TokenError::SeveralSvidProviders(first.authn.provider, provider.name.clone()));
        }
        found = Some(principal);
    }
    Ok(found)
}

fn of_token(token: &VerifiedToken) -> Result<Arc<Principal>, TokenError> {
    match (&token.delegate, &token.actor) {
        (Some(delegate), _) => Ok(Arc::clone(delegate)),
        (None, None) => Ok(Arc::clone(&token.principal)),
        // The actor is a workload, and its SVID is not here.
        (None, Some(actor)) => Err(TokenError::Actor { actor: Excerpt::of(actor) }),
    }
}

fn both(presented: &Presented<'_>, workload: Principal, token: &VerifiedToken) -> Result<Arc<Principal>, TokenError> {
    let subject = token.principal.kind;
    if (workload.kind, subject) == (PrincipalType::Agent, PrincipalType::User) {
        return combine(workload, token);
    }
    // An AllOf that names both providers asked for the pair, and a transaction token is never anything but one of a pair. An Agent still never passes as something else.
    let hides_agent = workload.kind == PrincipalType::Agent && subject != PrincipalType::Agent;
    if (presented.pair_is_demanded() || token.is_txn()) && !hides_agent {
        if workload.tenant != token.principal.tenant {
            return Err(TokenError::TenantsDiffer { agent: workload.tenant, user: token.principal.tenant.clone() });
        }
        return of_token(token);
    }
    Err(TokenError::Combination { svid: workload.kind.as_str(), token: subject.as_str() })
}

/// The providers whose credentials were presented and verified.
struct Presented<'a> {
    identity: &'a Identity,
    token: Option<&'a str>,
    svid: Option<&'a str>,
}

impl Presented<'_> {
    fn has(&self, provider: usize) -> bool {
        let name = self.identity.providers.get(provider).map(|provider| provider.name.as_str());
        name.is_some() && (name == self.token || name == self.svid)
    }

    fn check(&self, demand: &Demand) -> Result<(), TokenError> {
        match demand.require {
            Require::AnyOf if demand.providers.iter().any(|p| self.has(*p)) => Ok(()),
            Require::AllOf if !demand.providers.is_empty() && demand.providers.iter().all(|p| self.has(*p)) => Ok(()),
            Require::AnyOf => Err(TokenError::NotAccepted(self.names(demand))),
            Require::AllOf => Err(TokenError::Incomplete(self.names(demand))),
        }
    }

    fn pair_is_demanded(&self) -> bool {
        let index = |name: Option<&str>| self.identity.providers.iter().position(|p| Some(p.name.as_str()) == name);
        let (Some(token), Some(svid)) = (index(self.token), index(self.svid)) else { return false };
        let names_both = |demand: &Demand| demand.providers.contains(&token) && demand.providers.contains(&svid);
        self.identity.demands.iter().any(|demand| demand.require == Require::AllOf && names_both(demand))
    }

    fn names(&self, demand: &Demand) -> String {
        let names = demand.providers.iter().filter_map(|index| self.identity.providers.get(*index));
        names.map(|provider| format!("`{}`", provider.name)).collect::<Vec<_>>().join(", ")
    }
}
