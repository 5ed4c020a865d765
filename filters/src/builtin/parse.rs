//! Reads the body as the route's dialect promises, or refuses it. Decides the action and what it is done to.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use postern_config::{Action, Dialect, Opaque, Revision};

use super::frame::form_overrides_method;
use crate::dialect::{DialectError, Endpoint, Line};
use crate::message::Message;
use crate::{Context, Flow, Reason, RequestView, Verdict};

#[derive(Debug)]
pub(crate) struct Parse {
    dialect: Dialect,
    /// The route's path prefix: what stands below it must be an endpoint and nothing more.
    prefix: String,
    /// On dialect `http`, bodies are read only where a guard looks at them.
    reads_http: bool,
    /// And their header lines where one looks at those.
    reads_headers: bool,
    revision: Revision,
}

impl Parse {
    pub(crate) const GUARD: &str = "parse";

    pub(crate) fn new(dialect: Dialect, prefix: &str, reads_http: bool) -> Self {
        Self {
            dialect,
            prefix: prefix.trim_end_matches('/').to_owned(),
            reads_http,
            reads_headers: false,
            revision: Revision::default(),
        }
    }

    /// Leaves of a body what this says, before anything is decided about it.
    pub(crate) fn revising(self, revision: &Revision) -> Self {
        Self { reads_http: self.reads_http || !revision.minimize.is_empty(), revision: revision.clone(), ..self }
    }

    /// Reads header lines as well.
    pub(crate) fn with_headers(self, reads_headers: bool) -> Self {
        Self { reads_headers, ..self }
    }

    pub(crate) fn check(&self, req: &RequestView<'_>, cx: &mut Context) -> Verdict {
        let body = cx.body().clone();
        if cx.is_bodiless() && !body.is_empty() {
            return Ok(Flow::refuse(Reason::UnsupportedContent, "a body where the allow list names no content type"));
        }
        if self.dialect == Dialect::Http {
            let Some(action) = action_of(req.method) else {
                return Ok(Flow::refuse(Reason::NotPermitted, format!("method `{}` has no action", req.method)));
            };
            if form_overrides_method(req.content_type().as_deref(), &body) {
                return Ok(Flow::refuse(
                    Reason::Malformed,
                    "`_method` in a form: it would be another method than was decided on",
                ));
            }
            cx.set_action(action);
        }
        let read = match self.read(req, cx, body) {
            Ok(Some(message)) => message.revised(&self.revision).and_then(|revised| match revised {
                None => Ok(Some(message)),
                Some(body) => {
                    cx.replace_body(body.clone());
                    self.read(req, cx, body)
                }
            }),
            other => other,
        };
        match read {
            Ok(None) => Ok(Flow::refuse(Reason::NotPermitted, "not an endpoint this dialect serves")),
            Ok(Some(message)) => {
                let unread = message.opaque().filter(|_| self.revision.opaque != Opaque::Allow);
                cx.set_message(message);
                Ok(match unread {
                    Some(what) => Flow::refuse(Reason::ContentRefused, format!("`{what}` cannot be read by any guard")),
                    None => Flow::Continue,
                })
            }
            Err(error) => Ok(Flow::refuse(error.reason(), error.to_string())),
        }
    }

    /// The message in `body`; `None` where the path is none of the dialect's.
    fn read(&self, req: &RequestView<'_>, cx: &mut Context, body: Bytes) -> Result<Option<Message>, DialectError> {
        let content_type = req.sole_header(&CONTENT_TYPE);
        match self.dialect {
            Dialect::Http if self.reads_http => {
                let headers = self.reads_headers.then_some(req.headers);
                Message::http(content_type, req.query, headers, body, cx.message_limits()).map(Some)
            }
            Dialect::Http => Ok(Some(Message::Unread)),
            vendor @ (Dialect::OpenAi | Dialect::Anthropic | Dialect::Gemini) => {
                let below = req.path.strip_prefix(self.prefix.as_str()).unwrap_or(req.path);
                let line = Line { method: req.method, path: req.path, below, query: req.query };
                let Some(target) = Endpoint::target(vendor, line)? else { return Ok(None) };
                cx.set_action(target.endpoint.action());
                Message::ai(target, content_type, body, cx.message_limits()).map(Some)
            }
        }
    }
}

/// §7 of the manifests. `OPTIONS` is a question about the API; a preflight never gets here, as none is allowed.
fn action_of(method: &str) -> Option<Action> {
    match method {
        "GET" | "HEAD" => Some(Action::Read),
        // A tunnel is made, whatever goes through it.
        "POST" | "CONNECT" => Some(Action::Create),
        "PUT" | "PATCH" => Some(Action::Update),
        "DELETE" => Some(Action::Delete),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::testing::{Asked, asked, context};

    const PROMPT: &str = r#"{"model":"small","messages":[{"role":"user","content":"hello"}]}"#;

    fn parsed(parse: &Parse, asked: &Asked) -> Result<Context, Reason> {
        let mut cx = context();
        cx.set_body(asked.body.clone());
        match parse.check(&asked.view(), &mut cx).unwrap() {
            Flow::Wait(need) => panic!("it asks for {need:?}"),
            Flow::Continue => Ok(cx),
            Flow::Refuse(refusal) => Err(refusal.reason),
        }
    }

    #[test]
    fn the_endpoint_stands_right_below_the_routes_prefix() {
        for (prefix, path, want) in [
            ("/v1", "/v1/chat/completions", true),
            ("/", "/v1/chat/completions", true),
            ("/", "/chat/completions", true),
            ("/openai", "/openai/v1/chat/completions", true),
            ("/v1/chat", "/v1/chat/completions", true),
            ("/v1/chat/completions", "/v1/chat/completions", true),
            ("/openai/deployments/large", "/openai/deployments/large/chat/completions", true),
            // The model would be the path's, and the one decided on the body's.
            ("/openai", "/openai/deployments/large/chat/completions", false),
            ("/v1", "/v1/engines/large/chat/completions", false),
            ("/v1", "/v1/v1/v1/chat/completions", false),
            ("/v1", "/v1/chat/completions/", false),
            ("/v1", "/v1/chat/completions/abc", false),
            ("/v1", "/v1/xchat/completions", false),
            ("/v1", "/v1/files", false),
            ("/v1", "/v1", false),
        ] {
            let asked = asked("POST", path).json(PROMPT);
            let got = parsed(&Parse::new(Dialect::OpenAi, prefix, true), &asked);
            assert_eq!(got.err(), (!want).then_some(Reason::NotPermitted), "{prefix} {path}");
        }
    }

    #[test]
    fn dialect_openai_takes_one_json_request_and_no_query_it_does_not_know() {
        let parse = Parse::new(Dialect::OpenAi, "/v1", true);
        let post = |target: &str| asked("POST", target);
        let chat = "/v1/chat/completions";
        let plain = |head: &str| {
            let mut asked = post(chat).head(head);
            asked.body = PROMPT.into();
            asked
        };
        for (case, asked, want) in [
            ("a chat", post(chat).json(PROMPT), None),
            ("a version", post("/v1/chat/completions?api-version=2026-01-01").json(PROMPT), None),
            ("a model in the query", post("/v1/chat/completions?model=large").json(PROMPT), Some(Reason::Malformed)),
            ("more than a version", post("/v1/chat/completions?api-version=1&model=large").json(PROMPT), Some(Reason::Malformed)),
            ("utf-8", plain("content-type: application/json; charset=UTF-8"), None),
            ("another charset", plain("content-type: application/json; charset=utf-16"), Some(Reason::UnsupportedContent)),
            ("text", plain("content-type: text/plain"), Some(Reason::UnsupportedContent)),
            ("a form", plain("content-type: multipart/form-data; boundary=x"), Some(Reason::UnsupportedContent)),
            ("no type", plain(""), Some(Reason::UnsupportedContent)),
            ("GET", asked("GET", chat).json(PROMPT), Some(Reason::NotPermitted)),
            ("no body", post(chat).json(""), Some(Reason::Malformed)),
            ("attack 48: trailing data", post(chat).json(format!("{PROMPT} {{}}")), Some(Reason::Malformed)),
            ("attack 48: a byte order mark", post(chat).json(format!("\u{feff}{PROMPT}")), Some(Reason::Malformed)),
            ("an image", post(chat).json(r#"{"model":"small","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]}]}"#), Some(Reason::ContentRefused)),
        ] {
            assert_eq!(parsed(&parse, &asked).err(), want, "{case}");
        }
        let cx = parsed(&parse, &post(chat).json(PROMPT)).unwrap();
        assert_eq!((cx.action(), cx.model()), (Some(Action::Chat), Some("small")));
    }

    #[test]
    fn dialect_http_names_the_action_and_reads_only_what_a_guard_looks_at() {
        for (method, want) in [
            ("GET", Some(Action::Read)),
            ("HEAD", Some(Action::Read)),
            ("POST", Some(Action::Create)),
            ("PUT", Some(Action::Update)),
            ("PATCH", Some(Action::Update)),
            ("DELETE", Some(Action::Delete)),
            ("OPTIONS", None),
            ("PROPFIND", None),
        ] {
            let got = parsed(&Parse::new(Dialect::Http, "/", false), &asked(method, "/a"));
            assert_eq!(got.map(|cx| cx.action()), want.map(Some).ok_or(Reason::NotPermitted), "{method}");
        }
        let binary = || {
            let mut asked = asked("POST", "/a").head("content-type: application/octet-stream");
            asked.body = Bytes::from_static(b"\xff\x00");
            asked
        };
        assert!(parsed(&Parse::new(Dialect::Http, "/", false), &binary()).is_ok());
        let reads = Parse::new(Dialect::Http, "/", true);
        assert_eq!(parsed(&reads, &binary()).err(), Some(Reason::UnsupportedContent));
        for (kind, want) in [
            ("text/plain; charset=utf-8", None),
            ("text/plain; charset=utf-16le", Some(Reason::UnsupportedContent)),
            ("text/plain; charset=utf-8; charset=utf-7", Some(Reason::UnsupportedContent)),
            ("text/event-stream", Some(Reason::UnsupportedContent)),
        ] {
            let mut asked = asked("POST", "/a").head(&format!("content-type: {kind}"));
            asked.body = "hello".into();
            assert_eq!(parsed(&reads, &asked).err(), want, "{kind}");
        }
    }

    #[test]
    fn attack_51_a_body_where_the_frame_expects_none_is_refused() {
        let mut cx = context();
        cx.forbid_body();
        cx.set_body(Bytes::from_static(b"x"));
        let flow = Parse::new(Dialect::Http, "/", false).check(&asked("DELETE", "/a").view(), &mut cx).unwrap();
        assert!(matches!(flow, Flow::Refuse(refusal) if refusal.reason == Reason::UnsupportedContent));
    }
}
