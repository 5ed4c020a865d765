//! One line of the tour.

use std::time::Duration;

use serde::Serialize;

/// What was sent and what came of it. `outcome` and `expected` are written alike: they differ where the demo failed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) sent: &'static str,
    /// What the caller saw, and what the upstream did.
    pub(super) outcome: String,
    /// Why: from the audit record where there is one, else from what was seen.
    pub(super) reason: String,
    pub(super) expected: &'static str,
    /// From the first byte of the handshake to the last of the answer, to a tenth.
    pub(super) millis: f64,
    /// Of a refusal: where its audit record is found.
    #[serde(skip)]
    pub(super) decision: Option<String>,
}

impl Row {
    pub(super) fn is_as_expected(&self) -> bool {
        self.outcome == self.expected
    }
}

/// Milliseconds, to a tenth.
pub(super) fn millis(took: Duration) -> f64 {
    (took.as_secs_f64() * 10_000.0).round() / 10.0
}
