//! Tokens, key sets and credentials, right and wrong.

mod actors;
mod api_keys;
mod cache;
mod dpop;
mod identify;
mod jwt_svids;
mod keysets;
mod properties;
mod refusals;
mod rings;
mod shapes;
mod txn;
mod wycheproof;

use std::time::Duration;

use postern_config::TenantSource;
use postern_config::{
    Carried, JwtAlgorithm, JwtKeys, JwtProvider, Material, PrincipalType, Provider, ProviderKind, SenderConstraint,
};
use serde_json::{Value, json};

use super::mint::SigningKey;
use super::{JwtVerifier, KeySet};

pub(super) const NOW: i64 = 1_700_000_000;
pub(super) const ISSUER: &str = "https://login.example.com";
pub(super) const AUDIENCE: &str = "https://ai.example.com";

/// A `Jwt` provider that accepts ES256, needs no binding and may assert tenant `acme`.
pub(super) fn sso() -> Provider {
    Provider {
        name: "sso".to_owned(),
        kind: ProviderKind::Jwt(Box::new(JwtProvider {
            issuer: ISSUER.to_owned(),
            audiences: vec!["https://mcp.example.com/mcp".to_owned(), AUDIENCE.to_owned()],
            algorithms: vec![JwtAlgorithm::ES256],
            token_types: vec!["at+jwt".to_owned()],
            keys: JwtKeys::Material(Material::Env("UNUSED".to_owned())),
            max_token_age: Duration::from_secs(3600),
            clock_skew: Duration::from_secs(30),
            sender_constraint: SenderConstraint::None,
            unbound: None,
            id_claim: "sub".to_owned(),
            actor_claim: "act".to_owned(),
            groups_claim: Some("groups".to_owned()),
            scopes_claim: "scope".to_owned(),
            tags: vec![("department".to_owned(), "/org/department".to_owned())],
            browser: None,
            carried: Carried::Authorization,
        })),
        principal: PrincipalType::User,
        tenant: TenantSource::Claim("/tenant".to_owned()),
        tenants: vec!["acme".to_owned(), "globex".to_owned()],
    }
}

pub(super) fn sso_with(change: impl FnOnce(&mut JwtProvider)) -> Provider {
    let mut provider = sso();
    if let ProviderKind::Jwt(jwt) = &mut provider.kind {
        change(jwt);
    }
    provider
}

pub(super) fn key() -> SigningKey {
    SigningKey::generate_es256("k1").unwrap()
}

pub(super) fn keys(key: &SigningKey) -> KeySet {
    KeySet::parse(key.jwks().as_bytes()).unwrap()
}

pub(super) fn verifier(provider: &Provider, key: &SigningKey) -> JwtVerifier {
    JwtVerifier::new(provider, keys(key)).unwrap()
}

pub(super) fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "mia", "tenant": "acme",
        "iat": NOW - 10, "exp": NOW + 300, "scope": "tools:read chat", "groups": ["sre"],
    })
}

/// `base` with members replaced; `null` removes one.
pub(super) fn with(mut base: Value, changes: Value) -> Value {
    let members = base.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            members.shift_remove(name);
        } else {
            members.insert(name.clone(), value.clone());
        }
    }
    base
}
