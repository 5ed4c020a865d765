//! JWT-SVIDs: tokens that say a SPIFFE ID, by the keys of its trust domain.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use postern_config::{Carried, JwtAlgorithm, Provider, SenderConstraint};
use serde_json::Value;

use super::binding::Binding;
use super::claims::Claims;
use super::delegation::Chain;
use super::verified::Window;
use super::{Excerpt, KeySet, TokenError, VerifiedToken, jws, spiffe};
use crate::{Principal, SpiffeSubject};

/// Those of JWT-SVID §3, as far as keys can have them here.
const ALGORITHMS: [JwtAlgorithm; 8] = [
    JwtAlgorithm::ES256,
    JwtAlgorithm::ES384,
    JwtAlgorithm::RS256,
    JwtAlgorithm::RS384,
    JwtAlgorithm::RS512,
    JwtAlgorithm::PS256,
    JwtAlgorithm::PS384,
    JwtAlgorithm::PS512,
];

/// Seconds that a clock may be off, and that a token may be good for.
const SKEW: i64 = 30;
const MAX_AGE: i64 = 24 * 3600;

/// Verifies the JWT-SVIDs of one provider.
#[derive(Debug)]
pub struct SvidVerifier {
    provider: Provider,
    audiences: Vec<String>,
    /// By trust domain.
    bundles: HashMap<String, KeySet>,
}

impl SvidVerifier {
    /// `bundles` are the keys of trust domains, each for its own.
    #[must_use]
    pub fn new(provider: &Provider, audiences: &[String], bundles: Vec<(String, KeySet)>) -> Self {
        Self { provider: provider.clone(), audiences: audiences.to_vec(), bundles: bundles.into_iter().collect() }
    }

    /// Checks `token` at `now` (Unix seconds): the signature by a key of the trust domain that its subject is of, the audience,
    /// and the times, of which it has to say its end.
    ///
    /// # Errors
    /// [`TokenError`] for every way in which a token is no JWT-SVID for this gateway.
    pub(super) fn verify(&self, token: &str, now: i64) -> Result<VerifiedToken, TokenError> {
        let said = Claims::new(jws::unverified_claims(token)?);
        let id = said.required_text("sub")?.to_owned();
        let (domain, _) = spiffe::split(&id)?;
        let keys = self.bundles.get(domain).ok_or_else(|| TokenError::UnknownSvid(Excerpt::of(&id)))?;
        let signed = jws::open(token, keys, &ALGORITHMS)?;
        if !signed.is_plain {
            return Err(TokenError::SvidHeader);
        }
        if let Some(typ) = signed.typ.as_deref().filter(|typ| !["JWT", "JOSE"].contains(typ)) {
            return Err(TokenError::TokenType(Excerpt::of(typ)));
        }
        // The bytes that were looked at before are those that are signed, so that they say the same.
        let claims = Claims::new(jws::claims(&signed.payload)?);
        let audiences = claims.one_or_more("aud")?;
        self.check_audience(&audiences)?;
        if claims.get("act").is_some() {
            return Err(TokenError::claim("act", "is nothing that a workload's own token says"));
        }
        let window = window(&claims, now)?;
        window.check(now)?;
        self.verified(id, &claims, audiences, window, signed.key.id.clone())
    }

    pub(super) fn check_audience(&self, audiences: &[String]) -> Result<(), TokenError> {
        let ours = audiences.iter().any(|audience| self.audiences.contains(audience));
        if ours { Ok(()) } else { Err(TokenError::Audience) }
    }

    fn verified(
        &self,
        id: String,
        claims: &Claims,
        audiences: Vec<String>,
        window: Window,
        key_id: Option<String>,
    ) -> Result<VerifiedToken, TokenError> {
        let binding = Binding::read(claims)?;
        let subject = SpiffeSubject { id, not_before: window.issued_at, not_after: window.exp };
        let mut principal = spiffe::principal_from_svid(&subject, &self.provider)?;
        principal.authn.method = Principal::BY_JWT_SVID.to_owned();
        principal.authn.sender_bound = binding.exists();
        Ok(VerifiedToken {
            carried: Carried::Authorization,
            principal: Arc::new(principal),
            delegate: None,
            actor: None,
            chain: Chain::default(),
            binding,
            exp: window.exp,
            key_id,
            prepared: OnceLock::new(),
            audiences,
            generation: 0,
            window,
            constraint: SenderConstraint::None,
        })
    }
}

/// Whether a token says that it is of a workload; believed by nobody, and only good for choosing whose keys to try.
pub(super) fn is_meant(claims: &Claims) -> bool {
    claims.get("sub").and_then(Value::as_str).is_some_and(|sub| sub.starts_with("spiffe://"))
}

fn window(claims: &Claims, now: i64) -> Result<Window, TokenError> {
    let exp = claims.required_time("exp")?;
    let issued_at = claims.time("iat")?;
    // One that does not say since when it is good must not be good for longer than others.
    if issued_at.is_none() && exp > now.saturating_add(MAX_AGE) {
        return Err(TokenError::claim("exp", "is more than a day ahead"));
    }
    Ok(Window {
        exp,
        not_before: claims.time("nbf")?.unwrap_or(0),
        issued_at: issued_at.unwrap_or(0),
        max_age: if issued_at.is_some() { MAX_AGE } else { i64::MAX },
        skew: SKEW,
    })
}
