//! Keys that callers hold.

use postern_config::ApiKeyProvider;

use super::super::{ApiKeys, MadeKey, TokenError};
use super::*;

/// 2023-11-15, a little after [`NOW`].
const UNTIL: i64 = NOW + 3600;
const ISSUER: &str = "https://keys.example.com";

fn provider() -> Provider {
    Provider {
        name: "partners".to_owned(),
        kind: ProviderKind::ApiKey(Box::new(ApiKeyProvider {
            issuer: ISSUER.to_owned(),
            prefix: "acme_".to_owned(),
            keys: Material::Env("UNUSED".to_owned()),
        })),
        principal: PrincipalType::ServiceAccount,
        tenant: TenantSource::Key,
        tenants: vec!["acme".to_owned()],
    }
}

fn made(id: &str) -> (String, String) {
    let made = MadeKey::new("acme_", id, "acme", &["ci".to_owned()], UNTIL).unwrap();
    (String::from_utf8(made.key.expose().clone()).unwrap(), made.line)
}

fn keys(lines: &[&str]) -> ApiKeys {
    ApiKeys::parse(&provider(), lines.join("\n").as_bytes()).unwrap()
}

fn said(keys: &ApiKeys, key: &str, now: i64) -> String {
    keys.authenticate(key, now).map_or_else(|error| error.to_string(), |token| token.principal.id())
}

#[test]
fn a_key_is_its_holder_until_it_ends_and_no_other_text_is() {
    let ((key, line), (other, _)) = (made("ci-bot"), made("unlisted"));
    let keys = keys(&["", &line, ""]);
    let (shape, none) = ("not of the form", "none of the keys");
    let cut = |at: usize| key.get(..at).unwrap();
    for (case, text, want) in [
        ("the key", key.as_str(), "https://keys.example.com|ci-bot"),
        ("a key made for nobody here", &other, none),
        ("cut by one", cut(key.len() - 1), none),
        ("one more", &format!("{key}A"), none),
        ("other case", &key.to_uppercase(), shape),
        ("the prefix alone", "acme_", shape),
        ("too short to be random", cut(5 + 21), shape),
        ("short, and none of ours", cut(5 + 22), none),
        ("another prefix", &key.replace("acme_", "acmf_"), shape),
        ("a character of no key", &format!("{key}="), shape),
        ("far too long", &format!("{key}{}", "A".repeat(256)), shape),
        ("the digest itself", line.split('"').nth(7).unwrap(), shape),
        ("nothing", "", shape),
    ] {
        let got = said(&keys, text, NOW);
        assert!(got.contains(want), "{case}: {got}");
        assert!(text.is_empty() || !got.contains(text), "{case}: a key is never told");
    }
    assert!(said(&keys, &key, UNTIL - 1).contains("ci-bot"));
    assert!(said(&keys, &key, UNTIL).contains("expired"), "at its end, without a reload");
    let who = keys.authenticate(&key, NOW).unwrap().principal.clone();
    assert_eq!((who.tenant.as_str(), who.groups.as_slice()), ("acme", &["ci".to_owned()][..]));
    assert!(!who.authn.sender_bound && who.authn.expires_at == UNTIL && who.authn.method == "api-key");
    assert!(!format!("{keys:?}").contains(&key));
}

#[test]
fn a_line_that_is_wrong_refuses_the_file_and_is_named() {
    let (_, good) = made("a");
    let (_, other) = made("b");
    let line = |change: Value| with(serde_json::from_str(&good).unwrap(), change).to_string();
    let digest = |line: &str| serde_json::from_str::<Value>(line).unwrap()["sha256"].clone();
    for (case, second, want) in [
        ("not JSON", "acme_secret".to_owned(), "line 3 is not a JSON object"),
        ("a name twice", r#"{"id":"x","id":"y"}"#.to_owned(), "line 3 is not a JSON object"),
        ("unknown member", line(json!({"key": "x", "id": "x"})), "line 3 has the member `key`"),
        ("no id", line(json!({"id": null})), "line 3 has a missing or malformed `id`"),
        ("id of a workload (attack 32)", line(json!({"id": "SPIFFE://x/y"})), "missing or malformed `id`"),
        ("id with a control character", line(json!({"id": "a\u{7}"})), "missing or malformed `id`"),
        ("id that is a list (attack 32)", line(json!({"id": ["a"]})), "missing or malformed `id`"),
        ("no end", line(json!({"notAfter": null})), "missing or malformed `notAfter`"),
        ("an end in seconds", line(json!({"notAfter": 1})), "missing or malformed `notAfter`"),
        ("another tenant", line(json!({"tenant": "globex", "id": "x"})), "tenant that the provider may not assert"),
        ("groups in one text", line(json!({"groups": "ci"})), "missing or malformed `groups`"),
        ("short digest", line(json!({"sha256": "ab", "id": "x"})), "missing or malformed `sha256`"),
        ("same id", line(json!({"sha256": digest(&other)})), "line 3 has the `id` of line 1"),
        ("same digest", line(json!({"id": "x"})), "line 3 has the `sha256` of line 1"),
        ("digest in capitals", line(json!({"id": "x", "sha256": "A".repeat(64)})), "missing or malformed `sha256`"),
    ] {
        let error = ApiKeys::parse(&provider(), format!("{good}\n\n{second}").as_bytes()).unwrap_err().to_string();
        assert!(error.contains(want), "{case}: {error}");
        assert!(!error.contains("secret"), "{case}: what stands in a line is not told: {error}");
    }
    let empty = ApiKeys::parse(&provider(), b" \n\n").unwrap_err();
    assert_eq!(empty.to_string(), "no key is in it");
}

#[test]
fn a_key_is_found_among_many_and_by_nobody_elses_prefix() {
    let all: Vec<(String, String)> = (0..500).map(|n| made(&format!("bot-{n}"))).collect();
    let lines: Vec<&str> = all.iter().map(|(_, line)| line.as_str()).collect();
    let keys = keys(&lines);
    for (n, (key, _)) in all.iter().enumerate() {
        assert_eq!(said(&keys, key, NOW), format!("{ISSUER}|bot-{n}"));
    }
    assert!(keys.are_meant_by("acme_x") && !keys.are_meant_by("eyJhbGciOiJFUzI1NiJ9.e30.e30"));
    assert!(matches!(keys.authenticate("globex_x", NOW), Err(TokenError::KeyShape)));
}

#[test]
fn a_key_is_made_for_what_a_file_may_hold() {
    let groups = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let try_make = |prefix, id, tenant, list: &[&str]| MadeKey::new(prefix, id, tenant, &groups(list), UNTIL);
    for (case, made, want) in [
        ("a prefix like a token", try_make("eyJ_", "a", "acme", &[]), "cannot be a prefix"),
        ("a prefix without an end", try_make("acme", "a", "acme", &[]), "cannot be a prefix"),
        ("no id", try_make("acme_", "", "acme", &[]), "malformed `id`"),
        ("no tenant", try_make("acme_", "a", "", &[]), "malformed `tenant`"),
        ("an empty group", try_make("acme_", "a", "acme", &[""]), "malformed `groups`"),
    ] {
        let error = made.unwrap_err().to_string();
        assert!(error.contains(want), "{case}: {error}");
    }
    let (first, _) = made("a");
    let (second, line) = made("a");
    assert!(first.len() == 5 + 43 && first != second);
    assert!(!line.contains(&second), "the line does not hold the key");
}
