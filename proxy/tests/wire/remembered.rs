//! A token that was good a moment ago and is remembered: what makes it worthless all the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use crate::house::upstream::{Act, answer};
use crate::house::{Ask, Caller, Upstream, caller};
use crate::issuers::{asked_about, asking, issuer, json_bytes, jwks, key, orders, pass, token, until};

const OTHER_AUDIENCE: &str = "https://forms.house.test";

fn provider(name: &str, site: &Upstream, audience: &str) -> String {
    format!(
        "- name: {name}\n      type: Jwt\n      issuer: {at}\n      audiences: [\"{audience}\"]\n      algorithms: [ES256]\n      \
         jwksUrl: \"{at}/keys\"\n      senderConstraint: Mtls\n      principal: {{type: User}}\n      tenant: {{claim: /tenant}}\n      \
         tenants: [acme, globex]\n      groupsClaim: groups\n    ",
        at = issuer(site)
    )
}

/// Of what an issuer says: whether its first key is published, and whether its opaque token is good.
#[derive(Default)]
struct Withdrawn {
    key: AtomicBool,
    token: AtomicBool,
}

#[tokio::test]
async fn attack_33_a_token_that_was_seen_before_is_worth_nothing_elsewhere_nor_once_it_is_withdrawn() {
    let (site, partner) = (Upstream::start().await, Upstream::start().await);
    let (first, second, theirs) = (key("k1"), key("k2"), key("k1"));
    let withdrawn = Arc::new(Withdrawn::default());
    let (all, rest, of_partner) = (jwks(&[&first, &second]), jwks(&[&second]), jwks(&[&theirs]));
    partner.does(move |_| Act::Close(json_bytes(&[], &of_partner)));
    let opaque = |who: &Caller, now: i64| {
        let mut said = caller::claims(who, who, now, json!({"active": true}));
        said["iss"] = json!(issuer(&site));
        said.to_string().into_bytes()
    };

    let plan = asking(&site)
        .with(
            "manifests/identity.yaml",
            "- name: agents",
            &format!(
                "{}{}- name: agents",
                provider("forms", &site, OTHER_AUDIENCE),
                provider("partner", &partner, caller::AUDIENCE)
            ),
        )
        .with("manifests/plain.yaml", "[sso, opaque, agents]", "[sso, opaque, partner, agents]")
        .with(
            "manifests/plain.yaml",
            "name: forms}]\n  authentication: {providers: [sso]",
            "name: forms}]\n  authentication: {providers: [forms]",
        )
        .with("manifests/chat.yaml", "providers: [sso, agents]", "providers: [sso, partner, agents]")
        .with("manifests/also-6.yaml", "ports: [", &format!("ports: [{}, ", partner.address().port()));
    let house = plan.start().await;
    let (mia, ned, now) = (&house.who.mia, &house.who.ned, house.now);
    let (says, good) = (withdrawn.clone(), opaque(mia, now));
    site.does(move |seen| {
        let is_gone = |what: &AtomicBool| what.load(Ordering::SeqCst);
        Act::Close(match seen.request_line().split(' ').nth(1) {
            Some("/keys") => {
                json_bytes(&[("cache-control", "max-age=1")], if is_gone(&says.key) { &rest } else { &all })
            }
            Some("/introspect") if asked_about(seen) == "opaque" && !is_gone(&says.token) => json_bytes(&[], &good),
            Some("/introspect") => json_bytes(&[], br#"{"active":false}"#),
            _ => answer(404, &[], b""),
        })
    });

    let known = token(&site, &first, mia, now, json!(null));
    let same_subject = token(&partner, &theirs, mia, now, json!(null));
    let for_forms = token(&site, &first, mia, now, json!({"aud": OTHER_AUDIENCE}));
    let ask = |path: &str, token: &str, h2: bool| Ask::get(path).bearer(token).over(h2);
    for h2 in [false, true] {
        // The first of each time is remembered; the last one of mia stands again after all that is refused.
        for (case, who, ask, want) in [
            ("her own", Some(mia), ask("/orders", &known, h2), 200),
            ("another audience", Some(mia), ask("/forms", &known, h2), 401),
            ("the right audience", Some(mia), ask("/forms", &for_forms, h2), 200),
            ("of that one, here", Some(mia), ask("/orders", &for_forms, h2), 401),
            ("another certificate", Some(ned), ask("/orders", &known, h2), 401),
            ("no certificate", None, ask("/orders", &known, h2).open(), 401),
            ("another issuer's mia", Some(mia), ask("/orders", &same_subject, h2), 200),
            ("who is staff of the issuer that is bound", Some(mia), Ask::chat("hi").bearer(&known).over(h2), 200),
            ("who is not, with the same claims", Some(mia), Ask::chat("hi").bearer(&same_subject).over(h2), 403),
            ("an opaque one", Some(mia), ask("/orders", "opaque", h2), 200),
            ("with another certificate", Some(ned), ask("/orders", "opaque", h2), 401),
            ("her own again", Some(mia), ask("/orders", &known, h2), 200),
        ] {
            let before = house.plain.count() + house.model.count();
            let reply = house.send(who.map(|who| &who.issued), ask).await;
            assert_eq!(reply.status, want, "{case}, h2 {h2}: {}", reply.body);
            let reached = house.plain.count() + house.model.count() - before;
            assert_eq!(reached, usize::from(want == 200), "{case}, h2 {h2}");
        }
    }

    // The issuer takes back the one it is asked about: seen when its word is 30 s old.
    withdrawn.token.store(true, Ordering::SeqCst);
    assert_eq!(orders(&house, "opaque").await, 200);
    house.clock.forward(31);
    assert_eq!(orders(&house, "opaque").await, 401);
    // And the key of the others: seen when it is fetched again.
    assert_eq!(orders(&house, &known).await, 200);
    withdrawn.key.store(true, Ordering::SeqCst);
    pass(61).await;
    until(&house, &known, 401).await;
    assert_eq!(orders(&house, &token(&site, &second, mia, now, json!(null))).await, 200, "the other key is there");
    assert_eq!(orders(&house, &known).await, 401);

    let records = house.stop().await;
    let allowed = records.requests().into_iter().filter(|record| record.outcome() == "allow");
    let who: Vec<String> = allowed.map(|record| record.principal().to_owned()).collect();
    let ids = |site: &Upstream| format!("{}|mia", issuer(site));
    assert!(who.contains(&ids(&site)) && who.contains(&ids(&partner)), "{who:?}");
    assert!(who.iter().all(|id| *id == ids(&site) || *id == ids(&partner)), "{who:?}");
}
