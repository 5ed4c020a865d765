//! What an event of a stream costs on its way: each dialect, each event by itself, without guards, with one detector and with all
//! of them. Best of several rounds. Below: what taking a coding off costs, event by event.
//!
//! `cargo bench -p postern-filters --bench streams`. The goal of the design is 2 µs an event.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a bench prints, and may stop")]
#![allow(missing_debug_implementations, unreachable_pub, reason = "a bench")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use postern_config::{
    BUILTIN_DETECTORS, ContentAction, DataClass, DataDetector, DataDetectorKind, DataProtection, DataRule, Direction,
    Part, RuntimeSecurity,
};
use postern_filters::dialect::{Endpoint, EventStream, StreamLimits, anthropic, gemini, openai};
use postern_filters::encoding::{CHUNK, Coding, DecodeLimits, Decoder};
use postern_filters::scan::ContentGuards;
use postern_filters::{Judgement, TextGuard, TextGuards, TextStep};
use serde_json::{Value, json};

#[path = "../src/encoding/encode.rs"]
mod encode;

/// Events with text in each stream.
const EVENTS: usize = 2000;
const ROUNDS: usize = 15;
const WORDS: [&str; 12] =
    ["Nobody ", "had ", "counted ", "on ", "the ", "price ", "of ", "slate, ", "which ", "has ", "gone ", "up again. "];

fn main() {
    let none: Arc<dyn TextGuards> = Arc::new(Nothing);
    let ids: Vec<&str> = BUILTIN_DETECTORS.iter().map(|(id, _)| *id).collect();
    let (one, all) = (guards(&["secret"]), guards(&ids));
    println!("{:<28} {:>10} {:>10} {:>10}   µs an event", "", "no guard", "secrets", "all");
    for (name, endpoint, events) in streams() {
        let micros = |guards: &Arc<dyn TextGuards>| per_event(endpoint, guards, &events);
        println!("{name:<28} {:>10.2} {:>10.2} {:>10.2}", micros(&none), micros(&one), micros(&all));
    }
    let (_, _, events) = streams().into_iter().next().unwrap();
    for coding in Coding::ALL {
        println!("{:<28} {:>10.2}", format!("decoding {}", coding.as_str()), decoding(coding, &events));
    }
}

fn guards(ids: &[&'static str]) -> Arc<dyn TextGuards> {
    let detector = |id: &&'static str| DataDetector {
        name: (*id).into(),
        kind: DataDetectorKind::Builtin(id),
        class: DataClass::Confidential,
    };
    let rule = DataRule {
        name: "all".into(),
        owner: "DataProtectionPolicy/default/bench".into(),
        request: false,
        response: true,
        parts: vec![Part::Assistant, Part::ToolArguments],
        detectors: (0..ids.len()).collect(),
        action: ContentAction::Redact,
        tokens: postern_config::TokenRule::default(),
    };
    let data = DataProtection {
        detectors: ids.iter().map(detector).collect(),
        rules: vec![rule],
        ..DataProtection::default()
    };
    Arc::new(ContentGuards::compile(&data, &RuntimeSecurity::default(), Direction::Response).unwrap())
}

fn best(mut work: impl FnMut()) -> Duration {
    let round = |_| {
        let start = Instant::now();
        work();
        start.elapsed()
    };
    (0..ROUNDS).map(round).min().unwrap()
}

fn per_event(endpoint: Endpoint, guards: &Arc<dyn TextGuards>, events: &[String]) -> f64 {
    let took = best(|| {
        let mut stream = EventStream::new(endpoint, guards.clone(), "d1", StreamLimits::default()).unwrap();
        for event in events {
            let out = stream.push(black_box(event.as_bytes()));
            assert!(out.error.is_none() && !out.blocked, "{:?}", out.error);
            black_box(out);
        }
        black_box(stream.finish());
    });
    took.as_secs_f64() * 1e6 / events.len() as f64
}

fn decoding(coding: Coding, events: &[String]) -> f64 {
    let mut encoder = encode::Encoder::new(coding);
    let pieces: Vec<Vec<u8>> = events.iter().map(|event| encoder.flush(event.as_bytes())).collect();
    let took = best(|| {
        let mut decoder = Decoder::new(coding, DecodeLimits { output: u64::MAX, ratio: 1000 });
        let mut chunk = vec![0; CHUNK];
        for piece in &pieces {
            let mut rest = &piece[..];
            while decoder.run(black_box(&mut rest), &mut chunk).unwrap() > 0 {}
        }
    });
    took.as_secs_f64() * 1e6 / events.len() as f64
}

fn streams() -> Vec<(&'static str, Endpoint, Vec<String>)> {
    vec![
        (
            "openai chat, text",
            Endpoint::OpenAi(openai::Endpoint::ChatCompletions),
            chat(|word| json!({ "content": word })),
        ),
        (
            "openai chat, arguments",
            Endpoint::OpenAi(openai::Endpoint::ChatCompletions),
            chat(|word| json!({"tool_calls": [{"index": 0, "function": {"arguments": word}}]})),
        ),
        ("openai completions", Endpoint::OpenAi(openai::Endpoint::Completions), completions()),
        ("openai responses", Endpoint::OpenAi(openai::Endpoint::Responses), responses()),
        ("anthropic messages", Endpoint::Anthropic(anthropic::Endpoint::Messages), messages()),
        ("gemini contents", Endpoint::Gemini(gemini::Endpoint::StreamGenerateContent), contents()),
    ]
}

fn words() -> impl Iterator<Item = &'static str> {
    WORDS.into_iter().cycle().take(EVENTS)
}

fn data(event: &Value) -> String {
    format!("data: {event}\n\n")
}

fn named(event: &Value) -> String {
    format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap())
}

fn chat(delta: impl Fn(&str) -> Value) -> Vec<String> {
    let event = |delta: Value, finish: Value| {
        data(&json!({
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_800_000_000, "model": "small",
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        }))
    };
    let mut all = vec![event(json!({"role": "assistant", "content": ""}), Value::Null)];
    if delta("x").get("tool_calls").is_some() {
        let call =
            json!({"index": 0, "id": "call_1", "type": "function", "function": {"name": "note", "arguments": "\""}});
        all.push(event(json!({"tool_calls": [call]}), Value::Null));
        all.extend(words().map(|word| event(delta(word), Value::Null)));
        all.push(event(delta("\""), Value::Null));
    } else {
        all.extend(words().map(|word| event(delta(word), Value::Null)));
    }
    all.push(event(json!({}), "stop".into()));
    all.push("data: [DONE]\n\n".to_owned());
    all
}

fn completions() -> Vec<String> {
    let event = |text: &str, finish: Value| {
        data(&json!({
            "id": "cmpl-1", "object": "text_completion", "created": 1_800_000_000, "model": "small",
            "choices": [{"index": 0, "text": text, "finish_reason": finish}],
        }))
    };
    let mut all: Vec<String> = words().map(|word| event(word, Value::Null)).collect();
    all.extend([event("", "stop".into()), "data: [DONE]\n\n".to_owned()]);
    all
}

fn responses() -> Vec<String> {
    let text: String = words().collect();
    let content = json!({"type": "output_text", "text": text, "annotations": []});
    let item =
        json!({"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [content]});
    let whole = json!({"id": "resp_1", "object": "response", "created_at": 1, "model": "small", "status": "completed",
        "output": [item], "parallel_tool_calls": true, "tool_choice": "auto", "tools": [], "error": null,
        "incomplete_details": null});
    let with = |base: &Value, change: Value| {
        let mut all = base.clone();
        all.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        all
    };
    let place = json!({"item_id": "msg_1", "output_index": 0, "content_index": 0});
    let begun = with(&whole, json!({"status": "in_progress", "output": []}));
    let mut all = vec![
        json!({"type": "response.created", "response": begun}),
        json!({"type": "response.output_item.added", "output_index": 0, "item": with(&item, json!({"status": "in_progress", "content": []}))}),
        with(&place, json!({"type": "response.content_part.added", "part": with(&content, json!({"text": ""}))})),
    ];
    all.extend(words().map(|word| with(&place, json!({"type": "response.output_text.delta", "delta": word}))));
    all.extend([
        with(&place, json!({"type": "response.output_text.done", "text": text})),
        with(&place, json!({"type": "response.content_part.done", "part": content})),
        json!({"type": "response.output_item.done", "output_index": 0, "item": item}),
        json!({"type": "response.completed", "response": whole}),
    ]);
    let numbered = all.iter().enumerate().map(|(number, event)| with(event, json!({ "sequence_number": number })));
    numbered.map(|event| named(&event)).collect()
}

fn messages() -> Vec<String> {
    let message = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "small", "content": [],
        "stop_reason": null, "usage": {"input_tokens": 1, "output_tokens": 1}});
    let mut all = vec![
        json!({"type": "message_start", "message": message}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
    ];
    let say = |word| json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}});
    all.extend(words().map(say));
    all.extend([
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}}),
        json!({"type": "message_stop"}),
    ]);
    all.iter().map(named).collect()
}

fn contents() -> Vec<String> {
    let say = |word| json!({"candidates": [{"content": {"role": "model", "parts": [{"text": word}]}, "index": 0}]});
    words()
        .map(say)
        .chain([json!({"candidates": [{"index": 0, "finishReason": "STOP"}]})])
        .map(|event| data(&event))
        .collect()
}

/// Lets everything pass.
#[derive(Debug)]
struct Nothing;

impl TextGuards for Nothing {
    fn judge(&self, _part: Part, _text: &str) -> Judgement {
        Judgement::default()
    }

    fn open(&self, _part: Part) -> Box<dyn TextGuard> {
        Box::new(Self)
    }
}

impl TextGuard for Nothing {
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
