use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::streams::{event, said, stream};
use super::*;

/// Releases everything at once.
#[derive(Debug)]
struct Open;

impl TextGuards for Open {
    fn judge(&self, _: Part, _: &str) -> Judgement {
        Judgement::default()
    }

    fn open(&self, _: Part) -> Box<dyn TextGuard> {
        Box::new(Open)
    }
}

impl TextGuard for Open {
    fn push(&mut self, text: &str) -> TextStep {
        TextStep { release: text.to_owned(), ..TextStep::default() }
    }

    fn finish(&mut self) -> TextStep {
        TextStep::default()
    }

    fn stall(&mut self) -> TextStep {
        TextStep::default()
    }

    fn is_holding(&self) -> bool {
        false
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "(SE|CRET|-4|2|SECRET-42| ){0,6}"]
}

/// Texts of two choices in two fields, in pieces.
fn deltas() -> impl Strategy<Value = Vec<(u32, &'static str, String)>> {
    prop::collection::vec((0u32..2, prop::sample::select(vec!["content", "reasoning_content"]), text()), 0..12)
}

fn wire(deltas: &[(u32, &'static str, String)], arguments: &Json) -> String {
    let arguments = arguments.to_string();
    let mut input = String::from(": hello\r\n\r\n");
    for (index, field, text) in deltas {
        input += &event(*index, json!({ *field: text }), None);
    }
    for piece in arguments.chars() {
        input += &event(0, json!({"tool_calls": [{"index": 0, "function": {"arguments": piece.to_string()}}]}), None);
    }
    input + &event(0, json!({}), Some("stop")) + &event(1, json!({}), Some("stop")) + "data: [DONE]\n\n"
}

fn collected(deltas: &[(u32, &'static str, String)], index: u32, field: &str) -> String {
    deltas.iter().filter(|(i, f, _)| *i == index && *f == field).map(|(_, _, text)| text.as_str()).collect()
}

fn call(out: &[u8]) -> Json {
    let events = events(out);
    let arguments =
        events.iter().find_map(|e| e["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"].as_str());
    serde_json::from_str(arguments.unwrap()).unwrap()
}

fn clean(value: &Json) -> Json {
    match value {
        Json::String(text) => Json::String(text.replace(SECRET, "[x]")),
        Json::Array(items) => items.iter().map(clean).collect(),
        other => other.clone(),
    }
}

proptest! {
    #[test]
    fn guards_that_release_everything_change_no_text(deltas in deltas(), arguments in prop::collection::vec(text(), 0..3)) {
        let arguments = json!(arguments);
        let mut stream = EventStream::new(CHAT, Arc::new(Open), "d", StreamLimits::default()).unwrap();
        let out = stream.push(wire(&deltas, &arguments).as_bytes());
        prop_assert!(out.ended && out.reason.is_none(), "{:?}", out.error);
        for (index, field) in [(0, "content"), (1, "content"), (0, "reasoning_content"), (1, "reasoning_content")] {
            prop_assert_eq!(said(&out.bytes, index, field), collected(&deltas, index, field));
        }
        prop_assert_eq!(call(&out.bytes), arguments);
    }

    #[test]
    fn guards_cut_the_same_wherever_the_text_was_split(deltas in deltas(), arguments in prop::collection::vec(text(), 0..3)) {
        let arguments = json!(arguments);
        let out = stream().push(wire(&deltas, &arguments).as_bytes());
        prop_assert!(out.ended && out.reason.is_none(), "{:?}", out.error);
        for (index, field) in [(0, "content"), (1, "content"), (0, "reasoning_content"), (1, "reasoning_content")] {
            let want = collected(&deltas, index, field).replace(SECRET, "[x]");
            prop_assert_eq!(said(&out.bytes, index, field), want);
        }
        prop_assert_eq!(call(&out.bytes), clean(&arguments));
    }

    #[test]
    fn bytes_cut_anywhere_give_the_same_bytes(deltas in deltas(), sizes in prop::collection::vec(1usize..40, 1..8)) {
        let input = wire(&deltas, &json!(["é\n", SECRET]));
        let whole = stream().push(input.as_bytes());
        let (mut cut, mut got, mut findings, mut at) = (stream(), Vec::new(), Vec::new(), 0);
        for size in sizes.iter().cycle() {
            let end = (at + size).min(input.len());
            let out = cut.push(&input.as_bytes()[at..end]);
            got.extend(out.bytes);
            findings.extend(out.findings);
            at = end;
            if at == input.len() {
                break;
            }
        }
        prop_assert_eq!(String::from_utf8(got), String::from_utf8(whole.bytes));
        prop_assert_eq!(findings, whole.findings);
    }

    #[test]
    fn no_bytes_make_a_stream_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), lines in prop::collection::vec("(data: ?|event: |:|\\{\"choices\":\\[|\\{\"index\":0,\"delta\":\\{\"content\":\"a\"\\}\\}|\\]\\}|\\[DONE\\]|\r|\n|\n\n){0,9}", 0..6)) {
        let mut soup = lines.concat().into_bytes();
        soup.extend(bytes);
        let mut stream = stream();
        stream.push(&soup);
        stream.stall();
        stream.finish();
    }

    #[test]
    fn no_body_makes_a_request_or_answer_panic(fields in prop::collection::vec(("(model|messages|tools|choices|stop|n|x)", "(null|1|\"a\"|\\[\\]|\\{\\}|\\[\\{\"role\":\"user\",\"content\":\"\\\\\\\\u0041\"\\}\\])"), 0..5)) {
        let members: Vec<String> = fields.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
        let body = format!("{{{}}}", members.join(","));
        let _ = request(&body).map(|request| rewritten(&request));
        let _ = answer(&body).map(|answer| rewritten(&answer));
    }
}

#[test]
fn a_stream_cut_at_every_byte_gives_the_same_bytes() {
    let deltas = [
        (0, "content", "a SECRET".to_owned()),
        (1, "reasoning_content", "é\u{1F600}".to_owned()),
        (0, "content", "-42 b".to_owned()),
    ];
    testing::same_wherever_cut(CHAT, &wire(&deltas, &json!(SECRET)));
}
