//! Certificates whose revocation no current list tells. They are refused, but for an exception, which ends.

use std::sync::atomic::{AtomicU64, Ordering};

use postern_config::Waived;
use rustls::{CertificateError, Error};
use rustls_pki_types::UnixTime;

/// What is let pass for a time, and how often it was.
#[derive(Debug)]
pub(crate) struct Unknown {
    waived: Waived,
    /// A file of lists is not there, so that nothing is known of anybody.
    lists_missing: bool,
    passed: AtomicU64,
}

impl Unknown {
    pub(crate) fn new(waived: Waived, lists_missing: bool) -> Self {
        Self { waived, lists_missing, passed: AtomicU64::new(0) }
    }

    pub(crate) fn count(&self) {
        self.passed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn passed(&self) -> u64 {
        self.passed.load(Ordering::Relaxed)
    }

    fn allows(&self, now: UnixTime) -> bool {
        !self.waived.has_ended(i64::try_from(now.as_secs()).unwrap_or(i64::MAX).saturating_mul(1000))
    }
}

/// Asks `strict`, which refuses what no current list covers; and `lenient`, which refuses only what a list revokes, where
/// that was all and an exception allows it. True where the answer hung on the exception.
pub(crate) fn judge(
    unknown: Option<&Unknown>,
    now: UnixTime,
    strict: impl FnOnce() -> Result<(), Error>,
    lenient: impl FnOnce() -> Result<(), Error>,
) -> Result<bool, Error> {
    // Without its lists the strict one would have nothing to ask for.
    let missing = unknown.is_some_and(|unknown| unknown.lists_missing);
    let known =
        if missing { Err(Error::InvalidCertificate(CertificateError::UnknownRevocationStatus)) } else { strict() };
    match known {
        Err(error) if is_unknown(&error) && unknown.is_some_and(|unknown| unknown.allows(now)) => {
            lenient().map(|()| true)
        }
        known => known.map(|()| false),
    }
}

fn is_unknown(error: &Error) -> bool {
    use CertificateError::{ExpiredRevocationList, ExpiredRevocationListContext, UnknownRevocationStatus};
    matches!(
        error,
        Error::InvalidCertificate(
            UnknownRevocationStatus | ExpiredRevocationList | ExpiredRevocationListContext { .. }
        )
    )
}
