//! Names of HTTP: hosts, headers, methods, media types, paths.

use super::malformed;
use super::names::text_types;
use crate::decode::{Cx, Fault, Scalar};

text_types! {
    /// Lower case: an exact name, or `*.` and one for one label below it.
    Host;
    /// A host, or `*` for every one.
    EgressHost;
    /// A header name in lower case (RFC 9110 §5.1).
    HeaderName;
    /// A header value of visible ASCII and spaces.
    HeaderValue;
    /// A method in upper case (RFC 9110 §9.1).
    Method;
    /// A media type in lower case without parameters.
    MediaType;
    /// Begins with `/`, ends without unless it is `/`.
    PathPrefix;
    /// The path of one request of ours.
    TargetPath;
    /// The name of a query parameter, without escapes.
    QueryName;
}

/// RFC 9110 §5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 128
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c))
}

pub(super) fn is_host_name(text: &str) -> bool {
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

impl Scalar for EgressHost {
    const NAME: &'static str = "Destination";
    const DOC: &'static str = "A Host, an IPv4 address, or `*` for every host. Without scheme and port.";

    fn read(text: &str, cx: &Cx<'_>) -> Result<Self, Fault> {
        if text == "*" {
            return Ok(Self(text.to_owned()));
        }
        Host::read(text, cx).map(|host| Self(host.0))
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

impl Scalar for QueryName {
    const NAME: &'static str = "Query name";
    const DOC: &'static str = "The name of a query parameter: letters, digits, `-`, `_`, `.` and `~`.";

    fn read(text: &str, cx: &Cx<'_>) -> Result<Self, Fault> {
        if is_query_name(text) {
            Ok(Self(text.to_owned()))
        } else {
            let help = "use letters, digits, `-`, `_`, `.` and `~`, at most 128 of them";
            Err(malformed(text, cx, "the name of a query parameter", help))
        }
    }
}

/// What RFC 3986 §2.3 never escapes.
fn is_query_name(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.~".contains(c))
}

/// A part of a request that is taken out before it is forwarded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stripped {
    /// In lower case.
    Header(String),
    /// Name of a query parameter, in lower case.
    Query(String),
}

impl Scalar for Stripped {
    const NAME: &'static str = "Stripped";
    const DOC: &'static str =
        "The name of a header, or `query:` and the name of a query parameter: `X-Legacy-Key`, `query:session`.";

    fn read(text: &str, cx: &Cx<'_>) -> Result<Self, Fault> {
        let help = "write the name of a header, `X-Legacy-Key`, or of a query parameter, `query:session`";
        match text.split_once(':') {
            None if is_token(text) => Ok(Self::Header(text.to_ascii_lowercase())),
            Some(("query", name)) if is_query_name(name) => Ok(Self::Query(name.to_ascii_lowercase())),
            Some(("cookie", _)) => Err(malformed(
                text,
                cx,
                "what has to be removed",
                "remove it: cookies are the caller's own credentials, and none is ever forwarded",
            )),
            _ => Err(malformed(text, cx, "a header or a query parameter", help)),
        }
    }
}

impl Scalar for Method {
    const NAME: &'static str = "Method";
    const DOC: &'static str = "An HTTP method in upper case. `CONNECT` is for routes with `tunnel` only.";

    fn read(text: &str, cx: &Cx<'_>) -> Result<Self, Fault> {
        if text == "TRACE" {
            return Err(malformed(
                text,
                cx,
                "a method the proxy forwards",
                "remove it; echoes of a request are never forwarded",
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

impl Scalar for TargetPath {
    const NAME: &'static str = "Path";
    const DOC: &'static str = "A path that begins with `/`, without query and escapes: `/healthz`.";

    fn read(text: &str, cx: &Cx<'_>) -> Result<Self, Fault> {
        if text == "/" || is_canonical_path(text) {
            return Ok(Self(text.to_owned()));
        }
        let help =
            "begin it with `/`, end it without, and leave out query, escapes, `.`, `..` and empty segments: `/healthz`";
        Err(malformed(text, cx, "a path", help))
    }
}

/// At least one segment, none of them empty or dots, and nothing that two readers decode differently.
pub(super) fn is_canonical_path(text: &str) -> bool {
    let segment = |segment: &str| {
        !segment.is_empty()
            && segment != "."
            && segment != ".."
            && segment.chars().all(|c| c.is_ascii_graphic() && !"?#%\\*;\"<>^`{|}".contains(c))
    };
    text.strip_prefix('/').is_some_and(|rest| rest.split('/').all(segment)) && text.len() <= 1024
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
