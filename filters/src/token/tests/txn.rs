//! Transaction tokens: those that come, and those that we make.

use std::sync::Arc;
use std::time::Duration;

use postern_config::{Demand, Identity, OwnKey, Require, TokenKey, TxnTokens};

use super::super::{PeerFacts, Recognised, TokenError, TokenSet, Transaction, TxnMinter, VerifiedToken, identify};
use super::*;
use crate::testing::asked;
use crate::{Principal, Reason, SpiffeSubject};

fn provider() -> Provider {
    let mut provider = sso_with(|jwt| {
        jwt.token_types = vec!["txntoken+jwt".to_owned()];
        jwt.carried = Carried::TxnToken;
    });
    provider.name = "txn".to_owned();
    provider
}

fn txn_claims() -> Value {
    with(claims(), json!({"txn": "01J9", "scope": "read", "req_wl": "https://edge.example.com"}))
}

fn header(key: &SigningKey) -> Value {
    with(key.header(), json!({"typ": "txntoken+jwt"}))
}

#[test]
fn a_transaction_token_says_what_the_draft_demands() {
    let key = key();
    let verifier = verifier(&provider(), &key);
    let verify = |claims: &Value| verifier.verify(&key.sign(&header(&key), claims).unwrap(), NOW);
    let token = verify(&txn_claims()).unwrap();
    assert!(token.is_txn() && token.principal.is_by_txn());
    assert_eq!(token.principal.scopes, ["read"]);
    for claim in ["txn", "scope", "req_wl", "sub", "iat", "exp", "aud", "iss"] {
        for wrong in [Value::Null, json!(7), json!([]), json!("")] {
            let refused = verify(&with(txn_claims(), json!({claim: wrong.clone()})));
            let reason = refused.expect_err(&format!("{claim} {wrong}")).reason();
            assert_eq!(reason, Reason::CredentialInvalid, "{claim} {wrong}");
        }
    }
    // RFC 8725 §3.11: another kind of token of the same issuer is none, nor is this one an access token.
    let access = key.sign(&key.header(), &txn_claims()).unwrap();
    assert!(matches!(verifier.verify(&access, NOW), Err(TokenError::TokenType(_))));
    let ours = super::verifier(&sso(), &key);
    assert!(matches!(
        ours.verify(&key.sign(&header(&key), &txn_claims()).unwrap(), NOW),
        Err(TokenError::TokenType(_))
    ));
}

#[test]
fn a_transaction_token_is_read_from_its_header_alone() {
    let key = key();
    let set = |provider| TokenSet::new(vec![verifier(provider, &key)], Arc::default());
    let (txn, jwt) = (provider(), sso());
    let recognised = Recognised::new(set(&jwt), Vec::new()).with_txn(Some(set(&txn)));
    let without = Recognised::new(set(&jwt), Vec::new());
    let text = key.sign(&header(&key), &txn_claims()).unwrap();
    let ask = |recognised: &Recognised, line: String| {
        recognised.authenticate(&asked("GET", "/orders").head(&line).view(), NOW, false, None)
    };
    assert!(ask(&recognised, format!("txn-token: {text}")).unwrap().unwrap().is_txn());
    // Nobody here could believe it, and it does not go on.
    assert!(ask(&without, format!("txn-token: {text}")).unwrap().is_none());
    assert!(ask(&recognised, format!("authorization: Bearer {text}")).is_err());
    let access = key.sign(&key.header(), &claims()).unwrap();
    assert!(ask(&recognised, format!("txn-token: {access}")).is_err());
}

fn token() -> VerifiedToken {
    let key = key();
    verifier(&provider(), &key).verify(&key.sign(&header(&key), &txn_claims()).unwrap(), NOW).unwrap()
}

fn bot() -> PeerFacts {
    let id = "spiffe://example.org/ns/acme/sa/bot".to_owned();
    let svid = SpiffeSubject { id, not_before: NOW - 100, not_after: NOW + 200 };
    PeerFacts { spiffe: Some(svid), named: None, leaf_sha256: Some([7; 32]), not_after: NOW + 200 }
}

/// A route that recognises workloads of one type and transaction tokens, and accepts what `demand` names.
fn mesh(workload: PrincipalType, demand: &[usize]) -> Identity {
    let spiffe = Provider {
        name: "mesh".to_owned(),
        kind: ProviderKind::Spiffe(Box::default()),
        principal: workload,
        tenant: TenantSource::SpiffeSegment(1),
        tenants: vec!["acme".to_owned()],
    };
    Identity {
        providers: vec![spiffe, provider()],
        demands: vec![Demand { providers: demand.to_vec(), require: Require::AnyOf }],
        is_open: false,
    }
}

#[test]
fn a_transaction_token_counts_beside_a_workload_only() {
    let (token, peer) = (token(), bot());
    for workload in [PrincipalType::ServiceAccount, PrincipalType::Component] {
        let who = identify(&mesh(workload, &[1]), Some(&token), Some(&peer)).unwrap();
        assert_eq!((who.kind, who.subject.as_str()), (PrincipalType::User, "mia"), "{workload:?}");
    }
    let agent = identify(&mesh(PrincipalType::Agent, &[1]), Some(&token), Some(&peer)).unwrap();
    assert_eq!(agent.kind, PrincipalType::Agent, "an Agent never passes for its User");
    assert_eq!(agent.on_behalf_of.as_deref().unwrap().subject, "mia");
    let alone = identify(&mesh(PrincipalType::Component, &[1]), Some(&token), None).unwrap_err();
    assert!(matches!(alone, TokenError::TxnAlone), "{alone}");
    assert_eq!(alone.reason(), Reason::CredentialMissing);
}

fn minter(algorithm: JwtAlgorithm) -> (TxnMinter, Arc<SigningKey>) {
    let key = Arc::new(SigningKey::from_seed(algorithm, "txn", &[7; 32]).unwrap());
    let settings = TxnTokens {
        issuer: ISSUER.to_owned(),
        audience: AUDIENCE.to_owned(),
        lifetime: Duration::from_secs(300),
        key: TokenKey { key: OwnKey::Generate { name: "txn".to_owned() }, algorithm },
    };
    (TxnMinter::new(settings, key.clone()), key)
}

fn transaction(principal: &Principal, now: i64) -> Transaction<'_> {
    let address = Some("192.0.2.7".parse().unwrap());
    Transaction { id: "01J9", principal, action: "read", route: "shop", method: "GET", address, now }
}

#[test]
fn what_we_make_another_of_us_accepts() {
    for algorithm in [JwtAlgorithm::ES256, JwtAlgorithm::EdDSA] {
        let (minter, key) = minter(algorithm);
        let user = token().principal;
        let text = minter.mint(&transaction(&user, NOW)).unwrap();
        let mut there = sso_with(|jwt| {
            jwt.token_types = vec!["txntoken+jwt".to_owned()];
            jwt.carried = Carried::TxnToken;
            jwt.algorithms = vec![algorithm];
        });
        there.tenant = TenantSource::Claim("/tctx/tenant".to_owned());
        let read = verifier(&there, &key).verify(text.expose(), NOW).unwrap();
        assert_eq!(read.principal.subject, user.id());
        assert_eq!(
            (read.principal.tenant.as_str(), read.principal.scopes.as_slice()),
            ("acme", &["read".to_owned()][..])
        );
        assert_eq!(read.exp, user.authn.expires_at.min(NOW + 300));
        // The same seed is the same key, with the same name.
        assert_eq!(key.jwks(), SigningKey::from_seed(algorithm, "other", &[7; 32]).unwrap().jwks());
    }
}

#[test]
fn a_token_lives_no_longer_than_what_it_is_made_from() {
    let (minter, key) = minter(JwtAlgorithm::ES256);
    let mut provider = provider();
    provider.tenant = TenantSource::Claim("/tctx/tenant".to_owned());
    let verifier = verifier(&provider, &key);
    let ends_at = |left: i64| {
        let mut user = Principal::clone(&token().principal);
        user.authn.expires_at = NOW + left;
        verifier.verify(minter.mint(&transaction(&user, NOW)).unwrap().expose(), NOW).unwrap().exp - NOW
    };
    for (left, want) in [(3600, 300), (60, 60), (1, 5), (-20, 5)] {
        assert_eq!(ends_at(left), want, "{left} s are left");
    }
}

#[test]
fn an_agent_is_the_actor_of_its_user() {
    let (minter, _) = minter(JwtAlgorithm::EdDSA);
    let peer = bot();
    let agent = identify(&mesh(PrincipalType::Agent, &[1]), Some(&token()), Some(&peer)).unwrap();
    let claims = minter.claims(&transaction(&agent, NOW));
    assert_eq!(claims["sub"], agent.on_behalf_of.as_deref().unwrap().id());
    assert_eq!(claims["act"], json!({"sub": agent.id()}));
    for name in ["iss", "aud", "iat", "exp", "txn", "scope", "req_wl", "tctx", "rctx"] {
        assert!(claims.get(name).is_some(), "{name}");
    }
}

#[test]
fn what_is_no_seed_makes_no_key() {
    for (algorithm, seed) in [
        (JwtAlgorithm::ES256, vec![0; 32]),
        (JwtAlgorithm::ES256, vec![0xff; 32]),
        (JwtAlgorithm::ES256, vec![7; 31]),
        (JwtAlgorithm::EdDSA, vec![7; 33]),
        (JwtAlgorithm::RS256, vec![7; 32]),
    ] {
        let error = SigningKey::from_seed(algorithm, "txn", &seed).unwrap_err();
        assert!(error.to_string().contains("`txn`"), "{error}");
    }
}
