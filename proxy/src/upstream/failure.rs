//! What went wrong with an upstream, and whether it may have done something all the same.

use postern_filters::{Reason, Refusal};

/// A call that failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) kind: FailureKind,
    /// For the record: no bytes of requests or answers.
    pub(crate) detail: String,
}

/// How it failed; the word is a label of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// The name leads nowhere.
    Resolve,
    /// Policy does not allow to connect there.
    Egress,
    /// No connection: nothing was sent.
    Connect,
    /// The peer is not who it has to be, or TLS failed otherwise: nothing was sent.
    Tls,
    /// The process behind a socket is not of a user who may answer: nothing was sent.
    Peer,
    /// The upstream said that it did not process the request.
    RefusedStream,
    /// A kept connection ended before a byte of the answer.
    ClosedUnanswered,
    /// It broke off, or answered what is no answer.
    Broken,
    /// No answer in time.
    Late,
    /// No endpoint is in order.
    NoEndpoint,
    /// A limit of the circuit breaker.
    Overflow,
    /// The request cannot be expressed.
    Request,
}

impl FailureKind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Egress => "egress",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Peer => "peer",
            Self::RefusedStream => "refused_stream",
            Self::ClosedUnanswered => "closed",
            Self::Broken => "broken",
            Self::Late => "late",
            Self::NoEndpoint => "no_endpoint",
            Self::Overflow => "overflow",
            Self::Request => "request",
        }
    }

    /// Whether nothing was sent, as there was nobody to send it to.
    pub(crate) fn is_unsent(self) -> bool {
        matches!(self, Self::Resolve | Self::Egress | Self::Connect | Self::Tls | Self::Peer)
    }

    /// Whether no upstream has done anything for the request.
    pub(crate) fn is_undone(self) -> bool {
        self.is_unsent() || matches!(self, Self::RefusedStream | Self::NoEndpoint | Self::Overflow | Self::Request)
    }

    /// Whether it says something about the endpoint. A connection closed while it was kept does not: servers do that.
    pub(crate) fn counts_against_endpoint(self) -> bool {
        matches!(
            self,
            Self::Resolve | Self::Connect | Self::Tls | Self::Peer | Self::RefusedStream | Self::Broken | Self::Late
        )
    }
}

impl Failure {
    pub(crate) fn new(kind: FailureKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }

    pub(crate) fn broken(detail: impl Into<String>) -> Self {
        Self::new(FailureKind::Broken, detail)
    }

    pub(crate) fn refusal(self) -> Refusal {
        let reason = match self.kind {
            FailureKind::NoEndpoint | FailureKind::Overflow => Reason::UpstreamUnavailable,
            FailureKind::Egress => Reason::NotPermitted,
            _ => Reason::UpstreamFailed,
        };
        Refusal::new(reason, self.detail)
    }
}
