//! One candidate of one detector, from its beginning to its end.

use std::collections::HashSet;

use regex_automata::util::primitives::StateID;

use super::Member;
use crate::scan::hit::Hit;
use crate::scan::pattern::{Candidate, Found};
use crate::scan::view::{LOOK_BEHIND, View};

/// Threads that are compared one by one.
const FEW: usize = 16;

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
        let base = self.view.base();
        let before = self.view.slice(thread.from.saturating_sub(CONTEXT).max(base), thread.from);
        let text = self.view.slice(thread.from, at);
        match self.member.pattern.judge(thread.state, Candidate { before, text }) {
            Found::Nothing => {}
            Found::Veto => thread.accepted = None,
            Found::Match(score) => {
                let value = thread.from + (self.member.pattern.value)(text);
                let start = self.view.start_of(value);
                thread.accepted = Some(Accepted { start, end: thread.end, score });
            }
        }
    }

    /// Checks the span of a thread once `end` bytes of text have come; whether it lives on.
    pub(super) fn within(&self, thread: &mut Thread, end: usize, hits: &mut Vec<Hit>) -> bool {
        if end.saturating_sub(thread.start) <= self.limit {
            return true;
        }
        let evident = thread.tail || thread.accepted.is_some() || self.member.strict || self.is_evident(thread);
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
        thread.accepted = None;
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
    fn report(&self, thread: &Thread, seen: usize, hits: &mut Vec<Hit>) {
        let source = self.member.source;
        if thread.tail {
            if thread.end > thread.start {
                let (start, end) = (thread.start, thread.end);
                hits.push(Hit { start, end, seen, source, score: 75, open: true, tail: true });
            }
        } else if let Some(Accepted { start, end, score }) = thread.accepted {
            hits.push(Hit { start, end, seen, source, score, open: false, tail: false });
        }
    }

    /// Drops threads that have the future of an earlier one. What they had found by themselves is reported.
    pub(super) fn merge(&self, threads: &mut Vec<Thread>, hits: &mut Vec<Hit>, seen: usize) {
        if threads.len() < 2 {
            return;
        }
        let mut known: Vec<StateID> = Vec::with_capacity(threads.len().min(FEW));
        let mut many = if threads.len() > FEW { HashSet::with_capacity(threads.len()) } else { HashSet::new() };
        let crowded = threads.len() > FEW;
        threads.retain(|t| {
            let first = if crowded { many.insert(t.state) } else { !known.contains(&t.state) };
            if first && !crowded {
                known.push(t.state);
            } else if !first && t.accepted.is_some() {
                self.report(t, seen, hits);
            }
            first
        });
    }
}
