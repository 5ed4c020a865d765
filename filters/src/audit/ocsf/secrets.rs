//! What happened to secrets: Entity Management (3004) with the name of our event, and a list of such names on requests.

use super::{Class, NAME, write_base, write_facts};
use crate::audit::escape::Json;
use crate::audit::record::{AuditRecord, RequestEvent, SecretEvent, SecretRef, SecretWord};

/// Most secrets of one record; `secret_count` says how many there were.
const SECRETS: usize = 256;
const PLACE: usize = 512;

pub(super) fn write(json: &mut Json<'_>, record: &AuditRecord, event: &SecretEvent) {
    // Activity, severity and status.
    let (activity, severity, status) = match event.what {
        SecretWord::Read | SecretWord::Used | SecretWord::PreviousUsed => (2, 1, 1),
        SecretWord::Rotated => (3, 1, 1),
        SecretWord::Retired => (4, 1, 1),
        SecretWord::Aged => (99, 3, 1),
        SecretWord::Expired | SecretWord::Refused => (9, 4, 2),
    };
    write_base(json, record, &Class(3004, 3, activity), severity, &[]);
    json.text("activity_name", event.what.as_str(), NAME);
    json.number("status_id", status);
    json.object("entity", |json| {
        let sole = event.secrets.first().filter(|_| event.secrets.len() == 1);
        json.text("name", sole.map_or("secrets", |secret| &secret.purpose), PLACE);
        json.text("type", "secret", NAME);
    });
    json.object("unmapped", |json| {
        json.object("postern", |json| {
            write_facts(json, record);
            json.texts("events", &[event.what.as_str()], 1, NAME);
            json.number("secret_count", u64::try_from(event.secrets.len()).unwrap_or(u64::MAX));
            json.objects("secrets", &event.secrets, SECRETS, write_secret);
        })
    });
}

fn write_secret(json: &mut Json<'_>, secret: &SecretRef) {
    json.text("purpose", &secret.purpose, PLACE);
    if let Some(from) = &secret.from {
        json.text("from", from, PLACE);
    }
}

/// What a request did with secrets.
pub(super) fn write_words(json: &mut Json<'_>, request: &RequestEvent) {
    let used = (!request.credentials.is_empty()).then_some(SecretWord::Used);
    let words: Vec<&str> = used.iter().chain(&request.secrets).map(|word| word.as_str()).collect();
    if !words.is_empty() {
        json.texts("events", &words, words.len(), NAME);
    }
}
