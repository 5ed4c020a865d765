//! Where the proxy is and who we are, read from the `demo.json` of a demo that stays up.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;

/// What `demo.json` says, as far as we need it.
#[derive(Debug, Deserialize)]
struct Facts {
    url: String,
    ca: PathBuf,
    cert: PathBuf,
    key: PathBuf,
    token: String,
}

/// A proxy to talk to, and an identity to do it with.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) address: SocketAddr,
    pub(crate) name: ServerName<'static>,
    /// Value of `Host`.
    pub(crate) host: String,
    pub(crate) token: String,
    pub(crate) tls: Arc<ClientConfig>,
}

impl Site {
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let facts: Facts = serde_json::from_slice(&std::fs::read(path)?)?;
        let host = facts.url.strip_prefix("https://").context("`url` is not https")?.trim_end_matches('/');
        let (name, _) = host.rsplit_once(':').context("`url` has no port")?;
        let address =
            host.to_socket_addrs()?.find(SocketAddr::is_ipv4).ok_or_else(|| anyhow!("`{host}` has no IPv4 address"))?;
        Ok(Self {
            address,
            name: ServerName::try_from(name.to_owned())?,
            host: host.to_owned(),
            token: facts.token.clone(),
            tls: Arc::new(facts.tls()?),
        })
    }
}

impl Facts {
    /// TLS 1.3 and HTTP/1.1, the demo's CA only, the client certificate of the facts.
    fn tls(&self) -> anyhow::Result<ClientConfig> {
        let mut roots = RootCertStore::empty();
        for root in CertificateDer::pem_file_iter(&self.ca)? {
            roots.add(root?)?;
        }
        let chain = CertificateDer::pem_file_iter(&self.cert)?.collect::<Result<Vec<_>, _>>()?;
        let key = PrivateKeyDer::from_pem_file(&self.key)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}
