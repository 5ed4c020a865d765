//! The JOSE vectors of Project Wycheproof, as far as they are compact signatures.

use std::path::PathBuf;

use super::super::jws;
use super::*;

const ALGORITHMS: [JwtAlgorithm; 9] = [
    JwtAlgorithm::ES256,
    JwtAlgorithm::ES384,
    JwtAlgorithm::EdDSA,
    JwtAlgorithm::RS256,
    JwtAlgorithm::RS384,
    JwtAlgorithm::RS512,
    JwtAlgorithm::PS256,
    JwtAlgorithm::PS384,
    JwtAlgorithm::PS512,
];

/// Vectors that Wycheproof calls valid and we refuse: symmetric keys, P-521, and a key whose `alg` is not the token's.
fn is_outside_our_profile(key: &Value, jws: &str) -> bool {
    let keys = key["keys"].as_array().cloned().unwrap_or_else(|| vec![key.clone()]);
    let header: Value = jws
        .split('.')
        .next()
        .and_then(|header| jws::decode(header.as_bytes()).ok())
        .and_then(|header| serde_json::from_slice(&header).ok())
        .unwrap_or_default();
    keys.iter().any(|key| key["kty"] == "oct" || key["crv"] == "P-521" || key["alg"] != header["alg"])
}

#[test]
fn signatures_and_keys_are_judged_as_wycheproof_does() {
    let Some(dir) = shared("data/vectors/wycheproof") else { return };
    let (mut accepted, mut refused) = (0, 0);
    for file in ["json_web_signature_test.json", "json_web_key_test.json", "json_web_crypto_test.json"] {
        let vectors: Value = serde_json::from_slice(&std::fs::read(dir.join(file)).unwrap()).unwrap();
        for group in vectors["testGroups"].as_array().unwrap() {
            let key = if group["public"].is_null() { &group["private"] } else { &group["public"] };
            let set = if key["keys"].is_array() { key.to_string() } else { json!({ "keys": [key] }).to_string() };
            let keys = KeySet::parse(set.as_bytes());
            for test in group["tests"].as_array().unwrap() {
                // The rest is encryption, or the JSON serialization, which no header carries.
                let Some(text) = test["jws"].as_str() else { continue };
                let opened = keys.as_ref().is_ok_and(|keys| jws::open(text, keys, &ALGORITHMS).is_ok());
                let valid = test["result"] == "valid";
                let case = format!("{file} {}: {}", test["tcId"], test["comment"]);
                if opened {
                    accepted += 1;
                    assert!(valid, "{case} must be refused");
                } else {
                    refused += 1;
                    assert!(!valid || is_outside_our_profile(key, text), "{case} must be accepted");
                }
            }
        }
    }
    println!("wycheproof: {accepted} accepted, {refused} refused");
    assert!(accepted >= 35 && refused > 380, "{accepted} accepted, {refused} refused");
}

/// A directory of the shared data, or `None` with the reason printed.
fn shared(path: &str) -> Option<PathBuf> {
    let given = std::env::var_os("POSTERN_SHARED").map(PathBuf::from);
    let beside =
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).ancestors().map(|up| up.join("shared")).find(|d| d.is_dir());
    let found = given.or_else(beside).map(|shared| shared.join(path)).filter(|dir| dir.is_dir());
    if found.is_none() {
        assert!(std::env::var_os("POSTERN_REQUIRE_SHARED").is_none_or(|v| v != "1"), "`{path}` is required and absent");
        println!("skipped: no shared directory with `{path}`");
    }
    found
}
