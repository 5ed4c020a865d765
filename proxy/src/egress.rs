//! Where the proxy may connect to. What is looked up is checked address by address, and what was checked is what is
//! dialled: nobody looks the name up a second time (attack 34).

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures::future::BoxFuture;
use postern_config::{AddressClass, EgressRule, PrivateRanges, address, host_matches};
use postern_filters::{Reason, Refusal};

use crate::outbound::Addresses;

/// Longest wait for a name.
const LOOKUP: Duration = Duration::from_secs(5);
/// Most addresses of one name that are considered.
const MAX_ADDRESSES: usize = 64;

/// What may be dialled: the lists of NetworkPolicy, or what stands where no policy speaks.
#[derive(Debug, Clone)]
pub(crate) struct Egress(Rules);

#[derive(Debug, Clone)]
enum Rules {
    Policy(postern_config::Egress),
    /// Hosts that the bootstrap names: the operator wrote them down.
    Declared,
    Nothing,
}

/// Why nothing is dialled.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EgressError {
    #[error("`{0}` is neither a host name nor an address")]
    NotAHost(String),
    #[error("`{host}` could not be resolved: {source}")]
    Lookup { host: String, source: std::io::Error },
    #[error("`{host}` was not resolved within {} s", LOOKUP.as_secs())]
    Slow { host: String },
    #[error("`{0}` has no address")]
    NoAddress(String),
    #[error("no rule of {manifest} allows {host} port {port}")]
    NotListed { manifest: String, host: String, port: u16 },
    #[error("`{host}` is at {address}, a {class} address, which {by}")]
    Class { host: String, address: IpAddr, class: AddressClass, by: &'static str },
    #[error("no NetworkPolicy allows to connect anywhere")]
    NoPolicy,
}

impl EgressError {
    /// Whether policy said no; else the name could not be resolved, which may pass.
    pub(crate) fn is_refusal(&self) -> bool {
        match self {
            Self::Lookup { .. } | Self::Slow { .. } | Self::NoAddress(_) => false,
            Self::NotAHost(_) | Self::NotListed { .. } | Self::Class { .. } | Self::NoPolicy => true,
        }
    }
}

impl From<EgressError> for Refusal {
    /// Policy said no, or the name leads nowhere at the moment.
    fn from(error: EgressError) -> Self {
        let reason = if error.is_refusal() { Reason::NotPermitted } else { Reason::UpstreamFailed };
        Self::new(reason, error.to_string())
    }
}

impl Egress {
    /// For an upstream of the bootstrap. Without a policy a literal address is dialled as it was written; a name may lead
    /// to public and private addresses, and to this machine only if it is `localhost`.
    pub(crate) fn of_upstream(policy: Option<postern_config::Egress>) -> Self {
        Self(policy.map_or(Rules::Declared, Rules::Policy))
    }

    /// For destinations that a caller names. Without a policy there are none.
    pub(crate) fn of_caller(policy: Option<postern_config::Egress>) -> Self {
        Self(policy.map_or(Rules::Nothing, Rules::Policy))
    }

    /// For what the proxy itself fetches or sends. Without a policy on the gateway: public addresses and no others.
    pub(crate) fn of_own_calls(policy: Option<postern_config::Egress>) -> Self {
        Self(Rules::Policy(policy.unwrap_or(postern_config::Egress {
            allow: Vec::new(),
            private_ranges: PrivateRanges::Deny,
            redirects: postern_config::Redirects::Deny,
        })))
    }

    /// The addresses of `host` that may be dialled, at least one. Dial these and no others.
    ///
    /// # Errors
    /// [`EgressError`] where the name leads nowhere, or only where nothing may go.
    pub(crate) async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, EgressError> {
        let found = match read(host)? {
            Host::Address(address) => vec![SocketAddr::new(address, port)],
            Host::Name(name) => {
                self.check_host(&name, port)?;
                look_up(&name, port).await?
            }
        };
        self.permitted(host, found)
    }

    /// Whether `address`, found for `host`, may be dialled.
    ///
    /// # Errors
    /// The rule or the range that forbids it.
    pub(crate) fn permits(&self, host: &str, address: SocketAddr) -> Result<(), EgressError> {
        let host = read(host)?;
        match &self.0 {
            Rules::Policy(policy) => by_policy(policy, &host, address),
            Rules::Declared => declared(&host, address),
            Rules::Nothing => Err(EgressError::NoPolicy),
        }
    }

    /// Those of `found` that may be dialled.
    fn permitted(&self, host: &str, found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, EgressError> {
        let mut why = EgressError::NoAddress(host.to_owned());
        let mut permitted = Vec::new();
        for address in found.into_iter().take(MAX_ADDRESSES) {
            match self.permits(host, address) {
                Ok(()) if permitted.contains(&address) => {}
                Ok(()) => permitted.push(address),
                Err(error) => why = error,
            }
        }
        if permitted.is_empty() { Err(why) } else { Ok(permitted) }
    }

    /// A name that no rule knows is not even looked up: a question to a name server carries data out, too.
    fn check_host(&self, name: &str, port: u16) -> Result<(), EgressError> {
        match &self.0 {
            Rules::Policy(policy) => {
                for list in &policy.allow {
                    let known = |rule: &EgressRule| rule.ports.contains(&port) && is_listed(&rule.hosts, name);
                    if !list.rules.iter().any(known) {
                        return Err(not_listed(&list.manifest, name, port));
                    }
                }
                Ok(())
            }
            Rules::Declared => Ok(()),
            Rules::Nothing => Err(EgressError::NoPolicy),
        }
    }
}

impl Addresses for Egress {
    fn admit<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, Result<Vec<SocketAddr>, String>> {
        Box::pin(async move { self.resolve(host, port).await.map_err(|error| error.to_string()) })
    }
}

/// A host as it is meant.
enum Host {
    Address(IpAddr),
    /// Lower case, without a final dot.
    Name(String),
}

impl Host {
    fn shown(&self) -> String {
        match self {
            Self::Address(address) => address.to_string(),
            Self::Name(name) => name.clone(),
        }
    }
}

/// Resolvers also take `0x7f.1`, `2130706433` and `127.1` for addresses. Nobody else does, so such a host is refused: a
/// name never ends in a number (WHATWG URL, "ends in a number").
fn read(host: &str) -> Result<Host, EgressError> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    if let Ok(address) = bare.parse() {
        return Ok(Host::Address(address));
    }
    let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let label = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    let number = last.bytes().all(|b| b.is_ascii_digit())
        || last.strip_prefix("0x").is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
    if name.len() > 253 || !name.split('.').all(label) || number {
        return Err(EgressError::NotAHost(host.to_owned()));
    }
    Ok(Host::Name(name))
}

async fn look_up(name: &str, port: u16) -> Result<Vec<SocketAddr>, EgressError> {
    match tokio::time::timeout(LOOKUP, tokio::net::lookup_host((name, port))).await {
        Ok(Ok(found)) => Ok(found.collect()),
        Ok(Err(source)) => Err(EgressError::Lookup { host: name.to_owned(), source }),
        Err(_) => Err(EgressError::Slow { host: name.to_owned() }),
    }
}

fn declared(host: &Host, address: SocketAddr) -> Result<(), EgressError> {
    let ip = address::plain(address.ip());
    let class = AddressClass::of(ip);
    let good = match host {
        Host::Address(written) => address::plain(*written) == ip,
        Host::Name(name) => match class {
            AddressClass::Public | AddressClass::Private | AddressClass::CarrierNat | AddressClass::Documentation => {
                true
            }
            AddressClass::Loopback => name == "localhost",
            AddressClass::LinkLocal
            | AddressClass::Metadata
            | AddressClass::Multicast
            | AddressClass::Unspecified
            | AddressClass::Reserved
            | AddressClass::Embedded => false,
        },
    };
    if good { Ok(()) } else { Err(of_class(host, ip, class, "a name must not lead to")) }
}

fn by_policy(policy: &postern_config::Egress, host: &Host, address: SocketAddr) -> Result<(), EgressError> {
    let ip = address::plain(address.ip());
    let class = AddressClass::of(ip);
    let public = class == AddressClass::Public;
    if !public && policy.private_ranges == PrivateRanges::Deny {
        return Err(of_class(host, ip, class, "`privateRanges: Deny` forbids"));
    }
    if !class.may_be_listed() {
        return Err(of_class(host, ip, class, "no policy can allow"));
    }
    for list in &policy.allow {
        let matching = |rule: &&EgressRule| matches(rule, host, ip, address.port());
        let mut rules = list.rules.iter().filter(matching).peekable();
        if rules.peek().is_none() {
            return Err(not_listed(&list.manifest, &format!("{} at {ip}", host.shown()), address.port()));
        }
        let named = |rule: &EgressRule| rule.cidrs.iter().any(|range| address::names(range, ip));
        if !public && !rules.any(named) {
            return Err(of_class(host, ip, class, "no range of a matching rule names"));
        }
    }
    Ok(())
}

fn matches(rule: &EgressRule, host: &Host, ip: IpAddr, port: u16) -> bool {
    let name = match host {
        Host::Address(address) => is_listed(&rule.hosts, &address.to_string()),
        Host::Name(name) => is_listed(&rule.hosts, name),
    };
    name && rule.ports.contains(&port) && (rule.cidrs.is_empty() || rule.cidrs.iter().any(|range| range.contains(ip)))
}

/// A rule without hosts is for ranges: any host that leads there.
fn is_listed(hosts: &[String], host: &str) -> bool {
    hosts.is_empty() || hosts.iter().any(|pattern| pattern == "*" || host_matches(pattern, host))
}

fn not_listed(manifest: &str, host: &str, port: u16) -> EgressError {
    EgressError::NotListed { manifest: manifest.to_owned(), host: host.to_owned(), port }
}

fn of_class(host: &Host, address: IpAddr, class: AddressClass, by: &'static str) -> EgressError {
    EgressError::Class { host: host.shown(), address, class, by }
}

#[cfg(test)]
mod tests;
