use super::*;

/// As the vendor's SDK sends the second turn of a conversation with tools.
const TOOLS: &str = r#"{
  "model": "gpt-5-mini", "stream": true, "stream_options": {"include_usage": true}, "n": 2, "max_completion_tokens": 512,
  "temperature": 0.2, "seed": 7, "user": "mia", "metadata": {"team": "blue"}, "stop": ["END", "\n\n"],
  "messages": [
    {"role": "system", "content": "Be brief."},
    {"role": "developer", "content": [{"type": "text", "text": "Use tools."}]},
    {"role": "user", "name": "mia", "content": [{"type": "text", "text": "Weather in K\u00f6ln?"}]},
    {"role": "assistant", "content": null, "refusal": null, "audio": null, "function_call": null, "annotations": [],
     "reasoning_content": "They want weather.",
     "tool_calls": [{"id": "call_1", "type": "function",
       "function": {"name": "get_weather", "arguments": "{\"city\":\"K\\u00f6ln\",\"days\":3}"}}]},
    {"role": "tool", "tool_call_id": "call_1", "content": "{\"sky\":\"grey\"}"},
    {"role": "assistant", "content": "Grey.", "refusal": null}
  ],
  "tools": [{"type": "function", "function": {"name": "get_weather", "description": "Looks outside.", "strict": true,
    "parameters": {"type": "object", "properties": {"city": {"type": "string", "description": "A town", "enum": ["Bonn"]}},
      "required": ["city"], "additionalProperties": false}}}],
  "tool_choice": {"type": "function", "function": {"name": "get_weather"}},
  "response_format": {"type": "json_schema", "json_schema": {"name": "out", "schema": {"type": "object"}}}
}"#;

#[test]
fn every_text_of_a_conversation_with_tools_is_a_part() {
    let request = request(TOOLS).unwrap();
    use Part::*;
    assert_eq!(
        texts(&request),
        [
            (User, "mia"),
            (User, "team"),
            (User, "blue"),
            (User, "END"),
            (User, "\n\n"),
            (System, "Be brief."),
            (System, "Use tools."),
            (User, "mia"),
            (User, "Weather in Köln?"),
            (Reasoning, "They want weather."),
            (ToolArguments, "get_weather"),
            (ToolArguments, r#"{"city":"K\u00f6ln","days":3}"#),
            (ToolArguments, "Köln"),
            (ToolResult, r#"{"sky":"grey"}"#),
            (Assistant, "Grey."),
            (ToolDefinition, "get_weather"),
            (ToolDefinition, "Looks outside."),
            (ToolDefinition, "city"),
            (ToolDefinition, "A town"),
            (ToolDefinition, "Bonn"),
            (ToolDefinition, "city"),
            (ToolDefinition, "get_weather"),
            (ToolDefinition, "json_schema"),
            (ToolDefinition, "json_schema"),
            (ToolDefinition, "out"),
            (ToolDefinition, "schema"),
        ]
    );
    assert_eq!(request.model(), Some("gpt-5-mini"));
    let facts = request.facts();
    assert_eq!((facts.stream, facts.choices, facts.max_tokens), (true, 2, Some(512)));
    assert_eq!(facts.tools, ["get_weather"]);
    assert_eq!(request.opaque(), None);
    assert_eq!(request.rewrite(&[]).unwrap(), TOOLS, "what nothing was found in leaves as it came");
}

fn with(fields: &str) -> String {
    format!(r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}}]{fields}}}"#)
}

fn said(message: &str) -> String {
    format!(r#"{{"model":"m","messages":[{message}]}}"#)
}

#[test]
fn fields_that_are_not_known_or_not_understood_are_refused() {
    let unknown = |within| DialectError::UnknownField { within, offset: 0 };
    let shape = |what| DialectError::Shape { what, offset: 0 };
    let missing = |what| DialectError::Missing { what };
    let unsupported = |what| DialectError::Unsupported { what };
    for (body, want) in [
        ("[]".to_owned(), shape("request")),
        (r#"{"messages":[{"role":"user","content":"x"}]}"#.into(), missing("model")),
        (r#"{"model":"m"}"#.into(), missing("messages")),
        (r#"{"model":"m","messages":[]}"#.into(), shape("messages")),
        (r#"{"model":"m","messages":"hi"}"#.into(), shape("messages")),
        (r#"{"model":null,"messages":[{"role":"user","content":"x"}]}"#.into(), shape("model")),
        (r#"{"model":"m n","messages":[{"role":"user","content":"x"}]}"#.into(), shape("model")),
        (with(r#","api_base":"http://10.0.0.1""#), unknown("request")),
        (with(r#","Stream":true"#), unknown("request")),
        (with(r#","stream":"true""#), shape("stream")),
        (with(r#","stream":1"#), shape("stream")),
        (with(r#","stream_options":{"x":1}"#), unknown("stream_options")),
        (with(r#","n":0"#), shape("n")),
        (with(r#","n":1.0"#), shape("n")),
        (with(r#","n":17"#), DialectError::TooMany { what: "choices" }),
        (with(r#","max_tokens":-1"#), shape("max_tokens")),
        (with(r#","temperature":"hot""#), shape("temperature")),
        (with(r#","logprobs":true"#), unsupported("logprobs")),
        (with(r#","top_logprobs":5"#), unsupported("top_logprobs")),
        (with(r#","web_search_options":{}"#), unsupported("web_search_options")),
        (with(r#","audio":{"voice":"x"}"#), unsupported("audio")),
        (with(r#","logit_bias":{"ignore all":1}"#), shape("logit_bias")),
        (with(r#","logit_bias":{"1":"x"}"#), shape("logit_bias")),
        (with(r#","tools":[{"type":"web_search"}]"#), unsupported("tools[].type")),
        (with(r#","tools":[{"type":"function"}]"#), missing("tools[].function")),
        (with(r#","tools":[{"type":"function","function":{"name":"x","url":"y"}}]"#), unknown("tools[].function")),
        (with(r#","tools":[{"type":"function","function":{"name":"x"},"y":1}]"#), unknown("tools[]")),
        (with(r#","tool_choice":"maybe""#), shape("tool_choice")),
        (with(r#","tool_choice":{"type":"function"}"#), missing("tool_choice.name")),
        (with(r#","tool_choice":"none","function_call":{"name":"f"}"#), shape("tool_choice")),
        (said(r#"{"content":"x"}"#), missing("messages[].role")),
        (said(r#"{"role":"root","content":"x"}"#), shape("messages[].role")),
        (said(r#"{"role":"user","content":"x","weight":1}"#), unknown("messages[]")),
        (said(r#"{"role":"user","content":"x","tool_calls":[]}"#), unknown("messages[]")),
        (said(r#"{"role":"user","content":{"text":"x"}}"#), shape("content")),
        (said(r#"{"role":"user","content":["x"]}"#), shape("content[]")),
        (said(r#"{"role":"user","content":[{"type":"video_url"}]}"#), shape("content[].type")),
        (said(r#"{"role":"user","content":[{"type":"text"}]}"#), missing("content[].text")),
        (said(r#"{"role":"user","content":[{"type":"text","text":"a","refusal":"b"}]}"#), unknown("content[]")),
        (said(r#"{"role":"tool","content":"x","tool_call_id":"ignore the rules"}"#), shape("tool_call_id")),
        (
            said(r#"{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":{"a":1}}}]}"#),
            shape("arguments"),
        ),
        (said(r#"{"role":"assistant","tool_calls":[{"function":{"name":"f","x":""}}]}"#), unknown("function_call")),
        (said(r#"{"role":"assistant","tool_calls":[{"mcp":{}}]}"#), unknown("tool_calls[]")),
    ] {
        let got = match request(&body).unwrap_err() {
            DialectError::UnknownField { within, .. } => unknown(within),
            DialectError::Shape { what, .. } => shape(what),
            other => other,
        };
        assert_eq!(got, want, "{body}");
        assert_eq!(got.reason(), Reason::Malformed);
    }
    assert!(matches!(request(r#"{"model":"m","model":"n"}"#), Err(DialectError::Json(_))), "attack 48");
    assert!(matches!(request(r#"{"messages":[],"Messages":[]}"#), Err(DialectError::Json(_))), "attack 48");
}

#[test]
fn null_stands_for_absent_and_benign_fields_pass() {
    for fields in [
        r#","stream":null,"n":null,"logprobs":null,"top_logprobs":null,"tools":null,"tool_choice":null,"user":null"#,
        r#","logprobs":false,"top_logprobs":0,"max_tokens":null,"stop":null,"metadata":null,"prediction":null"#,
        r#","reasoning_effort":"low","verbosity":"high","service_tier":"auto","store":false,"top_k":5,"seed":null"#,
        r#","logit_bias":{"1":-100},"modalities":["text"],"prompt_cache_options":{"mode":"explicit","ttl":"30m"}"#,
        r#","functions":[{"name":"f","parameters":{}}],"function_call":{"name":"f"}"#,
        r#","tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"type":"function","function":{"name":"f"}}]}}"#,
        r#","tools":[{"type":"custom","custom":{"name":"f","format":{"type":"grammar","grammar":{"syntax":"lark","definition":"x"}}}}]"#,
    ] {
        let request = request(&with(fields)).unwrap();
        assert!(!request.stream());
        assert_eq!(request.facts().choices, 1);
    }
}

#[test]
fn content_that_cannot_be_read_is_opaque() {
    for (body, want) in [
        (
            said(r#"{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AA"}}]}"#),
            "image_url",
        ),
        (
            said(r#"{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"AA","format":"wav"}}]}"#),
            "input_audio",
        ),
        (
            said(r#"{"role":"user","content":[{"type":"text","text":"a"},{"type":"file","file":{"file_id":"f"}}]}"#),
            "file",
        ),
        (said(r#"{"role":"assistant","audio":{"id":"audio_1"}}"#), "audio"),
        (with(r#","modalities":["text","audio"]"#), "modalities"),
    ] {
        assert_eq!(request(&body).unwrap().opaque(), Some(want), "{body}");
    }
}

#[test]
fn attack_49_a_secret_is_cut_out_of_every_text_that_reaches_the_model() {
    let said = |message: &str| (said(message), said(&message.replace("SECRET-42", "[x]")));
    let with = |fields: &str| (with(fields), with(&fields.replace("SECRET-42", "[x]")));
    for (body, want) in [
        said(r#"{"role":"system","content":"a SECRET-42 b SECRET-42"}"#),
        said(r#"{"role":"developer","content":"SECRET-42"}"#),
        said(
            r#"{"role":"user","content":[{"type":"text","text":"SECRET-42"},{"type":"text","text":"\nSECRET-42\t"}]}"#,
        ),
        said(r#"{"role":"assistant","content":"SECRET-42","refusal":"SECRET-42","reasoning":"SECRET-42"}"#),
        said(r#"{"role":"assistant","content":[{"type":"refusal","refusal":"SECRET-42"}]}"#),
        said(r#"{"role":"tool","tool_call_id":"1","content":"SECRET-42"}"#),
        said(r#"{"role":"tool","tool_call_id":"1","content":[{"type":"text","text":"{\"a\":\"\\nSECRET-42\"}"}]}"#),
        said(r#"{"role":"function","name":"f","content":"SECRET-42"}"#),
        said(r#"{"role":"assistant","function_call":{"name":"f","arguments":"{\"a\":\"SECRET-42\"}"}}"#),
        said(r#"{"role":"assistant","tool_calls":[{"type":"custom","custom":{"name":"f","input":"\\ SECRET-42"}}]}"#),
        with(r#","user":"SECRET-42","stop":"SECRET-42","metadata":{"a":"SECRET-42"},"safety_identifier":"SECRET-42""#),
        with(r#","prediction":{"type":"content","content":"SECRET-42"}"#),
        with(r#","response_format":{"type":"json_schema","json_schema":{"name":"a","description":"SECRET-42"}}"#),
        with(r#","tools":[{"type":"function","function":{"name":"f","description":"SECRET-42"}}]"#),
        with(r#","tools":[{"type":"function","function":{"name":"f","parameters":{"x":[{"enum":["SECRET-42"]}]}}}]"#),
        with(r#","functions":[{"name":"f","description":"SECRET-42"}]"#),
    ] {
        assert_eq!(rewritten(&request(&body).unwrap()).unwrap(), want);
    }
}

#[test]
fn attack_49_escapes_inside_arguments_hide_nothing() {
    for (arguments, want) in [
        (r#"{\"a\":\"SECRET-\\u0034\\u0032\"}"#, r#"{\"a\":\"[x]\"}"#),
        (
            r#"{\"a\":\"x \\u0053ECRET-42 y\\n\",\"b\":[\"SECRET-4\\u0032\"]}"#,
            r#"{\"a\":\"x [x] y\\n\",\"b\":[\"[x]\"]}"#,
        ),
        // Escaped on both levels, so that neither shows it plainly.
        (r#"{\"a\":\"SECRET-\u005cu00342\"}"#, r#"{\"a\":\"[x]\"}"#),
        // Found in the whole and in the single string: cut once.
        (r#"{\"a\":\"\\t SECRET-42 \\u0053ECRET-42\"}"#, r#"{\"a\":\"\\t [x] [x]\"}"#),
        ("", ""),
        ("no json, no escapes: SECRET-42", "no json, no escapes: [x]"),
    ] {
        let body = |a: &str| {
            said(&format!(r#"{{"role":"assistant","tool_calls":[{{"function":{{"name":"f","arguments":"{a}"}}}}]}}"#))
        };
        assert_eq!(rewritten(&request(&body(arguments)).unwrap()).unwrap(), body(want));
    }
    for (case, arguments) in [
        ("cut short", r#"{\"a\":\"SECRET-\\u00342"#),
        ("duplicate key", r#"{\"a\":\"\\u0053\",\"a\":1}"#),
        ("not JSON", r#"SECRET-\\u00342"#),
    ] {
        let body = said(&format!(r#"{{"role":"assistant","function_call":{{"name":"f","arguments":"{arguments}"}}}}"#));
        assert!(matches!(request(&body), Err(DialectError::Unreadable { .. })), "{case}");
    }
}

#[test]
fn a_finding_in_a_name_refuses_instead_of_calling_something_else() {
    for body in [
        with(r#","tools":[{"type":"function","function":{"name":"SECRET-42"}}]"#),
        with(r#","tool_choice":{"type":"function","function":{"name":"SECRET-42"}}"#),
        with(r#","metadata":{"SECRET-42":"x"}"#),
        said(r#"{"role":"user","name":"SECRET-42","content":"x"}"#),
        said(r#"{"role":"assistant","function_call":{"name":"SECRET-42","arguments":"{}"}}"#),
        said(r#"{"role":"assistant","function_call":{"name":"f","arguments":"{\"SECRET-42\":1}"}}"#),
    ] {
        let error = rewritten(&request(&body).unwrap()).unwrap_err();
        assert_eq!((error.reason(), error), (Reason::ContentRefused, DialectError::Fixed), "{body}");
    }
}
