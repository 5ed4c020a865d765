//! What the proxy shows an upstream instead of what the caller showed it: read at load, put into a request last.

mod exchange;
mod fingerprint;
mod rotation;
mod txn;
mod watch;

use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use pingora_http::RequestHeader;
use postern_config::{Credential, Egress as EgressPolicy, Inject, Material, MaterialError, Redacted, Rotation};
use postern_filters::{Reason, Refusal, UpstreamSecrets};

pub(crate) use exchange::Caller;
use exchange::{Exchanger, SetupError, Unissued};
pub(crate) use fingerprint::{check as check_fingerprints, uses as secret_uses};
pub(crate) use rotation::Running;
pub(crate) use rotation::{Age, Change};
use rotation::{Previous, Secret, Told};
pub(crate) use txn::TxnKeys;
pub(crate) use watch::{Standing, is_overdue, read_by, standing, tell_ages, tell_load, tell_refused};

use crate::egress::Egress;

/// A credential, ready to be shown.
#[derive(Debug)]
pub(crate) struct Held {
    /// For records.
    pub(crate) name: Arc<str>,
    put: Put,
    /// What it is made from.
    secrets: Vec<Secret>,
    rotation: Option<Rotation>,
    previous: Option<Previous>,
    told: Told,
    /// What became of its secrets with the set that it is of.
    pub(crate) change: Option<Change>,
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
    /// Reads what `credential` names. `running` is the same credential of the set that runs, `now` is Unix seconds.
    ///
    /// # Errors
    /// Where it cannot be had, or cannot be put where it has to go.
    pub(crate) fn read(
        credential: &Credential,
        place: Place<'_>,
        running: Option<&Running<'_>>,
        now: i64,
    ) -> Result<Self, CredentialError> {
        let name = &credential.name;
        let unread = |source| CredentialError::Material { name: name.clone(), source };
        let mut secrets = Vec::new();
        for from in credential.secrets() {
            let (value, written) = from.read_secret_dated().map_err(unread)?;
            let is_client = matches!(&credential.inject, Inject::Exchange(settings) if settings.client_auth == *from);
            secrets.push(Secret::new(value, is_client, written.unwrap_or(now).min(now)));
        }
        let ca = match &credential.inject {
            Inject::Exchange(settings) => {
                settings.ca.as_ref().map(Material::read_public).transpose().map_err(unread)?
            }
            Inject::Header { .. } | Inject::Query { .. } | Inject::Certificate { .. } => None,
        };
        let recipe = Recipe { credential, place, ca };
        let mut held = Self {
            name: Arc::from(name.as_str()),
            put: recipe.put(&secrets)?,
            secrets,
            rotation: credential.rotation,
            previous: None,
            told: Told::default(),
            change: None,
        };
        if let Some(running) = running {
            held.follow(running, &recipe, now);
        }
        Ok(held)
    }

    /// Puts it into a request that is otherwise complete.
    ///
    /// # Errors
    /// Where the request cannot carry it, where it is too old to be shown, or where a token service gives nothing for it; nothing is
    /// sent then.
    pub(crate) async fn show(&self, request: &mut RequestHeader, caller: Caller<'_>) -> Result<(), Refusal> {
        let Put::Exchange(exchanger) = &self.put else { return self.place(&self.put, request) };
        let previous = || match self.previous(caller.now_ms) {
            Some(Put::Exchange(previous)) => Some(previous),
            _ => None,
        };
        let value = match exchanger.authorization(caller).await {
            // The service does not know the new secret yet. It is asked once more, which is our own call and changes nothing there.
            Err(Unissued { denied: true, refusal }) => match previous() {
                Some(previous) => previous.authorization(caller).await.map_err(|unissued| unissued.refusal),
                None => Err(refusal),
            },
            other => other.map_err(|unissued| unissued.refusal),
        };
        let named = |refusal: Refusal| {
            let detail = format!("credential `{}`: {}", self.name, refusal.detail);
            Refusal { detail, ..refusal }
        };
        let value = self.sensitive(&value.map_err(named)?)?;
        request.insert_header(AUTHORIZATION, value).map_err(|_| self.unfit())
    }

    /// Refuses to show what is too old for its rotation.
    ///
    /// # Errors
    /// 503, with a reason of its own.
    pub(crate) fn refuse_expired(&self, now: i64) -> Result<(), Refusal> {
        if self.age(now) != Age::Expired {
            return Ok(());
        }
        let days = self.seconds_old(now).unwrap_or_default() / 86_400;
        let detail =
            format!("credential `{}` is {days} days old, past its `maxAge` and `graceAfter`: replace it", self.name);
        Err(Refusal::new(Reason::SecretExpired, detail))
    }

    /// Whether an upstream that does not know the new secret may be shown the one of before.
    pub(crate) fn has_previous(&self, now_ms: i64) -> bool {
        matches!(self.previous(now_ms), Some(Put::Header { .. } | Put::Query { .. }))
    }

    /// As [`Held::show`], with the secret of before where there is one.
    ///
    /// # Errors
    /// As there.
    pub(crate) async fn show_previous(&self, request: &mut RequestHeader, caller: Caller<'_>) -> Result<(), Refusal> {
        match self.previous(caller.now_ms) {
            Some(put @ (Put::Header { .. } | Put::Query { .. })) => self.place(put, request),
            _ => self.show(request, caller).await,
        }
    }

    fn place(&self, put: &Put, request: &mut RequestHeader) -> Result<(), Refusal> {
        match put {
            Put::Header { name, value } => {
                request.insert_header(name, self.sensitive(value)?).map_err(|_| self.unfit())
            }
            Put::Query { name, value } => {
                let target = request.raw_path();
                let mark = if target.contains(&b'?') { b"&" } else { b"?" };
                let target = Redacted::new([target, mark, name.as_bytes(), b"=", value.expose()].concat());
                let uri = http::Uri::try_from(target.expose().as_slice()).map_err(|_| self.unfit())?;
                request.set_uri(uri);
                Ok(())
            }
            Put::Handshake | Put::Exchange(_) => Ok(()),
        }
    }

    fn sensitive(&self, value: &Redacted<Vec<u8>>) -> Result<HeaderValue, Refusal> {
        let mut value = HeaderValue::from_bytes(value.expose()).map_err(|_| self.unfit())?;
        value.set_sensitive(true);
        Ok(value)
    }

    fn unfit(&self) -> Refusal {
        Refusal::new(Reason::UpstreamFailed, format!("the request cannot carry credential `{}`", self.name))
    }

    /// Says which secrets it holds for `upstream`, so that they can be looked for.
    pub(crate) fn tell_secrets(&self, upstream: &str, secrets: &mut UpstreamSecrets) {
        for secret in &self.secrets {
            secrets.add(upstream, &self.name, Self::bare(secret));
        }
        for secret in self.kept() {
            secrets.add_previous(upstream, &self.name, Self::bare(secret));
        }
    }

    /// What of a piece of material is the secret: of `id:secret` the second.
    fn bare(secret: &Secret) -> Redacted<Vec<u8>> {
        let bytes = secret.value.expose();
        let colon = bytes.iter().position(|byte| *byte == b':').filter(|_| secret.is_client);
        let behind = colon.and_then(|at| bytes.get(at.saturating_add(1)..).map(<[u8]>::to_vec));
        behind.map_or_else(|| secret.value.clone(), Redacted::new)
    }
}

/// Where a credential is used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) upstream: &'a str,
    /// Where the proxy itself may call.
    pub(crate) own_calls: Option<&'a EgressPolicy>,
}

/// How a credential is made from its secrets, those of before included.
struct Recipe<'a> {
    credential: &'a Credential,
    place: Place<'a>,
    /// Of a token service; PEM.
    ca: Option<Vec<u8>>,
}

impl Recipe<'_> {
    /// `secrets` are in the order of [`Credential::secrets`].
    fn put(&self, secrets: &[Secret]) -> Result<Put, CredentialError> {
        let name = &self.credential.name;
        let first = || visible(name, secrets.first());
        Ok(match &self.credential.inject {
            Inject::Header { header, format: (before, after), .. } => {
                let header = HeaderName::from_bytes(header.as_bytes());
                let header = header.map_err(|_| CredentialError::BadName(name.clone()))?;
                let value = [before.as_bytes(), first()?.expose(), after.as_bytes()].concat();
                Put::Header { name: header, value: Redacted::new(value) }
            }
            Inject::Query { name: parameter, .. } => {
                Put::Query { name: parameter.clone(), value: escaped(first()?.expose()) }
            }
            Inject::Certificate { .. } => Put::Handshake,
            Inject::Exchange(settings) => Put::Exchange(Box::new(self.exchanger(settings, secrets)?)),
        })
    }

    fn exchanger(&self, settings: &postern_config::Exchange, secrets: &[Secret]) -> Result<Exchanger, CredentialError> {
        let name = &self.credential.name;
        let own = settings.subject.as_ref().map(|_| visible(name, secrets.first())).transpose()?;
        let client = secrets.last().map(|secret| &secret.value);
        let client = client.ok_or_else(|| CredentialError::NotVisible(name.clone()))?;
        let egress = Egress::of_own_calls(self.place.own_calls.cloned());
        Exchanger::new(settings.clone(), self.place.upstream, client, own.cloned(), self.ca.clone(), egress)
            .map_err(|source| CredentialError::Exchange { name: name.clone(), source })
    }
}

/// A secret that a line of HTTP can carry.
fn visible<'s>(name: &str, secret: Option<&'s Secret>) -> Result<&'s Redacted<Vec<u8>>, CredentialError> {
    let usable = |secret: &&Redacted<Vec<u8>>| {
        !secret.expose().is_empty() && secret.expose().iter().all(|byte| (0x20..=0x7e).contains(byte))
    };
    let secret = secret.map(|secret| &secret.value).filter(usable);
    secret.ok_or_else(|| CredentialError::NotVisible(name.to_owned()))
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

    const PLACE: Place<'_> = Place { upstream: "maps", own_calls: None };

    fn file(dir: &std::path::Path, text: &str) -> Material {
        use std::os::unix::fs::PermissionsExt as _;
        let path = dir.join("secret");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        Material::File(path)
    }

    fn query(value: Material) -> Credential {
        let inject = Inject::Query { value, name: "key".to_owned(), waived: None };
        Credential { name: "map".to_owned(), inject, rotation: None }
    }

    #[tokio::test]
    async fn a_secret_in_a_query_is_escaped_and_stands_last() {
        let dir = tempfile::tempdir().unwrap();
        let held = Held::read(&query(file(dir.path(), "a b&c=d/e+%")), PLACE, None, 0).unwrap();
        let (headers, principal) = (http::HeaderMap::new(), None);
        let metrics = crate::telemetry::Metrics::new();
        let caller = Caller { headers: &headers, principal, now_ms: 0, metrics: &metrics };
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
            let error = Held::read(&query(file(dir.path(), text)), PLACE, None, 0).unwrap_err();
            assert!(matches!(error, CredentialError::NotVisible(_)), "{text:?}");
            assert!(text.trim().is_empty() || !error.to_string().contains(text));
        }
    }
}
