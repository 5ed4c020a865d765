//! A record as one event of OCSF 1.8: requests are API Activity (6003), connections Network Activity (4001) or a failed
//! Authentication (3002), the process itself Application Lifecycle (6002). What OCSF has no place for is under
//! `unmapped.postern`.

mod secrets;

use postern_config::{Action, ManifestRef, PrincipalType};

use super::encode_hex;
use super::escape::Json;
use super::record::{
    AuditRecord, ConnectionEvent, ConnectionFailure, ConnectionRef, Decision, Event, LifecycleEvent, RequestEvent,
    TlsFacts,
};
use super::redact::Field;
use crate::{ContentFinding, Peer, Principal, Reason, UnixPeer};

/// Name of the product and vendor in `metadata.product`.
pub const PRODUCT: &str = "Postern";
const OCSF_VERSION: &str = "1.8.0";

// Longest text of each kind, in bytes as written.
const NAME: usize = 256;
const ID: usize = 1024;
const PATH: usize = 4096;
const DETAIL: usize = 4096;
// Most items of a list.
const GUARDS: usize = 64;
const FINDINGS: usize = 64;
const MANIFESTS: usize = 256;
const EXCEPTIONS: usize = 8;
const CREDENTIALS: usize = 8;
const PERMITS: usize = 16;

/// `class_uid`, `category_uid` and `activity_id` of an event.
struct Class(u64, u64, u64);

pub(super) fn write(json: &mut Json<'_>, record: &AuditRecord) {
    match &record.event {
        Event::Request(request) => write_request(json, record, request),
        Event::Connection(event) => write_connection(json, record, event),
        Event::Lifecycle(event) => write_lifecycle(json, record, event),
        Event::Secrets(event) => secrets::write(json, record, event),
    }
}

fn write_base(json: &mut Json<'_>, record: &AuditRecord, class: &Class, severity: u64, profiles: &[&str]) {
    let Class(class_uid, category_uid, activity_id) = *class;
    json.number("class_uid", class_uid);
    json.number("category_uid", category_uid);
    json.number("activity_id", activity_id);
    json.number("type_uid", class_uid.saturating_mul(100).saturating_add(activity_id));
    json.number("severity_id", severity);
    json.number("time", record.time_ms);
    json.object("metadata", |json| {
        json.text("version", OCSF_VERSION, NAME);
        json.text("uid", record.id.hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer()), NAME);
        json.object("product", write_product);
        json.texts("profiles", profiles, GUARDS, NAME);
    });
}

fn write_product(json: &mut Json<'_>) {
    json.text("name", PRODUCT, NAME);
    json.text("vendor_name", PRODUCT, NAME);
    json.text("version", env!("CARGO_PKG_VERSION"), NAME);
}

/// Facts that every kind of event has, inside `unmapped.postern`.
fn write_facts(json: &mut Json<'_>, record: &AuditRecord) {
    if let Some(connection) = &record.connection {
        json.text("listener", &connection.listener, NAME);
        json.object("connection", |json| {
            json.number("number", connection.number);
            json.number("sequence", connection.sequence);
        });
        if let Some(Peer::Unix(peer)) = connection.peer {
            json.object("process", |json| write_process(json, peer));
        }
        if let Some(tls) = &connection.tls {
            json.object("tls", |json| write_tls(json, tls));
        }
    }
    if let Some(digest) = &record.snapshot {
        json.text("snapshot", &format!("sha256:{}", encode_hex(digest)), NAME);
    }
    if let Some(detail) = &record.detail {
        json.field(Field::Detail, "detail", detail, DETAIL);
    }
}

fn write_process(json: &mut Json<'_>, process: UnixPeer) {
    json.number("uid", process.uid.into());
    json.number("gid", process.gid.into());
    if let Some(pid) = process.pid {
        json.number("pid", pid.into());
    }
}

fn write_tls(json: &mut Json<'_>, tls: &TlsFacts) {
    json.text("version", &tls.version, NAME);
    json.text("cipher", &tls.cipher, NAME);
    if let Some(group) = &tls.group {
        json.text("group", group, NAME);
    }
    if let Some(sni) = &tls.sni {
        json.field(Field::Sni, "sni", sni, NAME);
    }
    if let Some(alpn) = &tls.alpn {
        json.text("alpn", alpn, NAME);
    }
    if let Some(peer) = &tls.peer {
        json.field(Field::PeerName, "peer", peer, ID);
    }
    if let Some(digest) = &tls.certificate_sha256 {
        json.field(Field::PeerCertificate, "certificate_sha256", &encode_hex(digest), NAME);
    }
}

fn write_source(json: &mut Json<'_>, connection: Option<&ConnectionRef>) {
    let (peer, client) = (connection.and_then(|c| c.peer), connection.and_then(|c| c.client));
    json.object("src_endpoint", |json| match peer {
        Some(Peer::Tcp(peer)) if client.is_some() => {
            json.field(Field::PeerAddress, "ip", &client.map(|ip| ip.to_string()).unwrap_or_default(), NAME);
            if !json.masks(Field::PeerAddress) {
                json.texts("intermediate_ips", &[peer.ip().to_string()], 1, NAME);
            }
        }
        Some(Peer::Tcp(peer)) => {
            json.field(Field::PeerAddress, "ip", &peer.ip().to_string(), NAME);
            if !json.masks(Field::PeerAddress) {
                json.number("port", u64::from(peer.port()));
            }
        }
        Some(Peer::Unix(_)) => json.text("name", "unix", NAME),
        None => json.text("name", "unknown", NAME),
    });
}

fn write_request(json: &mut Json<'_>, record: &AuditRecord, request: &RequestEvent) {
    let class = Class(6003, 6, request.action.map_or(0, activity));
    write_base(json, record, &class, request.severity(), &["security_control"]);
    if let (99, Some(action)) = (class.2, request.action) {
        json.text("activity_name", action.as_str(), NAME);
    }
    json.number("status_id", if request.decision == Decision::Allow { 1 } else { 2 });
    if let Some(reason) = request.reason {
        json.text("status_detail", reason.as_str(), NAME);
    }
    json.number("duration", request.duration_us / 1000);
    let (action_id, disposition_id) = request.disposition();
    json.number("action_id", action_id);
    json.number("disposition_id", disposition_id);
    json.flag("is_alert", matches!(request.reason, Some(Reason::ContentRefused | Reason::AnswerRefused)));
    if let Some(rule) = &request.rule {
        json.object("policy", |json| json.text("name", rule, ID));
    }
    json.object("actor", |json| match &request.principal {
        Some(principal) if !principal.is_anonymous() => {
            json.object("user", |json| write_user(json, principal, Field::UserId));
        }
        Some(_) | None => json.object("user", |json| write_nobody(json)),
    });
    write_http(json, record, request);
    write_source(json, record.connection.as_ref());
    if let Some(upstream) = &request.upstream {
        json.object("dst_endpoint", |json| {
            json.text("name", upstream, NAME);
            match request.endpoint {
                Some(Peer::Tcp(endpoint)) => {
                    json.text("ip", &endpoint.ip().to_string(), NAME);
                    json.number("port", u64::from(endpoint.port()));
                }
                Some(Peer::Unix(_)) => json.text("type", "unix", NAME),
                None => {}
            }
        });
    }
    json.object("unmapped", |json| {
        json.object("postern", |json| {
            write_facts(json, record);
            if let Some(Peer::Unix(process)) = request.endpoint {
                json.object("upstream_process", |json| write_process(json, process));
            }
            write_decision(json, request);
        })
    });
}

fn write_http(json: &mut Json<'_>, record: &AuditRecord, request: &RequestEvent) {
    json.object("api", |json| {
        match request.action {
            Some(action) => json.text("operation", action.as_str(), NAME),
            None => json.field(Field::Method, "operation", &request.method, NAME),
        }
        if let Some(route) = &request.route {
            json.object("service", |json| json.text("name", route, NAME));
        }
        json.object("request", |json| {
            json.text("uid", record.id.hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer()), NAME);
        });
        json.object("response", |json| json.number("code", u64::from(request.status)));
    });
    json.object("http_request", |json| {
        json.field(Field::Method, "http_method", &request.method, NAME);
        json.object("url", |json| {
            json.field(Field::Host, "hostname", &request.host, NAME);
            json.field(Field::Path, "path", &request.path, PATH);
        });
    });
    json.object("http_response", |json| json.number("code", u64::from(request.status)));
}

fn write_user(json: &mut Json<'_>, principal: &Principal, id: Field) {
    let type_id = match principal.kind {
        PrincipalType::User => 1,
        PrincipalType::Component => 3,
        PrincipalType::ServiceAccount => 4,
        PrincipalType::Agent => 99,
        PrincipalType::Anonymous => 0,
    };
    json.field(id, "uid", &principal.id(), ID);
    json.number("type_id", type_id);
    json.text("type", principal.kind.as_str(), NAME);
    json.object("org", |json| json.field(Field::Tenant, "uid", &principal.tenant, NAME));
}

fn write_nobody(json: &mut Json<'_>) {
    json.text("name", "anonymous", NAME);
    json.number("type_id", 0);
}

fn write_decision(json: &mut Json<'_>, request: &RequestEvent) {
    json.text("decision", request.decision.as_str(), NAME);
    if let Some(reason) = request.reason {
        json.text("reason", reason.as_str(), NAME);
    }
    if let Some(principal) = &request.principal {
        json.text("authn", &principal.authn.method, NAME);
        json.text("provider", &principal.authn.provider, NAME);
        if let Some(user) = &principal.on_behalf_of {
            json.object("on_behalf_of", |json| write_user(json, user, Field::OnBehalfOf));
        }
        if !principal.authn.prior_actors.is_empty() {
            // Eight at most; one text, so that it is masked as one.
            json.field(Field::PriorActors, "prior_actors", &principal.authn.prior_actors.join(" < "), ID);
        }
    }
    if let Some(tenant) = &request.tenant {
        json.field(Field::Tenant, "resource_tenant", tenant, NAME);
    }
    if let Some(dialect) = request.dialect {
        json.text("dialect", dialect.as_str(), NAME);
    }
    if let Some(model) = &request.model {
        json.field(Field::Model, "model", model, NAME);
    }
    json.texts("request_guards", &request.request_guards, GUARDS, NAME);
    json.texts("response_guards", &request.response_guards, GUARDS, NAME);
    let ran = request.request_guards.len().saturating_add(request.response_guards.len());
    json.number("guard_count", u64::try_from(ran).unwrap_or(u64::MAX));
    if let Some(permits) = &request.permits {
        json.text("permits", permits, ID);
    }
    if !request.bindings.is_empty() {
        json.texts("bindings", &request.bindings, PERMITS, ID);
    }
    if !request.entries.is_empty() {
        json.texts("entries", &request.entries, PERMITS, ID);
    }
    if let Some(would) = &request.rehearsal {
        json.object("shadow", |json| {
            json.text("policy", &would.policy, ID);
            json.text("decision", would.outcome, NAME);
            if let Some(reason) = would.reason {
                json.text("reason", reason.as_str(), NAME);
            }
            json.text("rule", &would.rule, ID);
            if !request.tried_findings.is_empty() {
                json.number("finding_count", u64::try_from(request.tried_findings.len()).unwrap_or(u64::MAX));
                json.objects("findings", &request.tried_findings, FINDINGS, write_finding);
            }
        });
    }
    if !request.exceptions.is_empty() {
        json.texts("exceptions", &request.exceptions, EXCEPTIONS, ID);
    }
    if !request.credentials.is_empty() {
        json.texts("credentials", &request.credentials, CREDENTIALS, NAME);
    }
    secrets::write_words(json, request);
    if !request.findings.is_empty() {
        json.number("finding_count", u64::try_from(request.findings.len()).unwrap_or(u64::MAX));
        json.objects("findings", &request.findings, FINDINGS, write_finding);
    }
    json.number("bytes_in", request.bytes_in);
    json.number("bytes_out", request.bytes_out);
    json.number("duration_us", request.duration_us);
    json.flag("streamed", request.streamed);
}

fn write_finding(json: &mut Json<'_>, finding: &ContentFinding) {
    json.text("guard", &finding.guard, NAME);
    json.text("detector", &finding.detector, NAME);
    if let Some(label) = &finding.label {
        json.text("label", label, NAME);
    }
    json.text("part", finding.part.as_str(), NAME);
    json.text("action", finding.action.as_str(), NAME);
    json.number("score", u64::from(finding.score));
    json.number("start", u64::try_from(finding.range.start).unwrap_or(u64::MAX));
    json.number("end", u64::try_from(finding.range.end).unwrap_or(u64::MAX));
}

/// `activity_id` of API Activity.
fn activity(action: Action) -> u64 {
    match action {
        Action::Create => 1,
        Action::Read => 2,
        Action::Update => 3,
        Action::Delete => 4,
        Action::Chat | Action::Embed => 99,
    }
}

impl RequestEvent {
    /// 1 informational, 2 low, 3 medium, 4 high.
    fn severity(&self) -> u64 {
        match (self.decision, self.reason) {
            (Decision::Error, _) | (_, Some(Reason::Internal | Reason::Undecided)) => 4,
            (Decision::Deny, Some(Reason::ContentRefused | Reason::AnswerRefused)) => 4,
            (Decision::Deny, _) => 3,
            (Decision::Allow, _) if !self.findings.is_empty() => 2,
            (Decision::Allow, _) => 1,
        }
    }

    /// `action_id` and `disposition_id` of the security_control profile.
    fn disposition(&self) -> (u64, u64) {
        match (self.decision, self.reason) {
            (Decision::Allow, _) if !self.findings.is_empty() => (4, 11),
            (Decision::Allow, _) => (1, 1),
            (Decision::Deny, Some(Reason::CredentialMissing | Reason::CredentialInvalid | Reason::StepUp)) => (2, 26),
            (Decision::Deny, _) => (2, 2),
            (Decision::Error, _) => (2, 27),
        }
    }
}

fn write_connection(json: &mut Json<'_>, record: &AuditRecord, event: &ConnectionEvent) {
    let claimed = event.claimed.as_deref().filter(|_| event.failure == ConnectionFailure::Handshake);
    let class = match (event.failure, claimed) {
        (ConnectionFailure::Handshake, Some(_)) => Class(3002, 3, 1),
        (ConnectionFailure::Handshake, None) => Class(4001, 4, 4),
        (ConnectionFailure::Refused, _) => Class(4001, 4, 5),
        // Both are resets; the failure's own word says which.
        (ConnectionFailure::Framing | ConnectionFailure::Cut, _) => Class(4001, 4, 3),
    };
    write_base(json, record, &class, 3, &["security_control"]);
    json.number("status_id", 2);
    if let Some(reason) = event.reason {
        json.text("status_detail", reason.as_str(), NAME);
    }
    json.number("duration", event.duration_us / 1000);
    json.number("action_id", 2);
    json.number("disposition_id", 2);
    if let Some(claimed) = claimed {
        json.object("user", |json| {
            let hidden = if json.masks(Field::PeerName) { Field::PeerName } else { Field::UserId };
            json.field(hidden, "uid", claimed, ID);
            json.number("type_id", 0);
        });
        json.text("auth_protocol", "mTLS", NAME);
        json.number("auth_protocol_id", 99);
    }
    let listener = record.connection.as_ref().map_or("unknown", |connection| &connection.listener);
    json.object("dst_endpoint", |json| json.text("name", listener, NAME));
    write_source(json, record.connection.as_ref());
    json.object("unmapped", |json| {
        json.object("postern", |json| {
            write_facts(json, record);
            json.text("decision", Decision::Deny.as_str(), NAME);
            json.text("failure", event.failure.as_str(), NAME);
            json.number("bytes_in", event.bytes_in);
            json.number("bytes_out", event.bytes_out);
            json.number("duration_us", event.duration_us);
        })
    });
}

fn write_lifecycle(json: &mut Json<'_>, record: &AuditRecord, event: &LifecycleEvent) {
    let (activity, severity, status) = match event {
        LifecycleEvent::Started { .. } => (3, 1, 1),
        LifecycleEvent::Stopped => (4, 1, 1),
        LifecycleEvent::ReloadAccepted { .. } => (8, 1, 1),
        LifecycleEvent::ReloadRefused => (8, 3, 2),
        LifecycleEvent::LogOpened { torn_bytes: 0, .. } => (6, 1, 1),
        LifecycleEvent::LogOpened { .. } => (6, 3, 1),
    };
    write_base(json, record, &Class(6002, 6, activity), severity, &[]);
    json.number("status_id", status);
    json.object("app", write_product);
    json.object("unmapped", |json| {
        json.object("postern", |json| {
            write_facts(json, record);
            json.text("lifecycle", event.as_str(), NAME);
            match event {
                LifecycleEvent::Started { manifests } | LifecycleEvent::ReloadAccepted { manifests } => {
                    json.number("manifest_count", u64::try_from(manifests.len()).unwrap_or(u64::MAX));
                    json.objects("manifests", manifests, MANIFESTS, write_manifest);
                }
                LifecycleEvent::LogOpened { size, torn_bytes, continued } => {
                    json.number("log_size", *size);
                    json.number("torn_bytes", *torn_bytes);
                    if *continued {
                        json.flag("continued", true);
                    }
                }
                LifecycleEvent::ReloadRefused | LifecycleEvent::Stopped => {}
            }
        })
    });
}

fn write_manifest(json: &mut Json<'_>, manifest: &ManifestRef) {
    json.text("kind", &manifest.kind, NAME);
    json.text("namespace", &manifest.namespace, NAME);
    json.text("name", &manifest.name, NAME);
    json.text("digest", &format!("sha256:{}", encode_hex(&manifest.digest)), NAME);
    json.text("file", &manifest.file, NAME);
}

#[cfg(test)]
mod tests;
