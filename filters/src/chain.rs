//! The fixed chain of one route, and the only place where a [`Permit`] is made.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use bytes::Bytes;
use postern_config::{Dialect, Direction};

use crate::answer::Answers;
use crate::challenge::Challenge;
use crate::context::{Seen, Ticket};
use crate::filter::Filter;
use crate::{AnswerHead, AnswerWay, Context, FilterError, Flow, MessageLimits, Permit, Refusal, RequestView};

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
    pub(crate) challenge: Challenge,
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

    /// Decides once more about a request that a chain permitted before: who asks, and whether they may. Nothing is counted, and
    /// nothing in the body is looked for again. No permit comes of it.
    ///
    /// # Errors
    /// The refusal of the first filter that does not say yes.
    pub fn reconsider(&self, req: &RequestView<'_>, seen: &Seen, cx: &mut Context) -> Result<(), Refusal> {
        cx.begin()?;
        cx.recall(seen);
        for step in self.steps.iter().filter(|step| step.filter.decides()) {
            if let Flow::Refuse(refusal) = step.filter.check(req, cx)? {
                return Err(refusal);
            }
        }
        Ok(())
    }

    /// Counts a request that the proxy answers itself, as metadata: only what addresses may ask holds for it, and no permit comes
    /// of it.
    ///
    /// # Errors
    /// The refusal of a limit.
    pub fn count(&self, req: &RequestView<'_>, cx: &mut Context) -> Result<(), Refusal> {
        cx.begin()?;
        for step in &self.steps {
            if let Filter::AddressLimits(limits) = &step.filter
                && let Flow::Refuse(refusal) = limits.check(req, cx)?
            {
                return Err(refusal);
            }
        }
        cx.set_rule("built-in protected-resource");
        Ok(())
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
                return Err(self.challenge.complete(req, refusal));
            }
        }
        Ok(())
    }

    /// Decides how an answer is read, from its head. `decision` is named in the error event of a stream that is cut.
    ///
    /// # Errors
    /// A refusal of answers that no guard could read.
    pub fn open_answer(&self, head: &AnswerHead, decision: &str, limits: MessageLimits) -> Result<AnswerWay, Refusal> {
        self.answers.open(head, decision, limits)
    }

    /// Judges a whole answer; returns what may be written.
    ///
    /// # Errors
    /// A refusal of the whole answer.
    pub fn judge_answer(&self, head: &AnswerHead, body: Bytes, cx: &mut Context) -> Result<Bytes, Refusal> {
        self.answers.judge(head, body, cx)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Reason;
    use crate::testing::{Asked, House, chat, compiled, context, run, site};

    fn asked(house: &House) -> Asked {
        chat().bearer(&house.token(json!({})))
    }

    fn refused(result: Result<(Permit, Bytes), Refusal>) -> Reason {
        result.map(drop).unwrap_err().reason
    }

    #[test]
    fn there_is_no_permit_but_at_the_end_of_the_whole_chain() {
        let house = House::new();
        let (chains, others) = (compiled(&site(&house, "openai", true)), compiled(&site(&house, "openai", true)));
        let (chain, other) = (chains.of("r").unwrap(), others.of("r").unwrap());
        let asked = asked(&house);
        let message =
            |chain: &Chain, asked: &Asked, cx: &mut Context| chain.check_message(&asked.view(), asked.body.clone(), cx);

        let mut unread = context();
        assert_eq!(refused(message(chain, &asked, &mut unread)), Reason::Undecided, "without a head");

        let mut cx = context();
        chain.check_head(&asked.view(), &mut cx).unwrap();
        assert_eq!(refused(message(other, &asked, &mut cx)), Reason::Undecided, "by another chain");
        assert_eq!(refused(message(chain, &asked, &mut cx)), Reason::Undecided, "after it was refused");

        let mut cx = context();
        chain.check_head(&asked.view(), &mut cx).unwrap();
        let mut elsewhere = asked.clone();
        elsewhere.path = "/v1/admin/chat/completions".to_owned();
        assert_eq!(refused(message(chain, &elsewhere, &mut cx)), Reason::Undecided, "for another request");

        // The limit is two, and both are spent: the principal is known, and still the head was refused.
        let mut cx = context();
        assert_eq!(chain.check_head(&asked.view(), &mut cx).unwrap_err().reason, Reason::OverLimit);
        assert!(cx.known_principal().is_some());
        assert_eq!(refused(message(chain, &asked, &mut cx)), Reason::Undecided, "after the head was refused");
    }

    #[test]
    fn a_context_serves_one_request() {
        let house = House::new();
        let chains = compiled(&site(&house, "openai", true));
        let chain = chains.of("r").unwrap();
        let mut cx = context();
        assert!(run(chain, &asked(&house), &mut cx).is_ok());
        assert_eq!(refused(chain.check_message(&asked(&house).view(), Bytes::new(), &mut cx)), Reason::Undecided);
        // Whoever comes next must not be the one who came before.
        assert_eq!(refused(run(chain, &chat(), &mut cx)), Reason::Undecided);
    }

    #[test]
    fn what_refuses_by_the_head_costs_no_body() {
        let house = House::new();
        let chains = compiled(&site(&house, "openai", true));
        let chain = chains.of("r").unwrap();
        for (asked, reason) in [
            (chat(), Reason::CredentialMissing),
            (asked(&house).head("origin: https://evil.example"), Reason::CrossSite),
            (asked(&house).head("range: bytes=0-1"), Reason::Malformed),
        ] {
            assert_eq!(chain.check_head(&asked.view(), &mut context()).unwrap_err().reason, reason);
        }
        assert_eq!(chain.max_body(), 10 << 20);
        assert_eq!(chain.dialect(), Dialect::OpenAi);
    }
}
