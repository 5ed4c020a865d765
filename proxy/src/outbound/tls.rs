//! The TLS of our own calls: TLS 1.2 with AEAD and ECDHE at least, always verified, HTTP/1.1 only.

use postern_certs::ClientTlsError;
use postern_config::Redacted;
use rustls::{ClientConfig, RootCertStore};

/// Whose certificates are believed.
#[derive(Debug, Clone)]
pub(crate) enum Roots {
    /// The machine's authorities.
    System,
    /// These and no others; PEM.
    Given(Vec<u8>),
}

/// What we present where we are asked; PEM.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) chain: Vec<u8>,
    pub(crate) key: Redacted<Vec<u8>>,
}

/// Why the client cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsSetupError {
    #[error("the machine's certificate authorities cannot be read: {0}")]
    System(std::io::Error),
    #[error("the machine has no certificate authority; install `ca-certificates`, or name anchors")]
    NoAuthority,
    #[error(transparent)]
    Client(#[from] ClientTlsError),
}

/// TLS that believes `roots` and presents `identity`.
pub(crate) fn client(roots: Roots, identity: Option<Identity>) -> Result<ClientConfig, TlsSetupError> {
    let identity = identity.as_ref().map(|own| (own.chain.as_slice(), own.key.expose().as_slice()));
    let alpn: &[&[u8]] = &[b"http/1.1"];
    let mut config = match roots {
        Roots::Given(pem) => postern_certs::client_config(&pem, identity, alpn)?,
        Roots::System => postern_certs::client_config_with(system()?, identity, alpn)?,
    };
    // A ticket would let a certificate that is believed no more go on for as long as it lasts.
    config.resumption = rustls::client::Resumption::disabled();
    config.enable_early_data = false;
    config.require_ems = true;
    Ok(config)
}

/// TLS towards a store that speaks another protocol than HTTP, otherwise as [`client`].
pub(crate) fn store(roots: Roots) -> Result<ClientConfig, TlsSetupError> {
    let mut config = client(roots, None)?;
    config.alpn_protocols = Vec::new();
    Ok(config)
}

fn system() -> Result<RootCertStore, TlsSetupError> {
    let mut roots = RootCertStore::empty();
    let (added, _) =
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().map_err(TlsSetupError::System)?);
    if added == 0 { Err(TlsSetupError::NoAuthority) } else { Ok(roots) }
}
