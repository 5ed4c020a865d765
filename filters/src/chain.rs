//! The fixed chain of one route, and the only place where a [`Permit`] is made.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use bytes::Bytes;
use postern_config::{Dialect, Direction};

use crate::answer::Answers;
use crate::context::Ticket;
use crate::filter::Filter;
use crate::{AnswerHead, AnswerWay, Context, FilterError, Flow, Permit, Refusal, RequestView};

/// A filter in its place, with the names it has in the coverage matrix.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) filter: Filter,
    /// Noted in the record once the filter has run to its end.
    pub(crate) guards: Vec<Arc<str>>,
}

/// Everything a route checks, in order. Made by [`crate::compile`].
#[derive(Debug)]
pub struct Chain {
    /// Unlike that of every other chain of the process.
    pub(crate) number: u64,
    pub(crate) dialect: Dialect,
    pub(crate) max_body: u64,
    pub(crate) steps: Vec<Step>,
    pub(crate) answers: Answers,
}

impl Chain {
    /// Largest request body, in bytes.
    #[must_use]
    pub fn max_body(&self) -> u64 {
        self.max_body
    }

    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Runs everything that needs the head alone, so that what it refuses costs no body.
    ///
    /// # Errors
    /// The refusal of the first filter that does not say yes, or of a context that has served a request before.
    pub fn check_head(&self, req: &RequestView<'_>, cx: &mut Context) -> Result<(), Refusal> {
        cx.begin()?;
        self.run(req, cx, true)?;
        cx.head_passed(self.ticket(req));
        Ok(())
    }

    /// Runs the rest over the whole body. What comes back is what may be sent: the permit, and the body as the guards
    /// left it.
    ///
    /// # Errors
    /// The refusal of the first filter that does not say yes, or of a request whose head did not pass
    /// [`Chain::check_head`] of this chain with this context, or that asks a second time.
    pub fn check_message(
        &self,
        req: &RequestView<'_>,
        body: Bytes,
        cx: &mut Context,
    ) -> Result<(Permit, Bytes), Refusal> {
        cx.go_on(self.ticket(req))?;
        cx.set_body(body);
        self.run(req, cx, false)?;
        let streams = cx.message()?.streams();
        Ok((Permit::grant(self.answers.inspect(), streams), cx.body().clone()))
    }

    fn ticket(&self, req: &RequestView<'_>) -> Ticket {
        let mut head = DefaultHasher::new();
        (req.method, req.host, req.path, req.query, req.source, req.listener).hash(&mut head);
        (self.number, head.finish())
    }

    fn run(&self, req: &RequestView<'_>, cx: &mut Context, head: bool) -> Result<(), Refusal> {
        for step in self.steps.iter().filter(|step| step.filter.reads_head_only() == head) {
            let verdict: Result<Flow, FilterError> = step.filter.check(req, cx);
            let flow = verdict?;
            for guard in &step.guards {
                cx.note(Direction::Request, guard);
            }
            if let Flow::Refuse(refusal) = flow {
                return Err(refusal);
            }
        }
        Ok(())
    }

    /// Decides how an answer is read, from its head. `decision` is named in the error event of a stream that is cut.
    ///
    /// # Errors
    /// A refusal of answers that no guard could read.
    pub fn open_answer(&self, head: &AnswerHead, decision: &str) -> Result<AnswerWay, Refusal> {
        self.answers.open(head, decision)
    }

    /// Judges a whole answer; returns what may be written.
    ///
    /// # Errors
    /// A refusal of the whole answer.
    pub fn judge_answer(&self, head: &AnswerHead, body: Bytes, cx: &mut Context) -> Result<Bytes, Refusal> {
        self.answers.judge(head, body, cx)
    }
}
