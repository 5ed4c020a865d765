//! Words that are spelled out.

use super::{Features, LINE_WORD, Sink, is_stop};
use crate::scan::model::word::{LONGEST, Word};

/// Single letters with one character between them, always the same: `i g n o r e`. What they say is known where they end.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Spelled {
    pub(super) word: Word,
    /// Where the first of them stands.
    pub(super) start: usize,
    /// What stands between them.
    between: u8,
    /// Marks before the first of them.
    marks: u64,
    /// A sentence ended behind the last of them, a line did.
    pub(super) stopped: bool,
    pub(super) lined: bool,
}

impl Spelled {
    pub(super) fn is_open(&self) -> bool {
        self.word.length > 0
    }
}

/// Fewer single letters than this are no word that was spelled out.
pub(super) const SPELLED: usize = 3;

/// What stands between two words, as marks.
fn mark_of(between: u8) -> u64 {
    if between == b' ' { 0 } else { between.into() }
}

impl Features {
    /// The word is a single letter, and may belong to one that is spelled out.
    pub(super) fn spell(&mut self, word: &Word, sink: &mut impl Sink) {
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
    pub(super) fn spelled_ended(&mut self, sink: &mut impl Sink) {
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
}
