//! Tools on offer, and which of them the model must call.

use postern_config::Part;

use crate::dialect::DialectError;
use crate::dialect::body::Found;
use crate::dialect::fields::{SCHEMA_WORDS, cache, expect, flag, member, shape, string, tool_name, unknown};
use crate::json::{Kind, Value};

/// Tools that the caller runs. Those that run at the provider, where nobody sees what they are asked, and those whose
/// definition only the provider knows are refused.
pub(super) fn tools(value: Value<'_>, found: &mut Found, names: &mut Vec<String>) -> Result<(), DialectError> {
    if value.is_null() {
        return Ok(());
    }
    expect(value, Kind::Array, "tools")?;
    value.items().try_for_each(|tool| definition(tool, found, names))
}

fn definition(tool: Value<'_>, found: &mut Found, names: &mut Vec<String>) -> Result<(), DialectError> {
    expect(tool, Kind::Object, "tools[]")?;
    if tool.get("type").is_some_and(|kind| !kind.is_null() && !kind.is_text("custom")) {
        return Err(DialectError::Unsupported { what: "tools[].type" });
    }
    let name = member(tool, "name", "tools[].name")?;
    names.push(tool_name(name)?);
    found.offer(name, tool.get("input_schema"));
    for (key, value) in tool.entries() {
        match string(key, "tools[]")?.as_ref() {
            "type" => {}
            "name" => found.fixed(value, Part::ToolDefinition, "tools[].name")?,
            "description" if value.is_null() => {}
            "description" => found.text(value, Part::ToolDefinition, "description")?,
            "input_schema" | "input_examples" => found.tree(value, Part::ToolDefinition, &SCHEMA_WORDS),
            "cache_control" => cache(value)?,
            "strict" | "eager_input_streaming" | "defer_loading" => drop(flag(value, "strict")?),
            "allowed_callers" if value.is_null() || value.items().all(|caller| caller.is_text("direct")) => {}
            "allowed_callers" => return Err(DialectError::Unsupported { what: "allowed_callers" }),
            _ => return Err(unknown(key, "tools[]")),
        }
    }
    Ok(())
}

/// `{type: auto | any | none | tool, name, disable_parallel_tool_use}`.
pub(super) fn tool_choice(value: Value<'_>, found: &mut Found) -> Result<(), DialectError> {
    if value.is_null() {
        return Ok(());
    }
    expect(value, Kind::Object, "tool_choice")?;
    let kind = member(value, "type", "tool_choice.type")?;
    if !matches!(kind.text().as_deref(), Some("auto" | "any" | "none" | "tool")) {
        return Err(shape(kind, "tool_choice.type"));
    }
    for (key, value) in value.entries() {
        match key.text().as_deref() {
            Some("type") => {}
            Some("name") => {
                tool_name(value)?;
                found.fixed(value, Part::ToolDefinition, "tool_choice.name")?;
            }
            Some("disable_parallel_tool_use") => drop(flag(value, "disable_parallel_tool_use")?),
            _ => return Err(unknown(key, "tool_choice")),
        }
    }
    Ok(())
}
