//! A whole response, or the vendor's error object. What repeats the request is judged as a text of the answer; the
//! instructions, to which a policy may have added, are left out.

use postern_config::Part;

use super::item;
use crate::dialect::DialectError;
use crate::dialect::ai::{Facts, Usage};
use crate::dialect::body::Found;
use crate::dialect::fields::{
    SCHEMA_WORDS, count, expect, identifier, member, only_numbers, scalar, settings, shape, string, word,
};
use crate::dialect::openai::chat::answer::{dropped, error};
use crate::json::{Kind, Value};

/// Settings of the request, said again.
const NUMBERS: [&str; 10] = [
    "created_at",
    "completed_at",
    "temperature",
    "top_p",
    "top_logprobs",
    "max_output_tokens",
    "max_tool_calls",
    "presence_penalty",
    "frequency_penalty",
    "n",
];
const WORDS: [&str; 9] = [
    "id",
    "object",
    "status",
    "model",
    "service_tier",
    "truncation",
    "verbosity",
    "prompt_cache_retention",
    "previous_response_id",
];

pub(super) fn response(root: Value<'_>, found: &mut Found, facts: &mut Facts) -> Result<(), DialectError> {
    expect(root, Kind::Object, "answer")?;
    // A response that failed has an error beside its output; the error object has nothing else.
    if root.get("output").is_none() && error(root, found, facts) {
        return Ok(());
    }
    found.choice();
    for (key, value) in root.entries() {
        let name = string(key, "answer")?;
        match name.as_ref() {
            "output" => {
                expect(value, Kind::Array, "output")?;
                value.items().try_for_each(|one| item::of_answer(one, found))?;
            }
            "model" => facts.model = Some(identifier(value, "model")?.into_owned()),
            "usage" => facts.usage = usage(value)?,
            "instructions" => found.null(value),
            "output_text" => {
                // As clients put it together; nobody could say whether it is what `output` says.
                found.says(value);
                found.tree(value, Part::Assistant, &[]);
            }
            "error" | "tools" | "tool_choice" | "text" | "metadata" | "user" | "safety_identifier"
            | "prompt_cache_key" => found.tree(value, Part::Assistant, &SCHEMA_WORDS),
            "reasoning" => settings(value, &["effort", "summary", "generate_summary", "context"], "reasoning")?,
            "incomplete_details" => settings(value, &["reason"], "incomplete_details")?,
            "parallel_tool_calls" | "store" | "background" => scalar(value, Kind::Bool, "store")?,
            "prompt_cache_options" | "billing" | "conversation" | "prompt" | "context_management" => {
                found.remove(root, value);
            }
            other if NUMBERS.contains(&other) => scalar(value, Kind::Number, "created_at")?,
            other if WORDS.contains(&other) => word(value, "answer.id")?,
            other => dropped(other, root, key, value, |within, child| found.remove(within, child))?,
        }
    }
    member(root, "output", "output").map(drop)
}

/// `usage`: counts, and details that are counts too.
fn usage(value: Value<'_>) -> Result<Option<Usage>, DialectError> {
    if value.is_null() {
        return Ok(None);
    }
    expect(value, Kind::Object, "usage")?;
    let mut usage = Usage::default();
    for (key, value) in value.entries() {
        match key.text().as_deref() {
            Some("input_tokens") => usage.prompt = count(value, "usage")?.unwrap_or(0),
            Some("output_tokens") => usage.completion = count(value, "usage")?.unwrap_or(0),
            Some("total_tokens") => usage.total = count(value, "usage")?.unwrap_or(0),
            _ if only_numbers(value) => {}
            _ => return Err(shape(value, "usage")),
        }
    }
    Ok(Some(usage))
}
