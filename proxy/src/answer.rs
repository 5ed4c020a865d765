//! What we write downstream: refusals in the dialect's own shape, and upstream answers with clean heads.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http::header::{self, HeaderName};
use pingora_core::protocols::http::ServerSession;
use pingora_http::ResponseHeader;
use postern_config::{Access, Hsts};
use postern_filters::{Reason, Refusal, challenge, dialect};

use crate::exchange::Exchange;
use crate::story::Story;
use crate::upstream_head;

/// Headers of an answer that are not the upstream's to say: they concern one hop, tell about software nobody needs to
/// know of, or speak for a host that other routes share.
const DROPPED: [&str; 29] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-status",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "server",
    "x-powered-by",
    "x-aspnet-version",
    "x-aspnetmvc-version",
    "x-generator",
    "alt-svc",
    "postern-decision",
    // No cookie of a client ever reaches an upstream, so one that is set only ends up at other routes.
    "set-cookie",
    "set-cookie2",
    "clear-site-data",
    "service-worker-allowed",
    // Asks the client for a credential that is not meant for the upstream. What we ask for, we say ourselves.
    "www-authenticate",
    "authentication-info",
    // The listener's policy says this, or nobody.
    "strict-transport-security",
    "public-key-pins",
    "refresh",
    // A proxy in front of us would send a file, or another host's page, in place of what was judged.
    "x-sendfile",
    "x-reproxy-url",
];

/// Time a client has to take a refusal.
pub(crate) const WRITE: Duration = Duration::from_secs(10);

/// Writes a refusal, unless an answer has begun already. Never fails: a client that has left is no news. Asks nothing of
/// the session's request, which may not be there.
pub(crate) async fn refuse(session: &mut ServerSession, story: &mut Story, hsts: Option<&Hsts>) {
    let Some(refusal) = story.refusal.clone() else { return };
    let id = story.id.to_string();
    let (status, content_type, body) = dialect::refusal(story.dialect, refusal.reason, &id);
    story.status = status;
    // `100 Continue` is not yet an answer.
    if session.response_written().is_some_and(|head| !head.status.is_informational()) {
        return;
    }
    let Ok(head) = refusal_head(status, content_type, body.len(), &id, &refusal, story, hsts) else { return };
    story.bytes_out = body.len().try_into().unwrap_or(u64::MAX);
    let write = async {
        session.write_response_header(Box::new(head)).await?;
        session.write_response_body(Bytes::from(body), true).await
    };
    match tokio::time::timeout(WRITE, write).await {
        Ok(Ok(())) => {}
        Ok(Err(_)) => story.note_trouble("the client left before the refusal"),
        Err(_) => story.note_trouble("the client did not take the refusal"),
    }
}

/// Answers a preflight that is let through. Returns whether the connection may carry another request.
///
/// # Errors
/// Never by now: there is nothing left to refuse.
pub(crate) async fn preflight(
    exchange: Exchange<'_>,
    session: &mut ServerSession,
    story: &mut Story,
) -> Result<bool, Refusal> {
    let failed = |error| Refusal::new(Reason::Internal, format!("the answer's head cannot be made: {error}"));
    let mut head = ResponseHeader::build(StatusCode::NO_CONTENT, Some(12)).map_err(failed)?;
    head.insert_header("postern-decision", story.id.to_string()).map_err(failed)?;
    add_own(&mut head, story, exchange.hsts()).map_err(failed)?;
    story.status = 204;
    exchange.announce_drain(session);
    let written = tokio::time::timeout(WRITE, session.write_response_header(Box::new(head))).await;
    if !matches!(written, Ok(Ok(()))) {
        story.note_trouble("the client left before the answer");
        return Ok(false);
    }
    Ok(true)
}

fn refusal_head(
    status: u16,
    content_type: &'static str,
    length: usize,
    id: &str,
    refusal: &Refusal,
    story: &Story,
    hsts: Option<&Hsts>,
) -> pingora_core::Result<ResponseHeader> {
    let mut head = ResponseHeader::build(status, Some(12))?;
    head.insert_header(header::CONTENT_TYPE, content_type)?;
    head.insert_header(header::CONTENT_LENGTH, length)?;
    head.insert_header(header::CACHE_CONTROL, "no-store")?;
    head.insert_header("postern-decision", id)?;
    if refusal.reason.is_policy() {
        head.insert_header("x-should-retry", "false")?;
    }
    if let Some(challenge) = challenge::bare(refusal.reason) {
        // The chain's own, where it made one, takes its place below.
        head.insert_header(header::WWW_AUTHENTICATE, challenge)?;
    }
    add_own(&mut head, story, hsts)?;
    for (name, value) in &refusal.headers {
        put(&mut head, name, value)?;
    }
    Ok(head)
}

/// Writes a document of ours. What cannot be written is noted.
pub(crate) async fn document(session: &mut ServerSession, story: &mut Story, hsts: Option<&Hsts>, body: Bytes) {
    story.status = 200;
    let head = document_head(story, hsts, body.len());
    let asked_for_head = story.head.as_ref().is_some_and(|head| head.method == "HEAD");
    story.bytes_out = if asked_for_head { 0 } else { body.len().try_into().unwrap_or(u64::MAX) };
    let write = async {
        session.write_response_header(Box::new(head?)).await?;
        session.write_response_body(if asked_for_head { Bytes::new() } else { body }, true).await
    };
    match tokio::time::timeout(WRITE, write).await {
        Ok(Ok(())) => {}
        Ok(Err(_)) => story.note_trouble("the client left before the answer"),
        Err(_) => story.note_trouble("the client did not take the answer"),
    }
}

fn document_head(story: &Story, hsts: Option<&Hsts>, length: usize) -> pingora_core::Result<ResponseHeader> {
    let mut head = ResponseHeader::build(200_u16, Some(8))?;
    head.insert_header(header::CONTENT_TYPE, "application/json")?;
    head.insert_header(header::CONTENT_LENGTH, length)?;
    head.insert_header(header::CACHE_CONTROL, "max-age=300")?;
    head.insert_header("postern-decision", story.id.to_string())?;
    add_own(&mut head, story, hsts)?;
    Ok(head)
}

/// Puts a header of ours in the place of any other; cookies stand beside one another.
fn put(head: &mut ResponseHeader, name: &'static str, value: &str) -> pingora_core::Result<()> {
    if name == "set-cookie" {
        return head.append_header(name, value).map(|_| ());
    }
    head.insert_header(name, value)
}

/// What goes with every answer: limits, and what browsers should mind.
pub(crate) fn add_own(head: &mut ResponseHeader, story: &Story, hsts: Option<&Hsts>) -> pingora_core::Result<()> {
    head.insert_header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")?;
    if let Some(hsts) = hsts {
        let sub = if hsts.include_subdomains { "; includeSubDomains" } else { "" };
        head.insert_header(header::STRICT_TRANSPORT_SECURITY, format!("max-age={}{sub}", hsts.max_age.as_secs()))?;
    }
    for (name, value) in story.context.headers() {
        // What the upstream's answer varies by, it varies by still.
        if *name == "vary" {
            head.append_header(*name, value)?;
        } else {
            put(head, name, value)?;
        }
    }
    Ok(())
}

/// How the length of a forwarded answer is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Known: the body was read whole.
    Length(usize),
    /// As the upstream said it, or chunked.
    AsReceived,
    /// Rewritten on the way, so the upstream's length does not hold.
    Chunked,
    /// There is no body: an answer to HEAD, or 204 and 304.
    None,
}

/// The head of an upstream's answer as the caller gets it.
pub(crate) fn forwarded_head(
    upstream: &ResponseHeader,
    access: &Access,
    story: &Story,
    hsts: Option<&Hsts>,
    framing: Framing,
) -> pingora_core::Result<ResponseHeader> {
    let mut head = ResponseHeader::build(upstream.status, Some(upstream.headers.len() + 4))?;
    let nominated = nominated(upstream);
    let as_it_was = matches!(framing, Framing::AsReceived | Framing::None);
    let framing = if is_bodiless(upstream, story) { Framing::None } else { framing };
    for (name, value) in &upstream.headers {
        let text = name.as_str();
        // Of what may have been rewritten the upstream's length does not hold; RFC 9110 §8.6 has none with 204.
        let length = *name == header::CONTENT_LENGTH
            && (!as_it_was || framing == Framing::Chunked || upstream.status == StatusCode::NO_CONTENT);
        if !length
            && !DROPPED.contains(&text)
            // Which sites may read our answers is policy's to say.
            && !text.starts_with("access-control-")
            && !text.starts_with("x-accel-")
            && !nominated.iter().any(|nominee| nominee == text)
            && !access.response_remove.iter().any(|remove| remove == text)
        {
            head.append_header(name.clone(), value.clone())?;
        }
    }
    if let Framing::Length(length) = framing {
        head.insert_header(header::CONTENT_LENGTH, length)?;
    }
    tell_change(&mut head, story)?;
    if framing == Framing::Chunked
        || (framing == Framing::AsReceived && !head.headers.contains_key(header::CONTENT_LENGTH))
    {
        // Pingora's HTTP/1.1 writer takes it from here; its HTTP/2 writer drops it.
        head.insert_header(header::TRANSFER_ENCODING, "chunked")?;
    }
    if story.context.token_map().is_some() {
        // It has values in it that are for this caller alone.
        head.insert_header(header::CACHE_CONTROL, "private, no-store")?;
        head.remove_header(&header::EXPIRES);
    }
    add_own(&mut head, story, hsts)?;
    for (name, value) in &access.response_set {
        head.insert_header(HeaderName::from_bytes(name.as_bytes()).map_err(invalid)?, value)?;
    }
    Ok(head)
}

/// Takes back what the upstream said of bytes that are not sent (RFC 9530), and of a coding that was undone.
fn tell_change(head: &mut ResponseHeader, story: &Story) -> pingora_core::Result<()> {
    if story.answer_read {
        head.remove_header(&header::CONTENT_ENCODING);
    }
    if !story.answer_changed && story.answer_coding.is_none() {
        return Ok(());
    }
    for name in upstream_head::DIGESTS {
        head.remove_header(name);
    }
    // It is still the answer that the upstream knows by this name, and not byte for byte (RFC 9110 §8.8.1).
    let weak = head.headers.get(header::ETAG).and_then(|tag| tag.to_str().ok()).filter(|tag| tag.starts_with('"'));
    if let Some(weak) = weak.map(|tag| format!("W/{tag}")) {
        head.insert_header(header::ETAG, weak)?;
    }
    Ok(())
}

/// Whether there is no body by the rules of HTTP (RFC 9110 §6.4.1), whatever the lengths say.
fn is_bodiless(upstream: &ResponseHeader, story: &Story) -> bool {
    let asked_for_head = story.head.as_ref().is_some_and(|head| head.method == "HEAD");
    asked_for_head || matches!(upstream.status.as_u16(), 204 | 304)
}

fn invalid(error: header::InvalidHeaderName) -> Box<pingora_core::Error> {
    pingora_core::Error::because(pingora_core::ErrorType::InvalidHTTPHeader, "response header of policy", error)
}

fn nominated(upstream: &ResponseHeader) -> Vec<String> {
    upstream
        .headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect()
}
