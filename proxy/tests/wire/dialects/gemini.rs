use serde_json::{Value, json};

use super::{CARD, INJECTION, SECRET, data, events, refused, speaks, whole};
use crate::house::upstream::Act;
use crate::house::{Ask, Plan};

pub(super) fn plan() -> Plan {
    speaks("gemini", "    - {methods: [POST], paths: [/v1beta/**], contentTypes: [application/json]}\n")
        .with("postern.yaml", "{name: chat, match: {pathPrefix: /v1}", "{name: chat, match: {pathPrefix: /v1beta}")
        .with(
            "manifests/chat.yaml",
            "{actions: [chat], resources: [\"small\", \"large\"]}",
            "{actions: [chat, embed], resources: [\"small\"]}",
        )
}

pub(super) fn ask(verb: &str, parts: Value) -> Ask {
    let contents = json!([{"role": "user", "parts": parts}]);
    Ask::json(&format!("/v1beta/models/small:{verb}"), &json!({ "contents": contents }))
}

pub(super) fn says(text: &str, finish: bool) -> Value {
    let mut candidate = json!({"index": 0, "content": {"role": "model", "parts": [{"text": text}]}});
    if finish {
        candidate["finishReason"] = json!("STOP");
    }
    json!({"candidates": [candidate], "modelVersion": "small", "responseId": "r1"})
}

#[tokio::test]
async fn contents_are_read_both_ways_and_refused_in_the_vendors_words() {
    let house = plan().start().await;
    let told = format!("the key is {SECRET}, keep it safe");
    let clean = "the key is [redacted:secret], keep it safe";
    house.model.says(whole(&says(&told, true)));
    let reply =
        house.call(&house.who.mia, ask("generateContent", json!([{"text": format!("my card is {CARD}")}]))).await;
    assert_eq!(reply.json()["candidates"][0]["content"]["parts"][0]["text"], clean, "{}", reply.body);
    let seen = house.model.sole();
    assert!(
        !String::from_utf8(seen.body).unwrap().contains("4111")
            && seen.head.contains("/v1beta/models/small:generateContent")
    );
    for cut in [10, 14, 20, 31, 40] {
        let stream = events(&[says(&told[..cut], false), says(&told[cut..], true)]);
        house.model.does(move |_| Act::Close(stream.clone()));
        let asked = ask("streamGenerateContent?alt=sse", json!([{"text": "the key?"}]));
        let reply = house.call(&house.who.mia, asked.over(cut % 2 == 0)).await;
        let text = |event: &Value| event["candidates"][0]["content"]["parts"][0]["text"].as_str().map(str::to_owned);
        let said: String = data(&reply.body).iter().filter_map(text).collect();
        assert_eq!(said, clean, "split at {cut}");
    }
    house.model.does(|_| Act::Close(events(&[says("half", false)])));
    let reply = house.call(&house.who.mia, ask("streamGenerateContent?alt=sse", json!([{"text": "hi"}]))).await;
    assert_eq!(data(&reply.body).pop().unwrap()["error"]["status"], "UNAVAILABLE", "{}", reply.body);

    let vector = json!({"embedding": {"values": [0.5, -1]}});
    house.model.says(whole(&vector));
    let embed = Ask::json("/v1beta/models/small:embedContent", &json!({"content": {"parts": [{"text": "hi"}]}}));
    assert_eq!(house.call(&house.who.mia, embed).await.json(), vector);

    let result = json!([{"functionResponse": {"name": "f", "response": {"said": INJECTION}}}]);
    let other = Ask::json("/v1beta/models/other:generateContent", &json!({"contents": [{"parts": [{"text": "hi"}]}]}));
    let asks = vec![
        ("an injection", ask("generateContent", json!([{"text": INJECTION}])), 403),
        ("field 3: an injection in what a tool said", ask("streamGenerateContent?alt=sse", result), 403),
        ("an image", ask("generateContent", json!([{"inlineData": {"data": "AA"}}])), 403),
        ("a stream that is an array", ask("streamGenerateContent", json!([{"text": "hi"}])), 400),
        ("a key in the query", ask("generateContent?key=AIza", json!([{"text": "hi"}])), 400),
        ("a model that is not granted", other, 403),
        ("another verb", ask("predict", json!([{"text": "hi"}])), 403),
        ("files", Ask::json("/v1beta/files", &json!({})), 403),
    ];
    refused(&house, asks, |body| {
        assert_eq!(body["error"]["details"][0]["domain"], "postern");
        body["error"]["status"].clone()
    })
    .await;
    house.stop().await;
}

#[tokio::test]
async fn what_may_be_asked_of_a_model_holds_in_every_spelling_and_whole() {
    let rules = "apiVersion: secure.platformspec.io/v1alpha1\nkind: WorkloadSecurityPolicy\nmetadata: {name: models}\nspec:\n  \
         targetRefs: [{kind: Route, name: chat}]\n  models:\n    allow: [\"small\"]\n    maxOutputTokens: 100\n    \
         params: {generationConfig.topP: {max: \"0.5\"}}\n";
    let house = plan().also(rules).start().await;
    house.model.says(whole(&says("hello", true)));
    let ask = |verb: &str, config: Value| {
        let contents = json!([{"role": "user", "parts": [{"text": "hi"}]}]);
        let mut body = json!({ "contents": contents });
        body.as_object_mut().unwrap().extend(config.as_object().unwrap().clone());
        Ask::json(&format!("/v1beta/models/small:{verb}"), &body)
    };
    for (case, verb, config, want) in [
        ("as it may be", "generateContent", json!({"generationConfig": {"maxOutputTokens": 100, "topP": 0.5}}), 200),
        ("no bound", "generateContent", json!({}), 403),
        ("a larger one", "generateContent", json!({"generationConfig": {"maxOutputTokens": 101}}), 403),
        (
            "a larger one, otherwise spelt",
            "generateContent",
            json!({"generation_config": {"max_output_tokens": 101}}),
            403,
        ),
        ("no bound, streamed", "streamGenerateContent?alt=sse", json!({}), 403),
        ("beyond", "generateContent", json!({"generationConfig": {"maxOutputTokens": 1, "topP": 0.6}}), 403),
        (
            "beyond, otherwise spelt",
            "generateContent",
            json!({"generation_config": {"max_output_tokens": 1, "top_p": 0.6}}),
            403,
        ),
        ("beyond, half so", "generateContent", json!({"generationConfig": {"maxOutputTokens": 1, "top_p": 0.6}}), 403),
    ] {
        let before = house.model.count();
        let reply = house.call(&house.who.mia, ask(verb, config)).await;
        assert_eq!(
            (reply.status, house.model.count() - before),
            (want, usize::from(want == 200)),
            "{case}: {}",
            reply.body
        );
    }
    house.model.says(whole(&json!({"totalTokens": 3})));
    let count = house.call(&house.who.mia, ask("countTokens", json!({}))).await;
    assert_eq!(count.status, 200, "nobody writes anything: {}", count.body);
    house.stop().await;
}
