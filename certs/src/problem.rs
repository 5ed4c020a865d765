//! What can be wrong with the material of a listener or an upstream.

use std::fmt;

use postern_config::{Material, MaterialError};

use crate::{PeerRefusal, SpiffeError, SpiffeId};

/// One problem, and the material it is in. Names places, never contents.
#[derive(Debug, thiserror::Error)]
pub struct CertProblem {
    /// Absent where the problem is not in a file: a peer name that cannot be read, or settings TLS refuses.
    pub material: Option<Material>,
    #[source]
    pub fault: CertFault,
}

impl fmt::Display for CertProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.material {
            Some(material) => write!(f, "`{material}`: {}", self.fault),
            None => self.fault.fmt(f),
        }
    }
}

/// What is wrong.
#[derive(Debug, thiserror::Error)]
pub enum CertFault {
    #[error(transparent)]
    Unreadable(#[from] MaterialError),
    #[error("is not PEM: {0}")]
    NotPem(rustls_pki_types::pem::Error),
    #[error("holds no certificate")]
    NoCertificate,
    #[error("holds no private key")]
    NoKey,
    #[error("certificate {index} cannot be read: {reason}")]
    Malformed { index: usize, reason: String },
    #[error("the private key cannot be used: {0}")]
    UnusableKey(rustls::Error),
    #[error("the private key is not the one of the certificate in `{certificate}`")]
    KeyMismatch { certificate: Material },
    #[error("certificate {index} ended at {not_after}")]
    Expired { index: usize, not_after: String },
    #[error("certificate {index} is not valid before {not_before}")]
    NotYetValid { index: usize, not_before: String },
    #[error("certificate {index} has a weak or unknown key: {key}")]
    WeakKey { index: usize, key: String },
    #[error("certificate {index} is signed with SHA-1 or another algorithm that is not accepted")]
    WeakSignature { index: usize },
    #[error("the certificate has neither a DNS name nor an address, so no client can accept it")]
    NoNames,
    #[error("the certificate does not cover host `{0}` of the identity")]
    NotCovered(String),
    #[error("certificate {index} is not a certificate authority, so it cannot be a trust anchor")]
    NotAnAuthority { index: usize },
    #[error("certificates of peers are to be checked, but there is no trust anchor")]
    NoAnchors,
    #[error("the system's authorities cannot be had: {0}")]
    SystemRoots(String),
    #[error("holds no revocation list")]
    NoList,
    #[error("revocation list {index} cannot be read: {reason}")]
    MalformedList { index: usize, reason: String },
    #[error("revocation list {index} should have been followed by another one at {next_update}")]
    ListOver { index: usize, next_update: String },
    #[error("`{0}` is no name that a certificate can be checked against")]
    ServerName(String),
    #[error("expected peer `{name}` is not a SPIFFE ID: {source}")]
    ExpectedSpiffe { name: String, source: SpiffeError },
    #[error("no name of `trust.names` allows `{0}`, which the bootstrap expects, so no connection could be made")]
    NeverNamed(String),
    #[error("certificate {index} is not for {role}: its extended key usage says so")]
    Role { index: usize, role: &'static str },
    #[error("peer name `{name}` is not a SPIFFE ID glob: {source}")]
    PeerSpiffe { name: String, source: SpiffeError },
    #[error("peer name `{0}` is not a host name")]
    PeerHost(String),
    #[error("there is no identity to present")]
    NoIdentity,
    #[error("a key of this kind signs nothing that the profile approves; use ECDSA over P-256 or P-384, or RSA")]
    NotApproved,
    #[error(
        "`profile: Fips` promises cryptography of a validated module, and this binary was built without one; build it with \
        `--features fips` (which needs Go and CMake), or remove the profile"
    )]
    NotFips,
    #[error("the Workload API has not been asked")]
    NoWorkload,
    #[error("the Workload API gives this workload no SVID: is it registered with the agent?")]
    NoSvidAtAll,
    #[error(
        "the Workload API gives this workload no SVID with the ID `{0}`: is it registered with the agent under it?"
    )]
    NoSvid(SpiffeId),
    #[error(
        "the Workload API gives this workload no bundle of trust domain `{0}`: is it the agent's own, or federated with it?"
    )]
    NoBundle(String),
    #[error("certificate 0 is no X.509-SVID: {0}")]
    NoSvidLeaf(PeerRefusal),
    #[error("the certificate carries no SPIFFE ID")]
    NoId,
    #[error("the certificate is the one of `{0}`, not of the ID beside it")]
    OtherId(SpiffeId),
    #[error("the private key is not the one of the certificate")]
    OtherKey,
    #[error("TLS cannot be set up: {0}")]
    Tls(rustls::Error),
}

impl CertFault {
    pub(crate) fn at(self, material: &Material) -> CertProblem {
        CertProblem { material: Some(material.clone()), fault: self }
    }

    pub(crate) fn nowhere(self) -> CertProblem {
        CertProblem { material: None, fault: self }
    }
}
