//! The entry of the tree: a salted commitment to a record, and the line that carries record and salt beside it.
//!
//! The tree holds `SHA-256(domain || salt || record)`. Without the salt nobody can test a guess about an erased record, so erasing
//! its line leaves the tree whole and tells nothing.
//!
//! Lines rather than length prefixes: a record is one line of JSON that `grep` and `jq` read without us, a torn tail is the line
//! without its newline, and since records are ASCII without control characters the framing cannot be forged from inside.

use super::merkle::{Hash, leaf_hash, sha256};
use super::{decode_base64, encode_base64};

/// Random bytes that hide a record in its commitment.
pub type Salt = [u8; 32];

/// What is hashed into the tree for one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commitment(pub Hash);

const DOMAIN: &[u8] = b"postern.audit.leaf.v1\0";

/// Longest line, newline included. Bounds of [`super::AuditRecord`]'s fields keep every record far below.
pub const MAX_LINE: usize = 1 << 20;

/// A records file is closed before it grows past this many bytes.
pub const SEGMENT: usize = 64 << 20;

/// Where the `number`th records file is, relative to the log's directory. Files are counted from 0 without gaps.
#[must_use]
pub fn records_path(number: u32) -> String {
    format!("records/{number:06}.jsonl")
}

impl Commitment {
    /// `record` is the record's exact bytes, without the line around it.
    #[must_use]
    pub fn new(salt: &Salt, record: &[u8]) -> Self {
        Self(sha256(&[DOMAIN, salt, record]))
    }

    /// Hash of the entry in the tree.
    #[must_use]
    pub fn leaf(&self) -> Hash {
        leaf_hash(&self.0)
    }
}

/// One line of a records file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// Position in the log, from 0.
    pub index: u64,
    pub salt: Salt,
    pub record: &'a [u8],
}

const INDEX: &[u8] = b"{\"index\":";
const SALT: &[u8] = b",\"salt\":\"";
const RECORD: &[u8] = b"\",\"record\":";
/// Padded base64 of 32 bytes.
const SALT_TEXT: usize = 44;

impl<'a> Line<'a> {
    /// Appends the line and its newline.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(INDEX);
        out.extend_from_slice(self.index.to_string().as_bytes());
        out.extend_from_slice(SALT);
        out.extend_from_slice(encode_base64(&self.salt).as_bytes());
        out.extend_from_slice(RECORD);
        out.extend_from_slice(self.record);
        out.extend_from_slice(b"}\n");
    }

    /// Reads a line without its newline. Only the one spelling that [`Line::write`] makes is accepted, so that no byte of a
    /// records file can change unnoticed. `None` for anything else.
    #[must_use]
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        let rest = line.strip_prefix(INDEX)?;
        let (index, rest) = rest.split_at_checked(rest.iter().position(|b| *b == b',')?)?;
        let index = parse_decimal(index)?;
        let (salt, rest) = rest.strip_prefix(SALT)?.split_at_checked(SALT_TEXT)?;
        let salt = decode_base64(std::str::from_utf8(salt).ok()?)?;
        let record = rest.strip_prefix(RECORD)?.strip_suffix(b"}")?;
        (record.first() == Some(&b'{')).then_some(Self { index, salt, record })
    }

    #[must_use]
    pub fn commitment(&self) -> Commitment {
        Commitment::new(&self.salt, self.record)
    }
}

/// A decimal number in its only spelling: digits, no sign, no leading zero.
pub(crate) fn parse_decimal(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(index: u64, record: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        Line { index, salt: [7; 32], record }.write(&mut out);
        out
    }

    #[test]
    fn a_line_is_json_that_carries_index_salt_and_record() {
        let text = line(41, br#"{"a":1}"#);
        let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!((&value["index"], &value["record"]["a"]), (&41.into(), &1.into()));
        let read = Line::parse(text.strip_suffix(b"\n").unwrap()).unwrap();
        assert_eq!((read.index, read.record), (41, br#"{"a":1}"#.as_slice()));
    }

    #[test]
    fn the_salt_hides_the_record() {
        assert_ne!(Commitment::new(&[1; 32], b"{}"), Commitment::new(&[2; 32], b"{}"));
        assert_ne!(Commitment::new(&[1; 32], b"{}").leaf(), leaf_hash(b"{}"));
    }

    #[test]
    fn another_spelling_of_a_line_is_not_a_line() {
        let good = String::from_utf8(line(7, b"{}")).unwrap();
        let good = good.trim_end();
        assert!(Line::parse(good.as_bytes()).is_some());
        for (from, to) in [
            ("\"index\":7", "\"index\":07"),
            ("\"index\":7", "\"index\":+7"),
            ("\"index\":7", "\"index\": 7"),
            ("\"index\":7", "\"index\":18446744073709551616"),
            ("{\"index\"", " {\"index\""),
            ("\"record\":{}", "\"record\": {}"),
            ("\"record\":{}", "\"record\":"),
            ("BwcHBwc=\"", "BwcHBwd=\""),
            ("{}}", "{}} "),
        ] {
            let bent = good.replacen(from, to, 1);
            assert_ne!(bent, good, "{from} is in the line");
            assert_eq!(Line::parse(bent.as_bytes()), None, "{bent}");
        }
    }

    proptest! {
        #[test]
        fn no_byte_of_a_line_changes_unnoticed(at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let good = line(1234, br#"{"status":"allowed"}"#);
            let good = &good[..good.len() - 1];
            let mut bent = good.to_vec();
            bent[at.index(good.len())] ^= 1 << bit;
            let before = Line::parse(good).unwrap();
            let same = Line::parse(&bent).is_some_and(|l| l.index == before.index && l.commitment() == before.commitment());
            prop_assert!(!same);
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Line::parse(&bytes);
        }
    }
}
