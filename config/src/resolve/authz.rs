//! RBACPolicy and AccessControlPolicy: roles with what they inherit, bindings and rules, still to be compiled.

use std::collections::{BTreeMap, BTreeSet};

use super::attach::{Attachments, Place, listed, of};
use crate::decode::At;
use crate::manifest::{self, ActionWord, Manifest};
use crate::{
    Action, Authz, Binding, Code, Effect, Expression, Permission, PrincipalType, Report, Role, Rule, RuleOrigin,
    Subject,
};

const PV_TARGET: Code = Code(4);
const PV_CONFLICT: Code = Code(5);
const PV_WIDE: Code = Code(22);
const PV_ROLES: Code = Code(23);

pub(super) fn merge(attached: &Attachments<'_>, route: usize, _now: i64, report: &mut Report) -> Option<Authz> {
    let mut authz = Authz::default();
    let roles = roles(attached, route, report);
    for (_, manifest, policy) in of!(attached.on_route(route), RbacPolicy) {
        bindings(&mut authz, manifest, policy, &roles, report);
        exclusive(&mut authz, policy, &roles, report);
    }
    authz.roles = fold(&roles, report);
    check_exclusive(&authz, attached, route, report);
    for (place, manifest, policy) in of!(attached.on_route(route), AccessControlPolicy) {
        for rule in &policy.rules.value {
            if rule.effect.value == Effect::Permit {
                check_wide(place, &rule.actions.value, report);
            }
            authz.rules.extend(rule_of(manifest, rule, &roles, report));
        }
    }
    Some(authz)
}

type Roles<'m> = BTreeMap<&'m str, (Place, &'m Manifest, &'m At<manifest::Role>)>;

fn roles<'m>(attached: &Attachments<'m>, route: usize, report: &mut Report) -> Roles<'m> {
    let mut roles = Roles::new();
    for (place, manifest, policy) in of!(attached.on_route(route), RbacPolicy) {
        for role in &policy.roles {
            match roles.get(role.name.as_str()) {
                Some((_, other, same)) => {
                    if plain(same) != plain(role) {
                        let message = format!("role `{}` is defined differently by {}", role.name.as_str(), other.id);
                        role.name.error(report, PV_CONFLICT, message, "rename one of them");
                    }
                }
                None => {
                    roles.insert(role.name.as_str(), (place, manifest, role));
                }
            }
            for permission in &role.permissions {
                check_wide(place, &permission.actions.value, report);
            }
        }
    }
    roles
}

/// Actions and resource globs.
type PlainPermission<'r> = (Vec<ActionWord>, Vec<&'r str>);

/// A role without its positions.
fn plain(role: &manifest::Role) -> (Vec<&str>, Vec<PlainPermission<'_>>) {
    let permissions = role.permissions.iter().map(|permission| {
        let actions = permission.actions.iter().map(|action| action.value).collect();
        let resources = permission.resources.iter().flat_map(|globs| globs.iter()).map(|glob| glob.as_str()).collect();
        (actions, resources)
    });
    (role.inherits.iter().map(|name| name.as_str()).collect(), permissions.collect())
}

/// A grant of everything that executes or modifies belongs on a route, not on the whole gateway.
fn check_wide(place: Place, actions: &[At<ActionWord>], report: &mut Report) {
    if place != Place::Gateway {
        return;
    }
    let granted: BTreeSet<Action> = actions.iter().flat_map(|word| word.actions()).collect();
    for group in ["execute", "modify"] {
        let whole = Action::ALL.into_iter().filter(|action| action.group() == group).all(|a| granted.contains(&a));
        if let (true, Some(first)) = (whole, actions.first()) {
            let message = format!("permits every `{group}` action on the whole gateway");
            let help =
                format!("attach the manifest to the routes it is for, or name single actions instead of `{group}`");
            first.error(report, PV_WIDE, message, help);
        }
    }
}

/// Roles with everything they inherit, found without recursion so that a cycle ends.
fn fold(roles: &Roles<'_>, report: &mut Report) -> Vec<Role> {
    let mut folded = Vec::new();
    for (name, (_, manifest, role)) in roles {
        let mut includes: BTreeSet<&str> = BTreeSet::new();
        let mut open: Vec<&str> = role.inherits.iter().map(|parent| parent.as_str()).collect();
        while let Some(parent) = open.pop() {
            if let (true, Some((_, _, parent))) = (includes.insert(parent), roles.get(parent)) {
                open.extend(parent.inherits.iter().map(|name| name.as_str()));
            }
        }
        check_parents(name, role, roles, &includes, report);
        folded.push(Role {
            name: (*name).to_owned(),
            includes: includes.into_iter().filter(|parent| parent != name).map(str::to_owned).collect(),
            permissions: role.permissions.iter().map(|permission| permission_of(permission)).collect(),
            origin: origin(manifest, &role.name),
        });
    }
    folded
}

fn check_parents(name: &str, role: &manifest::Role, roles: &Roles<'_>, includes: &BTreeSet<&str>, report: &mut Report) {
    for parent in &role.inherits {
        if !roles.contains_key(parent.as_str()) {
            unknown_role(parent, roles, report);
        }
    }
    if includes.contains(name) {
        let message = format!("role `{name}` inherits itself");
        role.name.error(report, PV_ROLES, message, "break the cycle of `inherits`");
    }
}

fn unknown_role(name: &At<crate::values::Name>, roles: &Roles<'_>, report: &mut Report) {
    let known: Vec<&str> = roles.keys().copied().collect();
    let message = format!("no RBACPolicy on the same route declares role `{}`", name.as_str());
    name.error(report, PV_TARGET, message, format!("the roles are {}", listed(&known)));
}

fn permission_of(permission: &manifest::Permission) -> Permission {
    Permission {
        actions: actions(&permission.actions.value),
        resources: permission
            .resources
            .as_ref()
            .map(|globs| globs.iter().map(|glob| glob.as_str().to_owned()).collect())
            .unwrap_or_default(),
    }
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
        if !roles.contains_key(binding.role.as_str()) {
            unknown_role(&binding.role, roles, report);
        }
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
            if !roles.contains_key(name.as_str()) {
                unknown_role(name, roles, report);
            }
            for other in group.iter().skip(at + 1).filter(|other| other.as_str() != name.as_str()) {
                authz.exclusive.push((name.as_str().to_owned(), other.as_str().to_owned()));
            }
        }
    }
}

/// One subject bound to two roles that exclude each other could never do anything.
fn check_exclusive(authz: &Authz, attached: &Attachments<'_>, route: usize, report: &mut Report) {
    let holds = |binding: &manifest::Binding, role: &str| {
        binding.role.as_str() == role
            || authz.roles.iter().any(|r| r.name == binding.role.as_str() && r.includes.iter().any(|i| i == role))
    };
    let all: Vec<&manifest::Binding> = of!(attached.on_route(route), RbacPolicy)
        .flat_map(|(_, _, policy)| policy.bindings.iter().map(|binding| &binding.value))
        .collect();
    for (a, b) in &authz.exclusive {
        for first in all.iter().filter(|binding| holds(binding, a)) {
            for second in all.iter().filter(|binding| holds(binding, b)) {
                let shared = second.subjects.iter().find(|s| first.subjects.iter().any(|f| same_subject(f, s)));
                if let Some(subject) = shared {
                    let message =
                        format!("`{}` is bound to `{a}` and `{b}`, which exclude each other", subject.name.value);
                    subject.error(report, PV_ROLES, message, "remove one of the bindings");
                }
            }
        }
    }
}

fn same_subject(a: &manifest::Subject, b: &manifest::Subject) -> bool {
    let issuer = |subject: &manifest::Subject| subject.issuer.as_ref().map(|issuer| issuer.as_str().to_owned());
    a.kind.value == b.kind.value && a.name.value == b.name.value && issuer(a) == issuer(b)
}

fn rule_of(manifest: &Manifest, rule: &At<manifest::Rule>, roles: &Roles<'_>, report: &mut Report) -> Option<Rule> {
    let mut good = true;
    for role in &rule.roles {
        if !roles.contains_key(role.as_str()) {
            unknown_role(role, roles, report);
            good = false;
        }
    }
    let expression = |written: &Option<At<crate::values::Cedar>>| {
        written.as_ref().map(|text| Expression { text: text.as_str().to_owned(), origin: origin(manifest, text) })
    };
    let principals: BTreeSet<PrincipalType> = rule.principals.iter().map(|kind| kind.value).collect();
    good.then(|| Rule {
        name: rule.name.as_str().to_owned(),
        effect: rule.effect.value,
        principals: principals.into_iter().collect(),
        roles: rule.roles.iter().map(|role| role.as_str().to_owned()).collect(),
        actions: actions(&rule.actions.value),
        when: expression(&rule.when),
        unless: expression(&rule.unless),
        origin: origin(manifest, &rule.name),
    })
}

fn origin<T>(manifest: &Manifest, at: &At<T>) -> RuleOrigin {
    RuleOrigin { position: at.position.clone(), pointer: at.pointer.clone(), manifest: manifest.id.to_string() }
}
