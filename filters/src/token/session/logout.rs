//! Logout tokens of a back channel (OpenID Connect Back-Channel Logout 1.0 §2.4, §2.6).

use super::super::claims::Claims;
use super::super::verifier::seconds;
use super::super::{Excerpt, JwtVerifier, TokenError, jws};

/// The one event of a logout token.
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// Longest time that a logout token is taken after it was made.
const MAX_AGE: i64 = 300;

/// Whom the issuer logged out. `sid` alone ends one session, `sub` alone all of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogoutToken {
    pub(super) issuer: String,
    pub(super) id: String,
    pub(super) subject: Option<String>,
    pub(super) sid: Option<String>,
    /// Unix seconds after which it is not taken.
    pub(super) good_until: i64,
}

impl LogoutToken {
    /// Checks `token`, which has to be for `client`. Its type has to be `logout+jwt`: §2.4 recommends it, and without it an
    /// id token could be taken for one.
    ///
    /// # Errors
    /// [`TokenError`]
    pub fn verify(verifier: &JwtVerifier, client: &str, token: &str, now: i64) -> Result<Self, TokenError> {
        let (payload, typ) = verifier.open(token, now)?;
        let typ = typ.as_deref().ok_or(TokenError::HeaderText("typ"))?;
        if !typ.eq_ignore_ascii_case("logout+jwt") && !typ.eq_ignore_ascii_case("application/logout+jwt") {
            return Err(TokenError::TokenType(Excerpt::of(typ)));
        }
        let claims = Claims::new(jws::claims(&payload)?);
        if claims.required_text("iss")? != verifier.issuer() {
            return Err(TokenError::Issuer(verifier.issuer().to_owned()));
        }
        if !claims.one_or_more("aud")?.iter().any(|audience| audience == client) {
            return Err(TokenError::Audience);
        }
        let skew = seconds(verifier.settings().1.clock_skew);
        let issued_at = claims.required_time("iat")?;
        let expires_at = claims.required_time("exp")?;
        if now < issued_at.saturating_sub(skew) {
            return Err(TokenError::IssuedInFuture(issued_at));
        }
        let good_until = expires_at.min(issued_at.saturating_add(MAX_AGE)).saturating_add(skew);
        if now >= good_until {
            return Err(TokenError::Expired(expires_at));
        }
        let event = claims.get("events").and_then(|events| events.as_object()?.get(EVENT)?.as_object());
        if event.is_none() {
            return Err(TokenError::claim("events", "does not say that somebody was logged out"));
        }
        // §2.4: so that a logout token cannot pass as an id token.
        if claims.get("nonce").is_some() {
            return Err(TokenError::claim("nonce", "does not belong into a logout token"));
        }
        let (subject, sid) = (claims.text("sub")?.map(str::to_owned), claims.text("sid")?.map(str::to_owned));
        if subject.is_none() && sid.is_none() {
            return Err(TokenError::claim("sub", "is missing, and so is `sid`"));
        }
        let id = claims.required_text("jti")?.to_owned();
        Ok(Self { issuer: verifier.issuer().to_owned(), id, subject, sid, good_until })
    }
}
