//! Checks the tokens of one provider.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use postern_config::{Carried, JwtProvider, Provider, ProviderKind, TenantSource};

use super::binding::Binding;
use super::claims::Claims;
use super::delegation::{self, Delegation};
use super::ring::Held;
use super::subject::{self, Facts};
use super::verified::{VerifiedToken, Window};
use super::{Excerpt, KeyRing, KeySet, KeySetError, TokenError, jws};
use crate::{KeysWanted, WhyKeys};

/// Verifies tokens of one issuer with its keys.
#[derive(Debug)]
pub struct JwtVerifier {
    provider: Provider,
    jwt: JwtProvider,
    keys: Keys,
}

/// The keys of a verifier.
#[derive(Debug)]
enum Keys {
    /// As long as the verifier lives.
    Fixed(Arc<KeySet>),
    /// Those that are in the ring, for so many seconds after the issuer was last heard.
    Ring { ring: Arc<KeyRing>, max_age: i64 },
}

impl JwtVerifier {
    /// # Errors
    /// [`KeySetError::NoKeyForProvider`] where no key of the set is of an algorithm the provider accepts;
    /// [`KeySetError::Provider`] for a provider that is not `Jwt`, has no issuer, audience or algorithm, takes the
    /// tenant from a SPIFFE ID, or whose issuer has a `|`, the separator of qualified ids.
    pub fn new(provider: &Provider, keys: KeySet) -> Result<Self, KeySetError> {
        let verifier = Self::over(provider, Keys::Fixed(Arc::new(keys)))?;
        let Keys::Fixed(keys) = &verifier.keys else { return Ok(verifier) };
        if !keys.keys().iter().any(|key| verifier.jwt.algorithms.iter().any(|algorithm| key.allows(*algorithm))) {
            return Err(KeySetError::NoKeyForProvider(provider.name.clone()));
        }
        Ok(verifier)
    }

    /// A verifier with the keys that are in `ring` at the moment, for `max_age` after the issuer was last heard.
    ///
    /// # Errors
    /// [`KeySetError::Provider`], as [`JwtVerifier::new`].
    pub fn with_ring(provider: &Provider, ring: Arc<KeyRing>, max_age: Duration) -> Result<Self, KeySetError> {
        Self::over(provider, Keys::Ring { ring, max_age: seconds(max_age) })
    }

    fn over(provider: &Provider, keys: Keys) -> Result<Self, KeySetError> {
        let refuse = |problem| KeySetError::Provider { provider: provider.name.clone(), problem };
        let ProviderKind::Jwt(jwt) = &provider.kind else { return Err(refuse("is not of type Jwt")) };
        if jwt.issuer.is_empty() || jwt.audiences.is_empty() || jwt.algorithms.is_empty() || jwt.token_types.is_empty()
        {
            return Err(refuse("lacks an issuer, audience, algorithm or token type"));
        }
        if jwt.issuer.contains('|') {
            return Err(refuse("has an issuer with `|`, which separates issuer and subject"));
        }
        if matches!(provider.tenant, TenantSource::SpiffeSegment(_) | TenantSource::Key) {
            return Err(refuse("takes the tenant from a SPIFFE ID or a key, which a token does not have"));
        }
        Ok(Self { provider: provider.clone(), jwt: jwt.as_ref().clone(), keys })
    }

    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.jwt.issuer
    }

    /// Whether its tokens come in `Txn-Token`.
    #[must_use]
    pub fn is_of_txn_tokens(&self) -> bool {
        self.jwt.carried == Carried::TxnToken
    }

    /// Name of the provider.
    #[must_use]
    pub fn provider(&self) -> &str {
        &self.provider.name
    }

    /// Checks `token` at `now` (Unix seconds) and returns what it says. Only the provider's algorithms are accepted,
    /// whatever the header says (RFC 8725 §3.1); `exp`, `nbf` and `iat` get the provider's clock skew; `exp` and `iat`
    /// are required, the latter because `maxTokenAge` counts from it.
    ///
    /// # Errors
    /// Every way in which a token can be wrong, see [`TokenError`]. Its sender is not checked here, see
    /// [`VerifiedToken::check_binding`].
    pub fn verify(&self, token: &str, now: i64) -> Result<VerifiedToken, TokenError> {
        let (keys, generation) = self.keys_at(now)?;
        let signed = jws::open(token, &keys, &self.jwt.algorithms).map_err(|error| self.wanting(error))?;
        self.check_type(signed.typ.as_deref())?;
        let claims = Claims::new(jws::claims(&signed.payload)?);
        if claims.required_text("iss")? != self.jwt.issuer {
            return Err(TokenError::Issuer(self.jwt.issuer.clone()));
        }
        let audiences = claims.one_or_more("aud")?;
        self.check_audience(&audiences)?;
        if self.jwt.carried == Carried::TxnToken {
            // draft-ietf-oauth-transaction-tokens: what makes one, and not another token of the same issuer.
            for claim in ["txn", "scope", "req_wl"] {
                claims.required_text(claim)?;
            }
        }
        let window = self.window(&claims)?;
        window.check(now)?;
        self.verified(&claims, audiences, window, signed.key.id.clone(), generation)
    }

    /// Whether tokens that were verified with keys of this generation need no other look at `now`.
    ///
    /// # Errors
    /// [`TokenError::StaleKeys`] where nothing is good any more.
    pub(super) fn is_current(&self, generation: u64, now: i64) -> Result<bool, TokenError> {
        let Keys::Ring { ring, max_age } = &self.keys else { return Ok(true) };
        match &*ring.held() {
            Some(held) => self.check_age(held, *max_age, now).map(|()| held.generation == generation),
            None => Ok(false),
        }
    }

    fn keys_at(&self, now: i64) -> Result<(Arc<KeySet>, u64), TokenError> {
        match &self.keys {
            Keys::Fixed(keys) => Ok((keys.clone(), 0)),
            Keys::Ring { ring, max_age } => {
                let held = ring.held();
                let held = held.as_ref().ok_or_else(|| {
                    let wants = KeysWanted { ring: ring.clone(), why: WhyKeys::None };
                    TokenError::NoKeys { provider: self.provider.name.clone(), wants }
                })?;
                self.check_age(held, *max_age, now)?;
                Ok((held.keys.clone(), held.generation))
            }
        }
    }

    /// Keys that the issuer has not confirmed for too long may have been taken away since.
    fn check_age(&self, held: &Held, max: i64, now: i64) -> Result<(), TokenError> {
        let age = now.saturating_sub(held.confirmed_at);
        let (Keys::Ring { ring, .. }, true) = (&self.keys, age > max) else { return Ok(()) };
        let wants = KeysWanted { ring: ring.clone(), why: WhyKeys::None };
        Err(TokenError::StaleKeys { provider: self.provider.name.clone(), age, max, wants })
    }

    /// A key that the ring does not hold may have been published since.
    fn wanting(&self, error: TokenError) -> TokenError {
        match (error, &self.keys) {
            (TokenError::UnknownKey(key), Keys::Ring { ring, .. }) => {
                TokenError::UnpublishedKey { key, wants: KeysWanted { ring: ring.clone(), why: WhyKeys::Unknown } }
            }
            (error, _) => error,
        }
    }

    /// The payload and the type of `token`, of which the signature was checked and nothing else: by a key of the provider, and
    /// one of its algorithms.
    pub(super) fn open(&self, token: &str, now: i64) -> Result<(Vec<u8>, Option<String>), TokenError> {
        let (keys, _) = self.keys_at(now)?;
        let signed = jws::open(token, &keys, &self.jwt.algorithms).map_err(|error| self.wanting(error))?;
        Ok((signed.payload, signed.typ))
    }

    pub(super) fn settings(&self) -> (&Provider, &JwtProvider) {
        (&self.provider, &self.jwt)
    }

    /// Whether one of `audiences` is the provider's, compared as a whole (RFC 8725 §3.9).
    pub(super) fn check_audience(&self, audiences: &[String]) -> Result<(), TokenError> {
        let ours = audiences.iter().any(|audience| self.jwt.audiences.contains(audience));
        if ours { Ok(()) } else { Err(TokenError::Audience) }
    }

    /// RFC 8725 §3.11, RFC 9068 §4: an id token or a logout token of the same issuer is not an access token.
    fn check_type(&self, typ: Option<&str>) -> Result<(), TokenError> {
        let typ = typ.ok_or(TokenError::HeaderText("typ"))?;
        let known = self.jwt.token_types.iter().any(|known| bare_type(known).eq_ignore_ascii_case(bare_type(typ)));
        if known { Ok(()) } else { Err(TokenError::TokenType(Excerpt::of(typ))) }
    }

    fn window(&self, claims: &Claims) -> Result<Window, TokenError> {
        let issued_at = claims.required_time("iat")?;
        Ok(Window {
            exp: claims.required_time("exp")?,
            not_before: claims.time("nbf")?.unwrap_or(0),
            issued_at,
            max_age: seconds(self.jwt.max_token_age),
            skew: seconds(self.jwt.clock_skew),
        })
    }

    /// What claims say that were checked.
    pub(super) fn verified(
        &self,
        claims: &Claims,
        audiences: Vec<String>,
        window: Window,
        key_id: Option<String>,
        generation: u64,
    ) -> Result<VerifiedToken, TokenError> {
        let binding = Binding::read(claims)?;
        let facts = Facts {
            issued_at: window.issued_at,
            expires_at: window.exp.min(window.issued_at.saturating_add(window.max_age)),
            sender_bound: binding.exists(),
        };
        let principal = Arc::new(subject::principal(&self.provider, (&self.jwt).into(), claims, &facts)?);
        let Delegation { actor, delegate, chain } = delegation::read(claims, &self.jwt.actor_claim, &principal)?;
        Ok(VerifiedToken {
            principal,
            delegate,
            actor,
            chain,
            binding,
            exp: window.exp,
            key_id,
            prepared: OnceLock::new(),
            audiences,
            generation,
            window,
            constraint: self.jwt.sender_constraint,
            carried: self.jwt.carried,
        })
    }
}

/// RFC 7515 §4.1.9: `at+jwt` is short for `application/at+jwt`.
fn bare_type(typ: &str) -> &str {
    match typ.split_at_checked(12) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case("application/") => rest,
        _ => typ,
    }
}

pub(super) fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}
