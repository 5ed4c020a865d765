use postern_config::{Dialect, Part};
use serde_json::json;

use crate::Reason;
use crate::dialect::testing::{self, named, rewritten, texts};
use crate::dialect::{AiMessage, DialectError, Endpoint, Line, Message as _, StreamOut, Usage, anthropic, refusal};

mod answers;
mod requests;
mod streams;

const MESSAGES: Endpoint = Endpoint::Anthropic(anthropic::Endpoint::Messages);
const COUNT: Endpoint = Endpoint::Anthropic(anthropic::Endpoint::CountTokens);

#[test]
fn only_messages_and_their_count_are_endpoints() {
    for (method, path, query, want) in [
        ("POST", "/v1/messages", None, Ok(Some(MESSAGES))),
        ("POST", "/messages", None, Ok(Some(MESSAGES))),
        ("POST", "/v1/messages", Some("beta=true"), Ok(Some(MESSAGES))),
        ("POST", "/v1/messages", Some("model=large"), Err(DialectError::Query)),
        ("POST", "/v1/messages/count_tokens", None, Ok(Some(COUNT))),
        ("GET", "/v1/messages", None, Ok(None)),
        ("POST", "/v1/messages/", None, Ok(None)),
        ("POST", "/v1/messages/batches", None, Ok(None)),
        ("POST", "/v1/files", None, Ok(None)),
        ("GET", "/v1/models", None, Ok(None)),
        ("POST", "/v1/complete", None, Ok(None)),
        ("POST", "/v1/chat/completions", None, Ok(None)),
        ("POST", "", None, Ok(None)),
    ] {
        let line = Line { method, path, below: path, query };
        let got = Endpoint::target(Dialect::Anthropic, line).map(|target| target.map(|target| target.endpoint));
        assert_eq!(got, want, "{method} {path}");
    }
}

#[test]
fn refusals_are_the_vendors_error_object() {
    for (reason, status, kind) in [
        (Reason::CredentialMissing, 401, "authentication_error"),
        (Reason::NotPermitted, 403, "permission_error"),
        (Reason::ContentRefused, 403, "permission_error"),
        (Reason::AnswerRefused, 403, "permission_error"),
        (Reason::OverLimit, 429, "rate_limit_error"),
        (Reason::TooLarge, 413, "request_too_large"),
        (Reason::Malformed, 400, "invalid_request_error"),
        (Reason::Undecided, 503, "overloaded_error"),
        (Reason::UpstreamFailed, 502, "api_error"),
    ] {
        let (got, content_type, body) = refusal(Dialect::Anthropic, reason, "0192-\"id");
        assert_eq!((got, content_type), (status, "application/json"));
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((&body["type"], &body["error"]["type"]), (&json!("error"), &json!(kind)), "{reason:?}");
        assert_eq!(body["request_id"], "0192-\"id");
        assert!(body["error"]["message"].as_str().unwrap().contains("0192-\"id"));
    }
}
