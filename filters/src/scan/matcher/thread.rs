//! One candidate of one detector, from its beginning to its end.

use std::collections::HashSet;

use regex_automata::util::primitives::StateID;

use super::Member;
use crate::scan::hit::Hit;
use crate::scan::pattern::{Candidate, Found};
use crate::scan::view::{LOOK_BEHIND, View};

/// Threads that are compared one by one.
const FEW: usize = 64;
/// Bits in which states that differ most likely do.
const SIEVE: usize = 4096;

/// Bytes before a candidate that its validator may look at.
const CONTEXT: usize = LOOK_BEHIND;

#[derive(Debug, Clone, Copy)]
pub(super) struct Thread {
    pub(super) state: StateID,
    /// Position in the view.
    pub(super) from: usize,
    /// Where it begins in the text, or where its last open hit ended.
    pub(super) start: usize,
    /// End in the text of the last character read.
    pub(super) end: usize,
    pub(super) accepted: Option<Accepted>,
    /// Counts instead of what was accepted, but was not judged yet: a longer one may take its place.
    pub(super) pending: Option<Pending>,
    /// Part of it was reported as an open hit already.
    pub(super) tail: bool,
    /// Waited for too long and let go: it holds nothing back any more, but may still match.
    pub(super) let_go: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Accepted {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) score: u8,
}

/// A candidate that ended: how it is known, its end in the view, and in the text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pending {
    state: StateID,
    at: usize,
    end: usize,
}

/// One detector on one view.
pub(super) struct Reader<'a> {
    pub(super) member: &'a Member,
    pub(super) view: &'a View,
    pub(super) limit: usize,
}

impl Reader<'_> {
    /// Reads `byte`; whether the thread lives on.
    pub(super) fn step(&self, thread: &mut Thread, at: usize, byte: u8, end: usize, hits: &mut Vec<Hit>) -> bool {
        if !self.within(thread, end, hits) {
            return false;
        }
        let pattern = &self.member.pattern;
        thread.state = pattern.next(thread.state, byte);
        if pattern.is_dead(thread.state) {
            self.report(thread, end, hits);
            return false;
        }
        if pattern.is_match(thread.state) {
            self.accept(thread, at);
            if pattern.is_terminal(thread.state) {
                self.report(thread, end, hits);
                return false;
            }
        }
        thread.end = end;
        true
    }

    /// A match that ended before view position `at`: automata say so one byte late.
    fn accept(&self, thread: &mut Thread, at: usize) {
        // What is too long was reported as far as it went, and so will the rest be: judging all of it for every byte would cost
        // the square of its length.
        if thread.tail {
            return;
        }
        let found = Pending { state: thread.state, at, end: thread.end };
        if self.member.pattern.is_decided(thread.state) {
            thread.pending = Some(found);
        } else if let Some(accepted) = self.judge(thread.from, found) {
            (thread.accepted, thread.pending) = (accepted, None);
        }
    }

    /// What counts instead of what was found before, if anything.
    fn judge(&self, from: usize, found: Pending) -> Option<Option<Accepted>> {
        let base = self.view.base();
        let before = self.view.slice(from.saturating_sub(CONTEXT).max(base), from);
        let text = self.view.slice(from, found.at);
        let pattern = &self.member.pattern;
        match pattern.judge(found.state, Candidate { before, text }) {
            Found::Nothing => None,
            Found::Veto => Some(None),
            Found::Match(score) => {
                let start = self.view.start_of(from + (pattern.value)(text));
                Some(Some(Accepted { start, end: found.end, score }))
            }
        }
    }

    /// Judges what was not yet, and tells what was accepted.
    pub(super) fn settle(&self, thread: &mut Thread) -> Option<Accepted> {
        if let Some(accepted) = thread.pending.take().and_then(|found| self.judge(thread.from, found)) {
            thread.accepted = accepted;
        }
        thread.accepted
    }

    /// Checks the span of a thread once `end` bytes of text have come; whether it lives on.
    pub(super) fn within(&self, thread: &mut Thread, end: usize, hits: &mut Vec<Hit>) -> bool {
        if end.saturating_sub(thread.start) <= self.limit {
            return true;
        }
        let evident = thread.tail || self.settle(thread).is_some() || self.member.strict || self.is_evident(thread);
        if evident {
            // Which byte passed the limit does not depend on how the text came.
            let seen = thread.start.saturating_add(self.limit).saturating_add(1);
            self.report_open(thread, seen, hits);
        }
        // More than the limit of invisible characters alone ends it.
        evident && end.saturating_sub(thread.start) <= self.limit
    }

    pub(super) fn is_evident(&self, thread: &Thread) -> bool {
        let read = self.view.slice(thread.from, self.member_end(thread));
        self.member.pattern.is_evident(read)
    }

    /// View position after the last byte the thread has read.
    fn member_end(&self, thread: &Thread) -> usize {
        let (mut low, mut high) = (thread.from, self.view.end());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.view.start_of(middle) < thread.end { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// Takes what was read for found; the thread goes on, and what it reads from here on goes with it.
    pub(super) fn report_open(&self, thread: &mut Thread, seen: usize, hits: &mut Vec<Hit>) {
        if thread.end > thread.start {
            let source = self.member.source;
            hits.push(Hit {
                start: thread.start,
                end: thread.end,
                seen,
                source,
                score: 75,
                open: true,
                tail: thread.tail,
            });
        }
        thread.start = thread.end;
        (thread.accepted, thread.pending) = (None, None);
        thread.tail = true;
    }

    pub(super) fn finish(&self, thread: &mut Thread, text_end: usize, hits: &mut Vec<Hit>) {
        if !self.within(thread, text_end, hits) {
            return;
        }
        let pattern = &self.member.pattern;
        thread.state = pattern.at_end(thread.state);
        if pattern.is_match(thread.state) {
            self.accept(thread, self.member_end(thread));
        }
        self.report(thread, text_end + 1, hits);
    }

    /// The thread has ended.
    fn report(&self, thread: &mut Thread, seen: usize, hits: &mut Vec<Hit>) {
        let source = self.member.source;
        if thread.tail {
            if thread.end > thread.start {
                let (start, end) = (thread.start, thread.end);
                hits.push(Hit { start, end, seen, source, score: 75, open: true, tail: true });
            }
        } else if let Some(Accepted { start, end, score }) = self.settle(thread) {
            hits.push(Hit { start, end, seen, source, score, open: false, tail: false });
        }
    }

    /// Drops threads that have the future of an earlier one. What they had found by themselves is reported.
    pub(super) fn merge(&self, threads: &mut Vec<Thread>, hits: &mut Vec<Hit>, seen: usize) {
        if threads.len() < 2 || all_differ(threads) {
            return;
        }
        if threads.len() > FEW {
            let mut known = HashSet::with_capacity(threads.len());
            threads.retain_mut(|thread| {
                let first = known.insert(thread.state);
                if !first {
                    self.report_found(thread, hits, seen);
                }
                first
            });
            return;
        }
        let mut kept = 0;
        for i in 0..threads.len() {
            let (earlier, rest) = threads.split_at_mut(i);
            let Some(thread) = rest.first_mut() else { break };
            if earlier.iter().take(kept).any(|one| one.state == thread.state) {
                self.report_found(thread, hits, seen);
            } else {
                threads.swap(kept, i);
                kept += 1;
            }
        }
        threads.truncate(kept);
    }

    /// Reports what the thread has found by itself, if anything.
    fn report_found(&self, thread: &mut Thread, hits: &mut Vec<Hit>, seen: usize) {
        if self.settle(thread).is_some() {
            self.report(thread, seen, hits);
        }
    }
}

/// Whether no two are in the same state. May say no where it is so.
fn all_differ(threads: &[Thread]) -> bool {
    let mut sieve = [0_u64; SIEVE / 64];
    threads.iter().all(|thread| {
        let bit = thread.state.as_u32().wrapping_mul(0x9E37_79B1) as usize >> (32 - SIEVE.ilog2());
        sieve.get_mut(bit / 64).is_some_and(|word| {
            let known = *word;
            *word |= 1 << (bit % 64);
            known != *word
        })
    })
}
