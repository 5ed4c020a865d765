//! What the proxy shows an upstream instead of what the caller showed it: read at load, put into a request last.

mod exchange;
mod fingerprint;
mod txn;

use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use pingora_http::RequestHeader;
use postern_config::{Credential, Egress as EgressPolicy, Inject, Material, MaterialError, Redacted};
use postern_filters::{Reason, Refusal};

pub(crate) use exchange::Caller;
use exchange::{Exchanger, SetupError};
pub(crate) use fingerprint::check as check_fingerprints;
pub(crate) use txn::TxnKeys;

use crate::egress::Egress;

/// A credential, ready to be shown.
#[derive(Debug)]
pub(crate) struct Held {
    /// For records.
    pub(crate) name: Arc<str>,
    put: Put,
}

/// Where it goes, and what goes there.
#[derive(Debug)]
enum Put {
    Header {
        name: HeaderName,
        value: Redacted<Vec<u8>>,
    },
    /// The value is escaped.
    Query {
        name: String,
        value: Redacted<Vec<u8>>,
    },
    /// TLS has it.
    Handshake,
    /// As `Authorization`, what a token service gives.
    Exchange(Box<Exchanger>),
}

/// Why a credential cannot be held. Names places, never a secret.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CredentialError {
    #[error("credential `{name}`: {source}")]
    Material { name: String, source: MaterialError },
    #[error("credential `{0}` is empty or holds characters a header cannot carry")]
    NotVisible(String),
    #[error("credential `{0}` names a header that is not one")]
    BadName(String),
    #[error("credential `{name}`: {source}")]
    Exchange { name: String, source: SetupError },
}

impl Held {
    /// Reads what `credential` names. `own_calls` says where the proxy itself may call.
    ///
    /// # Errors
    /// Where it cannot be had, or cannot be put where it has to go.
    pub(crate) fn read(credential: &Credential, own_calls: Option<&EgressPolicy>) -> Result<Self, CredentialError> {
        let name = &credential.name;
        let put = match &credential.inject {
            Inject::Header { value, header, format: (before, after) } => {
                let header = HeaderName::from_bytes(header.as_bytes());
                let header = header.map_err(|_| CredentialError::BadName(name.clone()))?;
                let secret = visible(name, value)?;
                let value = [before.as_bytes(), secret.expose(), after.as_bytes()].concat();
                Put::Header { name: header, value: Redacted::new(value) }
            }
            Inject::Query { value, name: parameter, .. } => {
                Put::Query { name: parameter.clone(), value: escaped(visible(name, value)?.expose()) }
            }
            Inject::Certificate { .. } => Put::Handshake,
            Inject::Exchange(settings) => Put::Exchange(Box::new(exchanger(name, settings, own_calls)?)),
        };
        Ok(Self { name: Arc::from(name.as_str()), put })
    }

    /// Puts it into a request that is otherwise complete.
    ///
    /// # Errors
    /// Where the request cannot carry it; nothing is sent then.
    pub(crate) async fn show(&self, request: &mut RequestHeader, caller: Caller<'_>) -> Result<(), Refusal> {
        let unfit =
            || Refusal::new(Reason::UpstreamFailed, format!("the request cannot carry credential `{}`", self.name));
        let sensitive = |value: &Redacted<Vec<u8>>| -> Result<HeaderValue, Refusal> {
            let mut value = HeaderValue::from_bytes(value.expose()).map_err(|_| unfit())?;
            value.set_sensitive(true);
            Ok(value)
        };
        match &self.put {
            Put::Header { name, value } => request.insert_header(name, sensitive(value)?).map_err(|_| unfit()),
            Put::Exchange(exchanger) => {
                let named = |refusal: Refusal| {
                    let detail = format!("credential `{}`: {}", self.name, refusal.detail);
                    Refusal { detail, ..refusal }
                };
                let value = exchanger.authorization(caller).await.map_err(named)?;
                request.insert_header(AUTHORIZATION, sensitive(&value)?).map_err(|_| unfit())
            }
            Put::Query { name, value } => {
                let target = request.raw_path();
                let mark = if target.contains(&b'?') { b"&" } else { b"?" };
                let target = Redacted::new([target, mark, name.as_bytes(), b"=", value.expose()].concat());
                let uri = http::Uri::try_from(target.expose().as_slice()).map_err(|_| unfit())?;
                request.set_uri(uri);
                Ok(())
            }
            Put::Handshake => Ok(()),
        }
    }
}

fn exchanger(
    name: &str,
    settings: &postern_config::Exchange,
    own_calls: Option<&EgressPolicy>,
) -> Result<Exchanger, CredentialError> {
    let unread = |source| CredentialError::Material { name: name.to_owned(), source };
    let client = settings.client_auth.read_secret().map_err(unread)?;
    let own = settings.subject.as_ref().map(|subject| visible(name, subject)).transpose()?;
    let ca = settings.ca.as_ref().map(Material::read_public).transpose().map_err(unread)?;
    let egress = Egress::of_own_calls(own_calls.cloned());
    Exchanger::new(settings.clone(), &client, own, ca, egress)
        .map_err(|source| CredentialError::Exchange { name: name.to_owned(), source })
}

/// A secret that a line of HTTP can carry.
fn visible(name: &str, from: &Material) -> Result<Redacted<Vec<u8>>, CredentialError> {
    let secret = from.read_secret();
    let secret = secret.map_err(|source| CredentialError::Material { name: name.to_owned(), source })?;
    let usable = !secret.expose().is_empty() && secret.expose().iter().all(|byte| (0x20..=0x7e).contains(byte));
    if usable { Ok(secret) } else { Err(CredentialError::NotVisible(name.to_owned())) }
}

/// RFC 3986 §2.1: everything but what is never escaped.
fn escaped(secret: &[u8]) -> Redacted<Vec<u8>> {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    // Room for all of it, so that no piece is left behind in a smaller buffer.
    let mut out = Vec::with_capacity(secret.len().saturating_mul(3));
    for byte in secret {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(byte) {
            out.push(*byte);
        } else {
            out.push(b'%');
            out.extend([byte >> 4, byte & 15].iter().filter_map(|digit| HEX.get(usize::from(*digit))));
        }
    }
    Redacted::new(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(dir: &std::path::Path, text: &str) -> Material {
        use std::os::unix::fs::PermissionsExt as _;
        let path = dir.join("secret");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        Material::File(path)
    }

    fn query(value: Material) -> Credential {
        let inject = Inject::Query { value, name: "key".to_owned(), waived: None };
        Credential { name: "map".to_owned(), inject }
    }

    #[tokio::test]
    async fn a_secret_in_a_query_is_escaped_and_stands_last() {
        let dir = tempfile::tempdir().unwrap();
        let held = Held::read(&query(file(dir.path(), "a b&c=d/e+%")), None).unwrap();
        let (headers, principal) = (http::HeaderMap::new(), None);
        let caller = Caller { headers: &headers, principal, now_ms: 0 };
        for (target, want) in [("/x", "/x?key="), ("/x?a=b", "/x?a=b&key=")] {
            let mut request = RequestHeader::build("GET", target.as_bytes(), None).unwrap();
            held.show(&mut request, caller).await.unwrap();
            let sent = String::from_utf8(request.raw_path().to_vec()).unwrap();
            assert_eq!(sent, format!("{want}a%20b%26c%3Dd%2Fe%2B%25"));
        }
        assert!(!format!("{held:?}").contains("%26c"), "{held:?}");
    }

    #[test]
    fn what_a_line_cannot_carry_is_refused_and_not_repeated() {
        let dir = tempfile::tempdir().unwrap();
        for text in ["", "\n", "two\nlines", "tab\tbed", "caf\u{e9}", "nul\0"] {
            let error = Held::read(&query(file(dir.path(), text)), None).unwrap_err();
            assert!(matches!(error, CredentialError::NotVisible(_)), "{text:?}");
            assert!(text.trim().is_empty() || !error.to_string().contains(text));
        }
    }
}
