//! Nonces for proofs (RFC 9449 §8): what a proof made ahead of its time cannot have.
//!
//! A nonce is that of a span of time, by a key that this process drew at its start: nothing is remembered. That of the span before is
//! good as well, so that one is good for at least as long as a proof is. Another process has another key, and tells its own.

use std::sync::LazyLock;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Seconds of a span.
const SPAN: i64 = 120;

/// Bytes of a nonce.
const LENGTH: usize = 16;

/// `None` where the system has no random bytes: then no nonce is good.
static KEY: LazyLock<Option<hmac::Key>> =
    LazyLock::new(|| hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).ok());

/// The nonce of `now` (Unix seconds).
pub(crate) fn current(now: i64) -> Option<String> {
    of_span(now.div_euclid(SPAN)).map(|nonce| URL_SAFE_NO_PAD.encode(nonce))
}

/// Whether `text` is the nonce of `now`, or of the span before.
pub(super) fn is_good(text: &str, now: i64) -> bool {
    let Ok(given) = URL_SAFE_NO_PAD.decode(text) else { return false };
    let span = now.div_euclid(SPAN);
    let is_of = |span| of_span(span).is_some_and(|nonce| verify_slices_are_equal(&nonce, &given).is_ok());
    is_of(span) | is_of(span.saturating_sub(1))
}

fn of_span(span: i64) -> Option<Vec<u8>> {
    let tag = hmac::sign(KEY.as_ref()?, &span.to_be_bytes());
    tag.as_ref().get(..LENGTH).map(<[u8]>::to_vec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_good_in_its_span_and_the_next() {
        let now = 1_700_000_000 - 1_700_000_000 % SPAN;
        let nonce = current(now).unwrap();
        assert_eq!(current(now + SPAN - 1), Some(nonce.clone()));
        for (at, want) in
            [(now - 1, false), (now, true), (now + SPAN, true), (now + 2 * SPAN - 1, true), (now + 2 * SPAN, false)]
        {
            assert_eq!(is_good(&nonce, at), want, "{}", at - now);
        }
        for other in ["", "AAAA", &nonce[1..], &format!("{nonce}A"), &format!("{nonce}=")] {
            assert!(!is_good(other, now), "{other}");
        }
    }
}
