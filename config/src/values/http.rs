//! Names and addresses of HTTP: hosts, headers, methods, media types, URLs.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::malformed;
use super::names::text_types;
use crate::Code;
use crate::decode::{Cx, Fault, Scalar};
use crate::secrets::shown;

text_types! {
    /// Lower case: an exact name, or `*.` and one for one label below it.
    Host;
    /// A header name in lower case (RFC 9110 §5.1).
    HeaderName;
    /// A header value of visible ASCII and spaces.
    HeaderValue;
    /// A method in upper case (RFC 9110 §9.1).
    Method;
    /// A media type in lower case without parameters.
    MediaType;
    /// Scheme, host and port of a web page (RFC 6454 §7).
    Origin;
    /// `iss` of tokens: an https URL, or http on loopback.
    Issuer;
    /// An https URL that is only kept.
    WebUrl;
    /// Begins with `/`, ends without unless it is `/`.
    PathPrefix;
}

/// RFC 9110 §5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 128
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c))
}

fn is_host_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    (1..=253).contains(&text.len()) && text.split('.').all(label)
}

impl Scalar for Host {
    const NAME: &'static str = "Host";
    const DOC: &'static str = "An exact host name, or `*.example.com` for one label below. Without scheme and port; upper case is read as lower case.";

    fn read(text: &str, cx: &Cx<'_>) -> Result<Self, Fault> {
        let name = text.strip_prefix("*.").unwrap_or(text);
        let wide = text.starts_with("*.") && !name.contains('.');
        if is_host_name(name) && !wide {
            return Ok(Self(text.to_ascii_lowercase()));
        }
        Err(malformed(
            text,
            cx,
            "a host",
            "write a name such as `api.example.com` or `*.example.com`, without scheme, port and path",
        ))
    }
}

impl Scalar for HeaderName {
    const NAME: &'static str = "Header name";
    const DOC: &'static str = "The name of a header; upper and lower case are the same.";

    fn read(text: &str, cx: &Cx<'_>) -> Result<Self, Fault> {
        if is_token(text) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(malformed(text, cx, "a header name", "write a name such as `X-Frame-Options`"))
        }
    }
}

impl Scalar for HeaderValue {
    const NAME: &'static str = "Header value";
    const DOC: &'static str = "Visible ASCII and spaces, at most 8Ki.";

    fn read(text: &str, cx: &Cx<'_>) -> Result<Self, Fault> {
        let valid =
            text.len() <= 8 << 10 && text.chars().all(|c| c.is_ascii_graphic() || c == ' ') && text.trim() == text;
        if valid {
            Ok(Self(text.to_owned()))
        } else {
            Err(malformed(text, cx, "a header value", "use visible ASCII and single lines"))
        }
    }
}

impl Scalar for Method {
    const NAME: &'static str = "Method";
    const DOC: &'static str = "An HTTP method in upper case.";

    fn read(text: &str, cx: &Cx<'_>) -> Result<Self, Fault> {
        if matches!(text, "CONNECT" | "TRACE") {
            return Err(malformed(
                text,
                cx,
                "a method the proxy forwards",
                "remove it; tunnels and echoes of a request are never forwarded",
            ));
        }
        let valid = (1..=32).contains(&text.len()) && text.chars().all(|c| c.is_ascii_uppercase());
        if valid {
            Ok(Self(text.to_owned()))
        } else {
            Err(malformed(text, cx, "a method", "write it in upper case: `GET`"))
        }
    }
}

impl Scalar for MediaType {
    const NAME: &'static str = "Media type";
    const DOC: &'static str = "A media type without parameters: `application/json`.";

    fn read(text: &str, cx: &Cx<'_>) -> Result<Self, Fault> {
        let parts = text.split_once('/').filter(|(kind, sub)| is_token(kind) && is_token(sub) && !text.contains('*'));
        match parts {
            Some(_) => Ok(Self(text.to_ascii_lowercase())),
            None => Err(malformed(
                text,
                cx,
                "a media type",
                "write type and subtype, without parameters and `*`: `application/json`",
            )),
        }
    }
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

impl Scalar for PathPrefix {
    const NAME: &'static str = "Path prefix";
    const DOC: &'static str =
        "Begins with `/` and matches whole segments: `/v1` matches `/v1` and `/v1/models`, not `/v10`.";

    fn read(text: &str, cx: &Cx<'_>) -> Result<Self, Fault> {
        if text == "/" || is_canonical_path(text) {
            return Ok(Self(text.to_owned()));
        }
        let help =
            "begin it with `/`, end it without, and leave out query, escapes, `.`, `..`, `*` and empty segments: `/v1`";
        Err(malformed(text, cx, "a path prefix", help))
    }
}

/// At least one segment, none of them empty or dots, and nothing that two readers decode differently.
fn is_canonical_path(text: &str) -> bool {
    let segment = |segment: &str| {
        !segment.is_empty()
            && segment != "."
            && segment != ".."
            && segment.chars().all(|c| c.is_ascii_graphic() && !"?#%\\*;\"<>^`{|}".contains(c))
    };
    text.strip_prefix('/').is_some_and(|rest| rest.split('/').all(segment)) && text.len() <= 1024
}

/// Address of an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamUrl {
    pub https: bool,
    /// Lower case, without brackets.
    pub host: String,
    pub port: u16,
    /// Without a trailing slash; empty for none.
    pub base_path: String,
}

impl UpstreamUrl {
    /// Whether the host is this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.host)
    }
}

impl Scalar for UpstreamUrl {
    const NAME: &'static str = "Upstream URL";
    const DOC: &'static str = "`https://host[:port][/base]`, or `http:` to this machine (else PV-030). The base path is put before every path sent.";

    fn read(text: &str, cx: &Cx<'_>) -> Result<Self, Fault> {
        let wanted = |what: &str| {
            malformed(
                text,
                cx,
                what,
                "write `https://host`, with a port or a base path if needed, without user, query and fragment",
            )
        };
        let url = split_url(text).ok_or_else(|| wanted("the address of an upstream"))?;
        let base_path = url.path.strip_suffix('/').unwrap_or(url.path);
        if !base_path.is_empty() && !is_canonical_path(base_path) {
            return Err(wanted("an address with a canonical base path"));
        }
        let port = url.port.unwrap_or(if url.https { 443 } else { 80 });
        Ok(Self { https: url.https, host: url.host.to_ascii_lowercase(), port, base_path: base_path.to_owned() })
    }
}

/// Parts of an http or https URL without user, query and fragment.
struct Url<'t> {
    https: bool,
    /// Without brackets.
    host: &'t str,
    port: Option<u16>,
    path: &'t str,
}

fn split_url(text: &str) -> Option<Url<'_>> {
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

fn is_loopback(host: &str) -> bool {
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

/// A header value with the secret in it once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderFormat {
    pub before: String,
    pub after: String,
}

impl Scalar for HeaderFormat {
    const NAME: &'static str = "Header format";
    const DOC: &'static str = "A header value in which `{secret}` stands once for the secret: `Bearer {secret}`.";

    fn read(text: &str, cx: &Cx<'_>) -> Result<Self, Fault> {
        let parts = text.split_once("{secret}").filter(|(_, after)| !after.contains("{secret}"));
        let visible = text.len() <= 256 && text.chars().all(|c| c.is_ascii_graphic() || c == ' ');
        match parts {
            Some((before, after)) if visible => Ok(Self { before: before.to_owned(), after: after.to_owned() }),
            _ => Err(malformed(
                text,
                cx,
                "a header format",
                "write visible ASCII with `{secret}` in it once: `Bearer {secret}`",
            )),
        }
    }
}
