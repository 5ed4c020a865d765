//! What issuers answer about tokens: no input panics, and a token is good only where the answer says for whom and until when.

#![no_main]

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use postern_config::{
    IntrospectionProvider, IntrospectionSource, Material, PrincipalType, Provider, ProviderKind, SenderConstraint,
    TenantSource,
};
use postern_filters::token::{IntrospectionAnswer, Introspector, TokenCache, TokenSet};
use postern_filters::{Given, IntrospectionGiven};

const NOW: i64 = 1_700_000_000;

fn provider() -> Provider {
    let at = IntrospectionSource {
        url: "https://a.example/introspect".to_owned(),
        client_auth: Material::Env("UNUSED".to_owned()),
        ca: None,
    };
    Provider {
        name: "asked".to_owned(),
        kind: ProviderKind::Introspection(Box::new(IntrospectionProvider {
            issuer: "https://a.example".to_owned(),
            audiences: vec!["https://ai.example.com".to_owned()],
            at,
            cache_for: Duration::from_secs(30),
            max_token_age: Duration::from_secs(3600),
            clock_skew: Duration::from_secs(30),
            sender_constraint: SenderConstraint::Any,
            unbound: None,
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

fn set() -> &'static TokenSet {
    static SET: OnceLock<TokenSet> = OnceLock::new();
    SET.get_or_init(|| {
        let introspector = Introspector::new(&provider()).expect("a provider");
        // It remembers one token at most, so that every answer is read.
        TokenSet::new(Vec::new(), Arc::new(TokenCache::new(1))).asking(introspector)
    })
}

fuzz_target!(|data: &[u8]| {
    let Ok(answer) = IntrospectionAnswer::read(data, NOW) else { return };
    let active = answer.is_active();
    let given = Given::Introspection(IntrospectionGiven::Answer(Arc::new(answer)));
    let token = format!("t{}", data.len());
    if let Ok(verified) = set().authenticate(&token, None, NOW, Some(&given)) {
        assert!(active && verified.principal.tenant == "acme" && verified.exp > NOW - 31);
    }
});
