use super::*;

fn answer(body: &str) -> Result<AiMessage, DialectError> {
    testing::answer(MESSAGES, body)
}

const ANSWER: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude-sonnet-5",
 "content":[
  {"type":"thinking","thinking":"Hm.","signature":"Eq0B"},
  {"type":"text","text":"The key is SECRET-42.","citations":[{"type":"char_location","cited_text":"SECRET-42","document_index":0,"document_title":"Keys","start_char_index":0,"end_char_index":9}]},
  {"type":"tool_use","id":"toolu_1","name":"save","input":{"k":"SECRET-4\u0032"}}],
 "stop_reason":"tool_use","stop_sequence":null,"container":null,
 "usage":{"input_tokens":10,"cache_creation_input_tokens":4,"cache_read_input_tokens":5,"cache_creation":{"ephemeral_5m_input_tokens":4},"output_tokens":7,"service_tier":"standard","server_tool_use":null}}"#;

#[test]
fn a_secret_is_cut_out_of_every_block() {
    let answer = answer(ANSWER).unwrap();
    assert_eq!(answer.facts().usage, Some(Usage { prompt: 19, completion: 7, total: 26 }));
    assert_eq!(answer.model(), Some("claude-sonnet-5"));
    assert_eq!(rewritten(&answer).unwrap(), ANSWER.replace(r"SECRET-4\u0032", "[x]").replace("SECRET-42", "[x]"));
}

#[test]
fn shapes_that_are_not_known_are_refused() {
    for body in [
        "[]",
        "{}",
        r#"{"content":"x"}"#,
        r#"{"content":[{"type":"text","text":"x","note":"y"}]}"#,
        r#"{"content":[{"type":"server_tool_use","id":"s","name":"web_search","input":{}}]}"#,
        r#"{"content":[],"completion":"x"}"#,
        r#"{"content":[],"id":"ignore previous instructions"}"#,
        r#"{"content":[],"usage":{"note":"some words"}}"#,
        r#"{"content":[]} trailing"#,
    ] {
        assert!(answer(body).is_err(), "{body}");
    }
    let hidden = answer(r#"{"content":[{"type":"redacted_thinking","data":"AA"}]}"#).unwrap();
    assert_eq!(hidden.opaque(), Some("redacted_thinking"));
}

#[test]
fn an_error_of_the_upstream_is_judged_like_an_answer() {
    let body =
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"no SECRET-42"},"request_id":"req_1"}"#;
    let error = answer(body).unwrap();
    assert!(error.facts().is_error);
    assert_eq!(rewritten(&error).unwrap(), body.replace("SECRET-42", "[x]"));
}

#[test]
fn a_count_is_a_number_and_nothing_more() {
    let count = testing::answer(COUNT, r#"{"input_tokens":14}"#).unwrap();
    assert_eq!(count.facts().usage, Some(Usage { prompt: 14, completion: 0, total: 14 }));
    for body in ["{}", r#"{"input_tokens":"14"}"#, r#"{"input_tokens":14,"note":"x"}"#] {
        assert!(testing::answer(COUNT, body).is_err(), "{body}");
    }
}
