//! Who asks, for every pair of credentials and every demand.

use std::sync::Arc;

use postern_config::{Demand, Identity, Require};
use proptest::prelude::*;

use super::super::{PeerFacts, VerifiedToken, identify, principal_from_svid};
use super::*;
use crate::{Reason, SpiffeSubject};

const BOT: &str = "spiffe://example.org/ns/acme/sa/bot";

fn spiffe(name: &str, principal: PrincipalType) -> Provider {
    Provider {
        name: name.to_owned(),
        kind: ProviderKind::Spiffe(Box::default()),
        principal,
        tenant: TenantSource::SpiffeSegment(1),
        tenants: vec!["acme".to_owned(), "globex".to_owned()],
    }
}

fn svid(id: &str) -> SpiffeSubject {
    SpiffeSubject { id: id.to_owned(), not_before: NOW - 100, not_after: NOW + 200 }
}

fn peer(id: &str) -> PeerFacts {
    PeerFacts { spiffe: Some(svid(id)), named: None, leaf_sha256: Some([7; 32]), not_after: NOW + 200 }
}

fn token(provider: &Provider, change: Value) -> VerifiedToken {
    let key = key();
    let token = key.sign(&key.header(), &with(claims(), change)).unwrap();
    verifier(provider, &key).verify(&token, NOW).unwrap()
}

fn any_of(providers: &[usize]) -> Demand {
    Demand { providers: providers.to_vec(), require: Require::AnyOf }
}

fn all_of(providers: &[usize]) -> Demand {
    Demand { providers: providers.to_vec(), require: Require::AllOf }
}

fn show(identity: &Identity, token: Option<&VerifiedToken>, peer: Option<&PeerFacts>) -> String {
    identify(identity, token, peer).map_or_else(|error| error.to_string(), |principal| principal.to_string())
}

const MIA: &str = "User `https://login.example.com|mia`";
const AGENT: &str = "Agent `spiffe://example.org/ns/acme/sa/bot`";

#[test]
fn credentials_of_every_kind_make_one_principal_or_none() {
    let agents = spiffe("agents", PrincipalType::Agent);
    let mesh = spiffe("mesh", PrincipalType::Component);
    let service = Provider { name: "svc".to_owned(), principal: PrincipalType::ServiceAccount, ..sso() };
    let user = token(&sso(), json!({}));
    let account = token(&service, json!({"sub": "cron"}));
    let bot = peer(BOT);
    let plain = PeerFacts { spiffe: None, ..bot.clone() };
    let evil = peer("spiffe://example.org/ns/evil/sa/bot");
    let globex = peer("spiffe://example.org/ns/globex/sa/bot");
    let both = vec![sso(), agents.clone()];
    let for_mia = format!("{AGENT} for {MIA}");
    for (case, providers, demands, token, peer, want) in [
        ("nothing", &both, vec![any_of(&[0, 1])], None, None, "no credential was presented"),
        (
            "a certificate that is no SVID",
            &both,
            vec![any_of(&[0, 1])],
            None,
            Some(&plain),
            "no credential was presented",
        ),
        ("token", &both, vec![any_of(&[0, 1])], Some(&user), None, MIA),
        ("token over another certificate", &both, vec![any_of(&[0])], Some(&user), Some(&plain), MIA),
        ("SVID", &both, vec![any_of(&[0, 1])], None, Some(&bot), AGENT),
        ("Agent and User", &both, vec![any_of(&[0, 1])], Some(&user), Some(&bot), &for_mia),
        ("Agent and User, both demanded", &both, vec![all_of(&[0, 1])], Some(&user), Some(&bot), &for_mia),
        ("Agent stays, though only tokens are accepted", &both, vec![any_of(&[0])], Some(&user), Some(&bot), &for_mia),
        ("both demanded, no token", &both, vec![all_of(&[0, 1])], None, Some(&bot), "the credentials are incomplete"),
        ("both demanded, no SVID", &both, vec![all_of(&[0, 1])], Some(&user), None, "the credentials are incomplete"),
        ("both demanded by two manifests", &both, vec![any_of(&[0]), any_of(&[1])], Some(&user), Some(&bot), &for_mia),
        ("one of two manifests", &both, vec![any_of(&[0]), any_of(&[1])], Some(&user), None, "none of the presented"),
        ("SVID where tokens are accepted", &both, vec![any_of(&[0])], None, Some(&bot), "none of the presented"),
        ("nobody demands anything", &both, vec![], Some(&user), None, "none of the presented"),
        (
            "SVID of an unlisted tenant",
            &both,
            vec![any_of(&[0, 1])],
            None,
            Some(&evil),
            "no provider of the route recognises",
        ),
        (
            "… with a good token",
            &both,
            vec![any_of(&[0])],
            Some(&user),
            Some(&evil),
            "no provider of the route recognises",
        ),
        ("SVID where none is recognised", &vec![sso()], vec![any_of(&[0])], Some(&user), Some(&bot), MIA),
        ("SVID alone where none is recognised", &vec![sso()], vec![any_of(&[0])], None, Some(&bot), "no credential"),
        (
            "Agent of another tenant",
            &both,
            vec![any_of(&[0])],
            Some(&user),
            Some(&globex),
            "the agent is of tenant `globex`",
        ),
        (
            "Component and User",
            &vec![sso(), mesh.clone()],
            vec![any_of(&[0, 1])],
            Some(&user),
            Some(&bot),
            "a certificate of type Component and a token of type User",
        ),
        (
            "Component and User, both demanded",
            &vec![sso(), mesh.clone()],
            vec![all_of(&[0, 1])],
            Some(&user),
            Some(&bot),
            MIA,
        ),
        (
            "Agent and account",
            &vec![service.clone(), agents.clone()],
            vec![any_of(&[0, 1])],
            Some(&account),
            Some(&bot),
            "a certificate of type Agent and a token of type ServiceAccount",
        ),
        (
            "Agent never passes as an account",
            &vec![service, agents.clone()],
            vec![all_of(&[0, 1])],
            Some(&account),
            Some(&bot),
            "a certificate of type Agent and a token of type ServiceAccount",
        ),
        (
            "two providers recognise it",
            &vec![agents.clone(), mesh.clone()],
            vec![any_of(&[0, 1])],
            None,
            Some(&bot),
            "providers `agents` and `mesh` both recognise",
        ),
        ("of two the accepted one", &vec![mesh, agents], vec![any_of(&[1])], None, Some(&bot), AGENT),
    ] {
        let identity = Identity { providers: providers.clone(), demands, is_open: false };
        let got = show(&identity, token, peer);
        assert!(got.starts_with(want), "{case}: {got}");
    }
}

#[test]
fn what_two_credentials_prove_ends_with_the_first_of_them() {
    let identity = Identity {
        providers: vec![sso(), spiffe("agents", PrincipalType::Agent)],
        demands: vec![any_of(&[1])],
        is_open: false,
    };
    let principal = identify(&identity, Some(&token(&sso(), json!({}))), Some(&peer(BOT))).unwrap();
    assert_eq!(principal.authn.expires_at, NOW + 200);
    assert_eq!((principal.authn.method.as_str(), principal.authn.sender_bound), ("spiffe", true));
    let short = token(&sso(), json!({"exp": NOW + 50}));
    assert_eq!(identify(&identity, Some(&short), Some(&peer(BOT))).unwrap().authn.expires_at, NOW + 50);
}

#[test]
fn a_token_with_an_actor_never_passes_as_its_user() {
    let agents = spiffe("agents", PrincipalType::Agent);
    let identity = Identity { providers: vec![sso(), agents], demands: vec![any_of(&[0])], is_open: false };
    let acting = |actor: &str| token(&sso(), json!({"act": {"sub": actor, "act": {"sub": "earlier"}}}));
    let bot = peer(BOT);
    for (case, actor, peer, want) in [
        ("client", "ci-bot", None, "Agent `https://login.example.com|ci-bot` for User"),
        ("client with an SVID", "ci-bot", Some(&bot), AGENT),
        ("workload with its SVID", BOT, Some(&bot), AGENT),
        ("workload without", BOT, None, "the token names actor"),
        ("another workload", "spiffe://example.org/ns/acme/sa/other", Some(&bot), "the token names actor"),
    ] {
        let got = show(&identity, Some(&acting(actor)), peer);
        assert!(got.starts_with(want), "{case}: {got}");
    }
    let key = key();
    let account = Provider { principal: PrincipalType::ServiceAccount, ..sso() };
    let text = key.sign(&key.header(), &with(claims(), json!({"act": {"sub": "x"}}))).unwrap();
    assert!(verifier(&account, &key).verify(&text, NOW).is_err(), "an actor for what is no User cannot be told");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whoever the actor is said to be, with whatever certificate, and however many acted before.
    #[test]
    fn a_token_with_an_actor_is_never_its_user(
        sub in prop_oneof!["\\PC{0,12}", Just(BOT.to_owned()), "[Ss]piffe://[a-z]{1,5}/[a-z]{1,5}"],
        before in 0_usize..4,
        agent in any::<bool>(),
        odd in prop_oneof![Just(json!(null)), Just(json!("mia")), Just(json!([])), Just(json!({})), Just(json!({"sub": 1}))],
        shaped in any::<bool>(),
    ) {
        let identity = Identity {
            providers: vec![sso(), spiffe("agents", PrincipalType::Agent)],
            demands: vec![any_of(&[0, 1])],
            is_open: false,
        };
        let chain = (0..before).fold(json!({"sub": "first"}), |act, _| json!({"sub": "earlier", "act": act}));
        let act = if shaped { json!({"sub": sub, "act": chain}) } else { odd };
        let mut said = claims();
        said["act"] = act;
        let key = key();
        let text = key.sign(&key.header(), &said).unwrap();
        let Ok(token) = verifier(&sso(), &key).verify(&text, NOW) else { return Ok(()) };
        let bot = peer(BOT);
        if let Ok(principal) = identify(&identity, Some(&token), agent.then_some(&bot)) {
            prop_assert_eq!(principal.kind, PrincipalType::Agent);
            prop_assert_eq!(principal.on_behalf_of.as_ref().map(|user| user.subject.as_str()), Some("mia"));
        }
    }
}

#[test]
fn a_spiffe_id_names_the_tenant_or_is_refused() {
    let provider = spiffe("agents", PrincipalType::Agent);
    for (case, id, want) in [
        ("good", BOT, Some("acme")),
        ("other tenant", "spiffe://example.org/ns/evil/sa/bot", None),
        ("no such segment", "spiffe://example.org/ns", None),
        ("no path", "spiffe://example.org", None),
        ("root path", "spiffe://example.org/", None),
        ("empty segment", "spiffe://example.org//acme/sa/bot", None),
        ("dot segments", "spiffe://example.org/x/../ns/acme", None),
        ("percent", "spiffe://example.org/ns/%61cme/sa/bot", None),
        ("port", "spiffe://example.org:1/ns/acme", None),
        ("user", "spiffe://a@example.org/ns/acme", None),
        ("query", "spiffe://example.org/ns/acme?x", None),
        ("capitals in the trust domain", "spiffe://Example.org/ns/acme", None),
        ("no trust domain", "spiffe:///ns/acme", None),
        ("other scheme", "https://example.org/ns/acme", None),
        ("too long", &format!("spiffe://example.org/ns/acme/{}", "a".repeat(2048)), None),
    ] {
        let got = principal_from_svid(&svid(id), &provider).ok();
        assert_eq!(got.map(|principal| principal.tenant).as_deref(), want, "{case}");
    }
    let principal = principal_from_svid(&svid(BOT), &provider).unwrap();
    assert_eq!((principal.issuer.as_str(), principal.id().as_str()), ("spiffe://example.org", BOT));
    let fixed = Provider { tenant: TenantSource::Value("globex".to_owned()), ..provider.clone() };
    assert_eq!(principal_from_svid(&svid(BOT), &fixed).unwrap().tenant, "globex");
    let claim = Provider { tenant: TenantSource::Claim("/t".to_owned()), ..provider };
    assert!(principal_from_svid(&svid(BOT), &claim).is_err());
    assert!(principal_from_svid(&svid(BOT), &sso()).is_err());
}

#[test]
fn refusals_have_public_reasons() {
    let identity = Identity {
        providers: vec![sso(), spiffe("agents", PrincipalType::Agent)],
        demands: vec![all_of(&[0, 1])],
        is_open: false,
    };
    let user = token(&sso(), json!({}));
    let reason = |token, peer: Option<PeerFacts>| identify(&identity, token, peer.as_ref()).unwrap_err().reason();
    assert_eq!(reason(None, None), Reason::CredentialMissing);
    assert_eq!(reason(Some(&user), None), Reason::CredentialMissing);
    assert_eq!(reason(None, Some(peer("spiffe://example.org/ns/evil/sa/bot"))), Reason::CredentialInvalid);
    assert_eq!(reason(Some(&user), Some(peer("spiffe://example.org/ns/globex/sa/bot"))), Reason::OtherTenant);
    let _: Arc<_> = identify(&identity, Some(&user), Some(&peer(BOT))).unwrap();
}
