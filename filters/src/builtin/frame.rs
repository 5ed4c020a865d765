//! Refuses a request whose method, path or content type no allow list of the route names.
//!
//! Every manifest's list must match: lists of several manifests do not merge into a longer one.

use http::header;
use postern_config::{Access, AllowRule};

use crate::path::glob_matches;
use crate::{Context, Flow, Reason, RequestView, Verdict};

#[derive(Debug)]
pub(crate) struct Frame {
    allow: Vec<Vec<AllowRule>>,
    /// The content of requests or answers is inspected: what would let a part of it pass unread is refused.
    inspected: bool,
}

/// Would make the server act on another method than the one decided on.
const METHOD_OVERRIDES: [&str; 3] = ["x-http-method-override", "x-http-method", "x-method-override"];

impl Frame {
    pub(crate) const GUARD: &str = "frame";

    pub(crate) fn new(access: &Access, inspected: bool) -> Self {
        Self { allow: access.allow.clone(), inspected }
    }

    pub(crate) fn check(&self, req: &RequestView<'_>, _cx: &mut Context) -> Verdict {
        if self.allow.is_empty() {
            return Ok(Flow::refuse(Reason::NotPermitted, "no allow list names anything"));
        }
        let content_type = req.content_type();
        let has_type = req.headers.contains_key(header::CONTENT_TYPE);
        for list in &self.allow {
            let mut by_path = list.iter().filter(|rule| matches_target(rule, req)).peekable();
            if by_path.peek().is_none() {
                return Ok(Flow::refuse(Reason::NotPermitted, "no allow list names this method and path"));
            }
            if !by_path.any(|rule| matches_type(rule, content_type.as_deref(), has_type)) {
                return Ok(Flow::refuse(Reason::UnsupportedContent, "no allow list names this content type"));
            }
        }
        if self.inspected {
            return Ok(refuse_evasion(req));
        }
        Ok(Flow::Continue)
    }
}

fn matches_target(rule: &AllowRule, req: &RequestView<'_>) -> bool {
    rule.methods.iter().any(|method| method == req.method) && rule.paths.iter().any(|glob| glob_matches(glob, req.path))
}

/// A rule without content types is for requests without one.
fn matches_type(rule: &AllowRule, content_type: Option<&str>, has_type: bool) -> bool {
    match (&rule.content_types, content_type) {
        (Some(allowed), Some(sent)) => allowed.iter().any(|media| media == sent),
        (Some(_), None) => false,
        (None, _) => !has_type,
    }
}

/// §6 of the manifests: these are refused where content is inspected.
fn refuse_evasion(req: &RequestView<'_>) -> Flow {
    let coded = req.headers.get(header::CONTENT_ENCODING).is_some_and(|value| value.as_bytes() != b"identity");
    if coded {
        return Flow::refuse(Reason::UnsupportedContent, "an encoded body on a route whose content is inspected");
    }
    if req.headers.contains_key(header::RANGE) {
        return Flow::refuse(Reason::Malformed, "a range request on a route whose content is inspected");
    }
    if req.headers.contains_key(header::TRAILER) {
        return Flow::refuse(Reason::Malformed, "trailers on a route whose content is inspected");
    }
    if req.headers.contains_key(header::UPGRADE) {
        return Flow::refuse(Reason::Malformed, "an upgrade on a route whose content is inspected");
    }
    match METHOD_OVERRIDES.iter().find(|name| req.headers.contains_key(**name)) {
        Some(name) => Flow::refuse(Reason::Malformed, format!("`{name}` on a route whose content is inspected")),
        None => Flow::Continue,
    }
}
