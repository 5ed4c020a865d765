//! What the classifier sees of a text: words, pairs and threes of them, and groups of four characters in words, hashed, block by
//! block.
//!
//! Reads folded text piece by piece, and gives the same features wherever a text is cut. Words are read in small letters, digits
//! among letters as the letters they look like, escapes of JSON as what they stand for, single letters with one character between
//! them as the word they spell. Marks that stand together are a feature,
//! alone and with the word they touch. A character outside of ASCII is one byte of a hash, so that four characters are four bytes
//! in every script; of scripts without spaces a character is a word.

use super::letters::{self, ends_word, kind};
use super::word::{GRAM_KEY, LONGEST, WORD_KEY, Word, gram, grams, group, long_word, unmask};

/// Indices of groups of characters, in bits.
pub const GRAM_BITS: u32 = 18;
/// Indices of words, of groups of them and of marks, in bits.
pub const WORD_BITS: u32 = 19;

/// A block of as many bytes ends too: a stream has to hold two of them.
const MOST: usize = 250;

/// Takes the features of a text.
pub trait Sink {
    /// Four characters of a word, below `1 << GRAM_BITS`.
    fn gram(&mut self, index: usize);
    /// Words or marks, below `1 << WORD_BITS`.
    fn words(&mut self, index: usize);
    /// What came since the last block were the features of the text from `start` to `end`.
    fn block(&mut self, start: usize, end: usize);
}

/// The state on one text.
#[derive(Debug)]
pub struct Features {
    /// The word that is being read.
    word: Word,
    spelled: Spelled,
    /// Characters since the last word, and the last of them.
    apart: u8,
    between: u8,
    /// Marks that stand together, the latest lowest; 0 where something else came.
    marks: u64,
    /// Hashes of the last two words.
    before: [u64; 2],
    escape: Escape,
    /// A block ends with the word that makes it this long, in characters.
    block: u32,
    /// Characters in this block.
    count: u32,
    start: usize,
    at: usize,
    seen: Seen,
}

/// Single letters with one character between them, always the same: `i g n o r e`.
#[derive(Debug, Clone, Copy, Default)]
struct Spelled {
    word: Word,
    /// What stands between them.
    between: u8,
    /// What stood before the first of them.
    before: [u64; 2],
}

/// Fewer single letters than this are no word that was spelled out.
const SPELLED: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Escape {
    None,
    Backslash,
    /// Digits of `\u` read, and their value.
    Code(u8, u32),
}

/// Remembers the words of a block, so that most that come twice count once: one for each value of eight bits of its hash.
struct Seen {
    slots: [u32; 256],
    /// Another in each block, so that none of an earlier block is taken for one of this.
    key: u32,
}

/// Shows no text.
impl std::fmt::Debug for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seen")
    }
}

impl Seen {
    /// Whether this is new, as far as is remembered.
    #[inline]
    fn is_new(&mut self, hash: u32) -> bool {
        let keyed = hash ^ self.key;
        self.slots.get_mut((hash >> 24) as usize).is_some_and(|slot| std::mem::replace(slot, keyed) != keyed)
    }
}

/// Stands among the words where a line ends, and before the first.
const LINE_WORD: u64 = 0x51_7c_c1_b7_27_22_0a_95;
/// Stands among them where a sentence ends.
const STOP_WORD: u64 = 0x2b_99_2d_df_a2_32_49_d7;
/// A word in capitals.
const CAPITALS: u64 = 0x6c_62_27_2e_07_bb_01_42;
impl Features {
    /// For blocks of `block` characters and what their last word has more.
    #[must_use]
    pub fn new(block: u32) -> Self {
        Self {
            word: Word::default(),
            spelled: Spelled::default(),
            apart: 0,
            between: 0,
            marks: 0,
            before: [LINE_WORD, LINE_WORD],
            escape: Escape::None,
            block,
            count: 0,
            start: 0,
            at: 0,
            seen: Seen { slots: [0; 256], key: GRAM_KEY },
        }
    }

    /// Reads `text`, which begins at `at`.
    pub fn read(&mut self, text: &str, at: usize, sink: &mut impl Sink) {
        let bytes = text.as_bytes();
        let mut i = 0;
        while let Some(&byte) = bytes.get(i) {
            if self.word.length == 0 && self.escape == Escape::None && byte.is_ascii_alphabetic() {
                let length = self.whole_word(bytes.get(i..).unwrap_or_default(), at + i, sink);
                if length > 0 {
                    i += length;
                    if bytes.get(i) == Some(&b' ') {
                        // It says nothing more.
                        i += 1;
                        (self.apart, self.between) = (1, b' ');
                    }
                    continue;
                }
            }
            self.at = at + i;
            if byte < 128 {
                i += 1;
                self.ascii(byte, sink);
            } else {
                let Some(c) = text.get(i..).and_then(|rest| rest.chars().next()) else { break };
                i += c.len_utf8();
                self.other(c, sink);
            }
        }
        self.at = at + bytes.len();
    }

    /// The text has ended.
    pub fn finish(&mut self, sink: &mut impl Sink) {
        self.word_ended(sink);
        self.spelled_ended(sink);
        self.marks_ended(sink);
        if self.count > 0 {
            self.block_ended(sink);
        }
    }

    /// Takes the word of ASCII letters at the beginning of `rest`, which begins at `at`, and returns how long it is: 0 where it goes on
    /// with something else, is too long, or may go on with what comes.
    #[inline]
    fn whole_word(&mut self, rest: &[u8], at: usize, sink: &mut impl Sink) -> usize {
        let Some(part) = rest.first_chunk::<8>() else { return 0 };
        let (letters, length, small) = letters::small(*part);
        if length == 8 {
            let Some(word) = long_word(rest) else { return 0 };
            self.at = at + word.length;
            self.whole(&word, sink);
            return word.length;
        }
        if !rest.get(length).is_some_and(|next| ends_word(*next)) {
            return 0;
        }
        self.at = at + length;
        if length == 1 || self.spelled.word.length > 0 {
            let parts = [letters, 0, 0, 0];
            self.whole(&Word { parts, length, letters: length as u8, digits: 0, small }, sink);
            return length;
        }
        // Most words: what follows is `whole`, without a word in memory.
        let hash = letters.wrapping_mul(WORD_KEY);
        let hash = hash ^ hash >> 29;
        if self.seen.is_new((hash >> 32) as u32) {
            let mut spaced = u128::from(letters) << 8 | 0x20 | 0x20 << (8 * (length + 1));
            for _ in 1..length {
                gram(spaced as u32, sink);
                spaced >>= 8;
            }
            group(hash, sink);
            if length >= 4 && !small {
                group(CAPITALS, sink);
            }
        }
        self.word_hash(hash, sink);
        self.passed(length + 1, sink);
        length
    }

    #[inline]
    fn ascii(&mut self, byte: u8, sink: &mut impl Sink) {
        if self.escape != Escape::None {
            return self.escaped(byte, sink);
        }
        match kind(byte) {
            letters::LETTER => {
                self.word.letters = self.word.letters.saturating_add(1);
                self.word.small |= byte & 0x20 != 0;
                self.push(byte | 0x20, sink);
            }
            letters::DIGIT => {
                self.word.digits = self.word.digits.saturating_add(1);
                self.push(byte, sink);
            }
            letters::SPACE => {
                self.word_ended(sink);
                self.space(sink);
            }
            letters::LINE => {
                self.word_ended(sink);
                self.line(sink);
            }
            letters::BACKSLASH => self.escape = Escape::Backslash,
            letters::SOFT if (1..LONGEST).contains(&self.word.length) => self.push(byte, sink),
            letters::SILENT => {}
            _ => {
                self.word_ended(sink);
                self.mark(byte, sink);
            }
        }
    }

    fn escaped(&mut self, byte: u8, sink: &mut impl Sink) {
        let was = std::mem::replace(&mut self.escape, Escape::None);
        match (was, byte) {
            (Escape::Backslash, b'n' | b'r') => {
                self.word_ended(sink);
                self.line(sink);
            }
            (Escape::Backslash, b't') => {
                self.word_ended(sink);
                self.space(sink);
            }
            (Escape::Backslash, b'u') => self.escape = Escape::Code(0, 0),
            (Escape::Backslash, b'\\') => self.escape = Escape::Backslash,
            (Escape::Backslash, _) => {
                self.word_ended(sink);
                self.ascii(byte, sink);
            }
            (Escape::Code(read, value), _) => match char::from(byte).to_digit(16) {
                Some(digit) if read < 3 => self.escape = Escape::Code(read + 1, value * 16 + digit),
                Some(digit) => match char::from_u32(value * 16 + digit) {
                    Some(c) if c.is_ascii() && c != '\\' => self.ascii(c as u8, sink),
                    Some(c) => self.other(c, sink),
                    None => {}
                },
                None => self.ascii(byte, sink),
            },
            (Escape::None, _) => {}
        }
    }

    fn other(&mut self, c: char, sink: &mut impl Sink) {
        self.escape = Escape::None;
        let code = 0x80 | ((c as u32).wrapping_mul(GRAM_KEY) >> 25) as u8;
        if letters::is_unspaced(c) {
            self.word_ended(sink);
            self.word_of(c, sink);
        } else if c.is_alphanumeric() {
            self.word.letters = self.word.letters.saturating_add(1);
            self.word.small = true;
            self.push(code, sink);
        } else if c.is_whitespace() {
            self.word_ended(sink);
            self.space(sink);
        } else {
            self.word_ended(sink);
            self.mark(if letters::is_stop(c) { b'.' } else { code }, sink);
        }
    }

    fn push(&mut self, byte: u8, sink: &mut impl Sink) {
        if self.word.length == LONGEST {
            self.word_ended(sink);
        }
        self.word.push(byte);
    }

    fn word_ended(&mut self, sink: &mut impl Sink) {
        if self.word.length == 0 {
            return;
        }
        let mut word = std::mem::take(&mut self.word);
        if word.length > usize::from(word.letters) {
            unmask(&mut word);
        }
        self.whole(&word, sink);
    }

    /// A word is whole.
    fn whole(&mut self, word: &Word, sink: &mut impl Sink) {
        if word.length == 1 && word.letters == 1 {
            self.spell(word, sink);
        } else {
            self.spelled_ended(sink);
        }
        // From the third letter on of one that is spelled out, only the word says something.
        let space = if self.spelled.word.length < SPELLED {
            self.take(word, sink);
            1
        } else {
            self.marks = 0;
            0
        };
        self.passed(word.length + space, sink);
    }

    /// A word of so many characters, with what stands behind it, was read.
    #[inline]
    fn passed(&mut self, characters: usize, sink: &mut impl Sink) {
        self.count += characters as u32;
        self.apart = 0;
        if self.is_full() {
            self.block_ended(sink);
        }
    }

    /// The features of a word, alone and with what stands before it.
    #[inline]
    fn take(&mut self, word: &Word, sink: &mut impl Sink) {
        let mut hash = 0_u64;
        for part in word.parts.iter().take(word.length.div_ceil(8)) {
            hash = (hash ^ part).wrapping_mul(WORD_KEY);
            hash ^= hash >> 29;
        }
        if self.seen.is_new((hash >> 32) as u32) {
            grams(word, sink);
            group(hash, sink);
            if word.letters >= 4 && !word.small {
                group(CAPITALS, sink);
            }
        }
        self.word_hash(hash, sink);
    }

    /// The word is a single letter, and may belong to one that is spelled out.
    fn spell(&mut self, word: &Word, sink: &mut impl Sink) {
        let goes_on = self.apart == 1 && (self.spelled.word.length == 1 || self.between == self.spelled.between);
        if !goes_on || self.spelled.word.length == LONGEST {
            self.spelled_ended(sink);
        }
        if self.spelled.word.length == 0 {
            self.spelled.before = self.before;
        }
        self.spelled.between = self.between;
        let [letter, ..] = word.parts;
        self.spelled.word.push(letter as u8);
    }

    /// A word that was spelled out stands where its letters stood.
    #[inline]
    fn spelled_ended(&mut self, sink: &mut impl Sink) {
        if self.spelled.word.length == 0 {
            return;
        }
        let Spelled { word, before, .. } = std::mem::take(&mut self.spelled);
        if word.length >= SPELLED {
            self.before = before;
            self.take(&word, sink);
        }
    }

    /// A character that is a word.
    fn word_of(&mut self, c: char, sink: &mut impl Sink) {
        self.spelled_ended(sink);
        self.count += 2;
        let hash = (u64::from(c as u32) ^ 0xff00_0000).wrapping_mul(WORD_KEY);
        let hash = hash ^ hash >> 29;
        if self.seen.is_new((hash >> 32) as u32) {
            group(hash, sink);
        }
        self.word_hash(hash, sink);
        self.passed(0, sink);
    }

    /// What stands before a word, with it.
    #[inline]
    fn word_hash(&mut self, hash: u64, sink: &mut impl Sink) {
        let [first, second] = self.before;
        let two = (second.rotate_left(21) ^ hash).wrapping_mul(WORD_KEY);
        group(two, sink);
        group(first.rotate_left(42) ^ two, sink);
        if self.marks != 0 {
            let marks = self.marks;
            self.marks_ended(sink);
            group(marks.wrapping_mul(WORD_KEY).rotate_left(31) ^ hash, sink);
        }
        self.before = [second, hash];
    }

    fn space(&mut self, sink: &mut impl Sink) {
        (self.apart, self.between) = (self.apart.saturating_add(1), b' ');
        self.marks_ended(sink);
    }

    fn line(&mut self, sink: &mut impl Sink) {
        (self.apart, self.between) = (self.apart.saturating_add(1), b' ');
        self.marks_ended(sink);
        if !matches!(self.before, [_, LINE_WORD]) {
            self.word_hash(LINE_WORD, sink);
        }
    }

    fn mark(&mut self, byte: u8, sink: &mut impl Sink) {
        (self.apart, self.between) = (self.apart.saturating_add(1), byte);
        if self.marks >> 56 != 0 {
            self.marks_ended(sink);
        }
        // Of a line of them three say it.
        if self.marks & 0xff_ffff != u64::from(byte) * 0x01_0101 {
            self.marks = self.marks << 8 | u64::from(byte);
            self.count += 1;
        }
        if matches!(byte, b'.' | b'!' | b'?' | b':') && !matches!(self.before, [_, STOP_WORD | LINE_WORD]) {
            self.before = [self.before[1], STOP_WORD];
        }
    }

    fn marks_ended(&mut self, sink: &mut impl Sink) {
        let marks = std::mem::take(&mut self.marks);
        if marks != 0 {
            if self.seen.is_new((marks.wrapping_mul(WORD_KEY) >> 32) as u32) {
                group(marks, sink);
            }
            if self.is_full() {
                self.block_ended(sink);
            }
        }
    }

    fn is_full(&self) -> bool {
        self.count >= self.block || self.at.saturating_sub(self.start) >= MOST
    }

    fn block_ended(&mut self, sink: &mut impl Sink) {
        sink.block(self.start, self.at);
        self.start = self.at;
        self.count = 0;
        self.seen.key = self.seen.key.wrapping_add(GRAM_KEY);
    }
}
