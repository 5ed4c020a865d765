//! One request and one answer over a connection that nothing else will use.

use std::error::Error;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::task::JoinSet;

use super::connect::{Stream, within};
use super::{Answer, Dialled, Limits, OutboundError, Request, Step};

/// Set by us: who is called, how long the body is, what concerns the connection, and what would make two calls one.
const OURS: [HeaderName; 12] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
    header::UPGRADE,
    header::TE,
    header::TRAILER,
    header::EXPECT,
    header::COOKIE,
    header::ACCEPT_ENCODING,
    header::PROXY_AUTHORIZATION,
    header::RANGE,
];
/// The least that the HTTP library takes for a buffer.
const LEAST_HEAD: usize = 8 * 1024;
/// The longest cause that is told.
const CAUSE: usize = 200;

pub(super) async fn run(stream: Stream, over: Dialled, request: Request) -> Result<Answer, OutboundError> {
    let (limits, host) = (request.limits, request.url.host().to_owned());
    let head_error = || OutboundError::Head { bytes: limits.head, lines: limits.headers };
    let broken = |error: &dyn Error| OutboundError::Broken { host: host.clone(), what: told(error) };
    let message = message(request)?;
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(limits.head.max(LEAST_HEAD))
        .max_headers(limits.headers)
        .handshake::<_, Full<Bytes>>(TokioIo::new(stream))
        .await
        .map_err(|error| broken(&error))?;
    // Ends with this call, however it ends.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let answer = within(limits.first_byte, Step::FirstByte(limits.first_byte), async {
        let sent = sender.send_request(message).await;
        sent.map_err(|error| if error.is_parse() { head_error() } else { broken(&error) })
    });
    let (head, body) = answer.await?.into_parts();
    check_status(head.status, &host)?;
    let content_type = check_head(&head.headers, &limits)?;
    let max_age = max_age(&head.headers);
    let body = collect(body, &limits, &host).await?;
    Ok(Answer { status: head.status, content_type, max_age, body, over })
}

fn message(request: Request) -> Result<http::Request<Full<Bytes>>, OutboundError> {
    let invalid = |name: &HeaderName| OutboundError::Header(name.to_string());
    let mut headers = HeaderMap::new();
    for (name, value) in &request.headers {
        if OURS.contains(name) {
            return Err(invalid(name));
        }
        let mut value = HeaderValue::from_bytes(value.expose()).map_err(|_| invalid(name))?;
        value.set_sensitive(true);
        headers.append(name.clone(), value);
    }
    let authority = request.url.authority();
    headers.insert(header::HOST, HeaderValue::from_str(&authority).map_err(|_| invalid(&header::HOST))?);
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    headers.insert(header::USER_AGENT, HeaderValue::from_static("postern"));
    let mut message = http::Request::new(Full::new(Bytes::copy_from_slice(request.body.expose())));
    *message.method_mut() = request.method;
    *message.uri_mut() =
        request.url.target().parse().map_err(|_| OutboundError::Url(super::url::UrlError::Character))?;
    *message.headers_mut() = headers;
    Ok(message)
}

fn check_status(status: StatusCode, host: &str) -> Result<(), OutboundError> {
    let (host, code) = (host.to_owned(), status.as_u16());
    match code {
        300..=303 | 305..=399 => Err(OutboundError::Redirect { host, status: code }),
        200..=299 | 304 | 400..=599 => Ok(()),
        // A switch of protocols that nobody asked for, or no status at all.
        _ => Err(OutboundError::Status { host, status: code }),
    }
}

/// What has to be read one way. Returns the type of the body.
fn check_head(headers: &HeaderMap, limits: &Limits) -> Result<Option<String>, OutboundError> {
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if bytes > limits.head {
        return Err(OutboundError::Head { bytes: limits.head, lines: limits.headers });
    }
    let length = sole(headers, &header::CONTENT_LENGTH, "content-length")?;
    if length.is_some() && headers.contains_key(header::TRANSFER_ENCODING) {
        return Err(OutboundError::AnswerHeader("content-length"));
    }
    if length.and_then(|length| length.parse::<usize>().ok()).is_some_and(|length| length > limits.body) {
        return Err(OutboundError::Body(limits.body));
    }
    let coding = |value: &HeaderValue| !value.as_bytes().eq_ignore_ascii_case(b"identity");
    if headers.get_all(header::CONTENT_ENCODING).iter().any(coding) {
        return Err(OutboundError::Encoded);
    }
    sole(headers, &header::CONTENT_TYPE, "content-type").map(|value| value.map(str::to_owned))
}

/// The shortest `max-age` of all (RFC 9111 §5.2.2.1). What cannot be read says nothing.
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let values = headers.get_all(header::CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let directives = values.flat_map(|value| value.split(',')).map(|directive| directive.trim().to_ascii_lowercase());
    let seconds = directives.filter_map(|directive| match directive.as_str() {
        "no-store" | "no-cache" => Some(0),
        _ => directive.strip_prefix("max-age=")?.trim_matches('"').parse().ok(),
    });
    seconds.min().map(Duration::from_secs)
}

fn sole<'h>(headers: &'h HeaderMap, name: &HeaderName, text: &'static str) -> Result<Option<&'h str>, OutboundError> {
    let mut values = headers.get_all(name).iter();
    let Some(first) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(OutboundError::AnswerHeader(text));
    }
    first.to_str().map(Some).map_err(|_| OutboundError::AnswerHeader(text))
}

async fn collect(mut body: Incoming, limits: &Limits, host: &str) -> Result<Bytes, OutboundError> {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| OutboundError::Broken { host: host.to_owned(), what: told(&error) })?;
        // Trailers are nobody's business.
        let Ok(piece) = frame.into_data() else { continue };
        if whole.len().saturating_add(piece.len()) > limits.body {
            return Err(OutboundError::Body(limits.body));
        }
        whole.extend_from_slice(&piece);
    }
    Ok(whole.freeze())
}

/// An error and its causes, without bytes of the other side: those the library keeps to itself.
fn told(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text.chars().take(CAUSE).collect()
}
