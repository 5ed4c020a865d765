//! Which roles a principal holds, and until when.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use postern_config::{Authz, PrincipalType, SubjectKind};

use crate::Principal;

/// The roles of one principal, inherited ones included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoleSet {
    pub roles: BTreeSet<Arc<str>>,
    /// Each role with a binding that gives it; one that several give is there several times.
    pub through: Vec<(Arc<str>, Arc<str>)>,
    /// Unix milliseconds from which the set may be another one, because a binding ends.
    pub until: Option<i64>,
    /// Two roles that no subject may hold together, if both are here.
    pub conflict: Option<(Arc<str>, Arc<str>)>,
}

/// Bindings, by whom they name.
#[derive(Debug)]
pub(super) struct RoleTable {
    /// A role and all it inherits.
    closure: HashMap<String, Vec<Arc<str>>>,
    by_principal: HashMap<PrincipalType, HashMap<String, Vec<Grant>>>,
    by_group: HashMap<String, Vec<Grant>>,
    exclusive: Vec<(Arc<str>, Arc<str>)>,
}

#[derive(Debug, Clone)]
struct Grant {
    role: String,
    /// As records name it.
    binding: Arc<str>,
    issuer: Option<String>,
    tenant: Option<String>,
    until_ms: Option<i64>,
}

impl RoleTable {
    pub(super) fn new(authz: &Authz) -> Self {
        let mut table = Self {
            closure: closure(authz),
            by_principal: HashMap::new(),
            by_group: HashMap::new(),
            exclusive: authz.exclusive.iter().map(|(a, b)| (Arc::from(a.as_str()), Arc::from(b.as_str()))).collect(),
        };
        for binding in &authz.bindings {
            let name: Arc<str> = Arc::from(binding.name.as_str());
            for subject in &binding.subjects {
                let grant = Grant {
                    role: binding.role.clone(),
                    binding: Arc::clone(&name),
                    issuer: subject.issuer.clone(),
                    tenant: binding.tenant.clone(),
                    until_ms: binding.until.map(|seconds| seconds.saturating_mul(1000)),
                };
                let named = match subject.kind {
                    SubjectKind::Group => &mut table.by_group,
                    SubjectKind::Principal(kind) => table.by_principal.entry(kind).or_default(),
                };
                named.entry(subject.name.clone()).or_default().push(grant);
            }
        }
        table
    }

    /// The roles `principal` holds at `now` (unix milliseconds).
    pub(super) fn roles_of(&self, principal: &Principal, now: i64) -> RoleSet {
        let by_name = self.by_principal.get(&principal.kind).and_then(|named| named.get(&principal.subject));
        let by_group = principal.groups.iter().filter_map(|group| self.by_group.get(group));
        // An issuer of tokens may write any `sub`; a SPIFFE ID counts only where the handshake proved it.
        let own = by_name.filter(|_| !claims_foreign_spiffe_id(principal));
        let mut set = RoleSet::default();
        for grant in own.into_iter().chain(by_group).flatten() {
            if grant.holds(principal, now) {
                let given = self.closure.get(&grant.role).into_iter().flatten();
                set.through.extend(given.clone().map(|role| (Arc::clone(role), Arc::clone(&grant.binding))));
                set.roles.extend(given.cloned());
                set.until = earlier(set.until, grant.until_ms);
            }
        }
        set.conflict = self.exclusive.iter().find(|(a, b)| set.roles.contains(a) && set.roles.contains(b)).cloned();
        set
    }
}

impl Grant {
    fn holds(&self, principal: &Principal, now: i64) -> bool {
        self.issuer.as_ref().is_none_or(|issuer| *issuer == principal.issuer)
            && self.tenant.as_ref().is_none_or(|tenant| *tenant == principal.tenant)
            && self.until_ms.is_none_or(|until| now < until)
    }
}

/// Whether the subject reads like a SPIFFE ID without having come from an SVID.
pub(super) fn claims_foreign_spiffe_id(principal: &Principal) -> bool {
    principal.subject.starts_with("spiffe://") && !principal.is_workload()
}

fn closure(authz: &Authz) -> HashMap<String, Vec<Arc<str>>> {
    let names: HashMap<&str, Arc<str>> =
        authz.roles.iter().map(|role| (role.name.as_str(), Arc::from(role.name.as_str()))).collect();
    let held = |role: &postern_config::Role| {
        let all = std::iter::once(&role.name).chain(&role.includes);
        all.filter_map(|name| names.get(name.as_str()).cloned()).collect()
    };
    authz.roles.iter().map(|role| (role.name.clone(), held(role))).collect()
}

fn earlier(a: Option<i64>, b: Option<i64>) -> Option<i64> {
    a.into_iter().chain(b).min()
}
