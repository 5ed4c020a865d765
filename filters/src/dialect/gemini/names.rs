//! Names of fields. The vendor's reader takes `systemInstruction` and `system_instruction` for the same; so does this one,
//! and refuses both at once, as nobody knows which of them counts.

use std::borrow::Cow;

use crate::dialect::DialectError;
use crate::dialect::fields::{expect, shape};
use crate::json::{Kind, Value};

/// One member of an object.
pub(super) struct Member<'a> {
    /// In camel case.
    pub(super) name: Cow<'a, str>,
    pub(super) key: Value<'a>,
    pub(super) value: Value<'a>,
}

/// The members of an object, but those that are `null`: to the vendor these are absent.
pub(super) fn members<'a>(value: Value<'a>, what: &'static str) -> Result<Vec<Member<'a>>, DialectError> {
    expect(value, Kind::Object, what)?;
    let mut members: Vec<Member<'a>> = Vec::with_capacity(value.len());
    for (key, value) in value.entries() {
        let name = camel(key.text().unwrap_or_default());
        if members.iter().any(|member| member.name == name) {
            return Err(shape(key, what));
        }
        members.push(Member { name, key, value });
    }
    members.retain(|member| !member.value.is_null());
    Ok(members)
}

/// The member with this name, if it is there and not `null`.
pub(super) fn find<'a>(value: Value<'a>, name: &str) -> Option<Value<'a>> {
    written(value, name).filter(|value| !value.is_null())
}

/// As [`find`], also where it is `null`.
pub(super) fn written<'a>(value: Value<'a>, name: &str) -> Option<Value<'a>> {
    let of = |key: &Value<'a>| key.text().is_some_and(|key| camel(key) == name);
    value.entries().find(|(key, _)| of(key)).map(|(_, value)| value)
}

fn camel(name: Cow<'_, str>) -> Cow<'_, str> {
    if !name.contains('_') {
        return name;
    }
    let mut out = String::with_capacity(name.len());
    let mut raise = false;
    for letter in name.chars() {
        if letter == '_' && !out.is_empty() {
            raise = true;
        } else if std::mem::take(&mut raise) {
            out.push(letter.to_ascii_uppercase());
        } else {
            out.push(letter);
        }
    }
    out.into()
}

/// An object of words, numbers and flags under these names: nothing a model reads.
pub(super) fn settings(value: Value<'_>, known: &[&str], what: &'static str) -> Result<(), DialectError> {
    for Member { name, key, value } in members(value, what)? {
        if !known.contains(&name.as_ref()) {
            return Err(crate::dialect::fields::unknown(key, what));
        }
        match value.kind() {
            Kind::Bool | Kind::Number => {}
            _ => drop(crate::dialect::fields::identifier(value, what)?),
        }
    }
    Ok(())
}

/// A list of such objects.
pub(super) fn list(value: Value<'_>, known: &[&str], what: &'static str) -> Result<(), DialectError> {
    expect(value, Kind::Array, what)?;
    value.items().try_for_each(|item| settings(item, known, what))
}
