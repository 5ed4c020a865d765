//! The demo's directory: the shipped manifests, and the material they name, made fresh.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use postern_certs::Authority;
use postern_config::Redacted;
use postern_filters::token::mint::{MintError, SigningKey};
use rustls_pki_types::UnixTime;
use serde_json::Value;

use super::DemoError;
use super::caller::{self, Caller, Callers};

/// The set as it is shipped, by path below the directory.
const SHIPPED: [(&str, &str); 9] = [
    ("postern.yaml", include_str!("../../../config/examples/demo/postern.yaml")),
    ("manifests/identity.yaml", include_str!("../../../config/examples/demo/manifests/identity.yaml")),
    ("manifests/tls.yaml", include_str!("../../../config/examples/demo/manifests/tls.yaml")),
    ("manifests/chat.yaml", include_str!("../../../config/examples/demo/manifests/chat.yaml")),
    ("manifests/content.yaml", include_str!("../../../config/examples/demo/manifests/content.yaml")),
    ("manifests/orders.yaml", include_str!("../../../config/examples/demo/manifests/orders.yaml")),
    ("manifests/evidence.yaml", include_str!("../../../config/examples/demo/manifests/evidence.yaml")),
    ("manifests/secrets.yaml", include_str!("../../../config/examples/demo/manifests/secrets.yaml")),
    ("README.md", include_str!("../../../config/examples/demo/README.md")),
];

/// The addresses in the shipped bootstrap; the embedded upstreams have other ports on every run.
const MODEL_URL: &str = "http://127.0.0.1:18081";
const SHOP_URL: &str = "http://127.0.0.1:18082";

/// A directory that `postern run` would serve as well.
#[derive(Debug)]
pub(super) struct Site {
    dir: PathBuf,
    ca: Authority,
    issuer: SigningKey,
    pub(super) callers: Callers,
    now: i64,
}

/// A fresh key for the model upstream.
pub(super) fn api_key() -> Result<Redacted<String>, DemoError> {
    let mut bytes = [0; 24];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_unspecified| DemoError::Random)?;
    Ok(Redacted::new(format!("demo-{}", URL_SAFE_NO_PAD.encode(bytes))))
}

impl Site {
    /// Writes everything below `dir`, which is empty.
    pub(super) fn build(
        dir: PathBuf,
        api_key: &Redacted<String>,
        model: SocketAddr,
        shop: SocketAddr,
    ) -> Result<Self, DemoError> {
        let now = UnixTime::now();
        let ca = Authority::new("Postern demo CA", now)?;
        let callers = Callers::new(&ca, &Authority::new("Somebody else's CA", now)?)?;
        let issuer = SigningKey::generate_es256("demo-1")?;
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let site = Self { dir, ca, issuer, callers, now };
        for sub in ["manifests", "tls", "keys", "clients", "state"] {
            site.directory(sub)?;
        }
        for (path, text) in SHIPPED {
            let text = text.replace(MODEL_URL, &format!("http://{model}")).replace(SHOP_URL, &format!("http://{shop}"));
            site.write(path, text.as_bytes(), PUBLIC)?;
        }
        site.material(api_key)?;
        Ok(site)
    }

    fn material(&self, api_key: &Redacted<String>) -> Result<(), DemoError> {
        let server = self.ca.server(&["localhost", "127.0.0.1", "::1"])?;
        self.write("tls/ca.pem", self.ca.ca_pem().as_bytes(), PUBLIC)?;
        self.write("tls/server.pem", server.cert_pem.as_bytes(), PUBLIC)?;
        self.write("tls/server.key", server.key_pem.expose().as_bytes(), SECRET)?;
        self.write("keys/jwks.json", self.issuer.jwks().as_bytes(), PUBLIC)?;
        self.write("keys/model-api-key", api_key.expose().as_bytes(), SECRET)?;
        for caller in self.callers.ours() {
            let name = caller.name;
            self.write(&format!("clients/{name}.pem"), caller.issued.cert_pem.as_bytes(), PUBLIC)?;
            self.write(&format!("clients/{name}.key"), caller.issued.key_pem.expose().as_bytes(), SECRET)?;
            self.write_token(caller)?;
        }
        Ok(())
    }

    /// A fresh token of `caller` as `clients/NAME.jwt`.
    pub(super) fn write_token(&self, caller: &Caller) -> Result<String, DemoError> {
        let token = self.token(caller, caller, Value::Null)?;
        self.write(&format!("clients/{}.jwt", caller.name), token.as_bytes(), SECRET)?;
        Ok(token)
    }

    /// A token for `caller` on a connection of `holder`, with `change` laid over its claims.
    pub(super) fn token(&self, caller: &Caller, holder: &Caller, change: Value) -> Result<String, MintError> {
        caller::token(&self.issuer, caller, holder, self.now, change)
    }

    /// Unix seconds at which the site was built.
    pub(super) fn now(&self) -> i64 {
        self.now
    }

    pub(super) fn ca_pem(&self) -> String {
        self.ca.ca_pem()
    }

    /// The bootstrap file.
    pub(super) fn config(&self) -> PathBuf {
        self.path("postern.yaml")
    }

    pub(super) fn path(&self, below: &str) -> PathBuf {
        self.dir.join(below)
    }

    fn directory(&self, below: &str) -> Result<(), DemoError> {
        let path = self.path(below);
        DirBuilder::new().mode(0o700).create(&path).map_err(DemoError::io(format!("directory `{}`", path.display())))
    }

    pub(super) fn write(&self, below: &str, bytes: &[u8], mode: u32) -> Result<(), DemoError> {
        let path = self.path(below);
        write(&path, bytes, mode).map_err(DemoError::io(format!("file `{}`", path.display())))
    }
}

pub(super) const PUBLIC: u32 = 0o644;
pub(super) const SECRET: u32 = 0o600;

fn write(path: &Path, bytes: &[u8], mode: u32) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(path)?;
    file.write_all(bytes)
}
