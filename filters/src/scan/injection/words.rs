//! From folded text to words of the vocabulary, with their places.

use super::signatures::{COLON, LINE};
use super::vocabulary::{Classes, Glance, Node, Vocabulary, is_anywhere, is_unspaced};
use crate::scan::blocks::Letters;
use crate::scan::view::View;

/// Beginnings followed at once among words that are found anywhere.
const MAX_WALKS: usize = 8;

/// A word of the vocabulary, as it was found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Word {
    pub(super) classes: Classes,
    /// In the text as received.
    pub(super) start: usize,
    pub(super) end: usize,
    /// How much of the text had to be read to know.
    pub(super) seen: usize,
    /// Place among all words: two units a word, one a letter where words are not spaced.
    pub(super) unit: u64,
    pub(super) sentence: u64,
}

/// A word between boundaries, still being read.
#[derive(Debug, Clone, Copy)]
struct Current {
    start: usize,
    end: usize,
    /// `None` once it is no word of the vocabulary.
    node: Option<Node>,
    stem: Classes,
    first_on_line: bool,
    /// The word, where it is one letter.
    letter: Option<char>,
}

#[derive(Debug, Clone, Copy)]
struct Walk {
    start: usize,
    node: Node,
}

/// The state on one text.
#[derive(Debug)]
pub(super) struct Words {
    limit: usize,
    current: Option<Current>,
    walks: Vec<Walk>,
    unit: u64,
    sentence: u64,
    /// The last character ended a sentence, if a space follows.
    stopped: bool,
    newlines: u8,
    line_begins: bool,
    /// The last character was a backslash: `\n` written out, as JSON inside of JSON has it, is a line break too.
    escaped: bool,
    spelled: Option<Spelled>,
}

/// Single letters with one character between them: `i g n o r e`.
#[derive(Debug, Clone, Copy)]
struct Spelled {
    word: Current,
    letters: usize,
    /// Characters since the last letter.
    apart: usize,
}

/// Fewer single letters than this are no word that was spelled out.
const SPELLED: usize = 5;

impl Words {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            current: None,
            walks: Vec::new(),
            unit: 0,
            sentence: 0,
            stopped: false,
            newlines: 0,
            line_begins: true,
            escaped: false,
            spelled: None,
        }
    }

    pub(super) fn unit(&self) -> u64 {
        self.unit
    }

    /// Where unfinished words begin.
    pub(super) fn opens(&self) -> impl Iterator<Item = usize> {
        let current = self.current.filter(|w| w.node.is_some() || w.stem != 0).map(|w| w.start);
        let spelled = self.spelled.map(|s| s.word.start);
        self.walks.iter().map(|w| w.start).chain(current).chain(spelled)
    }

    /// Reads `view` from position `from` on.
    pub(super) fn read(&mut self, vocabulary: &Vocabulary, view: &View, from: usize, mut found: impl FnMut(Word)) {
        let first = from.saturating_sub(view.base());
        // A view holds whole characters, and so does each addition to it.
        let Some(text) = view.bytes().get(first..).and_then(|b| std::str::from_utf8(b).ok()) else { return };
        let (mut i, mut runs) = (0, Letters::of(text.as_bytes()));
        while let Some(&byte) = text.as_bytes().get(i) {
            if byte.is_ascii_alphabetic() && self.walks.is_empty() && !self.escaped {
                if self.current.is_none() {
                    let end = self.whole_words(vocabulary, view, (from, i), &mut runs, &mut found);
                    if end > i {
                        i = end;
                        continue;
                    }
                }
                let end = runs.end(i);
                let run = text.as_bytes().get(i..end).unwrap_or_default();
                self.letters(vocabulary, view, from + i, run);
                i = end;
                continue;
            }
            if byte.is_ascii() {
                self.character(vocabulary, view, from + i, char::from(byte), &mut found);
                i += 1;
                continue;
            }
            let Some(c) = text.get(i..).and_then(|t| t.chars().next()) else { break };
            self.character(vocabulary, view, from + i, c, &mut found);
            i += c.len_utf8();
        }
    }

    /// Reads words of several letters that have ended, with a space behind each but the last, from `first` on, which has
    /// position `from` + `first`. Returns where it stopped: behind the last one's space, or at what else stands there.
    fn whole_words(
        &mut self,
        vocabulary: &Vocabulary,
        view: &View,
        (from, first): (usize, usize),
        runs: &mut Letters<'_>,
        found: &mut impl FnMut(Word),
    ) -> usize {
        let bytes = runs.bytes();
        let (mut at, mut unit, mut line_begins) = (first, self.unit, self.line_begins);
        while let Some(eight) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
            let end = runs.end(at);
            let (length, behind) = (end - at, bytes.get(end).copied());
            let Some(behind) = behind.filter(|b| length > 1 && (*b == b' ' || only_ends(*b))) else { break };
            let letters = u64::MAX >> (64 - 8 * length.min(8));
            match vocabulary.glance((u64::from_le_bytes(*eight) | 0x2020_2020_2020_2020) & letters, length) {
                Glance::Unknown => {}
                Glance::Known(classes) => {
                    let (start, seen) = (view.start_of(from + at), view.end_of(from + end));
                    if seen - start <= self.limit {
                        let mark = if behind == b':' { COLON } else { 0 } | if line_begins { LINE } else { 0 };
                        let (classes, end, sentence) = (classes | mark, view.end_of(from + end - 1), self.sentence);
                        found(Word { classes, start, end, seen, unit, sentence });
                    }
                }
                Glance::Unsure => break,
            }
            unit += 2;
            line_begins = false;
            at = end;
            if behind != b' ' {
                break;
            }
            at += 1;
        }
        if at > first {
            (self.unit, self.spelled) = (unit, None);
            (self.line_begins, self.stopped, self.newlines) = (false, false, 0);
        }
        at
    }

    fn character(&mut self, vocabulary: &Vocabulary, view: &View, at: usize, c: char, found: &mut impl FnMut(Word)) {
        if c == ' ' && self.current.is_none() && self.walks.is_empty() {
            self.escaped = false;
            self.part_letters(view.end_of(at));
            return self.boundary(c);
        }
        let place = (view.start_of(at), view.end_of(at));
        let c = if std::mem::replace(&mut self.escaped, c == '\\') && matches!(c, 'n' | 'r' | 't') { '\n' } else { c };
        if !self.walks.is_empty() || is_anywhere(c) {
            self.walk(vocabulary, place, c, found);
        }
        if is_unspaced(c) {
            self.close(vocabulary, place.1, 0, found);
            self.unit += 1;
            self.line_begins = false;
        } else if is_letter(c) {
            self.letter(vocabulary, place, c);
        } else if c != '\'' || self.current.is_none() {
            self.close(vocabulary, place.1, if c == ':' { COLON } else { 0 }, found);
        }
        if !is_letter(c) {
            self.part_letters(place.1);
        }
        self.boundary(c);
    }

    /// Letters in a row: a word or a piece of one.
    fn letters(&mut self, vocabulary: &Vocabulary, view: &View, at: usize, letters: &[u8]) {
        let first_on_line = std::mem::take(&mut self.line_begins);
        (self.stopped, self.newlines) = (false, 0);
        let end = view.end_of(at + letters.len().saturating_sub(1));
        let letter = match (letters, &self.current) {
            ([one], None) => Some(char::from(*one)),
            _ => None,
        };
        let word = self.current.get_or_insert_with(|| Current {
            start: view.start_of(at),
            end,
            node: Some(0),
            stem: 0,
            first_on_line,
            letter,
        });
        (word.end, word.letter) = (end, letter);
        word.read_all(vocabulary, letters);
    }

    fn letter(&mut self, vocabulary: &Vocabulary, (start, end): (usize, usize), c: char) {
        let first_on_line = self.line_begins;
        self.line_begins = false;
        let word =
            self.current.get_or_insert(Current { start, end, node: Some(0), stem: 0, first_on_line, letter: None });
        word.letter = if start == word.start { Some(c) } else { None };
        word.end = end;
        word.read(vocabulary, c);
    }

    /// Ends the current word; `mark` is a class for what follows it.
    fn close(&mut self, vocabulary: &Vocabulary, seen: usize, mark: Classes, found: &mut impl FnMut(Word)) {
        let Some(word) = self.current.take() else { return };
        let exact = word.node.map_or(0, |n| vocabulary.exact(n));
        let line = if word.first_on_line { LINE } else { 0 };
        if exact | word.stem != 0 && seen - word.start <= self.limit {
            let classes = exact | word.stem | mark | line;
            let (unit, sentence) = (self.unit, self.sentence);
            found(Word { classes, start: word.start, end: word.end, seen, unit, sentence });
        }
        self.unit += 2;
        self.spell(vocabulary, word, seen, found);
    }

    /// Joins a word of one letter to those before it.
    fn spell(&mut self, vocabulary: &Vocabulary, word: Current, seen: usize, found: &mut impl FnMut(Word)) {
        let before = self.spelled.take();
        let Some(letter) = word.letter else { return };
        let mut spelled = match before.filter(|s| s.apart <= 1) {
            Some(s) if seen - s.word.start <= self.limit => Spelled { letters: s.letters + 1, ..s },
            _ => Spelled { word: Current { node: Some(0), stem: 0, ..word }, letters: 1, apart: 0 },
        };
        spelled.apart = 0;
        spelled.word.end = word.end;
        spelled.word.read(vocabulary, letter);
        let classes = spelled.word.node.map_or(0, |n| vocabulary.exact(n)) | spelled.word.stem;
        if spelled.letters >= SPELLED && classes != 0 {
            let (unit, sentence) = (self.unit, self.sentence);
            found(Word { classes, start: spelled.word.start, end: word.end, seen, unit, sentence });
        }
        if spelled.word.node.is_some() || spelled.word.stem != 0 {
            self.spelled = Some(spelled);
        }
    }

    /// One more character that is no letter stands behind a spelled letter.
    fn part_letters(&mut self, end: usize) {
        if let Some(spelled) = &mut self.spelled {
            spelled.apart += 1;
            if spelled.apart > 1 || end - spelled.word.start > self.limit {
                self.spelled = None;
            }
        }
    }

    fn walk(&mut self, vocabulary: &Vocabulary, (start, end): (usize, usize), c: char, found: &mut impl FnMut(Word)) {
        if is_anywhere(c) && self.walks.len() < MAX_WALKS {
            self.walks.push(Walk { start, node: 0 });
        }
        let (unit, sentence, limit) = (self.unit, self.sentence, self.limit);
        self.walks.retain_mut(|walk| {
            let Some(node) = vocabulary.next_anywhere(walk.node, c) else { return false };
            walk.node = node;
            let classes = vocabulary.found_anywhere(node);
            if classes != 0 && end - walk.start <= limit {
                found(Word { classes, start: walk.start, end, seen: end, unit, sentence });
            }
            end - walk.start <= limit
        });
    }

    fn boundary(&mut self, c: char) {
        match c {
            '\n' => {
                self.newlines = self.newlines.saturating_add(1);
                self.line_begins = true;
                if self.newlines == 2 || self.stopped {
                    self.sentence += 1;
                }
                self.stopped = false;
            }
            '.' | '!' | '?' => self.stopped = true,
            '\u{3002}' => self.sentence += 1,
            c if c.is_whitespace() => {
                if std::mem::take(&mut self.stopped) {
                    self.sentence += 1;
                }
            }
            _ => (self.stopped, self.newlines) = (false, 0),
        }
    }

    /// The text has ended.
    pub(super) fn finish(&mut self, vocabulary: &Vocabulary, _view: &View, seen: usize, mut found: impl FnMut(Word)) {
        self.close(vocabulary, seen, 0, &mut found);
    }
}

impl Current {
    fn read_all(&mut self, vocabulary: &Vocabulary, letters: &[u8]) {
        for letter in letters {
            if self.node.is_none() {
                break;
            }
            self.read(vocabulary, char::from(*letter));
        }
    }

    #[inline]
    fn read(&mut self, vocabulary: &Vocabulary, c: char) {
        let Some(node) = self.node else { return };
        self.node = vocabulary.next(node, c);
        if let Some(node) = self.node {
            self.stem |= vocabulary.stem(node);
        }
    }
}

/// Whether `b` ends a word and begins nothing: apostrophes and what is not ASCII may belong to a word, as digits do.
#[inline]
fn only_ends(b: u8) -> bool {
    b.is_ascii() && !b.is_ascii_alphanumeric() && b != b'\'' && !is_anywhere(char::from(b))
}

#[inline]
fn is_letter(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric();
    }
    !c.is_whitespace()
        && !matches!(c, '\u{80}'..='\u{BF}' | '\u{2000}'..='\u{2BFF}' | '\u{3000}'..='\u{303F}' | '\u{964}' | '\u{965}'
            | '\u{60C}' | '\u{61B}' | '\u{61F}' | '\u{FE30}'..='\u{FE6F}' | '\u{FF00}'..='\u{FF0F}' | '\u{1F000}'..='\u{1FAFF}')
}
