//! The words and phrases of a list, as a tree over words.

use std::collections::HashMap;
use std::fmt;

use super::{GAP, Word, words_of};
use crate::scan::fold::Form;

/// What follows each beginning of a phrase, and which of them are whole ones.
pub(crate) struct Phrases {
    next: Vec<HashMap<Box<str>, usize>>,
    whole: Vec<bool>,
}

/// Shows how many there are, and none of them.
impl fmt::Debug for Phrases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Phrases({} places)", self.whole.len())
    }
}

/// The beginning of a phrase, as far as it was read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Thread {
    node: usize,
    start: usize,
    end: usize,
}

const ROOT: usize = 0;

impl Phrases {
    pub(crate) fn new<'e>(entries: impl Iterator<Item = &'e str>) -> Self {
        let mut phrases = Self { next: vec![HashMap::new()], whole: vec![false] };
        for entry in entries {
            let mut node = ROOT;
            for word in words_of(Form::Skeleton, entry) {
                node = phrases.after(node, word);
            }
            if let Some(whole) = phrases.whole.get_mut(node).filter(|_| node != ROOT) {
                *whole = true;
            }
        }
        phrases
    }

    fn after(&mut self, node: usize, word: String) -> usize {
        let fresh = self.next.len();
        let Some(next) = self.next.get_mut(node) else { return ROOT };
        let node = *next.entry(word.into_boxed_str()).or_insert(fresh);
        if node == fresh {
            self.next.push(HashMap::new());
            self.whole.push(false);
        }
        node
    }

    pub(super) fn read(&self, threads: &mut Vec<Thread>, word: Word<'_>, limit: usize, mut found: impl FnMut(usize)) {
        let begins = Thread { node: ROOT, start: word.start, end: word.start };
        let mut after = Vec::new();
        for thread in threads.drain(..).chain([begins]) {
            let next = self.next.get(thread.node).and_then(|next| next.get(word.text));
            let Some(&node) = next.filter(|_| word.follows(thread.start, thread.end, limit)) else { continue };
            if self.whole.get(node) == Some(&true) {
                found(thread.start);
            }
            if self.next.get(node).is_some_and(|next| !next.is_empty()) {
                after.push(Thread { node, start: thread.start, end: word.end });
            }
        }
        *threads = after;
    }
}

/// Where the earliest beginning stands, not before `from`, that a word at `next` could go on from.
pub(super) fn opens(threads: &[Thread], next: usize, from: usize) -> Option<usize> {
    let near = threads.iter().filter(|thread| next.saturating_sub(thread.end) <= GAP);
    near.map(|thread| thread.start).filter(|start| *start >= from).min()
}
