//! The TLS towards one upstream: whom we expect there, whom we believe, and what we present.

use std::fmt;
use std::sync::Arc;

use postern_config::{CryptoProfile, Expected, UpstreamTls as Settings};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::sign::SingleCertAndKey;
use rustls::time_provider::{DefaultTimeProvider, TimeProvider};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::identities::{Identity, Role};
use crate::listener::endings;
use crate::rules::{PeerRules, read, refused};
use crate::strength::{provider, versions};
use crate::trust::Trust;
use crate::{CertFault, CertProblem, Ending, SpiffeId, Workload};

/// The TLS towards one upstream under one generation of its settings. A reload makes a new one; nothing of an old one
/// is resumed under it.
pub struct UpstreamTls {
    config: ClientConfig,
    server_name: ServerName<'static>,
    identity: Option<Identity>,
    anchors: Vec<(postern_config::Material, Vec<crate::certificate::Certificate>)>,
    /// Seconds before an end at which [`UpstreamTls::warnings`] names it.
    warn_before: i64,
}

impl fmt::Debug for UpstreamTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamTls").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}

impl UpstreamTls {
    /// Reads all material. What is expired at `now` (unix seconds) does not load; handshakes go by the machine's clock.
    ///
    /// # Errors
    /// Every problem, each with the material it is in.
    pub fn load(settings: &Settings, workload: &Workload, now: i64) -> Result<Self, Vec<CertProblem>> {
        Self::load_with_clock(settings, workload, now, Arc::new(DefaultTimeProvider))
    }

    /// [`UpstreamTls::load`] with a clock for handshakes.
    ///
    /// # Errors
    /// As [`UpstreamTls::load`].
    pub fn load_with_clock(
        settings: &Settings,
        _workload: &Workload,
        now: i64,
        clock: Arc<dyn TimeProvider>,
    ) -> Result<Self, Vec<CertProblem>> {
        let mut problems = Vec::new();
        let provider = Arc::new(provider(settings.profile, settings.key_exchange));
        let expected = expected(settings).map_err(|fault| problems.push(fault.nowhere())).ok().flatten();
        // A SPIFFE ID that only some authority of the web vouches for would be no identity.
        let trust = Trust::load(&settings.trust, expected.is_none(), now, &mut problems);
        let name = ServerName::try_from(settings.server_name.clone());
        let name = name.map_err(|_e| problems.push(CertFault::ServerName(settings.server_name.clone()).nowhere())).ok();
        let own = settings.identity.as_ref();
        let identity = own.and_then(|own| Identity::load(own, Role::Client, &provider, now, &mut problems));
        let (Some(mut trust), Some(server_name), true) = (trust, name, problems.is_empty()) else {
            return Err(problems);
        };
        if !trust.rules.allows_upstream(&settings.server_name, expected.as_ref()) {
            let whom = expected.map_or_else(|| settings.server_name.clone(), |id| id.to_string());
            return Err(vec![CertFault::NeverNamed(whom).nowhere()]);
        }
        let anchors = std::mem::take(&mut trust.anchors);
        let config = config(settings, provider, trust, expected, server_name.clone(), identity.as_ref(), clock)
            .map_err(|fault| vec![fault.nowhere()])?;
        let warn_before = i64::try_from(settings.warn_before.as_secs()).unwrap_or(i64::MAX);
        Ok(Self { config, server_name, identity, anchors, warn_before })
    }

    /// For the connector, offering `alpn`. Whoever it connects to is verified by the rules of the settings, whatever name
    /// the caller asks for; nothing is resumed, so that every connection is a check of today.
    #[must_use]
    pub fn client_config(&self, alpn: &[&[u8]]) -> Arc<ClientConfig> {
        let mut config = self.config.clone();
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
        Arc::new(config)
    }

    /// The name to ask for.
    #[must_use]
    pub fn server_name(&self) -> ServerName<'static> {
        self.server_name.clone()
    }

    /// Certificates, ours and trust anchors, that end within `warn_before` of `now` (unix seconds). Those of the system are
    /// its own business.
    #[must_use]
    pub fn warnings(&self, now: i64) -> Vec<Ending> {
        let ours = self.identity.iter().map(|identity| (&identity.material, &identity.chain));
        let anchors = self.anchors.iter().map(|(material, chain)| (material, chain));
        endings(ours.chain(anchors), now.saturating_add(self.warn_before))
    }
}

fn expected(settings: &Settings) -> Result<Option<SpiffeId>, CertFault> {
    match &settings.expected {
        Expected::ServerName => Ok(None),
        Expected::Spiffe(id) => {
            SpiffeId::parse(id).map(Some).map_err(|source| CertFault::ExpectedSpiffe { name: id.clone(), source })
        }
    }
}

fn config(
    settings: &Settings,
    provider: Arc<CryptoProvider>,
    trust: Trust,
    expected: Option<SpiffeId>,
    server_name: ServerName<'static>,
    identity: Option<&Identity>,
    clock: Arc<dyn TimeProvider>,
) -> Result<ClientConfig, CertFault> {
    let verifier = UpstreamVerifier::new(trust, expected, server_name, &provider)?;
    let builder = ClientConfig::builder_with_details(provider, clock)
        .with_protocol_versions(&versions(settings.min_version, settings.key_exchange))
        .map_err(CertFault::Tls)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match identity {
        Some(identity) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity.key()))),
        None => builder.with_no_client_auth(),
    };
    // A resumed session never asks the verifier: an upstream that was revoked since would stay good.
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    config.require_ems = true;
    // INVARIANT: as of a listener.
    if settings.profile == CryptoProfile::Fips && !config.fips() {
        return Err(CertFault::NotFips);
    }
    Ok(config)
}

/// Checks an upstream: webpki for chain, revocation and host name, then our rules, or the SPIFFE ID in place of the name.
#[derive(Debug)]
struct UpstreamVerifier {
    chain: Arc<WebPkiServerVerifier>,
    rules: PeerRules,
    expected: Option<SpiffeId>,
    server_name: ServerName<'static>,
}

impl UpstreamVerifier {
    fn new(
        trust: Trust,
        expected: Option<SpiffeId>,
        server_name: ServerName<'static>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, CertFault> {
        let Trust { roots, crls, rules, .. } = trust;
        // INVARIANT: intermediates are checked too, a status that no list tells refuses, and so does a list that is over.
        let chain = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
            .with_crls(crls)
            .enforce_revocation_expiration()
            .build()
            .map_err(|e| CertFault::Tls(rustls::Error::General(e.to_string())))?;
        Ok(Self { chain, rules, expected, server_name })
    }
}

impl ServerCertVerifier for UpstreamVerifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _asked: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        use CertificateError::{NotValidForName, NotValidForNameContext};
        let checked = self.chain.verify_server_cert(leaf, intermediates, &self.server_name, ocsp, now);
        match checked {
            Ok(_) => {}
            // webpki compares names last: this says that the chain and its revocation were fine (a test holds it to that).
            // An X.509-SVID has no name to compare; its ID is checked below.
            Err(rustls::Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }))
                if self.expected.is_some() => {}
            Err(error) => return Err(error),
        }
        let chain: Vec<_> = std::iter::once(leaf).chain(intermediates).cloned().collect();
        let certificates = read(&chain).map_err(refused)?;
        let name = self.server_name.to_str();
        self.rules.check_upstream(&certificates, &name, self.expected.as_ref()).map_err(refused)?;
        Ok(ServerCertVerified::assertion())
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
