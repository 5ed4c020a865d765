//! A request for a response.
//!
//! # Where texts go
//! | field | part |
//! |---|---|
//! | `instructions`; items of role `system`, `developer` | `System` |
//! | `input` as a string; items of role `user`; `user`, `safety_identifier`, `prompt_cache_key`, `metadata` | `User` |
//! | items of role `assistant` | `Assistant` |
//! | `reasoning` items | `Reasoning` |
//! | `function_call`, `custom_tool_call` | `ToolArguments` |
//! | `function_call_output`, `custom_tool_call_output` | `ToolResult` |
//! | `tools`, `tool_choice`, `text` | `ToolDefinition` |

use postern_config::Part;

use super::item;
use crate::dialect::DialectError;
use crate::dialect::ai::Facts;
use crate::dialect::body::Found;
use crate::dialect::fields::{
    SCHEMA_WORDS, cache, count, expect, flag, member, scalar, settings, shape, string, tool_name, unknown, word,
};
use crate::dialect::openai::chat::request::{model, stream_options};
use crate::json::{Kind, Value};

/// What the provider keeps, and nobody here has seen.
const KEPT: [&str; 3] = ["previous_response_id", "conversation", "prompt"];
/// What the provider would do out of sight.
const UNSUPPORTED: [&str; 4] = ["background", "context_management", "moderation", "audio"];

pub(super) fn request(root: Value<'_>, found: &mut Found, facts: &mut Facts) -> Result<(), DialectError> {
    expect(root, Kind::Object, "request")?;
    for (key, value) in root.entries() {
        let name = string(key, "request")?;
        match name.as_ref() {
            "model" => facts.model = Some(model(value)?),
            "stream" => facts.stream = flag(value, "stream")?,
            "stream_options" => stream_options(value)?,
            "max_output_tokens" => facts.max_tokens = count(value, "max_output_tokens")?,
            "instructions" if value.is_null() => {}
            "instructions" => found.text(value, Part::System, "instructions")?,
            "input" if value.kind() == Kind::String => found.text(value, Part::User, "input")?,
            "input" => {
                expect(value, Kind::Array, "input")?;
                value.items().try_for_each(|one| item::of_request(one, found))?;
            }
            "tools" => tools(value, found, &mut facts.tools)?,
            "tool_choice" => choice(value, found)?,
            "text" => found.tree(value, Part::ToolDefinition, &SCHEMA_WORDS),
            "metadata" => found.tree(value, Part::User, &[]),
            "user" | "safety_identifier" | "prompt_cache_key" if value.is_null() => {}
            "user" | "safety_identifier" | "prompt_cache_key" => found.text(value, Part::User, "user")?,
            "reasoning" => settings(value, &["effort", "summary", "generate_summary"], "reasoning")?,
            "include" => include(value, found)?,
            "temperature" | "top_p" | "max_tool_calls" => scalar(value, Kind::Number, "temperature")?,
            "parallel_tool_calls" | "store" => scalar(value, Kind::Bool, "store")?,
            "service_tier" | "truncation" | "prompt_cache_retention" | "verbosity" => word(value, "service_tier")?,
            "prompt_cache_options" => cache(value)?,
            "top_logprobs" if value.is_null() || value.integer() == Some(0) => {}
            "top_logprobs" => return Err(DialectError::Unsupported { what: "top_logprobs" }),
            other => beyond(other, key, value, found)?,
        }
    }
    member(root, "model", "model")?;
    member(root, "input", "input").map(drop)
}

/// What cannot be read, what is refused by name, and what is not known.
fn beyond(name: &str, key: Value<'_>, value: Value<'_>, found: &mut Found) -> Result<(), DialectError> {
    let is_off = value.is_null() || value.boolean() == Some(false);
    if let Some(what) = KEPT.iter().find(|known| **known == name) {
        return if value.is_null() { Ok(()) } else { found.hides(what, value) };
    }
    match UNSUPPORTED.iter().find(|known| **known == name) {
        Some(_) if is_off => Ok(()),
        Some(what) => Err(DialectError::Unsupported { what }),
        None => Err(unknown(key, "request")),
    }
}

/// What else the answer is to hold.
fn include(value: Value<'_>, found: &mut Found) -> Result<(), DialectError> {
    scalar(value, Kind::Array, "include")?;
    value.items().try_for_each(|what| match what.text().as_deref() {
        Some("reasoning.encrypted_content") => found.hides("reasoning.encrypted_content", what),
        Some(_) => Err(DialectError::Unsupported { what: "include" }),
        None => Err(shape(what, "include")),
    })
}

/// Tools that the caller runs. Those that run at the provider, where nobody sees what they are asked, are refused.
fn tools(value: Value<'_>, found: &mut Found, names: &mut Vec<String>) -> Result<(), DialectError> {
    scalar(value, Kind::Array, "tools")?;
    for tool in value.items() {
        expect(tool, Kind::Object, "tools[]")?;
        if !matches!(member(tool, "type", "tools[].type")?.text().as_deref(), Some("function" | "custom")) {
            return Err(DialectError::Unsupported { what: "tools[].type" });
        }
        let name = member(tool, "name", "tools[].name")?;
        names.push(tool_name(name)?);
        found.offer(name, tool.get("parameters"));
        for (key, value) in tool.entries() {
            match string(key, "tools[]")?.as_ref() {
                "type" => {}
                "name" => found.fixed(value, Part::ToolDefinition, "tools[].name")?,
                "description" if value.is_null() => {}
                "description" => found.text(value, Part::ToolDefinition, "description")?,
                "parameters" | "format" => found.tree(value, Part::ToolDefinition, &SCHEMA_WORDS),
                "strict" | "defer_loading" => scalar(value, Kind::Bool, "strict")?,
                _ => return Err(unknown(key, "tools[]")),
            }
        }
    }
    Ok(())
}

/// A word, one tool of the caller's, or several to choose from.
fn choice(value: Value<'_>, found: &mut Found) -> Result<(), DialectError> {
    match (value.kind(), value.text().as_deref()) {
        (Kind::Null, _) | (_, Some("auto" | "none" | "required")) => return Ok(()),
        (Kind::Object, _) => {}
        _ => return Err(shape(value, "tool_choice")),
    }
    found.fixed_tree(value, Part::ToolDefinition, &SCHEMA_WORDS);
    let chosen = |tool: Value<'_>| match tool.get("type").and_then(|kind| kind.text()).as_deref() {
        Some("function" | "custom") => tool_name(member(tool, "name", "tool_choice.name")?).map(drop),
        _ => Err(DialectError::Unsupported { what: "tool_choice.type" }),
    };
    match value.get("tools") {
        Some(tools) => tools.items().try_for_each(chosen),
        None => chosen(value),
    }
}
