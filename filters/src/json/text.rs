//! Strings: decoding, encoding, and the way back from the decoded text to the bytes.

use std::borrow::Cow;
use std::ops::Range;

use super::scan::hex4;

/// Decodes the inside of a string that passed the reader.
pub(super) fn decode(raw: &[u8], escaped: bool) -> Cow<'_, str> {
    // The reader has checked the whole body, so this never replaces anything; checking again is what safe code costs.
    let text = std::str::from_utf8(raw).unwrap_or_default();
    if !escaped {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(ahead) = memchr::memchr(b'\\', raw.get(at..).unwrap_or_default()) {
        out.push_str(text.get(at..at + ahead).unwrap_or_default());
        let (char, len) = unescape(raw, at + ahead);
        out.push(char);
        at += ahead + len;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    Cow::Owned(out)
}

/// The character of the escape whose backslash is at `at`, and how many bytes it takes.
fn unescape(raw: &[u8], at: usize) -> (char, usize) {
    match raw.get(at + 1) {
        Some(b'u') => {
            let high = hex4(raw, at + 2).unwrap_or_default();
            if !(0xD800..0xDC00).contains(&high) {
                return (char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER), 6);
            }
            let low = hex4(raw, at + 8).unwrap_or_default();
            let code = 0x10000 + ((high - 0xD800) << 10) + (low & 0x3FF);
            (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 12)
        }
        Some(b'b') => ('\u{8}', 2),
        Some(b'f') => ('\u{c}', 2),
        Some(b'n') => ('\n', 2),
        Some(b'r') => ('\r', 2),
        Some(b't') => ('\t', 2),
        Some(other) => (char::from(*other), 2),
        None => (char::REPLACEMENT_CHARACTER, 1),
    }
}

/// Appends `text` as the inside of a JSON string. Only what must be escaped is.
pub fn escape_into(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend([b'\\', byte]),
            b'\n' => out.extend(b"\\n"),
            b'\r' => out.extend(b"\\r"),
            b'\t' => out.extend(b"\\t"),
            0..0x20 => {
                let digit = |n: u8| HEX.get(usize::from(n)).copied().unwrap_or(b'0');
                out.extend(b"\\u00");
                out.extend([digit(byte >> 4), digit(byte & 15)]);
            }
            _ => out.push(byte),
        }
    }
}

/// `text` as a JSON string, quotes included.
#[must_use]
pub fn quote(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 2);
    out.push(b'"');
    escape_into(&mut out, text);
    out.push(b'"');
    out
}

/// From bytes of a decoded text to bytes of the body it was decoded from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OffsetMap {
    /// Where the text begins in the body.
    base: usize,
    /// Each escape: decoded range and raw range, both from the start of the text. Between them bytes are one to one.
    escapes: Vec<(Range<usize>, Range<usize>)>,
    /// Length of the decoded text.
    len: usize,
}

impl OffsetMap {
    /// The map of the inside of a JSON string that begins at byte `base`.
    pub(super) fn of_json(raw: &[u8], base: usize) -> Self {
        let mut map = Self { base, ..Self::default() };
        let mut at = 0;
        while let Some(ahead) = memchr::memchr(b'\\', raw.get(at..).unwrap_or_default()) {
            let (char, len) = unescape(raw, at + ahead);
            map.push(ahead, char.len_utf8(), len);
            at += ahead + len;
        }
        map.push(raw.len().saturating_sub(at), 0, 0);
        map
    }

    /// Starts a map of a text that begins at byte `base` of its body.
    #[must_use]
    pub fn starting_at(base: usize) -> Self {
        Self { base, ..Self::default() }
    }

    /// Appends `plain` bytes that stand for themselves, then an escape of `raw` bytes for `decoded` bytes of text.
    pub fn push(&mut self, plain: usize, decoded: usize, raw: usize) {
        let raw_len = self.raw_len();
        let (start, raw_start) = (self.len + plain, raw_len + plain);
        if decoded != raw {
            self.escapes.push((start..start + decoded, raw_start..raw_start + raw));
        }
        self.len = start + decoded;
    }

    fn raw_len(&self) -> usize {
        self.escapes.last().map_or(self.len, |(text, raw)| raw.end + (self.len - text.end))
    }

    /// Where byte `at` of the decoded text begins in the body; `None` beyond the text, and inside the text of one escape.
    #[must_use]
    pub fn raw(&self, at: usize) -> Option<usize> {
        if self.inside(at).is_some() { None } else { Some(self.base + self.raw_start(at)?) }
    }

    /// Where a range of the decoded text lies in the body, grown to whole escapes.
    #[must_use]
    pub fn raw_range(&self, range: Range<usize>) -> Option<Range<usize>> {
        if range.start > range.end || range.end > self.len {
            return None;
        }
        let start = self.raw_start(range.start)?;
        let end = match self.inside(range.end) {
            Some((_, raw)) => raw.end,
            None => self.raw_start(range.end)?,
        };
        Some(self.base + start..self.base + end)
    }

    /// Grows a range of the body, within this text, to whole escapes.
    #[must_use]
    pub fn whole_escapes(&self, range: Range<usize>) -> Range<usize> {
        let (start, end) = (range.start.saturating_sub(self.base), range.end.saturating_sub(self.base));
        let around = |at: usize| {
            let index = self.escapes.partition_point(|(_, raw)| raw.end <= at);
            self.escapes.get(index).map(|(_, raw)| raw).filter(|raw| raw.start < at)
        };
        let start = around(start).map_or(start, |raw| raw.start);
        let end = around(end).map_or(end, |raw| raw.end);
        self.base + start..self.base + end
    }

    /// Raw offset of the byte, or of the start of the escape it is inside of.
    fn raw_start(&self, at: usize) -> Option<usize> {
        if at > self.len {
            return None;
        }
        if let Some((_, raw)) = self.inside(at) {
            return Some(raw.start);
        }
        let before = self.escapes.partition_point(|(text, _)| text.end <= at);
        Some(match before.checked_sub(1).and_then(|n| self.escapes.get(n)) {
            Some((text, raw)) => raw.end + (at - text.end),
            None => at,
        })
    }

    /// The escape that `at` is strictly inside of.
    fn inside(&self, at: usize) -> Option<&(Range<usize>, Range<usize>)> {
        let index = self.escapes.partition_point(|(text, _)| text.end <= at);
        self.escapes.get(index).filter(|(text, _)| text.start < at && at < text.end)
    }
}
