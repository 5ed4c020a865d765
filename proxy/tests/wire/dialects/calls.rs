//! Calls of tools in every vendor's words, whole and streamed: of those on offer and with arguments that fit, or not at all.

use serde_json::{Value, json};

use super::{anthropic, data, events, gemini, openai, speaks, whole};
use crate::house::client::Reply;
use crate::house::upstream::Act;
use crate::house::{Ask, House, Plan};

fn only_offered(plan: Plan) -> Plan {
    plan.with(
        "manifests/chat.yaml",
        "    - {name: hidden, type: HiddenText, parts: [User], action: Block}\n",
        "    - {name: hidden, type: HiddenText, parts: [User], action: Block}\n  output: {toolCalls: OnlyAllowed, markup: Allow}\n",
    )
}

fn schema() -> Value {
    json!({"type": "object", "properties": {"city": {"type": "string", "pattern": "^[A-Z][a-z]+$"}, "days": {"type": "integer", "maximum": 7}},
        "required": ["city"], "additionalProperties": false})
}

/// Name and arguments of a call, and whether it passes.
const CALLS: [(&str, &str, bool); 8] = [
    ("weather", r#"{"city":"Oslo","days":3}"#, true),
    ("weather", r#"{"city":"Oslo"}"#, true),
    ("weather", r#"{"city":"Oslo","days":8}"#, false),
    ("weather", r#"{"city":"oslo; rm -rf /"}"#, false),
    ("weather", r#"{"city":"Oslo","also":"x"}"#, false),
    ("weather", "{}", false),
    ("shell", r#"{"city":"Oslo"}"#, false),
    ("ping", r#"{"anything":1}"#, true),
];

/// A reply passes with the name of the tool in it, or is refused without.
fn check(case: &str, reply: &Reply, streamed: bool, arguments: &str, passes: bool) {
    let words = arguments.trim_matches(['{', '}']);
    if passes {
        assert_eq!(reply.status, 200, "{case}: {}", reply.body);
        assert!(reply.body.replace('\\', "").contains(words), "{case}: {}", reply.body);
        assert!(!reply.body.contains("answer_refused") && !reply.body.contains("PERMISSION"), "{case}: {}", reply.body);
        return;
    }
    assert_eq!(reply.status, if streamed { 200 } else { 403 }, "{case}: {}", reply.body);
    assert!(words.is_empty() || !reply.body.replace('\\', "").contains(words), "{case}: {}", reply.body);
    assert!(reply.body.contains("decision"), "{case}: {}", reply.body);
}

#[tokio::test]
async fn completions_call_only_what_was_offered() {
    let house = only_offered(House::plan()).start().await;
    let tool =
        |name: &str, schema: Value| json!({"type": "function", "function": {"name": name, "parameters": schema}});
    let ask = |tools: Value, stream: bool| {
        let messages = json!([{"role": "user", "content": "hi"}]);
        let mut body = json!({"model": "small", "messages": messages, "stream": stream});
        body["tools"] = tools;
        Ask::json("/v1/chat/completions", &body)
    };
    let tools = || json!([tool("weather", schema()), {"type": "function", "function": {"name": "ping"}}]);
    for (name, arguments, passes) in CALLS {
        let call = json!({"id": "c1", "type": "function", "function": {"name": name, "arguments": arguments}});
        let said = json!({"id": "1", "object": "chat.completion", "created": 1, "model": "small",
            "choices": [{"index": 0, "finish_reason": "tool_calls", "message": {"role": "assistant", "content": null, "tool_calls": [call]}}]});
        house.model.says(whole(&said));
        check(arguments, &house.call(&house.who.mia, ask(tools(), false)).await, false, arguments, passes);
        let chunk = |delta: Value, finish: Value| {
            json!({"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "small",
                "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
        };
        let (front, back) = arguments.split_at(arguments.len() / 2);
        let first = json!({"tool_calls": [{"index": 0, "id": "c1", "type": "function", "function": {"name": name, "arguments": front}}]});
        let more = json!({"tool_calls": [{"index": 0, "function": {"arguments": back}}]});
        let mut stream =
            events(&[chunk(first, Value::Null), chunk(more, Value::Null), chunk(json!({}), json!("tool_calls"))]);
        stream.extend(b"data: [DONE]\n\n");
        house.model.does(move |_| Act::Close(stream.clone()));
        check(arguments, &house.call(&house.who.mia, ask(tools(), true)).await, true, arguments, passes);
    }
    // Schemas that nothing can enforce, and two tools of one name.
    let before = house.model.count();
    let refused = [
        json!([tool("weather", json!({"$ref": "https://evil.example/schema.json"}))]),
        json!([tool("weather", json!({"type": "object", "properties": {"a": {"pattern": "(a)\\1"}}}))]),
        json!([tool("weather", json!({"type": "object", "description": "x".repeat(300 << 10)}))]),
        json!([tool("weather", schema()), tool("weather", json!({}))]),
    ];
    for tools in refused {
        let reply = house.call(&house.who.mia, ask(tools, false)).await;
        assert!((400..500).contains(&reply.status), "{}", reply.body);
    }
    assert_eq!(house.model.count(), before, "none of them reached the model");
    let records = house.stop().await;
    assert!(records.requests().iter().any(|record| record.findings() > 0));
}

#[tokio::test]
async fn messages_call_only_what_was_offered() {
    let house = only_offered(speaks("anthropic", anthropic::ALLOW)).start().await;
    let ask = |stream: bool| {
        let messages = json!([{"role": "user", "content": "hi"}]);
        let tools = json!([{"name": "weather", "input_schema": schema()}, {"name": "ping", "input_schema": {}}]);
        Ask::json(
            "/v1/messages",
            &json!({"model": "small", "max_tokens": 64, "messages": messages, "tools": tools, "stream": stream}),
        )
    };
    for (name, arguments, passes) in CALLS {
        let input: Value = serde_json::from_str(arguments).unwrap();
        let mut said = anthropic::says("fine");
        said["content"][1]["name"] = json!(name);
        said["content"][1]["input"] = input;
        house.model.says(whole(&said));
        check(arguments, &house.call(&house.who.mia, ask(false)).await, false, arguments, passes);
        said["content"] = json!([]);
        let (front, back) = arguments.split_at(arguments.len() / 2);
        let delta = |text: &str| json!({"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": text}});
        let stream = events(&[
            json!({"type": "message_start", "message": said}),
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "id": "t1", "name": name, "input": {}}}),
            delta(front),
            delta(back),
            json!({"type": "content_block_stop", "index": 0}),
            json!({"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": null}, "usage": {"output_tokens": 5}}),
            json!({"type": "message_stop"}),
        ]);
        house.model.does(move |_| Act::Close(stream.clone()));
        check(arguments, &house.call(&house.who.mia, ask(true)).await, true, arguments, passes);
    }
    house.stop().await;
}

#[tokio::test]
async fn contents_call_only_what_was_offered() {
    let house = only_offered(gemini::plan()).start().await;
    let old = json!({"type": "OBJECT", "properties": {"city": {"type": "STRING", "pattern": "^[A-Z][a-z]+$"},
        "days": {"type": "INTEGER", "maximum": 7}}, "required": ["city"]});
    for (verb, tools) in [
        (
            "generateContent",
            json!([{"functionDeclarations": [{"name": "weather", "parametersJsonSchema": schema()}, {"name": "ping"}]}]),
        ),
        (
            "streamGenerateContent?alt=sse",
            json!([{"functionDeclarations": [{"name": "weather", "parameters": old}, {"name": "ping"}]}]),
        ),
    ] {
        let streamed = verb.starts_with("stream");
        for (name, arguments, passes) in CALLS {
            // What Gemini calls an object has no word for members that are not named.
            if streamed && arguments.contains("also") {
                continue;
            }
            let input: Value = serde_json::from_str(arguments).unwrap();
            let mut said = gemini::says("fine", true);
            said["candidates"][0]["content"]["parts"] = json!([{"functionCall": {"name": name, "args": input}}]);
            if streamed {
                let stream = events(&[said]);
                house.model.does(move |_| Act::Close(stream.clone()));
            } else {
                house.model.says(whole(&said));
            }
            let contents = json!([{"role": "user", "parts": [{"text": "hi"}]}]);
            let ask =
                Ask::json(&format!("/v1beta/models/small:{verb}"), &json!({"contents": contents, "tools": tools}));
            let reply = house.call(&house.who.mia, ask).await;
            if passes {
                assert!(data(&reply.body).len() + usize::from(!streamed) > 0);
            }
            check(arguments, &reply, streamed, arguments, passes);
        }
    }
    house.stop().await;
}

#[tokio::test]
async fn responses_call_only_what_was_offered() {
    let house = only_offered(speaks("openai", openai::ALLOW)).start().await;
    let ask = |stream: bool| {
        let tools = json!([{"type": "function", "name": "weather", "parameters": schema()}, {"type": "function", "name": "ping"}]);
        Ask::json(
            "/v1/responses",
            &json!({"model": "small", "input": "hi", "store": false, "tools": tools, "stream": stream}),
        )
    };
    for (name, arguments, passes) in CALLS {
        let call = |arguments: &str| json!({"id": "f1", "type": "function_call", "call_id": "c1", "name": name, "status": "completed", "arguments": arguments});
        let response = |output: Value| {
            json!({"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "small", "error": null,
                "instructions": null, "metadata": {}, "parallel_tool_calls": true, "tool_choice": "auto", "tools": [], "output": output,
                "usage": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}})
        };
        house.model.says(whole(&response(json!([call(arguments)]))));
        check(arguments, &house.call(&house.who.mia, ask(false)).await, false, arguments, passes);
        let stream = events(&[
            json!({"type": "response.created", "response": response(json!([])), "sequence_number": 0}),
            json!({"type": "response.output_item.added", "output_index": 0, "item": call(""), "sequence_number": 1}),
            json!({"type": "response.function_call_arguments.delta", "item_id": "f1", "output_index": 0, "delta": arguments, "sequence_number": 2}),
            json!({"type": "response.function_call_arguments.done", "item_id": "f1", "output_index": 0, "arguments": arguments, "sequence_number": 3}),
            json!({"type": "response.output_item.done", "output_index": 0, "item": call(arguments), "sequence_number": 4}),
            json!({"type": "response.completed", "response": response(json!([call(arguments)])), "sequence_number": 5}),
        ]);
        house.model.does(move |_| Act::Close(stream.clone()));
        check(arguments, &house.call(&house.who.mia, ask(true)).await, true, arguments, passes);
    }
    house.stop().await;
}
