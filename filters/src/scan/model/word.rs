//! Words as the classifier reads them, and the numbers of their features.

use super::features::{GRAM_BITS, Sink, WORD_BITS};
use super::letters::{self, ends_word};

/// A longer word is read as several.
pub(super) const LONGEST: usize = 24;
/// Of eight bytes, and one for what stands behind it.
const PARTS: usize = LONGEST / 8 + 1;

pub(super) const GRAM_KEY: u32 = 0x9E37_79B1;
pub(super) const WORD_KEY: u64 = 0x9E37_79B9_7F4A_7C15;

/// Small letters and digits, eight to a part, the first lowest, and zeros.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Word {
    pub(super) parts: [u64; PARTS],
    pub(super) length: usize,
    pub(super) letters: u8,
    pub(super) digits: u8,
    /// A letter of it is a small one.
    pub(super) small: bool,
}

impl Word {
    /// Adds `byte` where there is room.
    pub(super) fn push(&mut self, byte: u8) {
        if let Some(part) = self.parts.get_mut(self.length / 8) {
            *part |= u64::from(byte) << (self.length % 8 * 8);
            self.length += 1;
        }
    }
}

/// The word of eight ASCII letters and more at the beginning of `rest`, unless it goes on with something else, is too long, or may go
/// on with what comes.
pub(super) fn long_word(rest: &[u8]) -> Option<Word> {
    let mut word = Word::default();
    for (place, part) in word.parts.iter_mut().zip(rest.as_chunks::<8>().0).take(LONGEST / 8) {
        let (letters, count, small) = letters::small(*part);
        *place = letters;
        word.small |= small;
        word.length += count;
        if count < 8 {
            break;
        }
    }
    word.letters = word.length as u8;
    rest.get(word.length).is_some_and(|next| ends_word(*next)).then_some(word)
}

/// Reads digits among letters as the letters they look like.
pub(super) fn unmask(word: &mut Word) {
    let mut bytes = [0; LONGEST];
    for (place, part) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(word.parts) {
        *place = part.to_le_bytes();
    }
    let read = bytes.get_mut(..word.length).unwrap_or_default();
    word.length = letters::unmask(read, word.letters, word.digits);
    for (part, bytes) in word.parts.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *part = u64::from_le_bytes(*bytes);
    }
}

/// Groups of four characters of a word, with a space before it and one behind.
pub(super) fn grams(word: &Word, sink: &mut impl Sink) {
    let mut word = *word;
    let mut left = word.length + 1;
    word.push(b' ');
    let (mut four, mut place) = (u32::from(b' ') << 24, 0_u8);
    for part in word.parts {
        let mut chars = part;
        for _ in 0..left.min(8) {
            four = four >> 8 | (chars as u32) << 24;
            chars >>= 8;
            place += 1;
            if place > 2 {
                gram(four, sink);
            }
        }
        left = left.saturating_sub(8);
    }
}

/// A feature of four characters.
#[inline]
pub(super) fn gram(four: u32, sink: &mut impl Sink) {
    let hash = four.wrapping_mul(GRAM_KEY);
    sink.gram(((hash ^ hash >> 15) >> (32 - GRAM_BITS)) as usize);
}

/// A feature of words.
#[inline]
pub(super) fn group(hash: u64, sink: &mut impl Sink) {
    sink.words((hash.wrapping_mul(WORD_KEY) >> (64 - WORD_BITS)) as usize);
}
