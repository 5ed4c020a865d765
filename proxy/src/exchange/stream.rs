//! Bodies that are relayed as they come, both ways at once, with the trailers of answers between HTTP/2 sides.
//!
//! Only routes that declare it, and nothing reads these bodies (the load refuses policies that would have to). A body that
//! breaks a limit leaves a request upstream that never was whole. Trailers of requests are dropped: Pingora does not hand
//! them over.

use bytes::Bytes;
use futures::future::BoxFuture;
use http::HeaderMap;
use pingora_core::protocols::http::ServerSession;
use pingora_http::ResponseHeader;
use postern_filters::{Reason, Refusal};
use tokio::time::Instant;

use super::forward::{client_left, key, refusal, unmade};
use super::request::{broken, declared_length, too_large};
use super::{Deadline, Exchange, Matched};
use crate::answer::{self, Framing};
use crate::guard;
use crate::head::Head;
use crate::story::Story;
use crate::upstream::{Answering, Conversation, Failure, Outlet, Told, Upload, clean_trailers};
use crate::upstream_head::BodyLength;

/// Relays one exchange. Returns whether the connection may carry another.
///
/// # Errors
/// A refusal where nothing of an answer has left yet.
pub(super) async fn run(
    exchange: Exchange<'_>,
    matched: Matched<'_>,
    head: &Head,
    session: &mut ServerSession,
    story: &mut Story,
) -> Result<bool, Refusal> {
    let max = matched.max_body();
    let declared = declared_length(session);
    if declared.is_some_and(|length| length > max) {
        return Err(too_large(max));
    }
    let Some((permit, _)) = exchange.check_message(matched, head, Bytes::new(), session, story).await? else {
        return Ok(false);
    };
    let has_body = !session.is_body_empty();
    if has_body && story.context.is_bodiless() {
        let detail = "a body where the allow list names no content type";
        return Err(Refusal::new(Reason::UnsupportedContent, detail));
    }
    exchange.keep_place(story)?;
    let upstream = matched.runtime.upstream(matched.route)?;
    story.streamed = true;
    let length = if has_body { BodyLength::Streamed(declared) } else { BodyLength::None };
    let mut request = exchange.outgoing(matched, permit, head, session, story, length).await?;
    let deadline = Deadline::of(story, &upstream.settings.timeouts);
    let hash = key(exchange, upstream, session, story);
    let mut told = Told::default();
    let until = deadline.after(deadline.first_byte);
    // An HTTP/1.1 client that sends is not looked at before there is somewhere for it to go.
    let watched = !has_body || session.is_http2();
    let begun = tokio::select! {
        begun = upstream.begin(hash, &matched.network.egress, false, until, &exchange.shared.metrics, &mut told) => Some(begun),
        () = client_left(session), if watched => None,
    };
    story.called(told);
    let Some(begun) = begun else {
        story.note_trouble("the client left before the answer");
        return Ok(false);
    };
    let mut answering = begun.map_err(|failure| refusal(failure, deadline))?;
    request.insert_header(http::header::HOST, answering.authority().clone()).map_err(|error| unmade(&error))?;
    let opened = deadline.step(answering.conversation.open(request, has_body, declared)).await;
    let upload = opened.map_err(|late| late.refusal("the upstream"))?.map_err(Failure::refusal)?;
    if has_body && head.expects_continue {
        let keepalive = session.get_keepalive();
        session.write_continue_response().await.map_err(|error| broken(&error))?;
        session.set_keepalive(keepalive);
    }
    exchange.stand(matched, head, session, story, answering.host());
    let up = upload.map_or(Up::Done, Up::Ready);
    let first_byte = deadline.first_byte;
    let mut relay = Relay { exchange, matched, head, deadline, max, up, down: Down::Waiting, limit: deadline.at };
    relay.moved(first_byte);
    let ended = relay.pump(&mut answering, session, story, first_byte).await;
    relay.close(ended, answering, session, story).await
}

/// The request's side: where its pieces go.
enum Up {
    Ready(Upload),
    Busy(BoxFuture<'static, Result<Upload, Failure>>, Last),
    /// Sent to its end, or not wanted any more.
    Done,
    /// Ended before the client had sent it all.
    Short,
}

/// Whether what is being sent is the end.
type Last = bool;

/// The answer's side.
enum Down {
    /// No head yet.
    Waiting,
    /// HTTP/1.1: written where it is read.
    Inline,
    Ready(Outlet),
    Busy(BoxFuture<'static, Result<Outlet, h2::Error>>),
    /// The end has been written.
    Done,
}

struct Relay<'a> {
    exchange: Exchange<'a>,
    matched: Matched<'a>,
    head: &'a Head,
    deadline: Deadline,
    max: u64,
    up: Up,
    down: Down,
    /// When something has to have moved.
    limit: Instant,
}

/// Why a relay ended early.
enum Stop {
    /// It may still be told to the client if nothing of an answer has left.
    Refuse(Refusal),
    /// The client is gone.
    Left,
}

/// What happened next.
enum Event {
    FromClient(Result<Option<Bytes>, Refusal>),
    ClientLeft,
    Sent(Result<Upload, Failure>),
    Head(Result<(), Failure>),
    Piece(Result<Option<Bytes>, Failure>),
    Written(Result<Outlet, h2::Error>),
    Late,
}

impl Relay<'_> {
    /// Moves pieces both ways until the answer has ended.
    async fn pump(
        &mut self,
        answering: &mut Answering,
        session: &mut ServerSession,
        story: &mut Story,
        first_byte: std::time::Duration,
    ) -> Result<(), Stop> {
        loop {
            let event = self.next(&mut answering.conversation, session).await;
            match event {
                Event::FromClient(piece) => {
                    let piece = piece.map_err(Stop::Refuse)?;
                    self.take(piece, story).await?;
                }
                Event::ClientLeft => return Err(Stop::Left),
                Event::Sent(Ok(upload)) => {
                    let last = matches!(self.up, Up::Busy(_, true));
                    self.up = if last { Up::Done } else { Up::Ready(upload) };
                }
                // An upstream that takes no more may still answer; if it does not, that will tell.
                Event::Sent(Err(_)) => self.up = Up::Short,
                Event::Head(came) => {
                    came.map_err(|failure| self.failed(failure, answering))?;
                    answering.answered(&self.exchange.shared.metrics);
                    self.begin_answer(answering, session, story).await?;
                }
                Event::Piece(piece) => {
                    let piece = piece.map_err(|failure| self.failed(failure, answering))?;
                    let length = piece.as_ref().map_or(0, Bytes::len);
                    self.exchange.charge(length, story).await.map_err(Stop::Refuse)?;
                    self.write(piece, answering, session, story).await?;
                }
                Event::Written(Ok(outlet)) => self.down = Down::Ready(outlet),
                Event::Written(Err(_)) => return Err(Stop::Left),
                Event::Late => {
                    answering.conversation.distrust();
                    return Err(Stop::Refuse(self.deadline.missed().refusal("the other side")));
                }
            }
            if matches!(self.down, Down::Done) {
                return Ok(());
            }
            self.moved(first_byte);
        }
    }

    /// Something moved. An upstream that has the whole request has as long for its head as any; else it is a pause.
    fn moved(&mut self, first_byte: std::time::Duration) {
        let waits = matches!((&self.up, &self.down), (Up::Done, Down::Waiting));
        self.limit = if waits { self.deadline.after(first_byte) } else { self.deadline.pause() };
    }

    async fn next(&mut self, conversation: &mut Conversation, session: &mut ServerSession) -> Event {
        let limit = self.limit;
        let (reads, waiting) = (matches!(self.up, Up::Ready(_)), matches!(self.down, Down::Waiting));
        let open = matches!(self.down, Down::Inline | Down::Ready(_));
        let unread = !session.is_body_done();
        let watched = match self.down {
            Down::Waiting => session.is_http2() || !unread,
            // Of a body that is not read nobody can tell whether its sender is still there; writing will show it.
            Down::Inline => !unread,
            Down::Ready(_) | Down::Busy(_) | Down::Done => false,
        };
        let (up, down) = (&mut self.up, &mut self.down);
        let client = async {
            if reads {
                let read = session.read_request_body().await;
                return Event::FromClient(read.map_err(|error| broken(&error)));
            }
            if !watched {
                return std::future::pending().await;
            }
            client_left(session).await;
            Event::ClientLeft
        };
        let outlet = async {
            match down {
                Down::Busy(writing) => Event::Written(writing.await),
                Down::Ready(outlet) => {
                    outlet.is_unwanted().await;
                    Event::ClientLeft
                }
                Down::Waiting | Down::Inline | Down::Done => std::future::pending().await,
            }
        };
        let answer = async {
            match (waiting, open) {
                (true, _) => Event::Head(conversation.read_head().await),
                (false, true) => Event::Piece(conversation.read_body().await),
                (false, false) => std::future::pending().await,
            }
        };
        let sending = async {
            match up {
                Up::Busy(sending, _) => Event::Sent(sending.await),
                Up::Ready(_) | Up::Done | Up::Short => std::future::pending().await,
            }
        };
        tokio::select! {
            event = answer => event,
            event = sending => event,
            event = outlet => event,
            event = client => event,
            () = tokio::time::sleep_until(limit) => Event::Late,
        }
    }

    /// Sends on what came from the client; nothing is the end.
    async fn take(&mut self, piece: Option<Bytes>, story: &mut Story) -> Result<(), Stop> {
        let Up::Ready(mut upload) = std::mem::replace(&mut self.up, Up::Short) else { return Ok(()) };
        let last = piece.is_none();
        let piece = piece.unwrap_or_default();
        story.bytes_in = story.bytes_in.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        if story.bytes_in > self.max {
            upload.cancel();
            return Err(Stop::Refuse(too_large(self.max)));
        }
        if let Err(refusal) = self.exchange.charge(piece.len(), story).await {
            upload.cancel();
            return Err(Stop::Refuse(refusal));
        }
        self.up = Up::Busy(Box::pin(upload.push(piece, last)), last);
        Ok(())
    }

    async fn begin_answer(
        &mut self,
        answering: &mut Answering,
        session: &mut ServerSession,
        story: &mut Story,
    ) -> Result<(), Stop> {
        let Some(response) = answering.conversation.head() else {
            return Err(refuse("the upstream sent no head"));
        };
        if response.status == http::StatusCode::SWITCHING_PROTOCOLS {
            return Err(refuse("the upstream switched protocols unasked"));
        }
        if let Some(egress) = &self.matched.route.policy.network.egress {
            let tls = self.exchange.connection.tls.is_some();
            guard::refuse_redirect(egress.redirects, response, &self.head.host, tls).map_err(Stop::Refuse)?;
        }
        let bodiless = self.head.method == "HEAD" || matches!(response.status.as_u16(), 204 | 304);
        let out = self.forwarded(response, bodiless, story)?;
        story.status = response.status.as_u16();
        self.exchange.announce_drain(session);
        let whole = bodiless || answering.conversation.has_ended();
        match session {
            ServerSession::H2(h2) => {
                // Where the head is all there is, it says so itself: gRPC tells an error in that way.
                h2.write_response_header(Box::new(out), whole).map_err(|_| Stop::Left)?;
                self.down = match h2.take_response_body_writer() {
                    _ if whole => Down::Done,
                    Some(writer) => Down::Ready(Outlet::new(writer)),
                    None => return Err(Stop::Left),
                };
            }
            _ => {
                let written = self.deadline.step(session.write_response_header(Box::new(out))).await;
                if !matches!(written, Ok(Ok(()))) {
                    return Err(Stop::Left);
                }
                self.down = Down::Inline;
            }
        }
        Ok(())
    }

    fn forwarded(&self, response: &ResponseHeader, bodiless: bool, story: &Story) -> Result<ResponseHeader, Stop> {
        let framing = if bodiless { Framing::None } else { Framing::AsReceived };
        let access = &self.matched.route.policy.access;
        answer::forwarded_head(response, access, story, self.exchange.hsts(), framing)
            .map_err(|error| Stop::Refuse(unmade(&error)))
    }

    /// Writes a piece of the answer, or its end.
    async fn write(
        &mut self,
        piece: Option<Bytes>,
        answering: &mut Answering,
        session: &mut ServerSession,
        story: &mut Story,
    ) -> Result<(), Stop> {
        let length = piece.as_ref().map_or(0, Bytes::len);
        story.bytes_out = story.bytes_out.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
        match (std::mem::replace(&mut self.down, Down::Done), piece) {
            (Down::Ready(mut outlet), Some(piece)) => {
                let writing = async move { outlet.send(piece, false).await.map(|()| outlet) };
                self.down = Down::Busy(Box::pin(writing));
            }
            (Down::Ready(mut outlet), None) => {
                let trailers = answering.conversation.read_trailers().await;
                let trailers = match trailers {
                    Ok(trailers) => trailers.map(|trailers| self.cleaned(trailers)),
                    Err(failure) => {
                        outlet.fail();
                        return Err(self.failed(failure, answering));
                    }
                };
                let ended = match trailers {
                    Some(trailers) => outlet.end_with(trailers),
                    None => outlet.send(Bytes::new(), true).await,
                };
                ended.map_err(|_| Stop::Left)?;
            }
            (_, piece) => {
                let (end, piece) = (piece.is_none(), piece.unwrap_or_default());
                let written = self.deadline.step(session.write_response_body(piece, end)).await;
                if !matches!(written, Ok(Ok(()))) {
                    return Err(Stop::Left);
                }
                self.down = if end { Down::Done } else { Down::Inline };
            }
        }
        Ok(())
    }

    fn cleaned(&self, trailers: HeaderMap) -> HeaderMap {
        clean_trailers(trailers, &self.matched.route.policy.access.response_remove)
    }

    fn failed(&self, failure: Failure, answering: &Answering) -> Stop {
        answering.broke_off(&failure, &self.exchange.shared.metrics);
        Stop::Refuse(failure.refusal())
    }

    /// Leaves both sides as they have to be left.
    async fn close(
        mut self,
        ended: Result<(), Stop>,
        mut answering: Answering,
        session: &mut ServerSession,
        story: &mut Story,
    ) -> Result<bool, Refusal> {
        if matches!((&ended, &self.up), (Ok(()), Up::Done)) {
            answering.finish().await;
            return Ok(true);
        }
        match &mut self.up {
            Up::Ready(upload) => upload.cancel(),
            // Dropping it resets the stream, or closes the connection.
            Up::Busy(..) | Up::Done | Up::Short => {}
        }
        answering.conversation.abort().await;
        session.set_keepalive(None);
        match ended {
            // An answer that did not wait for the rest of the request.
            Ok(()) => {}
            Err(Stop::Left) => story.note_trouble("the client left during the exchange"),
            Err(Stop::Refuse(refusal)) if matches!(self.down, Down::Waiting) => return Err(refusal),
            Err(Stop::Refuse(refusal)) => {
                if let Down::Ready(outlet) = &mut self.down {
                    outlet.fail();
                }
                story.note_trouble(refusal.detail.clone());
                if refusal.reason == Reason::OverLimit {
                    story.refuse(refusal);
                }
            }
        }
        Ok(false)
    }
}

fn refuse(detail: &str) -> Stop {
    Stop::Refuse(Refusal::new(Reason::UpstreamFailed, detail))
}
