use serde_json::{Value, json};

use super::{CARD, INJECTION, SECRET, refused, speaks, whole};
use crate::house::Ask;

const ALLOW: &str = "    - {methods: [POST], paths: [/v1/**], contentTypes: [application/json]}
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
