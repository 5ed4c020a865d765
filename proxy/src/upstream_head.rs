//! The head we send upstream: what the client sent, less what is not the client's to say. Credentials come after it.

use std::borrow::Cow;

use http::header::{self, HeaderValue};
use pingora_http::RequestHeader;
use postern_config::{Route, TenantFromRequest, Upstream, UpstreamProtocol};
use postern_filters::{Permit, path};

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
const CREDENTIALS: [&str; 12] = [
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
    "signature",
    "signature-input",
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

/// What the body will be, as far as the head must say it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum BodyLength {
    None,
    Known(usize),
    /// Sent as it comes; `Some` where the client said how much that will be.
    Streamed(Option<u64>),
}

/// Builds the head of the one request that `permit` allows, and spends it. Credentials are added to it, and by whoever sends
/// it the `Host` of the endpoint that it goes to.
///
/// # Errors
/// Where a value cannot be a header; nothing is sent then.
pub(crate) fn build(
    permit: Permit,
    request: &RequestHeader,
    head: &Head,
    route: &Route,
    upstream: &Upstream,
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
    tell_tenant(&mut out, request, route, upstream, &permit)?;
    let trailers = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"trailers");
    if matches!(length, BodyLength::Streamed(_))
        && upstream.protocol == UpstreamProtocol::Http2
        && request.headers.get(header::TE).is_some_and(trailers)
    {
        // What we say of ourselves: trailers of the answer will be taken.
        out.insert_header(header::TE, "trailers")?;
    }
    if permit.inspects_answer() {
        // One in a coding is decoded, but nothing is won by it on the way to us.
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
    Ok(Box::new(out))
}

/// The header that names the tenant, as it was judged, and once: a client that nominates it in `Connection` would have one tenant's
/// resource decided about and the upstream left to guess (attack 7).
fn tell_tenant(
    out: &mut RequestHeader,
    request: &RequestHeader,
    route: &Route,
    upstream: &Upstream,
    permit: &Permit,
) -> pingora_core::Result<()> {
    let Some(TenantFromRequest::Header(name)) = &route.tenant_from else { return Ok(()) };
    match request.headers.get(name.as_str()) {
        Some(value) if may_pass(name, &[], upstream, permit) => out.insert_header(name.clone(), value.clone()),
        _ => Ok(()),
    }
}

/// What is said of the bytes of a body.
pub(crate) const DIGESTS: [&str; 4] = ["content-digest", "repr-digest", "digest", "content-md5"];

/// Removes what a client said of the bytes of a body that is another by now (RFC 9530, RFC 3230).
pub(crate) fn remove_digests(out: &mut RequestHeader) {
    for name in DIGESTS {
        out.remove_header(name);
    }
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
    let query = head.query.as_deref().map(|query| without(query, &upstream.strip_query));
    match query.filter(|query| !query.is_empty()) {
        Some(query) => format!("{}{path}?{query}", upstream.base_path),
        None => format!("{}{path}", upstream.base_path),
    }
}

/// A query less the parameters of these names. Pairs end at `&` or `;`, and a name is compared as the most generous reader
/// takes it: unescaped, without case, `.` and blanks as `_`, and without the `[…]` of a list.
fn without<'q>(query: &'q str, names: &[String]) -> Cow<'q, str> {
    let is_one = |pair: &str| {
        let name = path::unescaped(pair.split('=').next().unwrap_or_default());
        let name = folded(name.trim_ascii_start().split(|byte| *byte == b'[').next().unwrap_or_default());
        names.iter().any(|own| folded(own.as_bytes()) == name)
    };
    if names.is_empty() || !query.split(['&', ';']).any(is_one) {
        return Cow::Borrowed(query);
    }
    let pairs = query.split('&').filter_map(|pairs| {
        let kept: Vec<&str> = pairs.split(';').filter(|pair| !is_one(pair)).collect();
        (!kept.is_empty()).then(|| kept.join(";"))
    });
    Cow::Owned(pairs.collect::<Vec<String>>().join("&"))
}

fn folded(name: &[u8]) -> Vec<u8> {
    let fold = |byte: &u8| if matches!(byte, b'.' | b' ' | b'+') { b'_' } else { byte.to_ascii_lowercase() };
    name.iter().map(fold).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stripped_parameter_goes_in_every_spelling_and_takes_nothing_with_it() {
        let names = ["key".to_owned(), "app_id".to_owned()];
        for (query, want) in [
            ("", ""),
            ("a=b", "a=b"),
            ("key=x", ""),
            ("a=b&key=x&c=d", "a=b&c=d"),
            ("a=b&KEY=x", "a=b"),
            ("%6bey=x&a", "a"),
            ("a;key=x;b&c", "a;b&c"),
            ("key[]=x&key%5B0%5D=y&z=1", "z=1"),
            ("app.id=1&app+id=2&app%20id=3&app_id=4", ""),
            ("+key=x&%20key=y", "+key=x"),
            ("keys=x&monkey=y", "keys=x&monkey=y"),
            ("key", ""),
            ("a=key", "a=key"),
            ("&&a", "&&a"),
        ] {
            assert_eq!(without(query, &names), want, "{query}");
        }
    }
}
