//! Policies in small sets, by who asks for what: a decision looks at a few of them, however many there are.
//!
//! A set that is left out must not be able to matter. For permits that is always safe; a forbid is left out only where
//! its scope says outright that it is about other principals or actions.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use cedar_policy::{ActionConstraint, EntityUid, PolicySet, PrincipalConstraint};
use postern_config::{Action, PrincipalType, Waived};

use super::compile::Compiled;
use super::expression::ContextParts;
use super::vocabulary::{Broken, Vocabulary};
use crate::path::PathGlob;

/// Policies that are evaluated together.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) set: PolicySet,
    /// What the set reads of the context.
    pub(super) needs: ContextParts,
    /// The set counts only for these paths. It then holds permits without a condition, and nothing else.
    pub(super) paths: Option<Arc<[PathGlob]>>,
    /// The set counts only until this exception ends. It then holds permits and nothing else.
    pub(super) waived: Option<Waived>,
    /// The set without the forbids that a caller can do something about, where it has some.
    pub(super) otherwise: Option<PolicySet>,
}

/// What one principal is judged by, for each action.
pub(super) type Parts = HashMap<Action, Vec<Arc<Part>>>;

/// All parts of a route.
#[derive(Debug, Default)]
pub(super) struct Slices {
    by_request: HashMap<(PrincipalType, Action), Bucket>,
}

#[derive(Debug, Default)]
struct Bucket {
    any: Vec<Arc<Part>>,
    by_role: HashMap<Arc<str>, Vec<Arc<Part>>>,
}

/// Who asks for what; without a role, everybody of the type.
type Key = (PrincipalType, Action, Option<Arc<str>>);

/// Where a policy has to be looked at.
struct Place {
    principals: Vec<PrincipalType>,
    /// `None`: by everybody.
    role: Option<Arc<str>>,
    actions: Vec<Action>,
}

impl Slices {
    pub(super) fn new(names: &Vocabulary, policies: &[Compiled]) -> Result<Self, Broken> {
        let mut lists: HashMap<Key, Vec<usize>> = HashMap::new();
        for (at, compiled) in policies.iter().enumerate() {
            let place = place(names, compiled);
            for principal in &place.principals {
                for action in &place.actions {
                    let list = lists.entry((*principal, *action, place.role.clone())).or_default();
                    if list.last() != Some(&at) {
                        list.push(at); // a scope may name one action twice
                    }
                }
            }
        }
        // Most lists are the same for several principal types and actions: one part serves them all.
        let mut made: HashMap<Vec<usize>, Vec<Arc<Part>>> = HashMap::new();
        let mut slices = Self::default();
        for ((principal, action, role), list) in lists {
            let parts = match made.get(&list) {
                Some(parts) => parts.clone(),
                None => {
                    let parts = parts(&list, policies)?;
                    made.insert(list, parts.clone());
                    parts
                }
            };
            let bucket = slices.by_request.entry((principal, action)).or_default();
            match role {
                None => bucket.any = parts,
                Some(role) => drop(bucket.by_role.insert(role, parts)),
            }
        }
        Ok(slices)
    }

    /// The parts for a principal of this type with these roles.
    pub(super) fn select(&self, kind: PrincipalType, roles: &BTreeSet<Arc<str>>) -> Parts {
        let select = |action| {
            let bucket = self.by_request.get(&(kind, action))?;
            let by_role = roles.iter().filter_map(|role| bucket.by_role.get(role)).flatten();
            let mut parts: Vec<Arc<Part>> = bucket.any.iter().chain(by_role).cloned().collect();
            // What depends on the path only permits, and is asked late; what needs an exception is asked last.
            parts.sort_by_key(|part| (part.waived.is_some(), part.paths.is_some()));
            Some((action, parts))
        };
        Action::ALL.into_iter().filter_map(select).collect()
    }
}

/// Reads the scope back from the policy itself, not from what it was made of.
fn place(names: &Vocabulary, compiled: &Compiled) -> Place {
    let all = || PrincipalType::ALL.to_vec();
    let (principals, role) = match compiled.policy.principal_constraint() {
        PrincipalConstraint::Any | PrincipalConstraint::Eq(_) => (all(), None),
        PrincipalConstraint::In(group) => (all(), role(names, &group)),
        PrincipalConstraint::Is(kind) => (names.principal_kind(&kind).map_or_else(all, |kind| vec![kind]), None),
        PrincipalConstraint::IsIn(kind, group) => {
            (names.principal_kind(&kind).map_or_else(all, |kind| vec![kind]), role(names, &group))
        }
    };
    let every = || Action::ALL.to_vec();
    let actions = match compiled.policy.action_constraint() {
        ActionConstraint::Any => every(),
        ActionConstraint::Eq(action) => names.action_kind(&action).map_or_else(every, |action| vec![action]),
        // A group among them is not one of ours to resolve: then it is every action.
        ActionConstraint::In(actions) => {
            actions.iter().map(|action| names.action_kind(action)).collect::<Option<_>>().unwrap_or_else(every)
        }
    };
    Place { principals, role, actions }
}

fn role(names: &Vocabulary, group: &EntityUid) -> Option<Arc<str>> {
    names.role_name(group).map(Arc::from)
}

/// One part for all policies that hold everywhere, and one for each list of paths and each exception.
fn parts(list: &[usize], policies: &[Compiled]) -> Result<Vec<Arc<Part>>, Broken> {
    let mut parts: Vec<Part> = Vec::new();
    for compiled in list.iter().filter_map(|at| policies.get(*at)) {
        let at = match parts.iter().position(|part| part.paths == compiled.paths && part.waived == compiled.waived) {
            Some(at) => at,
            None => {
                let needs = ContextParts::default();
                let (paths, waived) = (compiled.paths.clone(), compiled.waived.clone());
                parts.push(Part { set: PolicySet::new(), needs, paths, waived, otherwise: None });
                parts.len() - 1
            }
        };
        if let Some(part) = parts.get_mut(at) {
            if compiled.on_deny.is_some() && part.otherwise.is_none() {
                part.otherwise = Some(part.set.clone());
            } else if let (Some(otherwise), None) = (&mut part.otherwise, &compiled.on_deny) {
                otherwise.add(compiled.policy.clone()).map_err(|e| Broken::new("slice", e))?;
            }
            part.set.add(compiled.policy.clone()).map_err(|e| Broken::new("slice", e))?;
            part.needs = part.needs.union(compiled.needs);
        }
    }
    Ok(parts.into_iter().map(Arc::new).collect())
}
