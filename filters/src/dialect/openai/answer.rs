//! A whole chat completion, or the vendor's error object.
//!
//! Texts: `content` and `refusal` are `Assistant`, `reasoning_content` and `reasoning` are `Reasoning`, calls are
//! `ToolArguments`, annotations and the strings of an error are `Assistant`. `logprobs` passes as `null` and what
//! repeats the text in a form that is not judged is taken out. A shape or field that is not known is an error: the answer
//! is refused.

use bytes::Bytes;
use postern_config::Part;

use super::message::{function_call, tool_calls, unknown};
use super::tables::ANSWER_DROPPED;
use crate::Edit;
use crate::dialect::body::{Found, JsonBody, expect, identifier, scalar, shape, string};
use crate::dialect::{DialectError, Message, MessagePart};
use crate::json::{Kind, Limits, Value};

/// Tokens, as the provider counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    pub prompt: u64,
    pub completion: u64,
    pub total: u64,
}

/// A parsed answer. Owns its bytes.
#[derive(Debug)]
pub struct ChatAnswer {
    body: JsonBody,
    facts: Facts,
}

#[derive(Debug, Default)]
struct Facts {
    model: Option<String>,
    usage: Option<Usage>,
    is_error: bool,
}

impl ChatAnswer {
    /// Reads a whole answer, of a success or of an error status.
    ///
    /// # Errors
    /// Anything that is not strict JSON, and a field or shape that is not known.
    pub fn parse(body: Bytes, limits: Limits) -> Result<Self, DialectError> {
        let (body, facts) = JsonBody::parse(body, limits, answer)?;
        Ok(Self { body, facts })
    }

    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        self.facts.usage
    }

    /// Whether this is `{"error": …}`.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.facts.is_error
    }
}

impl Message for ChatAnswer {
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
        self.facts.model.as_deref()
    }
}

fn answer(root: Value<'_>, found: &mut Found) -> Result<Facts, DialectError> {
    expect(root, Kind::Object, "answer")?;
    if root.get("error").is_some_and(|error| !error.is_null()) {
        found.tree(root, Part::Assistant, &[]);
        return Ok(Facts { is_error: true, ..Facts::default() });
    }
    let mut facts = Facts::default();
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
    if choices { Ok(facts) } else { Err(DialectError::Missing { what: "choices" }) }
}

/// A field beside `choices` and `usage`, of an answer or of an event. Calls `strip` for one that does not pass.
pub(super) fn head_field<'a>(
    name: &str,
    within: Value<'a>,
    key: Value<'a>,
    value: Value<'a>,
    strip: impl FnOnce(Value<'a>, Value<'a>),
) -> Result<(), DialectError> {
    match name {
        "id" | "object" | "model" | "system_fingerprint" | "service_tier" if value.is_null() => {}
        "id" | "object" | "model" | "system_fingerprint" | "service_tier" => {
            identifier(value, "answer.id")?;
        }
        "created" => scalar(value, Kind::Number, "created")?,
        _ => return dropped(name, within, key, value, strip),
    }
    Ok(())
}

/// A field that no table reads: taken out if it is one of those that are dropped, or `null`; else refused.
pub(super) fn dropped<'a>(
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
    for (key, value) in item.entries() {
        match string(key, "choices[]")?.as_ref() {
            "index" => scalar(value, Kind::Number, "index")?,
            "finish_reason" if value.is_null() => {}
            "finish_reason" => drop(identifier(value, "finish_reason")?),
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
            "content" | "refusal" => found.text(value, Part::Assistant, "content")?,
            "reasoning_content" | "reasoning" => found.text(value, Part::Reasoning, "reasoning_content")?,
            "annotations" => found.tree(value, Part::Assistant, &["type", "url_citation", "title", "url"]),
            "audio" => found.opaque("audio"),
            other => dropped(other, item, key, value, |within, child| found.remove(within, child))?,
        }
    }
    Ok(())
}

/// `usage`: counts, and details that are counts too.
pub(super) fn usage(value: Value<'_>) -> Result<Option<Usage>, DialectError> {
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

fn only_numbers(value: Value<'_>) -> bool {
    match value.kind() {
        Kind::Number | Kind::Null | Kind::Bool => true,
        Kind::Object => value.entries().all(|(_, v)| matches!(v.kind(), Kind::Number | Kind::Null | Kind::Bool)),
        Kind::String | Kind::Array => false,
    }
}
