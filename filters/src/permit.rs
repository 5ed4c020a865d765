//! Proof that the whole chain said yes.

use bytes::Bytes;

use crate::Need;

/// How far a message has come.
#[derive(Debug)]
pub enum Checked {
    /// What may be sent: the permit, and the body as the guards left it.
    Passed(Permit, Bytes),
    /// It goes on once [`crate::Context::supply`] has what it needs.
    Waits(Need),
}

/// Only [`crate::Chain`] makes one, only after every stage passed; reaching an upstream consumes it.
#[derive(Debug)]
#[must_use = "a permit that is not spent is a request that was allowed and never sent"]
pub struct Permit {
    inspects_answer: bool,
    streams: bool,
}

impl Permit {
    pub(crate) fn grant(inspects_answer: bool, streams: bool) -> Self {
        Self { inspects_answer, streams }
    }

    /// Whether the answer will be read by guards, so that it must come in a form we can read.
    #[must_use]
    pub fn inspects_answer(&self) -> bool {
        self.inspects_answer
    }

    /// Whether the caller asked for a stream.
    #[must_use]
    pub fn streams(&self) -> bool {
        self.streams
    }
}
