//! Detectors that are not ours: what a service is asked about the texts of a message, and what its answer makes of them.
//!
//! Nothing is sent here. Questions are made of the texts that are left when every other guard is done ([`Externals`]); whoever runs
//! the chain asks them ([`crate::Need::External`]) and has each answer read ([`Verdict::read`]). `docs/external-detector.md` has the
//! protocol.

mod conclusion;
mod question;
#[cfg(test)]
mod tests;
mod verdict;

use std::sync::Arc;

use postern_config::{ContentAction, Direction, ExternalSource, Part, RuntimeSecurity, capability};

pub(crate) use conclusion::Conclusion;
pub use question::Question;
use question::Shown;
pub use verdict::{AnswerError, MAX_ANSWER, Verdict};

use crate::PartText;

/// Texts of one question.
const MAX_TEXTS: usize = 16_384;
/// Bytes of the texts of one question together.
const MAX_BYTES: usize = 4 << 20;

/// One detector of a route.
#[derive(Debug, PartialEq, Eq)]
struct Judge {
    name: String,
    /// As the coverage matrix has it: `runtime/moderation`.
    guard: Arc<str>,
    parts: Vec<Part>,
    /// 1–100.
    threshold: u8,
    action: ContentAction,
    source: Arc<ExternalSource>,
}

/// The detectors of one route and direction.
#[derive(Debug)]
pub struct Externals {
    judges: Vec<Arc<Judge>>,
    direction: Direction,
}

/// A message has more text than a service is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than {MAX_TEXTS} texts or {MAX_BYTES} bytes of text for an external detector")]
pub struct TooMuch;

impl Externals {
    /// Those of `runtime` that look at one of `there`, the parts that messages of this direction have.
    #[must_use]
    pub fn new(runtime: &RuntimeSecurity, there: &[Part], direction: Direction) -> Option<Self> {
        let judge = |(detector, source): (&postern_config::RuntimeDetector, &ExternalSource)| {
            Arc::new(Judge {
                name: detector.name.clone(),
                guard: Arc::from(format!("runtime/{}", detector.name)),
                parts: detector.parts.clone(),
                threshold: detector.threshold.max(1),
                action: detector.action.into(),
                source: Arc::new(source.clone()),
            })
        };
        let sees = |judge: &Arc<Judge>| judge.parts.iter().any(|part| there.contains(part));
        let judges: Vec<Arc<Judge>> = runtime.external().map(judge).filter(sees).collect();
        (!judges.is_empty()).then_some(Self { judges, direction })
    }

    pub(crate) fn looks_at(&self, part: Part) -> bool {
        self.judges.iter().any(|judge| judge.parts.contains(&part))
    }

    /// Names as the coverage matrix has them.
    pub(crate) fn guards(&self) -> impl Iterator<Item = &Arc<str>> {
        self.judges.iter().map(|judge| &judge.guard)
    }

    /// What has to be asked about these texts: of each detector one question at most.
    ///
    /// # Errors
    /// [`TooMuch`]: part of a message is never asked about.
    pub fn ask<'t>(&self, texts: impl Iterator<Item = PartText<'t>>) -> Result<Vec<Arc<Question>>, TooMuch> {
        let mut shown: Vec<Vec<Shown>> = self.judges.iter().map(|_| Vec::new()).collect();
        let mut bytes = vec![0_usize; self.judges.len()];
        for text in texts.filter(|text| !text.text.is_empty() && self.looks_at(text.part)) {
            let copy: Arc<str> = Arc::from(text.text);
            let wanted = self.judges.iter().zip(&mut shown).zip(&mut bytes);
            for ((_, shown), bytes) in wanted.filter(|((judge, _), _)| judge.parts.contains(&text.part)) {
                *bytes = bytes.saturating_add(copy.len());
                if shown.len() >= MAX_TEXTS || *bytes > MAX_BYTES {
                    return Err(TooMuch);
                }
                let trust = trust(text.part, self.direction);
                shown.push(Shown { place: text.index, part: text.part, trust, text: Arc::clone(&copy) });
            }
        }
        let asked = self.judges.iter().zip(shown).filter(|(_, shown)| !shown.is_empty());
        Ok(asked.map(|(judge, texts)| Arc::new(Question::new(judge, self.direction, texts))).collect())
    }
}

/// Whose word a text is.
fn trust(part: Part, direction: Direction) -> &'static str {
    match direction {
        _ if capability::is_untrusted(part) => "Untrusted",
        Direction::Request => "Caller",
        Direction::Response => "Upstream",
    }
}

/// Why a service said nothing that counts. Hosts and limits, and nothing of what was sent or came.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    #[error("no answer within {0:?}")]
    Late(std::time::Duration),
    #[error("{0}")]
    Away(String),
    #[error("it answered {0}, and only 200 is an answer")]
    Status(u16),
    #[error(transparent)]
    Answer(#[from] AnswerError),
}

impl Failure {
    /// The word in metrics.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Late(_) => "late",
            Self::Away(_) => "away",
            Self::Status(_) => "status",
            Self::Answer(_) => "malformed",
        }
    }
}
