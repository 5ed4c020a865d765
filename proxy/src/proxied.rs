//! Where a connection or a request comes from, by the word of a trusted proxy in front of us.

use std::time::Duration;

use pingora_core::protocols::l4::stream::Stream;
use postern_config::TrustedProxy;
use postern_filters::Peer;
use postern_filters::proxy_protocol::{self, Announced, HEAD, ProxyError};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Time for a PROXY header; the proxy sends it with its first packet.
const PATIENCE: Duration = Duration::from_secs(5);

/// Who is behind a connection that begins with a PROXY header. Not a byte behind the header is read.
///
/// # Errors
/// Why the connection is refused, for records.
pub(crate) async fn announced(stream: &mut Stream, peer: Peer, trusted: &[TrustedProxy]) -> Result<Peer, String> {
    let Peer::Tcp(address) = peer else { return Err("a PROXY header over a Unix socket".to_owned()) };
    // A certificate, if one is demanded, comes after the header: too late to believe it.
    if !trusted.iter().any(|proxy| proxy.principal.is_none() && proxy.is(address.ip(), None)) {
        return Err("only trusted proxies connect to this listener".to_owned());
    }
    match tokio::time::timeout(PATIENCE, read(stream)).await {
        Ok(Ok(Announced::Client(client))) => Ok(Peer::Tcp(client)),
        Ok(Ok(Announced::Local)) => Ok(peer),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no PROXY header within {} s", PATIENCE.as_secs())),
    }
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Announced, ProxyError> {
    let mut head = [0; HEAD];
    // By pieces: a request of another protocol may be shorter than this, and is told apart by its beginning.
    let mut come = 0;
    while let Some(room) = head.get_mut(come..).filter(|room| !room.is_empty()) {
        match stream.read(room).await {
            Ok(count) if count > 0 => come += count,
            _ => return Err(ProxyError::Absent),
        }
    }
    let whole = proxy_protocol::length(&head)?;
    let mut header = head.to_vec();
    header.resize(whole, 0);
    let rest = header.get_mut(HEAD..).unwrap_or_default();
    stream.read_exact(rest).await.map_err(|_| ProxyError::Length)?;
    proxy_protocol::read(&header)
}
