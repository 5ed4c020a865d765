//! Who asks: certificates, tokens, and what binds them.

use serde_json::json;

use crate::house::caller::{ASSISTANT, digest};
use crate::house::{Ask, House};
use postern_filters::token::mint::{SigningKey, bound_to};

#[tokio::test]
async fn a_peer_without_a_certificate_never_reaches_the_upstream() {
    let house = House::start().await;
    let token = house.token(&house.who.mia);
    let error = house.try_send(None, Ask::get("/orders").bearer(&token)).await.unwrap_err();
    assert!(error.contains("CertificateRequired"), "{error}");
    assert_eq!(house.plain.count(), 0);

    let records = house.stop().await;
    assert_eq!(records.requests().len(), 0);
    assert_eq!(records.connections().len(), 1, "a failed handshake leaves one record");
    assert!(records.connections()[0].detail().contains("ertificate"), "{:?}", records.connections());
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused_in_the_handshake() {
    let house = House::start().await;
    let token = house.token(&house.who.stranger);
    let error = house.try_send(Some(&house.who.stranger.issued), Ask::get("/orders").bearer(&token)).await.unwrap_err();
    assert!(error.contains("UnknownCA") || error.contains("BadCertificate"), "{error}");
    assert_eq!(house.plain.count(), 0);
    assert_eq!(house.stop().await.connections().len(), 1);
}

#[tokio::test]
async fn a_token_and_the_certificate_it_names_are_let_through_on_both_versions() {
    let house = House::start().await;
    for h2 in [false, true] {
        assert_eq!(house.call(&house.who.mia, Ask::get("/orders").over(h2)).await.status, 200);
    }
    assert_eq!(house.plain.count(), 2);
    let records = house.stop().await;
    assert_eq!(records.outcomes(), ["allow", "allow"]);
    assert!(records.requests().iter().all(|record| record.principal().ends_with("mia")));
}

#[tokio::test]
async fn attack_33_what_is_wrong_with_a_token_is_one_refusal_on_both_versions() {
    let house = House::start().await;
    let (mia, ned) = (&house.who.mia, &house.who.ned);
    let with = |change| house.token_with(mia, mia, change);
    let stranger = SigningKey::generate_es256("house-1").unwrap();
    let claims = crate::house::caller::claims(mia, mia, house.now, json!(null));
    let header = |change: serde_json::Value| {
        let mut header = house.issuer().header();
        header.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        house.issuer().sign(&header, &claims).unwrap()
    };
    let good = house.token(mia);
    let (signed, _) = good.rsplit_once('.').unwrap();
    let none = |alg: &str| {
        let text = house.issuer().sign(&json!({"alg": alg, "typ": "at+jwt"}), &claims).unwrap();
        format!("{}.", text.rsplit_once('.').unwrap().0)
    };
    // Attack 33.
    let cases = [
        ("bound to another certificate", house.token_with(mia, ned, json!(null))),
        ("bound to nothing", with(json!({"cnf": null}))),
        ("bound to an empty digest", with(json!({"cnf": {"x5t#S256": ""}}))),
        ("wrong audience", with(json!({"aud": "https://other.test"}))),
        ("no audience", with(json!({"aud": null}))),
        ("issuer with our prefix", with(json!({"iss": "https://login.house.test.evil.test"}))),
        ("other issuer", with(json!({"iss": "https://other.test"}))),
        ("expired", with(json!({"iat": house.now - 600, "exp": house.now - 120}))),
        ("no expiry", with(json!({"exp": null}))),
        ("not yet valid", with(json!({"nbf": house.now + 600}))),
        ("issued long ago", with(json!({"iat": house.now - 7200}))),
        ("a tenant the provider may not assert", with(json!({"tenant": "initech"}))),
        ("no tenant", with(json!({"tenant": null}))),
        ("typ of another token", header(json!({"typ": "JWT"}))),
        ("critical header", header(json!({"crit": ["b64"], "b64": false}))),
        ("alg of another family", header(json!({"alg": "HS256"}))),
        ("alg none", none("none")),
        ("alg nOnE", none("nOnE")),
        ("another key under our kid", stranger.sign(&stranger.header(), &claims).unwrap()),
        ("embedded key", {
            let mut header = stranger.header();
            header["jwk"] = stranger.jwk();
            stranger.sign(&header, &claims).unwrap()
        }),
        ("empty signature", format!("{signed}.")),
        ("no signature", signed.to_owned()),
        ("padding at the end", format!("{good}=")),
        ("a fourth part", format!("{good}.e30")),
        ("not a token", "opaque".to_owned()),
    ];
    for (case, token) in &cases {
        for h2 in [false, true] {
            let reply = house.send(Some(&mia.issued), Ask::get("/orders").over(h2).bearer(token)).await;
            assert_eq!(reply.status, 401, "{case}, h2 {h2}: {}", reply.body);
            assert_eq!(reply.header("www-authenticate"), "Bearer error=\"invalid_token\"", "{case}");
            assert_eq!(reply.header("x-should-retry"), "false", "{case}");
            assert!(!reply.header("postern-decision").is_empty(), "{case}");
        }
    }
    assert_eq!(house.plain.count(), 0, "none of them reached the upstream");
    let records = house.stop().await;
    assert_eq!(records.requests().len(), 2 * cases.len());
    assert!(records.outcomes().iter().all(|outcome| outcome == "deny: credential_invalid"), "{:?}", records.outcomes());
}

#[tokio::test]
async fn no_credential_at_all_is_missing_and_says_so_in_the_record_only() {
    let house = House::start().await;
    let without = house.send(Some(&house.who.mia.issued), Ask::get("/orders")).await;
    let wrong = house.send(Some(&house.who.mia.issued), Ask::get("/orders").bearer("e30.e30.e30")).await;
    assert_eq!((without.status, wrong.status), (401, 401));
    assert_eq!(without.json()["title"], wrong.json()["title"], "the caller learns no difference");
    assert_eq!(house.stop().await.outcomes(), ["deny: credential_missing", "deny: credential_invalid"]);
}

#[tokio::test]
async fn a_bound_token_is_worth_nothing_on_a_connection_without_its_certificate() {
    let house = House::start().await;
    let token = house.token(&house.who.mia);
    let bare = house.send(None, Ask::get("/orders").open().bearer(&token)).await;
    assert_eq!(bare.status, 401, "no certificate");
    let other = house.send(Some(&house.who.ned.issued), Ask::get("/orders").open().bearer(&token)).await;
    assert_eq!(other.status, 401, "somebody else's certificate");
    assert_eq!(house.plain.count(), 0);
    let own = house.send(Some(&house.who.mia.issued), Ask::get("/orders").open().bearer(&token)).await;
    assert_eq!(own.status, 200, "its own");
    assert_eq!(house.plain.count(), 1);
    house.stop().await;
}

#[tokio::test]
async fn attack_26_two_authorization_headers_are_refused_whichever_is_good() {
    let house = House::start().await;
    let (good, bad) = (house.token(&house.who.mia), "e30.e30.e30".to_owned());
    for h2 in [false, true] {
        for (first, second) in [(&good, &bad), (&bad, &good), (&good, &good)] {
            let ask = Ask::get("/orders").over(h2).bearer(first).bearer(second);
            let reply = house.send(Some(&house.who.mia.issued), ask).await;
            assert_eq!(reply.status, 400, "{}", reply.body);
        }
    }
    assert_eq!(house.plain.count(), 0);
    let records = house.stop().await;
    assert_eq!(records.outcomes(), ["deny: malformed"; 6]);
}

#[tokio::test]
async fn a_scheme_that_is_not_bearer_is_no_way_in() {
    let house = House::start().await;
    let good = house.token(&house.who.mia);
    for value in [good.clone(), format!("Basic {good}"), format!("DPoP {good}"), "Bearer".into()] {
        let ask = Ask::get("/orders").header("authorization", &value);
        let reply = house.send(Some(&house.who.mia.issued), ask).await;
        assert_eq!(reply.status, 401, "{value}");
    }
    assert_eq!(house.plain.count(), 0);
    house.stop().await;
}

#[tokio::test]
async fn an_agents_svid_with_a_users_token_is_the_agent_on_behalf_of_the_user() {
    let house = House::start().await;
    let (agent, mia) = (&house.who.assistant, &house.who.mia);
    let delegated = house.token_with(mia, agent, json!({"act": {"sub": ASSISTANT}}));
    let reply = house.send(Some(&agent.issued), Ask::chat("hello").bearer(&delegated)).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let alone = house.send(Some(&agent.issued), Ask::chat("hello")).await;
    assert_eq!(alone.status, 200, "{}", alone.body);
    // noah may not ask, and so neither may the agent for him.
    let for_noah = house.token_with(&house.who.noah, agent, json!({"act": {"sub": ASSISTANT}}));
    let refused = house.send(Some(&agent.issued), Ask::chat("hello").bearer(&for_noah)).await;
    assert_eq!(refused.status, 403, "{}", refused.body);
    assert_eq!(house.model.count(), 2);

    let records = house.stop().await;
    assert_eq!(records.outcomes(), ["allow", "allow", "deny: not_permitted"]);
    let [first, second, _] = records.requests()[..] else { panic!() };
    assert_eq!(first.principal(), ASSISTANT);
    assert!(first.on_behalf_of().ends_with("mia"), "{first:?}");
    assert_eq!((second.principal(), second.on_behalf_of()), (ASSISTANT, ""));
}

#[tokio::test]
async fn an_agents_svid_does_not_hide_a_bad_token() {
    let house = House::start().await;
    let agent = &house.who.assistant;
    let expired = house.token_with(&house.who.mia, agent, json!({"iat": house.now - 900, "exp": house.now - 600}));
    let reply = house.send(Some(&agent.issued), Ask::chat("hello").bearer(&expired)).await;
    assert_eq!(reply.status, 401);
    assert_eq!(house.model.count(), 0);
    assert_eq!(house.stop().await.outcomes(), ["deny: credential_invalid"]);
}

#[tokio::test]
async fn role_and_tenant_decide_after_identity() {
    let house = House::start().await;
    for (case, who, ask, want, outcome) in [
        ("role", &house.who.mia, Ask::chat("hello"), 200, "allow"),
        ("role missing", &house.who.noah, Ask::chat("hello"), 403, "deny: not_permitted"),
        ("own tenant", &house.who.gwen, Ask::get("/globex/orders"), 200, "allow"),
        ("other tenant", &house.who.gwen, Ask::get("/orders"), 403, "deny: other_tenant"),
        ("other tenant", &house.who.mia, Ask::get("/globex/orders"), 403, "deny: other_tenant"),
    ] {
        for h2 in [false, true] {
            let reply = house.call(who, ask.clone().over(h2)).await;
            assert_eq!(reply.status, want, "{case} {outcome}: {}", reply.body);
        }
    }
    assert_eq!((house.model.count(), house.plain.count()), (2, 2));
    assert_eq!(house.plain.seen()[0].request_line(), "GET /orders HTTP/1.1", "the prefix is rewritten");
    let records = house.stop().await;
    let want = ["allow", "deny: not_permitted", "allow", "deny: other_tenant", "deny: other_tenant"];
    let got: Vec<_> = records.outcomes().chunks(2).map(|pair| pair[0].clone()).collect();
    assert_eq!(got, want);
}

#[tokio::test]
async fn a_certificate_that_names_nobody_we_know_is_refused() {
    let house = House::start().await;
    let template = postern_certs::Template {
        hosts: vec!["mia.clients.other.test".to_owned()],
        for_clients: true,
        for_servers: false,
        ..postern_certs::Template::server(&["mia"])
    };
    let issued = house.issue(&template);
    let token = house.token_with(&house.who.mia, &house.who.mia, json!({"cnf": bound_to(&digest(&issued))}));
    let error = house.try_send(Some(&issued), Ask::get("/orders").bearer(&token)).await.unwrap_err();
    assert!(error.contains("alert"), "{error}");
    assert_eq!(house.plain.count(), 0);
    assert_eq!(house.stop().await.connections().len(), 1);
}
