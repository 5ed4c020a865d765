//! Rules on top of the chain, for clients and upstreams alike: key strength, what a leaf must be, lifetime, names, revocation.

use std::sync::Arc;

use postern_config::{Curve, PeerTrust, host_matches};
use rustls::{CertificateError, OtherError};
use rustls_pki_types::CertificateDer;

use crate::certificate::{Certificate, is_host};
use crate::revocation::Revoked;
use crate::{CertFault, SpiffeGlob, SpiffeId};

/// Why a chain that leads to a trust anchor is refused all the same. It is the source of the rustls error.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeerRefusal {
    #[error("certificate {index} of the chain cannot be read: {reason}")]
    Malformed { index: usize, reason: String },
    #[error("certificate {index} of the chain has a key that is not accepted: {key}")]
    WeakKey { index: usize, key: String },
    #[error("certificate {index} of the chain is signed with an algorithm that is not accepted")]
    WeakSignature { index: usize },
    #[error("the leaf is a certificate authority or may sign certificates")]
    Authority,
    #[error("the leaf may not sign, so it cannot authenticate")]
    NoDigitalSignature,
    #[error("the leaf carries a SPIFFE ID and {0} URI names; an X.509-SVID has exactly one")]
    SeveralUris(usize),
    #[error("the leaf's SPIFFE ID is malformed: {0}")]
    BadSpiffeId(crate::SpiffeError),
    #[error("the leaf's SPIFFE ID has no path, so it is a trust domain and not a workload")]
    TrustDomainItself,
    #[error("the leaf is an X.509-SVID without a critical key usage")]
    KeyUsageNotCritical,
    #[error("the leaf is an X.509-SVID whose extended key usage leaves out clients or servers")]
    ExtendedKeyUsage,
    #[error("the leaf lives {seconds} s, longer than the accepted {max} s")]
    TooLong { seconds: i64, max: i64 },
    #[error("none of the leaf's names is accepted")]
    Name,
    #[error("certificate {index} of the chain is revoked")]
    Revoked { index: usize },
    #[error("the upstream's certificate is not the X.509-SVID `{0}`")]
    OtherSpiffeId(String),
    #[error("nothing vouches for the leaf: it is of no trust domain whose bundle is there")]
    NoBundle,
}

impl std::fmt::Debug for PeerRefusal {
    /// As for people: rustls prints the cause of a refused certificate this way, and that is what reaches the records.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// The rules on top of the chain.
#[derive(Debug)]
pub(crate) struct PeerRules {
    /// A leaf must match a name of every list.
    names: Vec<Vec<PeerName>>,
    min_rsa_bits: u32,
    curves: Vec<Curve>,
    /// Seconds.
    max_lifetime: Option<i64>,
    revoked: Arc<Revoked>,
}

#[derive(Debug)]
enum PeerName {
    Spiffe(SpiffeGlob),
    Host(String),
}

/// Who vouches for a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Voucher {
    /// An authority of a file, or of the system.
    Authority,
    /// The bundle of the trust domain of its SPIFFE ID.
    TrustDomain,
}

impl PeerName {
    fn parse(name: &str) -> Result<Self, CertFault> {
        if name.starts_with("spiffe:") {
            return SpiffeGlob::parse(name)
                .map(Self::Spiffe)
                .map_err(|source| CertFault::PeerSpiffe { name: name.to_owned(), source });
        }
        if is_host(name) { Ok(Self::Host(name.to_owned())) } else { Err(CertFault::PeerHost(name.to_owned())) }
    }

    fn matches(&self, leaf: &Certificate, spiffe: Option<&SpiffeId>, by: Voucher) -> bool {
        match self {
            Self::Spiffe(glob) => spiffe.is_some_and(|id| glob.matches(id)),
            // A trust domain speaks for its SPIFFE IDs: it could write any name of a host beside them.
            Self::Host(_) if by == Voucher::TrustDomain => false,
            // A wildcard in a certificate is a set of names, and a set is not somebody (attack 30).
            Self::Host(host) => leaf.dns.iter().any(|name| !name.contains('*') && host_matches(host, name)),
        }
    }

    /// For an upstream: what the handshake has proven.
    fn holds(&self, host: Option<&str>, spiffe: Option<&SpiffeId>) -> bool {
        match self {
            Self::Spiffe(glob) => spiffe.is_some_and(|id| glob.matches(id)),
            Self::Host(pattern) => host.is_some_and(|host| host_matches(pattern, host)),
        }
    }
}

impl PeerRules {
    pub(crate) fn new(trust: &PeerTrust, revoked: Arc<Revoked>) -> Result<Self, Vec<CertFault>> {
        let mut faults = Vec::new();
        let mut names = Vec::new();
        for list in &trust.names {
            let mut parsed = Vec::new();
            for name in list {
                match PeerName::parse(name) {
                    Ok(name) => parsed.push(name),
                    Err(fault) => faults.push(fault),
                }
            }
            names.push(parsed);
        }
        let max_lifetime = trust.max_lifetime.map(|max| i64::try_from(max.as_secs()).unwrap_or(i64::MAX));
        let rules =
            Self { names, min_rsa_bits: trust.min_rsa_bits, curves: trust.curves.clone(), max_lifetime, revoked };
        if faults.is_empty() { Ok(rules) } else { Err(faults) }
    }

    /// Applies every rule for a client to a chain that webpki accepted.
    pub(crate) fn check_client(&self, chain: &[Certificate], by: Voucher) -> Result<Option<SpiffeId>, PeerRefusal> {
        let (leaf, spiffe) = self.check(chain)?;
        // No list at all means that nobody was named, not that everybody is welcome.
        let named = |list: &Vec<PeerName>| list.iter().any(|name| name.matches(leaf, spiffe.as_ref(), by));
        if self.names.is_empty() || !self.names.iter().all(named) {
            return Err(PeerRefusal::Name);
        }
        Ok(spiffe)
    }

    /// Applies every rule for an upstream that was asked for as `server_name`, and whose certificate covers that name
    /// unless `expected` is the SPIFFE ID that it must be.
    pub(crate) fn check_upstream(
        &self,
        chain: &[Certificate],
        server_name: &str,
        expected: Option<&SpiffeId>,
    ) -> Result<(), PeerRefusal> {
        let (_, spiffe) = self.check(chain)?;
        if let Some(expected) = expected.filter(|expected| Some(*expected) != spiffe.as_ref()) {
            return Err(PeerRefusal::OtherSpiffeId(expected.to_string()));
        }
        let proven = if expected.is_none() { Some(server_name) } else { None };
        if self.names.iter().all(|list| list.iter().any(|name| name.holds(proven, spiffe.as_ref()))) {
            Ok(())
        } else {
            Err(PeerRefusal::Name)
        }
    }

    /// Whether some certificate could pass [`PeerRules::check_upstream`].
    pub(crate) fn allows_upstream(&self, server_name: &str, expected: Option<&SpiffeId>) -> bool {
        self.names.iter().all(|list| {
            list.iter().any(|name| match (name, expected) {
                (PeerName::Spiffe(glob), Some(id)) => glob.matches(id),
                (PeerName::Spiffe(_), None) => true,
                (PeerName::Host(host), None) => host_matches(host, server_name),
                (PeerName::Host(_), Some(_)) => false,
            })
        })
    }

    fn check<'c>(&self, chain: &'c [Certificate]) -> Result<(&'c Certificate, Option<SpiffeId>), PeerRefusal> {
        for (index, certificate) in chain.iter().enumerate() {
            self.strength(index, certificate)?;
            if self.revoked.contains(certificate) {
                return Err(PeerRefusal::Revoked { index });
            }
        }
        let Some(leaf) = chain.first() else {
            return Err(PeerRefusal::Malformed { index: 0, reason: "there is none".to_owned() });
        };
        let spiffe = svid(leaf)?;
        authenticates(leaf)?;
        if let Some(max) = self.max_lifetime.filter(|max| leaf.lifetime() > *max) {
            return Err(PeerRefusal::TooLong { seconds: leaf.lifetime(), max });
        }
        Ok((leaf, spiffe))
    }

    fn strength(&self, index: usize, certificate: &Certificate) -> Result<(), PeerRefusal> {
        if !certificate.key.is_accepted(self.min_rsa_bits, &self.curves) {
            return Err(PeerRefusal::WeakKey { index, key: certificate.key.to_string() });
        }
        // Nobody relies on the signature of a root that is sent along.
        let root = index > 0 && certificate.is_ca && certificate.self_issued;
        if !certificate.strong_signature && !root {
            return Err(PeerRefusal::WeakSignature { index });
        }
        Ok(())
    }
}

/// Rules for a leaf of any kind: it authenticates, and signs nothing but handshakes.
fn authenticates(leaf: &Certificate) -> Result<(), PeerRefusal> {
    if leaf.is_ca || leaf.usage.is_some_and(|u| u.signs_certificates) {
        return Err(PeerRefusal::Authority);
    }
    if leaf.usage.is_some_and(|u| !u.digital_signature) {
        return Err(PeerRefusal::NoDigitalSignature);
    }
    Ok(())
}

/// The SPIFFE ID of an X.509-SVID, `None` for a certificate that does not claim to be one (X509-SVID §2, §4, §5.2).
pub(crate) fn svid(leaf: &Certificate) -> Result<Option<SpiffeId>, PeerRefusal> {
    let claims = |uri: &String| uri.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("spiffe:"));
    let Some(uri) = leaf.uris.iter().find(|uri| claims(uri)) else { return Ok(None) };
    if leaf.uris.len() != 1 {
        return Err(PeerRefusal::SeveralUris(leaf.uris.len()));
    }
    let id = SpiffeId::parse(uri).map_err(PeerRefusal::BadSpiffeId)?;
    if id.segments().next().is_none() {
        return Err(PeerRefusal::TrustDomainItself);
    }
    authenticates(leaf)?;
    if !leaf.usage.is_some_and(|u| u.critical && u.digital_signature) {
        return Err(PeerRefusal::KeyUsageNotCritical);
    }
    if leaf.extended.is_some_and(|(client, server)| !(client && server)) {
        return Err(PeerRefusal::ExtendedKeyUsage);
    }
    Ok(Some(id))
}

pub(crate) fn read(chain: &[CertificateDer<'_>]) -> Result<Vec<Certificate>, PeerRefusal> {
    let read = |(index, der): (usize, &CertificateDer<'_>)| {
        Certificate::read(der).map_err(|reason| PeerRefusal::Malformed { index, reason })
    };
    chain.iter().enumerate().map(read).collect()
}

pub(crate) fn refused(refusal: PeerRefusal) -> rustls::Error {
    rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(refusal))))
}
