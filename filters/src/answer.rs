//! Answers: how each is read, and what may be written of it.

mod counting;
mod mirror;
mod stream;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use postern_config::{DataClass, Dialect, Direction, Opaque, Part};

use crate::builtin::{Authorize, Blame, Content, Models, blocked};
use crate::course::{CallLimits, Course};
use crate::dialect::http::media_type;
use crate::dialect::{Endpoint, EventStream, Usage};
use crate::encoding::{Coding, DecodeError, UnknownCoding};
use crate::external::{Conclusion, Externals};
use crate::json::apply;
use crate::limit::Used;
use crate::message::{Message, MessageLimits};
use crate::output::{AnswerSchemas, Bounded, CallDemands, length_of, too_long, unfit};
use crate::scan::restore::{self, Restorer, Restoring, Values};
use crate::scan::{Canary, Exchange, InExchange, TokenMap};
use crate::{
    ContentFinding, Context, Edit, FilterError, Given, Judgement, Need, Reason, Refusal, TextGuard, TextGuards,
    TextStep, mutant,
};
use counting::{Count, Counting};
use mirror::{Found, Mirror};
pub use stream::AnswerStream;

/// The head of an upstream's answer.
#[derive(Debug, Clone)]
pub struct AnswerHead {
    pub status: u16,
    /// `Content-Type` as it came; `None` where it is absent, repeated or not text.
    pub content_type: Option<String>,
    /// Its `Content-Encoding`.
    pub coding: Result<Option<Coding>, UnknownCoding>,
    /// The request asked for a stream.
    pub asked_to_stream: bool,
    /// What [`crate::Chain::tokens`] has for the answer.
    pub tokens: Option<Arc<TokenMap>>,
    /// What was planted in the request and must not come back.
    pub canary: Option<Arc<Canary>>,
    /// What the request asked, on a route to a model.
    pub endpoint: Option<Endpoint>,
}

/// How far a whole answer has come.
#[derive(Debug)]
pub enum CheckedAnswer {
    /// What may be written.
    Passed(Bytes),
    /// It goes on once [`crate::Context::supply`] has what it needs.
    Waits(Need),
}

/// How an answer goes out.
#[derive(Debug)]
pub enum AnswerWay {
    /// No guard of the route reads answers: piece by piece, as it comes.
    Pass,
    /// Read whole, then [`crate::Chain::check_answer`].
    Whole,
    /// Event by event, through the hold-back window.
    Stream(Box<AnswerStream>),
}

/// The answer side of a chain.
#[derive(Debug)]
pub(crate) struct Answers {
    pub(crate) dialect: Dialect,
    pub(crate) content: Option<Arc<Content>>,
    /// Services that are asked about what is left of whole ones.
    pub(crate) external: Option<Arc<Externals>>,
    /// What becomes of content that nobody can read.
    pub(crate) opaque: Opaque,
    /// Who may answer.
    pub(crate) models: Option<Arc<Models>>,
    /// Bytes of text of one answer.
    pub(crate) max_length: Option<u64>,
    /// What is demanded of calls of tools.
    pub(crate) calls: CallRules,
    /// Schemas that answers and arguments fit.
    pub(crate) schemas: Option<Arc<AnswerSchemas>>,
    /// Guards on trial, and which manifests they are of. Only where answers are read anyway.
    pub(crate) tried: Option<Arc<Tried>>,
    /// Guards of answers that are read whole, as the matrix names them.
    pub(crate) buffered: Vec<Arc<str>>,
    /// Guards of streams.
    pub(crate) streamed: Vec<Arc<str>>,
    pub(crate) stall: Duration,
}

/// What the policy of a route demands of calls of tools in answers.
#[derive(Debug, Clone)]
pub(crate) struct CallRules {
    /// Tools are called only if the request offered them.
    pub(crate) only_offered: bool,
    /// How many calls a conversation may have.
    pub(crate) limits: Option<CallLimits>,
}

impl CallRules {
    /// For one answer.
    fn of(&self, schemas: Option<&Arc<AnswerSchemas>>, cx: &Context) -> CallDemands {
        CallDemands {
            // Nothing was offered to a request that was not read.
            offered: self.only_offered.then(|| cx.offered().cloned().unwrap_or_default()),
            schemas: schemas.cloned(),
            course: self.limits.map(|limits| Course::new(limits, cx.calls())),
        }
    }
}

/// What is on trial of answers: it looks, and does nothing.
#[derive(Debug)]
pub(crate) struct Tried {
    pub(crate) content: Option<Content>,
    pub(crate) max_length: Option<u64>,
    pub(crate) blame: Blame,
}

impl Tried {
    fn guards(&self) -> Arc<dyn TextGuards> {
        let guards: Arc<dyn TextGuards> = match &self.content {
            Some(content) => content.guards().clone(),
            None => Arc::new(Unguarded),
        };
        match self.max_length {
            Some(most) => Arc::new(Bounded::new(guards, most)),
            None => guards,
        }
    }
}

const EVENT_STREAM: &str = "text/event-stream";

impl Answers {
    pub(crate) fn inspect(&self) -> bool {
        self.content.is_some() || self.external.is_some() || self.dialect != Dialect::Http
    }

    pub(crate) fn open(&self, head: &AnswerHead, decision: &str, limits: MessageLimits) -> Result<AnswerWay, Refusal> {
        if !self.inspect() {
            return Ok(AnswerWay::Pass);
        }
        if let Err(unknown) = head.coding {
            return Err(unreadable(head, &unknown.to_string()));
        }
        let Some(endpoint) = self.endpoint(head)? else { return Ok(AnswerWay::Whole) };
        let is_stream = head.media_type().as_deref() == Some(EVENT_STREAM);
        match (is_stream, head.asked_to_stream && head.succeeded()) {
            (true, true) => {
                self.stream(endpoint, head, decision, limits).map(AnswerWay::Stream).ok_or_else(|| alien(head))
            }
            (true, false) => Err(alien(head)),
            (false, true) => Err(unreadable(head, "a stream was asked for, and the answer is none")),
            (false, false) => Ok(AnswerWay::Whole),
        }
    }

    /// What an answer answers; `None` on dialect `http`.
    fn endpoint(&self, head: &AnswerHead) -> Result<Option<Endpoint>, Refusal> {
        match (self.dialect, head.endpoint) {
            (Dialect::Http, _) => Ok(None),
            (dialect, Some(endpoint)) if endpoint.dialect() == dialect => Ok(Some(endpoint)),
            _ => Err(Refusal::new(Reason::Internal, "an answer to no request of the route's dialect")),
        }
    }

    fn stream(
        &self,
        endpoint: Endpoint,
        head: &AnswerHead,
        decision: &str,
        limits: MessageLimits,
    ) -> Option<Box<AnswerStream>> {
        let guards: Arc<dyn TextGuards> = match self.content.as_ref().filter(|_| !mutant::is("stream content")) {
            Some(content) => Arc::new(InExchange { guards: content.guards().clone(), exchange: head.exchange() }),
            None => Arc::new(Unguarded),
        };
        let found = Found::default();
        let guards: Arc<dyn TextGuards> = match &self.tried {
            None => guards,
            Some(tried) => Arc::new(Mirror { acting: guards, tried: tried.guards(), found: found.clone() }),
        };
        let guards: Arc<dyn TextGuards> = match self.max_length {
            None => guards,
            Some(most) => Arc::new(Bounded::new(guards, most)),
        };
        // What the model said is counted, not what is put back into it.
        let count = Count::default();
        let guards: Arc<dyn TextGuards> = Arc::new(Counting { inner: guards, count: count.clone() });
        let guards: Arc<dyn TextGuards> = match head.tokens.as_ref().filter(|tokens| tokens.restores()) {
            None => guards,
            Some(tokens) => Arc::new(Restoring { inner: guards, values: self.values(tokens) }),
        };
        Some(Box::new(AnswerStream {
            count,
            calls: self.calls.clone(),
            schemas: self.schemas.clone(),
            models: self.models.clone(),
            content: self.content.clone(),
            decision: decision.to_owned(),
            events: EventStream::new(endpoint, guards, decision, limits.stream().with_opaque(self.opaque))?,
            tried: self.tried.clone().map(|tried| (tried, found)),
            names: self.streamed.clone(),
            stall: self.stall,
        }))
    }

    pub(crate) fn judge(&self, head: &AnswerHead, body: Bytes, cx: &mut Context) -> Result<CheckedAnswer, Refusal> {
        let judged = self.read(head, body.clone(), cx.message_limits()).and_then(|message| match message {
            Some(message) => self.look(head, &message, body, cx),
            None => {
                cx.tally().end();
                Ok(CheckedAnswer::Passed(body))
            }
        });
        self.note(&self.buffered, cx);
        if let Ok(CheckedAnswer::Passed(_)) = judged {
            // Of a message without a text there is nothing to ask.
            self.note_external(cx);
        }
        judged
    }

    /// Goes on with an answer that services outside were asked about.
    pub(crate) fn resume(&self, head: &AnswerHead, cx: &mut Context) -> Result<Bytes, Refusal> {
        let (Some(Given::External(said)), Some((left, questions))) = (cx.take_given(), cx.take_waiting_answer()) else {
            return Err(FilterError::Unanswered.into());
        };
        let mut concluded = Conclusion::of(&questions, &said);
        cx.add_findings(std::mem::take(&mut concluded.findings));
        self.note_external(cx);
        if let Some(refusal) = concluded.refusal(Reason::AnswerRefused) {
            return Err(refusal);
        }
        match self.read(head, left.clone(), cx.message_limits())? {
            Some(message) => self.release(head, &message, left, concluded.edits(), cx),
            None => Ok(left),
        }
    }

    /// The message in a body; `None` where there is nothing to read.
    fn read(&self, head: &AnswerHead, body: Bytes, limits: MessageLimits) -> Result<Option<Message>, Refusal> {
        if body.is_empty() && (self.dialect == Dialect::Http || !head.succeeded() || head.status == 204) {
            return Ok(None);
        }
        let content_type = head.content_type.as_deref();
        let endpoint = self.endpoint(head)?;
        let read = |body| match endpoint {
            Some(endpoint) => Message::ai_answer(endpoint, content_type, body, limits),
            None => Message::http(content_type, None, None, body, limits),
        };
        let message = read(body).and_then(|message| match (message.opaque(), self.opaque) {
            (Some(_), Opaque::Strip) => read(message.stripped()?),
            _ => Ok(message),
        });
        let message = message.map_err(|error| unreadable(head, &error.to_string()))?;
        match message.opaque().filter(|_| self.opaque != Opaque::Allow) {
            Some(what) => Err(unreadable(head, &format!("`{what}` cannot be read by any guard"))),
            None => Ok(Some(message)),
        }
    }

    /// Shows a message to the guards; returns what they leave of it.
    fn look(
        &self,
        head: &AnswerHead,
        message: &Message,
        body: Bytes,
        cx: &mut Context,
    ) -> Result<CheckedAnswer, Refusal> {
        if let (Some(models), Some(model)) = (&self.models, message.model()) {
            models.check_answer(cx.model(), model)?;
        }
        if !cx.tally().is_empty() {
            match message.usage() {
                Some(usage) => cx.tally().said(used(usage)),
                None => cx.tally().came(message.tokens().input),
            }
            cx.tally().end();
        }
        if let Some(tried) = &self.tried {
            let outcome = tried.content.as_ref().map(|content| content.judge(message, &Exchange::default()));
            let mut outcome = outcome.unwrap_or_default();
            let long = tried.max_length.is_some_and(|most| length_of(message) > most);
            let blocked = long || outcome.verdicts.refusal(Reason::AnswerRefused).is_some();
            outcome.findings.extend(long.then(|| too_long(Part::Assistant)));
            note_tried(&tried.blame, blocked, outcome.findings, cx);
        }
        let too_long = self.max_length.filter(|most| length_of(message) > *most).map(|_| too_long(Part::Assistant));
        if let Some(finding) = too_long.or_else(|| self.uncalled(message, cx)) {
            return Err(refused(finding, cx));
        }
        let content = self.content.as_ref().filter(|_| !mutant::is("answer content"));
        let outcome = content.map(|content| content.judge(message, &head.exchange())).unwrap_or_default();
        cx.add_findings(outcome.findings);
        if let Some(refusal) = outcome.verdicts.refusal(Reason::AnswerRefused) {
            return Err(refusal);
        }
        for_reader(outcome.left, cx)?;
        let edits = outcome.verdicts.edits;
        match self.external.as_ref().filter(|_| !mutant::is("external answer")) {
            None => self.release(head, message, body, edits, cx).map(CheckedAnswer::Passed),
            Some(external) => {
                let left = self.rewritten(head, message, body, &edits)?;
                self.ask(external, head, left, cx)
            }
        }
    }

    /// Asks services about what is left of an answer, before values are put back that nobody else is to see.
    fn ask(
        &self,
        external: &Externals,
        head: &AnswerHead,
        left: Bytes,
        cx: &mut Context,
    ) -> Result<CheckedAnswer, Refusal> {
        let Some(message) = self.read(head, left.clone(), cx.message_limits())? else {
            return Ok(CheckedAnswer::Passed(left));
        };
        let questions = external.ask(message.texts());
        let questions = questions.map_err(|too_much| Refusal::new(Reason::AnswerRefused, too_much.to_string()))?;
        if questions.is_empty() {
            return self.release(head, &message, left, Vec::new(), cx).map(CheckedAnswer::Passed);
        }
        cx.set_waiting_answer(left, questions.clone());
        Ok(CheckedAnswer::Waits(Need::External(questions)))
    }

    /// What may be written of a message that was judged.
    fn release(
        &self,
        head: &AnswerHead,
        message: &Message,
        body: Bytes,
        edits: Vec<(usize, Vec<Edit>)>,
        cx: &mut Context,
    ) -> Result<Bytes, Refusal> {
        let edits = match head.tokens.as_ref().filter(|tokens| tokens.restores()) {
            Some(tokens) => put_back(message, edits, &self.values(tokens)),
            None => edits,
        };
        let left = self.rewritten(head, message, body, &edits)?;
        if !self.schemas.as_ref().is_some_and(|schemas| schemas.are_of_models()) {
            return Ok(left);
        }
        // What is judged is what goes out, with all that was changed.
        let again = if edits.is_empty() { None } else { self.read(head, left.clone(), cx.message_limits())? };
        if self.fits(head, again.as_ref().unwrap_or(message), cx) { Ok(left) } else { Err(refused(unfit(), cx)) }
    }

    fn rewritten(
        &self,
        head: &AnswerHead,
        message: &Message,
        body: Bytes,
        edits: &[(usize, Vec<Edit>)],
    ) -> Result<Bytes, Refusal> {
        if self.dialect == Dialect::Http && edits.is_empty() {
            return Ok(body);
        }
        // A vendor's dialect takes out what repeats text in forms that nobody judged, edits or not.
        message.rewrite(edits).map_err(|error| unreadable(head, &error.to_string()))
    }

    /// The first call of a tool that must not be.
    fn uncalled(&self, message: &Message, cx: &Context) -> Option<ContentFinding> {
        let limits = cx.message_limits().json();
        let mut demands = self.calls.of(self.schemas.as_ref(), cx);
        let calls = message.calls().into_iter().filter(|_| !mutant::is("answer calls"));
        calls.map(|call| demands.whole(call, limits)).find_map(Result::err)
    }

    /// Whether what a model says fits the schemas that hold for it. That the upstream failed is no answer of a model.
    fn fits(&self, head: &AnswerHead, message: &Message, cx: &Context) -> bool {
        let fails = message.is_error() && !head.succeeded();
        let schemas = self.schemas.as_ref().filter(|_| !fails && !mutant::is("answer schemas"));
        schemas.is_none_or(|schemas| schemas.fit(cx.model(), message, cx.message_limits().json()))
    }

    /// What may be put back into answers.
    fn values(&self, tokens: &TokenMap) -> Values {
        restore::values(tokens, self.content.as_ref().map(|content| &**content.guards()))
    }

    fn note_external(&self, cx: &mut Context) {
        for guard in self.external.iter().flat_map(|external| external.guards()) {
            cx.note(Direction::Response, guard);
        }
    }

    fn note(&self, guards: &[Arc<str>], cx: &mut Context) {
        for guard in guards {
            cx.note(Direction::Response, guard);
        }
    }
}

/// Notes what an answer is refused for.
fn refused(finding: ContentFinding, cx: &mut Context) -> Refusal {
    let refusal = blocked(Reason::AnswerRefused, std::slice::from_ref(&finding));
    cx.add_findings([finding]);
    refusal
}

/// Data of a class that whoever asked may not see goes nowhere.
fn for_reader(class: Option<DataClass>, cx: &Context) -> Result<(), Refusal> {
    match class.filter(|class| !cx.may_read(*class) && !mutant::is("answer reader")) {
        None => Ok(()),
        Some(class) => {
            let detail =
                format!("the answer has {} data, with which its request would not be permitted", class.as_str());
            Err(Refusal::new(Reason::AnswerRefused, detail).by(Authorize::GUARD))
        }
    }
}

/// The edits of an answer, with values put back in what they leave of its texts.
fn put_back(message: &Message, edits: Vec<(usize, Vec<Edit>)>, values: &Values) -> Vec<(usize, Vec<Edit>)> {
    let mut edits: BTreeMap<usize, Vec<Edit>> = edits.into_iter().collect();
    for text in message.texts().filter(|text| restore::is_restored(text.part)) {
        let Some(index) = text.index else { continue };
        let own = edits.get(&index).map(Vec::as_slice).unwrap_or_default();
        // Edits that do not fit are for whoever makes them to refuse.
        let Ok(left) = apply(text.text, own) else { continue };
        let mut restorer = Restorer::new(values);
        let with = restorer.push(&left) + &restorer.finish();
        if with != left {
            edits.insert(index, vec![Edit { range: 0..text.text.len(), with }]);
        }
    }
    edits.into_iter().collect()
}

/// Notes what guards on trial found in an answer.
fn note_tried(blame: &Blame, blocked: bool, findings: Vec<ContentFinding>, cx: &mut Context) {
    if let Some(tried) = blame.of_findings(Reason::AnswerRefused, blocked, &findings) {
        cx.set_tried(tried);
    }
    cx.add_tried_findings(findings);
}

impl AnswerHead {
    /// What an answer is refused for that cannot be decoded.
    #[must_use]
    pub fn undecodable(&self, error: DecodeError) -> Refusal {
        unreadable(self, &error.to_string())
    }

    fn media_type(&self) -> Option<String> {
        self.content_type.as_deref().and_then(media_type)
    }

    /// What guards know of the exchange.
    fn exchange(&self) -> Exchange {
        Exchange { tokens: self.tokens.clone(), canary: self.canary.clone() }
    }

    fn succeeded(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Nothing of an answer passes that no guard can read. That an upstream failed is still told as such, for clients that
/// would try again.
fn unreadable(head: &AnswerHead, detail: &str) -> Refusal {
    let reason = if head.status >= 500 { Reason::UpstreamFailed } else { Reason::AnswerRefused };
    Refusal::new(reason, format!("status {}: {detail}", head.status))
}

fn alien(head: &AnswerHead) -> Refusal {
    unreadable(head, "a stream where none can be")
}

fn used(usage: Usage) -> Used {
    Used { input: usage.prompt, output: usage.completion.max(usage.total.saturating_sub(usage.prompt)) }
}

/// Stands where no guard of the route looks into answers: everything passes as it is.
#[derive(Debug)]
struct Unguarded;

impl TextGuards for Unguarded {
    fn judge(&self, _part: Part, _text: &str) -> Judgement {
        Judgement::default()
    }

    fn open(&self, _part: Part) -> Box<dyn TextGuard> {
        Box::new(Self)
    }
}

impl TextGuard for Unguarded {
    fn push(&mut self, text: &str) -> TextStep {
        TextStep { release: text.to_owned(), ..TextStep::default() }
    }

    fn finish(&mut self) -> TextStep {
        TextStep::default()
    }

    fn stall(&mut self) -> TextStep {
        TextStep::default()
    }

    fn is_holding(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{House, compiled, context, site};

    const SAID: &str = r#"{"id":"c1","object":"chat.completion","created":1,"model":"small","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}]}"#;
    const FAILED: &str = r#"{"error":{"message":"slow down","type":"rate_limit_error","param":null,"code":null}}"#;

    fn head(status: u16, content_type: &str, asked_to_stream: bool) -> AnswerHead {
        let content_type = (!content_type.is_empty()).then(|| content_type.to_owned());
        let endpoint = Some(Endpoint::OpenAi(crate::dialect::openai::Endpoint::ChatCompletions));
        AnswerHead { status, content_type, coding: Ok(None), asked_to_stream, endpoint, tokens: None, canary: None }
    }

    fn way(way: Result<AnswerWay, Refusal>) -> Result<&'static str, Reason> {
        match way {
            Ok(AnswerWay::Pass) => Ok("pass"),
            Ok(AnswerWay::Whole) => Ok("whole"),
            Ok(AnswerWay::Stream(_)) => Ok("stream"),
            Err(refusal) => Err(refusal.reason),
        }
    }

    #[test]
    fn an_answer_comes_in_the_form_that_was_asked_for_or_not_at_all() {
        let house = House::new();
        let chains = [("openai", true), ("http", true), ("http", false)].map(|(d, i)| compiled(&site(&house, d, i)));
        let [openai, http, open] = [&chains[0], &chains[1], &chains[2]].map(|chains| chains.of("r").unwrap());
        let (json, stream) = ("application/json", "text/event-stream; charset=utf-8");
        let refused = Err(Reason::AnswerRefused);
        for (case, chain, head, want) in [
            ("whole", openai, head(200, json, false), Ok("whole")),
            ("a stream", openai, head(200, stream, true), Ok("stream")),
            ("a stream in capitals", openai, head(200, "Text/Event-Stream", true), Ok("stream")),
            ("a stream in another charset", openai, head(200, "text/event-stream; charset=utf-16", true), refused),
            ("a stream nobody asked for", openai, head(200, stream, false), refused),
            ("no stream though asked for", openai, head(200, json, true), refused),
            ("nothing though asked for", openai, head(204, "", true), refused),
            ("an error instead of a stream", openai, head(429, json, true), Ok("whole")),
            ("an error as a stream", openai, head(400, stream, true), refused),
            ("a failure as a stream", openai, head(500, stream, true), Err(Reason::UpstreamFailed)),
            ("encoded", openai, AnswerHead { coding: Err(UnknownCoding), ..head(200, json, false) }, refused),
            (
                "an encoded failure",
                http,
                AnswerHead { coding: Err(UnknownCoding), ..head(502, json, false) },
                Err(Reason::UpstreamFailed),
            ),
            ("plain http", http, head(200, "text/html", false), Ok("whole")),
            ("nothing looks", open, AnswerHead { coding: Err(UnknownCoding), ..head(200, stream, false) }, Ok("pass")),
        ] {
            assert_eq!(way(chain.open_answer(&head, "d1", MessageLimits::default())), want, "{case}");
        }
    }

    #[test]
    fn an_answer_that_no_guard_can_read_does_not_pass() {
        let house = House::new();
        let chains = [("openai", true), ("http", true)].map(|(d, i)| compiled(&site(&house, d, i)));
        let [openai, http] = [&chains[0], &chains[1]].map(|chains| chains.of("r").unwrap());
        let json = "application/json";
        let (refused, failed) = (Some(Reason::AnswerRefused), Some(Reason::UpstreamFailed));
        let spoken = SAID.replace(r#""content":"hello""#, r#""content":null,"audio":{"data":"AA"}"#);
        for (case, chain, status, kind, body, want) in [
            ("a chat", openai, 200, json, SAID, None),
            ("another charset", openai, 200, "application/json; charset=utf-16", SAID, refused),
            ("no type", openai, 200, "", SAID, refused),
            ("not JSON", openai, 200, json, "hello", refused),
            ("no chat", openai, 200, json, "{}", refused),
            ("sound", openai, 200, json, &spoken, refused),
            ("an error", openai, 429, json, FAILED, None),
            ("an error in HTML", openai, 429, "text/html", "<p>slow down</p>", refused),
            ("a failure in HTML", openai, 503, "text/html", "<p>away</p>", failed),
            ("an empty error", openai, 502, "", "", None),
            ("an empty chat", openai, 200, json, "", refused),
            ("no content", openai, 204, "", "", None),
            ("not modified", http, 304, "", "", None),
            ("the answer to HEAD", http, 200, "application/octet-stream", "", None),
            ("text", http, 200, "text/plain", "hello", None),
            ("text in another charset", http, 200, "text/plain; charset=utf-16", "hello", refused),
            ("text of no type", http, 200, "", "hello", refused),
            ("bytes", http, 200, "application/octet-stream", "hello", refused),
            ("events, which a client joins", http, 200, "text/event-stream", "data: AKIA\n\n", refused),
        ] {
            let head = head(status, kind, false);
            let mut cx = context();
            let judged = chain.judge_answer(&head, Bytes::copy_from_slice(body.as_bytes()), &mut cx);
            assert_eq!(judged.as_ref().err().map(|refusal| refusal.reason), want, "{case}");
            assert!(judged.is_err() || judged.unwrap() == body, "{case}: what nobody minds passes as it is");
            assert!(!cx.ran(Direction::Response).is_empty(), "{case}");
        }
    }

    #[test]
    fn attack_49_what_repeats_a_text_where_nobody_looks_is_taken_out_of_clean_answers_too() {
        let house = House::new();
        let chains = compiled(&site(&house, "openai", true));
        let logprobs = r#""logprobs":{"content":[{"token":"hello","logprob":-1,"bytes":null,"top_logprobs":[]}]}"#;
        let body = SAID.replace(r#""finish_reason""#, &format!(r#"{logprobs},"finish_reason""#));
        let out =
            chains.of("r").unwrap().judge_answer(&head(200, "application/json", false), body.into(), &mut context());
        let out = String::from_utf8(out.unwrap().to_vec()).unwrap();
        assert!(out.contains(r#""logprobs":null"#) && !out.contains("logprob\""), "{out}");
    }
}
