//! One conversation in the words of every vendor: what was called before, and what the model says and calls now.

use serde_json::{Value, json};

use super::{anthropic, events, gemini, openai, speaks, whole};
use crate::house::{Ask, Plan};

/// Name and arguments.
pub(super) type Call<'a> = (&'a str, &'a str);

/// An endpoint at which a model calls tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Chat,
    Responses,
    Messages,
    Contents,
}

/// What a model answers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Says<'a> {
    pub(super) model: &'a str,
    pub(super) text: &'a str,
    pub(super) calls: &'a [Call<'a>],
}

impl Shape {
    pub(super) const ALL: [Self; 4] = [Self::Chat, Self::Responses, Self::Messages, Self::Contents];

    /// A house that speaks it, with these fields of `chat`'s RuntimeSecurityPolicy.
    pub(super) fn plan(self, fields: &str) -> Plan {
        let plan = match self {
            Self::Chat | Self::Responses => speaks("openai", openai::ALLOW),
            Self::Messages => speaks("anthropic", anthropic::ALLOW),
            Self::Contents => gemini::plan().with(
                "manifests/chat.yaml",
                "resources: [\"small\"]",
                "resources: [\"small\", \"large\"]",
            ),
        };
        let hidden = "    - {name: hidden, type: HiddenText, parts: [User], action: Block}\n";
        plan.with("manifests/chat.yaml", hidden, &format!("{hidden}{fields}"))
    }

    /// A request that goes on with a conversation in which these were called.
    pub(super) fn ask(self, model: &str, before: &[Call<'_>], stream: bool) -> Ask {
        let numbered = || before.iter().enumerate().map(|(n, (name, input))| (format!("c{n}"), *name, *input));
        match self {
            Self::Chat => {
                let mut messages = vec![json!({"role": "user", "content": "go"})];
                for (id, name, input) in numbered() {
                    let call = json!({"id": id, "type": "function", "function": {"name": name, "arguments": input}});
                    messages.push(json!({"role": "assistant", "content": null, "tool_calls": [call]}));
                    messages.push(json!({"role": "tool", "tool_call_id": id, "content": "done"}));
                }
                let body = json!({"model": model, "messages": messages, "stream": stream});
                Ask::json("/v1/chat/completions", &body)
            }
            Self::Responses => {
                let mut input = vec![json!({"role": "user", "content": "go"})];
                for (id, name, arguments) in numbered() {
                    input.push(json!({"type": "function_call", "call_id": id, "name": name, "arguments": arguments}));
                    input.push(json!({"type": "function_call_output", "call_id": id, "output": "done"}));
                }
                Ask::json("/v1/responses", &json!({"model": model, "input": input, "store": false, "stream": stream}))
            }
            Self::Messages => {
                let mut messages = vec![json!({"role": "user", "content": "go"})];
                for (id, name, input) in numbered() {
                    let call = json!({"type": "tool_use", "id": id, "name": name, "input": parsed(input)});
                    messages.push(json!({"role": "assistant", "content": [call]}));
                    let result = json!({"type": "tool_result", "tool_use_id": id, "content": "done"});
                    messages.push(json!({"role": "user", "content": [result]}));
                }
                let body = json!({"model": model, "max_tokens": 64, "messages": messages, "stream": stream});
                Ask::json("/v1/messages", &body)
            }
            Self::Contents => {
                let mut contents = vec![json!({"role": "user", "parts": [{"text": "go"}]})];
                for (_, name, input) in numbered() {
                    let call = json!({"functionCall": {"name": name, "args": parsed(input)}});
                    contents.push(json!({"role": "model", "parts": [call]}));
                    let result = json!({"functionResponse": {"name": name, "response": {"result": "done"}}});
                    contents.push(json!({"role": "user", "parts": [result]}));
                }
                let verb = if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
                Ask::json(&format!("/v1beta/models/{model}:{verb}"), &json!({ "contents": contents }))
            }
        }
    }

    pub(super) fn whole(self, says: Says<'_>) -> Vec<u8> {
        whole(&match self {
            Self::Chat => {
                let calls: Vec<Value> = says.chat_calls();
                let mut message = json!({"role": "assistant", "content": says.text});
                if !calls.is_empty() {
                    message["tool_calls"] = json!(calls);
                }
                json!({"id": "1", "object": "chat.completion", "created": 1, "model": says.model,
                    "choices": [{"index": 0, "finish_reason": "stop", "message": message}]})
            }
            Self::Responses => response(says, &json!(says.items())),
            Self::Messages => message(says, &json!(says.blocks())),
            Self::Contents => says.contents("STOP"),
        })
    }

    pub(super) fn stream(self, says: Says<'_>) -> Vec<u8> {
        match self {
            Self::Chat => {
                let chunk = |delta: Value, finish: Value| {
                    json!({"id": "1", "object": "chat.completion.chunk", "created": 1, "model": says.model,
                        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
                };
                let mut all = vec![chunk(json!({"role": "assistant", "content": says.text}), Value::Null)];
                for (n, call) in says.chat_calls().into_iter().enumerate() {
                    let mut call = call;
                    call["index"] = json!(n);
                    all.push(chunk(json!({"tool_calls": [call]}), Value::Null));
                }
                all.push(chunk(json!({}), json!("stop")));
                [events(&all), b"data: [DONE]\n\n".to_vec()].concat()
            }
            Self::Responses => says.response_stream(),
            Self::Messages => says.message_stream(),
            Self::Contents => events(&[says.contents("STOP")]),
        }
    }
}

fn parsed(input: &str) -> Value {
    serde_json::from_str(input).unwrap()
}

fn response(says: Says<'_>, output: &Value) -> Value {
    json!({"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": says.model, "error": null,
        "instructions": null, "metadata": {}, "parallel_tool_calls": true, "tool_choice": "auto", "tools": [], "output": output,
        "usage": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}})
}

fn message(says: Says<'_>, content: &Value) -> Value {
    json!({"id": "msg_1", "type": "message", "role": "assistant", "model": says.model, "stop_reason": "end_turn",
        "content": content, "stop_sequence": null, "usage": {"input_tokens": 1, "output_tokens": 2}})
}

impl Says<'_> {
    fn chat_calls(self) -> Vec<Value> {
        let call = |(n, (name, input)): (usize, &Call<'_>)| json!({"id": format!("d{n}"), "type": "function", "function": {"name": name, "arguments": input}});
        self.calls.iter().enumerate().map(call).collect()
    }

    fn items(self) -> Vec<Value> {
        let text = json!({"id": "m1", "type": "message", "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": self.text, "annotations": []}]});
        let calls = self.calls.iter().enumerate().map(|(n, (name, input))| {
            json!({"id": format!("f{n}"), "type": "function_call", "call_id": format!("d{n}"), "name": name, "status": "completed", "arguments": input})
        });
        std::iter::once(text).filter(|_| !self.text.is_empty()).chain(calls).collect()
    }

    fn blocks(self) -> Vec<Value> {
        let text = json!({"type": "text", "text": self.text});
        let calls = self.calls.iter().enumerate();
        let calls = calls.map(|(n, (name, input))| json!({"type": "tool_use", "id": format!("d{n}"), "name": name, "input": parsed(input)}));
        std::iter::once(text).filter(|_| !self.text.is_empty()).chain(calls).collect()
    }

    fn contents(self, finish: &str) -> Value {
        let text = json!({"text": self.text});
        let calls =
            self.calls.iter().map(|(name, input)| json!({"functionCall": {"name": name, "args": parsed(input)}}));
        let parts: Vec<Value> = std::iter::once(text).filter(|_| !self.text.is_empty()).chain(calls).collect();
        let candidate = json!({"index": 0, "content": {"role": "model", "parts": parts}, "finishReason": finish});
        json!({"candidates": [candidate], "modelVersion": self.model, "responseId": "r1"})
    }

    fn response_stream(self) -> Vec<u8> {
        let mut all = vec![json!({"type": "response.created", "response": response(self, &json!([]))})];
        for (n, item) in self.items().into_iter().enumerate() {
            let at = |kind: &str, more: Value| {
                let mut event = json!({"type": kind, "output_index": n, "item_id": item["id"]});
                event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
                event
            };
            let mut begun = item.clone();
            if item["type"] == "message" {
                begun["content"] = json!([]);
                all.push(json!({"type": "response.output_item.added", "output_index": n, "item": begun}));
                let piece = json!({"type": "output_text", "text": "", "annotations": []});
                all.push(at("response.content_part.added", json!({"content_index": 0, "part": piece})));
                all.push(at("response.output_text.delta", json!({"content_index": 0, "delta": self.text})));
                all.push(at("response.output_text.done", json!({"content_index": 0, "text": self.text})));
            } else {
                begun["arguments"] = json!("");
                all.push(json!({"type": "response.output_item.added", "output_index": n, "item": begun}));
                all.push(at("response.function_call_arguments.done", json!({"arguments": item["arguments"]})));
            }
            all.push(json!({"type": "response.output_item.done", "output_index": n, "item": item}));
        }
        all.push(json!({"type": "response.completed", "response": response(self, &json!(self.items()))}));
        events(&all)
    }

    fn message_stream(self) -> Vec<u8> {
        let mut all = vec![json!({"type": "message_start", "message": message(self, &json!([]))})];
        for (n, block) in self.blocks().into_iter().enumerate() {
            let (mut begun, delta) = (
                block.clone(),
                match block["type"].as_str() {
                    Some("text") => json!({"type": "text_delta", "text": block["text"]}),
                    _ => json!({"type": "input_json_delta", "partial_json": block["input"].to_string()}),
                },
            );
            if block["type"] == "text" {
                begun["text"] = json!("");
            } else {
                begun["input"] = json!({});
            }
            all.push(json!({"type": "content_block_start", "index": n, "content_block": begun}));
            all.push(json!({"type": "content_block_delta", "index": n, "delta": delta}));
            all.push(json!({"type": "content_block_stop", "index": n}));
        }
        all.push(json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null}, "usage": {"output_tokens": 5}}));
        all.push(json!({"type": "message_stop"}));
        events(&all)
    }
}
