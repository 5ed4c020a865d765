use postern_config::{BehaviourLimits, Dialect, Owned};
use serde_json::{Value, json};

use super::*;
use crate::dialect::Endpoint;
use crate::message::{Message, MessageLimits};
use crate::testing::context;

fn limits(number: Option<u32>, repeats: Option<u32>) -> CallLimits {
    let owned = |value: u32| Owned { value, owner: "RuntimeSecurityPolicy/default/r".to_owned() };
    let limits = BehaviourLimits {
        max_tool_calls: number.map(owned),
        max_repeats: repeats.map(owned),
        ..BehaviourLimits::default()
    };
    CallLimits::new(&limits).unwrap()
}

fn print(name: &str, input: &str) -> Print {
    Print::of(name, Arguments::Json(input), Limits::default())
}

#[test]
fn calls_are_the_same_however_their_arguments_are_written() {
    let one = r#"{"city":"Oslo","days":[1,2,{"x":null,"y":true}]}"#;
    for same in [
        r#" { "days" : [ 1.0, 2e0, {"y":true, "x":null} ] , "city" : "Oslo" } "#,
        "{\"city\":\"\\u004fslo\",\n\"days\":[1,2,{\"x\":null,\"y\":true}]}",
    ] {
        assert_eq!(print("weather", one), print("weather", same), "{same}");
    }
    for other in [
        r#"{"city":"oslo","days":[1,2,{"x":null,"y":true}]}"#,
        r#"{"city":"Oslo","days":[2,1,{"x":null,"y":true}]}"#,
        r#"{"city":"Oslo","days":[1,2,{"x":null,"y":"true"}]}"#,
        r#"{"city":"Oslo","days":["1",2,{"x":null,"y":true}]}"#,
        r#"{"city":"Oslo","days":[1,2,{"x":null},{"y":true}]}"#,
        r#"{"city":"Oslo"}"#,
    ] {
        assert_ne!(print("weather", one), print("weather", other), "{other}");
    }
    assert_ne!(print("weather", one), print("climate", one));
    // No arguments, an empty text and an empty object are one; so is a text that is no JSON, but for white space.
    assert_eq!(print("f", ""), print("f", " {} "));
    assert_eq!(print("f", "-0"), print("f", "0.0"));
    assert_eq!(print("f", "ls  -l\n"), print("f", "ls -l"));
    assert_ne!(print("f", "ls -l"), print("f", "ls -a"));
    // A name cannot take from the arguments.
    assert_ne!(print("f1", "2"), print("f", "12"));
}

/// A request for a chat whose model has called these, and what is refused of it.
fn asked(limits: CallLimits, calls: &[(&str, &str)]) -> Result<Context, String> {
    let said: Vec<Value> = calls
        .iter()
        .map(|(name, input)| {
            let call = json!({"id": "c", "type": "function", "function": {"name": name, "arguments": input}});
            json!({"role": "assistant", "content": null, "tool_calls": [call]})
        })
        .collect();
    let messages = [vec![json!({"role": "user", "content": "go"})], said].concat();
    let body = json!({"model": "small", "messages": messages});
    let line = crate::dialect::Line {
        method: "POST",
        path: "/v1/chat/completions",
        below: "/v1/chat/completions",
        query: None,
    };
    let target = Endpoint::target(Dialect::OpenAi, line).unwrap().unwrap();
    let body = bytes::Bytes::from(body.to_string());
    let mut cx = context();
    cx.set_message(Message::ai(target, Some("application/json"), body, MessageLimits::default()).unwrap());
    match limits.check(&mut cx).unwrap() {
        Flow::Continue => Ok(cx),
        Flow::Refuse(refusal) => {
            assert_eq!(refusal.reason, Reason::TaskLimit);
            Err(refusal.rule.unwrap_or_default())
        }
        Flow::Wait(need) => panic!("it asks for {need:?}"),
    }
}

const A: (&str, &str) = ("look", r#"{"at":1}"#);
const B: (&str, &str) = ("look", r#"{"at":2}"#);
const A_AGAIN: (&str, &str) = ("look", r#"{ "at": 1.0 }"#);

#[test]
fn a_conversation_goes_on_up_to_its_limits() {
    let (number, repeats) = (BehaviourLimits::TOOL_CALLS.to_owned(), BehaviourLimits::REPEATS.to_owned());
    for (case, limits, calls, want) in [
        ("none", limits(Some(2), Some(1)), &[][..], Ok(())),
        ("as many as may be", limits(Some(2), None), &[A, A], Ok(())),
        ("one more", limits(Some(2), None), &[A, A, B], Err(number)),
        ("others", limits(None, Some(1)), &[A, B], Ok(())),
        ("again", limits(None, Some(1)), &[A, B, A_AGAIN], Err(repeats.clone())),
        ("again, and it may be", limits(None, Some(2)), &[A, B, A_AGAIN], Ok(())),
        ("both, the second", limits(Some(3), Some(1)), &[A, A], Err(repeats)),
    ] {
        assert_eq!(asked(limits, calls).map(drop), want, "{case}");
    }
}

#[test]
fn an_answer_goes_on_with_the_conversation() {
    for (case, limits, before, said, want) in [
        ("the last that may be", limits(Some(2), None), &[A][..], &[B][..], None),
        ("one more", limits(Some(2), None), &[A, B], &[A], Some(BehaviourLimits::TOOL_CALLS)),
        ("two at once", limits(Some(2), None), &[A], &[A, B], Some(BehaviourLimits::TOOL_CALLS)),
        ("again", limits(None, Some(1)), &[A], &[A_AGAIN], Some(BehaviourLimits::REPEATS)),
        ("again within the answer", limits(None, Some(1)), &[], &[A, A], Some(BehaviourLimits::REPEATS)),
        ("others", limits(None, Some(1)), &[A], &[B], None),
    ] {
        let cx = asked(limits, before).unwrap();
        let mut course = Course::new(limits, cx.calls());
        let go = |course: &mut Course| {
            said.iter().try_for_each(|(name, input)| {
                course.begin()?;
                course.end(name, Arguments::Json(input), Limits::default())
            })
        };
        // Said in pieces, one by one and all at once it is counted once in each.
        for view in [View::Pieces, View::Items, View::Answer, View::Answer] {
            course.view(view);
            let found = go(&mut course).err().map(|finding| finding.guard);
            assert_eq!(found.as_deref(), want, "{case} {view:?}");
        }
        // Where nobody has counted, nothing is called.
        let mut unknown = Course::new(limits, None);
        assert!(go(&mut unknown).is_err(), "{case}");
    }
}

#[test]
fn attack_45_calls_of_one_answer_that_are_told_apart_are_bounded() {
    let mut course = Course::new(limits(None, Some(1)), Some(&Arc::default()));
    let mut end = |n: usize| course.end("f", Arguments::Json(&n.to_string()), Limits::default());
    assert!((0..MOST_DIFFERENT).all(|n| end(n).is_ok()));
    assert!(end(MOST_DIFFERENT).is_err());
}
