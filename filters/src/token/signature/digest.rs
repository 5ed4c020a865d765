//! Whether a body is the one that was signed (RFC 9530 §2).

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{self, Algorithm};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName};

use super::SignatureProblem;
use super::input::{INPUT, Lines, joined};
use crate::structured::{Bare, Member, dictionary};

const DIGEST: HeaderName = HeaderName::from_static("content-digest");

/// Its name among what is covered.
pub(super) const COMPONENT: &str = "content-digest";

/// Algorithms that a body is compared by; others are passed over (RFC 9530 §2), and one of these has to be there.
const ALGORITHMS: [(&str, &Algorithm); 2] = [("sha-256", &digest::SHA256), ("sha-512", &digest::SHA512)];

/// Checks `body`, which came with `headers`, whose signature holds. Where there is no signature, nothing is said of the body.
///
/// # Errors
/// [`SignatureProblem::Uncovered`] for a body that the signature says nothing of, [`SignatureProblem::Digest`] and
/// [`SignatureProblem::Body`] for one of which it says something else.
pub fn check_body(headers: &HeaderMap, body: &[u8]) -> Result<(), SignatureProblem> {
    if !headers.contains_key(INPUT) {
        return Ok(());
    }
    let lines = Lines::of(headers)?;
    if !lines.sole()?.covers(COMPONENT) {
        return if body.is_empty() { Ok(()) } else { Err(SignatureProblem::Uncovered(COMPONENT.to_owned())) };
    }
    let text = joined(headers, &DIGEST).ok_or(SignatureProblem::Digest)?;
    let written = dictionary(&text).map_err(|_malformed| SignatureProblem::Digest)?;
    let mut compared = false;
    for (name, algorithm) in ALGORITHMS {
        let Some((_, member)) = written.iter().find(|(key, _)| *key == name) else { continue };
        let Member::Item(item) = member else { return Err(SignatureProblem::Digest) };
        let (Bare::Bytes(base64), true) = (item.value, item.parameters.is_empty()) else {
            return Err(SignatureProblem::Digest);
        };
        let want = STANDARD.decode(base64).map_err(|_source| SignatureProblem::Digest)?;
        let have = digest::digest(algorithm, body);
        verify_slices_are_equal(&want, have.as_ref()).map_err(|_differ| SignatureProblem::Body)?;
        compared = true;
    }
    if compared { Ok(()) } else { Err(SignatureProblem::Digest) }
}
