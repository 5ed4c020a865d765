//! Sessions from the id token to their end.

use std::sync::Arc;
use std::time::Duration;

use postern_config::Provider;
use serde_json::{Value, json};

use super::super::tests::{NOW, key, sso, verifier, with};
use super::*;
use crate::token::JwtVerifier;
use crate::token::mint::SigningKey;

const HOST: &str = "shop.example";

struct House {
    key: SigningKey,
    verifier: JwtVerifier,
    ended: Arc<EndedSessions>,
    sessions: Sessions,
    login: Login,
    nonce: String,
}

fn house() -> House {
    let key = key();
    let verifier = verifier(&sso(), &key);
    let ended = Arc::new(EndedSessions::new());
    let seal = Arc::new(SealKey::from_seed(&[7; 32]).unwrap());
    let sessions = Sessions::new(seal, ended.clone(), Duration::from_secs(3600), Duration::from_secs(600));
    let login = Login::begin("/", NOW).unwrap();
    let query = login.query("shop", "https://shop.example/cb", &[], &[]);
    let nonce = query.split('&').find_map(|pair| pair.strip_prefix("nonce=")).unwrap().to_owned();
    House { key, verifier, ended, sessions, login, nonce }
}

impl House {
    /// An id token; `change` members replace, and `null` removes.
    fn id_token(&self, typ: Value, change: Value) -> String {
        let claims = json!({
            "iss": self.verifier.issuer(), "sub": "mia", "aud": "shop", "exp": NOW + 300, "iat": NOW, "nonce": self.nonce,
            "tenant": "acme", "groups": ["staff"], "acr": "mfa", "auth_time": NOW - 5, "sid": "s1", "picture": "x".repeat(3000),
        });
        let mut header = self.key.header();
        if typ.is_null() {
            header.as_object_mut().unwrap().remove("typ");
        } else {
            header["typ"] = typ;
        }
        self.key.sign(&header, &with(claims, change)).unwrap()
    }

    fn begin(&self, change: Value) -> Result<String, SessionError> {
        let token = self.id_token(json!("JWT"), change);
        self.sessions.begin(&self.verifier, &self.login, "shop", &token, HOST, NOW).map(|(cookie, _)| cookie)
    }

    fn open(&self, cookie: &str, now: i64) -> Result<Session, SessionError> {
        self.sessions.open(&self.verifier, cookie, HOST, now)
    }
}

#[test]
fn a_session_is_its_user_until_it_ends() {
    let house = house();
    let cookie = house.begin(json!({})).unwrap();
    let session = house.open(&cookie, NOW + 1).unwrap();
    let who = &session.token.principal;
    assert_eq!((who.subject.as_str(), who.tenant.as_str(), who.authn.method.as_str()), ("mia", "acme", "session"));
    assert_eq!((who.authn.acr.as_str(), who.authn.authenticated_at), ("mfa", NOW - 5));
    assert!(!who.authn.sender_bound && who.authn.expires_at == NOW + 3600);
    assert!(session.renewed.is_none(), "not every answer sets a cookie");

    assert!(matches!(house.open(&cookie, NOW + 600), Err(SessionError::Idle { .. })));
    let mut cookie = house.open(&cookie, NOW + 500).unwrap().renewed.unwrap();
    for at in (900..3600).step_by(400) {
        cookie = house.open(&cookie, NOW + at).unwrap().renewed.unwrap();
    }
    assert!(matches!(house.open(&cookie, NOW + 3600), Err(SessionError::TooOld { .. })), "whatever it was used");
    assert!(matches!(house.open(&cookie, NOW - 1), Err(SessionError::TooOld { .. })), "a clock set back");
}

#[test]
fn attack_33_an_id_token_is_for_this_client_and_this_login() {
    let house = house();
    for (case, typ, change) in [
        ("another client", json!("JWT"), json!({"aud": "other"})),
        ("more audiences", json!("JWT"), json!({"aud": ["shop", "other"], "azp": "shop"})),
        ("another party", json!("JWT"), json!({"azp": "other"})),
        ("another login", json!("JWT"), json!({"nonce": "n"})),
        ("no nonce", json!("JWT"), json!({"nonce": null})),
        ("another issuer", json!("JWT"), json!({"iss": "https://login.example.com.evil.example"})),
        ("expired", json!("JWT"), json!({"exp": NOW - 31})),
        ("no end", json!("JWT"), json!({"exp": null})),
        ("of the future", json!("JWT"), json!({"iat": NOW + 31})),
        ("no user", json!("JWT"), json!({"sub": null})),
        ("another tenant", json!("JWT"), json!({"tenant": "initech"})),
        ("an access token", json!("at+jwt"), json!({})),
        ("a logout token", json!("logout+jwt"), json!({})),
    ] {
        let token = house.id_token(typ, change);
        let begun = house.sessions.begin(&house.verifier, &house.login, "shop", &token, HOST, NOW);
        assert!(begun.is_err(), "{case}");
    }
    let untyped = house.id_token(Value::Null, json!({}));
    assert!(house.sessions.begin(&house.verifier, &house.login, "shop", &untyped, HOST, NOW).is_ok());
    let other = SigningKey::generate_es256("k1").unwrap();
    let forged = other.sign(&json!({"alg": "ES256", "kid": "k1"}), &json!({"sub": "mia"})).unwrap();
    assert!(house.sessions.begin(&house.verifier, &house.login, "shop", &forged, HOST, NOW).is_err());
}

#[test]
fn a_cookie_is_of_one_host_one_provider_and_one_key() {
    let house = house();
    let cookie = house.begin(json!({})).unwrap();
    let elsewhere = house.sessions.open(&house.verifier, &cookie, "admin.example", NOW);
    assert!(matches!(elsewhere, Err(SessionError::NotOurs)));
    let renamed = verifier(&Provider { name: "other".to_owned(), ..sso() }, &house.key);
    assert!(matches!(house.sessions.open(&renamed, &cookie, HOST, NOW), Err(SessionError::NotOurs)));
    let fresh = self::house();
    let seal = Arc::new(SealKey::from_seed(&[8; 32]).unwrap());
    let sessions = Sessions::new(seal, Arc::default(), Duration::from_secs(3600), Duration::from_secs(600));
    assert!(matches!(sessions.open(&fresh.verifier, &cookie, HOST, NOW), Err(SessionError::NotOurs)));
    for text in ["", "a", &cookie[1..], &format!("{cookie}A")] {
        assert!(matches!(house.open(text, NOW), Err(SessionError::NotOurs)));
    }
}

#[test]
fn claims_that_do_not_fit_are_told() {
    let house = house();
    let groups: Vec<String> = (0..400).map(|n| format!("group-{n}")).collect();
    assert!(matches!(house.begin(json!({"groups": groups})), Err(SessionError::TooLarge { .. })));
}

#[test]
fn policy_that_changes_changes_sessions() {
    let house = house();
    let cookie = house.begin(json!({})).unwrap();
    let narrower = verifier(&Provider { tenants: vec!["globex".to_owned()], ..sso() }, &house.key);
    let seal = Arc::new(SealKey::from_seed(&[7; 32]).unwrap());
    let sessions = Sessions::new(seal, Arc::default(), Duration::from_secs(3600), Duration::from_secs(600));
    assert!(matches!(sessions.open(&narrower, &cookie, HOST, NOW), Err(SessionError::Claims(_))));
}

fn logout_token(house: &House, typ: &str, change: Value) -> String {
    let claims = json!({
        "iss": house.verifier.issuer(), "aud": "shop", "iat": NOW, "exp": NOW + 120, "jti": "j1", "sid": "s1",
        "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
    });
    let mut header = house.key.header();
    header["typ"] = typ.into();
    house.key.sign(&header, &with(claims, change)).unwrap()
}

#[test]
fn whom_the_issuer_logs_out_is_out_everywhere_at_once() {
    let house = house();
    let (mine, other) = (house.begin(json!({})).unwrap(), house.begin(json!({"sid": "s2"})).unwrap());
    assert!(house.open(&mine, NOW + 1).is_ok());
    let token = logout_token(&house, "logout+jwt", json!({}));
    let token = LogoutToken::verify(&house.verifier, "shop", &token, NOW + 1).unwrap();
    assert!(house.ended.log_out(&token, NOW + 1, 3600));
    assert!(matches!(house.open(&mine, NOW + 1), Err(SessionError::LoggedOut)), "what is remembered too");
    assert!(house.open(&other, NOW + 1).is_ok());
    house.sessions.end(&house.verifier, &other, HOST, NOW + 2);
    assert!(matches!(house.open(&other, NOW + 2), Err(SessionError::LoggedOut)));
}

#[test]
fn attack_33_only_a_logout_token_logs_out() {
    let house = house();
    let event = json!({"http://schemas.openid.net/event/other": {}});
    for (case, typ, change, now) in [
        ("an id token", "JWT", json!({}), NOW),
        ("another client", "logout+jwt", json!({"aud": "other"}), NOW),
        ("another issuer", "logout+jwt", json!({"iss": "https://evil.example"}), NOW),
        ("no event", "logout+jwt", json!({"events": null}), NOW),
        ("another event", "logout+jwt", json!({"events": event}), NOW),
        (
            "an event that is no object",
            "logout+jwt",
            json!({"events": ["http://schemas.openid.net/event/backchannel-logout"]}),
            NOW,
        ),
        ("a nonce", "logout+jwt", json!({"nonce": "n"}), NOW),
        ("nobody", "logout+jwt", json!({"sid": null}), NOW),
        ("no id", "logout+jwt", json!({"jti": null}), NOW),
        ("expired", "logout+jwt", json!({}), NOW + 151),
        ("old", "logout+jwt", json!({"exp": NOW + 86_400}), NOW + 331),
        ("of the future", "logout+jwt", json!({}), NOW - 31),
    ] {
        let token = logout_token(&house, typ, change);
        assert!(LogoutToken::verify(&house.verifier, "shop", &token, now).is_err(), "{case}");
    }
}
