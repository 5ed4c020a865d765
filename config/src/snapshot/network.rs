//! Who may connect to us and where we may connect to: NetworkPolicy, merged.

use crate::values::Cidr;

/// NetworkPolicy of one route.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Network {
    /// Of the gateway and of the route.
    pub ingress: Ingress,
    /// Of the gateway, of the route and of its upstream; `None` where none speaks of it.
    pub egress: Option<Egress>,
}

/// Who may connect: `NetworkPolicy.ingress`, merged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ingress {
    /// One list from each manifest; a rule of every list must match.
    pub allow: Vec<IngressList>,
    /// Whoever one of these matches is refused.
    pub deny: Vec<IngressDeny>,
}

/// The allow rules of one manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IngressList {
    /// `NetworkPolicy/default/mesh`.
    pub manifest: String,
    pub rules: Vec<IngressRule>,
}

/// Ranges and principals are not both empty; where both are there, both must match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IngressRule {
    pub name: String,
    pub cidrs: Vec<Cidr>,
    /// Globs on SPIFFE IDs.
    pub principals: Vec<String>,
}

/// Ranges that may not connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IngressDeny {
    /// `NetworkPolicy/default/mesh#scanners`.
    pub name: String,
    pub cidrs: Vec<Cidr>,
}

/// Where a route or an upstream may be connected to: `NetworkPolicy.egress`, merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Egress {
    /// One list from each manifest; a rule of every list must match.
    pub allow: Vec<EgressList>,
    pub private_ranges: PrivateRanges,
    pub redirects: Redirects,
}

/// The rules of one manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EgressList {
    /// `NetworkPolicy/default/mesh`.
    pub manifest: String,
    pub rules: Vec<EgressRule>,
}

/// One destination. Hosts and ranges are not both empty; where both are there, both must match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EgressRule {
    pub name: String,
    /// Exact lower-case names, `*.example.com` for one label, or `*` for any.
    pub hosts: Vec<String>,
    pub cidrs: Vec<Cidr>,
    /// Not empty.
    pub ports: Vec<u16>,
}

/// Whether addresses that are not public may be connected to. The order is from lax to strict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PrivateRanges {
    /// Where a rule's range lies wholly in the private range.
    AllowListed,
    Deny,
}

/// What becomes of an upstream's redirects. The order is from lax to strict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Redirects {
    /// They pass where they stay with the host the request was for.
    SameHost,
    /// They are refused.
    Deny,
}
