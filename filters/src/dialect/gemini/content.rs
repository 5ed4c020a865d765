//! Contents and their parts, of requests and answers alike.

use postern_config::Part;

use super::names::{Member, find, members};
use crate::dialect::DialectError;
use crate::dialect::body::Found;
use crate::dialect::fields::{base64, expect, flag, member, scalar, shape, unknown, word};
use crate::json::{Kind, Value};

/// Which of the parts are read, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    Request,
    Answer,
    /// An event: its texts go through the guards of the stream.
    Event,
}

/// `contents` of a request.
pub(super) fn contents(value: Value<'_>, found: &mut Found) -> Result<(), DialectError> {
    expect(value, Kind::Array, "contents")?;
    for item in value.items() {
        expect(item, Kind::Object, "contents[]")?;
        let role = find(item, "role");
        let part = match role.and_then(|role| role.text()).as_deref() {
            Some("user") => Part::User,
            None if role.is_none() => Part::User,
            Some("model") => Part::Assistant,
            Some("function" | "tool") => Part::ToolResult,
            _ => return Err(shape(item, "contents[].role")),
        };
        content(item, part, Reading::Request, found)?;
    }
    Ok(())
}

/// `{role, parts}`, whose plain texts are `part`.
pub(super) fn content(value: Value<'_>, part: Part, reading: Reading, found: &mut Found) -> Result<(), DialectError> {
    for Member { name, key, value } in members(value, "content")? {
        match name.as_ref() {
            "role" => word(value, "content.role")?,
            "parts" => {
                expect(value, Kind::Array, "parts")?;
                value.items().try_for_each(|item| piece(item, part, reading, found))?;
            }
            _ => return Err(unknown(key, "content")),
        }
    }
    Ok(())
}

/// Whether a part is a thought.
pub(super) fn is_thought(item: Value<'_>) -> bool {
    find(item, "thought").and_then(|thought| thought.boolean()) == Some(true)
}

/// One part: one thing that is said, and notes about it.
fn piece(item: Value<'_>, part: Part, reading: Reading, found: &mut Found) -> Result<(), DialectError> {
    let part = if is_thought(item) { Part::Reasoning } else { part };
    let mut says = 0;
    for Member { name, key, value } in members(item, "parts[]")? {
        says += 1;
        match name.as_ref() {
            "text" if reading == Reading::Event => expect(value, Kind::String, "text")?,
            "text" if part == Part::ToolResult => found.maybe_json(value, part, "text")?,
            "text" => {
                if part == Part::Assistant {
                    found.says(value);
                }
                found.text(value, part, "text")?;
            }
            "inlineData" => found.hides("inlineData", item)?,
            "fileData" => found.hides("fileData", item)?,
            "functionCall" => call(value, found)?,
            "functionResponse" => response(value, found)?,
            "executableCode" => code(value, Part::ToolArguments, found)?,
            "codeExecutionResult" if reading == Reading::Request => code(value, Part::ToolResult, found)?,
            "codeExecutionResult" => code(value, Part::Assistant, found)?,
            _ => {
                says -= 1;
                note(&name, key, value, item, reading, found)?;
            }
        }
    }
    if says > 1 { Err(shape(item, "parts[]")) } else { Ok(()) }
}

/// What stands beside what a part says.
fn note(
    name: &str,
    key: Value<'_>,
    value: Value<'_>,
    item: Value<'_>,
    reading: Reading,
    found: &mut Found,
) -> Result<(), DialectError> {
    match name {
        "thought" => flag(value, "thought").map(drop),
        // Reasoning that only the provider can read: it does not come in, and is left out of what goes out.
        "thoughtSignature" if reading == Reading::Request => found.hides("thoughtSignature", value),
        "thoughtSignature" => {
            base64(value, "thoughtSignature")?;
            found.remove(item, value);
            Ok(())
        }
        "videoMetadata" | "mediaResolution" => found.hides("videoMetadata", value),
        "toolCall" | "toolResponse" => Err(DialectError::Unsupported { what: "toolCall" }),
        _ => Err(unknown(key, "parts[]")),
    }
}

/// A call: the name decides what is called, so it is fixed.
fn call(value: Value<'_>, found: &mut Found) -> Result<(), DialectError> {
    let called = member(value, "name", "functionCall.name")?;
    found.called(Some(called), find(value, "args"));
    for Member { name, key, value } in members(value, "functionCall")? {
        match name.as_ref() {
            "id" => word(value, "functionCall.id")?,
            "name" => found.fixed(value, Part::ToolArguments, "functionCall.name")?,
            "args" => {
                expect(value, Kind::Object, "functionCall.args")?;
                found.json_value(value, Part::ToolArguments);
            }
            "partialArgs" | "willContinue" => return Err(DialectError::Unsupported { what: "partialArgs" }),
            _ => return Err(unknown(key, "functionCall")),
        }
    }
    Ok(())
}

fn response(value: Value<'_>, found: &mut Found) -> Result<(), DialectError> {
    for Member { name, key, value } in members(value, "functionResponse")? {
        match name.as_ref() {
            "id" | "scheduling" => word(value, "functionResponse.id")?,
            "name" => found.fixed(value, Part::ToolResult, "functionResponse.name")?,
            "response" => {
                expect(value, Kind::Object, "functionResponse.response")?;
                found.json_value(value, Part::ToolResult);
            }
            "willContinue" => scalar(value, Kind::Bool, "willContinue")?,
            "parts" => found.hides("functionResponse.parts", value)?,
            _ => return Err(unknown(key, "functionResponse")),
        }
    }
    Ok(())
}

/// Code that the provider ran, and what came of it.
fn code(value: Value<'_>, part: Part, found: &mut Found) -> Result<(), DialectError> {
    for Member { name, key, value } in members(value, "executableCode")? {
        match name.as_ref() {
            "id" | "language" | "outcome" => word(value, "executableCode.language")?,
            "code" | "output" => found.text(value, part, "executableCode.code")?,
            _ => return Err(unknown(key, "executableCode")),
        }
    }
    Ok(())
}
