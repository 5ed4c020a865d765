//! Dialect `http`: bodies of textual media types, and refusals as problem details (RFC 9457).

mod body;
mod form;
mod multipart;

pub(crate) use body::keeps_charset;
pub use body::{HttpBody, media_type};

use serde_json::json;

use crate::Reason;

/// Status, content type and body of a refusal (RFC 9457 §3). `type` names the public code, `decision` the record.
#[must_use]
pub fn refusal(reason: Reason, decision_id: &str) -> (u16, &'static str, Vec<u8>) {
    let problem = json!({
        "type": format!("urn:postern:refusal:{}", reason.openai_code()),
        "title": reason.title(),
        "status": reason.status(),
        "decision": decision_id,
    });
    (reason.status(), "application/problem+json", problem.to_string().into_bytes())
}

#[cfg(test)]
mod tests;
