//! How deep JSON may be, and how large one event of a stream: at the limit, below and above (attack 44).

use serde_json::json;

use crate::house::upstream::{answer, delta, done, stream_head};
use crate::house::{Ask, House, Plan};

fn limits(name: &str, target: &str, sizes: &str) -> String {
    format!(
        "apiVersion: secure.platformspec.io/v1alpha1\nkind: DDoSProtectionPolicy\nmetadata: {{name: {name}}}\nspec:\n  \
         targetRefs: [{target}]\n  sizes: {{{sizes}}}\n"
    )
}

const GATEWAY: &str = "{kind: Gateway, name: house}";
const OPEN: &str = "{kind: Gateway, name: house, sectionName: open}";
const FORMS: &str = "{kind: Route, name: forms}";

fn plan(all: &[(&str, &str, &str)]) -> Plan {
    all.iter().fold(House::plan(), |plan, (name, target, sizes)| plan.also(&limits(name, target, sizes)))
}

/// Arrays inside each other.
fn nested(depth: usize) -> String {
    format!("{}{}", "[".repeat(depth), "]".repeat(depth))
}

#[tokio::test]
async fn attack_44_json_of_requests_and_answers_is_as_deep_as_policy_allows() {
    let default = House::start().await;
    for (depth, status) in [(63, 200), (64, 200), (65, 400)] {
        let ask = Ask::post("/forms", "application/json", nested(depth));
        assert_eq!(default.call(&default.who.mia, ask).await.status, status, "{depth}, nothing written");
    }
    default.stop().await;

    // Of two figures the smaller one.
    let house = plan(&[("wide", GATEWAY, "maxJsonDepth: 128"), ("narrow", FORMS, "maxJsonDepth: 8")]).start().await;
    for (depth, status) in [(7, 200), (8, 200), (9, 400), (128, 400), (10_000, 400)] {
        let before = house.plain.count();
        let ask = Ask::post("/forms", "application/json", nested(depth.min(8_000)));
        assert_eq!(house.call(&house.who.mia, ask).await.status, status, "a request {depth} deep");
        assert_eq!(house.plain.count() - before, usize::from(status == 200), "{depth}");
    }
    for (depth, status) in [(7, 200), (8, 200), (9, 403)] {
        house.plain.says(answer(200, &[("content-type", "application/json")], nested(depth).as_bytes()));
        assert_eq!(house.call(&house.who.mia, Ask::get("/forms")).await.status, status, "an answer {depth} deep");
    }
    // A body that nothing reads is not read for its depth either.
    house.plain.says(answer(200, &[], b""));
    let ask = Ask::post("/orders", "application/json", nested(200));
    assert_eq!(house.call(&house.who.mia, ask).await.status, 200);
    house.stop().await;

    let house = plan(&[("wide", GATEWAY, "maxJsonDepth: 128")]).start().await;
    for (depth, status) in [(127, 200), (128, 200), (129, 400)] {
        let ask = Ask::post("/forms", "application/json", nested(depth));
        assert_eq!(house.call(&house.who.mia, ask).await.status, status, "{depth}");
    }
    house.stop().await;
}

/// A chat is an object with a list of messages, in which there are objects: three deep.
#[tokio::test]
async fn attack_44_what_a_model_is_asked_and_says_is_as_deep_as_policy_allows() {
    for (most, status) in [(2, 400), (3, 403), (4, 200)] {
        let house = plan(&[("depth", GATEWAY, &format!("maxJsonDepth: {most}"))]).start().await;
        // The completion of the upstream is one deeper: choices, and a message in each.
        house.model.says(answer(
            200,
            &[("content-type", "application/json")],
            json!({"id": "c", "object": "chat.completion", "created": 1, "model": "small", "choices": [{"index": 0,
                "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}]})
            .to_string()
            .as_bytes(),
        ));
        assert_eq!(house.call(&house.who.mia, Ask::chat("hello")).await.status, status, "{most}");
        house.stop().await;
    }
}

/// Limits of a listener hold for what comes in by it.
#[tokio::test]
async fn a_limit_of_a_listener_is_of_its_requests() {
    let house = plan(&[("open", OPEN, "maxJsonDepth: 2")]).start().await;
    let token = house.token(&house.who.mia);
    for (depth, by_open, by_public) in [(2, 200, 200), (3, 400, 200)] {
        let ask = || Ask::post("/forms", "application/json", nested(depth)).bearer(&token);
        assert_eq!(house.send(Some(&house.who.mia.issued), ask().open()).await.status, by_open, "{depth}");
        assert_eq!(house.send(Some(&house.who.mia.issued), ask()).await.status, by_public, "{depth}");
    }
    house.stop().await;
}

/// An event of this many bytes, its end left out, that adds the letter `x` again and again.
fn event(size: usize) -> Vec<u8> {
    let bare = delta("").len() - 2;
    let event = delta(&"x".repeat(size - bare));
    assert_eq!(event.len() - 2, size);
    event
}

#[tokio::test]
async fn an_event_of_a_stream_is_as_large_as_policy_allows() {
    const MOST: usize = 2048;
    let house =
        plan(&[("wide", GATEWAY, "maxSseEvent: 8Mi"), ("narrow", "{kind: Route, name: chat}", "maxSseEvent: 2Ki")]);
    let house = house.start().await;
    for h2 in [false, true] {
        for (size, passes) in [(MOST - 1, true), (MOST, true), (MOST + 1, false)] {
            // What comes before it is not lost, and what comes behind it never leaves.
            house.model.does(move |_| {
                let pieces = [stream_head(), delta("first. "), event(size), delta("last"), done()];
                crate::house::upstream::Act::Close(pieces.concat())
            });
            let mut open = house.open(&house.who.mia, Ask::streamed("hello").over(h2)).await;
            let came = open.rest().await.unwrap_or_default();
            assert_eq!(came.contains("last"), passes, "{size}: {}", came.len());
            assert_eq!(came.contains("[DONE]"), passes, "{size}");
            if !passes {
                assert!(!came.contains("xxxx"), "{size}");
            }
        }
    }
    let records = house.stop().await;
    let outcomes = records.outcomes();
    assert_eq!(outcomes.iter().filter(|outcome| outcome.ends_with("answer_refused")).count(), 2, "{outcomes:?}");
}
