//! Content guards: what is looked for in the texts of a message, and how they are rewritten.
//!
//! A text is folded first (`fold`), so that full-width digits, zero-width characters and look-alike letters do not
//! hide anything; findings and edits name the text as received. Data detectors are automata with validators
//! (`matcher`), hidden text is judged character by character (`hidden`), injections by signatures over words
//! (`injection`). Whole texts and streams run through the same engine (`run`): a text cut anywhere gives the same
//! output, and no more than the hold-back is ever held.
//!
//! Text in an encoding (percent, base64, hex, HTML entities) is read as it stands by all but one, which decodes it and looks for
//! injections (`encoded`).

mod blocks;
mod builtin;
mod canary;
mod compiler;
mod defaults;
mod encoded;
mod exchange;
mod fold;
mod hidden;
mod hit;
mod injection;
mod look;
mod managed;
mod matcher;
#[cfg(test)]
mod measure;
pub mod model;
mod orders;
mod pages;
mod pattern;
mod plan;
mod resolve;
pub(crate) mod restore;
mod rewrite;
mod run;
mod stream;
#[cfg(test)]
mod tests;
mod tokens;
mod validate;
mod view;
mod web;
mod words;

use std::collections::BTreeMap;
use std::sync::Arc;

use postern_config::{DataProtection, Direction, Part, RuntimeDetectorKind, RuntimeSecurity};

pub use canary::Canary;
pub(crate) use canary::letters;
pub use defaults::defaults;
pub(crate) use exchange::{Exchange, InExchange};
pub use look::{injection_found, injection_score};
pub(crate) use managed::can_be_searched_for;
pub use managed::{GUARD as LEAK_GUARD, Managed};
pub use orders::{Found, Injection};
pub use pattern::max_match_len;
pub(crate) use tokens::TokenMaker;
pub use tokens::{TokenKey, TokenMap};
pub use words::{ExactHash, exact_hash};

use crate::output::Output;
use crate::text::{Judgement, TextGuard, TextGuards};
use compiler::Compiler;
use plan::Plan;

/// Why guards could not be made ready. All are errors of a load.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    #[error("no built-in detector has the id `{id}`")]
    UnknownDetector { id: String },
    #[error("the pattern does not compile, or is too large: {source}")]
    Pattern {
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("the pattern `{pattern}` asks for `{}`, which is never seen: text is folded before it is searched", character.escape_unicode())]
    Folded { pattern: String, character: char },
    #[error("detector `{detector}` cannot be used")]
    Detector {
        detector: String,
        #[source]
        source: Box<ScanError>,
    },
    #[error("rule `{rule}` names detector {index}, which does not exist")]
    Dangling { rule: String, index: usize },
    #[error("a hold-back of {hold_back} bytes is too small for `{detector}`, which needs {needed}")]
    HoldBackTooSmall { detector: String, hold_back: usize, needed: usize },
    #[error("built-in detector `{id}` does not compile: {message}")]
    Builtin { id: String, message: String },
    #[error("the classifier of injections cannot be used: {why}")]
    Model { why: &'static str },
    #[error("the secret of credential `{name}` cannot be looked for in traffic: {why}")]
    Managed { name: String, why: &'static str },
}

/// All content guards of one route and direction.
#[derive(Debug)]
pub struct ContentGuards {
    plans: BTreeMap<Part, Arc<Plan>>,
    /// Demands on what these guards leave of answers.
    output: Option<Output>,
    names: Vec<String>,
    unbounded: Vec<String>,
}

/// Whether a detector of this kind can be judged on a stream: injection signatures reach over a bounded window, hidden text is
/// known within the hold-back, and of patterns those are let in that do not outgrow it. Attacks are looked for in whole values.
#[must_use]
pub fn streams(kind: &RuntimeDetectorKind) -> bool {
    match kind {
        RuntimeDetectorKind::PromptInjection
        | RuntimeDetectorKind::Jailbreak
        | RuntimeDetectorKind::HiddenText
        | RuntimeDetectorKind::EncodedPayload
        | RuntimeDetectorKind::Regex(_)
        | RuntimeDetectorKind::Canary => true,
        RuntimeDetectorKind::Web(_) | RuntimeDetectorKind::External(_) => false,
    }
}

impl ContentGuards {
    /// Compiles what `data` and `runtime` ask for in `direction`. Runtime detectors apply in both directions to the
    /// parts they list.
    ///
    /// # Errors
    /// [`ScanError`] names the detector that cannot be used and why.
    pub fn compile(data: &DataProtection, runtime: &RuntimeSecurity, direction: Direction) -> Result<Self, ScanError> {
        Self::compile_with(data, runtime, &Managed::default(), direction)
    }

    /// As [`ContentGuards::compile`], and looks for the secrets of `managed` as well, in both directions.
    ///
    /// # Errors
    /// As there, and [`ScanError::Managed`].
    pub fn compile_with(
        data: &DataProtection,
        runtime: &RuntimeSecurity,
        managed: &Managed,
        direction: Direction,
    ) -> Result<Self, ScanError> {
        let mut compiler = Compiler::new(data, runtime, managed, direction);
        let mut plans = BTreeMap::new();
        for part in Part::ALL {
            let plan = compiler.plan(part)?;
            if !plan.is_empty() {
                plans.insert(part, Arc::new(plan));
            }
        }
        let mut names: Vec<String> = plans.values().flat_map(|p| p.guard_names()).map(str::to_owned).collect();
        names.sort_unstable();
        names.dedup();
        let unbounded = compiler.unbounded();
        let output = Output::new(&runtime.output, data.hold_back).filter(|_| direction == Direction::Response);
        names.extend(output.iter().flat_map(Output::names).map(str::to_owned));
        names.sort_unstable();
        Ok(Self { plans, output, names, unbounded })
    }

    /// Names as in the coverage matrix, sorted: `data/<rule>`, `runtime/<detector>` and `output/<demand>`.
    #[must_use]
    pub fn guard_names(&self) -> &[String] {
        &self.names
    }

    /// The highest score, 0–100, that a detector of hostile content gives `text` in this part, its threshold aside: what
    /// rules read as `context.risk`. 0 where none looks at the part.
    #[must_use]
    pub fn risk(&self, part: Part, text: &str) -> u8 {
        self.plans.get(&part).map_or(0, |plan| run::risk(plan, text))
    }

    /// Names of the guards that look at `part`, sorted.
    #[must_use]
    pub fn guards_of(&self, part: Part) -> Vec<&str> {
        let mut names: Vec<&str> = self.plans.get(&part).map(|p| p.guard_names()).unwrap_or_default();
        names.extend(self.output_of(part).into_iter().flat_map(Output::names));
        names.sort_unstable();
        names
    }

    fn output_of(&self, part: Part) -> Option<&Output> {
        self.output.as_ref().filter(|_| Output::reads(part))
    }

    /// Data detectors in use whose match can be longer than the hold-back. Whole texts are judged exactly; on a stream
    /// a candidate of theirs that outgrows the hold-back counts as found (PV-053 keeps them off streaming routes).
    #[must_use]
    pub fn not_for_streams(&self) -> &[String] {
        &self.unbounded
    }
}

impl ContentGuards {
    /// As [`TextGuards::judge`], in an exchange.
    pub(crate) fn judge_for(&self, part: Part, text: &str, exchange: &Exchange) -> Judgement {
        let judge =
            |text: &str| self.plans.get(&part).map(|plan| stream::judge(plan, text, exchange)).unwrap_or_default();
        match self.output_of(part) {
            Some(output) => output.around(part, text, judge),
            None => judge(text),
        }
    }

    /// Whether a rule makes tokens.
    pub(crate) fn tokenizes(&self) -> bool {
        self.plans.values().any(|plan| plan.tokenizes())
    }

    /// As [`TextGuards::open`], in an exchange.
    pub(crate) fn open_for(&self, part: Part, exchange: &Exchange) -> Box<dyn TextGuard> {
        let guard: Box<dyn TextGuard> = match self.plans.get(&part) {
            // The load refuses it. Nothing of a text leaves that cannot be judged.
            Some(plan) if !plan.web.is_empty() => Box::new(stream::Undecided),
            Some(plan) => Box::new(stream::Stream::new(plan, exchange)),
            None => Box::new(stream::Unguarded),
        };
        match self.output_of(part) {
            Some(output) => output.behind(guard, part),
            None => guard,
        }
    }
}

impl TextGuards for ContentGuards {
    fn judge(&self, part: Part, text: &str) -> Judgement {
        self.judge_for(part, text, &Exchange::default())
    }

    fn open(&self, part: Part) -> Box<dyn TextGuard> {
        self.open_for(part, &Exchange::default())
    }
}

impl ScanError {
    fn of(self, detector: &str) -> Self {
        Self::Detector { detector: detector.to_owned(), source: Box::new(self) }
    }
}
