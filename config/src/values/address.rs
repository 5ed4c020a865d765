//! Addresses: of upstreams, issuers, web pages, and to listen on.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use super::http::{is_canonical_path, is_host_name};
use super::listen::MAX_SOCKET_PATH;
use super::malformed;
use super::names::text_types;
use crate::Code;
use crate::decode::{Cx, Fault, Scalar};
use crate::secrets::shown;

text_types! {
    /// Scheme, host and port of a web page (RFC 6454 §7).
    Origin;
    /// `iss` of tokens: an https URL, or http on loopback.
    Issuer;
    /// Where we call an issuer or a service: an https URL, or http on loopback.
    CallUrl;
    /// An https URL that is only kept.
    WebUrl;
}

impl Scalar for Origin {
    const NAME: &'static str = "Origin";
    const DOC: &'static str = "Scheme, host and, unless it is the default, port of a web page, compared exactly: `https://app.example.com`. \
        Patterns are refused (PV-041).";

    fn read(text: &str, cx: &Cx<'_>) -> Result<Self, Fault> {
        if text.contains('*') || text.starts_with('.') {
            let message = format!("`{}` is `{}`, a pattern; origins are compared exactly", cx.field(), shown(text));
            return Err(Fault::coded(Code(41), message, "write every origin out: `https://app.example.com`"));
        }
        let url = split_url(text).filter(|url| url.path.is_empty());
        let bare = |url: &Url<'_>| !matches!((url.https, url.port), (true, Some(443)) | (false, Some(80)));
        match url {
            Some(url) if bare(&url) => Ok(Self(text.to_ascii_lowercase())),
            _ => Err(malformed(
                text,
                cx,
                "an origin",
                "write scheme and host without a path or a default port: `https://app.example.com`",
            )),
        }
    }
}

impl Scalar for Issuer {
    const NAME: &'static str = "Issuer";
    const DOC: &'static str =
        "`iss` of the tokens, compared exactly: an https URL (http on loopback only, else PV-012).";

    fn read(text: &str, cx: &Cx<'_>) -> Result<Self, Fault> {
        let Some(url) = split_url(text) else {
            return Err(malformed(
                text,
                cx,
                "an issuer",
                "write the exact `iss` of the tokens: `https://login.example.com`",
            ));
        };
        if url.https || is_loopback(url.host) {
            return Ok(Self(text.to_owned()));
        }
        let message = format!("`{}` is `{}`, which is not https", cx.field(), shown(text));
        Err(Fault::coded(Code(12), message, "use the issuer's https address"))
    }
}

impl Scalar for CallUrl {
    const NAME: &'static str = "URL to call";
    const DOC: &'static str = "`https://host[:port]/path`, where we ask somebody (http on loopback only, else PV-012). A redirect is \
        refused, and so is an address that the gateway's NetworkPolicy does not allow.";

    fn read(text: &str, cx: &Cx<'_>) -> Result<Self, Fault> {
        let (before, query) = text.split_once('?').unwrap_or((text, ""));
        let plain = query.chars().all(|c| c.is_ascii_graphic() && !"#\\\"<>^`{|}?".contains(c));
        let Some(url) = split_url(before).filter(|_| plain && text.len() <= 2048) else {
            return Err(malformed(text, cx, "a URL", "write `https://host/path`, without user and fragment"));
        };
        if url.https || is_loopback(url.host) {
            return Ok(Self(text.to_owned()));
        }
        let message = format!("`{}` is `{}`, which is not https", cx.field(), shown(text));
        Err(Fault::coded(Code(12), message, "use the https address: what is read there decides about requests"))
    }
}

impl Scalar for WebUrl {
    const NAME: &'static str = "URL";
    const DOC: &'static str = "An https URL.";

    fn read(text: &str, cx: &Cx<'_>) -> Result<Self, Fault> {
        match split_url(text) {
            Some(url) if url.https => Ok(Self(text.to_owned())),
            _ => Err(malformed(text, cx, "an https URL", "write `https://host/path`")),
        }
    }
}

/// Address of an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamUrl {
    pub https: bool,
    pub place: UpstreamPlace,
    /// Without a trailing slash; empty for none.
    pub base_path: String,
}

/// Where an upstream is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpstreamPlace {
    /// The host in lower case, without brackets.
    Tcp { host: String, port: u16 },
    /// The path of a Unix socket, absolute.
    Unix(PathBuf),
}

impl UpstreamUrl {
    /// Whether it is on this machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match &self.place {
            UpstreamPlace::Tcp { host, .. } => is_loopback(host),
            UpstreamPlace::Unix(_) => true,
        }
    }

    #[must_use]
    pub fn scheme(&self) -> &'static str {
        match (&self.place, self.https) {
            (UpstreamPlace::Unix(_), _) => "unix",
            (UpstreamPlace::Tcp { .. }, true) => "https",
            (UpstreamPlace::Tcp { .. }, false) => "http",
        }
    }
}

impl std::fmt::Display for UpstreamPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Scalar for UpstreamUrl {
    const NAME: &'static str = "Upstream URL";
    const DOC: &'static str = "`https://host[:port][/base]`, or `http:` to this machine (else PV-030). The base path is put before every path sent. \
        Or a Unix socket by its absolute path: `unix:/run/app.sock`.";

    fn read(text: &str, cx: &Cx<'_>) -> Result<Self, Fault> {
        let wanted = |what: &str| {
            malformed(
                text,
                cx,
                what,
                "write `https://host`, with a port or a base path if needed, without user, query and fragment",
            )
        };
        if let Some(path) = text.strip_prefix("unix:") {
            let place = UpstreamPlace::Unix(socket(text, path, cx)?);
            return Ok(Self { https: false, place, base_path: String::new() });
        }
        let url = split_url(text).ok_or_else(|| wanted("the address of an upstream"))?;
        let base_path = url.path.strip_suffix('/').unwrap_or(url.path);
        if !base_path.is_empty() && !is_canonical_path(base_path) {
            return Err(wanted("an address with a canonical base path"));
        }
        let port = url.port.unwrap_or(if url.https { 443 } else { 80 });
        let place = UpstreamPlace::Tcp { host: url.host.to_ascii_lowercase(), port };
        Ok(Self { https: url.https, place, base_path: base_path.to_owned() })
    }
}

/// One spelling for one socket: absolute, no empty segments, no `.` and `..`, which would lead elsewhere once a folder is a link.
fn socket(text: &str, path: &str, cx: &Cx<'_>) -> Result<PathBuf, Fault> {
    let plain = |segment: &str| !matches!(segment, "" | "." | "..") && !segment.chars().any(char::is_control);
    let absolute = path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(plain));
    if absolute && path.len() <= MAX_SOCKET_PATH {
        return Ok(PathBuf::from(path));
    }
    let help = format!(
        "write `unix:/run/app.sock`, an absolute path without `.` and `..`, of at most {MAX_SOCKET_PATH} bytes"
    );
    Err(malformed(text, cx, "a Unix socket", help))
}

/// Parts of an http or https URL without user, query and fragment.
pub(super) struct Url<'t> {
    pub(super) https: bool,
    /// Without brackets.
    pub(super) host: &'t str,
    port: Option<u16>,
    pub(super) path: &'t str,
}

pub(super) fn split_url(text: &str) -> Option<Url<'_>> {
    let (https, rest) = match text.split_once("://")? {
        ("https", rest) => (true, rest),
        ("http", rest) => (false, rest),
        _ => return None,
    };
    if !rest.chars().all(|c| c.is_ascii_graphic()) || rest.contains(['@', '?', '#', '\\']) || text.len() > 2048 {
        return None;
    }
    let (authority, path) = rest.split_at_checked(rest.find('/').unwrap_or(rest.len()))?;
    let (host, port) = match authority.strip_prefix('[') {
        Some(v6) => {
            let (host, tail) = v6.split_once(']')?;
            host.parse::<Ipv6Addr>().ok()?;
            (host, tail)
        }
        None => authority.split_at_checked(authority.find(':').unwrap_or(authority.len()))?,
    };
    let port = match port.strip_prefix(':') {
        Some(digits) if digits.chars().all(|c| c.is_ascii_digit()) => Some(digits.parse().ok().filter(|p| *p != 0)?),
        None if port.is_empty() => None,
        _ => return None,
    };
    (authority.starts_with('[') || is_host_name(host)).then_some(Url { https, host, port, path })
}

pub(super) fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Address and port to listen on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BindAddress(pub SocketAddr);

impl Scalar for BindAddress {
    const NAME: &'static str = "Address";
    const DOC: &'static str = "An IP address with a port: `0.0.0.0:8443`, `[::1]:9901`. Port 0 takes a free one.";

    fn read(text: &str, cx: &Cx<'_>) -> Result<Self, Fault> {
        text.parse().map(Self).map_err(|error| {
            malformed(text, cx, "an address", format!("write `0.0.0.0:8443` or `[::1]:8443` ({error})"))
        })
    }
}
