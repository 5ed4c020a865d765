//! Proxies in front of this one.

use std::net::IpAddr;

use crate::bootstrap::ForwardedBy;
use crate::values::Cidr;

/// A proxy whose word about where a request comes from is believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedProxy {
    pub cidr: Cidr,
    /// The SPIFFE ID it must have proved, too.
    pub principal: Option<String>,
    /// Which headers are its own.
    pub headers: ForwardedBy,
}

impl TrustedProxy {
    /// Whether who is at this address, and proved this SPIFFE ID, is this proxy.
    #[must_use]
    pub fn is(&self, address: IpAddr, proved: Option<&str>) -> bool {
        self.cidr.contains(address) && self.principal.as_deref().is_none_or(|principal| proved == Some(principal))
    }
}
