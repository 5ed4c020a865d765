//! What a caller is asked for, beyond who it is.

use std::time::Duration;

use super::PrincipalType;

/// What goes beyond identity in IAMPolicy: how strongly it must be proven, and where clients get what proves it.
#[derive(Debug, Clone, Default)]
pub struct Challenges {
    /// One per IAMPolicy that demands something; each must hold.
    pub assurance: Vec<AssuranceDemand>,
    /// The resource that requests of the route may be for.
    pub resource: Option<ProtectedResource>,
}

/// How strongly an authentication must have been.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AssuranceDemand {
    /// Of whom it is demanded; empty for everybody.
    pub principals: Vec<PrincipalType>,
    /// `acr` must be one of them; `None` for any.
    pub acr_values: Option<Vec<String>>,
    /// All of them must be in `amr`.
    pub amr: Vec<String>,
    /// Longest time since `auth_time`.
    pub max_age: Option<Duration>,
}

impl AssuranceDemand {
    /// Whether it is demanded of principals of this type.
    #[must_use]
    pub fn applies_to(&self, kind: PrincipalType) -> bool {
        self.principals.is_empty() || self.principals.contains(&kind)
    }
}

/// Protected resource metadata (RFC 9728).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtectedResource {
    /// The identifier, as it was written.
    pub resource: String,
    /// Lower case, without port.
    pub host: String,
    /// Host and, where it was written, port.
    pub authority: String,
    /// Canonical; empty for the whole host.
    pub path: String,
    /// Not empty.
    pub authorization_servers: Vec<String>,
    pub scopes: Vec<String>,
}

impl ProtectedResource {
    /// Where its metadata is served (RFC 9728 §3.1).
    #[must_use]
    pub fn metadata_path(&self) -> String {
        format!("{WELL_KNOWN}{}", self.path)
    }

    /// Where clients find its metadata.
    #[must_use]
    pub fn metadata_url(&self) -> String {
        format!("https://{}{WELL_KNOWN}{}", self.authority, self.path)
    }
}

/// Where the metadata of protected resources is (RFC 9728 §3).
pub const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// What a caller can do about a forbid that stands in the way alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnDeny {
    /// Authenticate more strongly (any of the values; empty for any) or more recently.
    StepUp { acr_values: Vec<String>, max_age: Option<Duration> },
    /// Come with these scopes, all of them.
    Scope { scopes: Vec<String> },
}
