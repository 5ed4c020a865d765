//! What is asked, and how it looks to Cedar.

use std::net::IpAddr;
use std::sync::LazyLock;

use cedar_policy::{Context, RestrictedExpression};
use postern_config::{Action, DataClass, Dialect};
use quick_cache::sync::Cache;
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
    /// Of which tenant the resource is, where requests say it ([`super::Tenancy::PerRequest`]); `None` for one that is not known.
    pub tenant: Option<&'r str>,
    pub http: HttpFacts<'r>,
    pub net: NetFacts,
    /// Required with `chat` and `embed`.
    pub ai: Option<AiFacts<'r>>,
    /// 0–100, the highest score of a detector; 0 where none looked.
    pub risk: u8,
    /// Unix milliseconds.
    pub now: i64,
    /// Names of the compliance modes in force.
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
    /// Absent over a Unix socket: a rule that reads it cannot be decided then.
    pub source_ip: Option<IpAddr>,
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
/// Addresses that are kept.
const ADDRESSES: usize = 1024;
const RFC3339_MS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// The parts of `context` that are needed. `authn` is that of the principal judged, which is not always who calls.
pub(super) fn context(request: &AuthzRequest<'_>, authn: &Assurance, needs: ContextParts) -> Result<Context, Broken> {
    let mut context = Fields::new(needs);
    context.record("authn", authn_fields(authn, request.now, needs))?;
    context.record("net", net_fields(request.net, needs))?;
    context.record("http", http_fields(request.http, needs))?;
    if needs.has(ContextParts::NOW) {
        let now = datetime(request.now)?;
        context.put(ContextParts::NOW, "now", || now);
    }
    context.put(ContextParts::RISK, "risk", || RestrictedExpression::new_long(request.risk.into()));
    context.put(ContextParts::COMPLIANCE, "compliance", || strings(request.compliance));
    if let Some(ai) = &request.ai {
        context.record("ai", ai_fields(ai, needs))?;
    }
    Context::from_pairs(context.fields).map_err(|e| Broken::new("context", e))
}

/// Fields of a record, of which only the needed ones are made.
struct Fields {
    needs: ContextParts,
    fields: Vec<(String, RestrictedExpression)>,
}

impl Fields {
    fn new(needs: ContextParts) -> Self {
        Self { needs, fields: Vec::new() }
    }

    fn put(&mut self, part: ContextParts, name: &str, value: impl FnOnce() -> RestrictedExpression) {
        if self.needs.has(part) {
            self.fields.push((name.to_owned(), value()));
        }
    }

    /// Nothing is put where no field of the record is needed.
    fn record(&mut self, name: &str, record: Self) -> Result<(), Broken> {
        if !record.fields.is_empty() {
            let record = RestrictedExpression::new_record(record.fields).map_err(|e| Broken::new("record", e))?;
            self.fields.push((name.to_owned(), record));
        }
        Ok(())
    }
}

fn authn_fields(authn: &Assurance, now: i64, needs: ContextParts) -> Fields {
    let mut fields = Fields::new(needs);
    fields.put(ContextParts::PROVIDER, "provider", || string(&authn.provider));
    fields.put(ContextParts::METHOD, "method", || string(&authn.method));
    fields.put(ContextParts::ACR, "acr", || string(&authn.acr));
    fields.put(ContextParts::AMR, "amr", || strings(&authn.amr));
    let age = || RestrictedExpression::new_long(age_seconds(authn.authenticated_at, now));
    fields.put(ContextParts::AGE, "ageSeconds", age);
    fields.put(ContextParts::SENDER_BOUND, "senderBound", || RestrictedExpression::new_bool(authn.sender_bound));
    fields
}

/// An address as rules see it. Those seen last are kept: to make one, Cedar parses the name of its function `ip`, which takes a sixth
/// of the time of a whole decision.
fn address(ip: IpAddr) -> RestrictedExpression {
    static SEEN: LazyLock<Cache<IpAddr, RestrictedExpression>> = LazyLock::new(|| Cache::new(ADDRESSES));
    if let Some(seen) = SEEN.get(&ip) {
        return seen;
    }
    let made = RestrictedExpression::new_ip(ip.to_string());
    SEEN.insert(ip, made.clone());
    made
}

fn net_fields(net: NetFacts, needs: ContextParts) -> Fields {
    let mut fields = Fields::new(needs);
    // `::ffff:10.0.0.1` is 10.0.0.1: else the form a socket was opened in would decide.
    if let Some(ip) = net.source_ip {
        fields.put(ContextParts::SOURCE_IP, "sourceIp", || address(ip.to_canonical()));
    }
    fields.put(ContextParts::TLS, "tls", || RestrictedExpression::new_bool(net.tls));
    fields.put(ContextParts::MTLS, "mtls", || RestrictedExpression::new_bool(net.mtls));
    fields
}

fn http_fields(http: HttpFacts<'_>, needs: ContextParts) -> Fields {
    let mut fields = Fields::new(needs);
    fields.put(ContextParts::HTTP_METHOD, "method", || string(http.method));
    fields.put(ContextParts::HOST, "host", || string(http.host));
    fields.put(ContextParts::PATH, "path", || string(http.path));
    fields
}

fn ai_fields(ai: &AiFacts<'_>, needs: ContextParts) -> Fields {
    let long = |n: u64| RestrictedExpression::new_long(i64::try_from(n).unwrap_or(i64::MAX));
    let mut fields = Fields::new(needs);
    fields.put(ContextParts::DIALECT, "dialect", || string(ai.dialect.as_str()));
    fields.put(ContextParts::STREAM, "stream", || RestrictedExpression::new_bool(ai.stream));
    fields.put(ContextParts::INPUT_TOKENS, "inputTokens", || long(ai.input_tokens));
    fields.put(ContextParts::MAX_OUTPUT_TOKENS, "maxOutputTokens", || long(ai.max_output_tokens));
    let class = || RestrictedExpression::new_long(rank(ai.data_class));
    fields.put(ContextParts::DATA_CLASS, "dataClass", class);
    fields.put(ContextParts::TOOLS, "tools", || strings(ai.tools));
    fields.put(ContextParts::OPAQUE, "opaque", || RestrictedExpression::new_bool(ai.opaque));
    fields
}

/// Seconds since the authentication. One that lies in the future, or has no time, is as old as can be: else a claim
/// could stay fresh for ever.
pub(crate) fn age_seconds(authenticated_at: i64, now_ms: i64) -> i64 {
    let age = now_ms.div_euclid(1000).saturating_sub(authenticated_at);
    if authenticated_at <= 0 || age < -CLOCK_FAULT_SECONDS { i64::MAX } else { age.max(0) }
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
