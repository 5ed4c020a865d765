use serde_json::{Value as Json, json};

use super::*;

pub(super) fn stream() -> EventStream {
    testing::stream(CHAT)
}

fn run(input: &str) -> (Vec<u8>, StreamOut) {
    testing::run(CHAT, input)
}

/// An event with one choice.
pub(super) fn event(index: u32, delta: Json, finish: Option<&str>) -> String {
    let choice = json!({"index": index, "delta": delta, "logprobs": null, "finish_reason": finish});
    let chunk = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "system_fingerprint": "fp", "choices": [choice], "obfuscation": "xxxx"});
    format!("data: {chunk}\n\n")
}

/// All text of a field of a choice.
pub(super) fn said(out: &[u8], index: u32, field: &str) -> String {
    let events = events(out);
    let choices = events.iter().filter_map(|e| e["choices"].as_array()).flatten();
    choices.filter(|c| c["index"] == index).filter_map(|c| c["delta"][field].as_str()).collect()
}

const DONE: &str = "data: [DONE]\n\n";

#[test]
fn an_event_without_findings_leaves_in_the_same_push() {
    let mut stream = stream();
    for (delta, finish) in [
        (json!({"role": "assistant", "content": "", "refusal": null}), None),
        (json!({"content": "Hel"}), None),
        (json!({"content": "lo"}), None),
        (json!({}), Some("stop")),
    ] {
        let out = stream.push(event(0, delta.clone(), finish).as_bytes());
        let got = events(&out.bytes);
        assert_eq!(got.len(), 1);
        assert_eq!(got[0]["choices"][0]["delta"], delta);
        assert_eq!(got[0]["choices"][0]["finish_reason"], json!(finish));
        assert_eq!((&got[0]["id"], &got[0]["model"]), (&json!("chatcmpl-1"), &json!("m")));
        assert!(got[0].get("obfuscation").is_none(), "padding of the old length would be wrong");
        assert!(!out.ended);
    }
    let usage = r#"data: {"id":"1","object":"chat.completion.chunk","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}"#;
    assert_eq!(events(&stream.push(format!("{usage}\n\n").as_bytes()).bytes).len(), 1);
    assert_eq!(stream.usage(), Some(Usage { prompt: 1, completion: 2, total: 3 }));
    assert_eq!(stream.models(), ["m"]);
    let out = stream.push(DONE.as_bytes());
    assert_eq!((out.bytes.as_slice(), out.ended, out.reason), (DONE.as_bytes(), true, None));
    assert!(stream.finish().bytes.is_empty());
}

#[test]
fn attack_49_a_secret_split_over_events_is_cut_out() {
    let text = "the key SECRET-42 and SECRET-42!";
    for size in 1..=text.len() {
        let pieces = text.as_bytes().chunks(size).map(|piece| std::str::from_utf8(piece).unwrap());
        for field in ["content", "refusal", "reasoning_content", "reasoning"] {
            let mut input: String = pieces.clone().map(|piece| event(0, json!({ field: piece }), None)).collect();
            input += &event(0, json!({}), Some("stop"));
            input += DONE;
            let (bytes, out) = run(&input);
            assert_eq!(said(&bytes, 0, field), "the key [x] and [x]!", "{field} in pieces of {size}");
            assert_eq!((out.findings.len(), out.reason), (2, None));
            assert!(bytes.ends_with(DONE.as_bytes()));
            let all = String::from_utf8(bytes).unwrap();
            assert!(!all.contains("SECRET") && !all.contains("CRET-4"));
        }
    }
}

#[test]
fn held_text_goes_out_before_the_finish_event() {
    for finishing in [json!({}), json!({"content": ""}), json!({"content": null})] {
        let input = event(0, json!({"content": "a SECR"}), None) + &event(0, finishing, Some("stop")) + DONE;
        let (bytes, _) = run(&input);
        let got = events(&bytes);
        assert_eq!(got.len(), 3);
        assert_eq!(got[0]["choices"][0]["delta"]["content"], "a ");
        assert_eq!(got[1]["choices"], json!([{"index": 0, "delta": {"content": "SECR"}, "finish_reason": null}]));
        assert_eq!(got[1]["id"], "chatcmpl-1");
        assert_eq!(got[2]["choices"][0]["finish_reason"], "stop");
    }
    let together =
        event(0, json!({"content": "a SE"}), None) + &event(0, json!({"content": "CR"}), Some("length")) + DONE;
    assert_eq!(said(&run(&together).0, 0, "content"), "a SECR", "text of the finish event keeps its place");
    let unfinished = event(0, json!({"content": "a SECR"}), None) + DONE;
    let (bytes, out) = run(&unfinished);
    assert_eq!((said(&bytes, 0, "content").as_str(), out.reason), ("a SECR", None), "[DONE] finishes as well");
}

#[test]
fn choices_are_judged_apart() {
    let input = event(0, json!({"content": "x SECRET"}), None)
        + &event(1, json!({"content": "-42 y"}), None)
        + &event(1, json!({"content": "SECRET"}), None)
        + &event(0, json!({"content": "-42"}), None)
        + &event(1, json!({"content": "-7"}), None)
        + &event(0, json!({}), Some("stop"))
        + &event(1, json!({}), Some("stop"))
        + DONE;
    let (bytes, out) = run(&input);
    assert_eq!(said(&bytes, 0, "content"), "x [x]");
    assert_eq!(said(&bytes, 1, "content"), "-42 ySECRET-7");
    assert_eq!(out.findings.len(), 1);
    let both = json!({"id": "1", "choices": [{"index": 0, "delta": {"content": "SEC"}}, {"index": 1, "delta": {"content": "b"}}]});
    let mut stream = stream();
    let got = events(&stream.push(format!("data: {both}\n\n").as_bytes()).bytes);
    assert_eq!(got[0]["choices"][0]["delta"]["content"], "", "one event, two choices");
    assert_eq!(got[0]["choices"][1]["delta"]["content"], "b");
}

#[test]
fn attack_49_tool_calls_leave_whole_and_judged() {
    let call = |index: u32, delta: Json| event(0, json!({"tool_calls": [{"index": index, "function": delta}]}), None);
    let first = json!({"role": "assistant", "content": null, "tool_calls": [
        {"index": 0, "id": "call_1", "type": "function", "function": {"name": "save", "arguments": ""}}]});
    let second = json!({"tool_calls": [
        {"index": 1, "id": "call_2", "type": "function", "function": {"name": "send", "arguments": "{\"to\":"}}]});
    let input = event(0, first, None)
        + &call(0, json!({"arguments": "{\"k\":\"SECRET-\\u0"}))
        + &call(0, json!({"arguments": "03"}))
        + &call(0, json!({"arguments": "42 é\\n\"}"}))
        + &event(0, second, None)
        + &call(1, json!({"arguments": "\"SECRET-"}))
        + &call(1, json!({"arguments": "42\"}"}))
        + &event(0, json!({}), Some("tool_calls"))
        + DONE;
    let (bytes, out) = run(&input);
    let got = events(&bytes);
    assert_eq!(got.len(), 3, "{got:?}");
    assert_eq!(got[0]["choices"][0]["delta"], json!({"role": "assistant", "content": null}));
    assert_eq!(
        got[1]["choices"][0]["delta"]["tool_calls"],
        json!([
            {"index": 0, "id": "call_1", "type": "function", "function": {"name": "save", "arguments": "{\"k\":\"[x] é\\n\"}"}},
            {"index": 1, "id": "call_2", "type": "function", "function": {"name": "send", "arguments": "{\"to\":\"[x]\"}"}},
        ])
    );
    assert_eq!(got[2]["choices"][0]["finish_reason"], "tool_calls");
    assert_eq!((out.findings.len(), out.reason), (2, None));

    let old = event(0, json!({"function_call": {"name": "f", "arguments": "{\"a\":"}}), None)
        + &event(0, json!({"function_call": {"arguments": "\"SECRET-42\"}"}}), None)
        + &event(0, json!({}), Some("function_call"))
        + DONE;
    let got = events(&run(&old).0);
    assert_eq!(got[0]["choices"][0]["delta"]["function_call"], json!({"name": "f", "arguments": "{\"a\":\"[x]\"}"}));
}

#[test]
fn a_cut_stream_ends_with_an_error_event_and_nothing_after() {
    let blocked = |input: &str| {
        let mut stream = stream();
        let out = stream.push(input.as_bytes());
        assert!(stream.push(event(0, json!({"content": "more"}), None).as_bytes()).bytes.is_empty());
        assert!(stream.finish().bytes.is_empty());
        out
    };
    let start = event(0, json!({"content": "fine SEC"}), None);
    for (case, rest, is_block) in [
        ("poison", event(0, json!({"content": "POISON"}), None), true),
        (
            "poison in arguments",
            event(0, json!({"function_call": {"name": "f", "arguments": "POISON"}}), Some("stop")),
            true,
        ),
        ("a secret in a tool's name", event(0, json!({"function_call": {"name": "SECRET-42"}}), Some("stop")), true),
        ("not JSON", "data: {\n\n".into(), false),
        ("duplicate key", "data: {\"choices\":[],\"choices\":[]}\n\n".into(), false),
        ("a byte order mark in the data", "data: \u{feff}{}\n\n".into(), false),
        ("unknown field", event(0, json!({"thoughts": "x"}), None), false),
        ("unknown event", "event: thread.run\ndata: {\"choices\":[]}\n\n".into(), false),
        ("a choice too many", event(16, json!({"content": "x"}), None), false),
        ("no index", "data: {\"choices\":[{\"delta\":{}}]}\n\n".into(), false),
        ("another shape", "data: {\"text\":\"x\"}\n\n".into(), false),
        ("a call without index", event(0, json!({"tool_calls": [{"id": "x"}]}), None), false),
        ("a call too many", event(0, json!({"tool_calls": [{"index": 128}]}), None), false),
        (
            "a call renamed",
            event(0, json!({"tool_calls": [{"index": 0, "id": "a"}, {"index": 0, "id": "b"}]}), None),
            false,
        ),
        (
            "arguments cut short",
            event(0, json!({"function_call": {"arguments": "{\"a\":\"\\u00"}}), Some("length")),
            false,
        ),
        ("audio", event(0, json!({"audio": {"data": "AA"}}), None), false),
        ("text after the finish", event(0, json!({}), Some("stop")) + &event(0, json!({"content": "x"}), None), false),
    ] {
        let out = blocked(&format!("{start}{rest}"));
        assert_eq!((out.blocked, out.ended, out.reason), (is_block, true, Some(Reason::AnswerRefused)), "{case}");
        let got = events(&out.bytes);
        assert_eq!(got.first().unwrap()["choices"][0]["delta"]["content"], "fine ", "{case}");
        assert_eq!(got.last().unwrap()["error"]["code"], "answer_refused", "{case}");
        assert!(!String::from_utf8_lossy(&out.bytes).contains("[DONE]"), "{case}");
    }
    let long = format!("data: {}", "x".repeat(1 << 20));
    assert_eq!(blocked(&long).error, Some(DialectError::TooMany { what: "bytes of an event" }));
    let big: String =
        (0..3).map(|_| event(0, json!({"function_call": {"arguments": "x".repeat(400_000)}}), None)).collect();
    assert_eq!(blocked(&big).error, Some(DialectError::TooMany { what: "bytes of tool calls" }));
}

#[test]
fn an_end_that_is_not_one_is_told_to_the_client() {
    let text = event(0, json!({"content": "half SEC"}), None);
    let finish = event(0, json!({}), Some("stop"));
    for (case, input, want) in [
        ("nothing at all", String::new(), Some(Reason::UpstreamFailed)),
        ("no finish and no [DONE]", text.clone(), Some(Reason::UpstreamFailed)),
        ("inside an event", format!("{text}{finish}data: {{\"id\""), Some(Reason::UpstreamFailed)),
        ("event without its empty line", format!("{text}{finish}data: [DONE]\n"), Some(Reason::UpstreamFailed)),
        ("finished without [DONE]", format!("{text}{finish}"), None),
        (
            "one of two finished",
            format!("{text}{finish}{}", event(1, json!({"content": "x"}), None)),
            Some(Reason::UpstreamFailed),
        ),
    ] {
        let (bytes, out) = run(&input);
        assert_eq!(out.reason, want, "{case}");
        let error = events(&bytes).last().is_some_and(|event| event.get("error").is_some());
        assert_eq!(error, want.is_some(), "{case}");
    }
}

#[test]
fn attack_49_nothing_passes_after_done() {
    let input = format!(
        "{}{DONE}{}: x\n\ndata: SECRET-42\n\n",
        event(0, json!({}), Some("stop")),
        event(0, json!({"content": "SECRET-42"}), None)
    );
    let (bytes, out) = run(&input);
    assert!(bytes.ends_with(DONE.as_bytes()) && out.reason.is_none());
    assert!(!String::from_utf8_lossy(&bytes).contains("SECRET"));
}

#[test]
fn an_error_of_the_upstream_is_judged_and_ends_the_stream() {
    let error = r#"data: {"error":{"message":"bad key SECRET-42","code":"x"}}"#;
    let (bytes, out) = run(&format!("{}{error}\n\n{DONE}", event(0, json!({"content": "SEC"}), None)));
    assert_eq!(events(&bytes).last().unwrap()["error"]["message"], "bad key [x]");
    assert_eq!((out.reason, out.blocked), (Some(Reason::UpstreamFailed), false));
    assert!(!String::from_utf8_lossy(&bytes).contains("SEC"), "what was held is dropped");
}

#[test]
fn the_stall_time_releases_what_counts_as_found() {
    let mut stream = stream();
    assert!(!stream.is_holding());
    stream.push(event(1, json!({"content": "a SECRET"}), None).as_bytes());
    assert!(stream.is_holding());
    let out = stream.stall();
    assert_eq!(said(&out.bytes, 1, "content"), "[x]");
    assert_eq!((out.findings.len(), out.ended, stream.is_holding()), (1, false, false));
    assert!(stream.stall().bytes.is_empty());
    stream.push(event(1, json!({"function_call": {"arguments": "{"}}), None).as_bytes());
    assert!(!stream.is_holding(), "a call waits for the upstream, not for a match");
}

#[test]
fn logprobs_and_dropped_fields_do_not_pass() {
    let choice = json!({"index": 0, "delta": {"content": "ok", "reasoning_details": [{"text": "SECRET-42"}]},
        "logprobs": {"content": [{"token": "SECRET-42"}]}, "token_ids": [1]});
    let chunk = json!({"id": "1", "choices": [choice], "provider": "SECRET-42"});
    let mut stream = stream();
    let got = events(&stream.push(format!("data: {chunk}\n\n").as_bytes()).bytes);
    assert_eq!(got, [json!({"id": "1", "choices": [{"index": 0, "delta": {"content": "ok"}, "logprobs": null}]})]);
}

#[test]
fn every_spelling_of_events_is_read_alike() {
    let chunk = |text: &str| format!(r#"{{"id":"1","choices":[{{"index":0,"delta":{{"content":"{text}"}}}}]}}"#);
    for (case, input, want) in [
        ("LF", format!("data: {}\n\n", chunk("a")), "a"),
        ("CR", format!("data: {}\r\r", chunk("a")), "a"),
        ("CRLF", format!("data: {}\r\n\r\n", chunk("a")), "a"),
        ("no space", format!("data:{}\n\n", chunk("a")), "a"),
        ("byte order mark", format!("\u{feff}data: {}\n\n", chunk("a")), "a"),
        ("several data lines", format!("data: {}\n\n", chunk("a").replace(",\"choices", ",\ndata: \"choices")), "a"),
        ("other fields", format!("id: SECRET-42\nretry: 1\nevent: message\nfoo\ndata: {}\n\n", chunk("a")), "a"),
        ("empty data", format!("data\n\ndata: {}\n\n", chunk("a")), "a"),
        ("escaped secret", format!("data: {}\n\n", chunk("\\u0053ECRET-42")), "[x]"),
    ] {
        let mut stream = stream();
        let out = stream.push(input.as_bytes());
        assert_eq!((said(&out.bytes, 0, "content").as_str(), out.error), (want, None), "{case}");
        assert_eq!(events(&out.bytes).len(), 1, "{case}");
        assert!(!String::from_utf8_lossy(&out.bytes).contains("SECRET"), "{case}");
    }
    assert_eq!(stream().push(b": SECRET-42\n").bytes, b":\n\n", "a comment stays a sign of life, without its text");
}
