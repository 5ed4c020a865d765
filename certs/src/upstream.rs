//! The TLS towards one upstream: whom we expect there, whom we believe, and what we present.

use std::fmt;
use std::sync::Arc;

use postern_config::{CryptoProfile, Expected, UpstreamTls as Settings};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, VerifierBuilderError, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::sign::SingleCertAndKey;
use rustls::time_provider::{DefaultTimeProvider, TimeProvider};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::identities::{Identity, Origin, Role};
use crate::listener::{endings, soon};
use crate::revocation::Revoked;
use crate::rules::{read, refused};
use crate::strength::{provider, signs, versions};
use crate::trust::Trust;
use crate::unknown::{Unknown, judge};
use crate::{CertFault, CertProblem, Ending, PeerRefusal, SpiffeId, Workloads};

/// The TLS towards one upstream under one generation of its settings. A reload makes a new one; nothing of an old one
/// is resumed under it.
pub struct UpstreamTls {
    config: ClientConfig,
    server_name: ServerName<'static>,
    identity: Option<Identity>,
    trust: Arc<Trust>,
    verifier: Arc<UpstreamVerifier>,
    /// What agents said when it was made.
    workloads: Workloads,
    settings: Settings,
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
    pub fn load(settings: &Settings, workloads: &Workloads, now: i64) -> Result<Self, Vec<CertProblem>> {
        Self::load_with_clock(settings, workloads, now, Arc::new(DefaultTimeProvider))
    }

    /// [`UpstreamTls::load`] with a clock for handshakes.
    ///
    /// # Errors
    /// As [`UpstreamTls::load`].
    pub fn load_with_clock(
        settings: &Settings,
        workloads: &Workloads,
        now: i64,
        clock: Arc<dyn TimeProvider>,
    ) -> Result<Self, Vec<CertProblem>> {
        let mut problems = Vec::new();
        let provider = Arc::new(provider(settings.profile, settings.key_exchange));
        let expected = expected(settings).map_err(|fault| problems.push(fault.nowhere())).ok().flatten();
        // A SPIFFE ID that only some authority of the web vouches for would be no identity.
        let trust = Trust::load(&settings.trust, expected.is_none(), workloads, now, &mut problems);
        let name = ServerName::try_from(settings.server_name.clone());
        let name = name.map_err(|_e| problems.push(CertFault::ServerName(settings.server_name.clone()).nowhere())).ok();
        let own = settings.identity.as_ref();
        let identity = own.and_then(|own| Identity::load(own, Role::Client, &provider, workloads, now, &mut problems));
        let (Some(trust), Some(server_name), true) = (trust, name, problems.is_empty()) else {
            return Err(problems);
        };
        if !trust.rules.allows_upstream(&settings.server_name, expected.as_ref()) {
            let whom = expected.map_or_else(|| settings.server_name.clone(), |id| id.to_string());
            return Err(vec![CertFault::NeverNamed(whom).nowhere()]);
        }
        Self::assemble(settings.clone(), server_name, identity, Arc::new(trust), workloads, clock)
            .map_err(|fault| vec![fault.nowhere()])
    }

    fn assemble(
        settings: Settings,
        server_name: ServerName<'static>,
        identity: Option<Identity>,
        trust: Arc<Trust>,
        workloads: &Workloads,
        clock: Arc<dyn TimeProvider>,
    ) -> Result<Self, CertFault> {
        let provider = Arc::new(provider(settings.profile, settings.key_exchange));
        if identity.as_ref().and_then(Identity::key).is_some_and(|key| !signs(&*key.key, &provider)) {
            return Err(CertFault::NotApproved);
        }
        let expected = expected(&settings)?;
        let verifier = UpstreamVerifier::new(trust.clone(), workloads, expected, server_name.clone(), &provider)?;
        let verifier = Arc::new(verifier);
        let config = config(&settings, provider, verifier.clone(), identity.as_ref(), clock)?;
        Ok(Self { config, server_name, identity, trust, verifier, workloads: workloads.clone(), settings })
    }

    /// The same settings and the same files, by what agents say now. `None` where nothing of it comes from an agent.
    ///
    /// # Errors
    /// Where TLS cannot be set up; none is known.
    pub fn renewed(&self, workloads: &Workloads) -> Result<Option<Self>, CertProblem> {
        let presents = self.identity.as_ref().is_some_and(|own| matches!(own.origin, Origin::Workload { .. }));
        if !presents && self.trust.domains.is_empty() {
            return Ok(None);
        }
        let identity = self.identity.as_ref().map(|own| own.renewed(workloads, self.config.crypto_provider()));
        let (clock, name) = (self.config.time_provider.clone(), self.server_name.clone());
        Self::assemble(self.settings.clone(), name, identity, self.trust.clone(), workloads, clock)
            .map(Some)
            .map_err(CertFault::nowhere)
    }

    /// Handshakes that passed although no current list covered the upstream's chain.
    #[must_use]
    pub fn unknown_passed(&self) -> u64 {
        self.trust.unknown.as_ref().map_or(0, Unknown::passed)
    }

    /// Whether a connection that was made with `before`, and whose other end showed `chain`, would be made now. Where another
    /// one is expected now, nobody is judged: what was asked of the other goes on to its end.
    ///
    /// # Errors
    /// Why it would not.
    pub fn judge(&self, before: &Self, chain: &[CertificateDer<'_>]) -> Result<(), String> {
        let expected = |tls: &Self| (tls.settings.expected.clone(), tls.settings.server_name.clone());
        if expected(self) != expected(before) {
            return Ok(());
        }
        if before.identity.as_ref().is_some_and(|own| !own.is_held(&self.workloads)) {
            return Err("what we presented to it was taken back, or has ended".to_owned());
        }
        let Some((leaf, intermediates)) = chain.split_first() else {
            return Err("it showed no certificate".to_owned());
        };
        let now = self.config.time_provider.current_time().ok_or("there is no time")?;
        let verified = self.verifier.check(leaf, intermediates, &[], now);
        verified.map(|_| ()).map_err(|error| error.to_string())
    }

    /// Why nobody may be connected to, if so: without the identity that policy wants presented, we would come as nobody.
    #[must_use]
    pub fn lacks(&self) -> Option<String> {
        let own = self.identity.as_ref().filter(|own| own.key().is_none())?;
        Some(format!("the SVID of identity `{}` was taken back, or it has ended", own.name))
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

    /// Certificates of files, ours and trust anchors, that end within `warn_before` of `now` (unix seconds). Those of the
    /// system are its own business.
    #[must_use]
    pub fn warnings(&self, now: i64) -> Vec<Ending> {
        let ours = self.identity.iter().filter_map(|identity| Some((identity.file()?, &identity.chain)));
        let anchors = self.trust.anchors.iter().map(|(material, chain)| (material, chain));
        endings(ours.chain(anchors), soon(now, self.settings.warn_before))
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
    verifier: Arc<UpstreamVerifier>,
    identity: Option<&Identity>,
    clock: Arc<dyn TimeProvider>,
) -> Result<ClientConfig, CertFault> {
    let builder = ClientConfig::builder_with_details(provider, clock)
        .with_protocol_versions(&versions(settings.min_version, settings.key_exchange))
        .map_err(CertFault::Tls)?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match identity.and_then(Identity::key) {
        Some(key) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key))),
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
    trust: Arc<Trust>,
    /// What may vouch, the bundle of the expected ID's own trust domain first; the bundle of another is not even asked (SPI-03).
    chains: Vec<(Chain, Vec<Arc<Revoked>>)>,
    expected: Option<SpiffeId>,
    server_name: ServerName<'static>,
    algorithms: WebPkiSupportedAlgorithms,
}

/// Signatures and dates up to some authorities.
#[derive(Debug)]
struct Chain {
    /// Refuses what no current list covers.
    strict: Arc<WebPkiServerVerifier>,
    /// Refuses only what a list revokes.
    lenient: Option<Arc<WebPkiServerVerifier>>,
}

impl UpstreamVerifier {
    fn new(
        trust: Arc<Trust>,
        workloads: &Workloads,
        expected: Option<SpiffeId>,
        server_name: ServerName<'static>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, CertFault> {
        let verifier = |roots: RootCertStore| {
            let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone());
            let builder = builder.with_crls(trust.crls.clone());
            let lenient = trust.unknown.is_some().then(|| builder.clone().allow_unknown_revocation_status().build());
            // INVARIANT: intermediates are checked too, a status that no list tells refuses, and so does a list that is over.
            let strict = builder.enforce_revocation_expiration().build();
            let failed = |e: VerifierBuilderError| CertFault::Tls(rustls::Error::General(e.to_string()));
            Ok::<_, CertFault>(Chain { strict: strict.map_err(failed)?, lenient: lenient.transpose().map_err(failed)? })
        };
        let mut chains = Vec::new();
        let own = expected.as_ref().and_then(|id| trust.authorities(workloads).remove(id.trust_domain()));
        if let Some(own) = own {
            chains.push((verifier(own.roots)?, own.revoked));
        }
        if !trust.roots.is_empty() {
            chains.push((verifier(trust.roots.clone())?, Vec::new()));
        }
        let algorithms = provider.signature_verification_algorithms;
        Ok(Self { chains, expected, server_name, algorithms, trust })
    }

    fn vouches(
        &self,
        chain: &Chain,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<bool, rustls::Error> {
        use CertificateError::{NotValidForName, NotValidForNameContext};
        let ask = |chain: &WebPkiServerVerifier| match chain.verify_server_cert(
            leaf,
            intermediates,
            &self.server_name,
            ocsp,
            now,
        ) {
            Ok(_) => Ok(()),
            // webpki compares names last: this says that the chain and its revocation were fine (a test holds it to that).
            // An X.509-SVID has no name to compare; its ID is checked below.
            Err(rustls::Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }))
                if self.expected.is_some() =>
            {
                Ok(())
            }
            Err(error) => Err(error),
        };
        let lenient = || ask(chain.lenient.as_ref().unwrap_or(&chain.strict));
        judge(self.trust.unknown.as_ref(), now, || ask(&chain.strict), lenient)
    }

    /// Whom the other end is; true where nobody can say of all of its chain that it is not revoked.
    fn check(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<bool, rustls::Error> {
        let mut why = None;
        let mut vouched = None;
        for (chain, revoked) in &self.chains {
            match self.vouches(chain, leaf, intermediates, ocsp, now) {
                Ok(unknown) => vouched = Some((revoked, unknown)),
                Err(error) => why = why.or(Some(error)),
            }
            if vouched.is_some() {
                break;
            }
        }
        let Some((revoked, unknown)) = vouched else {
            return Err(why.unwrap_or_else(|| refused(PeerRefusal::NoBundle)));
        };
        let chain: Vec<_> = std::iter::once(leaf).chain(intermediates).cloned().collect();
        let certificates = read(&chain).map_err(refused)?;
        if let Some(index) = certificates.iter().position(|one| revoked.iter().any(|lists| lists.contains(one))) {
            return Err(refused(PeerRefusal::Revoked { index }));
        }
        let name = self.server_name.to_str();
        self.trust.rules.check_upstream(&certificates, &name, self.expected.as_ref()).map_err(refused)?;
        Ok(unknown)
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
        if let (true, Some(unknown)) = (self.check(leaf, intermediates, ocsp, now)?, &self.trust.unknown) {
            unknown.count();
        }
        Ok(ServerCertVerified::assertion())
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
