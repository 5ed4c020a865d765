//! What a scanner reports: a place, when it became known, and how sure it is.

use postern_config::WebAttack;

/// Which scanner found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    /// Index into the plan's data detectors.
    Data(usize),
    Hidden,
    Injection,
    Jailbreak,
    Encoded,
    /// Of the whole text.
    Web(WebAttack),
    Canary,
}

/// Positions are bytes of the text as received, from its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hit {
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// How much of the text had to be read to know: the same however the text was cut.
    pub(crate) seen: usize,
    pub(crate) source: Source,
    /// 0–100.
    pub(crate) score: u8,
    /// The end was not reached: it was too far away, or did not come in time.
    pub(crate) open: bool,
    /// Goes on where an open hit stopped.
    pub(crate) tail: bool,
}
