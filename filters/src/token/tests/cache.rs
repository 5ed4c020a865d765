//! The memory of tokens: what it may save, and what it may not.

use std::sync::Arc;
use std::time::Instant;

use super::super::{TokenCache, TokenError, TokenSet, VerifiedToken, mint};
use super::*;

fn set(providers: &[Provider], key: &SigningKey, cache: &Arc<TokenCache>) -> TokenSet {
    TokenSet::new(providers.iter().map(|provider| verifier(provider, key)).collect(), Arc::clone(cache))
}

fn text(result: Result<Arc<VerifiedToken>, TokenError>) -> String {
    result.map_or_else(|error| error.to_string(), |token| token.principal.id())
}

#[test]
fn attack_33_a_token_seen_before_is_checked_again_in_all_but_its_signature() {
    let key = key();
    let cache = Arc::new(TokenCache::default());
    let set = set(&[sso()], &key, &cache);
    let claims = with(claims(), json!({"cnf": mint::bound_to(&[7; 32])}));
    let token = key.sign(&key.header(), &claims).unwrap();

    assert!(text(set.authenticate(&token, Some(&[1; 32]), NOW, None)).contains("another client certificate"));
    assert_eq!(cache.len(), 1, "a thief's attempt is remembered as the token it is");
    let first = set.authenticate(&token, Some(&[7; 32]), NOW, None).unwrap();
    let again = set.authenticate(&token, Some(&[7; 32]), NOW, None).unwrap();
    assert!(Arc::ptr_eq(&first, &again));
    assert!(text(set.authenticate(&token, Some(&[1; 32]), NOW, None)).contains("another client certificate"));
    assert!(text(set.authenticate(&token, None, NOW, None)).contains("another client certificate"));
    assert!(text(set.authenticate(&token, Some(&[7; 32]), NOW - 100, None)).contains("future"), "a clock set back");
    assert!(set.authenticate(&token, Some(&[7; 32]), NOW + 329, None).is_ok(), "until exp and skew");
    assert!(text(set.authenticate(&token, Some(&[7; 32]), NOW + 330, None)).contains("expired"));
    assert!(cache.is_empty(), "and then it is forgotten");
}

#[test]
fn a_token_is_not_good_longer_than_its_age_allows() {
    let key = key();
    let set = set(&[sso()], &key, &Arc::default());
    let token = key.sign(&key.header(), &with(claims(), json!({"exp": NOW + 86_400}))).unwrap();
    assert_eq!(set.authenticate(&token, None, NOW, None).unwrap().principal.authn.expires_at, NOW - 10 + 3600);
    assert!(set.authenticate(&token, None, NOW + 3600, None).is_ok());
    assert!(text(set.authenticate(&token, None, NOW + 3620, None)).contains("more than 3600 s ago"));
}

#[test]
fn attack_33_what_one_route_remembers_another_does_not_find() {
    let key = key();
    let cache = Arc::new(TokenCache::default());
    let ours = set(&[sso()], &key, &cache);
    let other_audience = set(&[sso_with(|jwt| jwt.audiences = vec!["other".to_owned()])], &key, &cache);
    let other_keys = set(&[sso()], &super::key(), &cache);
    let token = key.sign(&key.header(), &claims()).unwrap();
    let verified = ours.authenticate(&token, None, NOW, None).unwrap();
    verified.prepared.set(Arc::new(1_u8)).unwrap();
    assert!(text(other_audience.authenticate(&token, None, NOW, None)).contains("audience"));
    assert!(text(other_keys.authenticate(&token, None, NOW, None)).contains("signature"), "keys were rotated");
    let reloaded = set(&[sso()], &key, &cache).authenticate(&token, None, NOW, None).unwrap();
    assert!(reloaded.prepared.get().is_none(), "a new snapshot prepares anew");
}

#[test]
fn attack_33_the_same_subject_of_another_issuer_is_another_principal_and_of_an_unknown_one_nobody() {
    let (first, second) = (key(), key());
    let other =
        Provider { name: "partner".to_owned(), ..sso_with(|jwt| jwt.issuer = "https://partner.example".to_owned()) };
    let set = TokenSet::new(vec![verifier(&sso(), &first), verifier(&other, &second)], Arc::default());
    let mint =
        |key: &SigningKey, issuer: &str| key.sign(&key.header(), &with(claims(), json!({ "iss": issuer }))).unwrap();
    for (case, token, want) in [
        ("ours", mint(&first, ISSUER), "https://login.example.com|mia"),
        ("partner's", mint(&second, "https://partner.example"), "https://partner.example|mia"),
        ("ours by the partner's key", mint(&second, ISSUER), "the signature does not match"),
        ("unknown", mint(&first, "https://evil.example"), "no provider of the route has issuer `https://evil.example`"),
        ("prefix", mint(&first, "https://login.example.co"), "no provider of the route has issuer"),
    ] {
        let got = text(set.authenticate(&token, None, NOW, None));
        assert!(got.starts_with(want), "{case}: {got}");
    }
    let none = TokenSet::new(Vec::new(), Arc::default());
    assert!(text(none.authenticate(&mint(&first, ISSUER), None, NOW, None)).contains("no provider"));
}

#[test]
fn attack_33_a_token_that_two_providers_accept_is_refused() {
    let key = key();
    let twin = Provider { name: "twin".to_owned(), principal: PrincipalType::Agent, ..sso() };
    let token = key.sign(&key.header(), &claims()).unwrap();
    let both = set(&[sso(), twin.clone()], &key, &Arc::default());
    assert!(text(both.authenticate(&token, None, NOW, None)).contains("`sso` and `twin` both accept"));
    let mut apart = twin;
    if let ProviderKind::Jwt(jwt) = &mut apart.kind {
        jwt.audiences = vec!["other".to_owned()];
    }
    let one = set(&[apart, sso()], &key, &Arc::default());
    assert_eq!(
        text(one.authenticate(&token, None, NOW, None)),
        "https://login.example.com|mia",
        "told apart by audience"
    );
}

#[test]
fn the_memory_is_bounded() {
    let key = key();
    let cache = Arc::new(TokenCache::new(64));
    let set = set(&[sso()], &key, &cache);
    for n in 0..300 {
        let token = key.sign(&key.header(), &with(claims(), json!({"jti": n.to_string()}))).unwrap();
        set.authenticate(&token, None, NOW, None).unwrap();
    }
    assert!(cache.len() <= 64, "{} entries", cache.len());
}

#[test]
fn a_token_seen_before_costs_a_fraction_of_its_signature() {
    let key = key();
    let set = set(&[sso()], &key, &Arc::default());
    let claims = with(claims(), json!({"cnf": mint::bound_to(&[7; 32])}));
    let token = key.sign(&key.header(), &claims).unwrap();
    let best = |rounds: u32, run: &dyn Fn()| {
        let once = || {
            let start = Instant::now();
            (0..rounds).for_each(|_| run());
            start.elapsed() / rounds
        };
        (0..7).map(|_| once()).min().unwrap()
    };
    let verifier = verifier(&sso(), &key);
    let uncached = best(50, &|| drop(verifier.verify(&token, NOW).unwrap()));
    let cached = best(5000, &|| drop(set.authenticate(&token, Some(&[7; 32]), NOW, None).unwrap()));
    println!("token of {} bytes: first sight {uncached:?}, seen before {cached:?}", token.len());
    assert!(cached * 3 < uncached, "{cached:?} against {uncached:?}");
}
