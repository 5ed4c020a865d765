//! Byte for byte what leaves, for every endpoint; and that it is all there whatever a client sends.

use bytes::Bytes;
use postern_config::{LayerPosition, PromptLayer};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::MessageLimits;
use crate::dialect::{Endpoint, anthropic, gemini, openai};
use crate::json::Document;
use crate::testing::context;

const CHAT: Endpoint = Endpoint::OpenAi(openai::Endpoint::ChatCompletions);
const RESPONSES: Endpoint = Endpoint::OpenAi(openai::Endpoint::Responses);
const MESSAGES: Endpoint = Endpoint::Anthropic(anthropic::Endpoint::Messages);
const GENERATE: Endpoint = Endpoint::Gemini(gemini::Endpoint::GenerateContent);

/// Bytes that spell a name of letters which are all `a`, but for its last.
fn random(bytes: &mut [u8]) -> bool {
    bytes.fill(0);
    true
}

const NAME: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaa";

fn layer(name: &str, position: LayerPosition, text: &str) -> PromptLayer {
    PromptLayer {
        name: name.to_owned(),
        owner: "RuntimeSecurityPolicy/default/r".to_owned(),
        position,
        file: "layer.txt".into(),
        digest: [0; 32],
        text: Redacted::new(text.to_owned()),
    }
}

/// Layers with these texts; an empty one is none.
fn rules(first: &str, last: &str, denies: bool, isolates: bool) -> PromptRules {
    let all = [("first", LayerPosition::First, first), ("last", LayerPosition::Last, last)];
    let layers = all.into_iter().filter(|(.., text)| !text.is_empty());
    PromptRules {
        layers: layers.map(|(name, position, text)| layer(name, position, text)).collect(),
        system_denied_by: denies.then(|| "RuntimeSecurityPolicy/default/r".to_owned()),
        isolated_by: isolates.then(|| "RuntimeSecurityPolicy/default/r".to_owned()),
    }
}

fn target(endpoint: Endpoint) -> Target<'static> {
    Target { endpoint, model: matches!(endpoint, Endpoint::Gemini(_)).then_some("small") }
}

fn read(endpoint: Endpoint, body: &str) -> Message {
    let body = Bytes::copy_from_slice(body.as_bytes());
    Message::ai(target(endpoint), Some("application/json"), body, MessageLimits::default()).unwrap()
}

/// What is sent, or the reason why nothing is. What was decided on before is never about less.
fn sent(rules: &PromptRules, plants: bool, endpoint: Endpoint, body: &str) -> Result<String, Reason> {
    let prompts = Prompts::new(rules, plants).unwrap();
    let mut cx = context().with_random(random);
    cx.set_body(Bytes::copy_from_slice(body.as_bytes()));
    cx.set_message(read(endpoint, body));
    if let Flow::Refuse(refusal) = prompts.check(&mut cx).unwrap() {
        assert!(refusal.rule.is_some());
        return Err(refusal.reason);
    }
    let (bytes, tokens) = (cx.message().unwrap().input_tokens(), cx.tokens().input);
    assert_eq!(prompts.put(&mut cx).unwrap(), Flow::Continue);
    let sent = String::from_utf8(cx.body().to_vec()).unwrap();
    assert!(bytes >= sent.len() as u64 && cx.message().unwrap().input_tokens() == sent.len() as u64);
    assert!(tokens >= read(endpoint, &sent).tokens().input, "{sent}");
    Ok(sent)
}

/// An endpoint, the body that comes and the body that leaves.
type Case = (&'static str, Endpoint, &'static str, &'static str);

fn all_leave(rules: &PromptRules, cases: &[Case]) {
    for (case, endpoint, body, want) in cases {
        assert_eq!(sent(rules, false, *endpoint, body).as_deref(), Ok(*want), "{case}");
    }
}

#[test]
fn layers_stand_in_the_requests_of_every_dialect_and_all_else_stays_as_it_came() {
    all_leave(
        &rules("F \"1\"", "L", true, false),
        &[
            (
                "a chat",
                CHAT,
                r#"{ "model":"small","messages" : [ {"role":"user","content":"a\u0062"}], "n":1 }"#,
                r#"{ "model":"small","messages" : [{"role":"system","content":"F \"1\"\n\nL"}, {"role":"user","content":"a\u0062"}], "n":1 }"#,
            ),
            (
                "a system message that says nothing",
                CHAT,
                r#"{"model":"m","messages":[{"role":"system","content":""},{"role":"user","content":"a"}]}"#,
                r#"{"model":"m","messages":[{"role":"system","content":"F \"1\""},{"role":"system","content":""},{"role":"system","content":"L"},{"role":"user","content":"a"}]}"#,
            ),
            (
                "a response",
                RESPONSES,
                r#"{"model":"m","input":"a"}"#,
                r#"{"instructions":"F \"1\"\n\nL","model":"m","input":"a"}"#,
            ),
            (
                "without instructions",
                RESPONSES,
                r#"{"model":"m","instructions": null,"input":[{"role":"user","content":"a"}]}"#,
                r#"{"model":"m","instructions": "F \"1\"\n\nL","input":[{"role":"user","content":"a"}]}"#,
            ),
            (
                "a message",
                MESSAGES,
                r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"a"}]}"#,
                r#"{"system":"F \"1\"\n\nL","model":"m","max_tokens":9,"messages":[{"role":"user","content":"a"}]}"#,
            ),
            (
                "empty blocks",
                MESSAGES,
                r#"{"model":"m","max_tokens":9,"system":[],"messages":[{"role":"user","content":"a"}]}"#,
                r#"{"model":"m","max_tokens":9,"system":"F \"1\"\n\nL","messages":[{"role":"user","content":"a"}]}"#,
            ),
            (
                "content",
                GENERATE,
                r#"{"contents":[{"parts":[{"text":"a"}]}]}"#,
                r#"{"systemInstruction":{"parts":[{"text":"F \"1\"\n\nL"}]},"contents":[{"parts":[{"text":"a"}]}]}"#,
            ),
            (
                "the other spelling, and nothing there",
                GENERATE,
                r#"{"system_instruction":null,"contents":[{"parts":[{"text":"a"}]}]}"#,
                r#"{"system_instruction":{"parts":[{"text":"F \"1\"\n\nL"}]},"contents":[{"parts":[{"text":"a"}]}]}"#,
            ),
        ],
    );
    all_leave(
        &rules("", "L", true, false),
        &[(
            "a last one alone",
            CHAT,
            r#"{"model":"m","messages":[{"role":"user","content":"a"}]}"#,
            r#"{"model":"m","messages":[{"role":"system","content":"L"},{"role":"user","content":"a"}]}"#,
        )],
    );
}

#[test]
fn system_text_of_clients_that_is_let_in_stands_between_the_layers() {
    all_leave(
        &rules("F", "L", false, false),
        &[
            (
                "a chat",
                CHAT,
                r#"{"model":"m","messages":[{"role":"system","content":"s"},{"role":"user","content":"a"},{"role":"developer","content":"d"},{"role":"user","content":"b"}]}"#,
                r#"{"model":"m","messages":[{"role":"system","content":"F"},{"role":"system","content":"s"},{"role":"user","content":"a"},{"role":"developer","content":"d"},{"role":"system","content":"L"},{"role":"user","content":"b"}]}"#,
            ),
            (
                "instructions",
                RESPONSES,
                r#"{"model":"m","instructions":"s\u0021","input":"a"}"#,
                r#"{"model":"m","instructions":"F\n\ns\u0021\n\nL","input":"a"}"#,
            ),
            (
                "items",
                RESPONSES,
                r#"{"model":"m","instructions":"s","input":[{"role":"developer","content":"d"},{"role":"user","content":"a"}]}"#,
                r#"{"model":"m","instructions":"F\n\ns","input":[{"role":"developer","content":"d"},{"type":"message","role":"system","content":"L"},{"role":"user","content":"a"}]}"#,
            ),
            (
                "a string",
                MESSAGES,
                r#"{"model":"m","max_tokens":9,"system":"s\u0021","messages":[{"role":"user","content":"a"}]}"#,
                r#"{"model":"m","max_tokens":9,"system":[{"type":"text","text":"F"},{"type":"text","text":"s\u0021"},{"type":"text","text":"L"}],"messages":[{"role":"user","content":"a"}]}"#,
            ),
            (
                "blocks",
                MESSAGES,
                r#"{"model":"m","max_tokens":9,"system":[{"type":"text","text":"s"}],"messages":[{"role":"user","content":"a"}]}"#,
                r#"{"model":"m","max_tokens":9,"system":[{"type":"text","text":"F"},{"type":"text","text":"s"},{"type":"text","text":"L"}],"messages":[{"role":"user","content":"a"}]}"#,
            ),
            (
                "a message of the system",
                MESSAGES,
                r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"a"},{"role":"system","content":"s"}]}"#,
                r#"{"system":"F","model":"m","max_tokens":9,"messages":[{"role":"user","content":"a"},{"role":"system","content":"s"},{"role":"system","content":"L"}]}"#,
            ),
            (
                "a block of the system",
                MESSAGES,
                r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":[{"type":"mid_conv_system","content":[{"type":"text","text":"s"}]},{"type":"text","text":"a"}]}]}"#,
                r#"{"system":"F","model":"m","max_tokens":9,"messages":[{"role":"user","content":[{"type":"mid_conv_system","content":[{"type":"text","text":"s"}]},{"type":"mid_conv_system","content":[{"type":"text","text":"L"}]},{"type":"text","text":"a"}]}]}"#,
            ),
            (
                "an instruction",
                GENERATE,
                r#"{"system_instruction":{"role":"x","parts":[{"text":"s"}]},"contents":[{"parts":[{"text":"a"}]}]}"#,
                r#"{"system_instruction":{"role":"x","parts":[{"text":"F"},{"text":"s"},{"text":"L"}]},"contents":[{"parts":[{"text":"a"}]}]}"#,
            ),
        ],
    );
}

#[test]
fn system_text_of_clients_is_refused_in_every_spelling() {
    let rules = rules("F", "", true, false);
    let user = r#"{"role":"user","content":"a"}"#;
    for (endpoint, body) in [
        (CHAT, format!(r#"{{"model":"m","messages":[{{"role":"system","content":"s"}},{user}]}}"#)),
        (CHAT, format!(r#"{{"model":"m","messages":[{user},{{"role":"developer","content":[{{"type":"text","text":"s"}}]}}]}}"#)),
        (CHAT, format!(r#"{{"model":"m","messages":[{user},{{"r\u006fle":"s\u0079stem","content":"s"}}]}}"#)),
        (CHAT, format!(r#"{{"model":"m","messages":[{{"role":"system","content":"","name":"s"}},{user}]}}"#)),
        (RESPONSES, r#"{"model":"m","instructions":"s","input":"a"}"#.to_owned()),
        (RESPONSES, format!(r#"{{"model":"m","input":[{user},{{"type":"message","role":"developer","content":"s"}}]}}"#)),
        (MESSAGES, format!(r#"{{"model":"m","max_tokens":9,"system":"s","messages":[{user}]}}"#)),
        (MESSAGES, format!(r#"{{"model":"m","max_tokens":9,"system":[{{"type":"text","text":"s"}}],"messages":[{user}]}}"#)),
        (MESSAGES, format!(r#"{{"model":"m","max_tokens":9,"messages":[{user},{{"role":"system","content":"s"}}]}}"#)),
        (
            MESSAGES,
            r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":[{"type":"mid_conv_system","content":"s"}]}]}"#.to_owned(),
        ),
        (GENERATE, r#"{"systemInstruction":{"parts":[{"text":"s"}]},"contents":[{"parts":[{"text":"a"}]}]}"#.to_owned()),
        (GENERATE, r#"{"system_instruction":{"parts":[{"text":"s"}]},"contents":[{"parts":[{"text":"a"}]}]}"#.to_owned()),
        (
            Endpoint::Anthropic(anthropic::Endpoint::CountTokens),
            format!(r#"{{"model":"m","system":"s","messages":[{user}]}}"#),
        ),
    ] {
        assert_eq!(sent(&rules, false, endpoint, &body), Err(Reason::ContentRefused), "{body}");
    }
}

#[test]
fn what_a_provider_keeps_may_hold_system_text_so_it_is_refused_where_that_is() {
    for (endpoint, body) in [
        (RESPONSES, r#"{"model":"m","input":"a","previous_response_id":"r1"}"#),
        (RESPONSES, r#"{"model":"m","input":"a","prompt":{"id":"p1"}}"#),
        (RESPONSES, r#"{"model":"m","input":[{"type":"item_reference","id":"i1"}]}"#),
        (GENERATE, r#"{"cachedContent":"c","contents":[{"parts":[{"text":"a"}]}]}"#),
    ] {
        assert_eq!(sent(&rules("F", "", true, false), false, endpoint, body), Err(Reason::ContentRefused), "{body}");
        assert!(sent(&rules("F", "", false, false), false, endpoint, body).is_ok(), "{body}");
    }
    let image = r#"{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://a.example"}}]}]}"#;
    assert!(sent(&rules("F", "", true, false), false, CHAT, image).is_ok(), "an image says nothing as the operator");
}

#[test]
fn an_endpoint_without_a_place_is_refused_where_a_model_writes_and_left_alone_elsewhere() {
    let completions = Endpoint::OpenAi(openai::Endpoint::Completions);
    let prompt = r#"{"model":"m","prompt":"a"}"#;
    for (rules, plants, want) in [
        (rules("F", "", true, false), false, Err(Reason::NotPermitted)),
        (rules("", "", false, false), true, Err(Reason::NotPermitted)),
        // Nothing in it can come from outside.
        (rules("", "", false, true), false, Ok(prompt.to_owned())),
        (rules("", "", true, false), false, Ok(prompt.to_owned())),
    ] {
        assert_eq!(sent(&rules, plants, completions, prompt), want);
    }
    let user = r#"{"role":"user","content":"a"}"#;
    for (endpoint, body) in [
        (Endpoint::OpenAi(openai::Endpoint::Embeddings), r#"{"model":"m","input":"a"}"#.to_owned()),
        (Endpoint::OpenAi(openai::Endpoint::Moderations), r#"{"model":"m","input":"a"}"#.to_owned()),
        (Endpoint::Anthropic(anthropic::Endpoint::CountTokens), format!(r#"{{"model":"m","messages":[{user}]}}"#)),
        (Endpoint::Gemini(gemini::Endpoint::CountTokens), r#"{"contents":[{"parts":[{"text":"a"}]}]}"#.to_owned()),
        (Endpoint::Gemini(gemini::Endpoint::EmbedContent), r#"{"content":{"parts":[{"text":"a"}]}}"#.to_owned()),
    ] {
        assert_eq!(sent(&rules("F", "L", true, true), true, endpoint, &body), Ok(body));
    }
    for endpoint in Endpoint::ALL.iter().filter(|endpoint| endpoint.has_output()) {
        assert_eq!(endpoint.has_system_place(), *endpoint != completions, "{endpoint:?}");
    }
}

#[test]
fn texts_outside_texts_stand_between_marks_that_the_model_is_told_of() {
    let (open, close) = marks(NAME);
    let told = serde_json::to_string(&notice(NAME)).unwrap();
    let told = told.trim_matches('"');
    for (case, endpoint, body, want) in [
        (
            "a tool that says JSON",
            CHAT,
            r#"{"model":"m","messages":[{"role":"user","content":"a"},{"role":"tool","tool_call_id":"1","name":"t","content":"{\"a\":\"\\u0062\"}"},{"role":"tool","tool_call_id":"2","content":[{"type":"text","text":"c"}]}]}"#.to_owned(),
            format!(r#"{{"model":"m","messages":[{{"role":"system","content":"{told}"}},{{"role":"user","content":"a"}},{{"role":"tool","tool_call_id":"1","name":"t","content":"{open}{{\"a\":\"\\u0062\"}}{close}"}},{{"role":"tool","tool_call_id":"2","content":[{{"type":"text","text":"{open}c{close}"}}]}}]}}"#),
        ),
        (
            "an output",
            RESPONSES,
            r#"{"model":"m","input":[{"type":"function_call_output","call_id":"1","output":"c"}]}"#.to_owned(),
            format!(r#"{{"instructions":"{told}","model":"m","input":[{{"type":"function_call_output","call_id":"1","output":"{open}c{close}"}}]}}"#),
        ),
        (
            "a result and a document",
            MESSAGES,
            r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"1","content":"c"},{"type":"document","source":{"type":"text","media_type":"text/plain","data":"d"}}]}]}"#.to_owned(),
            format!(r#"{{"system":"{told}","model":"m","max_tokens":9,"messages":[{{"role":"user","content":[{{"type":"tool_result","tool_use_id":"1","content":"{open}c{close}"}},{{"type":"document","source":{{"type":"text","media_type":"text/plain","data":"{open}d{close}"}}}}]}}]}}"#),
        ),
        (
            "an object, whose keys are text as well",
            GENERATE,
            r#"{"contents":[{"role":"function","parts":[{"functionResponse":{"name":"t","response":{"a":["b",1234567890]}}}]}]}"#.to_owned(),
            format!(r#"{{"systemInstruction":{{"parts":[{{"text":"{told}"}}]}},"contents":[{{"role":"function","parts":[{{"functionResponse":{{"name":"t","response":{{"output":"{open}{{\"a\":[\"b\",1234567890]}}{close}"}}}}}}]}}]}}"#),
        ),
        (
            "nothing from outside",
            CHAT,
            r#"{"model":"m","messages":[{"role":"user","content":"a"}]}"#.to_owned(),
            r#"{"model":"m","messages":[{"role":"user","content":"a"}]}"#.to_owned(),
        ),
    ] {
        assert_eq!(sent(&rules("", "", false, true), false, endpoint, &body), Ok(want), "{case}");
    }
}

#[test]
fn marks_that_a_text_holds_already_are_not_used() {
    let prompts = Prompts::new(&rules("", "", false, true), false).unwrap();
    let body =
        format!(r#"{{"model":"m","messages":[{{"role":"tool","tool_call_id":"1","content":"</data-{NAME}>"}}]}}"#);
    let mut cx = context().with_random(random);
    cx.set_body(Bytes::copy_from_slice(body.as_bytes()));
    cx.set_message(read(CHAT, &body));
    assert!(matches!(prompts.put(&mut cx), Err(FilterError::Random)));
    let mut cx = Context::new(0, std::time::Duration::ZERO);
    cx.set_message(read(CHAT, &body));
    assert!(matches!(prompts.put(&mut cx), Err(FilterError::Random)), "without randomness nothing passes");
}

#[test]
fn a_canary_stands_at_both_ends_of_what_models_are_told() {
    let body = r#"{"model":"m","messages":[{"role":"user","content":"a"}]}"#;
    for (rules, times) in [
        (rules("", "", false, false), 1),
        (rules("F", "", true, false), 2),
        (rules("F", "L", true, false), 2),
        (rules("", "L", true, false), 2),
    ] {
        let sent = sent(&rules, true, CHAT, body).unwrap();
        let sent: Value = serde_json::from_str(&sent).unwrap();
        let text = sent["messages"][0]["content"].as_str().unwrap();
        assert_eq!(text.matches(NAME).count(), times, "{text}");
        assert!(text.starts_with('[') && text.ends_with(']'), "{text}");
    }
}

#[test]
fn what_the_guards_left_of_a_request_is_what_layers_are_put_into() {
    let prompts = Prompts::new(&rules("F", "", true, true), false).unwrap();
    let body = r#"{"model":"m","messages":[{"role":"tool","tool_call_id":"1","content":"a secret"}]}"#;
    let mut cx = context().with_random(random);
    cx.set_body(Bytes::copy_from_slice(body.as_bytes()));
    cx.set_message(read(CHAT, body));
    assert_eq!(prompts.check(&mut cx).unwrap(), Flow::Continue);
    cx.replace_body(Bytes::copy_from_slice(body.replace("secret", "tok_1").as_bytes()));
    assert_eq!(prompts.put(&mut cx).unwrap(), Flow::Continue);
    let sent: Value = serde_json::from_slice(cx.body()).unwrap();
    let (open, close) = marks(NAME);
    assert_eq!(sent["messages"][1]["content"], json!(format!("{open}a tok_1{close}")));
    assert_eq!(sent["messages"][0]["content"], json!(format!("F\n\n{}", notice(NAME))));
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z \"\\\\\n{}]{1,12}", Just("é😀".to_owned())]
}

/// A request of each dialect with system text, text of users and results of tools, and those texts.
fn request() -> impl Strategy<Value = (Endpoint, Value, Vec<String>)> {
    let turn = (0..3_u8, text());
    (0..4_usize, proptest::collection::vec(turn, 1..6)).prop_map(|(dialect, turns)| {
        let texts: Vec<String> = turns.iter().map(|(_, text)| text.clone()).collect();
        let chat = |(kind, text): &(u8, String)| match kind {
            0 => json!({"role": "system", "content": text}),
            1 => json!({"role": "user", "content": text}),
            _ => json!({"role": "tool", "tool_call_id": "1", "content": text}),
        };
        let item = |(kind, text): &(u8, String)| match kind {
            2 => json!({"type": "function_call_output", "call_id": "1", "output": text}),
            _ => chat(&(*kind, text.clone())),
        };
        let message = |(kind, text): &(u8, String)| match kind {
            0 => json!({"role": "system", "content": text}),
            1 => json!({"role": "user", "content": text}),
            _ => json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": text}]}),
        };
        let content = |(kind, text): &(u8, String)| match kind {
            2 => json!({"role": "function", "parts": [{"functionResponse": {"name": "t", "response": {"r": text}}}]}),
            _ => json!({"role": "user", "parts": [{"text": text}]}),
        };
        match dialect {
            0 => (CHAT, json!({"model": "m", "messages": turns.iter().map(chat).collect::<Vec<_>>()}), texts),
            1 => (RESPONSES, json!({"model": "m", "input": turns.iter().map(item).collect::<Vec<_>>()}), texts),
            2 => {
                let messages: Vec<Value> = turns.iter().map(message).collect();
                (MESSAGES, json!({"model": "m", "max_tokens": 9, "messages": messages}), texts)
            }
            _ => (GENERATE, json!({"contents": turns.iter().map(content).collect::<Vec<_>>()}), texts),
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn layers_are_first_and_last_and_every_text_is_still_there((endpoint, body, texts) in request(), isolates in any::<bool>()) {
        let body = body.to_string();
        let sent = sent(&rules("FIRST", "LAST", false, isolates), false, endpoint, &body).unwrap();
        let document = Document::parse(Bytes::copy_from_slice(sent.as_bytes()), crate::json::Limits::default());
        prop_assert!(document.is_ok(), "{sent}");
        let message = read(endpoint, &sent);
        let all: Vec<(Part, String)> = message.texts().map(|text| (text.part, text.text.to_owned())).collect();
        let system: Vec<&String> = all.iter().filter(|(part, _)| *part == Part::System).map(|(_, text)| text).collect();
        prop_assert!(system.first().is_some_and(|text| text.starts_with("FIRST")), "{system:?}");
        prop_assert!(system.last().is_some_and(|text| text.ends_with("LAST")), "{system:?}");
        for text in texts {
            let json = serde_json::to_string(&text).unwrap();
            let there = |one: &String| one.contains(&text) || one.contains(json.trim_matches('"'));
            prop_assert!(all.iter().any(|(_, one)| there(one)), "{text:?} of {sent}");
        }
    }
}
