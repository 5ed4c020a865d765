//! Services outside judge what every other guard left of a request, before policy puts in what models are told.

use std::sync::Arc;

use crate::external::{Conclusion, Externals, Failure, Question, Verdict as Said};
use crate::message::Message;
use crate::{Context, FilterError, Flow, Given, Need, Reason, Refusal, RequestView, Verdict};

#[derive(Debug)]
pub(crate) struct External(Arc<Externals>);

impl External {
    pub(crate) const NAME: &str = "external";

    pub(crate) fn new(externals: Arc<Externals>) -> Self {
        Self(externals)
    }

    /// Asks, and concludes once there are answers.
    pub(crate) fn check(&self, req: &RequestView<'_>, cx: &mut Context) -> Verdict {
        match cx.take_given() {
            None => self.ask(req, cx),
            Some(Given::External(said)) => conclude(&said, req, cx),
            Some(_) => Err(FilterError::Unanswered),
        }
    }

    fn ask(&self, req: &RequestView<'_>, cx: &mut Context) -> Verdict {
        let again = again(req, cx)?;
        let message = match &again {
            Some(message) => message,
            None => cx.message()?,
        };
        match self.0.ask(message.texts()) {
            Ok(questions) if questions.is_empty() => Ok(Flow::Continue),
            Ok(questions) => {
                cx.set_asked(questions.clone());
                Ok(Flow::Wait(Need::External(questions)))
            }
            Err(too_much) => {
                let guards = self.0.guards().map(|guard| &**guard).collect::<Vec<_>>().join(", ");
                Ok(Flow::Refuse(Refusal::new(Reason::TooLarge, too_much.to_string()).by(guards)))
            }
        }
    }
}

fn conclude(said: &[(Arc<Question>, Result<Said, Failure>)], req: &RequestView<'_>, cx: &mut Context) -> Verdict {
    let questions = cx.take_asked().ok_or(FilterError::Unanswered)?;
    let mut concluded = Conclusion::of(&questions, said);
    cx.add_findings(std::mem::take(&mut concluded.findings));
    if let Some(refusal) = concluded.refusal(Reason::ContentRefused) {
        return Ok(Flow::Refuse(refusal));
    }
    let edits = concluded.edits();
    if edits.is_empty() {
        return Ok(Flow::Continue);
    }
    let again = again(req, cx)?;
    let message = match &again {
        Some(message) => message,
        None => cx.message()?,
    };
    match message.rewrite(&edits) {
        Ok(body) => cx.replace_body(body),
        // Found, and in a place that cannot be changed: it does not pass.
        Err(error) => return Ok(Flow::refuse(Reason::ContentRefused, error.to_string())),
    }
    Ok(Flow::Continue)
}

/// What is left of the request, read as strictly as it was; nothing where it is as it was read.
fn again(req: &RequestView<'_>, cx: &Context) -> Result<Option<Message>, FilterError> {
    if !cx.is_rewritten() {
        return Ok(None);
    }
    let read = cx.message()?.read_again(req, cx.model(), cx.body().clone(), cx.message_limits());
    read.map(Some).map_err(|error| FilterError::Content(error.to_string()))
}
