//! Reads the body as the route's dialect promises, or refuses it. Decides the action and what it is done to.

use http::header::CONTENT_TYPE;
use postern_config::{Action, Dialect};

use crate::dialect::openai;
use crate::message::Message;
use crate::{Context, Flow, Reason, RequestView, Verdict};

#[derive(Debug)]
pub(crate) struct Parse {
    dialect: Dialect,
    /// The route's path prefix: what stands below it must be an endpoint and nothing more.
    prefix: String,
    /// On dialect `http`, bodies are read only where a guard looks at them.
    reads_http: bool,
}

impl Parse {
    pub(crate) const GUARD: &str = "parse";

    pub(crate) fn new(dialect: Dialect, prefix: &str, reads_http: bool) -> Self {
        Self { dialect, prefix: prefix.trim_end_matches('/').to_owned(), reads_http }
    }

    pub(crate) fn check(&self, req: &RequestView<'_>, cx: &mut Context) -> Verdict {
        let body = cx.body().clone();
        if cx.is_bodiless() && !body.is_empty() {
            return Ok(Flow::refuse(Reason::UnsupportedContent, "a body where the allow list names no content type"));
        }
        let content_type = req.sole_header(&CONTENT_TYPE);
        let parsed = match self.dialect {
            Dialect::OpenAi => {
                let Some(endpoint) = openai::endpoint(req.method, req.path).filter(|_| self.is_all_of(req.path)) else {
                    return Ok(Flow::refuse(Reason::NotPermitted, "not an endpoint this dialect serves"));
                };
                if !req.query.is_none_or(is_version) {
                    return Ok(Flow::refuse(Reason::Malformed, "a query that this dialect does not know"));
                }
                cx.set_action(Action::Chat);
                Message::openai(endpoint, content_type, body)
            }
            Dialect::Http => {
                let Some(action) = action_of(req.method) else {
                    return Ok(Flow::refuse(Reason::NotPermitted, format!("method `{}` has no action", req.method)));
                };
                cx.set_action(action);
                if self.reads_http { Message::http(content_type, req.query, body) } else { Ok(Message::Unread) }
            }
        };
        match parsed {
            Ok(message) if message.opaque().is_some() => {
                let what = message.opaque().unwrap_or_default();
                cx.set_message(message);
                Ok(Flow::refuse(Reason::ContentRefused, format!("`{what}` cannot be read by any guard")))
            }
            Ok(message) => {
                cx.set_message(message);
                Ok(Flow::Continue)
            }
            Err(error) => Ok(Flow::refuse(error.reason(), error.to_string())),
        }
    }

    /// Whether the route's prefix and the endpoint are all of a path that ends with the endpoint. What stands between them
    /// may name a model (`/deployments/large/chat/completions`), and the one that is decided on is the body's.
    fn is_all_of(&self, path: &str) -> bool {
        path.strip_prefix(self.prefix.as_str()).is_some_and(|below| "/v1/chat/completions".ends_with(below))
    }
}

/// `api-version=2026-01-01`, once. Some servers take the model from the query before they look into the body.
fn is_version(query: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    query.is_empty() || query.strip_prefix("api-version=").is_some_and(|version| version.bytes().all(plain))
}

/// §7 of the manifests. `OPTIONS` is a question about the API; a preflight never gets here, as none is allowed.
fn action_of(method: &str) -> Option<Action> {
    match method {
        "GET" | "HEAD" => Some(Action::Read),
        "POST" => Some(Action::Create),
        "PUT" | "PATCH" => Some(Action::Update),
        "DELETE" => Some(Action::Delete),
        _ => None,
    }
}
