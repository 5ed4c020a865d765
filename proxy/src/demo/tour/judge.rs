//! From what came back, and what the upstream saw, to an outcome.

use serde_json::Value;

use super::super::client::Reply;
use super::super::model::{Seen, leaked_key};
use super::steps::{Proof, Step};

/// The outcome of one step, and why. `reached` is how many requests arrived upstream meanwhile.
pub(super) fn judge(step: &Step<'_>, reply: &Reply, reached: u64, seen: &Seen) -> (String, String) {
    if !(200..300).contains(&reply.status) {
        return refusal(reply, reached);
    }
    let status = reply.status.to_string();
    if reached != 1 {
        return (format!("{status}, the upstream saw {reached} requests"), String::new());
    }
    if carries_credential(step, seen) {
        return (format!("{status}, the upstream got the caller's token"), String::new());
    }
    match step.proof {
        Proof::Reached => (status, said(reply)),
        Proof::Streamed => streamed(reply),
        Proof::CardHidden => card(reply, seen),
        Proof::SecretCut => secret(reply),
    }
}

/// The id under which a refusal is found in the log.
pub(super) fn decision(reply: &Reply) -> Option<String> {
    reply.headers.get("postern-decision")?.to_str().ok().map(str::to_owned)
}

fn refusal(reply: &Reply, reached: u64) -> (String, String) {
    let body: Value = serde_json::from_str(&reply.body).unwrap_or_default();
    let text = |pointer| body.pointer(pointer).and_then(Value::as_str);
    let mut outcome = match text("/error/code") {
        Some(code) => format!("{} {code}", reply.status),
        None => reply.status.to_string(),
    };
    if decision(reply).is_none() {
        outcome.push_str(", without a decision id");
    }
    if reply.status == 429 && !reply.headers.contains_key("retry-after") {
        outcome.push_str(", without Retry-After");
    }
    if reached > 0 {
        outcome.push_str(", after the upstream saw it");
    }
    (outcome, text("/error/message").or_else(|| text("/title")).unwrap_or_default().to_owned())
}

/// Whether the last request to the model brought along what the caller proved itself with.
fn carries_credential(step: &Step<'_>, seen: &Seen) -> bool {
    let Some(token) = &step.ask.token else { return false };
    seen.headers.values().any(|value| value.to_str().is_ok_and(|value| value.contains(token.as_str())))
}

fn said(reply: &Reply) -> String {
    let body: Value = serde_json::from_str(&reply.body).unwrap_or_default();
    let content = body.pointer("/choices/0/message/content").and_then(Value::as_str);
    content.map(|content| format!("“{content}”")).unwrap_or_default()
}

fn streamed(reply: &Reply) -> (String, String) {
    let text = text_of(reply);
    if is_ended(reply) && text == "You said: Tell me a story." {
        return ("200, to the end".to_owned(), format!("“{text}”"));
    }
    ("200, broken off".to_owned(), format!("“{text}”"))
}

fn card(reply: &Reply, seen: &Seen) -> (String, String) {
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).count();
    let around = seen.text.starts_with("My card is ") && seen.text.ends_with(", is that all you need?");
    let outcome = match (digits(&seen.text) + digits(&said(reply)), around) {
        (0, true) => "200, card hidden",
        (0, false) => "200, more than the card hidden",
        _ => "200, the model saw the card",
    };
    (outcome.to_owned(), format!("the model saw “{}”", seen.text))
}

fn secret(reply: &Reply) -> (String, String) {
    let text = text_of(reply);
    let around = text.contains("the key is ") && text.contains(", keep it safe");
    let outcome = if reply.body.contains(&leaked_key()) || text.contains(&leaked_key()) {
        "200, the secret came through"
    } else if !around || !is_whole(reply) {
        "200, more than the secret cut"
    } else {
        "200, secret cut"
    };
    (outcome.to_owned(), format!("“{text}”"))
}

/// A stream to its end, or a body that is not a stream.
fn is_whole(reply: &Reply) -> bool {
    is_ended(reply) || serde_json::from_str::<Value>(&reply.body).is_ok()
}

fn is_ended(reply: &Reply) -> bool {
    reply.body.trim_end().ends_with("data: [DONE]")
}

/// Everything the answer says, streamed or whole, as a client puts it together.
fn text_of(reply: &Reply) -> String {
    const PLACES: [&str; 4] = [
        "/choices/0/delta/content",
        "/choices/0/delta/tool_calls/0/function/arguments",
        "/choices/0/message/content",
        "/choices/0/message/tool_calls/0/function/arguments",
    ];
    let events = reply.body.lines().map(|line| line.strip_prefix("data: ").unwrap_or(line));
    let values = events.filter_map(|event| serde_json::from_str::<Value>(event).ok());
    let texts = values.flat_map(|value| {
        PLACES.map(|place| value.pointer(place).and_then(Value::as_str).unwrap_or_default().to_owned())
    });
    texts.collect()
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn reply(status: u16, body: &str) -> Reply {
        Reply { status, headers: HeaderMap::new(), body: body.to_owned() }
    }

    fn stream(pieces: &[&str]) -> Reply {
        let event =
            |piece: &&str| format!("data: {}\n\n", serde_json::json!({"choices": [{"delta": {"content": piece}}]}));
        reply(200, &(pieces.iter().map(event).collect::<String>() + "data: [DONE]\n\n"))
    }

    #[test]
    fn a_secret_in_pieces_is_seen_and_so_is_a_stream_cut_too_short() {
        let key = leaked_key();
        let (a, b) = key.split_at(7);
        for (case, reply, want) in [
            ("cut", stream(&["the key is ", "[x]", ", keep it safe"]), "200, secret cut"),
            ("in pieces", stream(&["the key is ", a, b, ", keep it safe"]), "200, the secret came through"),
            ("all gone", stream(&["the key is "]), "200, more than the secret cut"),
            (
                "no end",
                reply(200, "data: {\"choices\":[{\"delta\":{\"content\":\"the key is , keep it safe\"}}]}\n\n"),
                "200, more than the secret cut",
            ),
        ] {
            assert_eq!(secret(&reply).0, want, "{case}");
        }
    }

    #[test]
    fn a_refusal_names_its_code_and_what_is_wrong_with_it() {
        let mut full = reply(403, r#"{"error":{"code":"policy_denied","message":"Not permitted"}}"#);
        assert_eq!(refusal(&full, 0).0, "403 policy_denied, without a decision id");
        full.headers.insert("postern-decision", http::HeaderValue::from_static("x"));
        assert_eq!(refusal(&full, 0), ("403 policy_denied".to_owned(), "Not permitted".to_owned()));
        assert_eq!(refusal(&full, 1).0, "403 policy_denied, after the upstream saw it");
        full.status = 429;
        assert_eq!(refusal(&full, 0).0, "429 policy_denied, without Retry-After");
    }
}
