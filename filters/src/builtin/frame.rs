//! Refuses a request whose method, path or content type no allow list of the route names.
//!
//! Every manifest's list must match: lists of several manifests do not merge into a longer one. Where content is
//! inspected, what would let a part of it pass unread is refused as well.

use http::header;
use postern_config::{Access, AllowRule};

use crate::message::decode_query;
use crate::path::PathGlob;
use crate::{Context, Flow, Reason, RequestView, Verdict};

#[derive(Debug)]
pub(crate) struct Frame {
    allow: Vec<Vec<Allowed>>,
    /// The content of requests or answers is inspected.
    inspected: bool,
}

/// One kind of request that may pass.
#[derive(Debug)]
struct Allowed {
    methods: Vec<String>,
    paths: Vec<PathGlob>,
    /// `None`: a request without a body.
    content_types: Option<Vec<String>>,
}

/// Would make the server act on another method than the one decided on.
const METHOD_OVERRIDES: [&str; 3] = ["x-http-method-override", "x-http-method", "x-method-override"];
/// The same, as a parameter.
const METHOD_PARAMETER: &str = "_method";

impl Frame {
    pub(crate) const GUARD: &str = "frame";

    pub(crate) fn new(access: &Access, inspected: bool) -> Self {
        Self { allow: access.allow.iter().map(|list| list.iter().map(Allowed::new).collect()).collect(), inspected }
    }

    pub(crate) fn check(&self, req: &RequestView<'_>, cx: &mut Context) -> Verdict {
        if self.allow.is_empty() {
            return Ok(Flow::refuse(Reason::NotPermitted, "no allow list names anything"));
        }
        let content_type = req.content_type();
        let has_type = req.headers.contains_key(header::CONTENT_TYPE);
        for list in &self.allow {
            let mut by_target = list.iter().filter(|rule| rule.matches_target(req)).peekable();
            if by_target.peek().is_none() {
                return Ok(Flow::refuse(Reason::NotPermitted, "no allow list names this method and path"));
            }
            match by_target.find(|rule| rule.matches_type(content_type.as_deref(), has_type)) {
                // Whether there is one is seen once it has been read.
                Some(Allowed { content_types: None, .. }) => cx.forbid_body(),
                Some(_) => {}
                None => {
                    return Ok(Flow::refuse(Reason::UnsupportedContent, "no allow list names this content type"));
                }
            }
        }
        if self.inspected {
            return Ok(refuse_evasion(req));
        }
        Ok(Flow::Continue)
    }
}

impl Allowed {
    fn new(rule: &AllowRule) -> Self {
        Self {
            methods: rule.methods.clone(),
            paths: rule.paths.iter().map(|glob| PathGlob::new(glob)).collect(),
            content_types: rule.content_types.clone(),
        }
    }

    fn matches_target(&self, req: &RequestView<'_>) -> bool {
        self.methods.iter().any(|method| method == req.method) && self.paths.iter().any(|glob| glob.matches(req.path))
    }

    /// A rule without content types is for requests without one.
    fn matches_type(&self, content_type: Option<&str>, has_type: bool) -> bool {
        match (&self.content_types, content_type) {
            (Some(allowed), Some(sent)) => allowed.iter().any(|media| media == sent),
            (Some(_), None) => false,
            (None, _) => !has_type,
        }
    }
}

/// §6 of the manifests: these are refused where content is inspected.
fn refuse_evasion(req: &RequestView<'_>) -> Flow {
    let coding = |value: &http::HeaderValue| !value.as_bytes().eq_ignore_ascii_case(b"identity");
    if req.headers.get_all(header::CONTENT_ENCODING).iter().any(coding) {
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
    if req.query.is_some_and(overrides_method) {
        return Flow::refuse(Reason::Malformed, "`_method` in the query of a route whose content is inspected");
    }
    match METHOD_OVERRIDES.iter().find(|name| req.headers.contains_key(**name)) {
        Some(name) => Flow::refuse(Reason::Malformed, format!("`{name}` on a route whose content is inspected")),
        None => Flow::Continue,
    }
}

/// A query that cannot be read is left to the parser, which refuses it where it is content.
fn overrides_method(query: &str) -> bool {
    let names = query.split(['&', ';']).map(|pair| pair.split('=').next().unwrap_or_default());
    names.filter_map(|name| decode_query(name).ok()).flatten().any(|name| name.eq_ignore_ascii_case(METHOD_PARAMETER))
}
