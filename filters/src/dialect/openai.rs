//! Dialect `openai`: which endpoints of the vendor are served, and how it says no. Every other endpoint is refused.

mod chat;
mod completions;
mod embeddings;
mod models;
mod moderations;
mod responses;

use serde_json::json;

use super::DialectError;
use super::adapter::{self, Adapter, Line, Target};
use crate::Reason;

/// What this dialect can parse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoint {
    ChatCompletions,
    /// The old one, without roles.
    Completions,
    Embeddings,
    Moderations,
    Responses,
    /// The list, or one of them.
    Models,
}

/// Endpoints by method and path; the first that fits. `/chat/completions` ends like `/completions`, so it comes first.
const ENDPOINTS: [(&str, &str, Endpoint); 5] = [
    ("POST", "/v1/chat/completions", Endpoint::ChatCompletions),
    ("POST", "/v1/completions", Endpoint::Completions),
    ("POST", "/v1/embeddings", Endpoint::Embeddings),
    ("POST", "/v1/moderations", Endpoint::Moderations),
    ("POST", "/v1/responses", Endpoint::Responses),
];

impl Endpoint {
    pub(super) fn adapter(self) -> &'static Adapter {
        match self {
            Self::ChatCompletions => &chat::ADAPTER,
            Self::Completions => &completions::ADAPTER,
            Self::Embeddings => &embeddings::ADAPTER,
            Self::Moderations => &moderations::ADAPTER,
            Self::Responses => &responses::ADAPTER,
            Self::Models => &models::ADAPTER,
        }
    }
}

/// What a request line asks for. Stored completions (`/chat/completions/{id}`) are another endpoint.
pub(super) fn target(line: Line<'_>) -> Result<Option<Target<'_>>, DialectError> {
    let listed = ENDPOINTS.iter().find(|(method, full, _)| line.is(method, full)).map(|(_, _, endpoint)| *endpoint);
    let Some(endpoint) = listed.or_else(|| models::is_asked(line).then_some(Endpoint::Models)) else {
        return Ok(None);
    };
    if !line.query.is_none_or(is_version) {
        return Err(DialectError::Query);
    }
    Ok(Some(Target { endpoint: adapter::Endpoint::OpenAi(endpoint), model: None }))
}

/// `api-version=2026-01-01`, once. Some servers take the model from the query before they look into the body.
fn is_version(query: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    query.is_empty() || query.strip_prefix("api-version=").is_some_and(|version| version.bytes().all(plain))
}

/// Status, content type and body of a refusal, as the vendor's SDKs understand it.
pub(super) fn refusal(reason: Reason, decision_id: &str) -> (u16, &'static str, Vec<u8>) {
    (reason.status(), "application/json", error_object(reason, decision_id))
}

fn error_object(reason: Reason, decision_id: &str) -> Vec<u8> {
    let message = format!("{} (decision {decision_id})", reason.title());
    let error = json!({"message": message, "type": reason.openai_type(), "param": null, "code": reason.openai_code()});
    json!({ "error": error }).to_string().into_bytes()
}

#[cfg(test)]
mod tests;
