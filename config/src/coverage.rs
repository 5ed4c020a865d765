//! The coverage matrix: which guard sees which message part, in which direction, buffered and streamed.
//!
//! It is computed at load from the effective policy and from what each dialect can show (its capability table). The
//! data path notes the guards that really ran in every audit record; a test holds the two against each other.

use crate::{Direction, Part};

/// A fixed place in the chain, in the order of execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    Frame,
    Origin,
    Identify,
    Rate,
    Parse,
    Authorize,
    /// Content of the request.
    Inspect,
    /// Content of the answer.
    Answer,
}

/// One row of the matrix.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Guard {
    /// As records name it: `frame`, `identify`, `limit/per-user`, `data/never-cards`, `runtime/indirect`.
    pub name: String,
    /// `DataProtectionPolicy/default/assistant-dlp`, or `built-in`.
    pub owner: String,
    pub stage: Stage,
    pub direction: Direction,
    /// Parts it reads, sorted; empty where it reads heads only.
    pub parts: Vec<Part>,
    /// Runs on a message that is read whole.
    pub buffered: bool,
    /// Runs on a stream.
    pub streamed: bool,
}

/// The matrix of one route.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Sorted by stage, direction and name.
    pub guards: Vec<Guard>,
}

impl Coverage {
    /// Names of the guards that must have run on a message that passed.
    #[must_use]
    pub fn expected(&self, direction: Direction, streamed: bool) -> Vec<&str> {
        self.guards
            .iter()
            .filter(|g| g.direction == direction && if streamed { g.streamed } else { g.buffered })
            .map(|g| g.name.as_str())
            .collect()
    }
}
