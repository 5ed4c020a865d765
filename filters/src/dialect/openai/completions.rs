//! `/completions`: the old endpoint that goes on with a text. `prompt` and `suffix` are `User`, what it says is `Assistant`.
//! Prompts of token numbers cannot be read. `logprobs` is refused, as with chats.

use postern_config::{Action, Part};

use super::chat::answer::{dropped, read};
use super::chat::request::{shared, stream_options};
use super::chat::stream::Completions;
use crate::dialect::DialectError;
use crate::dialect::adapter::Adapter;
use crate::dialect::ai::Facts;
use crate::dialect::body::{Found, Hidden};
use crate::dialect::fields::{choices, count, expect, flag, member, scalar, shape, string, word};
use crate::json::{Kind, Value};

pub(super) static ADAPTER: Adapter = Adapter {
    writes: true,
    put: None,
    action: Action::Chat,
    request: Some(request),
    answer,
    events: Some(Completions::text),
};

fn request(root: Value<'_>, found: &mut Found, facts: &mut Facts) -> Result<(), DialectError> {
    expect(root, Kind::Object, "request")?;
    for (key, value) in root.entries() {
        match string(key, "request")?.as_ref() {
            "prompt" => texts(value, Part::User, "prompt", found)?,
            "suffix" | "user" if value.is_null() => {}
            "suffix" | "user" => found.text(value, Part::User, "suffix")?,
            "stop" => found.tree(value, Part::User, &[]),
            "max_tokens" => facts.max_tokens = count(value, "max_tokens")?,
            // The provider makes as many answers as the larger of the two says.
            "n" | "best_of" => facts.choices = facts.choices.max(choices(value, "n")?),
            "stream_options" => stream_options(value)?,
            "echo" => drop(flag(value, "echo")?),
            "logprobs" if value.is_null() => {}
            "logprobs" => return Err(DialectError::Unsupported { what: "logprobs" }),
            other => shared(other, key, value, facts)?,
        }
    }
    member(root, "model", "model")?;
    member(root, "prompt", "prompt").map(drop)
}

/// A string or strings; numbers of tokens are opaque.
pub(super) fn texts(value: Value<'_>, part: Part, what: &'static str, found: &mut Found) -> Result<(), DialectError> {
    match value.kind() {
        Kind::String => found.text(value, part, what),
        Kind::Array if !value.is_empty() => value.items().try_for_each(|item| match item.kind() {
            Kind::String => found.text(item, part, what),
            Kind::Number | Kind::Array => {
                found.opaque("token numbers", Hidden::Everywhere);
                Ok(())
            }
            _ => Err(shape(item, what)),
        }),
        _ => Err(shape(value, what)),
    }
}

fn answer(root: Value<'_>, found: &mut Found, facts: &mut Facts) -> Result<(), DialectError> {
    read(root, found, facts, choice)
}

fn choice(item: Value<'_>, found: &mut Found) -> Result<(), DialectError> {
    expect(item, Kind::Object, "choices[]")?;
    found.choice();
    for (key, value) in item.entries() {
        match string(key, "choices[]")?.as_ref() {
            "index" => scalar(value, Kind::Number, "index")?,
            "finish_reason" => word(value, "finish_reason")?,
            "logprobs" => found.null(value),
            "text" => {
                found.says(value);
                found.text(value, Part::Assistant, "text")?;
            }
            other => dropped(other, item, key, value, |within, child| found.remove(within, child))?,
        }
    }
    Ok(())
}
