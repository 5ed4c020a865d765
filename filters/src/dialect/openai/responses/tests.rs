use postern_config::Part;
use serde_json::{Value as Json, json};

use crate::Reason;
use crate::dialect::testing::{self, SECRET, events, named, rewritten, same_wherever_cut, texts};
use crate::dialect::{Endpoint, Message as _, Usage, openai};

mod streams;

const RESPONSES: Endpoint = Endpoint::OpenAi(openai::Endpoint::Responses);

const TURN: &str = r#"{"model":"gpt-5-mini","stream":true,"max_output_tokens":64,"store":false,"instructions":"Be brief.",
 "reasoning":{"effort":"low","summary":"auto"},"metadata":{"team":"blue"},"user":"mia","include":[],"truncation":"auto",
 "text":{"format":{"type":"json_schema","name":"out","schema":{"type":"object"}},"verbosity":"low"},
 "input":[
  {"role":"developer","content":"Use tools."},
  {"type":"message","role":"user","content":[{"type":"input_text","text":"Weather in K\u00f6ln?"}]},
  {"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"They want weather."}],"encrypted_content":null},
  {"type":"function_call","call_id":"c1","name":"get_weather","arguments":"{\"city\":\"K\\u00f6ln\"}","id":"fc_1","status":"completed"},
  {"type":"function_call_output","call_id":"c1","output":"{\"sky\":\"grey\"}"},
  {"type":"custom_tool_call","call_id":"c2","name":"run","input":"ls"},
  {"type":"custom_tool_call_output","call_id":"c2","output":[{"type":"input_text","text":"a b"}]},
  {"type":"message","role":"assistant","id":"m1","status":"completed","content":[{"type":"output_text","text":"Grey.","annotations":[],"logprobs":[]}]}],
 "tools":[{"type":"function","name":"get_weather","description":"Looks outside.","strict":true,"parameters":{"type":"object","properties":{"city":{"type":"string"}}}}],
 "tool_choice":{"type":"function","name":"get_weather"}}"#;

#[test]
fn every_text_of_a_turn_is_a_part() {
    let request = testing::request(RESPONSES, TURN).unwrap();
    use Part::*;
    assert_eq!(
        texts(&request),
        [
            (System, "Be brief."),
            (User, "team"),
            (User, "blue"),
            (User, "mia"),
            (ToolDefinition, "json_schema"),
            (ToolDefinition, "out"),
            (ToolDefinition, "schema"),
            (ToolDefinition, "verbosity"),
            (ToolDefinition, "low"),
            (System, "Use tools."),
            (User, "Weather in Köln?"),
            (Reasoning, "They want weather."),
            (ToolArguments, "get_weather"),
            (ToolArguments, r#"{"city":"K\u00f6ln"}"#),
            (ToolArguments, "Köln"),
            (ToolResult, r#"{"sky":"grey"}"#),
            (ToolArguments, "run"),
            (ToolArguments, "ls"),
            (ToolResult, "a b"),
            (Assistant, "Grey."),
            (ToolDefinition, "get_weather"),
            (ToolDefinition, "Looks outside."),
            (ToolDefinition, "city"),
            (ToolDefinition, "get_weather"),
        ]
    );
    let facts = request.facts();
    assert_eq!((request.model(), facts.stream, facts.max_tokens), (Some("gpt-5-mini"), true, Some(64)));
    assert_eq!((request.opaque(), facts.tools.as_slice()), (None, ["get_weather".to_owned()].as_slice()));
    assert_eq!(request.rewrite(&[]).unwrap(), TURN);
    let plain = testing::request(RESPONSES, r#"{"model":"m","input":"a SECRET-42"}"#).unwrap();
    assert_eq!(rewritten(&plain).unwrap(), r#"{"model":"m","input":"a [x]"}"#);
}

fn with(fields: &str) -> String {
    format!(r#"{{"model":"m","input":"hi"{fields}}}"#)
}

fn item(item: &str) -> String {
    format!(r#"{{"model":"m","input":[{item}]}}"#)
}

#[test]
fn what_the_provider_keeps_is_opaque_and_named() {
    for (body, want) in [
        (with(r#","previous_response_id":"resp_1""#), "previous_response_id"),
        (with(r#","conversation":"conv_1""#), "conversation"),
        (with(r#","prompt":{"id":"pmpt_1"}"#), "prompt"),
        (with(r#","include":["reasoning.encrypted_content"]"#), "reasoning.encrypted_content"),
        (item(r#"{"type":"item_reference","id":"m1"}"#), "item_reference"),
        (item(r#"{"type":"compaction","encrypted_content":"AA"}"#), "compaction"),
        (item(r#"{"type":"reasoning","id":"rs","summary":[],"encrypted_content":"AA"}"#), "encrypted reasoning"),
        (item(r#"{"role":"user","content":[{"type":"input_image","image_url":"x"}]}"#), "input_image"),
        (item(r#"{"role":"user","content":[{"type":"input_file","file_id":"f"}]}"#), "input_file"),
        (item(r#"{"type":"function_call_output","call_id":"c","output":[{"type":"input_image"}]}"#), "input_image"),
    ] {
        assert_eq!(testing::request(RESPONSES, &body).unwrap().opaque(), Some(want), "{body}");
    }
}

#[test]
fn fields_that_are_not_known_or_not_understood_are_refused() {
    for body in [
        r#"{"input":"x"}"#.to_owned(),
        r#"{"model":"m"}"#.into(),
        with(r#","messages":[]"#),
        with(r#","background":true"#),
        with(r#","top_logprobs":3"#),
        with(r#","include":["message.output_text.logprobs"]"#),
        with(r#","include":["web_search_call.action.sources"]"#),
        with(r#","reasoning":{"note":"x"}"#),
        with(r#","tools":[{"type":"web_search"}]"#),
        with(r#","tools":[{"type":"mcp","server_url":"http://10.0.0.1"}]"#),
        with(r#","tools":[{"type":"function","name":"f","url":"x"}]"#),
        with(r#","tool_choice":{"type":"file_search"}"#),
        with(r#","stream":"yes""#),
        r#"{"model":"m","input":{"role":"user"}}"#.into(),
        item(r#"{"role":"root","content":"x"}"#),
        item(r#"{"role":"user","content":"x","weight":1}"#),
        item(r#"{"type":"web_search_call","id":"w"}"#),
        item(r#"{"type":"mcp_call","id":"w","name":"x","arguments":"{}"}"#),
        item(r#"{"type":"function_call","name":"f","arguments":{"a":1}}"#),
        item(r#"{"type":"function_call_output","call_id":"c"}"#),
        item(r#"{"role":"user","content":[{"type":"text2","text":"x"}]}"#),
        item(r#"{"role":"user","content":[{"type":"input_text","text":"x","note":"y"}]}"#),
    ] {
        assert_eq!(testing::request(RESPONSES, &body).unwrap_err().reason(), Reason::Malformed, "{body}");
    }
    let off = with(
        r#","background":false,"previous_response_id":null,"conversation":null,"prompt":null,"tools":null,"top_logprobs":0"#,
    );
    assert_eq!(testing::request(RESPONSES, &off).unwrap().opaque(), None);
}

/// As the vendor sends it, settings repeated and all.
pub(super) fn answer(output: &Json) -> Json {
    json!({"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "background": false, "error": null,
        "incomplete_details": null, "instructions": "Say SECRET-42 to nobody.", "max_output_tokens": null,
        "max_tool_calls": null, "model": "gpt-5-mini", "output": output, "parallel_tool_calls": true,
        "previous_response_id": null, "reasoning": {"effort": "low", "summary": null}, "service_tier": "default",
        "store": false, "temperature": 1.0, "text": {"format": {"type": "text"}}, "tool_choice": "auto", "tools": [],
        "top_p": 1.0, "truncation": "disabled", "user": null, "metadata": {},
        "usage": {"input_tokens": 3, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 4,
            "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 7}})
}

#[test]
fn a_secret_is_cut_out_of_every_item() {
    let output = json!([
        {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm, SECRET-42"}]},
        {"id": "m1", "type": "message", "role": "assistant", "status": "completed", "content": [
            {"type": "output_text", "text": "It is SECRET-42.", "annotations": [], "logprobs": [{"token": "SECRET-42"}]},
            {"type": "refusal", "refusal": "not SECRET-42"}]},
        {"id": "fc_1", "type": "function_call", "call_id": "c1", "name": "save", "arguments": "{\"k\":\"SECRET-4\\u0032\"}", "status": "completed"}]);
    let parsed = testing::answer(RESPONSES, &answer(&output).to_string()).unwrap();
    assert_eq!(parsed.facts().usage, Some(Usage { prompt: 3, completion: 4, total: 7 }));
    let got: Json = serde_json::from_str(&rewritten(&parsed).unwrap()).unwrap();
    assert_eq!(got["output"][0]["summary"][0]["text"], "Hm, [x]");
    assert_eq!(
        got["output"][1]["content"][0],
        json!({"type": "output_text", "text": "It is [x].", "annotations": [], "logprobs": []})
    );
    assert_eq!(got["output"][1]["content"][1]["refusal"], "not [x]");
    assert_eq!(got["output"][2]["arguments"], r#"{"k":"[x]"}"#);
    assert_eq!(got["instructions"], Json::Null, "what a policy may have added is not said again");
    assert!(!got.to_string().contains(SECRET));

    let error = r#"{"error":{"message":"no SECRET-42","type":"x","param":null,"code":null}}"#;
    let parsed = testing::answer(RESPONSES, error).unwrap();
    assert!(parsed.facts().is_error);
    assert_eq!(rewritten(&parsed).unwrap(), error.replace(SECRET, "[x]"));
    for body in
        ["{}", r#"{"output":{}}"#, r#"{"output":[{"type":"web_search_call","id":"w"}]}"#, r#"{"output":[],"note":"x"}"#]
    {
        assert!(testing::answer(RESPONSES, body).is_err(), "{body}");
    }
    let hidden = answer(&json!([{"type": "reasoning", "id": "r", "summary": [], "encrypted_content": "AA"}]));
    assert_eq!(testing::answer(RESPONSES, &hidden.to_string()).unwrap().opaque(), Some("encrypted reasoning"));
}
