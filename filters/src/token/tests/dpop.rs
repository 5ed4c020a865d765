//! Proofs of possession: what a good one is, and one line for each way it can be wrong (attack 33, for proofs).

use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::super::{Recognised, TokenSet, dpop, mint, proof_nonce};
use super::*;
use crate::testing::{Asked, asked};

/// A token of mia bound to `holder`, what verifies it, and a request for it.
struct Scene {
    recognised: Recognised,
    holder: SigningKey,
    token: String,
}

fn scene(constraint: SenderConstraint) -> Scene {
    let (issuer, holder) = (key(), SigningKey::generate_es256("client").unwrap());
    let provider = sso_with(|jwt| jwt.sender_constraint = constraint);
    let tokens = TokenSet::new(vec![verifier(&provider, &issuer)], Default::default());
    let claims = with(claims(), json!({"cnf": holder.confirmation()}));
    let token = issuer.sign(&issuer.header(), &claims).unwrap();
    Scene { recognised: Recognised::new(tokens, Vec::new()), holder, token }
}

impl Scene {
    /// Claims of a proof of the token for GET /orders, of an id of their own.
    fn proven(&self, change: Value) -> Value {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let jti = format!("{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let claims = json!({
            "jti": jti, "htm": "GET", "htu": "https://ai.example.com/orders", "iat": NOW, "ath": mint::token_hash(&self.token),
        });
        with(claims, change)
    }

    fn proof(&self, change: Value) -> String {
        self.holder.sign(&self.holder.proof_header(), &self.proven(change)).unwrap()
    }

    fn ask(&self, proof: &str) -> Asked {
        asked("GET", "/orders?page=2").head(&format!("authorization: DPoP {}\ndpop: {proof}", self.token))
    }

    fn said(&self, asked: &Asked) -> String {
        match self.recognised.authenticate(&asked.view(), NOW, false, None) {
            Ok(token) => token.map_or("nobody".to_owned(), |token| token.principal.subject.clone()),
            Err(error) => error.to_string(),
        }
    }
}

#[test]
fn a_proof_has_the_nonce_that_was_given_out() {
    let nonce = proof_nonce::current(NOW).unwrap();
    for (constraint, without, with_one) in
        [(SenderConstraint::Dpop, "mia", "mia"), (SenderConstraint::DpopNonce, "the proof has no nonce", "mia")]
    {
        let scene = scene(constraint);
        let said = |change: Value| scene.said(&scene.ask(&scene.proof(change)));
        assert!(said(json!({})).starts_with(without));
        assert_eq!(said(json!({ "nonce": nonce })), with_one);
    }
    let scene = scene(SenderConstraint::DpopNonce);
    for (case, nonce) in [
        ("of long ago", json!(proof_nonce::current(NOW - 241).unwrap())),
        ("of the future", json!(proof_nonce::current(NOW + 120).unwrap())),
        ("of nobody", json!("AAAAAAAAAAAAAAAAAAAAAA")),
        ("empty", json!("")),
        ("no text", json!(1)),
    ] {
        assert_ne!(scene.said(&scene.ask(&scene.proof(json!({ "nonce": nonce })))), "mia", "{case}");
    }
}

#[test]
fn a_thumbprint_is_that_of_the_standard() {
    // RFC 9449 §4.1 and §6.1.
    let jwk = json!({"kty": "EC", "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
        "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA", "crv": "P-256"});
    let got = dpop::thumbprint(jwk.as_object().unwrap()).unwrap();
    assert_eq!(URL_SAFE_NO_PAD.encode(got), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
}

#[test]
fn attack_33_a_proof_that_is_not_of_this_request_token_key_and_moment_is_refused() {
    let scene = scene(SenderConstraint::Dpop);
    let signed = |header: Value| {
        scene.holder.sign(&with(scene.holder.proof_header(), header), &scene.proven(json!({}))).unwrap()
    };
    let thief = SigningKey::generate_es256("thief").unwrap();
    let rsa = json!({"kty": "RSA", "n": "AQAB", "e": "AQAB"});
    let secret = with(scene.holder.jwk(), json!({"d": "AAAA"}));
    let long = "a".repeat(5000);
    for (case, proof, want) in [
        ("good", scene.proof(json!({})), "mia"),
        ("with a nonce that nobody asked for", scene.proof(json!({"nonce": "x"})), "mia"),
        (
            "scheme and host in capitals, default port",
            scene.proof(json!({"htu": "HTTPS://AI.example.com:443/orders"})),
            "mia",
        ),
        ("with query and fragment", scene.proof(json!({"htu": "https://ai.example.com/orders?page=1#x"})), "mia"),
        ("escaped as it need not be", scene.proof(json!({"htu": "https://ai.example.com/%6Frders"})), "mia"),
        ("59 seconds old", scene.proof(json!({"iat": NOW - 59})), "mia"),
        ("of a clock that is ahead", scene.proof(json!({"iat": NOW + 30})), "mia"),
        ("another method", scene.proof(json!({"htm": "POST"})), "another method"),
        ("method in lower case", scene.proof(json!({"htm": "get"})), "another method"),
        ("no method", scene.proof(json!({"htm": null})), "`htm`"),
        ("another path", scene.proof(json!({"htu": "https://ai.example.com/orders/"})), "another URI"),
        ("another host", scene.proof(json!({"htu": "https://ai.example.com.evil.example/orders"})), "another URI"),
        ("another scheme", scene.proof(json!({"htu": "http://ai.example.com/orders"})), "another URI"),
        ("another port", scene.proof(json!({"htu": "https://ai.example.com:8443/orders"})), "another URI"),
        ("a user in front", scene.proof(json!({"htu": "https://u@ai.example.com/orders"})), "another URI"),
        ("a path alone", scene.proof(json!({"htu": "/orders"})), "another URI"),
        ("a port that is none", scene.proof(json!({"htu": "https://ai.example.com:/orders"})), "another URI"),
        ("a signed port", scene.proof(json!({"htu": "https://ai.example.com:+443/orders"})), "another URI"),
        ("a list of URIs", scene.proof(json!({"htu": ["https://ai.example.com/orders"]})), "`htu`"),
        ("no URI", scene.proof(json!({"htu": null})), "`htu`"),
        ("of another token", scene.proof(json!({"ath": mint::token_hash("x")})), "another token"),
        ("of no token", scene.proof(json!({"ath": null})), "`ath`"),
        ("too old", scene.proof(json!({"iat": NOW - 61})), "too old"),
        ("of the future", scene.proof(json!({"iat": NOW + 31})), "too old, or of the future"),
        ("over", scene.proof(json!({"exp": NOW})), "too old"),
        ("not yet", scene.proof(json!({"nbf": NOW + 60})), "too old"),
        ("no moment", scene.proof(json!({"iat": null})), "`iat`"),
        ("no id", scene.proof(json!({"jti": null})), "`jti`"),
        ("an empty id", scene.proof(json!({"jti": ""})), "`jti`"),
        ("of another type", signed(json!({"typ": "at+jwt"})), "not of type"),
        ("of no type", signed(json!({"typ": null})), "not of type"),
        ("alg none", signed(json!({"alg": "none"})), "algorithm"),
        ("alg HS256", signed(json!({"alg": "HS256"})), "algorithm"),
        ("alg of another key", signed(json!({"alg": "ES384"})), "no usable public key"),
        ("no key", signed(json!({"jwk": null})), "no usable public key"),
        ("a key by name", signed(json!({"jwk": "client"})), "no usable public key"),
        ("an RSA key", signed(json!({"jwk": rsa})), "no usable public key"),
        ("a symmetric key", signed(json!({"jwk": {"kty": "oct", "k": "AAAA"}})), "no usable public key"),
        ("its private key too", signed(json!({"jwk": secret})), "no usable public key"),
        ("another key in it", signed(json!({"jwk": thief.jwk()})), "the signature does not match"),
        ("a key to fetch", signed(json!({"jku": "https://evil.example"})), "`jku`"),
        ("a critical header", signed(json!({"crit": ["b64"], "b64": false})), "`crit`"),
        (
            "of a key that the token is not bound to",
            thief.sign(&thief.proof_header(), &scene.proven(json!({}))).unwrap(),
            "another key",
        ),
        ("the token itself", scene.token.clone(), "not of type"),
        ("two parts", "a.b".to_owned(), "three parts"),
        ("nothing in it", "..".to_owned(), "header"),
        ("far too long", scene.proof(json!({"htu": format!("https://ai.example.com/{long}")})), "bytes"),
    ] {
        let got = scene.said(&scene.ask(&proof));
        assert!(got.contains(want), "{case}: {got}");
    }
}

#[test]
fn a_proof_is_good_once_also_for_a_token_seen_before() {
    let scene = scene(SenderConstraint::Any);
    let (first, second) = (scene.proof(json!({})), scene.proof(json!({})));
    assert_eq!(scene.said(&scene.ask(&first)), "mia");
    assert!(scene.said(&scene.ask(&first)).contains("used before"));
    assert_eq!(scene.said(&scene.ask(&second)), "mia", "the token is remembered, the proof is new");
    let again = scene.recognised.authenticate(&scene.ask(&first).view(), NOW + 200, true, None).unwrap();
    assert_eq!(again.unwrap().principal.subject, "mia", "a stream that is judged again brings the proof it began with");
    let bare = asked("GET", "/orders").bearer(&scene.token);
    assert!(scene.said(&bare).contains("no proof"), "a bound token is no bearer token, remembered or not");
    let beside = bare.head(&format!("dpop: {}", scene.proof(json!({}))));
    assert!(scene.said(&beside).contains("bound to no key"), "whatever stands beside it");
}

#[test]
fn every_pair_of_binding_demand_and_proof_is_let_in_or_refused() {
    use SenderConstraint::{Any, Dpop, Mtls, None as Unbound};
    let certificate = mint::bound_to(&[1; 32]);
    for (case, constraint, of_key, of_certificate, scheme, want) in [
        ("bound to a key, proven", Unbound, true, false, "DPoP", "mia"),
        ("bound to a key, not proven", Unbound, true, false, "Bearer", "no proof"),
        ("any, by key", Any, true, false, "DPoP", "mia"),
        ("a certificate where a proof is demanded", Dpop, false, true, "Bearer", "not bound"),
        ("a proof where a certificate is demanded", Mtls, true, false, "DPoP", "not bound"),
        ("both", Mtls, true, true, "DPoP", "mia"),
        ("both, one shown", Any, true, true, "Bearer", "no proof"),
        ("unbound, with a proof", Unbound, false, false, "DPoP", "bound to no key"),
        ("unbound, where a proof is demanded", Dpop, false, false, "Bearer", "not bound"),
    ] {
        let mut scene = scene(constraint);
        let issuer = key();
        let mut cnf = json!({});
        for part in [of_key.then(|| scene.holder.confirmation()), of_certificate.then(|| certificate.clone())] {
            cnf.as_object_mut().unwrap().extend(part.iter().flat_map(|part| part.as_object().unwrap().clone()));
        }
        let cnf = if cnf == json!({}) { Value::Null } else { cnf };
        scene.token = issuer.sign(&issuer.header(), &with(claims(), json!({"cnf": cnf}))).unwrap();
        let provider = sso_with(|jwt| jwt.sender_constraint = constraint);
        let tokens = TokenSet::new(vec![verifier(&provider, &issuer)], Default::default());
        scene.recognised = Recognised::new(tokens, Vec::new());
        let asked = match scheme {
            "DPoP" => scene.ask(&scene.proof(json!({}))),
            _ => asked("GET", "/orders").bearer(&scene.token),
        };
        let got = scene.said(&asked);
        assert!(got.contains(want), "{case}: {got}");
    }
}
