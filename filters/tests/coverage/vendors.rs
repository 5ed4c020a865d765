//! What is asked and answered in each dialect.

use postern_config::Dialect;
use serde_json::{Value, json};

pub struct Vendor {
    dialect: Dialect,
    /// A whole answer.
    pub reply: &'static str,
}

const CHAT: &str = r#"{"id":"c1","object":"chat.completion","created":1,"model":"small","choices":[{"index":0,"message":{"role":"assistant","content":"They are fine."},"finish_reason":"stop"}]}"#;
const MESSAGE: &str = r#"{"id":"m1","type":"message","role":"assistant","model":"small","content":[{"type":"text","text":"They are fine."}],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":1}}"#;
const CONTENT: &str = r#"{"candidates":[{"index":0,"content":{"role":"model","parts":[{"text":"They are fine."}]},"finishReason":"STOP"}]}"#;
const QUESTION: &str = "How are the orders?";

impl Vendor {
    pub fn of(dialect: Dialect) -> Self {
        let reply = match dialect {
            Dialect::Http | Dialect::OpenAi => CHAT,
            Dialect::Anthropic => MESSAGE,
            Dialect::Gemini => CONTENT,
        };
        Self { dialect, reply }
    }

    /// A request: path and query, and body.
    pub fn asked(&self, stream: bool) -> (String, String) {
        let messages = json!([{"role": "user", "content": QUESTION}]);
        let (target, body) = match self.dialect {
            Dialect::Http | Dialect::OpenAi => {
                ("/v1/chat/completions", json!({"model": "small", "messages": messages, "stream": stream}))
            }
            Dialect::Anthropic => {
                ("/v1/messages", json!({"model": "small", "max_tokens": 9, "messages": messages, "stream": stream}))
            }
            Dialect::Gemini => {
                let verb = if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
                let body = json!({"contents": [{"parts": [{"text": QUESTION}]}]});
                return (format!("/v1/models/small:{verb}"), body.to_string());
            }
        };
        (target.to_owned(), body.to_string())
    }

    /// A stream that says `pieces`.
    pub fn stream(&self, pieces: &[&str]) -> String {
        match self.dialect {
            Dialect::Http | Dialect::OpenAi => crate::streams::wire(pieces),
            Dialect::Anthropic => {
                let start = json!({"type": "message_start", "message": serde_json::from_str::<Value>(&MESSAGE.replace(r#"{"type":"text","text":"They are fine."}"#, "")).unwrap()});
                let mut all = vec![
                    start,
                    json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
                ];
                let say = |piece: &&str| json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}});
                all.extend(pieces.iter().map(say));
                all.push(json!({"type": "content_block_stop", "index": 0}));
                all.push(json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}}));
                all.push(json!({"type": "message_stop"}));
                all.iter().map(|event| format!("data: {event}\n\n")).collect()
            }
            Dialect::Gemini => {
                let say = |piece: &&str| {
                    let content = json!({"role": "model", "parts": [{"text": piece}]});
                    json!({"candidates": [{"content": content}], "modelVersion": "small"})
                };
                let end = json!({"candidates": [{"finishReason": "STOP"}], "modelVersion": "small"});
                pieces.iter().map(say).chain([end]).map(|event| format!("data: {event}\n\n")).collect()
            }
        }
    }
}
