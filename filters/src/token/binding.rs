//! What binds a token to its sender: the confirmation claim (RFC 7800) with a certificate digest (RFC 8705 §3.1).

use aws_lc_rs::constant_time::verify_slices_are_equal;
use postern_config::SenderConstraint;
use serde_json::Value;

use super::claims::Claims;
use super::{Excerpt, TokenError, jws};

const DIGEST: &str = "x5t#S256";

/// Reads `cnf`. It must hold `x5t#S256` and nothing else: a binding that cannot be checked is not thereby absent, and a
/// token that carries one was not meant to be used without it.
pub(super) fn read(claims: &Claims) -> Result<Option<[u8; 32]>, TokenError> {
    let Some(cnf) = claims.get("cnf") else { return Ok(None) };
    let members = cnf.as_object().ok_or_else(|| TokenError::claim("cnf", "is not an object"))?;
    if let Some(other) = members.keys().find(|name| *name != DIGEST) {
        return Err(TokenError::UnknownBinding(Excerpt::of(other)));
    }
    let malformed = || TokenError::claim("cnf", "does not hold a certificate digest");
    let text = members.get(DIGEST).and_then(Value::as_str).ok_or_else(malformed)?;
    let digest = jws::decode(text.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
    digest.map(Some).ok_or_else(malformed)
}

/// Whether the sender is the one a token is bound to. `leaf_sha256` is the digest of the client certificate of this
/// connection. A bound token must match even where the provider does not demand a binding.
pub(super) fn check(
    provider: &str,
    constraint: SenderConstraint,
    bound_to: Option<&[u8; 32]>,
    leaf_sha256: Option<&[u8; 32]>,
) -> Result<(), TokenError> {
    match (constraint, bound_to, leaf_sha256) {
        (SenderConstraint::None, None, _) => Ok(()),
        (SenderConstraint::Any | SenderConstraint::Mtls, None, _) => Err(TokenError::NotBound(provider.to_owned())),
        (_, Some(_), None) => Err(TokenError::OtherSender),
        (_, Some(want), Some(leaf)) => verify_slices_are_equal(want, leaf).map_err(|_differ| TokenError::OtherSender),
    }
}
