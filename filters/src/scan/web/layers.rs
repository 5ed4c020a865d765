//! A value as it is, and as it is once more decoded.

use std::borrow::Cow;

/// Layers of escapes that are looked under.
const LAYERS: usize = 3;

/// `text`, and what its percent escapes stand for, as long as there are any.
pub(super) fn of(text: &str) -> impl Iterator<Item = Cow<'_, str>> {
    std::iter::successors(Some(Cow::Borrowed(text)), |layer| decode(layer).map(Cow::Owned)).take(LAYERS)
}

/// Nothing where there is no escape. What is not UTF-8 then is replaced by the replacement character.
fn decode(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let escape = |at: usize| match bytes.get(at..at + 3) {
        Some([b'%', high, low]) => Some(hex(*high)? << 4 | hex(*low)?),
        _ => None,
    };
    let first = memchr::memchr_iter(b'%', bytes).find(|at| escape(*at).is_some())?;
    let mut out = Vec::with_capacity(bytes.len());
    out.extend_from_slice(bytes.get(..first)?);
    let mut at = first;
    while let Some(&byte) = bytes.get(at) {
        match escape(at) {
            Some(decoded) => {
                out.push(decoded);
                at += 3;
            }
            None => {
                out.push(if byte == b'+' { b' ' } else { byte });
                at += 1;
            }
        }
    }
    Some(match String::from_utf8(out) {
        Ok(text) => text,
        // Overlong forms of `/` and `.`, which lenient servers take for them.
        Err(error) => lenient(error.as_bytes()),
    })
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
