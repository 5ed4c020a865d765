//! Spends the permit: opens the upstream, sends the judged request, and waits for the head of the answer.

use std::time::Duration;

use bytes::Bytes;
use pingora_core::ErrorType;
use pingora_core::protocols::http::ServerSession;
use pingora_core::protocols::http::client::HttpSession;
use pingora_http::RequestHeader;
use postern_filters::{Permit, Reason, Refusal};

use super::{Deadline, Exchange, Matched};
use crate::head::Head;
use crate::story::Story;
use crate::trouble;
use crate::upstream::{Target, Upstream};
use crate::upstream_head::{self, BodyLength};

/// Time until the head of the answer (§10: first byte 60s).
const FIRST_BYTE: Duration = Duration::from_secs(60);
/// Heads with a status below 200 that may come before the answer.
const MAX_INFORMATIONAL: usize = 16;

/// An upstream that has begun to answer.
pub(crate) struct Answering {
    pub(crate) session: HttpSession,
    pub(crate) target: Target,
}

/// Sends the request and reads the head of the answer. Nothing where the client left meanwhile, which ends the upstream
/// request.
///
/// # Errors
/// 502 where the upstream cannot be reached, breaks off or does not answer in time.
pub(super) async fn send(
    exchange: Exchange<'_>,
    matched: Matched<'_>,
    permit: Permit,
    head: &Head,
    body: Bytes,
    session: &mut ServerSession,
    story: &mut Story,
) -> Result<Option<Answering>, Refusal> {
    let upstream = matched.runtime.upstream(matched.route)?;
    story.upstream = Some(upstream.settings.name.clone());
    story.streamed = permit.streams();
    let length = if body.is_empty() { BodyLength::None } else { BodyLength::Known(body.len()) };
    let request = upstream_head::build(
        permit,
        session.req_header(),
        head,
        matched.route,
        &upstream.settings,
        &upstream.injections,
        length,
    )
    .map_err(|error| failed("the upstream request could not be made", &error))?;
    let deadline = Deadline::of(story);
    // Dropping a call closes its connection: nothing of it goes back to the pool.
    let call = deadline.within(FIRST_BYTE, call(exchange, matched, upstream, request, body));
    tokio::select! {
        answered = call => match answered {
            Ok(answered) => answered.map(Some),
            Err(late) => Err(late.refusal("the head of the answer")),
        },
        () = client_left(session) => {
            story.note_trouble("the client left before the answer");
            Ok(None)
        }
    }
}

async fn call(
    exchange: Exchange<'_>,
    matched: Matched<'_>,
    upstream: &Upstream,
    request: Box<RequestHeader>,
    body: Bytes,
) -> Result<Answering, Refusal> {
    let target = upstream.target().await?;
    // The route may allow less than the upstream's other callers have.
    matched.network.egress.permits(&upstream.settings.host, target.address)?;
    let (mut session, reused) = exchange
        .shared
        .connector
        .get_http_session(&target.peer)
        .await
        .map_err(|error| failed("the upstream could not be reached", &error))?;
    let what = if reused { "the upstream broke off (on a pooled connection)" } else { "the upstream broke off" };
    talk(&mut session, request, body).await.map_err(|error| failed(what, &error))?;
    Ok(Answering { session, target })
}

async fn talk(client: &mut HttpSession, request: Box<RequestHeader>, body: Bytes) -> pingora_core::Result<()> {
    client.write_request_header(request).await?;
    if !body.is_empty() {
        client.write_request_body(body, true).await?;
    }
    client.finish_request_body().await?;
    for _ in 0..MAX_INFORMATIONAL {
        client.read_response_header().await?;
        match client.response_header() {
            Some(head) if head.status.is_informational() && head.status != 101 => {}
            _ => return Ok(()),
        }
    }
    pingora_core::Error::e_explain(ErrorType::InvalidHTTPHeader, "too many informational answers")
}

/// Resolves when the client has gone. One that ends its sending side is taken to have gone: a TLS client that does so
/// cannot be told from one that left, and HTTP/1.1 has no use for it. What it sends meanwhile is the next request's affair.
pub(super) async fn client_left(session: &mut ServerSession) {
    loop {
        match session.read_body_or_idle(true).await {
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => return,
        }
    }
}

fn failed(what: &str, error: &pingora_core::Error) -> Refusal {
    Refusal::new(Reason::UpstreamFailed, format!("{what}: {}", trouble::of(error)))
}
