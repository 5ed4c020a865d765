//! The tokens of workloads, right and wrong.

use std::sync::Arc;

use postern_config::{JwtSvids, SpiffeProvider};

use super::super::{SvidVerifier, TokenError, TokenSet, VerifiedToken};
use super::*;

const BOT: &str = "spiffe://example.org/ns/acme/sa/bot";

fn agents() -> Provider {
    let tokens = JwtSvids { audiences: vec![AUDIENCE.to_owned()], bundles: Vec::new(), unbound: None };
    Provider {
        name: "agents".to_owned(),
        kind: ProviderKind::Spiffe(Box::new(SpiffeProvider { tokens: Some(tokens) })),
        principal: PrincipalType::Agent,
        tenant: TenantSource::SpiffeSegment(1),
        tenants: vec!["acme".to_owned()],
    }
}

fn bundle(keys: &[&SigningKey], usage: &str) -> KeySet {
    let keys: Vec<Value> = keys.iter().map(|key| with(key.jwk(), json!({"use": usage}))).collect();
    KeySet::parse_bundle(json!({"keys": keys, "spiffe_sequence": 1}).to_string().as_bytes()).unwrap()
}

fn svids(bundles: Vec<(&str, KeySet)>) -> SvidVerifier {
    let bundles = bundles.into_iter().map(|(domain, keys)| (domain.to_owned(), keys)).collect();
    SvidVerifier::new(&agents(), &[AUDIENCE.to_owned()], bundles)
}

fn said() -> Value {
    json!({"sub": BOT, "aud": [AUDIENCE], "iat": NOW - 10, "exp": NOW + 300})
}

fn told(result: Result<Arc<VerifiedToken>, TokenError>) -> String {
    result.map_or_else(|error| error.to_string(), |token| token.principal.id())
}

#[test]
fn attack_33_a_workloads_token_is_of_its_trust_domain_and_for_us() {
    let (ours, theirs, issuer) = (key(), key(), key());
    let hs = json!({"alg": "HS256", "kid": "k1", "typ": "JWT"});
    let plain = json!({"alg": "ES256", "kid": "k1"});
    let other_domain = "spiffe://partner.example/ns/acme/sa/bot";
    let domains =
        || vec![("example.org", bundle(&[&ours], "jwt-svid")), ("partner.example", bundle(&[&theirs], "jwt-svid"))];
    let set = TokenSet::new(vec![verifier(&sso(), &issuer)], Arc::default()).with_svids(vec![svids(domains())]);
    for (case, key, header, change, want) in [
        ("good", &ours, plain.clone(), json!({}), BOT),
        ("typed", &ours, with(plain.clone(), json!({"typ": "JWT"})), json!({"jti": "1"}), BOT),
        ("typed otherwise", &ours, with(plain.clone(), json!({"typ": "JOSE"})), json!({"jti": "2"}), BOT),
        ("of an issuer nobody knows", &ours, plain.clone(), json!({"iss": "https://spire.example"}), BOT),
        ("without a time of issue", &ours, plain.clone(), json!({"iat": null}), BOT),
        ("of another domain", &theirs, plain.clone(), json!({"sub": other_domain}), other_domain),
        ("by another domain's key", &theirs, plain.clone(), json!({}), "the signature does not match"),
        (
            "of a domain nobody knows",
            &ours,
            plain.clone(),
            json!({"sub": "spiffe://evil.example/ns/acme/sa/bot"}),
            "no provider of the route recognises the SVID",
        ),
        (
            "of a domain in another spelling",
            &ours,
            plain.clone(),
            json!({"sub": "spiffe://EXAMPLE.org/ns/acme/sa/bot"}),
            "the SPIFFE ID is malformed",
        ),
        (
            "of the domain itself",
            &ours,
            plain.clone(),
            json!({"sub": "spiffe://example.org"}),
            "the SPIFFE ID is malformed",
        ),
        (
            "of another tenant",
            &ours,
            plain.clone(),
            json!({"sub": "spiffe://example.org/ns/globex/sa/bot"}),
            "provider `agents` may not assert tenant `globex`",
        ),
        ("an access token", &ours, with(plain.clone(), json!({"typ": "at+jwt"})), json!({}), "token type `at+jwt`"),
        ("more in the header", &ours, with(plain.clone(), json!({"x": 1})), json!({}), "the header of a JWT-SVID"),
        ("no key in the header", &ours, json!({"alg": "ES256"}), json!({}), "the header of a JWT-SVID"),
        ("an unknown key", &ours, with(plain.clone(), json!({"kid": "k2"})), json!({}), "no key has the id `k2`"),
        ("a key of its own", &ours, with(plain.clone(), json!({"jwk": ours.jwk()})), json!({}), "the header has `jwk`"),
        ("a symmetric algorithm", &ours, hs, json!({}), "algorithm `HS256`"),
        (
            "for somebody else",
            &ours,
            plain.clone(),
            json!({"aud": "https://other.example"}),
            "the token is for another audience",
        ),
        ("for nobody", &ours, plain.clone(), json!({"aud": null}), "the token is for another audience"),
        ("without end", &ours, plain.clone(), json!({"exp": null}), "claim `exp` is missing"),
        ("ended", &ours, plain.clone(), json!({"exp": NOW - 30}), "the token expired"),
        ("not yet", &ours, plain.clone(), json!({"nbf": NOW + 31}), "the token is not valid before"),
        ("too old", &ours, plain.clone(), json!({"iat": NOW - 90_000}), "the token was issued at"),
        (
            "too long",
            &ours,
            plain.clone(),
            json!({"iat": null, "exp": NOW + 90_000}),
            "claim `exp` is more than a day ahead",
        ),
        ("with an actor", &ours, plain.clone(), json!({"act": {"sub": "x"}}), "claim `act` is nothing that"),
        (
            "bound to a key nobody can check",
            &ours,
            plain.clone(),
            json!({"cnf": {"kid": "x"}}),
            "the token is bound by `kid`",
        ),
        ("of our issuer, by its key", &issuer, plain.clone(), json!({"iss": ISSUER}), "`typ` in the header"),
        ("of our issuer, by the domain's key", &ours, plain, json!({"iss": ISSUER}), "the signature does not match"),
    ] {
        let token = key.sign(&header, &with(said(), change)).unwrap();
        let got = told(set.authenticate(&token, None, NOW, None));
        assert!(got.starts_with(want), "{case}: {got}");
    }
    // What an issuer says of a SPIFFE ID is still no workload.
    let token = issuer.sign(&issuer.header(), &with(claims(), json!({"sub": BOT}))).unwrap();
    assert!(told(set.authenticate(&token, None, NOW, None)).contains("which only an SVID can assert"));
    let none = TokenSet::new(vec![verifier(&sso(), &issuer)], Arc::default());
    let token = ours.sign(&json!({"alg": "ES256", "kid": "k1"}), &said()).unwrap();
    assert!(told(none.authenticate(&token, None, NOW, None)).contains("claim `iss` is missing"));
}

#[test]
fn a_workload_with_a_token_is_the_workload_but_not_bound() {
    let key = key();
    let set = TokenSet::new(Vec::new(), Arc::default())
        .with_svids(vec![svids(vec![("example.org", bundle(&[&key], "jwt-svid"))])]);
    let token = key.sign(&json!({"alg": "ES256", "kid": "k1"}), &said()).unwrap();
    let first = set.authenticate(&token, None, NOW, None).unwrap();
    let who = &first.principal;
    assert_eq!(
        (who.kind, who.issuer.as_str(), who.tenant.as_str()),
        (PrincipalType::Agent, "spiffe://example.org", "acme")
    );
    assert_eq!(
        (who.authn.method.as_str(), who.authn.sender_bound, who.authn.expires_at),
        ("jwt-svid", false, NOW + 300)
    );
    assert!(Arc::ptr_eq(&first, &set.authenticate(&token, None, NOW, None).unwrap()), "it was seen before");
    assert!(told(set.authenticate(&token, None, NOW + 330, None)).contains("expired"));
    let bound = key
        .sign(
            &json!({"alg": "ES256", "kid": "k1"}),
            &with(said(), json!({"cnf": super::super::mint::bound_to(&[7; 32])})),
        )
        .unwrap();
    assert!(told(set.authenticate(&bound, Some(&[1; 32]), NOW, None)).contains("another client certificate"));
    assert!(set.authenticate(&bound, Some(&[7; 32]), NOW, None).unwrap().principal.authn.sender_bound);
}

#[test]
fn a_bundle_is_read_for_its_keys_of_tokens_only() {
    let (first, second) = (key(), SigningKey::generate_es256("k2").unwrap());
    let of = |key: &SigningKey, usage: &str| with(key.jwk(), json!({"use": usage}));
    for (case, keys, want) in [
        ("its keys", json!([of(&first, "jwt-svid"), of(&second, "jwt-svid")]), Ok(2)),
        ("those of certificates beside them", json!([of(&first, "x509-svid"), of(&second, "jwt-svid")]), Ok(1)),
        ("of an unknown type", json!([{"kty": "PQ", "use": "jwt-svid", "kid": "x"}]), Ok(0)),
        ("without a use", json!([with(first.jwk(), json!({"use": null}))]), Ok(0)),
        ("everything taken back", json!([]), Ok(0)),
        ("no `kid`", json!([with(of(&first, "jwt-svid"), json!({"kid": null}))]), Err("has no `kid`")),
        (
            "one `kid` twice",
            json!([of(&first, "jwt-svid"), of(&key(), "jwt-svid")]),
            Err("has the `kid` of another key"),
        ),
        ("a secret", json!([{"kty": "oct", "k": "AAAA", "use": "jwt-svid", "kid": "x"}]), Err("is symmetric")),
        ("a private key", json!([with(of(&first, "jwt-svid"), json!({"d": "AAAA"}))]), Err("has the private member")),
        ("no key", json!([1]), Err("is not an object")),
    ] {
        let got = KeySet::parse_bundle(json!({ "keys": keys }).to_string().as_bytes());
        match (got.map(|keys| keys.len()).map_err(|error| error.to_string()), want) {
            (Ok(got), Ok(want)) => assert_eq!(got, want, "{case}"),
            (Err(got), Err(want)) => assert!(got.contains(want), "{case}: {got}"),
            (got, want) => panic!("{case}: {got:?}, not {want:?}"),
        }
    }
    let empty = TokenSet::new(Vec::new(), Arc::default())
        .with_svids(vec![svids(vec![("example.org", bundle(&[&first], "x509-svid"))])]);
    let token = first.sign(&json!({"alg": "ES256", "kid": "k1"}), &said()).unwrap();
    assert!(told(empty.authenticate(&token, None, NOW, None)).contains("no key has the id"));
}
