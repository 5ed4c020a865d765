//! Tokens that their issuer is asked about (RFC 7662): what an answer says, and what becomes of it.

use std::sync::{Arc, OnceLock};

use postern_config::{
    Carried, IntrospectionProvider, IntrospectionSource, Provider, ProviderKind, Redacted, TenantSource,
};
use serde_json::Value;

use super::binding::Binding;
use super::claims::Claims;
use super::delegation::{self, Delegation};
use super::subject::{self, Facts};
use super::verified::{VerifiedToken, Window};
use super::verifier::seconds;
use super::{KeySetError, TokenError, strict};
use crate::IntrospectionWanted;

/// Longest answer of an issuer.
pub const MAX_ANSWER: usize = 32 << 10;

/// What an issuer said about one token.
#[derive(Debug)]
pub struct IntrospectionAnswer {
    /// Nothing where the token is not active: an issuer says no more then, and we would not believe more.
    claims: Option<Claims>,
    /// Unix seconds at which it was asked.
    asked_at: i64,
}

/// Why an answer says nothing.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    #[error("the answer has {bytes} bytes, more than the allowed {max}")]
    TooLarge { bytes: usize, max: usize },
    #[error("the answer is not a JSON object with unique names: {0}")]
    Json(#[source] serde_json::Error),
    #[error("`active` of the answer is missing, or neither true nor false")]
    Active,
}

impl IntrospectionAnswer {
    /// Reads an answer (RFC 7662 §2.2) to a question of `asked_at` (Unix seconds).
    ///
    /// # Errors
    /// [`AnswerError`]: such an answer decides nothing, neither way.
    pub fn read(text: &[u8], asked_at: i64) -> Result<Self, AnswerError> {
        if text.len() > MAX_ANSWER {
            return Err(AnswerError::TooLarge { bytes: text.len(), max: MAX_ANSWER });
        }
        let claims = strict::object(text).map_err(AnswerError::Json)?;
        match claims.get("active") {
            Some(Value::Bool(true)) => Ok(Self { claims: Some(Claims::new(claims)), asked_at }),
            Some(Value::Bool(false)) => Ok(Self { claims: None, asked_at }),
            _ => Err(AnswerError::Active),
        }
    }

    #[must_use]
    pub fn is_active(&self) -> bool {
        self.claims.is_some()
    }

    /// Unix seconds.
    #[must_use]
    pub fn asked_at(&self) -> i64 {
        self.asked_at
    }
}

/// Reads what one issuer says about tokens.
#[derive(Debug)]
pub struct Introspector {
    provider: Provider,
    settings: IntrospectionProvider,
    source: Arc<IntrospectionSource>,
}

impl Introspector {
    /// # Errors
    /// [`KeySetError::Provider`] for a provider that is not `Introspection`, has no issuer or audience, takes the tenant from a
    /// SPIFFE ID, or whose issuer has a `|`, the separator of qualified ids.
    pub fn new(provider: &Provider) -> Result<Self, KeySetError> {
        let refuse = |problem| KeySetError::Provider { provider: provider.name.clone(), problem };
        let ProviderKind::Introspection(settings) = &provider.kind else {
            return Err(refuse("is not of type Introspection"));
        };
        if settings.issuer.is_empty() || settings.audiences.is_empty() {
            return Err(refuse("lacks an issuer or audience"));
        }
        if settings.issuer.contains('|') {
            return Err(refuse("has an issuer with `|`, which separates issuer and subject"));
        }
        if matches!(provider.tenant, TenantSource::SpiffeSegment(_)) {
            return Err(refuse("takes the tenant from a SPIFFE ID, which a token does not have"));
        }
        let source = Arc::new(settings.at.clone());
        Ok(Self { provider: provider.clone(), settings: settings.as_ref().clone(), source })
    }

    /// What the issuer has to be asked.
    pub(super) fn wanted(&self, token: &str, token_sha256: [u8; 32]) -> TokenError {
        let wants = IntrospectionWanted {
            source: self.source.clone(),
            token: Arc::new(Redacted::new(token.to_owned())),
            token_sha256,
            fresh_for: self.settings.cache_for,
        };
        TokenError::Unasked { provider: self.provider.name.clone(), wants }
    }

    pub(super) fn away(&self, why: &str) -> TokenError {
        TokenError::Away { provider: self.provider.name.clone(), why: why.to_owned() }
    }

    /// Unix seconds until which an answer is used.
    pub(super) fn used_until(&self, answer: &IntrospectionAnswer) -> i64 {
        answer.asked_at.saturating_add(seconds(self.settings.cache_for))
    }

    /// The token that an answer speaks of, checked at `now` as a signed one is: issuer where it is named, audience, times.
    ///
    /// # Errors
    /// [`TokenError`]; its sender is not checked here.
    pub(super) fn verify(&self, answer: &IntrospectionAnswer, now: i64) -> Result<VerifiedToken, TokenError> {
        let claims = answer.claims.as_ref().ok_or(TokenError::Inactive)?;
        if claims.text("iss")?.is_some_and(|issuer| issuer != self.settings.issuer) {
            return Err(TokenError::Issuer(self.settings.issuer.clone()));
        }
        let audiences = claims.one_or_more("aud")?;
        if !audiences.iter().any(|audience| self.settings.audiences.contains(audience)) {
            return Err(TokenError::Audience);
        }
        let window = self.window(claims, answer.asked_at)?;
        window.check(now)?;
        let binding = Binding::read(claims)?;
        let facts = Facts {
            issued_at: window.issued_at,
            expires_at: window.exp.min(window.issued_at.saturating_add(window.max_age)),
            sender_bound: binding.exists(),
        };
        let principal = Arc::new(subject::principal(&self.provider, (&self.settings).into(), claims, &facts)?);
        let Delegation { actor, delegate, chain } = delegation::read(claims, &self.settings.actor_claim, &principal)?;
        Ok(VerifiedToken {
            carried: Carried::Authorization,
            principal,
            delegate,
            actor,
            chain,
            binding,
            exp: window.exp,
            key_id: None,
            prepared: OnceLock::new(),
            audiences,
            generation: 0,
            window,
            constraint: self.settings.sender_constraint,
        })
    }

    /// RFC 7662 demands no time of an answer. What has none counts from the moment it was asked about.
    fn window(&self, claims: &Claims, asked_at: i64) -> Result<Window, TokenError> {
        let max_age = seconds(self.settings.max_token_age);
        let issued_at = claims.time("iat")?.unwrap_or(asked_at);
        Ok(Window {
            exp: claims.time("exp")?.unwrap_or_else(|| asked_at.saturating_add(max_age)),
            not_before: claims.time("nbf")?.unwrap_or(0),
            issued_at,
            max_age,
            skew: seconds(self.settings.clock_skew),
        })
    }
}

/// `id:secret` as it is sent (RFC 6749 §2.3.1, RFC 7617): the value of an `Authorization` header.
///
/// # Errors
/// What is wrong with it; never what it says.
pub fn basic_auth(material: &[u8]) -> Result<Redacted<Vec<u8>>, &'static str> {
    use base64::Engine as _;
    let text = std::str::from_utf8(material).map_err(|_not_text| "is not text")?;
    let (id, secret) = text.split_once(':').ok_or("is not `id:secret`")?;
    if id.is_empty() || secret.is_empty() {
        return Err("has an empty id or secret");
    }
    if text.chars().any(|c| c.is_control()) {
        return Err("has control characters, such as a second line");
    }
    let mut pair = form_encoded(id);
    pair.push(':');
    pair.push_str(&form_encoded(secret));
    let pair = Redacted::new(pair);
    let mut value = b"Basic ".to_vec();
    let encoded = Redacted::new(base64::engine::general_purpose::STANDARD.encode(pair.expose()));
    value.extend_from_slice(encoded.expose().as_bytes());
    Ok(Redacted::new(value))
}

/// The body of the question about `token` (RFC 7662 §2.1).
#[must_use]
pub fn question(token: &Redacted<String>) -> Redacted<Vec<u8>> {
    let mut body = form_encoded(token.expose());
    body.insert_str(0, "token=");
    body.push_str("&token_type_hint=access_token");
    Redacted::new(body.into_bytes())
}

/// One value of `application/x-www-form-urlencoded`.
fn form_encoded(text: &str) -> String {
    // Room for the worst, so that no copy of a secret is left where it grew.
    let mut out = String::with_capacity(text.len().saturating_mul(3).saturating_add(40));
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            _ => {
                out.push('%');
                for half in [byte >> 4, byte & 15] {
                    out.extend(char::from_digit(u32::from(half), 16).map(|digit| digit.to_ascii_uppercase()));
                }
            }
        }
    }
    out
}
