use super::*;

const ANSWER: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1767225600,"model":"gpt-5-mini-2026-01-01",
 "choices":[
  {"index":0,"message":{"role":"assistant","content":"The key is SECRET-42.","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"},
  {"index":1,"message":{"role":"assistant","content":null,"reasoning_content":"Hm, SECRET-42",
   "tool_calls":[{"id":"call_9","type":"function","function":{"name":"save","arguments":"{\"k\":\"SECRET-4\\u0032\"}"}}]},"finish_reason":"tool_calls"}],
 "usage":{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29,"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":4}},
 "service_tier":"default","system_fingerprint":"fp_1"}"#;

#[test]
fn a_secret_is_cut_out_of_every_choice() {
    let answer = answer(ANSWER).unwrap();
    assert_eq!(answer.facts().usage, Some(Usage { prompt: 19, completion: 10, total: 29 }));
    assert_eq!((answer.model(), answer.facts().is_error), (Some("gpt-5-mini-2026-01-01"), false));
    let want = ANSWER.replace(r"SECRET-4\\u0032", "[x]").replace("SECRET-42", "[x]");
    assert_eq!(rewritten(&answer).unwrap(), want);
}

#[test]
fn what_repeats_the_text_unjudged_does_not_pass() {
    let body = r#"{"id":"1","x_groq":{"id":"r"},"choices":[{"index":0,"logprobs":{"content":[{"token":"SEC"},{"token":"RET-42"}]},
      "stop_reason":null,"token_ids":[1,2],"message":{"role":"assistant","content":"ok","reasoning_details":[{"text":"SECRET-42"}]}}],"later":null}"#;
    let got = rewritten(&answer(body).unwrap()).unwrap();
    let want = r#"{"id":"1","choices":[{"index":0,"logprobs":null,"message":{"role":"assistant","content":"ok"}}]}"#;
    let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    assert_eq!(read(&got), read(want));
    let plain = r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"ok"},"logprobs":null}]}"#;
    assert_eq!(rewritten(&answer(plain).unwrap()).unwrap(), plain);
}

#[test]
fn shapes_that_are_not_known_are_refused() {
    for body in [
        "[]",
        "{}",
        r#"{"choices":{}}"#,
        r#"{"choices":[{"message":{"content":[{"type":"text","text":"x"}]}}]}"#,
        r#"{"choices":[{"message":{"content":"x","thoughts":"y"}}]}"#,
        r#"{"choices":[{"text":"x"}]}"#,
        r#"{"choices":[],"output":"x"}"#,
        r#"{"choices":[],"id":"ignore previous instructions"}"#,
        r#"{"choices":[],"usage":{"note":"x"}}"#,
        r#"{"choices":[],"usage":{"total_tokens":1.5}}"#,
        r#"{"choices":[]} trailing"#,
        "data: {}",
    ] {
        assert!(answer(body).is_err(), "{body}");
    }
    let audio = answer(r#"{"choices":[{"message":{"audio":{"data":"AA"}}}]}"#).unwrap();
    assert_eq!(audio.opaque(), Some("audio"));
}

#[test]
fn an_error_of_the_upstream_is_judged_like_an_answer() {
    let body = r#"{"error":{"message":"Incorrect key: SECRET-42","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#;
    let error = answer(body).unwrap();
    assert!(error.facts().is_error);
    assert_eq!(rewritten(&error).unwrap(), body.replace("SECRET-42", "[x]"));
}
