//! How long the texts of one answer may be, together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use postern_config::{ContentAction, Output as Demands, Part};

use super::Output;
use crate::message::Message;
use crate::{ContentFinding, Judgement, TextGuard, TextGuards, TextStep};

/// Bytes of what a model says in a whole answer.
pub(crate) fn length_of(message: &Message) -> u64 {
    let texts = message.texts().filter(|text| Output::reads(text.part));
    texts.map(|text| bytes(text.text)).fold(0, u64::saturating_add)
}

/// What is told of an answer that is too long.
pub(crate) fn too_long(part: Part) -> ContentFinding {
    ContentFinding {
        guard: Demands::LENGTH.to_owned(),
        detector: "length".to_owned(),
        part,
        action: ContentAction::Block,
        score: 100,
        range: 0..0,
        label: None,
    }
}

/// Guards of one stream, of which no more text leaves than may.
#[derive(Debug)]
pub(crate) struct Bounded {
    pub(crate) inner: Arc<dyn TextGuards>,
    left: Arc<AtomicU64>,
}

impl Bounded {
    pub(crate) fn new(inner: Arc<dyn TextGuards>, most: u64) -> Self {
        Self { inner, left: Arc::new(AtomicU64::new(most)) }
    }
}

/// Whether `text` is within what is left.
fn fits(left: &AtomicU64, text: &str) -> bool {
    let less = |left: u64| left.checked_sub(bytes(text));
    if left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok() {
        return true;
    }
    left.store(0, Ordering::Relaxed);
    false
}

fn bytes(text: &str) -> u64 {
    u64::try_from(text.len()).unwrap_or(u64::MAX)
}

impl TextGuards for Bounded {
    fn judge(&self, part: Part, text: &str) -> Judgement {
        let mut judgement = self.inner.judge(part, text);
        if Output::reads(part) && !fits(&self.left, text) {
            judgement.findings.push(too_long(part));
            judgement.blocked = true;
        }
        judgement
    }

    fn open(&self, part: Part) -> Box<dyn TextGuard> {
        let inner = self.inner.open(part);
        if Output::reads(part) { Box::new(Text { inner, part, left: Arc::clone(&self.left) }) } else { inner }
    }
}

#[derive(Debug)]
struct Text {
    inner: Box<dyn TextGuard>,
    part: Part,
    left: Arc<AtomicU64>,
}

impl TextGuard for Text {
    fn push(&mut self, text: &str) -> TextStep {
        if fits(&self.left, text) {
            return self.inner.push(text);
        }
        TextStep { release: String::new(), findings: vec![too_long(self.part)], blocked: true }
    }

    fn finish(&mut self) -> TextStep {
        self.inner.finish()
    }

    fn stall(&mut self) -> TextStep {
        self.inner.stall()
    }

    fn is_holding(&self) -> bool {
        self.inner.is_holding()
    }
}
