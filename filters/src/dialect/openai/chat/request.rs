//! A chat completion request: what is asked of which model, and every text in it.
//!
//! # Where texts go
//! | field | part |
//! |---|---|
//! | `system`, `developer` messages | `System` |
//! | `user` messages; `user`, `safety_identifier`, `prompt_cache_key`, `metadata`, `stop` | `User` |
//! | `assistant` messages: `content`, `refusal`; `prediction` | `Assistant` |
//! | `assistant` messages: `reasoning_content`, `reasoning` | `Reasoning` |
//! | `assistant` messages: `tool_calls`, `function_call` | `ToolArguments` |
//! | `tool` and `function` messages | `ToolResult` |
//! | `tools`, `functions`, `tool_choice`, `response_format` | `ToolDefinition` |
//!
//! A message's `name` goes where the message goes. Identifiers (`tool_call_id`, `id`) and the vendor's own words
//! (`reasoning_effort`, …) are not texts; they are held to 256 plain characters. A field in no table is refused, and so
//! are fields that make the provider act where nobody sees it (`web_search_options`).
//!
//! `logprobs` is refused rather than dropped: token by token it would spell what is masked in the answer, and a caller who
//! asks for it should learn that it does not come.

mod tools;

use postern_config::Part;

use self::tools::{functions, tool_choice, tools};
use super::message::{content, function_call, tool_calls};
use super::tables::{REQUEST_SCALARS, REQUEST_UNSUPPORTED, REQUEST_WORDS};
use crate::dialect::DialectError;
use crate::dialect::ai::Facts;
use crate::dialect::body::Found;
use crate::dialect::fields::{
    SCHEMA_WORDS, cache, choices, count, expect, flag, identifier, member, scalar, shape, string, unknown, word,
};
use crate::json::{Kind, Value};

pub(super) fn request(root: Value<'_>, found: &mut Found, facts: &mut Facts) -> Result<(), DialectError> {
    expect(root, Kind::Object, "request")?;
    let (mut messages, mut chosen) = (false, false);
    for (key, value) in root.entries() {
        let name = string(key, "request")?;
        match name.as_ref() {
            "messages" => {
                self::messages(value, found)?;
                messages = true;
            }
            "stream_options" => stream_options(value)?,
            "n" => facts.choices = choices(value, "n")?,
            "max_tokens" | "max_completion_tokens" => {
                facts.max_tokens = facts.max_tokens.max(count(value, "max_tokens")?);
            }
            "logprobs" if flag(value, "logprobs")? => return Err(DialectError::Unsupported { what: "logprobs" }),
            "logprobs" => {}
            "top_logprobs" if value.is_null() || value.integer() == Some(0) => {}
            "top_logprobs" => return Err(DialectError::Unsupported { what: "top_logprobs" }),
            "tools" => tools(value, found, &mut facts.tools)?,
            "functions" => functions(value, found, &mut facts.tools)?,
            // The new and the old spelling together: which one counts is the upstream's guess.
            "tool_choice" | "function_call" if chosen => return Err(shape(value, "tool_choice")),
            "tool_choice" | "function_call" => {
                tool_choice(value, found)?;
                chosen = !value.is_null() && !value.is_text("auto");
            }
            "response_format" => found.tree(value, Part::ToolDefinition, &SCHEMA_WORDS),
            "stop" | "metadata" => found.tree(value, Part::User, &[]),
            "user" | "safety_identifier" | "prompt_cache_key" if value.is_null() => {}
            "user" | "safety_identifier" | "prompt_cache_key" => found.text(value, Part::User, "user")?,
            "prediction" => prediction(value, found)?,
            "prompt_cache_options" => cache(value)?,
            "modalities" => modalities(value, found)?,
            other => shared(other, key, value, facts)?,
        }
    }
    if facts.model.is_none() {
        return Err(DialectError::Missing { what: "model" });
    }
    if messages { Ok(()) } else { Err(DialectError::Missing { what: "messages" }) }
}

/// What requests of all endpoints that complete a text have: the model, and settings that are not texts.
pub(in crate::dialect::openai) fn shared(
    name: &str,
    key: Value<'_>,
    value: Value<'_>,
    facts: &mut Facts,
) -> Result<(), DialectError> {
    match name {
        "model" => facts.model = Some(model(value)?),
        "stream" => facts.stream = flag(value, "stream")?,
        "logit_bias" => logit_bias(value)?,
        other => benign(other, key, value)?,
    }
    Ok(())
}

pub(in crate::dialect::openai) fn model(value: Value<'_>) -> Result<String, DialectError> {
    let model = identifier(value, "model")?;
    if model.is_empty() { Err(DialectError::Missing { what: "model" }) } else { Ok(model.into_owned()) }
}

fn benign(name: &str, key: Value<'_>, value: Value<'_>) -> Result<(), DialectError> {
    if let Some((what, kind)) = REQUEST_SCALARS.iter().find(|(known, _)| *known == name) {
        return scalar(value, *kind, what);
    }
    if let Some(what) = REQUEST_WORDS.iter().find(|known| **known == name) {
        return word(value, what);
    }
    if let Some(what) = REQUEST_UNSUPPORTED.iter().find(|known| **known == name) {
        return if value.is_null() { Ok(()) } else { Err(DialectError::Unsupported { what }) };
    }
    Err(unknown(key, "request"))
}

pub(in crate::dialect::openai) fn stream_options(value: Value<'_>) -> Result<(), DialectError> {
    scalar(value, Kind::Object, "stream_options")?;
    for (key, value) in value.entries() {
        match key.text().as_deref() {
            Some("include_usage" | "include_obfuscation") => drop(flag(value, "stream_options")?),
            _ => return Err(unknown(key, "stream_options")),
        }
    }
    Ok(())
}

fn messages(value: Value<'_>, found: &mut Found) -> Result<(), DialectError> {
    expect(value, Kind::Array, "messages")?;
    if value.is_empty() {
        return Err(shape(value, "messages"));
    }
    value.items().try_for_each(|item| message(item, found))
}

fn message(item: Value<'_>, found: &mut Found) -> Result<(), DialectError> {
    expect(item, Kind::Object, "messages[]")?;
    let role = member(item, "role", "messages[].role")?;
    let part = match role.text().as_deref() {
        Some("system" | "developer") => Part::System,
        Some("user") => Part::User,
        Some("assistant") => Part::Assistant,
        Some("tool" | "function") => Part::ToolResult,
        _ => return Err(shape(role, "messages[].role")),
    };
    for (key, value) in item.entries() {
        match (key.text().as_deref(), part) {
            (Some("role"), _) => {}
            (Some("content"), _) => content(value, part, found)?,
            (Some("name"), _) if value.is_null() => {}
            (Some("name"), _) => found.fixed(value, part, "messages[].name")?,
            (Some("tool_call_id"), Part::ToolResult) => drop(identifier(value, "tool_call_id")?),
            (Some(name), Part::Assistant) => assistant(name, key, value, found)?,
            _ => return Err(unknown(key, "messages[]")),
        }
    }
    Ok(())
}

fn assistant(name: &str, key: Value<'_>, value: Value<'_>, found: &mut Found) -> Result<(), DialectError> {
    match name {
        "tool_calls" => tool_calls(value, found),
        "function_call" => function_call(value, found),
        "annotations" => {
            found.tree(value, Part::Assistant, &[]);
            Ok(())
        }
        // SDKs send back the message they got, with `null` where it had nothing.
        "refusal" | "reasoning_content" | "reasoning" | "audio" if value.is_null() => Ok(()),
        "refusal" => found.text(value, Part::Assistant, "refusal"),
        "reasoning_content" | "reasoning" => found.text(value, Part::Reasoning, "reasoning_content"),
        // An earlier answer that the provider keeps.
        "audio" => found.hides("audio", value),
        _ => Err(unknown(key, "messages[]")),
    }
}

/// `{type: content, content}`: what the caller expects the answer to be.
fn prediction(value: Value<'_>, found: &mut Found) -> Result<(), DialectError> {
    if value.is_null() {
        return Ok(());
    }
    expect(value, Kind::Object, "prediction")?;
    for (key, value) in value.entries() {
        match key.text().as_deref() {
            Some("type") if value.is_text("content") => {}
            Some("content") => content(value, Part::Assistant, found)?,
            _ => return Err(unknown(key, "prediction")),
        }
    }
    Ok(())
}

/// Token numbers and their weights.
fn logit_bias(value: Value<'_>) -> Result<(), DialectError> {
    scalar(value, Kind::Object, "logit_bias")?;
    for (key, value) in value.entries() {
        let token = string(key, "logit_bias")?;
        if token.len() > 8 || !token.bytes().all(|b| b.is_ascii_digit()) || value.number().is_none() {
            return Err(shape(value, "logit_bias"));
        }
    }
    Ok(())
}

fn modalities(value: Value<'_>, found: &mut Found) -> Result<(), DialectError> {
    scalar(value, Kind::Array, "modalities")?;
    for item in value.items() {
        match item.text().as_deref() {
            Some("text") => {}
            Some(_) => found.hides("modalities", item)?,
            None => return Err(shape(item, "modalities")),
        }
    }
    Ok(())
}
