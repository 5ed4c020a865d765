//! Counters and histograms. Every label comes from policy or from a fixed list: none is an attacker's to choose.

use std::fmt::Debug;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use postern_config::{Direction, Harden};
use postern_filters::encoding::Coding;

use super::names;
use crate::credentials::{Age, Standing};
use crate::spiffe::Heard;
use crate::upstream::States;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByRoute {
    http_route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByDecision {
    http_route: String,
    postern_decision: &'static str,
    postern_reason: &'static str,
}

/// A manifest on trial, and what it would have decided.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByTrial {
    postern_policy: String,
    postern_decision: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByCoding {
    postern_direction: &'static str,
    postern_coding: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByGuard {
    postern_filter: String,
    postern_action: &'static str,
}

/// A detector outside, by its name in policy.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByDetector {
    postern_filter: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByDetectorOutcome {
    postern_filter: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByListener {
    postern_listener: String,
    error_type: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByOutcome {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByUpstream {
    postern_upstream: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByFailure {
    postern_upstream: String,
    error_type: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByState {
    postern_upstream: String,
    postern_state: &'static str,
}

/// A listener or an upstream.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AtPlace {
    postern_place: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfState {
    postern_state: &'static str,
}

/// No label: a family of one, which may also be absent.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Alone {}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByReason {
    postern_reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByDemand {
    postern_harden: &'static str,
}

/// Names of policy, so that there are as many as policy has.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByIdentity {
    postern_listener: String,
    postern_identity: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BySocket {
    postern_socket: String,
}

/// IDs that the agent gives, of which there is a limited number.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BySvid {
    postern_socket: String,
    postern_spiffe_id: String,
}

/// Where an issuer is called, as policy says it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BySource {
    postern_source: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BySourceOutcome {
    postern_source: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByCredential {
    postern_upstream: String,
    postern_credential: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByUpstreamOutcome {
    postern_upstream: String,
    outcome: &'static str,
}

/// All metrics of a process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    duration: Family<ByRoute, Histogram>,
    decisions: Family<ByDecision, Counter>,
    rehearsals: Family<ByTrial, Counter>,
    findings: Family<ByGuard, Counter>,
    external: Family<ByDetectorOutcome, Counter>,
    external_duration: Family<ByDetector, Histogram>,
    decoded: Family<ByCoding, Counter>,
    refused: Family<ByListener, Counter>,
    cuts: Family<ByReason, Counter>,
    certificates: Family<ByIdentity, Gauge>,
    agents: Family<BySocket, Gauge>,
    svids: Family<BySvid, Gauge>,
    revocation_unknown: Family<AtPlace, Gauge<u64, AtomicU64>>,
    keys_held: Family<BySource, Gauge>,
    keys_age: Family<BySource, Gauge>,
    keys_fetches: Family<BySourceOutcome, Gauge<u64, AtomicU64>>,
    introspections: Family<BySourceOutcome, Gauge<u64, AtomicU64>>,
    secret_age: Family<ByCredential, Gauge>,
    secrets: Family<OfState, Gauge>,
    secret_overlaps: Gauge,
    secret_retries: Family<ByUpstreamOutcome, Counter>,
    token_exchanges: Family<ByUpstreamOutcome, Counter>,
    token_exchange_duration: Histogram,
    exceptions: Family<OfState, Gauge>,
    exception_expiry: Family<Alone, Gauge>,
    reloads: Family<ByOutcome, Counter>,
    upstream_requests: Family<ByUpstream, Counter>,
    upstream_answers: Family<ByUpstream, Counter>,
    upstream_failures: Family<ByFailure, Counter>,
    upstream_retries: Family<ByUpstream, Counter>,
    upstream_endpoints: Family<ByState, Gauge>,
    upstream_open: Family<ByUpstream, Gauge>,
    panics: Counter,
    bans: Counter,
    shed: Counter,
    pub(crate) bans_active: Gauge,
    pub(crate) load: Gauge,
    pub(crate) limits_waiting: Gauge,
    pub(crate) limits_connected: Gauge,
    limits_decisions: Family<ByOutcome, Counter>,
    limits_duration: Histogram,
    pub(crate) limits_seats: Gauge,
    limits_seats_lost: Counter,
    audit_lost: Counter,
    active: Gauge,
    pub(crate) connections: Gauge,
    pub(crate) audit_entries: Gauge<u64, AtomicU64>,
    pub(crate) loaded_at: Gauge,
    pub(crate) sets: Gauge,
    hardened: Family<ByDemand, Gauge>,
}

/// A request that is being served.
#[derive(Debug)]
pub(crate) struct Active(Gauge);

impl Drop for Active {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::default();
        let metrics = Self {
            duration: Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.000_25, 2.0, 18))),
            decisions: Family::default(),
            rehearsals: Family::default(),
            findings: Family::default(),
            external: Family::default(),
            // From a millisecond to eight seconds; no policy waits for more than ten.
            external_duration: Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.001, 2.0, 14))),
            decoded: Family::default(),
            refused: Family::default(),
            cuts: Family::default(),
            certificates: Family::default(),
            agents: Family::default(),
            svids: Family::default(),
            revocation_unknown: Family::default(),
            keys_held: Family::default(),
            keys_age: Family::default(),
            keys_fetches: Family::default(),
            introspections: Family::default(),
            secret_age: Family::default(),
            secrets: Family::default(),
            secret_overlaps: Gauge::default(),
            secret_retries: Family::default(),
            token_exchanges: Family::default(),
            // From a millisecond to four seconds; nothing is waited for longer than ten.
            token_exchange_duration: Histogram::new(exponential_buckets(0.001, 2.0, 13)),
            exceptions: Family::default(),
            exception_expiry: Family::default(),
            reloads: Family::default(),
            upstream_requests: Family::default(),
            upstream_answers: Family::default(),
            upstream_failures: Family::default(),
            upstream_retries: Family::default(),
            upstream_endpoints: Family::default(),
            upstream_open: Family::default(),
            panics: Counter::default(),
            bans: Counter::default(),
            shed: Counter::default(),
            bans_active: Gauge::default(),
            load: Gauge::default(),
            limits_waiting: Gauge::default(),
            limits_connected: Gauge::default(),
            limits_decisions: Family::default(),
            // From a tenth of a millisecond to a tenth of a second, beyond which none is waited for.
            limits_duration: Histogram::new(exponential_buckets(0.0001, 2.0, 11)),
            limits_seats: Gauge::default(),
            limits_seats_lost: Counter::default(),
            audit_lost: Counter::default(),
            active: Gauge::default(),
            connections: Gauge::default(),
            audit_entries: Gauge::default(),
            loaded_at: Gauge::default(),
            sets: Gauge::default(),
            hardened: Family::default(),
            registry: Registry::default(),
        };
        let name = |otel: &str| otel.replace('.', "_");
        registry.register_with_unit(
            name(names::REQUEST_DURATION),
            "Time from the head of a request to the end of its answer",
            Unit::Seconds,
            metrics.duration.clone(),
        );
        registry.register(name(names::ACTIVE_REQUESTS), "Requests being served", metrics.active.clone());
        registry.register(name(names::DECISIONS), "Decisions by route, outcome and reason", metrics.decisions.clone());
        registry.register(
            name(names::SHADOW_DECISIONS),
            "Requests that policy on trial would have decided otherwise, by manifest and its decision",
            metrics.rehearsals.clone(),
        );
        registry.register(name(names::FINDINGS), "Content findings by guard and action", metrics.findings.clone());
        registry.register(
            name(names::EXTERNAL_QUESTIONS),
            "Questions to external detectors, by detector and outcome",
            metrics.external.clone(),
        );
        registry.register_with_unit(
            name(names::EXTERNAL_DURATION),
            "Time that an external detector took",
            Unit::Seconds,
            metrics.external_duration.clone(),
        );
        registry.register(
            name(names::BODIES_DECODED),
            "Bodies decoded to be read, by direction and coding",
            metrics.decoded.clone(),
        );
        registry.register(name(names::CONNECTIONS), "Open connections", metrics.connections.clone());
        registry.register(
            name(names::CONNECTIONS_REFUSED),
            "Connections that ended before a request",
            metrics.refused.clone(),
        );
        registry.register(name(names::CONNECTIONS_CUT), "Connections that were cut, by reason", metrics.cuts.clone());
        registry.register_with_unit(
            name(names::CERTIFICATE_EXPIRY),
            "Time until a certificate that is presented ends",
            Unit::Seconds,
            metrics.certificates.clone(),
        );
        registry.register(
            name(names::SPIFFE_CONNECTED),
            "1 for a SPIFFE Workload API that is being heard, 0 for one that is lost",
            metrics.agents.clone(),
        );
        registry.register_with_unit(
            name(names::SVID_EXPIRY),
            "Time until an SVID of ours ends",
            Unit::Seconds,
            metrics.svids.clone(),
        );
        registry.register(
            name(names::REVOCATION_UNKNOWN),
            "Handshakes since the load that passed although no current list covered the peer",
            metrics.revocation_unknown.clone(),
        );
        registry.register(name(names::KEYS_HELD), "Keys of an issuer in use", metrics.keys_held.clone());
        registry.register_with_unit(
            name(names::KEYS_AGE),
            "Time since an issuer last said which keys it has",
            Unit::Seconds,
            metrics.keys_age.clone(),
        );
        registry.register(name(names::KEYS_FETCHES), "Fetches of keys by outcome", metrics.keys_fetches.clone());
        registry.register(
            name(names::INTROSPECTIONS),
            "Questions to issuers about tokens by outcome",
            metrics.introspections.clone(),
        );
        metrics.register_secrets(&mut registry, name);
        registry.register(name(names::EXCEPTIONS), "Exceptions by state", metrics.exceptions.clone());
        registry.register_with_unit(
            name(names::EXCEPTION_EXPIRY),
            "Time until the next exception ends",
            Unit::Seconds,
            metrics.exception_expiry.clone(),
        );
        registry.register(name(names::RELOADS), "Loads of the policy set by outcome", metrics.reloads.clone());
        let upstreams = [
            (names::UPSTREAM_REQUESTS, "Requests to an upstream", &metrics.upstream_requests),
            (names::UPSTREAM_ANSWERS, "Requests whose answer began", &metrics.upstream_answers),
            (names::UPSTREAM_RETRIES, "Attempts after the first", &metrics.upstream_retries),
        ];
        for (otel, help, family) in upstreams {
            registry.register(name(otel), help, family.clone());
        }
        registry.register(
            name(names::UPSTREAM_FAILURES),
            "Attempts that failed, by upstream and cause",
            metrics.upstream_failures.clone(),
        );
        registry.register(
            name(names::UPSTREAM_ENDPOINTS),
            "Endpoints, by upstream and state",
            metrics.upstream_endpoints.clone(),
        );
        registry.register(
            name(names::UPSTREAM_OPEN),
            "1 for an upstream whose circuit breaker refuses requests",
            metrics.upstream_open.clone(),
        );
        registry.register(name(names::BANS), "Bans of addresses", metrics.bans.clone());
        registry.register(name(names::BANS_ACTIVE), "Bans in force", metrics.bans_active.clone());
        registry.register(name(names::SHED), "Requests refused for the load", metrics.shed.clone());
        registry.register(name(names::LOAD), "Load in percent", metrics.load.clone());
        registry.register(
            name(names::LIMITS_WAITING),
            "Requests that wait for a limit",
            metrics.limits_waiting.clone(),
        );
        registry.register(
            name(names::LIMITS_STORE_CONNECTED),
            "1 where the shared store of limits is there",
            metrics.limits_connected.clone(),
        );
        registry.register(
            name(names::LIMITS_STORE_DECISIONS),
            "Decisions of the shared store of limits",
            metrics.limits_decisions.clone(),
        );
        registry.register_with_unit(
            name(names::LIMITS_STORE_DURATION),
            "Time a decision of the shared store of limits took",
            Unit::Seconds,
            metrics.limits_duration.clone(),
        );
        registry.register(
            name(names::LIMITS_STORE_SEATS),
            "Requests that hold places in the shared store of limits",
            metrics.limits_seats.clone(),
        );
        registry.register(
            name(names::LIMITS_STORE_SEATS_LOST),
            "Requests that ended because their place in the shared store could not be kept",
            metrics.limits_seats_lost.clone(),
        );
        registry.register(name(names::PANICS), "Requests that panicked", metrics.panics.clone());
        registry.register(name(names::AUDIT_LOST), "Records the audit log did not take", metrics.audit_lost.clone());
        registry.register(name(names::AUDIT_ENTRIES), "Entries in the audit log", metrics.audit_entries.clone());
        registry.register(name(names::LOADED_AT), "Unix seconds of the running set's load", metrics.loaded_at.clone());
        registry.register(name(names::SETS), "Policy sets in memory, the running one included", metrics.sets.clone());
        registry.register(
            name(names::HARDENED),
            "1 where the process is confined as a policy demands, 0 where it is not",
            metrics.hardened.clone(),
        );
        Self { registry, ..metrics }
    }

    fn register_secrets(&self, registry: &mut Registry, name: impl Fn(&str) -> String) {
        registry.register_with_unit(
            name(names::SECRET_AGE),
            "Time since the oldest secret of a credential was last replaced",
            Unit::Seconds,
            self.secret_age.clone(),
        );
        registry.register(name(names::SECRETS), "Credentials with secrets, by state", self.secrets.clone());
        registry.register(
            name(names::SECRET_OVERLAPS),
            "Credentials whose secret of before may still be shown",
            self.secret_overlaps.clone(),
        );
        registry.register(
            name(names::SECRET_RETRIES),
            "Requests that were sent once more with the secret of before",
            self.secret_retries.clone(),
        );
        registry.register(
            name(names::TOKEN_EXCHANGES),
            "Tokens for upstreams from a token service, by outcome",
            self.token_exchanges.clone(),
        );
        registry.register_with_unit(
            name(names::TOKEN_EXCHANGE_DURATION),
            "Time that a token service took",
            Unit::Seconds,
            self.token_exchange_duration.clone(),
        );
    }

    /// How the secrets of the running set stand. What is not named is gone.
    pub(crate) fn secrets(&self, standing: Vec<Standing>) {
        self.secret_age.clear();
        self.secrets.clear();
        let overlapping = standing.iter().filter(|one| one.overlaps).count();
        self.secret_overlaps.set(i64::try_from(overlapping).unwrap_or(i64::MAX));
        for age in [Age::Current, Age::Aged, Age::Expired] {
            let count = standing.iter().filter(|one| one.age == age).count();
            let labels = OfState { postern_state: age.as_str() };
            self.secrets.get_or_create(&labels).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        for one in standing {
            let labels = ByCredential { postern_upstream: one.upstream, postern_credential: one.name };
            self.secret_age.get_or_create(&labels).set(one.seconds_old);
        }
    }

    /// A request that was sent once more with the secret of before.
    pub(crate) fn secret_retried(&self, upstream: &str, accepted: bool) {
        let outcome = if accepted { "accepted" } else { "refused" };
        self.secret_retries.get_or_create(&by_outcome(upstream, outcome)).inc();
    }

    pub(crate) fn token_exchanged(&self, upstream: &str, outcome: &'static str) {
        self.token_exchanges.get_or_create(&by_outcome(upstream, outcome)).inc();
    }

    pub(crate) fn token_exchange_took(&self, seconds: f64) {
        self.token_exchange_duration.observe(seconds);
    }

    /// The page of `/metrics`, in OpenMetrics text.
    ///
    /// # Errors
    /// Never for a `String`; the encoder's signature says so.
    pub fn page(&self) -> Result<String, std::fmt::Error> {
        let mut page = String::new();
        encode(&mut page, &self.registry)?;
        Ok(page)
    }

    /// Counts a request as being served until the guard is dropped.
    pub(crate) fn enter(&self) -> Active {
        self.active.inc();
        Active(self.active.clone())
    }

    /// One finished request. `route` is empty where none matched.
    pub(crate) fn request(&self, route: &str, decision: &'static str, reason: &'static str, seconds: f64) {
        self.duration.get_or_create(&ByRoute { http_route: route.to_owned() }).observe(seconds);
        let labels = ByDecision { http_route: route.to_owned(), postern_decision: decision, postern_reason: reason };
        self.decisions.get_or_create(&labels).inc();
    }

    pub(crate) fn rehearsed(&self, policy: &str, decision: &'static str) {
        self.rehearsals.get_or_create(&ByTrial { postern_policy: policy.to_owned(), postern_decision: decision }).inc();
    }

    pub(crate) fn finding(&self, guard: &str, action: &'static str) {
        let labels = ByGuard { postern_filter: guard.to_owned(), postern_action: action };
        self.findings.get_or_create(&labels).inc();
    }

    /// A question to a detector outside, what came of it and how long it took.
    pub(crate) fn asked_outside(&self, guard: &str, outcome: &'static str, seconds: f64) {
        let labels = ByDetectorOutcome { postern_filter: guard.to_owned(), outcome };
        self.external.get_or_create(&labels).inc();
        self.external_duration.get_or_create(&ByDetector { postern_filter: guard.to_owned() }).observe(seconds);
    }

    pub(crate) fn decoded(&self, direction: Direction, coding: Coding) {
        let postern_direction = match direction {
            Direction::Request => "request",
            Direction::Response => "response",
        };
        self.decoded.get_or_create(&ByCoding { postern_direction, postern_coding: coding.as_str() }).inc();
    }

    pub(crate) fn connection_refused(&self, listener: &str, cause: &'static str) {
        self.connection_ended(listener, cause);
    }

    pub(crate) fn handshake_failed(&self, listener: &str) {
        self.connection_ended(listener, "handshake");
    }

    fn connection_ended(&self, listener: &str, error_type: &'static str) {
        self.refused.get_or_create(&ByListener { postern_listener: listener.to_owned(), error_type }).inc();
    }

    pub(crate) fn cut(&self, reason: &'static str) {
        self.cuts.get_or_create(&ByReason { postern_reason: reason }).inc();
    }

    /// Seconds left of what is presented, each with its place and the name of its identity. What is not named is gone.
    pub(crate) fn certificates(&self, left: Vec<(String, String, i64)>) {
        self.certificates.clear();
        for (place, identity, seconds) in left {
            let labels = ByIdentity { postern_listener: place, postern_identity: identity };
            self.certificates.get_or_create(&labels).set(seconds);
        }
    }

    /// The Workload APIs that are listened to, and no others.
    pub(crate) fn agents(&self, heard: Vec<Heard>, now: i64) {
        self.agents.clear();
        self.svids.clear();
        for agent in heard {
            let labels = BySocket { postern_socket: agent.socket.clone() };
            self.agents.get_or_create(&labels).set(i64::from(agent.connected));
            for (id, end) in agent.svids {
                let labels = BySvid { postern_socket: agent.socket.clone(), postern_spiffe_id: id };
                self.svids.get_or_create(&labels).set(end.saturating_sub(now));
            }
        }
    }

    /// Handshakes that hung on an exception for revocation, by place. What is not named is gone.
    pub(crate) fn revocation_unknown(&self, passed: impl Iterator<Item = (String, u64)>) {
        self.revocation_unknown.clear();
        for (postern_place, number) in passed {
            self.revocation_unknown.get_or_create(&AtPlace { postern_place }).set(number);
        }
    }

    /// How issuers stand: keys held with their age, fetches and questions that went well and that failed. What is not named
    /// is gone.
    pub(crate) fn issuers(
        &self,
        keys: impl Iterator<Item = (String, Option<(usize, i64)>, u64, u64)>,
        asked: impl Iterator<Item = (String, u64, u64)>,
    ) {
        self.keys_held.clear();
        self.keys_age.clear();
        self.keys_fetches.clear();
        self.introspections.clear();
        let count = |family: &Family<BySourceOutcome, Gauge<u64, AtomicU64>>, source: &str, good: u64, failed: u64| {
            for (outcome, number) in [("success", good), ("failure", failed)] {
                family.get_or_create(&BySourceOutcome { postern_source: source.to_owned(), outcome }).inc_by(number);
            }
        };
        for (source, held, good, failed) in keys {
            count(&self.keys_fetches, &source, good, failed);
            let labels = BySource { postern_source: source };
            if let Some((number, age)) = held {
                self.keys_held.get_or_create(&labels).set(i64::try_from(number).unwrap_or(i64::MAX));
                self.keys_age.get_or_create(&labels).set(age);
            }
        }
        for (source, good, failed) in asked {
            count(&self.introspections, &source, good, failed);
        }
    }

    /// Exceptions, by the seconds that are left of them.
    pub(crate) fn exceptions(&self, left: impl Iterator<Item = i64>) {
        let (mut active, mut ended, mut next) = (0_i64, 0_i64, None::<i64>);
        for seconds in left {
            if seconds > 0 {
                active = active.saturating_add(1);
                next = Some(next.map_or(seconds, |known| known.min(seconds)));
            } else {
                ended = ended.saturating_add(1);
            }
        }
        for (postern_state, number) in [("active", active), ("ended", ended)] {
            self.exceptions.get_or_create(&OfState { postern_state }).set(number);
        }
        self.exception_expiry.clear();
        if let Some(seconds) = next {
            self.exception_expiry.get_or_create(&Alone {}).set(seconds);
        }
    }

    pub(crate) fn reloaded(&self, outcome: &'static str) {
        self.reloads.get_or_create(&ByOutcome { outcome }).inc();
    }

    pub(crate) fn upstream_asked(&self, upstream: &str) {
        self.upstream_requests.get_or_create(&by_upstream(upstream)).inc();
    }

    pub(crate) fn upstream_answered(&self, upstream: &str) {
        self.upstream_answers.get_or_create(&by_upstream(upstream)).inc();
    }

    pub(crate) fn upstream_retried(&self, upstream: &str) {
        self.upstream_retries.get_or_create(&by_upstream(upstream)).inc();
    }

    pub(crate) fn upstream_failed(&self, upstream: &str, error_type: &'static str) {
        let labels = ByFailure { postern_upstream: upstream.to_owned(), error_type };
        self.upstream_failures.get_or_create(&labels).inc();
    }

    /// The upstreams of the running set, and no others.
    pub(crate) fn upstreams<'u>(&self, upstreams: impl Iterator<Item = (&'u str, States)>) {
        self.upstream_endpoints.clear();
        self.upstream_open.clear();
        for (upstream, states) in upstreams {
            for (state, number) in [("usable", states.usable), ("down", states.down), ("ejected", states.ejected)] {
                let labels = ByState { postern_upstream: upstream.to_owned(), postern_state: state };
                self.upstream_endpoints.get_or_create(&labels).set(number);
            }
            self.upstream_open.get_or_create(&by_upstream(upstream)).set(i64::from(states.open));
        }
    }

    /// Whether the process is confined; `None` where no policy demands it.
    pub(crate) fn hardened(&self, hardened: Option<(Harden, bool)>) {
        self.hardened.clear();
        if let Some((demand, hardened)) = hardened {
            let postern_harden = match demand {
                Harden::Warn => "Warn",
                Harden::Require => "Require",
            };
            self.hardened.get_or_create(&ByDemand { postern_harden }).set(i64::from(hardened));
        }
    }

    /// A decision of the shared store, or that there was none.
    pub(crate) fn limits_decided(&self, outcome: &'static str, seconds: f64) {
        self.limits_decisions.get_or_create(&ByOutcome { outcome }).inc();
        self.limits_duration.observe(seconds);
    }

    pub(crate) fn seat_lost(&self) {
        self.limits_seats_lost.inc();
    }

    pub(crate) fn banned(&self) {
        self.bans.inc();
    }

    pub(crate) fn shed(&self) {
        self.shed.inc();
    }

    pub(crate) fn panicked(&self) {
        self.panics.inc();
    }

    pub(crate) fn audit_lost(&self) {
        self.audit_lost.inc();
    }
}

fn by_outcome(upstream: &str, outcome: &'static str) -> ByUpstreamOutcome {
    ByUpstreamOutcome { postern_upstream: upstream.to_owned(), outcome }
}

fn by_upstream(upstream: &str) -> ByUpstream {
    ByUpstream { postern_upstream: upstream.to_owned() }
}
