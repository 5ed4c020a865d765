//! A whole message, a count of tokens, or the vendor's error object.
//!
//! Texts of blocks go where those of a request's assistant go. A shape or field that is not known is an error: the answer is
//! refused.

use postern_config::Part;

use super::block::{Role, block, stop};
use crate::dialect::DialectError;
use crate::dialect::ai::{Facts, Usage};
use crate::dialect::body::Found;
use crate::dialect::fields::{self, expect, identifier, only_numbers, shape, string, unknown, word};
use crate::json::{Kind, Value};

pub(super) fn message(root: Value<'_>, found: &mut Found, facts: &mut Facts) -> Result<(), DialectError> {
    expect(root, Kind::Object, "answer")?;
    if error(root, found, facts) {
        return Ok(());
    }
    found.choice();
    let mut content = false;
    for (key, value) in root.entries() {
        match string(key, "answer")?.as_ref() {
            "content" => {
                expect(value, Kind::Array, "content")?;
                value.items().try_for_each(|item| block(item, Role::Assistant, found))?;
                content = true;
            }
            "id" | "type" | "role" => word(value, "answer.id")?,
            "model" => facts.model = Some(identifier(value, "model")?.into_owned()),
            "usage" => facts.usage = usage(value)?,
            "container" if value.is_null() => {}
            "container" => found.hides("container", value)?,
            "context_management" | "diagnostics" => found.remove(root, value),
            other if stop(other, value, found)? => {}
            _ => return Err(unknown(key, "answer")),
        }
    }
    if content { Ok(()) } else { Err(DialectError::Missing { what: "content" }) }
}

/// `{input_tokens}`.
fn count_of(root: Value<'_>) -> Result<u64, DialectError> {
    let tokens = root.get("input_tokens").ok_or(DialectError::Missing { what: "input_tokens" })?;
    fields::count(tokens, "input_tokens")?.ok_or(shape(tokens, "input_tokens"))
}

pub(super) fn count(root: Value<'_>, found: &mut Found, facts: &mut Facts) -> Result<(), DialectError> {
    expect(root, Kind::Object, "answer")?;
    if error(root, found, facts) {
        return Ok(());
    }
    let prompt = count_of(root)?;
    facts.usage = Some(Usage { prompt, completion: 0, total: prompt });
    match root.entries().find(|(key, _)| !key.is_text("input_tokens")) {
        Some((key, value)) if key.is_text("context_management") => {
            found.remove(root, value);
            Ok(())
        }
        Some((key, _)) => Err(unknown(key, "answer")),
        None => Ok(()),
    }
}

/// The vendor's error object, whose every string is a text.
fn error(root: Value<'_>, found: &mut Found, facts: &mut Facts) -> bool {
    let is_error = root.get("error").is_some_and(|error| !error.is_null());
    if is_error {
        found.tree(root, Part::Assistant, &["type", "error", "message", "request_id"]);
        facts.is_error = true;
    }
    is_error
}

/// `usage`: counts, details that are counts too, and words of accounting. What was cached is input as well.
pub(super) fn usage(value: Value<'_>) -> Result<Option<Usage>, DialectError> {
    if value.is_null() {
        return Ok(None);
    }
    expect(value, Kind::Object, "usage")?;
    let mut usage = Usage::default();
    for (key, value) in value.entries() {
        match string(key, "usage")?.as_ref() {
            "input_tokens" | "cache_creation_input_tokens" | "cache_read_input_tokens" => {
                usage.prompt = usage.prompt.saturating_add(fields::count(value, "usage")?.unwrap_or(0));
            }
            "output_tokens" => usage.completion = fields::count(value, "usage")?.unwrap_or(0),
            "service_tier" | "inference_geo" | "speed" => word(value, "usage")?,
            _ if only_numbers(value) => {}
            _ => return Err(shape(value, "usage")),
        }
    }
    usage.total = usage.prompt.saturating_add(usage.completion);
    Ok(Some(usage))
}
