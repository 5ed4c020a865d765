//! Values of which only the hashes are known: of up to so many words in a row, joined, the hash is looked up.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use aws_lc_rs::hmac;
use postern_config::ExactValues;

use super::{GAP, Word};
use crate::scan::fold::Form;

pub(crate) struct Hashes {
    values: Arc<ExactValues>,
    key: hmac::Key,
}

/// Shows how many there are, and neither salt nor hash.
impl fmt::Debug for Hashes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hashes({})", self.values.hashes.len())
    }
}

/// A word of late.
#[derive(Clone)]
struct Kept {
    text: String,
    letters: usize,
    start: usize,
    end: usize,
}

/// Words that follow each other closely.
#[derive(Clone, Default)]
pub(super) struct Recent(VecDeque<Kept>);

/// Shows no text.
impl fmt::Debug for Recent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recent({})", self.0.len())
    }
}

impl Hashes {
    pub(crate) fn new(values: &Arc<ExactValues>) -> Self {
        Self { values: Arc::clone(values), key: hmac::Key::new(hmac::HMAC_SHA256, values.salt.expose()) }
    }

    pub(super) fn read(&self, recent: &mut Recent, word: Word<'_>, limit: usize, mut found: impl FnMut(usize)) {
        let kept = &mut recent.0;
        let letters = word.text.chars().count();
        if word.text.is_empty() || kept.back().is_some_and(|last| word.start.saturating_sub(last.end) > GAP) {
            kept.clear();
        }
        if word.text.is_empty() || letters > *self.values.length.end() {
            return kept.clear();
        }
        while kept.len() >= self.values.words {
            kept.pop_front();
        }
        kept.push_back(Kept { text: word.text.to_owned(), letters, start: word.start, end: word.end });
        let mut total = 0_usize;
        for first in (0..kept.len()).rev() {
            let Some(begins) = kept.get(first) else { break };
            total = total.saturating_add(begins.letters);
            if total > *self.values.length.end() || word.seen.saturating_sub(begins.start) > limit {
                break;
            }
            if total >= *self.values.length.start() && self.knows(kept.iter().skip(first)) {
                found(begins.start);
            }
        }
    }

    fn knows<'k>(&self, words: impl Iterator<Item = &'k Kept>) -> bool {
        let mut context = hmac::Context::with_key(&self.key);
        words.for_each(|word| context.update(word.text.as_bytes()));
        let tag = context.sign();
        let known = self.values.hashes.binary_search_by(|hash| hash.as_slice().cmp(tag.as_ref()));
        known.is_ok()
    }

    /// As of phrases.
    pub(super) fn opens(&self, recent: &Recent, next: usize, from: usize) -> Option<usize> {
        let kept = &recent.0;
        kept.back().filter(|last| next.saturating_sub(last.end) <= GAP)?;
        let mut letters = 0_usize;
        let goes_on = kept.iter().rev().take(self.values.words.saturating_sub(1)).take_while(|word| {
            letters = letters.saturating_add(word.letters);
            letters < *self.values.length.end() && word.start >= from
        });
        goes_on.last().map(|word| word.start)
    }
}

/// The hash of a value, and what of it a list has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExactHash {
    pub hash: [u8; 32],
    pub words: usize,
    /// Letters and digits.
    pub letters: usize,
}

/// HMAC-SHA-256 under `salt` of the letters and digits of `value` in normal form, as texts are read; nothing where it has none.
#[must_use]
pub fn exact_hash(salt: &[u8], value: &str) -> Option<ExactHash> {
    let words = super::words_of(Form::Plain, value);
    let joined = words.concat();
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, salt), joined.as_bytes());
    let hash = tag.as_ref().try_into().ok()?;
    (!joined.is_empty()).then(|| ExactHash { hash, words: words.len(), letters: joined.chars().count() })
}
