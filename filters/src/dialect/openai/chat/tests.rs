use std::sync::Arc;

use postern_config::{Dialect, Part};

use crate::dialect::testing::{self, SECRET, events, rewritten, texts};
use crate::dialect::{
    AiMessage, DialectError, Endpoint, EventStream, Line, Message, StreamLimits, StreamOut, Usage, openai, refusal,
};

use crate::{Judgement, Reason, TextGuard, TextGuards, TextStep};

mod buffered;
mod properties;
mod requests;
mod streams;

const CHAT: Endpoint = Endpoint::OpenAi(openai::Endpoint::ChatCompletions);

fn request(body: &str) -> Result<AiMessage, DialectError> {
    testing::request(CHAT, body)
}

fn answer(body: &str) -> Result<AiMessage, DialectError> {
    testing::answer(CHAT, body)
}

#[test]
fn only_the_path_of_chat_completions_is_theirs() {
    for (method, path, want) in [
        ("POST", "/v1/chat/completions", true),
        ("POST", "/chat/completions", true),
        ("GET", "/v1/chat/completions", false),
        ("POST", "/v1/chat/completions/", false),
        ("POST", "/v1/chat/completions/abc", false),
        ("POST", "/v1/chat/completionsx", false),
        ("POST", "/v1/xchat/completions", false),
        ("POST", "", false),
    ] {
        let line = Line { method, path, below: path, query: None };
        let got = Endpoint::target(Dialect::OpenAi, line).unwrap().map(|target| target.endpoint);
        assert_eq!(got == Some(CHAT), want, "{method} {path}");
    }
}

#[test]
fn refusals_are_the_vendors_error_object() {
    for (reason, status, kind, code) in [
        (Reason::CredentialMissing, 401, "authentication_error", "invalid_credential"),
        (Reason::NotPermitted, 403, "permission_error", "policy_denied"),
        (Reason::OtherTenant, 403, "permission_error", "policy_denied"),
        (Reason::ContentRefused, 403, "permission_error", "content_refused"),
        (Reason::AnswerRefused, 403, "permission_error", "answer_refused"),
        (Reason::OverLimit, 429, "rate_limit_error", "rate_limit_exceeded"),
        (Reason::TooLarge, 413, "invalid_request_error", "too_large"),
        (Reason::Undecided, 503, "service_unavailable", "undecided"),
    ] {
        let (got, content_type, body) = refusal(Dialect::OpenAi, reason, "0192-\"id");
        assert_eq!((got, content_type), (status, "application/json"));
        let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(json["error"]["type"], kind, "{reason:?}");
        assert_eq!(json["error"]["code"], code, "{reason:?}");
        assert!(json["error"]["param"].is_null());
        assert!(json["error"]["message"].as_str().unwrap().contains("0192-\"id"));
        let event = streams::stream().error_event(reason, "0192-\"id");
        assert_eq!(event, [b"data: ", body.as_slice(), b"\n\n"].concat());
    }
    assert_eq!(
        refusal(Dialect::OpenAi, Reason::NotPermitted, "d").2,
        refusal(Dialect::OpenAi, Reason::OtherTenant, "d").2,
        "absent and forbidden look alike"
    );
}
