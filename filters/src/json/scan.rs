//! Tokens: where a string or a number ends, and whether it is well formed.

use super::{JsonError, JsonErrorKind as E};

/// First byte at or after `from` that a string has to stop for: a quote, a backslash or a control character.
///
/// Eight bytes at a time: each test sets the top bit of a byte that matches; carries only disturb bytes above a true
/// match, so the lowest bit set is always right.
fn next_special(bytes: &[u8], mut from: usize) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const TOPS: u64 = ONES << 7;
    while let Some(chunk) = bytes.get(from..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*chunk);
        let zero = |x: u64| x.wrapping_sub(ONES) & !x;
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let hit = (control | zero(word ^ (ONES * 0x22)) | zero(word ^ (ONES * 0x5c))) & TOPS;
        if hit != 0 {
            return from + (hit.trailing_zeros() / 8) as usize;
        }
        from += 8;
    }
    while bytes.get(from).is_some_and(|b| *b >= 0x20 && *b != b'"' && *b != b'\\') {
        from += 1;
    }
    from
}

/// Reads the string whose opening quote is at `quote`. Returns the byte after its closing quote, and whether it has
/// escapes.
pub(super) fn string(bytes: &[u8], quote: usize) -> Result<(usize, bool), JsonError> {
    let mut at = quote + 1;
    let mut escaped = false;
    loop {
        at = next_special(bytes, at);
        match bytes.get(at) {
            Some(b'"') => return Ok((at + 1, escaped)),
            Some(b'\\') => {
                at = escape(bytes, at)?;
                escaped = true;
            }
            Some(_) => return Err(E::ControlCharacter.at(at)),
            None => return Err(E::UnexpectedEnd.at(at)),
        }
    }
}

/// Checks the escape whose backslash is at `at` and returns the byte after it, a surrogate pair being one escape.
fn escape(bytes: &[u8], at: usize) -> Result<usize, JsonError> {
    match bytes.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
        Some(b'u') => match hex4(bytes, at + 2).ok_or(E::BadEscape.at(at))? {
            0xD800..=0xDBFF => {
                let low = bytes.get(at + 6..at + 8).filter(|b| *b == b"\\u").and_then(|_| hex4(bytes, at + 8));
                match low {
                    Some(0xDC00..=0xDFFF) => Ok(at + 12),
                    _ => Err(E::LoneSurrogate.at(at)),
                }
            }
            0xDC00..=0xDFFF => Err(E::LoneSurrogate.at(at)),
            _ => Ok(at + 6),
        },
        Some(_) => Err(E::BadEscape.at(at)),
        None => Err(E::UnexpectedEnd.at(at + 1)),
    }
}

/// Four hexadecimal digits.
pub(super) fn hex4(bytes: &[u8], at: usize) -> Option<u32> {
    let digits = bytes.get(at..at + 4)?;
    digits.iter().try_fold(0, |value, digit| Some(value << 4 | char::from(*digit).to_digit(16)?))
}

/// Reads the number that begins at `start` and returns the byte after it (RFC 8259 §6).
pub(super) fn number(bytes: &[u8], start: usize) -> Result<usize, JsonError> {
    let bad = |at: usize| if at < bytes.len() { E::BadNumber.at(at) } else { E::UnexpectedEnd.at(at) };
    let mut at = start + usize::from(bytes.get(start) == Some(&b'-'));
    let whole = at;
    at = digits(bytes, whole);
    if at == whole || (at > whole + 1 && bytes.get(whole) == Some(&b'0')) {
        return Err(bad(whole));
    }
    let mut long = at - whole > 300;
    if bytes.get(at) == Some(&b'.') {
        let fraction = at + 1;
        at = digits(bytes, fraction);
        if at == fraction {
            return Err(bad(at));
        }
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        at += 1 + usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        let exponent = at;
        at = digits(bytes, exponent);
        if at == exponent {
            return Err(bad(at));
        }
        long = true;
    }
    // Only these can be beyond a double, where some readers say infinity and some refuse.
    if long && !fits_double(bytes.get(start..at).unwrap_or_default()) {
        return Err(E::NumberOutOfRange.at(start));
    }
    Ok(at)
}

fn digits(bytes: &[u8], from: usize) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    from + rest.iter().take_while(|b| b.is_ascii_digit()).count()
}

fn fits_double(number: &[u8]) -> bool {
    std::str::from_utf8(number).ok().and_then(|n| n.parse::<f64>().ok()).is_some_and(f64::is_finite)
}
