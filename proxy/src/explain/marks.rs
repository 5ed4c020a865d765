//! What a set grants and forbids, piece by piece: for coverage of tests and for reviews of access.

use std::fmt;

use postern_config::{Effect, Snapshot};

use super::Set;

/// One piece of a policy that can decide.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mark {
    /// An entry of an allow list: `APIAccessPolicy/default/chat allow[0]`.
    Allow(String),
    /// As decisions name it.
    Rule(String),
    /// A role, as decisions name it.
    Role(String),
    /// Who holds a role: `RBACPolicy/default/chat#staff`.
    Binding(String),
}

impl Mark {
    /// Of a rule, an entry or a binding as decisions and records name it; nothing for what is built in.
    pub(crate) fn of(name: &str) -> Option<Self> {
        let made = match name.split_once([' ', '#']) {
            Some(("built-in", _)) | None => return None,
            Some((manifest, _)) if manifest.len() < name.len() && name[manifest.len()..].starts_with('#') => {
                Self::Binding
            }
            Some((_, rest)) if rest.starts_with("allow[") => Self::Allow,
            Some((_, rest)) if rest.starts_with("role ") => Self::Role,
            Some((_, rest)) if rest.starts_with("rule ") => Self::Rule,
            Some(_) => return None,
        };
        Some(made(name.to_owned()))
    }

    fn name(&self) -> &str {
        match self {
            Self::Allow(name) | Self::Rule(name) | Self::Role(name) | Self::Binding(name) => name,
        }
    }

    /// What it is, in a word.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Allow(_) => "allow",
            Self::Rule(_) => "rule",
            Self::Role(_) => "role",
            Self::Binding(_) => "binding",
        }
    }

    /// The manifest it stands in.
    pub(crate) fn manifest(&self) -> &str {
        self.name().split([' ', '#']).next().unwrap_or_default()
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// All marks of a set, each once, with what they do: `Permit`, `Forbid` or `Allow`.
pub(crate) fn marks_of(set: &Set) -> Vec<(Mark, &'static str)> {
    let mut found: Vec<(Mark, &'static str)> = Vec::new();
    let mut add = |mark: Mark, does| {
        if !found.iter().any(|(known, _)| *known == mark) {
            found.push((mark, does));
        }
    };
    let snapshot: &Snapshot = set.snapshot();
    for route in &snapshot.routes {
        let policy = &route.policy;
        for list in &policy.access.allow {
            for index in 0..list.rules.len() {
                add(Mark::Allow(list.entry(index)), "Allow");
            }
        }
        for binding in &policy.authz.bindings {
            add(Mark::Binding(binding.name.clone()), "Permit");
        }
        for role in policy.authz.roles.iter().filter(|role| !role.permissions.is_empty()) {
            add(Mark::Role(format!("{} role {}", role.origin.manifest, role.name)), "Permit");
        }
        for rule in &policy.authz.rules {
            let does = if rule.effect == Effect::Permit { "Permit" } else { "Forbid" };
            add(Mark::Rule(format!("{} rule {}", rule.origin.manifest, rule.name)), does);
        }
    }
    found.sort();
    found
}
