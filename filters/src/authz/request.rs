//! What is asked, and how it looks to Cedar.

use std::net::IpAddr;

use cedar_policy::{Context, RestrictedExpression};
use postern_config::{Action, DataClass, Dialect};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use super::PreparedPrincipal;
use super::expression::ContextParts;
use super::vocabulary::Broken;
use crate::Assurance;

/// One question.
#[derive(Debug, Clone, Copy)]
pub struct AuthzRequest<'r> {
    pub principal: &'r PreparedPrincipal,
    pub action: Action,
    pub resource: ResourceRef<'r>,
    pub http: HttpFacts<'r>,
    pub net: NetFacts,
    /// Required with `chat` and `embed`.
    pub ai: Option<AiFacts<'r>>,
    /// 0–100, the highest score of a detector; 0 where none looked.
    pub risk: u8,
    /// Unix milliseconds.
    pub now: i64,
    /// Names of the compliance standards in force.
    pub compliance: &'r [String],
}

/// What the action is done to. `Route` is the route the authorizer was compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceRef<'r> {
    Route,
    Model { name: &'r str, vendor: &'r str },
}

#[derive(Debug, Clone, Copy)]
pub struct HttpFacts<'r> {
    pub method: &'r str,
    /// Lower case, without port.
    pub host: &'r str,
    /// Canonical and without query: the path that is matched and sent.
    pub path: &'r str,
}

#[derive(Debug, Clone, Copy)]
pub struct NetFacts {
    pub source_ip: IpAddr,
    pub tls: bool,
    /// Whether the peer proved a certificate.
    pub mtls: bool,
}

#[derive(Debug, Clone, Copy)]
pub struct AiFacts<'r> {
    pub dialect: Dialect,
    pub stream: bool,
    /// Tokens of the input; an estimate that may be too high, never too low.
    pub input_tokens: u64,
    /// Most tokens the answer may have; `u64::MAX` where the request sets no limit.
    pub max_output_tokens: u64,
    /// Highest class found; `Public` where nothing looked.
    pub data_class: DataClass,
    /// Names of the tools the request offers.
    pub tools: &'r [String],
    /// Whether it holds content that cannot be read.
    pub opaque: bool,
}

/// A moment this far ahead of ours is a clock's fault; one further ahead is not believed.
const CLOCK_FAULT_SECONDS: i64 = 300;
const RFC3339_MS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// The parts of `context` that are needed. `authn` is that of the principal judged, which is not always who calls.
pub(super) fn context(request: &AuthzRequest<'_>, authn: &Assurance, needs: ContextParts) -> Result<Context, Broken> {
    let mut pairs: Vec<(String, RestrictedExpression)> = Vec::with_capacity(7);
    let mut put = |name: &str, value| pairs.push((name.to_owned(), value));
    if needs.authn {
        put("authn", authn_record(authn, request.now)?);
    }
    if needs.net {
        put("net", net_record(request.net)?);
    }
    if needs.http {
        let HttpFacts { method, host, path } = request.http;
        put("http", record([("method", string(method)), ("host", string(host)), ("path", string(path))])?);
    }
    if needs.now {
        put("now", datetime(request.now)?);
    }
    if needs.risk {
        put("risk", RestrictedExpression::new_long(request.risk.into()));
    }
    if needs.compliance {
        put("compliance", strings(request.compliance));
    }
    if let (true, Some(ai)) = (needs.ai, &request.ai) {
        put("ai", ai_record(ai)?);
    }
    Context::from_pairs(pairs).map_err(|e| Broken::new("context", e))
}

fn authn_record(authn: &Assurance, now: i64) -> Result<RestrictedExpression, Broken> {
    record([
        ("provider", string(&authn.provider)),
        ("method", string(&authn.method)),
        ("acr", string(&authn.acr)),
        ("amr", strings(&authn.amr)),
        ("ageSeconds", RestrictedExpression::new_long(age_seconds(authn.authenticated_at, now))),
        ("senderBound", RestrictedExpression::new_bool(authn.sender_bound)),
    ])
}

/// Seconds since the authentication. One that lies in the future, or has no time, is as old as can be: else a claim
/// could stay fresh for ever.
fn age_seconds(authenticated_at: i64, now_ms: i64) -> i64 {
    let age = now_ms.div_euclid(1000).saturating_sub(authenticated_at);
    if authenticated_at <= 0 || age < -CLOCK_FAULT_SECONDS { i64::MAX } else { age.max(0) }
}

fn net_record(net: NetFacts) -> Result<RestrictedExpression, Broken> {
    // `::ffff:10.0.0.1` is 10.0.0.1: else the form a socket was opened in would decide.
    let source = net.source_ip.to_canonical().to_string();
    record([
        ("sourceIp", RestrictedExpression::new_ip(source)),
        ("tls", RestrictedExpression::new_bool(net.tls)),
        ("mtls", RestrictedExpression::new_bool(net.mtls)),
    ])
}

fn ai_record(ai: &AiFacts<'_>) -> Result<RestrictedExpression, Broken> {
    let long = |n: u64| RestrictedExpression::new_long(i64::try_from(n).unwrap_or(i64::MAX));
    record([
        ("dialect", string(ai.dialect.as_str())),
        ("stream", RestrictedExpression::new_bool(ai.stream)),
        ("inputTokens", long(ai.input_tokens)),
        ("maxOutputTokens", long(ai.max_output_tokens)),
        ("dataClass", RestrictedExpression::new_long(rank(ai.data_class))),
        ("tools", strings(ai.tools)),
        ("opaque", RestrictedExpression::new_bool(ai.opaque)),
    ])
}

fn rank(class: DataClass) -> i64 {
    match class {
        DataClass::Public => 0,
        DataClass::Internal => 1,
        DataClass::Confidential => 2,
        DataClass::Restricted => 3,
    }
}

fn datetime(now_ms: i64) -> Result<RestrictedExpression, Broken> {
    let nanos = i128::from(now_ms) * 1_000_000;
    let moment = OffsetDateTime::from_unix_timestamp_nanos(nanos).map_err(|e| Broken::new("time", e))?;
    let text = moment.format(RFC3339_MS).map_err(|e| Broken::new("time", e))?;
    Ok(RestrictedExpression::new_datetime(text))
}

fn record<const N: usize>(fields: [(&str, RestrictedExpression); N]) -> Result<RestrictedExpression, Broken> {
    let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value));
    RestrictedExpression::new_record(fields).map_err(|e| Broken::new("record", e))
}

pub(super) fn string(text: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(text.to_owned())
}

pub(super) fn strings(texts: &[String]) -> RestrictedExpression {
    RestrictedExpression::new_set(texts.iter().map(|text| string(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authentication_without_a_believable_time_is_old() {
        for (at, now_ms, want) in [
            (1_000, 1_060_999, 60),
            (1_000, 1_000_000, 0),
            (1_030, 1_000_000, 0),
            (9_999, 1_000_000, i64::MAX),
            (0, 1_000_000, i64::MAX),
            (-5, 1_000_000, i64::MAX),
            (i64::MAX, 0, i64::MAX),
        ] {
            assert_eq!(age_seconds(at, now_ms), want, "{at} {now_ms}");
        }
    }
}
