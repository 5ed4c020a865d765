//! Values that are equal: to one of the document, or to each other.

use postern_config::Literal;
use postern_config::values::Decimal;

use crate::json::{Kind, Value};

/// Whether `value` is `literal`. Numbers are compared by value, members of objects whatever their order.
pub(super) fn is(literal: &Literal, value: Value<'_>) -> bool {
    match literal {
        Literal::Null => value.is_null(),
        Literal::Bool(flag) => value.boolean() == Some(*flag),
        Literal::Number(number) => exact(value).is_some_and(|other| other == *number),
        Literal::Text(text) => value.is_text(text),
        Literal::List(items) => {
            value.kind() == Kind::Array
                && value.len() == items.len()
                && items.iter().zip(value.items()).all(|(literal, item)| is(literal, item))
        }
        Literal::Object(members) => {
            value.kind() == Kind::Object
                && value.len() == members.len()
                && value.entries().all(|(key, member)| {
                    key.text().and_then(|key| members.get(&*key)).is_some_and(|literal| is(literal, member))
                })
        }
    }
}

fn exact(value: Value<'_>) -> Option<Decimal> {
    if value.kind() != Kind::Number {
        return None;
    }
    Decimal::parse(std::str::from_utf8(value.raw()).ok()?)
}

/// Whether no two items of a list are equal. Sorts, so that a long list does not cost its square.
pub(super) fn are_unique(list: Value<'_>) -> bool {
    let mut spelled: Vec<Vec<u8>> = list
        .items()
        .map(|item| {
            let mut out = Vec::with_capacity(item.span().len());
            spell(item, &mut out);
            out
        })
        .collect();
    spelled.sort_unstable();
    spelled.windows(2).all(|pair| !matches!(pair, [one, other] if one == other))
}

/// One spelling for all values that are equal. Lengths stand before texts, so that no two values share one.
fn spell(value: Value<'_>, out: &mut Vec<u8>) {
    match value.kind() {
        Kind::Null => out.push(b'n'),
        Kind::Bool => out.push(if value.boolean() == Some(true) { b't' } else { b'f' }),
        Kind::Number => {
            out.push(b'#');
            match exact(value) {
                Some(number) => number.spell(out),
                None => out.extend_from_slice(value.raw()),
            }
        }
        Kind::String => spell_text(value, out),
        Kind::Array => {
            out.push(b'[');
            value.items().for_each(|item| spell(item, out));
            out.push(b']');
        }
        Kind::Object => {
            let mut members: Vec<(Vec<u8>, Value<'_>)> = value
                .entries()
                .map(|(key, member)| {
                    let mut name = Vec::new();
                    spell_text(key, &mut name);
                    (name, member)
                })
                .collect();
            members.sort_unstable_by(|a, b| a.0.cmp(&b.0));
            out.push(b'{');
            for (name, member) in members {
                out.extend_from_slice(&name);
                spell(member, out);
            }
            out.push(b'}');
        }
    }
}

fn spell_text(value: Value<'_>, out: &mut Vec<u8>) {
    let text = value.text().unwrap_or_default();
    out.push(b'"');
    out.extend_from_slice(&text.len().to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}
