//! The state of one exchange as it walks the chain. Filters write it through its methods; records are made from it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use postern_config::{Action, ContentAction, DataClass, Direction, Waived};

use crate::authz::Rehearsal;
use crate::builtin::Verdicts;
use crate::course::Calls;
use crate::encoding::Coding;
use crate::external::Question;
use crate::limit::{Hold, Meter, Rating, Tally, Tokens, Wait};
use crate::message::{Added, Message, MessageLimits};
use crate::need::{self, Kind};
use crate::output::Offered;
use crate::scan::{Canary, TokenMap};
use crate::{ContentFinding, FilterError, Given, Need, Principal, Refusal};

/// Which chain checked which head: [`crate::Chain`] number, and a digest of the head.
pub(crate) type Ticket = (u64, u64);

/// What the chain saw in a request, for a decision that comes later.
#[derive(Debug, Clone)]
pub struct Seen {
    body: Bytes,
    risk: u8,
    data_class: DataClass,
}

/// Where a chain waits for an answer.
#[derive(Debug, PartialEq, Eq)]
struct Pause {
    walk: Walk,
    ticket: Ticket,
    /// The step that asked.
    step: usize,
    asked: Kind,
}

/// Fills bytes with random ones; `false` where there are none.
pub type Random = fn(&mut [u8]) -> bool;

/// What a chain is walked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Walk {
    /// What needs the head alone.
    Head,
    /// The rest.
    Message,
    /// A decision once more.
    Again,
    /// How often an address may ask for what is told to everybody.
    Count,
}

/// How far the exchange has come. It only goes forward: a context serves one request of one chain.
#[derive(Debug, PartialEq, Eq)]
enum Progress {
    Fresh,
    /// The head is being checked, or was refused.
    Head,
    /// The check of the head asked for something.
    Waits(Pause),
    /// The head has passed.
    Passed(Ticket),
    /// The body is being checked, or was.
    Message,
}

/// Request state. A filter holds settings, never this.
#[derive(Debug)]
pub struct Context {
    now_ms: i64,
    uptime: Duration,
    progress: Progress,
    given: Option<Given>,
    /// Questions asked so far.
    rounds: u8,
    /// The rule that let the head pass is for requests without a body.
    bodiless: bool,
    tenant: Option<Arc<str>>,
    principal: Option<Arc<Principal>>,
    prepared: Option<Arc<crate::authz::PreparedPrincipal>>,
    body: Bytes,
    /// The coding in which it came.
    decoded: Option<Coding>,
    message: Option<Message>,
    verdicts: Option<Verdicts>,
    /// Tools that the request offers, where calls are judged.
    offered: Option<Arc<Offered>>,
    /// Calls of tools in the request, where they are counted.
    calls: Option<Arc<Calls>>,
    /// What services outside were asked about the request.
    asked: Option<Vec<Arc<Question>>>,
    /// What is left of an answer, and what they were asked about it.
    waiting_answer: Option<(Bytes, Vec<Arc<Question>>)>,
    token_map: Option<Arc<TokenMap>>,
    canary: Option<Arc<Canary>>,
    random: Random,
    risk: u8,
    data_class: DataClass,
    /// Classes of data that the reader of the answer may see, where rules say something about that.
    readable: Option<BTreeSet<DataClass>>,
    rewritten: bool,
    action: Option<Action>,
    model: Option<String>,
    rule: Option<String>,
    /// Entries of allow lists that took the request.
    entries: Vec<Arc<str>>,
    /// Bindings that gave the roles by which it is permitted.
    bindings: Vec<Arc<str>>,
    /// The rules that permit it, whatever is decided of it later.
    permits: Option<String>,
    rehearsal: Option<Rehearsal>,
    /// What of everything but rules would have been made of it.
    tried: Option<Rehearsal>,
    tried_findings: Vec<ContentFinding>,
    tried_bodiless: bool,
    ran: Vec<(Direction, Arc<str>)>,
    findings: Vec<ContentFinding>,
    headers: Vec<(&'static str, String)>,
    exceptions: Vec<Waived>,
    limits: MessageLimits,
    /// It is about a request that was let in before.
    recalled: bool,
    /// How far the limits have come that are being judged, and what they wait for.
    rating: Rating,
    limits_wait: Option<Wait>,
    /// Places that the request has in limits of requests at once, until it has ended.
    holds: Vec<Hold>,
    meter: Meter,
    tally: Tally,
}

impl Context {
    #[must_use]
    pub fn new(now_ms: i64, uptime: Duration) -> Self {
        Self {
            now_ms,
            uptime,
            progress: Progress::Fresh,
            given: None,
            rounds: 0,
            bodiless: false,
            tenant: None,
            principal: None,
            prepared: None,
            body: Bytes::new(),
            decoded: None,
            message: None,
            verdicts: None,
            asked: None,
            waiting_answer: None,
            token_map: None,
            offered: None,
            calls: None,
            canary: None,
            random: |_| false,
            risk: 0,
            data_class: DataClass::Public,
            readable: None,
            rewritten: false,
            action: None,
            model: None,
            rule: None,
            entries: Vec::new(),
            bindings: Vec::new(),
            permits: None,
            rehearsal: None,
            tried: None,
            tried_findings: Vec::new(),
            tried_bodiless: false,
            ran: Vec::with_capacity(16),
            findings: Vec::new(),
            headers: Vec::new(),
            exceptions: Vec::new(),
            limits: MessageLimits::default(),
            recalled: false,
            rating: Rating::default(),
            limits_wait: None,
            holds: Vec::new(),
            tally: Tally::default(),
            meter: Meter::default(),
        }
    }

    /// Where random bytes come from. Without it nothing passes that needs some.
    #[must_use]
    pub fn with_random(self, random: Random) -> Self {
        Self { random, ..self }
    }

    /// Random bytes that nobody has seen.
    pub(crate) fn random(&self) -> Result<[u8; 16], FilterError> {
        let mut bytes = [0; 16];
        if (self.random)(&mut bytes) { Ok(bytes) } else { Err(FilterError::Random) }
    }

    /// How large what is read may be; from the policy of route and listener.
    pub fn set_message_limits(&mut self, limits: MessageLimits) {
        self.limits = limits;
    }

    #[must_use]
    pub fn message_limits(&self) -> MessageLimits {
        self.limits
    }

    /// Unix milliseconds at which the request began.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.now_ms
    }

    /// Unix seconds at which the request began.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.now_ms.div_euclid(1000)
    }

    /// Time since the process began, for limits: it never goes back.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        self.uptime
    }

    /// A chain begins with the head. Only ever once: what an earlier request settled must not decide a later one. Where it
    /// waited, it goes on, with an answer to what it asked. Returns the step it stands at.
    pub(crate) fn begin(&mut self, walk: Walk, ticket: Ticket) -> Result<usize, FilterError> {
        match std::mem::replace(&mut self.progress, Progress::Head) {
            Progress::Fresh => Ok(0),
            Progress::Waits(pause) if pause.walk == walk && pause.ticket == ticket => {
                let answered = self.given.as_ref().is_some_and(|given| given.kind() == pause.asked);
                if answered { Ok(pause.step) } else { Err(FilterError::Unanswered) }
            }
            _ => Err(FilterError::OutOfOrder),
        }
    }

    /// The step that asks runs again, once [`Context::supply`] has brought the answer.
    pub(crate) fn wait(&mut self, walk: Walk, ticket: Ticket, step: usize, need: &Need) -> Result<(), FilterError> {
        // A body waits in memory, so nothing lets it but what is bounded by a limit, or judges it.
        if walk == Walk::Message && !matches!(need, Need::Limits | Need::External(_)) {
            return Err(FilterError::WaitsTooLate);
        }
        if self.rounds >= need::MAX_ROUNDS {
            return Err(FilterError::TooManyRounds);
        }
        self.rounds += 1;
        self.progress = Progress::Waits(Pause { walk, ticket, step, asked: need.kind() });
        Ok(())
    }

    /// The step of a message that asked goes on with the answer.
    pub(crate) fn resume(&mut self, ticket: Ticket) -> Result<usize, FilterError> {
        if !matches!(&self.progress, Progress::Waits(pause) if pause.walk == Walk::Message) {
            self.progress = Progress::Message;
            return Err(FilterError::OutOfOrder);
        }
        let step = self.begin(Walk::Message, ticket)?;
        self.progress = Progress::Message;
        Ok(step)
    }

    /// Charges the body as it will be sent, behind the last of `steps`. What has to be asked of others first, if anything.
    pub(crate) fn charge_body(&mut self, ticket: Ticket, steps: usize) -> Result<Option<Need>, Refusal> {
        if let Some(Given::Limits(waited)) = self.take_given() {
            let charged = waited.charged(self.uptime);
            return charged.ok_or(FilterError::Unanswered)?.map(|()| None);
        }
        let Some(charge) = self.meter.charge(self.body.len(), self.uptime)? else { return Ok(None) };
        self.limits_wait = Some(Wait::of(charge));
        let need = Need::Limits;
        self.wait(Walk::Message, ticket, steps, &need)?;
        Ok(Some(need))
    }

    /// Brings what the chain asked for.
    pub fn supply(&mut self, given: Given) {
        self.given = Some(given);
    }

    /// The answer to what the running filter asked for, once.
    pub(crate) fn take_given(&mut self) -> Option<Given> {
        self.given.take()
    }

    pub(crate) fn head_passed(&mut self, ticket: Ticket) {
        self.progress = Progress::Passed(ticket);
    }

    /// The same chain goes on with the body of the same request, once.
    pub(crate) fn go_on(&mut self, ticket: Ticket) -> Result<(), FilterError> {
        let before = std::mem::replace(&mut self.progress, Progress::Message);
        if before == Progress::Passed(ticket) { Ok(()) } else { Err(FilterError::OutOfOrder) }
    }

    /// Notes that the request may have no body.
    pub(crate) fn forbid_body(&mut self) {
        self.bodiless = true;
    }

    /// Whether the allow list that let the request pass names no content type, so that a body is refused.
    #[must_use]
    pub fn is_bodiless(&self) -> bool {
        self.bodiless
    }

    /// What was seen of the request, for [`crate::Chain::reconsider`].
    #[must_use]
    pub fn seen(&self) -> Seen {
        Seen { body: self.body.clone(), risk: self.risk, data_class: self.data_class }
    }

    pub(crate) fn recall(&mut self, seen: &Seen) {
        self.recalled = true;
        self.body = seen.body.clone();
        (self.risk, self.data_class) = (seen.risk, seen.data_class);
    }

    /// Whether the request was let in before, and is looked at once more.
    pub(crate) fn is_recalled(&self) -> bool {
        self.recalled
    }

    pub(crate) fn set_body(&mut self, body: Bytes) {
        self.body = body;
    }

    /// The body without the coding in which it came.
    pub(crate) fn set_decoded(&mut self, coding: Coding, body: Bytes) {
        self.decoded = Some(coding);
        self.body = body;
    }

    /// The coding in which the body came and in which it is not sent on.
    #[must_use]
    pub fn decoded(&self) -> Option<Coding> {
        self.decoded
    }

    /// The request's body: as received, then decoded, and after the inspect stage as it will be sent.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Notes that the inspect stage changed the body.
    pub(crate) fn replace_body(&mut self, body: Bytes) {
        if let Some(message) = &mut self.message {
            message.set_size(body.len());
        }
        self.body = body;
        self.rewritten = true;
    }

    /// As [`Context::replace_body`], with all that policy puts into it.
    pub(crate) fn complete_body(&mut self, body: Bytes) {
        let bytes = body.len();
        self.replace_body(body);
        if let Some(message) = &mut self.message {
            message.set_whole_size(bytes);
        }
    }

    /// Whether the body that is sent differs from the one received.
    #[must_use]
    pub fn is_rewritten(&self) -> bool {
        self.rewritten
    }

    /// Notes that a guard has run to its end on a message of this direction. Called by the chain, after the fact.
    pub(crate) fn note(&mut self, direction: Direction, guard: &Arc<str>) {
        if !self.ran.iter().any(|(d, g)| *d == direction && g == guard) {
            self.ran.push((direction, guard.clone()));
        }
    }

    /// The guards that ran, in order, each once.
    #[must_use]
    pub fn ran(&self, direction: Direction) -> Vec<Arc<str>> {
        self.ran.iter().filter(|(d, _)| *d == direction).map(|(_, guard)| guard.clone()).collect()
    }

    pub(crate) fn set_tenant(&mut self, tenant: Option<Arc<str>>) {
        self.tenant = tenant;
    }

    /// Of which tenant the resource is, where each request says so and it is one that is known.
    #[must_use]
    pub fn tenant(&self) -> Option<&Arc<str>> {
        self.tenant.as_ref()
    }

    /// Settles who asks. The first call stands: a principal never changes.
    pub(crate) fn set_principal(
        &mut self,
        principal: Arc<Principal>,
        prepared: Option<Arc<crate::authz::PreparedPrincipal>>,
    ) {
        if self.principal.is_none() {
            self.principal = Some(principal);
            self.prepared = prepared;
        }
    }

    /// Notes who logged in, for the record: nothing is decided about them here.
    pub fn logged_in(&mut self, principal: Arc<Principal>) {
        self.set_principal(principal, None);
    }

    /// Who asks.
    ///
    /// # Errors
    /// [`FilterError::NoPrincipal`] before the identify stage: the chain is broken then.
    pub fn principal(&self) -> Result<&Arc<Principal>, FilterError> {
        self.principal.as_ref().ok_or(FilterError::NoPrincipal)
    }

    /// Who asks, if known by now: for records of requests refused before or at the identify stage.
    #[must_use]
    pub fn known_principal(&self) -> Option<&Arc<Principal>> {
        self.principal.as_ref()
    }

    pub(crate) fn prepared(&self) -> Option<&Arc<crate::authz::PreparedPrincipal>> {
        self.prepared.as_ref()
    }

    pub(crate) fn set_message(&mut self, message: Message) {
        self.model = message.model().map(str::to_owned);
        self.message = Some(message);
    }

    /// The parsed request.
    ///
    /// # Errors
    /// [`FilterError::NoMessage`] before the parse stage.
    pub fn message(&self) -> Result<&Message, FilterError> {
        self.message.as_ref().ok_or(FilterError::NoMessage)
    }

    /// Notes what will be put into the request, at most.
    pub(crate) fn expect_added(&mut self, added: Added) {
        if let Some(message) = &mut self.message {
            message.expect_added(added);
        }
    }

    /// Keeps what the content guards saw: the verdicts until the inspect stage acts on them, the rest for good.
    pub(crate) fn set_seen(&mut self, verdicts: Verdicts, risk: u8, class: DataClass) {
        self.verdicts = Some(verdicts);
        self.risk = risk;
        self.data_class = class;
    }

    pub(crate) fn set_readable(&mut self, classes: BTreeSet<DataClass>) {
        self.readable = Some(classes);
    }

    /// Whether an answer with data of this class may go to whoever asked.
    pub(crate) fn may_read(&self, class: DataClass) -> bool {
        self.readable.as_ref().is_none_or(|classes| classes.contains(&class))
    }

    /// Keeps the tools that the request offers, for the answer.
    pub(crate) fn set_offered(&mut self, offered: Arc<Offered>) {
        self.offered = Some(offered);
    }

    pub(crate) fn offered(&self) -> Option<&Arc<Offered>> {
        self.offered.as_ref()
    }

    /// Keeps the calls that the request tells of, for the answer.
    pub(crate) fn set_calls(&mut self, calls: Arc<Calls>) {
        self.calls = Some(calls);
    }

    pub(crate) fn calls(&self) -> Option<&Arc<Calls>> {
        self.calls.as_ref()
    }

    /// Keeps what is asked outside until there are answers.
    pub(crate) fn set_asked(&mut self, questions: Vec<Arc<Question>>) {
        self.asked = Some(questions);
    }

    pub(crate) fn take_asked(&mut self) -> Option<Vec<Arc<Question>>> {
        self.asked.take()
    }

    /// As [`Context::set_asked`], about what is left of the answer.
    pub(crate) fn set_waiting_answer(&mut self, left: Bytes, questions: Vec<Arc<Question>>) {
        self.waiting_answer = Some((left, questions));
    }

    pub(crate) fn take_waiting_answer(&mut self) -> Option<(Bytes, Vec<Arc<Question>>)> {
        self.waiting_answer.take()
    }

    pub(crate) fn set_token_map(&mut self, tokens: Option<Arc<TokenMap>>) {
        self.token_map = tokens;
    }

    /// The tokens of the exchange.
    pub(crate) fn tokens_made(&self) -> Option<&Arc<TokenMap>> {
        self.token_map.as_ref()
    }

    /// The tokens that stand for values of the request, where some are put back into the answer.
    #[must_use]
    pub fn token_map(&self) -> Option<&Arc<TokenMap>> {
        self.token_map.as_ref().filter(|tokens| tokens.restores())
    }

    pub(crate) fn set_canary(&mut self, canary: Option<Arc<Canary>>) {
        self.canary = canary;
    }

    /// What was planted in the request and must not come back.
    #[must_use]
    pub fn canary(&self) -> Option<&Arc<Canary>> {
        self.canary.as_ref()
    }

    pub(crate) fn take_verdicts(&mut self) -> Option<Verdicts> {
        self.verdicts.take()
    }

    /// The highest score of a detector in the request, 0–100; 0 where none looked.
    #[must_use]
    pub fn risk(&self) -> u8 {
        self.risk
    }

    /// The highest class of data found in the request.
    #[must_use]
    pub fn data_class(&self) -> DataClass {
        self.data_class
    }

    pub(crate) fn set_action(&mut self, action: Action) {
        self.action = Some(action);
    }

    #[must_use]
    pub fn action(&self) -> Option<Action> {
        self.action
    }

    /// The endpoint that is asked, on a route to a model.
    #[must_use]
    pub fn endpoint(&self) -> Option<crate::dialect::Endpoint> {
        self.message.as_ref().and_then(Message::endpoint)
    }

    /// The model the request names, where its dialect has one.
    #[must_use]
    pub fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    /// What is decided last counts: a body that was rewritten is decided about again.
    pub(crate) fn set_rehearsal(&mut self, rehearsal: Option<Rehearsal>) {
        self.rehearsal = rehearsal;
    }

    /// Notes what would have come of something on trial that is no rule. The first refusal stands: a refused request goes no further.
    pub(crate) fn set_tried(&mut self, tried: Rehearsal) {
        if !self.tried.as_ref().is_some_and(|before| before.refuses() || !tried.refuses()) {
            self.tried = Some(tried);
        }
    }

    /// Notes that the entry of a list on trial which takes the request is for those without a body.
    pub(crate) fn set_tried_bodiless(&mut self) {
        self.tried_bodiless = true;
    }

    pub(crate) fn is_tried_bodiless(&self) -> bool {
        self.tried_bodiless
    }

    /// Whether it would have been refused by now.
    pub(crate) fn is_tried_and_refused(&self) -> bool {
        self.tried.as_ref().is_some_and(Rehearsal::refuses)
    }

    /// As [`Context::add_findings`], of guards that only look.
    pub(crate) fn add_tried_findings(&mut self, found: impl IntoIterator<Item = ContentFinding>) {
        let room = Self::MAX_FINDINGS.saturating_sub(self.tried_findings.len());
        self.tried_findings.extend(found.into_iter().take(room));
    }

    /// What guards on trial found.
    #[must_use]
    pub fn tried_findings(&self) -> &[ContentFinding] {
        &self.tried_findings
    }

    /// What policy on trial would have made of the request, where that is something else. What is `refused` as it is would not be
    /// more so.
    #[must_use]
    pub fn rehearsal(&self, refused: bool) -> Option<&Rehearsal> {
        match (self.tried.as_ref().filter(|_| !refused), &self.rehearsal) {
            (Some(tried), _) if tried.refuses() => Some(tried),
            // Rules that would permit it do not help where something else would refuse it.
            (_, Some(rules)) if !rules.refuses() && self.is_tried_and_refused() => None,
            (_, Some(rules)) => Some(rules),
            (tried, None) => tried,
        }
    }

    /// Keeps seats in limits that are on trial, as long as this lives.
    pub(crate) fn keep_seats(&mut self, seats: Vec<Hold>) {
        self.holds.extend(seats);
    }

    /// Notes that something built in decided: what is told to everybody.
    pub fn set_built_in(&mut self, rule: &str) {
        self.set_rule(format!("built-in {rule}"));
    }

    pub(crate) fn set_rule(&mut self, rule: impl Into<String>) {
        self.rule = Some(rule.into());
    }

    /// The rule that permitted, or refused.
    #[must_use]
    pub fn rule(&self) -> Option<&str> {
        self.rule.as_deref()
    }

    pub(crate) fn note_entry(&mut self, entry: &Arc<str>) {
        self.entries.push(entry.clone());
    }

    /// The entries of allow lists that took the request, one for each manifest that writes a list.
    #[must_use]
    pub fn entries(&self) -> &[Arc<str>] {
        &self.entries
    }

    /// What is decided last counts.
    pub(crate) fn set_permitted(&mut self, rules: Option<&str>, bindings: Vec<Arc<str>>) {
        self.permits = rules.map(str::to_owned);
        self.bindings = bindings;
    }

    /// The rules that permit it, also where something else refuses it afterwards.
    #[must_use]
    pub fn permits(&self) -> Option<&str> {
        self.permits.as_deref()
    }

    /// The bindings that give the caller the roles of those rules.
    #[must_use]
    pub fn bindings(&self) -> &[Arc<str>] {
        &self.bindings
    }

    /// At most this many findings are kept per exchange; the decision does not depend on the list.
    pub(crate) const MAX_FINDINGS: usize = 256;

    pub(crate) fn add_findings(&mut self, found: impl IntoIterator<Item = ContentFinding>) {
        // What is allowed is not told of.
        for finding in found.into_iter().filter(|one| one.action != ContentAction::Allow) {
            if self.findings.len() < Self::MAX_FINDINGS {
                self.findings.push(finding);
            }
        }
    }

    #[must_use]
    pub fn findings(&self) -> &[ContentFinding] {
        &self.findings
    }

    /// Notes an exception that the request hangs on.
    pub fn note_exception(&mut self, waived: &Waived) {
        if !self.exceptions.contains(waived) {
            self.exceptions.push(waived.clone());
        }
    }

    /// The exceptions without which the request would have been refused.
    #[must_use]
    pub fn exceptions(&self) -> &[Waived] {
        &self.exceptions
    }

    /// Unix seconds at which the first of them ends.
    #[must_use]
    pub fn excepted_until(&self) -> Option<i64> {
        self.exceptions.iter().map(|waived| waived.until).min()
    }

    pub(crate) fn take_rating(&mut self) -> Rating {
        std::mem::take(&mut self.rating)
    }

    /// Notes where the limits stand, and what for.
    pub(crate) fn wait_for_limits(&mut self, rating: Rating, wait: Wait) {
        self.rating = rating;
        self.limits_wait = Some(wait);
    }

    /// What a chain waits for that said [`Need::Limits`].
    pub fn take_limits_wait(&mut self) -> Option<Wait> {
        self.limits_wait.take()
    }

    /// Keeps what limits gave to the request, as long as this lives.
    pub(crate) fn hold(&mut self, rating: Rating) {
        let (holds, meter, tally) = rating.gained();
        self.tally.extend(tally);
        self.holds.extend(holds);
        self.meter.extend(meter);
    }

    /// What the bytes of the exchange are charged to.
    #[must_use]
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// What the request may come to, in tokens.
    pub(crate) fn tokens(&self) -> Tokens {
        self.message.as_ref().map(Message::tokens).unwrap_or_default()
    }

    /// The request did not get to an upstream, so it cost no tokens.
    pub fn unsent(&mut self) {
        self.tally.unsend();
    }

    /// What the tokens of the exchange are counted by.
    pub(crate) fn tally(&mut self) -> &mut Tally {
        &mut self.tally
    }

    pub(crate) fn add_header(&mut self, name: &'static str, value: String) {
        self.headers.push((name, value));
    }

    /// Headers that go with whatever the caller is answered: what is left of its limits.
    #[must_use]
    pub fn headers(&self) -> &[(&'static str, String)] {
        &self.headers
    }
}
