//! Spends the permit: opens the upstream, sends the judged request, and waits for the head of the answer.

use std::time::Duration;

use bytes::Bytes;
use pingora_core::protocols::http::ServerSession;
use pingora_core::protocols::http::client::HttpSession;
use postern_filters::{Permit, Reason, Refusal};

use super::{Exchange, Matched};
use crate::head::Head;
use crate::story::Story;
use crate::upstream::Target;
use crate::upstream_head::{self, BodyLength};

/// Time until the head of the answer (§10: first byte 60s).
const FIRST_BYTE: Duration = Duration::from_secs(60);

/// An upstream that has begun to answer.
pub(crate) struct Answering {
    pub(crate) session: HttpSession,
    pub(crate) target: Target,
}

/// Sends the request and reads the head of the answer.
///
/// # Errors
/// 502 where the upstream cannot be reached or breaks off, 503 where it does not answer in time. A client that leaves
/// meanwhile ends the upstream request.
pub(super) async fn send(
    exchange: Exchange<'_>,
    matched: Matched<'_>,
    permit: Permit,
    head: &Head,
    body: Bytes,
    session: &mut ServerSession,
    story: &mut Story,
) -> Result<Answering, Refusal> {
    let upstream = matched.runtime.upstream(matched.route);
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
    let target = upstream.target().await.map_err(|error| Refusal::new(Reason::UpstreamFailed, error.to_string()))?;
    let (mut client, reused) = exchange
        .shared
        .connector
        .get_http_session(&target.peer)
        .await
        .map_err(|error| failed("the upstream could not be reached", &error))?;
    let sent = tokio::select! {
        sent = talk(&mut client, request, body) => sent,
        () = client_left(session) => {
            client.shutdown().await;
            story.trouble = Some("the client left before the answer".to_owned());
            return Err(Refusal::new(Reason::SlowRequest, "the client left before the answer"));
        }
    };
    match sent {
        Ok(()) => Ok(Answering { session: client, target }),
        Err(refusal) => {
            client.shutdown().await;
            let pooled = if reused { " (on a pooled connection)" } else { "" };
            Err(Refusal::new(refusal.reason, format!("{}{pooled}", refusal.detail)))
        }
    }
}

async fn talk(client: &mut HttpSession, request: Box<pingora_http::RequestHeader>, body: Bytes) -> Result<(), Refusal> {
    let exchange = async {
        client.write_request_header(request).await?;
        if !body.is_empty() {
            client.write_request_body(body, true).await?;
        }
        client.finish_request_body().await?;
        loop {
            client.read_response_header().await?;
            match client.response_header() {
                Some(head) if head.status.is_informational() && head.status != 101 => {}
                _ => return Ok(()),
            }
        }
    };
    let answered: Result<pingora_core::Result<()>, _> = tokio::time::timeout(FIRST_BYTE, exchange).await;
    match answered {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(failed("the upstream broke off", &error)),
        Err(_) => Err(Refusal::new(Reason::UpstreamFailed, "the upstream did not answer in time")),
    }
}

/// Resolves when the client has gone. What it sends meanwhile is the next request's affair.
pub(super) async fn client_left(session: &mut ServerSession) {
    loop {
        match session.read_body_or_idle(true).await {
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => return,
        }
    }
}

fn failed(what: &str, error: &pingora_core::Error) -> Refusal {
    Refusal::new(Reason::UpstreamFailed, format!("{what}: {error}"))
}
