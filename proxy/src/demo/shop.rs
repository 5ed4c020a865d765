//! The plain upstream: a few orders as JSON.

use std::net::SocketAddr;
use std::sync::Arc;

use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::json;

use super::serve::{self, Body, Counter, Served};

/// A running shop.
#[derive(Debug)]
pub(super) struct Shop {
    served: Served,
    requests: Arc<Counter>,
}

impl Shop {
    pub(super) async fn start() -> std::io::Result<Self> {
        let requests = Arc::new(Counter::default());
        let seen = requests.clone();
        let served = serve::serve(move |request| answer(request, seen.clone())).await?;
        Ok(Self { served, requests })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.served.address
    }

    pub(super) fn requests(&self) -> u64 {
        self.requests.get()
    }
}

async fn answer(request: Request<Incoming>, requests: Arc<Counter>) -> Response<Body> {
    requests.add();
    let (head, body) = request.into_parts();
    let Some(body) = serve::read(body).await else {
        return serve::json(StatusCode::BAD_REQUEST, &json!({"error": "the body broke off"}));
    };
    match (&head.method, head.uri.path()) {
        (&Method::GET, "/orders") => serve::json(StatusCode::OK, &json!({"orders": [{"id": 7, "item": "lantern"}]})),
        (&Method::GET, "/orders/7") => serve::json(StatusCode::OK, &json!({"id": 7, "item": "lantern"})),
        (&Method::POST, "/orders") => {
            serve::json(StatusCode::CREATED, &json!({"id": 8, "received": String::from_utf8_lossy(&body)}))
        }
        (_, path) => serve::json(StatusCode::NOT_FOUND, &json!({"error": format!("nothing at {path}")})),
    }
}
