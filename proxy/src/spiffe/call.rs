//! One call of `FetchX509SVID`: gRPC over HTTP/2 on a socket of this machine. Nothing is decoded here.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use h2::RecvStream;
use h2::client::{Builder, SendRequest};
use http::{HeaderMap, Request, header};
use postern_config::WorkloadSocket;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::AbortHandle;
use zeroize::Zeroizing;

use super::message::REQUEST;

/// For the connection, and for the first message: a server answers without delay (Workload API §4.3).
pub(super) const ANSWER: Duration = Duration::from_secs(5);
/// Longest message. One of a hundred federated trust domains is a tenth of it.
const MAX_MESSAGE: usize = 4 << 20;
/// Bytes that may come before we have read what came before, and of a head.
const WINDOW: u32 = 256 << 10;
const MAX_HEAD: u32 = 16 << 10;

const PATH: &str = "http://localhost/SpiffeWorkloadAPI/FetchX509SVID";
const GRPC: &str = "application/grpc";
const PERMISSION_DENIED: &str = "7";

/// Why a call ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    #[error("HTTP/2: {0}")]
    Http2(#[from] h2::Error),
    #[error("no answer within {} s", ANSWER.as_secs())]
    Late,
    #[error("it answers as something else than gRPC: {0}")]
    NotGrpc(String),
    #[error("gRPC status {code} ({message})")]
    Status { code: String, message: String },
    /// Every SVID and every bundle is taken back (Workload API §5.2.1).
    #[error("it gives this workload nothing, PermissionDenied ({0})")]
    Denied(String),
    #[error("the message is compressed")]
    Compressed,
    #[error("the message has {0} bytes, more than the {MAX_MESSAGE} that are read")]
    TooLong(usize),
    #[error("it ended in the middle of a message")]
    Cut,
    #[error("it ended the stream")]
    Ended,
}

/// An open call: messages come for as long as it is kept.
pub(super) struct Call {
    body: RecvStream,
    /// What came of the next message. Keys are in there.
    came: Zeroizing<Vec<u8>>,
    _connection: Driver,
}

/// Ends the connection when dropped.
struct Driver(AbortHandle);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Call {
    pub(super) async fn begin(socket: &WorkloadSocket) -> Result<Self, CallError> {
        let begun = async {
            match socket {
                WorkloadSocket::Unix(path) => {
                    Self::over(UnixStream::connect(path).await.map_err(CallError::Connect)?).await
                }
                WorkloadSocket::Tcp(address) => {
                    Self::over(TcpStream::connect(address).await.map_err(CallError::Connect)?).await
                }
            }
        };
        tokio::time::timeout(ANSWER, begun).await.map_err(|_| CallError::Late)?
    }

    async fn over(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Result<Self, CallError> {
        let handshake = Builder::new()
            .enable_push(false)
            .initial_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .max_header_list_size(MAX_HEAD)
            .handshake(stream);
        let (send, connection): (SendRequest<Bytes>, _) = handshake.await?;
        // What goes wrong with the connection is told by the call on it.
        let driver = Driver(tokio::spawn(async move { drop(connection.await) }).abort_handle());
        let mut send = send.ready().await?;
        let request = Request::post(PATH)
            .header(header::CONTENT_TYPE, GRPC)
            .header(header::TE, "trailers")
            .header(header::USER_AGENT, "postern")
            // Without it an agent must refuse: it keeps forged requests away (Workload Endpoint §3).
            .header("workload.spiffe.io", "true")
            .body(())
            .map_err(|error| CallError::NotGrpc(error.to_string()))?;
        let (answer, mut body) = send.send_request(request, false)?;
        body.send_data(Bytes::from_static(&REQUEST), true)?;
        let answer = answer.await?;
        if let Some(status) = status(answer.headers()) {
            return Err(status);
        }
        let is_grpc = |value: &http::HeaderValue| value.as_bytes().starts_with(GRPC.as_bytes());
        if answer.status() != 200 || !answer.headers().get(header::CONTENT_TYPE).is_some_and(is_grpc) {
            return Err(CallError::NotGrpc(format!("status {}", answer.status().as_u16())));
        }
        Ok(Self { body: answer.into_body(), came: Zeroizing::default(), _connection: driver })
    }

    /// The next message. It may be hours until there is one.
    pub(super) async fn next(&mut self) -> Result<Zeroizing<Vec<u8>>, CallError> {
        loop {
            if let Some(message) = self.message()? {
                return Ok(message);
            }
            let Some(data) = self.body.data().await else {
                let trailers = self.body.trailers().await?;
                let status = trailers.as_ref().and_then(status);
                return Err(status.unwrap_or(if self.came.is_empty() { CallError::Ended } else { CallError::Cut }));
            };
            let data = data?;
            self.body.flow_control().release_capacity(data.len())?;
            self.came.extend_from_slice(&data);
        }
    }

    /// A message that came whole.
    fn message(&mut self) -> Result<Option<Zeroizing<Vec<u8>>>, CallError> {
        let Some((&[compressed, a, b, c, d], rest)) = self.came.split_first_chunk::<5>() else { return Ok(None) };
        if compressed != 0 {
            return Err(CallError::Compressed);
        }
        let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        if length > MAX_MESSAGE {
            return Err(CallError::TooLong(length));
        }
        let Some((message, rest)) = rest.split_at_checked(length) else {
            self.room(length);
            return Ok(None);
        };
        let (message, rest) = (Zeroizing::new(message.to_vec()), Zeroizing::new(rest.to_vec()));
        self.came = rest;
        Ok(Some(message))
    }
}

impl Call {
    /// Room for a message of this length and what stands before it: a buffer that grows leaves what it held behind.
    fn room(&mut self, length: usize) {
        if self.came.capacity() < length.saturating_add(5) {
            let mut wider = Vec::with_capacity(length.saturating_add(5 + WINDOW as usize));
            wider.extend_from_slice(&self.came);
            self.came = Zeroizing::new(wider);
        }
    }
}

/// How the call ended, where headers or trailers say it.
fn status(headers: &HeaderMap) -> Option<CallError> {
    let text = |name: &str| -> Option<String> {
        let value = headers.get(name)?.to_str().ok()?;
        Some(value.chars().filter(|c| !c.is_control()).take(256).collect())
    };
    let code = text("grpc-status")?;
    let message = text("grpc-message").unwrap_or_default();
    Some(match code.as_str() {
        "0" => CallError::Ended,
        PERMISSION_DENIED => CallError::Denied(message),
        _ => CallError::Status { code, message },
    })
}
