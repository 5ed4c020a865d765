//! Connects to one of the addresses of an endpoint, and makes sure who answers there.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use postern_certs::UpstreamTls;
use postern_config::UpstreamProtocol;
use postern_filters::Peer;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use super::breaker::Lease;
use super::failure::{Failure, FailureKind};
use super::judge::Open;
use super::wire::{Line, Wire};

/// Head start of an address over the next one (RFC 8305 §5).
const STAGGER: Duration = Duration::from_millis(250);
const H2: &[u8] = b"h2";

/// How connections of one upstream are made.
#[derive(Debug)]
pub(crate) struct Dialler {
    pub(crate) protocol: UpstreamProtocol,
    /// `None` is plain, which loads for this machine only.
    pub(crate) tls: Option<PeerTls>,
}

/// Whom to expect, and how to make sure. The configuration verifies; nothing is sent before it has.
#[derive(Clone)]
pub(crate) struct PeerTls {
    pub(crate) config: Arc<ClientConfig>,
    pub(crate) name: ServerName<'static>,
    pub(crate) made_by: Arc<UpstreamTls>,
    pub(crate) open: Arc<Open>,
}

impl std::fmt::Debug for PeerTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PeerTls").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What a protocol is called in TLS (RFC 7301).
pub(crate) fn alpn(protocol: UpstreamProtocol) -> &'static [u8] {
    match protocol {
        UpstreamProtocol::Http1 => b"http/1.1",
        UpstreamProtocol::Http2 => H2,
    }
}

impl Dialler {
    /// A connection to the first of `addresses` that answers, TLS done, within `deadline`.
    pub(crate) async fn dial(
        &self,
        addresses: &[SocketAddr],
        lease: Option<Lease>,
        deadline: Instant,
    ) -> Result<Wire, Failure> {
        if let Some(why) = self.tls.as_ref().and_then(|tls| tls.open.lacks(&tls.made_by)) {
            return Err(Failure::new(FailureKind::Tls, why));
        }
        let late = |what: &str| {
            Failure::new(FailureKind::Connect, format!("the upstream could not be reached: {what} took too long"))
        };
        let connected = tokio::time::timeout_at(deadline, first_to_answer(addresses)).await;
        let (tcp, address) = connected.map_err(|_| late("TCP"))?.map_err(|error| {
            Failure::new(FailureKind::Connect, format!("the upstream could not be reached: {error}"))
        })?;
        let failed =
            |error: io::Error| Failure::new(FailureKind::Connect, format!("the connection to {address}: {error}"));
        tcp.set_nodelay(true).map_err(failed)?;
        let Some(tls) = &self.tls else { return Ok(Wire::new(Line::Plain(tcp), Peer::Tcp(address), lease)) };
        let handshake = TlsConnector::from(tls.config.clone()).connect(tls.name.clone(), tcp);
        let stream = tokio::time::timeout_at(deadline, handshake).await.map_err(|_| late("TLS"))?;
        let stream = stream.map_err(|error| Failure::new(FailureKind::Tls, format!("TLS with {address}: {error}")))?;
        let agreed = stream.get_ref().1.alpn_protocol();
        let wanted = alpn(self.protocol);
        // A server without ALPN speaks HTTP/1.1; HTTP/2 has to be agreed on.
        if agreed != Some(wanted) && !(agreed.is_none() && self.protocol == UpstreamProtocol::Http1) {
            let detail = format!("TLS with {address}: it did not agree to `{}`", String::from_utf8_lossy(wanted));
            return Err(Failure::new(FailureKind::Tls, detail));
        }
        let wire = Wire::new(Line::Tls(Box::new(stream)), Peer::Tcp(address), lease);
        let entered = tls.open.enter(&wire, &tls.made_by);
        entered.map_err(|why| Failure::new(FailureKind::Tls, format!("TLS with {address}: {why}")))?;
        Ok(wire)
    }
}

/// Tries the addresses in their order, each a little after the last or as soon as that one failed; whichever answers
/// first is taken.
async fn first_to_answer(addresses: &[SocketAddr]) -> io::Result<(TcpStream, SocketAddr)> {
    let mut left = addresses.iter().copied();
    let mut trying = FuturesUnordered::new();
    let connect = |address: SocketAddr| async move { TcpStream::connect(address).await.map(|tcp| (tcp, address)) };
    let mut why = io::Error::new(io::ErrorKind::NotFound, "no address");
    trying.extend(left.next().map(connect));
    loop {
        let ended = tokio::select! {
            ended = trying.next() => ended,
            () = tokio::time::sleep(STAGGER), if left.len() > 0 => {
                trying.extend(left.next().map(connect));
                continue;
            }
        };
        match ended {
            Some(Ok(connected)) => return Ok(connected),
            Some(Err(error)) => {
                why = error;
                trying.extend(left.next().map(connect));
            }
            None => return Err(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn an_address_that_does_not_answer_gives_way_to_the_next() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = listener.local_addr().unwrap();
        // Bound, so that nobody else takes it, and not listening.
        let unheard = tokio::net::TcpSocket::new_v4().unwrap();
        unheard.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let closed = unheard.local_addr().unwrap();
        let (_, address) = first_to_answer(&[closed, open]).await.unwrap();
        assert_eq!(address, open);
        assert!(first_to_answer(&[closed]).await.is_err());
        assert!(first_to_answer(&[]).await.is_err());
    }
}
