//! A streamed answer through the guards of a real route, cut at every byte.

use postern_config::Direction;
use postern_filters::dialect::{Endpoint, openai};
use postern_filters::{AnswerHead, AnswerWay, Chain, Context, Reason};
use serde_json::{Value, json};

use crate::guards::Site;
use crate::testing::context;

pub const CHAT: Endpoint = Endpoint::OpenAi(openai::Endpoint::ChatCompletions);

/// A chat stream as vendors send it: a role first, one event per piece, the finish, `[DONE]`.
pub fn wire(pieces: &[&str]) -> String {
    let event = |delta: Value, finish: Value| {
        let event = json!({
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_800_000_000, "model": "small",
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        });
        format!("data: {event}\n\n")
    };
    let mut out = event(json!({"role": "assistant", "content": ""}), Value::Null);
    for piece in pieces {
        out += &event(json!({ "content": piece }), Value::Null);
    }
    out + &event(json!({}), "stop".into()) + "data: [DONE]\n\n"
}

/// Text of the answer as a client puts it together, and whether the stream ended well.
fn read(out: &[u8]) -> (String, bool) {
    let text = std::str::from_utf8(out).unwrap();
    let (mut said, mut done) = (String::new(), false);
    for data in text.split("\n\n").filter_map(|event| event.strip_prefix("data: ")) {
        if data == "[DONE]" {
            done = true;
            continue;
        }
        let event: Value = serde_json::from_str(data).unwrap();
        said += event["choices"][0]["delta"]["content"].as_str().unwrap_or_default();
    }
    (said, done)
}

/// What was written, and why the stream was cut.
type Written = (Vec<u8>, Option<Reason>);

/// Feeds `cuts` of a stream; returns all that was written, and the reason it was cut, if it was.
pub fn feed<'c>(chain: &Chain, cuts: impl Iterator<Item = &'c [u8]>, cx: &mut Context) -> Written {
    let content_type = Some("text/event-stream".to_owned());
    let head = AnswerHead {
        status: 200,
        content_type,
        coding: Ok(None),
        asked_to_stream: true,
        endpoint: Some(CHAT),
        tokens: None,
        canary: None,
    };
    let AnswerWay::Stream(mut stream) =
        chain.open_answer(&head, "d1", postern_filters::MessageLimits::default()).unwrap()
    else {
        panic!("no stream")
    };
    let mut out = Vec::new();
    for cut in cuts {
        match stream.push(cut, cx) {
            Ok(bytes) => out.extend(bytes),
            Err((bytes, refusal)) => {
                out.extend(bytes);
                return (out, Some(refusal.reason));
            }
        }
    }
    let (bytes, reason) = match stream.finish(cx) {
        Ok(bytes) => (bytes, None),
        Err((bytes, refusal)) => (bytes, Some(refusal.reason)),
    };
    out.extend(bytes);
    (out, reason)
}

#[test]
fn attack_49_a_secret_split_over_events_is_cut_out_wherever_the_stream_is_cut() {
    let site = Site::new();
    let chain = site.chain("chat");
    let pieces = ["The key is AKIA", "IOSFODNN7", "EXAMPLQ and", " no more. Card 4111 1111", " 1111 1111 stays."];
    let input = wire(&pieces);
    let whole = feed(chain, std::iter::once(input.as_bytes()), &mut context());
    let (said, done) = read(&whole.0);
    assert!(done && whole.1.is_none(), "{said}");
    assert_eq!(said, "The key is [redacted:secret] and no more. Card 4111 1111 1111 1111 stays.");
    for at in 1..input.len() {
        let (front, back) = input.as_bytes().split_at(at);
        let mut cx = context();
        let cut = feed(chain, [front, back].into_iter(), &mut cx);
        assert_eq!(cut, whole, "cut at {at}");
        assert_eq!(cx.findings().len(), 1, "cut at {at}");
    }
    let single = feed(chain, input.as_bytes().chunks(1), &mut context());
    assert_eq!(single, whole, "byte by byte");
}

#[test]
fn a_stream_that_is_blocked_ends_with_an_error_and_nothing_of_what_was_found() {
    let site = Site::new();
    let chain = site.chain("chat");
    let input = wire(&["Now: BADGE-", "12", "3456 is hers", " and more"]);
    let whole = feed(chain, std::iter::once(input.as_bytes()), &mut context());
    for at in 1..input.len() {
        let (front, back) = input.as_bytes().split_at(at);
        let mut cx = context();
        let (out, reason) = feed(chain, [front, back].into_iter(), &mut cx);
        let text = String::from_utf8_lossy(&out);
        assert_eq!((reason, &out), (Some(Reason::AnswerRefused), &whole.0), "cut at {at}");
        assert!(!text.contains("BADGE") && !text.contains("[DONE]") && text.contains("answer_refused"), "{text}");
        assert!(cx.ran(Direction::Response).iter().any(|guard| &**guard == "data/no-badges"), "cut at {at}");
    }
}
