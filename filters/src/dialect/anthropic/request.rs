//! A request for a message: what is asked of which model, and every text in it.
//!
//! # Where texts go
//! | field | part |
//! |---|---|
//! | `system`; messages of role `system`, `mid_conv_system` blocks | `System` |
//! | messages of role `user`; `metadata`, `stop_sequences` | `User` |
//! | messages of role `assistant` | `Assistant`, their `thinking` `Reasoning`, their `tool_use` `ToolArguments` |
//! | `tool_result`; what was fetched: `document`, `search_result` | `ToolResult` |
//! | `tools`, `tool_choice`, `output_config` | `ToolDefinition` |
//!
//! Fields that make the provider act where nobody sees it (`mcp_servers`) are refused, and so is a field in no table.

use postern_config::Part;

use super::block::{Role, content, text};
use super::tools::{tool_choice, tools};
use crate::dialect::DialectError;
use crate::dialect::ai::Facts;
use crate::dialect::body::Found;
use crate::dialect::fields::{
    SCHEMA_WORDS, cache, count, expect, flag, identifier, member, scalar, settings, shape, string, unknown, word,
};
use crate::json::{Kind, Value};

/// Fields that make the provider do what nobody here can see, or change what it remembers.
const UNSUPPORTED: [&str; 4] = ["mcp_servers", "context_management", "fallbacks", "diagnostics"];

pub(super) fn messages(root: Value<'_>, found: &mut Found, facts: &mut Facts) -> Result<(), DialectError> {
    counted(root, found, facts)?;
    if facts.max_tokens.is_none() { Err(DialectError::Missing { what: "max_tokens" }) } else { Ok(()) }
}

/// As [`messages`], with all that makes an answer left to the caller.
pub(super) fn counted(root: Value<'_>, found: &mut Found, facts: &mut Facts) -> Result<(), DialectError> {
    expect(root, Kind::Object, "request")?;
    for (key, value) in root.entries() {
        let name = string(key, "request")?;
        match name.as_ref() {
            "model" => facts.model = Some(identifier(value, "model")?.into_owned()),
            "max_tokens" => facts.max_tokens = count(value, "max_tokens")?,
            "stream" => facts.stream = flag(value, "stream")?,
            "messages" => {
                expect(value, Kind::Array, "messages")?;
                value.items().try_for_each(|item| message(item, found))?;
            }
            "system" => content(value, Role::System, found)?,
            "tools" => tools(value, found, &mut facts.tools)?,
            "tool_choice" => tool_choice(value, found)?,
            "stop_sequences" | "metadata" => found.tree(value, Part::User, &[]),
            "output_config" | "output_format" => found.tree(value, Part::ToolDefinition, &SCHEMA_WORDS),
            "temperature" | "top_p" | "top_k" => scalar(value, Kind::Number, "temperature")?,
            "service_tier" | "inference_geo" | "speed" => word(value, "service_tier")?,
            "cache_control" => cache(value)?,
            "thinking" => settings(value, &["type", "budget_tokens", "display"], "thinking")?,
            "container" if value.is_null() => {}
            // Files and state that the provider keeps.
            "container" => found.hides("container", value)?,
            other => match UNSUPPORTED.iter().find(|known| **known == other) {
                Some(_) if value.is_null() => {}
                Some(what) => return Err(DialectError::Unsupported { what }),
                None => return Err(unknown(key, "request")),
            },
        }
    }
    if facts.model.as_deref().is_none_or(str::is_empty) {
        return Err(DialectError::Missing { what: "model" });
    }
    if member(root, "messages", "messages")?.is_empty() { Err(shape(root, "messages")) } else { Ok(()) }
}

fn message(item: Value<'_>, found: &mut Found) -> Result<(), DialectError> {
    expect(item, Kind::Object, "messages[]")?;
    let role = member(item, "role", "messages[].role")?;
    let role = match role.text().as_deref() {
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        Some("system") => Role::System,
        _ => return Err(shape(role, "messages[].role")),
    };
    member(item, "content", "messages[].content")?;
    for (key, value) in item.entries() {
        match key.text().as_deref() {
            Some("role") => {}
            Some("content") if value.kind() == Kind::String => text(value, role.part(), "content", found)?,
            Some("content") => content(value, role, found)?,
            _ => return Err(unknown(key, "messages[]")),
        }
    }
    Ok(())
}
