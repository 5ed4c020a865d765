//! Traffic objects after resolution: listeners, upstreams, routes and how a route is chosen.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::{
    Balance, CircuitBreaker, ConnectionGuard, Credential, EffectivePolicy, Egress, Endpoint, HealthCheck, ListenerTls,
    PassiveHealth, Retries, Snapshot, Timeouts, UpstreamTls, Waived,
};
use crate::bootstrap::UpstreamProtocol;

/// One socket we accept on.
#[derive(Debug, Clone)]
pub struct Listener {
    pub name: String,
    pub bind: Bind,
    /// Each connection begins with a PROXY protocol header, from one of [`Snapshot::trusted_proxies`] without a principal.
    pub proxy_protocol: bool,
    /// Marked `internal`: client certificates are required unless a manifest said so already.
    pub internal: bool,
    /// `None` where others call.
    pub outbound: Option<Outbound>,
    /// `None` is plain HTTP, which loads on loopback addresses and Unix sockets only.
    pub tls: Option<ListenerTls>,
    /// Why it may be without TLS beyond this machine. Once that has ended, its connections are closed.
    pub plaintext: Option<Waived>,
    /// What holds for its connections.
    pub guard: ConnectionGuard,
}

/// A listener that the workload beside the proxy calls out through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outbound {
    /// Users whose processes may connect to the Unix socket. `None`: our own user.
    pub uids: Option<Vec<u32>>,
    /// SPIFFE ID of whoever calls; `None` where requests have to bring a token.
    pub principal: Option<String>,
}

/// Where a listener accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bind {
    /// Port 0 takes a free one.
    Tcp(SocketAddr),
    Unix {
        path: PathBuf,
        /// Of the socket's file: 0600 or 0660.
        mode: u32,
    },
}

impl std::fmt::Display for Bind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix { path, .. } => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Named endpoints we call.
#[derive(Debug, Clone)]
pub struct Upstream {
    pub name: String,
    pub https: bool,
    /// At least one.
    pub endpoints: Vec<Endpoint>,
    pub balance: Balance,
    pub protocol: UpstreamProtocol,
    pub timeouts: Timeouts,
    pub retries: Retries,
    pub health: Option<HealthCheck>,
    pub passive: PassiveHealth,
    pub circuit_breaker: CircuitBreaker,
    /// `None` exactly where it is called without TLS, which loads on loopback addresses only.
    pub tls: Option<UpstreamTls>,
    /// Why it may be called without TLS beyond this machine. Once that has ended, it is not called.
    pub plaintext: Option<Waived>,
    /// Prefix of every path sent, without a trailing slash; empty for none.
    pub base_path: String,
    pub labels: BTreeMap<String, String>,
    pub credentials: Vec<Credential>,
    /// Request headers removed on top of the built-in list, lower case.
    pub strip_headers: Vec<String>,
    /// Names of query parameters removed, lower case; those of credentials among them.
    pub strip_query: Vec<String>,
    /// Where its connections may go, by the policies of the gateway and of the upstream; `None` where none speaks of it.
    pub egress: Option<Egress>,
}

/// What matched.
#[derive(Debug, Clone)]
pub struct Route {
    pub name: String,
    pub matches: RouteMatch,
    /// Replaces `matches.path_prefix` in the path sent upstream.
    pub rewrite_prefix: Option<String>,
    /// Index into [`Snapshot::upstreams`]. `None` for tunnels, which lead where the request says and the policy's `egress` allows.
    pub upstream: Option<usize>,
    pub dialect: Dialect,
    /// Protocols a client may upgrade to on this route, lower case; `websocket` or nothing. Dialect `http` only.
    pub upgrades: Vec<String>,
    /// Bodies are forwarded as they come, unread. Dialect `http` without policies of content only.
    pub streams_bodies: bool,
    pub labels: BTreeMap<String, String>,
    /// Tenant of everything behind this route.
    pub tenant: Option<String>,
    /// Where each request says of which tenant its resource is; then the route itself is of none.
    pub tenant_from: Option<TenantFromRequest>,
    pub policy: EffectivePolicy,
    /// What takes its place once manifests on trial act, in the order of its beginnings. Of each, this is empty.
    pub later: Vec<LaterRoute>,
}

/// A route from the moment on at which manifests that were in `mode: Audit` act.
#[derive(Debug, Clone)]
pub struct LaterRoute {
    /// Unix seconds.
    pub from: i64,
    pub route: Route,
    /// Manifests that begin to act then: `APIAccessPolicy/default/ai-edge`.
    pub manifests: Vec<String>,
}

#[derive(Debug, Clone, Default)]
pub struct RouteMatch {
    /// Names of the listeners whose requests it takes.
    pub listeners: Vec<String>,
    /// Exact, `*.example.com`, or `None` for any host. Lower case, without port.
    pub host: Option<String>,
    /// Begins with `/`, has no trailing slash but for `/` itself; matches whole segments.
    pub path_prefix: String,
    pub method: Option<String>,
    /// Lower-case name and exact value, all of which must match.
    pub headers: Vec<(String, String)>,
}

/// What of a request names the tenant of its resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TenantFromRequest {
    /// What stands between the two in the host; lower case.
    Host { before: String, after: String },
    /// The segment of the canonical path with this number, from 0.
    PathSegment(usize),
    /// The sole value of this header; lower case.
    Header(String),
}

/// The protocol a route promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dialect {
    Http,
    OpenAi,
    Anthropic,
    Gemini,
}

impl Dialect {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
        }
    }
}

impl Snapshot {
    /// The route for a request: exact host before wildcard before none, then the longest path prefix on whole segments,
    /// then more header and method matches. `path` is canonical and without query; `host` lower case without port.
    pub fn route<'h>(
        &self,
        listener: &str,
        host: &str,
        method: &str,
        path: &str,
        header: impl Fn(&str) -> Option<&'h str>,
    ) -> Option<&Route> {
        self.routes
            .iter()
            .filter(|route| route.matches.listeners.iter().any(|name| name == listener))
            .filter(|route| route.matches.accepts(host, method, path, &header))
            .max_by_key(|route| route.matches.specificity())
    }
}

impl Route {
    /// What was on trial at the load, each manifest with the moment (Unix seconds) at which it begins to act.
    pub fn on_trial(&self) -> impl Iterator<Item = (&str, i64)> {
        let rules = self.policy.trials.iter().flat_map(|trial| trial.manifests.iter().map(|name| (name, trial.from)));
        let others = self.later.iter().flat_map(|later| later.manifests.iter().map(|name| (name, later.from)));
        rules.chain(others).map(|(name, from)| (name.as_str(), from))
    }

    /// How many trials have ended at `now` (Unix seconds): 0 for this route itself, else one of `later`, counted from 1.
    #[must_use]
    pub fn version(&self, now: i64) -> usize {
        self.later.iter().take_while(|later| later.from <= now).count()
    }

    /// The route as it is at `now` (Unix seconds).
    #[must_use]
    pub fn at(&self, now: i64) -> &Self {
        let version = self.version(now).checked_sub(1);
        version.and_then(|index| self.later.get(index)).map_or(self, |later| &later.route)
    }

    /// Whether it takes `CONNECT`, and nothing else.
    #[must_use]
    pub fn is_tunnel(&self) -> bool {
        self.upstream.is_none()
    }
}

impl RouteMatch {
    fn accepts<'h>(&self, host: &str, method: &str, path: &str, header: &impl Fn(&str) -> Option<&'h str>) -> bool {
        self.host.as_deref().is_none_or(|pattern| host_matches(pattern, host))
            && prefix_matches(&self.path_prefix, path)
            && self.method.as_deref().is_none_or(|m| m == method)
            && self.headers.iter().all(|(name, value)| header(name) == Some(value.as_str()))
    }

    /// Whether requests that come in there for the host may be for the route.
    #[must_use]
    pub fn is_for(&self, listener: &str, host: &str) -> bool {
        self.listeners.iter().any(|name| name == listener)
            && self.host.as_deref().is_none_or(|pattern| host_matches(pattern, host))
    }

    /// Larger is more specific. Two routes with equal specificity that can both match are refused at load.
    #[must_use]
    pub fn specificity(&self) -> (u8, usize, bool, usize) {
        let host = match self.host.as_deref() {
            None => 0,
            Some(h) if h.starts_with("*.") => 1,
            Some(_) => 2,
        };
        (host, self.path_prefix.len(), self.method.is_some(), self.headers.len())
    }
}

/// Whether `host` is `pattern`, or one label below it where the pattern begins with `*.`.
#[must_use]
pub fn host_matches(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix("*.") {
        Some(parent) => {
            host.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest.eq_ignore_ascii_case(parent))
        }
        None => pattern.eq_ignore_ascii_case(host),
    }
}

/// Whether `path` is `prefix` or lies below it on a segment boundary.
#[must_use]
pub fn prefix_matches(prefix: &str, path: &str) -> bool {
    prefix == "/" || path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
