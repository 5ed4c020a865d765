//! What a decision costs with 10, 1 000 and 10 000 policies, through the public door.

#![allow(clippy::panic, reason = "a bench prints, and may stop")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use postern_config::{
    Action, Authz, Binding, DataClass, Dialect, Effect, Expression, Permission, Position, PrincipalType, Report, Role,
    Rule, RuleOrigin, Subject, SubjectKind,
};
use postern_filters::authz::{
    AiFacts, Authorizer, AuthzRequest, HttpFacts, NetFacts, ResourceRef, RouteFacts, Tenancy,
};
use postern_filters::{Assurance, Principal};

const NOW: i64 = 1_800_000_000_000;
const BATCHES: usize = 21;
const ROUNDS: u32 = 2_000;

fn main() {
    println!(
        "{:>8}  {:>10}  {:>12}  {:>12}  {:>12}  {:>12}",
        "policies", "load ms", "prepare µs", "chat µs", "agent µs", "read µs"
    );
    for count in [10, 1_000, 10_000] {
        let started = Instant::now();
        let mut report = Report::new();
        let authorizer = Authorizer::compile(&authz(count), &facts(), &mut report);
        let authorizer = authorizer.unwrap_or_else(|| panic!("{report}"));
        let load = started.elapsed().as_millis();
        let user = Arc::new(principal(PrincipalType::User, None));
        let agent = Arc::new(principal(PrincipalType::Agent, Some(Arc::clone(&user))));
        let prepare = median(|| drop(black_box(authorizer.prepare(&user, NOW))));
        let (user, agent) = (authorizer.prepare(&user, NOW), authorizer.prepare(&agent, NOW));
        let cost = |request: &AuthzRequest<'_>| {
            assert!(authorizer.decide(request).is_allowed());
            median(|| drop(black_box(authorizer.decide(black_box(request)))))
        };
        let (chat, both) = (cost(&request(&user, Action::Chat)), cost(&request(&agent, Action::Chat)));
        let read = cost(&request(&user, Action::Read));
        println!("{count:>8}  {load:>10}  {prepare:>12.2}  {chat:>12.2}  {both:>12.2}  {read:>12.2}");
    }
}

/// Median microseconds of one call, over batches.
fn median(mut call: impl FnMut()) -> f64 {
    let mut batches: Vec<f64> = (0..BATCHES)
        .map(|_| {
            let started = Instant::now();
            (0..ROUNDS).for_each(|_| call());
            started.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS)
        })
        .collect();
    batches.sort_by(f64::total_cmp);
    batches.get(BATCHES / 2).copied().unwrap_or_default()
}

/// One role for each two policies: a permission and a rule with a condition. The caller holds one of them.
fn authz(count: usize) -> Authz {
    let name = |i: usize| format!("role-{i}");
    let permission = |actions: &[Action], glob: &str| Permission {
        actions: actions.to_vec(),
        resources: vec![glob.into()],
        waived: None,
    };
    let role = |i| Role {
        name: name(i),
        includes: Vec::new(),
        permissions: vec![permission(if i % 2 == 1 { &[Action::Read] } else { &[Action::Create] }, "/v1/**")],
        origin: origin(),
    };
    let condition = "context.risk < 50 && context.authn.senderBound && context.net.sourceIp.isInRange(ip(\"10.0.0.0/8\")) \
                     && resource.name like \"gpt-*\" && principal.scopes.contains(\"chat\") && !context.ai.opaque";
    let rule = |i| Rule {
        name: format!("rule-{i}"),
        effect: Effect::Permit,
        principals: Vec::new(),
        roles: vec![name(i)],
        actions: vec![Action::Chat],
        when: Some(Expression { text: condition.into(), origin: origin() }),
        unless: None,
        on_deny: None,
        waived: None,
        origin: origin(),
    };
    let group = Subject { kind: SubjectKind::Group, name: "staff".into(), issuer: None };
    let staff = Binding { name: "staff".into(), role: name(1), subjects: vec![group], tenant: None, until: None };
    let roles = count / 2;
    Authz {
        roles: (0..roles).map(role).collect(),
        bindings: vec![staff],
        rules: (0..roles).map(rule).collect(),
        ..Authz::default()
    }
}

fn origin() -> RuleOrigin {
    RuleOrigin {
        position: Position { file: "bench.yaml".into(), line: 1, column: 1 },
        pointer: String::new(),
        manifest: "AccessControlPolicy/default/bench".into(),
    }
}

fn facts() -> RouteFacts {
    RouteFacts {
        route: "chat".into(),
        gateway: "edge".into(),
        labels: BTreeMap::new(),
        tenant: Tenancy::Of("acme".into()),
        dialect: Dialect::OpenAi,
        sets_risk: true,
        sets_data_class: true,
        sets_compliance: true,
        tenants: vec!["acme".into()],
    }
}

fn principal(kind: PrincipalType, user: Option<Arc<Principal>>) -> Principal {
    Principal {
        kind,
        issuer: "https://login.example.com".into(),
        subject: "mia".into(),
        tenant: "acme".into(),
        groups: vec!["staff".into(), "engineering".into()],
        scopes: vec!["chat".into()],
        tags: vec![("department".into(), vec!["care".into()])],
        authn: Assurance {
            provider: "sso".into(),
            method: "jwt".into(),
            amr: vec!["hwk".into()],
            authenticated_at: NOW / 1000 - 60,
            sender_bound: true,
            ..Assurance::default()
        },
        on_behalf_of: user,
    }
}

fn request(principal: &postern_filters::authz::PreparedPrincipal, action: Action) -> AuthzRequest<'_> {
    let chat = action == Action::Chat;
    AuthzRequest {
        principal,
        action,
        resource: if chat { ResourceRef::Model { name: "gpt-5-mini", vendor: "openai" } } else { ResourceRef::Route },
        http: HttpFacts { method: "POST", host: "ai.example.com", path: "/v1/chat/completions" },
        net: NetFacts { source_ip: Some([10, 1, 2, 3].into()), tls: true, mtls: true },
        ai: chat.then_some(AiFacts {
            dialect: Dialect::OpenAi,
            stream: true,
            input_tokens: 120,
            max_output_tokens: 1000,
            data_class: DataClass::Public,
            tools: &[],
            opaque: false,
        }),
        risk: 10,
        now: NOW,
        tenant: None,
        compliance: &[],
    }
}
