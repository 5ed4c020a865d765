//! What a check can say: go on, refuse with a reason, or fail to decide, which also refuses.

use postern_config::OnDeny;

use crate::{Need, Reason};

/// `Ok(Flow)` is a decision, `Err` is none.
pub type Verdict = Result<Flow, FilterError>;

/// A decision about one request or answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Flow {
    Continue,
    Refuse(Refusal),
    /// The check cannot say before it knows this. It runs again, with the answer in its context.
    Wait(Need),
}

impl Flow {
    /// Refuses with a public reason and a detail for our logs.
    pub fn refuse(reason: Reason, detail: impl Into<String>) -> Self {
        Self::Refuse(Refusal::new(reason, detail))
    }
}

/// A refusal: the reason goes to the caller, the rest to our records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub reason: Reason,
    /// For operators. Never a secret, never a piece of the body.
    pub detail: String,
    /// The rule or limit that decided, where one did.
    pub rule: Option<String>,
    /// What the caller can do about it, beyond coming with another credential.
    pub ask: Option<Box<OnDeny>>,
    /// Headers the caller gets with it, `Retry-After` and the like.
    pub headers: Vec<(&'static str, String)>,
}

impl Refusal {
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into(), rule: None, ask: None, headers: Vec::new() }
    }

    #[must_use]
    pub fn by(mut self, rule: impl Into<String>) -> Self {
        self.rule = Some(rule.into());
        self
    }
}

/// Why a filter could not reach a decision. A refusal is not an error; see [`Flow`].
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    #[error("no principal on the request; an authentication filter has to run first")]
    NoPrincipal,
    #[error("no parsed message on the request; the dialect has to run first")]
    NoMessage,
    #[error("the head of this request was not checked by this chain, or its context served another request")]
    OutOfOrder,
    #[error("the chain was run again without an answer to what it asked for")]
    Unanswered,
    #[error("the chain asked for more than it may")]
    TooManyRounds,
    #[error("a check of a body asked for something from outside")]
    WaitsTooLate,
    #[error("policy could not be evaluated: {0}")]
    Evaluation(String),
    #[error("there are no random bytes")]
    Random,
    #[error("the content guards could not run: {0}")]
    Content(String),
}

impl From<FilterError> for Refusal {
    fn from(error: FilterError) -> Self {
        Self::new(Reason::Undecided, error.to_string())
    }
}
