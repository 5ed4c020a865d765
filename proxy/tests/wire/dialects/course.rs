//! Limits on the course of a task, in every vendor's words, whole and streamed.

use std::time::{Duration, Instant};

use postern_config::Direction;
use serde_json::json;

use super::shapes::{Call, Says, Shape};
use crate::house::upstream::Act;
use crate::house::{Ask, House};

const A: Call<'static> = ("look", r#"{"at":"one","deep":1}"#);
/// The same, as another writer of JSON has it.
const A_AGAIN: Call<'static> = ("look", r#"{ "deep" : 1.0, "at" : "one" }"#);
const B: Call<'static> = ("look", r#"{"at":"two"}"#);
const C: Call<'static> = ("find", r#"{"at":"one","deep":1}"#);
const D: Call<'static> = ("find", r#"{"at":"four"}"#);

/// Calls before, calls in the answer, and what refuses: nothing, the request, or the answer.
type Case = (&'static [Call<'static>], &'static [Call<'static>], Option<Direction>);

const CASES: [Case; 10] = [
    (&[], &[A], None),
    (&[A, B], &[C], None),
    (&[A, B, C], &[], None),
    (&[A, B, C], &[D], Some(Direction::Response)),
    (&[A, B], &[C, D], Some(Direction::Response)),
    (&[A, B, C, D], &[], Some(Direction::Request)),
    (&[A, A_AGAIN], &[B], None),
    (&[A], &[A_AGAIN, B], None),
    (&[A, A_AGAIN], &[A], Some(Direction::Response)),
    (&[A, A_AGAIN, A], &[], Some(Direction::Request)),
];

#[tokio::test]
async fn attack_49_a_task_ends_in_every_vendors_words_whole_and_streamed() {
    for shape in Shape::ALL {
        let house = shape.plan("  behaviour: {maxToolCallsPerTask: 3, maxRepeats: 2}\n").start().await;
        let mut want = Vec::new();
        for streamed in [false, true] {
            for (before, now, refused) in CASES {
                let case = format!("{shape:?} {streamed} {before:?} {now:?}");
                let says = Says { model: "small", text: "Well.", calls: now };
                let bytes = if streamed { shape.stream(says) } else { shape.whole(says) };
                if streamed {
                    house.model.does(move |_| Act::Close(bytes.clone()));
                } else {
                    house.model.says(bytes);
                }
                let count = house.model.count();
                let reply = house.call(&house.who.mia, shape.ask("small", before, streamed)).await;
                let body = reply.body.replace('\\', "");
                let status =
                    if refused.is_none() || (streamed && refused == Some(Direction::Response)) { 200 } else { 403 };
                assert_eq!(reply.status, status, "{case}: {}", reply.body);
                assert_eq!(house.model.count() - count, usize::from(refused != Some(Direction::Request)), "{case}");
                // Of what is one too many nothing left; of what may be everything.
                for (name, arguments) in now {
                    let words = arguments.trim_matches(['{', '}', ' ']);
                    let may = refused.is_none() || (now.len() > 1 && (*name, *arguments) == now[0]);
                    assert!(may || !body.contains(words), "{case}: {}", reply.body);
                    let same = |text: &str| text.replace([' ', '"'], "").contains(&words.replace([' ', '"'], ""));
                    assert!(refused.is_some() || same(&body), "{case}: {}", reply.body);
                }
                assert_eq!(reply.body.contains("decision"), refused.is_some(), "{case}: {}", reply.body);
                want.push(match refused {
                    None => "allow",
                    Some(Direction::Request) => "deny: task_limit",
                    Some(Direction::Response) => "deny: answer_refused",
                });
            }
        }
        let promised = house.promised("chat", Direction::Response, true);
        let metrics = house.metrics().await;
        assert!(metrics.contains("task_limit"), "{metrics}");
        let records = house.stop().await;
        assert_eq!(records.outcomes(), want, "{shape:?}");
        for record in records.requests() {
            let rule = if record.decision() == "Allow" { "" } else { "behaviour/max" };
            assert!(record.rule().starts_with(rule), "{shape:?}: {record:?}");
            let guards = record.request_guards();
            assert!(guards.iter().any(|guard| guard == "behaviour/maxToolCallsPerTask"), "{shape:?}: {guards:?}");
            if record.decision() == "Allow" && record.streamed() {
                let (mut ran, mut promised) = (record.response_guards(), promised.clone());
                ran.sort();
                promised.sort();
                assert_eq!(ran, promised, "{shape:?}");
            }
        }
    }
}

#[tokio::test]
async fn attack_46_a_task_that_goes_on_for_too_long_ends_and_another_one_does_not() {
    let house = Shape::Chat.plan("  behaviour: {maxTaskAge: 1s}\n").start().await;
    house.model.says(Shape::Chat.whole(Says { model: "small", text: "Well.", calls: &[] }));
    let mut calls = Vec::new();
    let names: Vec<String> = (0..1000).map(|n| format!("{{\"at\":{n}}}")).collect();
    let began = Instant::now();
    loop {
        let reply = house.call(&house.who.mia, Shape::Chat.ask("small", &calls, false)).await;
        if reply.status == 403 {
            break;
        }
        assert_eq!(reply.status, 200, "{}", reply.body);
        assert!(began.elapsed() < Duration::from_secs(10), "it goes on");
        calls.push(("look", names[calls.len()].as_str()));
    }
    assert!(began.elapsed() >= Duration::from_secs(1));
    // From its beginning it is another task, and goes on as such.
    for calls in [&[][..], &[A, B]] {
        let reply = house.call(&house.who.mia, Shape::Chat.ask("small", calls, false)).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
    }
    let records = house.stop().await;
    let refused = records.requests().into_iter().filter(|record| record.decision() != "Allow");
    let refused: Vec<_> = refused.map(|record| record.rule().to_owned()).collect();
    assert_eq!(refused, ["behaviour/maxTaskAge"]);
}

#[tokio::test]
async fn a_task_of_which_the_provider_keeps_a_part_is_refused() {
    let plan = Shape::Responses.plan("  behaviour: {maxRepeats: 2, maxTaskAge: 1h}\n");
    let plan = plan.with(
        "manifests/chat.yaml",
        "  streaming: {holdBack: 1Ki, stall: 5s}",
        "  opaque: Allow\n  streaming: {holdBack: 1Ki, stall: 5s}",
    );
    let house = plan.start().await;
    house.model.says(Shape::Responses.whole(Says { model: "small", text: "Well.", calls: &[A] }));
    for (fields, status) in [
        (json!({}), 200),
        (json!({"previous_response_id": "resp_0"}), 403),
        (json!({"conversation": "conv_0"}), 403),
        (json!({"prompt": {"id": "pmpt_0"}}), 403),
        (json!({"input": [{"type": "item_reference", "id": "m0"}, {"role": "user", "content": "go"}]}), 403),
    ] {
        let mut body = json!({"model": "small", "input": "go", "store": false});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let count = house.model.count();
        let reply = house.call(&house.who.mia, Ask::json("/v1/responses", &body)).await;
        assert_eq!(
            (reply.status, house.model.count() - count),
            (status, usize::from(status == 200)),
            "{body}: {}",
            reply.body
        );
    }
    let records = house.stop().await;
    assert_eq!(records.outcomes()[1..], ["deny: task_limit"; 4]);
}

#[tokio::test]
async fn a_chain_of_delegation_is_as_long_as_policy_says_on_every_dialect() {
    const ASSISTANT: &str = "spiffe://house.test/ns/acme/sa/assistant";
    let limits = |name: &str, most: u32| {
        format!(
            "apiVersion: secure.platformspec.io/v1alpha1\nkind: RuntimeSecurityPolicy\nmetadata: {{name: {name}-depth}}\nspec:\n  \
             targetRefs: [{{kind: Route, name: {name}}}]\n  behaviour: {{maxDepth: {most}}}\n"
        )
    };
    let house = House::plan().also(&limits("chat", 2)).also(&limits("orders", 1)).start().await;
    let (agent, mia) = (&house.who.assistant, &house.who.mia);
    let act = |chain: &[&str]| {
        let nest = |inner: serde_json::Value, sub: &&str| {
            if inner.is_null() { json!({"sub": sub}) } else { json!({"sub": sub, "act": inner}) }
        };
        json!({"act": chain.iter().rev().fold(serde_json::Value::Null, nest)})
    };
    let plain = |status| http_ok(status);
    for (case, chain, chat, orders) in [
        ("the agent for its user", &[ASSISTANT][..], 200, 200),
        ("one before it", &[ASSISTANT, "planner"], 200, 403),
        ("two before it", &[ASSISTANT, "planner", "router"], 403, 403),
    ] {
        let token = house.token_with(mia, agent, act(chain));
        let reply = house.send(Some(&agent.issued), Ask::chat("hello").bearer(&token)).await;
        assert_eq!(reply.status, chat, "{case}: {}", reply.body);
        house.plain.says(plain(200));
        let count = house.plain.count();
        let reply = house.send(Some(&agent.issued), Ask::get("/orders/7").bearer(&token)).await;
        assert_eq!(
            (reply.status, house.plain.count() - count),
            (orders, usize::from(orders == 200)),
            "{case}: {}",
            reply.body
        );
    }
    // Who asks for themself is no agent of anybody.
    assert_eq!(house.call(mia, Ask::chat("hello")).await.status, 200);
    let records = house.stop().await;
    let refused: Vec<_> = records.requests().into_iter().filter(|record| record.decision() == "Deny").collect();
    assert_eq!(refused.len(), 3);
    for record in refused {
        assert_eq!((record.reason(), record.rule()), ("task_limit", "behaviour/maxDepth"), "{record:?}");
    }
}

fn http_ok(status: u16) -> Vec<u8> {
    crate::house::upstream::answer(status, &[("content-type", "text/plain")], b"an order")
}
