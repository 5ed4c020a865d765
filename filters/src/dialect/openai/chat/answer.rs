//! A whole chat completion, or the vendor's error object.
//!
//! Texts: `content` and `refusal` are `Assistant`, `reasoning_content` and `reasoning` are `Reasoning`, calls are
//! `ToolArguments`, annotations and the strings of an error are `Assistant`. `logprobs` passes as `null` and what
//! repeats the text in a form that is not judged is taken out. A shape or field that is not known is an error: the answer
//! is refused.

use postern_config::Part;

use super::message::{function_call, tool_calls};
use super::tables::ANSWER_DROPPED;
use crate::dialect::DialectError;
use crate::dialect::ai::{Facts, Usage};
use crate::dialect::body::Found;
use crate::dialect::fields::{expect, identifier, only_numbers, scalar, shape, string, unknown, word};
use crate::json::{Kind, Value};

pub(super) fn answer(root: Value<'_>, found: &mut Found, facts: &mut Facts) -> Result<(), DialectError> {
    read(root, found, facts, choice)
}

/// The vendor's error object, whose every string is a text.
pub(in crate::dialect::openai) fn error(root: Value<'_>, found: &mut Found, facts: &mut Facts) -> bool {
    let is_error = root.get("error").is_some_and(|error| !error.is_null());
    if is_error {
        found.tree(root, Part::Assistant, &[]);
        facts.is_error = true;
    }
    is_error
}

/// An answer with choices, each of which `choice` reads.
pub(in crate::dialect::openai) fn read(
    root: Value<'_>,
    found: &mut Found,
    facts: &mut Facts,
    choice: fn(Value<'_>, &mut Found) -> Result<(), DialectError>,
) -> Result<(), DialectError> {
    expect(root, Kind::Object, "answer")?;
    if error(root, found, facts) {
        return Ok(());
    }
    let mut choices = false;
    for (key, value) in root.entries() {
        match string(key, "answer")?.as_ref() {
            "choices" => {
                expect(value, Kind::Array, "choices")?;
                value.items().try_for_each(|item| choice(item, found))?;
                choices = true;
            }
            "model" => facts.model = Some(identifier(value, "model")?.into_owned()),
            "usage" => facts.usage = usage(value)?,
            other => head_field(other, root, key, value, |_, child| found.remove(root, child))?,
        }
    }
    if choices { Ok(()) } else { Err(DialectError::Missing { what: "choices" }) }
}

/// A field beside `choices` and `usage`, of an answer or of an event. Calls `strip` for one that does not pass.
pub(in crate::dialect::openai) fn head_field<'a>(
    name: &str,
    within: Value<'a>,
    key: Value<'a>,
    value: Value<'a>,
    strip: impl FnOnce(Value<'a>, Value<'a>),
) -> Result<(), DialectError> {
    match name {
        "id" | "object" | "model" | "system_fingerprint" | "service_tier" => word(value, "answer.id")?,
        "created" => scalar(value, Kind::Number, "created")?,
        _ => return dropped(name, within, key, value, strip),
    }
    Ok(())
}

/// A field that no table reads: taken out if it is one of those that are dropped, or `null`; else refused.
pub(in crate::dialect::openai) fn dropped<'a>(
    name: &str,
    within: Value<'a>,
    key: Value<'a>,
    value: Value<'a>,
    strip: impl FnOnce(Value<'a>, Value<'a>),
) -> Result<(), DialectError> {
    if value.is_null() || ANSWER_DROPPED.contains(&name) {
        strip(within, value);
        return Ok(());
    }
    Err(unknown(key, "answer"))
}

fn choice(item: Value<'_>, found: &mut Found) -> Result<(), DialectError> {
    expect(item, Kind::Object, "choices[]")?;
    found.choice();
    for (key, value) in item.entries() {
        match string(key, "choices[]")?.as_ref() {
            "index" => scalar(value, Kind::Number, "index")?,
            "finish_reason" => word(value, "finish_reason")?,
            "logprobs" => found.null(value),
            "message" => message(value, found)?,
            other => dropped(other, item, key, value, |within, child| found.remove(within, child))?,
        }
    }
    Ok(())
}

fn message(item: Value<'_>, found: &mut Found) -> Result<(), DialectError> {
    expect(item, Kind::Object, "message")?;
    for (key, value) in item.entries() {
        match string(key, "message")?.as_ref() {
            "role" => drop(identifier(value, "role")?),
            "tool_calls" => tool_calls(value, found)?,
            "function_call" => function_call(value, found)?,
            "content" | "refusal" | "reasoning_content" | "reasoning" | "audio" if value.is_null() => {}
            "content" | "refusal" => {
                found.says(value);
                found.text(value, Part::Assistant, "content")?;
            }
            "reasoning_content" | "reasoning" => found.text(value, Part::Reasoning, "reasoning_content")?,
            "annotations" => found.tree(value, Part::Assistant, &["type", "url_citation", "title", "url"]),
            "audio" => found.hides("audio", value)?,
            other => dropped(other, item, key, value, |within, child| found.remove(within, child))?,
        }
    }
    Ok(())
}

/// `usage`: counts, and details that are counts too.
pub(in crate::dialect::openai) fn usage(value: Value<'_>) -> Result<Option<Usage>, DialectError> {
    if value.is_null() {
        return Ok(None);
    }
    expect(value, Kind::Object, "usage")?;
    let mut usage = Usage::default();
    for (key, value) in value.entries() {
        let field = match key.text().as_deref() {
            Some("prompt_tokens") => Some(&mut usage.prompt),
            Some("completion_tokens") => Some(&mut usage.completion),
            Some("total_tokens") => Some(&mut usage.total),
            _ => None,
        };
        if let Some(field) = field {
            *field = value.integer().and_then(|n| u64::try_from(n).ok()).ok_or(shape(value, "usage"))?;
        } else if !only_numbers(value) {
            return Err(shape(value, "usage"));
        }
    }
    Ok(Some(usage))
}
