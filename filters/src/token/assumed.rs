//! A credential that nobody presented: what explanations and policy tests take for verified.
//!
//! What it may say is checked as a token's claims are, so that nobody is explained who could not come.

use std::sync::{Arc, OnceLock};

use postern_config::{Carried, PrincipalType, Provider, ProviderKind, SenderConstraint, TenantSource};

use super::binding::{Binding, Sender};
use super::claims::MAX_TEXT;
use super::verified::Window;
use super::{Excerpt, TokenError, VerifiedToken, delegation, subject};
use crate::{Assurance, Principal};

/// What the credential says.
#[derive(Debug, Clone, Default)]
pub struct Claimed {
    pub subject: String,
    pub tenant: String,
    pub groups: Vec<String>,
    pub scopes: Vec<String>,
    pub tags: Vec<(String, Vec<String>)>,
    pub acr: String,
    pub amr: Vec<String>,
    /// Unix seconds.
    pub authenticated_at: i64,
    /// Unix seconds.
    pub expires_at: i64,
    /// What it is bound to: SHA-256 of the client certificate, or of a key where the provider demands that.
    pub bound_to: Option<[u8; 32]>,
    /// Who acts for the subject.
    pub actor: Option<String>,
}

impl VerifiedToken {
    /// A credential of `provider` that was never presented. It proves nothing: only an explanation takes it
    /// ([`crate::explain`]).
    ///
    /// # Errors
    /// For what a credential of this provider cannot say: a subject that only an SVID proves, a tenant it may not assert.
    pub fn assumed(provider: &Provider, claimed: Claimed) -> Result<Self, TokenError> {
        let (issuer, method, constraint) = match &provider.kind {
            ProviderKind::Jwt(jwt) => match jwt.carried {
                Carried::Authorization => (jwt.issuer.clone(), "jwt", jwt.sender_constraint),
                Carried::TxnToken => (jwt.issuer.clone(), Principal::BY_TXN, SenderConstraint::None),
            },
            ProviderKind::Introspection(asked) => (asked.issuer.clone(), "introspection", asked.sender_constraint),
            ProviderKind::ApiKey(keys) => {
                claimed.is_key()?;
                (keys.issuer.clone(), Principal::BY_KEY, SenderConstraint::None)
            }
            ProviderKind::HttpSignature(signed) => {
                claimed.is_signature()?;
                (signed.issuer.clone(), Principal::BY_SIGNATURE, SenderConstraint::None)
            }
            ProviderKind::Spiffe(_) | ProviderKind::Mtls(_) => {
                return Err(TokenError::NotAccepted(provider.name.clone()));
            }
        };
        let by_machine = [Principal::BY_KEY, Principal::BY_SIGNATURE].contains(&method);
        // Nobody says when somebody last was there to use a key.
        let auth_time = (!by_machine).then_some(claimed.authenticated_at);
        named("sub", &claimed.subject)?;
        subject::not_spiffe("sub", &claimed.subject)?;
        if let TenantSource::Value(value) = &provider.tenant
            && *value != claimed.tenant
        {
            return Err(TokenError::claim("tenant", "is another than the provider gives to all"));
        }
        let principal = Arc::new(Principal {
            kind: provider.principal,
            issuer,
            tenant: subject::may_assert(provider, &claimed.tenant)?,
            groups: claimed.groups,
            scopes: claimed.scopes,
            tags: claimed.tags,
            authn: Assurance {
                provider: provider.name.clone(),
                method: method.to_owned(),
                acr: claimed.acr,
                amr: claimed.amr,
                authenticated_at: auth_time.unwrap_or_default(),
                auth_time,
                sender_bound: claimed.bound_to.is_some() || method == Principal::BY_SIGNATURE,
                expires_at: claimed.expires_at,
                prior_actors: Vec::new(),
            },
            subject: claimed.subject,
            on_behalf_of: None,
        });
        let delegate = match (principal.kind, &claimed.actor) {
            (_, None) => None,
            (PrincipalType::User, Some(actor)) => {
                named("act", actor)?;
                delegation::delegate(&principal, actor, &delegation::Chain::default())
            }
            (_, Some(actor)) => return Err(TokenError::Actor { actor: Excerpt::of(actor) }),
        };
        Ok(Self {
            delegate,
            chain: delegation::Chain::default(),
            actor: claimed.actor,
            binding: match constraint {
                SenderConstraint::Dpop | SenderConstraint::DpopNonce => {
                    Binding { x5t_s256: None, jkt: claimed.bound_to }
                }
                _ => Binding { x5t_s256: claimed.bound_to, jkt: None },
            },
            exp: claimed.expires_at,
            key_id: None,
            prepared: OnceLock::new(),
            audiences: Vec::new(),
            generation: 0,
            window: Window { exp: claimed.expires_at, not_before: 0, issued_at: 0, max_age: 0, skew: 0 },
            constraint,
            carried: match &provider.kind {
                ProviderKind::Jwt(jwt) => jwt.carried,
                _ => Carried::Authorization,
            },
            principal,
        })
    }

    /// As [`VerifiedToken::check_binding`]. Of a key that a token is bound to, the proof is assumed with the token.
    pub(crate) fn check_assumed_binding(&self, leaf_sha256: Option<&[u8; 32]>) -> Result<(), TokenError> {
        self.check_binding(Sender { leaf_sha256, jkt: self.binding.jkt.as_ref() })
    }

    /// Whether a credential of `provider` has to be bound to its sender.
    #[must_use]
    pub fn must_be_bound(provider: &Provider) -> bool {
        match &provider.kind {
            ProviderKind::Jwt(jwt) => jwt.sender_constraint != SenderConstraint::None,
            ProviderKind::Introspection(asked) => asked.sender_constraint != SenderConstraint::None,
            ProviderKind::ApiKey(_) | ProviderKind::HttpSignature(_) => false,
            ProviderKind::Spiffe(_) | ProviderKind::Mtls(_) => true,
        }
    }
}

impl Claimed {
    /// Whether it says no more than the key of a signature can.
    fn is_signature(&self) -> Result<(), TokenError> {
        if self.is_plain() {
            return Ok(());
        }
        Err(TokenError::claim("scope", "is nothing that a signature says, nor are acr, amr, a binding or an actor"))
    }

    fn is_plain(&self) -> bool {
        self.scopes.is_empty()
            && self.acr.is_empty()
            && self.amr.is_empty()
            && self.bound_to.is_none()
            && self.actor.is_none()
    }

    /// Whether it says no more than an API key can.
    fn is_key(&self) -> Result<(), TokenError> {
        if self.is_plain() && self.tags.is_empty() {
            return Ok(());
        }
        Err(TokenError::claim(
            "scope",
            "is nothing that an API key says, nor are tags, acr, amr, a binding or an actor",
        ))
    }
}

fn named(claim: &str, text: &str) -> Result<(), TokenError> {
    if text.is_empty() || text.len() > MAX_TEXT || text.chars().any(char::is_control) {
        return Err(TokenError::claim(claim, "is empty, longer than 512 bytes, or has control characters"));
    }
    Ok(())
}
