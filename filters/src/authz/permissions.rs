//! RBACPolicy: the permissions of a role become permits with the role in their scope.

use std::sync::Arc;

use cedar_policy::pst;
use postern_config::{Code, Permission, Report, Role};

use super::compile::{Builder, Scope, Source, by_resource, name_is_like};
use super::expression::ContextParts;
use super::vocabulary::{Broken, ResourceKind};
use crate::path::PathGlob;

/// Adds the permits of `role`.
pub(super) fn add(builder: &mut Builder<'_>, role: &Role, report: &mut Report) -> Result<(), Broken> {
    builder.source(Source {
        id: Arc::from(format!("{} role {}", role.origin.manifest, role.name)),
        actions: role.permissions.iter().flat_map(|p| p.actions.iter().copied()).collect(),
        roles: vec![role.name.clone()],
        origin: Some(role.origin.clone()),
        when: None,
        unless: None,
    });
    for permission in &role.permissions {
        check(role, permission, report);
        for (kind, actions) in by_resource(&permission.actions) {
            let waived = permission.waived.as_ref();
            let scope = Scope {
                principal: None,
                role: Some(&role.name),
                actions: &actions,
                resource: kind,
                waived,
                on_deny: None,
            };
            let (clauses, paths) = match limits(kind, &permission.resources) {
                Limits::All => (Vec::new(), None),
                Limits::Names(clause) => (vec![clause], None),
                Limits::Paths(paths) => (Vec::new(), Some(paths)),
                Limits::Nothing => continue,
            };
            builder.policy(pst::Effect::Permit, scope, clauses, ContextParts::default(), paths)?;
        }
    }
    Ok(())
}

enum Limits {
    All,
    Names(pst::Clause),
    Paths(Arc<[PathGlob]>),
    /// Every glob is about the other type.
    Nothing,
}

/// What `globs` leave of a type. One list may be about models and paths: a path begins with `/`, or with any segments.
fn limits(kind: ResourceKind, globs: &[String]) -> Limits {
    if globs.is_empty() {
        return Limits::All;
    }
    match kind {
        ResourceKind::Model => {
            let names: Vec<&str> = globs.iter().map(String::as_str).filter(|glob| !glob.starts_with('/')).collect();
            name_is_like(&names).map_or(Limits::Nothing, Limits::Names)
        }
        ResourceKind::Route => {
            let paths: Arc<[PathGlob]> = globs.iter().filter(|glob| is_path(glob)).map(|g| PathGlob::new(g)).collect();
            if paths.is_empty() { Limits::Nothing } else { Limits::Paths(paths) }
        }
    }
}

fn is_path(glob: &str) -> bool {
    glob.starts_with('/') || glob.starts_with("**")
}

/// A permission, or a part of one, that can grant nothing was meant otherwise.
fn check(role: &Role, permission: &Permission, report: &mut Report) {
    let kinds: Vec<ResourceKind> = by_resource(&permission.actions).into_iter().map(|(kind, _)| kind).collect();
    if kinds.is_empty() {
        let message = format!("a permission of role `{}` has no actions", role.name);
        report.error(Code(21), &role.origin.position, &role.origin.pointer, message, "name the actions it grants");
    }
    for glob in &permission.resources {
        let possible = kinds.iter().any(|kind| match kind {
            ResourceKind::Route => is_path(glob),
            ResourceKind::Model => !glob.is_empty() && !glob.starts_with('/'),
        });
        if !possible && !kinds.is_empty() {
            let types: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
            let message =
                format!("`{glob}` in a permission of role `{}` matches no {}", role.name, types.join(" and no "));
            let help = "a path begins with `/` or `**`, the name of a model does not begin with `/`";
            report.error(Code(21), &role.origin.position, &role.origin.pointer, message, help);
        }
    }
}
