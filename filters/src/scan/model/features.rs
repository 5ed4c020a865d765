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

/// Single letters with one character between them, always the same: `i g n o r e`. What they say is known where they end.
#[derive(Debug, Clone, Copy, Default)]
struct Spelled {
    word: Word,
    /// Where the first of them stands.
    start: usize,
    /// What stands between them.
    between: u8,
    /// Marks before the first of them.
    marks: u64,
    /// A sentence ended behind the last of them, a line did.
    stopped: bool,
    lined: bool,
}

impl Spelled {
    fn is_open(&self) -> bool {
        self.word.length > 0
    }
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

fn is_stop(byte: u8) -> bool {
    matches!(byte, b'.' | b'!' | b'?' | b':')
}

/// What stands between two words, as marks.
fn mark_of(between: u8) -> u64 {
    if between == b' ' { 0 } else { between.into() }
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

    /// The word is a single letter, and may belong to one that is spelled out.
    fn spell(&mut self, word: &Word, sink: &mut impl Sink) {
        let [letter, ..] = word.parts;
        let Spelled { word: known, between, .. } = self.spelled;
        if self.apart != 1 || known.length == LONGEST || known.length > 2 && self.between != between {
            self.spelled_ended(sink);
        } else if known.length == 2 && self.between != between {
            // `a w-o-r-d`: the first was a word of its own.
            let (second, start) = (known.parts[0] >> 8, self.spelled.start);
            self.spelled.word = Word { length: 1, letters: 1, parts: [known.parts[0] & 0xff, 0, 0, 0], ..known };
            self.spelled.stopped = is_stop(between);
            self.spelled.lined = false;
            self.spelled_ended(sink);
            self.spelled.word.push(second as u8);
            // At the latest.
            (self.spelled.marks, self.spelled.start) = (mark_of(between), start);
        }
        let marks = std::mem::take(&mut self.marks);
        if !self.spelled.is_open() {
            (self.spelled.marks, self.spelled.start) = (marks, self.word_start);
        }
        self.spelled = Spelled { between: self.between, stopped: false, lined: false, ..self.spelled };
        self.spelled.word.push(letter as u8);
        self.spelled.word.letters = self.spelled.word.length as u8;
        self.spelled.word.small |= word.small;
    }

    /// A word that was spelled out stands where its letters stood.
    #[inline]
    fn spelled_ended(&mut self, sink: &mut impl Sink) {
        if self.spelled.is_open() {
            self.spelled_out(sink);
        }
    }

    fn spelled_out(&mut self, sink: &mut impl Sink) {
        let Spelled { word, between, marks, stopped, lined, .. } = std::mem::take(&mut self.spelled);
        let behind = std::mem::replace(&mut self.marks, marks);
        if word.length < SPELLED {
            for (i, letter) in word.parts[0].to_le_bytes().into_iter().take(word.length).enumerate() {
                if i > 0 {
                    self.marks = mark_of(between);
                    if is_stop(between) {
                        self.sentence_ended();
                    }
                }
                self.take(
                    &Word { parts: [letter.into(), 0, 0, 0], length: 1, letters: 1, digits: 0, small: true },
                    sink,
                );
            }
        } else {
            self.take(&word, sink);
        }
        if stopped {
            self.sentence_ended();
        }
        if lined {
            self.word_hash(LINE_WORD, sink);
        }
        self.marks = behind;
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
        self.seen.key = self.seen.key.wrapping_add(GRAM_KEY);
    }
}
