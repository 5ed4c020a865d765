//! Places of messages that hold text, each with the marker in it, and the part that it is of.

use postern_config::Dialect;
use postern_config::Part::{
    self, Assistant, Embedding, HttpBody, HttpHeader, HttpQuery, Reasoning, System, ToolArguments, ToolDefinition,
    ToolResult, User,
};
use serde_json::{Value, json};

use crate::planted::{MARKER, post};
use crate::testing::{Asked, asked};

pub struct Plant {
    pub part: Part,
    pub what: String,
    pub asked: Asked,
    /// Status, whether it streams, and body, where the marker is in the answer.
    pub answer: Option<(u16, bool, String)>,
}

/// Requests to `path`: each of `places` is laid over `base`, field by field.
fn requests(path: &str, base: &Value, places: Vec<(Part, Value)>) -> Vec<Plant> {
    let plant = |(part, place): (Part, Value)| {
        let mut body = base.clone();
        body.as_object_mut().unwrap().extend(place.as_object().unwrap().clone());
        Plant { part, what: format!("{path} {place}"), asked: post(path, &body), answer: None }
    };
    places.into_iter().map(plant).collect()
}

/// Whole answers to `asked`.
fn wholes(asked: &Asked, answers: Vec<(Part, u16, Value)>) -> Vec<Plant> {
    let plant = |(part, status, body): (Part, u16, Value)| Plant {
        part,
        what: format!("{} {body}", asked.path),
        asked: asked.clone(),
        answer: Some((status, false, body.to_string())),
    };
    answers.into_iter().map(plant).collect()
}

/// Streamed answers to `asked`, event by event.
fn streams(asked: &Asked, named: bool, answers: Vec<(Part, Vec<Value>)>) -> Vec<Plant> {
    let plant = |(part, events): (Part, Vec<Value>)| {
        let name = |event: &Value| match event["type"].as_str().filter(|_| named) {
            Some(name) => format!("event: {name}\ndata: {event}\n\n"),
            None => format!("data: {event}\n\n"),
        };
        let body: String = events.iter().map(name).collect();
        Plant { part, what: format!("{} {body}", asked.path), asked: asked.clone(), answer: Some((200, true, body)) }
    };
    answers.into_iter().map(plant).collect()
}

const CHAT: &str = "/v1/chat/completions";
const RESPONSES: &str = "/v1/responses";
const COMPLETIONS: &str = "/v1/completions";
const MESSAGES: &str = "/v1/messages";
const GENERATE: &str = "/v1/models/m:generateContent";

/// The marker in JSON, as arguments hold it, also with an escape in it.
fn arguments() -> String {
    json!({ "to": MARKER }).to_string()
}

fn escaped() -> String {
    arguments().replace("MARKER", "M\\u0041RKER")
}

/// The marker in two pieces.
fn pieces() -> [&'static str; 2] {
    ["so MARKER-77", "7777 it is"]
}

pub fn openai_requests() -> Vec<Plant> {
    let said = |message: Value| json!({"messages": [{"role": "user", "content": "hi"}, message]});
    let of = |role: &str, content: Value| said(json!({"role": role, "content": content}));
    let call = |call: Value| said(json!({"role": "assistant", "content": null, "tool_calls": [call]}));
    let text = json!([{"type": "text", "text": "a"}, {"type": "text", "text": MARKER}]);
    let tool = |tool: Value| json!({"tools": [{"type": "function", "function": tool}]});
    let parameters = json!({"type": "object", "properties": {"a": {"type": "string", "description": MARKER}}});
    let base = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    let mut all = requests(
        CHAT,
        &base,
        vec![
            (System, of("system", json!(MARKER))),
            (System, of("developer", json!(MARKER))),
            (System, of("system", text.clone())),
            (User, of("user", json!(MARKER))),
            (User, of("user", text.clone())),
            (User, said(json!({"role": "user", "content": "hi", "name": MARKER}))),
            (User, json!({ "user": MARKER })),
            (User, json!({ "safety_identifier": MARKER })),
            (User, json!({ "prompt_cache_key": MARKER })),
            (User, json!({"metadata": {"a": MARKER}})),
            (User, json!({"metadata": {MARKER: "a"}})),
            (User, json!({ "stop": MARKER })),
            (User, json!({"stop": ["a", MARKER]})),
            (Assistant, of("assistant", json!(MARKER))),
            (Assistant, of("assistant", text.clone())),
            (Assistant, of("assistant", json!([{"type": "refusal", "refusal": MARKER}]))),
            (Assistant, said(json!({"role": "assistant", "content": null, "refusal": MARKER}))),
            (Assistant, json!({"prediction": {"type": "content", "content": MARKER}})),
            (
                Assistant,
                said(
                    json!({"role": "assistant", "content": "a", "annotations": [{"type": "url_citation", "title": MARKER}]}),
                ),
            ),
            (Reasoning, said(json!({"role": "assistant", "content": "a", "reasoning_content": MARKER}))),
            (Reasoning, said(json!({"role": "assistant", "content": "a", "reasoning": MARKER}))),
            (
                ToolArguments,
                call(json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments()}})),
            ),
            (
                ToolArguments,
                call(json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": escaped()}})),
            ),
            (
                ToolArguments,
                call(json!({"id": "c", "type": "function", "function": {"name": MARKER, "arguments": "{}"}})),
            ),
            (ToolArguments, call(json!({"id": "c", "type": "custom", "custom": {"name": "f", "input": MARKER}}))),
            (ToolArguments, call(json!({"id": "c", "type": "custom", "custom": {"name": MARKER, "input": "a"}}))),
            (
                ToolArguments,
                said(
                    json!({"role": "assistant", "content": null, "function_call": {"name": "f", "arguments": arguments()}}),
                ),
            ),
            (ToolResult, said(json!({"role": "tool", "tool_call_id": "c", "content": MARKER}))),
            (ToolResult, said(json!({"role": "tool", "tool_call_id": "c", "content": text}))),
            (ToolResult, said(json!({"role": "tool", "tool_call_id": "c", "content": escaped()}))),
            (ToolResult, said(json!({"role": "function", "name": "f", "content": MARKER}))),
            (ToolDefinition, tool(json!({"name": "f", "description": MARKER}))),
            (ToolDefinition, tool(json!({ "name": MARKER }))),
            (ToolDefinition, tool(json!({"name": "f", "parameters": parameters}))),
            (ToolDefinition, json!({"tools": [{"type": "custom", "custom": {"name": "f", "description": MARKER}}]})),
            (ToolDefinition, json!({"functions": [{"name": "f", "description": MARKER}]})),
            (ToolDefinition, json!({"tool_choice": {"type": "function", "function": {"name": MARKER}}})),
            (
                ToolDefinition,
                json!({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"title": MARKER}}}}),
            ),
        ],
    );
    let item = |item: Value| json!({"input": [{"role": "user", "content": "hi"}, item]});
    let input = json!([{"type": "input_text", "text": MARKER}]);
    let base = json!({"model": "m", "input": "hi", "store": false});
    all.extend(requests(RESPONSES, &base, vec![
        (System, json!({ "instructions": MARKER })),
        (System, item(json!({"role": "system", "content": MARKER}))),
        (System, item(json!({"role": "developer", "content": input}))),
        (User, json!({ "input": MARKER })),
        (User, item(json!({"type": "message", "role": "user", "content": input}))),
        (User, json!({ "user": MARKER })),
        (User, json!({"metadata": {"a": MARKER}})),
        (User, json!({ "safety_identifier": MARKER })),
        (User, json!({ "prompt_cache_key": MARKER })),
        (Assistant, item(json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": MARKER}]}))),
        (Assistant, item(json!({"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": MARKER}]}))),
        (Assistant, item(json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "a", "annotations": [{"type": "url_citation", "title": MARKER}]}]}))),
        (Reasoning, item(json!({"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": MARKER}]}))),
        (Reasoning, item(json!({"type": "reasoning", "id": "r", "summary": [], "content": [{"type": "reasoning_text", "text": MARKER}]}))),
        (ToolArguments, item(json!({"type": "function_call", "call_id": "c", "name": "f", "arguments": arguments()}))),
        (ToolArguments, item(json!({"type": "function_call", "call_id": "c", "name": "f", "arguments": escaped()}))),
        (ToolArguments, item(json!({"type": "function_call", "call_id": "c", "name": MARKER, "arguments": "{}"}))),
        (ToolArguments, item(json!({"type": "custom_tool_call", "call_id": "c", "name": "f", "input": MARKER}))),
            (
                ToolArguments,
                item(json!({"type": "function_call", "call_id": "c", "name": "f", "namespace": MARKER, "arguments": "{}"})),
            ),
        (ToolResult, item(json!({"type": "function_call_output", "call_id": "c", "output": MARKER}))),
        (ToolResult, item(json!({"type": "function_call_output", "call_id": "c", "output": escaped()}))),
        (ToolResult, item(json!({"type": "custom_tool_call_output", "call_id": "c", "output": input}))),
        (ToolDefinition, json!({"tools": [{"type": "function", "name": "f", "description": MARKER}]})),
        (ToolDefinition, json!({"tools": [{"type": "function", "name": MARKER}]})),
        (ToolDefinition, json!({"tools": [{"type": "custom", "name": "f", "format": {"type": "grammar", "definition": MARKER}}]})),
        (ToolDefinition, json!({"tool_choice": {"type": "function", "name": MARKER}})),
        (ToolDefinition, json!({"text": {"format": {"type": "json_schema", "name": MARKER, "schema": {}}}})),
    ]));
    all.extend(requests(
        COMPLETIONS,
        &json!({"model": "m", "prompt": "hi"}),
        vec![
            (User, json!({ "prompt": MARKER })),
            (User, json!({"prompt": ["a", MARKER]})),
            (User, json!({ "suffix": MARKER })),
            (User, json!({ "stop": MARKER })),
            (User, json!({ "user": MARKER })),
        ],
    ));
    all.extend(requests(
        "/v1/embeddings",
        &json!({"model": "m", "input": "hi"}),
        vec![
            (Embedding, json!({ "input": MARKER })),
            (Embedding, json!({"input": ["a", MARKER]})),
            (User, json!({ "user": MARKER })),
        ],
    ));
    all.extend(requests(
        "/v1/moderations",
        &json!({"model": "m", "input": "hi"}),
        vec![
            (User, json!({ "input": MARKER })),
            (User, json!({"input": ["a", MARKER]})),
            (User, json!({"input": [{"type": "text", "text": MARKER}]})),
        ],
    ));
    all
}

pub fn anthropic_requests() -> Vec<Plant> {
    let text = json!([{"type": "text", "text": MARKER}]);
    let said = |role: &str, content: Value| json!({"messages": [{"role": "user", "content": "hi"}, {"role": role, "content": content}]});
    let block = |role: &str, block: Value| said(role, json!([block]));
    let used = |input: Value, name: &str| {
        block("assistant", json!({"type": "tool_use", "id": "t", "name": name, "input": input}))
    };
    let result = |content: Value| block("user", json!({"type": "tool_result", "tool_use_id": "t", "content": content}));
    let document = |source: Value| block("user", json!({"type": "document", "source": source}));
    let places = || {
        vec![
            (System, json!({ "system": MARKER })),
            (System, json!({ "system": text })),
            (System, said("system", json!(MARKER))),
            (System, block("user", json!({"type": "mid_conv_system", "content": MARKER}))),
            (User, said("user", json!(MARKER))),
            (User, said("user", text.clone())),
            (User, json!({"metadata": {"user_id": MARKER}})),
            (User, json!({"stop_sequences": [MARKER]})),
            (Assistant, said("assistant", json!(MARKER))),
            (Assistant, said("assistant", text.clone())),
            (
                Assistant,
                block(
                    "assistant",
                    json!({"type": "text", "text": "a", "citations": [{"type": "char_location", "cited_text": MARKER}]}),
                ),
            ),
            (Reasoning, block("assistant", json!({"type": "thinking", "thinking": MARKER, "signature": "eA=="}))),
            (Reasoning, block("assistant", json!({"type": "thinking", "thinking": MARKER}))),
            (ToolArguments, used(json!({ "to": MARKER }), "f")),
            (ToolArguments, used(json!({ MARKER: 1 }), "f")),
            (ToolArguments, used(json!({}), MARKER)),
            (ToolResult, result(json!(MARKER))),
            (ToolResult, result(text.clone())),
            (ToolResult, result(json!(escaped()))),
            (ToolResult, document(json!({"type": "text", "media_type": "text/plain", "data": MARKER}))),
            (ToolResult, document(json!({"type": "content", "content": MARKER}))),
            (
                ToolResult,
                block(
                    "user",
                    json!({"type": "document", "title": MARKER, "source": {"type": "text", "media_type": "text/plain", "data": "a"}}),
                ),
            ),
            (
                ToolResult,
                block(
                    "user",
                    json!({"type": "search_result", "source": "s", "title": MARKER, "content": [{"type": "text", "text": "a"}]}),
                ),
            ),
            (
                ToolResult,
                block(
                    "user",
                    json!({"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text", "text": MARKER}]}),
                ),
            ),
            (
                ToolDefinition,
                json!({"tools": [{"name": "f", "description": MARKER, "input_schema": {"type": "object"}}]}),
            ),
            (ToolDefinition, json!({"tools": [{"name": MARKER, "input_schema": {"type": "object"}}]})),
            (ToolDefinition, json!({"tools": [{"name": "f", "input_schema": {"type": "object", "title": MARKER}}]})),
            (ToolDefinition, json!({"tool_choice": {"type": "tool", "name": MARKER}})),
            (
                ToolDefinition,
                json!({"output_config": {"format": {"type": "json_schema", "schema": {"title": MARKER}}}}),
            ),
        ]
    };
    let base = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]});
    let mut all = requests(MESSAGES, &base, places());
    all.extend(requests(
        "/v1/messages/count_tokens",
        &json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]}),
        places(),
    ));
    all
}

pub fn gemini_requests() -> Vec<Plant> {
    let said =
        |role: &str, part: Value| json!({"contents": [{"parts": [{"text": "hi"}]}, {"role": role, "parts": [part]}]});
    let places = || {
        vec![
            (System, json!({"systemInstruction": {"parts": [{"text": MARKER}]}})),
            (System, json!({"system_instruction": {"parts": [{"text": MARKER}]}})),
            (User, json!({"contents": [{"parts": [{"text": MARKER}]}]})),
            (User, said("user", json!({ "text": MARKER }))),
            (User, json!({"generationConfig": {"stopSequences": [MARKER]}})),
            (User, json!({"labels": {"a": MARKER}})),
            (Assistant, said("model", json!({ "text": MARKER }))),
            (Reasoning, said("model", json!({"text": MARKER, "thought": true}))),
            (ToolArguments, said("model", json!({"functionCall": {"name": "f", "args": {"to": MARKER}}}))),
            (ToolArguments, said("model", json!({"functionCall": {"name": MARKER, "args": {}}}))),
            (ToolArguments, said("model", json!({"executableCode": {"language": "PYTHON", "code": MARKER}}))),
            (ToolResult, said("user", json!({"functionResponse": {"name": "f", "response": {"a": MARKER}}}))),
            (ToolResult, said("user", json!({"functionResponse": {"name": MARKER, "response": {}}}))),
            (ToolResult, said("function", json!({ "text": MARKER }))),
            (ToolResult, said("model", json!({"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": MARKER}}))),
            (ToolDefinition, json!({"tools": [{"functionDeclarations": [{"name": "f", "description": MARKER}]}]})),
            (ToolDefinition, json!({"tools": [{"functionDeclarations": [{"name": MARKER}]}]})),
            (
                ToolDefinition,
                json!({"tools": [{"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT", "description": MARKER}}]}]}),
            ),
            (
                ToolDefinition,
                json!({"toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": [MARKER]}}}),
            ),
            (ToolDefinition, json!({"generationConfig": {"responseSchema": {"title": MARKER}}})),
        ]
    };
    let base = json!({"contents": [{"parts": [{"text": "hi"}]}]});
    let mut all = requests(GENERATE, &base, places());
    all.extend(requests("/v1/models/m:countTokens", &base, places()));
    let embedded = json!({"content": {"parts": [{"text": "hi"}]}});
    all.extend(requests(
        "/v1/models/m:embedContent",
        &embedded,
        vec![(Embedding, json!({"content": {"parts": [{"text": MARKER}]}})), (Embedding, json!({ "title": MARKER }))],
    ));
    let one = |text: &str| json!({"requests": [{"model": "models/m", "content": {"parts": [{"text": text}]}}]});
    all.extend(requests("/v1/models/m:batchEmbedContents", &one("hi"), vec![(Embedding, one(MARKER))]));
    all
}

pub fn openai_answers() -> Vec<Plant> {
    let chat = |stream: bool| {
        let tools = json!([{"type": "function", "function": {"name": "f"}}]);
        post(
            CHAT,
            &json!({"model": "m", "stream": stream, "tools": tools, "messages": [{"role": "user", "content": "hi"}]}),
        )
    };
    let answer = |message: Value| {
        json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
    };
    let said = |message: Value| (Assistant, 200, answer(message));
    let call = |arguments: String, name: &str| {
        let call = json!({"id": "c", "type": "function", "function": {"name": name, "arguments": arguments}});
        answer(json!({"role": "assistant", "content": null, "tool_calls": [call]}))
    };
    let mut all = wholes(
        &chat(false),
        vec![
            said(json!({"role": "assistant", "content": MARKER})),
            said(json!({"role": "assistant", "content": null, "refusal": MARKER})),
            said(
                json!({"role": "assistant", "content": "a", "annotations": [{"type": "url_citation", "url_citation": {"title": MARKER, "url": "u"}}]}),
            ),
            (Reasoning, 200, answer(json!({"role": "assistant", "content": "a", "reasoning_content": MARKER}))),
            (ToolArguments, 200, call(arguments(), "f")),
            (ToolArguments, 200, call(escaped(), "f")),
            (ToolArguments, 200, call("{}".to_owned(), MARKER)),
            (
                Assistant,
                400,
                json!({"error": {"message": MARKER, "type": "invalid_request_error", "param": null, "code": null}}),
            ),
        ],
    );
    let chunk = |delta: Value, finish: Value| {
        json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
    };
    let flow = |deltas: Vec<Value>| {
        let mut events = vec![chunk(json!({"role": "assistant", "content": ""}), Value::Null)];
        events.extend(deltas.into_iter().map(|delta| chunk(delta, Value::Null)));
        events.push(chunk(json!({}), json!("stop")));
        events
    };
    let field = |name: &str| flow(pieces().iter().map(|piece| json!({ name: piece })).collect());
    let begun = json!({"tool_calls": [{"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": ""}}]});
    let more = |piece: &str| json!({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]});
    let escaped_call = escaped();
    let (front, back) = escaped_call.split_at(12);
    all.extend(streams(
        &chat(true),
        false,
        vec![
            (Assistant, field("content")),
            (Assistant, field("refusal")),
            (
                Assistant,
                flow(vec![
                    json!({"annotations": [{"type": "url_citation", "url_citation": {"title": MARKER, "url": "u"}}]}),
                ]),
            ),
            (Reasoning, field("reasoning_content")),
            (ToolArguments, flow(vec![begun.clone(), more("{\"to\":\"MARKER-77"), more("7777\"}")])),
            (ToolArguments, flow(vec![begun, more(front), more(back)])),
            (
                Assistant,
                vec![json!({"error": {"message": MARKER, "type": "server_error", "param": null, "code": null}})],
            ),
        ],
    ));
    let responses = |stream: bool| {
        post(
            RESPONSES,
            &json!({"model": "m", "input": "hi", "stream": stream, "tools": [{"type": "function", "name": "f"}]}),
        )
    };
    let response = |output: Value| json!({"id": "r", "object": "response", "created_at": 1, "status": "completed", "model": "m", "output": output});
    let message = |content: Value| json!([{"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": [content]}]);
    let told = |name: &str, value: Value| {
        let mut told = response(message(json!({"type": "output_text", "text": "a", "annotations": []})));
        told[name] = value;
        told
    };
    all.extend(wholes(&responses(false), vec![
        (Assistant, 200, told("output_text", json!(MARKER))),
        (Assistant, 200, told("metadata", json!({"a": MARKER}))),
        (Assistant, 200, told("error", json!({"code": "a", "message": MARKER}))),
        (Assistant, 200, response(message(json!({"type": "output_text", "text": MARKER, "annotations": []})))),
        (Assistant, 200, response(message(json!({"type": "refusal", "refusal": MARKER})))),
        (Reasoning, 200, response(json!([{"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": MARKER}]}]))),
        (ToolArguments, 200, response(json!([{"type": "function_call", "id": "f", "call_id": "c", "name": "f", "arguments": arguments()}]))),
        (ToolArguments, 200, response(json!([{"type": "function_call", "id": "f", "call_id": "c", "name": "f", "arguments": escaped()}]))),
        (Assistant, 400, json!({"error": {"message": MARKER, "type": "invalid_request_error", "param": null, "code": null}})),
    ]));
    all.extend(streams(&responses(true), true, response_streams(&response, &message)));
    let moderated = post("/v1/moderations", &json!({"model": "m", "input": "hi"}));
    let results = json!({"id": "m", "model": "m", "results": [{"flagged": true, "reason": MARKER}]});
    all.extend(wholes(&moderated, vec![(Assistant, 200, results)]));
    let completed = |text: &str| json!({"id": "c", "object": "text_completion", "created": 1, "model": "m", "choices": [{"index": 0, "text": text, "finish_reason": "stop"}]});
    let old = |stream: bool| post(COMPLETIONS, &json!({"model": "m", "prompt": "hi", "stream": stream}));
    all.extend(wholes(&old(false), vec![(Assistant, 200, completed(MARKER))]));
    let piece = |text: &str, finish: Value| json!({"id": "c", "object": "text_completion", "created": 1, "model": "m", "choices": [{"index": 0, "text": text, "finish_reason": finish}]});
    let [one, two] = pieces();
    all.extend(streams(&old(true), false, vec![(Assistant, vec![piece(one, Value::Null), piece(two, json!("stop"))])]));
    all
}

/// Events of the Responses API, which says each text several times.
fn response_streams(response: &dyn Fn(Value) -> Value, message: &dyn Fn(Value) -> Value) -> Vec<(Part, Vec<Value>)> {
    let whole: String = pieces().concat();
    let numbered = |events: Vec<Value>| -> Vec<Value> {
        let number = |(n, mut event): (usize, Value)| {
            event["sequence_number"] = json!(n);
            event
        };
        events.into_iter().enumerate().map(number).collect()
    };
    let frame = |inner: Vec<Value>, output: Value| {
        let mut all = vec![json!({"type": "response.created", "response": response(json!([]))})];
        all.extend(inner);
        all.push(json!({"type": "response.completed", "response": response(output)}));
        numbered(all)
    };
    let place = |mut event: Value| {
        event["item_id"] = json!("m");
        event["output_index"] = json!(0);
        event
    };
    let output = message(json!({"type": "output_text", "text": whole, "annotations": []}));
    let mut texts = vec![
        json!({"type": "response.output_item.added", "output_index": 0, "item": {"type": "message", "id": "m", "role": "assistant", "status": "in_progress", "content": []}}),
        place(
            json!({"type": "response.content_part.added", "content_index": 0, "part": {"type": "output_text", "text": "", "annotations": []}}),
        ),
    ];
    texts.extend(
        pieces()
            .iter()
            .map(|piece| place(json!({"type": "response.output_text.delta", "content_index": 0, "delta": piece}))),
    );
    texts.push(place(json!({"type": "response.output_text.done", "content_index": 0, "text": whole})));
    texts.push(place(json!({"type": "response.content_part.done", "content_index": 0, "part": {"type": "output_text", "text": whole, "annotations": []}})));
    texts.push(json!({"type": "response.output_item.done", "output_index": 0, "item": output[0]}));
    let summary = json!({"type": "reasoning", "id": "m", "summary": [{"type": "summary_text", "text": whole}]});
    let mut thoughts = vec![
        json!({"type": "response.output_item.added", "output_index": 0, "item": {"type": "reasoning", "id": "m", "summary": []}}),
        place(
            json!({"type": "response.reasoning_summary_part.added", "summary_index": 0, "part": {"type": "summary_text", "text": ""}}),
        ),
    ];
    thoughts.extend(pieces().iter().map(|piece| {
        place(json!({"type": "response.reasoning_summary_text.delta", "summary_index": 0, "delta": piece}))
    }));
    thoughts.push(place(json!({"type": "response.reasoning_summary_text.done", "summary_index": 0, "text": whole})));
    thoughts.push(place(json!({"type": "response.reasoning_summary_part.done", "summary_index": 0, "part": {"type": "summary_text", "text": whole}})));
    thoughts.push(json!({"type": "response.output_item.done", "output_index": 0, "item": summary}));
    let call = |arguments: &str| json!({"type": "function_call", "id": "m", "call_id": "c", "name": "f", "arguments": arguments, "status": "completed"});
    let calls = vec![
        json!({"type": "response.output_item.added", "output_index": 0, "item": call("")}),
        place(json!({"type": "response.function_call_arguments.delta", "delta": "{\"to\":\"MARKER-77"})),
        place(json!({"type": "response.function_call_arguments.delta", "delta": "7777\"}"})),
        place(json!({"type": "response.function_call_arguments.done", "arguments": arguments()})),
        json!({"type": "response.output_item.done", "output_index": 0, "item": call(&arguments())}),
    ];
    let named = vec![
        json!({"type": "response.output_item.added", "output_index": 0, "item": call("")}),
        place(json!({"type": "response.function_call_arguments.delta", "delta": "{}"})),
        place(json!({"type": "response.function_call_arguments.done", "arguments": "{}", "name": MARKER})),
        json!({"type": "response.output_item.done", "output_index": 0, "item": call("{}")}),
    ];
    let free =
        |input: &str| json!({"type": "custom_tool_call", "id": "m", "call_id": "c", "name": "f", "input": input});
    let [one, two] = pieces();
    let custom = vec![
        json!({"type": "response.output_item.added", "output_index": 0, "item": free("")}),
        place(json!({"type": "response.custom_tool_call_input.delta", "delta": one})),
        place(json!({"type": "response.custom_tool_call_input.delta", "delta": two})),
        place(json!({"type": "response.custom_tool_call_input.done", "input": whole})),
        json!({"type": "response.output_item.done", "output_index": 0, "item": free(&whole)}),
    ];
    vec![
        (Assistant, frame(texts, output)),
        (Reasoning, frame(thoughts, json!([summary]))),
        (ToolArguments, frame(calls, json!([call(&arguments())]))),
        (ToolArguments, frame(named, json!([call("{}")]))),
        (ToolArguments, frame(custom, json!([free(&whole)]))),
        // A text that no delta carried.
        (Assistant, frame(Vec::new(), message(json!({"type": "output_text", "text": MARKER, "annotations": []})))),
        (Assistant, numbered(vec![json!({"type": "error", "code": "server_error", "message": MARKER, "param": null})])),
    ]
}

pub fn anthropic_answers() -> Vec<Plant> {
    let ask = |stream: bool| {
        let tools = json!([{"name": "f", "input_schema": {"type": "object"}}]);
        post(
            MESSAGES,
            &json!({"model": "m", "max_tokens": 9, "stream": stream, "tools": tools, "messages": [{"role": "user", "content": "hi"}]}),
        )
    };
    let message = |content: Value| {
        json!({"id": "m", "type": "message", "role": "assistant", "model": "m", "content": content, "stop_reason": "end_turn",
            "stop_sequence": null, "usage": {"input_tokens": 1, "output_tokens": 1}})
    };
    let block = |block: Value| message(json!([block]));
    let mut all = wholes(
        &ask(false),
        vec![
            (Assistant, 200, block(json!({"type": "text", "text": MARKER}))),
            (
                Assistant,
                200,
                block(
                    json!({"type": "text", "text": "a", "citations": [{"type": "char_location", "cited_text": MARKER}]}),
                ),
            ),
            (Reasoning, 200, block(json!({"type": "thinking", "thinking": MARKER, "signature": "eA=="}))),
            (ToolArguments, 200, block(json!({"type": "tool_use", "id": "t", "name": "f", "input": {"to": MARKER}}))),
            (ToolArguments, 200, block(json!({"type": "tool_use", "id": "t", "name": MARKER, "input": {}}))),
            (Assistant, 400, json!({"type": "error", "error": {"type": "invalid_request_error", "message": MARKER}})),
        ],
    );
    let stopped = |field: &str, value: Value| {
        let mut whole = message(json!([]));
        whole[field] = value;
        (Assistant, 200, whole)
    };
    all.extend(wholes(
        &ask(false),
        vec![
            stopped("stop_sequence", json!(MARKER)),
            stopped("stop_details", json!({"type": "refusal", "explanation": MARKER})),
        ],
    ));
    let flow = |start: Value, deltas: Vec<Value>| {
        let mut events = vec![
            json!({"type": "message_start", "message": message(json!([]))}),
            json!({"type": "content_block_start", "index": 0, "content_block": start}),
        ];
        events
            .extend(deltas.into_iter().map(|delta| json!({"type": "content_block_delta", "index": 0, "delta": delta})));
        events.push(json!({"type": "content_block_stop", "index": 0}));
        events.push(json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null}, "usage": {"output_tokens": 2}}));
        events.push(json!({"type": "message_stop"}));
        events
    };
    let deltas = |kind: &str, field: &str, pieces: [&str; 2]| -> Vec<Value> {
        pieces.iter().map(|piece| json!({"type": kind, field: piece})).collect()
    };
    let tool = json!({"type": "tool_use", "id": "t", "name": "f", "input": {}});
    all.extend(streams(
        &ask(true),
        true,
        vec![
            (Assistant, flow(json!({"type": "text", "text": ""}), deltas("text_delta", "text", pieces()))),
            (
                Assistant,
                flow(
                    json!({"type": "text", "text": ""}),
                    vec![
                        json!({"type": "citations_delta", "citation": {"type": "char_location", "cited_text": MARKER}}),
                    ],
                ),
            ),
            (
                Reasoning,
                flow(
                    json!({"type": "thinking", "thinking": "", "signature": ""}),
                    deltas("thinking_delta", "thinking", pieces()),
                ),
            ),
            (ToolArguments, flow(tool, deltas("input_json_delta", "partial_json", ["{\"to\":\"MARKER-77", "7777\"}"]))),
            (Assistant, vec![json!({"type": "error", "error": {"type": "overloaded_error", "message": MARKER}})]),
        ],
    ));
    all
}

pub fn gemini_answers() -> Vec<Plant> {
    let tools = json!([{"functionDeclarations": [{"name": "f"}]}]);
    let body = json!({"contents": [{"parts": [{"text": "hi"}]}], "tools": tools});
    let whole = post(GENERATE, &body);
    let streamed = post("/v1/models/m:streamGenerateContent?alt=sse", &body);
    let answer = |part: Value, finish: Option<&str>| {
        let mut candidate = json!({"index": 0, "content": {"role": "model", "parts": [part]}});
        if let Some(finish) = finish {
            candidate["finishReason"] = json!(finish);
        }
        json!({"candidates": [candidate], "modelVersion": "m"})
    };
    let said = |part: Value| answer(part, Some("STOP"));
    let mut all = wholes(
        &whole,
        vec![
            (Assistant, 200, said(json!({ "text": MARKER }))),
            (Reasoning, 200, said(json!({"text": MARKER, "thought": true}))),
            (ToolArguments, 200, said(json!({"functionCall": {"name": "f", "args": {"to": MARKER}}}))),
            (ToolArguments, 200, said(json!({"executableCode": {"language": "PYTHON", "code": MARKER}}))),
            (Assistant, 200, said(json!({"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": MARKER}}))),
            (Assistant, 400, json!({"error": {"code": 400, "message": MARKER, "status": "INVALID_ARGUMENT"}})),
        ],
    );
    let beside = |field: &str, value: Value| {
        let mut whole = said(json!({"text": "a"}));
        whole[field] = value;
        (Assistant, 200, whole)
    };
    let mut finished = said(json!({"text": "a"}));
    finished["candidates"][0]["finishMessage"] = json!(MARKER);
    let mut cited = said(json!({"text": "a"}));
    cited["candidates"][0]["citationMetadata"] = json!({"citationSources": [{"uri": "u", "title": MARKER}]});
    all.extend(wholes(
        &whole,
        vec![
            beside("modelStatus", json!({ "message": MARKER })),
            beside("promptFeedback", json!({"blockReasonMessage": MARKER})),
            (Assistant, 200, finished),
            (Assistant, 200, cited),
        ],
    ));
    let [one, two] = pieces();
    let thought = |text: &str| json!({"text": text, "thought": true});
    all.extend(streams(
        &streamed,
        false,
        vec![
            (Assistant, vec![answer(json!({ "text": one }), None), said(json!({ "text": two }))]),
            (Reasoning, vec![answer(thought(one), None), answer(thought(two), None), said(json!({"text": "a"}))]),
            (ToolArguments, vec![said(json!({"functionCall": {"name": "f", "args": {"to": MARKER}}}))]),
            (Assistant, vec![json!({"error": {"code": 503, "message": MARKER, "status": "UNAVAILABLE"}})]),
        ],
    ));
    all
}

pub fn http_requests() -> Vec<Plant> {
    let with = |kind: &str, body: String| {
        let mut asked = asked("POST", "/v1/a").head(&format!("content-type: {kind}"));
        asked.body = body.into();
        asked
    };
    let multipart = format!("--b\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\n{MARKER}\r\n--b--\r\n");
    let plant = |part, what: &str, asked| Plant { part, what: what.to_owned(), asked, answer: None };
    let json = |body: Value| asked("POST", "/v1/a").json(body.to_string());
    vec![
        plant(HttpBody, "JSON", json(json!({"a": [{"b": MARKER}]}))),
        plant(HttpBody, "a name in JSON", json(json!({ MARKER: 1 }))),
        plant(HttpBody, "text", with("text/plain", format!("so {MARKER}"))),
        plant(HttpBody, "a form", with("application/x-www-form-urlencoded", format!("a=b&c={MARKER}"))),
        plant(HttpBody, "a name in a form", with("application/x-www-form-urlencoded", format!("{MARKER}=b"))),
        plant(
            HttpBody,
            "a form with escapes",
            with("application/x-www-form-urlencoded", "a=%4DARKER-777777".to_owned()),
        ),
        plant(HttpBody, "a form of parts", with("multipart/form-data; boundary=b", multipart)),
        plant(HttpQuery, "the query", asked("GET", &format!("/v1/a?b={MARKER}"))),
        plant(HttpQuery, "a name in the query", asked("GET", &format!("/v1/a?{MARKER}=b"))),
        plant(HttpQuery, "the query with escapes", asked("GET", "/v1/a?b=%4DARKER-777777")),
        plant(HttpHeader, "a header", asked("GET", "/v1/a").head(&format!("x-note: {MARKER}"))),
        plant(HttpHeader, "a cookie", asked("GET", "/v1/a").head(&format!("cookie: a=b; c={MARKER}"))),
    ]
}

pub fn http_answers() -> Vec<Plant> {
    wholes(
        &asked("GET", "/v1/a"),
        vec![
            (HttpBody, 200, json!({"a": [{"b": MARKER}]})),
            (HttpBody, 200, json!({ MARKER: 1 })),
            (HttpBody, 500, json!({"error": MARKER})),
        ],
    )
}

/// Requests with something in them that nobody can read.
pub fn unread() -> Vec<(Dialect, Asked)> {
    let chat = |message: Value| {
        (Dialect::OpenAi, post(CHAT, &json!({"model": "m", "messages": [{"role": "user", "content": "hi"}, message]})))
    };
    let part = |part: Value| chat(json!({"role": "user", "content": [{"type": "text", "text": "a"}, part]}));
    let with = |field: &str, value: Value| {
        let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
        body[field] = value;
        (Dialect::OpenAi, post(CHAT, &body))
    };
    let response = |field: &str, value: Value| {
        let mut body = json!({"model": "m", "input": "hi"});
        body[field] = value;
        (Dialect::OpenAi, post(RESPONSES, &body))
    };
    let item = |item: Value| response("input", json!([{"role": "user", "content": "hi"}, item]));
    let piece = |piece: Value| item(json!({"type": "message", "role": "user", "content": [piece]}));
    let claude = |role: &str, block: Value| {
        let messages = json!([{"role": "user", "content": "hi"}, {"role": role, "content": [{"type": "text", "text": "a"}, block]}]);
        (Dialect::Anthropic, post(MESSAGES, &json!({"model": "m", "max_tokens": 9, "messages": messages})))
    };
    let source = |source: Value| claude("user", json!({"type": "document", "source": source}));
    let gemini = |part: Value| {
        let body =
            json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}, {"role": "model", "parts": [part]}]});
        (Dialect::Gemini, post(GENERATE, &body))
    };
    let beside = |field: &str, value: Value| {
        let mut body = json!({"contents": [{"parts": [{"text": "hi"}]}]});
        body[field] = value;
        (Dialect::Gemini, post(GENERATE, &body))
    };
    let kept =
        json!({"model": "m", "max_tokens": 9, "container": "c", "messages": [{"role": "user", "content": "hi"}]});
    let seen = json!({"model": "m", "input": [{"type": "image_url", "image_url": {"url": "u"}}]});
    vec![
        part(json!({"type": "image_url", "image_url": {"url": "u"}})),
        part(json!({"type": "input_audio", "input_audio": {"data": "eA==", "format": "wav"}})),
        part(json!({"type": "file", "file": {"file_id": "f"}})),
        chat(json!({"role": "assistant", "audio": {"id": "a"}})),
        with("modalities", json!(["text", "audio"])),
        (Dialect::OpenAi, post(COMPLETIONS, &json!({"model": "m", "prompt": [1, 2, 3]}))),
        (Dialect::OpenAi, post("/v1/embeddings", &json!({"model": "m", "input": [1, 2, 3]}))),
        (Dialect::OpenAi, post("/v1/moderations", &seen)),
        response("previous_response_id", json!("r")),
        response("conversation", json!("c")),
        response("prompt", json!({"id": "p"})),
        response("include", json!(["reasoning.encrypted_content"])),
        item(json!({"type": "item_reference", "id": "i"})),
        item(json!({"type": "compaction", "encrypted_content": "eA=="})),
        item(json!({"type": "reasoning", "id": "r", "summary": [], "encrypted_content": "eA=="})),
        piece(json!({"type": "input_image", "image_url": "u"})),
        piece(json!({"type": "input_file", "file_id": "f"})),
        piece(json!({"type": "input_audio", "input_audio": {"data": "eA==", "format": "wav"}})),
        claude("user", json!({"type": "image", "source": {"type": "url", "url": "u"}})),
        claude("user", json!({"type": "container_upload", "file_id": "f"})),
        claude("assistant", json!({"type": "redacted_thinking", "data": "eA=="})),
        claude("assistant", json!({"type": "compaction", "content": "eA=="})),
        claude("assistant", json!({"type": "thinking", "thinking": "", "signature": "eA=="})),
        source(json!({"type": "base64", "media_type": "application/pdf", "data": "eA=="})),
        source(json!({"type": "url", "url": "u"})),
        source(json!({"type": "file", "file_id": "f"})),
        (Dialect::Anthropic, post(MESSAGES, &kept)),
        gemini(json!({"inlineData": {"mimeType": "image/png", "data": "eA=="}})),
        gemini(json!({"fileData": {"fileUri": "u"}})),
        gemini(json!({"text": "a", "thoughtSignature": "eA=="})),
        gemini(json!({"text": "a", "videoMetadata": {"fps": 1}})),
        gemini(json!({"functionResponse": {"name": "f", "response": {}, "parts": [{"inlineData": {}}]}})),
        beside("cachedContent", json!("c")),
        beside("generationConfig", json!({"responseModalities": ["IMAGE"]})),
    ]
}

/// Answers with something in them that nobody can read, each to a request.
pub fn unread_answers() -> Vec<(Dialect, Asked, Value)> {
    let chat = post(CHAT, &json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]}));
    let spoken = json!({"role": "assistant", "content": null, "audio": {"id": "a", "data": "eA=="}});
    let spoken = json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": spoken, "finish_reason": "stop"}]});
    let responses = post(RESPONSES, &json!({"model": "m", "input": "hi"}));
    let sealed = json!({"id": "r", "object": "response", "created_at": 1, "status": "completed", "model": "m",
        "output": [{"type": "reasoning", "id": "r", "summary": [], "encrypted_content": "eA=="}]});
    let claude =
        post(MESSAGES, &json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}));
    let mut kept = json!({"id": "m", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": "end_turn",
        "stop_sequence": null, "usage": {"input_tokens": 1, "output_tokens": 1}});
    kept["container"] = json!({"id": "c", "expires_at": "2027-01-01T00:00:00Z"});
    let gemini = post(GENERATE, &json!({"contents": [{"parts": [{"text": "hi"}]}]}));
    let drawn = json!({"candidates": [{"index": 0, "finishReason": "STOP",
        "content": {"role": "model", "parts": [{"inlineData": {"mimeType": "image/png", "data": "eA=="}}]}}], "modelVersion": "m"});
    vec![
        (Dialect::OpenAi, chat, spoken),
        (Dialect::OpenAi, responses, sealed),
        (Dialect::Anthropic, claude, kept),
        (Dialect::Gemini, gemini, drawn),
    ]
}
