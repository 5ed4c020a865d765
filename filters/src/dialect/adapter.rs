//! What every dialect of a vendor has to say, in one shape: which endpoints it has, and how each is read.

use std::fmt;

use postern_config::{Action, Dialect};

use super::ai::Facts;
use super::body::Found;
use super::stream::Events;
use super::system::Put;
use super::{DialectError, anthropic, gemini, openai};
use crate::Reason;
use crate::json::Value;

/// Collects the texts and facts of a body, or says why it is none of its endpoint.
pub(super) type Walk = fn(Value<'_>, &mut Found, &mut Facts) -> Result<(), DialectError>;

/// How one endpoint is read.
pub(super) struct Adapter {
    pub(super) action: Action,
    /// Whether a model writes the answer, so that it may be longer and shorter.
    pub(super) writes: bool,
    /// How a request is made to say what the operator says; `None` where it has no place for that.
    pub(super) put: Option<Put>,
    /// `None`: requests have no body.
    pub(super) request: Option<Walk>,
    /// Of a success and of an error status.
    pub(super) answer: Walk,
    /// `None`: answers never come as a stream.
    pub(super) events: Option<fn() -> Box<dyn Events>>,
}

/// One endpoint of one vendor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoint {
    OpenAi(openai::Endpoint),
    Anthropic(anthropic::Endpoint),
    Gemini(gemini::Endpoint),
}

/// A request line, as far as it says what is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Line<'r> {
    pub method: &'r str,
    /// Canonical.
    pub path: &'r str,
    /// The path without the route's prefix. What stands between that and the endpoint may name a model
    /// (`/deployments/large/chat/completions`), and the one that is decided on is the body's: so nothing may.
    pub below: &'r str,
    pub query: Option<&'r str>,
}

/// What a request line asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target<'r> {
    pub endpoint: Endpoint,
    /// Where the path names it.
    pub model: Option<&'r str>,
}

impl Line<'_> {
    /// Whether the route's prefix and this endpoint of the vendor's API are all of the path. `/v1` at its front may be
    /// left out.
    pub(super) fn is(&self, method: &str, full: &str) -> bool {
        let short = full.strip_prefix("/v1").unwrap_or(full);
        self.method == method && full.ends_with(self.below) && self.path.ends_with(short)
    }
}

impl Endpoint {
    /// Whether a model writes the answer, so that it may be longer and shorter.
    #[must_use]
    pub fn has_output(self) -> bool {
        self.adapter().writes
    }

    /// Whether a request can say something as the operator.
    #[must_use]
    pub fn has_system_place(self) -> bool {
        self.adapter().put.is_some()
    }

    /// Whether a request tells who said what, one after the other: not a prompt of one text.
    #[must_use]
    pub fn has_turns(self) -> bool {
        self.has_output() && self != Self::OpenAi(openai::Endpoint::Completions)
    }

    /// All that are served.
    pub const ALL: [Self; 13] = [
        Self::OpenAi(openai::Endpoint::ChatCompletions),
        Self::OpenAi(openai::Endpoint::Completions),
        Self::OpenAi(openai::Endpoint::Embeddings),
        Self::OpenAi(openai::Endpoint::Moderations),
        Self::OpenAi(openai::Endpoint::Responses),
        Self::OpenAi(openai::Endpoint::Models),
        Self::Anthropic(anthropic::Endpoint::Messages),
        Self::Anthropic(anthropic::Endpoint::CountTokens),
        Self::Gemini(gemini::Endpoint::GenerateContent),
        Self::Gemini(gemini::Endpoint::StreamGenerateContent),
        Self::Gemini(gemini::Endpoint::CountTokens),
        Self::Gemini(gemini::Endpoint::EmbedContent),
        Self::Gemini(gemini::Endpoint::BatchEmbedContents),
    ];

    /// The endpoint that a request line asks for; `None` for every other path and for dialects without endpoints.
    ///
    /// # Errors
    /// A query that the dialect does not know.
    pub fn target(dialect: Dialect, line: Line<'_>) -> Result<Option<Target<'_>>, DialectError> {
        match dialect {
            Dialect::OpenAi => openai::target(line),
            Dialect::Anthropic => anthropic::target(line),
            Dialect::Gemini => gemini::target(line),
            Dialect::Http => Ok(None),
        }
    }

    #[must_use]
    pub fn dialect(self) -> Dialect {
        match self {
            Self::OpenAi(_) => Dialect::OpenAi,
            Self::Anthropic(_) => Dialect::Anthropic,
            Self::Gemini(_) => Dialect::Gemini,
        }
    }

    #[must_use]
    pub fn action(self) -> Action {
        self.adapter().action
    }

    /// Whether requests have a body.
    #[must_use]
    pub fn takes_body(self) -> bool {
        self.adapter().request.is_some()
    }

    /// Whether answers may come as a stream.
    #[must_use]
    pub fn streams(self) -> bool {
        self.adapter().events.is_some()
    }

    pub(super) fn adapter(self) -> &'static Adapter {
        match self {
            Self::OpenAi(endpoint) => endpoint.adapter(),
            Self::Anthropic(endpoint) => endpoint.adapter(),
            Self::Gemini(endpoint) => endpoint.adapter(),
        }
    }
}

/// The refusal of a request or answer in the shape of its dialect: status, content type and body.
#[must_use]
pub fn refusal(dialect: Dialect, reason: Reason, decision_id: &str) -> (u16, &'static str, Vec<u8>) {
    match dialect {
        Dialect::Http => super::http::refusal(reason, decision_id),
        Dialect::OpenAi => openai::refusal(reason, decision_id),
        Dialect::Anthropic => anthropic::refusal(reason, decision_id),
        Dialect::Gemini => gemini::refusal(reason, decision_id),
    }
}

impl fmt::Debug for Adapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Adapter").field("action", &self.action).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_streams_is_written_by_a_model_and_what_is_written_is_a_chat() {
        for endpoint in Endpoint::ALL {
            let adapter = endpoint.adapter();
            assert!(endpoint.has_output() || adapter.events.is_none(), "{endpoint:?}");
            assert!(!endpoint.has_output() || adapter.action == Action::Chat, "{endpoint:?}");
        }
        assert!(Endpoint::Gemini(gemini::Endpoint::GenerateContent).has_output(), "also where it does not stream");
        assert!(!Endpoint::Anthropic(anthropic::Endpoint::CountTokens).has_output());
    }
}
