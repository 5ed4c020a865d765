//! From text, as parameters and forms are written, to JSON, as schemas judge it.

use postern_config::values::Decimal;
use postern_config::{ParameterForm, TextKind, percent};

use super::Wrong;
use crate::Reason;
use crate::json::quote;

/// Most `name=value` pairs of one query or form.
const MAX_PAIRS: usize = 10_000;

/// One pair, its name decoded.
#[derive(Debug)]
pub(super) struct Pair<'t> {
    pub(super) name: String,
    pub(super) raw: &'t str,
}

/// The pairs of a query or form. What servers split in several ways is refused.
pub(super) fn pairs<'t>(text: &'t str, what: &str) -> Result<Vec<Pair<'t>>, Wrong> {
    let malformed = |detail: &str| Wrong::of(Reason::Malformed, format!("{what} {detail}"));
    if text.is_empty() {
        return Ok(Vec::new());
    }
    if text.contains(';') {
        return Err(malformed("holds a `;`, which some servers take for `&`"));
    }
    let mut pairs = Vec::new();
    for pair in text.split('&') {
        if pairs.len() >= MAX_PAIRS {
            return Err(malformed("holds too many fields"));
        }
        let (name, raw) = pair.split_once('=').unwrap_or((pair, ""));
        if name.is_empty() {
            return Err(malformed("holds a field without a name"));
        }
        let name = percent::decode_form(name).ok_or_else(|| malformed("holds a name with a broken escape"))?;
        pairs.push(Pair { name, raw });
    }
    Ok(pairs)
}

/// JSON of the values that one parameter has in a request; nothing where it is absent. `decode` takes escapes away.
pub(super) fn value(
    form: &ParameterForm,
    values: &[&str],
    decode: fn(&str) -> Option<String>,
    what: &str,
) -> Result<Option<Vec<u8>>, Wrong> {
    let decoded =
        |raw: &str| decode(raw).ok_or_else(|| Wrong::of(Reason::Malformed, format!("{what} holds a broken escape")));
    if let ParameterForm::Repeated(kind) = form {
        if values.is_empty() {
            return Ok(None);
        }
        let items = values.iter().map(|raw| one(*kind, &decoded(raw)?, what)).collect::<Result<Vec<_>, _>>()?;
        return Ok(Some(list(&items)));
    }
    let raw = match values {
        [] => return Ok(None),
        [raw] => raw,
        // One server takes the first, another the last.
        _ => return Err(Wrong::new(format!("{what} is there more than once"))),
    };
    Ok(Some(match form {
        ParameterForm::One(kind) => one(*kind, &decoded(raw)?, what)?,
        ParameterForm::Commas(kind) => {
            let item = |raw: &str| {
                let text = decoded(raw)?;
                if text.contains(',') {
                    let detail = format!("{what} holds an escaped comma, which some servers split at");
                    return Err(Wrong::of(Reason::Malformed, detail));
                }
                one(*kind, &text, what)
            };
            list(&raw.split(',').map(item).collect::<Result<Vec<_>, _>>()?)
        }
        ParameterForm::Json => decoded(raw)?.into_bytes(),
        ParameterForm::Fields(_) | ParameterForm::Repeated(_) => {
            return Err(Wrong::new(format!("{what} has another form")));
        }
    }))
}

fn list(items: &[Vec<u8>]) -> Vec<u8> {
    let mut out = vec![b'['];
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(item);
    }
    out.push(b']');
    out
}

/// One value. Numbers are those of JSON, integers without fraction and exponent: servers that read them as text go by digits.
pub(super) fn one(kind: TextKind, text: &str, what: &str) -> Result<Vec<u8>, Wrong> {
    let (good, wanted) = match kind {
        TextKind::Text => return Ok(quote(text)),
        TextKind::Integer => (is_integer(text), "an integer"),
        TextKind::Number => (Decimal::parse(text).is_some(), "a number"),
        TextKind::Boolean => (matches!(text, "true" | "false"), "`true` or `false`"),
    };
    if good { Ok(text.as_bytes().to_vec()) } else { Err(Wrong::new(format!("{what} is not {wanted}"))) }
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    text == "0" || (!digits.is_empty() && !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// As it stands, if all readers take it for the same: cookies are decoded by some servers and not by others.
pub(super) fn verbatim(text: &str) -> Option<String> {
    (!text.contains(['%', '"', '\\'])).then(|| text.to_owned())
}

/// As it stands.
pub(super) fn plain(text: &str) -> Option<String> {
    Some(text.to_owned())
}
