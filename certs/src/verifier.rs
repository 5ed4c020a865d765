//! Which client certificates a listener believes: the chain by webpki, then our rules.

use std::sync::Arc;

use postern_config::ClientAuth;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, SignatureScheme};
use rustls_pki_types::{CertificateDer, UnixTime};

use crate::rules::{PeerRules, read, refused};
use crate::trust::Trust;
use crate::{CertFault, VerifiedPeer};

/// The verifier of one listener.
#[derive(Debug)]
pub(crate) struct PeerVerifier {
    chain: Arc<dyn ClientCertVerifier>,
    rules: PeerRules,
}

impl PeerVerifier {
    /// Where client certificates are asked for.
    pub(crate) fn new(
        client_auth: ClientAuth,
        trust: Trust,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<Self>, CertFault> {
        let Trust { roots, crls, rules, .. } = trust;
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).with_crls(crls);
        // INVARIANT: intermediates are checked too, a status that no list tells refuses, and so does a list that is over.
        let builder = builder.enforce_revocation_expiration();
        let builder = if client_auth == ClientAuth::Optional { builder.allow_unauthenticated() } else { builder };
        let chain = builder.build().map_err(|e| CertFault::Tls(rustls::Error::General(e.to_string())))?;
        Ok(Arc::new(Self { chain, rules }))
    }

    /// Verifies `chain`, leaf first, at `now`: signatures and validity up to an anchor, then our rules.
    pub(crate) fn verify(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Result<VerifiedPeer, rustls::Error> {
        let Some((leaf, intermediates)) = chain.split_first() else {
            return Err(rustls::Error::NoCertificatesPresented);
        };
        self.chain.verify_client_cert(leaf, intermediates, now)?;
        let certificates = read(chain).map_err(refused)?;
        let spiffe = self.rules.check_client(&certificates).map_err(refused)?;
        let valid_until = certificates.iter().map(|c| c.not_after).min().unwrap_or(0);
        let Some(leaf) = certificates.into_iter().next() else {
            return Err(rustls::Error::NoCertificatesPresented);
        };
        Ok(VerifiedPeer::new(leaf, spiffe, valid_until))
    }
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
