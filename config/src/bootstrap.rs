//! The bootstrap file: traffic objects and where the rest is found. It says where bytes go, and grants nothing.

mod outbound;
mod proxies;
mod shared;
mod traffic;
mod upstream;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use outbound::*;
pub use proxies::*;
pub use shared::*;
pub use traffic::*;
pub use upstream::*;

use crate::decode::{At, Cx, Decode, Fields, MaterialRule, Setting, spec};
use crate::manifest::ManifestRules;
use crate::values::{BindAddress, FilePath, Name};
use crate::yaml::{self, End, Node};
use crate::{Code, Position, Report, disk, secrets};

const PV_SHAPE: Code = Code(2);
/// Largest bootstrap file.
const MAX_FILE: usize = 1 << 20;

spec! {
    /// The bootstrap file, given as `--config postern.yaml` to every command. One document; paths in it are relative to the file.
    pub struct BootstrapSpec {
        /// Version of this file's form; `1`.
        [E] version: At<u32>,
        /// The process.
        [E] gateway: At<GatewaySpec>,
        /// Where the proxy keeps what it must not lose.
        [E] state: At<StateSpec>,
        /// For operators.
        [E] admin: Setting<AdminSpec> = "{}",
        /// Where Secrets are mounted.
        [E] secrets: Option<At<SecretsSpec>>,
        /// A store that replicas share.
        [E] shared: Option<At<SharedSpec>>,
        /// Sockets it accepts on.
        [E] listeners: At<Vec<At<ListenerSpec>>>,
        /// Endpoints it calls.
        [E] upstreams: At<Vec<At<UpstreamSpec>>>,
        /// Which request goes where.
        [E] routes: At<Vec<At<RouteSpec>>>,
        /// Where the manifests are.
        [E] manifests: At<ManifestsSpec>,
    }
    later {
        /// Keys that bundles must be signed with.
        [E] "trust",
    }
    check check_version
}

fn check_version(spec: &BootstrapSpec, fields: &mut Fields<'_, '_, '_>) {
    if spec.version.value != 1 {
        let message = format!("unknown version {}", spec.version.value);
        spec.version.error(fields.cx.report, PV_SHAPE, message, "write `version: 1`");
    }
}

spec! {
    /// The process.
    pub struct GatewaySpec {
        /// What `{kind: Gateway}` targets.
        [E] name: At<Name>,
        /// How long open requests may take to end after a stop was asked for, or after their listener went. Then they are cut.
        [E, max "1h"] drain: Setting<Duration> = "30s",
        /// Proxies in front of this one whose word about where a request comes from is believed. From everybody else
        /// `X-Forwarded-*` and `Forwarded` are dropped.
        [E] trusted_proxies: Vec<At<TrustedProxySpec>>,
    }
}

spec! {
    /// Where the proxy keeps what it must not lose.
    pub struct StateSpec {
        /// A directory of the proxy's own, mode 0700: the log and generated keys. One process at a time.
        [E] dir: At<FilePath>,
    }
}

spec! {
    /// For operators.
    pub struct AdminSpec {
        /// Address of `/livez`, `/readyz`, `/metrics`, and `/jwks.json` where a KeyManagementPolicy publishes keys; nothing else. Without it there is no such listener.
        [E] health: Option<At<BindAddress>>,
    }
    later {
        /// Socket of the admin interface.
        [E] "bind",
    }
}

spec! {
    /// Where Secrets are mounted, for `secret:` and for Credentials.
    pub struct SecretsSpec {
        /// A folder with a file for each key: `DIR/NAMESPACE/NAME/KEY`. Only the user of the proxy may read the files: for a volume of
        /// Kubernetes, `defaultMode: 0400`. They may be links, as those of Kubernetes are, within the folder of their Secret.
        [E] dir: At<FilePath>,
    }
}

spec! {
    /// Where the manifests are.
    pub struct ManifestsSpec {
        /// A folder; its `.yaml`, `.yml` and `.json` files are read in the order of their names. Names that begin with `.` are left
        /// out; links are followed.
        [E] path: At<FilePath>,
        /// Whether folders in it are read too.
        [E] recursive: Setting<bool> = "false",
        /// The namespace of process-wide kinds and of manifests that name `env:` and `file:` material.
        [E] system_namespace: Setting<Name> = "default",
        /// Whether every manifest file must end with a line `...`, its only one. Then a file that was cut anywhere does not load;
        /// without it, a cut exactly after a whole line of block style is not seen.
        [E] require_end: Setting<bool> = "false",
    }
    later {
        /// A list of all manifests with their digests.
        [E] "index",
    }
}

/// A bootstrap file that was read.
#[derive(Debug, Clone)]
pub struct Bootstrap {
    pub spec: BootstrapSpec,
    /// Where the file begins.
    pub position: Position,
    /// Directory of the file: relative paths are relative to it. Empty for the working directory.
    pub base: PathBuf,
    /// Canonical JSON of the file, for the digest of the snapshot.
    pub canonical: String,
}

impl Bootstrap {
    /// What `parse_manifests` has to know.
    #[must_use]
    pub fn manifest_rules(&self) -> ManifestRules {
        let end = if *self.spec.manifests.require_end { End::Marker } else { End::Newline };
        let system_namespace = self.spec.manifests.system_namespace.as_str().to_owned();
        let secrets = self.spec.secrets.as_ref().map(|secrets| secrets.dir.value.0.clone());
        ManifestRules { base: self.base.clone(), system_namespace, end, secrets }
    }
}

/// Reads a bootstrap from the bytes of a file and reports every problem. `name` is how problems show the file, `base` what
/// relative paths are relative to. Names are not resolved: a route may name an upstream that does not exist.
pub fn parse_bootstrap(name: &str, bytes: &[u8], base: &Path, report: &mut Report) -> Option<Bootstrap> {
    let file: Arc<str> = Arc::from(name);
    let documents = yaml::parse(&file, bytes, MAX_FILE, End::Newline, report);
    let [node, more @ ..] = documents.nodes.as_slice() else { return None };
    documents.nodes.iter().for_each(|node| secrets::scan(node, report));
    if let Some(second) = more.first() {
        report.error(PV_SHAPE, &second.position, "", "a second document in a bootstrap file", "keep one of them");
    }
    // The file names material of its own, in whatever order it says where that is.
    let said = |first: &str, then: &str| node.get(first).and_then(|node| node.get(then)).and_then(Node::scalar);
    let dir = said("secrets", "dir").map(|dir| base.join(dir));
    let namespace = said("manifests", "systemNamespace").unwrap_or("default");
    let material = MaterialRule { secrets: dir.as_deref(), ..MaterialRule::new(base, true, namespace) };
    let mut cx = Cx::new(report, material);
    let spec = BootstrapSpec::decode(node, &mut cx)?;
    Some(Bootstrap {
        spec,
        position: node.position.clone(),
        base: base.to_owned(),
        canonical: yaml::canonical_json(node),
    })
}

/// Reads the bootstrap file at `path`.
pub fn load_bootstrap(path: &Path, report: &mut Report) -> Option<Bootstrap> {
    let base = path.parent().unwrap_or(Path::new(""));
    match disk::read_file(path) {
        Ok(bytes) => parse_bootstrap(&disk::name_of(path, base), &bytes, base, report),
        Err(error) => {
            disk::unreadable(path, base, &error, report);
            None
        }
    }
}

/// What the reference says about the file.
#[must_use]
pub fn bootstrap_shape() -> crate::decode::Shape {
    BootstrapSpec::shape()
}

#[cfg(test)]
mod tests;
