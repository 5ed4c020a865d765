//! Dialect `gemini`: contents generated, whole and streamed as server-sent events, embeddings, and the count of tokens. Every
//! other method of the vendor is refused.

mod answer;
mod content;
mod embed;
mod names;
mod request;
mod stream;
mod system;

use postern_config::Action;
use serde_json::json;

use super::DialectError;
use super::adapter::{self, Adapter, Line, Target};
use crate::Reason;

/// What this dialect can parse. The model stands in the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoint {
    GenerateContent,
    StreamGenerateContent,
    CountTokens,
    EmbedContent,
    BatchEmbedContents,
}

/// Endpoints by their verb: `/v1beta/models/{model}:{verb}`.
const ENDPOINTS: [(&str, Endpoint); 5] = [
    ("generateContent", Endpoint::GenerateContent),
    ("streamGenerateContent", Endpoint::StreamGenerateContent),
    ("countTokens", Endpoint::CountTokens),
    ("embedContent", Endpoint::EmbedContent),
    ("batchEmbedContents", Endpoint::BatchEmbedContents),
];

static GENERATE: Adapter = Adapter {
    writes: true,
    put: Some(system::put),
    action: Action::Chat,
    request: Some(request::generate),
    answer: answer::generated,
    events: None,
};
static STREAM: Adapter = Adapter {
    writes: true,
    put: Some(system::put),
    action: Action::Chat,
    request: Some(request::stream),
    answer: answer::generated,
    events: Some(stream::Candidates::open),
};
static COUNT: Adapter = Adapter {
    writes: false,
    put: None,
    action: Action::Chat,
    request: Some(request::count),
    answer: answer::counted,
    events: None,
};
static EMBED: Adapter = Adapter {
    writes: false,
    put: None,
    action: Action::Embed,
    request: Some(embed::one),
    answer: embed::answer,
    events: None,
};
static BATCH: Adapter = Adapter {
    writes: false,
    put: None,
    action: Action::Embed,
    request: Some(embed::batch),
    answer: embed::answer,
    events: None,
};

impl Endpoint {
    pub(super) fn adapter(self) -> &'static Adapter {
        match self {
            Self::GenerateContent => &GENERATE,
            Self::StreamGenerateContent => &STREAM,
            Self::CountTokens => &COUNT,
            Self::EmbedContent => &EMBED,
            Self::BatchEmbedContents => &BATCH,
        }
    }
}

/// What a request line asks for.
pub(super) fn target(line: Line<'_>) -> Result<Option<Target<'_>>, DialectError> {
    let Some((endpoint, model)) = named(line) else { return Ok(None) };
    let query = line.query.unwrap_or_default();
    match (endpoint, query) {
        (Endpoint::StreamGenerateContent, "alt=sse") => {}
        // Else the answer is an array that grows.
        (Endpoint::StreamGenerateContent, "" | "alt=json") => {
            return Err(DialectError::Unsupported { what: "streamGenerateContent without alt=sse" });
        }
        (_, "" | "alt=json") => {}
        _ => return Err(DialectError::Query),
    }
    Ok(Some(Target { endpoint: adapter::Endpoint::Gemini(endpoint), model: Some(model) }))
}

/// The endpoint and the model in a path. The version at the front may be left out.
fn named(line: Line<'_>) -> Option<(Endpoint, &str)> {
    let (front, last) = line.path.rsplit_once('/')?;
    let (model, verb) = last.split_once(':')?;
    let (_, endpoint) = ENDPOINTS.iter().find(|(known, _)| *known == verb)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let is_name = !model.is_empty() && model.len() <= 256 && model.bytes().all(plain);
    let below = matches!(line.below.strip_suffix(last), Some("/v1beta/models/" | "/v1/models/" | "/models/" | "/"));
    (line.method == "POST" && front.ends_with("/models") && is_name && below).then_some((*endpoint, model))
}

/// Status, content type and body of a refusal, as the vendor's SDKs understand it.
pub(super) fn refusal(reason: Reason, decision_id: &str) -> (u16, &'static str, Vec<u8>) {
    (reason.status(), "application/json", error_object(reason, decision_id))
}

/// `google.rpc.Status`, with the public code in its details.
fn error_object(reason: Reason, decision_id: &str) -> Vec<u8> {
    let status = match reason.status() {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        408 => "DEADLINE_EXCEEDED",
        429 => "RESOURCE_EXHAUSTED",
        500 => "INTERNAL",
        501.. => "UNAVAILABLE",
        _ => "INVALID_ARGUMENT",
    };
    let info = json!({"@type": "type.googleapis.com/google.rpc.ErrorInfo", "domain": "postern",
        "reason": reason.openai_code().to_ascii_uppercase(), "metadata": {"decision": decision_id}});
    let message = format!("{} (decision {decision_id})", reason.title());
    let error = json!({"code": reason.status(), "message": message, "status": status, "details": [info]});
    json!({ "error": error }).to_string().into_bytes()
}

#[cfg(test)]
mod tests;
