//! Judges the upstream's answer and writes it: whole, as a stream through the hold-back window, or as it comes where
//! no guard reads answers on this route.

use bytes::{Bytes, BytesMut};
use http::header;
use pingora_core::protocols::http::ServerSession;
use pingora_http::ResponseHeader;
use postern_filters::encoding::{Coding, DecodeLimits, Decoder};
use postern_filters::{AnswerHead, AnswerStream, AnswerWay, Chain, CheckedAnswer, Need, Reason, Refusal};
use tokio::time::Instant;

use super::forward::client_left;
use super::incoming::Incoming;
use super::{Deadline, Exchange, Matched, apart};
use crate::answer::{self, Framing};
use crate::guard;
use crate::head::Head;
use crate::story::Story;
use crate::upstream::{Answering, Conversation};

/// Largest answer that is read whole.
const MAX_WHOLE: usize = 10 * 1024 * 1024;

/// Bytes of an answer that is not expected to outlive a load of policy.
const LONG: u64 = 1024 * 1024;

/// Writes the answer. Returns whether the connection may carry another request.
///
/// # Errors
/// A refusal where nothing of the answer has left yet.
pub(super) async fn answer(
    exchange: Exchange<'_>,
    matched: Matched<'_>,
    mut upstream: Answering,
    head: &Head,
    session: &mut ServerSession,
    story: &mut Story,
) -> Result<bool, Refusal> {
    let Some(response) = upstream.conversation.head().cloned() else {
        return Err(Refusal::new(Reason::UpstreamFailed, "the upstream sent no head"));
    };
    if response.status == http::StatusCode::SWITCHING_PROTOCOLS {
        return Err(Refusal::new(Reason::UpstreamFailed, "the upstream switched protocols unasked"));
    }
    if let Some(egress) = &matched.route.policy.network.egress {
        guard::refuse_redirect(egress.redirects, &response, &head.host, exchange.connection.tls.is_some())?;
    }
    let way = matched.chain.open_answer(
        &answer_head(&response, matched.chain, story),
        &story.id.to_string(),
        story.context.message_limits(),
    );
    let deadline = Deadline::of(story, &matched.runtime.upstream(matched.route)?.settings.timeouts);
    if lasts(&response) && !matches!(way, Ok(AnswerWay::Whole)) {
        exchange.stand(matched, head, session, story, upstream.host());
    }
    let done = match way {
        Err(refusal) => Err(refusal),
        Ok(AnswerWay::Pass) => {
            pass(exchange, matched, &mut upstream.conversation, &response, head, session, story, deadline).await
        }
        Ok(AnswerWay::Whole) => {
            let body = decoded(matched, &mut upstream.conversation, &response, MAX_WHOLE, story, deadline);
            whole(exchange, matched, body, &response, session, story, deadline).await
        }
        Ok(AnswerWay::Stream(stream)) => {
            let body = decoded(matched, &mut upstream.conversation, &response, usize::MAX, story, deadline);
            streamed(exchange, matched, body, &response, *stream, session, story, deadline).await
        }
    };
    match done {
        Ok(true) if story.trouble.is_none() => {
            upstream.finish().await;
            Ok(true)
        }
        Ok(_) => {
            upstream.conversation.abort().await;
            Ok(false)
        }
        Err(refusal) => {
            upstream.conversation.abort().await;
            Err(refusal)
        }
    }
}

/// The body of an answer that is read, without its coding. At most `most` bytes may come out of that.
fn decoded<'u>(
    matched: Matched<'_>,
    upstream: &'u mut Conversation,
    response: &ResponseHeader,
    most: usize,
    story: &mut Story,
    deadline: Deadline,
) -> Incoming<'u> {
    let head = answer_head(response, matched.chain, story);
    // An unknown one was refused with the head.
    story.answer_coding = head.coding.ok().flatten();
    story.answer_read = true;
    let ratio = matched.message_limits().decoded.ratio;
    let limits = DecodeLimits { output: u64::try_from(most).unwrap_or(u64::MAX), ratio };
    let decoder = story.answer_coding.map(|coding| Decoder::new(coding, limits));
    Incoming::new(upstream, deadline).decoded(decoder, &head)
}

/// Whether an answer may take its time: it does not say how long it is, or is long.
fn lasts(response: &ResponseHeader) -> bool {
    let length = response.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    length.and_then(|length| length.parse::<u64>().ok()).is_none_or(|length| length > LONG)
}

fn answer_head(response: &ResponseHeader, chain: &Chain, story: &Story) -> AnswerHead {
    let mut types = response.headers.get_all(header::CONTENT_TYPE).iter();
    let content_type = types.next().and_then(|value| value.to_str().ok()).map(str::to_owned);
    AnswerHead {
        status: response.status.as_u16(),
        // Of two types nobody knows which one the client goes by.
        content_type: content_type.filter(|_| types.next().is_none()),
        coding: Coding::of(&response.headers),
        asked_to_stream: story.streamed,
        tokens: chain.tokens(&story.context),
        canary: story.context.canary().cloned(),
        endpoint: story.context.endpoint(),
    }
}

/// Writes a piece of the answer. False where the client has left, or does not read: nothing waits for it for ever
/// (attacks 41, 42).
async fn write(session: &mut ServerSession, bytes: Bytes, end: bool, deadline: Deadline, story: &mut Story) -> bool {
    let (length, asked) = (bytes.len(), Instant::now());
    match deadline.within(story.pace.left(), session.write_response_body(bytes, end)).await {
        Ok(Ok(())) => {
            story.pace.took(asked.elapsed(), length);
            story.bytes_out += length as u64;
            true
        }
        Ok(Err(_)) => left(story),
        Err(_) => {
            story.note_trouble("the client did not take the answer in time");
            false
        }
    }
}

/// Nothing on this route reads answers: pieces go out as they come in.
#[expect(clippy::too_many_arguments, reason = "one call site; a struct for it would only rename the arguments")]
async fn pass(
    exchange: Exchange<'_>,
    matched: Matched<'_>,
    upstream: &mut Conversation,
    response: &ResponseHeader,
    head: &Head,
    session: &mut ServerSession,
    story: &mut Story,
    deadline: Deadline,
) -> Result<bool, Refusal> {
    let bodiless = head.method == "HEAD" || matches!(response.status.as_u16(), 204 | 304);
    let framing = if bodiless { Framing::None } else { Framing::AsReceived };
    write_head(exchange, matched, response, framing, session, story, deadline).await?;
    let mut body = Incoming::new(upstream, deadline);
    loop {
        let piece = tokio::select! {
            piece = body.read(&mut story.share) => piece,
            () = client_left(session) => return Ok(left(story)),
        };
        match piece {
            Ok(Some(piece)) => {
                if let Err(refusal) = exchange.charge(piece.len(), story).await {
                    story.note_trouble(refusal.detail.clone());
                    story.refuse(refusal);
                    return Ok(false);
                }
                if !write(session, piece, false, deadline, story).await {
                    return Ok(false);
                }
            }
            Ok(None) => return Ok(write(session, Bytes::new(), true, deadline, story).await),
            // The head has gone out, so all that is left is to end the connection where the client must notice.
            Err(refusal) => {
                story.note_trouble(refusal.detail);
                return Ok(false);
            }
        }
    }
}

/// Reads the whole answer, has it judged, and writes what came out.
async fn whole(
    exchange: Exchange<'_>,
    matched: Matched<'_>,
    mut incoming: Incoming<'_>,
    response: &ResponseHeader,
    session: &mut ServerSession,
    story: &mut Story,
    deadline: Deadline,
) -> Result<bool, Refusal> {
    let mut body = BytesMut::new();
    loop {
        let piece = tokio::select! {
            piece = incoming.read(&mut story.share) => piece,
            () = client_left(session) => return Ok(left(story)),
        };
        match piece? {
            Some(piece) if body.len() + piece.len() > MAX_WHOLE => {
                return Err(Refusal::new(Reason::AnswerRefused, format!("the answer exceeds {MAX_WHOLE} bytes")));
            }
            Some(piece) => {
                story.share.take(piece.len()).map_err(|error| Refusal::new(Reason::Undecided, error.to_string()))?;
                body.extend_from_slice(&piece);
            }
            None => break,
        }
    }
    let body = body.freeze();
    let head = answer_head(response, matched.chain, story);
    let checked = apart::inspect(body.len(), || matched.chain.check_answer(&head, body.clone(), &mut story.context))?;
    let judged = match checked {
        CheckedAnswer::Passed(judged) => judged,
        CheckedAnswer::Waits(Need::External(questions)) => {
            if !exchange.supply_external(&questions, session, story).await? {
                return Ok(false);
            }
            matched.chain.resume_answer(&head, &mut story.context)?
        }
        CheckedAnswer::Waits(_) => {
            return Err(Refusal::new(Reason::Undecided, "an answer waits for what decides about requests"));
        }
    };
    story.answer_changed = story.answer_coding.is_some() || judged != body;
    drop(body);
    exchange.charge(judged.len(), story).await?;
    write_head(exchange, matched, response, Framing::Length(judged.len()), session, story, deadline).await?;
    Ok(write(session, judged, true, deadline, story).await)
}

/// Releases events as their text is judged. A stream that is cut ends with the dialect's own error event.
#[expect(clippy::too_many_arguments, reason = "one call site; a struct for it would only rename the arguments")]
async fn streamed(
    exchange: Exchange<'_>,
    matched: Matched<'_>,
    mut incoming: Incoming<'_>,
    response: &ResponseHeader,
    mut stream: AnswerStream,
    session: &mut ServerSession,
    story: &mut Story,
    deadline: Deadline,
) -> Result<bool, Refusal> {
    // What will be cut out of it, nobody knows yet.
    story.answer_changed = true;
    write_head(exchange, matched, response, Framing::Chunked, session, story, deadline).await?;
    let mut stalled = None;
    loop {
        let stall_at = stalled.unwrap_or(deadline.at);
        let event = tokio::select! {
            piece = incoming.read(&mut story.share) => Some(piece),
            () = tokio::time::sleep_until(stall_at), if stalled.is_some() => None,
            () = client_left(session) => return Ok(left(story)),
        };
        let (out, last) = match event {
            None => (stream.stall(&mut story.context), false),
            Some(Ok(Some(piece))) => (stream.push(&piece, &mut story.context), false),
            Some(Ok(None)) => (stream.finish(&mut story.context), true),
            Some(Err(refusal)) => {
                let event = stream.error_event(refusal.reason, &story.id.to_string());
                cut(event, session, story, refusal).await;
                return Ok(false);
            }
        };
        let out = match out {
            Ok(bytes) => match exchange.charge(bytes.len(), story).await {
                Ok(()) => Ok(bytes),
                Err(refusal) => Err((stream.error_event(refusal.reason, &story.id.to_string()), refusal)),
            },
            cut => cut,
        };
        match out {
            Ok(bytes) => {
                if !write(session, bytes, false, deadline, story).await {
                    return Ok(false);
                }
            }
            Err((last, refusal)) => {
                cut(last, session, story, refusal).await;
                return Ok(false);
            }
        }
        if last {
            return Ok(write(session, Bytes::new(), true, deadline, story).await);
        }
        stalled = stream.is_holding().then(|| Instant::now() + stream.stall_after());
    }
}

/// Ends a stream with what may still be written, an error event last: the status has gone out long ago.
async fn cut(last: Bytes, session: &mut ServerSession, story: &mut Story, refusal: Refusal) {
    story.refuse(refusal);
    session.set_keepalive(None);
    // The deadline that was missed may be why it is cut.
    let length = last.len() as u64;
    match tokio::time::timeout(answer::WRITE, session.write_response_body(last, true)).await {
        Ok(Ok(())) => story.bytes_out += length,
        _ => story.note_trouble("the client did not take the end of the answer"),
    }
}

async fn write_head(
    exchange: Exchange<'_>,
    matched: Matched<'_>,
    response: &ResponseHeader,
    framing: Framing,
    session: &mut ServerSession,
    story: &mut Story,
    deadline: Deadline,
) -> Result<(), Refusal> {
    let access = &matched.route.policy.access;
    let head = answer::forwarded_head(response, access, story, exchange.hsts(), framing)
        .map_err(|error| Refusal::new(Reason::UpstreamFailed, format!("the answer's head cannot be sent: {error}")))?;
    story.status = response.status.as_u16();
    exchange.announce_drain(session);
    if !matches!(deadline.step(session.write_response_header(Box::new(head))).await, Ok(Ok(()))) {
        left(story);
    }
    Ok(())
}

fn left(story: &mut Story) -> bool {
    story.note_trouble("the client left during the answer");
    false
}
