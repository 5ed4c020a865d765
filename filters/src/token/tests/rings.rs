//! Keys that come and go, and what issuers say about tokens.

use std::sync::Arc;

use postern_config::{IntrospectionProvider, IntrospectionSource, KeySource, KeysAt};

use super::super::{
    IntrospectionAnswer, Introspector, KeyRing, KeyRings, TokenCache, TokenError, TokenSet, basic_auth, question,
};
use super::*;
use crate::{Given, IntrospectionGiven, KeysGiven, Need, Reason, WhyKeys};

fn source() -> KeySource {
    KeySource { at: KeysAt::Issuer(ISSUER.to_owned()), ca: None }
}

fn over(ring: &Arc<KeyRing>) -> TokenSet {
    let verifier = JwtVerifier::with_ring(&sso(), ring.clone(), Duration::from_secs(600)).unwrap();
    TokenSet::new(vec![verifier], Arc::new(TokenCache::default()))
}

fn said(set: &TokenSet, token: &str, now: i64) -> Result<(), (Reason, Option<WhyKeys>)> {
    let told = |error: TokenError| {
        let why = match error.need() {
            Some(Need::Keys(wanted)) => Some(wanted.why),
            _ => None,
        };
        (error.reason(), why)
    };
    set.authenticate(token, None, now, None).map(drop).map_err(told)
}

#[test]
fn attack_35_without_keys_or_with_old_ones_nothing_is_said_about_a_token() {
    let (key, ring) = (key(), Arc::new(KeyRing::new(source())));
    let set = over(&ring);
    let token = key.sign(&key.header(), &with(claims(), json!({"iat": NOW, "exp": NOW + 3000}))).unwrap();
    let lacking = Err((Reason::Undecided, Some(WhyKeys::None)));
    assert_eq!(said(&set, &token, NOW), lacking);
    ring.put(keys(&key), NOW);
    assert_eq!(said(&set, &token, NOW), Ok(()));
    assert_eq!(said(&set, &token, NOW + 600), Ok(()));
    assert_eq!(said(&set, &token, NOW + 601), lacking, "a token that was seen before, too");
    ring.confirm(NOW + 601);
    assert_eq!(said(&set, &token, NOW + 1200), Ok(()));
    let why = Given::Keys(KeysGiven::Away("it is away".to_owned()));
    let error = set.authenticate(&token, None, NOW + 1300, Some(&why)).unwrap_err();
    assert!(error.to_string().contains("more than the allowed 600 s: it is away"), "{error}");
    assert!(error.need().is_none());
}

#[test]
fn attack_34_a_token_of_a_removed_key_is_refused_although_it_was_seen_before() {
    let (old, new, ring) = (SigningKey::generate_es256("old").unwrap(), key(), Arc::new(KeyRing::new(source())));
    let set = over(&ring);
    let (first, second) = (old.sign(&old.header(), &claims()).unwrap(), new.sign(&new.header(), &claims()).unwrap());
    ring.put(keys(&old), NOW);
    assert_eq!(said(&set, &first, NOW), Ok(()));
    let unknown = Err((Reason::CredentialInvalid, Some(WhyKeys::Unknown)));
    assert_eq!(said(&set, &second, NOW), unknown);
    ring.put(keys(&new), NOW);
    assert_eq!(said(&set, &first, NOW), unknown);
    assert_eq!(said(&set, &second, NOW), Ok(()));
    // What is wrong with a token in another way asks for nothing.
    let stale = new.sign(&new.header(), &with(claims(), json!({"exp": NOW - 60}))).unwrap();
    assert_eq!(said(&set, &stale, NOW), Err((Reason::CredentialInvalid, None)));
    let none = new.sign(&json!({"alg": "HS256", "kid": "x", "typ": "at+jwt"}), &claims()).unwrap();
    assert_eq!(said(&set, &none, NOW), Err((Reason::CredentialInvalid, None)), "attack 33");
}

#[test]
fn a_ring_is_one_for_each_source_as_long_as_anybody_has_it() {
    let rings = KeyRings::new();
    let first = rings.of(&source());
    assert!(Arc::ptr_eq(&first, &rings.of(&source())));
    let other = KeySource { at: KeysAt::Url(ISSUER.to_owned()), ca: None };
    assert!(!Arc::ptr_eq(&first, &rings.of(&other)));
    first.put(keys(&key()), NOW);
    drop(first);
    assert_eq!(rings.of(&source()).standing(), None);
}

#[test]
fn a_published_set_may_hold_keys_for_others_and_no_secret() {
    let ec = key().jwk();
    let set = |extra: Value| KeySet::parse_published(json!({"keys": [ec, extra]}).to_string().as_bytes());
    for (case, extra) in [
        ("for encryption", with(ec.clone(), json!({"kid": "e", "use": "enc"}))),
        ("unknown type", json!({"kty": "AKP", "kid": "pq", "alg": "ML-DSA-44", "pub": "AAAA"})),
        ("unknown curve", with(ec.clone(), json!({"kid": "k", "crv": "secp256k1"}))),
    ] {
        assert_eq!(set(extra.clone()).map(|(keys, passed)| (keys.len(), passed)).unwrap(), (1, 1), "{case}");
        assert!(KeySet::parse(json!({"keys": [ec, extra]}).to_string().as_bytes()).is_err(), "{case}, in a file");
    }
    for (case, extra) in [
        ("private", with(ec.clone(), json!({"kid": "p", "d": "AAAA"}))),
        ("private, for encryption", with(ec.clone(), json!({"kid": "p", "use": "enc", "d": "AAAA"}))),
        ("symmetric", json!({"kty": "oct", "kid": "s", "k": "AAAA"})),
        ("malformed", with(ec.clone(), json!({"kid": "m", "x": "AAAA"}))),
        ("the same name", ec.clone()),
    ] {
        assert!(set(extra).is_err(), "{case}");
    }
    assert!(
        KeySet::parse_published(json!({"keys": [with(ec, json!({"use": "enc"}))]}).to_string().as_bytes()).is_err()
    );
}

pub(super) fn opaque() -> Provider {
    let kind = ProviderKind::Introspection(Box::new(IntrospectionProvider {
        issuer: ISSUER.to_owned(),
        audiences: vec![AUDIENCE.to_owned()],
        at: IntrospectionSource { url: ISSUER.to_owned(), client_auth: Material::Env("UNUSED".to_owned()), ca: None },
        cache_for: Duration::from_secs(30),
        max_token_age: Duration::from_secs(3600),
        clock_skew: Duration::from_secs(30),
        sender_constraint: SenderConstraint::None,
        unbound: None,
        id_claim: "sub".to_owned(),
        actor_claim: "act".to_owned(),
        groups_claim: Some("groups".to_owned()),
        scopes_claim: "scope".to_owned(),
        tags: vec![("department".to_owned(), "/org/department".to_owned())],
    }));
    Provider { name: "opaque".to_owned(), kind, ..sso() }
}

#[test]
fn what_an_issuer_says_is_used_for_a_while_and_never_past_the_end_of_the_token() {
    let key = key();
    let set = TokenSet::new(vec![verifier(&sso(), &key)], Arc::default()).asking(Introspector::new(&opaque()).unwrap());
    let ask = |token: &str, now: i64, given: Option<&Given>| set.authenticate(token, None, now, given);
    let needs = |result: Result<_, TokenError>| matches!(result.unwrap_err().need(), Some(Need::Introspection(_)));
    let answer = |change: Value, at: i64| {
        let text = with(claims(), with(json!({"active": true}), change)).to_string();
        let read = IntrospectionAnswer::read(text.as_bytes(), at).unwrap();
        Given::Introspection(IntrospectionGiven::Answer(Arc::new(read)))
    };
    assert!(needs(ask("opaque", NOW, None)));
    let verified = ask("opaque", NOW, Some(&answer(json!({}), NOW))).unwrap();
    let known = &verified.principal;
    assert_eq!((known.id(), known.authn.method.as_str()), (format!("{ISSUER}|mia"), "introspection"));
    assert!(Arc::ptr_eq(&verified, &ask("opaque", NOW + 29, None).unwrap()));
    assert!(needs(ask("opaque", NOW + 30, None)), "the answer is too old");
    // The token ends before the answer does; the skew of 30 s is the provider's.
    let short = answer(json!({"exp": NOW - 25}), NOW);
    ask("short", NOW, Some(&short)).unwrap();
    assert_eq!(ask("short", NOW + 5, None).unwrap_err().reason(), Reason::CredentialInvalid);
    // Three parts and our issuer: it is a signed one, whatever it is.
    let signed = key.sign(&key.header(), &claims()).unwrap();
    assert!(ask(&signed, NOW, None).is_ok());
    let forged = super::key().sign(&key.header(), &claims()).unwrap();
    let error = ask(&forged, NOW, Some(&answer(json!({}), NOW))).unwrap_err();
    assert_eq!((error.reason(), error.need().is_some()), (Reason::CredentialInvalid, false));
    let others = key.sign(&key.header(), &with(claims(), json!({"iss": "https://other.example"}))).unwrap();
    assert!(needs(ask(&others, NOW, None)), "a signed one of somebody else");
    let away = Given::Introspection(IntrospectionGiven::Away("it is away".to_owned()));
    let error = ask("other", NOW, Some(&away)).unwrap_err();
    assert_eq!((error.reason(), error.need().is_some()), (Reason::Undecided, false));
    // The answer to another question is none.
    assert!(needs(ask("other", NOW, Some(&Given::Keys(KeysGiven::Current)))));
}

#[test]
fn attack_33_a_token_that_was_revoked_is_refused_as_soon_as_the_answer_is_too_old() {
    let set = TokenSet::new(Vec::new(), Arc::default()).asking(Introspector::new(&opaque()).unwrap());
    let answer = |active: bool, at: i64| {
        let text = with(claims(), json!({ "active": active })).to_string();
        Given::Introspection(IntrospectionGiven::Answer(Arc::new(
            IntrospectionAnswer::read(text.as_bytes(), at).unwrap(),
        )))
    };
    let ask = |now: i64, given: Option<&Given>| set.authenticate("opaque", None, now, given).map(drop);
    ask(NOW, Some(&answer(true, NOW))).unwrap();
    ask(NOW + 29, None).unwrap();
    assert!(matches!(ask(NOW + 30, None).unwrap_err().need(), Some(Need::Introspection(_))));
    let error = ask(NOW + 30, Some(&answer(false, NOW + 30))).unwrap_err();
    assert_eq!((error.reason(), error.need().is_none()), (Reason::CredentialInvalid, true));
    assert!(ask(NOW + 31, None).is_err(), "what was good before is not found again");
}

#[test]
fn an_answer_says_active_or_it_says_nothing() {
    for (text, want) in [
        (r#"{"active":true,"sub":"mia"}"#, Some(true)),
        (r#"{"active":false,"sub":"mia"}"#, Some(false)),
        (r#"{"active":"true"}"#, None),
        (r#"{"active":1}"#, None),
        (r#"{"active":null}"#, None),
        (r#"{"Active":true}"#, None),
        (r#"{"active":false,"active":true}"#, None),
        (r#"[{"active":true}]"#, None),
        (r#"{"active":true} "x""#, None),
        ("true", None),
        ("", None),
    ] {
        let read = IntrospectionAnswer::read(text.as_bytes(), NOW).ok();
        assert_eq!(read.map(|answer| answer.is_active()), want, "{text}");
    }
    let long = format!("{{\"active\":true,\"x\":\"{}\"}}", "x".repeat(super::super::MAX_ANSWER));
    assert!(IntrospectionAnswer::read(long.as_bytes(), NOW).is_err());
}

#[test]
fn secrets_are_sent_as_oauth_has_it_and_refused_where_they_are_none() {
    use base64::Engine as _;
    let decoded = |text: &str| {
        let value = basic_auth(text.as_bytes()).map(|value| String::from_utf8(value.expose().clone()).unwrap())?;
        let pair = base64::engine::general_purpose::STANDARD.decode(value.strip_prefix("Basic ").unwrap()).unwrap();
        Ok::<_, &str>(String::from_utf8(pair).unwrap())
    };
    assert_eq!(decoded("postern:s3cret").unwrap(), "postern:s3cret");
    assert_eq!(decoded("a b:c%d:é/+").unwrap(), "a+b:c%25d%3A%C3%A9%2F%2B");
    for bad in ["", "postern", ":s", "i:", "i:s\nx"] {
        assert!(decoded(bad).is_err(), "{bad:?}");
    }
    let body = question(&postern_config::Redacted::new("a.b-c_d~/+=".to_owned()));
    let body = String::from_utf8(body.expose().clone()).unwrap();
    assert_eq!(body, "token=a.b-c_d%7E%2F%2B%3D&token_type_hint=access_token");
}
