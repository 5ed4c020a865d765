//! What is said of a rule that did not match.

use super::*;

fn nearest(authz: &Authz, who: Principal, action: Action) -> (String, Vec<String>) {
    let authorizer = load(authz, &facts(Dialect::OpenAi));
    let prepared = authorizer.prepare(&Arc::new(who), NOW);
    let weighing = authorizer.one_by_one(authz, &ask(&prepared, action));
    let (rule, missing) = weighing.nearest().map(|(rule, missing)| (rule.rule.to_string(), missing)).unwrap();
    (rule, missing)
}

#[test]
fn the_nearest_rule_says_what_it_misses() {
    let staff = "principal.groups.contains(\"staff\")";
    let authz = Authz {
        roles: vec![role("editor", &[], &[(&[Action::Chat], &["gpt-4*"])])],
        bindings: vec![group("editor", "writers"), bind("editor", SubjectKind::Group, "leads")],
        rules: vec![
            permit("users", &[Action::Chat]).to(&[PrincipalType::User]).when(staff),
            permit("careful", &[Action::Chat])
                .to(&[PrincipalType::User, PrincipalType::Agent])
                .when("principal.groups.contains(\"staff\") && context.risk < 5 && context.authn.senderBound"),
        ],
        ..Authz::default()
    };
    let rule = |name: &str| format!("AccessControlPolicy/default/x rule {name}");
    for (who, wanted, missing) in [
        (user(&[]), rule("users"), vec![format!("`{staff}` is false: principal.groups is []")]),
        (agent(&["staff"], None), rule("careful"), vec!["`context.risk < 5` is false: context.risk is 10".to_owned()]),
    ] {
        assert_eq!(nearest(&authz, who.clone(), Action::Chat), (wanted, missing), "{who}");
    }
    let only = Authz { rules: vec![authz.rules[0].clone()], ..Authz::default() };
    let (_, missing) = nearest(&only, agent(&["staff"], None), Action::Chat);
    assert_eq!(missing, ["the rule is for User, the caller is an Agent"]);
    let (_, missing) = nearest(&only, user(&["staff"]), Action::Read);
    assert_eq!(missing, ["the rule is for chat, the request asks for read"]);
    let only = Authz { rules: Vec::new(), ..authz.clone() };
    let (rule, missing) = nearest(&only, user(&["writers"]), Action::Chat);
    assert_eq!(rule, "RBACPolicy/default/r role editor");
    assert_eq!(missing, ["role `editor` permits it on `gpt-4*`, the request is for `gpt-5-mini`"]);
    let (_, missing) = nearest(&only, user(&[]), Action::Chat);
    assert_eq!(
        missing,
        [
            "the caller does not hold role `editor`, which group `writers`; group `leads` holds",
            "role `editor` permits it on `gpt-4*`, the request is for `gpt-5-mini`"
        ]
    );
}

#[test]
fn a_forbid_that_matched_is_told_and_an_agents_user_too() {
    let permit = permit("staff", &[Action::Chat])
        .to(&[PrincipalType::User, PrincipalType::Agent])
        .when("principal.groups.contains(\"staff\")");
    let forbid =
        forbid("old", &[Action::Chat]).when("context.authn.ageSeconds > 30").unless("context.net.tls == false");
    let both = of_rules(&[permit.clone(), forbid]);
    let (rule, missing) = nearest(&both, user(&["staff"]), Action::Chat);
    assert_eq!(rule, "AccessControlPolicy/default/x rule old");
    assert_eq!(missing, ["this rule forbids it: context.authn.ageSeconds is 60, context.net.tls is true"]);
    let (rule, missing) = nearest(&of_rules(&[permit]), agent(&["staff"], Some(user(&["guests"]))), Action::Chat);
    assert_eq!(rule, "AccessControlPolicy/default/x rule staff");
    assert_eq!(missing, ["`principal.groups.contains(\"staff\")` is false: principal.groups is [\"guests\"]"]);
}

/// One thing is missing in each, and that is what is told.
#[test]
fn a_near_miss_is_told_by_the_one_thing_that_it_misses() {
    use SubjectKind::Principal as Named;
    let now = NOW / 1000;
    let mia = || Named(PrincipalType::User);
    let editor = |binding: Binding| Authz {
        roles: vec![role("editor", &[], &[(&[Action::Chat], &[])])],
        bindings: vec![Binding { name: "RBACPolicy/default/r#b".into(), ..binding }],
        ..Authz::default()
    };
    let when = |text: &str| of_rules(&[permit("p", &[Action::Chat]).to(&[PrincipalType::User]).when(text)]);
    let no_role = |why: &str| format!("the caller does not hold role `editor`{why}");
    for (case, authz, wanted) in [
        (
            "a group",
            when("principal.groups.contains(\"staff\")"),
            "`principal.groups.contains(\"staff\")` is false: principal.groups is [\"guests\"]".to_owned(),
        ),
        (
            "a scope, and of two conditions the one that is false",
            when("principal.groups.contains(\"guests\") && principal.scopes.contains(\"admin\")"),
            "`principal.scopes.contains(\"admin\")` is false: principal.scopes is [\"chat\"]".to_owned(),
        ),
        (
            "an action",
            of_rules(&[permit("p", &[Action::Embed]).to(&[PrincipalType::User]).when("context.risk < 50")]),
            "the rule is for embed, the request asks for chat".to_owned(),
        ),
        (
            "a tenant of the resource",
            when("resource.tenant == \"globex\""),
            "`resource.tenant == \"globex\"` is false: resource.tenant is \"acme\"".to_owned(),
        ),
        (
            "a compliance mode",
            when("context.compliance.contains(\"hipaa\")"),
            "`context.compliance.contains(\"hipaa\")` is false: context.compliance is [\"sox\"]".to_owned(),
        ),
        ("a role bound to somebody else", editor(group("editor", "staff")), no_role(", which group `staff` holds")),
        (
            "a binding of another tenant",
            editor(Binding { tenant: Some("globex".into()), ..group("editor", "guests") }),
            no_role(": binding `RBACPolicy/default/r#b` is for tenant `globex`, the caller is of `acme`"),
        ),
        (
            "a binding that has ended",
            editor(Binding { until: Some(now), ..bind("editor", mia(), "mia") }),
            no_role(&format!(": binding `RBACPolicy/default/r#b` ended at {}", postern_config::values::Time(now))),
        ),
        (
            "a binding of another issuer",
            editor(Binding {
                subjects: vec![Subject { kind: mia(), name: "mia".into(), issuer: Some("https://b.example".into()) }],
                ..group("editor", "x")
            }),
            no_role(&format!(
                ": binding `RBACPolicy/default/r#b` is for those of `https://b.example`, the caller is of `{ISSUER}`"
            )),
        ),
    ] {
        let authorizer = load(&authz, &facts(Dialect::OpenAi));
        let prepared = authorizer.prepare(&Arc::new(user(&["guests"])), NOW);
        let compliance = ["sox".to_owned()];
        let question = AuthzRequest { compliance: &compliance, ..ask(&prepared, Action::Chat) };
        assert!(!authorizer.decide(&question).is_allowed(), "{case}");
        let weighing = authorizer.one_by_one(&authz, &question);
        let (_, missing) = weighing.nearest().unwrap_or_else(|| panic!("{case}"));
        assert_eq!(missing, [wanted], "{case}");
    }
    // What crosses tenants is refused before any rule is looked at, and that is what is told.
    let authz = when("principal.groups.contains(\"guests\")");
    let authorizer = load(&authz, &facts(Dialect::OpenAi));
    let stranger = Principal { tenant: "globex".into(), ..user(&["guests"]) };
    let prepared = authorizer.prepare(&Arc::new(stranger), NOW);
    let weighing = authorizer.one_by_one(&authz, &ask(&prepared, Action::Chat));
    assert_eq!(weighing.before.as_deref(), Some("the caller is of tenant `globex`, the route of `acme`"));
}

/// Of several rules that miss, the one with the least to change is told: a condition before a role, a role before another type,
/// and all of them before another action.
#[test]
fn the_nearest_of_several_is_the_one_with_least_to_change() {
    let type_ = permit("type", &[Action::Chat]).to(&[PrincipalType::Agent]).when("context.risk < 50");
    let action = permit("action", &[Action::Embed]).to(&[PrincipalType::User]).when("context.risk < 50");
    let role = permit("role", &[Action::Chat]).with_roles(&["editor"]);
    let condition = permit("condition", &[Action::Chat]).to(&[PrincipalType::User]).when("context.risk < 5");
    let mut rules = vec![action, type_, role, condition];
    while let Some(last) = rules.last().map(|rule| rule.name.clone()) {
        let authz = Authz {
            roles: vec![super::role("editor", &[], &[])],
            bindings: vec![group("editor", "staff")],
            ..of_rules(&rules)
        };
        let (rule, missing) = nearest(&authz, user(&["guests"]), Action::Chat);
        assert_eq!(rule, format!("AccessControlPolicy/default/x rule {last}"), "{missing:?}");
        rules.pop();
    }
}

/// The bindings behind a permit are those of the roles it is for, inherited ones included, and none that gave something else.
#[test]
fn a_decision_names_the_bindings_that_gave_the_roles_of_its_permits() {
    let named = |name: &str, binding: Binding| Binding { name: name.to_owned(), ..binding };
    let authz = Authz {
        roles: vec![
            role("asker", &[], &[(&[Action::Chat], &[])]),
            role("operator", &["asker"], &[(&[Action::Embed], &[])]),
            role("reader", &[], &[(&[Action::Read], &[])]),
        ],
        bindings: vec![
            named("b#staff", group("asker", "staff")),
            named("b#ops", group("operator", "ops")),
            named("b#readers", group("reader", "staff")),
            named("b#over", Binding { until: Some(NOW / 1000), ..group("asker", "staff") }),
        ],
        rules: vec![permit("all", &[Action::Chat]).to(&[PrincipalType::Agent]).when("context.risk < 50")],
        ..Authz::default()
    };
    let authorizer = load(&authz, &facts(Dialect::OpenAi));
    for (case, who, action, wanted) in [
        ("its own", user(&["staff"]), Action::Chat, vec!["b#staff"]),
        ("an inherited one too", user(&["staff", "ops"]), Action::Chat, vec!["b#ops", "b#staff"]),
        ("of the other role", user(&["staff", "ops"]), Action::Embed, vec!["b#ops"]),
        (
            "of the User behind an Agent that a rule permits",
            agent(&[], Some(user(&["staff"]))),
            Action::Chat,
            vec!["b#staff"],
        ),
        ("a rule without roles", agent(&["staff"], None), Action::Chat, vec!["b#staff"]),
        ("refused", user(&["staff"]), Action::Embed, vec![]),
    ] {
        let decision = decide(&authorizer, who, action);
        let bindings: Vec<&str> = decision.bindings.iter().map(|name| &**name).collect();
        assert_eq!(bindings, wanted, "{case}: {decision:?}");
    }
}
