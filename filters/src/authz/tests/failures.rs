//! What cannot be evaluated denies. Cedar by itself skips a policy that fails, a forbid too.

use cedar_policy::{Entities, pst};

use Action::{Chat, Read};

use super::super::compile::{Builder, Scope, Source};
use super::super::expression::{self, ContextParts};
use super::super::vocabulary::ResourceKind;
use super::*;

fn everybody() -> Rule {
    permit("all", &[Read, Chat]).to(&PrincipalType::ALL).when("context.risk < 90")
}

#[test]
fn a_missing_resource_entity_denies() {
    let authorizer = load(&of_rules(&[everybody()]), &facts(Dialect::Http));
    let mut prepared = authorizer.prepare(&Arc::new(user(&[])), NOW);
    assert!(authorizer.decide(&ask(&prepared, Read)).is_allowed());
    let principal_only = prepared.entities.iter().filter(|e| e.uid().to_string().contains("User")).cloned();
    prepared.entities = Entities::from_entities(principal_only.collect::<Vec<_>>(), None).unwrap();
    let decision = authorizer.decide(&ask(&prepared, Read));
    assert_eq!(decision.denial, Some(Denial::PolicyError));
    assert_eq!(decision.rules, ["built-in policy-error".into()]);
    assert!(decision.error.unwrap().contains("does not exist"));
}

#[test]
fn an_empty_store_denies() {
    let authorizer = load(&of_rules(&[everybody()]), &facts(Dialect::Http));
    let mut prepared = authorizer.prepare(&Arc::new(user(&[])), NOW);
    prepared.entities = Entities::empty();
    for action in [Read, Chat] {
        assert_eq!(authorizer.decide(&ask(&prepared, action)).denial, Some(Denial::PolicyError));
    }
}

#[test]
fn a_forbid_that_overflows_denies_even_if_it_came_past_the_load() {
    let mut authorizer = load(&of_rules(&[everybody()]), &facts(Dialect::Http));
    let authz = of_rules(&[everybody()]);
    let (mut policies, sources, _) =
        policies(&authorizer.names, &authz, &authorizer.facts, &mut Report::new()).unwrap();
    let mut builder = Builder { names: &authorizer.names, policies: std::mem::take(&mut policies), sources };
    builder.source(Source {
        id: "x".into(),
        actions: vec![Read],
        roles: vec![],
        origin: None,
        when: None,
        unless: None,
    });
    let overflows = expression::parse("context.risk + 9223372036854775807 < 0").unwrap().expr;
    let scope = Scope {
        principal: None,
        role: None,
        actions: &[Read],
        resource: ResourceKind::Route,
        waived: None,
        on_deny: None,
    };
    builder.policy(pst::Effect::Forbid, scope, vec![pst::Clause::When(overflows)], ContextParts::ALL, None).unwrap();
    let policies = builder.policies;
    authorizer.slices = Slices::new(&authorizer.names, &policies).unwrap();
    let decision = decide(&authorizer, user(&[]), Read);
    assert_eq!(decision.denial, Some(Denial::PolicyError));
    assert!(decision.error.unwrap().contains("overflow"));
    assert!(decide(&authorizer, user(&[]), Chat).is_allowed(), "the forbid is about another action");
}

#[test]
fn a_permit_that_overflows_denies_although_another_permits() {
    let risky = permit("risky", &[Read]).to(&[PrincipalType::User]).when("context.risk + 9223372036854775807 < 0");
    let authorizer = load(&of_rules(&[everybody(), risky]), &facts(Dialect::Http));
    assert_eq!(decide(&authorizer, user(&[]), Read).denial, Some(Denial::PolicyError));
    let prepared = authorizer.prepare(&Arc::new(user(&[])), NOW);
    assert!(authorizer.decide(&AuthzRequest { risk: 0, ..ask(&prepared, Read) }).is_allowed());
}

#[test]
fn a_rule_over_an_address_denies_where_there_is_none() {
    let inside = "context.net.sourceIp.isInRange(ip(\"127.0.0.0/8\"))";
    let local = permit("local", &[Read]).to(&[PrincipalType::User]).when(inside);
    let authorizer = load(&of_rules(&[everybody(), local]), &facts(Dialect::Http));
    let prepared = authorizer.prepare(&Arc::new(user(&[])), NOW);
    let net = NetFacts { source_ip: None, tls: false, mtls: false };
    let decision = authorizer.decide(&AuthzRequest { net, ..ask(&prepared, Read) });
    assert_eq!(decision.denial, Some(Denial::PolicyError));
    assert!(authorizer.decide(&AuthzRequest { net, ..ask(&prepared, Chat) }).is_allowed(), "no rule reads it");
}

#[test]
fn an_action_is_only_asked_of_its_own_type() {
    let authorizer = load(&of_rules(&[everybody()]), &facts(Dialect::Http));
    let prepared = authorizer.prepare(&Arc::new(user(&[])), NOW);
    let model = ResourceRef::Model { name: "m", vendor: "v" };
    for question in [
        AuthzRequest { resource: model, ..ask(&prepared, Read) },
        AuthzRequest { resource: ResourceRef::Route, ..ask(&prepared, Chat) },
        AuthzRequest { ai: None, ..ask(&prepared, Chat) },
    ] {
        assert_eq!(authorizer.decide(&question).denial, Some(Denial::PolicyError));
    }
}

#[test]
fn a_time_that_cannot_be_written_denies_only_where_it_is_read() {
    let early = permit("early", &[Chat]).to(&[PrincipalType::User]).when("context.now < datetime(\"2099-01-01\")");
    let authorizer = load(&of_rules(&[everybody(), early]), &facts(Dialect::Http));
    let prepared = authorizer.prepare(&Arc::new(user(&[])), NOW);
    for (action, want) in [(Read, None), (Chat, Some(Denial::PolicyError))] {
        assert_eq!(authorizer.decide(&AuthzRequest { now: i64::MAX, ..ask(&prepared, action) }).denial, want);
    }
}

#[test]
fn values_of_requests_are_values_whatever_they_contain() {
    // Nothing a caller writes is ever parsed as Cedar.
    let rule = permit("own", &[Chat]).to(&[PrincipalType::User]).when("resource.name == principal.id");
    let authorizer = load(&of_rules(&[rule]), &facts(Dialect::OpenAi));
    for evil in ["\") || true //", "\" || true || \"", "*", "x\0y", "\\", "User::\"x\"", "\u{202e}"] {
        let who = Principal { groups: vec![evil.into()], tags: vec![(evil.into(), vec![evil.into()])], ..user(&[]) };
        let prepared = authorizer.prepare(&Arc::new(Principal { subject: evil.into(), ..who }), NOW);
        let mut question = ask(&prepared, Chat);
        question.resource = ResourceRef::Model { name: evil, vendor: evil };
        question.http = HttpFacts { method: evil, host: evil, path: evil };
        assert_eq!(authorizer.decide(&question).denial, Some(Denial::DefaultDeny), "{evil:?}");
    }
}
