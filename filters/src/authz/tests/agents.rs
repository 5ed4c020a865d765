//! Tenants, and agents that act for users.

use proptest::prelude::*;

use Action::{Chat, Read};
use PrincipalType::{Agent, User};

use super::*;

#[test]
fn an_agent_for_a_user_needs_a_permit_for_both() {
    // No confused deputy: neither side lends the other its rights.
    let permit = |name, kind| permit(name, &[Read]).to(&[kind]).when("principal.groups.contains(\"ok\")");
    let authorizer = load(&of_rules(&[permit("for-users", User), permit("for-agents", Agent)]), &facts(Dialect::Http));
    for (agent_ok, user_ok, want) in [
        (true, Some(true), true),
        (true, Some(false), false),
        (false, Some(true), false),
        (false, Some(false), false),
        (true, None, true),
        (false, None, false),
    ] {
        let groups = |ok| if ok { vec!["ok"] } else { vec![] };
        let who = agent(&groups(agent_ok), user_ok.map(|ok| user(&groups(ok))));
        let decision = decide(&authorizer, who, Read);
        assert_eq!(decision.is_allowed(), want, "agent {agent_ok} user {user_ok:?}");
        if user_ok == Some(true) && agent_ok {
            assert_eq!(decision.rules.len(), 2, "both permits are named");
        }
    }
}

#[test]
fn a_forbid_for_either_side_forbids() {
    let all = permit("all", &[Read]).to(&PrincipalType::ALL).when("context.risk < 90");
    for (forbid, want) in [
        (forbid("no", &[Read]).to(&[User]), false),
        (forbid("no", &[Read]).to(&[Agent]), false),
        (forbid("no", &[Read]).to(&[PrincipalType::Component]), true),
    ] {
        let authorizer = load(&of_rules(&[all.clone(), forbid]), &facts(Dialect::Http));
        assert_eq!(decide(&authorizer, agent(&[], Some(user(&[]))), Read).is_allowed(), want);
    }
}

#[test]
fn each_side_is_judged_by_its_own_authentication() {
    let bound = permit("bound", &[Read]).to(&PrincipalType::ALL).when("context.authn.senderBound");
    let authorizer = load(&of_rules(&[bound]), &facts(Dialect::Http));
    for (agent_bound, user_bound) in [(true, true), (true, false), (false, true)] {
        let mut user = user(&[]);
        user.authn.sender_bound = user_bound;
        let mut who = agent(&[], Some(user));
        who.authn.sender_bound = agent_bound;
        assert_eq!(decide(&authorizer, who, Read).is_allowed(), agent_bound && user_bound);
    }
}

#[test]
fn a_rule_can_speak_of_the_user_behind_an_agent() {
    let for_ops = permit("agents", &[Read])
        .to(&[Agent])
        .when("principal has onBehalfOf && principal.onBehalfOf in Postern::Role::\"op\"");
    let authz = Authz {
        roles: vec![role("op", &[], &[(&[Read], &[])])],
        bindings: vec![group("op", "ops")],
        rules: vec![for_ops],
        ..Authz::default()
    };
    let authorizer = load(&authz, &facts(Dialect::Http));
    assert!(decide(&authorizer, agent(&[], Some(user(&["ops"]))), Read).is_allowed());
    assert!(!decide(&authorizer, agent(&[], Some(user(&[]))), Read).is_allowed());
    assert!(!decide(&authorizer, agent(&[], None), Read).is_allowed());
}

#[test]
fn only_an_agent_acts_and_only_for_a_user() {
    let all = permit("all", &[Read]).to(&PrincipalType::ALL).when("context.risk < 90");
    let authorizer = load(&of_rules(&[all]), &facts(Dialect::Http));
    let nested = agent(&[], Some(Principal { on_behalf_of: Some(Arc::new(user(&[]))), ..user(&[]) }));
    let for_agent = Principal { on_behalf_of: Some(Arc::new(agent(&[], None))), ..agent(&[], None) };
    let user_for_user = Principal { on_behalf_of: Some(Arc::new(user(&[]))), ..user(&[]) };
    for who in [nested, for_agent, user_for_user] {
        assert_eq!(decide(&authorizer, who, Read).denial, Some(Denial::PolicyError));
    }
}

#[test]
fn a_route_without_a_tenant_is_nobodys() {
    let all = permit("all", &[Read]).to(&PrincipalType::ALL).when("context.risk < 90");
    for (tenancy, tenant, want) in [
        (Tenancy::Of("acme".into()), "acme", true),
        (Tenancy::Of("acme".into()), "globex", false),
        (Tenancy::Of("acme".into()), "", false),
        (Tenancy::Of("acme".into()), "ACME", false),
        (Tenancy::Of(String::new()), "", false),
        (Tenancy::Of(String::new()), "acme", false),
        (Tenancy::Unlabelled, "acme", false),
        (Tenancy::Unlabelled, "", false),
        (Tenancy::Off, "acme", true),
        (Tenancy::Off, "", true),
    ] {
        let facts = RouteFacts { tenant: tenancy.clone(), ..facts(Dialect::Http) };
        let authorizer = load(&of_rules(std::slice::from_ref(&all)), &facts);
        let decision = decide(&authorizer, Principal { tenant: tenant.into(), ..user(&[]) }, Read);
        assert_eq!(decision.is_allowed(), want, "{tenancy:?} {tenant}");
        if !want {
            assert_eq!(decision.denial, Some(Denial::OtherTenant), "{tenancy:?} {tenant}");
            assert_eq!(decision.rules, ["built-in tenant-guard".into()]);
        }
    }
}

#[test]
fn the_guard_holds_where_the_native_comparison_does_not() {
    let all = permit("all", &[Read]).to(&PrincipalType::ALL).when("context.risk < 90");
    for (resource, tenant) in [("acme", "globex"), ("acme", ""), ("", "")] {
        let facts = RouteFacts { tenant: Tenancy::Of(resource.into()), ..facts(Dialect::Http) };
        let mut authorizer = load(&of_rules(std::slice::from_ref(&all)), &facts);
        authorizer.facts.tenant = Tenancy::Off; // after the guard and the route entity were made
        let decision = decide(&authorizer, Principal { tenant: tenant.into(), ..user(&[]) }, Read);
        assert_eq!(decision.denial, Some(Denial::OtherTenant), "{resource:?} {tenant:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn nobody_reaches_another_tenant(
        own in "(acme|globex|[a-z]{0,3})", users in "(acme|globex|[a-z]{0,3})", route in "(acme|globex|[a-z]{0,3})",
        acts_for in any::<bool>(), chat in any::<bool>(),
    ) {
        let all = permit("all", &Action::ALL).to(&PrincipalType::ALL).when("context.risk < 90");
        let facts = RouteFacts { tenant: Tenancy::Of(route.clone()), ..facts(Dialect::Http) };
        let authorizer = load(&of_rules(&[all]), &facts);
        let behind = acts_for.then(|| Principal { tenant: users.clone(), ..user(&[]) });
        let who = Principal { tenant: own.clone(), ..agent(&[], behind) };
        let decision = decide(&authorizer, who, if chat { Chat } else { Read });
        let same = !route.is_empty() && own == route && (!acts_for || users == route);
        prop_assert_eq!(decision.is_allowed(), same);
        prop_assert!(same || decision.denial == Some(Denial::OtherTenant));
    }
}
