//! Where a SPIFFE Workload API is asked, and the trust domains it speaks of.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::listen::MAX_SOCKET_PATH;
use super::malformed;
use super::names::text_types;
use crate::Code;
use crate::decode::{Cx, Fault, Scalar};

const PV_NAMESPACE: Code = Code(8);

text_types! {
    /// A SPIFFE trust domain.
    TrustDomain;
}

impl Scalar for TrustDomain {
    const NAME: &'static str = "Trust domain";
    const DOC: &'static str =
        "The name of a SPIFFE trust domain: `example.org`, without `spiffe://` and without a path.";

    fn read(text: &str, cx: &Cx<'_>) -> Result<Self, Fault> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
        let valid = (1..=255).contains(&text.len()) && text.chars().all(allowed);
        let help = "write the domain alone: `example.org`, lower-case letters, digits, `.`, `-` and `_`";
        if valid { Ok(Self(text.to_owned())) } else { Err(malformed(text, cx, "a trust domain", help)) }
    }
}

/// Where a Workload API listens (SPIFFE Workload Endpoint §4).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WorkloadSocket {
    Unix(PathBuf),
    /// On this machine: keys come over it, and nothing protects them.
    Tcp(SocketAddr),
}

impl WorkloadSocket {
    /// The variable that says where it is, for whom nothing else says it.
    pub const VARIABLE: &'static str = "SPIFFE_ENDPOINT_SOCKET";

    /// Reads `unix:/path`, `unix:///path`, `tcp://127.0.0.1:port` or `tcp:127.0.0.1:port`.
    ///
    /// # Errors
    /// What has to be written instead.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let (scheme, rest) = text.split_once(':').unwrap_or_default();
        match scheme {
            "unix" => {
                let path = rest.strip_prefix("//").unwrap_or(rest);
                let named = path.starts_with('/') && !path.starts_with("//") && !path.ends_with('/');
                let whole = path.len() <= MAX_SOCKET_PATH && !path.chars().any(char::is_control);
                if named && whole {
                    Ok(Self::Unix(PathBuf::from(path)))
                } else {
                    Err("write `unix:/path`: an absolute path of at most 107 bytes")
                }
            }
            "tcp" => match rest.strip_prefix("//").unwrap_or(rest).parse::<SocketAddr>() {
                Ok(address) if address.ip().is_loopback() && address.port() != 0 => Ok(Self::Tcp(address)),
                Ok(_) => {
                    Err("use a loopback address with a port, or a Unix socket: private keys come over it in the clear")
                }
                Err(_) => Err("write `tcp://127.0.0.1:8000`: an address with a port, and nothing behind it"),
            },
            _ => Err("write `unix:/path` or `tcp://127.0.0.1:8000`"),
        }
    }
}

impl fmt::Display for WorkloadSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
        }
    }
}

impl Scalar for WorkloadSocket {
    const NAME: &'static str = "Workload socket";
    const DOC: &'static str = "Where a SPIFFE Workload API listens: `unix:/run/spire/agent.sock`, or `tcp://127.0.0.1:8000` with a \
        loopback address. Only manifests of the system namespace may name one (PV-008).";

    fn read(text: &str, cx: &Cx<'_>) -> Result<Self, Fault> {
        if !cx.material.local {
            let help = format!("leave it out, or move the manifest to namespace `{}`", cx.material.system_namespace);
            return Err(Fault::coded(PV_NAMESPACE, "a socket of this machine outside the system namespace", help));
        }
        Self::parse(text).map_err(|help| malformed(text, cx, "the socket of a Workload API", help))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_an_absolute_path_or_a_loopback_address() {
        let unix = |path: &str| Some(WorkloadSocket::Unix(path.into()));
        let tcp = |address: &str| Some(WorkloadSocket::Tcp(address.parse().unwrap()));
        for (text, want) in [
            ("unix:/run/agent.sock", unix("/run/agent.sock")),
            ("unix:///run/agent.sock", unix("/run/agent.sock")),
            ("tcp://127.0.0.1:8000", tcp("127.0.0.1:8000")),
            ("tcp:127.0.0.1:8000", tcp("127.0.0.1:8000")),
            ("tcp://[::1]:8000", tcp("[::1]:8000")),
            ("unix://host/run/agent.sock", None),
            ("unix:////run/agent.sock", None),
            ("unix:run/agent.sock", None),
            ("unix:/run/", None),
            ("unix:", None),
            ("/run/agent.sock", None),
            ("tcp://10.0.0.1:8000", None),
            ("tcp://0.0.0.0:8000", None),
            ("tcp://127.0.0.1:0", None),
            ("tcp://127.0.0.1:8000/", None),
            ("tcp://localhost:8000", None),
            ("http://127.0.0.1:8000", None),
            ("", None),
        ] {
            assert_eq!(WorkloadSocket::parse(text).ok(), want, "{text}");
        }
        assert!(WorkloadSocket::parse(&format!("unix:/{}", "a".repeat(107))).is_err());
    }
}
