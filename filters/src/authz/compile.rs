//! Rules and permissions become Cedar policies: built as trees, never as text.

use std::sync::Arc;

use cedar_policy::{EntityUid, Policy, pst};
use pst::{
    ActionConstraint, BinaryOp, Clause, EntityOrSlot, Expr, Literal, PrincipalConstraint, ResourceConstraint, Var,
};

use postern_config::{Action, OnDeny, PrincipalType, RuleOrigin, Waived};

use super::expression::ContextParts;
use super::vocabulary::{Broken, ResourceKind, Vocabulary, pst_type};
use crate::path::PathGlob;

/// One Cedar policy, and what has to be known about it besides.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) policy: Policy,
    /// Index into the sources.
    pub(super) source: usize,
    pub(super) principal: Option<PrincipalType>,
    pub(super) resource: Option<ResourceKind>,
    /// What of the context its conditions read.
    pub(super) needs: ContextParts,
    /// A permit that counts only for these paths. Cedar cannot say where a segment ends, so this is looked at first.
    pub(super) paths: Option<Arc<[PathGlob]>>,
    /// Of a permit: the exception it needs to count.
    pub(super) waived: Option<Waived>,
    /// Of a forbid: what the caller can do about it.
    pub(super) on_deny: Option<Arc<OnDeny>>,
}

/// What a policy was made from.
#[derive(Debug, Clone)]
pub(super) struct Source {
    /// `AccessControlPolicy/default/x rule read-tools`, as decisions and records name it.
    pub(super) id: Arc<str>,
    pub(super) actions: Vec<Action>,
    /// The roles that it is for; empty where it asks for none.
    pub(super) roles: Vec<String>,
    /// `None` for what is built in.
    pub(super) origin: Option<RuleOrigin>,
    pub(super) when: Option<RuleOrigin>,
    pub(super) unless: Option<RuleOrigin>,
}

/// The scope of a policy to be built.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope<'s> {
    pub(super) principal: Option<PrincipalType>,
    pub(super) role: Option<&'s str>,
    /// Not empty, all of one kind.
    pub(super) actions: &'s [Action],
    pub(super) resource: ResourceKind,
    /// The exception it needs to count.
    pub(super) waived: Option<&'s Waived>,
    /// What the caller can do about it.
    pub(super) on_deny: Option<&'s Arc<OnDeny>>,
}

/// Builds policies one after the other, numbering them.
#[derive(Debug)]
pub(super) struct Builder<'v> {
    pub(super) names: &'v Vocabulary,
    pub(super) policies: Vec<Compiled>,
    pub(super) sources: Vec<Source>,
}

impl Builder<'_> {
    /// Adds a source; the policies added next belong to it.
    pub(super) fn source(&mut self, source: Source) {
        self.sources.push(source);
    }

    pub(super) fn policy(
        &mut self,
        effect: pst::Effect,
        scope: Scope<'_>,
        clauses: Vec<Clause>,
        needs: ContextParts,
        paths: Option<Arc<[PathGlob]>>,
    ) -> Result<(), Broken> {
        let names = self.names;
        let mut actions = Vec::with_capacity(scope.actions.len());
        for action in scope.actions {
            actions.push(pst::EntityUID::from(names.action(*action)?.clone()));
        }
        let kind = scope.principal.map(|kind| names.principal_type(kind)).transpose()?.map(pst_type);
        let role = scope.role.map(|role| entity(names.role(role)));
        let principal = match (kind, role) {
            (None, None) => PrincipalConstraint::Any,
            (None, Some(role)) => PrincipalConstraint::In(role),
            (Some(kind), None) => PrincipalConstraint::Is(kind),
            (Some(kind), Some(role)) => PrincipalConstraint::IsIn(kind, role),
        };
        let resource = ResourceConstraint::Is(names.resource_type(scope.resource));
        let policy = self.build(effect, principal, ActionConstraint::In(actions), resource, clauses)?;
        let source = self.sources.len().saturating_sub(1);
        self.policies.push(Compiled {
            policy,
            source,
            principal: scope.principal,
            resource: Some(scope.resource),
            needs,
            paths,
            waived: scope.waived.cloned(),
            on_deny: scope.on_deny.cloned(),
        });
        Ok(())
    }

    /// `forbid` whatever crosses tenants. A principal without a tenant belongs to none, not to all.
    pub(super) fn tenant_guard(&mut self) -> Result<(), Broken> {
        let tenant = |var| Arc::new(Expr::GetAttr { expr: Arc::new(Expr::Var(var)), attr: "tenant".into() });
        let own = binary(BinaryOp::Eq, tenant(Var::Principal), tenant(Var::Resource));
        let some = binary(BinaryOp::NotEq, tenant(Var::Principal), Arc::new(Expr::Literal(Literal::String("".into()))));
        self.source(Source {
            id: Arc::from("built-in tenant-guard"),
            actions: Action::ALL.to_vec(),
            roles: Vec::new(),
            origin: None,
            when: None,
            unless: None,
        });
        let policy = self.build(
            pst::Effect::Forbid,
            PrincipalConstraint::Any,
            ActionConstraint::Any,
            ResourceConstraint::Any,
            vec![Clause::Unless(binary(BinaryOp::And, own, some))],
        )?;
        let source = self.sources.len().saturating_sub(1);
        let needs = ContextParts::default();
        self.policies.push(Compiled {
            policy,
            source,
            principal: None,
            resource: None,
            needs,
            paths: None,
            waived: None,
            on_deny: None,
        });
        Ok(())
    }

    fn build(
        &self,
        effect: pst::Effect,
        principal: PrincipalConstraint,
        action: ActionConstraint,
        resource: ResourceConstraint,
        clauses: Vec<Clause>,
    ) -> Result<Policy, Broken> {
        let id = self.policies.len().to_string();
        let template = pst::Template::new(id.as_str(), effect, principal, action, resource)
            .try_with_clauses(clauses)
            .map_err(|e| Broken::new("policy", e))?;
        let fixed = pst::StaticPolicy::try_from(template).map_err(|e| Broken::new("policy", e))?;
        Policy::from_pst(fixed.into()).map_err(|e| Broken::new("policy", e))
    }
}

/// `resource.name like` one of `globs`. A star of either kind is any run of characters, everything else is itself.
pub(super) fn name_is_like(globs: &[&str]) -> Option<Clause> {
    let name = Arc::new(Expr::GetAttr { expr: Arc::new(Expr::Var(Var::Resource)), attr: "name".into() });
    let mut terms: Vec<Arc<Expr>> =
        globs.iter().map(|glob| Arc::new(Expr::Like { expr: Arc::clone(&name), pattern: pattern(glob) })).collect();
    // Joined in pairs: a list of a thousand names is ten levels deep, not a thousand.
    while terms.len() > 1 {
        terms = terms.chunks(2).filter_map(join).collect();
    }
    terms.pop().map(Clause::When)
}

fn join(pair: &[Arc<Expr>]) -> Option<Arc<Expr>> {
    match pair {
        [left, right] => Some(binary(BinaryOp::Or, Arc::clone(left), Arc::clone(right))),
        [one] => Some(Arc::clone(one)),
        _ => None,
    }
}

fn pattern(glob: &str) -> Vec<pst::PatternElem> {
    let mut pattern: Vec<pst::PatternElem> = Vec::new();
    for c in glob.chars() {
        match (c, pattern.last()) {
            ('*', Some(pst::PatternElem::Wildcard)) => {}
            ('*', _) => pattern.push(pst::PatternElem::Wildcard),
            (c, _) => pattern.push(pst::PatternElem::Char(c)),
        }
    }
    pattern
}

fn binary(op: BinaryOp, left: Arc<Expr>, right: Arc<Expr>) -> Arc<Expr> {
    Arc::new(Expr::BinaryOp { op, left, right })
}

fn entity(uid: EntityUid) -> EntityOrSlot {
    EntityOrSlot::Entity(uid.into())
}

/// `actions` parted by the type of resource they are about, each action once: a group and a member may both be written.
pub(super) fn by_resource(actions: &[Action]) -> Vec<(ResourceKind, Vec<Action>)> {
    let named = |kind| Action::ALL.into_iter().filter(move |a| ResourceKind::of(*a) == kind && actions.contains(a));
    ResourceKind::ALL
        .into_iter()
        .map(|kind| (kind, named(kind).collect::<Vec<_>>()))
        .filter(|(_, actions)| !actions.is_empty())
        .collect()
}
