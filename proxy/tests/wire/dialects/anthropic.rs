use serde_json::{Value, json};

use super::{CARD, INJECTION, SECRET, data, events, refused, speaks, whole};
use crate::house::Ask;
use crate::house::upstream::Act;

pub(super) const ALLOW: &str = "    - {methods: [POST], paths: [/v1/messages, /v1/messages/count_tokens, /v1/files], contentTypes: [application/json]}\n";

pub(super) fn ask(content: &Value, stream: bool) -> Ask {
    let messages = json!([{"role": "user", "content": content}]);
    Ask::json("/v1/messages", &json!({"model": "small", "max_tokens": 64, "messages": messages, "stream": stream}))
}

pub(super) fn says(text: &str) -> Value {
    json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "small", "stop_reason": "end_turn",
        "content": [{"type": "text", "text": text}, {"type": "tool_use", "id": "t1", "name": "note", "input": {"n": text}}],
        "stop_sequence": null, "usage": {"input_tokens": 1, "output_tokens": 2}})
}

pub(super) fn streamed(pieces: &[&str]) -> Vec<u8> {
    let mut all = vec![
        json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant", "content": [],
            "model": "small", "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 1, "output_tokens": 1}}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
    ];
    let delta = |piece: &&str| json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}});
    all.extend(pieces.iter().map(delta));
    all.push(json!({"type": "content_block_stop", "index": 0}));
    all.push(json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null}, "usage": {"output_tokens": 5}}));
    all.push(json!({"type": "message_stop"}));
    events(&all)
}

#[tokio::test]
async fn messages_are_read_both_ways_and_refused_in_the_vendors_words() {
    let house = speaks("anthropic", ALLOW).start().await;
    house.model.says(whole(&says(&format!("the key is {SECRET}, keep it"))));
    let reply = house.call(&house.who.mia, ask(&json!(format!("my card is {CARD}")), false)).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let said = reply.json();
    assert_eq!(said["content"][0]["text"], "the key is [redacted:secret], keep it");
    assert_eq!(said["content"][1]["input"]["n"], "the key is [redacted:secret], keep it");
    assert!(!String::from_utf8(house.model.sole().body).unwrap().contains("4111"));

    let result =
        json!([{"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": INJECTION}]}]);
    let document =
        json!([{"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": INJECTION}}]);
    let image = json!([{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA"}}]);
    let asks = vec![
        ("an injection", ask(&json!(INJECTION), false), 403),
        ("field 3: an injection in what a tool said", ask(&result, true), 403),
        ("an injection in a document", ask(&document, false), 403),
        ("an image", ask(&image, false), 403),
        (
            "an unknown field",
            Ask::json("/v1/messages", &json!({"model": "small", "max_tokens": 1, "messages": [], "api_base": "x"})),
            400,
        ),
        (
            "a model that is not granted",
            Ask::json(
                "/v1/messages",
                &json!({"model": "other", "max_tokens": 1, "messages": [{"role": "user", "content": "hi"}]}),
            ),
            403,
        ),
        ("another endpoint", Ask::json("/v1/files", &json!({})), 403),
    ];
    refused(&house, asks, |body| {
        assert_eq!(body["type"], "error");
        assert!(body["request_id"].is_string());
        body["error"]["type"].clone()
    })
    .await;

    house.model.says(whole(&json!({"input_tokens": 14})));
    let count = Ask::json(
        "/v1/messages/count_tokens",
        &json!({"model": "small", "messages": [{"role": "user", "content": "hi"}]}),
    );
    assert_eq!(house.call(&house.who.mia, count).await.json(), json!({"input_tokens": 14}));
    let records = house.stop().await;
    assert!(records.requests().iter().any(|record| record.findings() > 0));
}

#[tokio::test]
async fn attack_49_complaint_5_a_secret_in_a_stream_of_messages_is_cut_out_wherever_it_is_split() {
    let house = speaks("anthropic", ALLOW).start().await;
    let told = format!("the key is {SECRET}, keep it safe");
    let from = told.find(SECRET).unwrap();
    for cut in (from - 1..=from + SECRET.len() + 1).step_by(3) {
        let stream = streamed(&[&told[..cut], &told[cut..]]);
        house.model.does(move |_| Act::Close(stream.clone()));
        let reply = house.call(&house.who.mia, ask(&json!("the key?"), true).over(cut % 2 == 0)).await;
        let said: String = data(&reply.body).iter().filter_map(|event| event["delta"]["text"].as_str()).collect();
        assert_eq!(said, "the key is [redacted:secret], keep it safe", "split at {cut}");
        assert!(reply.body.ends_with("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"), "{}", reply.body);
    }
    // A stream that breaks off, and one that says what nobody can read.
    let whole = streamed(&["half"]);
    let broken = whole[..whole.len() - 60].to_vec();
    let hidden = events(&[
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "redacted_thinking", "data": "AA"}}),
    ]);
    for (stream, kind) in [(broken, "api_error"), (hidden, "permission_error")] {
        house.model.does(move |_| Act::Close(stream.clone()));
        let reply = house.call(&house.who.mia, ask(&json!("the key?"), true)).await;
        let last = data(&reply.body).pop().unwrap();
        assert_eq!((&last["type"], &last["error"]["type"]), (&json!("error"), &json!(kind)));
        assert!(reply.body.contains("event: error\n") && !reply.body.contains("message_stop"), "{}", reply.body);
    }
    let records = house.stop().await;
    assert!(records.requests().iter().all(|record| record.streamed()));
}
