//! What a character is to the classifier.

use crate::scan::pages::Pages;

pub(super) const SILENT: u8 = 0;
pub(super) const LETTER: u8 = 1;
pub(super) const DIGIT: u8 = 2;
pub(super) const SPACE: u8 = 3;
pub(super) const LINE: u8 = 4;
pub(super) const MARK: u8 = 5;
pub(super) const BACKSLASH: u8 = 6;
/// Read as a letter within a word.
pub(super) const SOFT: u8 = 7;

#[allow(clippy::indexing_slicing, reason = "at compile time, and below the length")]
const KINDS: [u8; 128] = {
    let mut kinds = [MARK; 128];
    let mut byte = 0_u8;
    while byte < 128 {
        kinds[byte as usize] = match byte {
            b'a'..=b'z' | b'A'..=b'Z' => LETTER,
            b'0'..=b'9' => DIGIT,
            b'\n' | b'\r' => LINE,
            b'\\' => BACKSLASH,
            b'@' | b'$' => SOFT,
            b'\'' | b'*' => SILENT,
            0..=b' ' | 127 => SPACE,
            _ => MARK,
        };
        byte += 1;
    }
    kinds
};

/// What an ASCII byte is.
#[inline]
pub(super) fn kind(byte: u8) -> u8 {
    KINDS.get(usize::from(byte)).copied().unwrap_or(MARK)
}

/// Whether a word of letters is whole before this byte: behind a backslash it may go on.
#[inline]
pub(super) fn ends_word(byte: u8) -> bool {
    byte < 128 && matches!(kind(byte), SPACE | LINE | MARK)
}

/// One in each of eight bytes.
const EACH: u64 = 0x0101_0101_0101_0101;

/// The ASCII letters at the beginning of eight bytes, small, with zeros behind; how many, and whether one of them was small.
#[inline]
pub(super) fn small(part: [u8; 8]) -> (u64, usize, bool) {
    let bytes = u64::from_le_bytes(part);
    let small = (bytes & (EACH * 0x7f)) | (EACH << 5);
    let (from_a, past_z) = (small + EACH * (0x80 - b'a' as u64), small + EACH * (0x7f - b'z' as u64));
    // The highest bit of each byte that is a letter.
    let letters = from_a & !past_z & !bytes & EACH << 7;
    let count = (!letters & EACH << 7).trailing_zeros() / 8;
    // Two shifts, as one by 64 is none.
    let mask = !(u64::MAX << (4 * count) << (4 * count));
    (small & mask, count as usize, bytes & (EACH << 5) & mask != 0)
}

/// Digits among letters as the letters they look like, numbers as zeros; returns how much of `word` is one.
pub(super) fn unmask(word: &mut [u8], letters: u8, digits: u8) -> usize {
    let mut length = word.len();
    while let Some(last) =
        word.get_mut(..length).and_then(<[u8]>::last_mut).filter(|last| length > 1 && matches!(last, b'@' | b'$'))
    {
        *last = 0;
        length -= 1;
    }
    let among = length >= 3 && letters >= 1 && digits <= 2 * letters;
    for byte in word {
        *byte = match *byte {
            b'0' if among => b'o',
            b'1' if among => b'i',
            b'3' if among => b'e',
            b'4' | b'@' if among => b'a',
            b'5' | b'$' if among => b's',
            b'7' if among => b't',
            b'0'..=b'9' => b'0',
            other => other,
        };
    }
    length
}

/// A letter or digit outside of ASCII of a script that puts spaces between words, a character that is a word, the end of a sentence.
pub(super) const OTHER: u8 = 8;
pub(super) const UNSPACED: u8 = 9;
pub(super) const STOP: u8 = 10;

/// What a character outside of ASCII is.
pub(super) fn other(c: char) -> u8 {
    static KINDS: Pages<u8> = Pages::new();
    KINDS.get(c, look_up)
}

fn look_up(c: char) -> u8 {
    match c {
        _ if is_unspaced(c) => UNSPACED,
        _ if c.is_alphanumeric() => OTHER,
        _ if c.is_whitespace() => SPACE,
        _ if is_stop(c) => STOP,
        _ => MARK,
    }
}

/// Ends of sentences in other scripts.
fn is_stop(c: char) -> bool {
    matches!(c, '。' | '！' | '？' | '।' | '؟' | '۔' | '…')
}

/// Han, kana, Hangul and Thai, which are written without spaces or with endings.
fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{E00}'..='\u{EFF}' | '\u{3041}'..='\u{30FF}' | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}'
        | '\u{AC00}'..='\u{D7A3}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3134F}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_told_from_everything_else() {
        for first in 0..=255_u8 {
            for at in 0..8 {
                let mut part = *b"aZbYcXdW";
                part[at] = first;
                let want = part.iter().position(|byte| !byte.is_ascii_alphabetic()).unwrap_or(8);
                let (small, count, any_small) = small(part);
                let small = small.to_le_bytes();
                assert_eq!(count, want, "{part:?}");
                assert_eq!(small[..count], part[..count].to_ascii_lowercase());
                assert!(small[count..].iter().all(|byte| *byte == 0));
                assert_eq!(any_small, part[..count].iter().any(u8::is_ascii_lowercase));
            }
        }
    }
}
