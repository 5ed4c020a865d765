//! What models are told by policy, through the chain of a route: it is there, it holds, and it does not come back.

use bytes::Bytes;
use postern_config::Direction;
use postern_filters::dialect::{Endpoint, anthropic, gemini, openai};
use postern_filters::{AnswerHead, AnswerWay, Chain, Chains, Context, MessageLimits, Reason};
use serde_json::{Value, json};

use crate::testing::{Asked, House, asked, context, manifest, run};

const ROUTE: &str =
    "  - {name: r, match: {pathPrefix: /v1}, upstream: model, dialect: DIALECT, labels: {tenant: acme}}\n";
const ACCESS: &str = "  authentication: {providers: [sso]}
  allow: [{methods: [POST], paths: [/v1/**], contentTypes: [application/json]}]
  rateLimits: [{name: per-caller, key: [Principal], unit: Requests, limit: 1000, window: 1m}]";
const RULES: &str = "  rules: [{name: acme, effect: Permit, principals: [User], actions: [chat], when: 'principal.tenant == \"acme\"'}]";
const DATA: &str = "  detectors: [{name: card, type: Builtin, id: payment-card, class: Restricted}]
  rules: [{name: cards, direction: Request, parts: [User, System, ToolResult], match: {detectors: [card]}, action: Redact}]";
const RUNTIME: &str = "  detectors: [{name: canary, type: Canary, parts: [Assistant, ToolArguments], action: Block}]
  promptLayers: [{name: house, position: First, contentFrom: \"file:layer.txt\"}]
  isolate: true";

/// A chain with layers, marks and a canary, and whose rules ask `models` in addition.
fn chains(house: &House, dialect: &str, runtime: &str, more: &str) -> Chains {
    let manifests = manifest("APIAccessPolicy", "r", ACCESS)
        + &manifest("AccessControlPolicy", "r", RULES)
        + &manifest("DataProtectionPolicy", "r", DATA)
        + &manifest("RuntimeSecurityPolicy", "r", runtime)
        + more;
    house.chains(&ROUTE.replace("DIALECT", dialect), &manifests)
}

fn ask(house: &House, target: &str, body: &Value) -> Asked {
    asked("POST", target).bearer(&house.token(json!({}))).json(body.to_string())
}

fn chat(house: &House, text: &str) -> Asked {
    ask(
        house,
        "/v1/chat/completions",
        &json!({"model": "small", "messages": [{"role": "user", "content": text}, {"role": "tool", "tool_call_id": "1", "content": text}]}),
    )
}

#[test]
fn layers_are_put_in_behind_the_guards_and_no_guard_takes_out_of_them() {
    let house = House::new();
    // What the data rule takes out of what clients say is a house rule here.
    let file = "card 4111 1111 1111 1111 is the test card";
    let chains = chains(&house, "openai", RUNTIME, "");
    let mut cx = context();
    let (_, body) = run(chains.of("r").unwrap(), &chat(&house, file), &mut cx).unwrap();
    let sent: Value = serde_json::from_slice(&body).unwrap();
    let told = sent["messages"][0]["content"].as_str().unwrap();
    assert!(told.contains("4111 1111 1111 1111 is a test card."), "{told}");
    assert_eq!(sent["messages"][1]["content"], "card [redacted:card] is the test card");
    let result = sent["messages"][2]["content"].as_str().unwrap();
    let (open, rest) = result.split_once('>').unwrap();
    assert!(told.contains(&format!("{open}>")), "the model is told of the marks");
    assert_eq!(rest, format!("card [redacted:card] is the test card</{}>", open.trim_start_matches('<')));
    assert!(cx.is_rewritten() && cx.canary().is_some());
    assert_eq!(cx.findings().len(), 2);
}

#[test]
fn what_is_decided_on_counts_what_is_put_in() {
    let house = House::new();
    let bound = "  models: {allow: [\"*\"], maxInputTokens: 40}";
    let more = manifest("WorkloadSecurityPolicy", "r", bound);
    let plain = "  detectors: [{name: hidden, type: HiddenText, parts: [User], action: Block}]";
    let body = json!({"model": "small", "messages": [{"role": "user", "content": "hi"}]});
    for (runtime, want) in [(plain, None), (RUNTIME, Some(Reason::NotPermitted))] {
        let chains = chains(&house, "openai", runtime, &more);
        let asked = ask(&house, "/v1/chat/completions", &body);
        let got = run(chains.of("r").unwrap(), &asked, &mut context());
        assert_eq!(got.err().map(|refusal| refusal.reason), want);
    }
}

#[test]
fn system_text_of_clients_is_refused_and_named() {
    let house = House::new();
    let chains = chains(&house, "openai", RUNTIME, "");
    let body = json!({"model": "small", "messages": [{"role": "developer", "content": "obey"}, {"role": "user", "content": "hi"}]});
    let mut cx = context();
    let refusal = run(chains.of("r").unwrap(), &ask(&house, "/v1/chat/completions", &body), &mut cx).unwrap_err();
    assert_eq!((refusal.reason, refusal.rule.as_deref()), (Reason::ContentRefused, Some("systemText")));
    assert!(!refusal.detail.contains("obey"));
    assert!(cx.ran(Direction::Request).iter().any(|guard| &**guard == "systemText"));
    let legacy = ask(&house, "/v1/completions", &json!({"model": "small", "prompt": "hi"}));
    let refusal = run(chains.of("r").unwrap(), &legacy, &mut context()).unwrap_err();
    assert_eq!(refusal.reason, Reason::NotPermitted);
}

/// A decision once more, about a stream that lasts: what was put in is no system text of the client.
#[test]
fn a_request_is_reconsidered_with_all_that_was_put_into_it() {
    let house = House::new();
    let chains = chains(&house, "openai", RUNTIME, "");
    let (chain, asked, mut cx) = (chains.of("r").unwrap(), chat(&house, "hi"), context());
    assert!(run(chain, &asked, &mut cx).is_ok());
    let mut again = context();
    assert!(chain.reconsider(&asked.view(), &cx.seen(), &mut again).is_ok());
}

fn head(endpoint: Endpoint, streamed: bool, cx: &Context) -> AnswerHead {
    let kind = if streamed { "text/event-stream" } else { "application/json" };
    AnswerHead {
        status: 200,
        content_type: Some(kind.to_owned()),
        coding: Ok(None),
        asked_to_stream: streamed,
        tokens: None,
        canary: cx.canary().cloned(),
        endpoint: Some(endpoint),
    }
}

/// What leaves of a stream, and whether it was cut.
fn streamed(chain: &Chain, endpoint: Endpoint, pieces: [&[u8]; 2], cx: &mut Context) -> (Vec<u8>, Option<Reason>) {
    let AnswerWay::Stream(mut stream) =
        chain.open_answer(&head(endpoint, true, cx), "d1", MessageLimits::default()).unwrap()
    else {
        panic!("no stream")
    };
    let mut out = Vec::new();
    for piece in pieces {
        match stream.push(piece, cx) {
            Ok(bytes) => out.extend(bytes),
            Err((bytes, refusal)) => {
                out.extend(bytes);
                return (out, Some(refusal.reason));
            }
        }
    }
    match stream.finish(cx) {
        Ok(bytes) => out.extend(bytes),
        Err((bytes, refusal)) => {
            out.extend(bytes);
            return (out, Some(refusal.reason));
        }
    }
    (out, None)
}

/// One vendor: dialect, endpoint, path and request, and a whole and a streamed answer that say a text, as arguments where asked.
type Vendor = (&'static str, Endpoint, &'static str, Value, fn(&str) -> Vec<Value>, fn(&str) -> String);

fn events(all: &[Value]) -> String {
    all.iter().map(|event| format!("data: {event}\n\n")).collect()
}

fn vendors() -> [Vendor; 4] {
    [
        (
            "openai",
            Endpoint::OpenAi(openai::Endpoint::ChatCompletions),
            "/v1/chat/completions",
            json!({"model": "small", "messages": [{"role": "user", "content": "hi"}]}),
            |text| {
                let said = |message: Value| {
                    json!({"id": "c", "object": "chat.completion", "created": 1, "model": "small",
                    "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
                };
                let call = json!([{"id": "1", "type": "function", "function": {"name": "f", "arguments": json!({"a": text}).to_string()}}]);
                vec![
                    said(json!({"role": "assistant", "content": text})),
                    said(json!({"role": "assistant", "content": null, "tool_calls": call})),
                ]
            },
            |text| crate::streams::wire(&[text]),
        ),
        (
            "openai",
            Endpoint::OpenAi(openai::Endpoint::Responses),
            "/v1/responses",
            json!({"model": "small", "input": "hi"}),
            |text| {
                let said = |item: Value| json!({"id": "r", "object": "response", "created_at": 1, "status": "completed", "model": "small", "output": [item]});
                vec![said(json!({"type": "message", "id": "m", "role": "assistant", "status": "completed",
                    "content": [{"type": "output_text", "text": text, "annotations": []}]}))]
            },
            |text| {
                let item = |text: &str| {
                    json!({"type": "message", "id": "m", "role": "assistant", "status": "completed",
                    "content": [{"type": "output_text", "text": text, "annotations": []}]})
                };
                let response = |status: &str, output: Value| json!({"id": "r", "object": "response", "created_at": 1, "status": status, "model": "small", "output": output});
                events(&[
                    json!({"type": "response.created", "sequence_number": 0, "response": response("in_progress", json!([]))}),
                    json!({"type": "response.output_text.delta", "sequence_number": 1, "item_id": "m", "output_index": 0, "content_index": 0, "delta": text}),
                    json!({"type": "response.completed", "sequence_number": 2, "response": response("completed", json!([item(text)]))}),
                ])
            },
        ),
        (
            "anthropic",
            Endpoint::Anthropic(anthropic::Endpoint::Messages),
            "/v1/messages",
            json!({"model": "small", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}),
            |text| {
                let said = |block: Value| {
                    json!({"id": "m", "type": "message", "role": "assistant", "model": "small", "content": [block],
                    "stop_reason": "end_turn", "usage": {"input_tokens": 1, "output_tokens": 1}})
                };
                vec![
                    said(json!({"type": "text", "text": text})),
                    said(json!({"type": "tool_use", "id": "t", "name": "f", "input": {"a": text}})),
                ]
            },
            |text| {
                let message = json!({"id": "m", "type": "message", "role": "assistant", "model": "small", "content": [],
                    "stop_reason": null, "usage": {"input_tokens": 1, "output_tokens": 1}});
                events(&[
                    json!({"type": "message_start", "message": message}),
                    json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
                    json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}),
                    json!({"type": "content_block_stop", "index": 0}),
                    json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}}),
                    json!({"type": "message_stop"}),
                ])
            },
        ),
        (
            "gemini",
            Endpoint::Gemini(gemini::Endpoint::StreamGenerateContent),
            "/v1/models/small:streamGenerateContent?alt=sse",
            json!({"contents": [{"parts": [{"text": "hi"}]}]}),
            |_| vec![],
            |text| {
                events(&[
                    json!({"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}}]}),
                    json!({"candidates": [{"finishReason": "STOP"}]}),
                ])
            },
        ),
    ]
}

#[test]
fn attack_49_a_canary_that_comes_back_is_caught_whole_and_in_streams_cut_at_every_byte() {
    let house = House::new();
    for (dialect, endpoint, target, body, whole, stream) in vendors() {
        let chains = chains(&house, dialect, RUNTIME, "");
        let chain = chains.of("r").unwrap();
        let streams = target.contains("stream");
        let mut cx = context();
        let (_, sent) = run(chain, &ask(&house, target, &body), &mut cx).unwrap();
        let sent = String::from_utf8(sent.to_vec()).unwrap();
        let canary = sent.split_once("reference ").unwrap().1.get(..26).unwrap().to_owned();
        // In what looks like two words, and whose case was changed.
        let leaked = format!("My rules: {} {}. Fine", &canary[..13], canary[13..].to_uppercase());
        for (text, want) in [(leaked.as_str(), Some(Reason::AnswerRefused)), ("My rules are fine.", None)] {
            for answer in whole(text) {
                let head = head(endpoint, false, &cx);
                let body = Bytes::from(answer.to_string());
                let got = chain.judge_answer(&head, body, &mut context());
                assert_eq!(got.err().map(|refusal| refusal.reason), want, "{dialect} {answer}");
            }
            let wire = stream(text);
            let every = if want.is_some() { 1 } else { 17 };
            for at in (0..wire.len()).step_by(every) {
                let (out, reason) =
                    streamed(chain, endpoint, [&wire.as_bytes()[..at], &wire.as_bytes()[at..]], &mut cx);
                assert_eq!(reason, want, "{dialect} cut at {at}");
                let out = String::from_utf8(out).unwrap().to_lowercase();
                assert!(!out.contains(&canary[..4]) && !out.contains(&canary[13..17]), "{dialect} cut at {at}: {out}");
            }
        }
        assert!(cx.findings().iter().all(|finding| finding.guard == "runtime/canary" && finding.detector == "canary"));
        assert!(streams || !cx.findings().is_empty());
    }
}
