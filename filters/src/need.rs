//! What a chain cannot find out by itself. Filters do no I/O: one that needs something from outside says so ([`Flow::Wait`]),
//! and is asked again once whoever runs the chain has supplied an answer.
//!
//! [`Flow::Wait`]: crate::Flow::Wait

use std::sync::Arc;
use std::time::Duration;

use postern_config::{IntrospectionSource, Redacted};

use crate::external::{Failure, Question, Verdict};
use crate::limit::Waited;
use crate::token::{IntrospectionAnswer, KeyRing};

/// Questions of one request. Nothing that is needed takes more; a filter that keeps asking would hold its request for ever.
pub(crate) const MAX_ROUNDS: u8 = 16;

/// What a chain has to know before it can go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    Keys(KeysWanted),
    Introspection(IntrospectionWanted),
    /// A seat, or a moment: what [`crate::Context::take_limits_wait`] has.
    Limits,
    /// What services outside say about the texts of a message; all of them at once.
    External(Vec<Arc<Question>>),
}

/// The answer to a [`Need`] of the same kind. That nobody knows is an answer as well; the filter decides what comes of it.
#[derive(Debug)]
pub enum Given {
    Keys(KeysGiven),
    Introspection(IntrospectionGiven),
    Limits(Waited),
    /// Each question with its answer.
    External(Vec<(Arc<Question>, Result<Verdict, Failure>)>),
}

/// What a question and its answer have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Keys,
    Introspection,
    Limits,
    External,
}

impl Need {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Keys(_) => Kind::Keys,
            Self::Introspection(_) => Kind::Introspection,
            Self::Limits => Kind::Limits,
            Self::External(_) => Kind::External,
        }
    }
}

impl Given {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Keys(_) => Kind::Keys,
            Self::Introspection(_) => Kind::Introspection,
            Self::Limits(_) => Kind::Limits,
            Self::External(_) => Kind::External,
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

/// What the issuer of a token says about it.
#[derive(Debug, Clone)]
pub struct IntrospectionWanted {
    pub source: Arc<IntrospectionSource>,
    pub token: Arc<Redacted<String>>,
    pub token_sha256: [u8; 32],
    /// An answer of so long ago will do.
    pub fresh_for: Duration,
}

impl PartialEq for IntrospectionWanted {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source && self.token_sha256 == other.token_sha256 && self.fresh_for == other.fresh_for
    }
}

impl Eq for IntrospectionWanted {}

/// What came of asking an issuer about a token.
#[derive(Debug)]
pub enum IntrospectionGiven {
    Answer(Arc<IntrospectionAnswer>),
    /// Nothing could be had, and why.
    Away(String),
}
