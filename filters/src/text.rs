//! The seam between dialects and scanners: a dialect yields texts, guards judge them, whole or as they arrive.

use std::ops::Range;
use std::sync::Arc;

use postern_config::{ContentAction, Part};

/// Replaces `range` (bytes of the decoded text) with `with`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    pub range: Range<usize>,
    pub with: String,
}

/// What a guard found, without the value it found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentFinding {
    /// Guard's name in the coverage matrix: `data/never-cards`, `runtime/indirect`.
    pub guard: String,
    pub detector: String,
    pub part: Part,
    pub action: ContentAction,
    /// 0–100; 100 where a validator proved it.
    pub score: u8,
    /// Where in its text, for the record: bytes of the decoded text, as received.
    pub range: Range<usize>,
    /// What a service outside calls it; bounded, and plain.
    pub label: Option<Arc<str>>,
}

/// What all guards of one direction say of one whole text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Judgement {
    /// Ordered, not overlapping. Empty and not `blocked`: pass as it is.
    pub edits: Vec<Edit>,
    pub findings: Vec<ContentFinding>,
    /// A finding with action Block: nothing of the message passes.
    pub blocked: bool,
}

/// What may leave after some text arrived.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TextStep {
    /// Judged and rewritten text that may be sent now, possibly empty.
    pub release: String,
    pub findings: Vec<ContentFinding>,
    /// Nothing more of this text may leave; what is held is dropped.
    pub blocked: bool,
}

/// Judges one text as it arrives. No I/O, no clock: the same input cut anywhere gives the same output.
pub trait TextGuard: Send + std::fmt::Debug {
    /// More text.
    fn push(&mut self, text: &str) -> TextStep;
    /// The text has ended: everything still held is judged as it stands.
    fn finish(&mut self) -> TextStep;
    /// The `stall` time has passed with an open match: it counts as found.
    fn stall(&mut self) -> TextStep;
    /// Whether text is being held back.
    fn is_holding(&self) -> bool;
}

/// All content guards of one route and direction.
pub trait TextGuards: Send + Sync + std::fmt::Debug {
    fn judge(&self, part: Part, text: &str) -> Judgement;
    fn open(&self, part: Part) -> Box<dyn TextGuard>;
}
