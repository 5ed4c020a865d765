use serde_json::{Value, json};

use super::{CARD, INJECTION, SECRET, data, events, refused, speaks, whole};
use crate::house::Ask;
use crate::house::upstream::Act;

pub(super) const ALLOW: &str = "    - {methods: [POST], paths: [/v1/**], contentTypes: [application/json]}
    - {methods: [GET], paths: [/v1/models, /v1/models/*]}\n";

#[tokio::test]
async fn the_small_endpoints_are_read_and_every_other_is_refused() {
    let house = speaks("openai", ALLOW)
        .with(
            "manifests/chat.yaml",
            "{actions: [chat], resources: [\"small\", \"large\"]}",
            "{actions: [chat, embed], resources: [\"small\"]}\n        - {actions: [read]}",
        )
        .with(
            "manifests/chat.yaml",
            "direction: Request, parts: [User]",
            "direction: Request, parts: [User, Embedding]",
        )
        .start()
        .await;
    let vector = json!({"object": "list", "model": "small", "data": [{"object": "embedding", "index": 0, "embedding": [0.5, -1]}],
        "usage": {"prompt_tokens": 1, "total_tokens": 1}});
    let text = json!({"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "small",
        "choices": [{"index": 0, "text": format!("key {SECRET}"), "logprobs": null, "finish_reason": "stop"}]});
    let verdict = json!({"id": "modr-1", "model": "small", "results": [{"flagged": false, "categories": {"hate": false}, "category_scores": {"hate": 0.1}}]});
    let models =
        json!({"object": "list", "data": [{"id": "small", "object": "model", "created": 1, "owned_by": "house"}]});
    let with = |mut body: Value, field: &str| {
        body["model"] = json!("small");
        body[field] = json!(format!("card {CARD}"));
        body
    };
    for (ask, says) in [
        (Ask::json("/v1/embeddings", &with(json!({}), "input")), vector),
        (Ask::json("/v1/completions", &with(json!({"max_tokens": 5}), "prompt")), text),
        (Ask::json("/v1/moderations", &with(json!({}), "input")), verdict),
        (Ask::get("/v1/models"), models.clone()),
        (Ask::get("/v1/models/small"), models["data"][0].clone()),
    ] {
        house.model.says(whole(&says));
        let reply = house.call(&house.who.mia, ask).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        let want = says.to_string().replace(SECRET, "[redacted:secret]");
        assert_eq!(reply.json(), serde_json::from_str::<Value>(&want).unwrap());
        let seen = house.model.seen().pop().unwrap();
        assert!(!String::from_utf8(seen.body).unwrap().contains("4111"), "{}", seen.head);
    }
    let chat = |model: &str| json!({"model": model, "input": "hi"});
    let asks = vec![
        ("an injection", Ask::json("/v1/completions", &json!({"model": "small", "prompt": INJECTION})), 403),
        ("numbers of tokens", Ask::json("/v1/embeddings", &json!({"model": "small", "input": [1, 2]})), 403),
        ("a model that is not granted", Ask::json("/v1/embeddings", &chat("other")), 403),
        ("files", Ask::json("/v1/files", &json!({})), 403),
        ("batches", Ask::json("/v1/batches", &json!({})), 403),
        ("images", Ask::json("/v1/images/generations", &json!({"model": "small", "prompt": "x"})), 403),
        ("speech", Ask::json("/v1/audio/speech", &json!({"model": "small", "input": "x"})), 403),
        ("a realtime session", Ask::json("/v1/realtime/sessions", &json!({})), 403),
    ];
    refused(&house, asks, |body| body["error"]["code"].clone()).await;
    house.stop().await;
}

fn response(text: &str) -> Value {
    let content = json!([{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]);
    json!({"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "small", "error": null,
        "instructions": null, "metadata": {}, "parallel_tool_calls": true, "tool_choice": "auto", "tools": [],
        "output": [{"id": "m1", "type": "message", "role": "assistant", "status": "completed", "content": content}],
        "usage": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}})
}

/// A response in two deltas, with every repetition of its text.
fn streamed(front: &str, back: &str) -> Vec<u8> {
    let text = format!("{front}{back}");
    let at = |mut event: Value| {
        event["item_id"] = json!("m1");
        event["output_index"] = json!(0);
        event["content_index"] = json!(0);
        event
    };
    let empty = json!({"id": "m1", "type": "message", "role": "assistant", "status": "in_progress", "content": []});
    let mut all = vec![
        json!({"type": "response.output_item.added", "output_index": 0, "item": empty}),
        at(json!({"type": "response.output_text.delta", "delta": front, "logprobs": []})),
        at(json!({"type": "response.output_text.delta", "delta": back, "logprobs": []})),
        at(json!({"type": "response.output_text.done", "text": text, "logprobs": []})),
        json!({"type": "response.output_item.done", "output_index": 0, "item": response(&text)["output"][0]}),
        json!({"type": "response.completed", "response": response(&text)}),
    ];
    all.iter_mut().enumerate().for_each(|(n, event)| event["sequence_number"] = json!(n));
    events(&all)
}

#[tokio::test]
async fn attack_49_a_response_gives_nothing_away_in_any_of_its_repetitions() {
    let house = speaks("openai", ALLOW).start().await;
    let ask = |input: Value, stream: bool| {
        Ask::json("/v1/responses", &json!({"model": "small", "input": input, "store": false, "stream": stream}))
    };
    let told = format!("the key is {SECRET}, keep it safe");
    let clean = "the key is [redacted:secret], keep it safe";
    house.model.says(whole(&response(&told)));
    let reply = house.call(&house.who.mia, ask(json!(format!("my card is {CARD}")), false)).await;
    assert_eq!(reply.json()["output"][0]["content"][0]["text"], clean, "{}", reply.body);
    assert!(!String::from_utf8(house.model.sole().body).unwrap().contains("4111"));
    for cut in [10, 14, 20, 31, 40] {
        let stream = streamed(&told[..cut], &told[cut..]);
        house.model.does(move |_| Act::Close(stream.clone()));
        let reply = house.call(&house.who.mia, ask(json!("the key?"), true).over(cut % 2 == 0)).await;
        let events = data(&reply.body);
        let said: String = events.iter().filter_map(|event| event["delta"].as_str()).collect();
        assert_eq!(said, clean, "split at {cut}");
        assert_eq!(events.last().unwrap()["response"]["output"][0]["content"][0]["text"], clean);
        assert!(!reply.body.contains("AKIA") && !reply.body.contains("VT5R"), "{}", reply.body);
    }
    let output = json!([{"type": "function_call_output", "call_id": "c1", "output": INJECTION}]);
    let asks = vec![
        ("an injection", ask(json!(INJECTION), true), 403),
        ("field 3: an injection in what a tool said", ask(output, false), 403),
        (
            "what the provider keeps",
            Ask::json("/v1/responses", &json!({"model": "small", "input": "hi", "previous_response_id": "resp_1"})),
            403,
        ),
        (
            "a tool of the provider's",
            Ask::json("/v1/responses", &json!({"model": "small", "input": "hi", "tools": [{"type": "web_search"}]})),
            400,
        ),
        ("a stored response", Ask::json("/v1/responses/resp_1/cancel", &json!({})), 403),
    ];
    refused(&house, asks, |body| body["error"]["code"].clone()).await;
    house.stop().await;
}
