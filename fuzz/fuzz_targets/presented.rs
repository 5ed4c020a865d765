//! Proofs of keys (DPoP) and signatures of requests, as a request presents them: no input panics, and nothing that no key of the
//! target has signed is accepted.

#![no_main]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use postern_config::{
    HttpSignatureProvider, Material, PrincipalType, Provider, ProviderKind, SignatureAlgorithm, TenantSource,
};
use postern_filters::structured::dictionary;
use postern_filters::token::mint::SigningKey;
use postern_filters::token::{Recognised, SignatureKeys, TokenCache, TokenSet, check_body};
use postern_filters::{RequestView, Source};

const NOW: i64 = 1_700_000_000;

fn provider() -> Provider {
    Provider {
        name: "partners".to_owned(),
        kind: ProviderKind::HttpSignature(Box::new(HttpSignatureProvider {
            issuer: "https://partners.example.com".to_owned(),
            keys: Material::Env("UNUSED".to_owned()),
            algorithms: vec![SignatureAlgorithm::EcdsaP256],
            tag: None,
            components: vec!["content-type".to_owned()],
            max_age: Duration::from_secs(60),
            clock_skew: Duration::from_secs(30),
            id_claim: "kid".to_owned(),
            groups_claim: None,
            tags: Vec::new(),
        })),
        principal: PrincipalType::Component,
        tenant: TenantSource::Value("acme".to_owned()),
        tenants: vec!["acme".to_owned()],
    }
}

fn fixture() -> &'static (SigningKey, Recognised) {
    static FIXTURE: OnceLock<(SigningKey, Recognised)> = OnceLock::new();
    FIXTURE.get_or_init(|| {
        let key = SigningKey::generate_es256("k1").expect("a key");
        let keys = SignatureKeys::parse(&provider(), key.jwks().as_bytes()).expect("a key set");
        let tokens = TokenSet::new(Vec::new(), Arc::new(TokenCache::new(1)));
        (key, Recognised::new(tokens, Vec::new()).signed(vec![keys]))
    })
}

fn is_recognised(lines: &[(&'static str, &str)]) -> bool {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        let Ok(value) = HeaderValue::from_str(value) else { return false };
        headers.append(HeaderName::from_static(name), value);
    }
    let req = RequestView {
        method: "POST",
        host: "api.example.com",
        port: None,
        path: "/orders",
        query: Some("a=1"),
        headers: &headers,
        source: Source::Ip(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        tls: true,
        peer: None,
        listener: "public",
    };
    let _ = check_body(&headers, b"hello");
    // Again, so that the memory of what came before does not fill.
    fixture().1.authenticate(&req, NOW, true, None).is_ok_and(|found| found.is_some())
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = dictionary(text);
    let (first, second) = text.split_once('\n').unwrap_or((text, ""));
    let nobody = format!("sig=:{}:", "A".repeat(86) + "==");
    assert!(!is_recognised(&[("signature-input", first), ("signature", &nobody), ("content-digest", second)]));
    assert!(!is_recognised(&[("signature-input", first), ("signature", second)]));
    // Behind a good signature over something else.
    let (key, _) = fixture();
    let signature = key.sign_text(text).expect("a signature");
    assert!(!is_recognised(&[("signature-input", first), ("signature", &format!("sig=:{signature}:"))]));
    // The token is nobody's, so that only the proof is read.
    assert!(!is_recognised(&[("authorization", "DPoP a.b.c"), ("dpop", first)]));
    let proof = key.sign_parts(&key.proof_header().to_string(), text).expect("a proof");
    assert!(!is_recognised(&[("authorization", "DPoP a.b.c"), ("dpop", &proof)]));
    let proof = key.sign_parts(first, second).expect("a proof");
    assert!(!is_recognised(&[("authorization", "DPoP a.b.c"), ("dpop", &proof)]));
});
