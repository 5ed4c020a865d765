//! The endpoints that are small: what is read, what is refused, what passes.

use postern_config::{Action, Dialect, Part};
use serde_json::json;

use crate::Reason;
use crate::dialect::testing::{self, events, rewritten, same_wherever_cut, texts};
use crate::dialect::{Endpoint, Line, Message as _, openai};

const COMPLETIONS: Endpoint = Endpoint::OpenAi(openai::Endpoint::Completions);
const EMBEDDINGS: Endpoint = Endpoint::OpenAi(openai::Endpoint::Embeddings);
const MODERATIONS: Endpoint = Endpoint::OpenAi(openai::Endpoint::Moderations);
const MODELS: Endpoint = Endpoint::OpenAi(openai::Endpoint::Models);

#[test]
fn each_endpoint_has_its_path_and_its_action() {
    for (method, below, want) in [
        ("POST", "/v1/completions", Some((COMPLETIONS, Action::Chat))),
        ("POST", "/v1/embeddings", Some((EMBEDDINGS, Action::Embed))),
        ("POST", "/v1/moderations", Some((MODERATIONS, Action::Chat))),
        ("GET", "/v1/models", Some((MODELS, Action::Read))),
        ("GET", "/models", Some((MODELS, Action::Read))),
        ("GET", "/v1/models/gpt-5-mini", Some((MODELS, Action::Read))),
        ("GET", "/v1/models/ft:gpt-5:acme", Some((MODELS, Action::Read))),
        ("GET", "/v1/models/", None),
        ("GET", "/v1/models/%2e%2e", None),
        ("DELETE", "/v1/models/gpt-5-mini", None),
        ("POST", "/v1/models", None),
        ("GET", "/v1/embeddings", None),
        ("POST", "/v1/files", None),
        ("POST", "/v1/batches", None),
        ("POST", "/v1/images/generations", None),
        ("POST", "/v1/audio/speech", None),
        ("GET", "/v1/realtime", None),
        ("POST", "/v1/fine_tuning/jobs", None),
        ("POST", "/v1/chat/completions/abc", None),
    ] {
        let line = Line { method, path: below, below, query: None };
        let got = Endpoint::target(Dialect::OpenAi, line).unwrap().map(|target| target.endpoint);
        assert_eq!(got.map(|endpoint| (endpoint, endpoint.action())), want, "{method} {below}");
    }
}

#[test]
fn texts_go_to_their_parts() {
    use Part::{Assistant, Embedding, User};
    for (endpoint, body, want) in [
        (
            COMPLETIONS,
            r#"{"model":"m","prompt":["Once","Twice"],"suffix":"end","stop":["."],"user":"mia","max_tokens":5,"echo":true,"temperature":0}"#,
            vec![(User, "Once"), (User, "Twice"), (User, "end"), (User, "."), (User, "mia")],
        ),
        (
            EMBEDDINGS,
            r#"{"model":"m","input":["a","b"],"dimensions":256,"encoding_format":"base64","user":null}"#,
            vec![(Embedding, "a"), (Embedding, "b")],
        ),
        (EMBEDDINGS, r#"{"model":"m","input":"a","user":"mia"}"#, vec![(Embedding, "a"), (User, "mia")]),
        (MODERATIONS, r#"{"model":"m","input":"a"}"#, vec![(User, "a")]),
        (MODERATIONS, r#"{"model":"m","input":[{"type":"text","text":"a"}]}"#, vec![(User, "a")]),
    ] {
        let request = testing::request(endpoint, body).unwrap();
        assert_eq!(texts(&request), want);
        assert_eq!((request.model(), request.opaque()), (Some("m"), None));
        assert_eq!(request.rewrite(&[]).unwrap(), body);
    }
    for (endpoint, body, want) in [
        (
            COMPLETIONS,
            r#"{"id":"cmpl-1","object":"text_completion","created":1,"model":"m","choices":[{"text":"a SECRET-42","index":0,"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}"#,
            vec![(Assistant, "a SECRET-42")],
        ),
        (
            EMBEDDINGS,
            r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.1234567890123,-1]},{"object":"embedding","index":1,"embedding":"AACAPw=="}],"model":"m","usage":{"prompt_tokens":1,"total_tokens":1}}"#,
            vec![],
        ),
        (
            MODELS,
            r#"{"object":"list","data":[{"id":"SECRET-42","object":"model","created":1,"owned_by":"system"}]}"#,
            vec![(Assistant, "SECRET-42"), (Assistant, "system")],
        ),
        (
            MODELS,
            r#"{"error":{"message":"no SECRET-42"}}"#,
            vec![(Assistant, "error"), (Assistant, "message"), (Assistant, "no SECRET-42")],
        ),
    ] {
        let answer = testing::answer(endpoint, body).unwrap();
        assert_eq!(texts(&answer), want);
        assert_eq!(rewritten(&answer).unwrap(), body.replace("SECRET-42", "[x]"));
    }
    let verdict = r#"{"id":"modr-1","model":"m","results":[{"flagged":true,"categories":{"hate":false},"category_scores":{"hate":0.00001},"category_applied_input_types":{"hate":["text"]}}]}"#;
    assert_eq!(rewritten(&testing::answer(MODERATIONS, verdict).unwrap()).unwrap(), verdict);
}

#[test]
fn what_cannot_be_read_is_opaque_and_the_unknown_is_refused() {
    for (endpoint, body, want) in [
        (COMPLETIONS, r#"{"model":"m","prompt":[1,2]}"#, Ok("token numbers")),
        (COMPLETIONS, r#"{"model":"m","prompt":[[1],[2]]}"#, Ok("token numbers")),
        (EMBEDDINGS, r#"{"model":"m","input":[1,2]}"#, Ok("token numbers")),
        (MODERATIONS, r#"{"model":"m","input":[{"type":"image_url","image_url":{"url":"x"}}]}"#, Ok("image_url")),
        (COMPLETIONS, r#"{"model":"m"}"#, Err(())),
        (COMPLETIONS, r#"{"prompt":"x"}"#, Err(())),
        (COMPLETIONS, r#"{"model":"m","prompt":{"text":"x"}}"#, Err(())),
        (COMPLETIONS, r#"{"model":"m","prompt":"x","messages":[]}"#, Err(())),
        (COMPLETIONS, r#"{"model":"m","prompt":"x","logprobs":3}"#, Err(())),
        (EMBEDDINGS, r#"{"model":"m","input":[]}"#, Err(())),
        (EMBEDDINGS, r#"{"model":"m","input":[null]}"#, Err(())),
        (EMBEDDINGS, r#"{"model":"m","input":"x","instructions":"y"}"#, Err(())),
        (MODERATIONS, r#"{"input":"x"}"#, Err(())),
        (MODERATIONS, r#"{"model":"m","input":[{"type":"text","text":"x","note":"y"}]}"#, Err(())),
        (MODELS, "{}", Err(())),
    ] {
        let got = testing::request(endpoint, body).map_err(drop);
        assert_eq!(got.as_ref().map(|request| request.opaque()).map_err(drop), want.map(Some), "{body}");
    }
    for (endpoint, body) in [
        (COMPLETIONS, r#"{"choices":[{"message":{"content":"x"}}]}"#),
        (EMBEDDINGS, r#"{"data":[{"embedding":["words"]}]}"#),
        (EMBEDDINGS, r#"{"data":[{"embedding":"some words"}]}"#),
        (EMBEDDINGS, r#"{"data":[{"embedding":[],"text":"x"}]}"#),
        (MODELS, r#"{"text":"x"}"#),
        (MODERATIONS, r#"{"results":"x"}"#),
    ] {
        assert!(testing::answer(endpoint, body).is_err(), "{body}");
    }
    assert!(testing::request(MODELS, "").unwrap().parts().is_empty());
}

fn piece(text: &str, finish: Option<&str>) -> String {
    let choice = json!({"text": text, "index": 0, "logprobs": null, "finish_reason": finish});
    let event = json!({"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "m", "choices": [choice]});
    format!("data: {event}\n\n")
}

#[test]
fn attack_49_a_secret_split_over_events_of_the_old_endpoint_is_cut_out() {
    let input = piece("a SEC", None)
        + &piece("RET", None)
        + &piece("-42 b", None)
        + &piece("", Some("stop"))
        + "data: [DONE]\n\n";
    let (bytes, out) = testing::run(COMPLETIONS, &input);
    let said: String = events(&bytes).iter().filter_map(|event| event["choices"][0]["text"].as_str()).collect();
    assert_eq!((said.as_str(), out.findings.len(), out.reason), ("a [x] b", 1, None));
    assert!(bytes.ends_with(b"data: [DONE]\n\n"));
    same_wherever_cut(COMPLETIONS, &input);

    let (bytes, out) = testing::run(COMPLETIONS, &(piece("fine SEC", None) + &piece("POISON", None)));
    assert_eq!((out.blocked, out.reason), (true, Some(Reason::AnswerRefused)));
    assert_eq!(events(&bytes).last().unwrap()["error"]["code"], "answer_refused");
    let chunk = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"}}]}\n\n";
    assert!(testing::run(COMPLETIONS, chunk).1.error.is_some(), "an event of the other endpoint");
}
