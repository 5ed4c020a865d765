//! What a snapshot does, without the names of the manifests that said so and without the order in which they did.

use std::collections::BTreeSet;

use postern_config::{
    BanRule, ConnectionGuard, Egress, Ingress, ListenerTls, NamedRate, RequestGuard, Route, Snapshot,
};

/// Statements, sorted, each once.
pub(crate) type Effect = BTreeSet<String>;

pub(crate) fn effect(snapshot: &Snapshot) -> Effect {
    let mut effect = Effect::new();
    for route in &snapshot.routes {
        effect.extend(of_route(route).into_iter().map(|line| format!("{}: {line}", route.name)));
    }
    for listener in &snapshot.listeners {
        let lines = listener.tls.iter().flat_map(of_listener).chain(of_guard(&listener.guard));
        effect.extend(lines.map(|line| format!("{}: {line}", listener.name)));
    }
    effect.extend(of_ingress(&snapshot.ingress));
    effect.insert(format!("connections {}", snapshot.max_connections));
    effect.insert(format!("process {:?}", snapshot.harden));
    for upstream in &snapshot.upstreams {
        let mut upstream = upstream.clone();
        let egress = upstream.egress.take();
        effect.extend(of_egress(egress.as_ref()).into_iter().map(|line| format!("{}: {line}", upstream.name)));
        effect.insert(format!("{upstream:?}"));
    }
    let mut audit = snapshot.audit.clone();
    audit.redact.sort();
    effect.insert(format!("{audit:?}"));
    effect
}

fn sorted<T: std::fmt::Debug>(items: &[T]) -> Vec<String> {
    let all: BTreeSet<String> = items.iter().map(|item| format!("{item:?}")).collect();
    all.into_iter().collect()
}

fn of_route(route: &Route) -> Vec<String> {
    let policy = &route.policy;
    let mut lines = vec![
        format!("tenant {:?} {:?} {:?}", route.tenant, route.tenant_from, policy.posture),
        format!("providers {:?}", sorted(&policy.identity.providers)),
        format!("assurance {:?} resource {:?}", sorted(&policy.challenges.assurance), policy.challenges.resource),
        format!("leaks {:?}", policy.leaks.as_ref().map(|leaks| (&leaks.parts, leaks.action))),
        format!("token {:?} {:?}", policy.token_forwarding, policy.txn_tokens),
        format!("body {} cross {:?}", policy.access.max_body, policy.access.cross_site),
        format!("cors {:?}", policy.access.cors),
        format!("remove {:?} set {:?}", sorted(&policy.access.response_remove), sorted(&policy.access.response_set)),
        format!("hold {} {:?}", policy.data.hold_back, policy.data.stall),
        format!("unread {:?} tokens {:?}", policy.data.revision.opaque, policy.data.keeps_tokens),
        format!(
            "minimize {:?}",
            sorted(&policy.data.revision.minimize.iter().map(|one| (&one.drop, &one.keep)).collect::<Vec<_>>())
        ),
        format!("exclusive {:?}", sorted(&policy.authz.exclusive)),
        format!("detectors {:?}", sorted(&policy.data.detectors)),
    ];
    lines.extend(policy.identity.demands.iter().map(|demand| {
        let names: Vec<_> = demand.providers.iter().map(|index| &policy.identity.providers[*index].name).collect();
        format!("demand {names:?} {:?}", demand.require)
    }));
    lines.extend(policy.access.contracts.iter().map(|contract| format!("schema {}", contract.file.display())));
    lines.extend(policy.access.allow.iter().map(|list| format!("allow {:?}", sorted(&list.rules))));
    lines.extend(policy.access.rate_limits.iter().map(|l| {
        format!("limit {:?} {:?} {} {:?} {} {:?} {:?}", l.key, l.unit, l.limit, l.window, l.burst, l.max_wait, l.store)
    }));
    lines.extend(
        policy
            .authz
            .rules
            .iter()
            .map(|r| format!("rule {:?} {:?} {:?} {:?} {:?}", r.effect, r.principals, r.roles, r.actions, r.on_deny)),
    );
    lines.extend(policy.authz.roles.iter().map(|r| format!("role {} {:?} {:?}", r.name, r.includes, r.permissions)));
    lines.extend(
        policy
            .authz
            .bindings
            .iter()
            .map(|b| format!("binding {} {:?} {:?} {:?}", b.role, b.subjects, b.tenant, b.until)),
    );
    lines.extend(policy.data.rules.iter().map(|rule| {
        let found: Vec<_> = rule.detectors.iter().map(|index| &policy.data.detectors[*index].name).collect();
        format!("data {} {} {:?} {found:?} {:?}", rule.request, rule.response, rule.parts, rule.action)
    }));
    lines.extend(
        policy
            .runtime
            .detectors
            .iter()
            .map(|d| format!("runtime {:?} {:?} {} {:?}", d.kind, d.parts, d.threshold, d.action)),
    );
    let prompts = &policy.runtime.prompts;
    lines.push(format!("system {} isolate {}", prompts.system_denied_by.is_some(), prompts.isolated_by.is_some()));
    lines.extend(prompts.layers.iter().map(|layer| format!("layer {:?} {:?}", layer.position, layer.digest)));
    let output = &policy.runtime.output;
    lines.extend(output.links.iter().map(|links| format!("links {:?}", sorted(&links.value))));
    lines.push(format!(
        "markup {:?} calls {:?} length {:?}",
        output.markup.as_ref().map(|one| one.value),
        output.tool_calls.as_ref().map(|one| one.value),
        output.max_length.as_ref().map(|one| one.value)
    ));
    lines.extend(
        output.schemas.iter().map(|one| format!("schema {:?} {:?}", one.value.what, one.value.schema.api.digest)),
    );
    let limits = &policy.runtime.behaviour;
    let most = [&limits.max_tool_calls, &limits.max_repeats, &limits.max_depth];
    lines.push(format!("age {:?}", limits.max_age.as_ref().map(|one| one.value)));
    lines.push(format!("behaviour {:?}", most.map(|most| most.as_ref().map(|one| one.value))));
    lines.extend(policy.trials.iter().map(|trial| format!("trial {} {:?}", trial.from, trial.authz)));
    lines.extend(of_ingress(&policy.network.ingress));
    lines.extend(policy.guards.iter().enumerate().flat_map(|(listener, guard)| of_requests(listener, guard)));
    lines.extend(of_egress(policy.network.egress.as_ref()));
    lines.extend(policy.coverage.guards.iter().map(|guard| {
        format!("guard {:?} {:?} {:?} {} {}", guard.stage, guard.direction, guard.parts, guard.buffered, guard.streamed)
    }));
    lines
}

fn of_ingress(ingress: &Ingress) -> Vec<String> {
    let allow = ingress.allow.iter().map(|list| format!("ingress {:?}", sorted(&list.rules)));
    allow.chain(ingress.deny.iter().map(|rule| format!("no ingress {:?}", rule.cidrs))).collect()
}

fn of_egress(egress: Option<&Egress>) -> Vec<String> {
    let Some(egress) = egress else { return Vec::new() };
    let allow = egress.allow.iter().map(|list| format!("egress {:?}", sorted(&list.rules)));
    allow.chain([format!("egress {:?} {:?}", egress.private_ranges, egress.redirects)]).collect()
}

/// Rates and bans are named for their manifests.
fn of_rates(what: &str, rates: &[NamedRate]) -> Vec<String> {
    rates.iter().map(|rate| format!("{what} {} {:?} {}", rate.limit, rate.window, rate.burst)).collect()
}

fn of_guard(guard: &ConnectionGuard) -> Vec<String> {
    let bare = ConnectionGuard {
        handshakes_per_ip: Vec::new(),
        per_ip: Vec::new(),
        global: Vec::new(),
        bans: Vec::new(),
        ..guard.clone()
    };
    let ban = |ban: &BanRule| format!("ban {} {:?} {:?} {:?}", ban.findings, ban.window, ban.first, ban.longest);
    let mut lines = vec![format!("{bare:?}")];
    lines.extend(of_rates("handshakes", &guard.handshakes_per_ip));
    lines.extend(of_rates("requests of one", &guard.per_ip));
    lines.extend(of_rates("requests of all", &guard.global));
    lines.extend(guard.bans.iter().map(ban));
    lines
}

fn of_requests(listener: usize, guard: &RequestGuard) -> Vec<String> {
    let bare = RequestGuard { per_ip: Vec::new(), global: Vec::new(), ..guard.clone() };
    let mut lines = vec![format!("{listener} {bare:?}")];
    lines.extend(of_rates(&format!("{listener} requests of one"), &guard.per_ip));
    lines.extend(of_rates(&format!("{listener} requests of all"), &guard.global));
    lines
}

fn of_listener(tls: &ListenerTls) -> Vec<String> {
    let trust = &tls.trust;
    let mut lines = vec![
        format!("identities {:?}", tls.identities),
        format!("anchors {:?} curves {:?}", sorted(&trust.anchors), sorted(&trust.curves)),
        format!("{:?} {} {:?}", tls.client_auth, trust.min_rsa_bits, trust.max_lifetime),
        format!(
            "{:?} {:?} {:?} {:?} {:?} {}",
            tls.min_version, tls.key_exchange, tls.profile, tls.hsts, tls.warn_before, tls.deny_after_expiry
        ),
    ];
    lines.push(format!("crls {:?} forward {:?}", sorted(&trust.crls), tls.forward));
    lines.extend(trust.names.iter().map(|list| format!("names {:?}", sorted(list))));
    lines
}
