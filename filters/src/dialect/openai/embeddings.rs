//! `/embeddings`: texts in, vectors out. Inputs of token numbers cannot be read.

use postern_config::{Action, Part};

use super::chat::answer::{dropped, error, head_field, usage};
use super::chat::request::model;
use super::completions::texts;
use crate::dialect::DialectError;
use crate::dialect::adapter::Adapter;
use crate::dialect::ai::Facts;
use crate::dialect::body::Found;
use crate::dialect::fields::{base64, count, expect, identifier, member, scalar, shape, string, unknown, word};
use crate::json::{Kind, Value};

pub(super) static ADAPTER: Adapter =
    Adapter { writes: false, put: None, action: Action::Embed, request: Some(request), answer, events: None };

fn request(root: Value<'_>, found: &mut Found, facts: &mut Facts) -> Result<(), DialectError> {
    expect(root, Kind::Object, "request")?;
    for (key, value) in root.entries() {
        match string(key, "request")?.as_ref() {
            "model" => facts.model = Some(model(value)?),
            "input" => texts(value, Part::Embedding, "input", found)?,
            "dimensions" => drop(count(value, "dimensions")?),
            "encoding_format" => word(value, "encoding_format")?,
            "user" if value.is_null() => {}
            "user" => found.text(value, Part::User, "user")?,
            _ => return Err(unknown(key, "request")),
        }
    }
    member(root, "model", "model")?;
    facts.max_tokens = Some(0);
    member(root, "input", "input").map(drop)
}

fn answer(root: Value<'_>, found: &mut Found, facts: &mut Facts) -> Result<(), DialectError> {
    expect(root, Kind::Object, "answer")?;
    if error(root, found, facts) {
        return Ok(());
    }
    for (key, value) in root.entries() {
        match string(key, "answer")?.as_ref() {
            "data" => {
                expect(value, Kind::Array, "data")?;
                value.items().try_for_each(|item| vector(item, found))?;
            }
            "model" => facts.model = Some(identifier(value, "model")?.into_owned()),
            "usage" => facts.usage = usage(value)?,
            other => head_field(other, root, key, value, |_, child| found.remove(root, child))?,
        }
    }
    member(root, "data", "data").map(drop)
}

fn vector(item: Value<'_>, found: &mut Found) -> Result<(), DialectError> {
    expect(item, Kind::Object, "data[]")?;
    for (key, value) in item.entries() {
        match string(key, "data[]")?.as_ref() {
            "object" => word(value, "object")?,
            "index" => scalar(value, Kind::Number, "index")?,
            "embedding" => numbers(value)?,
            other => dropped(other, item, key, value, |within, child| found.remove(within, child))?,
        }
    }
    Ok(())
}

/// A vector: numbers, or the bytes of them in base64.
fn numbers(value: Value<'_>) -> Result<(), DialectError> {
    match value.kind() {
        Kind::String => base64(value, "embedding"),
        Kind::Array if value.items().all(|item| item.kind() == Kind::Number) => Ok(()),
        _ => Err(shape(value, "embedding")),
    }
}
