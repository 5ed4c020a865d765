//! A token whose signature and claims were checked.

use std::any::Any;
use std::sync::{Arc, OnceLock};

use postern_config::{Carried, SenderConstraint};

use super::TokenError;
use super::binding::{Binding, Sender};
use super::delegation::Chain;
use crate::Principal;

/// A token that [`super::JwtVerifier::verify`] accepted. Sender binding is not part of that: call
/// [`VerifiedToken::check_binding`] for every request ([`super::TokenSet::authenticate`] does).
#[derive(Debug)]
pub struct VerifiedToken {
    /// The subject of the token.
    pub principal: Arc<Principal>,
    /// Of a User's token with an actor: the actor on behalf of the User.
    pub delegate: Option<Arc<Principal>>,
    /// `sub` of the outermost actor.
    pub actor: Option<String>,
    /// `exp`, in Unix seconds.
    pub exp: i64,
    /// `kid` of the key that signed it.
    pub key_id: Option<String>,
    /// A place for what the caller derives from the token once, such as its entities for decisions. A cached token
    /// belongs to one [`super::TokenSet`], so what is put here is never seen by another route or snapshot.
    pub prepared: OnceLock<Arc<dyn Any + Send + Sync>>,
    pub(super) chain: Chain,
    pub(super) binding: Binding,
    pub(super) audiences: Vec<String>,
    /// Of the keys it was verified with; 0 where these never change.
    pub(super) generation: u64,
    pub(super) window: Window,
    pub(super) constraint: SenderConstraint,
    pub(super) carried: Carried,
}

impl VerifiedToken {
    /// Whether proofs that come with it have a nonce of ours.
    pub(crate) fn wants_nonce(&self) -> bool {
        self.constraint == SenderConstraint::DpopNonce
    }

    /// Checks that whoever sent the token is whom it was issued to (RFC 8705 §3, RFC 9449 §7.1). Compared in constant time.
    ///
    /// # Errors
    /// [`TokenError::NotBound`] where the provider demands a binding that the token lacks. Whatever it demands:
    /// [`TokenError::OtherSender`] where the token is bound to a certificate that is absent or another,
    /// [`TokenError::ProofMissing`] and [`TokenError::OtherKey`] where it is bound to a key that did not prove this request,
    /// [`TokenError::ProofForNothing`] where a key did that the token is not bound to.
    pub fn check_binding<'s>(&self, sender: impl Into<Sender<'s>>) -> Result<(), TokenError> {
        self.binding.check(&self.principal.authn.provider, self.constraint, sender.into())
    }
}

impl VerifiedToken {
    /// Whether it says for whom somebody asks, and not who does: the certificate of a workload has to be there.
    pub(super) fn is_txn(&self) -> bool {
        self.carried == Carried::TxnToken
    }
}

/// When a token is good, clock skew included.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub(super) exp: i64,
    pub(super) not_before: i64,
    pub(super) issued_at: i64,
    pub(super) max_age: i64,
    pub(super) skew: i64,
}

impl Window {
    /// RFC 7519 §4.1.4 to §4.1.6: good before `exp`, from `nbf` on, and no longer than `max_age` after `iat`.
    pub(super) fn check(&self, now: i64) -> Result<(), TokenError> {
        if now >= self.exp.saturating_add(self.skew) {
            return Err(TokenError::Expired(self.exp));
        }
        if now < self.not_before.saturating_sub(self.skew) {
            return Err(TokenError::NotYetValid(self.not_before));
        }
        if now < self.issued_at.saturating_sub(self.skew) {
            return Err(TokenError::IssuedInFuture(self.issued_at));
        }
        if now >= self.issued_at.saturating_add(self.max_age).saturating_add(self.skew) {
            return Err(TokenError::TooOld { issued_at: self.issued_at, max_seconds: self.max_age });
        }
        Ok(())
    }
}
