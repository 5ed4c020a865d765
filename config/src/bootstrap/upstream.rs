//! How an upstream is called, as it is written: which endpoint, for how long, how often, and how many at once.

use std::num::NonZeroU32;
use std::time::Duration;

use super::UpstreamSpec;
use crate::Code;
use crate::decode::{At, Cx, Decode, Fault, Fields, Scalar, Setting, Shape, spec, words};
use crate::secrets::shown;
use crate::values::{HeaderName, Percent, TargetPath, UpstreamPlace, UpstreamUrl};
use crate::yaml::{Node, Value};

const PV_SHAPE: Code = Code(2);
const PV_BLIND: Code = Code(25);
/// Endpoints of one upstream.
const MAX_ENDPOINTS: usize = 64;

words! {
    /// What is spoken with an upstream.
    pub enum UpstreamProtocol {
        /// HTTP/1.1.
        Http1 = "Http1",
        /// HTTP/2, with many requests on one connection. What gRPC needs.
        Http2 = "Http2",
    }
}

/// How an endpoint is chosen.
#[derive(Debug, Clone)]
pub enum BalanceSpec {
    RoundRobin,
    LeastRequest,
    ConsistentHash(ConsistentHashSpec),
}

words! {
    /// How an endpoint is chosen.
    pub enum PlainBalance {
        /// One after the other.
        RoundRobin = "RoundRobin",
        /// The one with the fewest requests under way.
        LeastRequest = "LeastRequest",
    }
}

spec! {
    /// Requests with the same key go to the same endpoint, as long as it is in order; an endpoint that comes or goes moves no
    /// other's keys but its own.
    pub struct ConsistentHashSpec {
        /// What is the same for requests that belong together.
        [E] key: At<HashKey>,
    }
}

impl Decode for BalanceSpec {
    fn decode(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        let Value::Mapping(_) = &node.value else {
            if node.scalar() == Some("ConsistentHash") {
                let help = "write `{type: ConsistentHash, key: Principal}`";
                cx.error(PV_SHAPE, &node.position, "`ConsistentHash` needs a key", help);
                return None;
            }
            return PlainBalance::decode(node, cx).map(|word| match word {
                PlainBalance::RoundRobin => Self::RoundRobin,
                PlainBalance::LeastRequest => Self::LeastRequest,
            });
        };
        let known = ["RoundRobin", "LeastRequest", "ConsistentHash"];
        let (tag, word) = crate::decode::macros::tag(node, &known, cx)?;
        let mut fields = Fields::open(node, cx)?;
        fields.ignore("type");
        let chosen = match word {
            "RoundRobin" => Some(Self::RoundRobin),
            "LeastRequest" => Some(Self::LeastRequest),
            "ConsistentHash" => {
                <ConsistentHashSpec as crate::decode::Record>::take(&mut fields).map(Self::ConsistentHash)
            }
            _ => {
                fields.cx.key("type", |cx| crate::decode::macros::refuse_word(tag, word, &known, &[], cx));
                return None;
            }
        };
        fields.finish().and(chosen)
    }

    fn shape() -> Shape {
        Shape::Scalar {
            name: "Balance",
            doc: "`RoundRobin` (one after the other), `LeastRequest` (the one with the fewest requests under way), or \
                `{type: ConsistentHash, key: …}` with the key `Principal`, `SourceIp` or `Header:<name>`: requests with the same \
                key go to the same endpoint as long as it is in order, and an endpoint that comes or goes moves no keys but its own. \
                Requests without the key are spread one after the other.",
        }
    }
}

/// What is the same for requests that belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HashKey {
    Principal,
    SourceIp,
    Header(HeaderName),
}

impl Scalar for HashKey {
    const NAME: &'static str = "Hash key";
    const DOC: &'static str =
        "`Principal` (the authenticated caller), `SourceIp`, or `Header:<name>` for the one value of a header.";

    fn read(text: &str, cx: &Cx<'_>) -> Result<Self, Fault> {
        match text {
            "Principal" => Ok(Self::Principal),
            "SourceIp" => Ok(Self::SourceIp),
            _ => match text.strip_prefix("Header:") {
                Some(name) => HeaderName::read(name, cx).map(Self::Header),
                None => Err(Fault::new(
                    format!("`{}` cannot be `{}`", cx.field(), shown(text)),
                    "write `Principal`, `SourceIp` or `Header:<name>`",
                )),
            },
        }
    }
}

spec! {
    /// How long an upstream may take. An answer also ends with the credential it was asked for with.
    pub struct UpstreamTimeouts {
        /// For a connection: all its addresses, TLS and the beginning of HTTP/2 together.
        [E, max "1m"] connect: Setting<Duration> = "10s",
        /// Until the head of the answer, from when the request may be sent.
        [E, max "30m"] first_byte: Setting<Duration> = "60s",
        /// Longest pause in an answer, on either side.
        [E, max "1h"] idle: Setting<Duration> = "5m",
        /// For the whole exchange.
        [E, max "24h"] total: Setting<Duration> = "1h",
    }
    check check_timeouts
}

fn check_timeouts(timeouts: &UpstreamTimeouts, fields: &mut Fields<'_, '_, '_>) {
    for timeout in [&timeouts.connect, &timeouts.first_byte, &timeouts.idle, &timeouts.total] {
        not_zero(&timeout.at, fields);
    }
}

fn not_zero(duration: &At<Duration>, fields: &mut Fields<'_, '_, '_>) {
    if duration.is_zero() {
        let field = duration.pointer.rsplit('.').next().unwrap_or_default();
        let message = format!("`{field}` is no time at all");
        duration.error(fields.cx.report, PV_SHAPE, message, "write a longer time, or remove the field for its default");
    }
}

spec! {
    /// Which requests are sent a second time, to another endpoint where there is one. Only what the upstream provably did not
    /// process is; and nothing is once a byte of the answer has left.
    pub struct RetriesSpec {
        /// Attempts after the first; 0 for none.
        [E, max "5"] max: Setting<u32> = "2",
        /// Retries among the requests of the last 10 s. Ten in 10 s are always allowed, so that a quiet upstream has some.
        [E] budget: Setting<Percent> = "20",
        /// After which failures.
        [E] after: Setting<Vec<At<RetryAfter>>> = "[ConnectFailure, RefusedStream, ClosedUnanswered]",
    }
}

words! {
    /// A failure after which a request may be sent again.
    pub enum RetryAfter {
        /// No connection could be made, so nothing was sent. Any method.
        ConnectFailure = "ConnectFailure",
        /// The upstream's HTTP/2 said that it did not process the request (RFC 9113 §8.7). Any method.
        RefusedStream = "RefusedStream",
        /// A kept connection ended before a byte of the answer. GET, HEAD, PUT and DELETE only.
        ClosedUnanswered = "ClosedUnanswered",
        /// The upstream answered 503. GET, HEAD, PUT and DELETE only.
        Refused503 = "Refused503",
    }
}

spec! {
    /// Which endpoints are in order. Without `path` no endpoint is asked, and only what happens to requests counts.
    pub struct HealthSpec {
        /// Asked for with GET at every endpoint; an answer from 200 to 299 says that it is in order.
        [E] path: Option<At<TargetPath>>,
        /// Time between two questions. Default: `10s`.
        [E, max "1h"] interval: Option<At<Duration>>,
        /// For an answer, the connection included. Default: `2s`.
        [E, max "1m"] timeout: Option<At<Duration>>,
        /// Good answers in a row until an endpoint is used again. Default: `2`.
        [E, max "10"] healthy_after: Option<At<NonZeroU32>>,
        /// Bad answers in a row until an endpoint is not used. Default: `3`.
        [E, max "10"] unhealthy_after: Option<At<NonZeroU32>>,
        /// What requests tell about endpoints.
        [E] passive: Setting<PassiveSpec> = "{}",
    }
    check check_health
}

fn check_health(health: &HealthSpec, fields: &mut Fields<'_, '_, '_>) {
    for duration in health.interval.iter().chain(&health.timeout) {
        not_zero(duration, fields);
    }
    if health.path.is_some() {
        return;
    }
    for name in ["interval", "timeout", "healthyAfter", "unhealthyAfter"] {
        if fields.has(name) {
            let message = format!("nothing acts on `{name}`: without `path` no endpoint is asked");
            fields.refuse(name, PV_BLIND, message, "add `path`, or remove the field");
        }
    }
}

spec! {
    /// Endpoints that fail requests are left out for a while: no connection, a connection that breaks, an answer that does not
    /// come in time.
    pub struct PassiveSpec {
        /// Failures in a row until an endpoint is left out.
        [E, max "1000"] consecutive_failures: Setting<NonZeroU32> = "5",
        /// For how long; longer by as much each time it happens again, up to ten times.
        [E, max "1h"] eject_for: Setting<Duration> = "30s",
        /// Most of the endpoints that may be left out at once for this reason; the only endpoint of an upstream never is.
        [E] max_ejected: Setting<Percent> = "50",
    }
    check check_passive
}

fn check_passive(passive: &PassiveSpec, fields: &mut Fields<'_, '_, '_>) {
    not_zero(&passive.eject_for.at, fields);
}

spec! {
    /// How much of an upstream may be used at once. What goes beyond is refused with 503, at once.
    pub struct CircuitBreakerSpec {
        /// Open connections, kept ones included.
        [E, max "65536"] max_connections: Setting<NonZeroU32> = "1024",
        /// Requests under way.
        [E, max "65536"] max_requests: Setting<NonZeroU32> = "4096",
        /// Requests among them that wait for a connection; 0 for none.
        [E, max "65536"] max_pending: Setting<u32> = "1024",
    }
}

impl UpstreamSpec {
    /// Whether it is called over TLS; all its addresses are, or none.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.addresses().next().is_some_and(|url| url.https)
    }

    /// Its addresses, at least one unless that was reported.
    pub fn addresses(&self) -> impl Iterator<Item = &At<UpstreamUrl>> {
        self.url.iter().chain(self.endpoints.iter().flat_map(|endpoints| endpoints.iter()))
    }
}

pub(super) fn check_endpoints(spec: &UpstreamSpec, fields: &mut Fields<'_, '_, '_>) {
    let unix = spec.addresses().next().is_some_and(|url| matches!(url.place, UpstreamPlace::Unix(_)));
    if !unix && spec.addresses().next().is_some() {
        let message = "nothing acts on `peers`: an address does not tell which process answers";
        fields.refuse("peers", PV_BLIND, message, "remove it, or use a Unix socket");
    }
    let report = &mut *fields.cx.report;
    match (&spec.url, &spec.endpoints) {
        (None, None) => {
            let message = format!("upstream `{}` has no address", spec.name.as_str());
            spec.name.error(report, PV_SHAPE, message, "add `url`, or `endpoints` where it has several addresses");
        }
        (Some(_), Some(endpoints)) => {
            endpoints.error(report, PV_SHAPE, "`endpoints` beside `url`", "write all addresses as `endpoints`");
        }
        _ => {}
    }
    let Some(endpoints) = &spec.endpoints else { return };
    if endpoints.is_empty() || endpoints.len() > MAX_ENDPOINTS {
        let message = format!("{} endpoints", endpoints.len());
        endpoints.error(report, PV_SHAPE, message, format!("write from one to {MAX_ENDPOINTS} addresses"));
    }
    for (index, endpoint) in endpoints.iter().enumerate() {
        let earlier = endpoints.iter().take(index);
        if earlier.clone().any(|other| other.place == endpoint.place) {
            endpoint.error(report, PV_SHAPE, "the same endpoint twice", "remove one of them");
        }
        let unlike = |what: &str, report: &mut crate::Report| {
            let message = format!("the {what} of an endpoint is not that of the first");
            endpoint.error(
                report,
                PV_SHAPE,
                message,
                "write endpoints that differ in host and port only, or Unix sockets and nothing else",
            );
        };
        let Some(first) = earlier.clone().next() else { continue };
        if first.scheme() != endpoint.scheme() {
            unlike("scheme", report);
        } else if first.base_path != endpoint.base_path {
            unlike("base path", report);
        }
    }
}
