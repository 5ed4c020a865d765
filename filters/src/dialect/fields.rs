//! Shapes of single fields, and what every vendor's format has in common.

use std::borrow::Cow;

use super::DialectError;
use crate::json::{Kind, Value};

/// Choices that may be asked for at once.
pub(super) const MOST_CHOICES: u32 = 16;

/// Words of JSON Schema and of tool definitions: constants that hold nothing.
pub(super) const SCHEMA_WORDS: [&str; 38] = [
    "type",
    "object",
    "string",
    "number",
    "integer",
    "boolean",
    "array",
    "null",
    "properties",
    "required",
    "description",
    "items",
    "enum",
    "const",
    "default",
    "title",
    "format",
    "pattern",
    "anyOf",
    "oneOf",
    "allOf",
    "not",
    "additionalProperties",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "uniqueItems",
    "$schema",
    "$ref",
    "$defs",
    "definitions",
    "function",
    "name",
    "parameters",
    "strict",
];

/// The text of a string.
pub(super) fn string<'a>(value: Value<'a>, what: &'static str) -> Result<Cow<'a, str>, DialectError> {
    value.text().ok_or(shape(value, what))
}

pub(super) fn shape(value: Value<'_>, what: &'static str) -> DialectError {
    DialectError::Shape { what, offset: value.span().start }
}

pub(super) fn unknown(key: Value<'_>, within: &'static str) -> DialectError {
    DialectError::UnknownField { within, offset: key.span().start }
}

pub(super) fn expect(value: Value<'_>, kind: Kind, what: &'static str) -> Result<(), DialectError> {
    if value.kind() == kind { Ok(()) } else { Err(shape(value, what)) }
}

/// The member `key`, which has to be there.
pub(super) fn member<'a>(value: Value<'a>, key: &str, what: &'static str) -> Result<Value<'a>, DialectError> {
    value.get(key).ok_or(DialectError::Missing { what })
}

/// A number, a boolean or `null`, whose value decides nothing here.
pub(super) fn scalar(value: Value<'_>, kind: Kind, what: &'static str) -> Result<(), DialectError> {
    if value.is_null() { Ok(()) } else { expect(value, kind, what) }
}

pub(super) fn flag(value: Value<'_>, what: &'static str) -> Result<bool, DialectError> {
    scalar(value, Kind::Bool, what)?;
    Ok(value.boolean().unwrap_or(false))
}

/// A number that is not negative, or `null`.
pub(super) fn count(value: Value<'_>, what: &'static str) -> Result<Option<u64>, DialectError> {
    if value.is_null() {
        return Ok(None);
    }
    value.integer().and_then(|n| u64::try_from(n).ok()).map(Some).ok_or(shape(value, what))
}

/// How many answers are asked for; 1 unless given.
pub(super) fn choices(value: Value<'_>, what: &'static str) -> Result<u32, DialectError> {
    let Some(n) = count(value, what)? else { return Ok(1) };
    match u32::try_from(n) {
        Ok(0) => Err(shape(value, what)),
        Ok(n) if n <= MOST_CHOICES => Ok(n),
        _ => Err(DialectError::TooMany { what: "choices" }),
    }
}

/// The place of something in a stream: an index below `most`.
pub(super) fn index(within: Value<'_>, key: &str, most: u32, what: &'static str) -> Result<u32, DialectError> {
    let index = within.get(key).and_then(|n| u32::try_from(n.integer()?).ok());
    let index = index.ok_or(DialectError::Missing { what })?;
    if index < most { Ok(index) } else { Err(DialectError::TooMany { what }) }
}

/// A name that is not shown to a model: at most 256 of letters, digits and `._:/@+=|-`, or empty.
pub(super) fn identifier<'a>(value: Value<'a>, what: &'static str) -> Result<Cow<'a, str>, DialectError> {
    let text = string(value, what)?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._:/@+=|-".contains(&b);
    if text.len() <= 256 && text.bytes().all(plain) { Ok(text) } else { Err(shape(value, what)) }
}

/// An [`identifier`], or `null`.
pub(super) fn word(value: Value<'_>, what: &'static str) -> Result<(), DialectError> {
    if value.is_null() { Ok(()) } else { identifier(value, what).map(drop) }
}

/// Bytes that are not text, in base64: a vector, a signature.
pub(super) fn base64(value: Value<'_>, what: &'static str) -> Result<(), DialectError> {
    let text = string(value, what)?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"+/=_-".contains(&b);
    if text.bytes().all(plain) { Ok(()) } else { Err(shape(value, what)) }
}

/// The name of a tool.
pub(super) fn tool_name(value: Value<'_>) -> Result<String, DialectError> {
    let name = identifier(value, "tool name")?;
    if name.is_empty() { Err(shape(value, "tool name")) } else { Ok(name.into_owned()) }
}

/// An object of the vendor's own words, numbers and flags under these names, or `null`: nothing a model reads.
pub(super) fn settings(value: Value<'_>, known: &[&str], what: &'static str) -> Result<(), DialectError> {
    if value.is_null() {
        return Ok(());
    }
    expect(value, Kind::Object, what)?;
    for (key, value) in value.entries() {
        if !known.iter().any(|known| key.is_text(known)) {
            return Err(unknown(key, what));
        }
        match value.kind() {
            Kind::Null | Kind::Bool | Kind::Number => {}
            _ => drop(identifier(value, what)?),
        }
    }
    Ok(())
}

/// Mode and lifetime of a vendor's cache.
pub(super) fn cache(value: Value<'_>) -> Result<(), DialectError> {
    settings(value, &["mode", "ttl", "type"], "cache_control")
}

/// Whether a value has numbers, flags and nothing else in it, one level deep.
pub(super) fn only_numbers(value: Value<'_>) -> bool {
    match value.kind() {
        Kind::Number | Kind::Null | Kind::Bool => true,
        Kind::Object => value.entries().all(|(_, v)| matches!(v.kind(), Kind::Number | Kind::Null | Kind::Bool)),
        Kind::String | Kind::Array => false,
    }
}
