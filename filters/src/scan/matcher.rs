//! Runs the automata of several data detectors over a view, as it grows.
//!
//! For each detector it keeps the *live* threads: a start and the automaton state after everything read since. Two
//! threads in the same state have the same future, so the later one is dropped; their number is bounded by the states
//! of the automaton, and on a stream by the hold-back. A thread that ends without another step reports the longest
//! candidate that its validator accepted. Nothing before the earliest live start can still become part of a match,
//! which is what a stream may release.

mod starts;
mod thread;

use std::sync::Arc;

use regex_automata::util::primitives::StateID;

use super::hit::{Hit, Source};
use super::pattern::Pattern;
use super::view::View;
use starts::{Places, Starts};
use thread::{Reader, Thread};

/// Detectors per set; one bit each in the table of starts.
const SET_SIZE: usize = 32;

/// Bytes after a beginning that are looked at before it becomes a thread: most words end within them, and a look costs a
/// tenth of a step.
const AHEAD: usize = 16;

/// Detectors that run over the same view together.
#[derive(Debug)]
pub(crate) struct PatternSet {
    members: Vec<Member>,
    starts: Starts,
}

#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) pattern: Arc<Pattern>,
    pub(crate) source: Source,
    /// A match may be longer than the hold-back, as far as whole texts are concerned.
    pub(crate) unbounded: bool,
    /// A candidate that outgrows the limit is taken for a match even if it is not evident.
    pub(crate) strict: bool,
}

impl PatternSet {
    /// Splits `members` into sets of a size that one table serves.
    pub(crate) fn split(members: Vec<Member>) -> Vec<Self> {
        let mut sets = Vec::new();
        let mut rest = members;
        while !rest.is_empty() {
            let tail = rest.split_off(rest.len().min(SET_SIZE));
            let starts = Starts::new(rest.iter().map(|m| &*m.pattern));
            sets.push(Self { members: rest, starts });
            rest = tail;
        }
        sets
    }
}

/// The state of one [`PatternSet`] on one text.
#[derive(Debug)]
pub(crate) struct Matcher {
    set: Arc<PatternSet>,
    threads: Vec<Vec<Thread>>,
    /// One bit per member with threads.
    active: u32,
    /// Position in the view of the next byte to read.
    next: usize,
    /// Bytes of text a thread may span, and whether that also binds unbounded patterns.
    limit: usize,
    whole: bool,
    /// Text before this was let go by a stall, leads included.
    let_go: usize,
}

impl Matcher {
    /// `limit` is the hold-back; `whole` says that the text is not a stream, so that patterns without a bound may
    /// take what they need.
    pub(crate) fn new(set: &Arc<PatternSet>, limit: usize, whole: bool) -> Self {
        let threads = set.members.iter().map(|_| Vec::new()).collect();
        Self { set: Arc::clone(set), threads, active: 0, next: 0, limit, whole, let_go: 0 }
    }

    /// Reads what is new in `view`.
    pub(crate) fn read(&mut self, view: &View, hits: &mut Vec<Hit>) {
        let set = Arc::clone(&self.set);
        let bytes = view.bytes();
        let mut i = self.next.saturating_sub(view.base());
        let mut places = Places::of(&set.starts, bytes);
        let all_near = view.is_near_everywhere(AHEAD, self.limit);
        while i < bytes.len() {
            if self.active == 0 && all_near {
                i = places.next(i);
            }
            let Some(&byte) = bytes.get(i) else { break };
            if self.active != 0 {
                self.step_all(&set, view, view.base() + i, byte, hits);
            }
            // Behind many invisible characters the next byte is out of reach: on a stream the limit comes first.
            let near = all_near || view.is_near(view.base() + i, AHEAD, self.limit);
            let mut starting = set.starts.at(bytes, i, near);
            while starting != 0 {
                let member = starting.trailing_zeros();
                starting &= starting - 1;
                self.begin(&set, view, i, byte, member, near);
            }
            i += 1;
        }
        self.next = view.end();
    }

    fn step_all(&mut self, set: &PatternSet, view: &View, at: usize, byte: u8, hits: &mut Vec<Hit>) {
        let (end, whole, limit) = (view.end_of(at), self.whole, self.limit);
        let mut active = self.active;
        while active != 0 {
            let bit = active.trailing_zeros();
            active &= active - 1;
            let (Some(member), Some(threads)) = (set.members.get(bit as usize), self.threads.get_mut(bit as usize))
            else {
                continue;
            };
            let limit = if whole && member.unbounded { usize::MAX } else { limit };
            let reader = Reader { member, view, limit };
            threads.retain_mut(|t| reader.step(t, at, byte, end, hits));
            reader.merge(threads, hits, end);
            if threads.is_empty() {
                self.active &= !(1 << bit);
            }
        }
    }

    /// Starts a thread of `member` at `bytes[i]`, unless the next few bytes already rule it out.
    fn begin(&mut self, set: &PatternSet, view: &View, i: usize, byte: u8, bit: u32, near: bool) {
        let (Some(member), Some(threads)) = (set.members.get(bit as usize), self.threads.get_mut(bit as usize)) else {
            return;
        };
        let bytes = view.bytes();
        let before = i.checked_sub(1).and_then(|p| bytes.get(p)).copied();
        let pattern = &member.pattern;
        let state = pattern.next(pattern.start(before), byte);
        if pattern.is_dead(state) || near && fails_soon(pattern, state, bytes, i + 1) {
            return;
        }
        let at = view.base() + i;
        let from = match pattern.lead {
            None => at,
            Some(lead) => match lead_start(bytes, i, lead.accepts, lead.max) {
                Some(start) if start < i => view.base() + start,
                _ => return,
            },
        };
        if threads.iter().any(|t| t.state == state) {
            return;
        }
        let start = view.start_of(from);
        if view.end_of(at).saturating_sub(start) > self.limit {
            return; // a lead that was released already
        }
        threads.push(Thread {
            state,
            from,
            start,
            end: view.end_of(at),
            accepted: None,
            pending: None,
            tail: false,
            let_go: start < self.let_go,
        });
        self.active |= 1 << bit;
    }

    /// The text has ended after `text_end` bytes.
    pub(crate) fn finish(&mut self, view: &View, text_end: usize, hits: &mut Vec<Hit>) {
        let set = Arc::clone(&self.set);
        for (member, threads) in set.members.iter().zip(&mut self.threads) {
            let limit = if self.whole && member.unbounded { usize::MAX } else { self.limit };
            let reader = Reader { member, view, limit };
            for mut thread in threads.drain(..) {
                reader.finish(&mut thread, text_end, hits);
            }
        }
        self.active = 0;
    }

    /// Everything that is evidently a match counts as found as far as it goes; everything else is let go.
    pub(crate) fn stall(&mut self, view: &View, text_end: usize, hits: &mut Vec<Hit>) {
        self.let_go = text_end;
        for (member, threads) in self.set.members.iter().zip(&mut self.threads) {
            for thread in threads {
                let reader = Reader { member, view, limit: self.limit };
                if reader.settle(thread).is_some() || reader.is_evident(thread) {
                    reader.report_open(thread, text_end, hits);
                } else {
                    thread.let_go = true;
                }
            }
        }
    }

    /// Threads that outgrew the limit through characters that are not in the view.
    pub(crate) fn expire(&mut self, view: &View, text_end: usize, hits: &mut Vec<Hit>) {
        if self.active == 0 {
            return;
        }
        for (member, threads) in self.set.members.iter().zip(&mut self.threads) {
            let limit = if self.whole && member.unbounded { usize::MAX } else { self.limit };
            let reader = Reader { member, view, limit };
            threads.retain_mut(|t| reader.within(t, text_end, hits));
        }
    }

    /// Where the earliest live candidate begins; `None` where nothing is open.
    pub(crate) fn live(&self, view: &View, text_end: usize) -> Option<usize> {
        let threads = self.threads.iter().flatten().filter(|t| !t.let_go).map(|t| t.start).min();
        let leads = self.set.members.iter().filter_map(|m| {
            let lead = m.pattern.lead?;
            let bytes = view.bytes();
            let start = lead_start(bytes, bytes.len(), lead.accepts, lead.max)?;
            let start = (start < bytes.len()).then(|| view.start_of(view.base() + start))?;
            (start >= self.let_go && text_end.saturating_sub(start) <= self.limit).then_some(start)
        });
        threads.into_iter().chain(leads).min()
    }
}

impl Matcher {
    /// From where on the view must be kept: also for candidates that were let go.
    pub(crate) fn keeps(&self) -> Option<usize> {
        self.threads.iter().flatten().filter(|t| !t.tail).map(|t| t.start).min()
    }
}

/// Where the run of `accepts` that ends before index `end` begins; `None` where it is longer than `max`.
fn lead_start(bytes: &[u8], end: usize, accepts: fn(u8) -> bool, max: usize) -> Option<usize> {
    let run = bytes.get(..end)?.iter().rev().take(max + 1).take_while(|b| accepts(**b)).count();
    (run <= max).then(|| end - run)
}

/// Looks a few bytes ahead, where they are there, so that most beginnings never become a thread.
fn fails_soon(pattern: &Pattern, mut state: StateID, bytes: &[u8], next: usize) -> bool {
    for &b in bytes.get(next..).unwrap_or_default().iter().take(AHEAD) {
        state = pattern.next(state, b);
        if pattern.is_dead(state) {
            return true;
        }
        if pattern.is_match(state) {
            return false;
        }
    }
    false
}
