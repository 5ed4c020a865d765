//! From a URL to a connection: who may be dialled, the dial itself, the handshake.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use aws_lc_rs::digest;
use postern_config::Digest;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Addresses, Limits, OutboundError, Step, Url};

/// Addresses of a host that are tried.
const ATTEMPTS: usize = 4;

/// A connection that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dialled {
    pub(crate) address: SocketAddr,
    /// `None` for plain HTTP on this machine.
    pub(crate) security: Option<Security>,
}

/// What the handshake settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Security {
    pub(crate) version: String,
    pub(crate) suite: String,
    pub(crate) group: String,
    /// SHA-256 of the server's certificate.
    pub(crate) certificate: Digest,
}

/// A connection, with TLS or without.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

pub(super) async fn dial(
    gate: &dyn Addresses,
    tls: &Arc<ClientConfig>,
    url: &Url,
    plain_loopback: bool,
    limits: &Limits,
) -> Result<(Stream, Dialled), OutboundError> {
    if !url.is_https() && !plain_loopback {
        return Err(OutboundError::NotHttps(url.to_string()));
    }
    let connected = within(limits.connect, Step::Connect(limits.connect), async {
        let addresses = gate.admit(url.host(), url.port()).await.map_err(OutboundError::NotAdmitted)?;
        if !url.is_https() && !addresses.iter().all(|address| address.ip().is_loopback()) {
            return Err(OutboundError::NotHttps(url.to_string()));
        }
        connect(&addresses, url.host()).await
    });
    let (stream, address) = connected.await?;
    if !url.is_https() {
        return Ok((Stream::Plain(stream), Dialled { address, security: None }));
    }
    let stream =
        within(limits.handshake, Step::Handshake(limits.handshake), handshake(tls, stream, url.host())).await?;
    let security = security(&stream);
    Ok((Stream::Tls(Box::new(stream)), Dialled { address, security }))
}

async fn connect(addresses: &[SocketAddr], host: &str) -> Result<(TcpStream, SocketAddr), OutboundError> {
    let mut last = OutboundError::NotAdmitted(format!("`{host}` has no address"));
    for address in addresses.iter().take(ATTEMPTS).copied() {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok((stream, address)),
            Err(source) => last = OutboundError::Connect { address, source },
        }
    }
    Err(last)
}

/// SNI, the certificate and the `Host` of the request all go by the same name.
async fn handshake(
    tls: &Arc<ClientConfig>,
    stream: TcpStream,
    host: &str,
) -> Result<TlsStream<TcpStream>, OutboundError> {
    let name = ServerName::try_from(host.to_owned()).map_err(|_| OutboundError::NotAName(host.to_owned()))?;
    let failed = |source| OutboundError::Tls { host: host.to_owned(), source };
    TlsConnector::from(tls.clone()).connect(name, stream).await.map_err(failed)
}

fn security(stream: &TlsStream<TcpStream>) -> Option<Security> {
    let (_, session) = stream.get_ref();
    let leaf = session.peer_certificates()?.first()?;
    let name = |text: Option<String>| text.unwrap_or_else(|| "unknown".to_owned());
    Some(Security {
        version: name(session.protocol_version().and_then(|version| version.as_str().map(str::to_owned))),
        suite: name(session.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str().map(str::to_owned))),
        group: name(session.negotiated_key_exchange_group().and_then(|group| group.name().as_str().map(str::to_owned))),
        certificate: digest::digest(&digest::SHA256, leaf).as_ref().try_into().ok()?,
    })
}

pub(super) async fn within<T>(
    limit: Duration,
    step: Step,
    future: impl Future<Output = Result<T, OutboundError>>,
) -> Result<T, OutboundError> {
    tokio::time::timeout(limit, future).await.unwrap_or(Err(OutboundError::Late(step)))
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
