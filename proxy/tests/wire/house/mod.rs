//! A proxy with everything around it, for one test: a CA, callers, an issuer of tokens, two upstreams and a set of
//! manifests that a test can change before it starts.

pub mod agent;
pub mod caller;
pub mod client;
pub mod clock;
pub mod raw;
pub mod records;
pub mod set;
pub mod upstream;

use std::future::Future;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use postern_certs::{Authority, Issued, Template};
use postern_config::Direction;
use postern_filters::token::mint::SigningKey;
use postern_proxy::reload::Reload;
use postern_proxy::server::{Running, Server};
use rustls_pki_types::UnixTime;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

pub use caller::{Caller, Callers};
pub use client::Ask;
use clock::TestClock;
pub use records::Records;
pub use upstream::Upstream;

/// Longer than anything here takes; a test that waits this long has failed.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for `future`, but not for ever.
pub async fn within<F: Future>(what: &str, future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("{what} took too long"))
}

/// What a test starts from. Nothing is written before [`Plan::start`].
pub struct Plan {
    files: Vec<(String, String)>,
}

/// A running proxy and its surroundings.
pub struct House {
    dir: TempDir,
    ca: Authority,
    issuer: SigningKey,
    pub who: Callers,
    pub now: i64,
    /// Speaks the OpenAI protocol behind `/v1`.
    pub model: Upstream,
    /// Stands behind every other route.
    pub plain: Upstream,
    pub clock: Arc<TestClock>,
    pub proxy: Running,
}

impl House {
    /// The set of [`set`], to be changed.
    pub fn plan() -> Plan {
        Plan { files: set::FILES.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect() }
    }

    /// The set of [`set`], as it stands.
    pub async fn start() -> Self {
        Self::plan().start().await
    }

    pub fn address(&self, listener: &str) -> SocketAddr {
        self.proxy.address(listener).unwrap()
    }

    pub fn ca_pem(&self) -> String {
        self.ca.ca_pem()
    }

    /// A token as the issuer gives it to `who`, bound to its certificate.
    pub fn token(&self, who: &Caller) -> String {
        self.token_with(who, who, Value::Null)
    }

    /// A token of `who` bound to the certificate of `holder`, with `change` laid over its claims; `null` takes one away.
    pub fn token_with(&self, who: &Caller, holder: &Caller, change: Value) -> String {
        let claims = caller::claims(who, holder, self.now, change);
        self.issuer.sign(&self.issuer.header(), &claims).unwrap()
    }

    pub fn issuer(&self) -> &SigningKey {
        &self.issuer
    }

    /// A certificate of the house's authority.
    pub fn issue(&self, template: &Template) -> Issued {
        self.ca.issue(template).unwrap()
    }

    /// A revocation list of the house's authority.
    pub fn crl(&self, revoked: &[&Issued]) -> String {
        self.ca.crl(revoked, 86_400).unwrap()
    }

    /// Where a file of the running set is.
    pub fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    /// Writes a file of the running set; whoever watches may load it at once.
    pub fn write(&self, file: &str, text: &str) {
        write(self.dir.path(), file, text.as_bytes());
    }

    /// Changes a file of the running set and loads it.
    pub async fn change(&self, file: &str, from: &str, to: &str) -> Reload {
        let path = self.dir.path().join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "`{file}` holds no `{from}`");
        std::fs::write(&path, text.replace(from, to)).unwrap();
        self.proxy.reload().await
    }

    /// The page of `/metrics`.
    pub async fn metrics(&self) -> String {
        let mut stream = tokio::net::TcpStream::connect(self.proxy.health().unwrap()).await.unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut page = String::new();
        within("the metrics", stream.read_to_string(&mut page)).await.unwrap();
        page
    }

    /// Waits until `count` endpoints of `upstream` are in `state`.
    pub async fn until_endpoints(&self, upstream: &str, state: &str, count: usize) {
        let line = format!(
            "postern_upstream_endpoints{{postern_upstream=\"{upstream}\",postern_state=\"{state}\"}} {count}\n"
        );
        let reached = async {
            while !self.metrics().await.contains(&line) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        within(&format!("{count} endpoints {state}"), reached).await;
    }

    /// Guards that the coverage matrix promises on `route`.
    pub fn promised(&self, route: &str, direction: Direction, streamed: bool) -> Vec<String> {
        let snapshot = self.proxy.snapshot();
        let route = snapshot.routes.iter().find(|r| r.name == route).unwrap();
        let names = route.policy.coverage.expected(direction, streamed);
        names.into_iter().map(str::to_owned).collect()
    }

    /// Stops the proxy and reads the log it left.
    pub async fn stop(self) -> Records {
        let log = self.proxy.audit_dir();
        let cut = within("the shutdown", self.proxy.shutdown_within(Duration::from_secs(5))).await;
        assert_eq!(cut, 0, "connections that had to be cut");
        Records::read(&log)
    }
}

impl Plan {
    /// Changes text of a file.
    pub fn with(mut self, file: &str, from: &str, to: &str) -> Self {
        let (_, text) = self.files.iter_mut().find(|(name, _)| name == file).unwrap();
        assert!(text.contains(from), "`{file}` holds no `{from}`");
        *text = text.replace(from, to);
        self
    }

    /// Adds manifests. `MODEL_PORT` and `PLAIN_PORT` stand for the ports of the upstreams.
    pub fn also(mut self, manifests: &str) -> Self {
        let name = format!("manifests/also-{}.yaml", self.files.len());
        self.files.push((name, format!("{manifests}\n")));
        self
    }

    /// Puts a file there that manifests may name; one of that name gives way.
    pub fn file(mut self, name: &str, text: &str) -> Self {
        self.files.retain(|(known, _)| known != name);
        self.files.push((name.to_owned(), text.to_owned()));
        self
    }

    pub async fn start(self) -> House {
        self.try_start().await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// As [`Plan::start`], where it may be refused.
    pub async fn try_start(self) -> Result<House, String> {
        let now = UnixTime::now();
        let dir = tempfile::Builder::new().prefix("postern-wire-").tempdir().unwrap();
        let ca = Authority::new("House CA", now).unwrap();
        let who = Callers::new(&ca, &Authority::new("Other CA", now).unwrap());
        let issuer = SigningKey::generate_es256("house-1").unwrap();
        let (model, plain) = (Upstream::start().await, Upstream::start().await);
        model.says(upstream::chat("hi"));
        for (name, text) in &self.files {
            let text = text.replace("MODEL_PORT", &model.address().port().to_string());
            let text = text.replace("PLAIN_PORT", &plain.address().port().to_string());
            let text = text.replace("MODEL", &model.address().to_string());
            write(dir.path(), name, text.replace("PLAIN", &plain.address().to_string()).as_bytes());
        }
        let server = ca.server(&["localhost", "127.0.0.1", "ai.house.test"]).unwrap();
        write(dir.path(), "tls/ca.pem", ca.ca_pem().as_bytes());
        write(dir.path(), "tls/ca.crl", ca.crl(&[], 86_400).unwrap().as_bytes());
        write(dir.path(), "tls/server.pem", server.cert_pem.as_bytes());
        write(dir.path(), "tls/server.key", server.key_pem.expose().as_bytes());
        // What the proxy is to an upstream that asks.
        let edge = ca.issue(&Template::svid("spiffe://house.test/ns/edge/sa/postern")).unwrap();
        write(dir.path(), "tls/edge.pem", edge.cert_pem.as_bytes());
        write(dir.path(), "tls/edge.key", edge.key_pem.expose().as_bytes());
        write(dir.path(), "keys/jwks.json", issuer.jwks().as_bytes());
        write(dir.path(), "keys/model", set::UPSTREAM_KEY.as_bytes());
        let clock = Arc::new(TestClock::new());
        let started = Server::start_with(&dir.path().join("postern.yaml"), clock.clone()).await;
        let proxy = started.map_err(|error| error.to_string())?;
        let now = i64::try_from(now.as_secs()).unwrap();
        Ok(House { dir, ca, issuer, who, now, model, plain, clock, proxy })
    }
}

fn write(dir: &Path, name: &str, bytes: &[u8]) {
    use std::io::Write as _;
    let path: PathBuf = dir.join(name);
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path.parent().unwrap()).unwrap();
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).unwrap();
    file.write_all(bytes).unwrap();
}
