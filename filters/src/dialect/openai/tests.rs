use std::sync::Arc;

use bytes::Bytes;
use postern_config::{ContentAction, Part};

use super::*;
use crate::dialect::{DialectError, Message, judge};
use crate::json::{Document, Limits};
use crate::{ContentFinding, Edit, Judgement, TextGuard, TextGuards, TextStep};

mod buffered;
mod properties;
mod requests;
mod streams;

/// What the guards of these tests look for, and what blocks.
const SECRET: &str = "SECRET-42";
const POISON: &str = "POISON";

/// Replaces every [`SECRET`] by `[x]`, blocks on [`POISON`]; on streams it holds back what may become one.
#[derive(Debug, Default)]
struct Guards;

fn finding(part: Part, range: std::ops::Range<usize>) -> ContentFinding {
    let (guard, detector) = ("data/test".to_owned(), "test".to_owned());
    ContentFinding { guard, detector, part, action: ContentAction::Redact, score: 100, range }
}

impl TextGuards for Guards {
    fn judge(&self, part: Part, text: &str) -> Judgement {
        let ranges: Vec<_> = text.match_indices(SECRET).map(|(at, hit)| at..at + hit.len()).collect();
        Judgement {
            edits: ranges.iter().map(|range| Edit { range: range.clone(), with: "[x]".into() }).collect(),
            findings: ranges.into_iter().map(|range| finding(part, range)).collect(),
            blocked: text.contains(POISON),
        }
    }

    fn open(&self, part: Part) -> Box<dyn TextGuard> {
        Box::new(Held { part, held: String::new(), at: 0 })
    }
}

#[derive(Debug)]
struct Held {
    part: Part,
    held: String,
    /// Bytes judged before what is held.
    at: usize,
}

impl Held {
    fn release(&mut self, upto: usize) -> TextStep {
        let text: String = self.held.drain(..upto).collect();
        let judged = Guards.judge(self.part, &text);
        self.at += text.len();
        TextStep { release: text.replace(SECRET, "[x]"), findings: judged.findings, blocked: judged.blocked }
    }
}

impl TextGuard for Held {
    fn push(&mut self, text: &str) -> TextStep {
        self.held.push_str(text);
        let open = |word: &str| (1..word.len()).rev().find(|n| self.held.ends_with(&word[..*n])).unwrap_or(0);
        let keep = open(SECRET).max(open(POISON));
        self.release(self.held.len() - keep)
    }

    fn finish(&mut self) -> TextStep {
        self.release(self.held.len())
    }

    fn stall(&mut self) -> TextStep {
        let held = std::mem::take(&mut self.held);
        let findings = (!held.is_empty()).then(|| finding(self.part, self.at..self.at + held.len()));
        self.at += held.len();
        let release = if held.is_empty() { String::new() } else { "[x]".to_owned() };
        TextStep { release, findings: findings.into_iter().collect(), blocked: false }
    }

    fn is_holding(&self) -> bool {
        !self.held.is_empty()
    }
}

fn request(body: &str) -> Result<ChatRequest, DialectError> {
    ChatRequest::parse(Bytes::copy_from_slice(body.as_bytes()), ChatLimits::default())
}

fn answer(body: &str) -> Result<ChatAnswer, DialectError> {
    ChatAnswer::parse(Bytes::copy_from_slice(body.as_bytes()), Limits::default())
}

/// Judges and rewrites a whole message.
fn rewritten(message: &dyn Message) -> Result<String, DialectError> {
    let judged = judge(message, &Guards);
    assert!(!judged.blocked);
    message.rewrite(&judged.edits).map(|body| String::from_utf8(body.to_vec()).unwrap())
}

fn texts(message: &dyn Message) -> Vec<(Part, &str)> {
    message.parts().iter().map(|part| (part.part, part.text.as_str())).collect()
}

#[test]
fn only_chat_completions_are_an_endpoint() {
    for (method, path, want) in [
        ("POST", "/v1/chat/completions", true),
        ("POST", "/chat/completions", true),
        ("POST", "/openai/deployments/gpt/chat/completions", true),
        ("GET", "/v1/chat/completions", false),
        ("POST", "/v1/chat/completions/", false),
        ("POST", "/v1/chat/completions/abc", false),
        ("POST", "/v1/chat/completionsx", false),
        ("POST", "/v1/xchat/completions", false),
        ("POST", "/v1/responses", false),
        ("POST", "/v1/embeddings", false),
        ("POST", "/v1/files", false),
        ("GET", "/v1/models", false),
        ("POST", "", false),
    ] {
        assert_eq!(endpoint(method, path).is_some(), want, "{method} {path}");
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
        let (got, content_type, body) = refusal(reason, "0192-\"id");
        assert_eq!((got, content_type), (status, "application/json"));
        let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(json["error"]["type"], kind, "{reason:?}");
        assert_eq!(json["error"]["code"], code, "{reason:?}");
        assert!(json["error"]["param"].is_null());
        assert!(json["error"]["message"].as_str().unwrap().contains("0192-\"id"));
        let event = stream_error(reason, "0192-\"id");
        assert_eq!(event, [b"data: ", body.as_slice(), b"\n\n"].concat());
    }
    assert_eq!(
        refusal(Reason::NotPermitted, "d").2,
        refusal(Reason::OtherTenant, "d").2,
        "absent and forbidden look alike"
    );
}
