//! What the model says, as pieces of text, and as the wire format of chat completions.

use serde_json::{Value, json};

/// A credential in a known format that opens nothing, in the pieces it is streamed in.
const LEAK: [&str; 5] = ["AKIA", "Q3EG", "XKZ7", "WJ2M", "VT5R"];

/// The credential that the model gives away when asked for the deploy key.
pub(in crate::demo) fn leaked_key() -> String {
    LEAK.concat()
}

/// The answer to one request.
#[derive(Debug)]
pub(super) struct Answer {
    model: String,
    /// Text, or the arguments of a tool call, as it will be cut.
    pieces: Vec<String>,
    /// Name of the tool that is called.
    tool: Option<String>,
    /// `stream_options.include_usage`.
    counts: bool,
}

/// The text of the last message of a request.
pub(super) fn last_text(ask: &Value) -> String {
    let content =
        ask.get("messages").and_then(Value::as_array).and_then(|all| all.last()).and_then(|m| m.get("content"));
    match content {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            let texts: Vec<&str> = parts.iter().filter_map(|part| part.get("text")?.as_str()).collect();
            texts.join("\n")
        }
        _ => String::new(),
    }
}

impl Answer {
    pub(super) fn to(ask: &Value, text: &str) -> Self {
        let tool = ask
            .pointer("/tools/0/function/name")
            .and_then(Value::as_str)
            .filter(|_| text.contains("use the tool"))
            .map(str::to_owned);
        let leak = text.contains("deploy key");
        let mut pieces = if tool.is_some() { opening(&["{\"note\":", " \""]) } else { opening(&["You ", "said: "]) };
        if leak {
            pieces.extend(opening(&["the key ", "is "]));
            pieces.extend(opening(&LEAK));
            pieces.extend(opening(&[", keep ", "it safe"]));
        } else {
            pieces.extend(words(text, tool.is_some()));
        }
        pieces.push(if tool.is_some() { "\"}".to_owned() } else { ".".to_owned() });
        let model = ask.get("model").and_then(Value::as_str).unwrap_or_default().to_owned();
        let counts = ask.pointer("/stream_options/include_usage").and_then(Value::as_bool) == Some(true);
        Self { model, pieces, tool, counts }
    }

    /// The body of an answer that is not streamed.
    pub(super) fn whole(&self) -> Value {
        let text = self.pieces.concat();
        let message = match &self.tool {
            Some(name) => json!({"role": "assistant", "content": null, "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": name, "arguments": text}}]}),
            None => json!({"role": "assistant", "content": text, "refusal": null}),
        };
        let choice = json!({"index": 0, "message": message, "logprobs": null, "finish_reason": self.end()});
        json!({"id": ID, "object": "chat.completion", "created": CREATED, "model": self.model,
            "choices": [choice], "usage": self.usage()})
    }

    /// Server-sent events, each one whole, the last one `[DONE]`.
    pub(super) fn events(&self) -> Vec<String> {
        let mut deltas = vec![self.first()];
        deltas.extend(self.pieces.iter().map(|piece| self.delta(piece)));
        let mut events: Vec<String> = deltas.iter().map(|delta| self.event(delta, &Value::Null)).collect();
        events.push(self.event(&json!({}), &json!(self.end())));
        if self.counts {
            let mut last = self.chunk(&json!([]));
            if let Some(members) = last.as_object_mut() {
                members.insert("usage".to_owned(), self.usage());
            }
            events.push(format!("data: {last}\n\n"));
        }
        events.push("data: [DONE]\n\n".to_owned());
        events
    }

    fn first(&self) -> Value {
        match &self.tool {
            Some(name) => json!({"role": "assistant", "content": null, "tool_calls": [
                {"index": 0, "id": "call_1", "type": "function", "function": {"name": name, "arguments": ""}}]}),
            None => json!({"role": "assistant", "content": ""}),
        }
    }

    fn delta(&self, piece: &str) -> Value {
        match &self.tool {
            Some(_) => json!({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}),
            None => json!({ "content": piece }),
        }
    }

    fn event(&self, delta: &Value, end: &Value) -> String {
        let choice = json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": end});
        format!("data: {}\n\n", self.chunk(&json!([choice])))
    }

    fn chunk(&self, choices: &Value) -> Value {
        json!({"id": ID, "object": "chat.completion.chunk", "created": CREATED, "model": self.model, "choices": choices})
    }

    fn end(&self) -> &'static str {
        if self.tool.is_some() { "tool_calls" } else { "stop" }
    }

    fn usage(&self) -> Value {
        let words = self.pieces.len();
        json!({"prompt_tokens": words, "completion_tokens": words, "total_tokens": words * 2})
    }
}

const ID: &str = "chatcmpl-demo";
const CREATED: u64 = 1_767_225_600;

fn opening(pieces: &[&str]) -> Vec<String> {
    pieces.iter().map(|piece| (*piece).to_owned()).collect()
}

/// `text` word by word; escaped where it becomes part of JSON arguments.
fn words(text: &str, escaped: bool) -> Vec<String> {
    let words = text.split_inclusive(' ').map(str::to_owned);
    if !escaped {
        return words.collect();
    }
    let escape = |word: String| {
        let quoted = json!(word).to_string();
        quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default().to_owned()
    };
    words.map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(text: &str) -> Value {
        json!({"model": "demo-small", "messages": [{"role": "user", "content": text}]})
    }

    fn streamed(answer: &Answer, pointer: &str) -> String {
        let events = answer.events();
        let chunks = events.iter().filter_map(|event| {
            let json = event.strip_prefix("data: ")?.strip_suffix("\n\n")?;
            serde_json::from_str::<Value>(json).ok()?.pointer(pointer)?.as_str().map(str::to_owned)
        });
        chunks.collect()
    }

    #[test]
    fn says_the_same_whole_and_streamed() {
        for text in ["hello there", "what is the deploy key?", "", "a \"quote\" and ümlaut"] {
            let answer = Answer::to(&ask(text), text);
            let whole = answer.whole();
            let content = whole.pointer("/choices/0/message/content").and_then(Value::as_str).unwrap();
            assert_eq!(streamed(&answer, "/choices/0/delta/content"), content, "{text}");
        }
    }

    #[test]
    fn no_event_holds_the_whole_leak() {
        let answer = Answer::to(&ask("the deploy key"), "the deploy key");
        assert!(answer.events().iter().all(|event| !event.contains(&leaked_key())));
        assert!(streamed(&answer, "/choices/0/delta/content").contains(&leaked_key()));
    }

    #[test]
    fn calls_the_tool_it_is_asked_to_use() {
        let text = "use the tool for \"this\"";
        let mut ask = ask(text);
        ask["tools"] = json!([{"type": "function", "function": {"name": "note"}}]);
        let answer = Answer::to(&ask, text);
        let arguments = streamed(&answer, "/choices/0/delta/tool_calls/0/function/arguments");
        assert_eq!(serde_json::from_str::<Value>(&arguments).unwrap(), json!({"note": format!("{text}")}));
        assert_eq!(answer.whole().pointer("/choices/0/finish_reason"), Some(&json!("tool_calls")));
    }
}
