//! RBACPolicy: roles and who holds them.

use crate::decode::{At, Fields, spec, words};
use crate::values::{Glob, Issuer, Name, Time};
use crate::{Code, PrincipalType, SubjectKind};

use super::ActionWord;

spec! {
    /// Roles, what they permit, and who holds them. A permission permits; nothing here forbids, and a `Forbid` rule of an
    /// AccessControlPolicy wins over every role.
    pub struct RbacPolicy {
        /// The roles, unique by name over all manifests of a route.
        [E] roles: Vec<At<Role>>,
        /// Who holds which role.
        [E] bindings: Vec<At<Binding>>,
        /// Pairs of roles that no subject may hold together (PV-023).
        [E] exclusive: Vec<At<Vec<At<Name>>>>,
    }
    check check_pairs
}

fn check_pairs(policy: &RbacPolicy, fields: &mut Fields<'_, '_, '_>) {
    for group in &policy.exclusive {
        let mut names: Vec<&str> = group.iter().map(|name| name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        if names.len() < 2 {
            group.error(
                fields.cx.report,
                Code(2),
                "roles exclude each other in pairs",
                "name at least two different roles",
            );
        }
    }
}

spec! {
    /// A named set of permissions.
    pub struct Role {
        /// Named by bindings and rules.
        [E] name: At<Name>,
        /// Roles whose permissions it has too. A cycle is PV-023.
        [E] inherits: Vec<At<Name>>,
        /// What it permits.
        [E] permissions: Vec<At<Permission>>,
    }
}

spec! {
    /// One thing a role permits.
    pub struct Permission {
        /// What may be done.
        [E] actions: At<Vec<At<ActionWord>>>,
        /// Globs on model names (`chat`, `embed`) or paths (the others). Without it, everything the actions apply to.
        [E] resources: Option<At<Vec<At<Glob>>>>,
    }
}

spec! {
    /// Who holds a role.
    pub struct Binding {
        /// For records and explanations.
        [E] name: At<Name>,
        /// The role.
        [E] role: At<Name>,
        /// Who holds it, any of them.
        [E] subjects: At<Vec<At<Subject>>>,
        /// Only for principals of this tenant.
        [E] tenant: Option<At<String>>,
        /// Until then; afterwards the binding holds no more, without a reload.
        [E] until: Option<At<Time>>,
    }
}

spec! {
    /// One holder of a role.
    pub struct Subject {
        /// A principal type, or `Group`.
        [E] kind: At<SubjectKind>,
        /// The principal's id at its issuer, its SPIFFE ID, or the group's name.
        [E] name: At<String>,
        /// The issuer that asserts the name; required where several could.
        [E] issuer: Option<At<Issuer>>,
    }
}

words! {
    /// What kind of holder.
    impl SubjectKind {
        /// An end user.
        (SubjectKind::Principal(PrincipalType::User)) = "User",
        /// Everybody in a group.
        (SubjectKind::Group) = "Group",
        /// A service that acts for itself.
        (SubjectKind::Principal(PrincipalType::ServiceAccount)) = "ServiceAccount",
        /// An AI execution context.
        (SubjectKind::Principal(PrincipalType::Agent)) = "Agent",
        /// A component of the platform.
        (SubjectKind::Principal(PrincipalType::Component)) = "Component",
    }
}
