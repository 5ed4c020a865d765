//! Who is recognised, what a request may look like, and what is permitted.

use std::time::Duration;

use super::Waived;
use crate::Material;

/// IAMPolicy and `APIAccessPolicy.authentication`, merged.
#[derive(Debug, Clone, Default)]
pub struct Identity {
    /// Providers recognised on the route.
    pub providers: Vec<Provider>,
    /// One per APIAccessPolicy that demands authentication; each must hold. Empty exactly where the route is open.
    pub demands: Vec<Demand>,
    /// Who brings no credential is let in as nobody in particular. Only ever by an exception.
    pub is_open: bool,
}

#[derive(Debug, Clone)]
pub struct Demand {
    /// Indices into [`Identity::providers`], not empty.
    pub providers: Vec<usize>,
    pub require: Require,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Require {
    AnyOf,
    AllOf,
}

#[derive(Debug, Clone)]
pub struct Provider {
    pub name: String,
    pub kind: ProviderKind,
    pub principal: PrincipalType,
    /// Where the tenant of a principal comes from.
    pub tenant: TenantSource,
    /// The tenants this provider may assert; a principal of any other is refused.
    pub tenants: Vec<String>,
}

#[derive(Debug, Clone)]
pub enum ProviderKind {
    Jwt(Box<JwtProvider>),
    /// X.509-SVIDs presented over mTLS.
    Spiffe,
}

#[derive(Debug, Clone)]
pub struct JwtProvider {
    pub issuer: String,
    /// Not empty; a token must carry one of them.
    pub audiences: Vec<String>,
    /// Not empty; all asymmetric.
    pub algorithms: Vec<JwtAlgorithm>,
    /// Accepted `typ` values, compared without case and without an `application/` prefix.
    pub token_types: Vec<String>,
    /// A JWK set on disk.
    pub jwks: Material,
    pub max_token_age: Duration,
    pub clock_skew: Duration,
    pub sender_constraint: SenderConstraint,
    /// Why tokens may be unbound on a route that executes. Once it has ended, they may not.
    pub unbound: Option<Waived>,
    pub id_claim: String,
    pub actor_claim: String,
    pub groups_claim: Option<String>,
    pub scopes_claim: String,
    /// Tag name and RFC 6901 pointer into the claims.
    pub tags: Vec<(String, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JwtAlgorithm {
    ES256,
    ES384,
    EdDSA,
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SenderConstraint {
    /// A bearer token is enough.
    None,
    /// The token must be bound to its sender by a mechanism this version knows, which is `Mtls`.
    Any,
    /// RFC 8705: `cnf.x5t#S256` is the digest of the client certificate.
    Mtls,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PrincipalType {
    User,
    ServiceAccount,
    Agent,
    Component,
    /// Nobody in particular: who came without a credential to a route that is open by an exception.
    Anonymous,
}

impl PrincipalType {
    pub const ALL: [Self; 5] = [Self::User, Self::ServiceAccount, Self::Agent, Self::Component, Self::Anonymous];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::ServiceAccount => "ServiceAccount",
            Self::Agent => "Agent",
            Self::Component => "Component",
            Self::Anonymous => "Anonymous",
        }
    }
}

#[derive(Debug, Clone)]
pub enum TenantSource {
    /// RFC 6901 pointer into the claims.
    Claim(String),
    /// Index of a path segment of the SPIFFE ID, from 0: in `spiffe://td/ns/acme/sa/x` segment 1 is `acme`.
    SpiffeSegment(usize),
    Value(String),
}

/// What one API demands of a request, besides identity.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// One list per manifest; a request must be matched by a rule of each. Empty: nothing passes.
    pub allow: Vec<Vec<AllowRule>>,
    /// Bytes.
    pub max_body: u64,
    pub rate_limits: Vec<RateLimit>,
    pub response_remove: Vec<String>,
    /// Lower-case names.
    pub response_set: Vec<(String, String)>,
    pub cross_site: CrossSite,
}

#[derive(Debug, Clone, Default)]
pub struct AllowRule {
    /// Upper case; not empty.
    pub methods: Vec<String>,
    /// Globs over the canonical path, whole-path; not empty.
    pub paths: Vec<String>,
    /// Media types without parameters, lower case. `None` for requests that need no body.
    pub content_types: Option<Vec<String>>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum CrossSite {
    /// A browser request with a non-safe method from another site is refused.
    #[default]
    Deny,
    AllowOrigins(Vec<String>),
}

/// How much one key may use in a window (GCRA).
#[derive(Debug, Clone)]
pub struct RateLimit {
    pub name: String,
    /// Namespace and name of the manifest: two manifests' limits never share a bucket.
    pub owner: String,
    /// Not empty.
    pub key: Vec<LimitKey>,
    /// Requests per `window`, at least 1.
    pub limit: u32,
    pub window: Duration,
    /// Requests let through at once.
    pub burst: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum LimitKey {
    Principal,
    Tenant,
    SourceIp,
    Route,
}

/// RBACPolicy and AccessControlPolicy, still as rules: `filters` turns them into Cedar.
#[derive(Debug, Clone, Default)]
pub struct Authz {
    pub roles: Vec<Role>,
    pub bindings: Vec<Binding>,
    /// Pairs of roles that no subject may hold together.
    pub exclusive: Vec<(String, String)>,
    pub rules: Vec<Rule>,
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
