//! Which client certificates a listener believes: chain, then key strength, leaf rules, lifetime and names.

use std::sync::Arc;

use postern_config::{ClientAuth, ClientTrust, Curve, host_matches};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, OtherError, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, UnixTime};

use crate::certificate::{Certificate, is_host};
use crate::{CertFault, SpiffeGlob, SpiffeId, VerifiedPeer};

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
}

impl std::fmt::Debug for PeerRefusal {
    /// As for people: rustls prints the cause of a refused certificate this way, and that is what reaches the records.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// The rules on top of the chain.
#[derive(Debug)]
struct PeerRules {
    /// A leaf must match a name of every list.
    names: Vec<Vec<PeerName>>,
    min_rsa_bits: u32,
    curves: Vec<Curve>,
    /// Seconds.
    max_lifetime: Option<i64>,
}

#[derive(Debug)]
enum PeerName {
    Spiffe(SpiffeGlob),
    Host(String),
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

    fn matches(&self, leaf: &Certificate, spiffe: Option<&SpiffeId>) -> bool {
        match self {
            Self::Spiffe(glob) => spiffe.is_some_and(|id| glob.matches(id)),
            // A wildcard in a certificate is a set of names, and a set is not somebody (attack 30).
            Self::Host(host) => leaf.dns.iter().any(|name| !name.contains('*') && host_matches(host, name)),
        }
    }
}

impl PeerRules {
    fn new(trust: &ClientTrust) -> Result<Self, Vec<CertFault>> {
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
        let rules = Self { names, min_rsa_bits: trust.min_rsa_bits, curves: trust.curves.clone(), max_lifetime };
        if faults.is_empty() { Ok(rules) } else { Err(faults) }
    }

    /// Applies every rule to a chain that webpki accepted.
    fn check(&self, chain: &[Certificate]) -> Result<Option<SpiffeId>, PeerRefusal> {
        for (index, certificate) in chain.iter().enumerate() {
            self.strength(index, certificate)?;
        }
        let Some(leaf) = chain.first() else {
            return Err(PeerRefusal::Malformed { index: 0, reason: "there is none".to_owned() });
        };
        let spiffe = svid(leaf)?;
        authenticates(leaf)?;
        if let Some(max) = self.max_lifetime.filter(|max| leaf.lifetime() > *max) {
            return Err(PeerRefusal::TooLong { seconds: leaf.lifetime(), max });
        }
        self.named(leaf, spiffe.as_ref())?;
        Ok(spiffe)
    }

    fn strength(&self, index: usize, certificate: &Certificate) -> Result<(), PeerRefusal> {
        if !certificate.key.is_accepted(self.min_rsa_bits, &self.curves) {
            return Err(PeerRefusal::WeakKey { index, key: certificate.key.to_string() });
        }
        if !certificate.strong_signature {
            return Err(PeerRefusal::WeakSignature { index });
        }
        Ok(())
    }

    fn named(&self, leaf: &Certificate, spiffe: Option<&SpiffeId>) -> Result<(), PeerRefusal> {
        // No list at all means that nobody was named, not that everybody is welcome.
        let every = self.names.iter().all(|list| list.iter().any(|name| name.matches(leaf, spiffe)));
        if every && !self.names.is_empty() { Ok(()) } else { Err(PeerRefusal::Name) }
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
fn svid(leaf: &Certificate) -> Result<Option<SpiffeId>, PeerRefusal> {
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

/// The verifier of one listener.
#[derive(Debug)]
pub(crate) struct PeerVerifier {
    chain: Arc<dyn ClientCertVerifier>,
    rules: PeerRules,
}

impl PeerVerifier {
    /// `None` where client certificates are not asked for.
    pub(crate) fn new(
        trust: &ClientTrust,
        anchors: RootCertStore,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Option<Arc<Self>>, Vec<CertFault>> {
        if trust.client_auth == ClientAuth::Off {
            return Ok(None);
        }
        let rules = PeerRules::new(trust)?;
        if anchors.is_empty() {
            return Err(vec![CertFault::NoAnchors]);
        }
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(anchors), provider.clone());
        let builder = if trust.client_auth == ClientAuth::Optional { builder.allow_unauthenticated() } else { builder };
        let chain = builder.build().map_err(|e| vec![CertFault::Tls(rustls::Error::General(e.to_string()))])?;
        Ok(Some(Arc::new(Self { chain, rules })))
    }

    /// Verifies `chain`, leaf first, at `now`: signatures and validity up to an anchor, then our rules.
    pub(crate) fn verify(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Result<VerifiedPeer, rustls::Error> {
        let Some((leaf, intermediates)) = chain.split_first() else {
            return Err(rustls::Error::NoCertificatesPresented);
        };
        self.chain.verify_client_cert(leaf, intermediates, now)?;
        let certificates = read(chain).map_err(refused)?;
        let spiffe = self.rules.check(&certificates).map_err(refused)?;
        let valid_until = certificates.iter().map(|c| c.not_after).min().unwrap_or(0);
        let Some(leaf) = certificates.into_iter().next() else {
            return Err(rustls::Error::NoCertificatesPresented);
        };
        Ok(VerifiedPeer::new(leaf, spiffe, valid_until))
    }
}

fn read(chain: &[CertificateDer<'_>]) -> Result<Vec<Certificate>, PeerRefusal> {
    let read = |(index, der): (usize, &CertificateDer<'_>)| {
        Certificate::read(der).map_err(|reason| PeerRefusal::Malformed { index, reason })
    };
    chain.iter().enumerate().map(read).collect()
}

fn refused(refusal: PeerRefusal) -> rustls::Error {
    rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(refusal))))
}

impl ClientCertVerifier for PeerVerifier {
    fn offer_client_auth(&self) -> bool {
        self.chain.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.chain.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let chain: Vec<_> = std::iter::once(leaf).chain(intermediates).cloned().collect();
        self.verify(&chain, now).map(|_| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}
