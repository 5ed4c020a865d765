//! A request for content.
//!
//! # Where texts go
//! | field | part |
//! |---|---|
//! | `systemInstruction` | `System` |
//! | contents of role `user` or none; `stopSequences`, `labels` | `User` |
//! | contents of role `model` | `Assistant`, their thoughts `Reasoning`, their `functionCall` `ToolArguments` |
//! | `functionResponse` | `ToolResult` |
//! | `tools`, `toolConfig`, response schemas | `ToolDefinition` |
//!
//! Tools that run at the provider are refused. `responseLogprobs` is refused rather than dropped: token by token it would
//! spell what is masked.

use postern_config::Part;

use super::content::{Reading, content, contents};
use super::names::{Member, find, list, members, settings};
use crate::dialect::DialectError;
use crate::dialect::ai::Facts;
use crate::dialect::body::Found;
use crate::dialect::fields::{self, SCHEMA_WORDS, expect, scalar, shape, string, tool_name, unknown, word};
use crate::json::{Kind, Value};

pub(super) fn generate(root: Value<'_>, found: &mut Found, facts: &mut Facts) -> Result<(), DialectError> {
    for Member { name, key, value } in members(root, "request")? {
        field(&name, key, value, found, facts)?;
    }
    if find(root, "contents").is_none_or(|contents| contents.is_empty()) {
        return Err(DialectError::Missing { what: "contents" });
    }
    Ok(())
}

pub(super) fn stream(root: Value<'_>, found: &mut Found, facts: &mut Facts) -> Result<(), DialectError> {
    facts.stream = true;
    generate(root, found, facts)
}

/// Contents alone, or a whole request in `generateContentRequest`.
pub(super) fn count(root: Value<'_>, found: &mut Found, facts: &mut Facts) -> Result<(), DialectError> {
    match find(root, "generateContentRequest") {
        Some(request) if members(root, "request")?.len() == 1 => generate(request, found, facts),
        Some(request) => Err(shape(request, "generateContentRequest")),
        None => generate(root, found, facts),
    }
}

fn field(
    name: &str,
    key: Value<'_>,
    value: Value<'_>,
    found: &mut Found,
    facts: &mut Facts,
) -> Result<(), DialectError> {
    match name {
        "model" => same_model(value, facts),
        "contents" => contents(value, found),
        "systemInstruction" => content(value, Part::System, Reading::Request, found),
        "tools" => tools(value, found, &mut facts.tools),
        "toolConfig" => {
            found.fixed_tree(value, Part::ToolDefinition, &SCHEMA_WORDS);
            Ok(())
        }
        "safetySettings" => list(value, &["category", "threshold", "method"], "safetySettings"),
        "generationConfig" => generation(value, found, facts),
        "labels" => {
            found.tree(value, Part::User, &[]);
            Ok(())
        }
        "cachedContent" => found.hides("cachedContent", value),
        "serviceTier" => word(value, "serviceTier"),
        "store" => scalar(value, Kind::Bool, "store"),
        _ => Err(unknown(key, "request")),
    }
}

/// The model is the path's, which is decided on.
pub(super) fn same_model(value: Value<'_>, facts: &Facts) -> Result<(), DialectError> {
    let named = string(value, "model")?;
    let named = named.strip_prefix("models/").unwrap_or(&named);
    if facts.model.as_deref() == Some(named) { Ok(()) } else { Err(shape(value, "model")) }
}

fn generation(value: Value<'_>, found: &mut Found, facts: &mut Facts) -> Result<(), DialectError> {
    for Member { name, key, value } in members(value, "generationConfig")? {
        match name.as_ref() {
            "maxOutputTokens" => facts.max_tokens = fields::count(value, "maxOutputTokens")?,
            "candidateCount" => facts.choices = fields::choices(value, "candidateCount")?,
            "stopSequences" => found.tree(value, Part::User, &[]),
            "responseSchema" | "responseJsonSchema" | "_responseJsonSchema" => {
                found.tree(value, Part::ToolDefinition, &SCHEMA_WORDS);
            }
            "temperature" | "topP" | "topK" | "seed" | "presencePenalty" | "frequencyPenalty" => {
                scalar(value, Kind::Number, "temperature")?;
            }
            "responseMimeType" => word(value, "responseMimeType")?,
            "responseModalities" => {
                expect(value, Kind::Array, "responseModalities")?;
                if !value.items().all(|item| item.is_text("TEXT")) {
                    found.hides("responseModalities", value)?;
                }
            }
            "thinkingConfig" => {
                settings(value, &["includeThoughts", "thinkingBudget", "thinkingLevel"], "thinkingConfig")?;
            }
            "enableEnhancedCivicAnswers" => scalar(value, Kind::Bool, "enableEnhancedCivicAnswers")?,
            "responseLogprobs" if value.boolean() == Some(false) => {}
            "responseLogprobs" | "logprobs" => return Err(DialectError::Unsupported { what: "responseLogprobs" }),
            "speechConfig" | "imageConfig" | "mediaResolution" => {
                return Err(DialectError::Unsupported { what: "speechConfig" });
            }
            _ => return Err(unknown(key, "generationConfig")),
        }
    }
    Ok(())
}

fn tools(value: Value<'_>, found: &mut Found, names: &mut Vec<String>) -> Result<(), DialectError> {
    expect(value, Kind::Array, "tools")?;
    for tool in value.items() {
        for Member { name, value, .. } in members(tool, "tools[]")? {
            if name != "functionDeclarations" {
                return Err(DialectError::Unsupported { what: "tools[]" });
            }
            expect(value, Kind::Array, "functionDeclarations")?;
            value.items().try_for_each(|one| declaration(one, found, names))?;
        }
    }
    Ok(())
}

fn declaration(value: Value<'_>, found: &mut Found, names: &mut Vec<String>) -> Result<(), DialectError> {
    for Member { name, key, value } in members(value, "functionDeclarations[]")? {
        match name.as_ref() {
            "name" => {
                names.push(tool_name(value)?);
                found.fixed(value, Part::ToolDefinition, "functionDeclarations[].name")?;
            }
            "description" => found.text(value, Part::ToolDefinition, "description")?,
            "parameters" | "parametersJsonSchema" | "response" | "responseJsonSchema" => {
                found.tree(value, Part::ToolDefinition, &SCHEMA_WORDS);
            }
            "behavior" => word(value, "behavior")?,
            _ => return Err(unknown(key, "functionDeclarations[]")),
        }
    }
    let schema = find(value, "parametersJsonSchema").or_else(|| find(value, "parameters"));
    match find(value, "name") {
        Some(name) => {
            found.offer(name, schema);
            Ok(())
        }
        None => Err(DialectError::Missing { what: "functionDeclarations[].name" }),
    }
}
