//! Policy on trial: it decides nothing until its moment, says what it would decide, and then decides without a reload.

use postern_config::AuthzTrial;
use proptest::prelude::*;

use Action::Read;
use PrincipalType::{Agent, User};

use super::*;

/// Unix seconds at which trials end.
const END: i64 = NOW / 1000 + 100;

fn everybody() -> Rule {
    permit("all", &[Read]).to(&[User]).when("context.risk < 90")
}

fn of(manifest: &str, rule: Rule) -> Rule {
    let origin = RuleOrigin { manifest: manifest.to_owned(), ..rule.origin.clone() };
    Rule { origin, ..rule }
}

/// `acting` now; and each of `tried` from `END` and as many more seconds on as it has.
fn with(acting: &[Rule], tried: &[(i64, Rule)]) -> Authorizer {
    let mut ends: Vec<i64> = tried.iter().map(|(end, _)| *end).collect();
    ends.sort_unstable();
    ends.dedup();
    let trial = |end: &i64| {
        let until = tried.iter().filter(|(own, _)| own <= end).map(|(_, rule)| rule.clone());
        AuthzTrial {
            from: END + end,
            authz: of_rules(&acting.iter().cloned().chain(until).collect::<Vec<_>>()),
            manifests: tried
                .iter()
                .filter(|(own, _)| own == end)
                .map(|(_, rule)| rule.origin.manifest.clone())
                .collect(),
        }
    };
    let mut report = Report::new();
    let trials: Vec<AuthzTrial> = ends.iter().map(trial).collect();
    let made = Authorizer::compile_with(&of_rules(acting), &trials, &facts(Dialect::Http), &mut report);
    made.unwrap_or_else(|| panic!("{report}"))
}

#[test]
fn what_is_on_trial_decides_nothing_and_says_what_it_would() {
    let forbid = of("AccessControlPolicy/default/f", forbid("no", &[Read]).to(&[User]));
    let permit = of("AccessControlPolicy/default/p", permit("bots", &[Read]).to(&[Agent]).when("context.risk < 90"));
    let authorizer = with(&[everybody()], &[(0, forbid), (50, permit)]);
    let (mia, bot) = (Arc::new(user(&[])), Arc::new(agent(&[], None)));
    // Prepared once, long before anything ends.
    let (mia, bot) = (authorizer.prepare(&mia, NOW), authorizer.prepare(&bot, NOW));
    for (seconds, user, agent) in [
        (
            0,
            (true, Some(("AccessControlPolicy/default/f", "Deny"))),
            (false, Some(("AccessControlPolicy/default/p", "Allow"))),
        ),
        (
            99,
            (true, Some(("AccessControlPolicy/default/f", "Deny"))),
            (false, Some(("AccessControlPolicy/default/p", "Allow"))),
        ),
        (100, (false, None), (false, Some(("AccessControlPolicy/default/p", "Allow")))),
        (149, (false, None), (false, Some(("AccessControlPolicy/default/p", "Allow")))),
        (150, (false, None), (true, None)),
        (9_999, (false, None), (true, None)),
    ] {
        for (who, (allowed, would)) in [(&mia, user), (&bot, agent)] {
            let question = AuthzRequest { now: NOW + seconds * 1000, ..ask(who, Read) };
            let decision = authorizer.decide(&question);
            assert_eq!(decision.is_allowed(), allowed, "after {seconds} s");
            let said = authorizer.rehearse(&question, &decision);
            assert_eq!(said.as_ref().map(|said| (&*said.policy, said.outcome)), would, "after {seconds} s");
        }
    }
    assert!(!mia.is_valid(NOW + 100_000), "what was prepared ends with the first trial");
}

#[test]
fn a_role_that_is_on_trial_is_held_from_its_moment_on() {
    let role = role("reader", &[], &[(&[Read], &[])]);
    let acting = Authz { roles: vec![role], ..Authz::default() };
    let authz = Authz { bindings: vec![group("reader", "staff")], ..acting.clone() };
    let manifests = vec!["RBACPolicy/default/b".to_owned()];
    let trial = AuthzTrial { from: END, authz, manifests };
    let mut report = Report::new();
    let authorizer = Authorizer::compile_with(&acting, &[trial], &facts(Dialect::Http), &mut report).unwrap();
    let prepared = authorizer.prepare(&Arc::new(user(&["staff"])), NOW);
    for (seconds, allowed, would) in [(0, false, Some("Allow")), (99, false, Some("Allow")), (100, true, None)] {
        let question = AuthzRequest { now: NOW + seconds * 1000, ..ask(&prepared, Read) };
        let decision = authorizer.decide(&question);
        assert_eq!(decision.is_allowed(), allowed);
        let said = authorizer.rehearse(&question, &decision);
        assert_eq!(said.as_ref().map(|said| said.outcome), would);
        assert!(said.is_none_or(|said| &*said.policy == "RBACPolicy/default/b"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn adding_anything_on_trial_changes_no_decision(
        acting in proptest::collection::vec((any::<bool>(), any::<bool>(), any::<bool>()), 0..4),
        tried in proptest::collection::vec((any::<bool>(), any::<bool>(), any::<bool>(), 0_i64..3), 1..4),
        seconds in 0_i64..100,
    ) {
        let rule = |index: usize, forbids: bool, users: bool, on: bool| {
            let name = format!("r{index}");
            let kind = if users { User } else { Agent };
            let when = if on { "context.net.tls" } else { "context.risk > 50" };
            let made = if forbids { forbid(&name, &[Read]) } else { permit(&name, &[Read]) };
            made.to(&[kind]).when(when)
        };
        let acting: Vec<Rule> = acting.iter().enumerate().map(|(i, (a, b, c))| rule(i, *a, *b, *c)).collect();
        let tried: Vec<(i64, Rule)> =
            tried.iter().enumerate().map(|(i, (a, b, c, end))| (*end, rule(i + 9, *a, *b, *c))).collect();
        let without = load(&of_rules(&acting), &facts(Dialect::Http));
        let all: Vec<Rule> = acting.iter().cloned().chain(tried.iter().map(|(_, rule)| rule.clone())).collect();
        let after = load(&of_rules(&all), &facts(Dialect::Http));
        let with = with(&acting, &tried);
        for who in [user(&[]), agent(&[], None), agent(&[], Some(user(&[])))] {
            let who = Arc::new(who);
            let decide = |authorizer: &Authorizer, seconds: i64| {
                let now = NOW + seconds * 1000;
                let prepared = authorizer.prepare(&who, now);
                let question = AuthzRequest { now, ..ask(&prepared, Read) };
                let decision = authorizer.decide(&question);
                let would = authorizer.rehearse(&question, &decision).map_or(decision.is_allowed(), |r| r.outcome == "Allow");
                (decision.denial, would)
            };
            let (now, would) = decide(&with, seconds);
            prop_assert_eq!(now, decide(&without, seconds).0);
            prop_assert_eq!(would, decide(&after, seconds).0.is_none(), "what it says is what comes");
            prop_assert_eq!(decide(&with, 200).0, decide(&after, 200).0);
        }
    }
}
