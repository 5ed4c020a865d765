use super::*;

fn run(input: &str) -> (Vec<u8>, StreamOut) {
    testing::run(STREAM, input)
}

fn event(parts: Json, finish: Option<&str>) -> String {
    let mut candidate = json!({"index": 0, "content": {"role": "model", "parts": parts}});
    if let Some(finish) = finish {
        candidate["finishReason"] = json!(finish);
    }
    format!("data: {}\n\n", json!({"candidates": [candidate], "modelVersion": "m", "responseId": "r"}))
}

fn text(text: &str) -> String {
    event(json!([{"text": text}]), None)
}

fn end(text: &str) -> String {
    event(json!([{"text": text}]), Some("STOP"))
}

fn said(out: &[u8], thought: bool) -> String {
    let events = events(out);
    let parts = events.iter().filter_map(|event| event["candidates"][0]["content"]["parts"].as_array()).flatten();
    parts.filter(|part| (part["thought"] == true) == thought).filter_map(|part| part["text"].as_str()).collect()
}

#[test]
fn attack_49_a_secret_split_over_events_is_cut_out() {
    for pieces in [&["a SEC", "RET-42 b"][..], &["a S", "ECRET", "-4", "2 b"], &["a SECRET-42 b"]] {
        let input: String = pieces.iter().map(|piece| text(piece)).collect::<String>() + &end("");
        let (bytes, out) = run(&input);
        assert_eq!(
            (said(&bytes, false).as_str(), out.findings.len(), out.reason),
            ("a [x] b", 1, None),
            "{:?}",
            out.error
        );
        assert_eq!(events(&bytes).len(), pieces.len() + 1);
    }
    let (bytes, out) = run(&(text("a SEC") + &end("RET-42")));
    assert_eq!((said(&bytes, false).as_str(), out.reason), ("a [x]", None), "the end of the text is in its last event");
    let clean = text("Hel") + &end("lo");
    assert_eq!(String::from_utf8(run(&clean).0).unwrap(), clean, "what nobody minds leaves as it came");
}

#[test]
fn thoughts_and_texts_are_judged_apart_and_a_call_ends_both() {
    let thought = |text: &str| event(json!([{"text": text, "thought": true}]), None);
    let call = json!([{"functionCall": {"name": "f", "args": {"k": "SECRET-42"}}}]);
    let input = thought("Hm SEC") + &thought("RET-42") + &text("so SECR") + &event(call, Some("STOP"));
    let (bytes, out) = run(&input);
    assert_eq!((said(&bytes, true).as_str(), said(&bytes, false).as_str()), ("Hm [x]", "so SECR"), "{:?}", out.error);
    let got = events(&bytes);
    let last = &got.last().unwrap()["candidates"][0]["content"]["parts"][0];
    assert_eq!(last["functionCall"]["args"]["k"], "[x]");
    assert_eq!((out.findings.len(), out.reason), (2, None));
    let mixed = event(
        json!([{"text": "a SE"}, {"text": "CRET-42 b"}, {"functionCall": {"name": "f"}}, {"text": "c"}]),
        Some("STOP"),
    );
    assert_eq!(said(&run(&mixed).0, false), "a [x] bc");
}

#[test]
fn a_cut_stream_ends_with_the_vendors_error_and_nothing_after() {
    for (case, rest, is_block) in [
        ("poison", text("POISON"), true),
        ("a secret in a function's name", event(json!([{"functionCall": {"name": "SECRET-42"}}]), None), true),
        ("an unknown field", event(json!([{"note": "x"}]), None), false),
        ("an image", event(json!([{"inlineData": {"data": "AA"}}]), None), false),
        ("a candidate too many", text("x").replace("\"index\":0", "\"index\":16"), false),
        ("text after the end", end("") + &text("x"), false),
        ("another event", format!("event: note\n{}", text("x")), false),
        ("not JSON", "data: [DONE]\n\n".to_owned(), false),
    ] {
        let (bytes, out) = run(&(text("fine SEC") + &rest + &text("late")));
        assert_eq!((out.blocked, out.reason), (is_block, Some(Reason::AnswerRefused)), "{case}: {:?}", out.error);
        assert_eq!(events(&bytes).last().unwrap()["error"]["status"], "PERMISSION_DENIED", "{case}");
        let text = String::from_utf8(bytes).unwrap();
        assert!(!text.contains("late") && !text.contains("POISON") && !text.contains("SECRET-42"), "{case}: {text}");
    }
}

#[test]
fn an_end_that_is_not_one_is_told_to_the_client() {
    let blocked = format!("data: {}\n\n", json!({"promptFeedback": {"blockReason": "SAFETY"}}));
    let usage = format!("data: {}\n\n", json!({"usageMetadata": {"totalTokenCount": 3}}));
    for (case, input, want) in [
        ("nothing at all", String::new(), Some(Reason::UpstreamFailed)),
        ("no reason", text("half SEC"), Some(Reason::UpstreamFailed)),
        ("inside an event", end("x") + "data: {", Some(Reason::UpstreamFailed)),
        ("finished", end("x") + &usage, None),
        ("the prompt was refused", blocked, None),
        ("an error", "data: {\"error\":{\"message\":\"no SECRET-42\"}}\n\n".into(), Some(Reason::UpstreamFailed)),
    ] {
        let (bytes, out) = run(&input);
        assert_eq!(out.reason, want, "{case}");
        assert!(!String::from_utf8(bytes).unwrap().contains("SECRET"), "{case}");
    }
}

#[test]
fn the_stall_time_releases_what_counts_as_found() {
    let mut stream = testing::stream(STREAM);
    stream.push(text("a SECRET").as_bytes());
    assert!(stream.is_holding());
    let out = stream.stall();
    assert_eq!((said(&out.bytes, false).as_str(), out.findings.len(), stream.is_holding()), ("[x]", 1, false));
}

#[test]
fn a_stream_cut_at_every_byte_gives_the_same_bytes() {
    let call = json!([{"functionCall": {"name": "f", "args": {"k": "SECRET-42"}}}]);
    same_wherever_cut(STREAM, &(text("é SECRET") + &text("-42") + &event(call, None) + &end(" SECRET-4")));
}
