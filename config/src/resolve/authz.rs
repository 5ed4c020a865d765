//! RBACPolicy and AccessControlPolicy: roles with what they inherit, bindings and rules, still to be compiled.

use std::collections::{BTreeMap, BTreeSet};

use super::attach::{Attachments, Place, listed, of};
use super::{challenge, subjects};
use crate::decode::At;
use crate::manifest::{self, ActionWord, Kind, Manifest};
use crate::values::Name;
use crate::{
    Action, Authz, Binding, Code, Effect, Expression, Permission, PrincipalType, Provider, Report, Role, Rule,
    RuleOrigin, Subject, Waived, Waiver,
};

const PV_TARGET: Code = Code(4);
const PV_CONFLICT: Code = Code(5);
const PV_WIDE: Code = Code(22);
const PV_ROLES: Code = Code(23);
const PV_BLIND: Code = Code(25);

/// `providers` are those of the route, or `None` where they could not be resolved.
pub(super) fn merge(
    attached: &Attachments<'_>,
    route: usize,
    providers: Option<&[Provider]>,
    now: i64,
    report: &mut Report,
) -> Authz {
    let mut authz = Authz::default();
    let roles = roles(attached, route, report);
    for (_, manifest, policy) in of!(attached.on_route(route), RbacPolicy) {
        bindings(&mut authz, manifest, policy, &roles, report);
        exclusive(&mut authz, policy, &roles, report);
        subjects::check_ambiguous(policy, providers.unwrap_or_default(), report);
        subjects::warn_of_ended(policy, now, report);
    }
    authz.roles = fold(&roles, attached, report);
    authz.exclusive.sort();
    authz.exclusive.dedup();
    check_exclusive(&authz, attached, route, report);
    for (place, manifest, policy) in of!(attached.on_route(route), AccessControlPolicy) {
        for rule in &policy.rules.value {
            let mut waived = None;
            if rule.effect.value == Effect::Permit {
                waived = check_wide(attached, place, &rule.actions.value, report);
            }
            authz.rules.extend(rule_of(manifest, rule, &roles, report).map(|made| Rule { waived, ..made }));
        }
    }
    authz
}

/// The roles of a route by name, and whether there may be more that could not be read.
struct Roles<'m> {
    /// With the most specific place that grants it: what a route grants of its own does not hang on the gateway.
    by_name: BTreeMap<&'m str, (Place, &'m Manifest, &'m At<manifest::Role>)>,
    may_miss: bool,
}

impl Roles<'_> {
    /// Reports a role that nobody declares.
    fn check(&self, name: &At<Name>, report: &mut Report) -> bool {
        let known = self.by_name.contains_key(name.as_str());
        if !known && !self.may_miss {
            let names: Vec<&str> = self.by_name.keys().copied().collect();
            let message = format!("no RBACPolicy on the same route declares role `{}`", name.as_str());
            name.error(report, PV_TARGET, message, format!("the roles are {}", listed(&names)));
        }
        known
    }
}

fn roles<'m>(attached: &Attachments<'m>, route: usize, report: &mut Report) -> Roles<'m> {
    let mut roles = Roles { by_name: BTreeMap::new(), may_miss: attached.may_miss(Kind::RbacPolicy) };
    for (place, manifest, policy) in of!(attached.on_route(route), RbacPolicy) {
        for role in &policy.roles {
            match roles.by_name.get_mut(role.name.as_str()) {
                Some((narrowest, other, same)) => {
                    *narrowest = (*narrowest).max(place);
                    if plain(same) != plain(role) {
                        let message = format!("role `{}` is defined differently by {}", role.name.as_str(), other.id);
                        role.name.error(report, PV_CONFLICT, message, "rename one of them");
                    }
                }
                None => {
                    roles.by_name.insert(role.name.as_str(), (place, manifest, role));
                }
            }
            for permission in &role.permissions {
                check_wide(attached, place, &permission.actions.value, report);
            }
        }
    }
    roles
}

/// Actions, and resources where they are written: absent means every resource, an empty list none.
type PlainPermission<'m> = (Vec<Action>, Option<Vec<&'m str>>);

/// A role without its positions.
fn plain(role: &manifest::Role) -> (Vec<&str>, Vec<PlainPermission<'_>>) {
    let permissions = role.permissions.iter().map(|permission| {
        let resources = permission.resources.as_ref().map(|globs| globs.iter().map(|glob| glob.as_str()).collect());
        (actions(&permission.actions.value), resources)
    });
    (role.inherits.iter().map(|name| name.as_str()).collect(), permissions.collect())
}

/// A grant of everything that executes or modifies belongs on a route, not on the whole gateway, but for an exception.
fn check_wide(
    attached: &Attachments<'_>,
    place: Place,
    actions: &[At<ActionWord>],
    report: &mut Report,
) -> Option<Waived> {
    if place != Place::Gateway {
        return None;
    }
    let mut waived = None;
    let granted: BTreeSet<Action> = actions.iter().flat_map(|word| word.actions()).collect();
    for group in ["execute", "modify"] {
        let whole = Action::ALL.into_iter().filter(|action| action.group() == group).all(|a| granted.contains(&a));
        if let (true, Some(first)) = (whole, actions.first()) {
            waived = attached.waive(Waiver::WideGrant, place, || {
                let message = format!("permits every `{group}` action on the whole gateway");
                let help =
                    format!("attach the manifest to the routes it is for, or name single actions instead of `{group}`");
                first.error(report, PV_WIDE, message, help);
            });
        }
    }
    waived
}

/// Roles with everything they inherit, found without recursion so that a cycle ends.
fn fold(roles: &Roles<'_>, attached: &Attachments<'_>, report: &mut Report) -> Vec<Role> {
    let mut folded = Vec::new();
    for (name, (place, manifest, role)) in &roles.by_name {
        let mut includes: BTreeSet<&str> = BTreeSet::new();
        let mut open: Vec<&str> = role.inherits.iter().map(|parent| parent.as_str()).collect();
        while let Some(parent) = open.pop() {
            if let (true, Some((_, _, parent))) = (includes.insert(parent), roles.by_name.get(parent)) {
                open.extend(parent.inherits.iter().map(|name| name.as_str()));
            }
        }
        for parent in &role.inherits {
            roles.check(parent, report);
        }
        if includes.contains(name) {
            let message = format!("role `{name}` inherits itself");
            role.name.error(report, PV_ROLES, message, "break the cycle of `inherits`");
        }
        folded.push(Role {
            name: (*name).to_owned(),
            includes: includes.into_iter().filter(|parent| parent != name).map(str::to_owned).collect(),
            permissions: role
                .permissions
                .iter()
                .filter_map(|permission| {
                    let waived = check_wide(attached, *place, &permission.actions.value, report);
                    permission_of(permission, report).map(|made| Permission { waived, ..made })
                })
                .collect(),
            origin: origin(manifest, &role.name),
        });
    }
    folded
}

/// `None` for a permission on nothing: in the snapshot an empty list means everything.
fn permission_of(permission: &manifest::Permission, report: &mut Report) -> Option<Permission> {
    let resources = match &permission.resources {
        Some(globs) if globs.is_empty() => {
            let help = "name some, or leave the field out to permit the actions on everything they apply to";
            globs.error(report, PV_BLIND, "`resources` is empty, so nothing is permitted", help);
            return None;
        }
        Some(globs) => globs.iter().map(|glob| glob.as_str().to_owned()).collect(),
        None => Vec::new(),
    };
    Some(Permission { actions: actions(&permission.actions.value), resources, waived: None })
}

fn actions(words: &[At<ActionWord>]) -> Vec<Action> {
    let all: BTreeSet<Action> = words.iter().flat_map(|word| word.actions()).collect();
    all.into_iter().collect()
}

fn bindings(
    authz: &mut Authz,
    manifest: &Manifest,
    policy: &manifest::RbacPolicy,
    roles: &Roles<'_>,
    report: &mut Report,
) {
    for binding in &policy.bindings {
        roles.check(&binding.role, report);
        authz.bindings.push(Binding {
            name: format!("{}#{}", manifest.id, binding.name.as_str()),
            role: binding.role.as_str().to_owned(),
            subjects: binding.subjects.iter().map(|subject| subject_of(subject)).collect(),
            tenant: binding.tenant.as_ref().map(|tenant| tenant.value.clone()),
            until: binding.until.as_ref().map(|until| until.value.0),
        });
    }
}

fn subject_of(subject: &manifest::Subject) -> Subject {
    Subject {
        kind: subject.kind.value,
        name: subject.name.value.clone(),
        issuer: subject.issuer.as_ref().map(|issuer| issuer.as_str().to_owned()),
    }
}

fn exclusive(authz: &mut Authz, policy: &manifest::RbacPolicy, roles: &Roles<'_>, report: &mut Report) {
    for group in &policy.exclusive {
        for (at, name) in group.iter().enumerate() {
            roles.check(name, report);
            for other in group.iter().skip(at + 1).filter(|other| other.as_str() != name.as_str()) {
                let (a, b) = (name.as_str().min(other.as_str()), name.as_str().max(other.as_str()));
                authz.exclusive.push((a.to_owned(), b.to_owned()));
            }
        }
    }
}

/// One subject bound to two roles that exclude each other could never do anything, nor could who holds a role that
/// includes both.
fn check_exclusive(authz: &Authz, attached: &Attachments<'_>, route: usize, report: &mut Report) {
    let includes = |held: &str, role: &str| {
        held == role || authz.roles.iter().any(|r| r.name == held && r.includes.iter().any(|i| i == role))
    };
    let all: Vec<&manifest::Binding> = of!(attached.on_route(route), RbacPolicy)
        .flat_map(|(_, _, policy)| policy.bindings.iter().map(|binding| &binding.value))
        .collect();
    for (a, b) in &authz.exclusive {
        for role in authz.roles.iter().filter(|role| includes(&role.name, a) && includes(&role.name, b)) {
            let RuleOrigin { position, pointer, .. } = &role.origin;
            let message = format!("role `{}` includes `{a}` and `{b}`, which exclude each other", role.name);
            report.error(PV_ROLES, position, pointer.clone(), message, "inherit one of them");
        }
        for first in all.iter().filter(|binding| includes(binding.role.as_str(), a)) {
            let second =
                all.iter().filter(|binding| includes(binding.role.as_str(), b) && !other_tenant(first, binding));
            for subject in second.flat_map(|second| second.subjects.iter()) {
                if first.subjects.iter().any(|other| same_subject(other, subject)) {
                    let message =
                        format!("`{}` is bound to `{a}` and `{b}`, which exclude each other", subject.name.value);
                    subject.error(report, PV_ROLES, message, "remove one of the bindings");
                }
            }
        }
    }
}

/// A principal has one tenant.
fn other_tenant(a: &manifest::Binding, b: &manifest::Binding) -> bool {
    matches!((&a.tenant, &b.tenant), (Some(a), Some(b)) if a.value != b.value)
}

/// Without an issuer it is whoever asserts the name.
fn same_subject(a: &manifest::Subject, b: &manifest::Subject) -> bool {
    let issuers = match (&a.issuer, &b.issuer) {
        (Some(a), Some(b)) => a.as_str() == b.as_str(),
        _ => true,
    };
    issuers && a.kind.value == b.kind.value && a.name.value == b.name.value
}

fn rule_of(manifest: &Manifest, rule: &At<manifest::Rule>, roles: &Roles<'_>, report: &mut Report) -> Option<Rule> {
    let mut good = true;
    for role in &rule.roles {
        good &= roles.check(role, report);
    }
    let expression = |written: &Option<At<crate::values::Cedar>>| {
        written.as_ref().map(|text| Expression { text: text.as_str().to_owned(), origin: origin(manifest, text) })
    };
    let principals: BTreeSet<PrincipalType> = rule.principals.iter().map(|kind| kind.value.0).collect();
    good.then(|| Rule {
        name: rule.name.as_str().to_owned(),
        effect: rule.effect.value,
        principals: principals.into_iter().collect(),
        roles: rule.roles.iter().map(|role| role.as_str().to_owned()).collect(),
        actions: actions(&rule.actions.value),
        when: expression(&rule.when),
        unless: expression(&rule.unless),
        on_deny: rule.on_deny.as_ref().map(|on_deny| challenge::on_deny(on_deny)),
        waived: None,
        origin: origin(manifest, &rule.name),
    })
}

fn origin<T>(manifest: &Manifest, at: &At<T>) -> RuleOrigin {
    RuleOrigin { position: at.position.clone(), pointer: at.pointer.clone(), manifest: manifest.id.to_string() }
}
