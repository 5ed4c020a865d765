//! A listener and its clients without a socket.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, dead_code, reason = "tests")]

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use postern_certs::{Authority, CertProblem, Issued, ListenerTls, PeerRefusal, Workloads};
use postern_config::{
    Anchor, ClientAuth, CryptoProfile, Curve, ForwardCertificate, IdentitySource, KeyExchange, ListenerTls as Settings,
    Material, OwnIdentity, PeerTrust, TlsVersion,
};
use rustls::time_provider::TimeProvider;
use rustls::{CertificateError, ClientConfig, ClientConnection, ServerConfig, ServerConnection};
use rustls_pki_types::{ServerName, UnixTime};
use tempfile::TempDir;

pub(crate) const BOT: &str = "spiffe://example.org/ns/acme/sa/bot";

/// A clock that a test turns.
#[derive(Debug)]
pub(crate) struct Clock(AtomicU64);

impl Clock {
    pub(crate) fn advance(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::Relaxed);
    }

    pub(crate) fn unix(&self) -> i64 {
        self.0.load(Ordering::Relaxed).try_into().unwrap()
    }
}

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(self.0.load(Ordering::Relaxed))))
    }
}

/// A directory of material, a CA in it, and settings that accept SVIDs of `example.org`.
pub(crate) struct World {
    pub(crate) dir: TempDir,
    pub(crate) ca: Authority,
    pub(crate) clock: Arc<Clock>,
    pub(crate) settings: Settings,
    pub(crate) workloads: Workloads,
}

impl World {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let now = UnixTime::now();
        let ca = Authority::new("test root", now).unwrap();
        let anchor = write(&dir, "ca.pem", ca.ca_pem().as_bytes(), 0o644);
        let mut world = Self {
            dir,
            ca,
            clock: Arc::new(Clock(AtomicU64::new(now.as_secs()))),
            settings: settings(vec![Anchor::Pem(anchor)]),
            workloads: Workloads::default(),
        };
        let issued = world.ca.server(&["localhost", "127.0.0.1"]).unwrap();
        let identity = world.identity("web", &[], &issued);
        world.settings.identities.push(identity);
        world
    }

    pub(crate) fn file(&self, name: &str, bytes: &[u8], mode: u32) -> Material {
        write(&self.dir, name, bytes, mode)
    }

    pub(crate) fn identity(&self, name: &str, hosts: &[&str], issued: &Issued) -> OwnIdentity {
        OwnIdentity {
            name: name.to_owned(),
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            source: IdentitySource::Files {
                cert: self.file(&format!("{name}.pem"), issued.cert_pem.as_bytes(), 0o644),
                key: self.file(&format!("{name}.key"), issued.key_pem.expose().as_bytes(), 0o600),
            },
        }
    }

    pub(crate) fn now(&self) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(self.clock.unix().try_into().unwrap()))
    }

    pub(crate) fn load(&self) -> Result<ListenerTls, Vec<CertProblem>> {
        ListenerTls::load_with_clock(&self.settings, &self.workloads, self.clock.unix(), self.clock.clone())
    }

    pub(crate) fn client(&self, issued: Option<&Issued>) -> ClientConfig {
        client(&self.ca, issued)
    }
}

pub(crate) fn client(ca: &Authority, issued: Option<&Issued>) -> ClientConfig {
    let identity = issued.map(|i| (i.cert_pem.as_bytes(), i.key_pem.expose().as_bytes()));
    postern_certs::client_config(ca.ca_pem().as_bytes(), identity, &[b"h2"]).unwrap()
}

fn write(dir: &TempDir, name: &str, bytes: &[u8], mode: u32) -> Material {
    let path: PathBuf = dir.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    Material::File(path)
}

fn settings(anchors: Vec<Anchor>) -> Settings {
    Settings {
        identities: Vec::new(),
        client_auth: ClientAuth::Required,
        trust: PeerTrust {
            anchors,
            crls: Vec::new(),
            unknown: None,
            names: vec![vec!["spiffe://example.org/**".to_owned()]],
            min_rsa_bits: 2048,
            curves: vec![Curve::P256, Curve::P384, Curve::Ed25519],
            max_lifetime: None,
        },
        min_version: TlsVersion::V1_3,
        key_exchange: KeyExchange::HybridPreferred,
        profile: CryptoProfile::Default,
        hsts: None,
        warn_before: Duration::from_secs(30 * 86_400),
        deny_after_expiry: true,
        forward: ForwardCertificate::None,
    }
}

pub(crate) struct Connected {
    pub(crate) server: ServerConnection,
    pub(crate) client: ClientConnection,
}

/// Shakes hands to the end, tickets included. The server's error goes before the client's, which is only an alert.
pub(crate) fn handshake(
    server: &Arc<ServerConfig>,
    client: &Arc<ClientConfig>,
    name: &str,
) -> Result<Connected, rustls::Error> {
    handshake_as(server, client, ServerName::try_from(name.to_owned()).unwrap())
}

/// A refusal of the client goes before the alert that the server reads then.
pub(crate) fn handshake_as(
    server: &Arc<ServerConfig>,
    client: &Arc<ClientConfig>,
    name: ServerName<'static>,
) -> Result<Connected, rustls::Error> {
    let mut server = ServerConnection::new(server.clone()).unwrap();
    let mut client = ClientConnection::new(client.clone(), name).unwrap();
    while client.wants_write() || server.wants_write() {
        let mut up = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut up).unwrap();
        }
        let mut up = up.as_slice();
        while !up.is_empty() {
            server.read_tls(&mut up).unwrap();
            server.process_new_packets()?;
        }
        let mut down = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut down).unwrap();
        }
        let mut down = down.as_slice();
        while !down.is_empty() {
            client.read_tls(&mut down).unwrap();
            client.process_new_packets()?;
        }
    }
    assert!(!server.is_handshaking() && !client.is_handshaking(), "stuck");
    Ok(Connected { server, client })
}

/// The rule of ours that refused, or what rustls says.
pub(crate) fn refusal(error: &rustls::Error) -> String {
    if let rustls::Error::InvalidCertificate(CertificateError::Other(other)) = error
        && let Some(refusal) = other.0.downcast_ref::<PeerRefusal>()
    {
        return refusal.to_string();
    }
    format!("{error:?}")
}

/// Certificate and key of an identity.
pub(crate) fn files(identity: &mut OwnIdentity) -> (&mut Material, &mut Material) {
    let IdentitySource::Files { cert, key } = &mut identity.source else { panic!("no files") };
    (cert, key)
}
