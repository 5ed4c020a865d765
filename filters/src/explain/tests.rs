//! Explanations agree with the data path: over generated policies, requests and callers, what a chain decides about a real
//! token is what is explained of an assumed one.

mod monotone;

use std::time::Duration;

use postern_config::{ProviderKind, Snapshot};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::json;

use super::*;
use crate::compile_without_keys;
use crate::limit::LimitStore;
use crate::testing::{AGENT, Asked, House, NOW, asked, compiled, manifest, run};
use crate::token::Claimed;

const CONDITIONS: [&str; 8] = [
    "principal.groups.contains(\"staff\")",
    "principal.groups.contains(\"staff\") && context.authn.senderBound",
    "context.authn.acr == \"mfa\" && context.authn.amr.contains(\"hwk\")",
    "context.authn.ageSeconds <= 60",
    "context.http.path like \"/v1/a*\" || principal.scopes.contains(\"all\")",
    "principal.hasTag(\"department\") && principal.getTag(\"department\").contains(\"care\")",
    "resource.tenant == \"acme\" && context.net.mtls",
    "context.net.sourceIp.isInRange(ip(\"192.0.2.0/24\"))",
];

fn list<T: std::fmt::Display>(items: &[T]) -> String {
    format!("[{}]", items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
}

fn some(all: &[&'static str]) -> impl Strategy<Value = Vec<&'static str>> + use<> {
    subsequence(all.to_vec(), 1..=all.len())
}

/// A set: its dialect, the tenant of its route, and its manifests.
fn sets() -> impl Strategy<Value = (bool, &'static str, String)> {
    any::<bool>().prop_flat_map(|chat| {
        let actions: &[&'static str] = if chat { &["chat"] } else { &["read", "create", "delete"] };
        let lists = [
            "{methods: [GET], paths: [/v1/a, \"/v1/b/**\"]}",
            "{methods: [POST], paths: [/v1/chat/completions, /v1/a], contentTypes: [application/json]}",
            "{methods: [POST, DELETE], paths: [\"/v1/**\"]}",
            "{methods: [GET, POST], paths: [\"/**\"], contentTypes: [application/json, text/plain]}",
        ];
        let allow = subsequence(lists.to_vec(), 3..=4);
        let access = (
            allow,
            select(vec!["[sso]", "[sso]", "[sso, agents]", "[sso, agents]", "[agents]", "[sso, agents], require: AllOf"]),
            select(vec!["", "  crossSite: {type: AllowOrigins, origins: [\"https://app.example\"]}\n"]),
            select(vec!["", "", "", "  maxBodySize: 64\n"]),
        )
            .prop_map(|(allow, providers, cross, size)| {
                format!(
                    "  authentication: {{providers: {providers}}}\n{cross}{size}  allow: {}\n  rateLimits: [{{name: NAME, key: [Principal], unit: Requests, limit: 9000, window: 1m}}]\n",
                    list(&allow)
                )
            });
        let rule = (
            prop::bool::weighted(0.75),
            some(actions),
            some(&["User", "Agent"]),
            select(CONDITIONS.to_vec()),
            prop::option::of(select(CONDITIONS.to_vec())),
        )
            .prop_map(|(permit, actions, types, when, unless)| {
                let effect = if permit { "Permit" } else { "Forbid" };
                let unless = unless.filter(|unless| *unless != when);
                let unless = unless.map(|text| format!(", unless: '{text}'")).unwrap_or_default();
                format!(
                    "effect: {effect}, principals: {}, actions: {}, when: '{when}'{unless}}}",
                    list(&types),
                    list(&actions)
                )
            });
        let roles = (some(actions), some(&["staff", "writers"]), select(vec!["", ", resources: [\"/v1/**\", \"sm*\"]"]));
        let inspected = any::<bool>();
        (prop::collection::vec(access, 1..=2), prop::collection::vec(rule, 0..4), roles, inspected, select(vec!["acme", "acme", "acme", "globex"]))
            .prop_map(move |(access, rules, (granted, groups, resources), inspected, tenant)| {
                let mut text = String::new();
                for (index, access) in access.iter().enumerate() {
                    let named = manifest("APIAccessPolicy", "r", &access.replace("NAME", &format!("l{index}")));
                    text += &named.replace("{name: r}", &format!("{{name: r{index}}}"));
                }
                let rules: Vec<String> =
                    rules.iter().enumerate().map(|(index, rule)| format!("{{name: x{index}, {rule}")).collect();
                if !rules.is_empty() {
                    text += &manifest("AccessControlPolicy", "r", &format!("  rules: {}", list(&rules)));
                }
                let bindings: Vec<String> = groups
                    .iter()
                    .map(|group| format!("{{name: {group}, role: worker, subjects: [{{kind: Group, name: {group}}}]}}"))
                    .chain([format!("{{name: bot, role: worker, subjects: [{{kind: Agent, name: \"{AGENT}\"}}]}}")])
                    .collect();
                let rbac = format!(
                    "  roles: [{{name: worker, permissions: [{{actions: {}{resources}}}]}}]\n  bindings: {}",
                    list(&granted),
                    list(&bindings)
                );
                text += &manifest("RBACPolicy", "r", &rbac);
                if inspected || chat {
                    let part = if chat { "User" } else { "HttpBody" };
                    let data = format!("  detectors: [{{name: secret, type: Builtin, id: secret, class: Restricted}}]\n  rules: [{{name: secrets, direction: Request, parts: [{part}], match: {{detectors: [secret]}}, action: Block}}]");
                    let hidden = format!("  detectors: [{{name: hidden, type: HiddenText, parts: [{part}], action: Redact}}]");
                    text += &manifest("DataProtectionPolicy", "r", &data);
                    text += &manifest("RuntimeSecurityPolicy", "r", &hidden);
                }
                (chat, tenant, text)
            })
    })
}

/// Who asks: the claims of a token if there is one, and whether the client has an SVID.
#[derive(Debug, Clone)]
struct Who {
    token: Option<Claimed>,
    agent: bool,
}

fn callers() -> impl Strategy<Value = Who> {
    let claimed = (
        subsequence(vec!["staff", "writers", "guests"], 1..=3),
        select(vec!["acme", "acme", "acme", "acme", "acme", "globex", "umbrella"]),
        select(vec!["", "mfa"]),
        subsequence(vec!["hwk", "pwd"], 0..=2),
        (
            select(vec![0_i64, 60, 3000]),
            prop::bool::weighted(0.85),
            prop::option::weighted(0.1, Just("ci-bot".to_owned())),
        ),
        (subsequence(vec!["all", "some"], 0..=2), any::<bool>()),
    );
    let claimed = claimed.prop_map(|(groups, tenant, acr, amr, (age, bound, actor), (scopes, tagged))| {
        let owned = |texts: Vec<&str>| texts.into_iter().map(str::to_owned).collect::<Vec<_>>();
        Claimed {
            subject: "mia".to_owned(),
            tenant: tenant.to_owned(),
            groups: owned(groups),
            scopes: owned(scopes),
            tags: if tagged { vec![("department".to_owned(), vec!["care".to_owned()])] } else { Vec::new() },
            acr: acr.to_owned(),
            amr: owned(amr),
            authenticated_at: NOW - age,
            expires_at: NOW + 300,
            bound_to: bound.then_some([1; 32]),
            actor,
        }
    });
    (prop::option::weighted(0.95, claimed), prop::bool::weighted(0.2)).prop_map(|(token, agent)| Who { token, agent })
}

fn requests(chat: bool) -> impl Strategy<Value = Asked> {
    let targets = if chat {
        select(vec![
            "/v1/chat/completions",
            "/v1/chat/completions",
            "/v1/embeddings",
            "/v1/chat/completions?api-version=1",
        ])
    } else {
        select(vec!["/v1/a", "/v1/a", "/v1/b/c", "/v1/chat/completions", "/v2", "/v1/a?_method=PUT"])
    };
    let bodies = select(vec![
        "",
        "{\"model\":\"small\",\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]}",
        "{\"model\":\"small\",\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]}",
        "{\"model\":\"small\",\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]}",
        "{\"model\":\"large\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":\"hi \u{e0041}\"}]}",
        "{\"model\":\"small\",\"messages\":[{\"role\":\"user\",\"content\":\"ghp_0123456789abcdefghijABCDEFGHIJ012345\"}]}",
        "{\"a\": 1, \"a\": 2}",
    ]);
    let heads = select(vec![
        "content-type: application/json",
        "content-type: application/json",
        "content-type: application/json",
        "content-type: application/json",
        "content-type: application/json",
        "content-type: application/json",
        "content-type: text/plain",
        "",
        "content-type: application/json\norigin: https://app.example",
        "content-type: application/json\norigin: https://evil.example",
        "content-type: application/json\nrange: bytes=0-1",
    ]);
    let methods =
        if chat { select(vec!["POST", "POST", "GET"]) } else { select(vec!["GET", "POST", "POST", "DELETE", "PUT"]) };
    (methods, targets, heads, bodies, prop::bool::weighted(0.2)).prop_map(|(method, target, head, body, far)| {
        let mut made = asked(method, target).head(head);
        made.body = Bytes::from_static(body.as_bytes());
        if far { made.from("198.51.100.9") } else { made }
    })
}

/// The token that says what is claimed.
fn token(house: &House, claimed: &Claimed) -> String {
    house.token(json!({
        "tenant": claimed.tenant,
        "groups": claimed.groups,
        "scope": claimed.scopes.join(" "),
        "department": claimed.tags.first().map(|(_, values)| values.clone()),
        "acr": (!claimed.acr.is_empty()).then(|| claimed.acr.clone()),
        "amr": claimed.amr,
        "auth_time": claimed.authenticated_at,
        "cnf": claimed.bound_to.map(|leaf| crate::token::mint::bound_to(&leaf)),
        "act": claimed.actor.as_ref().map(|actor| json!({"sub": actor})),
    }))
}

/// What came of it, as a record would tell.
type Outcome = (Option<Reason>, Option<String>, Option<String>, Vec<String>);

fn outcome(refusal: Option<&Refusal>, cx: &Context) -> Outcome {
    let rule = refusal.and_then(|refusal| refusal.rule.clone()).or_else(|| cx.rule().map(str::to_owned));
    let who = cx.known_principal().map(|principal| principal.to_string());
    let guards = cx.ran(Direction::Request).iter().map(ToString::to_string).collect();
    (refusal.map(|refusal| refusal.reason), rule, who, guards)
}

fn agree(house: &House, snapshot: &Snapshot, chain: &Chain, explaining: &Chain, who: &Who, asked: Asked) -> Outcome {
    let route = &snapshot.routes[0];
    let asked = if who.agent { asked.svid(AGENT) } else { asked };
    let sent = match &who.token {
        Some(claimed) => asked.clone().bearer(&token(house, claimed)),
        None => asked.clone(),
    };
    let context = || Context::new(NOW * 1000, Duration::from_secs(10));
    let (mut real, mut assumed) = (context(), context());
    // The data path reads no body that is too large for the route.
    let too_large = u64::try_from(sent.body.len()).unwrap() > chain.max_body();
    let decided = match chain.check_head(&sent.view(), &mut real) {
        Ok(_) if too_large => Err(Refusal::new(Reason::TooLarge, "")),
        Ok(_) => chain.check_message(&sent.view(), sent.body.clone(), &mut real).map(|_| ()),
        Err(refusal) => Err(refusal),
    };
    let provider = route.policy.identity.providers.iter().find(|p| matches!(p.kind, ProviderKind::Jwt(_))).unwrap();
    let token = who.token.clone().map(|claimed| VerifiedToken::assumed(provider, claimed).map(Arc::new)).transpose();
    let taken = Assumed { token, max_body: explaining.max_body() };
    let explained = explain(explaining, route, &asked.view(), asked.body.clone(), taken, &mut assumed);
    let told = nearest(&explained, &route.policy.access, &asked.view());
    assert_eq!(told.is_some(), explained.refusal.is_some() && !explained.steps.is_empty(), "{explained:?}");
    let (want, got) = (outcome(decided.err().as_ref(), &real), outcome(explained.refusal.as_ref(), &assumed));
    assert_eq!(got, want, "{who:?} {asked:?}\n{:#?}", explained.steps);
    got
}

/// A short run here; `POSTERN_TEST_FULL=1` asks thirty thousand times.
#[test]
fn what_is_explained_is_what_is_decided() {
    let (sets_wanted, each) = if std::env::var_os("POSTERN_TEST_FULL").is_some() { (150, 200) } else { (10, 32) };
    let house = House::new();
    let mut runner = TestRunner::deterministic();
    let mut seen: std::collections::BTreeMap<Option<Reason>, usize> = std::collections::BTreeMap::new();
    let mut tried = 0;
    while tried < sets_wanted {
        let (chat, tenant, manifests) = sets().new_tree(&mut runner).unwrap().current();
        let dialect = if chat { "openai" } else { "http" };
        let route = format!(
            "  - {{name: r, match: {{pathPrefix: /v1}}, upstream: model, dialect: {dialect}, labels: {{tenant: {tenant}}}}}\n"
        );
        let Ok(snapshot) = house.resolve(&route, &manifests) else { continue };
        let Ok(explaining) = compile_without_keys(&snapshot, &LimitStore::new()) else { continue };
        tried += 1;
        let real = compiled(&snapshot);
        let (real, explaining) = (real.of("r").unwrap(), explaining.of("r").unwrap());
        for _ in 0..each {
            let who = callers().new_tree(&mut runner).unwrap().current();
            let asked = requests(chat).new_tree(&mut runner).unwrap().current();
            let (reason, ..) = agree(&house, &snapshot, real, explaining, &who, asked);
            *seen.entry(reason).or_default() += 1;
        }
    }
    // It would say little if everything failed at the same place.
    assert!(seen.len() >= 7 && seen.get(&None).is_some_and(|allowed| *allowed >= 8), "{seen:?}");
}

#[test]
fn an_explanation_makes_no_permit_and_believes_no_token() {
    let house = House::new();
    let snapshot = crate::testing::site(&house, "openai", true);
    let chains = compile_without_keys(&snapshot, &LimitStore::new()).unwrap();
    let chain = chains.of("r").unwrap();
    // A chain for explanations, asked by the data path, knows no key and refuses every token.
    let sent = crate::testing::chat().bearer(&house.token(json!({})));
    let refused = run(chain, &sent, &mut crate::testing::context()).unwrap_err();
    assert_eq!(refused.reason, Reason::CredentialInvalid);
    // A header that names somebody is not who is assumed.
    let mut cx = crate::testing::context();
    let assumed = Assumed { token: Ok(None), max_body: u64::MAX };
    let explained = explain(chain, &snapshot.routes[0], &sent.view(), sent.body.clone(), assumed, &mut cx);
    assert_eq!(explained.refusal.map(|refusal| refusal.reason), Some(Reason::CredentialMissing));
}
