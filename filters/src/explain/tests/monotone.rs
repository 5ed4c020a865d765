//! Adding a manifest never turns a denial into a pass unless it adds a permit; and one on trial changes nothing at all.

use postern_config::values::Time;

use super::*;

/// Manifests that grant nothing, each under its kind. What is first to set a field replaces its default (§5 of the manifests), so
/// those with a looser one than the default (`crossSite`, `maxBodySize`) do grant something.
fn added(chat: bool, number: usize) -> BoxedStrategy<(&'static str, String)> {
    let (action, part) = if chat { ("chat", "User") } else { ("create", "HttpBody") };
    let access = prop_oneof![
        Just("  allow: [{methods: [GET, POST], paths: [\"/**\"], contentTypes: [application/json]}]".to_owned()),
        Just("  allow: [{methods: [GET], paths: [/v1/a]}]".to_owned()),
        Just("  allow: [{methods: [GET, POST, DELETE, PUT], paths: [\"/**\"]}]\n  crossSite: {type: Deny}".to_owned()),
        Just("  maxBodySize: 20".to_owned()),
        Just("  rateLimits: [{name: extra, key: [SourceIp], unit: Requests, limit: 9000, window: 1m}]".to_owned()),
    ];
    let rule = (select(CONDITIONS.to_vec()), some(&["User", "Agent"])).prop_map(move |(when, types)| {
        format!(
            "  rules: [{{name: never, effect: Forbid, principals: {}, actions: [{action}], when: '{when}'}}]",
            list(&types)
        )
    });
    let role = Just(format!("  roles: [{{name: idle, permissions: [{{actions: [{action}]}}]}}]"));
    let data = select(vec!["Block", "Redact", "Mask"]).prop_map(move |does| {
        format!(
            "  detectors: [{{name: word, type: Regex, pattern: hello, class: Internal}}]\n  rules: [{{name: words, direction: Request, parts: [{part}], match: {{detectors: [word]}}, action: {does}}}]"
        )
    });
    let runtime = select(vec!["Block", "Redact"]).prop_map(move |does| {
        format!("  detectors: [{{name: more, type: HiddenText, parts: [{part}], action: {does}}}]")
    });
    match number % KINDS {
        0 => access.prop_map(|spec| ("APIAccessPolicy", spec)).boxed(),
        1 => rule.prop_map(|spec| ("AccessControlPolicy", spec)).boxed(),
        2 => role.prop_map(|spec| ("RBACPolicy", spec)).boxed(),
        3 => data.prop_map(|spec| ("DataProtectionPolicy", spec)).boxed(),
        _ => runtime.prop_map(|spec| ("RuntimeSecurityPolicy", spec)).boxed(),
    }
}

/// Kinds among them.
const KINDS: usize = 5;
/// Of those, the ones that can be on trial.
const TRIALS: &[usize] = &[0, 1, 2, 3, 4];

/// A set in two versions, as chains.
struct Both {
    before: (Snapshot, crate::Chains),
    after: (Snapshot, crate::Chains),
}

fn both(house: &House, route: &str, before: &str, added: &str) -> Option<Both> {
    let made = |manifests: &str| {
        let snapshot = house.resolve(route, manifests).ok()?;
        let chains = compile_without_keys(&snapshot, &LimitStore::new()).ok()?;
        Some((snapshot, chains))
    };
    Some(Both { before: made(before)?, after: made(&format!("{before}{added}"))? })
}

fn explained((snapshot, chains): &(Snapshot, crate::Chains), who: &Who, asked: &Asked) -> (Outcome, Bytes) {
    let route = &snapshot.routes[0];
    let chain = chains.of("r").unwrap();
    let provider = route.policy.identity.providers.iter().find(|p| matches!(p.kind, ProviderKind::Jwt(_))).unwrap();
    let token = who.token.clone().map(|claimed| VerifiedToken::assumed(provider, claimed).map(Arc::new)).transpose();
    let mut cx = Context::new(NOW * 1000, Duration::from_secs(10));
    let assumed = Assumed { token, max_body: chain.max_body() };
    let explained = explain(chain, route, &asked.view(), asked.body.clone(), assumed, &mut cx);
    (outcome(explained.refusal.as_ref(), &cx), cx.body().clone())
}

/// A short run here; `POSTERN_TEST_FULL=1` for a long one.
#[test]
fn what_grants_nothing_opens_nothing_and_what_is_on_trial_changes_nothing() {
    let (sets_wanted, each) = if std::env::var_os("POSTERN_TEST_FULL").is_some() { (40, 60) } else { (1, 20) };
    let house = House::new();
    let mut runner = TestRunner::deterministic();
    let mut refused = 0;
    let cases = (0..KINDS).map(|kind| (kind, false)).chain(TRIALS.iter().map(|kind| (*kind, true)));
    for (number, on_trial) in cases {
        let mode = on_trial.then(|| format!("  mode: Audit\n  modeUntil: \"{}\"\n", Time(NOW + 86_400)));
        let mode = mode.unwrap_or_default();
        let (mut done, mut tries) = (0, 0);
        while done < sets_wanted {
            tries += 1;
            assert!(tries < 60 * sets_wanted, "kind {number}, on trial {on_trial}: no set loads with it");
            let (chat, tenant, manifests) = sets().new_tree(&mut runner).unwrap().current();
            let (kind, spec) = added(chat, number).new_tree(&mut runner).unwrap().current();
            let more = manifest(kind, "r", &format!("{mode}{spec}"));
            let more = more.replacen("metadata: {name: r}", "metadata: {name: added}", 1);
            let dialect = if chat { "openai" } else { "http" };
            let route = format!(
                "  - {{name: r, match: {{pathPrefix: /v1}}, upstream: model, dialect: {dialect}, labels: {{tenant: {tenant}}}}}\n"
            );
            let Some(both) = both(&house, &route, &manifests, &more) else { continue };
            done += 1;
            for _ in 0..each {
                let who = callers().new_tree(&mut runner).unwrap().current();
                let asked = requests(chat).new_tree(&mut runner).unwrap().current();
                let asked = if who.agent { asked.svid(AGENT) } else { asked };
                let (was, body_was) = explained(&both.before, &who, &asked);
                let (is, body_is) = explained(&both.after, &who, &asked);
                let told = || format!("{more}\n{manifests}\n{who:?} {asked:?}\nbefore {was:?}\nafter {is:?}");
                assert!(was.0.is_none() || is.0.is_some(), "a denial became a pass: {}", told());
                if on_trial {
                    assert_eq!((&was, &body_was), (&is, &body_is), "what is on trial changed something: {}", told());
                }
                refused += usize::from(was.0.is_some());
            }
        }
    }
    assert!(refused > 20, "it would say little if nothing were refused: {refused}");
}
