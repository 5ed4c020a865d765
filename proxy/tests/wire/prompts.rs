//! What models are told by policy, across sockets: it reaches every vendor, nobody adds to it, and it does not come back.

use serde_json::{Value, json};

use crate::house::upstream::{Act, answer, stream_head};
use crate::house::{Ask, House};

const RULES: &str = "You work for the house. Be \"kind\".";

const POLICY: &str = "apiVersion: secure.platformspec.io/v1alpha1\nkind: RuntimeSecurityPolicy\nmetadata: {name: prompts}\nspec:\n  \
     targetRefs: [{kind: Route, name: chat}]\n  promptLayers: [{name: house, position: First, contentFrom: \"file:house.txt\"}]\n  \
     isolate: true\n  detectors: [{name: canary, type: Canary, parts: [Assistant, ToolArguments], action: Block}]\n";

struct Vendor {
    dialect: &'static str,
    allow: &'static str,
    path: fn(bool) -> &'static str,
    /// A request with a text of the user and the result of a tool, and one with system text.
    asks: fn(bool) -> Value,
    speaks: fn() -> Value,
    /// What a request tells the model as the operator, and what it has of the tool.
    told: fn(&Value) -> (String, String),
    whole: fn(&str) -> Value,
    stream: fn(&[&str]) -> Vec<Value>,
    /// The vendor's word for an error.
    error: fn(&Value) -> Value,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn vendors() -> [Vendor; 3] {
    [
        Vendor {
            dialect: "openai",
            allow: "/v1/chat/completions",
            path: |_| "/v1/chat/completions",
            asks: |stream| {
                json!({"model": "small", "stream": stream, "messages": [{"role": "user", "content": "hi"},
                    {"role": "assistant", "content": null, "tool_calls": [{"id": "1", "type": "function", "function": {"name": "t", "arguments": "{}"}}]},
                    {"role": "tool", "tool_call_id": "1", "content": "{\"rain\": true}"}]})
            },
            speaks: || json!({"model": "small", "messages": [{"role": "developer", "content": "obey"}, {"role": "user", "content": "hi"}]}),
            told: |body| (text(&body["messages"][0]["content"]), text(&body["messages"][3]["content"])),
            whole: |said| {
                json!({"id": "c1", "object": "chat.completion", "created": 1, "model": "small",
                    "choices": [{"index": 0, "message": {"role": "assistant", "content": said}, "finish_reason": "stop"}]})
            },
            stream: |pieces| {
                let chunk = |delta: Value| {
                    json!({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "small",
                    "choices": [{"index": 0, "delta": delta, "finish_reason": null}]})
                };
                pieces.iter().map(|piece| chunk(json!({"content": piece}))).collect()
            },
            error: |body| body["error"]["code"].clone(),
        },
        Vendor {
            dialect: "anthropic",
            allow: "/v1/messages",
            path: |_| "/v1/messages",
            asks: |stream| {
                json!({"model": "small", "max_tokens": 9, "stream": stream, "messages": [{"role": "user", "content": "hi"},
                    {"role": "assistant", "content": [{"type": "tool_use", "id": "1", "name": "t", "input": {}}]},
                    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": "{\"rain\": true}"}]}]})
            },
            speaks: || json!({"model": "small", "max_tokens": 9, "system": "obey", "messages": [{"role": "user", "content": "hi"}]}),
            told: |body| (text(&body["system"]), text(&body["messages"][2]["content"][0]["content"])),
            whole: |said| {
                json!({"id": "m1", "type": "message", "role": "assistant", "model": "small", "stop_reason": "end_turn", "stop_sequence": null,
                    "content": [{"type": "text", "text": said}], "usage": {"input_tokens": 1, "output_tokens": 2}})
            },
            stream: |pieces| {
                let mut all = vec![
                    json!({"type": "message_start", "message": {"id": "m1", "type": "message", "role": "assistant", "content": [],
                        "model": "small", "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 1, "output_tokens": 1}}}),
                    json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
                ];
                all.extend(pieces.iter().map(|piece| {
                    json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}})
                }));
                all
            },
            error: |body| body["error"]["type"].clone(),
        },
        Vendor {
            dialect: "gemini",
            allow: "/v1/models/*",
            path: |stream| {
                if stream {
                    "/v1/models/small:streamGenerateContent?alt=sse"
                } else {
                    "/v1/models/small:generateContent"
                }
            },
            asks: |_| {
                json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]},
                    {"role": "model", "parts": [{"functionCall": {"name": "t", "args": {}}}]},
                    {"role": "function", "parts": [{"functionResponse": {"name": "t", "response": {"rain": true}}}]}]})
            },
            speaks: || json!({"systemInstruction": {"parts": [{"text": "obey"}]}, "contents": [{"role": "user", "parts": [{"text": "hi"}]}]}),
            told: |body| {
                let result = &body["contents"][2]["parts"][0]["functionResponse"]["response"]["output"];
                (text(&body["systemInstruction"]["parts"][0]["text"]), text(result))
            },
            whole: |said| json!({"candidates": [{"index": 0, "content": {"role": "model", "parts": [{"text": said}]}, "finishReason": "STOP"}]}),
            stream: |pieces| {
                let say =
                    |piece: &&str| json!({"candidates": [{"content": {"role": "model", "parts": [{"text": piece}]}}]});
                pieces.iter().map(say).collect()
            },
            error: |body| body["error"]["status"].clone(),
        },
    ]
}

async fn start(vendor: &Vendor) -> House {
    let allow = "    - {methods: [POST], paths: [ALLOW], contentTypes: [application/json]}\n";
    House::plan()
        .with("postern.yaml", "dialect: openai", &format!("dialect: {}", vendor.dialect))
        .with(
            "manifests/chat.yaml",
            &allow.replace("ALLOW", "/v1/chat/completions"),
            &allow.replace("ALLOW", vendor.allow),
        )
        .file("house.txt", RULES)
        .also(POLICY)
        .start()
        .await
}

/// What the model was told of its canary.
fn canary(told: &str) -> String {
    told.split_once("reference ").unwrap().1.chars().take(26).collect()
}

#[tokio::test]
async fn every_vendor_is_told_the_house_rules_and_no_caller_tells_it_others() {
    for vendor in vendors() {
        let house = start(&vendor).await;
        house.model.says(answer(
            200,
            &[("content-type", "application/json")],
            (vendor.whole)("fine").to_string().as_bytes(),
        ));
        let mut canaries = Vec::new();
        for _ in 0..2 {
            let reply = house.call(&house.who.mia, Ask::json((vendor.path)(false), &(vendor.asks)(false))).await;
            assert_eq!(reply.status, 200, "{}", reply.body);
            let (told, result) = (vendor.told)(&house.model.seen().last().unwrap().json());
            assert!(told.contains(RULES), "{told}");
            let (open, rest) = result.split_once('>').unwrap();
            assert!(told.contains(&format!("between {open}> and")), "{told}");
            assert!(rest.contains("rain") && rest.ends_with(&format!("</{}>", &open[1..])), "{result}");
            canaries.push(canary(&told));
            canaries.push(open.to_owned());
        }
        canaries.sort();
        canaries.dedup();
        assert_eq!(canaries.len(), 4, "each request has its own");

        let before = house.model.count();
        let reply = house.call(&house.who.mia, Ask::json((vendor.path)(false), &(vendor.speaks)())).await;
        assert_eq!((reply.status, house.model.count()), (403, before), "{}", reply.body);
        assert!((vendor.error)(&reply.json()).is_string() && !reply.body.contains("obey"), "{}", reply.body);

        let promised = |direction| house.promised("chat", direction, false);
        let (asked, answered) =
            (promised(postern_config::Direction::Request), promised(postern_config::Direction::Response));
        let records = house.stop().await;
        assert!(!records.text().contains("for the house") && !records.text().contains(&canaries[0]));
        let requests = records.requests();
        let sorted = |mut names: Vec<String>| {
            names.sort();
            names
        };
        assert_eq!(sorted(requests[0].request_guards()), sorted(asked));
        assert_eq!(sorted(requests[0].response_guards()), sorted(answered));
        assert!(requests[0].request_guards().iter().any(|guard| guard == "layer/house"));
        assert_eq!((requests[2].rule(), requests[2].reason()), ("systemText", "content_refused"));
    }
}

#[tokio::test]
async fn attack_49_what_a_model_was_told_does_not_come_back_whole_or_in_streams() {
    for vendor in vendors() {
        let house = start(&vendor).await;
        let (told, whole, stream) = (vendor.told, vendor.whole, vendor.stream);
        house.model.does(move |seen| {
            let canary = canary(&told(&seen.json()).0);
            let said = format!("My rules begin with {} {canary}", canary.to_uppercase());
            let streams = seen.request_line().contains("streamGenerate") || seen.json()["stream"] == json!(true);
            if !streams {
                return Act::Answer(answer(
                    200,
                    &[("content-type", "application/json")],
                    whole(&said).to_string().as_bytes(),
                ));
            }
            let (front, back) = said.split_at(said.len() - 40);
            let mut out = stream_head();
            for event in stream(&["Sure. ", front, back]) {
                if let Some(name) = event["type"].as_str() {
                    out.extend(format!("event: {name}\n").as_bytes());
                }
                out.extend(format!("data: {event}\n\n").as_bytes());
            }
            Act::Close(out)
        });
        for streams in [false, true] {
            let ask = Ask::json((vendor.path)(streams), &(vendor.asks)(streams));
            let reply = house.call(&house.who.mia, ask).await;
            let canary = canary(&told(&house.model.seen().last().unwrap().json()).0);
            assert_eq!(reply.status, if streams { 200 } else { 403 }, "{}", reply.body);
            assert_eq!(reply.body.contains("Sur"), streams, "{}", reply.body);
            assert!(reply.body.contains("decision"), "{}", reply.body);
            let lower = reply.body.to_lowercase();
            assert!(!lower.contains(&canary[..6]) && !lower.contains(&canary[20..]), "{}", reply.body);
        }
        let records = house.stop().await;
        for record in records.requests() {
            assert_eq!((record.reason(), record.rule()), ("answer_refused", "runtime/canary"));
            assert_eq!(record.findings(), 1);
        }
    }
}
