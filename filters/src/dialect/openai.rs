//! Dialect `openai`: chat completions, buffered and streamed. Every other endpoint of the vendor is refused.

mod answer;
mod message;
mod request;
mod stream;
mod tables;

pub use answer::{ChatAnswer, Usage};
pub use request::{ChatLimits, ChatRequest, ToolChoice};
pub use stream::{ChatStream, StreamLimits, StreamOut};

use serde_json::json;

use crate::Reason;

/// What this dialect can parse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoint {
    ChatCompletions,
}

/// The endpoint behind a method and a canonical path without query; `None` is refused. The path may still carry the
/// route's prefix: `/v1/chat/completions`, or only `/chat/completions`. Stored completions
/// (`/chat/completions/{id}`) are another endpoint.
#[must_use]
pub fn endpoint(method: &str, path: &str) -> Option<Endpoint> {
    (method == "POST" && path.ends_with("/chat/completions")).then_some(Endpoint::ChatCompletions)
}

/// Status, content type and body of a refusal, as the vendor's SDKs understand it.
#[must_use]
pub fn refusal(reason: Reason, decision_id: &str) -> (u16, &'static str, Vec<u8>) {
    (reason.status(), "application/json", error_object(reason, decision_id))
}

/// The last event of a stream that is cut. The vendor's Python SDK raises `APIError` on it; it is not followed by
/// `[DONE]`, so that no client takes what came before for a whole answer.
#[must_use]
pub fn stream_error(reason: Reason, decision_id: &str) -> Vec<u8> {
    let mut event = b"data: ".to_vec();
    event.extend(error_object(reason, decision_id));
    event.extend(b"\n\n");
    event
}

fn error_object(reason: Reason, decision_id: &str) -> Vec<u8> {
    let message = format!("{} (decision {decision_id})", reason.title());
    let error = json!({"message": message, "type": reason.openai_type(), "param": null, "code": reason.openai_code()});
    json!({ "error": error }).to_string().into_bytes()
}

#[cfg(test)]
mod tests;
