//! What is permitted.

use super::{OnDeny, PrincipalType, Waived};

/// RBACPolicy and AccessControlPolicy, still as rules: `filters` turns them into Cedar.
#[derive(Debug, Clone, Default)]
pub struct Authz {
    pub roles: Vec<Role>,
    pub bindings: Vec<Binding>,
    /// Pairs of roles that no subject may hold together.
    pub exclusive: Vec<(String, String)>,
    pub rules: Vec<Rule>,
}

impl Authz {
    /// Whether a rule may read the attribute `name` of the context; said of some that do not, never missed in one that does.
    #[must_use]
    pub fn may_read(&self, name: &str) -> bool {
        let texts = self.rules.iter().flat_map(|rule| [&rule.when, &rule.unless]).flatten();
        // An escape in a string may spell the name: `context["r\u{69}sk"]`.
        texts.map(|expression| &expression.text).any(|text| text.contains(name) || text.contains('\\'))
    }
}

/// What authorization will be once manifests in `mode: Audit` act.
#[derive(Debug, Clone)]
pub struct AuthzTrial {
    /// Unix seconds.
    pub from: i64,
    /// With all that acts from then on.
    pub authz: Authz,
    /// Manifests that begin to act then: `AccessControlPolicy/default/tools`.
    pub manifests: Vec<String>,
}

/// A role with what it inherits already folded in.
#[derive(Debug, Clone)]
pub struct Role {
    /// Unique over all manifests of the route.
    pub name: String,
    /// Roles this one inherits, directly or not.
    pub includes: Vec<String>,
    pub permissions: Vec<Permission>,
    pub origin: RuleOrigin,
}

#[derive(Debug, Clone)]
pub struct Permission {
    pub actions: Vec<Action>,
    /// Globs over model, tool or path names. Empty: every one the actions apply to.
    pub resources: Vec<String>,
    /// Why it may be as wide as it is. Once that has ended, it grants nothing.
    pub waived: Option<Waived>,
}

#[derive(Debug, Clone)]
pub struct Binding {
    pub name: String,
    pub role: String,
    pub subjects: Vec<Subject>,
    pub tenant: Option<String>,
    /// Unix seconds after which the binding holds no more.
    pub until: Option<i64>,
}

#[derive(Debug, Clone)]
pub struct Subject {
    pub kind: SubjectKind,
    /// `sub` at the issuer, group name, or SPIFFE ID.
    pub name: String,
    /// Required by load where several issuers could assert the name.
    pub issuer: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubjectKind {
    Principal(PrincipalType),
    Group,
}

/// One rule of an AccessControlPolicy.
#[derive(Debug, Clone)]
pub struct Rule {
    pub name: String,
    pub effect: Effect,
    /// Empty: all types (only a Forbid, or a Permit with roles).
    pub principals: Vec<PrincipalType>,
    pub roles: Vec<String>,
    /// Not empty, groups already expanded.
    pub actions: Vec<Action>,
    /// Cedar expression.
    pub when: Option<Expression>,
    pub unless: Option<Expression>,
    /// What a caller can do about a forbid; of a forbid only.
    pub on_deny: Option<OnDeny>,
    /// Why a permit may be as wide as it is. Once that has ended, it does not count.
    pub waived: Option<Waived>,
    pub origin: RuleOrigin,
}

/// A Cedar expression and where it was written, for diagnostics.
#[derive(Debug, Clone)]
pub struct Expression {
    pub text: String,
    pub origin: RuleOrigin,
}

/// Where something that `filters` compiles was written.
#[derive(Debug, Clone)]
pub struct RuleOrigin {
    pub position: crate::Position,
    /// `spec.rules[0].when`.
    pub pointer: String,
    /// `AccessControlPolicy/default/github-tools`.
    pub manifest: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    Permit,
    Forbid,
}

/// Actions that the dialects of this version can produce.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    Read,
    Create,
    Update,
    Delete,
    Chat,
    Embed,
}

impl Action {
    pub const ALL: [Self; 6] = [Self::Read, Self::Create, Self::Update, Self::Delete, Self::Chat, Self::Embed];

    /// The Cedar action id, and the word in manifests.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Chat => "chat",
            Self::Embed => "embed",
        }
    }

    /// `observe`, `modify` or `execute`.
    #[must_use]
    pub fn group(self) -> &'static str {
        match self {
            Self::Read => "observe",
            Self::Create | Self::Update | Self::Delete => "modify",
            Self::Chat | Self::Embed => "execute",
        }
    }
}
