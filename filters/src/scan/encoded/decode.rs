//! What a run of characters is read as in each encoding, if it is text then.

use std::ops::Range;

/// A text that was encoded, and where in the run.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) text: String,
    pub(super) range: Range<usize>,
}

/// Characters of base64 that say something, and of hexadecimal digits.
const BASE64: usize = 24;
const HEX: usize = 32;
const BITS: usize = 128;
/// Escapes of one kind that make a text one that was encoded.
const ESCAPES: usize = 6;

/// Every reading of `run`. Zeros and spaces in it say nothing. `cut`: it may begin in the middle of a group.
pub(super) fn all(run: &[u8], cut: bool) -> Vec<Found> {
    let mut found = Vec::new();
    let mut add = |range: Range<usize>, bytes: Vec<u8>| {
        if let Some(text) = text_of(bytes) {
            found.push(Found { text, range });
        }
    };
    if run.contains(&b'%') || run.contains(&b'\\') || run.contains(&b'&') {
        for read in [percent, entity, literal] {
            if let Some(bytes) = escapes(run, read) {
                add(0..run.len(), bytes);
            }
        }
    }
    if let Some(bytes) = one_by_one(run) {
        add(0..run.len(), bytes);
    }
    for range in stretches(run, is_base64) {
        let part = run.get(range.clone()).unwrap_or_default();
        let letters: Vec<u8> = part.iter().copied().filter(|byte| !matches!(byte, 0 | b' ')).collect();
        if letters.len() >= HEX && letters.iter().all(u8::is_ascii_hexdigit) {
            let bits = letters.iter().all(|digit| matches!(digit, b'0' | b'1'));
            let (base, width, least) = if bits { (2, 8, BITS / 2) } else { (16, 2, HEX) };
            for shift in 0..if cut { width } else { 1 } {
                if letters.len() >= least {
                    add(range.clone(), digits(letters.get(shift..).unwrap_or_default(), base, width));
                }
            }
        }
        if letters.len() >= BASE64 {
            for shift in 0..if cut { 4 } else { 1 } {
                add(range.clone(), base64(letters.get(shift..).unwrap_or_default()));
            }
        }
    }
    found
}

/// Bytes that stand one by one, where all of `run` is that.
fn one_by_one(run: &[u8]) -> Option<Vec<u8>> {
    let words = || run.split(|byte| matches!(byte, b' ' | 0)).filter(|word| !word.is_empty());
    let byte = |word| byte_of(word).and_then(|(digits, base)| u8::try_from(number(digits, base)?).ok());
    if words().take(8).count() < 8 {
        return None;
    }
    words().map(byte).collect()
}

/// Whether `word` is a line of base64, and long enough for one that another follows.
pub(super) fn is_base64_line(word: &[u8], least: usize) -> bool {
    word.len() >= least && word.iter().all(|byte| is_base64(*byte))
}

/// Whether `word` is one byte: two hexadecimal digits, perhaps with `0x` or `\x` in front and a comma behind, or eight binary ones.
pub(super) fn is_byte(word: &[u8]) -> bool {
    byte_of(word).is_some()
}

/// Its digits, and their base.
fn byte_of(word: &[u8]) -> Option<(&[u8], u32)> {
    let word = word.strip_suffix(b",").unwrap_or(word);
    let word = word.strip_prefix(b"0x").or_else(|| word.strip_prefix(b"\\x")).unwrap_or(word);
    match word.len() {
        2 if word.iter().all(u8::is_ascii_hexdigit) => Some((word, 16)),
        8 if word.iter().all(|digit| matches!(digit, b'0' | b'1')) => Some((word, 2)),
        _ => None,
    }
}

/// Whether people would read it: several words of letters.
pub(super) fn is_prose(text: &str) -> bool {
    let word = |word: &&str| word.chars().count() >= 2 && word.chars().all(|c| c.is_alphabetic() || c == '\'');
    let spaced = text.split(|c: char| c.is_whitespace() || matches!(c, '.' | ',' | ':' | ';' | '?' | '!')).filter(word);
    let unspaced = || text.chars().filter(|c| ('\u{2E80}'..='\u{FFEF}').contains(c));
    spaced.take(3).count() == 3 || unspaced().take(6).count() == 6
}

/// Letters of base64 and base64url, what says nothing in between, and what stands between bytes.
fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_' | b'=' | b' ' | 0)
}

/// The stretches of `run` whose bytes are all of `kind`.
fn stretches(run: &[u8], kind: fn(u8) -> bool) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    run.chunk_by(move |one, next| kind(*one) == kind(*next)).filter_map(move |part| {
        let range = at..at + part.len();
        at = range.end;
        part.first().is_some_and(|first| kind(*first)).then_some(range)
    })
}

fn base64(letters: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(letters.len() / 4 * 3);
    let (mut bits, mut held) = (0_u32, 0_u32);
    for letter in letters {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            // Padding: a new group begins behind it.
            _ => {
                held = 0;
                continue;
            }
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held & 0xff) as u8);
        }
    }
    out
}

/// Digits of `base`, `width` to a byte.
fn digits(digits: &[u8], base: u32, width: usize) -> Vec<u8> {
    let byte =
        |group: &[u8]| group.iter().try_fold(0_u32, |sum, digit| Some(sum * base + char::from(*digit).to_digit(base)?));
    digits.chunks_exact(width).filter_map(byte).filter_map(|byte| u8::try_from(byte).ok()).collect()
}

/// What one escape at the beginning of some bytes stands for, and how long it is.
type Escape = fn(&[u8]) -> Option<(u32, usize)>;

/// `run` with its escapes of one kind read, where there are enough of them. Values above a byte are characters.
fn escapes(run: &[u8], read: Escape) -> Option<Vec<u8>> {
    let (mut out, mut at, mut count) = (Vec::with_capacity(run.len()), 0, 0_usize);
    while let Some(rest) = run.get(at..).filter(|rest| !rest.is_empty()) {
        match read(rest) {
            Some((value, length)) => {
                match (u8::try_from(value), char::from_u32(value)) {
                    // Percent and `\x` escapes are bytes; of the others all below 128 are the same.
                    (Ok(byte), _) if length <= 4 || byte.is_ascii() => out.push(byte),
                    (_, Some(c)) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
                    _ => out.push(b'?'),
                }
                count += 1;
                at += length;
            }
            None => {
                out.extend(rest.first().filter(|byte| **byte != 0));
                at += 1;
            }
        }
    }
    (count >= ESCAPES).then_some(out)
}

fn percent(bytes: &[u8]) -> Option<(u32, usize)> {
    match bytes {
        [b'%', digits @ ..] => Some((number(digits.get(..2)?, 16)?, 3)),
        _ => None,
    }
}

/// `&#105;`, `&#x69;`, also without the semicolon, as browsers read them.
fn entity(bytes: &[u8]) -> Option<(u32, usize)> {
    let digits = bytes.strip_prefix(b"&#")?;
    let (digits, base, prefix) = match digits {
        [b'x' | b'X', rest @ ..] => (rest, 16, 3),
        _ => (digits, 10, 2),
    };
    let length = digits.iter().take(7).take_while(|digit| char::from(**digit).is_digit(base)).count();
    let value = number(digits.get(..length).filter(|digits| !digits.is_empty())?, base)?;
    Some((value, prefix + length + usize::from(digits.get(length) == Some(&b';'))))
}

/// `\x69`, `\u0069`, `\u{69}`.
fn literal(bytes: &[u8]) -> Option<(u32, usize)> {
    match bytes {
        [b'\\', b'x' | b'X', digits @ ..] => Some((number(digits.get(..2)?, 16)?, 4)),
        [b'\\', b'u', b'{', digits @ ..] => {
            let length = digits.iter().take(7).position(|digit| *digit == b'}').filter(|length| *length > 0)?;
            Some((number(digits.get(..length)?, 16)?, 4 + length))
        }
        [b'\\', b'u', digits @ ..] => Some((number(digits.get(..4)?, 16)?, 6)),
        _ => None,
    }
}

fn number(digits: &[u8], base: u32) -> Option<u32> {
    digits.iter().try_fold(0_u32, |sum, digit| sum.checked_mul(base)?.checked_add(char::from(*digit).to_digit(base)?))
}

/// The text in `bytes`, if there is one: UTF-8 or UTF-16 of characters that people write. A few broken ones at the ends are those
/// of a window.
fn text_of(bytes: Vec<u8>) -> Option<String> {
    let wide = bytes.len() >= 16 && bytes.iter().skip(1).step_by(2).take(64).all(|byte| *byte == 0);
    let text = if wide {
        let units = bytes.as_chunks().0.iter().copied().map(u16::from_le_bytes);
        char::decode_utf16(units).map(|c| c.unwrap_or('\u{FFFD}')).collect()
    } else {
        match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        }
    };
    let odd = |c: &char| c.is_control() && !matches!(c, '\n' | '\r' | '\t') || *c == '\u{FFFD}';
    let (all, odd) = (text.chars().count(), text.chars().filter(odd).count());
    (all >= 8 && odd <= 6 && odd * 20 <= all).then_some(text)
}
