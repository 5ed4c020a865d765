//! Every claim that is read, with every type of JSON in its place (attack 32): what is not of the type that was expected is
//! refused with the claim's name, by whoever reads it, and nothing panics.

use std::sync::{Arc, OnceLock};

use proptest::prelude::*;

use super::super::{IntrospectionAnswer, Introspector, TokenError, TokenSet, VerifiedToken};
use super::rings::opaque;
use super::*;
use crate::{Given, IntrospectionGiven, Reason};

/// Claims by the place that refusals name, with the types that each may be.
const CLAIMS: &[(&str, &[&str])] = &[
    ("iss", &["text"]),
    ("aud", &["text", "texts", "no texts"]),
    ("exp", &["number"]),
    ("iat", &["number"]),
    ("nbf", &["number"]),
    ("sub", &["text"]),
    ("/tenant", &["text"]),
    ("groups", &["texts", "no texts"]),
    ("scope", &["text"]),
    ("/org/department", &["text", "texts", "no texts"]),
    ("acr", &["text"]),
    ("amr", &["texts", "no texts"]),
    ("auth_time", &["number"]),
    ("cnf", &[]),
    ("act", &["named"]),
    ("may_act", &["named"]),
];

/// One of each type, and of each type that could be taken for another.
fn shapes() -> Vec<(&'static str, Value)> {
    vec![
        ("null", Value::Null),
        ("truth", json!(true)),
        ("truth", json!(false)),
        ("number", json!(NOW - 5)),
        ("fraction", json!(1.5)),
        ("fraction", json!(1e300)),
        ("below zero", json!(-1)),
        ("beyond time", json!(u64::MAX)),
        ("text", json!("x")),
        ("empty", json!("")),
        ("lines", json!("x\ny")),
        ("NUL", json!("x\0")),
        ("long", json!("x".repeat(9000))),
        ("texts", json!(["x"])),
        ("no texts", json!([])),
        ("numbers", json!([7])),
        ("nulls", json!([null])),
        ("mixed", json!(["x", 7])),
        ("nested", json!([["x"]])),
        ("objects", json!([{"sub": "x"}])),
        ("object", json!({})),
        ("named", json!({"sub": "x"})),
        ("misnamed", json!({"sub": ["x"]})),
        ("indexed", json!({"0": "x"})),
    ]
}

/// `value` in the place of a claim, `null` as well.
fn put(place: &str, value: Value) -> Value {
    let mut all = claims();
    match place {
        "/org/department" => all["org"] = json!({"department": value}),
        _ => all[place.trim_start_matches('/')] = value,
    }
    all
}

/// What verifies a signature says of claims, and what reads an issuer's answer.
fn readers(claims: &Value) -> [(&'static str, Result<Arc<VerifiedToken>, TokenError>); 2] {
    static MADE: OnceLock<(SigningKey, TokenSet)> = OnceLock::new();
    let (key, asking) = MADE.get_or_init(|| {
        let asking = TokenSet::new(Vec::new(), Arc::default()).asking(Introspector::new(&opaque()).unwrap());
        (key(), asking)
    });
    let signed = key.sign(&key.header(), claims).unwrap();
    let verified = verifier(&sso(), key).verify(&signed, NOW).map(Arc::new);
    let mut said = claims.clone();
    said["active"] = json!(true);
    let answer = IntrospectionAnswer::read(said.to_string().as_bytes(), NOW).unwrap();
    let given = Given::Introspection(IntrospectionGiven::Answer(Arc::new(answer)));
    [("signed", verified), ("asked about", asking.authenticate(&signed, None, NOW, Some(&given)))]
}

#[test]
fn attack_32_a_claim_of_any_other_type_is_refused_with_its_name() {
    for (place, types) in CLAIMS {
        for (shape, value) in shapes() {
            for (reader, read) in readers(&put(place, value.clone())) {
                let case = format!("{place} as {shape}, {reader}: {read:?}");
                match read {
                    // An empty text is no scope, and an empty list is of no audience.
                    Ok(_) => assert!(types.contains(&shape) || is_words(place, shape), "{case}"),
                    Err(error) => {
                        assert_eq!(error.reason(), Reason::CredentialInvalid, "{case}");
                        let names = error.to_string().contains(&format!("`{place}`"));
                        // What a binding is by, is named where it is of no kind that is known.
                        let binding = matches!(error, TokenError::UnknownBinding(_)) && *place == "cnf";
                        assert!(types.contains(&shape) || names || binding, "{case}");
                    }
                }
            }
        }
    }
}

/// Words in one text, of any length and number.
fn is_words(place: &str, shape: &str) -> bool {
    place == "scope" && ["empty", "long"].contains(&shape)
}

#[test]
fn a_claim_of_its_own_type_is_what_it_says() {
    for (place, shape) in [("/org/department", "texts"), ("groups", "texts"), ("acr", "text"), ("amr", "texts")] {
        let value = shapes().into_iter().find(|(name, _)| *name == shape).unwrap().1;
        for (reader, read) in readers(&put(place, value)) {
            let who = read.unwrap().principal.clone();
            let said = match place {
                "groups" => who.groups.clone(),
                "acr" => vec![who.authn.acr.clone()],
                "amr" => who.authn.amr.clone(),
                _ => who.tags[0].1.clone(),
            };
            assert_eq!(said, ["x"], "{place}, {reader}");
        }
    }
}

/// Any JSON, not deep.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        "\\PC{0,12}".prop_map(Value::from),
        prop::sample::select(vec!["mia", "acme", "sub", AUDIENCE, ISSUER, "spiffe://example.org/x"])
            .prop_map(Value::from),
    ];
    let name = prop::sample::select(vec!["sub", "act", "iss", "x5t#S256", "jkt", "jwk", "department", "0", ""]);
    leaf.prop_recursive(3, 12, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name.clone(), inner), 0..4)
                .prop_map(|members| members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn attack_32_no_value_of_a_claim_makes_a_reader_panic_or_another_principal(
        value in any_json(),
        which in any::<prop::sample::Index>(),
    ) {
        let place = which.get(CLAIMS).0;
        for (reader, read) in readers(&put(place, value.clone())) {
            match read {
                Ok(token) if place == "sub" => prop_assert_eq!(Some(token.principal.subject.as_str()), value.as_str()),
                Ok(token) => prop_assert_eq!(token.principal.id(), format!("{ISSUER}|mia"), "{}, {}", place, reader),
                Err(error) => prop_assert_eq!(error.reason(), Reason::CredentialInvalid),
            }
        }
    }
}
