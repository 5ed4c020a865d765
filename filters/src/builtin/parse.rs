//! Reads the body as the route's dialect promises, or refuses it. Decides the action and what it is done to.

use postern_config::{Action, Dialect};

use crate::dialect::openai;
use crate::message::Message;
use crate::{Context, Flow, Reason, RequestView, Verdict};

#[derive(Debug)]
pub(crate) struct Parse {
    dialect: Dialect,
    /// On dialect `http`, bodies are read only where a guard looks at them.
    reads_http: bool,
}

impl Parse {
    pub(crate) const GUARD: &str = "parse";

    pub(crate) fn new(dialect: Dialect, reads_http: bool) -> Self {
        Self { dialect, reads_http }
    }

    pub(crate) fn check(&self, req: &RequestView<'_>, cx: &mut Context) -> Verdict {
        let body = cx.body().clone();
        let parsed = match self.dialect {
            Dialect::OpenAi => match openai::endpoint(req.method, req.path) {
                Some(endpoint) => {
                    cx.set_action(Action::Chat);
                    Message::openai(endpoint, body)
                }
                None => return Ok(Flow::refuse(Reason::NotPermitted, "not an endpoint this dialect serves")),
            },
            Dialect::Http => {
                let Some(action) = action_of(req.method) else {
                    return Ok(Flow::refuse(Reason::NotPermitted, format!("method `{}` has no action", req.method)));
                };
                cx.set_action(action);
                if self.reads_http {
                    Message::http(req.content_type().as_deref(), req.query, body)
                } else {
                    Ok(Message::Unread)
                }
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
