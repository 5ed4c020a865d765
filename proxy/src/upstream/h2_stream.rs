//! One request on an HTTP/2 connection to an upstream.

use std::future::poll_fn;
use std::task::Poll;

use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Request, Uri, Version, header};
use pingora_http::{RequestHeader, ResponseHeader};
use postern_filters::Peer;

use super::failure::{Failure, FailureKind};
use super::pool::H2Place;
use crate::head;

/// A request on its way, and then its answer.
pub(crate) struct H2Stream {
    place: H2Place,
    https: bool,
    reused: bool,
    up: Option<Outlet>,
    coming: Option<ResponseFuture>,
    head: Option<ResponseHeader>,
    down: Option<RecvStream>,
}

/// The sending side of a stream: the body of a request to an upstream, or of an answer to a client. Dropping one that
/// has not ended resets the stream.
pub(crate) struct Outlet {
    send: SendStream<Bytes>,
    ended: bool,
}

impl H2Stream {
    pub(crate) fn new(place: H2Place, https: bool, reused: bool) -> Self {
        Self { place, https, reused, up: None, coming: None, head: None, down: None }
    }

    pub(crate) fn address(&self) -> Peer {
        self.place.state.address
    }

    /// Sends the head; `end` where there is no body.
    pub(crate) async fn send_head(&mut self, request: &RequestHeader, end: bool) -> Result<(), Failure> {
        let request = head_of(request, self.https)?;
        // Until here nothing was sent: a connection that ends meanwhile is a connection that was not made.
        let ready = self.place.send.clone().ready().await;
        let mut send = ready.map_err(|error| self.failed(&error, FailureKind::Connect))?;
        let sent = send.send_request(request, end);
        let (coming, send) = sent.map_err(|error| self.failed(&error, FailureKind::Connect))?;
        self.coming = Some(coming);
        self.up = Some(Outlet { send, ended: end });
        Ok(())
    }

    /// Sends a whole body. An answer that comes before its end is looked at first.
    pub(crate) async fn send_whole(&mut self, body: Bytes) -> Result<(), Failure> {
        let Some(mut up) = self.up.take() else { return Ok(()) };
        let sent = tokio::select! {
            biased;
            answered = self.read_head() => {
                answered?;
                // It did not need the rest.
                None
            }
            sent = up.send(body, true) => Some(sent),
        };
        self.up = Some(up);
        match sent {
            Some(Err(error)) => Err(self.failed(&error, FailureKind::Broken)),
            Some(Ok(())) | None => Ok(()),
        }
    }

    /// Reads the head of the answer, if it was not yet.
    pub(crate) async fn read_head(&mut self) -> Result<(), Failure> {
        let Some(coming) = &mut self.coming else { return Ok(()) };
        let came = coming.await;
        self.coming = None;
        let (parts, down) = came.map_err(|error| self.failed(&error, FailureKind::Broken))?.into_parts();
        let head = ResponseHeader::from(parts);
        head::check_h2_answer(&head.headers).map_err(Failure::broken)?;
        self.head = Some(head);
        self.down = Some(down);
        Ok(())
    }

    pub(crate) fn head(&self) -> Option<&ResponseHeader> {
        self.head.as_ref()
    }

    pub(crate) async fn read_body(&mut self) -> Result<Option<Bytes>, Failure> {
        let Some(down) = &mut self.down else { return Ok(None) };
        let piece = match down.data().await {
            Some(Ok(piece)) => piece,
            Some(Err(error)) => return Err(broke_off(&error)),
            None => return Ok(None),
        };
        let _ = down.flow_control().release_capacity(piece.len());
        Ok(Some(piece))
    }

    /// What follows the body.
    pub(crate) async fn read_trailers(&mut self) -> Result<Option<HeaderMap>, Failure> {
        let Some(down) = &mut self.down else { return Ok(None) };
        down.trailers().await.map_err(|error| broke_off(&error))
    }

    /// Whether the answer is its head and nothing else.
    pub(crate) fn has_ended(&self) -> bool {
        self.down.as_ref().is_some_and(RecvStream::is_end_stream)
    }

    /// Takes the sending side, for a body that goes out while the answer comes in.
    pub(crate) fn take_outlet(&mut self) -> Option<Outlet> {
        self.up.take()
    }

    /// Reads the end, so that the connection has the stream behind it.
    pub(crate) async fn end(mut self) {
        let _ = self.read_trailers().await;
        match &mut self.up {
            // The answer came first: what is left of the request is of no use (RFC 9113 §8.1).
            Some(up) if !up.ended => up.send.send_reset(Reason::NO_ERROR),
            _ => {}
        }
    }

    pub(crate) fn abort(&mut self) {
        match &mut self.up {
            Some(up) => up.send.send_reset(Reason::CANCEL),
            // Dropping what reads cancels it.
            None => self.down = None,
        }
    }

    pub(crate) fn retire(&self) {
        self.place.state.retire();
    }

    fn failed(&self, error: &h2::Error, otherwise: FailureKind) -> Failure {
        let refused = error.is_remote() && (error.is_go_away() || error.reason() == Some(Reason::REFUSED_STREAM));
        if !error.is_reset() {
            self.retire();
        }
        let kind = match otherwise {
            FailureKind::Connect => FailureKind::Connect,
            // Of a GOAWAY only those streams hear that the other side did not process (RFC 9113 §6.8).
            _ if refused => FailureKind::RefusedStream,
            _ if self.reused && error.is_io() => FailureKind::ClosedUnanswered,
            other => other,
        };
        let on = if self.reused { " (on a pooled connection)" } else { "" };
        Failure::new(kind, format!("the upstream broke off{on}: {error}"))
    }
}

fn broke_off(error: &h2::Error) -> Failure {
    Failure::broken(format!("the upstream broke off: {error}"))
}

impl Outlet {
    pub(crate) fn new(send: SendStream<Bytes>) -> Self {
        Self { send, ended: false }
    }

    /// Ends with trailers.
    pub(crate) fn end_with(&mut self, trailers: HeaderMap) -> Result<(), h2::Error> {
        self.ended = true;
        self.send.send_trailers(trailers)
    }

    /// Sends `bytes`, as far and as fast as the other side takes them.
    pub(crate) async fn send(&mut self, mut bytes: Bytes, end: bool) -> Result<(), h2::Error> {
        while !bytes.is_empty() {
            self.send.reserve_capacity(bytes.len());
            let room = poll_fn(|cx| self.send.poll_capacity(cx)).await;
            let room = match room {
                Some(room) => room?.min(bytes.len()),
                None => return Err(Reason::STREAM_CLOSED.into()),
            };
            let piece = bytes.split_to(room);
            self.send.send_data(piece, end && bytes.is_empty())?;
            self.ended = end && bytes.is_empty();
        }
        if end && !self.ended {
            self.send.send_data(Bytes::new(), true)?;
            self.ended = true;
        }
        Ok(())
    }

    /// Ends the request where it stands: it never was whole.
    pub(crate) fn cancel(&mut self) {
        if !self.ended {
            self.send.send_reset(Reason::CANCEL);
        }
    }

    /// Ends an answer where it stands.
    pub(crate) fn fail(&mut self) {
        self.send.send_reset(Reason::INTERNAL_ERROR);
    }

    /// Resolves when the other side wants no more of it.
    pub(crate) async fn is_unwanted(&mut self) {
        poll_fn(|cx| match self.send.poll_reset(cx) {
            Poll::Ready(_) => Poll::Ready(()),
            Poll::Pending => Poll::Pending,
        })
        .await;
    }
}

/// The head as HTTP/2 has it: the authority in its place, and nothing that concerns one hop.
fn head_of(from: &RequestHeader, https: bool) -> Result<Request<()>, Failure> {
    let failed =
        |why: String| Failure::new(FailureKind::Request, format!("the upstream request could not be made: {why}"));
    let authority = from.headers.get(header::HOST).map(http::HeaderValue::as_bytes).unwrap_or_default();
    let path = std::str::from_utf8(from.raw_path()).map_err(|error| failed(error.to_string()))?;
    let uri = Uri::builder()
        .scheme(if https { "https" } else { "http" })
        .authority(authority)
        .path_and_query(path)
        .build()
        .map_err(|error| failed(error.to_string()))?;
    let mut request = Request::new(());
    *request.method_mut() = from.method.clone();
    *request.uri_mut() = uri;
    *request.version_mut() = Version::HTTP_2;
    for (name, value) in &from.headers {
        if !matches!(*name, header::HOST | header::CONNECTION | header::TRANSFER_ENCODING | header::UPGRADE) {
            request.headers_mut().append(name.clone(), value.clone());
        }
    }
    Ok(request)
}
