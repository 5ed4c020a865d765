//! Models: which may be named, what may be asked of them, and who answers.

use serde_json::{Value, json};

use crate::house::upstream::{Act, answer, completion, delta, done, stream_head};
use crate::house::{Ask, House};

const RULES: &str = "apiVersion: secure.platformspec.io/v1alpha1\nkind: WorkloadSecurityPolicy\nmetadata: {name: models}\nspec:\n  \
     targetRefs: [{kind: Route, name: chat}]\n  models:\n    allow: [\"small*\", \"embed-*\"]\n    maxOutputTokens: 500\n    \
     maxInputTokens: 100\n    params:\n      temperature: {max: 1}\n      top_p: {min: \"0.1\", max: \"0.9\"}\n      parallel_tool_calls: {is: \"false\"}\n";

fn chat(change: &Value) -> Ask {
    let mut body = json!({"model": "small", "max_tokens": 500, "parallel_tool_calls": false, "messages": [{"role": "user", "content": "hi"}]});
    for (name, value) in change.as_object().unwrap() {
        match value {
            Value::Null => drop(body.as_object_mut().unwrap().remove(name)),
            _ => body[name] = value.clone(),
        }
    }
    Ask::json("/v1/chat/completions", &body)
}

fn says(model: &str) -> Vec<u8> {
    let mut said = completion("hello");
    said["model"] = json!(model);
    answer(200, &[("content-type", "application/json")], said.to_string().as_bytes())
}

#[tokio::test]
async fn what_may_be_asked_of_which_model_is_what_is_sent() {
    let house = House::plan().also(RULES).start().await;
    let long = "many words of a long request. ".repeat(20);
    for (case, change, want) in [
        ("as it may be", json!({}), 200),
        ("another model", json!({"model": "large"}), 403),
        ("no bound of its answer", json!({"max_tokens": null}), 403),
        ("a larger one", json!({"max_tokens": 501}), 403),
        ("a larger one by the other name", json!({"max_completion_tokens": 501}), 403),
        ("a smaller one", json!({"max_tokens": 1}), 200),
        ("too long", json!({"messages": [{"role": "user", "content": long}]}), 403),
        ("within bounds", json!({"temperature": 1.0, "top_p": 0.5}), 200),
        ("above", json!({"temperature": 1.01}), 403),
        ("below", json!({"top_p": 0.05}), 403),
        ("what is fixed, otherwise", json!({"parallel_tool_calls": true}), 403),
        ("what is fixed, missing", json!({"parallel_tool_calls": null}), 403),
    ] {
        let before = house.model.count();
        let reply = house.call(&house.who.mia, chat(&change)).await;
        assert_eq!(reply.status, want, "{case}: {}", reply.body);
        assert_eq!(house.model.count() - before, usize::from(want == 200), "{case}");
    }
    assert_eq!(
        house.promised("chat", postern_config::Direction::Request, false).iter().filter(|g| *g == "models").count(),
        1
    );
    let records = house.stop().await;
    assert!(records.requests()[0].request_guards().contains(&"models".to_owned()));
    assert!(records.requests()[0].response_guards().contains(&"models".to_owned()));
    // The first of the refusals that the model itself is the reason of is the role's, which does not know it either.
    assert_eq!(records.requests()[2].rule(), "WorkloadSecurityPolicy/default/models");
}

#[tokio::test]
async fn who_answers_is_who_was_asked_or_nobody() {
    let house = House::plan().also(RULES).start().await;
    for (model, whole) in
        [("small", true), ("small-2026-01-15", true), ("small-large", true), ("large", false), ("", false)]
    {
        house.model.says(says(model));
        let reply = house.call(&house.who.mia, chat(&json!({}))).await;
        assert_eq!(reply.status, if whole { 200 } else { 403 }, "{model}: {}", reply.body);
        assert!(whole || !reply.body.contains("hello"), "{model}");
    }
    // A stream that goes over to another model.
    let other = String::from_utf8(delta("from another")).unwrap().replace("\"small\"", "\"large\"");
    house.model.does(move |_| Act::Close([stream_head(), delta("one "), other.clone().into_bytes(), done()].concat()));
    let reply = house.call(&house.who.mia, chat(&json!({"stream": true}))).await;
    assert_eq!(reply.status, 200);
    assert!(!reply.body.contains("from another") && !reply.body.contains("[DONE]"), "{}", reply.body);
    assert!(reply.body.contains("\"error\""), "{}", reply.body);
    let records = house.stop().await;
    let last = records.requests().last().unwrap().outcome();
    assert_eq!(last, "deny: answer_refused");
}
