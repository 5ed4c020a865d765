//! A request to a model that is made up, where a question says no more than which route.

use postern_config::Dialect;
use serde_json::{Value, json};

/// One endpoint of each vendor, and what is asked there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sample {
    Chat,
    Messages,
}

impl Sample {
    const ALL: [Self; 2] = [Self::Chat, Self::Messages];

    pub(super) fn of(dialect: Dialect) -> Option<Self> {
        match dialect {
            Dialect::Http => None,
            Dialect::OpenAi => Some(Self::Chat),
            Dialect::Anthropic => Some(Self::Messages),
        }
    }

    /// The one that a path is of.
    pub(super) fn at(target: &str) -> Option<Self> {
        let below = |sample: &Self| sample.path().strip_prefix("/v1").unwrap_or_default();
        Self::ALL.into_iter().find(|sample| target.ends_with(below(sample)))
    }

    fn path(self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions",
            Self::Messages => "/v1/messages",
        }
    }

    /// The endpoint below a route's prefix.
    pub(super) fn target(self, prefix: &str) -> String {
        if postern_config::prefix_matches(prefix, self.path()) {
            return self.path().to_owned();
        }
        format!("{}{}", prefix.trim_end_matches('/'), self.path())
    }

    pub(super) fn body(self, model: &str, stream: bool) -> Value {
        let messages = json!([{"role": "user", "content": "Hello."}]);
        match self {
            Self::Chat => json!({"model": model, "messages": messages, "stream": stream}),
            Self::Messages => json!({"model": model, "max_tokens": 1024, "messages": messages, "stream": stream}),
        }
    }
}
