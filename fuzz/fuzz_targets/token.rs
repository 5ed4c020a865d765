//! Tokens, key sets and `Authorization` values from outside: no input panics, and none is accepted, as no key of the
//! target has ever signed.

#![no_main]

use std::sync::OnceLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use postern_config::{
    Carried, JwtAlgorithm, JwtKeys, JwtProvider, Material, PrincipalType, Provider, ProviderKind, SenderConstraint,
    TenantSource,
};
use postern_filters::token::mint::SigningKey;
use postern_filters::token::{JwtVerifier, KeySet, bearer, issuer_of};

fn provider() -> Provider {
    Provider {
        name: "sso".to_owned(),
        kind: ProviderKind::Jwt(Box::new(JwtProvider {
            issuer: "https://login.example.com".to_owned(),
            audiences: vec!["https://ai.example.com".to_owned()],
            algorithms: vec![JwtAlgorithm::ES256],
            token_types: vec!["at+jwt".to_owned()],
            keys: JwtKeys::Material(Material::Env("UNUSED".to_owned())),
            max_token_age: Duration::from_secs(3600),
            clock_skew: Duration::from_secs(30),
            sender_constraint: SenderConstraint::Any,
            unbound: None,
            browser: None,
            carried: Carried::Authorization,
            id_claim: "sub".to_owned(),
            actor_claim: "act".to_owned(),
            groups_claim: Some("groups".to_owned()),
            scopes_claim: "scope".to_owned(),
            tags: vec![("department".to_owned(), "/department".to_owned())],
        })),
        principal: PrincipalType::User,
        tenant: TenantSource::Claim("/tenant".to_owned()),
        tenants: vec!["acme".to_owned()],
    }
}

fn fixture() -> &'static (SigningKey, JwtVerifier) {
    static FIXTURE: OnceLock<(SigningKey, JwtVerifier)> = OnceLock::new();
    FIXTURE.get_or_init(|| {
        let key = SigningKey::generate_es256("k1").expect("a key");
        let keys = KeySet::parse(key.jwks().as_bytes()).expect("a key set");
        let verifier = JwtVerifier::new(&provider(), keys).expect("a verifier");
        (key, verifier)
    })
}

fuzz_target!(|data: &[u8]| {
    let (key, verifier) = fixture();
    let _ = KeySet::parse(data);
    if let Ok(Some(token)) = bearer(&[data]) {
        assert!(verifier.verify(token, 1_700_000_000).is_err());
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = issuer_of(text);
    assert!(verifier.verify(text, 1_700_000_000).is_err());
    // Behind a good signature: the readers of header and claims.
    if let Some((header, claims)) = text.split_once('\n') {
        let token = key.sign_parts(header, claims).expect("a signature");
        let _ = verifier.verify(&token, 1_700_000_000);
    }
    let token = key.sign_parts(&key.header().to_string(), text).expect("a signature");
    let _ = verifier.verify(&token, 1_700_000_000);
});
