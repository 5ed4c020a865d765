//! What the classifier sees of a text: words, pairs and threes of them, and groups of four characters in words, hashed, block by
//! block.
//!
//! Reads folded text piece by piece, and gives the same features wherever a text is cut. Words are read in small letters, digits
//! among letters as the letters they look like, escapes of JSON as what they stand for, single letters with one character between
//! them as the word they spell. Marks that stand together are a feature,
//! alone and with the word they touch. A character outside of ASCII is one byte of a hash, so that four characters are four bytes
//! in every script; of scripts without spaces a character is a word.

mod escape;
mod seen;
mod spelled;

use super::letters::{self, ends_word, kind};
use super::word::{GRAM_KEY, LONGEST, WORD_KEY, Word, gram, grams, group, long_word, unmask};
use escape::Escape;
use seen::Seen;
use spelled::{SPELLED, Spelled};

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
    /// The word that is being read, and where it begins.
    word: Word,
    word_start: usize,
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

/// Stands among the words where a line ends, and before the first.
const LINE_WORD: u64 = 0x51_7c_c1_b7_27_22_0a_95;
/// Stands among them where a sentence ends.
const STOP_WORD: u64 = 0x2b_99_2d_df_a2_32_49_d7;

fn is_stop(byte: u8) -> bool {
    matches!(byte, b'.' | b'!' | b'?' | b':')
}

/// A word in capitals.
const CAPITALS: u64 = 0x6c_62_27_2e_07_bb_01_42;

impl Features {
    /// For blocks of `block` characters and what their last word has more.
    #[must_use]
    pub fn new(block: u32) -> Self {
        Self {
            word: Word::default(),
            word_start: 0,
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
            seen: Seen::new(),
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
        let is_spelled = self.spelled.is_open();
        self.spelled_ended(sink);
        self.marks_ended(sink);
        if self.count > 0 || is_spelled {
            self.block_ended(sink);
        }
    }

    /// Where the word begins that is being read, of which nothing counts yet.
    #[must_use]
    pub fn open_at(&self) -> Option<usize> {
        if self.spelled.is_open() && self.apart <= 1 {
            return Some(self.spelled.start);
        }
        (self.word.length > 0).then_some(self.word_start)
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
        if length == 1 || self.spelled.is_open() {
            self.word_start = at;
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

    fn other(&mut self, c: char, sink: &mut impl Sink) {
        self.escape = Escape::None;
        let code = 0x80 | ((c as u32).wrapping_mul(GRAM_KEY) >> 25) as u8;
        match letters::other(c) {
            letters::UNSPACED => {
                self.word_ended(sink);
                self.word_of(c, sink);
            }
            letters::OTHER => {
                self.word.letters = self.word.letters.saturating_add(1);
                self.word.small = true;
                self.push(code, sink);
            }
            letters::SPACE => {
                self.word_ended(sink);
                self.space(sink);
            }
            kind => {
                self.word_ended(sink);
                self.mark(if kind == letters::STOP { b'.' } else { code }, sink);
            }
        }
    }

    fn push(&mut self, byte: u8, sink: &mut impl Sink) {
        if self.word.length == LONGEST {
            self.word_ended(sink);
        }
        if self.word.length == 0 {
            self.word_start = self.at;
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
            // Of one that is spelled out, a letter is a character.
            return self.passed(if self.spelled.word.length < SPELLED { 2 } else { 1 }, sink);
        }
        self.spelled_ended(sink);
        self.take(word, sink);
        self.passed(word.length + 1, sink);
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

    fn sentence_ended(&mut self) {
        if !matches!(self.before, [_, STOP_WORD | LINE_WORD]) {
            self.before = [self.before[1], STOP_WORD];
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
        if self.spelled.is_open() {
            self.spelled.lined = true;
        } else if !matches!(self.before, [_, LINE_WORD]) {
            self.word_hash(LINE_WORD, sink);
        }
    }

    fn mark(&mut self, byte: u8, sink: &mut impl Sink) {
        let is_between = self.spelled.is_open() && self.apart == 0;
        (self.apart, self.between) = (self.apart.saturating_add(1), byte);
        if self.marks >> 56 != 0 {
            self.marks_ended(sink);
        }
        // Of a line of them three say it.
        if self.marks & 0xff_ffff != u64::from(byte) * 0x01_0101 {
            self.marks = self.marks << 8 | u64::from(byte);
            self.count += u32::from(!is_between);
        }
        if is_stop(byte) {
            if self.spelled.is_open() {
                self.spelled.stopped = true;
            } else {
                self.sentence_ended();
            }
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
        self.seen.next_block();
    }
}
