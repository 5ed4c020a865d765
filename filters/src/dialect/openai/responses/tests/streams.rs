use super::*;
use crate::dialect::StreamOut;

fn run(input: &str) -> (Vec<u8>, StreamOut) {
    testing::run(RESPONSES, input)
}

/// Numbers events as the vendor does.
fn wire(all: Vec<Json>) -> String {
    let number = |(n, mut event): (usize, Json)| {
        event["sequence_number"] = json!(n);
        named(&event)
    };
    all.into_iter().enumerate().map(number).collect()
}

fn start() -> Vec<Json> {
    vec![
        json!({"type": "response.created", "response": answer(&json!([]))}),
        json!({"type": "response.in_progress", "response": answer(&json!([]))}),
    ]
}

fn message(text: &str) -> Json {
    let content = json!([{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]);
    json!({"id": "m1", "type": "message", "role": "assistant", "status": "completed", "content": content})
}

fn begin(item: u32) -> Vec<Json> {
    let mut empty = message("");
    empty["content"] = json!([]);
    vec![
        json!({"type": "response.output_item.added", "output_index": item, "item": empty}),
        json!({"type": "response.content_part.added", "item_id": "m1", "output_index": item, "content_index": 0,
            "part": {"type": "output_text", "text": "", "annotations": [], "logprobs": []}}),
    ]
}

fn delta(item: u32, text: &str) -> Json {
    json!({"type": "response.output_text.delta", "item_id": "m1", "output_index": item, "content_index": 0, "delta": text,
        "logprobs": [], "obfuscation": "xxxx"})
}

/// A text in pieces, and said three times more.
fn text(item: u32, pieces: &[&str]) -> Vec<Json> {
    let whole = pieces.concat();
    let mut all = begin(item);
    all.extend(pieces.iter().map(|piece| delta(item, piece)));
    all.push(json!({"type": "response.output_text.done", "item_id": "m1", "output_index": item, "content_index": 0,
        "text": whole, "logprobs": []}));
    all.push(json!({"type": "response.content_part.done", "item_id": "m1", "output_index": item, "content_index": 0,
        "part": {"type": "output_text", "text": whole, "annotations": [], "logprobs": []}}));
    all.push(json!({"type": "response.output_item.done", "output_index": item, "item": message(&whole)}));
    all
}

fn call(arguments: &str, done: bool) -> Json {
    json!({"id": "fc_1", "type": "function_call", "call_id": "c1", "name": "save",
        "arguments": if done { arguments } else { "" }, "status": "completed"})
}

fn called(item: u32, arguments: &str) -> Vec<Json> {
    let mut all = vec![json!({"type": "response.output_item.added", "output_index": item, "item": call("", false)})];
    let more = |piece: char| json!({"type": "response.function_call_arguments.delta", "item_id": "fc_1", "output_index": item, "delta": piece.to_string()});
    all.extend(arguments.chars().map(more));
    all.push(json!({"type": "response.function_call_arguments.done", "item_id": "fc_1", "output_index": item, "arguments": arguments}));
    all.push(json!({"type": "response.output_item.done", "output_index": item, "item": call(arguments, true)}));
    all
}

fn end(output: Json) -> Vec<Json> {
    vec![json!({"type": "response.completed", "response": answer(&output)})]
}

fn said(out: &[u8]) -> String {
    let of = |event: &&Json| event["type"] == "response.output_text.delta";
    events(out).iter().filter(of).filter_map(|event| event["delta"].as_str()).collect()
}

#[test]
fn attack_49_the_repeated_texts_of_a_response_say_what_was_released() {
    for pieces in [&["a SEC", "RET-42 b"][..], &["a S", "ECRET-4", "2 b"], &["a SECRET-42 b"]] {
        let input = wire([start(), text(0, pieces), end(json!([message("a SECRET-42 b")]))].concat());
        let (bytes, out) = run(&input);
        assert_eq!((said(&bytes).as_str(), out.reason, out.findings.len()), ("a [x] b", None, 1), "{:?}", out.error);
        let got = events(&bytes);
        let of = |kind: &str| got.iter().find(|event| event["type"] == kind).unwrap();
        assert_eq!(of("response.output_text.done")["text"], "a [x] b");
        assert_eq!(of("response.content_part.done")["part"]["text"], "a [x] b");
        assert_eq!(of("response.output_item.done")["item"]["content"][0]["text"], "a [x] b");
        assert_eq!(of("response.completed")["response"]["output"][0]["content"][0]["text"], "a [x] b");
        let numbers: Vec<usize> = got.iter().map(|event| event["sequence_number"].as_u64().unwrap() as usize).collect();
        assert_eq!(numbers, (0..got.len()).collect::<Vec<_>>());
        let all = String::from_utf8(bytes).unwrap();
        assert!(
            !all.contains("SECRET") && !all.contains("obfuscation") && all.contains("event: response.completed\n"),
            "{all}"
        );
    }
}

#[test]
fn what_a_stall_took_out_is_not_said_again() {
    let mut stream = testing::stream(RESPONSES);
    let all = [start(), text(0, &["a SECRET", " only"]), end(json!([message("a SECRET only")]))].concat();
    let input = wire(all);
    let at = input.find(" only").unwrap();
    let (front, back) = input.split_at(input[..at].rfind("event: ").unwrap());
    let mut bytes = stream.push(front.as_bytes()).bytes;
    assert!(stream.is_holding());
    bytes.extend(stream.stall().bytes);
    bytes.extend(stream.push(back.as_bytes()).bytes);
    assert_eq!(said(&bytes), "a [x] only");
    let last = events(&bytes).pop().unwrap();
    assert_eq!(last["response"]["output"][0]["content"][0]["text"], "a [x] only");
    assert!(!String::from_utf8(bytes).unwrap().contains("SECRET"));
}

#[test]
fn attack_49_arguments_leave_whole_and_judged_each_time_they_are_said() {
    let arguments = r#"{"k":"SECRET-4\u0032","n":1}"#;
    let input = wire([start(), called(0, arguments), end(json!([call(arguments, true)]))].concat());
    let (bytes, out) = run(&input);
    assert_eq!((out.reason, out.findings.len()), (None, 1), "{:?}", out.error);
    let got = events(&bytes);
    let deltas: Vec<&Json> = got.iter().filter(|e| e["type"] == "response.function_call_arguments.delta").collect();
    assert_eq!(deltas.len(), 1);
    let want = r#"{"k":"[x]","n":1}"#;
    assert_eq!(deltas[0]["delta"], want);
    let of = |kind: &str| got.iter().find(|event| event["type"] == kind).unwrap();
    assert_eq!(of("response.function_call_arguments.done")["arguments"], want);
    assert_eq!(of("response.output_item.done")["item"]["arguments"], want);
    assert_eq!(of("response.completed")["response"]["output"][0]["arguments"], want);
}

#[test]
fn a_text_that_never_ended_ends_with_the_response() {
    let cut = [start(), begin(0), vec![delta(0, "a SECR")]].concat();
    let mut last = answer(&json!([message("a SECR")]));
    last["status"] = json!("incomplete");
    last["incomplete_details"] = json!({"reason": "max_output_tokens"});
    let (bytes, out) =
        run(&wire([cut.clone(), vec![json!({"type": "response.incomplete", "response": last})]].concat()));
    assert_eq!((said(&bytes).as_str(), out.reason), ("a SECR", None));
    let failed = json!({"type": "response.failed", "response": {"id": "r", "status": "failed", "output": [],
        "error": {"code": "server_error", "message": "no SECRET-42"}}});
    let (bytes, out) = run(&wire([cut.clone(), vec![failed]].concat()));
    assert_eq!(events(&bytes).pop().unwrap()["response"]["error"]["message"], "no [x]");
    assert_eq!(out.reason, Some(Reason::UpstreamFailed));
    let (bytes, out) = run(&wire(cut));
    assert_eq!(events(&bytes).pop().unwrap()["error"]["code"], "upstream_failed");
    assert_eq!(out.reason, Some(Reason::UpstreamFailed), "no end at all");
}

#[test]
fn a_cut_stream_ends_with_an_error_and_nothing_after() {
    let fine = [start(), begin(0), vec![delta(0, "fine SEC")]].concat();
    let done = json!({"type": "response.output_text.done", "item_id": "m1", "output_index": 0, "content_index": 0, "text": "x"});
    for (case, rest, is_block) in [
        ("poison", vec![delta(0, "POISON")], true),
        ("poison at the end only", end(json!([message("POISON")])), true),
        (
            "a secret in a tool's name",
            vec![json!({"type": "response.output_item.added", "output_index": 1, "item":
            {"type": "function_call", "id": "f", "call_id": "c", "name": "SECRET-42", "arguments": ""}})],
            true,
        ),
        ("an unknown event", vec![json!({"type": "response.note", "text": "x"})], false),
        (
            "a search",
            vec![json!({"type": "response.web_search_call.searching", "item_id": "w", "output_index": 1})],
            false,
        ),
        (
            "an image",
            vec![json!({"type": "response.image_generation_call.partial_image", "partial_image_b64": "AA"})],
            false,
        ),
        (
            "an unknown field",
            vec![
                json!({"type": "response.output_text.delta", "item_id": "m1", "output_index": 0, "content_index": 0, "delta": "x", "note": "y"}),
            ],
            false,
        ),
        ("a delta after its end", vec![done, delta(0, "more")], false),
        (
            "an item that begins with text",
            vec![json!({"type": "response.output_item.added", "output_index": 1, "item": message("x")})],
            false,
        ),
        (
            "reasoning nobody can read",
            vec![json!({"type": "response.output_item.done", "output_index": 1, "item":
            {"type": "reasoning", "id": "r", "summary": [], "encrypted_content": "AA"}})],
            false,
        ),
        ("no index", vec![json!({"type": "response.output_text.delta", "item_id": "m1", "delta": "x"})], false),
    ] {
        let (bytes, out) = run(&(wire([fine.clone(), rest].concat()) + &named(&delta(2, "late"))));
        assert_eq!((out.blocked, out.reason), (is_block, Some(Reason::AnswerRefused)), "{case}: {:?}", out.error);
        let last = events(&bytes).pop().unwrap();
        assert_eq!((&last["type"], &last["error"]["code"]), (&json!("error"), &json!("answer_refused")), "{case}");
        let text = String::from_utf8(bytes).unwrap();
        assert!(!text.contains("POISON") && !text.contains("SECRET-42") && !text.contains("late"), "{case}");
    }
    let other = format!("event: response.completed\ndata: {}\n\n", delta(0, "x"));
    assert!(run(&other).1.error.is_some(), "another name than its type");
}

#[test]
fn a_stream_cut_at_every_byte_gives_the_same_bytes() {
    let answer = json!({"id": "r", "output": [message("é SECRET-42")]});
    let all = [text(0, &["é SECRET", "-42"]), vec![json!({"type": "response.completed", "response": answer})]].concat();
    same_wherever_cut(RESPONSES, &wire(all));
}
