//! Reads the whole request body, within its limits, before anything is decided about it.

use bytes::{Bytes, BytesMut};
use http::header;
use pingora_core::protocols::http::ServerSession;
use postern_filters::{Reason, Refusal};
use tokio::time::Instant;

use crate::budget::Share;
use crate::guard::Pace;
use crate::head::Head;
use crate::story::Story;
use crate::trouble;

/// The body, or nothing where the request has none.
///
/// # Errors
/// 413 as soon as the declared or real length exceeds the route's limit, 408 for a body that does not come, 400 for
/// broken framing, 503 where the bodies of other requests hold the memory set aside for bodies.
pub(crate) async fn read_body(
    max: u64,
    head: &Head,
    session: &mut ServerSession,
    story: &mut Story,
) -> Result<Bytes, Refusal> {
    let declared = declared_length(session);
    if declared.is_some_and(|length| length > max) {
        return Err(too_large(max));
    }
    // On HTTP/2 a length of 0 is a claim until the stream has ended: what comes in spite of it makes the request
    // malformed, and that has to be known before anything is forwarded (attack 36).
    let claimed = session.is_http2() && declared == Some(0);
    if session.is_body_empty() && !claimed {
        return Ok(Bytes::new());
    }
    if head.expects_continue {
        let keepalive = session.get_keepalive();
        session.write_continue_response().await.map_err(|error| broken(&error))?;
        // Pingora takes this for an answer ahead of the body, and would close the connection.
        session.set_keepalive(keepalive);
    }
    let patience = story.patience;
    let pace = Pace::new(patience.body_idle);
    let read =
        tokio::time::timeout(patience.stream_total, collect(session, max, declared, pace, &mut story.share)).await;
    let body = read.unwrap_or_else(|_| Err(slow("the body took too long")));
    let body = body.inspect_err(|refusal| {
        // After broken framing nobody knows where the next request begins, although Pingora takes such a body for done.
        session.set_keepalive(None);
        if refusal.reason == Reason::SlowRequest {
            story.note_trouble(refusal.detail.clone());
        }
    })?;
    story.bytes_in = body.len().try_into().unwrap_or(u64::MAX);
    Ok(body)
}

async fn collect(
    session: &mut ServerSession,
    max: u64,
    declared: Option<u64>,
    mut pace: Pace,
    share: &mut Share,
) -> Result<Bytes, Refusal> {
    // Grows with what came: what a client only declares costs nothing.
    let mut whole = BytesMut::new();
    loop {
        let asked = Instant::now();
        let piece = match tokio::time::timeout(pace.left(), session.read_request_body()).await {
            Ok(Ok(piece)) => piece,
            Ok(Err(error)) => return Err(broken(&error)),
            Err(_) => return Err(slow("the body comes too slowly")),
        };
        let Some(piece) = piece else { break };
        pace.took(asked.elapsed(), piece.len());
        let total = u64::try_from(whole.len() + piece.len()).unwrap_or(u64::MAX);
        if total > max {
            return Err(too_large(max));
        }
        share.take(piece.len()).map_err(|error| Refusal::new(Reason::Undecided, error.to_string()))?;
        if declared == Some(total) && whole.is_empty() {
            // The common case: one piece is the whole body, and is not copied again.
            return finish(session, piece, pace).await;
        }
        whole.extend_from_slice(&piece);
    }
    let whole = whole.freeze();
    if declared.is_some_and(|length| length != u64::try_from(whole.len()).unwrap_or(u64::MAX)) {
        return Err(Refusal::new(Reason::Malformed, "the body is not as long as declared"));
    }
    Ok(whole)
}

/// Reads the end of a body that has come whole, so that the session knows it is done.
async fn finish(session: &mut ServerSession, body: Bytes, pace: Pace) -> Result<Bytes, Refusal> {
    match tokio::time::timeout(pace.left(), session.read_request_body()).await {
        Ok(Ok(None)) => Ok(body),
        Ok(Ok(Some(more))) if more.is_empty() => Ok(body),
        Ok(Ok(Some(_))) => Err(Refusal::new(Reason::Malformed, "the body is longer than declared")),
        Ok(Err(error)) => Err(broken(&error)),
        Err(_) => Err(slow("the end of the body did not come")),
    }
}

pub(super) fn declared_length(session: &ServerSession) -> Option<u64> {
    session.get_header(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

pub(super) fn too_large(max: u64) -> Refusal {
    Refusal::new(Reason::TooLarge, format!("the body exceeds {max} bytes"))
}

fn slow(detail: &str) -> Refusal {
    Refusal::new(Reason::SlowRequest, detail)
}

pub(super) fn broken(error: &pingora_core::Error) -> Refusal {
    Refusal::new(Reason::Malformed, format!("the body could not be read: {}", trouble::of(error)))
}
