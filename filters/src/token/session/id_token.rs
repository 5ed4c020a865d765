//! Id tokens as they come from the token endpoint (OpenID Connect Core 1.0 §3.1.3.7).

use aws_lc_rs::constant_time::verify_slices_are_equal;
use serde_json::{Map, Value};

use super::super::claims::Claims;
use super::super::verifier::seconds;
use super::super::{Excerpt, JwtVerifier, TokenError, jws, strict};

/// Checks `token`, made for `client` and for the login of `nonce`, and returns its claims.
///
/// The type may be absent or `JWT`: an access token (`at+jwt`) or a logout token is not an id token.
pub(super) fn verify(
    verifier: &JwtVerifier,
    client: &str,
    nonce: &str,
    token: &str,
    now: i64,
) -> Result<Map<String, Value>, TokenError> {
    let (payload, typ) = verifier.open(token, now)?;
    if let Some(typ) = typ.as_deref().filter(|typ| !typ.eq_ignore_ascii_case("jwt")) {
        return Err(TokenError::TokenType(Excerpt::of(typ)));
    }
    let read = jws::claims(&payload)?;
    let claims = Claims::new(read.clone());
    if claims.required_text("iss")? != verifier.issuer() {
        return Err(TokenError::Issuer(verifier.issuer().to_owned()));
    }
    // §3.1.3.7 (3): more audiences than us would have to be trusted by us, and none is.
    if claims.one_or_more("aud")? != [client] || claims.text("azp")?.is_some_and(|azp| azp != client) {
        return Err(TokenError::Audience);
    }
    let skew = seconds(verifier.settings().1.clock_skew);
    let (issued_at, expires_at) = (claims.required_time("iat")?, claims.required_time("exp")?);
    if now >= expires_at.saturating_add(skew) {
        return Err(TokenError::Expired(expires_at));
    }
    if now < issued_at.saturating_sub(skew) {
        return Err(TokenError::IssuedInFuture(issued_at));
    }
    let said = claims.required_text("nonce")?;
    if verify_slices_are_equal(said.as_bytes(), nonce.as_bytes()).is_err() {
        return Err(TokenError::claim("nonce", "is of another login"));
    }
    claims.required_text("sub")?;
    Ok(read)
}

/// The id token in the answer of a token endpoint (OpenID Connect Core 1.0 §3.1.3.3). What else it gives, we have no use for.
#[must_use]
pub fn of_answer(body: &[u8]) -> Option<String> {
    let answer = strict::object(body).ok()?;
    answer.get("id_token")?.as_str().map(str::to_owned)
}
