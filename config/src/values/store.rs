//! Where the store is that replicas share.

use std::path::PathBuf;

use super::address::is_loopback;
use super::http::is_host_name;
use super::malformed;
use crate::Code;
use crate::decode::{Cx, Fault, Scalar};
use crate::secrets::shown;

const PV_SECRET: Code = Code(1);
const PV_PLAIN: Code = Code(30);
const PORT: u16 = 6379;

/// Address of a Redis or Valkey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreUrl {
    Tls {
        host: String,
        port: u16,
    },
    /// On this machine.
    Loopback {
        host: String,
        port: u16,
    },
    /// The path of a Unix socket, absolute.
    Unix(PathBuf),
}

impl Scalar for StoreUrl {
    const NAME: &'static str = "Store URL";
    const DOC: &'static str = "`rediss://host[:port]`; `redis:` for a port of this machine (else PV-030), or a Unix socket by its absolute \
        path: `unix:/run/redis.sock`. Without user, password, path and query.";

    fn read(text: &str, cx: &Cx<'_>) -> Result<Self, Fault> {
        let wrong = || malformed(text, cx, "the address of a store", "write `rediss://host`, with a port if needed");
        if let Some(path) = text.strip_prefix("unix:") {
            let whole = path.starts_with('/') && !path.contains("//") && path.len() <= 107;
            return if whole { Ok(Self::Unix(PathBuf::from(path))) } else { Err(wrong()) };
        }
        let (tls, rest) = match (text.strip_prefix("rediss://"), text.strip_prefix("redis://")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return Err(wrong()),
        };
        if rest.contains('@') {
            // Not shown: it may be a password.
            let message = format!("`{}` holds a user or a password", cx.field());
            return Err(Fault::coded(PV_SECRET, message, "write `user`, and where the password is: `authFrom`"));
        }
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port.parse::<u16>().ok().filter(|port| *port > 0)),
            _ => (rest, Some(PORT)),
        };
        let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let known = match inner {
            Some(inner) => inner.parse::<std::net::Ipv6Addr>().is_ok(),
            None => is_host_name(host),
        };
        let (Some(port), true) = (port, known) else { return Err(wrong()) };
        let host = inner.unwrap_or(host).to_ascii_lowercase();
        match (tls, is_loopback(&host)) {
            (true, _) => Ok(Self::Tls { host, port }),
            (false, true) => Ok(Self::Loopback { host, port }),
            (false, false) => {
                let message = format!("`{}` is `{}`, a store on another machine without TLS", cx.field(), shown(text));
                Err(Fault::coded(PV_PLAIN, message, "write `rediss:`, and give the store a certificate"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::Report;
    use crate::decode::MaterialRule;

    #[test]
    fn a_store_on_another_machine_is_reached_over_tls_or_not_at_all() {
        let tls = |host: &str, port| Ok(StoreUrl::Tls { host: host.to_owned(), port });
        for (text, want) in [
            ("rediss://redis.example.internal:6380", tls("redis.example.internal", 6380)),
            ("rediss://Redis.example", tls("redis.example", 6379)),
            ("rediss://[2001:db8::1]:7", tls("2001:db8::1", 7)),
            ("redis://127.0.0.1:7", Ok(StoreUrl::Loopback { host: "127.0.0.1".to_owned(), port: 7 })),
            ("redis://[::1]", Ok(StoreUrl::Loopback { host: "::1".to_owned(), port: 6379 })),
            ("unix:/run/redis.sock", Ok(StoreUrl::Unix("/run/redis.sock".into()))),
            ("redis://redis.example", Err(30)),
            ("redis://localhost.example:1", Err(30)),
            ("rediss://user:secret@redis.example", Err(1)),
            ("rediss://redis.example/0", Err(2)),
            ("rediss://redis.example:0", Err(2)),
            ("rediss://redis.example:99999", Err(2)),
            ("rediss://", Err(2)),
            ("http://redis.example", Err(2)),
            ("unix:redis.sock", Err(2)),
        ] {
            let mut report = Report::new();
            let material = MaterialRule::new(Path::new(""), true, "default");
            let cx = Cx::new(&mut report, material);
            assert_eq!(StoreUrl::read(text, &cx).map_err(|fault| fault.code.0), want, "{text}");
        }
    }
}
