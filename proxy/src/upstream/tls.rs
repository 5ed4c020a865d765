//! Whom an upstream has to be, as its dialler takes it.

use postern_config::Upstream;
use rustls_pki_types::ServerName;

use super::dial::{PeerTls, alpn};

/// Where the authorities of the system are kept.
const SYSTEM: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// `None` for an upstream without TLS.
pub(super) fn load(settings: &Upstream) -> Result<Option<PeerTls>, String> {
    if !settings.https {
        return Ok(None);
    }
    let name = ServerName::try_from(settings.server_name.clone()).map_err(|error| format!("server name: {error}"))?;
    let path = std::env::var("SSL_CERT_FILE").ok();
    let authorities = path.iter().map(String::as_str).chain(SYSTEM).find_map(|path| std::fs::read(path).ok());
    let authorities = authorities.ok_or("the system has no authorities to believe")?;
    let config = postern_certs::client_config(&authorities, None, &[alpn(settings.protocol)]);
    let config = config.map_err(|error| error.to_string())?;
    Ok(Some(PeerTls { config: std::sync::Arc::new(config), name }))
}
