//! Clients that speak HTTP well, in both versions, over mutual TLS.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use postern_certs::{Issued, client_config};
use rustls_pki_types::ServerName;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Caller, House, within};

/// One request, HTTP/1.1 on the `public` listener unless said otherwise.
#[derive(Debug, Clone)]
pub struct Ask {
    method: &'static str,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    h2: bool,
    listener: &'static str,
    authority: Option<String>,
}

/// One whole answer.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl Ask {
    pub fn new(method: &'static str, path: &str) -> Self {
        Self {
            method,
            path: path.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            h2: false,
            listener: "public",
            authority: None,
        }
    }

    pub fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    pub fn post(path: &str, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let mut ask = Self::new("POST", path).header("content-type", content_type);
        ask.body = body.into();
        ask
    }

    pub fn json(path: &str, body: &Value) -> Self {
        Self::post(path, "application/json", body.to_string())
    }

    /// A chat completion with one user message.
    pub fn chat(text: &str) -> Self {
        Self::json("/v1/chat/completions", &prompt(text))
    }

    /// As [`Ask::chat`], streamed.
    pub fn streamed(text: &str) -> Self {
        let mut body = prompt(text);
        body["stream"] = json!(true);
        Self::json("/v1/chat/completions", &body)
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// To another path.
    pub fn to(mut self, path: &str) -> Self {
        self.path = path.to_owned();
        self
    }

    pub fn h2(mut self) -> Self {
        self.h2 = true;
        self
    }

    /// On HTTP/2 where `h2` says so.
    pub fn over(mut self, h2: bool) -> Self {
        self.h2 = h2;
        self
    }

    /// On the listener that asks for a certificate and does not demand one.
    pub fn open(mut self) -> Self {
        self.listener = "open";
        self
    }

    /// Names another authority than the one that was connected to.
    pub fn authority(mut self, authority: &str) -> Self {
        self.authority = Some(authority.to_owned());
        self
    }
}

pub fn prompt(text: &str) -> Value {
    json!({"model": "small", "messages": [{"role": "user", "content": text}]})
}

impl Reply {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// Text of a completion, whole or streamed.
    pub fn said(&self) -> String {
        match self.header("content-type") {
            "text/event-stream" => {
                let events = self.body.split("\n\n").filter_map(|event| event.strip_prefix("data: "));
                let chunks = events.filter_map(|data| serde_json::from_str::<Value>(data).ok());
                chunks.filter_map(|c| c["choices"][0]["delta"]["content"].as_str().map(str::to_owned)).collect()
            }
            _ => self.json()["choices"][0]["message"]["content"].as_str().unwrap().to_owned(),
        }
    }
}

/// A connection that is open until it is dropped.
pub struct Open {
    pub response: http::Response<Incoming>,
    driver: JoinHandle<()>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Open {
    /// The next piece of the body; nothing at its end.
    pub async fn next(&mut self) -> Option<String> {
        loop {
            let frame = within("a piece of an answer", self.response.body_mut().frame()).await?;
            if let Ok(data) = frame.expect("the answer broke off").into_data() {
                return Some(String::from_utf8(data.to_vec()).unwrap());
            }
        }
    }

    /// Reads until what came since this call holds `text`.
    pub async fn until(&mut self, text: &str) -> String {
        let mut came = String::new();
        while !came.contains(text) {
            came.push_str(&self.next().await.unwrap_or_else(|| panic!("the answer ended without `{text}`: {came}")));
        }
        came
    }

    /// Everything that is left; `Err` with it where the answer broke off.
    pub async fn rest(&mut self) -> Result<String, String> {
        let mut came = String::new();
        while let Some(frame) = within("the end of an answer", self.response.body_mut().frame()).await {
            match frame {
                Ok(frame) => came.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap()),
                Err(_) => return Err(came),
            }
        }
        Ok(came)
    }
}

impl House {
    /// Sends `ask` as `who`, with a good token, and reads the answer to its end.
    pub async fn call(&self, who: &Caller, ask: Ask) -> Reply {
        let token = self.token(who);
        self.send(Some(&who.issued), ask.bearer(&token)).await
    }

    /// Sends `ask` as it is on a connection with this certificate.
    pub async fn send(&self, identity: Option<&Issued>, ask: Ask) -> Reply {
        self.try_send(identity, ask).await.unwrap_or_else(|error| panic!("no answer: {error}"))
    }

    /// As [`House::send`], where there may be no answer. Says why in the words of TLS or HTTP.
    pub async fn try_send(&self, identity: Option<&Issued>, ask: Ask) -> Result<Reply, String> {
        let mut open = self.try_open(identity, ask).await?;
        let mut body = Vec::new();
        while let Some(frame) = within("the answer's body", open.response.body_mut().frame()).await {
            if let Ok(data) = frame.map_err(|e| words(&e))?.into_data() {
                body.extend_from_slice(&data);
            }
        }
        let (status, headers) = (open.response.status().as_u16(), open.response.headers().clone());
        Ok(Reply { status, headers, body: String::from_utf8(body).unwrap() })
    }

    /// Sends `ask` as `who` and returns with the head of the answer.
    pub async fn open(&self, who: &Caller, ask: Ask) -> Open {
        let token = self.token(who);
        self.try_open(Some(&who.issued), ask.bearer(&token)).await.unwrap_or_else(|error| panic!("no answer: {error}"))
    }

    async fn try_open(&self, identity: Option<&Issued>, ask: Ask) -> Result<Open, String> {
        let stream = self.connect(identity, ask.listener, if ask.h2 { b"h2" } else { b"http/1.1" }).await?;
        let request = self.request(&ask);
        let io = TokioIo::new(stream);
        if ask.h2 {
            let (mut sender, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.map_err(|e| words(&e))?;
            let driver = tokio::spawn(async move { drop(connection.await) });
            let response = within("an answer", sender.send_request(request)).await.map_err(|e| words(&e))?;
            return Ok(Open { response, driver });
        }
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.map_err(|e| words(&e))?;
        let driver = tokio::spawn(async move { drop(connection.await) });
        let response = within("an answer", sender.send_request(request)).await.map_err(|e| words(&e))?;
        Ok(Open { response, driver })
    }

    fn request(&self, ask: &Ask) -> Request<Full<Bytes>> {
        let own = format!("localhost:{}", self.address(ask.listener).port());
        let authority = ask.authority.as_ref().unwrap_or(&own);
        let mut request = Request::builder().method(ask.method);
        request = match ask.h2 {
            true => request.uri(format!("https://{authority}{}", ask.path)),
            false => request.uri(&ask.path).header(header::HOST, authority),
        };
        for (name, value) in &ask.headers {
            request = request.header(name, value);
        }
        request.body(Full::new(Bytes::from(ask.body.clone()))).unwrap()
    }

    /// A TLS connection, past its handshake on our side.
    pub async fn connect(
        &self,
        identity: Option<&Issued>,
        listener: &str,
        alpn: &[u8],
    ) -> Result<TlsStream<TcpStream>, String> {
        let identity = identity.map(|i| (i.cert_pem.as_bytes(), i.key_pem.expose().as_bytes()));
        let config = client_config(self.ca_pem().as_bytes(), identity, &[alpn]).unwrap();
        let tcp = TcpStream::connect(self.address(listener)).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        within("a handshake", TlsConnector::from(Arc::new(config)).connect(name, tcp)).await.map_err(|e| words(&e))
    }
}

/// An error down to its last source.
fn words(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        words = format!("{words}: {cause}");
        source = cause.source();
    }
    words
}
