//! The exception to Exchange: an upgrade, on a route that allows it, is relayed as opaque bytes once it is permitted.
//!
//! The handshake walks the whole chain like any request. What follows the 101 is not read: only dialect `http` routes
//! without body policies may declare upgrades, and the coverage matrix shows that nothing looks inside.

use bytes::Bytes;
use pingora_core::protocols::http::ServerSession;
use pingora_core::protocols::http::v1::client::HttpSession;
use postern_filters::{Reason, Refusal};

use crate::answer::{self, Framing};
use crate::exchange::{self, Deadline, Exchange, Matched};
use crate::head::Head;
use crate::story::Story;
use crate::trouble;
use crate::upstream::{Conversation, Told};
use crate::upstream_head::{self, BodyLength};

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
    let Some((permit, _)) = exchange.check_message(matched, head, Bytes::new(), session, story).await? else {
        return Ok(false);
    };
    exchange.keep_place(story)?;
    let upstream = matched.runtime.upstream(matched.route)?;
    let mut request = exchange.outgoing(matched, permit, head, session, story, BodyLength::None).await?;
    upstream_head::add_upgrade(&mut request, protocol)
        .map_err(|error| failed("the upstream request could not be made", &error))?;
    request.set_version(http::Version::HTTP_11);
    let timeouts = upstream.settings.timeouts;
    let deadline = Deadline::of(story, &timeouts);
    let first_byte = deadline.after(deadline.first_byte);
    let key = exchange::key(exchange, upstream, session, story);
    let mut told = Told::default();
    let begun =
        upstream.begin(key, &matched.network.egress, true, first_byte, &exchange.shared.metrics, &mut told).await;
    story.called(told);
    let mut answering = begun.map_err(|failure| exchange::refusal(failure, deadline))?;
    let authority = answering.authority().clone();
    let host = answering.host().to_owned();
    request
        .insert_header(http::header::HOST, authority.clone())
        .map_err(|error| failed("the upstream request", &error))?;
    let Conversation::H1(h1) = &mut answering.conversation else {
        return Err(Refusal::new(Reason::Undecided, "an upgrade needs HTTP/1.1 on the other side"));
    };
    let client = &mut h1.session;
    let switched =
        match tokio::time::timeout_at(first_byte, switch(exchange, matched, client, request, session, story)).await {
            Ok(switched) => switched,
            Err(_) => Err(deadline.missed().refusal("the upstream's switch")),
        };
    if switched.is_ok() {
        exchange.stand(matched, head, session, story, &host);
        tunnel(exchange, client, session, story, deadline).await;
    }
    // A tunnel's connection carries nothing else afterwards, on neither side (attack 2).
    client.shutdown().await;
    if switched.is_ok() {
        answering.answered(&exchange.shared.metrics);
    }
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
        client.finish_body().await?;
        client.read_response().await
    };
    talk.await.map_err(|error| failed("the upstream broke off", &error))?;
    let Some(response) = client.resp_header().cloned() else {
        return Err(Refusal::new(Reason::UpstreamFailed, "the upstream sent no head"));
    };
    if response.status != http::StatusCode::SWITCHING_PROTOCOLS {
        let detail = format!("the upstream answered {} to an upgrade", response.status.as_u16());
        return Err(Refusal::new(Reason::UpstreamFailed, detail));
    }
    // The request's body has ended; without this, what the client sends from here on would be dropped.
    client.maybe_upgrade_body_writer();
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

/// What one turn of a tunnel moves, if anything.
enum Moved {
    Down(Bytes),
    Up(Bytes),
}

/// Moves bytes until either side ends, both are silent for too long, one does not take what it is sent, or the time of
/// the tunnel is up.
async fn tunnel(
    exchange: Exchange<'_>,
    client: &mut HttpSession,
    session: &mut ServerSession,
    story: &mut Story,
    deadline: Deadline,
) {
    loop {
        let moved = deadline.step(async {
            tokio::select! {
                down = session.read_request_body() => down.ok().flatten().map(Moved::Down),
                up = client.read_body_bytes() => up.ok().flatten().map(Moved::Up),
            }
        });
        let Ok(Some(moved)) = moved.await else { return };
        let (Moved::Down(bytes) | Moved::Up(bytes)) = &moved;
        if let Err(refusal) = exchange.charge(bytes.len(), story).await {
            return story.refuse(refusal);
        }
        let taken = match moved {
            Moved::Down(bytes) => {
                story.bytes_in += bytes.len() as u64;
                deadline.step(async { client.write_body(&bytes).await.map(drop) }).await
            }
            Moved::Up(bytes) => {
                story.bytes_out += bytes.len() as u64;
                deadline.step(session.write_response_body(bytes, false)).await
            }
        };
        if !matches!(taken, Ok(Ok(()))) {
            return;
        }
    }
}

fn failed(what: &str, error: &pingora_core::Error) -> Refusal {
    Refusal::new(Reason::UpstreamFailed, format!("{what}: {}", trouble::of(error)))
}
