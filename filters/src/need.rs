//! What a chain cannot find out by itself. Filters do no I/O: one that needs something from outside says so ([`Flow::Wait`]),
//! and is asked again once whoever runs the chain has supplied an answer.
//!
//! [`Flow::Wait`]: crate::Flow::Wait

use std::sync::Arc;

use crate::token::KeyRing;

/// Questions of one request. Nothing that is needed takes more; a filter that keeps asking would hold its request for ever.
pub(crate) const MAX_ROUNDS: u8 = 6;

/// What a chain has to know before it can go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    Keys(KeysWanted),
}

/// The answer to a [`Need`] of the same kind. That nobody knows is an answer as well; the filter decides what comes of it.
#[derive(Debug)]
pub enum Given {
    Keys(KeysGiven),
    #[cfg(test)]
    Other,
}

/// What a question and its answer have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Keys,
    #[cfg(test)]
    Other,
}

impl Need {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Keys(_) => Kind::Keys,
        }
    }
}

impl Given {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Keys(_) => Kind::Keys,
            #[cfg(test)]
            Self::Other => Kind::Other,
        }
    }
}

/// How far a chain has come.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a chain that waits has not passed"]
pub enum Progress {
    Passed,
    /// It goes on where it stands once [`crate::Context::supply`] has what it needs.
    Waits(Need),
}

/// The keys of an issuer, which may have others by now.
#[derive(Debug, Clone)]
pub struct KeysWanted {
    pub ring: Arc<KeyRing>,
    pub why: WhyKeys,
}

/// Why a key ring is not enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhyKeys {
    /// It holds no keys that may be used.
    None,
    /// A token names a key that it does not hold. Whoever sends tokens chooses these names.
    Unknown,
}

impl PartialEq for KeysWanted {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.ring, &other.ring) && self.why == other.why
    }
}

impl Eq for KeysWanted {}

/// What came of asking for keys. The keys themselves are in the ring.
#[derive(Debug)]
pub enum KeysGiven {
    /// The ring holds what the issuer publishes now.
    Current,
    /// Not asked for: it was a short while ago.
    NotAgain,
    /// Nothing could be had, and why.
    Away(String),
}
