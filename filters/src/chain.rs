//! The fixed chain of one route, and the only place where a [`Permit`] is made.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use bytes::Bytes;
use postern_config::{Dialect, Direction};

use crate::answer::Answers;
use crate::builtin::{Browser, Cors};
use crate::challenge::Challenge;
use crate::context::{Seen, Ticket, Walk};
use crate::filter::Filter;
use crate::scan::TokenMap;
use crate::{
    AnswerHead, AnswerWay, Checked, CheckedAnswer, Context, Flow, MessageLimits, Permit, Progress, Refusal, RequestView,
};

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
    pub(crate) cors: Option<Arc<Cors>>,
    pub(crate) steps: Vec<Step>,
    pub(crate) answers: Answers,
    pub(crate) browser: Option<Arc<Browser>>,
    pub(crate) challenge: Challenge,
}

impl Chain {
    /// Largest request body, in bytes.
    #[must_use]
    pub fn max_body(&self) -> u64 {
        self.max_body
    }

    /// Whether bodies of requests are decoded before they are read, and sent on that way.
    #[must_use]
    pub fn decodes(&self) -> bool {
        self.steps.iter().any(|step| matches!(step.filter, Filter::Decode(_)))
    }

    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Where browsers log in on this route.
    #[must_use]
    pub fn browser(&self) -> Option<&Browser> {
        self.browser.as_deref()
    }

    /// Answers what a browser asks before it sends a request from another site's script (CORS): nothing where the request is
    /// something else; where it is let through, a 204 with the headers of `cx` is the answer. Nobody has to be recognised for
    /// it, as browsers send no credential with it; it says what policy says to everybody.
    ///
    /// # Errors
    /// A refusal, inside, where the request that it announces would be refused.
    pub fn preflight(&self, req: &RequestView<'_>, cx: &mut Context) -> Option<Result<(), Refusal>> {
        let answered = self.cors.as_ref()?.preflight(req, cx)?;
        cx.note(Direction::Request, &Arc::from(Cors::GUARD));
        Some(answered)
    }

    /// Runs everything that needs the head alone, so that what it refuses costs no body. Where a filter waits, it is called
    /// again with the answer in `cx` and goes on there: what has run does not run twice.
    ///
    /// # Errors
    /// The refusal of the first filter that does not say yes, or of a context that has served a request before, lacks the
    /// answer or was asked too often.
    pub fn check_head(&self, req: &RequestView<'_>, cx: &mut Context) -> Result<Progress, Refusal> {
        let ticket = self.ticket(req);
        let from = cx.begin(Walk::Head, ticket)?;
        let progress = self.walk(Walk::Head, ticket, from, req, cx)?;
        if progress == Progress::Passed {
            cx.head_passed(ticket);
        }
        Ok(progress)
    }

    /// Runs the rest over the whole body. Where a limit waits, [`Chain::resume_message`] goes on once `cx` has the answer.
    ///
    /// # Errors
    /// The refusal of the first filter that does not say yes, or of a request whose head did not pass
    /// [`Chain::check_head`] of this chain with this context, or that asks a second time.
    pub fn check_message(&self, req: &RequestView<'_>, body: Bytes, cx: &mut Context) -> Result<Checked, Refusal> {
        let ticket = self.ticket(req);
        cx.go_on(ticket)?;
        cx.set_body(body);
        self.message(req, ticket, 0, cx)
    }

    /// Goes on with a message that waited.
    ///
    /// # Errors
    /// As [`Chain::check_message`], and where `cx` lacks the answer.
    pub fn resume_message(&self, req: &RequestView<'_>, cx: &mut Context) -> Result<Checked, Refusal> {
        let ticket = self.ticket(req);
        let from = cx.resume(ticket)?;
        self.message(req, ticket, from, cx)
    }

    fn message(
        &self,
        req: &RequestView<'_>,
        ticket: Ticket,
        from: usize,
        cx: &mut Context,
    ) -> Result<Checked, Refusal> {
        if let Progress::Waits(need) = self.walk(Walk::Message, ticket, from, req, cx)? {
            return Ok(Checked::Waits(need));
        }
        // What is sent is charged before it is: behind the last step, where it may have to be asked for.
        if let Some(need) = cx.charge_body(ticket, self.steps.len())? {
            return Ok(Checked::Waits(need));
        }
        let streams = cx.message()?.streams();
        cx.tally().send();
        Ok(Checked::Passed(Permit::grant(self.answers.inspect(), streams), cx.body().clone()))
    }

    /// Decides once more about a request that a chain permitted before: who asks, and whether they may. Nothing is counted, and
    /// nothing in the body is looked for again. No permit comes of it. It waits as [`Chain::check_head`] does.
    ///
    /// # Errors
    /// The refusal of the first filter that does not say yes.
    pub fn reconsider(&self, req: &RequestView<'_>, seen: &Seen, cx: &mut Context) -> Result<Progress, Refusal> {
        let ticket = self.ticket(req);
        let from = cx.begin(Walk::Again, ticket)?;
        cx.recall(seen);
        self.walk(Walk::Again, ticket, from, req, cx)
    }

    /// Counts a request that the proxy answers itself, as metadata: only what addresses may ask holds for it, and no permit comes
    /// of it. It waits as [`Chain::check_head`] does.
    ///
    /// # Errors
    /// The refusal of a limit.
    pub fn count(&self, req: &RequestView<'_>, cx: &mut Context) -> Result<Progress, Refusal> {
        let ticket = self.ticket(req);
        let from = cx.begin(Walk::Count, ticket)?;
        self.walk(Walk::Count, ticket, from, req, cx)
    }

    fn ticket(&self, req: &RequestView<'_>) -> Ticket {
        let mut head = DefaultHasher::new();
        (req.method, req.host, req.path, req.query, req.source, req.listener).hash(&mut head);
        (self.number, head.finish())
    }

    fn walk(
        &self,
        walk: Walk,
        ticket: Ticket,
        from: usize,
        req: &RequestView<'_>,
        cx: &mut Context,
    ) -> Result<Progress, Refusal> {
        let wanted = |filter: &Filter| match walk {
            Walk::Head => filter.reads_head_only(),
            Walk::Message => !filter.reads_head_only(),
            Walk::Again => filter.decides(),
            Walk::Count => matches!(filter, Filter::Limits(limits) if limits.are_of_addresses()),
        };
        for (index, step) in self.steps.iter().enumerate().skip(from).filter(|(_, step)| wanted(&step.filter)) {
            let flow = step.filter.check(req, cx)?;
            // An answer is for whoever asked.
            cx.take_given();
            if let Flow::Wait(need) = flow {
                cx.wait(walk, ticket, index, &need)?;
                return Ok(Progress::Waits(need));
            }
            for guard in &step.guards {
                cx.note(Direction::Request, guard);
            }
            if let Flow::Refuse(refusal) = flow {
                return Err(self.challenge.complete(req, refusal));
            }
        }
        Ok(Progress::Passed)
    }

    /// The tokens of an exchange, as its answer needs them.
    #[must_use]
    pub fn tokens(&self, cx: &Context) -> Option<Arc<TokenMap>> {
        let made = cx.tokens_made().cloned();
        made.or_else(|| self.answers.content.as_ref().and_then(|content| content.tokens(cx)))
    }

    /// Decides how an answer is read, from its head. `decision` is named in the error event of a stream that is cut.
    ///
    /// # Errors
    /// A refusal of answers that no guard could read.
    pub fn open_answer(&self, head: &AnswerHead, decision: &str, limits: MessageLimits) -> Result<AnswerWay, Refusal> {
        self.answers.open(head, decision, limits)
    }

    /// Judges a whole answer. Where it waits, [`Chain::resume_answer`] goes on once `cx` has what it needs.
    ///
    /// # Errors
    /// A refusal of the whole answer.
    pub fn check_answer(&self, head: &AnswerHead, body: Bytes, cx: &mut Context) -> Result<CheckedAnswer, Refusal> {
        self.answers.judge(head, body, cx)
    }

    /// Goes on with an answer that waited; returns what may be written.
    ///
    /// # Errors
    /// As [`Chain::check_answer`], and where `cx` lacks what it needs.
    pub fn resume_answer(&self, head: &AnswerHead, cx: &mut Context) -> Result<Bytes, Refusal> {
        self.answers.resume(head, cx)
    }

    /// As [`Chain::check_answer`], where nobody outside is to be asked.
    ///
    /// # Errors
    /// As there, and where somebody is.
    pub fn judge_answer(&self, head: &AnswerHead, body: Bytes, cx: &mut Context) -> Result<Bytes, Refusal> {
        match self.check_answer(head, body, cx)? {
            CheckedAnswer::Passed(body) => Ok(body),
            CheckedAnswer::Waits(_) => self.resume_answer(head, cx),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use std::sync::atomic::{AtomicUsize, Ordering};

    use postern_config::{KeySource, KeysAt};

    use super::*;
    use crate::testing::{Asked, House, chat, compiled, context, run, site};
    use crate::token::KeyRing;
    use crate::{Chains, Given, IntrospectionGiven, KeysGiven, KeysWanted, Need, Reason, Verdict, WhyKeys};

    /// Asks `times` times before it says yes, each time for what it has no answer to.
    #[derive(Debug)]
    pub(crate) struct Asks {
        pub(crate) reads_head_only: bool,
        times: usize,
        ran: AtomicUsize,
    }

    impl Asks {
        pub(crate) fn check(&self, cx: &mut Context) -> Verdict {
            let ran = self.ran.fetch_add(1, Ordering::Relaxed);
            assert_eq!(cx.take_given().is_some(), ran > 0, "whoever asked gets the answer, and nobody else");
            Ok(if ran < self.times { Flow::Wait(need()) } else { Flow::Continue })
        }
    }

    fn need() -> Need {
        let source = KeySource { at: KeysAt::Issuer("https://login.example.com".to_owned()), ca: None };
        Need::Keys(KeysWanted { ring: Arc::new(KeyRing::new(source)), why: WhyKeys::None })
    }

    fn given() -> Given {
        Given::Keys(KeysGiven::Current)
    }

    /// The chain of a site, with a filter behind those of the head that asks so many times.
    fn asking(house: &House, times: usize, reads_head_only: bool) -> Chains {
        let mut chains = compiled(&site(house, "openai", true));
        let chain = chains.by_route.get_mut("r").unwrap().first_mut().unwrap();
        let place = chain.steps.iter().position(|step| matches!(step.filter, Filter::Parse(_))).unwrap();
        let filter = Filter::Asks(Asks { reads_head_only, times, ran: AtomicUsize::new(0) });
        chain.steps.insert(place, Step { filter, guards: vec![Arc::from("asks")] });
        chains
    }

    fn noted(cx: &Context) -> Vec<Arc<str>> {
        cx.ran(Direction::Request)
    }

    #[test]
    fn a_chain_that_waits_goes_on_where_it_stood() {
        let house = House::new();
        let chains = asking(&house, 2, true);
        let (chain, asked, mut cx) = (chains.of("r").unwrap(), asked(&house), context());
        for _ in 0..2 {
            assert!(matches!(chain.check_head(&asked.view(), &mut cx), Ok(Progress::Waits(Need::Keys(_)))));
            assert!(noted(&cx).iter().all(|guard| &**guard != "asks"), "it has not run to its end");
            cx.supply(given());
        }
        assert_eq!(chain.check_head(&asked.view(), &mut cx), Ok(Progress::Passed));
        assert!(noted(&cx).iter().any(|guard| &**guard == "asks"));
        assert_eq!(noted(&cx).iter().filter(|guard| &***guard == "identify").count(), 1);
        assert!(chain.check_message(&asked.view(), asked.body.clone(), &mut cx).is_ok());
        assert_eq!(cx.headers().len(), 2, "the limit was counted once: what had run did not run again");
    }

    #[test]
    fn a_chain_that_waits_goes_on_with_an_answer_to_its_question_or_not_at_all() {
        let house = House::new();
        type Change = fn(&mut Context, &mut Asked);
        for (case, change) in [
            ("none", (|_, _| {}) as Change),
            ("of another kind", |cx, _| cx.supply(Given::Introspection(IntrospectionGiven::Away(String::new())))),
            ("for another request", |cx, asked| {
                cx.supply(given());
                asked.path = "/v1/other".to_owned();
            }),
        ] {
            let chains = asking(&house, 1, true);
            let (chain, mut asked, mut cx) = (chains.of("r").unwrap(), asked(&house), context());
            assert!(matches!(chain.check_head(&asked.view(), &mut cx), Ok(Progress::Waits(_))));
            change(&mut cx, &mut asked);
            let refusal = chain.check_head(&asked.view(), &mut cx).unwrap_err();
            assert_eq!(refusal.reason, Reason::Undecided, "{case}");
            cx.supply(given());
            assert!(chain.check_head(&asked.view(), &mut cx).is_err(), "{case}, and then an answer");
            assert_eq!(refused(chain.check_message(&asked.view(), Bytes::new(), &mut cx)), Reason::Undecided, "{case}");
        }
    }

    #[test]
    fn a_chain_does_not_ask_for_ever_and_not_about_a_body() {
        let house = House::new();
        let chains = asking(&house, 100, true);
        let (chain, asked, mut cx) = (chains.of("r").unwrap(), asked(&house), context());
        let mut rounds = 0;
        let refusal = loop {
            match chain.check_head(&asked.view(), &mut cx) {
                Ok(progress) => assert_ne!(progress, Progress::Passed),
                Err(refusal) => break refusal,
            }
            rounds += 1;
            cx.supply(given());
        };
        assert_eq!((refusal.reason, rounds), (Reason::Undecided, crate::need::MAX_ROUNDS));

        let chains = asking(&house, 1, false);
        assert_eq!(refused(run(chains.of("r").unwrap(), &asked, &mut context())), Reason::Undecided);
    }

    #[test]
    fn a_decision_once_more_waits_as_well() {
        let house = House::new();
        let chains = compiled(&site(&house, "openai", true));
        let (asked, mut before) = (asked(&house), context());
        assert!(run(chains.of("r").unwrap(), &asked, &mut before).is_ok());
        let chains = asking(&house, 1, true);
        let (chain, seen, mut cx) = (chains.of("r").unwrap(), before.seen(), context());
        assert!(matches!(chain.reconsider(&asked.view(), &seen, &mut cx), Ok(Progress::Waits(_))));
        cx.supply(given());
        assert!(chain.check_head(&asked.view(), &mut cx).is_err(), "it is not the check of a head");
        let chains = asking(&house, 1, true);
        let (chain, mut cx) = (chains.of("r").unwrap(), context());
        assert!(matches!(chain.reconsider(&asked.view(), &seen, &mut cx), Ok(Progress::Waits(_))));
        cx.supply(given());
        assert_eq!(chain.reconsider(&asked.view(), &seen, &mut cx), Ok(Progress::Passed));
    }

    fn asked(house: &House) -> Asked {
        chat().bearer(&house.token(json!({})))
    }

    fn refused<T>(result: Result<T, Refusal>) -> Reason {
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
        assert_eq!(chain.check_head(&asked.view(), &mut cx), Ok(Progress::Passed));
        assert_eq!(refused(message(other, &asked, &mut cx)), Reason::Undecided, "by another chain");
        assert_eq!(refused(message(chain, &asked, &mut cx)), Reason::Undecided, "after it was refused");

        let mut cx = context();
        assert_eq!(chain.check_head(&asked.view(), &mut cx), Ok(Progress::Passed));
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
