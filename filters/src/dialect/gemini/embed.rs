//! Texts in, vectors out; one, or several at once.

use postern_config::Part;

use super::answer::{self, error};
use super::content::{Reading, content};
use super::names::{Member, find, members};
use super::request::same_model;
use crate::dialect::DialectError;
use crate::dialect::ai::Facts;
use crate::dialect::body::Found;
use crate::dialect::fields::{expect, flag, scalar, shape, unknown, word};
use crate::json::{Kind, Value};

pub(super) fn one(root: Value<'_>, found: &mut Found, facts: &mut Facts) -> Result<(), DialectError> {
    facts.max_tokens = Some(0);
    for Member { name, key, value } in members(root, "request")? {
        match name.as_ref() {
            "model" => same_model(value, facts)?,
            "content" => content(value, Part::Embedding, Reading::Request, found)?,
            "title" => found.text(value, Part::Embedding, "title")?,
            "taskType" => word(value, "taskType")?,
            "outputDimensionality" => scalar(value, Kind::Number, "outputDimensionality")?,
            "autoTruncate" => drop(flag(value, "autoTruncate")?),
            _ => return Err(unknown(key, "request")),
        }
    }
    if find(root, "content").is_some() { Ok(()) } else { Err(DialectError::Missing { what: "content" }) }
}

pub(super) fn batch(root: Value<'_>, found: &mut Found, facts: &mut Facts) -> Result<(), DialectError> {
    for Member { name, key, value } in members(root, "request")? {
        if name != "requests" {
            return Err(unknown(key, "request"));
        }
        expect(value, Kind::Array, "requests")?;
        value.items().try_for_each(|item| one(item, found, facts))?;
    }
    if find(root, "requests").is_some() { Ok(()) } else { Err(DialectError::Missing { what: "requests" }) }
}

pub(super) fn answer(root: Value<'_>, found: &mut Found, facts: &mut Facts) -> Result<(), DialectError> {
    if error(root, found, facts) {
        return Ok(());
    }
    let mut vectors = false;
    for Member { name, key, value } in members(root, "answer")? {
        match name.as_ref() {
            "embedding" => vector(value)?,
            "embeddings" => {
                expect(value, Kind::Array, "embeddings")?;
                value.items().try_for_each(vector)?;
            }
            "usageMetadata" => {
                facts.usage = Some(answer::usage(value)?);
                continue;
            }
            "metadata" => {
                found.remove(root, value);
                continue;
            }
            _ => return Err(unknown(key, "answer")),
        }
        vectors = true;
    }
    if vectors { Ok(()) } else { Err(DialectError::Missing { what: "embedding" }) }
}

/// `{values: [numbers]}`.
fn vector(value: Value<'_>) -> Result<(), DialectError> {
    for Member { name, key, value } in members(value, "embedding")? {
        match name.as_ref() {
            "values" | "shape" if value.items().all(|item| item.kind() == Kind::Number) => {
                expect(value, Kind::Array, "embedding.values")?;
            }
            "values" | "shape" => return Err(shape(value, "embedding.values")),
            _ => return Err(unknown(key, "embedding")),
        }
    }
    Ok(())
}
