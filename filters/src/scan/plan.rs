//! What is looked for in one message part, and what then happens.

use std::sync::Arc;

use postern_config::{ContentAction, Part};

use super::hit::{Hit, Source};
use super::injection::Signatures;
use super::matcher::PatternSet;
use crate::text::ContentFinding;

/// One rule's interest in one detector.
#[derive(Debug)]
pub(crate) struct Target {
    /// `data/never-cards`, `runtime/indirect`.
    pub(crate) guard: String,
    pub(crate) detector: String,
    pub(crate) action: ContentAction,
    /// Scores below do not count.
    pub(crate) threshold: u8,
}

impl Target {
    pub(crate) fn finding(&self, part: Part, hit: &Hit) -> ContentFinding {
        ContentFinding {
            guard: self.guard.clone(),
            detector: self.detector.clone(),
            part,
            action: self.action,
            score: hit.score,
            range: hit.start..hit.end,
        }
    }
}

/// All guards of one part and direction, ready to run.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) part: Part,
    pub(crate) hold_back: usize,
    pub(crate) sets: Vec<Arc<PatternSet>>,
    /// By index of [`Source::Data`].
    pub(crate) data: Vec<Vec<Target>>,
    pub(crate) hidden: Vec<Target>,
    pub(crate) injection: Vec<Target>,
    /// There where `injection` is not empty.
    pub(crate) signatures: Option<Arc<Signatures>>,
}

impl Plan {
    /// Who asked for this hit.
    pub(crate) fn targets<'p>(&'p self, hit: &Hit) -> impl Iterator<Item = &'p Target> + use<'p> {
        let targets = match hit.source {
            Source::Data(i) => self.data.get(i).map_or(&[][..], Vec::as_slice),
            Source::Hidden => &self.hidden,
            Source::Injection => &self.injection,
        };
        let score = hit.score;
        targets.iter().filter(move |t| score >= t.threshold)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.data.is_empty() && self.hidden.is_empty() && self.injection.is_empty()
    }

    /// Names of the guards that look at this part, sorted, each once.
    pub(crate) fn guard_names(&self) -> Vec<&str> {
        let all = self.data.iter().flatten().chain(&self.hidden).chain(&self.injection);
        let mut names: Vec<&str> = all.map(|t| t.guard.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// The lowest threshold of `targets`.
pub(crate) fn least(targets: &[Target]) -> u8 {
    targets.iter().map(|t| t.threshold).min().unwrap_or(u8::MAX)
}
