//! Decisions over hand-written roles and rules.

mod agents;
mod asks;
mod equivalence;
mod failures;
mod goldens;
mod grants;
mod loading;
mod trials;
mod weigh;

use std::collections::BTreeMap;
use std::sync::Arc;

use postern_config::{
    Action, Authz, Binding, DataClass, Dialect, Effect, Expression, Permission, Position, PrincipalType, Report, Role,
    Rule, RuleOrigin, Subject, SubjectKind,
};

use super::*;
use crate::Assurance;

/// 2027-01-15T08:00:00Z.
const NOW: i64 = 1_800_000_000_000;
const ISSUER: &str = "https://login.example.com";

fn origin(manifest: &str, pointer: &str, line: u32) -> RuleOrigin {
    RuleOrigin {
        position: Position { file: "policies/x.yaml".into(), line, column: 7 },
        pointer: pointer.to_owned(),
        manifest: manifest.to_owned(),
    }
}

fn expression(field: &str, text: &str, line: u32) -> Expression {
    let pointer = format!("spec.rules[0].{field}");
    Expression { text: text.to_owned(), origin: origin("AccessControlPolicy/default/x", &pointer, line) }
}

fn rule(effect: Effect, name: &str, actions: &[Action]) -> Rule {
    Rule {
        name: name.to_owned(),
        effect,
        principals: Vec::new(),
        roles: Vec::new(),
        actions: actions.to_vec(),
        when: None,
        unless: None,
        on_deny: None,
        waived: None,
        origin: origin("AccessControlPolicy/default/x", "spec.rules[0]", 5),
    }
}

fn permit(name: &str, actions: &[Action]) -> Rule {
    rule(Effect::Permit, name, actions)
}

fn forbid(name: &str, actions: &[Action]) -> Rule {
    rule(Effect::Forbid, name, actions)
}

trait RuleExt {
    fn to(self, principals: &[PrincipalType]) -> Self;
    fn with_roles(self, roles: &[&str]) -> Self;
    fn when(self, text: &str) -> Self;
    fn unless(self, text: &str) -> Self;
}

impl RuleExt for Rule {
    fn to(mut self, principals: &[PrincipalType]) -> Self {
        self.principals = principals.to_vec();
        self
    }
    fn with_roles(mut self, roles: &[&str]) -> Self {
        self.roles = roles.iter().map(ToString::to_string).collect();
        self
    }
    fn when(mut self, text: &str) -> Self {
        self.when = Some(expression("when", text, 6));
        self
    }
    fn unless(mut self, text: &str) -> Self {
        self.unless = Some(expression("unless", text, 8));
        self
    }
}

fn role(name: &str, includes: &[&str], permissions: &[(&[Action], &[&str])]) -> Role {
    Role {
        name: name.to_owned(),
        includes: includes.iter().map(ToString::to_string).collect(),
        permissions: permissions
            .iter()
            .map(|(actions, resources)| Permission {
                actions: actions.to_vec(),
                resources: resources.iter().map(ToString::to_string).collect(),
                waived: None,
            })
            .collect(),
        origin: origin("RBACPolicy/default/r", "spec.roles[0]", 3),
    }
}

fn bind(role: &str, kind: SubjectKind, name: &str) -> Binding {
    Binding {
        name: format!("{role}-{name}"),
        role: role.to_owned(),
        subjects: vec![Subject { kind, name: name.to_owned(), issuer: None }],
        tenant: None,
        until: None,
    }
}

fn group(role: &str, name: &str) -> Binding {
    bind(role, SubjectKind::Group, name)
}

fn facts(dialect: Dialect) -> RouteFacts {
    RouteFacts {
        route: "chat".into(),
        gateway: "edge".into(),
        labels: BTreeMap::from([("app".into(), "assistant".into())]),
        tenant: Tenancy::Of("acme".into()),
        dialect,
        sets_risk: true,
        sets_data_class: true,
        sets_compliance: true,
        tenants: vec!["acme".into(), "globex".into()],
    }
}

fn principal(kind: PrincipalType, subject: &str, groups: &[&str]) -> Principal {
    let spiffe = subject.starts_with("spiffe://");
    Principal {
        kind,
        issuer: if spiffe { "spiffe://example.org" } else { ISSUER }.to_owned(),
        subject: subject.to_owned(),
        tenant: "acme".into(),
        groups: groups.iter().map(ToString::to_string).collect(),
        scopes: vec!["chat".into()],
        tags: vec![("department".into(), vec!["care".into()])],
        authn: Assurance {
            provider: "sso".into(),
            method: if spiffe { "spiffe" } else { "jwt" }.to_owned(),
            acr: "mfa".into(),
            amr: vec!["hwk".into()],
            authenticated_at: NOW / 1000 - 60,
            sender_bound: true,
            expires_at: NOW / 1000 + 600,
            ..Assurance::default()
        },
        on_behalf_of: None,
    }
}

fn user(groups: &[&str]) -> Principal {
    principal(PrincipalType::User, "mia", groups)
}

fn agent(groups: &[&str], user: Option<Principal>) -> Principal {
    let agent = principal(PrincipalType::Agent, "spiffe://example.org/ns/acme/sa/bot", groups);
    Principal { on_behalf_of: user.map(Arc::new), ..agent }
}

fn ai() -> AiFacts<'static> {
    AiFacts {
        dialect: Dialect::OpenAi,
        stream: true,
        input_tokens: 120,
        max_output_tokens: u64::MAX,
        data_class: DataClass::Internal,
        tools: &[],
        opaque: false,
    }
}

/// A question with everything ordinary about it.
fn ask(principal: &PreparedPrincipal, action: Action) -> AuthzRequest<'_> {
    let model = ResourceRef::Model { name: "gpt-5-mini", vendor: "openai" };
    let chat = matches!(action, Action::Chat | Action::Embed);
    AuthzRequest {
        principal,
        action,
        resource: if chat { model } else { ResourceRef::Route },
        http: HttpFacts { method: "POST", host: "ai.example.com", path: "/v1/things/7" },
        net: NetFacts { source_ip: Some([10, 1, 2, 3].into()), tls: true, mtls: true },
        ai: chat.then(ai),
        risk: 10,
        now: NOW,
        tenant: None,
        compliance: &[],
    }
}

fn load(authz: &Authz, facts: &RouteFacts) -> Authorizer {
    let mut report = Report::new();
    let made = Authorizer::compile(authz, facts, &mut report);
    made.unwrap_or_else(|| panic!("{report}"))
}

fn rejects(authz: &Authz, facts: &RouteFacts) -> String {
    let mut report = Report::new();
    assert!(Authorizer::compile(authz, facts, &mut report).is_none(), "loads");
    report.to_string()
}

fn decide(authorizer: &Authorizer, who: Principal, action: Action) -> Decision {
    let prepared = authorizer.prepare(&Arc::new(who), NOW);
    authorizer.decide(&ask(&prepared, action))
}

fn of_rules(rules: &[Rule]) -> Authz {
    Authz { rules: rules.to_vec(), ..Authz::default() }
}
