//! What a set grants and forbids, piece by piece: for coverage of tests and for reviews of access.

use std::fmt;

use postern_config::{Effect, Snapshot};

use super::Set;

/// One piece of a policy that can decide.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mark {
    /// An entry of an allow list: the manifest and the entry's number.
    Allow(String, usize),
    /// As decisions name it.
    Rule(String),
    /// A role, as decisions name it.
    Role(String),
}

impl Mark {
    /// Of a rule as decisions and records name it; nothing for what is built in.
    pub(crate) fn of(rule: &str) -> Option<Self> {
        if rule.contains(" role ") {
            Some(Self::Role(rule.to_owned()))
        } else {
            rule.contains(" rule ").then(|| Self::Rule(rule.to_owned()))
        }
    }

    /// What it is, in a word.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Allow(..) => "allow",
            Self::Rule(_) => "rule",
            Self::Role(_) => "role",
        }
    }

    /// The manifest it stands in.
    pub(crate) fn manifest(&self) -> &str {
        match self {
            Self::Allow(manifest, _) => manifest,
            Self::Rule(name) | Self::Role(name) => name.split(' ').next().unwrap_or_default(),
        }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allow(manifest, index) => write!(f, "{manifest} allow[{index}]"),
            Self::Rule(name) | Self::Role(name) => f.write_str(name),
        }
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
        let ids = set.ids(route);
        let policy = &route.policy;
        for (number, list) in policy.access.allow.iter().enumerate() {
            let manifest = super::trace::list(set, &ids, number).unwrap_or_default();
            for index in 0..list.len() {
                add(Mark::Allow(manifest.clone(), index), "Allow");
            }
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
