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

use bytes::Bytes;
use postern_config::Part;

pub use self::tools::ToolChoice;
use self::tools::{functions, tool_choice, tools};
use super::message::{content, function_call, tool_calls, unknown, words};
use super::tables::{REQUEST_SCALARS, REQUEST_UNSUPPORTED, REQUEST_WORDS, SCHEMA_WORDS};
use crate::Edit;
use crate::dialect::body::{Found, JsonBody, expect, identifier, scalar, shape, string};
use crate::dialect::{DialectError, Message, MessagePart};
use crate::json::{Kind, Limits, Value};

/// Bounds of a request.
#[derive(Debug, Clone, Copy)]
pub struct ChatLimits {
    pub json: Limits,
    /// Choices that may be asked for with `n`.
    pub choices: u32,
}

impl Default for ChatLimits {
    fn default() -> Self {
        Self { json: Limits::default(), choices: 16 }
    }
}

/// A parsed request. Owns its bytes.
#[derive(Debug)]
pub struct ChatRequest {
    body: JsonBody,
    facts: Facts,
}

#[derive(Debug, Default)]
struct Facts {
    model: String,
    stream: bool,
    include_usage: bool,
    choices: u32,
    max_tokens: Option<u64>,
    tools: Vec<String>,
    tool_choice: ToolChoice,
}

impl ChatRequest {
    /// Reads a whole request body.
    ///
    /// # Errors
    /// Anything that is not strict JSON, a field that is in no table, or a shape that the vendor does not document.
    pub fn parse(body: Bytes, limits: ChatLimits) -> Result<Self, DialectError> {
        let (body, facts) = JsonBody::parse(body, limits.json, |root, found| request(root, found, limits.choices))?;
        Ok(Self { body, facts })
    }

    /// Whether the caller asked for a usage event at the end of the stream.
    #[must_use]
    pub fn include_usage(&self) -> bool {
        self.facts.include_usage
    }

    /// `n`, 1 unless given.
    #[must_use]
    pub fn choices(&self) -> u32 {
        self.facts.choices
    }

    /// The larger of `max_completion_tokens` and `max_tokens`.
    #[must_use]
    pub fn max_tokens(&self) -> Option<u64> {
        self.facts.max_tokens
    }

    /// Names of the tools and functions on offer, in their order.
    #[must_use]
    pub fn tools(&self) -> &[String] {
        &self.facts.tools
    }

    #[must_use]
    pub fn tool_choice(&self) -> &ToolChoice {
        &self.facts.tool_choice
    }
}

impl Message for ChatRequest {
    fn parts(&self) -> &[MessagePart] {
        self.body.parts()
    }

    fn opaque(&self) -> Option<&'static str> {
        self.body.opaque()
    }

    fn rewrite(&self, edits: &[(usize, Vec<Edit>)]) -> Result<Bytes, DialectError> {
        self.body.rewrite(edits)
    }

    fn model(&self) -> Option<&str> {
        Some(&self.facts.model)
    }

    fn stream(&self) -> bool {
        self.facts.stream
    }
}

fn request(root: Value<'_>, found: &mut Found, most_choices: u32) -> Result<Facts, DialectError> {
    expect(root, Kind::Object, "request")?;
    let mut facts = Facts { choices: 1, ..Facts::default() };
    let mut messages = false;
    for (key, value) in root.entries() {
        let name = string(key, "request")?;
        match name.as_ref() {
            "messages" => {
                self::messages(value, found)?;
                messages = true;
            }
            "model" => facts.model = identifier(value, "model")?.into_owned(),
            "stream" => facts.stream = flag(value, "stream")?,
            "stream_options" => facts.include_usage = stream_options(value)?,
            "n" => facts.choices = choices(value, most_choices)?,
            "max_tokens" | "max_completion_tokens" => {
                facts.max_tokens = facts.max_tokens.max(max_tokens(value)?);
            }
            "logprobs" if flag(value, "logprobs")? => return Err(DialectError::Unsupported { what: "logprobs" }),
            "logprobs" => {}
            "top_logprobs" if value.is_null() || value.integer() == Some(0) => {}
            "top_logprobs" => return Err(DialectError::Unsupported { what: "top_logprobs" }),
            "tools" => tools(value, found, &mut facts.tools)?,
            "functions" => functions(value, found, &mut facts.tools)?,
            // The new and the old spelling together: which one counts is the upstream's guess.
            "tool_choice" | "function_call" if facts.tool_choice != ToolChoice::Auto => {
                return Err(shape(value, "tool_choice"));
            }
            "tool_choice" | "function_call" => facts.tool_choice = tool_choice(value, found)?,
            "response_format" => found.tree(value, Part::ToolDefinition, &SCHEMA_WORDS),
            "stop" | "metadata" => found.tree(value, Part::User, &[]),
            "user" | "safety_identifier" | "prompt_cache_key" if value.is_null() => {}
            "user" | "safety_identifier" | "prompt_cache_key" => found.text(value, Part::User, "user")?,
            "prediction" => prediction(value, found)?,
            "prompt_cache_options" => words(value, "prompt_cache_options")?,
            "logit_bias" => logit_bias(value)?,
            "modalities" => modalities(value, found)?,
            other => benign(other, key, value)?,
        }
    }
    if facts.model.is_empty() {
        return Err(DialectError::Missing { what: "model" });
    }
    if messages { Ok(facts) } else { Err(DialectError::Missing { what: "messages" }) }
}

fn benign(name: &str, key: Value<'_>, value: Value<'_>) -> Result<(), DialectError> {
    if let Some((what, kind)) = REQUEST_SCALARS.iter().find(|(known, _)| *known == name) {
        return scalar(value, *kind, what);
    }
    if let Some(what) = REQUEST_WORDS.iter().find(|known| **known == name) {
        return if value.is_null() { Ok(()) } else { identifier(value, what).map(drop) };
    }
    if let Some(what) = REQUEST_UNSUPPORTED.iter().find(|known| **known == name) {
        return if value.is_null() { Ok(()) } else { Err(DialectError::Unsupported { what }) };
    }
    Err(unknown(key, "request"))
}

fn flag(value: Value<'_>, what: &'static str) -> Result<bool, DialectError> {
    scalar(value, Kind::Bool, what)?;
    Ok(value.boolean().unwrap_or(false))
}

fn stream_options(value: Value<'_>) -> Result<bool, DialectError> {
    if value.is_null() {
        return Ok(false);
    }
    expect(value, Kind::Object, "stream_options")?;
    let mut include_usage = false;
    for (key, value) in value.entries() {
        match key.text().as_deref() {
            Some("include_usage") => include_usage = flag(value, "include_usage")?,
            Some("include_obfuscation") => drop(flag(value, "include_obfuscation")?),
            _ => return Err(unknown(key, "stream_options")),
        }
    }
    Ok(include_usage)
}

fn choices(value: Value<'_>, most: u32) -> Result<u32, DialectError> {
    if value.is_null() {
        return Ok(1);
    }
    let n = value.integer().and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0).ok_or(shape(value, "n"))?;
    if n > most { Err(DialectError::TooMany { what: "choices" }) } else { Ok(n) }
}

fn max_tokens(value: Value<'_>) -> Result<Option<u64>, DialectError> {
    if value.is_null() {
        return Ok(None);
    }
    value.integer().and_then(|n| u64::try_from(n).ok()).map(Some).ok_or(shape(value, "max_tokens"))
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
    let role = item.get("role").ok_or(DialectError::Missing { what: "messages[].role" })?;
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
        "audio" => {
            found.opaque("audio");
            Ok(())
        }
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
            Some(_) => found.opaque("modalities"),
            None => return Err(shape(item, "modalities")),
        }
    }
    Ok(())
}
