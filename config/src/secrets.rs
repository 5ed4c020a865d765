//! Secrets that were written where only a reference belongs (PV-001). A value found here is never printed.

use crate::yaml::{Node, Value};
use crate::{Code, Report};

const PV_SECRET: Code = Code(1);

/// A known form of secret: what it is called, how it begins, how many characters of which kind follow at least.
struct Form {
    what: &'static str,
    prefix: &'static str,
    min: usize,
}

const FORMS: &[Form] = &[
    Form { what: "a GitHub token", prefix: "ghp_", min: 20 },
    Form { what: "a GitHub token", prefix: "gho_", min: 20 },
    Form { what: "a GitHub token", prefix: "ghu_", min: 20 },
    Form { what: "a GitHub token", prefix: "ghs_", min: 20 },
    Form { what: "a GitHub token", prefix: "ghr_", min: 20 },
    Form { what: "a GitHub token", prefix: "github_pat_", min: 20 },
    Form { what: "a GitLab token", prefix: "glpat-", min: 16 },
    Form { what: "an API key", prefix: "sk-", min: 20 },
    Form { what: "an API key", prefix: "sk_live_", min: 16 },
    Form { what: "an API key", prefix: "rk_live_", min: 16 },
    Form { what: "an AWS access key", prefix: "AKIA", min: 16 },
    Form { what: "an AWS access key", prefix: "ASIA", min: 16 },
    Form { what: "a Google API key", prefix: "AIza", min: 30 },
    Form { what: "a Slack token", prefix: "xoxb-", min: 10 },
    Form { what: "a Slack token", prefix: "xoxp-", min: 10 },
    Form { what: "a Slack token", prefix: "xoxa-", min: 10 },
    Form { what: "a Slack token", prefix: "xoxr-", min: 10 },
    Form { what: "a Slack token", prefix: "xoxs-", min: 10 },
    Form { what: "a Slack token", prefix: "xapp-", min: 10 },
    Form { what: "an npm token", prefix: "npm_", min: 30 },
    Form { what: "a PyPI token", prefix: "pypi-", min: 30 },
    Form { what: "a Hugging Face token", prefix: "hf_", min: 30 },
    Form { what: "a Vault token", prefix: "hvs.", min: 20 },
];

/// Reports every string below `node` that looks like a secret: an error where its form is known, a warning where it only
/// looks random.
pub(crate) fn scan(node: &Node, report: &mut Report) {
    walk(node, &mut String::new(), report);
}

fn walk(node: &Node, pointer: &mut String, report: &mut Report) {
    let length = pointer.len();
    match &node.value {
        Value::Plain(text) | Value::Text(text) => judge(node, text, pointer, report),
        Value::Sequence(items) => {
            for (index, item) in items.iter().enumerate() {
                pointer.push_str(&format!("[{index}]"));
                walk(item, pointer, report);
                pointer.truncate(length);
            }
        }
        Value::Mapping(entries) => {
            for entry in entries {
                if !pointer.is_empty() {
                    pointer.push('.');
                }
                pointer.push_str(&shown(&entry.key));
                let key = Node { position: entry.key_position.clone(), value: Value::Text(entry.key.clone()) };
                judge(&key, &entry.key, pointer, report);
                walk(&entry.value, pointer, report);
                pointer.truncate(length);
            }
        }
    }
}

fn judge(node: &Node, text: &str, pointer: &str, report: &mut Report) {
    if let Some(what) = known_form(text) {
        let message = format!("this looks like {what}; a manifest names secrets, it does not hold them");
        let help = "revoke it, since it was stored in the clear, and refer to the new one: `env:NAME` or `file:/path`";
        report.error(PV_SECRET, &node.position, pointer, message, help);
    } else if text.split_whitespace().any(looks_random) {
        let message = "this looks random enough to be a secret";
        let help = "if it is one, refer to it by `env:NAME` or `file:/path`; if not, nothing needs to be done";
        report.warning(PV_SECRET, &node.position, pointer, message, help);
    }
}

/// The form of secret that `text` holds anywhere.
fn known_form(text: &str) -> Option<&'static str> {
    if text.contains("-----BEGIN ") && text.contains("PRIVATE KEY-----") {
        return Some("a private key");
    }
    words(text).find_map(|word| {
        let form = FORMS.iter().find(|form| {
            word.strip_prefix(form.prefix).is_some_and(|rest| rest.len() >= form.min && rest.chars().all(is_token))
        });
        form.map(|form| form.what).or_else(|| is_jwt(word).then_some("a JSON web token"))
    })
}

/// The runs of characters that tokens are made of.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(is_token(c) || c == '.')).filter(|word| !word.is_empty())
}

fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_')
}

/// RFC 7519 §3: the first part is the base64url of `{"`, and there are three or five parts.
fn is_jwt(word: &str) -> bool {
    let parts: Vec<_> = word.split('.').collect();
    word.starts_with("eyJ") && matches!(parts.len(), 3 | 5) && parts.first().is_some_and(|head| head.len() >= 10)
}

/// One long run of base64 or hexadecimal with more than 4.2 bits a character (3.4 for hexadecimal).
fn looks_random(word: &str) -> bool {
    let token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '_' | '-');
    if word.len() < 32 || !word.chars().all(token) || !word.contains(|c: char| c.is_ascii_digit()) {
        return false;
    }
    if word.chars().all(|c| c.is_ascii_hexdigit()) {
        return entropy(word) > 3.4;
    }
    let mixed = word.contains(|c: char| c.is_ascii_lowercase()) && word.contains(|c: char| c.is_ascii_uppercase());
    mixed && entropy(word) > 4.2
}

/// Shannon entropy in bits a byte.
fn entropy(word: &str) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in word.bytes() {
        if let Some(count) = counts.get_mut(usize::from(byte)) {
            *count += 1;
        }
    }
    let total = f64::from(u32::try_from(word.len()).unwrap_or(u32::MAX));
    let share = counts.iter().filter(|count| **count > 0).map(|count| f64::from(*count) / total);
    share.map(|p| -p * p.log2()).sum()
}

/// `text` for a message: at most 64 characters, control characters escaped, and nothing that looks like a secret.
pub(crate) fn shown(text: &str) -> String {
    if known_form(text).is_some() || text.split_whitespace().any(looks_random) {
        return format!("[{} characters]", text.chars().count());
    }
    let short: String = text.chars().take(64).flat_map(char::escape_debug).collect();
    let quotes = short.replace("\\\"", "\"").replace("\\'", "'");
    if text.chars().nth(64).is_some() { format!("{quotes}…") } else { quotes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_form_is_found_wherever_it_stands_and_never_printed() {
        let body = "a1B2".repeat(10);
        for prefix in ["ghp_", "github_pat_", "sk-", "sk-proj-", "AKIA", "xoxb-", "glpat-"] {
            let secret = format!("{prefix}{body}");
            for text in [secret.clone(), format!("Bearer {secret}"), format!("key={secret};")] {
                assert!(known_form(&text).is_some(), "{prefix}");
                assert!(!shown(&text).contains(&body), "{prefix}");
            }
        }
        assert_eq!(known_form("eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln"), Some("a JSON web token"));
        assert_eq!(known_form("-----BEGIN EC PRIVATE KEY-----\nMHc"), Some("a private key"));
    }

    #[test]
    fn ordinary_words_are_no_secrets() {
        for text in [
            "sk-",
            "AKIA",
            "task-force-of-the-northern-region",
            "eyJ",
            "spiffe://example.org/ns/agents/sa/ci-bot",
            "-----BEGIN CERTIFICATE-----",
            "https://login.example.com/realms/acme/protocol/openid-connect/certs",
            "file:/run/secrets/openai/key-for-the-chat-route-2026-production",
            "principal.groups.contains(\"sre\")",
        ] {
            assert_eq!(known_form(text), None, "{text}");
            assert!(!text.split_whitespace().any(looks_random), "{text}");
        }
        assert!(looks_random("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"));
        assert!(looks_random("mF9zQ2vT7kLpX4wR8sYb1NcD5hJg3Ae6"));
    }
}
