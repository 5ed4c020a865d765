//! Where a request says what its operator says: each dialect puts texts there (`<dialect>/system.rs`), and texts from outside are
//! enclosed in marks. All of it by splicing, so that whatever a client sent stays as it came.

use bytes::Bytes;
use postern_config::capability;

use super::DialectError;
use super::body::JsonBody;
use super::part::Place;
use crate::json::{Editor, Kind, Value, quote};

/// Texts for the place of the operator. Empty where there is none.
#[derive(Clone, Copy, Default)]
pub struct SystemTexts<'t> {
    /// Before all other text there.
    pub first: &'t str,
    /// Behind all other text there.
    pub last: &'t str,
}

/// Shows lengths, never text.
impl std::fmt::Debug for SystemTexts<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SystemTexts({}, {})", self.first.len(), self.last.len())
    }
}

/// What stands between two texts in one string.
const BETWEEN: &str = "\n\n";

impl SystemTexts<'_> {
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_empty() && self.last.is_empty()
    }

    /// Both, where nothing stands between them.
    pub(super) fn joined(&self) -> String {
        let between = if self.first.is_empty() || self.last.is_empty() { "" } else { BETWEEN };
        [self.first, between, self.last].concat()
    }

    /// The first, before another text of the same string.
    pub(super) fn before(&self) -> String {
        if self.first.is_empty() { String::new() } else { [self.first, BETWEEN].concat() }
    }

    /// The last, behind another text of the same string.
    pub(super) fn behind(&self) -> String {
        if self.last.is_empty() { String::new() } else { [BETWEEN, self.last].concat() }
    }
}

/// What stands around a text from outside.
#[derive(Debug, Clone, Copy)]
pub struct Marks<'m> {
    pub open: &'m str,
    pub close: &'m str,
}

/// Puts texts into the place of the operator.
pub(super) type Put = fn(Value<'_>, SystemTexts<'_>, &mut Editor<'_>) -> Result<(), DialectError>;

impl JsonBody {
    /// The body with `texts` put in, and with every text from outside between `marks`.
    pub(super) fn with_system(
        &self,
        put: Put,
        texts: SystemTexts<'_>,
        marks: Option<Marks<'_>>,
    ) -> Result<Bytes, DialectError> {
        let mut editor = Editor::new(self.doc());
        if !texts.is_empty() {
            put(self.doc().root(), texts, &mut editor)?;
        }
        for value in marks.iter().flat_map(|_| self.outside_texts()) {
            let Some(marks) = marks else { continue };
            match value.kind() {
                Kind::String => editor.enclose(value.id(), marks.open, marks.close)?,
                // Keys and numbers are text to a model as well, and only a string has room for marks: it holds the JSON then.
                Kind::Object => editor.set(value.id(), &as_output(value, marks))?,
                Kind::Null | Kind::Bool | Kind::Number | Kind::Array => return Err(DialectError::Fixed),
            }
        }
        Ok(editor.finish()?)
    }

    /// Values with texts that nobody the operator trusts wrote. Names, which have no other spelling, are not among them, nor are
    /// numbers that stand alone.
    pub(super) fn outside_texts(&self) -> impl Iterator<Item = Value<'_>> {
        let untrusted = self.parts().iter().filter(|part| capability::is_untrusted(part.part) && !part.fixed);
        let values = untrusted.filter_map(|part| match part.place {
            Place::Node(node) => Some(self.doc().value(node)),
            // What is inside of a string is enclosed with it.
            Place::Inner { .. } | Place::Index => None,
        });
        values.filter(|value| value.kind() != Kind::Number)
    }
}

/// The only form that every dialect with results as objects reads as the whole of a result.
fn as_output(value: Value<'_>, marks: Marks<'_>) -> Vec<u8> {
    let json = String::from_utf8_lossy(value.raw());
    let text = [marks.open, &json, marks.close].concat();
    [&br#"{"output":"#[..], &quote(&text), b"}"].concat()
}

/// A member of an object: its name, which needs no escapes, and a string.
pub(super) fn member(name: &str, text: &str) -> Vec<u8> {
    [quote(name), b":".to_vec(), quote(text)].concat()
}
