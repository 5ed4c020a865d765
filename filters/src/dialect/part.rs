//! One text of a message, owned.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use postern_config::Part;

use crate::json::{NodeId, Value};

/// A text of a message and where it stands.
#[derive(Debug, Clone)]
pub struct MessagePart {
    pub part: Part,
    /// As the model or tool reads it.
    pub text: Text,
    /// Has no other spelling: an edit of it refuses the message.
    pub fixed: bool,
    pub(super) place: Place,
}

impl MessagePart {
    /// Whether it is a piece of another text, which is a part as well.
    #[must_use]
    pub fn is_inside(&self) -> bool {
        matches!(self.place, Place::Inner { .. })
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    /// A string or number of the body.
    Node(NodeId),
    /// A string inside the JSON that the string `outer` holds.
    Inner { outer: NodeId, leaf: NodeId },
    /// Known to the message by the index of the part.
    Index,
}

/// Text of a part, decoded; shares the body's bytes where decoding changed nothing. Never printed.
#[derive(Clone)]
pub struct Text(Kept);

#[derive(Clone)]
enum Kept {
    Shared(Bytes),
    Owned(String),
}

impl Text {
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            // INVARIANT: only valid UTF-8 is put in; asking again is what safe code costs.
            Kept::Shared(bytes) => std::str::from_utf8(bytes).unwrap_or_default(),
            Kept::Owned(text) => text,
        }
    }

    /// The whole of `bytes`.
    ///
    /// # Errors
    /// The number of valid bytes before the first that is not UTF-8.
    pub(super) fn shared(bytes: Bytes) -> Result<Self, usize> {
        std::str::from_utf8(&bytes).map_err(|e| e.valid_up_to())?;
        Ok(Self(Kept::Shared(bytes)))
    }

    pub(super) fn owned(text: String) -> Self {
        Self(Kept::Owned(text))
    }

    /// The text of a string, or a number as it is written.
    pub(super) fn of(value: Value<'_>) -> Self {
        match (value.shared_text(), value.text()) {
            (Some(bytes), _) => Self(Kept::Shared(bytes)),
            (None, Some(text)) => Self(Kept::Owned(Cow::into_owned(text))),
            (None, None) => Self(Kept::Owned(String::from_utf8_lossy(value.raw()).into_owned())),
        }
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Text({} bytes)", self.as_str().len())
    }
}
