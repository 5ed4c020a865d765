//! A client that keeps its connection.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use postern_certs::{Issued, client_config};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::within;

/// One connection. Every error says at which step the other side failed us.
pub struct Line {
    sender: Sender,
    driver: JoinHandle<()>,
    authority: String,
}

enum Sender {
    H1(hyper::client::conn::http1::SendRequest<Full<Bytes>>),
    H2(hyper::client::conn::http2::SendRequest<Full<Bytes>>),
}

pub struct Reply {
    pub status: u16,
    pub body: String,
}

/// A handshake with `address`, where the other side calls itself `localhost`.
pub async fn tls(address: SocketAddr, ca: &str, who: &Issued, alpn: &[u8]) -> Result<TlsStream<TcpStream>, String> {
    let identity = (who.cert_pem.as_bytes(), who.key_pem.expose().as_bytes());
    let config = client_config(ca.as_bytes(), Some(identity), &[alpn]).unwrap();
    let tcp = TcpStream::connect(address).await.map_err(|error| format!("connect: {error}"))?;
    tcp.set_nodelay(true).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, tcp).await.map_err(|error| format!("handshake: {error}"))
}

impl Line {
    pub async fn open(address: SocketAddr, ca: &str, who: &Issued, h2: bool) -> Result<Self, String> {
        let authority = format!("localhost:{}", address.port());
        let failed = |error: hyper::Error| format!("handshake: {error}");
        if h2 {
            let io = TokioIo::new(tls(address, ca, who, b"h2").await?);
            let shaken = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await;
            let (sender, connection) = shaken.map_err(failed)?;
            let driver = tokio::spawn(async { drop(connection.await) });
            return Ok(Self { sender: Sender::H2(sender), driver, authority });
        }
        let io = TokioIo::new(tls(address, ca, who, b"http/1.1").await?);
        let (sender, connection) = hyper::client::conn::http1::handshake(io).await.map_err(failed)?;
        let driver = tokio::spawn(async { drop(connection.await) });
        Ok(Self { sender: Sender::H1(sender), driver, authority })
    }

    /// Sends a request and waits for the head of its answer.
    pub async fn begin(&mut self, path: &str, token: &str) -> Result<Response<Incoming>, String> {
        let request = Request::builder().header(header::AUTHORIZATION, format!("Bearer {token}"));
        let sent = match &mut self.sender {
            Sender::H1(sender) => {
                let request = request.uri(path).header(header::HOST, &self.authority).body(Full::default()).unwrap();
                sender.ready().await.map_err(|error| format!("closed: {error}"))?;
                within("an answer", sender.send_request(request)).await
            }
            Sender::H2(sender) => {
                let uri = format!("https://{}{path}", self.authority);
                sender.ready().await.map_err(|error| format!("closed: {error}"))?;
                within("an answer", sender.send_request(request.uri(uri).body(Full::default()).unwrap())).await
            }
        };
        sent.map_err(|error| format!("no answer: {error:?}"))
    }

    pub async fn get(&mut self, path: &str, token: &str) -> Result<Reply, String> {
        let response = self.begin(path, token).await?;
        let status = response.status().as_u16();
        Ok(Reply { status, body: rest(response).await? })
    }

    /// Waits until the other side has closed the connection.
    pub async fn closed(mut self) {
        within("the end of a connection", &mut self.driver).await.unwrap();
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// The whole body, or how it broke off.
pub async fn rest(response: Response<Incoming>) -> Result<String, String> {
    let whole = within("the end of an answer", response.into_body().collect()).await;
    let bytes = whole.map_err(|error| format!("broke off: {error}"))?.to_bytes();
    Ok(String::from_utf8(bytes.to_vec()).unwrap())
}
