//! Spends the permit: opens the upstream, sends the judged request, and waits for the head of the answer.

use bytes::Bytes;
use pingora_core::protocols::http::ServerSession;
use postern_config::{Balance, HashBy};
use postern_filters::{Permit, Reason, Refusal};

use super::{Deadline, Exchange, Matched, overlap};
use crate::head::Head;
use crate::story::Story;
use crate::trouble;
use crate::upstream::{Answering, Ask, Failure, FailureKind, Told, Upstream, hash_of};
use crate::upstream_head::BodyLength;

/// Sends the request and reads the head of the answer. Nothing where the client left meanwhile, which ends the upstream
/// request.
///
/// # Errors
/// 502 where the upstream cannot be reached, breaks off or does not answer in time; 503 where no endpoint is in order or
/// as much of it is in use as may be.
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
    story.streamed = permit.streams();
    let length = if body.is_empty() { BodyLength::None } else { BodyLength::Known(body.len()) };
    let made = exchange.outgoing_twice(matched, permit, head, session, story, length).await;
    let (request, again) = made.inspect_err(|_| story.context.unsent())?;
    let deadline = Deadline::of(story, &upstream.settings.timeouts);
    let again = again.filter(|_| overlap::may_be_repeated(&request.method, story));
    let (key, until) = (key(exchange, upstream, session, story), deadline.after(deadline.first_byte));
    let ask = |head, body| Ask { head, body, key, deadline: until };
    let again = again.map(|head| ask(head, body.clone()));
    let mut told = Told::default();
    // Dropping a call closes its connection: nothing of it goes back to the pool.
    let answered = tokio::select! {
        answered = overlap::call(exchange, matched, upstream, ask(request, body), again, &mut told, &mut story.secrets) => {
            Some(answered)
        }
        () = client_left(session) => None,
    };
    story.called(told);
    match answered {
        Some(Ok(answering)) => Ok(Some(answering)),
        Some(Err(failure)) => {
            if failure.kind.is_undone() {
                story.context.unsent();
            }
            Err(refusal(failure, deadline))
        }
        None => {
            story.note_trouble("the client left before the answer");
            Ok(None)
        }
    }
}

/// What consistent hashing goes by; nothing where the request does not have it.
pub(crate) fn key(exchange: Exchange<'_>, upstream: &Upstream, session: &ServerSession, story: &Story) -> Option<u64> {
    let Balance::ConsistentHash(by) = &upstream.settings.balance else { return None };
    match by {
        HashBy::Principal => {
            let principal = story.context.known_principal()?;
            Some(hash_of(&(&principal.authn.method, &principal.issuer, &principal.subject)))
        }
        HashBy::SourceIp => Some(hash_of(&exchange.connection.source.source())),
        HashBy::Header(name) => {
            let mut values = session.req_header().headers.get_all(name).iter();
            let value = values.next()?;
            values.next().is_none().then(|| hash_of(value.as_bytes()))
        }
    }
}

/// Why a call is refused. Where it was late, the credential may be what ended.
pub(crate) fn refusal(failure: Failure, deadline: Deadline) -> Refusal {
    match failure.kind {
        FailureKind::Late => deadline.missed().refusal("the head of the answer"),
        _ => failure.refusal(),
    }
}

pub(crate) fn unmade(error: &pingora_core::Error) -> Refusal {
    Refusal::new(Reason::UpstreamFailed, format!("the upstream request could not be made: {}", trouble::of(error)))
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
