//! What does not load, and what is said about it.

use Action::{Chat, Create, Read};
use PrincipalType::{Agent, User};

use super::*;

fn asker(rules: &[Rule]) -> Authz {
    Authz { roles: vec![role("asker", &[], &[])], rules: rules.to_vec(), ..Authz::default() }
}

#[test]
fn complaint_17_a_rule_that_cannot_hold_does_not_load_and_each_problem_is_told_with_code_place_and_way_out() {
    let to_users = |name| permit(name, &[Read]).to(&[User]);
    for (case, rule, code, place, says) in [
        // PV-020
        ("neither roles nor when", permit("a", &[Read]).to(&[User]), "PV-020", "5:7", "neither `roles` nor `when`"),
        (
            "unless alone narrows nothing",
            permit("a", &[Read]).to(&[User]).unless("context.risk > 3"),
            "PV-020",
            "5:7",
            "neither `roles` nor `when`",
        ),
        (
            "neither roles nor principals",
            permit("a", &[Read]).when("context.risk < 3"),
            "PV-020",
            "5:7",
            "neither `roles` nor `principals`",
        ),
        ("constant", to_users("a").when("true"), "PV-020", "5:7", "same for every request"),
        (
            "constant in disguise",
            to_users("a").when("1 == 1 || \"context\" like \"*\""),
            "PV-020",
            "5:7",
            "same for every request",
        ),
        // PV-021: the expression
        (
            "not Cedar",
            to_users("a").when("principal.groups contains \"x\""),
            "PV-021",
            "6:7  spec.rules[0].when",
            "is not a Cedar expression",
        ),
        ("empty", to_users("a").when(""), "PV-021", "6:7", "is not a Cedar expression"),
        (
            "a way out of the braces",
            to_users("a").when("true } ; permit(principal, action, resource) when { true"),
            "PV-021",
            "6:7",
            "is not a Cedar expression",
        ),
        (
            "misspelt attribute",
            to_users("a").when("principal.tenat == \"x\""),
            "PV-021",
            "6:7  spec.rules[0].when",
            "`tenat`",
        ),
        ("misspelt context", to_users("a").when("context.rsik < 3"), "PV-021", "6:7", "`rsik`"),
        ("arguments of a tool", to_users("a").when("context.arguments.amount < 9"), "PV-021", "6:7", "`arguments`"),
        (
            "attribute of another type",
            permit("a", &[Read, Chat]).to(&[User]).when("resource.vendor == \"x\""),
            "PV-021",
            "6:7",
            "for a Route by a User: attribute `vendor`",
        ),
        (
            "in unless",
            to_users("a").when("context.risk < 3").unless("principal.nme == \"x\""),
            "PV-021",
            "8:7  spec.rules[0].unless",
            "`unless` of",
        ),
        (
            "context of another type",
            permit("a", &[Read, Chat]).to(&[User]).when("context.ai.stream"),
            "PV-021",
            "6:7",
            "`ai`",
        ),
        (
            "onBehalfOf of a User",
            to_users("a").when("principal.onBehalfOf.tenant == \"x\""),
            "PV-021",
            "6:7",
            "`onBehalfOf`",
        ),
        (
            "optional without has",
            permit("a", &[Read]).to(&[Agent]).when("principal.onBehalfOf.tenant == \"x\""),
            "PV-021",
            "6:7",
            "optional",
        ),
        ("tag without hasTag", to_users("a").when("principal.getTag(\"x\").contains(\"y\")"), "PV-021", "6:7", "tag"),
        ("wrong type", to_users("a").when("context.risk == \"x\""), "PV-021", "6:7", ""),
        ("not a truth value", to_users("a").when("context.risk"), "PV-021", "6:7", "Bool"),
        (
            "misspelt role in Cedar",
            to_users("a").when("principal in Postern::Role::\"askre\""),
            "PV-021",
            "6:7",
            "askre",
        ),
        (
            "misspelt tenant in Cedar",
            to_users("a").when("principal in Postern::Tenant::\"acmee\""),
            "PV-021",
            "6:7",
            "acmee",
        ),
        ("misspelt action", to_users("a").when("action == Postern::Action::\"raed\""), "PV-021", "6:7", "raed"),
        ("type of a later version", to_users("a").when("resource is Postern::Tool"), "PV-021", "6:7", "Postern::Tool"),
        (
            "can never hold",
            to_users("a").when("resource is Postern::Model"),
            "PV-021",
            "6:7",
            "can never hold for a Route",
        ),
        (
            "can never hold for one type",
            permit("a", &[Read]).to(&[User, Agent]).when("principal is Postern::Agent && context.risk < 3"),
            "PV-021",
            "6:7",
            "can never hold for a Route by a User",
        ),
        (
            "always excepted",
            to_users("a").when("context.risk < 3").unless("principal is Postern::User"),
            "PV-021",
            "8:7",
            "`unless`",
        ),
        // PV-021: the rule
        ("misspelt role", permit("a", &[Read]).with_roles(&["askre"]), "PV-021", "5:7", "role `askre`"),
        (
            "a role that is Cedar",
            permit("a", &[Read]).with_roles(&["asker\"] || true //"]),
            "PV-021",
            "5:7",
            "role `asker\"",
        ),
        ("no action", forbid("a", &[]), "PV-021", "5:7", "names no action"),
        // forbids that can fail
        ("overflow", forbid("a", &[Read]).when("context.risk + 1 > 5"), "PV-021", "6:7", "can overflow"),
        ("negation", forbid("a", &[Read]).when("-context.risk < -5"), "PV-021", "6:7", "can overflow"),
        (
            "overflow in unless",
            forbid("a", &[Read]).unless("context.authn.ageSeconds * 2 < 9"),
            "PV-021",
            "8:7",
            "can overflow",
        ),
        (
            "built at run time",
            forbid("a", &[Read]).when("ip(context.http.host).isLoopback()"),
            "PV-021",
            "6:7",
            "which can fail",
        ),
    ] {
        let said = rejects(&asker(&[rule]), &facts(Dialect::Http));
        assert!(said.contains(&format!("error[{code}]")), "{case}: {said}");
        assert!(said.contains(&format!("policies/x.yaml:{place}")), "{case}: {said}");
        assert!(said.contains(says), "{case}: {said}");
        assert!(said.contains("help: "), "{case}: {said}");
        assert!(!said.contains("for policy `"), "{case}: our numbers of policies are nobody's business: {said}");
    }
}

#[test]
fn an_attribute_nothing_sets_is_pv_024() {
    let unset = |sets_risk, sets_data_class| RouteFacts { sets_risk, sets_data_class, ..facts(Dialect::OpenAi) };
    let risk = forbid("a", &[Chat]).when("context.risk > 40");
    let class = forbid("a", &[Chat]).unless("context has ai.dataClass && context.ai.dataClass < 2");
    let other_action = forbid("a", &[Create]).when("context.risk > 40");
    for (rule, facts, says) in [
        (&risk, unset(false, true), Some("6:7  spec.rules[0].when")),
        (&risk, unset(true, false), None),
        (&class, unset(true, false), Some("8:7  spec.rules[0].unless")),
        (&class, unset(false, true), None),
        // Attached to a whole gateway, the rule is about the routes that can ask for its action.
        (&other_action, unset(false, false), None),
    ] {
        let mut report = Report::new();
        let made = Authorizer::compile(&of_rules(std::slice::from_ref(rule)), &facts, &mut report);
        let said = report.to_string();
        assert_eq!(made.is_none(), says.is_some(), "{said}");
        assert!(says.is_none_or(|says| said.contains("PV-024") && said.contains(says)), "{said}");
    }
}

#[test]
fn all_problems_are_told_at_once() {
    let rules = [
        permit("a", &[Read]).to(&[User]),
        permit("b", &[Read]).to(&[User]).when("principal.x == 1"),
        permit("c", &[Read]).with_roles(&["nosuch"]),
    ];
    let said = rejects(&asker(&rules), &facts(Dialect::Http));
    for says in ["permit `a`", "rule b", "rule `c`", "did you mean `asker`?"] {
        assert!(said.contains(says), "{said}");
    }
}

#[test]
fn a_permission_that_can_match_nothing_does_not_load() {
    for (actions, glob) in [(&[Read][..], "gpt-*"), (&[Read], "*"), (&[Chat], "/v1/**"), (&[Chat], "")] {
        let authz = Authz { roles: vec![role("r", &[], &[(actions, &["**", glob])])], ..Authz::default() };
        let said = rejects(&authz, &facts(Dialect::Http));
        assert!(said.contains("PV-021") && said.contains("policies/x.yaml:3:7"), "{glob}: {said}");
    }
    let authz = Authz { roles: vec![role("r", &[], &[(&[], &[])])], ..Authz::default() };
    assert!(rejects(&authz, &facts(Dialect::Http)).contains("no actions"));
}

#[test]
fn names_that_look_like_cedar_are_names() {
    // Injection through the values of a manifest: roles, tenants, labels, routes.
    for evil in ["\") || true //", "a\", \"b", "x\n}", "\\", "entity User;", "\u{0}"] {
        let facts = RouteFacts {
            route: evil.into(),
            gateway: evil.into(),
            labels: BTreeMap::from([(evil.into(), evil.into())]),
            tenants: vec![evil.into()],
            ..facts(Dialect::Http)
        };
        let authz = Authz {
            roles: vec![role(evil, &[], &[(&[Read], &[])])],
            bindings: vec![group(evil, evil)],
            rules: vec![permit(evil, &[Create]).with_roles(&[evil])],
            ..Authz::default()
        };
        let authorizer = load(&authz, &facts);
        assert!(!decide(&authorizer, user(&["staff"]), Read).is_allowed(), "{evil:?}");
        assert!(decide(&authorizer, user(&[evil]), Read).is_allowed(), "{evil:?}");
        let decision = decide(&authorizer, user(&[evil]), Create);
        assert_eq!(*decision.rules[0], format!("AccessControlPolicy/default/x rule {evil}"));
    }
}

#[test]
fn rules_in_reach_are_those_whose_actions_the_dialect_asks_for() {
    let authz = Authz {
        roles: vec![role("asker", &[], &[(&[Chat], &[])])],
        rules: vec![forbid("http", &[Create]), forbid("both", &[Create, Chat])],
        ..Authz::default()
    };
    for (dialect, want) in [
        (Dialect::Http, &["AccessControlPolicy/default/x rule http", "AccessControlPolicy/default/x rule both"]),
        (Dialect::OpenAi, &["RBACPolicy/default/r role asker", "AccessControlPolicy/default/x rule both"]),
    ] {
        let authorizer = load(&authz, &facts(dialect));
        assert_eq!(authorizer.rules_in_reach().collect::<Vec<_>>(), want);
    }
}
