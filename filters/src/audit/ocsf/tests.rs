use std::sync::Arc;

use postern_config::{ContentAction, Dialect, Part};
use serde_json::Value;
use uuid::Uuid;

use super::*;
use crate::audit::SecretWord;
use crate::audit::leaf::MAX_LINE;
use crate::audit::{Name, Redaction};
use crate::{Assurance, Principal};

fn principal(text: &str) -> Principal {
    Principal {
        kind: PrincipalType::Agent,
        issuer: text.to_owned(),
        subject: text.to_owned(),
        tenant: text.to_owned(),
        groups: vec![],
        scopes: vec![],
        tags: vec![],
        authn: Assurance {
            provider: text.to_owned(),
            method: text.to_owned(),
            prior_actors: vec![text.to_owned()],
            ..Assurance::default()
        },
        on_behalf_of: None,
    }
}

/// A record with `text` in every field that takes text.
fn request(text: &str) -> AuditRecord {
    let name: Name = text.into();
    let user = Principal { kind: PrincipalType::User, ..principal(text) };
    let tls = TlsFacts {
        version: text.to_owned(),
        cipher: text.to_owned(),
        group: Some(text.to_owned()),
        sni: Some(text.to_owned()),
        alpn: Some(text.to_owned()),
        peer: Some(text.to_owned()),
        certificate_sha256: Some([1; 32]),
    };
    let finding = ContentFinding {
        guard: text.to_owned(),
        detector: text.to_owned(),
        part: Part::User,
        action: ContentAction::Mask,
        score: 100,
        range: 3..9,
        label: None,
    };
    AuditRecord {
        id: Uuid::from_u128(7),
        time_ms: 1_700_000_000_123,
        connection: Some(ConnectionRef {
            listener: name.clone(),
            peer: Some(Peer::Tcp("192.0.2.7:4711".parse().unwrap())),
            client: None,
            tls: Some(Arc::new(tls)),
            number: 12,
            sequence: 3,
        }),
        snapshot: Some([0xab; 32]),
        detail: Some(text.to_owned()),
        event: Event::Request(Box::new(RequestEvent {
            tenant: None,
            rehearsal: None,
            tried_findings: Vec::new(),
            permits: Some(name.clone()),
            bindings: vec![name.clone(); 20],
            entries: vec![name.clone(); 20],
            principal: Some(Arc::new(Principal { on_behalf_of: Some(Arc::new(user)), ..principal(text) })),
            route: Some(name.clone()),
            upstream: Some(name.clone()),
            credentials: vec![name.clone(); 20],
            secrets: vec![SecretWord::PreviousUsed],
            endpoint: None,
            retries: 0,
            dialect: Some(Dialect::OpenAi),
            action: Some(Action::Chat),
            model: Some(text.to_owned()),
            method: text.to_owned(),
            host: text.to_owned(),
            path: text.to_owned(),
            status: 403,
            decision: Decision::Deny,
            reason: Some(Reason::ContentRefused),
            rule: Some(name.clone()),
            request_guards: vec![name.clone(); 100],
            response_guards: vec![name.clone()],
            findings: vec![finding; 100],
            exceptions: vec![name.clone(); 20],
            bytes_in: 1,
            bytes_out: 2,
            duration_us: 3456,
            streamed: true,
        })),
    }
}

fn connection(failure: ConnectionFailure, claimed: Option<&str>) -> AuditRecord {
    let event = ConnectionEvent {
        failure,
        reason: Some(Reason::Malformed),
        claimed: claimed.map(str::to_owned),
        bytes_in: 1,
        bytes_out: 0,
        duration_us: 9,
    };
    AuditRecord { event: Event::Connection(event), ..request("edge") }
}

fn lifecycle(event: LifecycleEvent) -> AuditRecord {
    AuditRecord { event: Event::Lifecycle(event), connection: None, ..request("text") }
}

fn manifests(n: usize, text: &str) -> Vec<ManifestRef> {
    let text = || text.to_owned();
    vec![ManifestRef { kind: text(), namespace: text(), name: text(), digest: [9; 32], file: text() }; n]
}

fn event(record: &AuditRecord) -> Value {
    serde_json::from_slice(&record.to_json(&Redaction::default())).unwrap()
}

#[test]
fn every_event_has_the_class_of_its_kind_and_what_ocsf_requires_of_it() {
    use ConnectionFailure::{Cut, Framing, Handshake, Refused};
    for (case, record, type_uid, required) in [
        ("chat", request("a"), 600_399, "actor api src_endpoint http_request http_response activity_name"),
        ("handshake", connection(Handshake, None), 400_104, "src_endpoint dst_endpoint"),
        ("bad certificate", connection(Handshake, Some("spiffe://x/y")), 300_201, "user src_endpoint dst_endpoint"),
        ("refused", connection(Refused, None), 400_105, "src_endpoint dst_endpoint"),
        ("framing", connection(Framing, None), 400_103, "src_endpoint dst_endpoint"),
        ("cut", connection(Cut, None), 400_103, "src_endpoint dst_endpoint"),
        ("start", lifecycle(LifecycleEvent::Started { manifests: vec![] }), 600_203, "app"),
        ("reload", lifecycle(LifecycleEvent::ReloadAccepted { manifests: vec![] }), 600_208, "app"),
        ("bad reload", lifecycle(LifecycleEvent::ReloadRefused), 600_208, "app"),
        ("stop", lifecycle(LifecycleEvent::Stopped), 600_204, "app"),
        ("open", lifecycle(LifecycleEvent::LogOpened { size: 1, torn_bytes: 2, continued: true }), 600_206, "app"),
    ] {
        let event = event(&record);
        let base = "activity_id category_uid class_uid metadata severity_id status_id time type_uid";
        for field in base.split(' ').chain(required.split(' ')) {
            assert!(!event[field].is_null(), "{case}: {field} in {event}");
        }
        assert_eq!(event["type_uid"], type_uid, "{case}");
        assert_eq!(event["class_uid"].as_u64().unwrap() / 1000, event["category_uid"].as_u64().unwrap(), "{case}");
        assert_eq!(event["metadata"]["version"], "1.8.0");
        assert_eq!(event["metadata"]["product"]["name"], "Postern");
    }
}

#[test]
fn a_request_tells_who_what_and_why() {
    let event = event(&request("edge"));
    let ours = &event["unmapped"]["postern"];
    assert_eq!(event["metadata"]["uid"], "00000000-0000-0000-0000-000000000007");
    assert_eq!(event["api"]["request"]["uid"], event["metadata"]["uid"]);
    assert_eq!(event["actor"]["user"]["uid"], "edge|edge");
    assert_eq!(event["actor"]["user"]["type"], "Agent");
    assert_eq!(ours["on_behalf_of"]["type"], "User");
    assert!(ours["prior_actors"].is_string(), "{ours}");
    assert_eq!((&event["action_id"], &event["disposition_id"]), (&2.into(), &2.into()));
    assert_eq!((&event["severity_id"], &event["is_alert"]), (&4.into(), &true.into()));
    assert_eq!(ours["connection"]["sequence"], 3);
    assert_eq!(ours["reason"], "content_refused");
    assert_eq!(ours["snapshot"], format!("sha256:{}", "ab".repeat(32)));
    assert_eq!((&ours["finding_count"], ours["findings"].as_array().unwrap().len()), (&100.into(), 64));
    assert_eq!((&ours["guard_count"], ours["request_guards"].as_array().unwrap().len()), (&101.into(), 64));
    assert_eq!(event["src_endpoint"]["ip"], "192.0.2.7");
}

#[test]
fn a_request_of_nobody_is_anonymous() {
    let mut record = request("edge");
    let Event::Request(inner) = &mut record.event else { unreachable!() };
    inner.principal = None;
    inner.action = None;
    let event = event(&record);
    assert_eq!(event["actor"]["user"]["name"], "anonymous");
    assert_eq!((&event["activity_id"], &event["api"]["operation"]), (&0.into(), &"edge".into()));
    assert!(record.is_anonymous_refusal());
}

/// Attack 52: no field can end the line, the string or the terminal's patience.
#[test]
fn hostile_bytes_in_any_field_stay_inside_their_string() {
    let hostile = "a\r\n{\"class_uid\":1}\0\u{1b}[31m\u{9b}2J\u{202e}<script>&'\"\\\u{2028}\u{feff}é😀";
    let mut records = vec![
        request(hostile),
        lifecycle(LifecycleEvent::Started { manifests: manifests(3, hostile) }),
        AuditRecord { detail: Some(hostile.to_owned()), ..lifecycle(LifecycleEvent::ReloadRefused) },
    ];
    let mut claimed = connection(ConnectionFailure::Handshake, Some(hostile));
    claimed.connection = request(hostile).connection;
    records.push(claimed);
    for record in records {
        let line = record.to_json(&Redaction::default());
        assert!(line.iter().all(|b| (b' '..=b'~').contains(b)), "{}", String::from_utf8_lossy(&line));
        let event: Value = serde_json::from_slice(&line).unwrap();
        let mut texts = Vec::new();
        collect(&event, &mut texts);
        let found = texts.iter().filter(|text| text.contains("class_uid")).count();
        assert!(found >= 1, "the text is there, as text");
        for text in texts {
            assert!(!text.chars().any(|c| c.is_control() || c == '\u{202e}' || c == '\u{2028}'), "{text:?}");
        }
        assert_ne!(event["class_uid"], 1);
    }
}

fn collect(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::String(text) => into.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| collect(item, into)),
        Value::Object(fields) => fields.values().for_each(|field| collect(field, into)),
        _ => {}
    }
}

#[test]
fn no_record_is_longer_than_half_a_line() {
    for text in ["x".repeat(100_000), "\u{1b}".repeat(100_000), "\u{1f600}".repeat(50_000)] {
        let set = LifecycleEvent::Started { manifests: manifests(2000, &text) };
        for record in [request(&text), lifecycle(set), connection(ConnectionFailure::Handshake, Some(&text))] {
            let length = record.to_json(&Redaction::default()).len();
            assert!(length < MAX_LINE / 2, "{length}");
        }
    }
    assert!(request("edge").to_json(&Redaction::default()).len() < 16_000);
}

#[test]
fn redacted_fields_are_masked_and_nothing_else() {
    let secret = "very-private";
    let redact = ["/http_request", "/actor/user", "/unmapped/postern", "/src_endpoint/ip"];
    let redaction = Redaction::compile(&redact).unwrap();
    let mut record = request("edge");
    let Event::Request(inner) = &mut record.event else { unreachable!() };
    (inner.path, inner.host, inner.model) = (secret.into(), secret.into(), Some(secret.into()));
    (inner.action, inner.method) = (None, secret.into());
    inner.principal = Some(Arc::new(principal(secret)));
    if let Some(principal) = inner.principal.as_mut().and_then(Arc::get_mut) {
        principal.authn = Assurance::default();
    }
    record.detail = Some(secret.into());
    let line = String::from_utf8(record.to_json(&redaction)).unwrap();
    assert!(!line.contains(secret) && !line.contains("192.0.2.7") && !line.contains("4711"), "{line}");
    let event: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(event["http_request"]["url"]["path"], "[redacted]");
    assert_eq!(event["api"]["service"]["name"], "edge", "the route is not redacted");
}

#[test]
fn a_client_behind_a_trusted_proxy_is_the_source_and_the_proxy_is_on_the_way() {
    let mut record = request("edge");
    record.connection.as_mut().unwrap().client = Some("203.0.113.9".parse().unwrap());
    let source = event(&record)["src_endpoint"].clone();
    assert_eq!(source, serde_json::json!({"ip": "203.0.113.9", "intermediate_ips": ["192.0.2.7"]}));
    let masked: Value =
        serde_json::from_slice(&record.to_json(&Redaction::compile(&["/src_endpoint/ip"]).unwrap())).unwrap();
    assert!(!masked.to_string().contains("203.0.113.9") && !masked.to_string().contains("192.0.2.7"));
    let unix = Peer::Unix(UnixPeer { uid: 1000, gid: 100, pid: None });
    record.connection.as_mut().unwrap().peer = Some(unix);
    let event = event(&record);
    assert_eq!(event["src_endpoint"], serde_json::json!({"name": "unix"}));
    assert_eq!(event["unmapped"]["postern"]["process"], serde_json::json!({"uid": 1000, "gid": 100}));
}

#[test]
fn an_upstream_on_a_unix_socket_is_told_by_who_listened() {
    let mut record = request("edge");
    if let Event::Request(request) = &mut record.event {
        request.endpoint = Some(Peer::Unix(UnixPeer { uid: 1000, gid: 1001, pid: None }));
    }
    let event = event(&record);
    assert_eq!(event["dst_endpoint"], serde_json::json!({"name": "edge", "type": "unix"}));
    assert_eq!(event["unmapped"]["postern"]["upstream_process"], serde_json::json!({"uid": 1000, "gid": 1001}));
}
