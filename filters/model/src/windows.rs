//! Texts as the windows that are learned from and judged.

use std::ops::Range;

use postern_filters::scan::model::features::Sink;
use postern_filters::scan::model::{GRAMS, Head, WORDS, look};

use crate::corpus::Row;
use crate::solve::{Window, scale};

/// Features of all kinds.
pub(crate) const FEATURES: usize = GRAMS + WORDS;

/// A piece of a text.
#[derive(Debug, Clone, Default)]
pub(crate) struct Block {
    pub(crate) features: Vec<u32>,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

#[derive(Default)]
struct Blocks {
    all: Vec<Block>,
    features: Vec<u32>,
}

impl Sink for Blocks {
    fn gram(&mut self, index: usize) {
        self.features.push(index as u32);
    }

    fn words(&mut self, index: usize) {
        self.features.push((GRAMS + index) as u32);
    }

    fn block(&mut self, start: usize, end: usize) {
        self.all.push(Block { features: std::mem::take(&mut self.features), start, end });
    }
}

pub(crate) fn blocks(head: Head, text: &str) -> Vec<Block> {
    let mut blocks = Blocks::default();
    look(head, text, &mut blocks);
    blocks.all
}

/// Weights of features, and what is added.
pub(crate) struct Line {
    pub(crate) weights: Vec<f32>,
    pub(crate) bias: f32,
}

impl Line {
    /// The logit of some blocks.
    fn logit(&self, blocks: &[Block]) -> f32 {
        let count: usize = blocks.iter().map(|block| block.features.len()).sum();
        let features = blocks.iter().flat_map(|block| &block.features);
        let sum: f32 = features.map(|feature| self.weights[*feature as usize]).sum();
        sum * scale(count) + self.bias
    }
}

/// Two blocks each, or the only one.
fn windows(row: &Row) -> impl Iterator<Item = Range<usize>> + use<> {
    let count = row.blocks.len();
    (0..count.saturating_sub(1).max(usize::from(count == 1))).map(move |at| at..(at + 2).min(count))
}

/// How much of the window is the attack, or of the attack the window.
fn share(row: &Row, window: &Range<usize>) -> f32 {
    let Some(span) = &row.span else { return 1.0 };
    let blocks = &row.blocks[window.clone()];
    let (start, end) = (blocks[0].start, blocks[blocks.len() - 1].end);
    let both = end.min(span.end).saturating_sub(start.max(span.start)) as f32;
    (both / span.len().min(end - start).max(1) as f32).max(both / 150.0)
}

/// The windows that a row teaches. Where an attack stands is told by its span, or by `first`: of a long text without one, those
/// windows that an earlier model finds the worst.
pub(crate) fn examples(row: &Row, weight: f32, first: Option<&Line>) -> Vec<Window> {
    let all: Vec<Range<usize>> = windows(row).collect();
    let each = |windows: Vec<Range<usize>>, attack: bool, weight: f32| -> Vec<Window> {
        let weight = weight / (windows.len().max(1) as f32).sqrt();
        let features =
            |window: Range<usize>| row.blocks[window].iter().flat_map(|block| block.features.clone()).collect();
        windows.into_iter().map(|window| Window { features: features(window), attack, weight }).collect()
    };
    if !row.attack {
        return each(all, false, weight);
    }
    if row.span.is_some() {
        let (inside, rest): (Vec<_>, Vec<_>) = all.into_iter().partition(|window| share(row, window) > 0.5);
        let outside = rest.into_iter().filter(|window| share(row, window) == 0.0).collect();
        let mut both = each(inside, true, weight);
        both.extend(each(outside, false, weight / 2.0));
        return both;
    }
    let Some(first) = first.filter(|_| all.len() > 1) else { return each(all, true, weight) };
    let mut worst = all;
    worst.sort_by(|one, next| first.logit(&row.blocks[next.clone()]).total_cmp(&first.logit(&row.blocks[one.clone()])));
    worst.truncate(worst.len().div_ceil(2).min(4));
    each(worst, true, weight)
}
