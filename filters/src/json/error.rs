//! Why a body is not JSON that every parser reads the same.

/// Where and why reading stopped. Carries nothing of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at byte {offset}")]
pub struct JsonError {
    /// Byte of the body, from 0.
    pub offset: usize,
    pub kind: JsonErrorKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum JsonErrorKind {
    #[error("more bytes than allowed")]
    TooLarge,
    #[error("nested deeper than allowed")]
    TooDeep,
    #[error("more values than allowed")]
    TooManyNodes,
    #[error("byte order mark")]
    ByteOrderMark,
    #[error("invalid UTF-8")]
    InvalidUtf8,
    #[error("unexpected end")]
    UnexpectedEnd,
    /// Comments, trailing commas, single quotes, `NaN` and the like end here.
    #[error("unexpected byte")]
    UnexpectedByte,
    #[error("data after the value")]
    TrailingData,
    #[error("control character in a string")]
    ControlCharacter,
    #[error("unknown escape")]
    BadEscape,
    #[error("lone surrogate")]
    LoneSurrogate,
    /// `01`, `1.`, `.5`, `+1`, `0x1`.
    #[error("number outside the grammar")]
    BadNumber,
    /// A double cannot hold it: readers say infinity, or an error.
    #[error("number out of range")]
    NumberOutOfRange,
    #[error("duplicate key")]
    DuplicateKey,
    /// Two keys of one object that a parser which folds case takes for one.
    #[error("keys that differ only by case")]
    CaseTwin,
}

impl JsonErrorKind {
    pub(super) fn at(self, offset: usize) -> JsonError {
        JsonError { offset, kind: self }
    }
}
