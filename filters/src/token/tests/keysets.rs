//! JWK sets: whole, or refused with the key named (attack 34, for a file).

use super::*;

fn set(keys: &[Value]) -> Result<KeySet, String> {
    KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).map_err(|error| error.to_string())
}

#[test]
fn a_key_that_cannot_be_used_refuses_the_set_and_is_named() {
    let ec = key().jwk();
    let rsa = SigningKey::generate(JwtAlgorithm::RS256, "r1").unwrap().jwk();
    let ed = SigningKey::generate(JwtAlgorithm::EdDSA, "e1").unwrap().jwk();
    let p384 = SigningKey::generate(JwtAlgorithm::ES384, "p1").unwrap().jwk();
    for (case, key, want) in [
        ("symmetric", json!({"kty": "oct", "kid": "s", "k": "AAAA"}), "key `s` is symmetric"),
        ("symmetric without a name", json!({"kty": "oct", "k": "AAAA"}), "key number 1 is symmetric"),
        ("private", with(ec.clone(), json!({"d": "AAAA"})), "key `k1` has the private member `d`"),
        ("private prime", with(rsa.clone(), json!({"p": "AAAA"})), "`p`"),
        ("for encryption", with(ec.clone(), json!({"use": "enc"})), "not for signatures"),
        ("operations to sign", with(ec.clone(), json!({"key_ops": ["sign", "verify"]})), "not for signatures"),
        ("operations to encrypt", with(ec.clone(), json!({"key_ops": ["encrypt"]})), "not for signatures"),
        ("no operations", with(ec.clone(), json!({"key_ops": []})), "not for signatures"),
        ("operations as text", with(ec.clone(), json!({"key_ops": "verify"})), "not for signatures"),
        ("unknown type", with(ec.clone(), json!({"kty": "ML"})), "unknown `kty`"),
        ("no type", with(ec.clone(), json!({"kty": null})), "`kty`"),
        ("symmetric algorithm", with(ec.clone(), json!({"alg": "HS256"})), "`alg`"),
        ("algorithm of another type", with(ec.clone(), json!({"alg": "RS256"})), "`alg`"),
        ("algorithm of another curve", with(p384.clone(), json!({"alg": "ES256"})), "`alg`"),
        ("unknown curve", with(ec.clone(), json!({"crv": "secp256k1"})), "curve"),
        ("curve of another type", with(ed.clone(), json!({"crv": "X25519"})), "curve"),
        ("no y", with(ec.clone(), json!({"y": null})), "`y`"),
        ("point not on the curve", with(ec.clone(), json!({"x": ec["y"]})), "valid public key"),
        ("short x", with(ec.clone(), json!({"x": "AAAA"})), "`x`"),
        ("padded x", with(ec.clone(), json!({"x": format!("{}=", ec["x"].as_str().unwrap())})), "`x`"),
        ("short Ed25519", with(ed.clone(), json!({"x": "AAAA"})), "`x`"),
        ("small RSA", with(rsa.clone(), json!({"n": &rsa["n"].as_str().unwrap()[..172]})), "bits"),
        ("RSA exponent 1", with(rsa.clone(), json!({"e": "AQ"})), "`e`"),
        ("even RSA exponent", with(rsa.clone(), json!({"e": "Ag"})), "`e`"),
        ("RSA exponent with a leading zero", with(rsa.clone(), json!({"e": "AAEAAQ"})), "`e`"),
        ("empty kid", with(ec.clone(), json!({"kid": ""})), "`kid`"),
        ("kid as a number", with(ec.clone(), json!({"kid": 1})), "`kid`"),
        ("not an object", json!("k1"), "not an object"),
    ] {
        let error = set(std::slice::from_ref(&key)).expect_err(case);
        assert!(error.contains(want), "{case}: {error}");
        assert!(set(&[p384.clone(), key]).is_err(), "{case}, beside a good one");
    }
    assert_eq!(set(&[ec.clone(), rsa, ed, p384]).unwrap().len(), 4);
    assert!(set(&[ec.clone(), ec.clone()]).unwrap_err().contains("`kid` of another"));
    let nameless = with(ec.clone(), json!({"kid": null}));
    assert!(set(&[nameless.clone(), ec.clone()]).unwrap_err().contains("key number 1 has no `kid`"));
    assert!(set(&[nameless]).is_ok(), "the only key needs no name");
    assert!(set(&[with(ec, json!({"alg": null, "use": null, "key_ops": ["verify"], "x5t": "a"}))]).is_ok());
}

#[test]
fn a_text_that_is_not_a_key_set_is_refused() {
    let jwk = key().jwk();
    let many: Vec<Value> = (0..101).map(|n| with(jwk.clone(), json!({"kid": n.to_string()}))).collect();
    for (case, text) in [
        ("empty", String::new()),
        ("not JSON", "keys: []".to_owned()),
        ("no keys member", "{}".to_owned()),
        ("keys as an object", r#"{"keys":{}}"#.to_owned()),
        ("no key", r#"{"keys":[]}"#.to_owned()),
        ("one key, not a set", jwk.to_string()),
        ("member twice", format!(r#"{{"keys":[{jwk}],"keys":[{jwk}]}}"#)),
        ("key member twice", format!(r#"{{"keys":[{}]}}"#, jwk.to_string().replacen('{', r#"{"kty":"oct","#, 1))),
        ("too many keys", json!({"keys": many}).to_string()),
        ("too large", format!("{}{}", " ".repeat(1 << 20), json!({"keys": [jwk]}))),
        ("text after it", format!("{} x", json!({"keys": [jwk]}))),
        ("deep", format!(r#"{{"keys":{}{}}}"#, "[".repeat(100), "]".repeat(100))),
    ] {
        assert!(KeySet::parse(text.as_bytes()).is_err(), "{case}");
    }
    assert!(KeySet::parse(b"{\"keys\":[\"\xff\"]}").is_err(), "invalid UTF-8");
    assert_eq!(set(&many[..100]).unwrap().len(), 100);
}
