//! Refuses a request whose method, path or content type no allow list of the route names.
//!
//! Every manifest's list must match: lists of several manifests do not merge into a longer one. Where content is
//! inspected, what would let a part of it pass unread is refused as well.

use std::sync::Arc;

use http::header;
use postern_config::{Access, AllowList, AllowRule};

use crate::encoding::Coding;
use crate::path::{PathGlob, unescaped};
use crate::{Context, Flow, Reason, Refusal, RequestView, Verdict};

#[derive(Debug)]
pub(crate) struct Frame {
    /// Of each list the manifest that writes it.
    manifests: Vec<String>,
    allow: Vec<Vec<Allowed>>,
    /// The content of requests or answers is inspected.
    inspected: bool,
}

/// One kind of request that may pass.
#[derive(Debug)]
struct Allowed {
    /// As records name it.
    name: Arc<str>,
    methods: Vec<String>,
    paths: Vec<PathGlob>,
    /// `None`: a request without a body.
    content_types: Option<Vec<String>>,
}

/// Would make the server act on another method than the one decided on.
const METHOD_OVERRIDES: [&str; 3] = ["x-http-method-override", "x-http-method", "x-method-override"];
/// The same, as a parameter of a query or a form.
const METHOD_PARAMETER: &str = "_method";

impl Frame {
    pub(crate) const GUARD: &str = "frame";

    pub(crate) fn new(access: &Access, inspected: bool) -> Self {
        Self {
            manifests: access.allow.iter().map(|list| list.manifest.clone()).collect(),
            allow: access.allow.iter().map(Allowed::of_list).collect(),
            inspected,
        }
    }

    /// The manifest of the list with this number.
    pub(crate) fn list(&self, number: usize) -> Option<&str> {
        self.manifests.get(number).map(String::as_str)
    }

    pub(crate) fn check(&self, req: &RequestView<'_>, cx: &mut Context) -> Verdict {
        let mut bodiless = false;
        let flow = self.judge(req, |entry, takes_no_body| {
            cx.note_entry(entry);
            bodiless |= takes_no_body;
        });
        // Whether there is one is seen once it has been read.
        if bodiless {
            cx.forbid_body();
        }
        Ok(flow)
    }

    /// Judges a head, and tells of each list which entry took it, and whether that one is for requests without a body.
    pub(crate) fn judge(&self, req: &RequestView<'_>, mut took: impl FnMut(&Arc<str>, bool)) -> Flow {
        if self.allow.is_empty() {
            return Flow::refuse(Reason::NotPermitted, "no allow list names anything");
        }
        let content_type = req.content_type();
        let has_type = req.headers.contains_key(header::CONTENT_TYPE);
        for list in &self.allow {
            let mut by_target = list.iter().filter(|rule| rule.matches_target(req)).peekable();
            if by_target.peek().is_none() {
                return Flow::refuse(Reason::NotPermitted, "no allow list names this method and path");
            }
            match by_target.find(|rule| rule.matches_type(content_type.as_deref(), has_type)) {
                Some(entry) => took(&entry.name, entry.content_types.is_none()),
                None => return Flow::refuse(Reason::UnsupportedContent, "no allow list names this content type"),
            }
        }
        if req.query.is_some_and(overrides_method) {
            let detail = "`_method` in the query: it would be another method than was decided on";
            return Flow::refuse(Reason::Malformed, detail);
        }
        if self.inspected { refuse_evasion(req) } else { Flow::Continue }
    }
}

impl Allowed {
    fn of_list(list: &AllowList) -> Vec<Self> {
        list.rules.iter().enumerate().map(|(index, rule)| Self::new(&list.entry(index), rule)).collect()
    }

    fn new(name: &str, rule: &AllowRule) -> Self {
        Self {
            name: Arc::from(name),
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
    if let Err(unknown) = Coding::of(req.headers) {
        let mut refusal = Refusal::new(Reason::UnsupportedContent, format!("{unknown}, where content is inspected"));
        refusal.headers.push(("accept-encoding", Coding::ACCEPTED.to_owned()));
        return Flow::Refuse(refusal);
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

/// Whether a query, or a body of the same form, has the parameter by any reading.
fn overrides_method(query: &str) -> bool {
    query.split(['&', ';']).any(|pair| {
        let name = unescaped(pair.split('=').next().unwrap_or_default());
        name.trim_ascii().eq_ignore_ascii_case(METHOD_PARAMETER.as_bytes())
    })
}

/// Whether a form says that another method was meant than the request's own.
pub(super) fn form_overrides_method(content_type: Option<&str>, body: &[u8]) -> bool {
    match content_type {
        Some("application/x-www-form-urlencoded") => overrides_method(&String::from_utf8_lossy(body)),
        // A name may be quoted or not; what stands in front of it is a header of its part.
        Some("multipart/form-data") => {
            let lower = body.to_ascii_lowercase();
            [&b"name=\"_method\""[..], b"name=_method", b"name='_method'"]
                .iter()
                .any(|name| lower.windows(name.len()).any(|window| window == *name))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Asked, asked, context};

    fn rule(methods: &[&str], path: &str, types: Option<&[&str]>) -> AllowRule {
        let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        AllowRule { methods: owned(methods), paths: vec![path.to_owned()], content_types: types.map(owned) }
    }

    fn frame(lists: Vec<Vec<AllowRule>>, inspected: bool) -> Frame {
        let allow =
            lists.into_iter().map(|rules| AllowList { manifest: "APIAccessPolicy/default/a".to_owned(), rules });
        Frame::new(&Access { allow: allow.collect(), ..Access::default() }, inspected)
    }

    fn reason(frame: &Frame, asked: &Asked) -> Option<Reason> {
        match frame.check(&asked.view(), &mut context()).unwrap() {
            Flow::Wait(need) => panic!("it asks for {need:?}"),
            Flow::Continue => None,
            Flow::Refuse(refusal) => Some(refusal.reason),
        }
    }

    #[test]
    fn a_request_passes_that_a_rule_of_every_list_names() {
        let open = vec![rule(&["GET"], "/v1/*", None), rule(&["POST"], "/v1/*", Some(&["application/json"]))];
        let narrow = vec![rule(&["GET", "POST"], "/v1/a", Some(&["application/json"])), rule(&["GET"], "/v1/b", None)];
        let two = frame(vec![open.clone(), narrow], false);
        let one = frame(vec![open], false);
        let json = "content-type: application/json";
        for (case, frame, asked, want) in [
            ("named", &one, asked("GET", "/v1/a"), None),
            ("another method", &one, asked("DELETE", "/v1/a"), Some(Reason::NotPermitted)),
            ("lower case is another method", &one, asked("get", "/v1/a"), Some(Reason::NotPermitted)),
            ("below", &one, asked("GET", "/v1/a/b"), Some(Reason::NotPermitted)),
            ("attack 17: the query is not the path", &one, asked("GET", "/x?/v1/a"), Some(Reason::NotPermitted)),
            ("with its type", &one, asked("POST", "/v1/a").head(json), None),
            (
                "type in capitals with a parameter",
                &one,
                asked("POST", "/v1/a").head("content-type: Application/JSON; charset=utf-8"),
                None,
            ),
            (
                "another type",
                &one,
                asked("POST", "/v1/a").head("content-type: text/plain"),
                Some(Reason::UnsupportedContent),
            ),
            ("no type", &one, asked("POST", "/v1/a"), Some(Reason::UnsupportedContent)),
            ("two types", &one, asked("POST", "/v1/a").head(json).head(json), Some(Reason::UnsupportedContent)),
            (
                "two types in one",
                &one,
                asked("POST", "/v1/a").head("content-type: application/json, text/plain"),
                Some(Reason::UnsupportedContent),
            ),
            (
                "a type that is none",
                &one,
                asked("POST", "/v1/a").head("content-type: json"),
                Some(Reason::UnsupportedContent),
            ),
            ("a type where there is no body", &one, asked("GET", "/v1/a").head(json), Some(Reason::UnsupportedContent)),
            ("in both lists", &two, asked("GET", "/v1/b"), None),
            ("in one of two", &two, asked("POST", "/v1/b").head(json), Some(Reason::NotPermitted)),
            ("lists that agree on no type", &two, asked("GET", "/v1/a"), Some(Reason::UnsupportedContent)),
            ("no list", &frame(Vec::new(), false), asked("GET", "/v1/a"), Some(Reason::NotPermitted)),
            ("an empty list", &frame(vec![Vec::new()], false), asked("GET", "/v1/a"), Some(Reason::NotPermitted)),
        ] {
            assert_eq!(reason(frame, &asked), want, "{case}");
        }
    }

    #[test]
    fn what_would_pass_unread_is_refused_where_content_is_inspected() {
        let rules = || vec![vec![rule(&["POST"], "/a", Some(&["application/json"]))]];
        let (open, inspected) = (frame(rules(), false), frame(rules(), true));
        for (head, target, want) in [
            ("", "/a", None),
            ("content-encoding: identity", "/a", None),
            ("content-encoding: gzip", "/a", None),
            ("content-encoding: Br", "/a", None),
            ("content-encoding: compress", "/a", Some(Reason::UnsupportedContent)),
            ("content-encoding: gzip, br", "/a", Some(Reason::UnsupportedContent)),
            ("content-encoding: identity\ncontent-encoding: gzip", "/a", Some(Reason::UnsupportedContent)),
            ("content-encoding:", "/a", Some(Reason::UnsupportedContent)),
            ("range: bytes=0-1", "/a", Some(Reason::Malformed)),
            ("trailer: x", "/a", Some(Reason::Malformed)),
            ("upgrade: websocket", "/a", Some(Reason::Malformed)),
            ("x-http-method-override: DELETE", "/a", Some(Reason::Malformed)),
            ("X-HTTP-Method: DELETE", "/a", Some(Reason::Malformed)),
            ("x-method-override: DELETE", "/a", Some(Reason::Malformed)),
        ] {
            let asked = asked("POST", target).head("content-type: application/json").head(head);
            assert_eq!(reason(&inspected, &asked), want, "{head} {target}");
            assert_eq!(reason(&open, &asked), None, "{head} {target}");
        }
    }

    #[test]
    fn a_method_in_the_query_or_a_form_is_refused_everywhere() {
        let rules = || vec![vec![rule(&["POST"], "/a", Some(&["application/json"]))]];
        for (query, want) in [
            ("x=1&_method=DELETE", true),
            ("%5fMethod=DELETE", true),
            ("a;_METHOD=DELETE", true),
            ("_method", true),
            ("x=_method", false),
            ("method=DELETE", false),
        ] {
            for inspected in [false, true] {
                let asked = asked("POST", &format!("/a?{query}")).head("content-type: application/json");
                let got = reason(&frame(rules(), inspected), &asked);
                assert_eq!(got, want.then_some(Reason::Malformed), "{query}");
            }
            assert_eq!(
                form_overrides_method(Some("application/x-www-form-urlencoded"), query.as_bytes()),
                want,
                "{query}"
            );
            assert!(!form_overrides_method(Some("application/json"), query.as_bytes()), "{query}");
        }
        for (part, want) in [
            ("name=\"_method\"", true),
            ("NAME=\"_METHOD\"", true),
            ("name=_method", true),
            ("name=\"x\"\r\n\r\n_method", false),
        ] {
            let body = format!("--b\r\nContent-Disposition: form-data; {part}\r\n\r\nDELETE\r\n--b--");
            assert_eq!(form_overrides_method(Some("multipart/form-data"), body.as_bytes()), want, "{part}");
        }
    }

    #[test]
    fn a_rule_without_content_types_is_noted_to_let_no_body_pass() {
        let frame = frame(vec![vec![rule(&["POST"], "/a", None)]], false);
        let mut cx = context();
        assert_eq!(frame.check(&asked("POST", "/a").view(), &mut cx).unwrap(), Flow::Continue);
        assert!(cx.is_bodiless());
    }
}
