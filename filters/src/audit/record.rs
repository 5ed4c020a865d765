//! The story of one request, one refused connection or one change of the process, as plain values.
//!
//! A record has no place for secrets, tokens, header values, bodies or what a guard found; only where and by which guard.

use std::net::IpAddr;
use std::sync::Arc;

use postern_config::{Action, Dialect, Digest, ManifestRef};
use uuid::Uuid;

use super::escape::Json;
use super::{Redaction, ocsf};
use crate::authz::Rehearsal;
use crate::{ContentFinding, Peer, Principal, Reason};

/// A name that outlives requests: of a listener, a route, a guard.
pub type Name = Arc<str>;

/// One event, as the proxy fills it. Texts may have any length and any characters; they are bounded and escaped on writing.
#[derive(Debug, Clone)]
pub struct AuditRecord {
    /// Event id, UUIDv7; for a request it is the decision id that the caller sees.
    pub id: Uuid,
    /// Unix time in milliseconds.
    pub time_ms: u64,
    /// Absent for events of the process itself.
    pub connection: Option<ConnectionRef>,
    /// Digest of the manifest set that decided.
    pub snapshot: Option<Digest>,
    /// For operators: what exactly went wrong. Never sent to a caller.
    pub detail: Option<String>,
    pub event: Event,
}

/// The connection an event happened on.
#[derive(Debug, Clone)]
pub struct ConnectionRef {
    pub listener: Name,
    pub peer: Option<Peer>,
    /// Where a trusted proxy at the other end says that the request comes from.
    pub client: Option<IpAddr>,
    pub tls: Option<Arc<TlsFacts>>,
    /// Counts connections since the log was opened.
    pub number: u64,
    /// Counts records of this connection from 0, without gaps; a number that is missing is a record that is missing.
    pub sequence: u64,
}

/// What the handshake settled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFacts {
    /// `TLSv1.3`.
    pub version: String,
    pub cipher: String,
    /// Key exchange group, `X25519MLKEM768`.
    pub group: Option<String>,
    pub sni: Option<String>,
    pub alpn: Option<String>,
    /// Verified name of the peer: its SPIFFE ID, or the subject of its certificate.
    pub peer: Option<String>,
    /// SHA-256 of the peer's certificate.
    pub certificate_sha256: Option<Digest>,
}

#[derive(Debug, Clone)]
pub enum Event {
    Request(Box<RequestEvent>),
    Connection(ConnectionEvent),
    Lifecycle(LifecycleEvent),
    Secrets(SecretEvent),
}

/// Something that happened to secrets, beyond one request.
#[derive(Debug, Clone)]
pub struct SecretEvent {
    pub what: SecretWord,
    /// Of each where it is or whose it is, and what it is for. Never anything of its content.
    pub secrets: Vec<SecretRef>,
}

/// A secret, by its place and its purpose.
#[derive(Debug, Clone)]
pub struct SecretRef {
    /// `file:/run/secrets/openai`; nothing where several make one credential.
    pub from: Option<String>,
    /// `credential api-key for upstream openai`.
    pub purpose: String,
}

/// Names of events that concern secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretWord {
    /// Read, for a set that was taken over, or was to be.
    Read,
    /// Put into a request for an upstream, or exchanged for what was.
    Used,
    /// One that was replaced was shown once more, because the upstream refused the new one.
    PreviousUsed,
    /// Not shown, because it is too old.
    Refused,
    /// Another one took its place.
    Rotated,
    /// One that was replaced is not kept any longer.
    Retired,
    /// Older than its policy wants it.
    Aged,
    /// So old that it is not shown.
    Expired,
}

/// What was concluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    Allow,
    Deny,
    /// No decision could be reached, which refuses.
    Error,
}

/// One request and its answer.
#[derive(Debug, Clone)]
pub struct RequestEvent {
    pub principal: Option<Arc<Principal>>,
    /// Tenant whose resource was asked for, where the request says it and it is known.
    pub tenant: Option<Name>,
    pub route: Option<Name>,
    pub upstream: Option<Name>,
    /// Names of the credentials that were put into the request for the upstream, or exchanged for what was.
    pub credentials: Vec<Name>,
    /// What it did with secrets besides showing them.
    pub secrets: Vec<SecretWord>,
    /// The endpoint the request went to: its address, or the process that listened. Nothing where no connection was made.
    pub endpoint: Option<Peer>,
    /// Attempts after the first.
    pub retries: u32,
    pub dialect: Option<Dialect>,
    pub action: Option<Action>,
    /// Model the request asked for.
    pub model: Option<String>,
    pub method: String,
    pub host: String,
    /// Canonical path without query.
    pub path: String,
    /// Status the caller got, 0 where none was sent.
    pub status: u16,
    pub decision: Decision,
    pub reason: Option<Reason>,
    /// Rule that decided, `AccessControlPolicy/default/tools#read`.
    pub rule: Option<Name>,
    /// The rules that permitted it, where something else refused it afterwards.
    pub permits: Option<Name>,
    /// Bindings that gave the caller the roles of the rules that permitted it.
    pub bindings: Vec<Name>,
    /// Entries of allow lists that took it.
    pub entries: Vec<Name>,
    /// What policy on trial would have made of it, where that is something else.
    pub rehearsal: Option<Rehearsal>,
    /// What guards on trial found.
    pub tried_findings: Vec<ContentFinding>,
    /// Guards that ran, in order, as execution noted them.
    pub request_guards: Vec<Name>,
    pub response_guards: Vec<Name>,
    pub findings: Vec<ContentFinding>,
    /// Exceptions without which it would have been refused.
    pub exceptions: Vec<Name>,
    /// Body bytes received from the caller.
    pub bytes_in: u64,
    /// Body bytes sent to the caller.
    pub bytes_out: u64,
    /// From the first byte of the head to the last byte of the answer, in microseconds.
    pub duration_us: u64,
    pub streamed: bool,
}

/// A connection that never carried a request, ended because of how it was framed, or was cut.
#[derive(Debug, Clone)]
pub struct ConnectionEvent {
    pub failure: ConnectionFailure,
    pub reason: Option<Reason>,
    /// Name in a certificate that was presented and not believed.
    pub claimed: Option<String>,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub duration_us: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionFailure {
    /// The TLS handshake failed or took too long.
    Handshake,
    /// Refused before a handshake: address rules, caps, bans.
    Refused,
    /// What arrived was not HTTP as we accept it.
    Framing,
    /// We ended it while it was open: its peer is not believed any more, or is to be stopped.
    Cut,
}

/// A change of the process.
#[derive(Debug, Clone)]
pub enum LifecycleEvent {
    Started {
        manifests: Vec<ManifestRef>,
    },
    ReloadAccepted {
        manifests: Vec<ManifestRef>,
    },
    /// The old set stays; `detail` of the record says why.
    ReloadRefused,
    Stopped,
    /// Written by the log itself each time it is opened: connections count from 0 again after it, unless it is `continued`
    /// from a process that handed it over. `torn_bytes` of an unfinished record were dropped.
    LogOpened {
        size: u64,
        torn_bytes: u64,
        continued: bool,
    },
}

impl AuditRecord {
    /// One OCSF event: one line of printable ASCII JSON without its newline. At most half of [`super::leaf::MAX_LINE`].
    #[must_use]
    pub fn to_json(&self, redaction: &Redaction) -> Vec<u8> {
        Json::new(redaction).finish(|json| ocsf::write(json, self))
    }

    /// Whether nobody authenticated caused this refusal. Such records have a share of the log's queue of their own.
    #[must_use]
    pub fn is_anonymous_refusal(&self) -> bool {
        match &self.event {
            Event::Request(request) => {
                let nobody = request.principal.as_ref().is_none_or(|principal| principal.is_anonymous());
                nobody && request.decision != Decision::Allow
            }
            Event::Connection(_) => true,
            Event::Lifecycle(_) | Event::Secrets(_) => false,
        }
    }

    /// About how many bytes the record takes in memory.
    #[must_use]
    pub fn weight(&self) -> usize {
        let own = size_of::<Self>().saturating_add(self.detail.as_ref().map_or(0, String::len));
        own.saturating_add(match &self.event {
            Event::Request(request) => request.weight(),
            Event::Connection(event) => event.claimed.as_ref().map_or(0, String::len),
            Event::Lifecycle(LifecycleEvent::Started { manifests } | LifecycleEvent::ReloadAccepted { manifests }) => {
                manifests.len().saturating_mul(256)
            }
            Event::Lifecycle(_) => 0,
            Event::Secrets(event) => event.secrets.len().saturating_mul(256),
        })
    }
}

impl RequestEvent {
    fn weight(&self) -> usize {
        let texts = [self.method.len(), self.host.len(), self.path.len(), self.model.as_ref().map_or(0, String::len)];
        let guards = self.request_guards.len().saturating_add(self.response_guards.len());
        let findings = self
            .findings
            .iter()
            .chain(&self.tried_findings)
            .map(|f| f.guard.len().saturating_add(f.detector.len()).saturating_add(64));
        let permits = self.bindings.len().saturating_add(self.entries.len());
        let names = guards.saturating_add(self.credentials.len()).saturating_add(permits);
        let names = names.saturating_mul(size_of::<Name>());
        texts.into_iter().chain(findings).fold(size_of::<Self>().saturating_add(names), usize::saturating_add)
    }
}

impl SecretWord {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "secret.read",
            Self::Used => "secret.used",
            Self::PreviousUsed => "secret.previous_used",
            Self::Refused => "secret.refused",
            Self::Rotated => "secret.rotated",
            Self::Retired => "secret.retired",
            Self::Aged => "secret.aged",
            Self::Expired => "secret.expired",
        }
    }
}

impl Decision {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "Allow",
            Self::Deny => "Deny",
            Self::Error => "Error",
        }
    }
}

impl ConnectionFailure {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::Refused => "refused",
            Self::Framing => "framing",
            Self::Cut => "cut",
        }
    }
}

impl LifecycleEvent {
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Started { .. } => "started",
            Self::ReloadAccepted { .. } => "reload_accepted",
            Self::ReloadRefused => "reload_refused",
            Self::Stopped => "stopped",
            Self::LogOpened { .. } => "log_opened",
        }
    }
}
