//! Who asks, and what a decision about one says about another (attacks 4, 32).

use serde_json::json;

use crate::house::{Ask, House};

/// Decisions are not kept; what is known of a token is, and belongs to its bytes, its certificate and this request.
#[tokio::test]
async fn attack_4_a_decision_holds_for_one_request_of_one_caller() {
    let house = House::start().await;
    let (mia, ned, noah) = (&house.who.mia, &house.who.ned, &house.who.noah);
    let token = house.token(mia);
    let ask = |path: &str| Ask::get(path).bearer(&token);
    for h2 in [false, true] {
        // Warm: whatever can be remembered is.
        assert_eq!(house.send(Some(&mia.issued), ask("/orders").over(h2)).await.status, 200);
        for (case, identity, ask, want) in [
            ("another certificate", Some(&ned.issued), ask("/orders"), 401),
            ("no certificate", None, ask("/orders").open(), 401),
            ("no token", Some(&mia.issued), Ask::get("/orders"), 401),
            ("another path", Some(&mia.issued), ask("/admin"), 403),
            ("another tenant's path", Some(&mia.issued), ask("/globex/orders"), 403),
            ("another method", Some(&mia.issued), Ask::new("PUT", "/orders").bearer(&token), 403),
            ("another host", Some(&mia.issued), ask("/orders").authority("evil.test"), 421),
            ("somebody who may not", Some(&noah.issued), Ask::get("/orders").bearer(&house.token(noah)), 403),
            ("the first again", Some(&mia.issued), ask("/orders"), 200),
        ] {
            assert_eq!(house.send(identity, ask.over(h2)).await.status, want, "{case}, h2 {h2}");
        }
    }
    assert_eq!(house.plain.count(), 4);
    // Past its end a token that was seen before is as good as none.
    house.clock.forward(4000);
    assert_eq!(house.send(Some(&mia.issued), ask("/orders")).await.status, 401);
    house.stop().await;
}

#[tokio::test]
async fn attack_32_a_claim_of_another_shape_names_nobody() {
    let house = House::start().await;
    let mia = &house.who.mia;
    for claims in [
        json!({"sub": ["mia"]}),
        json!({"sub": {"id": "mia"}}),
        json!({"sub": ""}),
        json!({"sub": 7}),
        json!({"sub": "mia\nned"}),
        json!({"sub": "mia\u{0}"}),
        json!({"tenant": ["acme"]}),
        json!({"tenant": "acme\u{0}"}),
        json!({"tenant": " acme"}),
        json!({"tenant": "ACME"}),
        json!({"groups": {"0": "staff"}}),
        json!({"groups": "staff"}),
        json!({"groups": [["staff"]]}),
        json!({"exp": "9999999999"}),
        json!({"exp": 1e300}),
        json!({"iss": ["https://login.house.test"]}),
        json!({"aud": {"0": "https://ai.house.test"}}),
        json!({"nbf": true}),
        json!({"scope": ["orders"]}),
        json!({"cnf": []}),
        json!({"cnf": {"x5t#S256": 7}}),
        json!({"act": "assistant"}),
        json!({"act": [{"sub": "assistant"}]}),
        json!({"may_act": 1}),
        json!({"acr": ["gold"]}),
        json!({"amr": "mfa"}),
        json!({"auth_time": "now"}),
    ] {
        let token = house.token_with(mia, mia, claims.clone());
        let reply = house.send(Some(&mia.issued), Ask::get("/orders").bearer(&token)).await;
        assert_eq!(reply.status, 401, "{claims}");
    }
    // Names that look like others are names of their own: nothing is cut off or folded.
    for claims in
        [json!({"groups": ["Staff", "staff@evil.test", "staff ", "st\u{430}ff"]}), json!({"groups": ["a,staff"]})]
    {
        let token = house.token_with(mia, mia, claims.clone());
        assert_eq!(house.send(Some(&mia.issued), Ask::get("/orders").bearer(&token)).await.status, 403, "{claims}");
    }
    assert_eq!(house.plain.count(), 0);
    let odd = house.token_with(mia, mia, json!({"sub": "mia@acme.test@evil.test"}));
    assert_eq!(house.send(Some(&mia.issued), Ask::get("/orders").bearer(&odd)).await.status, 200);
    let records = house.stop().await;
    assert!(records.requests().last().unwrap().principal().ends_with("mia@acme.test@evil.test"), "whole, and her own");
}
