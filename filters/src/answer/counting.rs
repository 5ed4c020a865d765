//! Counts the text of a stream on its way to the guards.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use postern_config::Part;

use crate::{Judgement, TextGuard, TextGuards, TextStep};

/// Bytes of text so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Count(Arc<AtomicU64>);

impl Count {
    fn add(&self, text: &str) {
        self.0.fetch_add(u64::try_from(text.len()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// An estimate, of four bytes to a token.
    pub(super) fn tokens(&self) -> u64 {
        self.0.load(Ordering::Relaxed).div_ceil(4)
    }
}

/// Guards, and a count before them.
#[derive(Debug)]
pub(super) struct Counting {
    pub(super) inner: Arc<dyn TextGuards>,
    pub(super) count: Count,
}

impl TextGuards for Counting {
    fn judge(&self, part: Part, text: &str) -> Judgement {
        self.count.add(text);
        self.inner.judge(part, text)
    }

    fn open(&self, part: Part) -> Box<dyn TextGuard> {
        Box::new(Counted { inner: self.inner.open(part), count: self.count.clone() })
    }
}

#[derive(Debug)]
struct Counted {
    inner: Box<dyn TextGuard>,
    count: Count,
}

impl TextGuard for Counted {
    fn push(&mut self, text: &str) -> TextStep {
        self.count.add(text);
        self.inner.push(text)
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
