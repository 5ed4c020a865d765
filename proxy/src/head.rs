//! The frame of a request: the head as it was sent is checked and read once, into one spelling.
//!
//! What two servers could read differently is refused here, before a route is chosen: conflicting framing, repeated
//! single-value headers, bytes outside visible ASCII, ambiguous targets and hosts (attacks 3, 15–19, 26–29, 36).

use std::net::IpAddr;

use http::header::{self, HeaderName};
use http::{HeaderMap, Method, Version};
use pingora_core::protocols::http::ServerSession;
use pingora_http::RequestHeader;
use postern_filters::{Reason, Refusal, path};

/// Bytes of an answer's head.
const MAX_ANSWER_HEAD: usize = 64 * 1024;

/// Headers that mean something only once.
const SINGLE: [HeaderName; 8] = [
    header::HOST,
    header::AUTHORIZATION,
    header::CONTENT_TYPE,
    header::CONTENT_LENGTH,
    header::CONTENT_ENCODING,
    header::ORIGIN,
    header::EXPECT,
    header::RANGE,
];

/// Query keys that carry credentials (RFC 6750 §2.3). A credential in a target is in every log on its way, and none is
/// ever taken from there.
const CREDENTIAL_QUERY: [&str; 6] = ["access_token", "api_key", "apikey", "api-key", "x-api-key", "id_token"];

/// A request head in its one spelling.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) method: String,
    /// Lower case, without port.
    pub(crate) host: String,
    /// Port of the authority, where it names one.
    pub(crate) port: Option<u16>,
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    /// Port of a `CONNECT`; its path is `/`.
    pub(crate) connect: Option<u16>,
    /// Lower-case protocol of an `Upgrade` request.
    pub(crate) upgrade: Option<String>,
    /// The client waits for `100 Continue` before it sends the body.
    pub(crate) expects_continue: bool,
    /// Who the request is from, by the word of a trusted proxy at the other end.
    pub(crate) client: Option<IpAddr>,
}

/// Reads the head of the request the session holds. `outbound`: the workload may ask for tunnels, and by absolute-form
/// targets.
///
/// # Errors
/// A refusal with status 400, 417 (as 400) or 431, for everything that is malformed or ambiguous.
pub(crate) fn read(
    session: &ServerSession,
    max_lines: usize,
    max_bytes: usize,
    outbound: bool,
) -> Result<Head, Refusal> {
    check_version(session.req_header().version)?;
    if let Some(h1) = session.as_http1() {
        check_raw(&h1.get_headers_raw_bytes())?;
    }
    read_parsed(session.req_header(), max_lines, max_bytes, outbound)
}

/// [`read`] without the bytes as they came, which an explanation does not have.
///
/// # Errors
/// As [`read`].
pub(crate) fn read_parsed(
    request: &RequestHeader,
    max_lines: usize,
    max_bytes: usize,
    outbound: bool,
) -> Result<Head, Refusal> {
    check_version(request.version)?;
    check_sizes(&request.headers, max_lines, max_bytes)?;
    check_headers(&request.headers)?;
    if outbound && request.method == Method::CONNECT {
        return connect(request);
    }
    check_scheme(request)?;
    let target = target(request, outbound)?;
    let (host, port) = host(request)?;
    Ok(Head {
        method: method(&request.method)?,
        host,
        port,
        path: target.path.into_owned(),
        query: target.query.map(str::to_owned),
        connect: None,
        upgrade: upgrade(request)?,
        expects_continue: expectation(&request.headers)?,
        client: None,
    })
}

fn malformed(detail: impl Into<String>) -> Refusal {
    Refusal::new(Reason::Malformed, detail)
}

fn check_version(version: Version) -> Result<(), Refusal> {
    match version {
        Version::HTTP_11 | Version::HTTP_2 => Ok(()),
        other => Err(malformed(format!("{other:?} is not served"))),
    }
}

/// HTTP/2 is spoken over TLS only, and says so in every request.
fn check_scheme(request: &RequestHeader) -> Result<(), Refusal> {
    match request.uri.scheme_str() {
        Some("https") => Ok(()),
        None if request.version != Version::HTTP_2 => Ok(()),
        _ => Err(malformed("`:scheme` is not `https`")),
    }
}

/// Looks at the bytes as they came: Pingora drops one of `Content-Length` and `Transfer-Encoding` and the fragment of a
/// target (attack 15) before it hands the head over, and takes lines folded over several as one.
fn check_raw(raw: &[u8]) -> Result<(), Refusal> {
    let Some(raw) = raw.strip_suffix(b"\r\n\r\n") else {
        return Err(malformed("the head does not end with an empty line"));
    };
    let (mut length, mut encoding) = (0, 0);
    let mut lines = raw.split(|byte| *byte == b'\n').peekable();
    let mut first = true;
    while let Some(line) = lines.next() {
        let line = match (line.strip_suffix(b"\r"), lines.peek()) {
            (Some(line), Some(_)) => line,
            // The line end of the last line went with the empty line.
            (None, None) => line,
            _ => return Err(malformed("a line of the head ends otherwise than with carriage return and line feed")),
        };
        if std::mem::take(&mut first) {
            if line.contains(&b'#') {
                return Err(malformed("the target has a fragment"));
            }
            continue;
        }
        if line.first().is_some_and(|byte| matches!(byte, b' ' | b'\t')) {
            return Err(malformed("a header line is folded"));
        }
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
        if name.last().is_some_and(u8::is_ascii_whitespace) {
            return Err(malformed("a space in front of a colon"));
        }
        length += usize::from(name.eq_ignore_ascii_case(b"content-length"));
        encoding += usize::from(name.eq_ignore_ascii_case(b"transfer-encoding"));
    }
    if length + encoding > 1 {
        return Err(malformed("the body's length is given more than once"));
    }
    Ok(())
}

/// Looks at the head of an answer as it came, for what our upstream's parser and ours could read differently.
///
/// # Errors
/// In words for the record.
pub(crate) fn check_answer(raw: &[u8], headers: &HeaderMap) -> Result<(), String> {
    if raw.len() > MAX_ANSWER_HEAD {
        return Err(format!("the head of the answer has {} bytes", raw.len()));
    }
    check_raw(raw).and_then(|()| check_framing(headers)).map_err(|refusal| format!("the answer: {}", refusal.detail))
}

/// [`check_answer`] for HTTP/2, where only the fields can be ambiguous.
///
/// # Errors
/// In words for the record.
pub(crate) fn check_h2_answer(headers: &HeaderMap) -> Result<(), String> {
    let lengths = headers.get_all(header::CONTENT_LENGTH).iter().count();
    if lengths > 1 || headers.contains_key(header::TRANSFER_ENCODING) || headers.contains_key(header::CONNECTION) {
        return Err("the answer: fields that HTTP/2 does not have, or two lengths".to_owned());
    }
    check_framing(headers).map_err(|refusal| format!("the answer: {}", refusal.detail))
}

/// # Errors
/// 431 where there are more lines or bytes than may be.
pub(crate) fn check_sizes(headers: &HeaderMap, max_lines: usize, max_bytes: usize) -> Result<(), Refusal> {
    if headers.len() > max_lines {
        return Err(Refusal::new(Reason::HeadersTooLarge, format!("{} header lines", headers.len())));
    }
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if bytes > max_bytes {
        return Err(Refusal::new(Reason::HeadersTooLarge, format!("{bytes} bytes of headers")));
    }
    Ok(())
}

fn check_headers(headers: &HeaderMap) -> Result<(), Refusal> {
    for (name, value) in headers {
        if !value.as_bytes().iter().all(|byte| matches!(byte, b'\t' | 0x20..=0x7e)) {
            return Err(malformed(format!("header `{name}` holds a byte outside visible ASCII")));
        }
    }
    for name in &SINGLE {
        if headers.get_all(name).iter().count() > 1 {
            return Err(malformed(format!("header `{name}` occurs more than once")));
        }
    }
    check_framing(headers)
}

fn check_framing(headers: &HeaderMap) -> Result<(), Refusal> {
    if headers.get(header::TRANSFER_ENCODING).is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"chunked"))
    {
        return Err(malformed("a transfer encoding other than `chunked`"));
    }
    if let Some(length) = headers.get(header::CONTENT_LENGTH) {
        let digits = length.as_bytes();
        if digits.is_empty() || digits.len() > 19 || !digits.iter().all(u8::is_ascii_digit) {
            return Err(malformed("a content length that is not a plain number"));
        }
    }
    Ok(())
}

fn method(method: &Method) -> Result<String, Refusal> {
    match method.as_str() {
        "CONNECT" | "TRACE" => Err(malformed(format!("method `{method}` is not served"))),
        name if name.bytes().all(|byte| byte.is_ascii_uppercase()) => Ok(name.to_owned()),
        _ => Err(malformed("the method is not upper-case letters")),
    }
}

/// RFC 9110 §9.3.6: host and port are the whole target, and `Host` says the same. No extended form: HTTP/1.1 only.
fn connect(request: &RequestHeader) -> Result<Head, Refusal> {
    if request.version != Version::HTTP_11 {
        return Err(malformed("`CONNECT` is served over HTTP/1.1 only"));
    }
    let framed = [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::UPGRADE, header::EXPECT];
    if let Some(name) = framed.iter().find(|name| request.headers.contains_key(*name)) {
        return Err(malformed(format!("`{name}` on `CONNECT`, which has no body")));
    }
    let raw = std::str::from_utf8(request.raw_path()).map_err(|_| malformed("the target is not UTF-8"))?;
    let target = raw.rsplit_once(':').zip(without_port(raw));
    let ((_, digits), host) = target.ok_or_else(|| malformed("the target of `CONNECT` is not `host:port`"))?;
    let plain = digits.len() <= 5 && digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    let port = digits.parse::<u16>().ok().filter(|_| plain);
    let port = port.ok_or_else(|| malformed("the target of `CONNECT` is not `host:port`"))?;
    let named = request.headers.get(header::HOST).and_then(|value| value.to_str().ok());
    if !named.is_some_and(|named| named.eq_ignore_ascii_case(raw) || named.eq_ignore_ascii_case(host)) {
        return Err(malformed("`Host` is not the target of `CONNECT`"));
    }
    let (host, method) = (host.to_ascii_lowercase(), Method::CONNECT.to_string());
    let path = "/".to_owned();
    Ok(Head {
        method,
        host,
        port: Some(port),
        path,
        query: None,
        connect: Some(port),
        upgrade: None,
        expects_continue: false,
        client: None,
    })
}

/// The path and query of `http://host/path`, where the host is that of `Host`. Others are refused: an `https` target would
/// ask us to end a TLS that the workload believes in, which is what a tunnel is for.
fn absolute<'r>(raw: &'r str, request: &RequestHeader) -> Result<&'r str, Refusal> {
    let Some(rest) = raw.strip_prefix("http://") else {
        return Err(malformed("an absolute target that is not `http://`"));
    };
    let (authority, path) = rest.split_at_checked(rest.find(['/', '?']).unwrap_or(rest.len())).unwrap_or((rest, ""));
    let named = request.headers.get(header::HOST).and_then(|value| value.to_str().ok());
    if !named.is_some_and(|named| named.eq_ignore_ascii_case(authority)) {
        return Err(malformed("the target and `Host` differ"));
    }
    Ok(if path.is_empty() { "/" } else { path })
}

fn target(request: &RequestHeader, outbound: bool) -> Result<path::Target<'_>, Refusal> {
    let raw = std::str::from_utf8(request.raw_path()).map_err(|_| malformed("the target is not UTF-8"))?;
    let raw = if outbound && raw.contains("://") && !raw.starts_with('/') { absolute(raw, request)? } else { raw };
    let target = path::canonical(raw).map_err(|error| malformed(error.to_string()))?;
    if target.query.is_some_and(carries_credential) {
        return Err(malformed("the query carries a credential; send it in a header"));
    }
    Ok(target)
}

/// By every reading of a query: pairs end at `&` or `;`, and names may be escaped.
fn carries_credential(query: &str) -> bool {
    query.split(['&', ';']).any(|pair| {
        let name = path::unescaped(pair.split('=').next().unwrap_or_default());
        CREDENTIAL_QUERY.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
    })
}

/// One authority for routing, policy and records: from `:authority` or `Host`, which must agree.
/// The host and, where it is named, the port that are asked.
fn host(request: &RequestHeader) -> Result<(String, Option<u16>), Refusal> {
    let from_uri = request.uri.authority().map(http::uri::Authority::as_str);
    let from_header = request.headers.get(header::HOST).and_then(|value| value.to_str().ok());
    let authority = match (from_uri, from_header) {
        (Some(uri), Some(host)) if !uri.eq_ignore_ascii_case(host) => {
            return Err(malformed("`:authority` and `Host` differ"));
        }
        (Some(authority), _) | (None, Some(authority)) => authority,
        (None, None) => return Err(malformed("the request names no host")),
    };
    let host = without_port(authority).ok_or_else(|| malformed("the host is not a name or an address"))?;
    let port = authority.get(host.len()..).and_then(|rest| rest.strip_prefix(':')).and_then(|port| port.parse().ok());
    Ok((host.to_ascii_lowercase(), port))
}

/// The host of an authority: a name, an IPv4 address, or an IPv6 address in brackets; no user, no trailing dot.
fn without_port(authority: &str) -> Option<&str> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (inside, after) = rest.split_once(']')?;
            inside.parse::<std::net::Ipv6Addr>().ok()?;
            let port = if after.is_empty() { None } else { Some(after.strip_prefix(':')?) };
            (authority.get(..inside.len() + 2)?, port)
        }
        None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    // `parse` alone would take a sign.
    if port.is_some_and(|port| !port.bytes().all(|byte| byte.is_ascii_digit()) || port.parse::<u16>().is_err()) {
        return None;
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let name = host.starts_with('[') || (host.bytes().all(plain) && !host.starts_with('.') && !host.ends_with('.'));
    (name && !host.is_empty() && host.len() <= 253).then_some(host)
}

fn upgrade(request: &RequestHeader) -> Result<Option<String>, Refusal> {
    let mut values = request.headers.get_all(header::UPGRADE).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() || request.version == Version::HTTP_2 {
        return Err(malformed("an upgrade that HTTP does not allow here"));
    }
    Ok(value.to_str().ok().map(str::to_ascii_lowercase))
}

fn expectation(headers: &HeaderMap) -> Result<bool, Refusal> {
    match headers.get(header::EXPECT) {
        None => Ok(false),
        Some(value) if value.as_bytes().eq_ignore_ascii_case(b"100-continue") => Ok(true),
        Some(_) => Err(malformed("an expectation other than `100-continue`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack_29_a_host_is_a_name_or_an_address() {
        for (authority, want) in [
            ("ai.example.com", Some("ai.example.com")),
            ("ai.example.com:8443", Some("ai.example.com")),
            ("127.0.0.1:1", Some("127.0.0.1")),
            ("[::1]:8443", Some("[::1]")),
            ("[::1]", Some("[::1]")),
            ("a@b", None),
            ("ai.example.com.", None),
            ("ai.example.com:port", None),
            ("ai.example.com:99999", None),
            ("ai.example.com:+443", None),
            ("ai.example.com:", None),
            ("[::1]:", None),
            ("ai.example.com:-1", None),
            ("[::1]:+1", None),
            ("[::1", None),
            ("[::g]", None),
            ("", None),
            (".example.com", None),
            ("a b", None),
        ] {
            assert_eq!(without_port(authority), want, "{authority}");
        }
    }

    #[test]
    fn attack_36_raw_framing_that_can_be_read_two_ways_is_refused() {
        for (lines, ok) in [
            ("Host: a\r\n", true),
            ("Content-Length: 5\r\n", true),
            ("Transfer-Encoding: chunked\r\n", true),
            ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", false),
            ("content-length: 5\r\nContent-Length: 5\r\n", false),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", false),
            ("X: a\r\n b\r\n", false),
            ("X: a\n", false),
            ("X: a\n\r\n", false),
            ("X : a\r\n", false),
            ("X: a\r\n\n", false),
            ("", true),
        ] {
            let raw = format!("POST / HTTP/1.1\r\n{lines}\r\n");
            assert_eq!(check_raw(raw.as_bytes()).is_ok(), ok, "{lines:?}");
        }
        assert!(check_raw(b"GET /admin#/public HTTP/1.1\r\nHost: a\r\n\r\n").is_err(), "attack 15");
    }

    #[test]
    fn attack_36_an_answer_whose_end_can_be_read_two_ways_is_refused() {
        for (lines, ok) in [
            ("Content-Length: 5\r\n", true),
            ("Transfer-Encoding: chunked\r\n", true),
            ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", false),
            ("Content-Length: 5\r\nContent-Length: 5\r\n", false),
            ("Content-Length : 5\r\nContent-Length: 5\r\n", false),
            ("Transfer-Encoding: gzip, chunked\r\n", false),
            ("X: a\r\n b\r\n", false),
        ] {
            let raw = format!("HTTP/1.1 200 OK\r\n{lines}\r\n");
            let mut headers = HeaderMap::new();
            for (name, value) in lines.lines().filter_map(|line| line.split_once(':')) {
                let name = HeaderName::from_bytes(name.trim().as_bytes()).unwrap();
                headers.append(name, value.trim().parse().unwrap());
            }
            assert_eq!(check_answer(raw.as_bytes(), &headers).is_ok(), ok, "{lines:?}");
        }
        let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "a".repeat(MAX_ANSWER_HEAD));
        assert!(check_answer(long.as_bytes(), &HeaderMap::new()).is_err());
    }

    #[test]
    fn a_credential_in_the_query_is_seen_in_every_spelling() {
        for (query, want) in [
            ("access_token=x", true),
            ("a=b&ACCESS_TOKEN=x", true),
            ("a=b;api_key=x", true),
            ("access%5Ftoken=x", true),
            ("%61piKey=x", true),
            ("access_token", true),
            ("a=access_token", false),
            ("access_tokens=x", false),
            ("", false),
        ] {
            assert_eq!(carries_credential(query), want, "{query}");
        }
    }

    #[test]
    fn headers_outside_visible_ascii_or_repeated_are_refused() {
        let mut headers = HeaderMap::new();
        headers.append("x-a", http::HeaderValue::from_bytes(b"\x80").unwrap());
        assert_eq!(check_headers(&headers).unwrap_err().reason, Reason::Malformed);
        let mut headers = HeaderMap::new();
        headers.append(header::AUTHORIZATION, http::HeaderValue::from_static("Bearer a"));
        headers.append(header::AUTHORIZATION, http::HeaderValue::from_static("Bearer b"));
        assert_eq!(check_headers(&headers).unwrap_err().reason, Reason::Malformed);
        let mut headers = HeaderMap::new();
        headers.append("x-a", http::HeaderValue::from_str(&"a".repeat(1000)).unwrap());
        assert_eq!(check_sizes(&headers, 128, 1000).unwrap_err().reason, Reason::HeadersTooLarge);
    }
}
