//! Reading claims with the type that was expected, and with no other (attack 32).

use serde_json::{Map, Value};

use super::TokenError;

/// Longest subject, tenant, group, scope or tag value.
pub(super) const MAX_TEXT: usize = 512;

pub(super) const NO_TEXT: &str = "is not a string";

/// Latest moment a claim may name, the end of the year 9999: arithmetic on it cannot overflow.
const MAX_TIME: i64 = 253_402_300_799;

/// The claims of one token.
#[derive(Debug)]
pub(super) struct Claims(Value);

impl Claims {
    pub(super) fn new(map: Map<String, Value>) -> Self {
        Self(Value::Object(map))
    }

    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// By RFC 6901 pointer.
    pub(super) fn at(&self, pointer: &str) -> Option<&Value> {
        self.0.pointer(pointer)
    }

    /// A text, where there is one.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, TokenError> {
        self.get(name).map(|value| text(name, value)).transpose()
    }

    pub(super) fn required_text(&self, name: &str) -> Result<&str, TokenError> {
        self.text(name)?.ok_or_else(|| TokenError::claim(name, "is missing"))
    }

    /// Whole seconds since the epoch. A fraction (RFC 7519 §2 allows one) is refused: nobody needs it, and rounding it
    /// is a decision.
    pub(super) fn time(&self, name: &str) -> Result<Option<i64>, TokenError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match value.as_i64() {
            Some(seconds @ 0..=MAX_TIME) => Ok(Some(seconds)),
            _ => Err(TokenError::claim(name, "is not a whole number of seconds")),
        }
    }

    pub(super) fn required_time(&self, name: &str) -> Result<i64, TokenError> {
        self.time(name)?.ok_or_else(|| TokenError::claim(name, "is missing"))
    }

    /// An array of texts; empty where there is none.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<String>, TokenError> {
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => items.iter().map(|item| text(name, item).map(str::to_owned)).collect(),
            Some(_) => Err(TokenError::claim(name, "is not an array")),
        }
    }

    /// A text or an array of texts (`aud`, RFC 7519 §4.1.3).
    pub(super) fn one_or_more(&self, name: &str) -> Result<Vec<String>, TokenError> {
        match self.get(name) {
            Some(Value::String(_)) => Ok(vec![self.required_text(name)?.to_owned()]),
            _ => self.texts(name),
        }
    }

    /// Space-separated words in one text (RFC 8693 §4.2); empty where there is none.
    pub(super) fn words(&self, name: &str) -> Result<Vec<String>, TokenError> {
        match self.get(name) {
            None => Ok(Vec::new()),
            // Longer than one name may be, and empty when nothing was granted.
            Some(Value::String(all)) if !all.chars().any(char::is_control) => {
                Ok(all.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect())
            }
            Some(_) => Err(TokenError::claim(name, "is not a text of words")),
        }
    }
}

/// A text of 1 to 512 bytes without control characters: it becomes a name in decisions and records.
pub(super) fn text<'v>(name: &str, value: &'v Value) -> Result<&'v str, TokenError> {
    let text = value.as_str().ok_or_else(|| TokenError::claim(name, NO_TEXT))?;
    if text.is_empty() || text.len() > MAX_TEXT {
        return Err(TokenError::claim(name, "is empty or longer than 512 bytes"));
    }
    if text.chars().any(char::is_control) {
        return Err(TokenError::claim(name, "has control characters"));
    }
    Ok(text)
}
