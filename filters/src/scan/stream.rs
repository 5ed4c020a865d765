//! One text as it arrives: what is judged leaves, rewritten; what may still be part of a match stays.

use super::exchange::Exchange;
use super::plan::Plan;
use super::resolve::{Group, Resolved};
use super::run::Run;
use super::tokens::TokenMap;
use crate::text::{Edit, Judgement, TextGuard, TextStep};
use std::sync::Arc;

/// Memory: the text held (at most the hold-back, plus the last push), its folded forms (at most 18 characters for one,
/// with their map) and at most one live thread of 80 bytes per held byte and detector.
pub(crate) struct Stream {
    run: Run,
    /// Text not released yet; begins at `released`.
    held: String,
    released: usize,
    blocked: bool,
    /// For what is replaced by a token.
    tokens: Option<Arc<TokenMap>>,
}

/// Shows lengths, never text.
impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream")
            .field("part", &self.run.plan().part)
            .field("released", &self.released)
            .field("blocked", &self.blocked)
            .field("held", &self.held.len())
            .finish()
    }
}

impl Stream {
    pub(crate) fn new(plan: &Arc<Plan>, exchange: &Exchange) -> Self {
        let run = Run::new(plan, false).with_canary(exchange.canary.as_ref());
        Self { run, held: String::new(), released: 0, blocked: false, tokens: exchange.tokens.clone() }
    }

    fn apply(&mut self, resolved: Resolved<'_>) -> TextStep {
        if resolved.blocked {
            self.blocked = true;
            self.held = String::new();
            return TextStep { release: String::new(), findings: resolved.findings, blocked: true };
        }
        let mut release = String::new();
        for group in &resolved.groups {
            self.release_to(group.start, &mut release);
            release.push_str(&group.rewrite.apply(self.held_to(group.end), self.tokens.as_deref()));
            self.drop_to(group.end);
        }
        self.release_to(resolved.floor, &mut release);
        TextStep { release, findings: resolved.findings, blocked: false }
    }

    /// What is held before `position`, whole characters of it.
    fn held_to(&self, position: usize) -> &str {
        let count = self.held.floor_char_boundary(position.saturating_sub(self.released));
        self.held.get(..count).unwrap_or_default()
    }

    fn release_to(&mut self, position: usize, out: &mut String) {
        out.push_str(self.held_to(position));
        self.drop_to(position);
    }

    fn drop_to(&mut self, position: usize) {
        let count = self.held_to(position).len();
        self.held.drain(..count);
        self.released += count;
    }

    /// Runs one step of the engine, unless nothing may leave any more.
    fn step(&mut self, act: impl for<'p> FnOnce(&mut Run, &'p Plan) -> Resolved<'p>) -> TextStep {
        if self.blocked {
            return TextStep { blocked: true, ..TextStep::default() };
        }
        let plan = Arc::clone(self.run.plan());
        let resolved = act(&mut self.run, &plan);
        self.apply(resolved)
    }
}

impl TextGuard for Stream {
    fn push(&mut self, text: &str) -> TextStep {
        if !self.blocked {
            self.held.push_str(text);
        }
        self.step(|run, plan| run.push(plan, text))
    }

    fn finish(&mut self) -> TextStep {
        self.step(|run, plan| run.finish(plan))
    }

    fn stall(&mut self) -> TextStep {
        self.step(|run, plan| run.stall(plan))
    }

    fn is_holding(&self) -> bool {
        !self.held.is_empty()
    }
}

/// A text no guard looks at.
#[derive(Debug)]
pub(crate) struct Unguarded;

impl TextGuard for Unguarded {
    fn push(&mut self, text: &str) -> TextStep {
        TextStep { release: text.to_owned(), ..TextStep::default() }
    }

    fn finish(&mut self) -> TextStep {
        TextStep::default()
    }

    fn stall(&mut self) -> TextStep {
        TextStep::default()
    }

    fn is_holding(&self) -> bool {
        false
    }
}

/// A text that would have to be whole to be judged: nothing of it leaves.
#[derive(Debug)]
pub(crate) struct Undecided;

impl Undecided {
    fn refuse() -> TextStep {
        TextStep { blocked: true, ..TextStep::default() }
    }
}

impl TextGuard for Undecided {
    fn push(&mut self, text: &str) -> TextStep {
        if text.is_empty() { TextStep::default() } else { Self::refuse() }
    }

    fn finish(&mut self) -> TextStep {
        TextStep::default()
    }

    fn stall(&mut self) -> TextStep {
        TextStep::default()
    }

    fn is_holding(&self) -> bool {
        false
    }
}

/// The same engine over a text that is there as a whole.
pub(crate) fn judge(plan: &Arc<Plan>, text: &str, exchange: &Exchange) -> Judgement {
    let mut run = Run::new(plan, true).with_canary(exchange.canary.as_ref());
    let mut pushed = run.push(plan, text);
    if !pushed.blocked {
        let rest = run.finish(plan);
        pushed.findings.extend(rest.findings);
        pushed.groups.extend(rest.groups);
        pushed.blocked = rest.blocked;
    }
    let edit = |g: &Group<'_>| {
        let with = g.rewrite.apply(text.get(g.start..g.end).unwrap_or_default(), exchange.tokens.as_deref());
        Edit { range: g.start..g.end, with }
    };
    let edits = if pushed.blocked { Vec::new() } else { pushed.groups.iter().map(edit).collect() };
    Judgement { edits, findings: pushed.findings, blocked: pushed.blocked }
}
