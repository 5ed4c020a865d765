//! An answer as a document, in YAML or JSON.

use postern_filters::audit::Decision;
use postern_filters::dialect;
use serde_json::{Map, Value, json};

use super::{Answer, Line};

/// The document of §11 of the manifests. Beside what stands there: the reason that records name, the request as it was
/// understood, and what was assumed. Nothing was decided, so there is no `decisionId`.
pub(crate) fn as_json(answer: &Answer) -> Value {
    let mut document = Map::new();
    document.insert("decision".to_owned(), json!(answer.decision.as_str()));
    if let Some(refusal) = &answer.refusal {
        document.insert("reason".to_owned(), json!(refusal.reason.as_str()));
    }
    if let Some(rule) = &answer.rule {
        document.insert("rule".to_owned(), json!(rule));
    }
    if let Some(sees) = client_sees(answer) {
        document.insert("clientSees".to_owned(), sees);
    }
    document.insert("request".to_owned(), request(answer));
    document.insert("trace".to_owned(), answer.trace.iter().map(line).collect());
    if let Some(nearest) = &answer.nearest {
        let mut near = Map::new();
        if !nearest.rule.is_empty() {
            near.insert("rule".to_owned(), json!(nearest.rule));
        }
        near.insert("missing".to_owned(), json!(nearest.missing));
        document.insert("nearest".to_owned(), Value::Object(near));
    }
    if let Some(shadow) = &answer.shadow {
        let told = json!({"policy": &*shadow.policy, "decision": shadow.outcome, "rule": shadow.rule});
        document.insert("shadow".to_owned(), told);
    }
    document.insert("assumed".to_owned(), json!(answer.assumed));
    Value::Object(document)
}

fn request(answer: &Answer) -> Value {
    let mut request = Map::new();
    let mut put = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            request.insert(name.to_owned(), json!(value));
        }
    };
    put("route", answer.route.as_deref());
    put("listener", Some(&answer.listener));
    put("method", Some(&answer.method));
    put("host", Some(&answer.host));
    put("path", Some(&answer.target));
    let who = answer.principal.as_ref().map(ToString::to_string);
    put("principal", who.as_deref());
    Value::Object(request)
}

/// What a refused client is told: status and the words of its dialect, no policy.
fn client_sees(answer: &Answer) -> Option<Value> {
    let refusal = answer.refusal.as_ref()?;
    let (status, _, body) = dialect::refusal(answer.dialect, refusal.reason, "");
    let mut sees = Map::new();
    sees.insert("status".to_owned(), json!(status));
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let error = body.get("error").unwrap_or(&body);
    sees.insert("title".to_owned(), json!(refusal.reason.title()));
    for name in ["type", "code"] {
        if let Some(value) = error.get(name).filter(|value| value.as_str().is_some_and(|text| text != "about:blank")) {
            sees.insert(name.to_owned(), value.clone());
        }
    }
    if refusal.reason.is_policy() {
        sees.insert("x-should-retry".to_owned(), json!("false"));
    }
    for (name, value) in &refusal.headers {
        sees.insert((*name).to_owned(), json!(value));
    }
    Some(Value::Object(sees))
}

fn line(line: &Line) -> Value {
    let mut told = Map::new();
    told.insert("stage".to_owned(), json!(line.stage));
    told.insert("by".to_owned(), json!(line.by));
    let mut put = |name: &str, value: &Option<String>| {
        if let Some(value) = value {
            told.insert(name.to_owned(), json!(value));
        }
    };
    put("field", &line.field);
    put("at", &line.at);
    put("rule", &line.rule);
    put("outcome", &Some(line.outcome.to_owned()));
    put("of", &line.of_user.then(|| "the User behind".to_owned()));
    put("because", &line.because);
    if !line.facts.is_empty() {
        told.insert("facts".to_owned(), Value::Object(line.facts.clone()));
    }
    Value::Object(told)
}

impl Answer {
    /// In one line, for people.
    pub(crate) fn summary(&self) -> String {
        let reason = self.refusal.as_ref().map(|refusal| format!(" {}", refusal.reason.as_str())).unwrap_or_default();
        let rule = self.rule.as_ref().map(|rule| format!(" by {rule}")).unwrap_or_default();
        let word = match self.decision {
            Decision::Allow => "Allow",
            Decision::Deny => "Deny",
            Decision::Error => "Error",
        };
        let shadow = self.shadow.as_ref().map(|would| {
            let rule = if would.rule.is_empty() { String::new() } else { format!(" by {}", would.rule) };
            format!("; with {} on trial: {}{rule}", would.policy, would.outcome)
        });
        format!("{word}{reason}{rule}{}", shadow.unwrap_or_default())
    }
}

/// A document as YAML: one key a line, lists of objects one object a line.
pub(crate) fn as_yaml(document: &Value) -> String {
    let mut out = String::new();
    block(document, 0, &mut out);
    out
}

/// Longest object that is written in one line.
const WIDE: usize = 110;

fn block(value: &Value, indent: usize, out: &mut String) {
    let Value::Object(fields) = value else {
        out.push_str(&flow(value));
        out.push('\n');
        return;
    };
    let pad = " ".repeat(indent);
    for (key, value) in fields {
        match value {
            Value::Array(items) if !items.is_empty() => {
                out.push_str(&format!("{pad}{}:\n", scalar(key)));
                for item in items {
                    out.push_str(&format!("{pad}  - {}\n", flow(item)));
                }
            }
            Value::Object(inner) if !inner.is_empty() && flow(value).len() > WIDE => {
                out.push_str(&format!("{pad}{}:\n", scalar(key)));
                block(value, indent + 2, out);
            }
            _ => out.push_str(&format!("{pad}{}: {}\n", scalar(key), flow(value))),
        }
    }
}

fn flow(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|(key, value)| format!("{}: {}", scalar(key), flow(value))).collect();
            format!("{{{}}}", fields.join(", "))
        }
        Value::String(text) => scalar(text),
        other => other.to_string(),
    }
}

/// Plain where every reader takes it for the same text, quoted as in JSON otherwise.
fn scalar(text: &str) -> String {
    use postern_config::yaml::Plain;
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '/' | '-' | '+' | '*' | ' ' | '(' | ')');
    let first = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/');
    let plain = first && text.chars().all(fine) && !text.ends_with(' ') && Plain::of(text) == Plain::Word;
    if plain { text.to_owned() } else { Value::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_as_what_it_was() {
        let document = json!({
            "decision": "Deny",
            "clientSees": {"status": 403, "title": "Not permitted"},
            "trace": [
                {"stage": 2, "by": "A/b/c", "field": "/spec/allow/0", "because": "`x` is false: a, b", "facts": {"g": ["a b", "yes", "1", ""]}},
                {"stage": 8, "by": "built-in", "outcome": "Deny", "n": null, "t": true},
            ],
            "empty": [],
            "long": {"one": "x".repeat(80), "two": {"three": "y".repeat(40)}},
            "spiffe://a": "https://login.example.com|mia",
        });
        let text = as_yaml(&document);
        let mut report = postern_config::Report::new();
        let name = std::sync::Arc::from("out.yaml");
        let read = postern_config::yaml::parse(
            &name,
            text.as_bytes(),
            1 << 20,
            postern_config::yaml::End::Newline,
            &mut report,
        );
        assert!(!report.has_errors(), "{report}\n{text}");
        let read: Value = serde_json::from_str(&postern_config::yaml::canonical_json(&read.nodes[0])).unwrap();
        assert_eq!(read, document, "{text}");
        assert!(text.contains("\ntrace:\n  - {stage: 2, by: A/b/c, field: /spec/allow/0, "), "{text}");
    }
}
