//! TLS after resolution: CertificatePolicy and EncryptionPolicy merged, for a listener and for an upstream.

use std::time::Duration;

use super::Waived;
use crate::{Material, WorkloadSocket};

/// TLS of a listener.
#[derive(Debug, Clone)]
pub struct ListenerTls {
    /// At least one. The first identity whose `hosts` match the SNI is presented; no match ends the handshake.
    pub identities: Vec<OwnIdentity>,
    pub client_auth: ClientAuth,
    /// Which client certificates are believed. Its anchors are not empty where `client_auth` is not `Off`.
    pub trust: PeerTrust,
    pub min_version: TlsVersion,
    pub key_exchange: KeyExchange,
    pub profile: CryptoProfile,
    pub hsts: Option<Hsts>,
    /// How long before expiry a warning is logged.
    pub warn_before: Duration,
    /// An open connection whose client certificate has expired is refused.
    pub deny_after_expiry: bool,
    /// How a client's certificate is told to upstreams.
    pub forward: ForwardCertificate,
}

/// TLS of an upstream.
#[derive(Debug, Clone)]
pub struct UpstreamTls {
    /// The name asked for (SNI): a host name, or an address, which is not asked for.
    pub server_name: String,
    pub expected: Expected,
    /// What is believed besides. No anchors: the system's authorities.
    pub trust: PeerTrust,
    pub min_version: TlsVersion,
    pub key_exchange: KeyExchange,
    pub profile: CryptoProfile,
    /// What we present when we are asked.
    pub identity: Option<OwnIdentity>,
    /// How long before expiry a warning is logged.
    pub warn_before: Duration,
}

/// Whom the certificate of an upstream must name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// The host name or address that is [`UpstreamTls::server_name`].
    ServerName,
    /// Exactly this SPIFFE ID.
    Spiffe(String),
}

/// A certificate chain we present, and for which names.
#[derive(Debug, Clone)]
pub struct OwnIdentity {
    pub name: String,
    /// Exact names or `*.example.com` for one label. Empty: any name, and no SNI.
    pub hosts: Vec<String>,
    pub source: IdentitySource,
}

/// Where a chain and its key come from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum IdentitySource {
    Files {
        cert: Material,
        key: Material,
    },
    /// Of the Workload API at `socket`, or where the environment says: the SVID with this ID, or the first.
    Spiffe {
        socket: Option<WorkloadSocket>,
        id: Option<String>,
    },
}

/// Which certificates of peers are believed.
#[derive(Debug, Clone)]
pub struct PeerTrust {
    pub anchors: Vec<Anchor>,
    /// Each inner list comes from one manifest and must match: SPIFFE ID globs, or host names. An empty inner list matches nothing.
    pub names: Vec<Vec<String>>,
    /// PEM files of revocation lists. Where there is one, every certificate of a chain must be known to be good.
    pub crls: Vec<Material>,
    /// Why a certificate may pass that no current list covers. Once it has ended, it may not.
    pub unknown: Option<Waived>,
    pub min_rsa_bits: u32,
    pub curves: Vec<Curve>,
    /// Longest accepted `notAfter - notBefore`.
    pub max_lifetime: Option<Duration>,
}

/// A source of authorities.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Anchor {
    /// A bundle in PEM.
    Pem(Material),
    /// What the Workload API at `socket`, or where the environment says, gives for a trust domain. It vouches for the SPIFFE
    /// IDs of that domain alone.
    Spiffe { socket: Option<WorkloadSocket>, trust_domain: String },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClientAuth {
    Off,
    Optional,
    Required,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForwardCertificate {
    None,
    /// RFC 9440.
    ClientCert,
    /// `X-Forwarded-Client-Cert`.
    Xfcc,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Curve {
    P256,
    P384,
    Ed25519,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    V1_2,
    V1_3,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyExchange {
    Classical,
    HybridPreferred,
    HybridRequired,
}

/// Suites, groups and signature schemes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CryptoProfile {
    Default,
    Fips,
}

/// `Strict-Transport-Security`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hsts {
    pub max_age: Duration,
    pub include_subdomains: bool,
}
