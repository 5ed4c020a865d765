//! One head over one text.

use std::sync::Arc;

use super::features::Features;
use super::weights::{Adder, Sum};
use super::{Head, Model};
use crate::scan::view::View;

/// Two blocks of a text, or the only one. Positions are bytes of the text as received.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// How much of the text had to be read to know.
    pub(crate) seen: usize,
    /// Without what signatures say.
    pub(crate) logit: f32,
}

/// A block that has ended.
#[derive(Debug, Clone, Copy)]
struct Block {
    sum: Sum,
    start: usize,
}

#[derive(Debug)]
pub(crate) struct ModelRun {
    model: Arc<Model>,
    head: Head,
    limit: usize,
    features: Features,
    /// Of the block that is being read, and where that begins in the text.
    sum: Sum,
    start: usize,
    before: Option<Block>,
    next: usize,
    /// Text before this was let go by a stall.
    let_go: usize,
}

impl ModelRun {
    pub(crate) fn new(model: &Arc<Model>, head: Head, limit: usize) -> Self {
        Self {
            model: Arc::clone(model),
            head,
            limit,
            features: Features::new(head.block()),
            sum: Sum::default(),
            start: 0,
            before: None,
            next: 0,
            let_go: 0,
        }
    }

    /// Reads what is new in `view`; hands over every window that ends in it.
    pub(crate) fn read(&mut self, view: &View, mut found: impl FnMut(Window)) {
        let first = self.next.saturating_sub(view.base());
        // A view holds whole characters, and so does each addition to it.
        let Some(text) = view.bytes().get(first..).and_then(|bytes| std::str::from_utf8(bytes).ok()) else { return };
        let Self { model, head, limit, features, sum, start, before, .. } = self;
        let weights = model.head(*head);
        let block = |sum, _, at| {
            let edge = Edge { end: view.start_of(at), seen: view.end_of(at) };
            found(window(weights, *limit, before, start, sum, edge));
        };
        features.read(text, self.next, &mut Adder { weights, sum, block });
        self.next = view.end();
    }

    /// The text has ended.
    pub(crate) fn finish(&mut self, text_end: usize, mut found: impl FnMut(Window)) {
        let Self { model, head, limit, features, sum, start, before, .. } = self;
        let weights = model.head(*head);
        let block = |sum, _, _| {
            let edge = Edge { end: text_end, seen: text_end + 1 };
            found(window(weights, *limit, before, start, sum, edge));
        };
        features.finish(&mut Adder { weights, sum, block });
    }

    /// How likely an attack is, in percent.
    pub(crate) fn percent(&self, logit: f32) -> f32 {
        self.model.head(self.head).percent(logit)
    }

    /// What the window says that is being read, as far as it goes, and where it begins.
    pub(crate) fn so_far(&self) -> (usize, f32) {
        let both = self.before.map_or(self.sum, |before| before.sum.plus(self.sum));
        (self.before.map_or(self.start, |block| block.start), self.model.head(self.head).logit(both))
    }

    /// Where the word begins that is being read, of `text_end` bytes of text: signs that count for nothing make no word longer than what is
    /// held.
    pub(crate) fn open(&self, view: &View, text_end: usize) -> Option<usize> {
        let start = view.start_of(self.features.open_at()?);
        (text_end.saturating_sub(start) <= self.limit).then_some(start)
    }

    /// Nothing is taken for found.
    pub(crate) fn stall(&mut self, text_end: usize) {
        self.let_go = text_end;
    }

    /// Where the earliest window begins that has not ended.
    pub(crate) fn live(&self, text_end: usize) -> Option<usize> {
        let first = self.before.map_or(self.start, |block| block.start);
        let start = within(self.limit, [first, self.start], text_end, text_end).max(self.let_go);
        (start < text_end).then_some(start)
    }
}

/// Where a block ends, and how much had to be read to know.
#[derive(Debug, Clone, Copy)]
struct Edge {
    end: usize,
    seen: usize,
}

fn window(
    weights: &super::Weights,
    limit: usize,
    before: &mut Option<Block>,
    start: &mut usize,
    sum: Sum,
    edge: Edge,
) -> Window {
    let block = Block { sum, start: *start };
    let both = before.map_or(sum, |before| before.sum.plus(sum));
    let first = before.map_or(block.start, |before| before.start);
    *before = Some(block);
    *start = edge.end;
    let first = within(limit, [first, block.start], edge.seen, edge.end);
    Window { start: first, end: edge.end, seen: edge.seen, logit: weights.logit(both) }
}

/// The first of two blocks from which on no more than `limit` bytes were read, or the `end` of the window: a stream holds no more, and
/// what came before has left.
fn within(limit: usize, blocks: [usize; 2], read: usize, end: usize) -> usize {
    let from = read.saturating_sub(limit);
    blocks.into_iter().find(|start| *start >= from).unwrap_or(end)
}
