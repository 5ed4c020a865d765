//! Where an upstream is and what we add for it: resolution, peers of the connection pool, credentials.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use http::HeaderName;
use pingora_core::protocols::ALPN;
use pingora_core::protocols::l4::socket::SocketAddr as PingoraAddr;
use pingora_core::upstreams::peer::{HttpPeer, PeerOptions, Scheme};
use postern_config::{MaterialError, Redacted, Upstream as Settings};

use crate::egress::{Egress, EgressError};
use crate::upstream_head::Injection;

const CONNECT: Duration = Duration::from_secs(5);
/// TCP and TLS together.
const TOTAL_CONNECT: Duration = Duration::from_secs(10);
const IDLE: Duration = Duration::from_secs(60);
/// How long an address is used before the name is looked up again.
const RESOLVE_AGAIN: Duration = Duration::from_secs(30);

/// An upstream, ready to be called.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) settings: Settings,
    pub(crate) injections: Vec<Injection>,
    egress: Egress,
    /// Isolates pooled connections of one load from those of another.
    group: u64,
    resolved: ArcSwapOption<Resolved>,
}

#[derive(Debug)]
struct Resolved {
    address: SocketAddr,
    at: Instant,
}

/// Where one request goes, and how long its connection may be kept.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) peer: HttpPeer,
    /// Where it goes, as it was checked.
    pub(crate) address: SocketAddr,
    pub(crate) idle: Option<Duration>,
}

/// Why a credential could not be prepared. Names the place, never the secret.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CredentialError {
    #[error("credential `{name}`: {source}")]
    Material { name: String, source: MaterialError },
    #[error("credential `{0}` is empty or holds characters a header cannot carry")]
    NotAHeader(String),
    #[error("credential `{0}` names a header that is not one")]
    BadName(String),
}

impl Upstream {
    /// Reads the credentials of `settings`.
    ///
    /// # Errors
    /// Every credential that cannot be had.
    pub(crate) fn prepare(settings: Settings, group: u64) -> Result<Self, Vec<CredentialError>> {
        let mut errors = Vec::new();
        let mut injections = Vec::new();
        for credential in &settings.credentials {
            match injection(credential) {
                Ok(injection) => injections.push(injection),
                Err(error) => errors.push(error),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let egress = Egress::of_upstream(settings.egress.clone());
        Ok(Self { settings, injections, egress, group, resolved: ArcSwapOption::empty() })
    }

    /// The peer to connect to. The name is looked up at most every 30 s, on the request that finds it old.
    ///
    /// # Errors
    /// [`EgressError`] where the name leads nowhere and no earlier address is known, or only where nothing may go.
    pub(crate) async fn target(&self) -> Result<Target, EgressError> {
        let address = self.address().await?;
        Ok(Target { peer: self.peer(address), address, idle: Some(IDLE) })
    }

    async fn address(&self) -> Result<SocketAddr, EgressError> {
        let Settings { host, port, .. } = &self.settings;
        let known = self.resolved.load_full();
        if let Some(known) = known.as_ref().filter(|known| known.at.elapsed() < RESOLVE_AGAIN) {
            return Ok(known.address);
        }
        let found = self.egress.resolve(host, *port).await;
        match (found.map(|found| found.first().copied()), known) {
            (Ok(Some(address)), _) => {
                self.resolved.store(Some(Arc::new(Resolved { address, at: Instant::now() })));
                Ok(address)
            }
            (Err(error), _) if error.is_refusal() => Err(error),
            // A resolver that is away for a moment does not take a working upstream with it.
            (_, Some(known)) => Ok(known.address),
            (Ok(None), None) => Err(EgressError::NoAddress(host.clone())),
            (Err(error), None) => Err(error),
        }
    }

    fn peer(&self, address: SocketAddr) -> HttpPeer {
        let mut options = PeerOptions::new();
        options.connection_timeout = Some(CONNECT);
        options.total_connection_timeout = Some(TOTAL_CONNECT);
        options.idle_timeout = Some(IDLE);
        options.alpn = ALPN::H1;
        // INVARIANT: an https upstream has a server name (load refuses others); with an empty one Pingora's rustls
        // connector would verify nothing.
        options.verify_cert = true;
        options.verify_hostname = true;
        HttpPeer {
            _address: PingoraAddr::Inet(address),
            scheme: if self.settings.https { Scheme::HTTPS } else { Scheme::HTTP },
            sni: self.settings.tls.as_ref().map(|tls| tls.server_name.clone()).unwrap_or_default(),
            proxy: None,
            client_cert_key: None,
            group_key: self.group,
            options,
        }
    }
}

fn injection(credential: &postern_config::Credential) -> Result<Injection, CredentialError> {
    let name = credential.name.clone();
    let header =
        HeaderName::from_bytes(credential.header.as_bytes()).map_err(|_| CredentialError::BadName(name.clone()))?;
    let secret =
        credential.value.read_secret().map_err(|source| CredentialError::Material { name: name.clone(), source })?;
    let usable = !secret.expose().is_empty() && secret.expose().iter().all(|byte| (0x20..=0x7e).contains(byte));
    if !usable {
        return Err(CredentialError::NotAHeader(name));
    }
    let (before, after) = &credential.format;
    let value = [before.as_bytes(), secret.expose(), after.as_bytes()].concat();
    Ok(Injection { header, value: Redacted::new(value) })
}
