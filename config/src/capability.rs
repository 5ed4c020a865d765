//! What each dialect can show a guard: which parts occur in which direction, read whole and as a stream. Coverage is
//! judged against these tables, so a policy that could never see anything is found at load.

use crate::{Action, Dialect, Direction, Part, RuntimeDetectorKind};

/// Parts that are read when a message is read whole.
#[must_use]
pub fn parts(dialect: Dialect, direction: Direction) -> &'static [Part] {
    use Part::{
        Assistant, Embedding, HttpBody, HttpHeader, HttpQuery, Reasoning, System, ToolArguments, ToolDefinition,
        ToolResult, User,
    };
    match (dialect, direction) {
        (Dialect::Http, Direction::Request) => &[HttpHeader, HttpQuery, HttpBody],
        (Dialect::Http, Direction::Response) => &[HttpBody],
        (Dialect::OpenAi | Dialect::Gemini, Direction::Request) => {
            &[System, User, Assistant, Reasoning, ToolDefinition, ToolArguments, ToolResult, Embedding]
        }
        (Dialect::Anthropic, Direction::Request) => {
            &[System, User, Assistant, Reasoning, ToolDefinition, ToolArguments, ToolResult]
        }
        (Dialect::OpenAi | Dialect::Anthropic | Dialect::Gemini, Direction::Response) => {
            &[Assistant, Reasoning, ToolArguments]
        }
    }
}

/// Those of [`parts`] that a detector of this kind can look at: what is planted in what a model is told can only come back in
/// what a model says.
#[must_use]
pub fn parts_for(kind: &RuntimeDetectorKind, dialect: Dialect, direction: Direction) -> &'static [Part] {
    match (kind, dialect, direction) {
        (RuntimeDetectorKind::Canary, Dialect::Http, _) | (RuntimeDetectorKind::Canary, _, Direction::Request) => &[],
        _ => parts(dialect, direction),
    }
}

/// Whether messages of this direction may come as a stream that is judged on its way.
#[must_use]
pub fn streams(dialect: Dialect, direction: Direction) -> bool {
    match (dialect, direction) {
        (Dialect::OpenAi | Dialect::Anthropic | Dialect::Gemini, Direction::Response) => true,
        (Dialect::OpenAi | Dialect::Anthropic | Dialect::Gemini, Direction::Request) | (Dialect::Http, _) => false,
    }
}

/// Actions that requests of a dialect can ask for.
#[must_use]
pub fn actions(dialect: Dialect) -> &'static [Action] {
    match dialect {
        Dialect::Http => &[Action::Read, Action::Create, Action::Update, Action::Delete],
        // `read` is for the list of models.
        Dialect::OpenAi => &[Action::Read, Action::Chat, Action::Embed],
        Dialect::Anthropic => &[Action::Chat],
        Dialect::Gemini => &[Action::Chat, Action::Embed],
    }
}

/// Whether requests of a dialect name a model.
#[must_use]
pub fn names_model(dialect: Dialect) -> bool {
    match dialect {
        Dialect::OpenAi | Dialect::Anthropic | Dialect::Gemini => true,
        Dialect::Http => false,
    }
}

/// Whether a part comes from outside the conversation: nobody the operator trusts wrote it.
#[must_use]
pub fn is_untrusted(part: Part) -> bool {
    matches!(part, Part::ToolResult | Part::Resource | Part::AgentMessage)
}
