//! The model-like upstream: `POST /v1/chat/completions`, whole and streamed, with answers that can be told in advance.
//!
//! It repeats what it was asked, so that a test sees what reached it; asked for the deploy key, it gives one away, cut
//! into several events; offered tools and asked to use one, it calls the first.

mod answer;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, Stream};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use postern_config::Redacted;
use serde_json::{Value, json};

use super::serve::{self, Body, Counter, Served};
use answer::Answer;

pub(super) use answer::leaked_key;

/// Time between two events, as a model takes some for its words.
const BETWEEN_EVENTS: Duration = Duration::from_millis(2);

/// A running model.
#[derive(Debug)]
pub(super) struct Model {
    served: Served,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    key: Redacted<String>,
    requests: Counter,
    last: Mutex<Seen>,
}

/// What the last request looked like when it arrived.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// The text of the last message.
    pub(super) text: String,
    pub(super) headers: HeaderMap,
}

impl Model {
    /// Listens on a free port; callers must present `key` as a bearer token.
    pub(super) async fn start(key: Redacted<String>) -> std::io::Result<Self> {
        let state = Arc::new(State { key, requests: Counter::default(), last: Mutex::default() });
        let shared = state.clone();
        let served = serve::serve(move |request| respond(request, shared.clone())).await?;
        Ok(Self { served, state })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.served.address
    }

    pub(super) fn requests(&self) -> u64 {
        self.state.requests.get()
    }

    pub(super) fn last(&self) -> Seen {
        self.state.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn respond(request: Request<Incoming>, state: Arc<State>) -> Response<Body> {
    state.requests.add();
    let (head, body) = request.into_parts();
    let Some(body) = serve::read(body).await else {
        return error(StatusCode::BAD_REQUEST, "the body broke off");
    };
    if !knows_key(&head.headers, &state.key) {
        return error(StatusCode::UNAUTHORIZED, "incorrect API key provided");
    }
    if (&head.method, head.uri.path()) != (&Method::POST, "/v1/chat/completions") {
        return error(StatusCode::NOT_FOUND, "unknown endpoint");
    }
    let Ok(ask) = serde_json::from_slice::<Value>(&body) else {
        return error(StatusCode::BAD_REQUEST, "the body is not JSON");
    };
    let text = answer::last_text(&ask);
    *state.last.lock().unwrap_or_else(PoisonError::into_inner) = Seen { text: text.clone(), headers: head.headers };
    let answer = Answer::to(&ask, &text);
    if ask.get("stream").and_then(Value::as_bool) == Some(true) {
        return stream_of(answer.events());
    }
    serve::json(StatusCode::OK, &answer.whole())
}

fn knows_key(headers: &HeaderMap, key: &Redacted<String>) -> bool {
    let want = format!("Bearer {}", key.expose());
    headers.get(header::AUTHORIZATION).is_some_and(|value| value.as_bytes() == want.as_bytes())
}

fn error(status: StatusCode, message: &str) -> Response<Body> {
    let error = json!({"message": message, "type": "invalid_request_error", "param": null, "code": null});
    serve::json(status, &json!({ "error": error }))
}

fn stream_of(events: Vec<String>) -> Response<Body> {
    let mut response = Response::new(StreamBody::new(paced(events)).boxed_unsync());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

fn paced(events: Vec<String>) -> impl Stream<Item = Result<Frame<Bytes>, Infallible>> + Send {
    stream::unfold(events.into_iter(), |mut events| async move {
        let event = events.next()?;
        tokio::time::sleep(BETWEEN_EVENTS).await;
        Some((Ok(Frame::data(Bytes::from(event))), events))
    })
}
