//! Whole answers, or the vendor's error object. A shape or field that is not known is an error: the answer is refused.

use postern_config::Part;

use super::content::{Reading, content};
use super::names::{Member, find, list, members};
use crate::dialect::DialectError;
use crate::dialect::ai::{Facts, Usage};
use crate::dialect::body::Found;
use crate::dialect::fields::{count, expect, identifier, scalar, shape, unknown, word};
use crate::json::{Kind, Value};

const RATING: [&str; 7] =
    ["category", "probability", "blocked", "probabilityScore", "severity", "severityScore", "overwrittenThreshold"];

pub(super) fn generated(root: Value<'_>, found: &mut Found, facts: &mut Facts) -> Result<(), DialectError> {
    read(root, Reading::Answer, found, facts)
}

/// A whole answer, or one event of a stream.
pub(super) fn read(
    root: Value<'_>,
    reading: Reading,
    found: &mut Found,
    facts: &mut Facts,
) -> Result<(), DialectError> {
    expect(root, Kind::Object, "answer")?;
    if error(root, found, facts) {
        return Ok(());
    }
    for Member { name, key, value } in members(root, "answer")? {
        match name.as_ref() {
            "candidates" => {
                expect(value, Kind::Array, "candidates")?;
                value.items().try_for_each(|item| candidate(item, reading, found))?;
            }
            "promptFeedback" => feedback(value, found)?,
            "usageMetadata" => facts.usage = Some(usage(value)?),
            "modelVersion" => facts.model = Some(identifier(value, "modelVersion")?.into_owned()),
            "responseId" | "createTime" => word(value, "responseId")?,
            "modelStatus" => found.tree(value, Part::Assistant, &[]),
            _ => return Err(unknown(key, "answer")),
        }
    }
    if reading == Reading::Answer && find(root, "candidates").or_else(|| find(root, "promptFeedback")).is_none() {
        return Err(DialectError::Missing { what: "candidates" });
    }
    Ok(())
}

fn candidate(item: Value<'_>, reading: Reading, found: &mut Found) -> Result<(), DialectError> {
    found.choice();
    for Member { name, key, value } in members(item, "candidates[]")? {
        match name.as_ref() {
            "content" => content(value, Part::Assistant, reading, found)?,
            "finishReason" => word(value, "finishReason")?,
            "finishMessage" => found.text(value, Part::Assistant, "finishMessage")?,
            "index" | "avgLogprobs" | "tokenCount" => scalar(value, Kind::Number, "index")?,
            "safetyRatings" => list(value, &RATING, "safetyRatings")?,
            "citationMetadata" | "groundingMetadata" | "groundingAttributions" | "urlContextMetadata" => {
                found.tree(value, Part::Assistant, &["citationSources", "startIndex", "endIndex", "uri", "license"]);
            }
            // Token by token it would spell what is cut out.
            "logprobsResult" => found.remove(item, value),
            _ => return Err(unknown(key, "candidates[]")),
        }
    }
    Ok(())
}

fn feedback(value: Value<'_>, found: &mut Found) -> Result<(), DialectError> {
    for Member { name, key, value } in members(value, "promptFeedback")? {
        match name.as_ref() {
            "blockReason" => word(value, "blockReason")?,
            "blockReasonMessage" => found.text(value, Part::Assistant, "blockReasonMessage")?,
            "safetyRatings" => list(value, &RATING, "safetyRatings")?,
            _ => return Err(unknown(key, "promptFeedback")),
        }
    }
    Ok(())
}

/// The vendor's error object, whose every string is a text.
pub(super) fn error(root: Value<'_>, found: &mut Found, facts: &mut Facts) -> bool {
    let is_error = root.get("error").is_some_and(|error| !error.is_null());
    if is_error {
        found.tree(root, Part::Assistant, &["error", "code", "message", "status", "details"]);
        facts.is_error = true;
    }
    is_error
}

/// `usageMetadata`: counts, of which those by modality are details, and words of accounting.
pub(super) fn usage(value: Value<'_>) -> Result<Usage, DialectError> {
    let mut usage = Usage::default();
    for Member { name, value, .. } in members(value, "usageMetadata")? {
        let known = match name.as_ref() {
            "promptTokenCount" | "toolUsePromptTokenCount" => Some(&mut usage.prompt),
            "candidatesTokenCount" | "thoughtsTokenCount" => Some(&mut usage.completion),
            "totalTokenCount" => Some(&mut usage.total),
            _ => None,
        };
        match (known, value.kind()) {
            (Some(sum), _) => *sum = sum.saturating_add(count(value, "usageMetadata")?.unwrap_or(0)),
            (None, Kind::Number) => {}
            (None, Kind::String) => word(value, "usageMetadata")?,
            (None, Kind::Array) => list(value, &["modality", "tokenCount"], "usageMetadata")?,
            _ => return Err(shape(value, "usageMetadata")),
        }
    }
    Ok(usage)
}

/// `{totalTokens}` and its details.
pub(super) fn counted(root: Value<'_>, found: &mut Found, facts: &mut Facts) -> Result<(), DialectError> {
    if error(root, found, facts) {
        return Ok(());
    }
    let prompt = find(root, "totalTokens").ok_or(DialectError::Missing { what: "totalTokens" })?;
    let prompt = count(prompt, "totalTokens")?.unwrap_or(0);
    usage(root)?;
    facts.usage = Some(Usage { prompt, completion: 0, total: prompt });
    Ok(())
}
