//! One request to an upstream: which endpoint, and whether it is sent again.

use std::sync::Arc;

use bytes::Bytes;
use http::header;
use pingora_http::RequestHeader;
use postern_config::{Balance, RetryAfter};
use postern_filters::Peer;
use tokio::time::Instant;
use tracing::warn;

use super::Upstream;
use super::balance::rendezvous;
use super::breaker::Admission;
use super::conversation::{Conversation, is_idempotent};
use super::endpoint::{Endpoint, UnderWay};
use super::failure::{Failure, FailureKind};
use super::health::Turn;
use crate::egress::Egress;
use crate::telemetry::Metrics;

/// A judged request, as it is sent; every attempt sends the same.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) head: Box<RequestHeader>,
    pub(crate) body: Bytes,
    /// What consistent hashing goes by.
    pub(crate) key: Option<u64>,
    /// When the head of the answer has to be there.
    pub(crate) deadline: Instant,
}

/// What is told about a call, also of one that is given up.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Told {
    /// Where the last connection led.
    pub(crate) address: Option<Peer>,
    pub(crate) retries: u32,
}

/// An upstream that has begun to answer. What it holds is free again once it is dropped.
pub(crate) struct Answering {
    pub(crate) conversation: Conversation,
    upstream: Arc<Upstream>,
    endpoint: Arc<Endpoint>,
    _under_way: UnderWay,
    _admission: Admission,
}

impl Upstream {
    /// Sends `ask` and reads the head of the answer. `route` may go to fewer addresses than the upstream has.
    pub(crate) async fn call(
        self: &Arc<Self>,
        ask: Ask,
        route: &Egress,
        metrics: &Metrics,
        told: &mut Told,
    ) -> Result<Answering, Failure> {
        let admission = self.admit(metrics)?;
        let Ask { head, body, key, deadline } = ask;
        let idempotent = is_idempotent(&head.method);
        let mut tried = Vec::new();
        loop {
            let index = self.choose(key, &tried).inspect_err(|failure| self.count(failure, metrics))?;
            let Some(endpoint) = self.endpoints.get(index) else { return Err(no_endpoint()) };
            let last = told.retries >= self.settings.retries.max;
            let mut sent = head.clone();
            let placed = sent.insert_header(header::HOST, endpoint.authority.clone());
            placed.map_err(|error| Failure::new(FailureKind::Request, error.to_string()))?;
            let under_way = endpoint.begin();
            let attempt = self.attempt(endpoint, route, sent, body.clone(), told, deadline).await;
            let may = |after: RetryAfter| !last && self.settings.retries.after.contains(&after);
            let failure = match attempt {
                Ok(conversation)
                    if conversation.refused_503()
                        && idempotent
                        && may(RetryAfter::Refused503)
                        && self.has_other(&tried, index)
                        && self.budget.take_retry() =>
                {
                    None
                }
                Ok(conversation) => {
                    endpoint.health.served();
                    metrics.upstream_answered(&self.settings.name);
                    return Ok(Answering {
                        conversation,
                        upstream: self.clone(),
                        endpoint: endpoint.clone(),
                        _under_way: under_way,
                        _admission: admission,
                    });
                }
                Err(failure) => Some(failure),
            };
            if let Some(failure) = failure {
                self.failed(endpoint, &failure, metrics);
                let again = match failure.kind {
                    FailureKind::Resolve
                    | FailureKind::Egress
                    | FailureKind::Connect
                    | FailureKind::Tls
                    | FailureKind::Peer => may(RetryAfter::ConnectFailure),
                    FailureKind::RefusedStream => may(RetryAfter::RefusedStream),
                    FailureKind::ClosedUnanswered => idempotent && may(RetryAfter::ClosedUnanswered),
                    FailureKind::Broken
                    | FailureKind::Late
                    | FailureKind::NoEndpoint
                    | FailureKind::Overflow
                    | FailureKind::Request => false,
                };
                if !again || Instant::now() >= deadline || !self.budget.take_retry() {
                    return Err(failure);
                }
            }
            metrics.upstream_retried(&self.settings.name);
            told.retries = told.retries.saturating_add(1);
            tried.push(index);
        }
    }

    /// A connection for a request that is sent piece by piece, and so once; `fresh` for one that nobody used before.
    pub(crate) async fn begin(
        self: &Arc<Self>,
        key: Option<u64>,
        route: &Egress,
        fresh: bool,
        deadline: Instant,
        metrics: &Metrics,
        told: &mut Told,
    ) -> Result<Answering, Failure> {
        let admission = self.admit(metrics)?;
        let mut tried = Vec::new();
        loop {
            let index = self.choose(key, &tried).inspect_err(|failure| self.count(failure, metrics))?;
            let Some(endpoint) = self.endpoints.get(index) else { return Err(no_endpoint()) };
            let under_way = endpoint.begin();
            let failure = match self.connect(endpoint, route, fresh || told.retries > 0, deadline).await {
                Ok(conversation) => {
                    told.address = Some(conversation.address());
                    return Ok(Answering {
                        conversation,
                        upstream: self.clone(),
                        endpoint: endpoint.clone(),
                        _under_way: under_way,
                        _admission: admission,
                    });
                }
                Err(failure) => failure,
            };
            self.failed(endpoint, &failure, metrics);
            let retries = &self.settings.retries;
            let again = failure.kind.is_unsent()
                && told.retries < retries.max
                && retries.after.contains(&RetryAfter::ConnectFailure);
            if !again || Instant::now() >= deadline || !self.budget.take_retry() {
                return Err(failure);
            }
            metrics.upstream_retried(&self.settings.name);
            told.retries = told.retries.saturating_add(1);
            tried.push(index);
        }
    }

    fn admit(&self, metrics: &Metrics) -> Result<Admission, Failure> {
        self.budget.note_request();
        metrics.upstream_asked(&self.settings.name);
        self.breaker.admit().inspect_err(|failure| self.count(failure, metrics))
    }

    async fn attempt(
        &self,
        endpoint: &Arc<Endpoint>,
        route: &Egress,
        head: Box<RequestHeader>,
        body: Bytes,
        told: &mut Told,
        deadline: Instant,
    ) -> Result<Conversation, Failure> {
        let mut conversation = self.connect(endpoint, route, told.retries > 0, deadline).await?;
        told.address = Some(conversation.address());
        match tokio::time::timeout_at(deadline, conversation.ask(head, body)).await {
            Ok(asked) => asked.map(|()| conversation),
            Err(_) => {
                conversation.distrust();
                Err(Failure::new(FailureKind::Late, "the head of the answer took too long"))
            }
        }
    }

    /// An endpoint that is in order, and that this request was not sent to before if there is such a one.
    fn choose(&self, key: Option<u64>, tried: &[usize]) -> Result<usize, Failure> {
        let usable = |index: &usize| self.endpoints.get(*index).is_some_and(|endpoint| endpoint.health.is_usable());
        let usable: Vec<usize> = (0..self.endpoints.len()).filter(usable).collect();
        let untried: Vec<usize> = usable.iter().copied().filter(|index| !tried.contains(index)).collect();
        let candidates = if untried.is_empty() { &usable } else { &untried };
        let of = |index: usize| self.endpoints.get(index);
        let chosen = match (&self.settings.balance, key) {
            (Balance::ConsistentHash(_), Some(key)) => {
                rendezvous(candidates, key, |index| of(index).map_or(0, |endpoint| endpoint.hash))
            }
            (Balance::LeastRequest, _) => {
                self.turns.least(candidates, |index| of(index).map_or(0, |endpoint| endpoint.load()))
            }
            // The next one in turn, without taking the turn of the next request: else two endpoints, one of them down, would
            // have every request begin with the one that is down.
            (Balance::RoundRobin | Balance::ConsistentHash(_), _) => match tried.last() {
                None => self.turns.next(candidates),
                Some(last) => candidates.iter().find(|index| *index > last).or_else(|| candidates.first()).copied(),
            },
        };
        chosen.ok_or_else(no_endpoint)
    }

    fn has_other(&self, tried: &[usize], index: usize) -> bool {
        let other = |(at, endpoint): (usize, &Arc<Endpoint>)| {
            at != index && !tried.contains(&at) && endpoint.health.is_usable()
        };
        self.endpoints.iter().enumerate().any(other)
    }

    fn failed(&self, endpoint: &Endpoint, failure: &Failure, metrics: &Metrics) {
        self.count(failure, metrics);
        if !failure.kind.counts_against_endpoint() {
            return;
        }
        let may_eject = || {
            let ejected = self.endpoints.iter().filter(|endpoint| endpoint.health.is_ejected()).count();
            let allowed = self.endpoints.len().saturating_mul(self.settings.passive.max_ejected.into()) / 100;
            self.endpoints.len() > 1 && ejected < allowed
        };
        if endpoint.health.failed(&self.settings.passive, may_eject) == Turn::Down {
            warn!(
                "error.type" = failure.kind.as_str(),
                upstream = self.settings.name,
                endpoint = endpoint.label,
                "an endpoint failed several requests in a row and is left out for a while"
            );
        }
    }

    fn count(&self, failure: &Failure, metrics: &Metrics) {
        metrics.upstream_failed(&self.settings.name, failure.kind.as_str());
    }
}

fn no_endpoint() -> Failure {
    Failure::new(FailureKind::NoEndpoint, "no endpoint of the upstream is in order")
}

impl Conversation {
    fn refused_503(&self) -> bool {
        self.head().is_some_and(|head| head.status == http::StatusCode::SERVICE_UNAVAILABLE)
    }
}

impl Answering {
    /// The answer was read to its end: the connection may carry another request.
    pub(crate) async fn finish(self) {
        if let Some(wire) = self.conversation.end().await {
            self.endpoint.pool.keep(wire);
        }
    }

    /// The upstream broke off inside its answer.
    pub(crate) fn broke_off(&self, failure: &Failure, metrics: &Metrics) {
        self.upstream.failed(&self.endpoint, failure, metrics);
    }

    /// The upstream has begun to answer a request that was sent piece by piece.
    pub(crate) fn answered(&self, metrics: &Metrics) {
        self.endpoint.health.served();
        metrics.upstream_answered(&self.upstream.settings.name);
    }

    pub(crate) fn authority(&self) -> &http::HeaderValue {
        &self.endpoint.authority
    }

    /// The host it was dialled by; empty for a socket of this machine.
    pub(crate) fn host(&self) -> &str {
        self.endpoint.host()
    }
}
