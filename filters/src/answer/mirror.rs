//! Shows the texts of a stream to guards on trial as well, which only look: what leaves is what the acting guards release.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use postern_config::Part;

use crate::{ContentFinding, Context, Judgement, TextGuard, TextGuards, TextStep};

/// What guards on trial have found in one stream.
#[derive(Debug, Clone, Default)]
pub(super) struct Found(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    findings: Vec<ContentFinding>,
    blocked: bool,
}

impl Found {
    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, findings: Vec<ContentFinding>, blocked: bool) {
        let mut seen = self.lock();
        seen.blocked |= blocked;
        let room = Context::MAX_FINDINGS.saturating_sub(seen.findings.len());
        seen.findings.extend(findings.into_iter().take(room));
    }

    /// What was found since it was asked last, and whether anything would have been refused by now.
    pub(super) fn take(&self) -> (Vec<ContentFinding>, bool) {
        let mut seen = self.lock();
        (std::mem::take(&mut seen.findings), seen.blocked)
    }
}

/// Acting guards, and guards that look on.
#[derive(Debug)]
pub(super) struct Mirror {
    pub(super) acting: Arc<dyn TextGuards>,
    pub(super) tried: Arc<dyn TextGuards>,
    pub(super) found: Found,
}

impl TextGuards for Mirror {
    fn judge(&self, part: Part, text: &str) -> Judgement {
        let tried = self.tried.judge(part, text);
        self.found.note(tried.findings, tried.blocked);
        self.acting.judge(part, text)
    }

    fn open(&self, part: Part) -> Box<dyn TextGuard> {
        Box::new(Looking {
            acting: self.acting.open(part),
            tried: Some(self.tried.open(part)),
            found: self.found.clone(),
        })
    }
}

#[derive(Debug)]
struct Looking {
    acting: Box<dyn TextGuard>,
    /// `None` once it would have let nothing more pass.
    tried: Option<Box<dyn TextGuard>>,
    found: Found,
}

impl Looking {
    fn look(&mut self, step: impl FnOnce(&mut Box<dyn TextGuard>) -> TextStep) {
        let Some(tried) = &mut self.tried else { return };
        let TextStep { findings, blocked, .. } = step(tried);
        self.found.note(findings, blocked);
        if blocked {
            self.tried = None;
        }
    }
}

impl TextGuard for Looking {
    fn push(&mut self, text: &str) -> TextStep {
        self.look(|tried| tried.push(text));
        self.acting.push(text)
    }

    fn finish(&mut self) -> TextStep {
        self.look(|tried| tried.finish());
        self.acting.finish()
    }

    fn stall(&mut self) -> TextStep {
        self.look(|tried| tried.stall());
        self.acting.stall()
    }

    /// What is on trial holds nothing back.
    fn is_holding(&self) -> bool {
        self.acting.is_holding()
    }
}
