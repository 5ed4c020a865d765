//! From a snapshot to chains: policies become Cedar slices, patterns automata, key sets verifiers. All at load.

mod managed;
mod recognise;
mod trial;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub use managed::UpstreamSecrets;
use postern_config::{
    BehaviourLimits, Code, Credential, DataDetectorKind, DataProtection, Dialect, Direction, LeakDetection, OwnKey,
    Part, Position, Report, Route, RuntimeDetectorKind, RuntimeSecurity, Snapshot, TenantSource, Upstream, Waived,
    capability,
};

use crate::answer::{Answers, CallRules, Tried as TriedAnswers};
use crate::authz::{Authorizer, RouteFacts, Tenancy};
use crate::builtin::{
    Assure, Authorize, Browser, Conform, Content, Cors, CrossSite, Decode, Depth, Digest, Exceptions, External, Frame,
    Identify, Limits, Models, OfTenant, Parse, Prompts,
};
use crate::chain::{Chain, Step};
use crate::challenge::{Challenge, Metadata};
use crate::course::{CallLimits, TaskAge};
use crate::external::Externals;
use crate::filter::Filter;
use crate::limit::{LimitSet, LimitStore, Stage};
use crate::output::AnswerSchemas;
use crate::scan::{ContentGuards, Managed, TokenKey};
use crate::token::session::{EndedSessions, SealKey};
use crate::token::{KeyRings, Recognised, TokenCache};
use trial::{Rehearsals, Tried};

/// The chains of a snapshot, by route.
#[derive(Debug)]
pub struct Chains {
    /// Of each route as it is now, and then as it is once what is on trial acts.
    pub(crate) by_route: HashMap<String, Vec<Chain>>,
    metadata: Metadata,
    /// Paths at which some route takes browsers back from logins, or logs them out.
    login_paths: HashSet<String>,
}

/// What chains need that no manifest holds: it outlives snapshots.
#[derive(Debug, Default)]
pub struct Kept {
    /// Sessions that were ended before their time.
    pub ended: Arc<EndedSessions>,
    /// The keys that the snapshot names, with what came of reading them.
    pub keys: HashMap<OwnKey, Result<Arc<SealKey>, String>>,
    /// The key of tokens, where the snapshot names one.
    pub tokens: Option<Result<TokenKey, String>>,
}

impl Chains {
    /// Whether some route has a place of logins at `path`: of every request this is asked, and of few anything more.
    #[must_use]
    pub fn is_login_path(&self, path: &str) -> bool {
        self.login_paths.contains(path)
    }

    /// The chain of the named route as it was loaded, without what is on trial.
    #[must_use]
    pub fn of(&self, route: &str) -> Option<&Chain> {
        self.by_route.get(route)?.first()
    }

    /// The chain of `route` at `now` (Unix seconds): the one that decides.
    #[must_use]
    pub fn at(&self, route: &Route, now: i64) -> Option<&Chain> {
        self.by_route.get(&route.name)?.get(route.version(now))
    }

    /// What is told of protected resources.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

/// Compiles every route. `limits` holds what was spent so far, so that a reload refills nothing, and `rings` the keys that were
/// fetched so far, so that it forgets none. `secrets` are those of upstreams.
///
/// # Errors
/// All problems of all routes: rules that do not validate, guards that cannot be built, key sets that cannot be read. With nothing
/// in it where all that is wrong is a secret that is not among `secrets`.
pub fn compile(
    snapshot: &Snapshot,
    limits: &LimitStore,
    rings: &KeyRings,
    kept: &Kept,
    secrets: &UpstreamSecrets,
) -> Result<Chains, Report> {
    build(snapshot, limits, rings, kept, Some(secrets))
}

/// Compiles everything that needs no key material, and throws it away: for validation offline.
///
/// # Errors
/// As [`compile`], without what is wrong with key sets.
pub fn check(snapshot: &Snapshot, limits: &LimitStore) -> Result<(), Report> {
    build(snapshot, limits, &KeyRings::new(), &Kept::default(), None).map(|_| ())
}

/// As [`compile`], without key material: no token verifies with it. For explanations, which assume who asks.
///
/// # Errors
/// As [`check`].
pub fn compile_without_keys(snapshot: &Snapshot, limits: &LimitStore) -> Result<Chains, Report> {
    build(snapshot, limits, &KeyRings::new(), &Kept::default(), None)
}

fn build(
    snapshot: &Snapshot,
    limits: &LimitStore,
    rings: &KeyRings,
    kept: &Kept,
    secrets: Option<&UpstreamSecrets>,
) -> Result<Chains, Report> {
    let mut report = Report::new();
    let cache = Arc::new(TokenCache::default());
    let mut by_route = HashMap::new();
    for route in &snapshot.routes {
        let with_keys = secrets.is_some();
        let versions = std::iter::once(route).chain(route.later.iter().map(|later| &later.route));
        let chains = versions.enumerate().map(|(version, one)| {
            let tried = Tried::of(route, version);
            let compiler = Compiler { snapshot, route: one, limits, rings, kept, cache: &cache, secrets, with_keys };
            compiler.chain(tried, &mut report)
        });
        // All or none: a version that is missing would be one that another stands for.
        if let Some(chains) = chains.collect::<Vec<_>>().into_iter().collect::<Option<Vec<Chain>>>() {
            by_route.insert(route.name.clone(), chains);
        }
    }
    if report.has_errors() || by_route.len() < snapshot.routes.len() {
        return Err(report);
    }
    let logins = snapshot.routes.iter().flat_map(|route| route.policy.identity.browsers());
    let login_paths = logins.flat_map(|(_, login)| login.paths()).map(str::to_owned).collect();
    Ok(Chains { by_route, metadata: Metadata::new(&snapshot.routes), login_paths })
}

/// What a chain has of limits, documents, models and schemas of answers.
type Compiled<'a> = (&'a Arc<LimitSet>, &'a [Arc<Conform>], Option<&'a Arc<Models>>, Option<&'a Arc<AnswerSchemas>>);

struct Compiler<'a> {
    snapshot: &'a Snapshot,
    route: &'a Route,
    limits: &'a LimitStore,
    kept: &'a Kept,
    rings: &'a KeyRings,
    cache: &'a Arc<TokenCache>,
    /// Absent with the other keys.
    secrets: Option<&'a UpstreamSecrets>,
    with_keys: bool,
}

impl Compiler<'_> {
    fn chain(&self, tried: Option<Tried<'_>>, report: &mut Report) -> Option<Chain> {
        let policy = &self.route.policy;
        let rehearsals = tried.map_or_else(|| Some(Rehearsals::default()), |tried| self.rehearsals(&tried, report));
        let authorizer = Authorizer::compile_with(&policy.authz, &policy.trials, &self.facts(), report).map(Arc::new);
        let recognised = self.recognised(report);
        let browser = self.browser(report);
        let external = self.external(Direction::Request);
        let external_answers = self.external(Direction::Response);
        let request = self.content(Direction::Request, report);
        let answer = self.content(Direction::Response, report);
        let limits = LimitSet::compile(&policy.access.rate_limits, self.limits)
            .map_err(|error| self.problem(report, 71, error.to_string(), "correct the limit"))
            .ok()
            .map(Arc::new);
        let contracts = self.contracts(report);
        let schemas = AnswerSchemas::new(&policy.runtime.output)
            .map_err(|error| self.problem(report, 53, error.to_string(), "change the pattern"))
            .ok();
        let (authorizer, recognised, request, answer, limits) = (authorizer?, recognised?, request?, answer?, limits?);
        let contracts = contracts?;
        let (browser, mut rehearsals) = (browser?, rehearsals?);
        let tried = rehearsals.answers.take();
        let reads_answers = answer.is_some() || external_answers.is_some();
        if tried.is_some() && !reads_answers && self.route.dialect == Dialect::Http {
            let message = "nothing that acts reads the answers of the route, so what is on trial cannot look at them";
            self.problem(report, 7, message.to_owned(), "try out what looks at requests, or write `mode: Enforce`");
        }
        let request = request.map(Arc::new);
        let models = Models::new(&policy.models).map(Arc::new);
        let schemas = schemas?.map(Arc::new);
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        Some(Chain {
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
            dialect: self.route.dialect,
            max_body: policy.access.max_body,
            steps: rehearsals.among(self.steps(
                &authorizer,
                recognised,
                &browser,
                (request.as_ref(), external.as_ref()),
                reads_answers,
                (&limits, &contracts, models.as_ref(), schemas.as_ref()),
            )),
            cors: self.cors(),
            answers: self.answers((answer.map(Arc::new), external_answers), tried, models.clone(), schemas.clone()),
            browser,
            challenge: Challenge::new(policy.challenges.resource.as_ref()),
        })
    }

    fn steps(
        &self,
        authorizer: &Arc<Authorizer>,
        recognised: Recognised,
        browser: &Option<Arc<Browser>>,
        (request, external): (Option<&Arc<Content>>, Option<&Arc<Externals>>),
        reads_answers: bool,
        (limits, contracts, models, schemas): Compiled<'_>,
    ) -> Vec<Step> {
        let policy = &self.route.policy;
        let minimizes = !policy.data.revision.minimize.is_empty();
        let looks = request.is_some() || external.is_some();
        let reads = !contracts.is_empty() || looks || reads_answers || minimizes;
        let inspected = reads || self.route.dialect != Dialect::Http;
        let waived = self.waived();
        let excepted = (!waived.is_empty()).then(|| step(Filter::Exceptions(Exceptions::new(waived)), [""; 0]));
        let mut steps: Vec<Step> = excepted.into_iter().collect();
        // First, so that a script is let read why it is refused.
        steps.extend(self.cors().map(|cors| step(Filter::Cors(cors), [Cors::GUARD])));
        steps.extend([
            step(Filter::Frame(Frame::new(&policy.access, inspected)), [Frame::GUARD]),
            step(Filter::CrossSite(CrossSite::new(&policy.access.cross_site)), [CrossSite::GUARD]),
        ]);
        let limited = |stage| {
            let names = limits.guard_names(stage);
            (!names.is_empty())
                .then(|| step(Filter::Limits(Limits::new(limits.clone(), stage, &self.route.name)), names))
        };
        steps.extend(limited(Stage::Address));
        let identify = Identify::new(
            policy.identity.clone(),
            recognised,
            authorizer.clone(),
            self.route.tenant.as_deref().unwrap_or_default(),
            &policy.posture.identity_types,
        );
        if let Some(from) = &self.route.tenant_from {
            let known = policy.identity.providers.iter().flat_map(|provider| &provider.tenants);
            steps.push(step(Filter::OfTenant(OfTenant::new(from, known.map(String::as_str))), [""; 0]));
        }
        let identify = identify.with_browser(browser.clone());
        steps.push(step(Filter::Identify(Box::new(identify)), [Identify::GUARD]));
        if !policy.challenges.assurance.is_empty() {
            steps.push(step(Filter::Assure(Assure::new(&policy.challenges.assurance)), [Assure::GUARD]));
        }
        let runtime = &policy.runtime;
        let depth = Depth::new(&runtime.behaviour);
        steps.extend(depth.map(|depth| step(Filter::Depth(depth), [BehaviourLimits::DEPTH])));
        steps.extend(limited(Stage::Principal));
        steps.extend(contracts.iter().map(|contract| step(Filter::Operation(contract.clone()), [""; 0])));
        if policy.identity.providers.iter().any(|provider| provider.kind.signs_requests()) {
            steps.push(step(Filter::Digest(Digest::new(self.route.streams_bodies)), [Digest::GUARD]));
        }
        if inspected {
            steps.push(step(Filter::Decode(Decode), [""; 0]));
        }
        let parse = Parse::new(self.route.dialect, &self.route.matches.path_prefix, looks);
        let revision = &policy.data.revision;
        let parse = parse.revising(revision);
        let headers = request.is_some_and(|content| content.looks_at(Part::HttpHeader));
        let headers = headers || external.is_some_and(|external| external.looks_at(Part::HttpHeader));
        let parse = parse.with_headers(headers);
        let minimized: BTreeSet<&str> = revision.minimize.iter().map(|one| one.guard.as_str()).collect();
        steps.push(step(Filter::Parse(parse), [Parse::GUARD].into_iter().chain(minimized)));
        if self.judges_calls() {
            let calls = Filter::ToolCalls(Box::default());
            steps.push(step(calls, [postern_config::Output::TOOL_CALLS]));
        }
        if let Some(limits) = CallLimits::new(&runtime.behaviour) {
            let names = runtime.behaviour.of_calls().into_iter().map(|(name, _)| name);
            steps.push(step(Filter::Course(limits), names));
        }
        if let Some(schemas) = schemas.filter(|schemas| schemas.are_of_models()) {
            steps.push(step(Filter::AnswerSchemas(schemas.clone()), [postern_config::Output::SCHEMAS]));
        }
        let prompts = self.prompts();
        if let Some(prompts) = &prompts {
            let guard = prompts.denies_system().then_some(Prompts::SYSTEM);
            steps.push(step(Filter::Prompts(prompts.clone()), guard));
        }
        steps.extend(contracts.iter().map(|contract| step(Filter::Schema(contract.clone()), [contract.guard()])));
        steps.extend(limited(Stage::Model));
        if let Some(content) = request {
            steps.push(step(Filter::Look(content.clone()), [""; 0]));
        }
        let authorize = Authorize::new(authorizer.clone(), self.vendor(), policy.posture.compliance.clone());
        let authorize = Arc::new(authorize.with_answers(policy.classes_answers(self.route.dialect)));
        steps.push(step(Filter::Authorize(authorize.clone()), [Authorize::GUARD]));
        steps.extend(models.map(|models| step(Filter::Models(models.clone()), [Models::GUARD])));
        // Behind the decision: what is refused begins no task.
        let age = TaskAge::new(&runtime.behaviour, self.limits.tasks());
        steps.extend(age.map(|age| step(Filter::TaskAge(age), [BehaviourLimits::AGE])));
        steps.extend(request.map(|content| step(Filter::Act(content.clone()), content.names())));
        let again = || {
            let schemas = contracts.iter().map(|contract| step(Filter::SchemaAgain(contract.clone()), [""; 0]));
            std::iter::once(step(Filter::Reauthorize(authorize.clone()), [""; 0])).chain(schemas)
        };
        if let Some(external) = external {
            // Nobody is shown what is refused anyway.
            steps.extend(request.into_iter().flat_map(|_| again()));
            steps.push(step(Filter::External(External::new(external.clone())), external.guards()));
        }
        steps.extend(prompts.as_ref().map(|prompts| step(Filter::PutPrompts(prompts.clone()), prompts.names())));
        if looks || prompts.is_some() {
            steps.extend(again());
        }
        steps
    }

    fn judges_calls(&self) -> bool {
        self.route.policy.runtime.output.tool_calls.is_some()
    }

    fn prompts(&self) -> Option<Arc<Prompts>> {
        let runtime = &self.route.policy.runtime;
        let plants = runtime.detectors.iter().any(|detector| detector.kind == RuntimeDetectorKind::Canary);
        Prompts::new(&runtime.prompts, plants).map(Arc::new)
    }

    fn cors(&self) -> Option<Arc<Cors>> {
        let access = &self.route.policy.access;
        access.cors.as_ref().map(|rule| Arc::new(Cors::new(rule, &access.cross_site)))
    }

    fn answers(
        &self,
        (content, external): (Option<Arc<Content>>, Option<Arc<Externals>>),
        tried: Option<Arc<TriedAnswers>>,
        models: Option<Arc<Models>>,
        schemas: Option<Arc<AnswerSchemas>>,
    ) -> Answers {
        let inspect = content.is_some() || external.is_some() || self.route.dialect != Dialect::Http;
        let mut buffered: Vec<Arc<str>> = Vec::new();
        if inspect {
            buffered.push(Arc::from(Parse::GUARD));
        }
        buffered.extend(models.as_ref().map(|_| Arc::from(Models::GUARD)));
        if self.route.policy.classes_answers(self.route.dialect) {
            buffered.push(Arc::from(Authorize::GUARD));
        }
        let names = content.as_ref().map(|content| content.names()).unwrap_or_default();
        buffered.extend(names.iter().map(|name| Arc::from(name.as_str())));
        let max_length = self.route.policy.runtime.output.max_length.as_ref().map(|most| most.value);
        buffered.extend(max_length.map(|_| Arc::from(postern_config::Output::LENGTH)));
        let only_offered = self.judges_calls();
        buffered.extend(only_offered.then(|| Arc::from(postern_config::Output::TOOL_CALLS)));
        let behaviour = &self.route.policy.runtime.behaviour;
        buffered.extend(behaviour.of_calls().into_iter().map(|(name, _)| Arc::from(name)));
        buffered.extend(schemas.as_ref().map(|_| Arc::from(postern_config::Output::SCHEMAS)));
        let calls = CallRules { only_offered, limits: CallLimits::new(behaviour) };
        Answers {
            dialect: self.route.dialect,
            content,
            external,
            opaque: self.route.policy.data.revision.opaque,
            models,
            max_length,
            calls,
            schemas,
            tried,
            streamed: buffered.clone(),
            buffered,
            stall: self.route.policy.data.stall,
        }
    }

    /// The services that are asked about messages of this direction.
    fn external(&self, direction: Direction) -> Option<Arc<Externals>> {
        let there = capability::parts(self.route.dialect, direction);
        Externals::new(&self.route.policy.runtime, there, direction).map(Arc::new)
    }

    /// `Some(None)`: nothing to look for in this direction. `None`: a problem was reported.
    #[expect(clippy::option_option, reason = "failed, absent and present are three cases of one step")]
    fn content(&self, direction: Direction, report: &mut Report) -> Option<Option<Content>> {
        let policy = &self.route.policy;
        let managed = self.managed()?;
        let scores_risk = self.reads_risk();
        self.guards(&policy.data, &policy.runtime, &managed, scores_risk, direction, report)
    }

    /// As [`Compiler::content`], of these guards.
    #[expect(clippy::option_option, reason = "failed, absent and present are three cases of one step")]
    fn guards(
        &self,
        data: &DataProtection,
        runtime: &RuntimeSecurity,
        managed: &Managed,
        scores_risk: bool,
        direction: Direction,
        report: &mut Report,
    ) -> Option<Option<Content>> {
        match ContentGuards::compile_with(data, runtime, managed, direction) {
            Ok(guards) => {
                let names = names_in_reach(&guards, self.route.dialect, direction);
                let seen = !names.is_empty();
                let made = |key| Content::new(Arc::new(guards), names, data, scores_risk, key);
                let key = self.token_key(report)?;
                Some(seen.then(|| made(key)))
            }
            Err(error) => {
                let (code, help) = managed::refusal(&error);
                self.problem(report, code, told(&error), help);
                None
            }
        }
    }

    /// What tokens are made with.
    fn token_key(&self, report: &mut Report) -> Option<TokenKey> {
        match (&self.snapshot.token_key, &self.kept.tokens) {
            (Some(_), Some(Ok(key))) => Some(key.clone()),
            (Some(wanted), Some(Err(why))) => {
                self.problem(report, 91, format!("key `{}`: {why}", wanted.name()), "correct its `source`");
                None
            }
            // Without key material nothing is decided in earnest.
            (Some(_), None) | (None, _) => Some(TokenKey::of_process()),
        }
    }

    fn contracts(&self, report: &mut Report) -> Option<Vec<Arc<Conform>>> {
        let made = self.route.policy.access.contracts.iter().map(|contract| Conform::new(contract).map(Arc::new));
        made.collect::<Result<_, _>>()
            .map_err(|error| self.problem(report, 53, error.to_string(), "change the pattern"))
            .ok()
    }

    /// What is looked for because it is a secret of the upstream. `None` where it could not be read, which whoever reads it tells.
    fn managed(&self) -> Option<Managed> {
        self.secrets_for(&self.route.policy.data, self.route.policy.leaks.as_ref())
    }

    /// As [`Compiler::managed`]: for `leaks`, and for detectors of `data` that look for them.
    fn secrets_for(&self, data: &DataProtection, leaks: Option<&LeakDetection>) -> Option<Managed> {
        let looks = data.detectors.iter().any(|one| matches!(one.kind, DataDetectorKind::Managed));
        match (self.secrets, self.upstream()) {
            (Some(secrets), Some(upstream)) if looks || leaks.is_some() => secrets.of(upstream, leaks),
            _ => Some(managed::nothing_of(leaks)),
        }
    }

    fn facts(&self) -> RouteFacts {
        let policy = &self.route.policy;
        let providers = &policy.identity.providers;
        let tenants: BTreeSet<String> = providers.iter().flat_map(|p| p.tenants.iter().cloned()).collect();
        let speaks_of_tenants = self.route.tenant.is_some()
            || providers.iter().any(|p| !p.tenants.is_empty() || matches!(p.tenant, TenantSource::Value(_)));
        RouteFacts {
            route: self.route.name.clone(),
            gateway: self.snapshot.gateway.clone(),
            labels: self.route.labels.clone(),
            tenant: match &self.route.tenant {
                Some(tenant) => Tenancy::Of(tenant.clone()),
                None if self.route.tenant_from.is_some() => Tenancy::PerRequest,
                None if speaks_of_tenants => Tenancy::Unlabelled,
                None => Tenancy::Off,
            },
            dialect: self.route.dialect,
            sets_compliance: policy.posture.sets_compliance,
            sets_risk: policy
                .runtime
                .detectors
                .iter()
                .any(|detector| scores(&detector.kind) && self.asks_for(&detector.parts)),
            sets_data_class: policy.data.rules.iter().any(|rule| {
                rule.request && self.asks_for(&rule.parts) || rule.response && self.answers_with(&rule.parts)
            }),
            tenants: tenants.into_iter().collect(),
        }
    }

    /// Whether requests of the route have one of `parts`.
    fn asks_for(&self, parts: &[Part]) -> bool {
        let there = capability::parts(self.route.dialect, Direction::Request);
        parts.iter().any(|part| there.contains(part))
    }

    /// Whether answers of the route have one of `parts`.
    fn answers_with(&self, parts: &[Part]) -> bool {
        let there = capability::parts(self.route.dialect, Direction::Response);
        parts.iter().any(|part| there.contains(part))
    }

    /// Whether a rule may read `context.risk`; said of some that do not, never missed in one that does.
    fn reads_risk(&self) -> bool {
        let policy = &self.route.policy;
        policy.trials.iter().map(|trial| &trial.authz).chain([&policy.authz]).any(|authz| authz.may_read("risk"))
    }

    /// What every request of the route hangs on.
    fn waived(&self) -> Vec<Waived> {
        let of_upstream = self.upstream().into_iter().flat_map(|upstream| {
            upstream.plaintext.iter().chain(upstream.credentials.iter().filter_map(Credential::waived))
        });
        self.route.policy.waived.iter().chain(of_upstream).cloned().collect()
    }

    fn upstream(&self) -> Option<&Upstream> {
        self.route.upstream.and_then(|index| self.snapshot.upstreams.get(index))
    }

    fn vendor(&self) -> String {
        self.upstream().and_then(|u| u.labels.get("vendor").cloned()).unwrap_or_default()
    }

    fn problem(&self, report: &mut Report, code: u16, message: String, help: &str) {
        let position = Position { file: Arc::from(format!("route {}", self.route.name)), line: 1, column: 1 };
        report.error(Code(code), &position, "", message, help);
    }
}

/// Whether rules may go by what it finds in a request: it is known before the decision.
fn scores(kind: &RuntimeDetectorKind) -> bool {
    !matches!(kind, RuntimeDetectorKind::Canary | RuntimeDetectorKind::External(_))
}

/// An error with its causes.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// Guards that look at a part which messages of this dialect and direction can have.
fn names_in_reach(guards: &ContentGuards, dialect: Dialect, direction: Direction) -> Vec<String> {
    let parts = capability::parts(dialect, direction);
    let names: BTreeSet<&str> = parts.iter().flat_map(|part| guards.guards_of(*part)).collect();
    names.into_iter().map(str::to_owned).collect()
}

fn step<S: AsRef<str>>(filter: Filter, guards: impl IntoIterator<Item = S>) -> Step {
    Step { filter, guards: guards.into_iter().map(|name| Arc::from(name.as_ref())).collect() }
}
