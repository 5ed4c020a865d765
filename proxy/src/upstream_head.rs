//! The head we send upstream: what the client sent, less what is not the client's to say, plus what is ours.
//!
//! Ours is added last, so that nothing a client nominates in `Connection` can remove it (attack 7).

use http::header::{self, HeaderName, HeaderValue};
use pingora_http::RequestHeader;
use postern_config::{Redacted, Route, Upstream, UpstreamProtocol};
use postern_filters::Permit;

use crate::head::Head;

/// Never forwarded: they concern one hop (RFC 9110 §7.6.1), or the body's framing, which is ours.
const HOP: [&str; 12] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "max-forwards",
];

/// Never forwarded: credentials meant for us.
const CREDENTIALS: [&str; 10] = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "cookie2",
    "x-access-token",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "x-auth-token",
    "dpop",
];

/// Never forwarded: claims about identity, address or target that only a trusted hop may make (attacks 21–25), in the
/// spellings that frameworks, meshes and clouds listen to.
const CLAIMS: [&str; 37] = [
    "auth-user",
    "cdn-loop",
    "forwarded",
    "front-end-https",
    "postern-decision",
    // Becomes the variable `HTTP_PROXY` of a CGI program.
    "proxy",
    "proxy-client-ip",
    "remote-addr",
    "remote-groups",
    "remote-user",
    "true-client-ip",
    "txn-token",
    "via",
    "wl-proxy-client-ip",
    "x-client-dn",
    "x-client-ip",
    "x-client-verify",
    "x-cluster-client-ip",
    "x-email",
    "x-forwarded",
    "x-groups",
    "x-host",
    "x-http-host-override",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-originating-ip",
    "x-principal",
    "x-proxyuser-ip",
    "x-real-ip",
    "x-remote-addr",
    "x-remote-ip",
    "x-roles",
    "x-scheme",
    "x-url-scheme",
    "x-user",
    "x-username",
];
const CLAIM_PREFIXES: [&str; 23] = [
    "cf-",
    "client-cert",
    "fastly-client",
    "ssl-client",
    "x-amzn-",
    "x-appengine-",
    "x-auth-",
    "x-authenticated-",
    "x-consumer-",
    "x-envoy-",
    "x-forwarded-",
    "x-goog-",
    "x-jwt-",
    "x-middleware-",
    "x-ms-client-",
    "x-original-",
    "x-postern-",
    "x-remote-user",
    "x-rewrite-",
    "x-spiffe-",
    "x-ssl-",
    "x-user-",
    "x-webauth-",
];

/// A credential as it goes on the wire.
#[derive(Debug, Clone)]
pub(crate) struct Injection {
    pub(crate) header: HeaderName,
    pub(crate) value: Redacted<Vec<u8>>,
}

/// What the body will be, as far as the head must say it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum BodyLength {
    None,
    Known(usize),
    /// Sent as it comes; `Some` where the client said how much that will be.
    Streamed(Option<u64>),
}

/// Builds the head of the one request that `permit` allows, and spends it. Whoever sends it adds the `Host` of the
/// endpoint that it goes to.
///
/// # Errors
/// Where a value cannot be a header; nothing is sent then.
pub(crate) fn build(
    permit: Permit,
    request: &RequestHeader,
    head: &Head,
    route: &Route,
    upstream: &Upstream,
    injections: &[Injection],
    length: BodyLength,
) -> pingora_core::Result<Box<RequestHeader>> {
    let target = target(head, route, upstream);
    let mut out = RequestHeader::build(head.method.as_str(), target.as_bytes(), Some(request.headers.len() + 4))?;
    let nominated = nominated(request);
    for (name, value) in &request.headers {
        if may_pass(name.as_str(), &nominated, upstream, &permit) {
            out.append_header(name.clone(), value.clone())?;
        }
    }
    let trailers = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"trailers");
    if matches!(length, BodyLength::Streamed(_))
        && upstream.protocol == UpstreamProtocol::Http2
        && request.headers.get(header::TE).is_some_and(trailers)
    {
        // What we say of ourselves: trailers of the answer will be taken.
        out.insert_header(header::TE, "trailers")?;
    }
    if permit.inspects_answer() {
        // An answer in an encoding we do not read cannot be judged.
        out.insert_header(header::ACCEPT_ENCODING, "identity")?;
    }
    match length {
        BodyLength::Known(bytes) => out.insert_header(header::CONTENT_LENGTH, bytes)?,
        BodyLength::None if matches!(head.method.as_str(), "POST" | "PUT" | "PATCH") => {
            out.insert_header(header::CONTENT_LENGTH, 0)?;
        }
        BodyLength::None => {}
        BodyLength::Streamed(Some(bytes)) => out.insert_header(header::CONTENT_LENGTH, bytes)?,
        // HTTP/2 has no such field, and its sending side leaves it out.
        BodyLength::Streamed(None) => out.insert_header(header::TRANSFER_ENCODING, "chunked")?,
    }
    for injection in injections {
        let mut value = HeaderValue::from_bytes(injection.value.expose())
            .map_err(|e| pingora_core::Error::because(pingora_core::ErrorType::InvalidHTTPHeader, "credential", e))?;
        value.set_sensitive(true);
        out.insert_header(injection.header.clone(), value)?;
    }
    Ok(Box::new(out))
}

/// Adds what an upgrade needs, after everything else.
pub(crate) fn add_upgrade(out: &mut RequestHeader, protocol: &str) -> pingora_core::Result<()> {
    out.insert_header(header::CONNECTION, "upgrade")?;
    out.insert_header(header::UPGRADE, protocol)
}

fn may_pass(name: &str, nominated: &[String], upstream: &Upstream, permit: &Permit) -> bool {
    // Whatever is no letter, digit or `-` reaches some applications as `-` or `_`: a name in such a spelling is not one we
    // checked (attacks 21–23).
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        || (permit.inspects_answer() && matches!(name, "range" | "if-range"))
    {
        return false;
    }
    !HOP.contains(&name)
        && !CREDENTIALS.contains(&name)
        && !CLAIMS.contains(&name)
        && !CLAIM_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        && !upstream.strip_headers.iter().any(|strip| strip == name)
        && !nominated.iter().any(|nominee| nominee == name)
}

fn nominated(request: &RequestHeader) -> Vec<String> {
    request
        .headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        // The body's type was part of the decision: a client cannot take it back.
        .filter(|name| !name.starts_with("content-"))
        .collect()
}

/// The path that policy saw, under the upstream's base path, with the route's prefix replaced where it says so.
fn target(head: &Head, route: &Route, upstream: &Upstream) -> String {
    let path = match &route.rewrite_prefix {
        Some(replacement) => {
            let rest = head.path.strip_prefix(route.matches.path_prefix.trim_end_matches('/')).unwrap_or(&head.path);
            format!("{}{}", replacement.trim_end_matches('/'), rest)
        }
        None => head.path.clone(),
    };
    let path = if path.is_empty() { "/".to_owned() } else { path };
    match head.query.as_deref().filter(|query| !query.is_empty()) {
        Some(query) => format!("{}{path}?{query}", upstream.base_path),
        None => format!("{}{path}", upstream.base_path),
    }
}
