//! Text that was put into an encoding so that only a model reads it: base64, hexadecimal, binary digits, percent escapes, numeric
//! entities of HTML, escapes of string literals, one inside of another.
//!
//! Runs of characters without spaces are followed, and those that could be such text are decoded. What comes out scores as an
//! injection does, and more for having been hidden; readable text that is none scores [`READABLE`]. Pictures, keys and hashes decode
//! to bytes that are no text, and score nothing.

mod decode;

use std::sync::Arc;

use super::fold::is_invisible;
use super::hit::{Hit, Source};
use super::injection::Signatures;
use super::model::{Head, Model};
use super::orders;
use super::plan::Signed;

/// Bytes of text that a stream must be able to hold.
pub(crate) const NEEDS: usize = 128;

/// Encodings inside each other that are looked into.
const LAYERS: u8 = 3;
/// Shorter than this nothing is said in any of them.
const LEAST: usize = 24;
/// What hides a text that is no injection.
const READABLE: u8 = 50;
/// What hiding adds to the score of an injection that is likely one.
const FOR_HIDING: u8 = 10;
/// From here on it does.
const LIKELY: u8 = 40;
/// Lines of base64 are at least this long but for the last.
const LINE: usize = 56;

/// How a run goes on behind a space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chain {
    None,
    /// Lines of base64.
    Lines,
    /// Bytes one by one, in two hexadecimal or eight binary digits.
    Bytes,
}

/// The state on one text.
#[derive(Debug)]
pub(crate) struct EncodedRuns {
    signatures: Arc<Signatures>,
    model: (Arc<Model>, Head),
    limit: usize,
    /// A score below this is not reported.
    least: u8,
    /// Byte for byte what was read since `start`; what is no ASCII stands there as zeros.
    run: Vec<u8>,
    start: usize,
    /// Where in `run` the last word begins.
    word: usize,
    chain: Chain,
    /// The run had more in front of it, and may begin in the middle of a group of letters.
    cut: bool,
    /// Text before this was let go by a stall.
    let_go: usize,
}

impl EncodedRuns {
    /// What is decoded is judged as `signed` judges, and as texts of `head`.
    pub(crate) fn new(signed: &Signed, head: Head, limit: usize, least: u8) -> Self {
        Self {
            signatures: Arc::clone(&signed.signatures),
            model: (Arc::clone(&signed.model), head),
            limit,
            least,
            run: Vec::new(),
            start: 0,
            word: 0,
            chain: Chain::None,
            cut: false,
            let_go: 0,
        }
    }

    /// Reads `text`, which begins at position `at`.
    pub(crate) fn read(&mut self, text: &str, at: usize, hits: &mut Vec<Hit>) {
        let mut from = 0;
        let bytes = text.as_bytes();
        while let Some(rest) = bytes.get(from..).filter(|rest| !rest.is_empty()) {
            // Words of ASCII as a whole: most of every text.
            let plain = rest.iter().position(|byte| !byte.is_ascii_graphic()).unwrap_or(rest.len());
            let mut word = rest.get(..plain).unwrap_or_default();
            while !word.is_empty() {
                // There is less room behind a window than there was in the first.
                let (piece, more) = word.split_at(self.room().clamp(1, word.len()));
                self.take(piece, at + from, hits);
                from += piece.len();
                word = more;
            }
            let Some(c) = text.get(from..).and_then(|text| text.chars().next()) else { continue };
            if c.is_ascii_graphic() {
                continue;
            }
            let (begin, end) = (at + from, at + from + c.len_utf8());
            from += c.len_utf8();
            if is_invisible(c) {
                if !self.run.is_empty() {
                    self.take([0; 4].get(..c.len_utf8()).unwrap_or_default(), begin, hits);
                }
            } else {
                self.word_ended(c, begin, end, hits);
            }
        }
    }

    /// How much the run may grow before it is looked at.
    fn room(&self) -> usize {
        self.limit.saturating_sub(self.run.len())
    }

    fn take(&mut self, piece: &[u8], at: usize, hits: &mut Vec<Hit>) {
        if self.run.is_empty() {
            (self.start, self.word, self.cut) = (at, 0, false);
        }
        self.run.extend_from_slice(piece);
        if self.run.len() >= self.limit {
            self.judge(self.run.len(), at + piece.len(), hits);
            // The second half stays, for what lies over the border.
            let gone = self.run.len() / 2;
            self.run.drain(..gone);
            self.start += gone;
            self.word = self.word.saturating_sub(gone);
            self.cut = true;
        }
    }

    /// `c` stands behind the last word: its bytes end at `end`.
    fn word_ended(&mut self, c: char, begin: usize, end: usize, hits: &mut Vec<Hit>) {
        if self.run.is_empty() {
            return;
        }
        let word = self.run.get(self.word..).unwrap_or_default();
        let chain = match (word, c) {
            // The line feed behind a carriage return, spaces between bytes.
            ([], '\n' | '\r' | ' ' | '\t') => self.chain,
            (_, '\n' | '\r') if decode::is_base64_line(word, LINE) => Chain::Lines,
            (_, '\n' | '\r' | ' ' | '\t') if decode::is_byte(word) => Chain::Bytes,
            _ => Chain::None,
        };
        let goes_on = chain != Chain::None && (self.chain == Chain::None || chain == self.chain);
        if goes_on {
            self.chain = chain;
            self.run.push(b' ');
            self.word = self.run.len();
            if self.run.len() >= self.limit {
                self.take(&[], begin, hits);
            }
            return;
        }
        // The last line of base64 is shorter; the word behind bytes is no byte, and may be something else.
        let whole = self.chain != Chain::Bytes || word.is_empty();
        if whole {
            self.judge(self.run.len(), end, hits);
        } else {
            let word = self.word;
            self.judge(word, end, hits);
            self.run.drain(..word);
            self.start += word;
            self.judge(self.run.len(), end, hits);
        }
        self.clear();
    }

    pub(crate) fn finish(&mut self, text_end: usize, hits: &mut Vec<Hit>) {
        self.judge(self.run.len(), text_end + 1, hits);
        self.clear();
    }

    /// The run so far is judged as if the text ended here, and still counts where it goes on.
    pub(crate) fn stall(&mut self, text_end: usize, hits: &mut Vec<Hit>) {
        self.judge(self.run.len(), text_end, hits);
        self.let_go = text_end;
    }

    pub(crate) fn live(&self) -> Option<usize> {
        (!self.run.is_empty()).then_some(self.start).filter(|start| *start >= self.let_go)
    }

    fn clear(&mut self) {
        self.run.clear();
        self.word = 0;
        self.chain = Chain::None;
    }

    fn judge(&self, upto: usize, seen: usize, hits: &mut Vec<Hit>) {
        let run = self.run.get(..upto).unwrap_or_default();
        if run.len() < LEAST {
            return;
        }
        for found in decode::all(run, self.cut) {
            let score = self.score(&found.text, LAYERS);
            if score >= self.least {
                let (start, end) = (self.start + found.range.start, self.start + found.range.end);
                hits.push(Hit { start, end, seen, source: Source::Encoded, score, open: false, tail: false });
            }
        }
    }

    /// Of what came out of an encoding.
    fn score(&self, text: &str, layers: u8) -> u8 {
        let (model, head) = &self.model;
        let mut best = orders::percent(&self.signatures, (model, *head), self.limit.max(text.len()), text) as u8;
        if best >= LIKELY {
            best = best.saturating_add(FOR_HIDING).min(100);
        }
        if layers > 1 && text.len() >= LEAST {
            let words = text.split(|c: char| !c.is_ascii_graphic()).filter(|word| word.len() >= LEAST);
            let whole = decode::all(text.as_bytes(), false).into_iter();
            let nested = whole.chain(words.flat_map(|word| decode::all(word.as_bytes(), false)));
            best = nested.map(|found| self.score(&found.text, layers - 1)).fold(best, u8::max);
        }
        if decode::is_prose(text) { best.max(READABLE) } else { best }
    }
}

/// The highest score in the whole of `text`, whatever threshold it has to reach.
pub(crate) fn score(signed: &Signed, head: Head, limit: usize, text: &str) -> u8 {
    let mut hits = Vec::new();
    let mut runs = EncodedRuns::new(signed, head, limit, 1);
    runs.read(text, 0, &mut hits);
    runs.finish(text.len(), &mut hits);
    hits.iter().map(|hit| hit.score).max().unwrap_or(0)
}

#[cfg(test)]
mod tests;
