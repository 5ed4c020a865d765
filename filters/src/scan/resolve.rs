//! From hits to edits and findings, in an order that does not depend on how the text was cut.
//!
//! Hits that overlap form a group, which is changed as one: strongest action, union of the ranges. A group is final
//! once every hit that could still join it is known. So that a chain of overlapping hits cannot hold a stream for
//! ever, a hit joins only if it was known within `limit` bytes of the group's start; a later one stands for itself,
//! from where the group ends.

use std::collections::VecDeque;

use postern_config::ContentAction;

use super::hit::Hit;
use super::plan::{Plan, Target};
use super::rewrite::Rewrite;
use crate::text::ContentFinding;

/// A final group.
#[derive(Debug)]
pub(crate) struct Group<'p> {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) rewrite: Rewrite<'p>,
}

/// Hits that are not final yet.
#[derive(Debug, Default)]
pub(crate) struct Resolver {
    pending: VecDeque<Hit>,
    /// Text before this is decided.
    floor: usize,
    /// Goes on behind a hit that blocks: for whoever wants to know all of them.
    goes_on: bool,
    /// Those that leave the text as it is, or end it. They stand apart, so that a long one that is only noted does not have more of the
    /// text changed than was asked for.
    noted: Option<Box<Self>>,
}

/// How much of the text is known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known {
    /// Bytes read.
    pub(crate) text_end: usize,
    /// No hit to come that changes the text begins before this.
    pub(crate) live: usize,
    /// And none that stands apart before this.
    pub(crate) open: usize,
    pub(crate) finished: bool,
}

/// What became final.
#[derive(Debug, Default)]
pub(crate) struct Resolved<'p> {
    pub(crate) groups: Vec<Group<'p>>,
    pub(crate) findings: Vec<ContentFinding>,
    pub(crate) blocked: bool,
    /// Everything before this may be released, rewritten by `groups`.
    pub(crate) floor: usize,
}

impl Resolver {
    /// One that a block does not end.
    pub(crate) fn of_everything() -> Self {
        Self { goes_on: true, ..Self::default() }
    }

    /// Takes `hits` over; those that no rule asked for are dropped.
    pub(crate) fn add(&mut self, plan: &Plan, hits: &mut Vec<Hit>) {
        for hit in hits.drain(..).filter(|h| plan.targets(h).next().is_some()) {
            if plan.stands_apart(&hit) {
                self.noted.get_or_insert_default().pending.push_back(hit);
            } else {
                self.pending.push_back(hit);
            }
        }
    }

    /// Text before `position` was released without being judged (a stall).
    pub(crate) fn skip_to(&mut self, position: usize) {
        self.floor = self.floor.max(position);
    }

    pub(crate) fn resolve<'p>(&mut self, plan: &'p Plan, known: Known) -> Resolved<'p> {
        let block = if self.goes_on { None } else { self.first_block(plan) };
        let mut out = self.settle_all(plan, known, block);
        if let Some(noted) = &mut self.noted {
            let known = Known { live: known.open, ..known };
            out.findings.extend(noted.settle_all(plan, known, block).findings);
        }
        out
    }

    /// `block`: how much was read when the first hit that blocks became known; nothing counts that was known later.
    fn settle_all<'p>(&mut self, plan: &'p Plan, known: Known, block: Option<usize>) -> Resolved<'p> {
        let mut out = Resolved::default();
        if self.pending.is_empty() && block.is_none() {
            self.floor = self.floor.max(known.live);
            out.floor = self.floor;
            return out;
        }
        if let Some(seen) = block {
            self.pending.retain(|h| h.seen <= seen);
            out.blocked = true;
        }
        self.pending.make_contiguous().sort_by_key(|h| (h.start, h.seen, h.end, h.source));
        let finished = known.finished || out.blocked;
        while let Some(group) = self.next_group(plan.hold_back) {
            let start = group.first().map_or(0, |h| h.start);
            let end = group.iter().map(|h| h.end).max().unwrap_or(0);
            let sealed = finished || known.live >= end || known.text_end >= start.saturating_add(plan.hold_back);
            if !sealed {
                for hit in group.into_iter().rev() {
                    self.pending.push_front(hit);
                }
                self.floor = self.floor.max(known.live.min(start));
                out.floor = self.floor;
                return out;
            }
            self.settle(plan, &group, end, &mut out);
        }
        self.floor = self.floor.max(known.live);
        out.floor = self.floor;
        out
    }

    /// Takes the first hit and all that join it.
    fn next_group(&mut self, limit: usize) -> Option<Vec<Hit>> {
        let first = self.pending.pop_front()?;
        let (mut end, mut group, mut late) = (first.end, vec![first], Vec::new());
        while let Some(hit) = self.pending.pop_front_if(|h| h.start < end) {
            if hit.seen <= first.start.saturating_add(limit) {
                end = end.max(hit.end);
                group.push(hit);
            } else {
                late.push(hit);
            }
        }
        for hit in late.into_iter().rev() {
            self.pending.push_front(hit);
        }
        Some(group)
    }

    /// When the first hit that blocks became known.
    fn first_block(&self, plan: &Plan) -> Option<usize> {
        let blocks = |h: &&Hit| plan.targets(h).any(|t| t.action == ContentAction::Block);
        let apart = self.noted.iter().flat_map(|noted| &noted.pending);
        self.pending.iter().chain(apart).filter(blocks).map(|h| h.seen).min()
    }

    fn settle<'p>(&mut self, plan: &'p Plan, group: &[Hit], end: usize, out: &mut Resolved<'p>) {
        let mut found: Vec<(&Target, ContentFinding)> = Vec::new();
        for hit in group {
            for target in plan.targets(hit) {
                match found.iter_mut().find(|(t, _)| std::ptr::eq(*t, target)) {
                    Some((_, f)) => {
                        f.range.end = f.range.end.max(hit.end);
                        f.score = f.score.max(hit.score);
                    }
                    None => found.push((target, target.finding(plan.part, hit))),
                }
            }
        }
        let start = group.first().map_or(end, |h| h.start).max(self.floor);
        if end > start
            && let Some(rewrite) = Rewrite::choose(plan, group)
        {
            out.groups.push(Group { start, end, rewrite });
            self.floor = end;
        }
        out.findings.extend(found.into_iter().map(|(_, f)| f));
    }
}
