//! HTTP/1.1: one request after the other, as long as the connection may carry another.

use bytes::BytesMut;
use pingora_core::protocols::Stream;
use pingora_core::protocols::http::ServerSession;
use postern_filters::{Reason, Refusal};
use tokio::sync::watch;

use super::ConnectionApp;
use super::inbound::{self, Arrival};
use crate::trouble;

impl ConnectionApp {
    pub(super) async fn serve_h1(&self, mut stream: Stream, mut shutdown: watch::Receiver<bool>) {
        let (mut ahead, mut first) = (BytesMut::new(), true);
        let limits = inbound::Limits::of(&self.connection.guard());
        loop {
            let arrival = inbound::next(&mut stream, &mut ahead, first, &mut shutdown, limits).await;
            first = false;
            let mut session = ServerSession::new_http1(stream);
            // What a client sends behind a request waits its turn instead of being taken for its leaving.
            session.set_pipelining_enabled(true);
            let begun = match arrival {
                Arrival::Nothing => return,
                Arrival::Torn => {
                    let detail = "the connection ended inside a request head";
                    return self.shared.record_connection(&self.connection, false, detail);
                }
                Arrival::Refused(refusal) => Err(refusal),
                Arrival::Head => {
                    let early = inbound::is_early_tunnel(&ahead);
                    session.set_pipelined_prefix(ahead);
                    if early {
                        // Attack 38: nobody may take it for a request, or for a tunnel that was not permitted yet.
                        Err(Refusal::new(Reason::Malformed, "bytes behind `CONNECT` before it was answered"))
                    } else {
                        parse(&mut session, limits).await
                    }
                }
            };
            let Some(reusable) = self.request(session, begun, &shutdown).await else { return };
            let (next, rest) = reusable.into_parts();
            (stream, ahead) = (next, rest.unwrap_or_default());
        }
    }
}

/// Has Pingora parse the head that was read.
async fn parse(session: &mut ServerSession, limits: inbound::Limits) -> Result<(), Refusal> {
    match tokio::time::timeout(limits.within, session.read_request()).await {
        Ok(Ok(true)) => Ok(()),
        Ok(Ok(false)) => Err(Refusal::new(Reason::Malformed, "the request has no head")),
        Ok(Err(error)) => Err(Refusal::new(Reason::Malformed, trouble::of(&error))),
        Err(_) => Err(Refusal::new(Reason::SlowRequest, "no request head in time")),
    }
}
