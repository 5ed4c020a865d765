//! The state of one exchange as it walks the chain. Filters write it through its methods; records are made from it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use postern_config::{Action, DataClass, Direction};

use crate::builtin::Outcome;
use crate::message::Message;
use crate::{ContentFinding, FilterError, Principal};

/// What the content guards saw in a request, before anything is done about it.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) class: DataClass,
    pub(crate) risk: u8,
    pub(crate) outcome: Outcome,
}

/// Request state. A filter holds settings, never this.
#[derive(Debug)]
pub struct Context {
    now_ms: i64,
    uptime: Duration,
    principal: Option<Arc<Principal>>,
    prepared: Option<Arc<crate::authz::PreparedPrincipal>>,
    body: Bytes,
    message: Option<Message>,
    judged: Option<Judged>,
    rewritten: bool,
    action: Option<Action>,
    model: Option<String>,
    rule: Option<String>,
    ran: Vec<(Direction, Arc<str>)>,
    findings: Vec<ContentFinding>,
    headers: Vec<(&'static str, String)>,
}

impl Context {
    #[must_use]
    pub fn new(now_ms: i64, uptime: Duration) -> Self {
        Self {
            now_ms,
            uptime,
            principal: None,
            prepared: None,
            body: Bytes::new(),
            message: None,
            judged: None,
            rewritten: false,
            action: None,
            model: None,
            rule: None,
            ran: Vec::with_capacity(16),
            findings: Vec::new(),
            headers: Vec::new(),
        }
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

    pub(crate) fn set_body(&mut self, body: Bytes) {
        self.body = body;
    }

    /// The request's body: as received, and after the inspect stage as it will be sent.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Notes that the inspect stage changed the body.
    pub(crate) fn replace_body(&mut self, body: Bytes) {
        self.body = body;
        self.rewritten = true;
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

    /// Keeps what the content guards saw, until the inspect stage acts on it.
    pub(crate) fn set_judged(&mut self, judged: Judged) {
        self.judged = Some(judged);
    }

    pub(crate) fn take_judged(&mut self) -> Option<Judged> {
        self.judged.take()
    }

    /// The highest score of a detector in the request, 0–100; 0 where none looked.
    #[must_use]
    pub fn risk(&self) -> u8 {
        self.judged.as_ref().map_or(0, |judged| judged.risk)
    }

    /// The highest class of data found in the request.
    #[must_use]
    pub fn data_class(&self) -> DataClass {
        self.judged.as_ref().map_or(DataClass::Public, |judged| judged.class)
    }

    pub(crate) fn set_action(&mut self, action: Action) {
        self.action = Some(action);
    }

    #[must_use]
    pub fn action(&self) -> Option<Action> {
        self.action
    }

    /// The model the request names, where its dialect has one.
    #[must_use]
    pub fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    pub(crate) fn set_rule(&mut self, rule: impl Into<String>) {
        self.rule = Some(rule.into());
    }

    /// The rule that permitted, or refused.
    #[must_use]
    pub fn rule(&self) -> Option<&str> {
        self.rule.as_deref()
    }

    /// At most this many findings are kept per exchange; the decision does not depend on the list.
    const MAX_FINDINGS: usize = 256;

    pub(crate) fn add_findings(&mut self, found: impl IntoIterator<Item = ContentFinding>) {
        for finding in found {
            if self.findings.len() < Self::MAX_FINDINGS {
                self.findings.push(finding);
            }
        }
    }

    #[must_use]
    pub fn findings(&self) -> &[ContentFinding] {
        &self.findings
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
