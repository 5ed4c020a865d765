//! `/moderations`: texts in, a verdict of the provider's out. A request has to name its model, as it is decided on.

use postern_config::{Action, Part};

use super::chat::answer::{error, head_field, usage};
use super::chat::request::model;
use crate::dialect::DialectError;
use crate::dialect::adapter::Adapter;
use crate::dialect::ai::Facts;
use crate::dialect::body::Found;
use crate::dialect::fields::{expect, identifier, member, shape, string, unknown};
use crate::json::{Kind, Value};

pub(super) static ADAPTER: Adapter =
    Adapter { writes: false, put: None, action: Action::Chat, request: Some(request), answer, events: None };

fn request(root: Value<'_>, found: &mut Found, facts: &mut Facts) -> Result<(), DialectError> {
    expect(root, Kind::Object, "request")?;
    for (key, value) in root.entries() {
        match string(key, "request")?.as_ref() {
            "model" => facts.model = Some(model(value)?),
            "input" => input(value, found)?,
            _ => return Err(unknown(key, "request")),
        }
    }
    member(root, "model", "model")?;
    facts.max_tokens = Some(0);
    member(root, "input", "input").map(drop)
}

fn input(value: Value<'_>, found: &mut Found) -> Result<(), DialectError> {
    match value.kind() {
        Kind::String => found.text(value, Part::User, "input"),
        Kind::Array if !value.is_empty() => value.items().try_for_each(|item| match item.kind() {
            Kind::String => found.text(item, Part::User, "input"),
            Kind::Object => piece(item, found),
            _ => Err(shape(item, "input")),
        }),
        _ => Err(shape(value, "input")),
    }
}

fn piece(item: Value<'_>, found: &mut Found) -> Result<(), DialectError> {
    let kind = member(item, "type", "input[].type")?;
    match kind.text().as_deref() {
        Some("text") => {}
        Some("image_url") => return found.hides("image_url", item),
        _ => return Err(shape(kind, "input[].type")),
    }
    for (key, value) in item.entries() {
        match key.text().as_deref() {
            Some("type") => {}
            Some("text") => found.text(value, Part::User, "input[].text")?,
            _ => return Err(unknown(key, "input[]")),
        }
    }
    Ok(())
}

fn answer(root: Value<'_>, found: &mut Found, facts: &mut Facts) -> Result<(), DialectError> {
    expect(root, Kind::Object, "answer")?;
    if error(root, found, facts) {
        return Ok(());
    }
    for (key, value) in root.entries() {
        match string(key, "answer")?.as_ref() {
            "results" => {
                expect(value, Kind::Array, "results")?;
                // Names of categories, flags and scores; whatever else is said is a text.
                found.tree(value, Part::Assistant, &["flagged", "categories", "category_scores", "text", "image"]);
            }
            "model" => facts.model = Some(identifier(value, "model")?.into_owned()),
            "usage" => facts.usage = usage(value)?,
            other => head_field(other, root, key, value, |_, child| found.remove(root, child))?,
        }
    }
    member(root, "results", "results").map(drop)
}
