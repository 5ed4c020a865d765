//! A question about a request, and the request it speaks of: what was left out is chosen so that the route is reached.

use std::net::IpAddr;

use bytes::Bytes;
use pingora_http::RequestHeader;
use postern_config::{AllowRule, Dialect, Listener, Route, Snapshot};
use postern_filters::Refusal;

use super::made_up::{self, Sample};
use super::{Caller, Misasked};
use crate::head::{self, Head};

/// Lines and bytes of a head, before the route's own limits.
const MOST_LINES: usize = 4096;
const MOST_BYTES: usize = 128 * 1024;

/// What is asked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Question {
    pub(crate) route: Option<String>,
    pub(crate) listener: Option<String>,
    pub(crate) method: Option<String>,
    pub(crate) host: Option<String>,
    /// Path and query.
    pub(crate) target: Option<String>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) source: Option<IpAddr>,
    /// Of a body that is made up.
    pub(crate) model: Option<String>,
    pub(crate) stream: bool,
    pub(crate) body: Option<Bytes>,
    /// Unix milliseconds.
    pub(crate) at_ms: i64,
    pub(crate) caller: Caller,
}

/// The request.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) listener: String,
    pub(super) method: String,
    pub(super) host: String,
    pub(super) target: String,
    pub(super) request: RequestHeader,
    pub(super) body: Bytes,
    /// The body says nothing that was asked.
    pub(super) made_up: bool,
}

impl Sent {
    /// Reads the head as it would be read from a connection.
    pub(super) fn head(&self, listener: &Listener) -> Result<Head, Refusal> {
        head::read_parsed(&self.request, MOST_LINES, MOST_BYTES, listener.outbound.is_some())
    }
}

impl Question {
    /// The request that is asked about.
    pub(super) fn sent(&self, snapshot: &Snapshot) -> Result<Sent, Misasked> {
        let named = self.route.as_ref().map(|name| named(snapshot, name)).transpose()?;
        if named.is_none() && self.target.is_none() {
            return Err(Misasked("say which route, or which method, host and path".to_owned()));
        }
        let method = self.method.clone().or_else(|| named.map(default_method)).unwrap_or_else(|| "GET".to_owned());
        let target = self
            .target
            .clone()
            .or_else(|| named.map(|route| self.default_target(route)))
            .unwrap_or_else(|| "/".to_owned());
        let host = self.host.clone().or_else(|| named.map(default_host)).unwrap_or_else(|| "localhost".to_owned());
        let listener = match (&self.listener, named) {
            (Some(listener), _) => listener.clone(),
            (None, Some(route)) => route.matches.listeners.first().cloned().unwrap_or_default(),
            (None, None) => match snapshot.listeners.as_slice() {
                [only] => only.name.clone(),
                _ => reached(snapshot, &method, &host, &target).ok_or_else(|| {
                    Misasked("there are several listeners: say which one the request comes in by".to_owned())
                })?,
            },
        };
        let body = self.body(named, &method, &target)?;
        let mut request = match method.as_str() {
            "CONNECT" => RequestHeader::build_no_case(method.as_str(), host.as_bytes(), None),
            _ => RequestHeader::build_no_case(method.as_str(), target.as_bytes(), None),
        }
        .map_err(|_invalid| Misasked(format!("`{method} {target}` cannot be sent: it is no request line")))?;
        let mut add = |name: &str, value: &str| {
            request.append_header(name.to_ascii_lowercase(), value).map_err(|_invalid| {
                Misasked(format!("header `{name}` cannot be sent: name or value is not one of HTTP"))
            })
        };
        add("host", &host)?;
        for (name, value) in &self.headers {
            add(name, value)?;
        }
        let has_type = self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        if !has_type && !body.is_empty() {
            add("content-type", "application/json")?;
        }
        let made_up = self.body.is_none() && self.model.is_none() && !body.is_empty();
        Ok(Sent { listener, method, host, target, request, body, made_up })
    }

    fn body(&self, named: Option<&Route>, method: &str, target: &str) -> Result<Bytes, Misasked> {
        if let Some(body) = &self.body {
            if self.model.is_some() || self.stream {
                return Err(Misasked("a body is given: the model and the stream are what it says".to_owned()));
            }
            return Ok(body.clone());
        }
        let dialect = named.map(|route| route.dialect);
        let Some(sample) = Sample::of(dialect, target).filter(|_| method == "POST") else {
            if self.model.is_some() || self.stream {
                return Err(Misasked("only a route to a model has a model".to_owned()));
            }
            return Ok(Bytes::new());
        };
        Ok(Bytes::from(sample.body(self.model(), self.stream).to_string()))
    }

    fn model(&self) -> &str {
        self.model.as_deref().unwrap_or("a-model")
    }

    /// The endpoint of the dialect, or the first path of the allow list that lies below the route and has no star in it.
    fn default_target(&self, route: &Route) -> String {
        let prefix = route.matches.path_prefix.as_str();
        if let Some(target) = made_up::target(route.dialect, prefix, self.model(), self.stream) {
            return target;
        }
        let paths = route.policy.access.allow.iter().flat_map(|list| &list.rules).flat_map(|rule| &rule.paths);
        let plain = paths.filter(|path| !path.contains('*') && postern_config::prefix_matches(prefix, path));
        plain.map(String::as_str).next().unwrap_or(prefix).to_owned()
    }
}

fn named<'s>(snapshot: &'s Snapshot, name: &str) -> Result<&'s Route, Misasked> {
    snapshot.routes.iter().find(|route| route.name == name).ok_or_else(|| {
        let names: Vec<&str> = snapshot.routes.iter().map(|route| route.name.as_str()).collect();
        Misasked(format!("there is no route `{name}`; the routes are {}", names.join(", ")))
    })
}

/// The first listener that some route takes the request from.
fn reached(snapshot: &Snapshot, method: &str, host: &str, target: &str) -> Option<String> {
    let path = target.split('?').next().unwrap_or_default();
    let host = host.to_ascii_lowercase();
    let takes = |listener: &&Listener| snapshot.route(&listener.name, &host, method, path, |_| None).is_some();
    snapshot.listeners.iter().find(takes).map(|listener| listener.name.clone())
}

fn first_rule(route: &Route) -> Option<&AllowRule> {
    route.policy.access.allow.first().and_then(|list| list.rules.first())
}

fn default_method(route: &Route) -> String {
    if let Some(method) = &route.matches.method {
        return method.clone();
    }
    match route.dialect {
        Dialect::OpenAi | Dialect::Anthropic | Dialect::Gemini => "POST".to_owned(),
        Dialect::Http if route.is_tunnel() => "CONNECT".to_owned(),
        Dialect::Http => {
            first_rule(route).and_then(|rule| rule.methods.first().cloned()).unwrap_or_else(|| "GET".to_owned())
        }
    }
}

fn default_host(route: &Route) -> String {
    match route.matches.host.as_deref() {
        None => "localhost".to_owned(),
        Some(host) => host.strip_prefix('*').map_or_else(|| host.to_owned(), |parent| format!("any{parent}")),
    }
}
