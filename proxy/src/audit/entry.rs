//! What waits to be written: a record of ours, or a line of a process that handed its log over to this one.

use std::borrow::Cow;

use postern_filters::audit::{AuditRecord, Redaction};

#[derive(Debug)]
pub(super) enum Entry {
    Own(Box<AuditRecord>),
    /// As the other process wrote it, by its own policy of redaction.
    Foreign(Vec<u8>),
}

impl From<AuditRecord> for Entry {
    fn from(record: AuditRecord) -> Self {
        Self::Own(Box::new(record))
    }
}

impl Entry {
    /// Bytes that it takes while it waits, about.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Own(record) => record.weight(),
            Self::Foreign(line) => line.len(),
        }
    }

    pub(super) fn is_anonymous_refusal(&self) -> bool {
        matches!(self, Self::Own(record) if record.is_anonymous_refusal())
    }

    pub(super) fn line(&self, redaction: &Redaction) -> Cow<'_, [u8]> {
        match self {
            Self::Own(record) => Cow::Owned(record.to_json(redaction)),
            Self::Foreign(line) => Cow::Borrowed(line),
        }
    }
}

/// Whether `line` is one that a log of ours may hold: one JSON object in printable ASCII.
pub(super) fn is_line(line: &[u8]) -> bool {
    let printable = line.iter().all(|byte| (b' '..=b'~').contains(byte));
    printable
        && line.first() == Some(&b'{')
        && std::str::from_utf8(line).is_ok_and(|text| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_object_in_printable_ascii() {
        for (line, right) in [
            (r#"{"a":[1,{"b":"\u00e9"}]}"#, true),
            ("{}", true),
            ("", false),
            ("[]", false),
            ("{} ", true),
            ("{}{}", false),
            ("{\n}", false),
            ("{\"a\":\"é\"}", false),
            ("{\"a\":", false),
        ] {
            assert_eq!(is_line(line.as_bytes()), right, "{line}");
        }
    }
}
