//! Items: messages, calls and their results, reasoning; of requests and answers alike.

use postern_config::Part;

use crate::dialect::DialectError;
use crate::dialect::body::Found;
use crate::dialect::fields::{cache, expect, identifier, member, scalar, settings, shape, string, unknown, word};
use crate::json::{Kind, Value};

/// An item of `input`.
pub(super) fn of_request(item: Value<'_>, found: &mut Found) -> Result<(), DialectError> {
    expect(item, Kind::Object, "input[]")?;
    let kind = item.get("type").and_then(|kind| kind.text());
    match kind.as_deref() {
        None | Some("message") => {
            let role = member(item, "role", "input[].role")?;
            let part = match role.text().as_deref() {
                Some("system" | "developer") => Part::System,
                Some("user") => Part::User,
                Some("assistant") => Part::Assistant,
                _ => return Err(shape(role, "input[].role")),
            };
            message(item, part, found)
        }
        Some("function_call_output" | "custom_tool_call_output") => output(item, found),
        // What the provider keeps, or can read alone.
        Some("item_reference") => found.hides("item_reference", item),
        Some("compaction" | "compaction_summary") => found.hides("compaction", item),
        Some(_) => of_answer(item, found),
    }
}

/// An item that the model made.
pub(super) fn of_answer(item: Value<'_>, found: &mut Found) -> Result<(), DialectError> {
    expect(item, Kind::Object, "output[]")?;
    let kind = member(item, "type", "output[].type")?;
    match kind.text().as_deref() {
        Some("message") => message(item, Part::Assistant, found),
        Some("function_call") => call(item, "arguments", found),
        Some("custom_tool_call") => call(item, "input", found),
        Some("reasoning") => reasoning(item, found),
        // Tools of the provider, and what they gave back.
        Some(_) => Err(DialectError::Unsupported { what: "item.type" }),
        None => Err(shape(kind, "item.type")),
    }
}

fn message(item: Value<'_>, part: Part, found: &mut Found) -> Result<(), DialectError> {
    member(item, "content", "message.content")?;
    for (key, value) in item.entries() {
        match string(key, "message")?.as_ref() {
            "type" | "role" | "id" | "status" | "phase" => word(value, "message.id")?,
            "content" if value.kind() == Kind::String => {
                found.says(value);
                found.text(value, part, "content")?;
            }
            "content" => {
                expect(value, Kind::Array, "content")?;
                value.items().try_for_each(|item| content(item, part, found))?;
            }
            _ => return Err(unknown(key, "message")),
        }
    }
    Ok(())
}

/// One piece of content. Images, files and sound are opaque.
pub(super) fn content(item: Value<'_>, part: Part, found: &mut Found) -> Result<(), DialectError> {
    expect(item, Kind::Object, "content[]")?;
    let kind = member(item, "type", "content[].type")?;
    let (field, part) = match kind.text().as_deref() {
        Some("input_text" | "output_text" | "text") => ("text", part),
        Some("refusal") => ("refusal", part),
        Some("reasoning_text" | "summary_text") => ("text", Part::Reasoning),
        Some("input_image") => return found.hides("input_image", item),
        Some("input_file") => return found.hides("input_file", item),
        Some("input_audio") => return found.hides("input_audio", item),
        _ => return Err(shape(kind, "content[].type")),
    };
    member(item, field, "content[].text")?;
    for (key, value) in item.entries() {
        match string(key, "content[]")?.as_ref() {
            "type" => {}
            name if name == field && part == Part::ToolResult => found.maybe_json(value, part, "content[].text")?,
            name if name == field => {
                if part == Part::Assistant {
                    found.says(value);
                }
                found.text(value, part, "content[].text")?;
            }
            "annotations" => annotations(value, part, found),
            // Token by token it would spell what is cut out.
            "logprobs" if value.is_null() => {}
            "logprobs" => found.blank(value, b"[]"),
            "prompt_cache_breakpoint" => cache(value)?,
            _ => return Err(unknown(key, "content[]")),
        }
    }
    Ok(())
}

/// Sources that a text names.
pub(super) fn annotations(value: Value<'_>, part: Part, found: &mut Found) {
    found.tree(value, part, &["type", "url_citation", "file_citation", "title", "url"]);
}

/// A call: the name decides what is called, so it is fixed. Arguments are JSON by contract, the input of a custom tool is any
/// text.
fn call(item: Value<'_>, field: &'static str, found: &mut Found) -> Result<(), DialectError> {
    let in_namespace = item.get("namespace").is_some_and(|namespace| !namespace.is_null());
    let name = item.get("name").filter(|_| !in_namespace);
    if field == "arguments" {
        found.called(name, item.get(field))
    } else {
        found.called_with_text(name, item.get(field))
    }
    for (key, value) in item.entries() {
        match string(key, "function_call")?.as_ref() {
            "type" | "id" | "call_id" | "status" => word(value, "function_call.id")?,
            "name" => found.fixed(value, Part::ToolArguments, "function_call.name")?,
            "namespace" if value.is_null() => {}
            "namespace" => found.fixed(value, Part::ToolArguments, "function_call.namespace")?,
            "caller" => settings(value, &["type"], "function_call.caller")?,
            name if name == field && field == "input" => {
                found.maybe_json(value, Part::ToolArguments, "custom_tool_call.input")?;
            }
            name if name == field => found.json_text(value, Part::ToolArguments, "arguments")?,
            _ => return Err(unknown(key, "function_call")),
        }
    }
    Ok(())
}

fn output(item: Value<'_>, found: &mut Found) -> Result<(), DialectError> {
    for (key, value) in item.entries() {
        match string(key, "function_call_output")?.as_ref() {
            "type" | "id" | "status" => word(value, "function_call_output.id")?,
            "call_id" => drop(identifier(value, "call_id")?),
            "caller" => settings(value, &["type"], "function_call_output.caller")?,
            "output" if value.kind() == Kind::Array => {
                value.items().try_for_each(|item| content(item, Part::ToolResult, found))?;
            }
            "output" => found.maybe_json(value, Part::ToolResult, "output")?,
            _ => return Err(unknown(key, "function_call_output")),
        }
    }
    member(item, "output", "output").map(drop)
}

fn reasoning(item: Value<'_>, found: &mut Found) -> Result<(), DialectError> {
    for (key, value) in item.entries() {
        match string(key, "reasoning")?.as_ref() {
            "type" | "id" | "status" => word(value, "reasoning.id")?,
            "summary" | "content" => {
                scalar(value, Kind::Array, "reasoning.summary")?;
                value.items().try_for_each(|item| content(item, Part::Reasoning, found))?;
            }
            "encrypted_content" if value.is_null() => {}
            "encrypted_content" => found.hides("encrypted reasoning", value)?,
            _ => return Err(unknown(key, "reasoning")),
        }
    }
    Ok(())
}
