use proptest::prelude::*;
use serde_json::Value as Json;

use super::*;
use crate::dialect::testing::{SECRET, events, same_wherever_cut};

fn run(input: &str) -> (Vec<u8>, StreamOut) {
    testing::run(MESSAGES, input)
}

fn start() -> String {
    named(&json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant",
        "content": [], "model": "m", "stop_reason": null, "stop_sequence": null,
        "usage": {"input_tokens": 10, "output_tokens": 1}}}))
        + &named(&json!({"type": "ping"}))
}

fn begin(index: u32, block: Json) -> String {
    named(&json!({"type": "content_block_start", "index": index, "content_block": block}))
}

fn delta(index: u32, delta: Json) -> String {
    named(&json!({"type": "content_block_delta", "index": index, "delta": delta}))
}

fn stop(index: u32) -> String {
    named(&json!({"type": "content_block_stop", "index": index}))
}

fn end() -> String {
    named(&json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null},
        "usage": {"output_tokens": 7}}))
        + &named(&json!({"type": "message_stop"}))
}

fn text(index: u32, pieces: &[&str]) -> String {
    let deltas: String =
        pieces.iter().map(|piece| delta(index, json!({"type": "text_delta", "text": piece}))).collect();
    begin(index, json!({"type": "text", "text": ""})) + &deltas + &stop(index)
}

fn thought(index: u32, pieces: &[&str]) -> String {
    let say = |piece: &&str| delta(index, json!({"type": "thinking_delta", "thinking": piece}));
    begin(index, json!({"type": "thinking", "thinking": "", "signature": ""}))
        + &pieces.iter().map(say).collect::<String>()
        + &delta(index, json!({"type": "signature_delta", "signature": "Eq0B"}))
        + &stop(index)
}

fn call(index: u32, name: &str, pieces: &[&str]) -> String {
    let say = |piece: &&str| delta(index, json!({"type": "input_json_delta", "partial_json": piece}));
    begin(index, json!({"type": "tool_use", "id": "toolu_1", "name": name, "input": {}}))
        + &pieces.iter().map(say).collect::<String>()
        + &stop(index)
}

fn said(out: &[u8], index: u32, field: &str) -> String {
    let of = |event: &&Json| event["index"] == index;
    events(out).iter().filter(of).filter_map(|event| event["delta"][field].as_str()).collect()
}

#[test]
fn clean_events_leave_as_they_came_in_the_same_push() {
    let mut stream = testing::stream(MESSAGES);
    let input = start() + &thought(0, &["Hm", "."]) + &text(1, &["Hel", "lo"]) + &end();
    for event in input.split_inclusive("\n\n") {
        assert_eq!(String::from_utf8(stream.push(event.as_bytes()).bytes).unwrap(), event);
    }
    assert_eq!(
        (stream.models(), stream.usage()),
        (&["m".to_owned()][..], Some(Usage { prompt: 10, completion: 7, total: 17 }))
    );
    let out = stream.push(text(2, &["more"]).as_bytes());
    assert!(out.bytes.is_empty() && out.ended, "nothing passes after the end");
}

#[test]
fn attack_49_a_secret_split_over_deltas_is_cut_out() {
    for pieces in [&["a SEC", "RET-42 b"][..], &["a S", "E", "C", "R", "ET-", "4", "2 b"], &["a SECRET-42 b"]] {
        let (bytes, out) = run(&(start() + &text(0, pieces) + &end()));
        assert_eq!((said(&bytes, 0, "text").as_str(), out.findings.len(), out.reason), ("a [x] b", 1, None));
        assert!(
            String::from_utf8(bytes).unwrap().ends_with("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n")
        );
    }
}

#[test]
fn held_text_goes_out_before_the_end_of_its_block() {
    let (bytes, _) = run(&(start() + &text(0, &["a SECR"]) + &text(1, &["ET-42"]) + &end()));
    let kinds: Vec<Json> = events(&bytes).iter().map(|event| event["type"].clone()).collect();
    assert_eq!(
        kinds[2..6],
        ["content_block_start", "content_block_delta", "content_block_delta", "content_block_stop"]
    );
    assert_eq!((said(&bytes, 0, "text").as_str(), said(&bytes, 1, "text").as_str()), ("a SECR", "ET-42"));
}

#[test]
fn attack_49_calls_leave_whole_and_judged() {
    for (pieces, want) in [
        (&["{\"k\": \"SECRET", "-4\\u0032\", \"n\"", ": 1}"][..], json!("{\"k\": \"[x]\", \"n\": 1}")),
        (&["{}"], json!("{}")),
        (&["{\"cut\": \"SECRET-42"], json!("{\"cut\": \"[x]")),
    ] {
        let (bytes, out) = run(&(start() + &call(0, "save", pieces) + &end()));
        let got = events(&bytes);
        assert_eq!(got[3]["delta"], json!({"type": "input_json_delta", "partial_json": want}), "{:?}", out.error);
        assert_eq!(got[4]["type"], "content_block_stop");
    }
    let (bytes, _) = run(&(start() + &call(0, "save", &[]) + &end()));
    assert_eq!(events(&bytes)[3]["type"], "content_block_stop", "a call without arguments");
}

#[test]
fn a_cut_stream_ends_with_the_vendors_error_event() {
    let fine = start()
        + &begin(0, json!({"type": "text", "text": ""}))
        + &delta(0, json!({"type": "text_delta", "text": "fine SEC"}));
    for (case, rest, is_block) in [
        ("poison", delta(0, json!({"type": "text_delta", "text": "POISON"})), true),
        ("poison in a call", call(1, "f", &["{\"a\":\"POI", "SON\"}"]), true),
        ("a secret in a tool's name", call(1, "SECRET-42", &["{}"]), true),
        ("a secret in signed reasoning", thought(1, &["it is SECRET-42"]), true),
        ("not JSON", "event: ping\ndata: {\n\n".into(), false),
        ("another name", format!("event: ping\ndata: {}\n\n", json!({"type": "message_stop"})), false),
        ("an unknown event", named(&json!({"type": "content_block_note", "text": "x"})), false),
        (
            "an unknown field",
            named(&json!({"type": "ping", "index": 0})) + &named(&json!({"type": "message_start"})),
            false,
        ),
        ("an unknown delta", delta(0, json!({"type": "note_delta", "note": "x"})), false),
        ("a delta of another kind", delta(0, json!({"type": "thinking_delta", "thinking": "x"})), false),
        ("a delta of no block", delta(5, json!({"type": "text_delta", "text": "x"})), false),
        ("a delta after the end", stop(0) + &delta(0, json!({"type": "text_delta", "text": "x"})), false),
        ("a block again", begin(0, json!({"type": "text", "text": ""})), false),
        ("a block that begins with text", begin(1, json!({"type": "text", "text": "x"})), false),
        ("reasoning nobody can read", begin(1, json!({"type": "redacted_thinking", "data": "AA"})), false),
        ("a signature of nothing", thought(1, &[]), false),
        (
            "reasoning after its signature",
            thought(1, &["a"]).replace("content_block_stop", "ping")
                + &delta(1, json!({"type": "thinking_delta", "thinking": "b"})),
            false,
        ),
        (
            "a tool of the provider's",
            begin(1, json!({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}})),
            false,
        ),
        ("escapes cut short", call(1, "f", &["{\"a\":\"\\u00"]), false),
        ("the end inside a block", end(), false),
    ] {
        let (bytes, out) = run(&(fine.clone() + &rest + &text(9, &["more"])));
        assert_eq!((out.blocked, out.reason), (is_block, Some(Reason::AnswerRefused)), "{case}: {:?}", out.error);
        let got = events(&bytes);
        assert_eq!(got.last().unwrap()["error"]["type"], "permission_error", "{case}");
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.contains("event: error\n") && !text.contains("message_stop") && !text.contains("more"), "{case}");
        assert!(!text.contains("POISON") && !text.contains("SECRET-42"), "{case}: {text}");
    }
}

#[test]
fn an_end_that_is_not_one_is_told_to_the_client() {
    let whole = start() + &text(0, &["half SEC"]);
    for (case, input) in [
        ("nothing at all", String::new()),
        ("no end", whole.clone()),
        ("no stop", whole.clone() + end().split_inclusive("\n\n").next().unwrap()),
        ("inside an event", whole.clone() + "event: message_stop\ndata: {\"type\""),
    ] {
        let (bytes, out) = run(&input);
        assert_eq!(out.reason, Some(Reason::UpstreamFailed), "{case}");
        assert_eq!(events(&bytes).last().unwrap()["type"], "error", "{case}");
    }
    let failed = named(&json!({"type": "error", "error": {"type": "overloaded_error", "message": "no SECRET-42"}}));
    let (bytes, out) = run(&(start() + &failed + &end()));
    assert_eq!(events(&bytes).last().unwrap()["error"]["message"], "no [x]");
    assert_eq!((out.reason, out.blocked), (Some(Reason::UpstreamFailed), false));
}

#[test]
fn the_stall_time_releases_what_counts_as_found() {
    let mut stream = testing::stream(MESSAGES);
    let open = start() + &begin(0, json!({"type": "text", "text": ""}));
    stream.push((open + &delta(0, json!({"type": "text_delta", "text": "a SECRET"}))).as_bytes());
    assert!(stream.is_holding());
    let out = stream.stall();
    assert_eq!((said(&out.bytes, 0, "text").as_str(), out.findings.len(), stream.is_holding()), ("[x]", 1, false));
}

#[test]
fn a_stream_cut_at_every_byte_gives_the_same_bytes() {
    let input = start() + &text(0, &["é SECRET", "-42"]) + &call(1, "f", &["{\"k\":\"SECRET-4", "2\"}"]) + &end();
    same_wherever_cut(MESSAGES, &input.replace("\n\n", "\r\n\r\n"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_stream_says_what_a_whole_answer_says(
        pieces in prop::collection::vec("(SE|CRET|-4|2|SECRET-42| |é|\"|\n){0,5}", 0..6),
        input in prop::collection::vec("(SE|CRET-42|SECRET-42|\"|é){0,3}", 0..3),
    ) {
        let whole = pieces.concat();
        let arguments = json!({"k": input}).to_string();
        let cut: Vec<String> = arguments.chars().map(String::from).collect();
        let cut: Vec<&str> = cut.iter().map(String::as_str).collect();
        let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
        let (bytes, out) = run(&(start() + &text(0, &pieces) + &call(1, "f", &cut) + &end()));
        prop_assert!(out.reason.is_none(), "{:?}", out.error);

        let body = json!({"content": [{"type": "text", "text": whole}, {"type": "tool_use", "name": "f", "input": {"k": input}}]});
        let answer = testing::answer(MESSAGES, &body.to_string()).unwrap();
        let found = crate::dialect::judge(&answer, &testing::Guards).findings.len();
        let judged: Json = serde_json::from_str(&rewritten(&answer).unwrap()).unwrap();
        prop_assert_eq!(said(&bytes, 0, "text"), judged["content"][0]["text"].as_str().unwrap());
        let got: Json = serde_json::from_str(&said(&bytes, 1, "partial_json")).unwrap();
        prop_assert_eq!(&got, &judged["content"][1]["input"]);
        prop_assert_eq!(out.findings.len(), found);
        prop_assert!(!String::from_utf8_lossy(&bytes).contains(SECRET));
    }

    #[test]
    fn no_bytes_make_a_stream_panic(bytes in prop::collection::vec(any::<u8>(), 0..80), events in "(event: ping\n|data: \\{\"type\":\"(ping|message_start|content_block_start|content_block_delta|message_delta|message_stop|error)\"(,\"index\":0)?(,\"delta\":\\{\\})?\\}|\n\n){0,12}") {
        let mut stream = testing::stream(MESSAGES);
        stream.push(events.as_bytes());
        stream.push(&bytes);
        stream.stall();
        stream.finish();
    }
}
