//! Every way in which a text streams: the events that carry it, the same answer whole, and what a caller makes of either.

use postern_filters::dialect::{Endpoint, anthropic, gemini, openai};
use serde_json::Value;

/// An event: its name, empty where the dialect names none, and its data.
pub type Event = (&'static str, String);

/// One way in which a text streams.
pub struct Format {
    pub name: &'static str,
    pub dialect: &'static str,
    pub endpoint: Endpoint,
    /// What is asked for the same answer whole.
    pub whole_endpoint: Endpoint,
    /// The text is what a tool is called with: JSON, which leaves at its end.
    pub is_call: bool,
    /// The text comes in deltas.
    pub has_deltas: bool,
    /// How often the text is said, by choices.
    pub places: usize,
    /// Whether it takes so many bytes that its pairs of them are very many.
    pub is_long: bool,
    /// The stream that says these pieces.
    pub stream: fn(&[&str]) -> Vec<Event>,
    /// The same with no more events than there have to be.
    pub short: fn(&[&str]) -> Vec<Event>,
    /// The answer that says this text.
    pub whole: fn(&str) -> String,
    /// What a caller has of the deltas that came, by place in the answer.
    pub said: fn(&[Value]) -> Vec<String>,
    /// What other events say once more, each time all of it.
    pub again: fn(&[Value]) -> Vec<String>,
    /// What a caller has of a whole answer.
    pub heard: fn(&Value) -> Vec<String>,
}

const CHAT: Endpoint = Endpoint::OpenAi(openai::Endpoint::ChatCompletions);
const OLD: Endpoint = Endpoint::OpenAi(openai::Endpoint::Completions);
const RESPONSES: Endpoint = Endpoint::OpenAi(openai::Endpoint::Responses);
const MESSAGES: Endpoint = Endpoint::Anthropic(anthropic::Endpoint::Messages);
const CONTENT: Endpoint = Endpoint::Gemini(gemini::Endpoint::GenerateContent);
const CONTENTS: Endpoint = Endpoint::Gemini(gemini::Endpoint::StreamGenerateContent);

pub fn all() -> Vec<Format> {
    let format = |name, dialect, endpoint, stream, whole, said, heard| Format {
        name,
        dialect,
        endpoint,
        whole_endpoint: if endpoint == CONTENTS { CONTENT } else { endpoint },
        is_call: false,
        has_deltas: true,
        places: 1,
        is_long: false,
        stream,
        short: stream,
        whole,
        said,
        again: |_| Vec::new(),
        heard,
    };
    let call = |format: Format| Format { is_call: true, ..format };
    let again = |format: Format, short| Format { short, again: response_again, is_long: true, ..format };
    let is_long = |format: Format| Format { is_long: true, ..format };
    vec![
        format("chat", "openai", CHAT, chat, chat_whole, chat_said, chat_heard),
        Format {
            places: 2,
            ..is_long(format("chat, two choices", "openai", CHAT, choices, choices_whole, chat_said, chat_heard))
        },
        format("chat, reasoning", "openai", CHAT, reasoning, reasoning_whole, chat_said, chat_heard),
        is_long(call(format("chat, call", "openai", CHAT, chat_call, chat_call_whole, chat_said, chat_heard))),
        format("completion", "openai", OLD, old, old_whole, chat_said, chat_heard),
        again(
            format("response", "openai", RESPONSES, response, response_whole, response_said, response_heard),
            response_short,
        ),
        again(
            format("response, summary", "openai", RESPONSES, summary, summary_whole, response_said, response_heard),
            summary_short,
        ),
        again(
            call(format(
                "response, call",
                "openai",
                RESPONSES,
                item_call,
                item_call_whole,
                response_said,
                response_heard,
            )),
            item_call_short,
        ),
        is_long(format("message", "anthropic", MESSAGES, message, message_whole, message_said, message_heard)),
        is_long(format(
            "message, thinking",
            "anthropic",
            MESSAGES,
            thinking,
            thinking_whole,
            message_said,
            message_heard,
        )),
        is_long(call(format(
            "message, call",
            "anthropic",
            MESSAGES,
            tool_use,
            tool_use_whole,
            message_said,
            message_heard,
        ))),
        format("content", "gemini", CONTENTS, content, content_whole, content_said, content_heard),
        format("content, thought", "gemini", CONTENTS, thought, thought_whole, content_said, content_heard),
        Format {
            has_deltas: false,
            ..call(format("content, call", "gemini", CONTENTS, function, function_whole, content_said, content_heard))
        },
    ]
}

/// A JSON string.
fn quote(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

/// Unnamed events: those of the front, one for each piece, those of the end.
fn plain(front: &[&str], pieces: &[&str], delta: impl Fn(usize, &str) -> String, end: &[&str]) -> Vec<Event> {
    let own = |all: &[&str]| all.iter().map(|one| ("", (*one).to_owned())).collect::<Vec<Event>>();
    let mut all = own(front);
    all.extend(pieces.iter().enumerate().map(|(n, piece)| ("", delta(n, piece))));
    all.extend(own(end));
    all
}

const CHAT_END: [&str; 2] = [r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#, "[DONE]"];

fn chat(pieces: &[&str]) -> Vec<Event> {
    let delta = |_, piece: &str| format!(r#"{{"choices":[{{"index":0,"delta":{{"content":{}}}}}]}}"#, quote(piece));
    plain(&[], pieces, delta, &CHAT_END)
}

fn chat_whole(text: &str) -> String {
    let text = quote(text);
    format!(r#"{{"choices":[{{"index":0,"message":{{"role":"assistant","content":{text}}},"finish_reason":"stop"}}]}}"#)
}

/// The second choice says what the first has said one event before.
fn choices(pieces: &[&str]) -> Vec<Event> {
    let one = |index: usize, piece: &str| format!(r#"{{"index":{index},"delta":{{"content":{}}}}}"#, quote(piece));
    let both = |n: usize, piece: &str| {
        let late = n.checked_sub(1).map_or("", |before| pieces[before]);
        format!(r#"{{"choices":[{},{}]}}"#, one(0, piece), one(1, late))
    };
    let last = format!(r#"{{"choices":[{}]}}"#, one(1, pieces.last().copied().unwrap_or_default()));
    let end = r#"{"choices":[{"index":1,"delta":{},"finish_reason":"stop"}]}"#;
    plain(&[], pieces, both, &[&last, CHAT_END[0], end, "[DONE]"])
}

fn choices_whole(text: &str) -> String {
    let one = |index: usize| {
        let text = quote(text);
        format!(r#"{{"index":{index},"message":{{"role":"assistant","content":{text}}},"finish_reason":"stop"}}"#)
    };
    format!(r#"{{"choices":[{},{}]}}"#, one(0), one(1))
}

fn reasoning(pieces: &[&str]) -> Vec<Event> {
    let delta =
        |_, piece: &str| format!(r#"{{"choices":[{{"index":0,"delta":{{"reasoning_content":{}}}}}]}}"#, quote(piece));
    plain(&[], pieces, delta, &CHAT_END)
}

fn reasoning_whole(text: &str) -> String {
    let message = format!(r#"{{"role":"assistant","content":null,"reasoning_content":{}}}"#, quote(text));
    format!(r#"{{"choices":[{{"index":0,"message":{message},"finish_reason":"stop"}}]}}"#)
}

fn chat_call(pieces: &[&str]) -> Vec<Event> {
    let front = r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"f","arguments":""}}]}}]}"#;
    let delta = |_, piece: &str| {
        let call = format!(r#"{{"index":0,"function":{{"arguments":{}}}}}"#, quote(piece));
        format!(r#"{{"choices":[{{"index":0,"delta":{{"tool_calls":[{call}]}}}}]}}"#)
    };
    plain(&[front], pieces, delta, &CHAT_END)
}

fn chat_call_whole(text: &str) -> String {
    let call = format!(r#"{{"id":"c","type":"function","function":{{"name":"f","arguments":{}}}}}"#, quote(text));
    let message = format!(r#"{{"role":"assistant","content":null,"tool_calls":[{call}]}}"#);
    format!(r#"{{"choices":[{{"index":0,"message":{message},"finish_reason":"stop"}}]}}"#)
}

fn old(pieces: &[&str]) -> Vec<Event> {
    let delta = |_, piece: &str| format!(r#"{{"choices":[{{"index":0,"text":{}}}]}}"#, quote(piece));
    plain(&[], pieces, delta, &[r#"{"choices":[{"index":0,"text":"","finish_reason":"stop"}]}"#, "[DONE]"])
}

fn old_whole(text: &str) -> String {
    format!(r#"{{"choices":[{{"index":0,"text":{},"finish_reason":"stop"}}]}}"#, quote(text))
}

/// Texts of choices, by number; arguments as JSON.
fn chat_said(events: &[Value]) -> Vec<String> {
    let mut said = vec![String::new(); 2];
    let mut calls = String::new();
    for choice in events.iter().flat_map(|event| items(&event["choices"])) {
        let place = &mut said[choice["index"].as_u64().unwrap() as usize];
        let delta = &choice["delta"];
        for text in [&delta["content"], &delta["reasoning_content"], &choice["text"]] {
            *place += text.as_str().unwrap_or_default();
        }
        for call in items(&delta["tool_calls"]) {
            calls += call["function"]["arguments"].as_str().unwrap_or_default();
        }
    }
    said.push(calls);
    put(said)
}

fn chat_heard(answer: &Value) -> Vec<String> {
    let mut said = vec![String::new(); 2];
    let mut calls = String::new();
    for choice in items(&answer["choices"]) {
        let place = &mut said[choice["index"].as_u64().unwrap() as usize];
        let message = &choice["message"];
        for text in [&message["content"], &message["reasoning_content"], &choice["text"]] {
            *place += text.as_str().unwrap_or_default();
        }
        for call in items(&message["tool_calls"]) {
            calls += call["function"]["arguments"].as_str().unwrap_or_default();
        }
    }
    said.push(calls);
    put(said)
}

/// Events of the Responses API, named as they call themselves.
fn named(events: Vec<String>) -> Vec<Event> {
    let kinds = [
        "response.created",
        "response.completed",
        "response.output_item.added",
        "response.output_item.done",
        "response.content_part.added",
        "response.content_part.done",
        "response.output_text.delta",
        "response.output_text.done",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_part.done",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.done",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "message_start",
        "message_stop",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
    ];
    let name = |event: &String| {
        kinds
            .into_iter()
            .find(|kind| event.starts_with(&format!(r#"{{"type":"{kind}""#)))
            .unwrap_or_else(|| panic!("{event}"))
    };
    events.into_iter().map(|event| (name(&event), event)).collect()
}

/// The frame of a response with one item.
fn items_of(added: &str, inner: Vec<String>, done: &str) -> Vec<Event> {
    let mut all = vec![
        r#"{"type":"response.created","response":{"output":[]}}"#.to_owned(),
        format!(r#"{{"type":"response.output_item.added","output_index":0,"item":{added}}}"#),
    ];
    all.extend(inner);
    all.push(format!(r#"{{"type":"response.output_item.done","output_index":0,"item":{done}}}"#));
    all.push(format!(r#"{{"type":"response.completed","response":{{"output":[{done}]}}}}"#));
    named(all)
}

fn said_item(text: &str) -> String {
    format!(
        r#"{{"type":"message","id":"m","role":"assistant","content":[{{"type":"output_text","text":{}}}]}}"#,
        quote(text)
    )
}

fn response(pieces: &[&str]) -> Vec<Event> {
    let place = r#""item_id":"m","output_index":0,"content_index":0"#;
    let text = quote(&pieces.concat());
    let mut inner =
        vec![format!(r#"{{"type":"response.content_part.added",{place},"part":{{"type":"output_text","text":""}}}}"#)];
    let delta = |piece: &&str| format!(r#"{{"type":"response.output_text.delta",{place},"delta":{}}}"#, quote(piece));
    inner.extend(pieces.iter().map(delta));
    inner.push(format!(r#"{{"type":"response.output_text.done",{place},"text":{text}}}"#));
    inner.push(format!(
        r#"{{"type":"response.content_part.done",{place},"part":{{"type":"output_text","text":{text}}}}}"#
    ));
    items_of(r#"{"type":"message","id":"m","role":"assistant","content":[]}"#, inner, &said_item(&pieces.concat()))
}

/// Of its events those that end in one of these.
fn only(events: Vec<Event>, ends: &[&str]) -> Vec<Event> {
    events.into_iter().filter(|(name, _)| ends.iter().any(|end| name.ends_with(end))).collect()
}

fn response_short(pieces: &[&str]) -> Vec<Event> {
    only(response(pieces), &["created", "delta", "completed"])
}

fn response_whole(text: &str) -> String {
    format!(r#"{{"output":[{}]}}"#, said_item(text))
}

fn summed(text: &str) -> String {
    format!(r#"{{"type":"reasoning","id":"m","summary":[{{"type":"summary_text","text":{}}}]}}"#, quote(text))
}

fn summary(pieces: &[&str]) -> Vec<Event> {
    let place = r#""item_id":"m","output_index":0,"summary_index":0"#;
    let text = quote(&pieces.concat());
    let mut inner = vec![format!(
        r#"{{"type":"response.reasoning_summary_part.added",{place},"part":{{"type":"summary_text","text":""}}}}"#
    )];
    let delta = |piece: &&str| {
        format!(r#"{{"type":"response.reasoning_summary_text.delta",{place},"delta":{}}}"#, quote(piece))
    };
    inner.extend(pieces.iter().map(delta));
    inner.push(format!(r#"{{"type":"response.reasoning_summary_text.done",{place},"text":{text}}}"#));
    inner.push(format!(
        r#"{{"type":"response.reasoning_summary_part.done",{place},"part":{{"type":"summary_text","text":{text}}}}}"#
    ));
    items_of(r#"{"type":"reasoning","id":"m","summary":[]}"#, inner, &summed(&pieces.concat()))
}

fn summary_short(pieces: &[&str]) -> Vec<Event> {
    only(summary(pieces), &["created", "delta", "completed"])
}

fn summary_whole(text: &str) -> String {
    format!(r#"{{"output":[{}]}}"#, summed(text))
}

fn called_item(arguments: &str) -> String {
    format!(r#"{{"type":"function_call","id":"m","call_id":"c","name":"f","arguments":{}}}"#, quote(arguments))
}

fn item_call(pieces: &[&str]) -> Vec<Event> {
    let place = r#""item_id":"m","output_index":0"#;
    let delta = |piece: &&str| {
        format!(r#"{{"type":"response.function_call_arguments.delta",{place},"delta":{}}}"#, quote(piece))
    };
    let mut inner: Vec<String> = pieces.iter().map(delta).collect();
    let arguments = quote(&pieces.concat());
    inner.push(format!(r#"{{"type":"response.function_call_arguments.done",{place},"arguments":{arguments}}}"#));
    items_of(&called_item(""), inner, &called_item(&pieces.concat()))
}

fn item_call_short(pieces: &[&str]) -> Vec<Event> {
    only(item_call(pieces), &["delta", "arguments.done", "completed"])
}

fn item_call_whole(text: &str) -> String {
    format!(r#"{{"output":[{}]}}"#, called_item(text))
}

fn response_said(events: &[Value]) -> Vec<String> {
    put(vec![events.iter().filter_map(|event| event["delta"].as_str()).collect()])
}

fn response_again(events: &[Value]) -> Vec<String> {
    let text = |value: &Value| value.as_str().map(str::to_owned).into_iter().collect();
    let again = events.iter().flat_map(|event| -> Vec<String> {
        match event["type"].as_str().unwrap_or_default() {
            kind if kind.ends_with("_text.done") => text(&event["text"]),
            kind if kind.ends_with("_arguments.done") => text(&event["arguments"]),
            kind if kind.ends_with("_part.done") => text(&event["part"]["text"]),
            "response.output_item.done" => item_said(&event["item"]),
            "response.completed" => items(&event["response"]["output"]).iter().flat_map(item_said).collect(),
            _ => Vec::new(),
        }
    });
    put(again.collect())
}

fn item_said(item: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let mut all: Vec<String> = text(&item["arguments"]).into_iter().collect();
    all.extend(
        ["content", "summary"].iter().flat_map(|field| items(&item[*field])).filter_map(|one| text(&one["text"])),
    );
    all
}

fn response_heard(answer: &Value) -> Vec<String> {
    put(items(&answer["output"]).iter().flat_map(item_said).collect())
}

/// The frame of a message with one block.
fn blocks(start: &str, pieces: &[&str], kind: &str, field: &str) -> Vec<Event> {
    let mut all = vec![
        r#"{"type":"message_start","message":{"content":[]}}"#.to_owned(),
        format!(r#"{{"type":"content_block_start","index":0,"content_block":{start}}}"#),
    ];
    let delta = |piece: &&str| {
        let delta = format!(r#"{{"type":"{kind}","{field}":{}}}"#, quote(piece));
        format!(r#"{{"type":"content_block_delta","index":0,"delta":{delta}}}"#)
    };
    all.extend(pieces.iter().map(delta));
    all.push(r#"{"type":"content_block_stop","index":0}"#.to_owned());
    all.push(r#"{"type":"message_stop"}"#.to_owned());
    named(all)
}

fn message(pieces: &[&str]) -> Vec<Event> {
    blocks(r#"{"type":"text","text":""}"#, pieces, "text_delta", "text")
}

fn message_whole(text: &str) -> String {
    format!(r#"{{"content":[{{"type":"text","text":{}}}]}}"#, quote(text))
}

fn thinking(pieces: &[&str]) -> Vec<Event> {
    blocks(r#"{"type":"thinking","thinking":""}"#, pieces, "thinking_delta", "thinking")
}

fn thinking_whole(text: &str) -> String {
    format!(r#"{{"content":[{{"type":"thinking","thinking":{}}}]}}"#, quote(text))
}

fn tool_use(pieces: &[&str]) -> Vec<Event> {
    blocks(r#"{"type":"tool_use","id":"t","name":"f","input":{}}"#, pieces, "input_json_delta", "partial_json")
}

fn tool_use_whole(text: &str) -> String {
    format!(r#"{{"content":[{{"type":"tool_use","id":"t","name":"f","input":{text}}}]}}"#)
}

fn message_said(events: &[Value]) -> Vec<String> {
    let deltas = events.iter().map(|event| &event["delta"]);
    let said = |delta: &Value| {
        ["text", "thinking", "partial_json"].iter().filter_map(|field| delta[*field].as_str()).collect::<String>()
    };
    put(vec![deltas.map(said).collect()])
}

fn message_heard(answer: &Value) -> Vec<String> {
    let said = |block: &Value| {
        let texts = ["text", "thinking"].iter().filter_map(|field| block[*field].as_str());
        texts.collect::<String>() + &block.get("input").map(Value::to_string).unwrap_or_default()
    };
    put(items(&answer["content"]).iter().map(said).collect())
}

fn content(pieces: &[&str]) -> Vec<Event> {
    let delta =
        |_, piece: &str| format!(r#"{{"candidates":[{{"content":{{"parts":[{{"text":{}}}]}}}}]}}"#, quote(piece));
    plain(&[], pieces, delta, &[r#"{"candidates":[{"finishReason":"STOP"}]}"#])
}

fn content_whole(text: &str) -> String {
    format!(r#"{{"candidates":[{{"content":{{"parts":[{{"text":{}}}]}},"finishReason":"STOP"}}]}}"#, quote(text))
}

fn thought(pieces: &[&str]) -> Vec<Event> {
    let part = |piece: &str| format!(r#"{{"text":{},"thought":true}}"#, quote(piece));
    let delta = |_, piece: &str| format!(r#"{{"candidates":[{{"content":{{"parts":[{}]}}}}]}}"#, part(piece));
    plain(&[], pieces, delta, &[r#"{"candidates":[{"finishReason":"STOP"}]}"#])
}

fn thought_whole(text: &str) -> String {
    let part = format!(r#"{{"text":{},"thought":true}}"#, quote(text));
    format!(r#"{{"candidates":[{{"content":{{"parts":[{part}]}},"finishReason":"STOP"}}]}}"#)
}

fn function(pieces: &[&str]) -> Vec<Event> {
    vec![("", function_whole(&pieces.concat()))]
}

fn function_whole(text: &str) -> String {
    let part = format!(r#"{{"functionCall":{{"name":"f","args":{text}}}}}"#);
    format!(r#"{{"candidates":[{{"content":{{"parts":[{part}]}},"finishReason":"STOP"}}]}}"#)
}

fn content_said(events: &[Value]) -> Vec<String> {
    let parts =
        events.iter().flat_map(|event| items(&event["candidates"])).flat_map(|one| items(&one["content"]["parts"]));
    let mut said = [String::new(), String::new(), String::new()];
    for part in parts {
        let place = usize::from(part["thought"] == true);
        said[place] += part["text"].as_str().unwrap_or_default();
        said[2] += &part["functionCall"].get("args").map(Value::to_string).unwrap_or_default();
    }
    put(said.into())
}

fn content_heard(answer: &Value) -> Vec<String> {
    content_said(std::slice::from_ref(answer))
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Of texts that are JSON what they mean, and nothing of places where nothing was said.
fn put(said: Vec<String>) -> Vec<String> {
    let meant = |text: String| match serde_json::from_str::<Value>(&text) {
        Ok(object @ Value::Object(_)) => object.to_string(),
        _ => text,
    };
    said.into_iter().map(meant).filter(|text| !text.is_empty()).collect()
}
