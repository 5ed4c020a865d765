//! The health listener: `/livez`, `/readyz`, `/metrics` and, where keys are published, `/jwks.json`; nothing else (attacks 31, 52). Plain HTTP, no policy, so
//! it belongs on loopback or a management network.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tracing::warn;

use crate::shared::Shared;

/// Probes open at once; more wait in the kernel's queue.
const MAX_PROBES: usize = 64;

/// Serves until `stop` turns true, which is after the last request has drained.
pub(crate) async fn run(shared: Arc<Shared>, listener: Arc<TcpListener>, mut stop: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(MAX_PROBES));
    loop {
        let accepted = tokio::select! {
            () = stopped(&mut stop) => return,
            accepted = async { (places.clone().acquire_owned().await, listener.accept().await) } => accepted,
        };
        let (Ok(place), Ok((stream, _))) = accepted else { continue };
        let shared = shared.clone();
        tokio::spawn(async move {
            let _place = place;
            let service = service_fn(move |request| answer(shared.clone(), request));
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(5))
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), service);
            if tokio::time::timeout(Duration::from_secs(10), connection).await.is_err() {
                warn!("error.type" = "slow_probe", "a health probe took too long");
            }
        });
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (status, content_type, body) = match (request.method(), request.uri().path()) {
        (&Method::GET, "/livez") => (StatusCode::OK, "text/plain", "ok\n".to_owned()),
        (&Method::GET, "/readyz") => match shared.ready() {
            // What one issuer lacks refuses the requests that hang on it, and no others: traffic may come.
            Ok(()) => (
                StatusCode::OK,
                "text/plain",
                shared.lacking().iter().fold("ok\n".to_owned(), |said, l| said + l + "\n"),
            ),
            Err(why) => (StatusCode::SERVICE_UNAVAILABLE, "text/plain", format!("{why}\n")),
        },
        (&Method::GET, "/metrics") => {
            shared.refresh_metrics();
            match shared.metrics.page() {
                Ok(page) => (StatusCode::OK, "application/openmetrics-text; version=1.0.0; charset=utf-8", page),
                Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, "text/plain", format!("{error}\n")),
            }
        }
        (&Method::GET, "/jwks.json") => match shared.runtime.load().txn.jwks() {
            Some(jwks) => (StatusCode::OK, "application/jwk-set+json", jwks.to_owned()),
            None => (StatusCode::NOT_FOUND, "text/plain", "no keys are published\n".to_owned()),
        },
        _ => (StatusCode::NOT_FOUND, "text/plain", "not found\n".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(content_type));
    Ok(response)
}
