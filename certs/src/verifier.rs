//! Which client certificates a listener believes: the chain by webpki, then our rules.
//!
//! Authorities of files vouch for anybody. The bundle of a trust domain vouches for the SVIDs of that domain alone (SPI-03):
//! it is asked about no other chain, so that it cannot speak for another domain.

use std::collections::BTreeMap;
use std::sync::Arc;

use postern_config::ClientAuth;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, UnixTime};

use crate::certificate::Certificate;
use crate::revocation::Revoked;
use crate::rules::{Voucher, read, refused, svid};
use crate::trust::Trust;
use crate::unknown::judge;
use crate::{CertFault, PeerRefusal, VerifiedPeer, Workloads};

/// The verifier of one listener.
#[derive(Debug)]
pub(crate) struct PeerVerifier {
    trust: Arc<Trust>,
    /// By the authorities of files, where there are any.
    files: Option<Chain>,
    /// By trust domain.
    domains: BTreeMap<String, Domain>,
    mandatory: bool,
    /// Names of all the authorities.
    hints: Vec<DistinguishedName>,
    algorithms: WebPkiSupportedAlgorithms,
}

/// A trust domain whose bundle is there.
#[derive(Debug)]
struct Domain {
    chain: Chain,
    revoked: Vec<Arc<Revoked>>,
}

/// Signatures and dates up to some authorities.
#[derive(Debug)]
struct Chain {
    /// Refuses what no current list covers.
    strict: Arc<dyn ClientCertVerifier>,
    /// Refuses only what a list revokes.
    lenient: Option<Arc<dyn ClientCertVerifier>>,
}

impl PeerVerifier {
    /// Where client certificates are asked for.
    pub(crate) fn new(
        client_auth: ClientAuth,
        trust: Arc<Trust>,
        workloads: &Workloads,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<Self>, CertFault> {
        let mut hints = Vec::new();
        let mut verifier = |roots: RootCertStore| {
            hints.extend(roots.subjects());
            let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
            let builder = builder.with_crls(trust.crls.clone());
            let lenient = trust.unknown.is_some().then(|| builder.clone().allow_unknown_revocation_status().build());
            // INVARIANT: intermediates are checked too, a status that no list tells refuses, and so does a list that is over.
            let strict = builder.enforce_revocation_expiration().build();
            let failed = |e: VerifierBuilderError| CertFault::Tls(rustls::Error::General(e.to_string()));
            Ok::<_, CertFault>(Chain { strict: strict.map_err(failed)?, lenient: lenient.transpose().map_err(failed)? })
        };
        let files = if trust.roots.is_empty() { None } else { Some(verifier(trust.roots.clone())?) };
        let mut domains = BTreeMap::new();
        for (domain, authorities) in trust.authorities(workloads) {
            let chain = verifier(authorities.roots)?;
            domains.insert(domain, Domain { chain, revoked: authorities.revoked });
        }
        Ok(Arc::new(Self {
            files,
            domains,
            mandatory: client_auth == ClientAuth::Required,
            hints,
            algorithms: provider.signature_verification_algorithms,
            trust,
        }))
    }

    /// Verifies `chain`, leaf first, at `now`: signatures and validity up to an anchor, then our rules.
    pub(crate) fn verify(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Result<VerifiedPeer, rustls::Error> {
        let Some((leaf, intermediates)) = chain.split_first() else {
            return Err(rustls::Error::NoCertificatesPresented);
        };
        let mut why = None;
        if let Some(domain) = self.domain_of(leaf) {
            match self.vouches(&domain.chain, leaf, intermediates, now) {
                Ok(unknown) => return self.accept(chain, Some(domain), unknown),
                Err(error) => why = Some(error),
            }
        }
        match &self.files {
            Some(files) => {
                let unknown = self.vouches(files, leaf, intermediates, now).map_err(|error| why.unwrap_or(error))?;
                self.accept(chain, None, unknown)
            }
            None => Err(why.unwrap_or_else(|| refused(PeerRefusal::NoBundle))),
        }
    }

    /// Whether the chain leads to an authority; true where nobody can say of all of it that it is not revoked.
    fn vouches(
        &self,
        chain: &Chain,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<bool, rustls::Error> {
        let ask =
            |verifier: &Arc<dyn ClientCertVerifier>| verifier.verify_client_cert(leaf, intermediates, now).map(|_| ());
        let lenient = || ask(chain.lenient.as_ref().unwrap_or(&chain.strict));
        judge(self.trust.unknown.as_ref(), now, || ask(&chain.strict), lenient)
    }

    /// The trust domain that a leaf claims, if its bundle is there. It is no more than a claim: the chain proves it.
    fn domain_of(&self, leaf: &CertificateDer<'_>) -> Option<&Domain> {
        if self.domains.is_empty() {
            return None;
        }
        let id = svid(&Certificate::read(leaf).ok()?).ok().flatten()?;
        self.domains.get(id.trust_domain())
    }

    /// Our rules, for a chain whose signatures and dates are good.
    fn accept(
        &self,
        chain: &[CertificateDer<'_>],
        domain: Option<&Domain>,
        unknown: bool,
    ) -> Result<VerifiedPeer, rustls::Error> {
        let certificates = read(chain).map_err(refused)?;
        let revoked = domain.map(|domain| domain.revoked.as_slice()).unwrap_or_default();
        let taken_back = |one: &Certificate| revoked.iter().any(|lists| lists.contains(one));
        if let Some(index) = certificates.iter().position(taken_back) {
            return Err(refused(PeerRefusal::Revoked { index }));
        }
        let by = if domain.is_some() { Voucher::TrustDomain } else { Voucher::Authority };
        let spiffe = self.trust.rules.check_client(&certificates, by).map_err(refused)?;
        let valid_until = certificates.iter().map(|c| c.not_after).min().unwrap_or(0);
        let Some(mut leaf) = certificates.into_iter().next() else {
            return Err(rustls::Error::NoCertificatesPresented);
        };
        if by == Voucher::TrustDomain {
            // Nobody vouches for them.
            leaf.dns.clear();
        }
        Ok(VerifiedPeer::new(leaf, spiffe, valid_until, unknown))
    }
}

impl ClientCertVerifier for PeerVerifier {
    fn offer_client_auth(&self) -> bool {
        true
    }

    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let chain: Vec<_> = std::iter::once(leaf).chain(intermediates).cloned().collect();
        let peer = self.verify(&chain, now)?;
        if let (true, Some(unknown)) = (peer.revocation_is_unknown(), &self.trust.unknown) {
            unknown.count();
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
