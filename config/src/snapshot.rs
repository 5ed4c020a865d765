//! What runs: everything the data path needs, merged, resolved and immutable.
//!
//! A [`Snapshot`] is made once per load from a bootstrap file and its manifests, and swapped whole. Nothing in it is
//! optional that has a default, and every reference is an index that exists. Written policy, with its positions, is
//! [`crate::manifest`]; nothing here is parsed from text again.

mod access;
mod api;
mod authz;
mod behaviour;
mod challenge;
mod content;
mod ddos;
mod exceptions;
mod http_signature;
mod identity;
mod network;
mod output;
mod posture;
mod prompts;
mod proxies;
mod secrets;
mod spiffe;
mod tls;
mod traffic;
mod txn;
mod upstream;

use std::path::PathBuf;
use std::time::Duration;

pub use access::*;
pub use api::*;
pub use authz::*;
pub use behaviour::*;
pub use challenge::*;
pub use content::*;
pub use ddos::*;
pub use exceptions::*;
pub use http_signature::*;
pub use identity::*;
pub use network::*;
pub use output::*;
pub use posture::*;
pub use prompts::*;
pub use proxies::*;
pub use secrets::*;
pub use spiffe::*;
pub use tls::*;
pub use traffic::*;
pub use txn::*;
pub use upstream::*;

use crate::{Coverage, Material, capability};

/// Everything the data path needs.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// SHA-256 over the bootstrap and all manifests, in the order of their identity (kind, namespace, name).
    pub digest: Digest,
    pub manifests: Vec<ManifestRef>,
    /// The gateway's name, the target of `{kind: Gateway}`.
    pub gateway: String,
    /// How long open requests may take to end after a stop, or after their listener went.
    pub drain: Duration,
    /// Proxies in front of this one.
    pub trusted_proxies: Vec<TrustedProxy>,
    pub state_dir: PathBuf,
    /// `/livez`, `/readyz`, `/metrics` and `/jwks.json`, nothing else.
    pub health: Option<std::net::SocketAddr>,
    /// The store that replicas share.
    pub shared: Option<SharedStore>,
    pub listeners: Vec<Listener>,
    /// Open connections of all listeners together.
    pub max_connections: u32,
    /// Who may connect, whatever is asked for.
    pub ingress: Ingress,
    /// What happens where our own process is not confined; `None` where no policy speaks of it.
    pub harden: Option<Harden>,
    /// Where the proxy's own calls may go; `None` where no policy of the gateway speaks of it.
    pub own_egress: Option<Egress>,
    pub upstreams: Vec<Upstream>,
    /// In no particular order; choose with [`Snapshot::route`].
    pub routes: Vec<Route>,
    pub audit: AuditLog,
    /// Keys of ours that sign tokens, and whose public halves are at the health address.
    pub published_keys: Vec<TokenKey>,
    /// The key of tokens that stand for values; without one each process has its own.
    pub token_key: Option<OwnKey>,
    /// All exceptions, in the order of their manifests.
    pub exceptions: Vec<Exception>,
}

/// A Redis or Valkey that replicas share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedStore {
    pub place: crate::StorePlace,
    pub user: Option<String>,
    pub auth: Option<Material>,
    /// PEM; without it, the machine's authorities.
    pub ca: Option<Material>,
    /// How long a seat of a limit over requests at once is its request's own without being asked for again.
    pub lease: Duration,
}

/// What happens where our own process is not confined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Harden {
    Warn,
    Require,
}

/// A SHA-256.
pub type Digest = [u8; 32];

/// One manifest of the running set, as audit records name it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ManifestRef {
    pub kind: String,
    pub namespace: String,
    pub name: String,
    /// SHA-256 of the manifest's canonical JSON.
    pub digest: Digest,
    /// Where it was read, relative to the bootstrap file.
    pub file: String,
}

/// The one transparency log of the process.
#[derive(Debug, Clone)]
pub struct AuditLog {
    /// Origin line of the checkpoints, `audit.example.com/edge`.
    pub origin: String,
    pub key: OwnKey,
    pub checkpoint_interval: Duration,
    /// Directory of the log, `<state>/audit` unless the sink names one.
    pub dir: PathBuf,
    /// Header names and JSON pointers redacted on top of the built-in list.
    pub redact: Vec<String>,
}

/// Where a key of ours comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum OwnKey {
    /// Made on first use and kept in the state directory, mode 0600. The name is the key's name.
    Generate { name: String },
    /// 32 bytes, raw, in base64 or in hexadecimal.
    Material { name: String, from: Material },
}

impl OwnKey {
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Generate { name } | Self::Material { name, .. } => name,
        }
    }
}

impl EffectivePolicy {
    /// Whether what a rule says of data decides about answers too: rules read its class, and guards of answers
    /// find some that they leave.
    #[must_use]
    pub fn classes_answers(&self, dialect: Dialect) -> bool {
        let there = capability::parts(dialect, Direction::Response);
        let seen = |rule: &DataRule| {
            rule.response && rule.action.keeps() && rule.parts.iter().any(|part| there.contains(part))
        };
        dialect != Dialect::Http && self.data.rules.iter().any(seen) && self.authz.may_read("dataClass")
    }

    /// Authorization with everything that is on trial.
    #[must_use]
    pub fn whole_authz(&self) -> &Authz {
        self.trials.last().map_or(&self.authz, |trial| &trial.authz)
    }
}

/// All that was attached to one route, merged: the strictest of everything.
#[derive(Debug, Clone)]
pub struct EffectivePolicy {
    pub identity: Identity,
    pub token_forwarding: TokenForwarding,
    /// Exactly where `token_forwarding` asks for them.
    pub txn_tokens: Option<TxnTokens>,
    pub challenges: Challenges,
    pub posture: Posture,
    pub access: Access,
    pub authz: Authz,
    /// What takes its place, in the order of its beginnings; empty where nothing is on trial.
    pub trials: Vec<AuthzTrial>,
    pub data: DataProtection,
    pub runtime: RuntimeSecurity,
    /// Which models may be used: all of these hold.
    pub models: Vec<ModelRules>,
    /// Of the route's upstream.
    pub leaks: Option<LeakDetection>,
    pub network: Network,
    /// What holds for requests, by the number of the listener they came in by.
    pub guards: Vec<RequestGuard>,
    /// What lacks on the route and may lack for a time. Once one of them has ended, its requests are refused. Sorted.
    pub waived: Vec<Waived>,
    /// What may look at which message part, in which direction, buffered and streamed.
    pub coverage: Coverage,
    /// Indices into [`Snapshot::manifests`] of the manifests that made this policy, sorted.
    pub manifests: Vec<usize>,
}
