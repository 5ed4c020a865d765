//! From a question to allow or deny. Whatever goes wrong on the way denies.

use std::collections::BTreeSet;
use std::sync::Arc;

use cedar_policy::{Decision as CedarDecision, Entities, EntityUid, PolicySet, Request, Response};

use postern_config::{OnDeny, Waived};

use super::expression::ContextParts;
use super::request::{AuthzRequest, ResourceRef, context};
use super::slices::{Part, Parts};
use super::vocabulary::{Broken, ResourceKind};
use super::{Authorizer, PreparedPrincipal, Tenancy, entities};
use crate::path::PathGlob;
use crate::{Assurance, Principal, Reason, challenge};

pub(super) const DEFAULT_DENY: &str = "built-in default-deny";
const TENANT_GUARD: &str = "built-in tenant-guard";
const EXCLUSIVE_ROLES: &str = "built-in exclusive-roles";
const POLICY_ERROR: &str = "built-in policy-error";

/// The answer. Allow only ever means that every principal of the request was permitted and none forbidden.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// `None` allows.
    pub denial: Option<Denial>,
    /// The rules that made the decision, sorted: `AccessControlPolicy/default/x rule read-tools`, or `built-in …`.
    pub rules: Vec<Arc<str>>,
    /// The bindings that give the roles of the rules that permit it, sorted.
    pub bindings: Vec<Arc<str>>,
    /// What went wrong, for the log. Never for the caller.
    pub error: Option<String>,
    /// Exceptions without which it would not have been permitted.
    pub exceptions: Vec<Waived>,
    /// What the caller can do about the denial: only where nothing else stands in the way.
    pub ask: Option<OnDeny>,
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Denial {
    /// Nothing permits it.
    DefaultDeny,
    /// A forbid matched.
    Forbidden,
    /// The principal is of another tenant than the resource, or an agent of another than its user.
    OtherTenant,
    /// The principal holds two roles that nobody may hold together.
    ExclusiveRoles,
    /// It could not be evaluated.
    PolicyError,
}

impl Denial {
    /// The word in records and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DefaultDeny => "default_deny",
            Self::Forbidden => "forbidden",
            Self::OtherTenant => "other_tenant",
            Self::ExclusiveRoles => "exclusive_roles",
            Self::PolicyError => "policy_error",
        }
    }

    /// What the caller is told.
    #[must_use]
    pub fn reason(self) -> Reason {
        match self {
            Self::OtherTenant => Reason::OtherTenant,
            Self::DefaultDeny | Self::Forbidden | Self::ExclusiveRoles | Self::PolicyError => Reason::NotPermitted,
        }
    }
}

/// What manifests on trial would have made of a request, where that is something else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rehearsal {
    /// The manifest: `AccessControlPolicy/default/tools`; `several` where several are on trial and no rule of one of them decides.
    pub policy: Arc<str>,
    /// The rules that would have decided.
    pub rule: String,
    /// `Allow`, `Deny` or `Error`; `Rewrite` where it would pass with something covered that is not covered now.
    pub outcome: &'static str,
    /// Why it would be refused.
    pub reason: Option<Reason>,
}

impl Rehearsal {
    /// Whether it would not pass.
    #[must_use]
    pub fn refuses(&self) -> bool {
        matches!(self.outcome, "Deny" | "Error")
    }
}

impl Decision {
    fn outcome(&self) -> &'static str {
        match self.denial {
            None => "Allow",
            Some(Denial::PolicyError) => "Error",
            Some(_) => "Deny",
        }
    }

    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.denial.is_none()
    }

    fn of(denial: Option<Denial>, rules: Vec<Arc<str>>) -> Self {
        Self { denial, rules, bindings: Vec::new(), error: None, exceptions: Vec::new(), ask: None }
    }

    fn deny(denial: Denial, rule: &str) -> Self {
        Self::of(Some(denial), vec![Arc::from(rule)])
    }

    /// The refusal of two, who can do something only where one answer is good for both.
    fn after(self, before: Option<Self>) -> Self {
        let Some(before) = before else { return self };
        let ask = challenge::together(before.ask.iter().chain(&self.ask));
        Self { ask, ..before }
    }

    fn error(detail: String) -> Self {
        Self { error: Some(detail), ..Self::deny(Denial::PolicyError, POLICY_ERROR) }
    }
}

impl From<Broken> for Decision {
    fn from(broken: Broken) -> Self {
        Self::error(broken.chain())
    }
}

impl From<Broken> for Box<Decision> {
    fn from(broken: Broken) -> Self {
        Self::new(broken.into())
    }
}

/// One principal that needs a permit of its own: the caller, or the User it acts for.
#[derive(Debug)]
pub(super) struct Party {
    pub(super) uid: EntityUid,
    pub(super) authn: Assurance,
    pub(super) parts: Parts,
    /// Its roles, each with a binding that gives it.
    pub(super) through: Vec<(Arc<str>, Arc<str>)>,
}

impl Authorizer {
    /// Decides. A principal that was prepared by another authorizer, or whose roles have since ended, is prepared anew.
    #[must_use]
    pub fn decide(&self, request: &AuthzRequest<'_>) -> Decision {
        self.at(request.now).decide_here(request.principal, request)
    }

    /// What would be decided if everything on trial acted, where that is something else.
    #[must_use]
    pub fn rehearse(&self, request: &AuthzRequest<'_>, decision: &Decision) -> Option<Rehearsal> {
        let to_come = self.to_come(request.now)?;
        let prepared = request.principal.to_come.as_deref().unwrap_or(request.principal);
        let would = to_come.decide_here(prepared, request);
        (would.outcome() != decision.outcome()).then(|| {
            let rule = would.rules.iter().map(|rule| &**rule).collect::<Vec<_>>().join(", ");
            let reason = would.denial.map(Denial::reason);
            Rehearsal { policy: self.tried_in(&would, request.now), rule, outcome: would.outcome(), reason }
        })
    }

    /// The manifest on trial that makes the difference, where it can be told. One of so many as there are manifests.
    fn tried_in(&self, would: &Decision, now: i64) -> Arc<str> {
        let left: Vec<&Arc<str>> = self.later.iter().filter(|l| l.from > now).flat_map(|l| &l.manifests).collect();
        let of = |name: &&&Arc<str>| {
            would.rules.iter().any(|rule| rule.strip_prefix(&****name).is_some_and(|rest| rest.starts_with(' ')))
        };
        match left[..] {
            [only] => Arc::clone(only),
            _ => left.iter().find(of).map_or_else(|| Arc::from("several"), |name| Arc::clone(name)),
        }
    }

    fn decide_here(&self, prepared: &PreparedPrincipal, request: &AuthzRequest<'_>) -> Decision {
        if self.made(prepared) && prepared.is_valid(request.now) {
            self.decide_for(prepared, request)
        } else {
            self.decide_for(&self.prepare_here(prepared.principal(), request.now), request)
        }
    }

    fn decide_for(&self, prepared: &PreparedPrincipal, request: &AuthzRequest<'_>) -> Decision {
        if !self.same_tenant(prepared.principal(), request.tenant) {
            return Decision::deny(Denial::OtherTenant, TENANT_GUARD);
        }
        if let Some(error) = &prepared.error {
            return Decision::error(error.clone());
        }
        if let Some((a, b)) = &prepared.conflict {
            let denied = Decision::deny(Denial::ExclusiveRoles, EXCLUSIVE_ROLES);
            return Decision { error: Some(format!("`{a}` and `{b}` are exclusive and both held")), ..denied };
        }
        let (resource, store) = match self.resource(prepared, request) {
            Ok(found) => found,
            Err(denied) => return *denied,
        };
        let store = store.as_ref().unwrap_or(&prepared.entities);
        let (mut rules, mut bindings, mut exceptions) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let mut refused: Option<Decision> = None;
        for party in &prepared.parties {
            let decision = self.judge(party, request, &resource, store).unwrap_or_else(Decision::from);
            match (decision.is_allowed(), refused.take()) {
                (true, before) => refused = before,
                // What one of them could do about it is worth telling only where the other is not refused for good.
                (false, before) if decision.ask.is_some() => refused = Some(decision.clone().after(before)),
                (false, _) => return decision,
            }
            rules.extend(decision.rules);
            bindings.extend(decision.bindings);
            exceptions.extend(decision.exceptions);
        }
        if prepared.parties.is_empty() {
            return Decision::error("no principal was prepared".to_owned());
        }
        if let Some(refused) = refused {
            return refused;
        }
        let (bindings, exceptions) = (bindings.into_iter().collect(), exceptions.into_iter().collect());
        Decision { bindings, exceptions, ..Decision::of(None, rules.into_iter().collect()) }
    }

    /// Without Cedar, so that no policy and no error of one can let a tenant through to another.
    pub(super) fn same_tenant(&self, principal: &Principal, asked: Option<&str>) -> bool {
        let own = match &self.facts.tenant {
            Tenancy::Off => true,
            Tenancy::Unlabelled => false,
            Tenancy::PerRequest => asked.is_some_and(|tenant| !tenant.is_empty() && principal.tenant == tenant),
            Tenancy::Of(tenant) => !tenant.is_empty() && principal.tenant == *tenant,
        };
        own && principal.on_behalf_of.as_ref().is_none_or(|user| user.tenant == principal.tenant)
    }

    /// The resource, and the store with it where it is not in the prepared one.
    pub(super) fn resource(
        &self,
        prepared: &PreparedPrincipal,
        request: &AuthzRequest<'_>,
    ) -> Result<(EntityUid, Option<Entities>), Box<Decision>> {
        match (ResourceKind::of(request.action), request.resource) {
            (ResourceKind::Route, ResourceRef::Route) => Ok((self.names.route(&self.facts.route), None)),
            (ResourceKind::Model, ResourceRef::Model { name, vendor }) if request.ai.is_some() => {
                let tenant = request.tenant.unwrap_or(self.facts.tenant.as_str());
                let model = entities::model(&self.names, &self.facts, tenant, name, vendor)?;
                let store = entities::add(prepared.entities.clone(), [model])?;
                Ok((self.names.model(name), Some(store)))
            }
            _ => Err(Box::new(Decision::error(format!("`{}` was asked of something else", request.action.as_str())))),
        }
    }

    fn judge<'p>(
        &self,
        party: &'p Party,
        request: &AuthzRequest<'_>,
        resource: &EntityUid,
        store: &Entities,
    ) -> Result<Decision, Broken> {
        let parts = party.parts.get(&request.action).map(Vec::as_slice).unwrap_or_default();
        let needs = parts.iter().fold(ContextParts::default(), |needs, part| needs.union(part.needs));
        let question = Request::new(
            party.uid.clone(),
            self.names.action(request.action)?.clone(),
            resource.clone(),
            context(request, &party.authn, needs)?,
            None,
        )
        .map_err(|e| Broken::new("request", e))?;
        let verdict =
            self.weigh(parts, request, |set| self.cedar.is_authorized(&question, set, store), |part| &part.set);
        let Some(asks) = self.asks(&verdict) else {
            let bindings = self.bindings(&verdict.permits, party);
            let decision = self.conclude(verdict);
            return Ok(if decision.is_allowed() { Decision { bindings, ..decision } } else { decision });
        };
        // Off the way of what is permitted: would it be, without those rules?
        let without = |part: &'p Part| part.otherwise.as_ref().unwrap_or(&part.set);
        let otherwise = self.weigh(parts, request, |set| self.cedar.is_authorized(&question, set, store), without);
        let permitted = self.conclude(otherwise).is_allowed();
        Ok(Decision { ask: asks.filter(|_| permitted), ..self.conclude(verdict) })
    }

    fn weigh<'p>(
        &self,
        parts: &'p [Arc<Part>],
        request: &AuthzRequest<'_>,
        ask: impl Fn(&PolicySet) -> Response,
        set: impl Fn(&'p Part) -> &'p PolicySet,
    ) -> Verdict {
        let mut verdict = Verdict::default();
        for part in parts {
            if self.applies(part, &verdict, request) {
                verdict.add(part, &ask(set(part)));
            }
        }
        verdict
    }

    /// What a caller can do about the forbids that matched: something only where all of them say something.
    #[expect(
        clippy::option_option,
        reason = "not all of them say something, or they say things that exclude each other"
    )]
    fn asks(&self, verdict: &Verdict) -> Option<Option<OnDeny>> {
        if verdict.forbids.is_empty() || !verdict.errors.is_empty() {
            return None;
        }
        let of = |id: &String| self.on_deny_of.get(id.parse::<usize>().ok()?)?.as_deref();
        let all: Vec<&OnDeny> = verdict.forbids.iter().map(of).collect::<Option<_>>()?;
        Some(challenge::together(all))
    }

    /// A part that depends on the path or on an exception only permits: once there is a permit it can add nothing.
    fn applies(&self, part: &Part, verdict: &Verdict, request: &AuthzRequest<'_>) -> bool {
        let adds = verdict.permits.is_empty();
        let here = |paths: &Arc<[PathGlob]>| adds && paths.iter().any(|path| path.matches(request.http.path));
        let now = |waived: &Waived| adds && !waived.has_ended(request.now);
        part.paths.as_ref().is_none_or(here) && part.waived.as_ref().is_none_or(now)
    }

    fn conclude(&self, verdict: Verdict) -> Decision {
        if let Some(error) = verdict.errors.first() {
            return Decision::error(error.clone());
        }
        let (denial, ids) = match (verdict.forbids.is_empty(), verdict.permits.is_empty()) {
            (false, _) => (Denial::Forbidden, verdict.forbids),
            (true, false) => {
                let (rules, exceptions) = (self.rules(verdict.permits), verdict.exceptions);
                return Decision { exceptions, ..Decision::of(None, rules) };
            }
            (true, true) => return Decision::deny(Denial::DefaultDeny, DEFAULT_DENY),
        };
        let rules = self.rules(ids);
        let denial = if rules.iter().any(|rule| &**rule == TENANT_GUARD) { Denial::OtherTenant } else { denial };
        Decision::of(Some(denial), rules)
    }

    /// The bindings that give `party` the roles which the policies behind `permits` are for.
    fn bindings(&self, permits: &[String], party: &Party) -> Vec<Arc<str>> {
        if party.through.is_empty() {
            return Vec::new();
        }
        let roles: Vec<&Arc<[String]>> = permits
            .iter()
            .filter_map(|id| self.roles_of.get(id.parse::<usize>().ok()?))
            .filter(|roles| !roles.is_empty())
            .collect();
        let gives = |role: &str| roles.iter().any(|of| of.iter().any(|name| name == role));
        party.through.iter().filter(|(role, _)| gives(role)).map(|(_, binding)| Arc::clone(binding)).collect()
    }

    /// The rules behind ids of policies, each once.
    fn rules(&self, ids: Vec<String>) -> Vec<Arc<str>> {
        let rule = |id: String| id.parse().ok().and_then(|at: usize| self.rule_of.get(at).cloned());
        ids.into_iter().filter_map(rule).collect::<BTreeSet<_>>().into_iter().collect()
    }
}

/// What the parts say together: the same as one set of all of them would.
#[derive(Debug, Default)]
struct Verdict {
    permits: Vec<String>,
    forbids: Vec<String>,
    errors: Vec<String>,
    exceptions: Vec<Waived>,
}

impl Verdict {
    fn add(&mut self, part: &Part, response: &Response) {
        // Cedar skips a policy that fails, forbids too: a failure must not be less than a match.
        self.errors.extend(response.diagnostics().errors().map(ToString::to_string));
        let into = match response.decision() {
            CedarDecision::Allow => {
                self.exceptions.extend(part.waived.clone());
                &mut self.permits
            }
            CedarDecision::Deny => &mut self.forbids,
        };
        into.extend(response.diagnostics().reason().map(ToString::to_string));
    }
}
