//! A value as it is, and as it is once more decoded.

use std::borrow::Cow;

/// Layers of escapes that are looked under.
const LAYERS: usize = 3;

/// `text`, and what its escapes stand for, as long as there are any.
pub(super) fn of(text: &str) -> impl Iterator<Item = Cow<'_, str>> {
    std::iter::successors(Some(Cow::Borrowed(text)), |layer| decode(layer).map(Cow::Owned)).take(LAYERS)
}

/// Percent escapes, `%u` escapes, full-width forms of ASCII, and `+` for blanks. Nothing where there is none of them. What is not
/// UTF-8 then is replaced by the replacement character.
fn decode(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let escaped = memchr::memchr_iter(b'%', bytes).any(|at| escape(bytes, at).is_some());
    // Only in a value without a blank a plus stands for one.
    let pluses = memchr::memchr(b'+', bytes).is_some() && memchr::memchr(b' ', bytes).is_none();
    if !escaped && !pluses && !has_wide(text) {
        return None;
    }
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if let Some((decoded, length)) = escape(bytes, at).or_else(|| wide(bytes, at)) {
            match decoded {
                Decoded::Byte(byte) => out.push(byte),
                Decoded::Char(c) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
            at += length;
        } else {
            out.push(if byte == b'+' { b' ' } else { byte });
            at += 1;
        }
    }
    let decoded = match String::from_utf8(out) {
        Ok(text) => text,
        // Overlong forms of `/` and `.`, which lenient servers take for them.
        Err(error) => lenient(error.as_bytes()),
    };
    (decoded != text).then_some(decoded)
}

/// What an escape stands for.
enum Decoded {
    Byte(u8),
    Char(char),
}

/// `%41` or `%u0041` at `at`, and its length.
fn escape(bytes: &[u8], at: usize) -> Option<(Decoded, usize)> {
    match bytes.get(at..)? {
        [b'%', b'u' | b'U', a, b, c, d, ..] => {
            let code = [a, b, c, d].iter().try_fold(0_u32, |sum, digit| Some(sum << 4 | u32::from(hex(**digit)?)))?;
            Some((Decoded::Char(narrow(char::from_u32(code)?)), 6))
        }
        [b'%', high, low, ..] => Some((Decoded::Byte(hex(*high)? << 4 | hex(*low)?), 3)),
        _ => None,
    }
}

/// What is folded to ASCII by many a framework or taken for a blank: ASCII in full width, other blanks, and two letters that are
/// theirs in the other case.
fn wide(bytes: &[u8], at: usize) -> Option<(Decoded, usize)> {
    let length = match bytes.get(at..)? {
        [0xC2, 0xA0, ..] | [0xC5, 0xBF, ..] => 2,
        [0xEF, 0xBC | 0xBD, _, ..] | [0xE2, 0x80 | 0x84, _, ..] | [0xE3, 0x80, 0x80, ..] => 3,
        _ => return None,
    };
    let c = std::str::from_utf8(bytes.get(at..at + length)?).ok()?.chars().next()?;
    let folded = narrow(c);
    (folded != c).then_some((Decoded::Char(folded), length))
}

fn has_wide(text: &str) -> bool {
    !text.is_ascii() && text.chars().any(|c| narrow(c) != c)
}

fn narrow(c: char) -> char {
    match c {
        '\u{FF01}'..='\u{FF5E}' => char::from_u32(u32::from(c) - 0xFEE0).unwrap_or(c),
        '\u{A0}' | '\u{2000}'..='\u{200A}' | '\u{2028}' | '\u{2029}' | '\u{3000}' => ' ',
        '\u{17F}' => 's',
        '\u{212A}' => 'k',
        c => c,
    }
}

fn lenient(bytes: &[u8]) -> String {
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match (byte, bytes.get(at + 1)) {
            (0xC0 | 0xC1, Some(next)) if next & 0xC0 == 0x80 => {
                out.push((byte & 1) << 6 | next & 0x3F);
                at += 2;
            }
            _ => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}
