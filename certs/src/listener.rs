//! The TLS of one listener: what it presents, whom it believes, which versions and key exchanges it speaks.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use postern_config::{ClientAuth, CryptoProfile, ListenerTls as Settings, Material};
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::NoServerSessionStorage;
use rustls::time_provider::{DefaultTimeProvider, TimeProvider};
use rustls_pki_types::CertificateDer;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::certificate::Certificate;
use crate::identities::{Identities, Identity, Origin};
use crate::strength::{provider, signs, versions};
use crate::trust::Trust;
use crate::unknown::Unknown;
use crate::verifier::PeerVerifier;
use crate::{CertFault, CertProblem, SpiffeId, VerifiedPeer, Workloads};

/// The TLS of one listener under one generation of its settings. A reload makes a new one; tickets of the old one do
/// not open a session under the new one.
pub struct ListenerTls {
    config: Arc<ServerConfig>,
    identities: Arc<Identities>,
    verifier: Option<Arc<PeerVerifier>>,
    trust: Option<Arc<Trust>>,
    /// What agents said when it was made.
    workloads: Workloads,
    settings: Settings,
}

impl fmt::Debug for ListenerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListenerTls").field("identities", &self.identities).finish_non_exhaustive()
    }
}

/// A certificate that ends soon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    pub material: Material,
    /// Unix seconds.
    pub not_after: i64,
    pub serial: String,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: certificate {} ends at {}", self.material, self.serial, date(self.not_after))
    }
}

/// RFC 3339, or the number where it is no date.
pub(crate) fn date(unix: i64) -> String {
    OffsetDateTime::from_unix_timestamp(unix)
        .ok()
        .and_then(|at| at.format(&Rfc3339).ok())
        .unwrap_or_else(|| unix.to_string())
}

impl ListenerTls {
    /// Reads all material and makes the TLS of a listener, ALPN `h2` and `http/1.1`, no early data. What is expired at
    /// `now` (unix seconds) does not load; handshakes go by the machine's clock.
    ///
    /// # Errors
    /// Every problem, each with the material it is in.
    pub fn load(settings: &Settings, workloads: &Workloads, now: i64) -> Result<Self, Vec<CertProblem>> {
        Self::load_with_clock(settings, workloads, now, Arc::new(DefaultTimeProvider))
    }

    /// [`ListenerTls::load`] with a clock for handshakes.
    ///
    /// # Errors
    /// As [`ListenerTls::load`].
    pub fn load_with_clock(
        settings: &Settings,
        workloads: &Workloads,
        now: i64,
        clock: Arc<dyn TimeProvider>,
    ) -> Result<Self, Vec<CertProblem>> {
        let mut problems = Vec::new();
        let provider = provider(settings.profile, settings.key_exchange);
        let identities = Identities::load(&settings.identities, &provider, workloads, now, &mut problems);
        let asks = settings.client_auth != ClientAuth::Off;
        let trust = if asks { Trust::load(&settings.trust, false, workloads, now, &mut problems) } else { None };
        if !problems.is_empty() {
            return Err(problems);
        }
        Self::assemble(settings.clone(), identities, trust.map(Arc::new), workloads.clone(), clock)
            .map_err(|fault| vec![fault.nowhere()])
    }

    fn assemble(
        settings: Settings,
        identities: Identities,
        trust: Option<Arc<Trust>>,
        workloads: Workloads,
        clock: Arc<dyn TimeProvider>,
    ) -> Result<Self, CertFault> {
        let provider = Arc::new(provider(settings.profile, settings.key_exchange));
        if identities.iter().filter_map(Identity::key).any(|key| !signs(&*key.key, &provider)) {
            return Err(CertFault::NotApproved);
        }
        let identities = Arc::new(identities);
        let verifier = trust.clone().map(|t| PeerVerifier::new(settings.client_auth, t, &workloads, &provider));
        let verifier = verifier.transpose()?;
        let config =
            server_config(&settings, provider, &identities, verifier.clone(), clock).map_err(CertFault::Tls)?;
        // INVARIANT: the name promises validated cryptography; what a binary lacks, no setting makes up for.
        if settings.profile == CryptoProfile::Fips && !config.fips() {
            return Err(CertFault::NotFips);
        }
        Ok(Self { config: Arc::new(config), identities, verifier, trust, workloads, settings })
    }

    /// The same settings and the same files, by what agents say now: an SVID or a bundle that they took back is there no more,
    /// and what depends on it fails. `None` where nothing of it comes from an agent.
    ///
    /// # Errors
    /// Where TLS cannot be set up; none is known.
    pub fn renewed(&self, workloads: &Workloads) -> Result<Option<Self>, CertProblem> {
        let presents = self.identities.iter().any(|identity| matches!(identity.origin, Origin::Workload { .. }));
        let believes = self.trust.as_ref().is_some_and(|trust| !trust.domains.is_empty());
        if !presents && !believes {
            return Ok(None);
        }
        let clock = self.config.time_provider.clone();
        let identities = self.identities.renewed(workloads, self.config.crypto_provider());
        Self::assemble(self.settings.clone(), identities, self.trust.clone(), workloads.clone(), clock)
            .map(Some)
            .map_err(CertFault::nowhere)
    }

    /// For the acceptor.
    #[must_use]
    pub fn server_config(&self) -> Arc<ServerConfig> {
        self.config.clone()
    }

    /// Who presented `chain` (leaf first, as the handshake left it). The whole chain is verified again by the clock of
    /// the handshake, signatures included, so a [`VerifiedPeer`] is a proof whoever asks; that costs a connection one
    /// signature check per certificate.
    ///
    /// # Errors
    /// As the handshake would have failed; always where client certificates are off. The source of
    /// `CertificateError::Other` is a [`PeerRefusal`](crate::PeerRefusal).
    pub fn peer(&self, chain: &[CertificateDer<'_>]) -> Result<VerifiedPeer, rustls::Error> {
        let now = self.config.time_provider.current_time().ok_or(rustls::Error::FailedToGetCurrentTime)?;
        match &self.verifier {
            Some(verifier) => verifier.verify(chain, now),
            None => Err(rustls::Error::General("client certificates are off on this listener".to_owned())),
        }
    }

    /// Name of the identity that a handshake with this SNI is answered with.
    #[must_use]
    pub fn identity_for(&self, sni: Option<&str>) -> Option<&str> {
        self.identities.select(sni).map(|identity| identity.name.as_str())
    }

    /// Whether the certificate presented to this SNI covers `host` (a name, or an address with or without brackets;
    /// no port). Where it does not, the request is misdirected: 421 (RFC 9110 §7.4).
    #[must_use]
    pub fn covers(&self, sni: Option<&str>, host: &str) -> bool {
        self.identities.covers(sni, host)
    }

    /// Certificates of files, ours and trust anchors, that end within `warn_before` of `now` (unix seconds).
    #[must_use]
    pub fn warnings(&self, now: i64) -> Vec<Ending> {
        let ours = self.identities.iter().filter_map(|identity| Some((identity.file()?, &identity.chain)));
        let anchors = self.trust.iter().flat_map(|trust| &trust.anchors).map(|(material, chain)| (material, chain));
        endings(ours.chain(anchors), soon(now, self.settings.warn_before))
    }

    /// The SPIFFE ID in the certificate presented to this SNI, where it is an X.509-SVID.
    #[must_use]
    pub fn own_spiffe(&self, sni: Option<&str>) -> Option<SpiffeId> {
        self.identities.select(sni)?.spiffe()
    }

    /// Whether what `before` presented to this SNI is still ours: an agent may have taken the SVID back, or it has ended.
    #[must_use]
    pub fn still_holds(&self, before: &Self, sni: Option<&str>) -> bool {
        before.identities.select(sni).is_none_or(|presented| presented.is_held(&self.workloads))
    }

    /// Names of the identities that are there, and the unix seconds at which the first certificate of each chain ends.
    pub fn identities(&self) -> impl Iterator<Item = (&str, i64)> {
        let end = |identity: &Identity| identity.chain.iter().map(|one| one.not_after).min();
        self.identities.iter().filter_map(move |identity| Some((identity.name.as_str(), end(identity)?)))
    }

    /// Handshakes that passed although no current list covered the client's chain.
    #[must_use]
    pub fn unknown_passed(&self) -> u64 {
        self.trust.as_ref().and_then(|trust| trust.unknown.as_ref()).map_or(0, Unknown::passed)
    }

    /// What its connections are made under.
    #[must_use]
    pub fn profile(&self) -> CryptoProfile {
        self.settings.profile
    }

    /// Unix seconds at which a revocation list is over: from then on nobody is believed until there is a new one.
    #[must_use]
    pub fn lists_end(&self) -> Option<i64> {
        self.trust.as_ref()?.lists_end
    }
}

/// The unix second before which nothing needs a warning.
pub(crate) fn soon(now: i64, warn_before: Duration) -> i64 {
    now.saturating_add(i64::try_from(warn_before.as_secs()).unwrap_or(i64::MAX))
}

/// What ends at `soon` (unix seconds) or before.
pub(crate) fn endings<'c>(
    chains: impl Iterator<Item = (&'c Material, &'c Vec<Certificate>)>,
    soon: i64,
) -> Vec<Ending> {
    chains
        .flat_map(|(material, chain)| chain.iter().map(move |certificate| (material, certificate)))
        .filter(|(_, certificate)| certificate.not_after <= soon)
        .map(|(material, certificate)| Ending {
            material: material.clone(),
            not_after: certificate.not_after,
            serial: certificate.serial.clone(),
        })
        .collect()
}

fn server_config(
    settings: &Settings,
    provider: Arc<CryptoProvider>,
    identities: &Arc<Identities>,
    verifier: Option<Arc<PeerVerifier>>,
    clock: Arc<dyn TimeProvider>,
) -> Result<ServerConfig, rustls::Error> {
    let builder = ServerConfig::builder_with_details(provider, clock)
        .with_protocol_versions(&versions(settings.min_version, settings.key_exchange))?;
    let authenticates = verifier.is_some();
    let builder = match verifier {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(identities.clone());
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.max_early_data_size = 0;
    config.require_ems = true;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    if authenticates {
        // A resumed session takes the client's chain from the ticket and never asks the verifier: an expired
        // certificate, or one that the trust of today refuses, would stay good for the life of the ticket (attack 54).
        config.send_tls13_tickets = 0;
        config.max_tls13_tickets = 0;
    } else {
        // Keys of this listener and this generation alone; rustls binds a ticket to its SNI (attack 54).
        config.ticketer = Ticketer::new()?;
    }
    Ok(config)
}
