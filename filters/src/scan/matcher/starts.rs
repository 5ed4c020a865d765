//! Which detectors can have a match begin with two given bytes, so that ordinary text is passed over quickly.

use crate::scan::pattern::Pattern;

/// ASCII bytes, and one class for all others.
const CLASSES: usize = 129;
/// Second byte not known yet.
const UNKNOWN: usize = CLASSES;
const ROW: usize = CLASSES + 1;

/// One bit per detector, by the class of the byte before (word character or not) and of the two bytes themselves.
pub(super) struct Starts {
    table: Vec<u32>,
}

impl std::fmt::Debug for Starts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Starts({} entries)", self.table.len())
    }
}

impl Starts {
    pub(super) fn new<'p>(patterns: impl Iterator<Item = &'p Pattern>) -> Self {
        let mut starts = Self { table: vec![0; 2 * CLASSES * ROW] };
        for (bit, pattern) in patterns.enumerate() {
            // All bytes of a kind lead to the same start; asking for each kind once is enough.
            for before in [None, Some(b'a'), Some(b' '), Some(b'\n'), Some(b'\r'), Some(0x80)] {
                starts.add(pattern, before, 1 << bit);
            }
        }
        starts
    }

    fn add(&mut self, pattern: &Pattern, before: Option<u8>, bit: u32) {
        let start = pattern.start(before);
        for first in 0..=255 {
            let state = pattern.next(start, first);
            if pattern.is_dead(state) {
                continue;
            }
            self.set(before, first, UNKNOWN, bit);
            for second in 0..=255 {
                if !pattern.is_dead(pattern.next(state, second)) {
                    self.set(before, first, class(second), bit);
                }
            }
        }
    }

    fn set(&mut self, before: Option<u8>, first: u8, second: usize, bit: u32) {
        if let Some(entry) = self.table.get_mut(index(before.is_some_and(is_word), first, second)) {
            *entry |= bit;
        }
    }

    /// Detectors for which a match can begin at `bytes[i]`; `ahead` says whether the byte after it may be looked at.
    #[inline]
    pub(super) fn at(&self, bytes: &[u8], i: usize, ahead: bool) -> u32 {
        let Some(&first) = bytes.get(i) else { return 0 };
        let before = i.checked_sub(1).and_then(|p| bytes.get(p)).copied();
        let second = bytes.get(i + 1).filter(|_| ahead).map_or(UNKNOWN, |b| class(*b));
        self.table.get(index(before.is_some_and(is_word), first, second)).copied().unwrap_or(0)
    }

    /// The first index at or after `from` where some match can begin; the length where there is none.
    #[inline]
    pub(super) fn skip(&self, bytes: &[u8], from: usize) -> usize {
        let mut word = from.checked_sub(1).and_then(|p| bytes.get(p)).is_some_and(|b| is_word(*b));
        let tail = bytes.get(from..).unwrap_or_default();
        for (i, pair) in tail.windows(2).enumerate() {
            let [first, second] = pair else { break };
            if self.table.get(index(word, *first, class(*second))).is_none_or(|mask| *mask != 0) {
                return from + i;
            }
            word = is_word(*first);
        }
        match tail.len().checked_sub(1) {
            Some(last) if self.at(bytes, from + last, true) != 0 => from + last,
            _ => bytes.len(),
        }
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
