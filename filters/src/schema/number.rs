//! Numbers: exact, and as a double reads them, so that no recipient sees another side of a bound than we did.

use postern_config::values::Decimal;
use postern_config::{Format, NumberRule, Schema, Types};

use super::plain_type;
use crate::json::{Kind, Value};

/// Digits that every double keeps apart.
const SAFE_DIGITS: usize = 17;
/// 2^53 − 1: up to here a double has every integer.
const SAFE_INTEGER: i64 = (1 << 53) - 1;

/// The narrowest type of a value. A number that is whole is an integer where every recipient reads the same one.
pub(super) fn type_of(value: Value<'_>, format: Option<Format>) -> Types {
    if value.kind() == Kind::Number && is_integer(value, format) { Types::INTEGER } else { plain_type(value) }
}

fn is_integer(value: Value<'_>, format: Option<Format>) -> bool {
    let Ok(text) = std::str::from_utf8(value.raw()) else { return false };
    // A 64-bit integer is promised by the document, and it is read as one where it is written as one.
    if format == Some(Format::Int64) {
        return text.parse::<i64>().is_ok();
    }
    match text.parse::<i64>() {
        Ok(number) => (-SAFE_INTEGER..=SAFE_INTEGER).contains(&number),
        Err(_) => {
            let number = Decimal::parse(text).filter(Decimal::is_whole).and_then(|number| number.to_i64());
            number.is_some_and(|number| (-SAFE_INTEGER..=SAFE_INTEGER).contains(&number))
        }
    }
}

/// The keyword that a number breaks.
pub(super) fn broken(schema: &Schema, value: Value<'_>) -> Option<&'static str> {
    if value.kind() != Kind::Number || (schema.numbers.is_empty() && schema.format.is_none()) {
        return None;
    }
    let text = std::str::from_utf8(value.raw()).unwrap_or_default();
    let (Some(exact), Ok(double)) = (Decimal::parse(text), text.parse::<f64>()) else { return Some("type") };
    let integer = exact.to_i64();
    match schema.format {
        Some(Format::Int32) if integer.is_none_or(|number| i32::try_from(number).is_err()) => return Some("format"),
        Some(Format::Int64) if integer.is_none() => return Some("format"),
        Some(Format::Float) if double.abs() > f64::from(f32::MAX) => return Some("format"),
        _ => {}
    }
    // What a recipient that reads doubles sees.
    let rounded = Decimal::parse(&double.to_string()).filter(|_| exact.precision() > 15);
    let both = |holds: &dyn Fn(&Decimal) -> bool| holds(&exact) && rounded.as_ref().is_none_or(holds);
    schema.numbers.iter().find_map(|rule| {
        let (holds, keyword) = match rule {
            NumberRule::AtLeast(bound) => (both(&|number| number >= bound), "minimum"),
            NumberRule::Above(bound) => (both(&|number| number > bound), "exclusiveMinimum"),
            NumberRule::AtMost(bound) => (both(&|number| number <= bound), "maximum"),
            NumberRule::Below(bound) => (both(&|number| number < bound), "exclusiveMaximum"),
            NumberRule::MultipleOf(divisor) => {
                (exact.precision() <= SAFE_DIGITS && exact.is_multiple_of(divisor), "multipleOf")
            }
        };
        (!holds).then_some(keyword)
    })
}
