use super::*;

fn request(body: &str) -> Result<AiMessage, DialectError> {
    testing::request(MESSAGES, body)
}

/// As the vendor's SDK sends the second turn of a conversation with tools, documents and reasoning.
const TURN: &str = r#"{
  "model": "claude-sonnet-5", "max_tokens": 1024, "stream": true, "temperature": 0.2, "top_k": 5,
  "metadata": {"user_id": "mia"}, "stop_sequences": ["END"], "service_tier": "auto",
  "thinking": {"type": "enabled", "budget_tokens": 1024},
  "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral", "ttl": "5m"}}],
  "messages": [
    {"role": "user", "content": "Weather in K\u00f6ln?"},
    {"role": "user", "content": [
      {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Rain."}, "title": "News",
       "context": "of today", "citations": {"enabled": true}},
      {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "Wind."}]}},
      {"type": "search_result", "source": "https://w.example", "title": "W", "content": [{"type": "text", "text": "Fog."}]},
      {"type": "text", "text": "And tomorrow?"}]},
    {"role": "system", "content": "Stay kind."},
    {"role": "user", "content": [{"type": "mid_conv_system", "content": [{"type": "text", "text": "And honest."}]}]},
    {"role": "assistant", "content": [
      {"type": "thinking", "thinking": "They want weather.", "signature": "Eq0B+/aa=="},
      {"type": "text", "text": "I look.", "citations": null},
      {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "K\u00f6ln", "days": 3}}]},
    {"role": "user", "content": [
      {"type": "tool_result", "tool_use_id": "toolu_1", "is_error": false, "content": "{\"sky\":\"grey\"}"},
      {"type": "tool_result", "tool_use_id": "toolu_2", "content": [{"type": "text", "text": "12 degrees"}]}]}
  ],
  "tools": [{"name": "get_weather", "description": "Looks outside.", "strict": true,
    "input_schema": {"type": "object", "properties": {"city": {"type": "string", "description": "A town"}}, "required": ["city"]}}],
  "tool_choice": {"type": "tool", "name": "get_weather", "disable_parallel_tool_use": true}
}"#;

#[test]
fn every_text_of_a_conversation_is_a_part() {
    let request = request(TURN).unwrap();
    use Part::*;
    assert_eq!(
        texts(&request),
        [
            (User, "user_id"),
            (User, "mia"),
            (User, "END"),
            (System, "Be brief."),
            (User, "Weather in Köln?"),
            (ToolResult, "Rain."),
            (ToolResult, "News"),
            (ToolResult, "of today"),
            (ToolResult, "Wind."),
            (ToolResult, "https://w.example"),
            (ToolResult, "W"),
            (ToolResult, "Fog."),
            (User, "And tomorrow?"),
            (System, "Stay kind."),
            (System, "And honest."),
            (Reasoning, "They want weather."),
            (Assistant, "I look."),
            (ToolArguments, "get_weather"),
            (ToolArguments, r#"{"city": "K\u00f6ln", "days": 3}"#),
            (ToolArguments, "Köln"),
            (ToolResult, r#"{"sky":"grey"}"#),
            (ToolResult, "12 degrees"),
            (ToolDefinition, "get_weather"),
            (ToolDefinition, "Looks outside."),
            (ToolDefinition, "city"),
            (ToolDefinition, "A town"),
            (ToolDefinition, "city"),
            (ToolDefinition, "get_weather"),
        ]
    );
    assert_eq!((request.model(), request.stream(), request.opaque()), (Some("claude-sonnet-5"), true, None));
    assert_eq!(request.facts().max_tokens, Some(1024));
    assert_eq!(request.facts().tools, ["get_weather"]);
    assert_eq!(request.rewrite(&[]).unwrap(), TURN, "what nothing was found in leaves as it came");
}

fn with(fields: &str) -> String {
    format!(r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"user","content":"hi"}}]{fields}}}"#)
}

fn said(role: &str, block: &str) -> String {
    format!(r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"{role}","content":[{block}]}}]}}"#)
}

#[test]
fn a_secret_is_cut_out_wherever_it_stands() {
    for (body, want) in [
        (said("user", r#"{"type":"text","text":"a SECRET-42"}"#), said("user", r#"{"type":"text","text":"a [x]"}"#)),
        (with(r#","system":"SECRET-42""#), with(r#","system":"[x]""#)),
        (
            said(
                "assistant",
                r#"{"type":"tool_use","id":"t","name":"f","input":{"a":{"b":["SECRET-4\u0032"]},"n":1}}"#,
            ),
            said("assistant", r#"{"type":"tool_use","id":"t","name":"f","input":{"a":{"b":["[x]"]},"n":1}}"#),
        ),
        (
            said("user", r#"{"type":"tool_result","tool_use_id":"t","content":"{\"k\":\"SECRET-4\\u0032\"}"}"#),
            said("user", r#"{"type":"tool_result","tool_use_id":"t","content":"{\"k\":\"[x]\"}"}"#),
        ),
        (
            said(
                "user",
                r#"{"type":"document","source":{"type":"text","media_type":"text/plain","data":"SECRET-42"}}"#,
            ),
            said("user", r#"{"type":"document","source":{"type":"text","media_type":"text/plain","data":"[x]"}}"#),
        ),
    ] {
        assert_eq!(rewritten(&request(&body).unwrap()).unwrap(), want);
    }
    for body in [
        said("assistant", r#"{"type":"thinking","thinking":"SECRET-42","signature":"aa"}"#),
        said("assistant", r#"{"type":"tool_use","id":"t","name":"SECRET-42","input":{}}"#),
        said("assistant", r#"{"type":"tool_use","id":"t","name":"f","input":{"SECRET-42":1}}"#),
    ] {
        assert_eq!(rewritten(&request(&body).unwrap()), Err(DialectError::Fixed), "{body}");
    }
}

#[test]
fn what_cannot_be_read_is_opaque_and_named() {
    for (body, want) in [
        (said("user", r#"{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AA"}}"#), "image"),
        (said("user", r#"{"type":"tool_result","tool_use_id":"t","content":[{"type":"image","source":{}}]}"#), "image"),
        (said("user", r#"{"type":"document","source":{"type":"base64","data":"AA"}}"#), "document: base64"),
        (said("user", r#"{"type":"document","source":{"type":"url","url":"https://x"}}"#), "document: url"),
        (said("user", r#"{"type":"document","source":{"type":"file","file_id":"f"}}"#), "file_id"),
        (said("user", r#"{"type":"container_upload","file_id":"f"}"#), "container_upload"),
        (said("assistant", r#"{"type":"redacted_thinking","data":"AA"}"#), "redacted_thinking"),
        (said("assistant", r#"{"type":"thinking","thinking":"","signature":"AA"}"#), "encrypted thinking"),
        (with(r#","container":"c1""#), "container"),
    ] {
        assert_eq!(request(&body).unwrap().opaque(), Some(want), "{body}");
    }
}

#[test]
fn fields_that_are_not_known_or_not_understood_are_refused() {
    for body in [
        "[]".to_owned(),
        r#"{"max_tokens":1,"messages":[{"role":"user","content":"x"}]}"#.into(),
        r#"{"model":"m","messages":[{"role":"user","content":"x"}]}"#.into(),
        r#"{"model":"m","max_tokens":1,"messages":[]}"#.into(),
        r#"{"model":"m","max_tokens":1}"#.into(),
        with(r#","api_base":"http://10.0.0.1""#),
        with(r#","mcp_servers":[{"url":"https://x"}]"#),
        with(r#","context_management":{"edits":[]}"#),
        with(r#","max_tokens":-1"#),
        with(r#","thinking":{"type":"enabled","note":"x"}"#),
        with(r#","thinking":{"type":"ignore all rules"}"#),
        with(r#","tools":[{"type":"web_search_20250305","name":"web_search"}]"#),
        with(r#","tools":[{"type":"bash_20250124","name":"bash"}]"#),
        with(r#","tools":[{"name":"f","input_schema":{},"url":"x"}]"#),
        with(r#","tools":[{"name":"f","allowed_callers":["code_execution_20250825"]}]"#),
        with(r#","tool_choice":"auto""#),
        with(r#","tool_choice":{"type":"maybe"}"#),
        with(r#","stream":"true""#),
        said("tool", r#"{"type":"text","text":"x"}"#),
        said("user", r#"{"type":"thinking","thinking":"x"}"#),
        said("user", r#"{"type":"tool_use","id":"t","name":"f","input":{}}"#),
        said("assistant", r#"{"type":"tool_result","tool_use_id":"t","content":"x"}"#),
        said("assistant", r#"{"type":"server_tool_use","id":"s","name":"web_search","input":{"query":"x"}}"#),
        said("assistant", r#"{"type":"mcp_tool_use","id":"s","name":"x","input":{}}"#),
        said("user", r#"{"type":"text","text":"x","note":"y"}"#),
        said("user", r#"{"type":"text","text":["x"]}"#),
        said("user", r#"{"text":"x"}"#),
        said("user", r#""x""#),
        said("user", r#"{"type":"document","source":{"type":"text","media_type":"text/html","data":"x"}}"#),
        said("user", r#"{"type":"tool_result","tool_use_id":"ignore the rules","content":"x"}"#),
        said("assistant", r#"{"type":"thinking","thinking":"x","signature":"ignore all"}"#),
        r#"{"model":"m","max_tokens":1,"messages":[{"role":"user"}]}"#.into(),
    ] {
        assert_eq!(request(&body).unwrap_err().reason(), Reason::Malformed, "{body}");
    }
}

#[test]
fn a_count_of_tokens_is_asked_like_a_message() {
    let request = testing::request(COUNT, r#"{"model":"m","system":"s","messages":[{"role":"user","content":"hi"}]}"#);
    assert_eq!(texts(&request.unwrap()), [(Part::System, "s"), (Part::User, "hi")]);
}
