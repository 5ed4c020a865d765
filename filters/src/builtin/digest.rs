//! Holds the body of a signed request against what was signed of it.

use crate::token::{SignatureProblem, check_body};
use crate::{Context, FilterError, Flow, Reason, RequestView, Verdict};

/// On routes that recognise signatures. The signature itself was judged with the head, so that what it says is believed.
#[derive(Debug)]
pub(crate) struct Digest {
    /// Bodies are forwarded as they come, and there is none to look at.
    unread: bool,
}

impl Digest {
    pub(crate) const GUARD: &str = "digest";

    pub(crate) fn new(unread: bool) -> Self {
        Self { unread }
    }

    pub(crate) fn check(&self, req: &RequestView<'_>, cx: &Context) -> Verdict {
        match check_body(req.headers, cx.body()) {
            Ok(()) if self.unread && req.headers.contains_key("signature-input") => Err(FilterError::NoMessage),
            Ok(()) => Ok(Flow::Continue),
            Err(problem) => Ok(Flow::refuse(reason(&problem), format!("the signature of the request {problem}"))),
        }
    }
}

fn reason(problem: &SignatureProblem) -> Reason {
    match problem {
        SignatureProblem::Undecided => Reason::Undecided,
        _ => Reason::CredentialInvalid,
    }
}
