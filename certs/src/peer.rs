//! Who holds the key on the other side of a connection.

use postern_config::Digest;

use crate::SpiffeId;
use crate::certificate::Certificate;

/// Proof that a client certificate chain was verified against the trust of a listener, with what its leaf says.
/// [`ListenerTls::peer`](crate::ListenerTls::peer) is the only way to one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedPeer {
    leaf: Certificate,
    spiffe: Option<SpiffeId>,
    valid_until: i64,
    revocation_is_unknown: bool,
}

impl VerifiedPeer {
    /// INVARIANT: called by the verifier alone, once the whole chain was accepted.
    pub(crate) fn new(
        leaf: Certificate,
        spiffe: Option<SpiffeId>,
        valid_until: i64,
        revocation_is_unknown: bool,
    ) -> Self {
        Self { leaf, spiffe, valid_until, revocation_is_unknown }
    }

    /// SHA-256 of the DER leaf: `x5t#S256` of RFC 8705 §3.1, before base64url.
    #[must_use]
    pub fn leaf_sha256(&self) -> &Digest {
        &self.leaf.sha256
    }

    /// Serial number, lower-case hex.
    #[must_use]
    pub fn serial(&self) -> &str {
        &self.leaf.serial
    }

    /// Unix seconds from which the leaf is valid.
    #[must_use]
    pub fn not_before(&self) -> i64 {
        self.leaf.not_before
    }

    /// Last unix second at which the leaf is valid.
    #[must_use]
    pub fn not_after(&self) -> i64 {
        self.leaf.not_after
    }

    /// Last unix second at which every certificate of the presented chain is valid. An open connection is not
    /// believed after it.
    #[must_use]
    pub fn valid_until(&self) -> i64 {
        self.valid_until
    }

    /// Whether it passed although no current list covers all of its chain, by an exception.
    #[must_use]
    pub fn revocation_is_unknown(&self) -> bool {
        self.revocation_is_unknown
    }

    /// The SPIFFE ID, where the leaf is an X.509-SVID.
    #[must_use]
    pub fn spiffe(&self) -> Option<&SpiffeId> {
        self.spiffe.as_ref()
    }

    /// DNS SANs in lower case; a wildcard is not a name of a peer and is left out.
    pub fn dns_names(&self) -> impl Iterator<Item = &str> {
        self.leaf.dns.iter().map(String::as_str).filter(|name| !name.contains('*'))
    }

    /// The DNS SAN in lower case, where the leaf has no other name of host, address or URI and it is no wildcard.
    #[must_use]
    pub fn sole_dns_name(&self) -> Option<&str> {
        let alone = self.leaf.ips.is_empty() && self.leaf.uris.is_empty();
        match self.leaf.dns.as_slice() {
            [name] if alone && !name.contains('*') => Some(name),
            _ => None,
        }
    }

    /// Who issued the leaf, for logs: common name, without control characters.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.leaf.issuer
    }
}
