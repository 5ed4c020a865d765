//! Dialect `anthropic`: messages, whole and streamed, and the count of their tokens. Every other endpoint of the vendor is
//! refused.

mod answer;
mod block;
mod request;
mod stream;
mod system;
mod tools;

use postern_config::Action;
use serde_json::json;

use super::DialectError;
use super::adapter::{self, Adapter, Line, Target};
use crate::Reason;

/// What this dialect can parse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoint {
    Messages,
    CountTokens,
}

/// Endpoints by method and path.
const ENDPOINTS: [(&str, &str, Endpoint); 2] =
    [("POST", "/v1/messages", Endpoint::Messages), ("POST", "/v1/messages/count_tokens", Endpoint::CountTokens)];

static MESSAGES: Adapter = Adapter {
    writes: true,
    put: Some(system::put),
    action: Action::Chat,
    request: Some(request::messages),
    answer: answer::message,
    events: Some(stream::Blocks::open),
};
static COUNT: Adapter = Adapter {
    writes: false,
    put: None,
    action: Action::Chat,
    request: Some(request::counted),
    answer: answer::count,
    events: None,
};

impl Endpoint {
    pub(super) fn adapter(self) -> &'static Adapter {
        match self {
            Self::Messages => &MESSAGES,
            Self::CountTokens => &COUNT,
        }
    }
}

/// What a request line asks for.
pub(super) fn target(line: Line<'_>) -> Result<Option<Target<'_>>, DialectError> {
    let Some((_, _, endpoint)) = ENDPOINTS.iter().find(|(method, full, _)| line.is(method, full)) else {
        return Ok(None);
    };
    // The vendor's SDKs say so where they are asked for what is still on trial; what that adds to a body is read or refused
    // like the rest.
    if !line.query.is_none_or(|query| matches!(query, "" | "beta=true")) {
        return Err(DialectError::Query);
    }
    Ok(Some(Target { endpoint: adapter::Endpoint::Anthropic(*endpoint), model: None }))
}

/// Status, content type and body of a refusal, as the vendor's SDKs understand it.
pub(super) fn refusal(reason: Reason, decision_id: &str) -> (u16, &'static str, Vec<u8>) {
    (reason.status(), "application/json", error_object(reason, decision_id))
}

fn error_object(reason: Reason, decision_id: &str) -> Vec<u8> {
    let kind = match reason.status() {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    };
    let message = format!("{} (decision {decision_id})", reason.title());
    let error = json!({"type": kind, "message": message});
    json!({"type": "error", "error": error, "request_id": decision_id}).to_string().into_bytes()
}

#[cfg(test)]
mod tests;
