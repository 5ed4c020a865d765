//! The files of a proxy with one route, which a test changes while the proxy runs.

use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use postern_certs::Authority;
use postern_filters::token::mint::SigningKey;
use postern_proxy::server::{Running, Server};
use rustls_pki_types::UnixTime;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::caller::{self, Caller, Callers};
use crate::client::Line;
use crate::upstream::Upstream;
use crate::within;

pub const UPSTREAM_KEY: &str = "life-upstream-key-5f1c";

pub struct Site {
    dir: TempDir,
    pub ca: Authority,
    pub issuer: SigningKey,
    pub who: Callers,
    pub app: Upstream,
    now: i64,
}

/// One of two policies. Both permit `/both` to staff; each permits something to nobody that the other permits to staff; and of
/// each file of one with the other file of the other would permit `/mixed`, which both refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    A,
    B,
}

impl Policy {
    pub fn other(self) -> Self {
        if self == Self::A { Self::B } else { Self::A }
    }

    pub fn access(self) -> String {
        let paths = if self == Self::A { "/mixed, /only-a" } else { "/only-b" };
        ACCESS.replace("MORE", paths)
    }

    pub fn roles(self) -> String {
        let paths = if self == Self::A { "/only-a" } else { "/only-b, /mixed" };
        ROLES.replace("MORE", paths)
    }
}

impl Site {
    pub async fn new() -> Self {
        let now = UnixTime::now();
        let ca = Authority::new("Site CA", now).unwrap();
        let who = Callers::new(&ca, &Authority::new("Other CA", now).unwrap());
        let issuer = SigningKey::generate_es256("site-1").unwrap();
        let dir = tempfile::Builder::new().prefix("postern-life-").tempdir().unwrap();
        let app = Upstream::start().await;
        let site = Self { dir, ca, issuer, who, app, now: i64::try_from(now.as_secs()).unwrap() };
        site.write("postern.yaml", &BOOTSTRAP.replace("APP", &site.app.address().to_string()));
        site.write("manifests/identity.yaml", IDENTITY);
        site.write("manifests/evidence.yaml", EVIDENCE);
        site.write("manifests/access.yaml", &Policy::A.access());
        site.write("manifests/roles.yaml", &Policy::A.roles());
        site.write("tls/ca.pem", &site.ca.ca_pem());
        site.write("keys/jwks.json", &site.issuer.jwks());
        site.write("keys/upstream", UPSTREAM_KEY);
        site.new_server_certificate();
        site
    }

    pub fn new_server_certificate(&self) {
        let server = self.ca.server(&["localhost", "127.0.0.1"]).unwrap();
        self.write("tls/server.pem", &server.cert_pem);
        self.write("tls/server.key", server.key_pem.expose());
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn config(&self) -> PathBuf {
        self.path("postern.yaml")
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// Writes in place.
    pub fn write(&self, name: &str, text: &str) {
        write(&self.path(name), text.as_bytes());
    }

    /// Writes beside, and renames into place.
    pub fn replace(&self, name: &str, text: &str) {
        let draft = self.path(&format!("{name}.draft"));
        write(&draft, text.as_bytes());
        std::fs::rename(draft, self.path(name)).unwrap();
    }

    /// Changes text of a file, by renaming.
    pub fn change(&self, name: &str, from: &str, to: &str) {
        let text = self.read(name);
        assert!(text.contains(from), "`{name}` holds no `{from}`");
        self.replace(name, &text.replace(from, to));
    }

    pub fn token(&self, who: &Caller, holder: &Caller) -> String {
        let claims = caller::claims(who, holder, self.now, Value::Null);
        self.issuer.sign(&self.issuer.header(), &claims).unwrap()
    }

    pub async fn start(&self) -> Running {
        Server::start(&self.config()).await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// A connection of `who` to `address`.
    pub async fn line(&self, address: SocketAddr, who: &Caller, h2: bool) -> Line {
        Line::open(address, &self.ca.ca_pem(), &who.issued, h2).await.unwrap()
    }
}

fn write(path: &Path, bytes: &[u8]) {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path.parent().unwrap()).unwrap();
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).unwrap();
    file.write_all(bytes).unwrap();
}

/// A page of the health listener.
pub async fn health(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: health\r\n\r\n").as_bytes()).await.unwrap();
    let mut page = String::new();
    within("a health page", stream.read_to_string(&mut page)).await.unwrap();
    page
}

/// A value of the metrics page; 0 where it is not there.
pub async fn metric(address: SocketAddr, name: &str) -> u64 {
    let page = health(address, "/metrics").await;
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0, |value| value.trim().parse().unwrap())
}

/// The records of a log, in order.
pub fn records(log: &Path) -> Vec<Value> {
    let mut files: Vec<_> =
        std::fs::read_dir(log.join("records")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let text: String = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

const BOOTSTRAP: &str = r#"version: 1
gateway: {name: site}
state: {dir: state}
admin: {health: "127.0.0.1:0"}
listeners:
  - {name: public, bind: "127.0.0.1:0", protocol: https}
upstreams:
  - {name: app, url: "http://APP"}
routes:
  - {name: app, match: {pathPrefix: /}, upstream: app, dialect: http, labels: {app: app, tenant: acme}}
manifests: {path: manifests, requireEnd: true}
"#;

const IDENTITY: &str = r#"apiVersion: secure.platformspec.io/v1alpha1
kind: IAMPolicy
metadata: {name: people}
spec:
  targetRefs: [{kind: Gateway, name: site}]
  providers:
    - name: sso
      type: Jwt
      issuer: https://login.house.test
      audiences: ["https://ai.house.test"]
      algorithms: [ES256]
      jwksFrom: "file:keys/jwks.json"
      senderConstraint: Mtls
      principal: {type: User, idClaim: sub}
      tenant: {claim: /tenant}
      tenants: [acme, globex]
      groupsClaim: groups
  tenancy: {resource: {from: Label, key: tenant}, crossTenant: Forbid}
---
apiVersion: secure.platformspec.io/v1alpha1
kind: CertificatePolicy
metadata: {name: public}
spec:
  targetRefs: [{kind: Gateway, name: site}]
  identities:
    - {name: site, source: {type: Files, certFrom: "file:tls/server.pem", keyFrom: "file:tls/server.key"}}
  trust:
    anchors: [{name: ca, caFrom: "file:tls/ca.pem"}]
    names: ["*.clients.house.test"]
    clientAuth: Required
---
apiVersion: secure.platformspec.io/v1alpha1
kind: EncryptionPolicy
metadata: {name: modern}
spec:
  targetRefs: [{kind: Gateway, name: site}]
  inTransit: {minVersion: TLSv1.3}
...
"#;

const ACCESS: &str = r#"apiVersion: secure.platformspec.io/v1alpha1
kind: APIAccessPolicy
metadata: {name: app}
spec:
  targetRefs: [{kind: Route, name: app}]
  authentication: {providers: [sso], require: AnyOf}
  allow:
    - {methods: [GET], paths: [/both, /both/**, MORE]}
    - {methods: [POST], paths: [/both/form], contentTypes: [text/plain]}
  maxBodySize: 16Ki
...
"#;

const ROLES: &str = r#"apiVersion: secure.platformspec.io/v1alpha1
kind: RBACPolicy
metadata: {name: app}
spec:
  targetRefs: [{kind: Route, name: app}]
  roles:
    - name: reader
      permissions:
        - {actions: [read], resources: [/both, /both/**, MORE]}
        - {actions: [create], resources: [/both/form]}
  bindings:
    - {name: staff, role: reader, subjects: [{kind: Group, name: staff, issuer: "https://login.house.test"}]}
...
"#;

const EVIDENCE: &str = r#"apiVersion: secure.platformspec.io/v1alpha1
kind: AuditPolicy
metadata: {name: default}
spec:
  targetRefs: [{kind: Gateway, name: site}]
  sinks: [{name: local, type: File, format: Ocsf}]
  integrity: {log: TransparencyLog, origin: audit.house.test/site, keyName: audit-log, checkpointInterval: 1s}
---
apiVersion: secure.platformspec.io/v1alpha1
kind: KeyManagementPolicy
metadata: {name: keys}
spec:
  keys:
    - {name: audit-log, purpose: AuditSigning, algorithm: Ed25519, source: {type: Generate}}
---
apiVersion: secure.platformspec.io/v1alpha1
kind: SecretManagement
metadata: {name: app-key}
spec:
  targetRefs: [{kind: Upstream, name: app}]
  credentials:
    - {name: key, valueFrom: "file:keys/upstream", inject: {type: Header, header: X-Api-Key, format: "{secret}"}}
...
"#;
