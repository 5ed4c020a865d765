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
