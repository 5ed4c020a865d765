//! From what happened to what is written down. Each story becomes one record, once, here.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use postern_config::{ContentAction, Snapshot};
use postern_filters::audit::{
    AuditRecord, ConnectionEvent, ConnectionFailure, ConnectionRef, Decision, Event, LifecycleEvent, RequestEvent,
    SecretEvent, TlsFacts,
};
use postern_filters::{Reason, Refusal};
use uuid::Uuid;

use crate::connection::Connection;
use crate::story::Story;

/// Allow, deny, or no decision.
pub(crate) fn decision(story: &Story) -> Decision {
    of_reason(story.refusal.as_ref().map(|refusal| refusal.reason))
}

/// What a refusal for this reason is, or none.
pub(crate) fn of_reason(reason: Option<Reason>) -> Decision {
    match reason {
        None => Decision::Allow,
        Some(Reason::Undecided | Reason::Internal | Reason::UpstreamFailed | Reason::UpstreamUnavailable) => {
            Decision::Error
        }
        Some(_) => Decision::Deny,
    }
}

/// The word of a content action in metrics.
pub(crate) fn action_word(action: ContentAction) -> &'static str {
    match action {
        ContentAction::Allow => "allow",
        ContentAction::Annotate => "annotate",
        ContentAction::Mask => "mask",
        ContentAction::Redact => "redact",
        ContentAction::Tokenize => "tokenize",
        ContentAction::Block => "block",
    }
}

pub(crate) fn of_request(story: Story, connection: &Connection) -> AuditRecord {
    use postern_config::Direction::{Request, Response};
    let duration = story.began.elapsed();
    let concluded = decision(&story);
    let detail = detail(story.refusal.as_ref(), story.trouble.as_deref());
    let cx = &story.context;
    let rule = story.refusal.as_ref().and_then(|refusal| refusal.rule.as_deref()).or(cx.rule());
    let event = RequestEvent {
        principal: cx.known_principal().cloned(),
        tenant: cx.tenant().cloned(),
        route: story.route.as_deref().map(Arc::from),
        upstream: story.upstream.as_deref().map(Arc::from),
        credentials: story.credentials.clone(),
        secrets: story.secrets.clone(),
        endpoint: story.told.address,
        retries: story.told.retries,
        dialect: story.route.is_some().then_some(story.dialect),
        action: cx.action(),
        model: cx.model().map(str::to_owned),
        method: story.head.as_ref().map(|head| head.method.clone()).unwrap_or_default(),
        host: story.head.as_ref().map(|head| head.host.clone()).unwrap_or_default(),
        path: story.head.as_ref().map(|head| head.path.clone()).unwrap_or_default(),
        status: story.status,
        decision: concluded,
        reason: story.refusal.as_ref().map(|refusal| refusal.reason),
        rule: rule.map(Arc::from),
        rehearsal: cx.rehearsal(concluded == Decision::Deny).cloned(),
        tried_findings: cx.tried_findings().to_vec(),
        permits: cx.permits().filter(|_| concluded != Decision::Allow).map(Arc::from),
        bindings: cx.bindings().to_vec(),
        entries: cx.entries().to_vec(),
        request_guards: cx.ran(Request),
        response_guards: cx.ran(Response),
        findings: cx.findings().to_vec(),
        exceptions: cx.exceptions().iter().map(|waived| waived.exception.clone()).collect(),
        bytes_in: story.bytes_in,
        bytes_out: story.bytes_out,
        duration_us: micros(duration),
        streamed: story.streamed,
    };
    AuditRecord {
        id: story.id,
        time_ms: unsigned(story.context.now_ms()),
        connection: Some(reference(connection, story.sequence, story.head.as_ref().and_then(|head| head.client))),
        snapshot: Some(story.snapshot),
        detail,
        event: Event::Request(Box::new(event)),
    }
}

pub(crate) fn of_connection(connection: &Connection, failed_handshake: bool, detail: &str, now_ms: i64) -> AuditRecord {
    let failure = if failed_handshake { ConnectionFailure::Handshake } else { ConnectionFailure::Framing };
    of_failure(connection, failure, detail, now_ms)
}

/// A connection that was refused for whom it came from, or for how many there were.
pub(crate) fn of_refused(connection: &Connection, detail: &str, now_ms: i64) -> AuditRecord {
    of_failure(connection, ConnectionFailure::Refused, detail, now_ms)
}

/// A connection that we ended while it was open.
pub(crate) fn of_cut(connection: &Connection, detail: &str, now_ms: i64) -> AuditRecord {
    of_failure(connection, ConnectionFailure::Cut, detail, now_ms)
}

fn of_failure(connection: &Connection, failure: ConnectionFailure, detail: &str, now_ms: i64) -> AuditRecord {
    let event = ConnectionEvent {
        failure,
        reason: None,
        claimed: None,
        bytes_in: 0,
        bytes_out: 0,
        duration_us: micros(connection.opened.elapsed()),
    };
    AuditRecord {
        id: Uuid::now_v7(),
        time_ms: unsigned(now_ms),
        connection: Some(reference(connection, connection.next_sequence(), None)),
        snapshot: None,
        detail: Some(detail.to_owned()),
        event: Event::Connection(event),
    }
}

pub(crate) fn of_start(snapshot: &Snapshot, now_ms: i64) -> AuditRecord {
    lifecycle(LifecycleEvent::Started { manifests: snapshot.manifests.clone() }, Some(snapshot), None, now_ms)
}

pub(crate) fn of_reload(outcome: Result<(), &str>, snapshot: &Snapshot, now_ms: i64) -> AuditRecord {
    let event = match outcome {
        Ok(()) => LifecycleEvent::ReloadAccepted { manifests: snapshot.manifests.clone() },
        Err(_) => LifecycleEvent::ReloadRefused,
    };
    lifecycle(event, Some(snapshot), outcome.err().map(str::to_owned), now_ms)
}

/// What happened to secrets beside requests.
pub(crate) fn of_secrets(event: SecretEvent, snapshot: &Snapshot, now_ms: i64) -> AuditRecord {
    AuditRecord {
        id: Uuid::now_v7(),
        time_ms: unsigned(now_ms),
        connection: None,
        snapshot: Some(snapshot.digest),
        detail: None,
        event: Event::Secrets(event),
    }
}

pub(crate) fn of_stop(cut: usize, snapshot: &Snapshot, now_ms: i64) -> AuditRecord {
    let detail = (cut > 0).then(|| format!("{cut} connections were cut at the deadline"));
    lifecycle(LifecycleEvent::Stopped, Some(snapshot), detail, now_ms)
}

fn lifecycle(event: LifecycleEvent, snapshot: Option<&Snapshot>, detail: Option<String>, now_ms: i64) -> AuditRecord {
    AuditRecord {
        id: Uuid::now_v7(),
        time_ms: unsigned(now_ms),
        connection: None,
        snapshot: snapshot.map(|snapshot| snapshot.digest),
        detail,
        event: Event::Lifecycle(event),
    }
}

fn reference(connection: &Connection, sequence: u32, client: Option<IpAddr>) -> ConnectionRef {
    ConnectionRef {
        listener: Arc::from(connection.listener.as_str()),
        peer: Some(connection.through.unwrap_or(connection.source)),
        client: client.or_else(|| connection.through.and(connection.source.source().ip())),
        tls: connection.tls.as_ref().map(|tls| tls.recorded.clone()),
        number: connection.number,
        sequence: u64::from(sequence),
    }
}

/// How a handshake looks in records; made once per connection.
pub(crate) fn tls_facts(
    version: &str,
    cipher: &str,
    server_name: Option<&str>,
    peer: Option<&postern_certs::VerifiedPeer>,
) -> Arc<TlsFacts> {
    Arc::new(TlsFacts {
        version: version.to_owned(),
        cipher: cipher.to_owned(),
        group: None,
        sni: server_name.map(str::to_owned),
        alpn: None,
        peer: peer.and_then(|peer| peer.spiffe()).map(ToString::to_string),
        certificate_sha256: peer.map(|peer| *peer.leaf_sha256()),
    })
}

fn detail(refusal: Option<&Refusal>, trouble: Option<&str>) -> Option<String> {
    match (refusal.map(|refusal| refusal.detail.as_str()), trouble) {
        (Some(detail), Some(trouble)) if detail != trouble => Some(format!("{detail}; {trouble}")),
        (Some(detail), _) => Some(detail.to_owned()),
        (None, trouble) => trouble.map(str::to_owned),
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn unsigned(ms: i64) -> u64 {
    u64::try_from(ms).unwrap_or(0)
}
