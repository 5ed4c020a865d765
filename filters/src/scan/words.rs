//! Whole words and phrases: of a list, or of values that only their hashes are known of.
//!
//! A word is a run of letters and digits, a character of a script without spaces is one of its own. Words are compared in one
//! normal form: compatibility forms as what they stand for, no accents, no invisible characters, small letters. What stands
//! between two words of a phrase does not matter, as long as it is short. Each word is looked at once, so the cost does not
//! depend on the list.

mod dictionary;
mod exact;

use std::sync::Arc;

use super::fold::{self, Form};
use super::hit::{Hit, Source};
pub(crate) use dictionary::Phrases;
pub(crate) use exact::Hashes;
pub use exact::{ExactHash, exact_hash};

/// Bytes of text that a stream must be able to hold: an entry in the widest form of its characters.
pub(crate) const NEEDS: usize = 512;

/// Bytes that may stand between two words of a phrase.
const GAP: usize = 16;

/// Bytes of a word in normal form; a longer one is none.
const MAX_WORD: usize = 256;

/// What is looked for.
#[derive(Debug)]
pub(crate) enum WordSet {
    Phrases(Phrases),
    Hashes(Box<Hashes>),
}

/// A word, where it stands, and how much had to be read to know it. One that is none has no text.
#[derive(Debug, Clone, Copy)]
struct Word<'w> {
    text: &'w str,
    start: usize,
    end: usize,
    seen: usize,
}

impl Word<'_> {
    /// Whether it goes on where another word ended, and what begins at `start` is not too long with it.
    fn follows(&self, start: usize, end: usize, limit: usize) -> bool {
        self.start.saturating_sub(end) <= GAP && self.seen.saturating_sub(start) <= limit
    }
}

/// The state of one [`WordSet`] on one text.
#[derive(Debug)]
pub(crate) struct WordRun {
    set: Arc<WordSet>,
    source: Source,
    form: Form,
    limit: usize,
    word: Open,
    state: State,
    /// Text before this was let go by a stall.
    let_go: usize,
}

#[derive(Debug)]
enum State {
    Phrases(Vec<dictionary::Thread>),
    Hashes(exact::Recent),
}

/// The word that is being read.
#[derive(Default)]
struct Open {
    text: String,
    start: usize,
    end: usize,
    is_open: bool,
    /// Longer than any that is looked for, or spread too far.
    is_none: bool,
}

/// Shows no text.
impl std::fmt::Debug for Open {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Open({}..{})", self.start, self.end)
    }
}

impl WordRun {
    pub(crate) fn new(set: &Arc<WordSet>, source: Source, limit: usize) -> Self {
        let (form, state) = match &**set {
            WordSet::Phrases(_) => (Form::Skeleton, State::Phrases(Vec::new())),
            WordSet::Hashes(_) => (Form::Plain, State::Hashes(exact::Recent::default())),
        };
        Self { set: Arc::clone(set), source, form, limit, word: Open::default(), state, let_go: 0 }
    }

    /// Reads `text`, which begins at position `at`.
    pub(crate) fn read(&mut self, text: &str, at: usize, hits: &mut Vec<Hit>) {
        for (i, c) in text.char_indices() {
            let (start, end) = (at + i, at + i + c.len_utf8());
            if self.word.is_open && end.saturating_sub(self.word.start) > self.limit {
                self.word.is_none = true;
            }
            if c.is_ascii_alphanumeric() {
                self.extend(c.to_ascii_lowercase(), start, end);
            } else if c.is_ascii() {
                self.close(end, hits);
            } else if is_unspaced(c) {
                self.close(end, hits);
                self.fold(c, start, end, hits);
                self.close(end, hits);
            } else {
                self.fold(c, start, end, hits);
            }
        }
    }

    fn fold(&mut self, c: char, start: usize, end: usize, hits: &mut Vec<Hit>) {
        let mut folded = [None; 18];
        let mut places = folded.iter_mut();
        normal(self.form, c, |f| {
            if let Some(place) = places.next() {
                *place = Some(f);
            }
        });
        for f in folded.into_iter().flatten() {
            if f.is_alphanumeric() { self.extend(f, start, end) } else { self.close(end, hits) }
        }
    }

    fn extend(&mut self, c: char, start: usize, end: usize) {
        if !self.word.is_open {
            self.word = Open { text: std::mem::take(&mut self.word.text), start, end, is_open: true, is_none: false };
            self.word.text.clear();
        }
        self.word.end = end;
        if self.word.text.len() < MAX_WORD {
            self.word.text.push(c);
        } else {
            self.word.is_none = true;
        }
    }

    /// The word has ended, if there is one; it took `seen` bytes of the text to know.
    fn close(&mut self, seen: usize, hits: &mut Vec<Hit>) {
        if std::mem::take(&mut self.word.is_open) {
            self.take(seen, hits);
        }
    }

    fn take(&mut self, seen: usize, hits: &mut Vec<Hit>) {
        let text = if self.word.is_none { "" } else { &self.word.text };
        let word = Word { text, start: self.word.start, end: self.word.end, seen };
        let (source, limit) = (self.source, self.limit);
        let hit = |start| Hit { start, end: word.end, seen, source, score: 100, open: false, tail: false };
        match (&*self.set, &mut self.state) {
            (WordSet::Phrases(phrases), State::Phrases(threads)) => {
                phrases.read(threads, word, limit, |start| hits.push(hit(start)));
            }
            (WordSet::Hashes(hashes), State::Hashes(recent)) => {
                hashes.read(recent, word, limit, |start| hits.push(hit(start)));
            }
            // INVARIANT: the state was made for the set.
            (WordSet::Phrases(_), State::Hashes(_)) | (WordSet::Hashes(_), State::Phrases(_)) => {}
        }
    }

    pub(crate) fn finish(&mut self, text_end: usize, hits: &mut Vec<Hit>) {
        self.close(text_end + 1, hits);
    }

    /// A word that has not ended counts as if it had; everything is let go, and still counts.
    pub(crate) fn stall(&mut self, text_end: usize, hits: &mut Vec<Hit>) {
        if self.word.is_open {
            let before = match &self.state {
                State::Phrases(threads) => State::Phrases(threads.clone()),
                State::Hashes(recent) => State::Hashes(recent.clone()),
            };
            self.take(text_end, hits);
            self.state = before;
        }
        self.let_go = text_end;
    }

    /// Where the earliest word stands that a finding could still begin with.
    pub(crate) fn live(&self, text_end: usize) -> Option<usize> {
        let word = (self.word.is_open && !self.word.is_none).then_some(self.word.start);
        // What ended too far before the word that is being read, or before the end, does not go on.
        let next = word.unwrap_or(text_end);
        let from = self.let_go.max(text_end.saturating_sub(self.limit));
        let before = (!(self.word.is_open && self.word.is_none)).then(|| match (&*self.set, &self.state) {
            (WordSet::Phrases(_), State::Phrases(threads)) => dictionary::opens(threads, next, from),
            (WordSet::Hashes(hashes), State::Hashes(recent)) => hashes.opens(recent, next, from),
            (WordSet::Phrases(_), State::Hashes(_)) | (WordSet::Hashes(_), State::Phrases(_)) => None,
        });
        before.flatten().or(word.filter(|start| *start >= from))
    }
}

/// The normal form of `c`: nothing for what is invisible or an accent.
fn normal(form: Form, c: char, mut emit: impl FnMut(char)) {
    fold::fold(form, c, |f| {
        unicode_normalization::char::decompose_canonical(f, |d| {
            if !fold::is_accent(d) {
                d.to_lowercase().for_each(&mut emit);
            }
        });
    });
}

/// Words of an entry in normal form, read as texts are.
pub(crate) fn words_of(form: Form, entry: &str) -> Vec<String> {
    let (mut words, mut word) = (Vec::new(), String::new());
    for c in entry.chars() {
        let alone = is_unspaced(c);
        if alone && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        normal(form, c, |f| {
            if f.is_alphanumeric() {
                word.push(f);
            } else if !word.is_empty() {
                words.push(std::mem::take(&mut word));
            }
        });
        if alone && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// Han, kana and Hangul, which are written without spaces or with endings.
fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{3041}'..='\u{3096}' | '\u{30A1}'..='\u{30FA}' | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}'
        | '\u{AC00}'..='\u{D7A3}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3134F}')
}

#[cfg(test)]
pub(super) mod tests;
