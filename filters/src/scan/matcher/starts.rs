//! Which detectors can have a match begin with the bytes that stand somewhere, so that ordinary text is passed over
//! quickly.

use std::collections::HashMap;

use regex_automata::util::primitives::StateID;

use crate::scan::blocks::{BLOCK, Marks};
use crate::scan::pattern::Pattern;

/// ASCII bytes, and one class for all others.
const CLASSES: usize = 129;
/// Second byte not known yet.
const UNKNOWN: usize = CLASSES;
const ROW: usize = CLASSES + 1;

/// Classes that a byte may be of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
struct Bytes([u64; 3]);

impl Bytes {
    const ALL: Self = Self([u64::MAX; 3]);

    fn add(&mut self, class: usize) {
        if let Some(word) = self.0.get_mut(class / 64) {
            *word |= 1 << (class % 64);
        }
    }

    #[inline]
    fn has(&self, class: usize) -> bool {
        self.0.get(class / 64).is_some_and(|word| word >> (class % 64) & 1 != 0)
    }

    fn join(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(to, from)| *to |= from);
    }
}

/// A beginning of two bytes: the detectors whose match can begin so, one bit each, and the bytes that may come third.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
struct Beginning {
    detectors: u32,
    third: Bytes,
}

/// By the class of the byte before (word character or not) and of the two bytes themselves.
pub(super) struct Starts {
    table: Vec<u16>,
    /// What the table tells by its number; the first is of nothing.
    beginnings: Vec<Beginning>,
    /// All bits where no match begins with a letter inside a word, and where none begins with a space.
    idle_letters: u64,
    idle_spaces: u64,
}

impl std::fmt::Debug for Starts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Starts({} beginnings)", self.beginnings.len())
    }
}

impl Starts {
    pub(super) fn new<'p>(patterns: impl Iterator<Item = &'p Pattern>) -> Self {
        let mut all = vec![Beginning::default(); 2 * CLASSES * ROW];
        for (bit, pattern) in patterns.enumerate() {
            // All bytes of a kind lead to the same start; asking for each kind once is enough.
            for before in [None, Some(b'a'), Some(b' '), Some(b'\n'), Some(b'\r'), Some(0x80)] {
                add(&mut all, pattern, before, 1 << bit);
            }
        }
        let none_begins = |word: bool, is: fn(u8) -> bool| {
            let mut bytes = (0..0x80_u8).filter(|b| is(*b));
            let none = |first| all.get(index(word, first, UNKNOWN)).is_some_and(|one| one.detectors == 0);
            if bytes.all(none) { u64::MAX } else { 0 }
        };
        let is_space = |b| b == b' ';
        let idle_letters = none_begins(true, |b| b.is_ascii_alphabetic());
        let idle_spaces = none_begins(true, is_space) & none_begins(false, is_space);
        let (mut numbers, mut beginnings) = (HashMap::from([(Beginning::default(), 0)]), vec![Beginning::default()]);
        let number = |one: &Beginning| {
            *numbers.entry(*one).or_insert_with(|| {
                beginnings.push(*one);
                u16::try_from(beginnings.len() - 1).unwrap_or(u16::MAX) // fewer than entries of the table, 33 540
            })
        };
        let table = all.iter().map(number).collect();
        Self { table, beginnings, idle_letters, idle_spaces }
    }

    /// Detectors for which a match can begin at `bytes[i]`; `ahead` says whether the bytes after it may be looked at.
    #[inline]
    pub(super) fn at(&self, bytes: &[u8], i: usize, ahead: bool) -> u32 {
        let word = i.checked_sub(1).and_then(|p| bytes.get(p)).is_some_and(|b| is_word(*b));
        self.behind(word, bytes.get(i..).unwrap_or_default(), ahead)
    }

    /// The same at the beginning of `bytes`; `word` says whether a word character stands before.
    #[inline]
    fn behind(&self, word: bool, bytes: &[u8], ahead: bool) -> u32 {
        let (first, second, third) = match bytes {
            [first, second, third, ..] if ahead => (*first, class(*second), Some(class(*third))),
            [first, second] if ahead => (*first, class(*second), None),
            [first, ..] => (*first, UNKNOWN, None),
            [] => return 0,
        };
        let number = self.table.get(index(word, first, second)).copied().unwrap_or_default();
        if number == 0 {
            return 0;
        }
        let Some(beginning) = self.beginnings.get(usize::from(number)) else { return 0 };
        if third.is_none_or(|class| beginning.third.has(class)) { beginning.detectors } else { 0 }
    }
}

/// What `pattern` can begin with behind `before`.
fn add(all: &mut [Beginning], pattern: &Pattern, before: Option<u8>, bit: u32) {
    let mut known = HashMap::new();
    let start = pattern.start(before);
    let word = before.is_some_and(is_word);
    let mut set = |first, second, third: &Bytes| {
        if let Some(entry) = all.get_mut(index(word, first, second)) {
            entry.detectors |= bit;
            entry.third.join(third);
        }
    };
    for (first, state) in steps(pattern, start) {
        set(first, UNKNOWN, &Bytes::ALL);
        let seconds = known.entry(state).or_insert_with(|| {
            let mut seconds: Vec<(usize, Bytes)> = Vec::new();
            for (second, state) in steps(pattern, state) {
                let (class, third) = (class(second), followers(pattern, state));
                match seconds.last_mut().filter(|(last, _)| *last == class) {
                    Some((_, all)) => all.join(&third),
                    None => seconds.push((class, third)),
                }
            }
            seconds
        });
        seconds.iter().for_each(|(second, third)| set(first, *second, third));
    }
}

/// Bytes that lead on from `state`, and where to.
fn steps(pattern: &Pattern, state: StateID) -> impl Iterator<Item = (u8, StateID)> {
    let step = move |byte| (byte, pattern.next(state, byte));
    (0..=u8::MAX).map(step).filter(|(_, next)| !pattern.is_dead(*next))
}

/// Classes of the bytes that may follow; any, where there is a match already.
fn followers(pattern: &Pattern, state: StateID) -> Bytes {
    if pattern.is_match(state) {
        return Bytes::ALL;
    }
    let mut bytes = Bytes::default();
    steps(pattern, state).for_each(|(byte, _)| bytes.add(class(byte)));
    bytes
}

/// Walks over `bytes` from one place to the next where a match can begin.
#[derive(Debug)]
pub(super) struct Places<'t> {
    starts: &'t Starts,
    bytes: &'t [u8],
    /// Behind the block that was looked at last.
    known: usize,
    /// Places in it that are not idle.
    open: u64,
    /// And those behind a word character.
    inside: u64,
}

impl<'t> Places<'t> {
    pub(super) fn of(starts: &'t Starts, bytes: &'t [u8]) -> Self {
        Self { starts, bytes, known: 0, open: 0, inside: 0 }
    }

    /// The first place at or after `from` where some match can begin; the length where there is none. They are asked for
    /// in order.
    #[inline]
    pub(super) fn next(&mut self, mut from: usize) -> usize {
        loop {
            if from >= self.known && !self.look(from) {
                let mut rest = from..self.bytes.len();
                return rest.find(|i| self.starts.at(self.bytes, *i, true) != 0).unwrap_or(self.bytes.len());
            }
            let block = self.known - BLOCK;
            let mut open = self.open & u64::MAX << (from - block);
            while open != 0 {
                let bit = open.trailing_zeros();
                let place = block + bit as usize;
                let word = self.inside >> bit & 1 != 0;
                if self.starts.behind(word, self.bytes.get(place..).unwrap_or_default(), true) != 0 {
                    return place;
                }
                open &= open - 1;
            }
            from = self.known;
        }
    }

    /// At the block from `at` on, if there is a whole one.
    fn look(&mut self, at: usize) -> bool {
        let Some(block) = self.bytes.get(at..).and_then(<[u8]>::first_chunk) else { return false };
        let Marks { letters, word, spaces } = Marks::of(block);
        let before = at.checked_sub(1).and_then(|p| self.bytes.get(p)).is_some_and(|b| is_word(*b));
        self.inside = word << 1 | u64::from(before);
        self.open = !(letters & self.inside & self.starts.idle_letters | spaces & self.starts.idle_spaces);
        self.known = at + BLOCK;
        true
    }
}

#[inline]
fn class(b: u8) -> usize {
    usize::from(b).min(CLASSES - 1)
}

#[inline]
fn index(word: bool, first: u8, second: usize) -> usize {
    (usize::from(word) * CLASSES + class(first)) * ROW + second
}

#[inline]
fn is_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_'
}
