use postern_config::{Action, Dialect, Part};
use serde_json::{Value as Json, json};

use crate::Reason;
use crate::dialect::testing::{self, events, rewritten, same_wherever_cut, texts};
use crate::dialect::{
    AiMessage, DialectError, Endpoint, Line, Message as _, StreamOut, Target, Usage, gemini, refusal,
};
use crate::json::Limits;

mod streams;

const GENERATE: Endpoint = Endpoint::Gemini(gemini::Endpoint::GenerateContent);
const STREAM: Endpoint = Endpoint::Gemini(gemini::Endpoint::StreamGenerateContent);
const COUNT: Endpoint = Endpoint::Gemini(gemini::Endpoint::CountTokens);
const EMBED: Endpoint = Endpoint::Gemini(gemini::Endpoint::EmbedContent);
const BATCH: Endpoint = Endpoint::Gemini(gemini::Endpoint::BatchEmbedContents);

fn request(endpoint: Endpoint, body: &str) -> Result<AiMessage, DialectError> {
    AiMessage::request(Target { endpoint, model: Some("m") }, body.to_owned().into(), Limits::default())
}

#[test]
fn the_model_and_the_verb_stand_in_the_path() {
    let path = "/v1beta/models/gemini-3-flash:generateContent";
    for (method, path, prefix, query, want) in [
        ("POST", path, "", None, Ok(Some((GENERATE, Action::Chat)))),
        ("POST", path, "/v1beta", None, Ok(Some((GENERATE, Action::Chat)))),
        ("POST", path, "/v1beta/models", None, Ok(Some((GENERATE, Action::Chat)))),
        ("POST", path, "", Some("alt=json"), Ok(Some((GENERATE, Action::Chat)))),
        ("POST", path, "", Some("key=AIza"), Err(DialectError::Query)),
        ("POST", path, "", Some("alt=sse"), Err(DialectError::Query)),
        ("POST", "/v1/models/m:embedContent", "", None, Ok(Some((EMBED, Action::Embed)))),
        ("POST", "/v1beta/models/m:batchEmbedContents", "", None, Ok(Some((BATCH, Action::Embed)))),
        ("POST", "/models/m:countTokens", "", None, Ok(Some((COUNT, Action::Chat)))),
        ("POST", "/v1beta/models/m:streamGenerateContent", "", Some("alt=sse"), Ok(Some((STREAM, Action::Chat)))),
        (
            "POST",
            "/v1beta/models/m:streamGenerateContent",
            "",
            None,
            Err(DialectError::Unsupported { what: "streamGenerateContent without alt=sse" }),
        ),
        ("GET", path, "", None, Ok(None)),
        ("GET", "/v1beta/models", "", None, Ok(None)),
        ("POST", "/v1beta/models/m:predict", "", None, Ok(None)),
        ("POST", "/v1beta/models/m:asyncBatchEmbedContent", "", None, Ok(None)),
        ("POST", "/v1beta/models/m:generateContent:x", "", None, Ok(None)),
        ("POST", "/v1beta/models/:generateContent", "", None, Ok(None)),
        ("POST", "/v1beta/models/m%2F:generateContent", "", None, Ok(None)),
        ("POST", "/v1beta/tunedModels/m:generateContent", "", None, Ok(None)),
        ("POST", "/evil/v1beta/models/m:generateContent", "", None, Ok(None)),
        ("POST", "/v1beta/cachedContents", "", None, Ok(None)),
        ("POST", "/v1beta/interactions", "", None, Ok(None)),
        ("POST", "/v1beta/files", "", None, Ok(None)),
    ] {
        let line = Line { method, path, below: path.strip_prefix(prefix).unwrap(), query };
        let got = Endpoint::target(Dialect::Gemini, line);
        let got = got.map(|target| target.map(|target| (target.endpoint, target.endpoint.action())));
        assert_eq!(got, want, "{method} {path} {query:?}");
    }
    let line = Line { method: "POST", path, below: path, query: None };
    assert_eq!(Endpoint::target(Dialect::Gemini, line).unwrap().unwrap().model, Some("gemini-3-flash"));
}

#[test]
fn refusals_are_a_status_of_google_rpc() {
    for (reason, status, word) in [
        (Reason::CredentialMissing, 401, "UNAUTHENTICATED"),
        (Reason::NotPermitted, 403, "PERMISSION_DENIED"),
        (Reason::AnswerRefused, 403, "PERMISSION_DENIED"),
        (Reason::OverLimit, 429, "RESOURCE_EXHAUSTED"),
        (Reason::Malformed, 400, "INVALID_ARGUMENT"),
        (Reason::TooLarge, 413, "INVALID_ARGUMENT"),
        (Reason::Undecided, 503, "UNAVAILABLE"),
        (Reason::Internal, 500, "INTERNAL"),
    ] {
        let (got, content_type, body) = refusal(Dialect::Gemini, reason, "0192-\"id");
        assert_eq!((got, content_type), (status, "application/json"));
        let error = serde_json::from_slice::<Json>(&body).unwrap()["error"].clone();
        assert_eq!((&error["code"], &error["status"]), (&json!(status), &json!(word)));
        assert_eq!(error["details"][0]["metadata"]["decision"], "0192-\"id");
    }
}

const TURN: &str = r#"{"systemInstruction":{"parts":[{"text":"Be brief."}]},
 "contents":[
  {"role":"user","parts":[{"text":"Weather in K\u00f6ln?"}]},
  {"role":"model","parts":[{"text":"They want weather.","thought":true},{"text":"I look."},{"functionCall":{"id":"c1","name":"get_weather","args":{"city":"K\u00f6ln"}}}]},
  {"role":"user","parts":[{"functionResponse":{"id":"c1","name":"get_weather","response":{"sky":"grey"}}}]},
  {"parts":[{"text":"And?"}]}],
 "tools":[{"functionDeclarations":[{"name":"get_weather","description":"Looks outside.","parameters":{"type":"OBJECT","properties":{"city":{"type":"STRING"}}}}]}],
 "tool_config":{"function_calling_config":{"mode":"AUTO"}},
 "safetySettings":[{"category":"HARM_CATEGORY_HARASSMENT","threshold":"BLOCK_NONE"}],
 "generation_config":{"max_output_tokens":64,"candidateCount":2,"stopSequences":["END"],"temperature":0.1,"thinkingConfig":{"includeThoughts":true}},
 "model":"models/m"}"#;

#[test]
fn every_text_of_a_turn_is_a_part_in_either_spelling() {
    let request = request(STREAM, TURN).unwrap();
    use Part::*;
    assert_eq!(
        texts(&request),
        [
            (System, "Be brief."),
            (User, "Weather in Köln?"),
            (Reasoning, "They want weather."),
            (Assistant, "I look."),
            (ToolArguments, "get_weather"),
            (ToolArguments, r#"{"city":"K\u00f6ln"}"#),
            (ToolArguments, "Köln"),
            (ToolResult, "get_weather"),
            (ToolResult, r#"{"sky":"grey"}"#),
            (User, "And?"),
            (ToolDefinition, "get_weather"),
            (ToolDefinition, "Looks outside."),
            (ToolDefinition, "OBJECT"),
            (ToolDefinition, "city"),
            (ToolDefinition, "STRING"),
            (ToolDefinition, "function_calling_config"),
            (ToolDefinition, "mode"),
            (ToolDefinition, "AUTO"),
            (User, "END"),
        ]
    );
    let facts = request.facts();
    assert_eq!((request.model(), facts.stream, facts.choices, facts.max_tokens), (Some("m"), true, 2, Some(64)));
    assert_eq!(facts.tools, ["get_weather"]);
    assert_eq!(request.rewrite(&[]).unwrap(), TURN);
}

fn said(part: &str) -> String {
    format!(r#"{{"contents":[{{"role":"user","parts":[{part}]}}]}}"#)
}

fn with(fields: &str) -> String {
    format!(r#"{{"contents":[{{"parts":[{{"text":"hi"}}]}}]{fields}}}"#)
}

#[test]
fn what_cannot_be_read_is_opaque_and_the_unknown_is_refused() {
    for (body, want) in [
        (said(r#"{"inlineData":{"mimeType":"image/png","data":"AA"}}"#), "inlineData"),
        (said(r#"{"inline_data":{"mime_type":"image/png","data":"AA"}}"#), "inlineData"),
        (said(r#"{"fileData":{"fileUri":"https://x"}}"#), "fileData"),
        (said(r#"{"text":"x","thoughtSignature":"AA"}"#), "thoughtSignature"),
        (said(r#"{"functionResponse":{"name":"f","response":{},"parts":[{}]}}"#), "functionResponse.parts"),
        (with(r#","cachedContent":"cachedContents/1""#), "cachedContent"),
        (with(r#","generationConfig":{"responseModalities":["AUDIO"]}"#), "responseModalities"),
    ] {
        assert_eq!(request(GENERATE, &body).unwrap().opaque(), Some(want), "{body}");
    }
    for body in [
        "{}".to_owned(),
        r#"{"contents":[]}"#.into(),
        r#"{"contents":{"parts":[{"text":"x"}]}}"#.into(),
        r#"{"contents":[{"role":"root","parts":[{"text":"x"}]}]}"#.into(),
        r#"{"contents":[{"role":1,"parts":[{"text":"x"}]}]}"#.into(),
        with(r#","systemInstruction":{"parts":[]},"system_instruction":{"parts":[]}"#),
        with(r#","systemInstruction":"x""#),
        with(r#","model":"models/other""#),
        with(r#","tools":[{"googleSearch":{}}]"#),
        with(r#","tools":[{"code_execution":{}}]"#),
        with(r#","tools":[{"functionDeclarations":[{"description":"x"}]}]"#),
        with(r#","generationConfig":{"responseLogprobs":true}"#),
        with(r#","generationConfig":{"note":"x"}"#),
        with(r#","generationConfig":{"candidateCount":17}"#),
        with(r#","safetySettings":[{"category":"some words"}]"#),
        with(r#","apiBase":"http://10.0.0.1""#),
        said(r#"{"text":"x","functionCall":{"name":"f"}}"#),
        said(r#"{"text":["x"]}"#),
        said(r#"{"note":"x"}"#),
        said(r#"{"functionCall":{"args":{}}}"#),
        said(r#"{"functionCall":{"name":"f","args":"x"}}"#),
        said(r#"{"toolCall":{"name":"f"}}"#),
        said(r#""x""#),
    ] {
        assert_eq!(request(GENERATE, &body).unwrap_err().reason(), Reason::Malformed, "{body}");
    }
    let secret = said(r#"{"functionResponse":{"name":"f","response":{"k":"SECRET-4\u0032"}}}"#);
    assert_eq!(rewritten(&request(GENERATE, &secret).unwrap()).unwrap(), secret.replace(r"SECRET-4\u0032", "[x]"));
}

#[test]
fn embeddings_and_counts_are_read() {
    use Part::{Embedding, User};
    for (endpoint, body, want) in [
        (
            EMBED,
            r#"{"model":"models/m","content":{"parts":[{"text":"a"}]},"taskType":"RETRIEVAL_DOCUMENT","title":"t","outputDimensionality":8}"#,
            vec![(Embedding, "a"), (Embedding, "t")],
        ),
        (
            BATCH,
            r#"{"requests":[{"model":"models/m","content":{"parts":[{"text":"a"}]}},{"content":{"parts":[{"text":"b"}]}}]}"#,
            vec![(Embedding, "a"), (Embedding, "b")],
        ),
        (COUNT, r#"{"contents":[{"parts":[{"text":"a"}]}]}"#, vec![(User, "a")]),
        (
            COUNT,
            r#"{"generateContentRequest":{"model":"models/m","contents":[{"parts":[{"text":"a"}]}]}}"#,
            vec![(User, "a")],
        ),
    ] {
        assert_eq!(texts(&request(endpoint, body).unwrap()), want);
    }
    for (endpoint, body) in [
        (EMBED, r#"{"model":"models/other","content":{"parts":[{"text":"a"}]}}"#),
        (EMBED, r#"{"content":{"parts":[{"text":"a"}]},"note":"x"}"#),
        (BATCH, r#"{"requests":[{"model":"models/other","content":{"parts":[{"text":"a"}]}}]}"#),
        (COUNT, r#"{"generateContentRequest":{"contents":[]},"contents":[]}"#),
    ] {
        assert!(request(endpoint, body).is_err(), "{body}");
    }
    for (endpoint, body) in [
        (EMBED, r#"{"embedding":{"values":[0.1,-2]}}"#),
        (BATCH, r#"{"embeddings":[{"values":[0.1]},{"values":[1]}]}"#),
        (COUNT, r#"{"totalTokens":14,"promptTokensDetails":[{"modality":"TEXT","tokenCount":14}]}"#),
    ] {
        assert_eq!(rewritten(&testing::answer(endpoint, body).unwrap()).unwrap(), body);
    }
    assert!(testing::answer(EMBED, r#"{"embedding":{"values":["words"]}}"#).is_err());
    assert!(testing::answer(COUNT, r#"{"totalTokens":1,"note":{"text":"x"}}"#).is_err());
}

#[test]
fn a_secret_is_cut_out_of_every_candidate_and_signatures_stay_behind() {
    let body = r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"Hm SECRET-42","thought":true},{"text":"It is SECRET-42.","thoughtSignature":"AA=="},{"functionCall":{"name":"f","args":{"k":"SECRET-4\u0032"}}}]},"finishReason":"STOP","index":0,"avgLogprobs":-0.1,"safetyRatings":[{"category":"HARM","probability":"LOW"}],"citationMetadata":{"citationSources":[{"uri":"https://SECRET-42"}]}}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":4,"thoughtsTokenCount":2,"totalTokenCount":9,"promptTokensDetails":[{"modality":"TEXT","tokenCount":3}]},"modelVersion":"gemini-3-flash","responseId":"r1"}"#;
    let answer = testing::answer(GENERATE, body).unwrap();
    assert_eq!(answer.facts().usage, Some(Usage { prompt: 3, completion: 6, total: 9 }));
    let want =
        body.replace(r"SECRET-4\u0032", "[x]").replace("SECRET-42", "[x]").replace(r#","thoughtSignature":"AA==""#, "");
    assert_eq!(rewritten(&answer).unwrap(), want);
    let error = r#"{"error":{"code":400,"message":"no SECRET-42","status":"INVALID_ARGUMENT"}}"#;
    assert_eq!(rewritten(&testing::answer(GENERATE, error).unwrap()).unwrap(), error.replace("SECRET-42", "[x]"));
    for body in [
        "{}",
        r#"{"candidates":{}}"#,
        r#"{"candidates":[{"text":"x"}]}"#,
        r#"{"candidates":[],"note":"x"}"#,
        r#"{"candidates":[{"content":{"parts":[{"note":"x"}]}}]}"#,
        r#"[{"candidates":[]}]"#,
    ] {
        assert!(testing::answer(GENERATE, body).is_err(), "{body}");
    }
    let image = r#"{"candidates":[{"content":{"parts":[{"inlineData":{"data":"AA"}}]}}]}"#;
    assert_eq!(testing::answer(GENERATE, image).unwrap().opaque(), Some("inlineData"));
}
