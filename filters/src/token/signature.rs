//! Requests that their sender signed (RFC 9421).
//!
//! What is signed is held against the request as it was read: the one spelling of method, host, path and query that policy decides
//! about and that is forwarded. The body comes later; [`check_body`] holds it against the digest that the signature covers, before
//! anything is forwarded.

mod base;
mod digest;
mod input;
mod keys;
mod problem;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use http::HeaderMap;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};

pub use digest::check_body;
pub use keys::{SignatureKeys, SignatureKeysError};
pub use problem::SignatureProblem;

use super::replay::{Replay, Spent};
use super::verifier::seconds;
use super::{Excerpt, TokenError, VerifiedToken, sha256};
use crate::RequestView;
use input::{Input, Lines};

/// Whether `headers` present a signature.
pub(super) fn is_presented(headers: &HeaderMap) -> bool {
    headers.contains_key(input::INPUT) || headers.contains_key(input::SIGNATURE)
}

/// Who signed `req`, by the keys of one of `providers`, at `now` (Unix seconds). `again`: the request was let in before, so that
/// its signature was fresh and is spent.
///
/// # Errors
/// [`TokenError::Signed`] for a signature that does not hold, covers too little, or came before.
pub(super) fn authenticate(
    providers: &[SignatureKeys],
    req: &RequestView<'_>,
    now: i64,
    again: bool,
) -> Result<Arc<VerifiedToken>, TokenError> {
    let lines = Lines::of(req.headers)?;
    let input = lines.sole()?;
    let keys = providers.iter().find(|keys| keys.settings.tag.as_deref() == input.tag).ok_or(SignatureProblem::Tag)?;
    check_covered(&input, &keys.settings.components, req)?;
    if !again {
        keys.check_age(&input, now)?;
    }
    let base = base::base(&input, req)?;
    let holder = keys.signer(&input, &base, now)?;
    if !again {
        // Last: only who holds a key can fill the memory. What was signed and not the signature, which has several spellings.
        let id = sha256(base.as_bytes());
        Replay::of_signatures().spend(&sha256(holder.principal.id().as_bytes()), &id, now).map_err(
            |spent| match spent {
                Spent::Before => SignatureProblem::Replayed,
                Spent::Full => SignatureProblem::Undecided,
            },
        )?;
    }
    Ok(holder)
}

/// What a signature has to cover for the request to be the one that was signed.
fn check_covered(input: &Input<'_>, components: &[String], req: &RequestView<'_>) -> Result<(), SignatureProblem> {
    let wanted = |name: &str| {
        if input.covers(name) { Ok(()) } else { Err(SignatureProblem::Uncovered(name.to_owned())) }
    };
    wanted("@method")?;
    if !input.covers("@target-uri") {
        wanted("@authority")?;
        wanted("@path")?;
        if req.query.is_some() {
            wanted("@query")?;
        }
    }
    for name in components.iter().filter(|name| req.headers.contains_key(name.as_str())) {
        wanted(name)?;
    }
    // The body itself says more when it comes; this one need not be read.
    let announced = req.headers.get(CONTENT_LENGTH).is_some_and(|length| length.as_bytes() != b"0")
        || req.headers.contains_key(TRANSFER_ENCODING);
    if announced { wanted(digest::COMPONENT) } else { Ok(()) }
}

impl SignatureKeys {
    fn check_age(&self, input: &Input<'_>, now: i64) -> Result<(), SignatureProblem> {
        let (max_age, skew) = (seconds(self.settings.max_age), seconds(self.settings.clock_skew));
        let fresh = input.created <= now.saturating_add(skew)
            && now < input.created.saturating_add(max_age).saturating_add(skew)
            && input.expires.is_none_or(|expires| now < expires.saturating_add(skew));
        if fresh { Ok(()) } else { Err(SignatureProblem::Age) }
    }

    /// The holder of the key that signed `base`.
    fn signer(&self, input: &Input<'_>, base: &str, now: i64) -> Result<Arc<VerifiedToken>, TokenError> {
        let unknown = || SignatureProblem::UnknownKey(Excerpt::of(input.key_id), self.provider.clone());
        let key = self.keys.find(Some(input.key_id)).map_err(|_unknown| unknown())?;
        let holder = self.holders.get(input.key_id).ok_or_else(unknown)?;
        let mut of_key = self.settings.algorithms.iter().filter(|algorithm| {
            key.allows(algorithm.of_keys()) && input.algorithm.is_none_or(|named| named == algorithm.as_str())
        });
        // Which one it is has to be clear before the signature is looked at.
        let (Some(algorithm), None) = (of_key.next(), of_key.next()) else {
            return Err(SignatureProblem::Algorithm.into());
        };
        let sound = input.signature.len() == key.signature_len
            && key.verifies(algorithm.of_keys(), base.as_bytes(), &input.signature);
        if !sound {
            return Err(SignatureProblem::Mismatch.into());
        }
        // After the signature: only its holder is told that a key has ended.
        holder.window.check(now).map_err(|_ended| SignatureProblem::KeyEnded(self.provider.clone()))?;
        Ok(Arc::clone(holder))
    }
}
