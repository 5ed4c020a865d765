//! The rules of a route one by one against one request: which match, and what the others miss, in words.
//!
//! This explains a decision, it does not make one: [`Authorizer::decide`] does. A property test holds the two together: it
//! is allowed exactly where every party has a permit that matches, and nobody a forbid.

mod conjuncts;

use std::collections::BTreeSet;
use std::sync::Arc;

use cedar_policy::{Entities, EvalResult, Expression, Request, eval_expression};
use postern_config::{Action, Authz, Binding, Effect, Permission, Role, Rule, RuleOrigin, Subject, SubjectKind};
use serde_json::{Map, Value};

use super::expression::ContextParts;
use super::request::{AuthzRequest, ResourceRef, context};
use super::vocabulary::ResourceKind;
use super::{Authorizer, decide};
use crate::Principal;
use crate::path::PathGlob;
use conjuncts::{attributes, conjuncts};

/// What the rules of a route say to one request.
#[derive(Debug, Clone, Default)]
pub struct Weighing {
    /// Roles of the caller, inherited ones included.
    pub roles: BTreeSet<Arc<str>>,
    /// The caller's first, then those of the User it acts for.
    pub considered: Vec<Considered>,
    /// Why nothing was looked at, where a built-in rule refused before.
    pub before: Option<String>,
}

/// One rule, or one role.
#[derive(Debug, Clone)]
pub struct Considered {
    /// As decisions and records name it.
    pub rule: Arc<str>,
    pub effect: Effect,
    pub origin: RuleOrigin,
    /// It was asked for the User behind the caller.
    pub of_user: bool,
    /// It names the action that the request asks for.
    pub same_action: bool,
    pub outcome: Outcome,
    /// Values of the attributes that its conditions read.
    pub facts: Map<String, Value>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Matches,
    /// Why not, each in a sentence; not empty. `far` is larger the more would have to be otherwise.
    Misses {
        missing: Vec<String>,
        far: u32,
    },
}

impl Considered {
    #[must_use]
    pub fn matches(&self) -> bool {
        self.outcome == Outcome::Matches
    }
}

impl Authorizer {
    /// Every rule and role of `authz`, which this was compiled from, against `request`.
    #[must_use]
    pub fn one_by_one(&self, authz: &Authz, request: &AuthzRequest<'_>) -> Weighing {
        self.at(request.now).weighed(authz, request)
    }

    fn weighed(&self, authz: &Authz, request: &AuthzRequest<'_>) -> Weighing {
        let fresh;
        let mut prepared = request.principal;
        if !self.made(prepared) || !prepared.is_valid(request.now) {
            fresh = self.prepare_here(prepared.principal(), request.now);
            prepared = &fresh;
        }
        let caller = Arc::clone(prepared.principal());
        let mut weighing = Weighing {
            roles: self.roles.roles_of(&caller, request.now).roles,
            considered: Vec::new(),
            before: self.refused_before(prepared, request.tenant),
        };
        if weighing.before.is_some() {
            return weighing;
        }
        let Ok((resource, store)) = self.resource(prepared, request) else { return weighing };
        let store = store.as_ref().unwrap_or(&prepared.entities);
        let people = std::iter::once(&*caller).chain(caller.on_behalf_of.as_deref());
        for (index, (who, party)) in people.zip(&prepared.parties).enumerate() {
            let Ok(action) = self.names.action(request.action) else { continue };
            let Ok(context) = context(request, &party.authn, ContextParts::ALL) else { continue };
            let Ok(question) = Request::new(party.uid.clone(), action.clone(), resource.clone(), context, None) else {
                continue;
            };
            let roles = self.roles.roles_of(who, request.now).roles;
            let asked = Asked { authz, request, who, is_user: index > 0, roles: &roles, question, store };
            weighing.considered.extend(authz.rules.iter().map(|rule| asked.rule(rule)));
            weighing.considered.extend(authz.roles.iter().flat_map(|role| asked.role(role)));
        }
        weighing
    }

    fn refused_before(&self, prepared: &super::PreparedPrincipal, asked: Option<&str>) -> Option<String> {
        let principal = prepared.principal();
        if !self.same_tenant(principal, asked) {
            let user = principal.on_behalf_of.as_deref().map(|user| &user.tenant);
            return Some(match (user.filter(|user| **user != principal.tenant), asked.unwrap_or(self.facts.tenant.as_str())) {
                (Some(user), _) => {
                    format!("the caller is of tenant `{}`, the User it acts for of `{user}`", principal.tenant)
                }
                (None, "") => {
                    "what is asked for is of no tenant, so it is nobody's; `tenancy` says where the tenant comes from".to_owned()
                }
                (None, own) => format!("the caller is of tenant `{}`, the route of `{own}`", principal.tenant),
            });
        }
        let conflict = prepared.conflict.as_ref();
        conflict.map(|(a, b)| format!("the caller holds roles `{a}` and `{b}`, which exclude each other"))
    }
}

/// What a rule missed, piece by piece.
#[derive(Default)]
struct Missing {
    what: Vec<String>,
    far: u32,
    facts: Map<String, Value>,
}

impl Missing {
    fn add(&mut self, far: u32, what: String) {
        self.what.push(what);
        self.far = self.far.saturating_add(far);
    }
}

/// One party of the request.
struct Asked<'a> {
    authz: &'a Authz,
    request: &'a AuthzRequest<'a>,
    who: &'a Principal,
    is_user: bool,
    roles: &'a BTreeSet<Arc<str>>,
    question: Request,
    store: &'a Entities,
}

// How far a rule is from matching.
const ANOTHER_ACTION: u32 = 8;
const ANOTHER_TYPE: u32 = 3;
const NO_ROLE: u32 = 2;
const CONDITION: u32 = 1;

impl Asked<'_> {
    fn caller(&self) -> &'static str {
        if self.is_user { "the User it acts for" } else { "the caller" }
    }

    fn rule(&self, rule: &Rule) -> Considered {
        let mut missing = Missing::default();
        let same_action = self.action(&rule.actions, "the rule", &mut missing);
        if !rule.principals.is_empty() && !rule.principals.contains(&self.who.kind) {
            let types: Vec<&str> = rule.principals.iter().map(|kind| kind.as_str()).collect();
            let what =
                format!("the rule is for {}, {} is {}", types.join(" and "), self.caller(), a(self.who.kind.as_str()));
            missing.add(ANOTHER_TYPE, what);
        }
        if !rule.roles.is_empty() && !rule.roles.iter().any(|role| self.roles.contains(role.as_str())) {
            missing.add(NO_ROLE, self.no_role(&rule.roles));
        }
        if rule.effect == Effect::Permit {
            self.waived(rule.waived.as_ref(), &mut missing);
        }
        if same_action {
            if let Some(when) = &rule.when {
                self.when(&when.text, &mut missing);
            }
            if let Some(unless) = &rule.unless {
                self.unless(&unless.text, &mut missing);
            }
        }
        let id = Arc::from(format!("{} rule {}", rule.origin.manifest, rule.name));
        self.considered(id, rule.effect, &rule.origin, same_action, missing)
    }

    /// One answer for each permission that is about the action, or one for the role.
    fn role(&self, role: &Role) -> Option<Considered> {
        let id: Arc<str> = Arc::from(format!("{} role {}", role.origin.manifest, role.name));
        let weighed = role.permissions.iter().map(|permission| {
            let mut missing = Missing::default();
            let same_action = self.action(&permission.actions, "the permission", &mut missing);
            if !self.roles.contains(role.name.as_str()) {
                missing.add(NO_ROLE, self.no_role(std::slice::from_ref(&role.name)));
            }
            self.waived(permission.waived.as_ref(), &mut missing);
            if same_action {
                self.resources(role, permission, &mut missing);
            }
            (same_action, missing)
        });
        // A role stands or falls as one: the nearest of its permissions speaks for it.
        let (same_action, missing) = weighed.min_by_key(|(_, missing)| missing.far)?;
        Some(self.considered(id, Effect::Permit, &role.origin, same_action, missing))
    }

    fn considered(
        &self,
        rule: Arc<str>,
        effect: Effect,
        origin: &RuleOrigin,
        same_action: bool,
        missing: Missing,
    ) -> Considered {
        let Missing { what, far, facts } = missing;
        let outcome = if what.is_empty() { Outcome::Matches } else { Outcome::Misses { missing: what, far } };
        Considered { rule, effect, origin: origin.clone(), of_user: self.is_user, same_action, outcome, facts }
    }

    fn action(&self, actions: &[Action], what: &str, missing: &mut Missing) -> bool {
        let same = actions.contains(&self.request.action);
        if !same {
            let named: Vec<&str> = actions.iter().map(|action| action.as_str()).collect();
            let asked = self.request.action.as_str();
            missing.add(ANOTHER_ACTION, format!("{what} is for {}, the request asks for {asked}", named.join(", ")));
        }
        same
    }

    fn no_role(&self, roles: &[String]) -> String {
        let names: Vec<String> = roles.iter().map(|role| format!("`{role}`")).collect();
        let gives = |binding: &&Binding| {
            let held = |name: &String| {
                *name == binding.role
                    || self.authz.roles.iter().any(|role| role.name == binding.role && role.includes.contains(name))
            };
            roles.iter().any(held)
        };
        let bindings: Vec<&Binding> = self.authz.bindings.iter().filter(gives).collect();
        let (caller, names) = (self.caller(), names.join(" or "));
        // One that means the caller and gives nothing is nearer than all that mean somebody else.
        let why: Vec<String> = bindings.iter().filter_map(|binding| self.gives_nothing(binding)).collect();
        if !why.is_empty() {
            return format!("{caller} does not hold role {names}: {}", why.join("; "));
        }
        let bound: Vec<String> = bindings.into_iter().map(subjects).collect();
        let bound = if bound.is_empty() { "nobody".to_owned() } else { bound.join("; ") };
        format!("{caller} does not hold role {names}, which {bound} holds")
    }

    /// Why a binding gives nothing to the caller, though it names it.
    fn gives_nothing(&self, binding: &Binding) -> Option<String> {
        let who = self.who;
        let named = |subject: &&Subject| match subject.kind {
            SubjectKind::Group => who.groups.contains(&subject.name),
            SubjectKind::Principal(kind) => kind == who.kind && subject.name == who.subject,
        };
        let subjects: Vec<&Subject> = binding.subjects.iter().filter(named).collect();
        let first = subjects.first()?;
        let of_issuer = |subject: &&Subject| subject.issuer.as_ref().is_none_or(|issuer| *issuer == who.issuer);
        if !subjects.iter().any(of_issuer) {
            let issuer = first.issuer.as_deref().unwrap_or_default();
            let name = &binding.name;
            return Some(format!(
                "binding `{name}` is for those of `{issuer}`, {} is of `{}`",
                self.caller(),
                who.issuer
            ));
        }
        if let Some(tenant) = binding.tenant.as_ref().filter(|tenant| **tenant != who.tenant) {
            let name = &binding.name;
            return Some(format!(
                "binding `{name}` is for tenant `{tenant}`, {} is of `{}`",
                self.caller(),
                who.tenant
            ));
        }
        let ended = binding.until.filter(|until| until.saturating_mul(1000) <= self.request.now)?;
        Some(format!("binding `{}` ended at {}", binding.name, postern_config::values::Time(ended)))
    }

    fn waived(&self, waived: Option<&postern_config::Waived>, missing: &mut Missing) {
        if let Some(over) = waived.filter(|waived| waived.has_ended(self.request.now)) {
            missing.add(CONDITION, over.ended());
        }
    }

    fn resources(&self, role: &Role, permission: &Permission, missing: &mut Missing) {
        let globs = &permission.resources;
        if globs.is_empty() {
            return;
        }
        let (asked, good) = match (ResourceKind::of(self.request.action), self.request.resource) {
            (ResourceKind::Model, ResourceRef::Model { name, .. }) => {
                (name, globs.iter().filter(|glob| !glob.starts_with('/')).any(|glob| is_like(glob, name)))
            }
            _ => {
                let path = self.request.http.path;
                let is_path = |glob: &&String| glob.starts_with('/') || glob.starts_with("**");
                (path, globs.iter().filter(is_path).any(|glob| PathGlob::new(glob).matches(path)))
            }
        };
        if !good {
            let named: Vec<String> = globs.iter().map(|glob| format!("`{glob}`")).collect();
            let what = format!("role `{}` permits it on {}, the request is for `{asked}`", role.name, named.join(", "));
            missing.add(CONDITION, what);
        }
    }

    /// The first part of `text` that does not hold.
    fn when(&self, text: &str, missing: &mut Missing) {
        for part in conjuncts(text) {
            match self.eval(part) {
                Ok(EvalResult::Bool(true)) => {}
                Ok(_) => {
                    let because = self.values(part, missing);
                    return missing.add(CONDITION, format!("`{}` is false{because}", one_line(part)));
                }
                Err(error) => {
                    return missing.add(CONDITION, format!("`{}` cannot be evaluated: {error}", one_line(part)));
                }
            }
        }
        self.values(text, missing);
    }

    fn unless(&self, text: &str, missing: &mut Missing) {
        match self.eval(text) {
            Ok(EvalResult::Bool(false)) => drop(self.values(text, missing)),
            Ok(_) => {
                let because = self.values(text, missing);
                missing.add(CONDITION, format!("`unless` holds: `{}`{because}", one_line(text)));
            }
            Err(error) => missing.add(CONDITION, format!("`{}` cannot be evaluated: {error}", one_line(text))),
        }
    }

    fn eval(&self, text: &str) -> Result<EvalResult, String> {
        let expression: Expression = text.parse().map_err(|error: cedar_policy::ParseErrors| error.to_string())?;
        eval_expression(&self.question, self.store, &expression).map_err(|error| error.to_string())
    }

    /// Notes the values of the attributes that `text` reads, and says them in words.
    fn values(&self, text: &str, missing: &mut Missing) -> String {
        let mut told = Vec::new();
        for name in attributes(text) {
            let Ok(value) = self.eval(&name) else { continue };
            let shown = value.to_string();
            if !matches!(value, EvalResult::Record(_) | EvalResult::EntityUid(_)) {
                told.push(format!("{name} is {shown}"));
                missing.facts.insert(name, as_json(&value));
            }
        }
        if told.is_empty() { String::new() } else { format!(": {}", told.join(", ")) }
    }
}

fn as_json(value: &EvalResult) -> Value {
    match value {
        EvalResult::Bool(value) => Value::from(*value),
        EvalResult::Long(value) => Value::from(*value),
        EvalResult::String(value) => Value::from(value.as_str()),
        EvalResult::Set(items) => items.iter().map(as_json).collect(),
        other => Value::from(other.to_string()),
    }
}

/// Whom a binding names.
fn subjects(binding: &Binding) -> String {
    let subjects: Vec<String> = binding
        .subjects
        .iter()
        .map(|subject| {
            let kind = match subject.kind {
                SubjectKind::Group => "group",
                SubjectKind::Principal(kind) => kind.as_str(),
            };
            format!("{kind} `{}`", subject.name)
        })
        .collect();
    let tenant = binding.tenant.as_ref().map(|tenant| format!(" of tenant `{tenant}`")).unwrap_or_default();
    let until =
        binding.until.map(|until| format!(" until {}", postern_config::values::Time(until))).unwrap_or_default();
    format!("{}{tenant}{until}", subjects.join(", "))
}

/// With its article.
fn a(word: &str) -> String {
    let article = if word.starts_with(['A', 'E', 'I', 'O']) { "an" } else { "a" };
    format!("{article} {word}")
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// As the policy of a permission matches names: a star is any run of characters.
fn is_like(glob: &str, name: &str) -> bool {
    let mut pieces = glob.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let pieces: Vec<&str> = pieces.collect();
    let Some((last, middle)) = pieces.split_last() else { return rest.is_empty() };
    for piece in middle {
        let Some(at) = rest.find(piece) else { return false };
        rest = rest.get(at.saturating_add(piece.len())..).unwrap_or_default();
    }
    rest.ends_with(last)
}

impl Weighing {
    /// The nearest rule that would have permitted, and what it missed; or the forbid that matched.
    #[must_use]
    pub fn nearest(&self) -> Option<(&Considered, Vec<String>)> {
        if let Some(forbid) = self.considered.iter().find(|one| one.effect == Effect::Forbid && one.matches()) {
            let read: Vec<String> = forbid.facts.iter().map(|(name, value)| format!("{name} is {value}")).collect();
            let read = if read.is_empty() { String::new() } else { format!(": {}", read.join(", ")) };
            return Some((forbid, vec![format!("this rule forbids it{read}")]));
        }
        // Whoever of the two has no permit yet is whom one is missing for.
        let lacks = [false, true].into_iter().find(|of_user| {
            let mut own = self.considered.iter().filter(|one| one.of_user == *of_user).peekable();
            own.peek().is_some() && !own.any(|one| one.effect == Effect::Permit && one.matches())
        })?;
        let permits = self.considered.iter().filter(|one| one.of_user == lacks && one.effect == Effect::Permit);
        let missed = permits.filter_map(|one| match &one.outcome {
            Outcome::Misses { missing, far } => Some((one, missing, *far)),
            Outcome::Matches => None,
        });
        missed.min_by_key(|(_, _, far)| *far).map(|(one, missing, _)| (one, missing.clone()))
    }

    /// The rule that speaks where no written one does.
    pub const DEFAULT: &'static str = decide::DEFAULT_DENY;
}
