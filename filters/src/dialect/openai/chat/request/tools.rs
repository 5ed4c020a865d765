//! Tools on offer, and which of them the model must call.

use postern_config::Part;

use crate::dialect::DialectError;
use crate::dialect::body::Found;
use crate::dialect::fields::{SCHEMA_WORDS, expect, scalar, shape, tool_name, unknown};
use crate::json::{Kind, Value};

pub(super) fn tools(value: Value<'_>, found: &mut Found, names: &mut Vec<String>) -> Result<(), DialectError> {
    if value.is_null() {
        return Ok(());
    }
    expect(value, Kind::Array, "tools")?;
    for tool in value.items() {
        expect(tool, Kind::Object, "tools[]")?;
        let kind = tool.get("type").ok_or(DialectError::Missing { what: "tools[].type" })?;
        // Others run at the provider, where nobody sees what they are asked.
        let field = match kind.text().as_deref() {
            Some("function") => "function",
            Some("custom") => "custom",
            _ => return Err(DialectError::Unsupported { what: "tools[].type" }),
        };
        let inner = tool.get(field).ok_or(DialectError::Missing { what: "tools[].function" })?;
        definition(inner, found, names)?;
        if let Some((key, _)) = tool.entries().find(|(key, _)| !key.is_text("type") && !key.is_text(field)) {
            return Err(unknown(key, "tools[]"));
        }
    }
    Ok(())
}

pub(super) fn functions(value: Value<'_>, found: &mut Found, names: &mut Vec<String>) -> Result<(), DialectError> {
    if value.is_null() {
        return Ok(());
    }
    expect(value, Kind::Array, "functions")?;
    value.items().try_for_each(|item| definition(item, found, names))
}

/// `{name, description, parameters, strict}` of a function, `{name, description, format}` of a custom tool.
fn definition(value: Value<'_>, found: &mut Found, names: &mut Vec<String>) -> Result<(), DialectError> {
    expect(value, Kind::Object, "tools[].function")?;
    let name = value.get("name").ok_or(DialectError::Missing { what: "tools[].function.name" })?;
    names.push(tool_name(name)?);
    found.offer(name, value.get("parameters"));
    for (key, value) in value.entries() {
        match key.text().as_deref() {
            Some("name") => found.fixed(value, Part::ToolDefinition, "tools[].function.name")?,
            Some("description") if value.is_null() => {}
            Some("description") => found.text(value, Part::ToolDefinition, "description")?,
            Some("parameters" | "format") => found.tree(value, Part::ToolDefinition, &SCHEMA_WORDS),
            Some("strict") => scalar(value, Kind::Bool, "strict")?,
            _ => return Err(unknown(key, "tools[].function")),
        }
    }
    Ok(())
}

/// The forms of `tool_choice` and of the old `function_call`.
pub(super) fn tool_choice(value: Value<'_>, found: &mut Found) -> Result<(), DialectError> {
    match (value.kind(), value.text().as_deref()) {
        (Kind::Null, _) | (_, Some("auto" | "none" | "required")) => return Ok(()),
        (Kind::Object, _) => {}
        _ => return Err(shape(value, "tool_choice")),
    }
    found.fixed_tree(value, Part::ToolDefinition, &SCHEMA_WORDS);
    if let Some(allowed) = value.get("allowed_tools") {
        let tools = allowed.get("tools").ok_or(DialectError::Missing { what: "allowed_tools.tools" })?;
        return tools.items().try_for_each(chosen);
    }
    chosen(value)
}

/// The name in `{type, function: {name}}`, `{type, custom: {name}}` or the old `{name}`.
fn chosen(value: Value<'_>) -> Result<(), DialectError> {
    let inner = value.get("function").or_else(|| value.get("custom")).unwrap_or(value);
    tool_name(inner.get("name").ok_or(DialectError::Missing { what: "tool_choice.name" })?).map(drop)
}
