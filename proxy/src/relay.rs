//! The exception to Exchange: an upgrade, on a route that allows it, is relayed as opaque bytes once it is permitted.
//!
//! The handshake walks the whole chain like any request. What follows the 101 is not read: only dialect `http` routes
//! without body policies may declare upgrades, and the coverage matrix shows that nothing looks inside.

use bytes::Bytes;
use pingora_core::protocols::http::ServerSession;
use pingora_core::protocols::http::client::HttpSession;
use postern_filters::{Reason, Refusal};
use tokio::time::{Duration, Instant};

use crate::answer::{self, Framing};
use crate::exchange::{Exchange, Matched};
use crate::head::Head;
use crate::story::Story;
use crate::upstream_head::{self, BodyLength};

/// Time until the upstream answers the handshake.
const FIRST_BYTE: Duration = Duration::from_secs(60);
/// Longest silence in both directions (§10: stream idle 5m).
const IDLE: Duration = Duration::from_secs(300);
/// Longest tunnel (§10: stream total 1h), and never longer than the credential.
const TOTAL: Duration = Duration::from_secs(3600);

/// Runs the handshake and then the tunnel.
///
/// # Errors
/// A refusal where the route allows no such upgrade, or the upstream does not switch.
pub(crate) async fn run(
    exchange: Exchange<'_>,
    matched: Matched<'_>,
    protocol: &str,
    head: &Head,
    session: &mut ServerSession,
    story: &mut Story,
) -> Result<bool, Refusal> {
    if !matched.route.upgrades.iter().any(|allowed| allowed == protocol) {
        return Err(Refusal::new(Reason::NotPermitted, "the route does not allow this upgrade"));
    }
    if !session.is_body_empty() {
        return Err(Refusal::new(Reason::Malformed, "an upgrade request with a body"));
    }
    let (permit, _) = {
        let view = exchange.view(head, session);
        matched.chain.check_message(&view, Bytes::new(), &mut story.context)?
    };
    let upstream = matched.runtime.upstream(matched.route);
    story.upstream = Some(upstream.settings.name.clone());
    let mut request = upstream_head::build(
        permit,
        session.req_header(),
        head,
        matched.route,
        &upstream.settings,
        &upstream.injections,
        BodyLength::None,
    )
    .and_then(|mut request| upstream_head::add_upgrade(&mut request, protocol).map(|()| request))
    .map_err(|error| failed("the upstream request could not be made", &error))?;
    request.set_version(http::Version::HTTP_11);
    let target = upstream.target().await.map_err(|error| Refusal::new(Reason::UpstreamFailed, error.to_string()))?;
    let (mut client, _) = exchange
        .shared
        .connector
        .get_http_session(&target.peer)
        .await
        .map_err(|error| failed("the upstream could not be reached", &error))?;
    let switched = switch(exchange, matched, &mut client, request, session, story).await;
    if switched.is_ok() {
        tunnel(&mut client, session, story).await;
    }
    // A tunnel's connection carries nothing else afterwards, on neither side (attack 2).
    client.shutdown().await;
    session.set_keepalive(None);
    switched.map(|()| false)
}

async fn switch(
    exchange: Exchange<'_>,
    matched: Matched<'_>,
    client: &mut HttpSession,
    request: Box<pingora_http::RequestHeader>,
    session: &mut ServerSession,
    story: &mut Story,
) -> Result<(), Refusal> {
    let talk = async {
        client.write_request_header(request).await?;
        client.finish_request_body().await?;
        client.read_response_header().await
    };
    match tokio::time::timeout(FIRST_BYTE, talk).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return Err(failed("the upstream broke off", &error)),
        Err(_) => return Err(Refusal::new(Reason::UpstreamFailed, "the upstream did not answer in time")),
    }
    let Some(response) = client.response_header().cloned() else {
        return Err(Refusal::new(Reason::UpstreamFailed, "the upstream sent no head"));
    };
    if response.status != http::StatusCode::SWITCHING_PROTOCOLS {
        let detail = format!("the upstream answered {} to an upgrade", response.status.as_u16());
        return Err(Refusal::new(Reason::UpstreamFailed, detail));
    }
    if let HttpSession::H1(h1) = client {
        // The request's body has ended; without this, what the client sends from here on would be dropped.
        h1.maybe_upgrade_body_writer();
    }
    let mut out =
        answer::forwarded_head(&response, &matched.route.policy.access, story, exchange.hsts(), Framing::None)
            .map_err(|error| failed("the answer's head cannot be sent", &error))?;
    for name in [http::header::CONNECTION, http::header::UPGRADE] {
        if let Some(value) = response.headers.get(&name) {
            out.insert_header(name, value.clone()).map_err(|error| failed("the answer's head", &error))?;
        }
    }
    story.status = 101;
    session.write_response_header(Box::new(out)).await.map_err(|error| failed("the client left", &error))
}

async fn tunnel(client: &mut HttpSession, session: &mut ServerSession, story: &mut Story) {
    let left = story.context.known_principal().map_or(TOTAL, |principal| {
        let seconds = principal.authn.expires_at.saturating_sub(story.context.now()).max(0);
        TOTAL.min(Duration::from_secs(seconds.unsigned_abs()))
    });
    let deadline = Instant::now() + left;
    loop {
        let limit = deadline.min(Instant::now() + IDLE);
        tokio::select! {
            down = session.read_request_body() => match down {
                Ok(Some(bytes)) => {
                    story.bytes_in += bytes.len() as u64;
                    if client.write_request_body(bytes, false).await.is_err() { return }
                }
                Ok(None) | Err(_) => return,
            },
            up = client.read_response_body() => match up {
                Ok(Some(bytes)) => {
                    story.bytes_out += bytes.len() as u64;
                    if session.write_response_body(bytes, false).await.is_err() { return }
                }
                Ok(None) | Err(_) => return,
            },
            () = tokio::time::sleep_until(limit) => return,
        }
    }
}

fn failed(what: &str, error: &pingora_core::Error) -> Refusal {
    Refusal::new(Reason::UpstreamFailed, format!("{what}: {error}"))
}
