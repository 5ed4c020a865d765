//! A request to a model that is made up, where a question says no more than which route or path.

use postern_config::Dialect;
use serde_json::{Value, json};

/// One kind of body, and what is asked in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sample {
    Chat,
    Messages,
    Prompt,
    Input,
    Contents,
    Content,
}

/// How paths of endpoints end, and what is asked there.
const ENDS: [(&str, Sample); 11] = [
    ("/chat/completions", Sample::Chat),
    ("/completions", Sample::Prompt),
    ("/responses", Sample::Input),
    ("/embeddings", Sample::Input),
    ("/moderations", Sample::Input),
    ("/messages", Sample::Messages),
    ("/messages/count_tokens", Sample::Messages),
    (":generateContent", Sample::Contents),
    (":streamGenerateContent", Sample::Contents),
    (":countTokens", Sample::Contents),
    (":embedContent", Sample::Content),
];

impl Sample {
    /// What is asked at a path, and on a route that says no path.
    pub(super) fn of(dialect: Option<Dialect>, target: &str) -> Option<Self> {
        let path = target.split('?').next().unwrap_or_default();
        let at = ENDS.into_iter().find(|(end, _)| path.ends_with(end)).map(|(_, sample)| sample);
        if at.is_some() {
            return at;
        }
        match dialect? {
            Dialect::Http => None,
            Dialect::OpenAi => Some(Self::Chat),
            Dialect::Anthropic => Some(Self::Messages),
            Dialect::Gemini => Some(Self::Contents),
        }
    }

    pub(super) fn body(self, model: &str, stream: bool) -> Value {
        let messages = json!([{"role": "user", "content": "Hello."}]);
        match self {
            Self::Chat => json!({"model": model, "messages": messages, "stream": stream}),
            Self::Messages => json!({"model": model, "max_tokens": 1024, "messages": messages, "stream": stream}),
            Self::Prompt => json!({"model": model, "prompt": "Hello.", "stream": stream}),
            Self::Input if stream => json!({"model": model, "input": "Hello.", "stream": true}),
            Self::Input => json!({"model": model, "input": "Hello."}),
            Self::Contents => json!({"contents": [{"role": "user", "parts": [{"text": "Hello."}]}]}),
            Self::Content => json!({"content": {"parts": [{"text": "Hello."}]}}),
        }
    }
}

/// The endpoint of a dialect that is asked where no path is given, below a route's prefix.
pub(super) fn target(dialect: Dialect, prefix: &str, model: &str, stream: bool) -> Option<String> {
    let path = match dialect {
        Dialect::Http => return None,
        Dialect::OpenAi => "/v1/chat/completions".to_owned(),
        Dialect::Anthropic => "/v1/messages".to_owned(),
        Dialect::Gemini if stream => format!("/v1beta/models/{model}:streamGenerateContent?alt=sse"),
        Dialect::Gemini => format!("/v1beta/models/{model}:generateContent"),
    };
    let is_below = postern_config::prefix_matches(prefix, path.split('?').next().unwrap_or_default());
    Some(if is_below { path } else { format!("{}{path}", prefix.trim_end_matches('/')) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_up_is_asked_where_the_dialect_serves_it() {
        for (dialect, prefix, stream, want) in [
            (Dialect::OpenAi, "/v1", false, "/v1/chat/completions"),
            (Dialect::OpenAi, "/ai", false, "/ai/v1/chat/completions"),
            (Dialect::Anthropic, "/", true, "/v1/messages"),
            (Dialect::Gemini, "/v1beta/models", false, "/v1beta/models/m:generateContent"),
            (Dialect::Gemini, "/", true, "/v1beta/models/m:streamGenerateContent?alt=sse"),
        ] {
            let got = target(dialect, prefix, "m", stream).unwrap();
            assert_eq!(got, want);
            assert!(Sample::of(None, &got).is_some(), "{got}");
        }
        assert_eq!(Sample::of(Some(Dialect::OpenAi), "/v1/embeddings"), Some(Sample::Input));
        assert_eq!((Sample::of(Some(Dialect::Http), "/orders"), target(Dialect::Http, "/", "m", false)), (None, None));
    }
}
