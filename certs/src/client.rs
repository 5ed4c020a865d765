//! TLS of a client of ours: the demo's tour, and tests.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem};

/// Why a client's TLS could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientTlsError {
    #[error("certificate or key is not PEM: {0}")]
    Pem(#[from] pem::Error),
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

/// A client that believes `ca` (PEM), presents `identity` (certificate chain and key, PEM) and offers `alpn`.
/// TLS 1.2 and 1.3, X25519MLKEM768 first.
///
/// # Errors
/// [`ClientTlsError`] where something is not PEM, or the key does not fit the certificate.
pub fn client_config(
    ca: &[u8],
    identity: Option<(&[u8], &[u8])>,
    alpn: &[&[u8]],
) -> Result<ClientConfig, ClientTlsError> {
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(ca) {
        roots.add(root?)?;
    }
    client_config_with(roots, identity, alpn)
}

/// As [`client_config`], with `roots` that were read already.
///
/// # Errors
/// [`ClientTlsError`] where the identity is not PEM, or its key does not fit the certificate.
pub fn client_config_with(
    roots: RootCertStore,
    identity: Option<(&[u8], &[u8])>,
    alpn: &[&[u8]],
) -> Result<ClientConfig, ClientTlsError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let mut config = match identity {
        Some((chain, key)) => {
            let chain = CertificateDer::pem_slice_iter(chain).collect::<Result<_, _>>()?;
            builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(key)?)?
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(config)
}
