//! Attack 33 and its relatives: one line for each way a token can be wrong.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use postern_config::TenantSource;

use super::super::mint;
use super::*;

#[test]
fn a_good_token_says_who_asks() {
    let key = key();
    let claims = with(
        claims(),
        json!({"org": {"department": "ops"}, "acr": "urn:example:mfa", "amr": ["hwk"], "auth_time": NOW - 60,
               "cnf": mint::bound_to(&[7; 32])}),
    );
    let token = verifier(&sso(), &key).verify(&key.sign(&key.header(), &claims).unwrap(), NOW).unwrap();
    let principal = &token.principal;
    assert_eq!(principal.id(), "https://login.example.com|mia");
    assert_eq!((principal.kind, principal.tenant.as_str()), (PrincipalType::User, "acme"));
    assert_eq!(principal.groups, ["sre"]);
    assert_eq!(principal.scopes, ["tools:read", "chat"]);
    assert_eq!(principal.tags, [("department".to_owned(), vec!["ops".to_owned()])]);
    let authn = &principal.authn;
    assert_eq!((authn.provider.as_str(), authn.method.as_str()), ("sso", "jwt"));
    assert_eq!((authn.acr.as_str(), authn.amr.as_slice()), ("urn:example:mfa", &["hwk".to_owned()][..]));
    assert_eq!((authn.authenticated_at, authn.expires_at, authn.sender_bound), (NOW - 60, NOW + 300, true));
    assert_eq!((token.exp, token.key_id.as_deref(), token.binding.x5t_s256), (NOW + 300, Some("k1"), Some([7; 32])));
}

#[test]
fn every_asymmetric_algorithm_verifies_and_an_independent_reader_agrees() {
    use JwtAlgorithm::*;
    for algorithm in [ES256, ES384, EdDSA, RS256, RS384, RS512, PS256, PS384, PS512] {
        let key = SigningKey::generate(algorithm, "k1").unwrap();
        let provider = sso_with(|jwt| jwt.algorithms = vec![algorithm]);
        let token = key.sign(&key.header(), &claims()).unwrap();
        verifier(&provider, &key).verify(&token, NOW).unwrap_or_else(|e| panic!("{algorithm:?}: {e}"));

        let jwk: jsonwebtoken::jwk::Jwk = serde_json::from_value(key.jwk()).unwrap();
        let decoding = jsonwebtoken::DecodingKey::from_jwk(&jwk).unwrap();
        let mut validation = jsonwebtoken::Validation::new(format!("{algorithm:?}").parse().unwrap());
        validation.validate_exp = false;
        validation.set_audience(&[AUDIENCE]);
        jsonwebtoken::decode::<Value>(&token, &decoding, &validation).unwrap();
    }
}

#[test]
fn attack_33_a_header_that_is_not_exactly_as_agreed_is_refused() {
    let key = key();
    let verifier = verifier(&sso(), &key);
    for (case, change, want) in [
        ("alg none", json!({"alg": "none"}), "algorithm `none`"),
        ("alg None", json!({"alg": "None"}), "algorithm `None`"),
        ("alg nOnE", json!({"alg": "nOnE"}), "algorithm `nOnE`"),
        ("alg empty", json!({"alg": ""}), "algorithm ``"),
        ("alg missing", json!({"alg": null}), "`alg`"),
        ("alg as a number", json!({"alg": 1}), "`alg`"),
        ("alg as an array", json!({"alg": ["ES256"]}), "`alg`"),
        ("alg in another case", json!({"alg": "es256"}), "algorithm `es256`"),
        ("symmetric, keyed with the public key", json!({"alg": "HS256"}), "algorithm `HS256`"),
        ("another family", json!({"alg": "PS256"}), "algorithm `PS256`"),
        ("typ missing", json!({"typ": null}), "`typ`"),
        ("typ of an id token", json!({"typ": "JWT"}), "token type `JWT`"),
        ("typ of a proof", json!({"typ": "dpop+jwt"}), "token type `dpop+jwt`"),
        ("typ as a number", json!({"typ": 1}), "`typ`"),
        ("crit", json!({"crit": ["exp"]}), "`crit`"),
        ("crit empty", json!({"crit": []}), "`crit`"),
        ("b64", json!({"b64": false}), "`b64`"),
        ("jku", json!({"jku": "https://evil.example"}), "`jku`"),
        ("x5u", json!({"x5u": "https://evil.example"}), "`x5u`"),
        ("jwk", json!({"jwk": key.jwk()}), "`jwk`"),
        ("x5c", json!({"x5c": []}), "`x5c`"),
        ("zip", json!({"zip": "DEF"}), "`zip`"),
        ("encrypted", json!({"enc": "A128GCM"}), "`enc`"),
        ("nested", json!({"cty": "JWT"}), "`cty`"),
        ("kid unknown", json!({"kid": "k2"}), "`k2`"),
        ("kid in another case", json!({"kid": "K1"}), "`K1`"),
        ("kid as a path", json!({"kid": "../../dev/null"}), "`../../dev/null`"),
        ("kid as SQL", json!({"kid": "' OR 1=1 --"}), "OR 1=1"),
        ("kid as a URL", json!({"kid": "https://evil.example/k1"}), "`https://evil.example/k1`"),
        ("kid breaking the log", json!({"kid": "a\nb\u{1b}[2J"}), r"`a\nb\u{1b}[2J`"),
        ("kid as a number", json!({"kid": 1}), "`kid`"),
        ("kid too long", json!({"kid": "k".repeat(257)}), "`kid`"),
    ] {
        let token = key.sign(&with(key.header(), change), &claims()).unwrap();
        let error = verifier.verify(&token, NOW).expect_err(case).to_string();
        assert!(error.contains(want), "{case}: {error}");
    }
    for (case, change) in [
        ("kid left out, the only key is meant", json!({"kid": null})),
        ("typ in another case", json!({"typ": "AT+JWT"})),
        ("typ in full", json!({"typ": "Application/at+jwt"})),
        ("members nobody asked for", json!({"x5t": "abc", "ver": 1})),
    ] {
        let token = key.sign(&with(key.header(), change), &claims()).unwrap();
        assert!(verifier.verify(&token, NOW).is_ok(), "{case}");
    }
}

/// What everybody may read is no secret: whoever takes a public key for one signs as the issuer.
#[test]
fn attack_33_a_token_that_is_signed_with_a_public_key_as_the_secret_is_refused() {
    for algorithm in [JwtAlgorithm::ES256, JwtAlgorithm::RS256, JwtAlgorithm::EdDSA] {
        let key = SigningKey::generate(algorithm, "k1").unwrap();
        let verifier = verifier(&sso_with(|jwt| jwt.algorithms = vec![algorithm]), &key);
        let jwk = key.jwk();
        let number = jwk["x"].as_str().or(jwk["n"].as_str()).unwrap().to_owned();
        for secret in
            [number.clone().into_bytes(), URL_SAFE_NO_PAD.decode(number).unwrap(), jwk.to_string().into_bytes()]
        {
            for alg in ["HS256", "hs256", "ES256", "RS256", "EdDSA"] {
                let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
                let signed = format!("{}.{}", part(with(key.header(), json!({ "alg": alg }))), part(claims()));
                let secret = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &secret);
                let tag = URL_SAFE_NO_PAD.encode(aws_lc_rs::hmac::sign(&secret, signed.as_bytes()));
                assert!(verifier.verify(&format!("{signed}.{tag}"), NOW).is_err(), "{algorithm:?} as {alg}");
            }
        }
    }
}

#[test]
fn attack_33_claims_of_the_wrong_value_or_type_are_refused() {
    let key = key();
    let verifier = verifier(&sso(), &key);
    let long = "x".repeat(513);
    for (case, change, want) in [
        ("no issuer", json!({"iss": null}), "`iss`"),
        ("other issuer", json!({"iss": "https://evil.example"}), "issuer"),
        ("issuer as a prefix", json!({"iss": "https://login.example.com.evil.example"}), "issuer"),
        ("issuer with a slash", json!({"iss": "https://login.example.com/"}), "issuer"),
        ("issuer as an array (attack 32)", json!({"iss": [ISSUER]}), "`iss`"),
        ("no audience", json!({"aud": null}), "audience"),
        ("other audience", json!({"aud": "https://evil.example"}), "audience"),
        ("audience as a prefix", json!({"aud": "https://ai.example.com/x"}), "audience"),
        ("audiences without ours", json!({"aud": ["a", "b"]}), "audience"),
        ("no audiences", json!({"aud": []}), "audience"),
        ("audience with a number beside ours", json!({"aud": [AUDIENCE, 1]}), "`aud`"),
        ("audience as an object", json!({"aud": {"0": AUDIENCE}}), "`aud`"),
        ("no exp", json!({"exp": null}), "`exp`"),
        ("exp as a string", json!({"exp": "1700000300"}), "`exp`"),
        ("exp as a fraction", json!({"exp": 1_700_000_300.5}), "`exp`"),
        ("exp below zero", json!({"exp": -1}), "`exp`"),
        ("exp beyond time", json!({"exp": u64::MAX}), "`exp`"),
        ("expired, past the skew", json!({"exp": NOW - 30}), "expired"),
        ("nbf past the skew", json!({"nbf": NOW + 31}), "not valid before"),
        ("nbf as a string", json!({"nbf": "0"}), "`nbf`"),
        ("no iat", json!({"iat": null}), "`iat`"),
        ("iat in the future", json!({"iat": NOW + 31}), "future"),
        ("too old", json!({"iat": NOW - 3630}), "more than 3600 s ago"),
        ("no subject", json!({"sub": null}), "`sub`"),
        ("empty subject", json!({"sub": ""}), "`sub`"),
        ("subject as an array (attack 32)", json!({"sub": ["mia"]}), "`sub`"),
        ("subject as a number", json!({"sub": 1}), "`sub`"),
        ("subject too long", json!({"sub": long}), "`sub`"),
        ("subject with a line end (attack 52)", json!({"sub": "mia\nadmin"}), "`sub`"),
        ("subject with NUL", json!({"sub": "mia\0"}), "`sub`"),
        ("subject as a SPIFFE ID", json!({"sub": "spiffe://example.org/ns/acme/sa/bot"}), "SPIFFE"),
        ("subject as a SPIFFE ID in capitals", json!({"sub": "SPIFFE://example.org/x"}), "SPIFFE"),
        ("no tenant", json!({"tenant": null}), "`/tenant`"),
        ("tenant not listed", json!({"tenant": "evil"}), "tenant `evil`"),
        ("tenant as an array (attack 32)", json!({"tenant": ["acme"]}), "`/tenant`"),
        ("tenant in another case", json!({"tenant": "Acme"}), "tenant `Acme`"),
        ("groups as a string", json!({"groups": "sre"}), "`groups`"),
        ("groups with an object", json!({"groups": ["sre", {}]}), "`groups`"),
        ("scope as an array (attack 32)", json!({"scope": ["a"]}), "`scope`"),
        ("tag as an object", json!({"org": {"department": {"a": 1}}}), "`/org/department`"),
        ("acr as an array", json!({"acr": ["a"]}), "`acr`"),
        ("amr as a string", json!({"amr": "mfa"}), "`amr`"),
        ("auth_time as a string", json!({"auth_time": "now"}), "`auth_time`"),
        ("actor as a string", json!({"act": "bot"}), "`act`"),
        ("actor without sub", json!({"act": {}}), "`act`"),
        ("bound by a key in whole", json!({"cnf": {"jwk": {}}}), "`jwk`"),
        ("bound by what is no thumbprint", json!({"cnf": {"jkt": "abc"}}), "`cnf`"),
        (
            "bound twice, once wrongly",
            json!({"cnf": {"x5t#S256": URL_SAFE_NO_PAD.encode([7; 32]), "jkt": "abc"}}),
            "`cnf`",
        ),
        ("bound by nothing", json!({"cnf": {}}), "`cnf`"),
        ("bound to a short digest", json!({"cnf": {"x5t#S256": "YWJj"}}), "`cnf`"),
        ("bound to a padded digest", json!({"cnf": {"x5t#S256": URL_SAFE.encode([7; 32])}}), "`cnf`"),
        ("cnf as a string", json!({"cnf": "x5t#S256"}), "`cnf`"),
    ] {
        let token = key.sign(&key.header(), &with(claims(), change)).unwrap();
        let error = verifier.verify(&token, NOW).expect_err(case).to_string();
        assert!(error.contains(want), "{case}: {error}");
        assert!(!error.contains(token.split('.').next_back().unwrap()), "{case}: shows the token");
    }
    for (case, change) in [
        ("audience among others", json!({"aud": ["other", AUDIENCE]})),
        ("expired within the skew", json!({"exp": NOW - 29})),
        ("nbf within the skew", json!({"nbf": NOW + 30})),
        ("iat within the skew", json!({"iat": NOW + 30})),
        ("as old as allowed", json!({"iat": NOW - 3600})),
        ("several @ (attack 32)", json!({"sub": "mia@acme.example@evil.example"})),
        ("no scope", json!({"scope": null})),
        ("empty scope", json!({"scope": ""})),
        ("no groups", json!({"groups": null})),
        ("many tag values", json!({"org": {"department": ["a", "b"]}})),
        ("names in another case are other names", json!({"Exp": 0, "ISS": "x"})),
    ] {
        let token = key.sign(&key.header(), &with(claims(), change)).unwrap();
        let verdict = verifier.verify(&token, NOW);
        assert!(verdict.is_ok(), "{case}: {}", verdict.unwrap_err());
    }
}

#[test]
fn attack_33_a_text_that_is_not_the_one_canonical_token_is_refused() {
    let key = key();
    let verifier = verifier(&sso(), &key);
    let good = key.sign(&key.header(), &claims()).unwrap();
    let parts: Vec<&str> = good.split('.').collect();
    let (header, body, signature) = (parts[0], parts[1], parts[2]);
    let raw = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let header_text = key.header().to_string();
    let claims_text = claims().to_string();
    let signed = |header: &str, claims: &str| key.sign_parts(header, claims).unwrap();
    for (case, token) in [
        ("empty", String::new()),
        ("two parts", format!("{header}.{body}")),
        ("four parts", format!("{good}.{signature}")),
        ("five parts (JWE)", format!("{good}.a.b")),
        ("empty signature", format!("{header}.{body}.")),
        ("empty parts", "..".to_owned()),
        ("space before", format!(" {good}")),
        ("line end after", format!("{good}\n")),
        ("padded signature", format!("{good}==")),
        ("one more character", format!("{good}A")),
        ("four more characters", format!("{good}AAAA")),
        ("shorter signature", format!("{header}.{body}.{}", URL_SAFE_NO_PAD.encode(&raw[..63]))),
        ("longer signature", format!("{header}.{body}.{}", URL_SAFE_NO_PAD.encode([&raw[..], &[0]].concat()))),
        ("zero signature", format!("{header}.{body}.{}", URL_SAFE_NO_PAD.encode([0; 64]))),
        ("ASN.1 signature", format!("{header}.{body}.{}", URL_SAFE_NO_PAD.encode([&[0x30, 68][..], &raw].concat()))),
        ("standard alphabet", format!("{header}.{body}.{}", STANDARD.encode([0xff; 64]).trim_end_matches('='))),
        (
            "too large (attack 33)",
            signed(&header_text, &with(claims(), json!({"x": "x".repeat(16 << 10)})).to_string()),
        ),
        ("claim twice", signed(&header_text, &claims_text.replacen('{', r#"{"sub":"eve","#, 1))),
        ("claim twice by escape", signed(&header_text, &claims_text.replacen('{', r#"{"s\u0075b":"eve","#, 1))),
        ("header twice", signed(&header_text.replacen('{', r#"{"alg":"none","#, 1), &claims_text)),
        ("claims as an array", signed(&header_text, "[]")),
        ("claims as text", signed(&header_text, "\"x\"")),
        ("no claims", signed(&header_text, "")),
        ("header as an array", signed("[]", &claims_text)),
        ("claims and more", signed(&header_text, &format!("{claims_text}{{}}"))),
        ("deep claims (attack 44)", {
            let deep = format!("{{\"x\":{}{},", "[".repeat(5000), "]".repeat(5000));
            signed(&header_text, &claims_text.replacen('{', &deep, 1))
        }),
    ] {
        assert!(verifier.verify(&token, NOW).is_err(), "{case}");
    }
    assert!(verifier.verify(&good, NOW).is_ok());
    let longer = format!("{header}.{body}.{}", URL_SAFE_NO_PAD.encode([&raw[..], &[0]].concat()));
    let error = verifier.verify(&longer, NOW).unwrap_err().to_string();
    assert_eq!(error, "the signature has 65 bytes instead of 64", "found before a library is asked");
}

#[test]
fn attack_33_a_key_verifies_only_what_it_was_made_for() {
    let (ours, other) = (key(), key());
    let token = other.sign(&other.header(), &claims()).unwrap();
    let error = verifier(&sso(), &ours).verify(&token, NOW).unwrap_err().to_string();
    assert_eq!(error, "the signature does not match", "another key with the same kid");

    // ES/PS swap: both pinned, each key only its own.
    let rsa = SigningKey::generate(JwtAlgorithm::PS256, "rsa").unwrap();
    let set = KeySet::parse(json!({"keys": [ours.jwk(), rsa.jwk()]}).to_string().as_bytes()).unwrap();
    let both = sso_with(|jwt| jwt.algorithms = vec![JwtAlgorithm::ES256, JwtAlgorithm::PS256, JwtAlgorithm::RS256]);
    let verifier = JwtVerifier::new(&both, set).unwrap();
    for (case, change, want) in [
        ("PS256 by the EC key's name", json!({"alg": "PS256", "kid": "k1"}), "does not belong"),
        ("RS256 by a key for PS256", json!({"alg": "RS256"}), "does not belong"),
        ("no kid among several", json!({"kid": null}), "names no key"),
    ] {
        let token = rsa.sign(&with(rsa.header(), change), &claims()).unwrap();
        let error = verifier.verify(&token, NOW).expect_err(case).to_string();
        assert!(error.contains(want), "{case}: {error}");
    }
    assert!(verifier.verify(&rsa.sign(&rsa.header(), &claims()).unwrap(), NOW).is_ok());
    assert!(verifier.verify(&ours.sign(&ours.header(), &claims()).unwrap(), NOW).is_ok());
}

#[test]
fn attack_33_a_binding_is_checked_whatever_the_provider_demands() {
    use SenderConstraint::{Any, Mtls, None as Unbound};
    let key = key();
    for (case, constraint, bound, leaf, want) in [
        ("bearer is enough", Unbound, false, Some([1; 32]), true),
        ("bearer without certificate", Unbound, false, None, true),
        ("bound, though nobody demands it", Unbound, true, Some([7; 32]), true),
        ("bound to another, though nobody demands it", Unbound, true, Some([1; 32]), false),
        ("bound, no certificate, though nobody demands it", Unbound, true, None, false),
        ("any: bound", Any, true, Some([7; 32]), true),
        ("any: unbound", Any, false, Some([7; 32]), false),
        ("any: bound to another", Any, true, Some([8; 32]), false),
        ("mtls: bound", Mtls, true, Some([7; 32]), true),
        ("mtls: unbound", Mtls, false, Some([7; 32]), false),
        ("mtls: bound, no certificate", Mtls, true, None, false),
        ("mtls: bound to another", Mtls, true, Some([1; 32]), false),
    ] {
        let change = if bound { json!({"cnf": mint::bound_to(&[7; 32])}) } else { json!({}) };
        let verifier = verifier(&sso_with(|jwt| jwt.sender_constraint = constraint), &key);
        let token = verifier.verify(&key.sign(&key.header(), &with(claims(), change)).unwrap(), NOW).unwrap();
        assert_eq!(token.check_binding(leaf.as_ref()).is_ok(), want, "{case}");
    }
}

#[test]
fn a_provider_that_cannot_be_kept_makes_no_verifier() {
    let key = key();
    let mut spiffe_tenant = sso();
    spiffe_tenant.tenant = TenantSource::SpiffeSegment(1);
    let mut spiffe = sso();
    spiffe.kind = ProviderKind::Spiffe(Box::default());
    for (case, provider) in [
        ("no issuer", sso_with(|jwt| jwt.issuer.clear())),
        ("issuer with the separator", sso_with(|jwt| jwt.issuer = "a|b".to_owned())),
        ("no audience (PV-011)", sso_with(|jwt| jwt.audiences.clear())),
        ("no algorithm (PV-011)", sso_with(|jwt| jwt.algorithms.clear())),
        ("no token type", sso_with(|jwt| jwt.token_types.clear())),
        ("no key of its algorithm", sso_with(|jwt| jwt.algorithms = vec![JwtAlgorithm::EdDSA])),
        ("tenant from a SPIFFE ID", spiffe_tenant),
        ("not Jwt", spiffe),
    ] {
        assert!(JwtVerifier::new(&provider, keys(&key)).is_err(), "{case}");
    }
}
