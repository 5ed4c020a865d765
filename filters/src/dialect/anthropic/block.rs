//! Content: strings and blocks, of requests and answers alike.

use postern_config::Part;

use crate::dialect::DialectError;
use crate::dialect::body::{Found, Hidden};
use crate::dialect::fields::{base64, cache, expect, flag, identifier, member, settings, shape, string, unknown, word};
use crate::json::{Kind, Value};

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    System,
    User,
    Assistant,
    /// A tool, or something that was fetched.
    Tool,
}

impl Role {
    pub(super) fn part(self) -> Part {
        match self {
            Self::System => Part::System,
            Self::User => Part::User,
            Self::Assistant => Part::Assistant,
            Self::Tool => Part::ToolResult,
        }
    }
}

/// A text; what a tool says often is JSON.
pub(super) fn text(value: Value<'_>, part: Part, what: &'static str, found: &mut Found) -> Result<(), DialectError> {
    if part == Part::ToolResult { found.maybe_json(value, part, what) } else { found.text(value, part, what) }
}

/// A string, or blocks.
pub(super) fn content(value: Value<'_>, role: Role, found: &mut Found) -> Result<(), DialectError> {
    match value.kind() {
        Kind::Null => Ok(()),
        Kind::String => text(value, role.part(), "content", found),
        Kind::Array => value.items().try_for_each(|item| block(item, role, found)),
        _ => Err(shape(value, "content")),
    }
}

/// One block. What cannot be read in it is opaque, what nobody here can see happen is refused.
pub(super) fn block(item: Value<'_>, role: Role, found: &mut Found) -> Result<(), DialectError> {
    expect(item, Kind::Object, "content[]")?;
    let kind = member(item, "type", "content[].type")?;
    let read = match (kind.text().as_deref(), role) {
        (Some("text"), _) => text_field,
        (Some("image"), _) => return found.hides("image", item),
        (Some("container_upload"), _) => return found.hides("container_upload", item),
        (Some("redacted_thinking"), _) => return found.hides("redacted_thinking", item),
        (Some("compaction"), _) => return found.hides("compaction", item),
        (Some("document"), Role::User | Role::Tool) => document,
        (Some("search_result"), Role::User | Role::Tool) => search_result,
        (Some("tool_result"), Role::User) => tool_result,
        (Some("mid_conv_system"), Role::User | Role::System) => mid_conv_system,
        (Some("thinking"), Role::Assistant) => return thinking(item, found),
        (Some("tool_use"), Role::Assistant) => {
            found.called(item.get("name"), item.get("input"));
            tool_use
        }
        // Tools of the provider, and what they gave back.
        (Some(_), _) => return Err(DialectError::Unsupported { what: "content[].type" }),
        (None, _) => return Err(shape(kind, "content[].type")),
    };
    for (key, value) in item.entries() {
        match string(key, "content[]")?.as_ref() {
            "type" => {}
            "cache_control" => cache(value)?,
            name => read(name, key, value, role, found)?,
        }
    }
    Ok(())
}

/// A field of a block: its name, the key, the value.
fn text_field(name: &str, key: Value<'_>, value: Value<'_>, role: Role, found: &mut Found) -> Result<(), DialectError> {
    match name {
        "text" => {
            if role == Role::Assistant {
                found.says(value);
            }
            text(value, role.part(), "content[].text", found)
        }
        "citations" => {
            citations(value, role.part(), found);
            Ok(())
        }
        _ => Err(unknown(key, "content[]")),
    }
}

/// Quotes of what was fetched.
pub(super) fn citations(value: Value<'_>, part: Part, found: &mut Found) {
    found.tree(value, part, &["type", "char_location", "cited_text", "document_index", "document_title"]);
}

fn document(name: &str, key: Value<'_>, value: Value<'_>, _: Role, found: &mut Found) -> Result<(), DialectError> {
    match name {
        "source" => source(value, found),
        "title" | "context" if value.is_null() => Ok(()),
        "title" | "context" => found.text(value, Part::ToolResult, "document.title"),
        "citations" => settings(value, &["enabled"], "document.citations"),
        _ => Err(unknown(key, "document")),
    }
}

/// Where a document's text is: here, or where it cannot be read.
fn source(value: Value<'_>, found: &mut Found) -> Result<(), DialectError> {
    expect(value, Kind::Object, "document.source")?;
    let kind = member(value, "type", "document.source.type")?;
    let field = match kind.text().as_deref() {
        Some("text") => "data",
        Some("content") => "content",
        Some("base64") => return hides_document("document: base64", value, found),
        Some("url") => return hides_document("document: url", value, found),
        Some("file") => return hides_document("file_id", value, found),
        _ => return Err(shape(kind, "document.source.type")),
    };
    member(value, field, "document.source.data")?;
    for (key, value) in value.entries() {
        match key.text().as_deref() {
            Some("type") => {}
            Some("media_type") if field == "data" && value.is_text("text/plain") => {}
            Some(name) if name == field && field == "data" => text(value, Part::ToolResult, "document", found)?,
            Some(name) if name == field => content(value, Role::Tool, found)?,
            _ => return Err(unknown(key, "document.source")),
        }
    }
    Ok(())
}

/// A document is nothing without its source.
fn hides_document(what: &'static str, source: Value<'_>, found: &mut Found) -> Result<(), DialectError> {
    found.opaque(what, Hidden::Around(source.id()));
    Ok(())
}

fn search_result(name: &str, key: Value<'_>, value: Value<'_>, _: Role, found: &mut Found) -> Result<(), DialectError> {
    match name {
        "source" | "title" => found.text(value, Part::ToolResult, "search_result.title"),
        "content" => content(value, Role::Tool, found),
        "citations" => settings(value, &["enabled"], "search_result.citations"),
        _ => Err(unknown(key, "search_result")),
    }
}

fn tool_result(name: &str, key: Value<'_>, value: Value<'_>, _: Role, found: &mut Found) -> Result<(), DialectError> {
    match name {
        "tool_use_id" => identifier(value, "tool_use_id").map(drop),
        "is_error" => flag(value, "is_error").map(drop),
        "content" => content(value, Role::Tool, found),
        _ => Err(unknown(key, "tool_result")),
    }
}

fn mid_conv_system(
    name: &str,
    key: Value<'_>,
    value: Value<'_>,
    _: Role,
    found: &mut Found,
) -> Result<(), DialectError> {
    match name {
        "content" | "text" => content(value, Role::System, found),
        _ => Err(unknown(key, "mid_conv_system")),
    }
}

/// A call: the name decides what is called, so it is fixed.
fn tool_use(name: &str, key: Value<'_>, value: Value<'_>, _: Role, found: &mut Found) -> Result<(), DialectError> {
    match name {
        "id" => identifier(value, "tool_use.id").map(drop),
        "name" => found.fixed(value, Part::ToolArguments, "tool_use.name"),
        "input" => {
            found.json_value(value, Part::ToolArguments);
            Ok(())
        }
        "caller" => settings(value, &["type"], "tool_use.caller"),
        _ => Err(unknown(key, "tool_use")),
    }
}

/// Reasoning, and the provider's signature of it. Without the text the signature is all there is: reasoning that only the
/// provider can read. With it the text has no other spelling, as the provider would refuse it in the next turn.
fn thinking(item: Value<'_>, found: &mut Found) -> Result<(), DialectError> {
    let text = member(item, "thinking", "thinking")?;
    let signed = item.get("signature").is_some_and(|signature| !signature.is_null() && !signature.is_text(""));
    if signed && text.is_text("") {
        found.hides("encrypted thinking", item)?;
    }
    for (key, value) in item.entries() {
        match key.text().as_deref() {
            Some("type") => {}
            Some("thinking") if signed => found.fixed(value, Part::Reasoning, "thinking")?,
            Some("thinking") => found.text(value, Part::Reasoning, "thinking")?,
            Some("signature") if value.is_null() => {}
            Some("signature") => base64(value, "signature")?,
            Some("cache_control") => cache(value)?,
            _ => return Err(unknown(key, "thinking")),
        }
    }
    Ok(())
}

/// Why the model stopped, and what it says about that.
pub(super) fn stop(name: &str, value: Value<'_>, found: &mut Found) -> Result<bool, DialectError> {
    match name {
        "stop_reason" => word(value, "stop_reason")?,
        "stop_sequence" if value.is_null() => {}
        "stop_sequence" => found.text(value, Part::Assistant, "stop_sequence")?,
        "stop_details" => found.tree(value, Part::Assistant, &["type", "refusal", "category"]),
        _ => return Ok(false),
    }
    Ok(true)
}
