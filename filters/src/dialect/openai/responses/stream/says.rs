//! The texts that come in deltas, and where they stand.

use postern_config::Part;

/// A text of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) item: u32,
    /// Piece of content, or of a summary.
    pub(super) piece: u32,
    pub(super) says: Says,
}

/// What kind of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Says {
    Text,
    Refusal,
    Reasoning,
    Summary,
}

impl Says {
    pub(super) const ALL: [Self; 4] = [Self::Text, Self::Refusal, Self::Reasoning, Self::Summary];

    /// The event with more of it.
    pub(super) fn delta(self) -> &'static str {
        match self {
            Self::Text => "response.output_text.delta",
            Self::Refusal => "response.refusal.delta",
            Self::Reasoning => "response.reasoning_text.delta",
            Self::Summary => "response.reasoning_summary_text.delta",
        }
    }

    /// The event at its end, which says it again.
    pub(super) fn done(self) -> &'static str {
        match self {
            Self::Text => "response.output_text.done",
            Self::Refusal => "response.refusal.done",
            Self::Reasoning => "response.reasoning_text.done",
            Self::Summary => "response.reasoning_summary_text.done",
        }
    }

    /// The field of that event.
    pub(super) fn field(self) -> &'static str {
        match self {
            Self::Refusal => "refusal",
            Self::Text | Self::Reasoning | Self::Summary => "text",
        }
    }

    /// The field that numbers the pieces.
    pub(super) fn index(self) -> &'static str {
        match self {
            Self::Summary => "summary_index",
            Self::Text | Self::Refusal | Self::Reasoning => "content_index",
        }
    }

    pub(super) fn part(self) -> Part {
        match self {
            Self::Text | Self::Refusal => Part::Assistant,
            Self::Reasoning | Self::Summary => Part::Reasoning,
        }
    }
}
