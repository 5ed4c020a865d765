//! Tokens that are bound to a key of the client, which proves every request (RFC 9449).

use postern_filters::token::mint::{SigningKey, token_hash};
use serde_json::{Value, json};

use crate::house::{Ask, House};

fn proof(holder: &SigningKey, house: &House, token: &str, change: &Value) -> String {
    let port = house.address("open").port();
    let mut claims = json!({
        "jti": uuid::Uuid::now_v7().to_string(), "htm": "GET", "htu": format!("https://localhost:{port}/orders"),
        "iat": house.now, "ath": token_hash(token),
    });
    claims.as_object_mut().unwrap().extend(change.as_object().cloned().unwrap_or_default());
    holder.sign(&holder.proof_header(), &claims).unwrap()
}

fn ask(token: &str, proof: &str, h2: bool) -> Ask {
    Ask::get("/orders").open().over(h2).header("authorization", &format!("DPoP {token}")).header("dpop", proof)
}

#[tokio::test]
async fn attack_33_a_stolen_token_or_a_stolen_proof_opens_nothing() {
    let house =
        House::plan().with("manifests/identity.yaml", "senderConstraint: Mtls", "senderConstraint: Dpop").start().await;
    let (holder, thief) = (SigningKey::generate_es256("client").unwrap(), SigningKey::generate_es256("thief").unwrap());
    let mia = &house.who.mia;
    let token = house.token_with(mia, mia, json!({"cnf": holder.confirmation()}));
    let other = house.token_with(mia, mia, json!({"cnf": holder.confirmation(), "jti": "another"}));
    for h2 in [false, true] {
        let used = proof(&holder, &house, &token, &json!({}));
        let elsewhere = json!({"htu": format!("https://localhost:{}/orders/1", house.address("open").port())});
        let no_port = json!({"htu": "https://localhost/orders"});
        for (case, ask, status, error) in [
            ("good", ask(&token, &used, h2), 200, ""),
            ("the same again", ask(&token, &used, h2), 401, "invalid_dpop_proof"),
            ("a fresh one", ask(&token, &proof(&holder, &house, &token, &json!({})), h2), 200, ""),
            ("of another key", ask(&token, &proof(&thief, &house, &token, &json!({})), h2), 401, "invalid_token"),
            (
                "of another token",
                ask(&other, &proof(&holder, &house, &token, &json!({})), h2),
                401,
                "invalid_dpop_proof",
            ),
            (
                "for another path",
                ask(&token, &proof(&holder, &house, &token, &elsewhere), h2),
                401,
                "invalid_dpop_proof",
            ),
            ("for another port", ask(&token, &proof(&holder, &house, &token, &no_port), h2), 401, "invalid_dpop_proof"),
            ("a bearer", Ask::get("/orders").open().over(h2).bearer(&token), 401, "invalid_token"),
            ("no proof", ask(&token, "", h2), 401, "invalid_dpop_proof"),
        ] {
            let before = house.plain.count();
            let reply = house.send(None, ask).await;
            assert_eq!(reply.status, status, "{case}, h2 {h2}: {}", reply.body);
            assert_eq!(house.plain.count() - before, usize::from(status == 200), "{case}");
            if status == 401 {
                let challenge = reply.header("www-authenticate");
                assert!(challenge.starts_with("DPoP ") && challenge.contains(error), "{case}: {challenge}");
                assert!(challenge.contains("algs=\"ES256 ES384 EdDSA\""), "{challenge}");
            }
        }
    }
    let nothing = house.send(None, Ask::get("/orders").open()).await;
    assert_eq!(nothing.header("www-authenticate"), "DPoP algs=\"ES256 ES384 EdDSA\"");
    for seen in house.plain.seen() {
        assert!(seen.header("dpop").is_empty() && seen.header("authorization").is_empty());
    }
    house.stop().await;
}

#[tokio::test]
async fn a_client_is_told_the_nonce_that_its_proofs_need() {
    let house = House::plan()
        .with("manifests/identity.yaml", "senderConstraint: Mtls", "senderConstraint: DpopNonce")
        .start()
        .await;
    let holder = SigningKey::generate_es256("client").unwrap();
    let mia = &house.who.mia;
    let token = house.token_with(mia, mia, json!({"cnf": holder.confirmation()}));
    for h2 in [false, true] {
        let bare = house.send(None, ask(&token, &proof(&holder, &house, &token, &json!({})), h2)).await;
        assert_eq!(bare.status, 401, "{}", bare.body);
        assert!(bare.header("www-authenticate").contains("error=\"use_dpop_nonce\""));
        let nonce = bare.header("dpop-nonce").to_owned();
        let good = proof(&holder, &house, &token, &json!({ "nonce": nonce }));
        let reply = house.send(None, ask(&token, &good, h2)).await;
        assert_eq!(
            (reply.status, reply.header("dpop-nonce").is_empty()),
            (200, false),
            "every answer tells the latest"
        );
        let wrong = proof(&holder, &house, &token, &json!({"nonce": "AAAAAAAAAAAAAAAAAAAAAA"}));
        assert_eq!(house.send(None, ask(&token, &wrong, h2)).await.status, 401);
    }
    assert_eq!(house.plain.count(), 2);
    house.stop().await;
}
