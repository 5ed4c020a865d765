//! May they? The rules and roles of one route, as Cedar policies, and the decision over them.
//!
//! Any forbid wins, else any permit, else deny. A policy that cannot be evaluated denies. An Agent that acts for a User
//! needs a permit for both. What crosses tenants is denied before any policy is asked, and again by one.

mod compile;
mod decide;
mod entities;
mod expression;
mod permissions;
mod request;
mod roles;
mod rules;
mod slices;
#[cfg(test)]
mod tests;
mod validate;
mod vocabulary;
mod weigh;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cedar_policy::Entities;
use postern_config::{Authz, AuthzTrial, Code, Dialect, OnDeny, Position, PrincipalType, Report};

use crate::Principal;
use compile::{Builder, Compiled, Source};
use decide::Party;
pub use decide::{Decision, Denial, Rehearsal};
pub(crate) use request::age_seconds;
pub use request::{AiFacts, AuthzRequest, HttpFacts, NetFacts, ResourceRef};
pub use roles::RoleSet;
use roles::RoleTable;
use slices::Slices;
use vocabulary::{Broken, Vocabulary};
pub use weigh::{Considered, Outcome, Weighing};

/// What the rules of a route are compiled against.
#[derive(Debug, Clone)]
pub struct RouteFacts {
    pub route: String,
    pub gateway: String,
    /// Tags of the Route entity.
    pub labels: BTreeMap<String, String>,
    pub tenant: Tenancy,
    pub dialect: Dialect,
    /// Whether a detector of the route sets `context.risk`.
    pub sets_risk: bool,
    /// Whether a detector of the route sets `context.ai.dataClass`.
    pub sets_data_class: bool,
    /// Whether any compliance mode is declared.
    pub sets_compliance: bool,
    /// Every tenant that a provider of the route may assert.
    pub tenants: Vec<String>,
}

/// Whose resources a route leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tenancy {
    /// No manifest of the route speaks of tenants: they are not compared.
    Off,
    /// This tenant's, and nobody else's. An empty name is nobody's.
    Of(String),
    /// That of each request, which says it: [`AuthzRequest::tenant`].
    PerRequest,
    /// Tenants are compared and the route names none: nobody's, so nobody passes.
    Unlabelled,
}

impl Tenancy {
    fn as_str(&self) -> &str {
        match self {
            Self::Of(tenant) => tenant,
            Self::Off | Self::PerRequest | Self::Unlabelled => "",
        }
    }
}

/// Decides for one route. Immutable; a reload makes another one.
#[derive(Debug)]
pub struct Authorizer {
    facts: RouteFacts,
    names: Vocabulary,
    roles: RoleTable,
    slices: Slices,
    sources: Vec<Source>,
    /// The rule behind each policy, by the policy's number.
    rule_of: Vec<Arc<str>>,
    /// The roles that each policy is for, by the policy's number.
    roles_of: Vec<Arc<[String]>>,
    /// What a caller can do about each policy, by the policy's number.
    on_deny_of: Vec<Option<Arc<OnDeny>>>,
    base: Entities,
    /// As `base`, with the route of each tenant, where requests say which.
    by_tenant: BTreeMap<String, Entities>,
    cedar: cedar_policy::Authorizer,
    /// Tells principals prepared here from those prepared elsewhere.
    identity: Arc<()>,
    /// What takes its place, and from which unix millisecond on, in that order.
    later: Vec<Later>,
}

#[derive(Debug)]
struct Later {
    from: i64,
    authorizer: Authorizer,
    /// Manifests that begin to act then.
    manifests: Vec<Arc<str>>,
}

/// A principal as the authorizer of one route sees it. Worth keeping as long as its credential: making one costs tens of
/// microseconds, using it none.
#[derive(Debug)]
pub struct PreparedPrincipal {
    principal: Arc<Principal>,
    made_by: Arc<()>,
    /// The caller first, then the User it acts for. Each needs a permit.
    parties: Vec<Party>,
    entities: Entities,
    conflict: Option<(Arc<str>, Arc<str>)>,
    /// Unix milliseconds from which the roles may be others.
    until: Option<i64>,
    /// Why nothing can be decided for this principal.
    error: Option<String>,
    /// The same for what is on trial.
    to_come: Option<Box<PreparedPrincipal>>,
}

impl PreparedPrincipal {
    #[must_use]
    pub fn principal(&self) -> &Arc<Principal> {
        &self.principal
    }

    /// Whether the roles are still those at `now` (unix milliseconds). An invalid one may still be used: the authorizer
    /// then prepares it again, each time.
    #[must_use]
    pub fn is_valid(&self, now: i64) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

impl Authorizer {
    /// Compiles the roles and rules of a route. Every problem goes into `report`: PV-020, PV-021 and PV-024. `None` where
    /// there was an error among them.
    #[must_use]
    pub fn compile(authz: &Authz, facts: &RouteFacts, report: &mut Report) -> Option<Self> {
        let mut own = Report::new();
        let made = Self::build(authz, facts, &mut own);
        let failed = own.has_errors();
        report.extend(own);
        match made {
            Ok(made) => (!failed).then_some(made),
            Err(broken) => {
                let position = Position { file: Arc::from(format!("route {}", facts.route)), line: 1, column: 1 };
                report.error(Code(21), &position, "", broken.chain(), "this is a fault of ours: please report it");
                None
            }
        }
    }

    fn build(authz: &Authz, facts: &RouteFacts, report: &mut Report) -> Result<Self, Broken> {
        let names = Vocabulary::new()?;
        let schema = vocabulary::schema(authz, facts)?;
        let (policies, sources, reads_action) = policies(&names, authz, facts, report)?;
        let base = entities::base(&names, facts, facts.tenant.as_str(), &schema, reads_action)?;
        let mut by_tenant = BTreeMap::new();
        for tenant in facts.tenants.iter().filter(|_| facts.tenant == Tenancy::PerRequest) {
            by_tenant.insert(tenant.clone(), entities::base(&names, facts, tenant, &schema, reads_action)?);
        }
        validate::validate(schema, &policies, &sources, report)?;
        let of = || policies.iter().filter_map(|policy| sources.get(policy.source));
        let rule_of = of().map(|source| Arc::clone(&source.id)).collect();
        let roles_of = of().map(|source| Arc::from(source.roles.as_slice())).collect();
        Ok(Self {
            facts: facts.clone(),
            slices: Slices::new(&names, &policies)?,
            roles: RoleTable::new(authz),
            names,
            sources,
            rule_of,
            roles_of,
            on_deny_of: policies.iter().map(|policy| policy.on_deny.clone()).collect(),
            base,
            by_tenant,
            cedar: cedar_policy::Authorizer::new(),
            identity: Arc::new(()),
            later: Vec::new(),
        })
    }

    /// As [`Authorizer::compile`], with what is on trial: it decides nothing until its moment, and then without a reload.
    #[must_use]
    pub fn compile_with(authz: &Authz, trials: &[AuthzTrial], facts: &RouteFacts, report: &mut Report) -> Option<Self> {
        let first = Self::compile(authz, facts, report);
        let later: Option<Vec<Later>> = trials
            .iter()
            .map(|trial| {
                let authorizer = Self::compile(&trial.authz, facts, report)?;
                let manifests = trial.manifests.iter().map(|name| Arc::from(name.as_str())).collect();
                Some(Later { from: trial.from.saturating_mul(1000), authorizer, manifests })
            })
            .collect();
        Some(Self { later: later?, ..first? })
    }

    /// What decides at `now` (unix milliseconds).
    fn at(&self, now: i64) -> &Self {
        self.later.iter().rev().find(|later| later.from <= now).map_or(self, |later| &later.authorizer)
    }

    /// What will decide once everything on trial acts; nothing where nothing is left on trial.
    fn to_come(&self, now: i64) -> Option<&Self> {
        self.later.last().filter(|later| later.from > now).map(|later| &later.authorizer)
    }

    /// Rules and roles with an action that the route's dialect can ask for. One that is in no route's list can match
    /// nothing where it is attached.
    pub fn rules_in_reach(&self) -> impl Iterator<Item = &str> {
        let reachable = |source: &&Source| source.actions.iter().any(|a| rules::asks_for(self.facts.dialect, *a));
        self.sources.iter().filter(|source| source.origin.is_some()).filter(reachable).map(|source| &*source.id)
    }

    /// The roles `principal` holds at `now` (unix milliseconds).
    #[must_use]
    pub fn roles_of(&self, principal: &Principal, now: i64) -> RoleSet {
        self.roles.roles_of(principal, now)
    }

    /// Makes what every decision for `principal` shares. `now` in unix milliseconds.
    #[must_use]
    pub fn prepare(&self, principal: &Arc<Principal>, now: i64) -> PreparedPrincipal {
        let mut prepared = self.at(now).prepare_here(principal, now);
        // The next one has other roles and rules.
        let next = self.later.iter().map(|later| later.from).find(|from| *from > now);
        prepared.until = prepared.until.into_iter().chain(next).min();
        prepared.to_come = self.to_come(now).map(|to_come| Box::new(to_come.prepare_here(principal, now)));
        prepared
    }

    fn prepare_here(&self, principal: &Arc<Principal>, now: i64) -> PreparedPrincipal {
        let mut prepared = PreparedPrincipal {
            principal: Arc::clone(principal),
            made_by: Arc::clone(&self.identity),
            parties: Vec::new(),
            entities: Entities::empty(),
            conflict: None,
            until: None,
            error: None,
            to_come: None,
        };
        if let Err(error) = self.fill(&mut prepared, now) {
            prepared.parties.clear();
            prepared.error = Some(error);
        }
        prepared
    }

    fn fill(&self, prepared: &mut PreparedPrincipal, now: i64) -> Result<(), String> {
        let principal = Arc::clone(&prepared.principal);
        let user = user_of(&principal)?;
        let mut made = Vec::with_capacity(2);
        let user_uid =
            user.map(|user| entities::principal_uid(&self.names, user)).transpose().map_err(|broken| broken.chain())?;
        for (who, behind) in [(Some(&*principal), user_uid.as_ref()), (user, None)] {
            let Some(who) = who else { continue };
            let roles = self.roles.roles_of(who, now);
            made.push(entities::principal(&self.names, who, &roles.roles, behind).map_err(|broken| broken.chain())?);
            prepared.parties.push(Party {
                uid: entities::principal_uid(&self.names, who).map_err(|broken| broken.chain())?,
                authn: who.authn.clone(),
                parts: self.slices.select(who.kind, &roles.roles),
                through: roles.through,
            });
            prepared.until = prepared.until.into_iter().chain(roles.until).min();
            prepared.conflict = prepared.conflict.take().or(roles.conflict);
        }
        prepared.entities = entities::add(self.base_of(&principal).clone(), made).map_err(|broken| broken.chain())?;
        Ok(())
    }

    /// What is there on every request that `principal` can pass with: one of its own tenant.
    fn base_of(&self, principal: &Principal) -> &Entities {
        self.by_tenant.get(&principal.tenant).unwrap_or(&self.base)
    }

    fn made(&self, prepared: &PreparedPrincipal) -> bool {
        Arc::ptr_eq(&self.identity, &prepared.made_by)
    }
}

/// Every policy of the route, and whether an expression among them looks at the action.
fn policies(
    names: &Vocabulary,
    authz: &Authz,
    facts: &RouteFacts,
    report: &mut Report,
) -> Result<(Vec<Compiled>, Vec<Source>, bool), Broken> {
    let declared: BTreeSet<&str> = authz.roles.iter().map(|role| role.name.as_str()).collect();
    let mut builder = Builder { names, policies: Vec::new(), sources: Vec::new() };
    if facts.tenant != Tenancy::Off {
        builder.tenant_guard()?;
    }
    for role in &authz.roles {
        permissions::add(&mut builder, role, report)?;
    }
    let mut reads_action = false;
    for rule in &authz.rules {
        reads_action |= rules::add(&mut builder, rule, &declared, facts, report)?.action;
    }
    Ok((builder.policies, builder.sources, reads_action))
}

/// The User an Agent acts for. Any other shape is one that no stage makes, so nothing is decided for it.
fn user_of(principal: &Principal) -> Result<Option<&Principal>, String> {
    let Some(user) = principal.on_behalf_of.as_deref() else {
        return Ok(None);
    };
    let shape = (principal.kind, user.kind, user.on_behalf_of.is_some());
    if shape == (PrincipalType::Agent, PrincipalType::User, false) {
        Ok(Some(user))
    } else {
        Err(format!("{principal} is not an Agent for a User"))
    }
}
