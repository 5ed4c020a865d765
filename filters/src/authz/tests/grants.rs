//! Each form of a rule, a permission and a binding.

use Action::{Chat, Create, Delete, Embed, Read};
use PrincipalType::{Component, ServiceAccount, User};

use super::*;

#[test]
fn nothing_is_allowed_until_something_permits_it() {
    let authorizer = load(&Authz::default(), &facts(Dialect::Http));
    for action in Action::ALL {
        let decision = decide(&authorizer, user(&["staff"]), action);
        assert_eq!(decision.denial, Some(Denial::DefaultDeny), "{action:?}");
        assert_eq!(&*decision.rules[0], "built-in default-deny");
    }
}

#[test]
fn a_rule_permits_what_it_says_and_no_more() {
    let care = r#"principal.hasTag("department") && principal.getTag("department").contains("care")"#;
    for (case, rule, action, who, want) in [
        (
            "type and condition",
            permit("a", &[Read]).to(&[User]).when("principal.groups.contains(\"sre\")"),
            Read,
            user(&["sre"]),
            true,
        ),
        (
            "condition fails",
            permit("a", &[Read]).to(&[User]).when("principal.groups.contains(\"sre\")"),
            Read,
            user(&[]),
            false,
        ),
        (
            "other type",
            permit("a", &[Read]).to(&[ServiceAccount, Component]).when("context.risk < 40"),
            Read,
            user(&[]),
            false,
        ),
        ("other action", permit("a", &[Create]).to(&[User]).when("context.risk < 40"), Read, user(&[]), false),
        (
            "one of several actions",
            permit("a", &[Read, Chat]).to(&[User]).when("context.risk < 40"),
            Chat,
            user(&[]),
            true,
        ),
        ("role", permit("a", &[Read]).with_roles(&["op"]), Read, user(&["ops"]), true),
        ("inherited role", permit("a", &[Read]).with_roles(&["asker"]), Read, user(&["ops"]), true),
        ("role not held", permit("a", &[Read]).with_roles(&["op"]), Read, user(&["askers"]), false),
        ("one of two roles", permit("a", &[Read]).with_roles(&["op", "asker"]), Read, user(&["askers"]), true),
        ("role and other type", permit("a", &[Read]).to(&[Component]).with_roles(&["op"]), Read, user(&["ops"]), false),
        (
            "unless holds",
            permit("a", &[Read]).with_roles(&["op"]).unless("context.risk > 5"),
            Read,
            user(&["ops"]),
            false,
        ),
        (
            "unless does not",
            permit("a", &[Read]).with_roles(&["op"]).unless("context.risk > 50"),
            Read,
            user(&["ops"]),
            true,
        ),
        ("tag", permit("a", &[Read]).to(&[User]).when(care), Read, user(&[]), true),
        (
            "label",
            permit("a", &[Read])
                .to(&[User])
                .when("resource.hasTag(\"app\") && resource.getTag(\"app\") == \"assistant\""),
            Read,
            user(&[]),
            true,
        ),
        (
            "address",
            permit("a", &[Read]).to(&[User]).when("context.net.sourceIp.isInRange(ip(\"10.0.0.0/8\"))"),
            Read,
            user(&[]),
            true,
        ),
        (
            "other address",
            permit("a", &[Read]).to(&[User]).when("context.net.sourceIp.isInRange(ip(\"10.9.0.0/16\"))"),
            Read,
            user(&[]),
            false,
        ),
        (
            "time",
            permit("a", &[Read]).to(&[User]).when("context.now < datetime(\"2027-01-15T08:00:00.001Z\")"),
            Read,
            user(&[]),
            true,
        ),
        (
            "time over",
            permit("a", &[Read]).to(&[User]).when("context.now < datetime(\"2027-01-15T08:00:00Z\")"),
            Read,
            user(&[]),
            false,
        ),
        (
            "fresh",
            permit("a", &[Read])
                .to(&[User])
                .when("context.authn.ageSeconds == 60 && context.authn.amr.contains(\"hwk\")"),
            Read,
            user(&[]),
            true,
        ),
        (
            "path",
            permit("a", &[Read])
                .to(&[User])
                .when("context.http.path like \"/v1/*\" && context.http.method == \"POST\""),
            Read,
            user(&[]),
            true,
        ),
        (
            "model",
            permit("a", &[Chat]).to(&[User]).when("resource.name == \"gpt-5-mini\" && resource.vendor == \"openai\""),
            Chat,
            user(&[]),
            true,
        ),
        (
            "ai",
            permit("a", &[Chat])
                .to(&[User])
                .when("context.ai.stream && context.ai.dataClass <= 1 && !context.ai.opaque"),
            Chat,
            user(&[]),
            true,
        ),
        (
            "no token limit is more than any",
            permit("a", &[Chat]).to(&[User]).when("context.ai.maxOutputTokens <= 100000"),
            Chat,
            user(&[]),
            false,
        ),
        (
            "route above model",
            permit("a", &[Chat]).to(&[User]).when("resource in Postern::Route::\"chat\""),
            Chat,
            user(&[]),
            true,
        ),
        (
            "gateway above model",
            permit("a", &[Chat]).to(&[User]).when("resource in Postern::Gateway::\"edge\""),
            Chat,
            user(&[]),
            true,
        ),
        (
            "tenant as parent",
            permit("a", &[Read]).to(&[User]).when("principal in Postern::Tenant::\"acme\""),
            Read,
            user(&[]),
            true,
        ),
        (
            "action group",
            permit("a", &[Read, Create]).to(&[User]).when("action in Postern::Action::\"observe\""),
            Read,
            user(&[]),
            true,
        ),
        (
            "out of the action group",
            permit("a", &[Read, Create]).to(&[User]).when("action in Postern::Action::\"observe\""),
            Create,
            user(&[]),
            false,
        ),
        (
            "qualified id",
            permit("a", &[Read]).to(&[User]).when("principal == Postern::User::\"https://login.example.com|mia\""),
            Read,
            user(&[]),
            true,
        ),
    ] {
        let authz = Authz {
            roles: vec![role("asker", &[], &[]), role("op", &["asker"], &[])],
            bindings: vec![group("op", "ops"), group("asker", "askers")],
            rules: vec![rule],
            ..Authz::default()
        };
        let decision = decide(&load(&authz, &facts(Dialect::Http)), who, action);
        assert_eq!(decision.is_allowed(), want, "{case}: {decision:?}");
        if want {
            assert_eq!(decision.rules, ["AccessControlPolicy/default/x rule a".into()], "{case}");
        }
    }
}

#[test]
fn an_action_named_twice_is_named_once() {
    // As it comes from `actions: [observe, read]`.
    let authz = Authz {
        roles: vec![role("r", &[], &[(&[Read, Chat, Read], &["**"])])],
        bindings: vec![group("r", "staff")],
        rules: vec![forbid("no", &[Create, Create]).to(&[User, User])],
        ..Authz::default()
    };
    let authorizer = load(&authz, &facts(Dialect::Http));
    assert!(decide(&authorizer, user(&["staff"]), Read).is_allowed());
    assert_eq!(decide(&authorizer, user(&["staff"]), Create).denial, Some(Denial::Forbidden));
}

#[test]
fn a_forbid_wins_over_every_permit() {
    let all = permit("all", &Action::ALL).to(&PrincipalType::ALL).when("context.risk < 90");
    for (case, forbid, want) in [
        ("everybody", forbid("no", &[Read]), false),
        ("condition", forbid("no", &[Read]).when("context.risk >= 10"), false),
        ("condition fails", forbid("no", &[Read]).when("context.risk >= 11"), true),
        ("unless", forbid("no", &[Read]).unless("context.authn.senderBound"), true),
        ("role held", forbid("no", &[Read]).with_roles(&["op"]), false),
        ("role not held", forbid("no", &[Read]).with_roles(&["boss"]), true),
        ("type", forbid("no", &[Read]).to(&[User]), false),
        ("other type", forbid("no", &[Read]).to(&[Component]), true),
        ("other action", forbid("no", &[Delete]), true),
    ] {
        let authz = Authz {
            roles: vec![role("op", &[], &[]), role("boss", &[], &[])],
            bindings: vec![group("op", "ops")],
            rules: vec![all.clone(), forbid],
            ..Authz::default()
        };
        let decision = decide(&load(&authz, &facts(Dialect::Http)), user(&["ops"]), Read);
        assert_eq!(decision.is_allowed(), want, "{case}");
        if !want {
            assert_eq!(decision.denial, Some(Denial::Forbidden));
            assert_eq!(decision.rules, ["AccessControlPolicy/default/x rule no".into()], "{case}");
        }
    }
}

#[test]
fn a_permission_reaches_the_resources_it_names() {
    for (globs, action, path, model, want) in [
        (vec![], Chat, "/", "any", true),
        (vec!["gpt-5-mini"], Chat, "/", "gpt-5-mini", true),
        (vec!["gpt-5-mini"], Chat, "/", "gpt-5-mini-2", false),
        (vec!["claude-*", "gpt-*"], Chat, "/", "gpt-5", true),
        (vec!["gpt-*"], Chat, "/", "xgpt-5", false),
        (vec!["*"], Chat, "/", "meta/llama", true),
        (vec!["**"], Chat, "/", "meta/llama", true),
        (vec!["a", "b", "c", "d", "e"], Chat, "/", "e", true),
        (vec!["a", "b", "c", "d", "e"], Chat, "/", "f", false),
        (vec!["gpt.5"], Chat, "/", "gpt-5", false),
        (vec!["gpt-5\\*"], Chat, "/", "gpt-5*", false),
        (vec!["gpt-5\\*"], Chat, "/", "gpt-5\\x", true),
        (vec!["x\" || true //"], Chat, "/", "gpt-5", false),
        (vec!["x\" || true //"], Chat, "/", "x\" || true //", true),
        (vec!["/v1/*"], Read, "/v1/a", "", true),
        (vec!["/v1/*"], Read, "/v1/a/b", "", false),
        (vec!["/v1/*"], Read, "/v1", "", false),
        (vec!["/v1/**"], Read, "/v1/a/b", "", true),
        (vec!["**"], Read, "/v1/a/b", "", true),
        (vec!["/a", "/b/**"], Read, "/b/c", "", true),
        (vec!["/a", "/b/**"], Create, "/b/c", "", false),
        (vec!["/a", "gpt-*"], Read, "/a", "", true),
        (vec!["/a", "gpt-*"], Chat, "/a", "gpt-5", true),
        (vec!["/a", "gpt-*"], Chat, "/a", "/a", false),
    ] {
        let authz = Authz {
            roles: vec![role(
                "r",
                &[],
                &[(
                    if globs.iter().any(|g| g.starts_with('/')) && globs.len() == 1 { &[Read] } else { &[Read, Chat] },
                    &globs,
                )],
            )],
            bindings: vec![group("r", "staff")],
            ..Authz::default()
        };
        let authorizer = load(&authz, &facts(Dialect::Http));
        let prepared = authorizer.prepare(&Arc::new(user(&["staff"])), NOW);
        let mut question = ask(&prepared, action);
        question.http.path = path;
        if action == Chat {
            question.resource = ResourceRef::Model { name: model, vendor: "v" };
        }
        let decision = authorizer.decide(&question);
        assert_eq!(decision.is_allowed(), want, "{globs:?} {action:?} {path} {model}: {decision:?}");
        if want {
            assert_eq!(decision.rules, ["RBACPolicy/default/r role r".into()]);
        }
    }
}

#[test]
fn a_forbid_wins_over_a_permission_for_a_path_too() {
    let authz = Authz {
        roles: vec![role("r", &[], &[(&[Read], &["/v1/**"]), (&[Read], &["/v2/**"])])],
        bindings: vec![group("r", "staff")],
        rules: vec![forbid("no", &[Read]).when("context.http.path like \"*/secret\"")],
        ..Authz::default()
    };
    let authorizer = load(&authz, &facts(Dialect::Http));
    let prepared = authorizer.prepare(&Arc::new(user(&["staff"])), NOW);
    for (path, want) in [("/v1/a", true), ("/v2/a", true), ("/v3/a", false), ("/v1/secret", false)] {
        let mut question = ask(&prepared, Read);
        question.http.path = path;
        assert_eq!(authorizer.decide(&question).is_allowed(), want, "{path}");
    }
}

#[test]
fn a_binding_holds_for_the_subject_it_names() {
    let sa = "spiffe://example.org/ns/acme/sa/bot";
    let named = |kind, name: &str| bind("r", SubjectKind::Principal(kind), name);
    let issued = |mut binding: Binding, issuer: &str| {
        binding.subjects[0].issuer = Some(issuer.to_owned());
        binding
    };
    let from_token = Principal { issuer: ISSUER.into(), ..agent(&[], None) };
    let from_token = Principal { authn: Assurance { method: "jwt".into(), ..from_token.authn.clone() }, ..from_token };
    for (case, binding, who, want) in [
        ("user", named(User, "mia"), user(&[]), true),
        ("other name", named(User, "max"), user(&[]), false),
        ("other type of the same name", named(ServiceAccount, "mia"), user(&[]), false),
        ("group", group("r", "staff"), user(&["staff"]), true),
        ("a group is no user", group("r", "mia"), user(&[]), false),
        ("issuer", issued(named(User, "mia"), ISSUER), user(&[]), true),
        ("other issuer", issued(named(User, "mia"), "https://evil.example"), user(&[]), false),
        ("group of other issuer", issued(group("r", "staff"), "https://evil.example"), user(&["staff"]), false),
        ("SPIFFE ID", named(PrincipalType::Agent, sa), agent(&[], None), true),
        ("a token that writes a SPIFFE ID", named(PrincipalType::Agent, sa), from_token, false),
        ("tenant", Binding { tenant: Some("acme".into()), ..named(User, "mia") }, user(&[]), true),
        ("other tenant", Binding { tenant: Some("globex".into()), ..named(User, "mia") }, user(&[]), false),
        ("not over", Binding { until: Some(NOW / 1000 + 1), ..named(User, "mia") }, user(&[]), true),
        ("over", Binding { until: Some(NOW / 1000), ..named(User, "mia") }, user(&[]), false),
        ("role nobody declares", bind("nosuch", SubjectKind::Principal(User), "mia"), user(&[]), false),
    ] {
        let authz =
            Authz { roles: vec![role("r", &[], &[(&[Read], &[])])], bindings: vec![binding], ..Authz::default() };
        let authorizer = load(&authz, &facts(Dialect::Http));
        assert_eq!(authorizer.roles_of(&who, NOW).roles.contains("r"), want, "{case}");
        assert_eq!(decide(&authorizer, who, Read).is_allowed(), want, "{case}");
    }
}

#[test]
fn a_prepared_principal_loses_a_role_when_its_binding_ends() {
    let authz = Authz {
        roles: vec![role("r", &[], &[(&[Read], &[])])],
        bindings: vec![Binding { until: Some(NOW / 1000 + 10), ..group("r", "staff") }],
        ..Authz::default()
    };
    let authorizer = load(&authz, &facts(Dialect::Http));
    let prepared = authorizer.prepare(&Arc::new(user(&["staff"])), NOW);
    for (later, want) in [(0, true), (9_999, true), (10_000, false), (99_999, false)] {
        let question = AuthzRequest { now: NOW + later, ..ask(&prepared, Read) };
        assert_eq!(prepared.is_valid(NOW + later), want);
        assert_eq!(authorizer.decide(&question).is_allowed(), want, "{later} ms later");
    }
}

#[test]
fn a_principal_prepared_for_another_route_gets_nothing_from_it() {
    let staff = |actions: &[Action]| Authz {
        roles: vec![role("r", &[], &[(actions, &[])])],
        bindings: vec![group("r", "staff")],
        ..Authz::default()
    };
    let open = load(&staff(&[Read]), &facts(Dialect::Http));
    let shut = load(&staff(&[Embed]), &facts(Dialect::Http));
    let prepared = open.prepare(&Arc::new(user(&["staff"])), NOW);
    assert!(open.decide(&ask(&prepared, Read)).is_allowed());
    assert_eq!(shut.decide(&ask(&prepared, Read)).denial, Some(Denial::DefaultDeny));
}

#[test]
fn two_exclusive_roles_refuse_whoever_holds_both() {
    let authz = Authz {
        roles: vec![role("asker", &[], &[(&[Read], &[])]), role("op", &["asker"], &[]), role("approver", &[], &[])],
        bindings: vec![group("op", "ops"), group("approver", "approvers")],
        exclusive: vec![("asker".into(), "approver".into())],
        ..Authz::default()
    };
    let authorizer = load(&authz, &facts(Dialect::Http));
    assert!(decide(&authorizer, user(&["ops"]), Read).is_allowed());
    let both = decide(&authorizer, user(&["ops", "approvers"]), Read);
    assert_eq!(both.denial, Some(Denial::ExclusiveRoles));
    assert!(both.error.unwrap().contains("`asker` and `approver`"));
    let behind = decide(&authorizer, agent(&["ops"], Some(user(&["ops", "approvers"]))), Read);
    assert_eq!(behind.denial, Some(Denial::ExclusiveRoles));
}
