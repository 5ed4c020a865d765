//! Dialects: where each text of a message is, who said it, and how a refusal is spelled so that the caller understands.
//!
//! A dialect parses a whole body into a [`Message`] or refuses it; streams have their own reader per dialect. Every text
//! that a model or a tool can read is a part. What a dialect does not know it refuses: closed until opened.
//!
//! A dialect of a vendor is one folder and one variant of [`Endpoint`]. It says which endpoints it has, how it refuses, and
//! for each endpoint gives an adapter (`adapter.rs`): what the request, the answer and the events of a stream look like.

mod adapter;
mod ai;
pub mod anthropic;
mod body;
mod embedded;
mod fields;
pub mod gemini;
pub mod http;
pub mod openai;
mod part;
mod revise;
pub mod sse;
mod stream;
mod system;
#[cfg(test)]
mod testing;

use std::fmt;

use bytes::Bytes;

pub use adapter::{Endpoint, Line, Target, refusal};
pub use ai::{AiMessage, Facts, Usage};
pub(crate) use body::{Call, Choice, Input, Offer};
pub use part::{MessagePart, Text};
pub use stream::{EventStream, StreamLimits, StreamOut};
pub use system::{Marks, SystemTexts};

use crate::json::{EditError, JsonError, JsonErrorKind};
use crate::{ContentFinding, Edit, Reason, TextGuards};

/// A parsed message of any dialect: its texts, and how to write it back with some of them changed. Owns its bytes.
pub trait Message: Send + Sync + fmt::Debug {
    /// Every text, in the order of the body.
    fn parts(&self) -> &[MessagePart];

    /// What the message carries that cannot be read, such as `image_url`. The caller refuses it unless told otherwise.
    fn opaque(&self) -> Option<&'static str>;

    /// The body with edits applied: pairs of an index into [`Message::parts`] and edits of that text. What the dialect
    /// strips is gone even without edits.
    ///
    /// # Errors
    /// [`DialectError::Fixed`] for an edit of a text that has no other spelling, such as the name of a tool.
    fn rewrite(&self, edits: &[(usize, Vec<Edit>)]) -> Result<Bytes, DialectError>;

    fn model(&self) -> Option<&str> {
        None
    }

    /// Whether the message asks for a stream.
    fn stream(&self) -> bool {
        false
    }
}

/// What all guards said of all parts of a message.
#[derive(Debug, Default)]
pub struct Judged {
    /// For [`Message::rewrite`].
    pub edits: Vec<(usize, Vec<Edit>)>,
    pub findings: Vec<ContentFinding>,
    /// Nothing of the message may pass.
    pub blocked: bool,
}

/// Shows every part to the guards. Goes on after a block, so that the record names all findings.
#[must_use]
pub fn judge(message: &dyn Message, guards: &dyn TextGuards) -> Judged {
    let mut judged = Judged::default();
    for (index, part) in message.parts().iter().enumerate() {
        let judgement = guards.judge(part.part, part.text.as_str());
        judged.blocked |= judgement.blocked;
        judged.findings.extend(judgement.findings);
        if !judgement.edits.is_empty() {
            judged.edits.push((index, judgement.edits));
        }
    }
    judged
}

/// Why a message is not one of its dialect. Carries nothing of the message but places.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DialectError {
    #[error("not strict JSON: {0}")]
    Json(#[from] JsonError),
    #[error("`{within}` has a field that is not known, at byte {offset}")]
    UnknownField { within: &'static str, offset: usize },
    #[error("`{what}` does not have the expected shape, at byte {offset}")]
    Shape { what: &'static str, offset: usize },
    #[error("`{what}` is missing")]
    Missing { what: &'static str },
    #[error("`{what}` is not supported through this proxy")]
    Unsupported { what: &'static str },
    #[error("more `{what}` than allowed")]
    TooMany { what: &'static str },
    /// JSON inside a string that has escapes and does not parse: what they hide cannot be seen.
    #[error("`{what}` has escapes that cannot be read, at byte {offset}")]
    Unreadable { what: &'static str, offset: usize },
    #[error("a finding in a text that cannot be rewritten")]
    Fixed,
    #[error("media type or charset is not one that is inspected")]
    MediaType,
    #[error("not valid UTF-8, or an invalid percent escape, at byte {offset}")]
    Encoding { offset: usize },
    #[error("a query that this dialect does not know")]
    Query,
    #[error("cannot rewrite: {0}")]
    Edit(#[from] EditError),
}

impl DialectError {
    /// The public reason when the message is a request. A bad answer is always [`Reason::AnswerRefused`].
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::Json(JsonError { kind: JsonErrorKind::TooLarge, .. }) => Reason::TooLarge,
            Self::MediaType => Reason::UnsupportedContent,
            Self::Fixed | Self::Edit(_) => Reason::ContentRefused,
            Self::Json(_)
            | Self::UnknownField { .. }
            | Self::Shape { .. }
            | Self::Missing { .. }
            | Self::Unsupported { .. }
            | Self::TooMany { .. }
            | Self::Unreadable { .. }
            | Self::Query
            | Self::Encoding { .. } => Reason::Malformed,
        }
    }
}
