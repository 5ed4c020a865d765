//! Where the store is, and what it has to be before it is asked anything: reached over TLS unless it is on this machine, of
//! the identity that was expected, taking our credential, and one that does not forget.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use postern_config::{Redacted, SharedStore, StorePlace};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use super::link::Away;
use super::resp::{self, Reply};
use crate::outbound::{Roots, store_tls};

/// A stream of bytes.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// The store as it is dialled.
pub(crate) struct Target {
    place: StorePlace,
    user: Option<String>,
    password: Option<Redacted<Vec<u8>>>,
    /// The anchors that were given, to tell whether they are others.
    ca: Option<Vec<u8>>,
    tls: Option<Arc<ClientConfig>>,
    /// How long a seat is its request's own without being asked for again.
    pub(super) lease: Duration,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target").field("place", &self.place).field("user", &self.user).finish_non_exhaustive()
    }
}

impl Target {
    /// # Errors
    /// What is wrong with its material, in words for operators.
    pub(crate) fn of(settings: &SharedStore) -> Result<Self, String> {
        let password = settings.auth.as_ref().map(|auth| auth.read_secret().map_err(|error| error.to_string()));
        let ca = settings.ca.as_ref().map(|ca| ca.read_public().map_err(|error| error.to_string())).transpose()?;
        let tls = match &settings.place {
            StorePlace::Tls { .. } => {
                let roots = ca.clone().map_or(Roots::System, Roots::Given);
                Some(Arc::new(store_tls(roots).map_err(|error| error.to_string())?))
            }
            StorePlace::Loopback { .. } | StorePlace::Unix(_) => None,
        };
        let (place, user) = (settings.place.clone(), settings.user.clone());
        Ok(Self { place, user, password: password.transpose()?, ca, tls, lease: settings.lease })
    }

    /// Whether links to the one may stay for the other.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.place == other.place
            && self.user == other.user
            && self.ca == other.ca
            && self.lease == other.lease
            && self.password.as_ref().map(Redacted::expose) == other.password.as_ref().map(Redacted::expose)
    }

    /// Connects, says who we are, and looks at what is there. Returns the run of the store.
    pub(super) async fn connect(&self) -> Result<(Box<dyn Stream>, Arc<str>), Away> {
        let stream = self.dial().await?;
        let mut stream = BufReader::new(stream);
        if let Some(password) = &self.password {
            let mut parts: Vec<&[u8]> = vec![b"AUTH".as_slice()];
            parts.extend(self.user.as_ref().map(|user| user.as_bytes()));
            parts.push(password.expose());
            match ask(&mut stream, &parts).await? {
                Reply::Status(_) => {}
                _ => return Err(Away("the store refuses our credential".to_owned())),
            }
        }
        let Reply::Text(info) = ask(&mut stream, &[b"INFO"]).await? else {
            return Err(Away("the store does not let us see INFO".to_owned()));
        };
        let run = judge(&String::from_utf8_lossy(&info)).map_err(Away)?;
        // Nothing but replies to what was asked has come.
        if !stream.buffer().is_empty() {
            return Err(Away("the store says more than it was asked".to_owned()));
        }
        Ok((stream.into_inner(), run))
    }

    async fn dial(&self) -> Result<Box<dyn Stream>, Away> {
        let failed = |error: std::io::Error| Away(format!("the store cannot be reached: {error}"));
        let (host, port) = match &self.place {
            StorePlace::Unix(path) => return Ok(Box::new(UnixStream::connect(path).await.map_err(failed)?)),
            StorePlace::Tls { host, port } | StorePlace::Loopback { host, port } => (host.as_str(), *port),
        };
        let addresses: Vec<_> = tokio::net::lookup_host((host, port)).await.map_err(failed)?.collect();
        if self.tls.is_none() && !addresses.iter().all(|address| address.ip().is_loopback()) {
            return Err(Away("the store is not on this machine, and there is no TLS".to_owned()));
        }
        let stream = TcpStream::connect(addresses.as_slice()).await.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        let Some(tls) = &self.tls else { return Ok(Box::new(stream)) };
        let name = ServerName::try_from(host.to_owned()).map_err(|error| Away(format!("`{host}`: {error}")))?;
        Ok(Box::new(TlsConnector::from(tls.clone()).connect(name, stream).await.map_err(failed)?))
    }
}

async fn ask(stream: &mut BufReader<Box<dyn Stream>>, parts: &[&[u8]]) -> Result<Reply, Away> {
    let failed = |error: std::io::Error| Away(format!("the store broke off: {error}"));
    let mut out = BytesMut::new();
    resp::command(&mut out, parts);
    stream.write_all(&out).await.map_err(failed)?;
    stream.flush().await.map_err(failed)?;
    resp::read(stream).await.map_err(failed)
}

/// Whether a store may count: one that forgets what it is told would give budgets back. Returns its run.
fn judge(info: &str) -> Result<Arc<str>, String> {
    let field = |name: &str| {
        let mut lines = info.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(known, _)| *known == name).map(|(_, value)| value.trim())
    };
    if field("role") != Some("master") {
        return Err("the store is a replica of another, which is behind it".to_owned());
    }
    if field("maxmemory").is_none_or(|max| max != "0") && field("maxmemory_policy") != Some("noeviction") {
        return Err("the store may forget keys: its `maxmemory-policy` has to be `noeviction`".to_owned());
    }
    let plain = |run: &&str| !run.is_empty() && run.len() <= 64 && run.bytes().all(|byte| byte.is_ascii_alphanumeric());
    field("run_id").filter(plain).map(Arc::from).ok_or_else(|| "the store does not say which run it is".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_forgets_or_follows_does_not_count() {
        let info = |role: &str, max: &str, policy: &str, run: &str| {
            format!("# Server\r\nrun_id:{run}\r\nrole:{role}\r\nmaxmemory:{max}\r\nmaxmemory_policy:{policy}\r\n")
        };
        for (case, info, want) in [
            ("a primary", info("master", "0", "noeviction", "ab12"), true),
            ("bounded, and honest about it", info("master", "1000", "noeviction", "ab12"), true),
            ("unbounded, whatever it would do", info("master", "0", "allkeys-lru", "ab12"), true),
            ("one that evicts", info("master", "1000", "volatile-ttl", "ab12"), false),
            ("a replica", info("slave", "0", "noeviction", "ab12"), false),
            ("no run", info("master", "0", "noeviction", ""), false),
            ("a run with a blank", info("master", "0", "noeviction", "a b"), false),
            ("nothing", String::new(), false),
        ] {
            assert_eq!(judge(&info).is_ok(), want, "{case}");
        }
    }
}
