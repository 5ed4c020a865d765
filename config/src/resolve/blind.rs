//! Policy that can match nothing where it is attached (PV-025): somebody believes it protects, and it never acts.

use std::collections::BTreeSet;

use super::attach::{Attachments, Place, listed};
use super::content::output::answers_come;
use super::content::{managed, seen_parts};
use super::{outbound, subjects};
use crate::bootstrap::{ListenerProtocol, RouteSpec};
use crate::decode::At;
use crate::manifest::{self, ActionWord, Manifest, Spec};
use crate::{
    Bootstrap, Code, Dialect, Direction, LimitKey, Opaque, Part, PrincipalType, Provider, ProviderKind, Report, Route,
    capability,
};

const PV_BLIND: Code = Code(25);

/// Every rule must be able to match on at least one of the routes, listeners or upstreams its manifest reaches.
pub(super) fn check(bootstrap: &Bootstrap, attached: &Attachments<'_>, routes: &[Option<Route>], report: &mut Report) {
    for manifest in attached.manifests() {
        let places: Vec<Place> = attached.places(manifest).collect();
        check_places(bootstrap, manifest, &places, report);
        let reached: Vec<usize> = places
            .iter()
            .flat_map(|place| match place {
                Place::Gateway => (0..bootstrap.spec.routes.len()).collect(),
                Place::Route(index) => vec![*index],
                Place::Process | Place::Listener(_) | Place::Upstream(_) => Vec::new(),
            })
            .collect();
        if reached.is_empty() {
            continue;
        }
        Check { bootstrap, attached, reached: &reached, routes, report }.manifest(manifest);
    }
}

/// TLS of a listener without TLS, a credential for an upstream nobody calls.
fn check_places(bootstrap: &Bootstrap, manifest: &Manifest, places: &[Place], report: &mut Report) {
    if let Spec::EncryptionPolicy(policy) = &manifest.spec
        && let Some(hsts) = &policy.in_transit.hsts
        && !places.is_empty()
        && places.iter().all(|place| matches!(place, Place::Upstream(_)))
    {
        let help = "remove `hsts`, or attach the manifest to a listener";
        hsts.error(report, PV_BLIND, "`hsts` tells browsers of a listener, and an upstream is none", help);
    }
    let plain = |index: usize| {
        bootstrap.spec.listeners.get(index).is_some_and(|listener| listener.protocol.value == ListenerProtocol::Http)
    };
    let leads = |route: &RouteSpec, index: usize| {
        let name = bootstrap.spec.upstreams.get(index).map(|upstream| upstream.name.as_str());
        route.upstream.as_ref().map(|upstream| upstream.as_str()) == name
    };
    let unused = |index: usize| !bootstrap.spec.routes.iter().any(|route| leads(route, index));
    let idle = |place: &Place| match (&manifest.spec, place) {
        (Spec::CertificatePolicy(_) | Spec::EncryptionPolicy(_), Place::Listener(index)) => plain(*index),
        (Spec::CertificatePolicy(_) | Spec::EncryptionPolicy(_), Place::Gateway) => {
            (0..bootstrap.spec.listeners.len()).all(plain)
        }
        (Spec::CertificatePolicy(_) | Spec::EncryptionPolicy(_), Place::Upstream(index)) => {
            bootstrap.spec.upstreams.get(*index).is_some_and(|upstream| !upstream.is_https())
        }
        (Spec::SecretManagement(_), Place::Upstream(index)) => unused(*index),
        _ => false,
    };
    if let Spec::SecretManagement(policy) = &manifest.spec
        && let Some(parts) = policy.leak_detection.as_ref().and_then(|leaks| leaks.parts.as_ref())
    {
        let to = |route: &RouteSpec| {
            places.iter().any(|place| matches!(place, Place::Upstream(index) if leads(route, *index)))
        };
        let routes = bootstrap.spec.routes.iter().filter(|route| to(route));
        let dialects: BTreeSet<Dialect> = routes.map(|route| route.dialect.value).collect();
        let both = [Direction::Request, Direction::Response];
        let there = |part: &Part| {
            dialects.iter().any(|dialect| both.iter().any(|way| capability::parts(*dialect, *way).contains(part)))
        };
        if !dialects.is_empty() && !parts.iter().any(|part| there(&part.value)) {
            let help = "leave `parts` out, or name parts that the routes of the upstream have";
            parts.error(report, PV_BLIND, "no route of the upstream has any of these parts", help);
        }
    }
    if places.is_empty() || !places.iter().all(idle) {
        return;
    }
    let (what, help) = match manifest.spec {
        Spec::SecretManagement(_) => ("no route leads to its upstream", "remove it, or add a route to the upstream"),
        _ if places.iter().all(|place| matches!(place, Place::Upstream(_))) => {
            ("its upstreams are called without TLS", "remove it, or use `https:`")
        }
        _ => ("its listeners have no TLS", "remove it, or use `protocol: https`"),
    };
    manifest.name().error(report, PV_BLIND, format!("{} can never act: {what}", manifest.id), help);
}

struct Check<'c, 'r> {
    bootstrap: &'c Bootstrap,
    attached: &'c Attachments<'c>,
    /// Routes that the manifest reaches.
    reached: &'c [usize],
    routes: &'c [Option<Route>],
    report: &'r mut Report,
}

impl<'c> Check<'c, '_> {
    fn manifest(&mut self, manifest: &Manifest) {
        match &manifest.spec {
            Spec::DataProtectionPolicy(policy) => {
                policy.rules.iter().for_each(|rule| self.data_rule(manifest, rule));
                let opaque = policy.opaque.written().filter(|written| written.value != Opaque::Deny);
                if let Some(opaque) = opaque.filter(|_| !self.dialects().into_iter().any(capability::names_model)) {
                    let message = "`opaque`, and no route the manifest is attached to carries content of that kind";
                    opaque.error(self.report, PV_BLIND, message, "remove it, or attach the manifest to an AI route");
                }
            }
            Spec::RuntimeSecurityPolicy(policy) => {
                policy.detectors.iter().for_each(|detector| self.detector(detector));
                self.prompts(policy);
                self.output(manifest, policy);
                self.behaviour(policy);
            }
            Spec::WorkloadSecurityPolicy(policy) => {
                let models = policy.models.as_ref();
                if let Some(models) = models.filter(|_| !self.dialects().into_iter().any(capability::names_model)) {
                    let message = "`models`, and no route the manifest is attached to has requests that name one";
                    models.error(self.report, PV_BLIND, message, "attach the manifest to an AI route");
                }
            }
            Spec::AccessControlPolicy(policy) => policy.rules.iter().for_each(|rule| self.rule(rule)),
            Spec::RbacPolicy(policy) => {
                for role in &policy.roles {
                    for permission in &role.permissions {
                        self.actions(role.name.as_str(), &permission.actions);
                    }
                }
                for binding in &policy.bindings {
                    self.binding(binding);
                }
            }
            Spec::ApiAccessPolicy(policy) => {
                for rule in policy.allow.iter().flat_map(|rules| rules.iter()) {
                    self.allow_rule(rule);
                }
                policy.rate_limits.iter().for_each(|limit| self.rate_limit(limit));
                if let Some(rules) = policy.allow.as_ref().filter(|rules| rules.is_empty()) {
                    let help = "name what may pass, or leave the field to the other manifests of the routes";
                    rules.error(self.report, PV_BLIND, "`allow` is empty, so every request would be refused", help);
                }
            }
            _ => {}
        }
    }

    fn dialects(&self) -> BTreeSet<Dialect> {
        let specs = &self.bootstrap.spec.routes.value;
        self.reached.iter().filter_map(|index| specs.get(*index)).map(|route| route.dialect.value).collect()
    }

    /// The routes, unless one of them has problems of its own.
    fn resolved(&self) -> Option<Vec<&'c Route>> {
        let routes = self.routes;
        self.reached.iter().map(|index| routes.get(*index)?.as_ref()).collect()
    }

    fn data_rule(&mut self, manifest: &Manifest, rule: &manifest::DataRule) {
        let directions: Vec<Direction> = [
            rule.direction.request().then_some(Direction::Request),
            rule.direction.response().then_some(Direction::Response),
        ]
        .into_iter()
        .flatten()
        .collect();
        let parts: Vec<Part> = rule.parts.iter().map(|part| part.value).collect();
        self.parts(rule.name.as_str(), &rule.parts, &parts, &directions);
        let mut said = self.dialects().into_iter().flat_map(|dialect| capability::parts(dialect, Direction::Response));
        if *rule.restore && !said.any(|part| *part == Part::Assistant) {
            let message = format!("`{}` can restore nothing: no model answers on its routes", rule.name.as_str());
            rule.action.error(
                self.report,
                PV_BLIND,
                message,
                "remove `restore`, or attach the manifest to an AI route",
            );
        }
        let Some(routes) = self.resolved() else { return };
        if managed::sees_nothing(self.attached, &routes, &manifest.id.to_string(), rule.name.as_str()) {
            let message = format!(
                "rule `{}` looks for secrets that are managed for the upstream, and there is none on its routes",
                rule.name.as_str()
            );
            let help = "attach a SecretManagement with credentials to the upstream, or remove the rule";
            rule.matches.error(self.report, PV_BLIND, message, help);
        }
    }

    fn detector(&mut self, detector: &manifest::RuntimeDetector) {
        let parts = seen_parts(detector);
        if parts.is_empty() {
            let name = detector.name().as_str();
            let message = format!("detector `{name}` looks at untrusted text only, and none of its parts is that");
            let help = "write `untrustedOnly: false`, or list `ToolResult`, `Resource` or `AgentMessage`";
            detector.parts().error(self.report, PV_BLIND, message, help);
            return;
        }
        let ways: &[Direction] = match detector {
            manifest::RuntimeDetector::Canary(_) => &[Direction::Response],
            _ => &[Direction::Request, Direction::Response],
        };
        if matches!(detector, manifest::RuntimeDetector::Canary(_))
            && self.dialects() == BTreeSet::from([Dialect::Http])
        {
            let message = "a detector of type `Canary`, and no route it is attached to leads to a model";
            detector.parts().error(self.report, PV_BLIND, message, "attach the manifest to an AI route");
            return;
        }
        self.parts(detector.name().as_str(), detector.parts(), &parts, ways);
    }

    /// What models are told, where there are none.
    fn prompts(&mut self, policy: &manifest::RuntimeSecurityPolicy) {
        if self.dialects().iter().any(|dialect| *dialect != Dialect::Http) {
            return;
        }
        let help = "attach the manifest to an AI route";
        if let Some(layer) = policy.prompt_layers.first() {
            let message = "`promptLayers`, and no route the manifest is attached to leads to a model";
            layer.error(self.report, PV_BLIND, message, help);
        }
        if let Some(word) = policy.system_text.written() {
            let message = "`systemText`, and no route the manifest is attached to leads to a model";
            word.error(self.report, PV_BLIND, message, help);
        }
        if let Some(word) = policy.isolate.written().filter(|word| word.value) {
            let message = "`isolate`, and no route the manifest is attached to leads to a model";
            word.error(self.report, PV_BLIND, message, help);
        }
    }

    /// Demands on answers need a model that answers, and a policy needs something to ask for.
    fn output(&mut self, manifest: &Manifest, policy: &manifest::RuntimeSecurityPolicy) {
        let Some(output) = &policy.output else {
            let says = policy.system_text.written().is_some() || policy.isolate.written().is_some();
            if policy.detectors.is_empty() && policy.prompt_layers.is_empty() && !says && policy.behaviour.is_none() {
                let help = "write `detectors`, `promptLayers`, `output` or `behaviour`, or remove the manifest";
                let message = format!("{} asks for nothing", manifest.id);
                manifest.name().error(self.report, PV_BLIND, message, help);
            }
            return;
        };
        let specs = &self.bootstrap.spec.routes.value;
        let mut routes = self.reached.iter().filter_map(|index| specs.get(*index));
        if !routes.any(|route| answers_come(route)) {
            let message = "`output` can never act: no model answers on the routes it is attached to";
            output.error(self.report, PV_BLIND, message, "attach the manifest to an AI route");
        }
    }

    /// Limits on calls need a model that calls, and one on delegation somebody who acts for another.
    fn behaviour(&mut self, policy: &manifest::RuntimeSecurityPolicy) {
        let Some(limits) = &policy.behaviour else { return };
        let specs = &self.bootstrap.spec.routes.value;
        let answers = self.reached.iter().filter_map(|index| specs.get(*index)).any(|route| answers_come(route));
        let calls = limits.max_tool_calls_per_task.as_ref().map(|most| (&most.position, &most.pointer));
        let repeats = limits.max_repeats.as_ref().map(|most| (&most.position, &most.pointer));
        let age = limits.max_task_age.as_ref().map(|most| (&most.position, &most.pointer));
        for (position, pointer) in [calls, repeats, age].into_iter().flatten().filter(|_| !answers) {
            let message = "a limit on the course of tasks, and no model answers on the routes it is attached to";
            let help = "attach the manifest to an AI route";
            self.report.error(PV_BLIND, position, pointer.clone(), message, help);
        }
        let (Some(depth), Some(routes)) = (&limits.max_depth, self.resolved()) else { return };
        let mut types = routes.iter().flat_map(|route| &route.policy.identity.providers).flat_map(principals);
        if !types.any(|kind| kind == PrincipalType::Agent) {
            let message =
                "`maxDepth` can never act: no provider of its routes makes an Agent, who would act for a User";
            depth.error(self.report, PV_BLIND, message, "remove it, or attach the manifest where agents come");
        }
    }

    fn parts(&mut self, name: &str, place: &At<Vec<At<Part>>>, parts: &[Part], directions: &[Direction]) {
        let dialects = self.dialects();
        let of =
            |dialect: &Dialect| directions.iter().flat_map(|way| capability::parts(*dialect, *way)).copied().collect();
        let occur: BTreeSet<Part> = dialects.iter().flat_map(|dialect| -> Vec<Part> { of(dialect) }).collect();
        if parts.iter().any(|part| occur.contains(part)) {
            return;
        }
        let names: Vec<&str> = occur.iter().map(|part| part.as_str()).collect();
        let message = format!("`{name}` can never see anything: no route it is attached to has these parts");
        place.error(self.report, PV_BLIND, message, format!("in that direction they have {}", listed(&names)));
    }

    fn actions(&mut self, name: &str, actions: &At<Vec<At<ActionWord>>>) {
        let asked: BTreeSet<_> = self.dialects().into_iter().flat_map(capability::actions).copied().collect();
        if actions.iter().flat_map(|word| word.actions()).any(|action| asked.contains(&action)) {
            return;
        }
        let names: Vec<&str> = asked.iter().map(|action| action.as_str()).collect();
        let message = format!("`{name}` can never match: no route it is attached to asks for these actions");
        actions.error(self.report, PV_BLIND, message, format!("its routes ask for {}", listed(&names)));
    }

    fn rule(&mut self, rule: &manifest::Rule) {
        self.actions(rule.name.as_str(), &rule.actions);
        let Some(routes) = self.resolved() else { return };
        let mut types: BTreeSet<PrincipalType> =
            routes.iter().flat_map(|route| &route.policy.identity.providers).flat_map(principals).collect();
        if routes.iter().any(|route| route.policy.identity.is_open) {
            types.insert(PrincipalType::Anonymous);
        }
        let mut problem = None;
        if !rule.principals.is_empty() && !rule.principals.iter().any(|kind| types.contains(&kind.value.0)) {
            let names: Vec<&str> = types.iter().map(|kind| kind.as_str()).collect();
            problem = rule.principals.first().map(|first| {
                let message = format!(
                    "`{}` can never match: no provider of its routes makes such a principal",
                    rule.name.as_str()
                );
                (&first.position, &first.pointer, message, format!("they make {}", listed(&names)))
            });
        }
        let held = |role: &str| routes.iter().any(|route| is_held(route, role));
        let declared =
            |role: &str| routes.iter().any(|route| route.policy.whole_authz().roles.iter().any(|r| r.name == role));
        // A role that nobody declares was reported.
        let idle = rule.roles.iter().all(|role| declared(role.as_str()) && !held(role.as_str()));
        if let Some(first) = rule.roles.first().filter(|_| idle) {
            let message = format!("`{}` can never match: nobody is bound to its roles", rule.name.as_str());
            problem = Some((&first.position, &first.pointer, message, "add a binding, or remove the rule".to_owned()));
        }
        if let Some((position, pointer, message, help)) = problem {
            self.report.error(PV_BLIND, position, pointer.clone(), message, help);
        }
    }

    fn binding(&mut self, binding: &manifest::Binding) {
        let Some(routes) = self.resolved() else { return };
        let providers: Vec<&Provider> = routes.iter().flat_map(|route| &route.policy.identity.providers).collect();
        for subject in binding.subjects.iter() {
            if !providers.iter().any(|provider| subjects::may_assert(provider, subject)) {
                let (kind, name) = (subjects::kind(subject), &subject.name.value);
                let by = if subject.issuer.is_some() { " of this issuer" } else { "" };
                let message = format!("no provider{by} on the routes could recognise {kind} `{name}`");
                let help = "correct `kind`, `name` or `issuer`; groups need a provider with `groupsClaim`, SPIFFE IDs one of type Spiffe";
                subject.error(self.report, PV_BLIND, message, help);
            }
        }
        if let Some(tenant) = &binding.tenant
            && !providers.iter().any(|provider| provider.tenants.contains(&tenant.value))
        {
            let message = format!("no provider on the routes may assert tenant `{}`", tenant.value);
            tenant.error(self.report, PV_BLIND, message, "correct the tenant, or add it to a provider's `tenants`");
        }
    }

    fn rate_limit(&mut self, limit: &manifest::RateLimit) {
        let by_model = limit.key.iter().find(|key| key.value == LimitKey::Model);
        if let Some(key) = by_model.filter(|_| !self.dialects().into_iter().any(capability::names_model)) {
            let message = "a limit by model, and no route it is attached to has requests that name one";
            key.error(self.report, PV_BLIND, message, "use `Route`, or attach the manifest to an AI route");
        }
        if limit.unit.value.is_tokens() && !self.dialects().into_iter().any(capability::names_model) {
            let message = "a limit of tokens, and no route it is attached to leads to a model";
            limit.unit.error(self.report, PV_BLIND, message, "count `Bytes`, or attach the manifest to an AI route");
        }
    }

    fn allow_rule(&mut self, rule: &manifest::AllowRule) {
        if let Some(types) = rule.content_types.as_ref().filter(|types| types.is_empty()) {
            let help = "name the media types, or leave the field out for requests without a body";
            types.error(self.report, PV_BLIND, "`contentTypes` is empty, so the rule allows nothing", help);
        }
        let specs = &self.bootstrap.spec.routes.value;
        let reached = self.reached.iter().filter_map(|index| specs.get(*index)).map(|route| &route.value);
        outbound::check_allowed(rule, reached, self.report);
        let prefixes: Vec<&str> = self
            .reached
            .iter()
            .filter_map(|index| specs.get(*index))
            .map(|route| route.matches.path_prefix.as_str())
            .collect();
        for path in rule.paths.iter().filter(|path| !prefixes.iter().any(|prefix| reaches(path.as_str(), prefix))) {
            let message = format!("`{}` can never match: no route of the manifest has such a path", path.as_str());
            let help = format!(
                "paths are those of the request, before any `rewrite`; the routes begin with {}",
                listed(&prefixes)
            );
            path.error(self.report, PV_BLIND, message, help);
        }
    }
}

/// The types of principal that come of a provider: a User's token that names an actor makes an Agent.
pub(super) fn principals(provider: &Provider) -> Vec<PrincipalType> {
    match (&provider.kind, provider.principal) {
        (ProviderKind::Jwt(_) | ProviderKind::Introspection(_), PrincipalType::User) => {
            vec![PrincipalType::User, PrincipalType::Agent]
        }
        (_, other) => vec![other],
    }
}

/// Whether a binding gives `role`, or a role that includes it.
fn is_held(route: &Route, role: &str) -> bool {
    let authz = route.policy.whole_authz();
    let includes = |held: &str| {
        held == role || authz.roles.iter().any(|r| r.name == held && r.includes.iter().any(|included| included == role))
    };
    authz.bindings.iter().any(|binding| includes(&binding.role))
}

/// Whether some path on or below `prefix` is matched by `glob`. Follows all places in the glob at once, as `*` and `**`
/// may stand for more or less; every place can be followed to its end by some path.
pub(super) fn reaches(glob: &str, prefix: &str) -> bool {
    // `/a/**` is for `/a` too.
    let parent = glob.strip_suffix("/**").filter(|parent| *parent == prefix);
    let glob: Vec<char> = glob.chars().collect();
    let mut places = after_stars(&glob, BTreeSet::from([0]));
    for c in prefix.strip_suffix('/').unwrap_or(prefix).chars() {
        places = step(&glob, &places, c);
    }
    parent.is_some() || places.contains(&glob.len()) || !step(&glob, &places, '/').is_empty()
}

fn step(glob: &[char], places: &BTreeSet<usize>, c: char) -> BTreeSet<usize> {
    let mut next = BTreeSet::new();
    for place in places {
        match glob.get(*place) {
            Some('*') if c != '/' || is_double(glob, *place) => {
                next.insert(*place);
            }
            Some(own) if *own == c && *own != '*' => {
                next.insert(place + 1);
            }
            _ => {}
        }
    }
    after_stars(glob, next)
}

/// A star may stand for nothing.
fn after_stars(glob: &[char], mut places: BTreeSet<usize>) -> BTreeSet<usize> {
    let mut open: Vec<usize> = places.iter().copied().collect();
    while let Some(place) = open.pop() {
        if glob.get(place) == Some(&'*') && places.insert(place + 1) {
            open.push(place + 1);
        }
    }
    places
}

fn is_double(glob: &[char], place: usize) -> bool {
    glob.get(place + 1) == Some(&'*') || place.checked_sub(1).and_then(|before| glob.get(before)) == Some(&'*')
}

#[cfg(test)]
mod tests {
    use super::reaches;

    #[test]
    fn a_glob_reaches_a_prefix_if_some_path_below_it_matches() {
        for (glob, prefix, want) in [
            ("/v1/chat", "/v1", true),
            ("/v1", "/v1", true),
            ("/v1/**", "/v1", true),
            ("/v2/**", "/v1", false),
            ("/v10", "/v1", false),
            ("/v", "/v1", false),
            ("/**", "/v1", true),
            ("/*", "/v1", true),
            ("/*", "/v1/chat", false),
            ("/*/chat", "/v1", true),
            ("/*/chat", "/v1/chat", true),
            ("/a*/b", "/v1", false),
            ("/**/chat", "/v1", true),
            ("/", "/", true),
            ("/orders", "/", true),
            ("/", "/v1", false),
            ("/v1/*", "/v1/chat/completions", false),
            ("/v1/**/x", "/v1/chat/completions", true),
        ] {
            assert_eq!(reaches(glob, prefix), want, "{glob} on {prefix}");
        }
    }
}
