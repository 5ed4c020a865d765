//! A client of the tour: one connection per request, over mutual TLS, as HTTP/1.1 or HTTP/2.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use postern_certs::{ClientTlsError, Issued, client_config};
use rustls_pki_types::ServerName;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The name in the proxy's certificate.
const HOST: &str = "localhost";
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a server that refuses a certificate may take to say so.
const KNOCK: Duration = Duration::from_secs(2);
const MAX_ANSWER: usize = 4 << 20;

/// Speaks to one listener and believes one CA.
#[derive(Debug)]
pub(super) struct Client {
    address: SocketAddr,
    ca: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    H1,
    H2,
}

/// One request.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    pub(super) version: Version,
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) token: Option<String>,
    /// JSON; empty for none.
    pub(super) body: String,
}

/// One whole answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoReply {
    #[error(transparent)]
    Setup(#[from] ClientTlsError),
    /// The other side ended the handshake with this alert.
    #[error("TLS alert {0}")]
    Alert(String),
    #[error("{0}")]
    Broken(String),
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Timeout,
}

impl Client {
    pub(super) fn new(address: SocketAddr, ca: String) -> Self {
        Self { address, ca }
    }

    /// Sends one request as the holder of `identity` and reads the answer to its end.
    pub(super) async fn send(&self, identity: Option<&Issued>, ask: &Ask) -> Result<Reply, NoReply> {
        let exchange = async {
            let stream = self.connect(identity, ask.version).await?;
            match ask.version {
                Version::H1 => over_h1(stream, self.request(ask)?).await,
                Version::H2 => over_h2(stream, self.request(ask)?).await,
            }
        };
        tokio::time::timeout(PATIENCE, exchange).await.unwrap_or(Err(NoReply::Timeout))
    }

    /// Shakes hands and waits for the server to object: in TLS 1.3 a client learns of it only when it reads.
    /// `Ok` where it did not object.
    pub(super) async fn knock(&self, identity: Option<&Issued>) -> Result<(), NoReply> {
        let mut stream = self.connect(identity, Version::H1).await?;
        let mut byte = [0];
        match tokio::time::timeout(KNOCK, stream.read(&mut byte)).await {
            Ok(Ok(0)) => Err(NoReply::Broken("closed without an alert".to_owned())),
            Ok(Err(error)) => Err(broken(&error)),
            Ok(Ok(_)) | Err(_) => Ok(()),
        }
    }

    async fn connect(&self, identity: Option<&Issued>, version: Version) -> Result<TlsStream<TcpStream>, NoReply> {
        let alpn: &[u8] = if version == Version::H2 { b"h2" } else { b"http/1.1" };
        let identity = identity.map(|i| (i.cert_pem.as_bytes(), i.key_pem.expose().as_bytes()));
        let config = client_config(self.ca.as_bytes(), identity, &[alpn])?;
        let tcp = TcpStream::connect(self.address).await.map_err(|e| broken(&e))?;
        tcp.set_nodelay(true).map_err(|e| broken(&e))?;
        let name = ServerName::try_from(HOST).map_err(|e| broken(&e))?;
        TlsConnector::from(Arc::new(config)).connect(name, tcp).await.map_err(|e| broken(&e))
    }

    fn request(&self, ask: &Ask) -> Result<Request<Full<Bytes>>, NoReply> {
        let authority = format!("{HOST}:{}", self.address.port());
        let mut request = Request::builder().method(ask.method);
        request = match ask.version {
            Version::H1 => request.uri(ask.path).header(header::HOST, authority),
            Version::H2 => request.uri(format!("https://{authority}{}", ask.path)),
        };
        if let Some(token) = &ask.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if !ask.body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        request.body(Full::new(Bytes::from(ask.body.clone()))).map_err(|e| broken(&e))
    }
}

async fn over_h1(stream: TlsStream<TcpStream>, request: Request<Full<Bytes>>) -> Result<Reply, NoReply> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| broken(&e))?;
    let driver = tokio::spawn(connection);
    let reply = match sender.send_request(request).await {
        Ok(response) => whole(response).await,
        Err(error) => Err(broken(&error)),
    };
    driver.abort();
    reply
}

async fn over_h2(stream: TlsStream<TcpStream>, request: Request<Full<Bytes>>) -> Result<Reply, NoReply> {
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .map_err(|e| broken(&e))?;
    let driver = tokio::spawn(connection);
    let reply = match sender.send_request(request).await {
        Ok(response) => whole(response).await,
        Err(error) => Err(broken(&error)),
    };
    driver.abort();
    reply
}

async fn whole(response: http::Response<Incoming>) -> Result<Reply, NoReply> {
    let (head, body) = response.into_parts();
    let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(|e| broken(e.as_ref()))?.to_bytes();
    Ok(Reply { status: head.status.as_u16(), headers: head.headers, body: String::from_utf8_lossy(&body).into_owned() })
}

/// The alert under an error, or the error's own words down to the last source.
fn broken(error: &(dyn Error + 'static)) -> NoReply {
    let mut words = error.to_string();
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(alert) = alert(error) {
            return NoReply::Alert(alert);
        }
        next = error.source();
        if let Some(source) = next {
            words = format!("{words}: {source}");
        }
    }
    NoReply::Broken(words)
}

fn alert(error: &(dyn Error + 'static)) -> Option<String> {
    let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    let tls = match inner {
        Some(inner) => inner.downcast_ref::<rustls::Error>(),
        None => error.downcast_ref::<rustls::Error>(),
    };
    match tls? {
        rustls::Error::AlertReceived(alert) => Some(format!("{alert:?}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::time::Duration;

    use hyper::service::service_fn;
    use hyper_util::server::conn::auto;
    use postern_certs::ListenerTls;
    use postern_config::{
        Anchor, ClientAuth, CryptoProfile, Curve, ForwardCertificate, IdentitySource, KeyExchange,
        ListenerTls as Settings, Material, OwnIdentity, PeerTrust, TlsVersion,
    };
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::super::site::{self, Site};
    use super::*;

    /// The TLS that the shipped manifests describe, without a proxy behind it.
    fn listener(site: &Site) -> ListenerTls {
        let file = |below: &str| Material::File(site.path(below));
        let names = ["spiffe://demo.example/ns/**", "*.clients.demo.example"].map(str::to_owned);
        let settings = Settings {
            identities: vec![OwnIdentity {
                name: "demo".to_owned(),
                hosts: Vec::new(),
                source: IdentitySource::Files { cert: file("tls/server.pem"), key: file("tls/server.key") },
            }],
            client_auth: ClientAuth::Required,
            trust: PeerTrust {
                anchors: vec![Anchor::Pem(file("tls/ca.pem"))],
                names: vec![names.to_vec()],
                crls: Vec::new(),
                unknown: None,
                min_rsa_bits: 2048,
                curves: vec![Curve::P256, Curve::P384, Curve::Ed25519],
                max_lifetime: None,
            },
            min_version: TlsVersion::V1_3,
            key_exchange: KeyExchange::HybridPreferred,
            profile: CryptoProfile::Default,
            hsts: None,
            warn_before: Duration::ZERO,
            deny_after_expiry: true,
            forward: ForwardCertificate::None,
        };
        ListenerTls::load(&settings, &postern_certs::Workloads::default(), site.now()).unwrap()
    }

    /// Answers every request with its version and target.
    async fn serve(tls: ListenerTls) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = TlsAcceptor::from(tls.server_config());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let echo = service_fn(|request: Request<Incoming>| async move {
                        let said = format!("{:?} {}", request.version(), request.uri().path());
                        Ok::<_, Infallible>(http::Response::new(Full::new(Bytes::from(said))))
                    });
                    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), echo).await;
                });
            }
        });
        address
    }

    #[tokio::test]
    async fn speaks_both_versions_and_reads_the_alert_of_a_refused_certificate() {
        let dir = tempfile::tempdir().unwrap();
        let nobody = "127.0.0.1:9".parse().unwrap();
        let site = Site::build(dir.path().to_owned(), &site::api_key().unwrap(), nobody, nobody).unwrap();
        let client = Client::new(serve(listener(&site)).await, site.ca_pem());
        let ask = |version| Ask { version, method: "GET", path: "/orders", token: None, body: String::new() };
        for caller in site.callers.ours() {
            let reply = client.send(Some(&caller.issued), &ask(Version::H1)).await.unwrap();
            assert_eq!((reply.status, reply.body.as_str()), (200, "HTTP/1.1 /orders"));
            let reply = client.send(Some(&caller.issued), &ask(Version::H2)).await.unwrap();
            assert_eq!((reply.status, reply.body.as_str()), (200, "HTTP/2.0 /orders"));
        }
        client.knock(Some(&site.callers.mia.issued)).await.unwrap();
        let none = client.knock(None).await.unwrap_err();
        assert_eq!(none.to_string(), "TLS alert CertificateRequired");
        let stranger = client.knock(Some(&site.callers.stranger.issued)).await.unwrap_err();
        assert_eq!(stranger.to_string(), "TLS alert UnknownCA");
    }
}
