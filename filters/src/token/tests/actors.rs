//! Chains of actors: who decides, who is recorded, and who may not.

use std::sync::Arc;

use super::super::{VerifiedToken, combine, principal_from_svid};
use super::*;
use crate::{Principal, SpiffeSubject};

const BOT: &str = "spiffe://example.org/ns/acme/sa/bot";

fn verified(change: Value) -> Result<VerifiedToken, String> {
    let key = key();
    let token = key.sign(&key.header(), &with(claims(), change)).unwrap();
    verifier(&sso(), &key).verify(&token, NOW).map_err(|error| error.to_string())
}

/// `names` act, each for the next one.
fn chain(names: &[&str]) -> Value {
    names.iter().rev().fold(Value::Null, |act, name| {
        if act.is_null() { json!({ "sub": name }) } else { json!({"sub": name, "act": act}) }
    })
}

fn agent(id: &str) -> Principal {
    let provider = Provider {
        name: "agents".to_owned(),
        kind: ProviderKind::Spiffe(Box::default()),
        principal: PrincipalType::Agent,
        tenant: TenantSource::SpiffeSegment(1),
        tenants: vec!["acme".to_owned()],
    };
    let subject = SpiffeSubject { id: id.to_owned(), not_before: NOW - 60, not_after: NOW + 60 };
    principal_from_svid(&subject, &provider).unwrap()
}

#[test]
fn the_outermost_actor_decides_and_those_before_are_recorded() {
    for (names, prior) in [
        (&["ci"][..], &[][..]),
        (&["ci", "planner"], &["planner"]),
        (&["ci", "planner", "chat"], &["planner", "chat"]),
        (&["ci", "mia"], &["mia"]),
    ] {
        let token = verified(json!({"act": chain(names)})).unwrap();
        let who = token.delegate.unwrap();
        assert_eq!(who.to_string(), "Agent `https://login.example.com|ci` for User `https://login.example.com|mia`");
        assert_eq!(who.authn.prior_actors, prior, "{names:?}");
        assert!(token.principal.authn.prior_actors.is_empty(), "the User acts for nobody");
    }
    let token = Arc::new(verified(json!({"act": chain(&[BOT, "planner"])})).unwrap());
    let who = combine(agent(BOT), &token).unwrap();
    assert_eq!((who.subject.as_str(), who.authn.prior_actors.as_slice()), (BOT, &["planner".to_owned()][..]));
    let token = Arc::new(verified(json!({"act": chain(&["ci", "planner"])})).unwrap());
    let who = combine(agent(BOT), &token).unwrap();
    assert_eq!(who.authn.prior_actors, ["ci", "planner"], "whom the token names acted before its SVID did");
}

#[test]
fn attack_32_an_actor_of_a_wrong_shape_is_refused_with_a_reason() {
    let long: Vec<&str> = vec!["x"; 9];
    for (case, change, want) in [
        ("a text", json!({"act": "ci"}), "claim `act` is not an object with `sub`"),
        ("a list", json!({"act": [{"sub": "ci"}]}), "claim `act` is not an object with `sub`"),
        ("no subject", json!({"act": {"client_id": "ci"}}), "claim `act` is not an object with `sub`"),
        ("a number", json!({"act": {"sub": 1}}), "claim `act` is not a string"),
        ("nothing", json!({"act": {"sub": ""}}), "claim `act` is empty or longer"),
        ("control characters", json!({"act": {"sub": "a\nb"}}), "claim `act` has control characters"),
        ("a wrong one before", json!({"act": {"sub": "ci", "act": "x"}}), "claim `act` is not an object with `sub`"),
        ("an issuer of a wrong shape", json!({"act": {"sub": "ci", "iss": 1}}), "claim `act` is not a string"),
        (
            "of another issuer",
            json!({"act": {"sub": "ci", "iss": "https://other.example"}}),
            "claim `act` names an actor of another issuer",
        ),
        ("of the same issuer", json!({"act": {"sub": "ci", "iss": ISSUER}}), ""),
        (
            "one before of another issuer",
            json!({"act": {"sub": "ci", "act": {"sub": "x", "iss": "https://other.example"}}}),
            "",
        ),
        ("as many as may be", json!({"act": chain(long.get(1..).unwrap())}), ""),
        ("too many", json!({"act": chain(&long)}), "claim `act` names more than 8 actors"),
        ("whom it lets, as a text", json!({"may_act": "ci"}), "claim `may_act` is not an object with `sub`"),
        ("whom it lets, without a name", json!({"may_act": {}}), "claim `may_act` is not an object with `sub`"),
    ] {
        let got = verified(change).err().unwrap_or_default();
        assert!(got.starts_with(want) && got.is_empty() == want.is_empty(), "{case}: {got}");
    }
}

#[test]
fn only_whom_a_token_lets_act_acts() {
    let may = |sub: &str| json!({ "sub": sub });
    let of = |sub: &str, iss: &str| json!({"sub": sub, "iss": iss});
    for (case, may_act, actor, want) in [
        ("nobody acts", may("ci"), None, true),
        ("whom it lets", may("ci"), Some("ci"), true),
        ("another", may("ci"), Some("other"), false),
        ("of this issuer", of("ci", ISSUER), Some("ci"), true),
        ("of another issuer", of("ci", "https://other.example"), Some("ci"), false),
        ("in another case", may("CI"), Some("ci"), false),
    ] {
        let act = actor.map_or(Value::Null, |actor| chain(&[actor]));
        let got = verified(json!({"may_act": may_act, "act": act}));
        assert_eq!(
            got.as_ref().err().map(String::as_str),
            (!want).then(|| {
                if actor == Some("other") {
                    "the token does not let `other` act for its subject (`may_act`)"
                } else {
                    "the token does not let `ci` act for its subject (`may_act`)"
                }
            }),
            "{case}"
        );
    }
    for (case, may_act, want) in [
        ("the workload", may(BOT), true),
        ("of its domain", of(BOT, "spiffe://example.org"), true),
        ("another workload", may("spiffe://example.org/ns/acme/sa/other"), false),
        ("of another domain", of(BOT, "spiffe://example.com"), false),
    ] {
        let token = verified(json!({ "may_act": may_act })).unwrap();
        assert_eq!(combine(agent(BOT), &token).is_ok(), want, "{case}");
    }
}
