//! What a caller can do about a denial, and when that is told: only where nothing else stands in the way.

use std::time::Duration;

use postern_config::OnDeny;
use proptest::prelude::*;

use Action::{Chat, Read};
use PrincipalType::{Agent, User};

use super::*;

fn step(acr: &str, age: u64) -> OnDeny {
    OnDeny::StepUp { acr_values: vec![acr.to_owned()], max_age: Some(Duration::from_secs(age)) }
}

fn scope(scope: &str) -> OnDeny {
    OnDeny::Scope { scopes: vec![scope.to_owned()] }
}

fn asking(rule: Rule, on_deny: OnDeny) -> Rule {
    Rule { on_deny: Some(on_deny), ..rule }
}

fn everybody() -> Rule {
    permit("all", &[Read, Chat]).to(&PrincipalType::ALL).when("context.risk < 90")
}

#[test]
fn a_way_out_is_told_only_where_nothing_else_stands_in_the_way() {
    let weak = || asking(forbid("weak", &[Read]).when("context.authn.acr != \"gold\""), step("gold", 300));
    let narrow = || asking(forbid("narrow", &[Read]).when("!principal.scopes.contains(\"orders\")"), scope("orders"));
    let plain = || forbid("plain", &[Read]).when("context.net.tls");
    let never = || forbid("never", &[Read]).when("!context.net.tls");
    let other = || asking(forbid("other", &[Read]).when("context.net.mtls"), step("platinum", 60));
    let tighter = || asking(forbid("tighter", &[Read]).when("context.net.mtls"), step("gold", 60));
    for (case, rules, want) in [
        ("alone", vec![everybody(), weak()], Some(step("gold", 300))),
        ("no permit", vec![weak()], None),
        (
            "a permit of other actions",
            vec![permit("chat", &[Chat]).to(&[User]).when("context.risk < 90"), weak()],
            None,
        ),
        ("another forbid", vec![everybody(), weak(), plain()], None),
        ("another forbid that does not match", vec![everybody(), weak(), never()], Some(step("gold", 300))),
        ("two that agree", vec![everybody(), weak(), tighter()], Some(step("gold", 60))),
        ("two that exclude each other", vec![everybody(), weak(), other()], None),
        ("scopes", vec![everybody(), narrow()], Some(scope("orders"))),
        ("scopes and a step-up", vec![everybody(), narrow(), weak()], Some(step("gold", 300))),
    ] {
        let authorizer = load(&of_rules(&rules), &facts(Dialect::Http));
        let decision = decide(&authorizer, user(&[]), Read);
        assert!(!decision.is_allowed(), "{case}");
        assert_eq!(decision.ask, want, "{case}");
    }
    let authorizer = load(&of_rules(&[everybody(), weak()]), &facts(Dialect::Http));
    let mut gold = user(&[]);
    gold.authn.acr = "gold".to_owned();
    assert!(decide(&authorizer, gold, Read).is_allowed());
    let stranger = Principal { tenant: "globex".to_owned(), ..user(&[]) };
    let decision = decide(&authorizer, stranger, Read);
    assert_eq!((decision.denial, decision.ask), (Some(Denial::OtherTenant), None), "another tenant learns nothing");
}

#[test]
fn an_agent_learns_what_its_user_can_do_unless_it_is_refused_itself() {
    let weak = asking(forbid("weak", &[Read]).to(&[User]).when("context.authn.acr != \"gold\""), step("gold", 300));
    let mine = permit("mine", &[Read]).to(&[Agent]).when("principal.groups.contains(\"ok\")");
    let users = permit("users", &[Read]).to(&[User]).when("context.risk < 90");
    let authorizer = load(&of_rules(&[weak, mine, users]), &facts(Dialect::Http));
    for (groups, want) in [(&["ok"][..], Some(step("gold", 300))), (&[], None)] {
        let decision = decide(&authorizer, agent(groups, Some(user(&[]))), Read);
        assert!(!decision.is_allowed());
        assert_eq!(decision.ask, want, "{groups:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever is told is true: without the rules that ask, the request passes.
    #[test]
    fn who_is_told_a_way_out_would_pass_without_the_rules_that_ask(
        kinds in proptest::collection::vec((0_u8..6, any::<bool>()), 0..6),
    ) {
        let rule = |(index, (kind, on)): (usize, &(u8, bool))| {
            let name = format!("r{index}");
            let when = if *on { "context.net.tls" } else { "!context.net.tls" };
            match kind {
                0 | 1 => permit(&name, &[Read]).to(&[User]).when(when),
                2 => forbid(&name, &[Read]).when(when),
                3 => asking(forbid(&name, &[Read]).when(when), step("a", 1)),
                4 => asking(forbid(&name, &[Read]).when(when), step("b", 2)),
                _ => asking(forbid(&name, &[Read]).when(when), scope("s")),
            }
        };
        let rules: Vec<Rule> = kinds.iter().enumerate().map(rule).collect();
        let silent: Vec<Rule> = rules.iter().filter(|rule| rule.on_deny.is_none()).cloned().collect();
        let decision = decide(&load(&of_rules(&rules), &facts(Dialect::Http)), user(&[]), Read);
        let without = decide(&load(&of_rules(&silent), &facts(Dialect::Http)), user(&[]), Read).is_allowed();
        if decision.ask.is_some() {
            prop_assert!(!decision.is_allowed() && without);
        }
        let asks = rules.iter().any(|rule| rule.on_deny.is_some() && rule.when.as_ref().is_some_and(|w| !w.text.contains('!')));
        prop_assert_eq!(decision.is_allowed(), without && !asks);
    }
}
