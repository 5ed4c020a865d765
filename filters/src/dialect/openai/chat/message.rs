//! What requests and answers share: tool calls, and the shape of a message's content.

use postern_config::Part;

use crate::dialect::DialectError;
use crate::dialect::body::Found;
use crate::dialect::fields::{cache, expect, identifier, scalar, shape, unknown};
use crate::json::{Kind, Value};

/// `tool_calls`: calls of functions, whose arguments are JSON in a string, and of custom tools, whose input is any text.
/// The name decides what is called, so it is fixed.
pub(super) fn tool_calls(value: Value<'_>, found: &mut Found) -> Result<(), DialectError> {
    if value.is_null() {
        return Ok(());
    }
    expect(value, Kind::Array, "tool_calls")?;
    for call in value.items() {
        expect(call, Kind::Object, "tool_calls[]")?;
        for (key, value) in call.entries() {
            match key.text().as_deref() {
                Some("id" | "type") => drop(identifier(value, "tool_calls[].id")?),
                Some("index") => scalar(value, Kind::Number, "tool_calls[].index")?,
                Some("function") => function_call(value, found)?,
                Some("custom") => custom_call(value, found)?,
                _ => return Err(unknown(key, "tool_calls[]")),
            }
        }
    }
    Ok(())
}

/// `{name, arguments}`, in `tool_calls` and in the old `function_call`.
pub(super) fn function_call(value: Value<'_>, found: &mut Found) -> Result<(), DialectError> {
    if value.is_null() {
        return Ok(());
    }
    expect(value, Kind::Object, "function_call")?;
    found.called(value.get("name"), value.get("arguments"));
    for (key, value) in value.entries() {
        match key.text().as_deref() {
            Some("name") => found.fixed(value, Part::ToolArguments, "function_call.name")?,
            Some("arguments") => found.json_text(value, Part::ToolArguments, "arguments")?,
            _ => return Err(unknown(key, "function_call")),
        }
    }
    Ok(())
}

fn custom_call(value: Value<'_>, found: &mut Found) -> Result<(), DialectError> {
    if value.is_null() {
        return Ok(());
    }
    expect(value, Kind::Object, "custom")?;
    found.called_with_text(value.get("name"), value.get("input"));
    for (key, value) in value.entries() {
        match key.text().as_deref() {
            Some("name") => found.fixed(value, Part::ToolArguments, "custom.name")?,
            Some("input") => found.maybe_json(value, Part::ToolArguments, "custom.input")?,
            _ => return Err(unknown(key, "custom")),
        }
    }
    Ok(())
}

/// `content` of a message in a request: a string, or parts of which texts and refusals are read and all else is opaque.
pub(super) fn content(value: Value<'_>, part: Part, found: &mut Found) -> Result<(), DialectError> {
    match value.kind() {
        Kind::Null => Ok(()),
        Kind::String => content_text(value, part, "content", found),
        Kind::Array => value.items().try_for_each(|item| content_part(item, part, found)),
        _ => Err(shape(value, "content")),
    }
}

fn content_text(value: Value<'_>, part: Part, what: &'static str, found: &mut Found) -> Result<(), DialectError> {
    if part == Part::ToolResult { found.maybe_json(value, part, what) } else { found.text(value, part, what) }
}

fn content_part(item: Value<'_>, part: Part, found: &mut Found) -> Result<(), DialectError> {
    expect(item, Kind::Object, "content[]")?;
    let kind = item.get("type").ok_or(DialectError::Missing { what: "content[].type" })?;
    let field = match kind.text().as_deref() {
        Some("text") => "text",
        Some("refusal") => "refusal",
        Some("image_url") => "image_url",
        Some("input_audio") => "input_audio",
        Some("file") => "file",
        _ => return Err(shape(kind, "content[].type")),
    };
    if !matches!(field, "text" | "refusal") {
        return found.hides(field, item);
    }
    if item.get(field).is_none() {
        return Err(DialectError::Missing { what: "content[].text" });
    }
    for (key, value) in item.entries() {
        match key.text().as_deref() {
            Some("type") => {}
            Some(name) if name == field => content_text(value, part, "content[].text", found)?,
            // `{mode, ttl}`, or another vendor's `{type, ttl}`.
            Some("prompt_cache_breakpoint" | "cache_control") => cache(value)?,
            _ => return Err(unknown(key, "content[]")),
        }
    }
    Ok(())
}
