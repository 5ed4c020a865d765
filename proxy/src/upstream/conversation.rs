//! One request and its answer on a connection to an upstream: HTTP/1.1 through Pingora's session, HTTP/2 through h2.

use std::pin::pin;

use bytes::Bytes;
use http::{HeaderMap, Method};
use pingora_core::protocols::http::v1::client::HttpSession;
use pingora_http::{RequestHeader, ResponseHeader};
use postern_filters::Peer;

use super::failure::{Failure, FailureKind};
use super::h2_stream::H2Stream;
use super::upload::Upload;
use super::wire::Wire;
use crate::{head, trouble};

/// Heads with a status below 200 that may come before the answer.
const MAX_INFORMATIONAL: usize = 16;

/// A conversation. Dropping one that has not ended closes its HTTP/1.1 connection, or resets its HTTP/2 stream.
pub(crate) enum Conversation {
    H1(Box<H1>),
    H2(Box<H2Stream>),
}

pub(crate) struct H1 {
    pub(crate) session: HttpSession,
    pub(crate) wire: Wire,
    reused: bool,
    read_before: u64,
    /// The answer came before the request had been sent to its end.
    short: bool,
}

impl Conversation {
    pub(crate) fn h1(wire: Wire, reused: bool) -> Self {
        let (session, read_before) = (HttpSession::new(Box::new(wire.clone())), wire.bytes_read());
        Self::H1(Box::new(H1 { session, wire, reused, read_before, short: false }))
    }

    pub(crate) fn address(&self) -> Peer {
        match self {
            Self::H1(h1) => h1.wire.address(),
            Self::H2(h2) => h2.address(),
        }
    }

    /// Sends a whole request and reads the head of the answer.
    pub(crate) async fn ask(&mut self, request: Box<RequestHeader>, body: Bytes) -> Result<(), Failure> {
        match self {
            Self::H1(h1) => match h1.ask(request, body).await {
                Ok(()) => h1.check_head(),
                Err(error) => Err(h1.failed(&error)),
            },
            Self::H2(h2) => {
                h2.send_head(&request, body.is_empty()).await?;
                if !body.is_empty() {
                    h2.send_whole(body).await?;
                }
                h2.read_head().await
            }
        }
    }

    /// Sends the head of a request whose body follows piece by piece; `declared` is how long that will be, if it was said.
    pub(crate) async fn open(
        &mut self,
        request: Box<RequestHeader>,
        has_body: bool,
        declared: Option<u64>,
    ) -> Result<Option<Upload>, Failure> {
        match self {
            Self::H1(h1) => {
                h1.session.write_request_header(request).await.map_err(|error| h1.failed(&error))?;
                Ok(has_body.then(|| Upload::H1 { wire: h1.wire.clone(), left: declared }))
            }
            Self::H2(h2) => {
                h2.send_head(&request, !has_body).await?;
                Ok(h2.take_outlet().filter(|_| has_body).map(Upload::H2))
            }
        }
    }

    /// Reads the head of the answer. May be given up and called again.
    pub(crate) async fn read_head(&mut self) -> Result<(), Failure> {
        match self {
            Self::H1(h1) => match h1.read_head().await {
                Ok(()) => h1.check_head(),
                Err(error) => Err(h1.failed(&error)),
            },
            Self::H2(h2) => h2.read_head().await,
        }
    }

    /// What follows the body of an HTTP/2 answer.
    pub(crate) async fn read_trailers(&mut self) -> Result<Option<HeaderMap>, Failure> {
        match self {
            Self::H1(_) => Ok(None),
            Self::H2(h2) => h2.read_trailers().await,
        }
    }

    /// Whether the answer is known to be a head and nothing else.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self, Self::H2(h2) if h2.has_ended())
    }

    /// The head of the answer; it is there once it was read.
    pub(crate) fn head(&self) -> Option<&ResponseHeader> {
        match self {
            Self::H1(h1) => h1.session.resp_header(),
            Self::H2(h2) => h2.head(),
        }
    }

    /// The next piece of the answer, or nothing at its end. Trailers are left out.
    pub(crate) async fn read_body(&mut self) -> Result<Option<Bytes>, Failure> {
        match self {
            Self::H1(h1) => {
                let read = h1.session.read_body_bytes().await;
                read.map_err(|error| Failure::broken(format!("the upstream broke off: {}", trouble::of(&error))))
            }
            Self::H2(h2) => h2.read_body().await,
        }
    }

    /// Ends a conversation whose answer was read. What comes back can be kept.
    pub(crate) async fn end(self) -> Option<Wire> {
        match self {
            Self::H1(mut h1) if h1.short => {
                h1.session.shutdown().await;
                None
            }
            Self::H1(mut h1) => {
                h1.session.respect_keepalive();
                let wire = h1.wire;
                h1.session.reuse().await.map(|_| wire)
            }
            Self::H2(h2) => {
                h2.end().await;
                None
            }
        }
    }

    /// Ends it where it stands.
    pub(crate) async fn abort(&mut self) {
        match self {
            Self::H1(h1) => h1.session.shutdown().await,
            Self::H2(h2) => h2.abort(),
        }
    }

    /// It hung: nothing else is sent on its connection.
    pub(crate) fn distrust(&mut self) {
        if let Self::H2(h2) = self {
            h2.retire();
        }
    }
}

impl H1 {
    async fn ask(&mut self, request: Box<RequestHeader>, body: Bytes) -> pingora_core::Result<()> {
        self.session.write_request_header(request).await?;
        if body.is_empty() {
            self.session.finish_body().await?;
            return self.read_head().await;
        }
        // A server that refuses a body may say so and read no further: its answer is read while the body goes out.
        let left = Some(u64::try_from(body.len()).unwrap_or(u64::MAX));
        let mut sending = pin!(Upload::H1 { wire: self.wire.clone(), left }.push(body, true));
        let first = {
            let mut reading = pin!(self.read_head());
            tokio::select! {
                read = &mut reading => Err(read),
                // Not all was taken: what was said before that is the answer.
                sent = &mut sending => Ok((sent.is_err(), reading.await)),
            }
        };
        let (short, read) = match first {
            Ok((short, read)) => (short, read),
            Err(read) => {
                let refused = self.session.resp_header().is_none_or(|head| head.status.as_u16() >= 300);
                // Otherwise the server goes on reading, and has a right to the rest.
                (refused || sending.await.is_err(), read)
            }
        };
        self.short = short;
        read
    }

    pub(crate) async fn read_head(&mut self) -> pingora_core::Result<()> {
        for _ in 0..MAX_INFORMATIONAL {
            self.session.read_response().await?;
            match self.session.resp_header() {
                Some(head) if head.status.is_informational() && head.status != 101 => {}
                _ => return Ok(()),
            }
        }
        let kind = pingora_core::ErrorType::InvalidHTTPHeader;
        pingora_core::Error::e_explain(kind, "too many informational answers")
    }

    pub(crate) fn check_head(&self) -> Result<(), Failure> {
        let Some(answer) = self.session.resp_header() else { return Err(Failure::broken("the upstream sent no head")) };
        head::check_answer(&self.session.get_headers_raw_bytes(), &answer.headers).map_err(Failure::broken)
    }

    pub(crate) fn failed(&self, error: &pingora_core::Error) -> Failure {
        let silent = self.wire.bytes_read() == self.read_before;
        let kind = if self.reused && silent { FailureKind::ClosedUnanswered } else { FailureKind::Broken };
        let on = if self.reused { " (on a pooled connection)" } else { "" };
        Failure::new(kind, format!("the upstream broke off{on}: {}", trouble::of(error)))
    }
}

/// Whether sending a request twice does what sending it once does (RFC 9110 §9.2.2).
pub(crate) fn is_idempotent(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::PUT | Method::DELETE)
}

/// Trailers of an answer as they may go on: nothing that a head decides about, no hop-by-hop (attack 37).
pub(crate) fn clean_trailers(trailers: HeaderMap, removed: &[String]) -> HeaderMap {
    let mut clean = HeaderMap::with_capacity(trailers.len());
    let mut name = None;
    for (next, value) in trailers {
        name = next.or(name);
        let Some(name) = &name else { continue };
        if may_trail(name.as_str()) && !removed.iter().any(|removed| removed == name.as_str()) {
            clean.append(name.clone(), value);
        }
    }
    clean
}

/// RFC 9110 §6.5.1: no framing, routing, authentication, or what says how content is read; and nothing in a spelling
/// that some application takes for such a name.
fn may_trail(name: &str) -> bool {
    const FORBIDDEN: [&str; 27] = [
        "accept-ranges",
        "age",
        "authorization",
        "cache-control",
        "connection",
        "content-disposition",
        "content-encoding",
        "content-length",
        "content-location",
        "content-range",
        "content-security-policy",
        "content-type",
        "date",
        "expires",
        "host",
        "keep-alive",
        "location",
        "set-cookie",
        "strict-transport-security",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "vary",
        "www-authenticate",
        "postern-decision",
        "alt-svc",
    ];
    const BEGINNINGS: [&str; 4] = ["proxy-", "access-control-", "x-forwarded-", "x-user-"];
    let spelled = name.replace(['_', '.'], "-");
    let grpc = name.starts_with("grpc-");
    !FORBIDDEN.contains(&spelled.as_str())
        && !BEGINNINGS.iter().any(|beginning| spelled.starts_with(beginning))
        && (grpc || spelled == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack_37_trailers_carry_nothing_that_a_head_decides_about() {
        let mut trailers = HeaderMap::new();
        for (name, value) in [
            ("grpc-status", "0"),
            ("grpc-message", "fine"),
            ("x-checksum", "abc"),
            ("x-checksum", "def"),
            ("authorization", "Bearer x"),
            ("set-cookie", "a=b"),
            ("set_cookie", "a=b"),
            ("content-length", "3"),
            ("transfer-encoding", "chunked"),
            ("host", "evil"),
            ("x-user-id", "root"),
            ("x_user_id", "root"),
            ("x-forwarded-for", "10.0.0.1"),
            ("location", "https://evil"),
            ("x-removed", "by policy"),
        ] {
            trailers.append(http::HeaderName::from_static(name), value.parse().unwrap());
        }
        let clean = clean_trailers(trailers, &["x-removed".to_owned()]);
        let names: Vec<&str> = clean.keys().map(http::HeaderName::as_str).collect();
        assert_eq!(names, ["grpc-status", "grpc-message", "x-checksum"]);
        assert_eq!(clean.get_all("x-checksum").iter().count(), 2);
    }
}
