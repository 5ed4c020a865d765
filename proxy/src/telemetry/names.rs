//! Every metric, spelled once: OpenTelemetry names, ours under `postern.`.
//!
//! The Prometheus page shows them with `_` for `.`, and the unit and `_total` that OpenMetrics adds.

/// Seconds from the head of a request to the end of its answer.
pub const REQUEST_DURATION: &str = "http.server.request.duration";
/// Requests being served.
pub const ACTIVE_REQUESTS: &str = "http.server.active_requests";
/// Decisions, by route, outcome and reason.
pub const DECISIONS: &str = "postern.decisions";
/// Requests that policy in `mode: Audit` would have decided otherwise, by manifest and its decision.
pub const SHADOW_DECISIONS: &str = "postern.shadow.decisions";
/// Content findings, by guard and action.
pub const FINDINGS: &str = "postern.findings";
/// Bodies that were decoded to be read, by direction and coding.
pub const BODIES_DECODED: &str = "postern.bodies.decoded";
/// Open connections.
pub const CONNECTIONS: &str = "postern.connections";
/// Connections that ended before a request, by listener and cause.
pub const CONNECTIONS_REFUSED: &str = "postern.connections.refused";
/// Bans of addresses.
pub const BANS: &str = "postern.bans";
/// Bans in force.
pub const BANS_ACTIVE: &str = "postern.bans.active";
/// Decisions of the shared store of limits, by outcome: `allowed`, `refused`, `queued`, `unavailable`.
pub const LIMITS_STORE_DECISIONS: &str = "postern.limits.store.decisions";
/// Seconds that such a decision took.
pub const LIMITS_STORE_DURATION: &str = "postern.limits.store.duration";
/// 1 where the shared store of limits is there, 0 where it is away.
pub const LIMITS_STORE_CONNECTED: &str = "postern.limits.store.connected";
/// Gauge: requests that hold places among those at once in the shared store.
pub const LIMITS_STORE_SEATS: &str = "postern.limits.store.seats";
/// Requests that ended because their place in the shared store could not be kept.
pub const LIMITS_STORE_SEATS_LOST: &str = "postern.limits.store.seats.lost";
/// Requests that wait for a limit.
pub const LIMITS_WAITING: &str = "postern.limits.waiting";
/// Requests that were refused for the load.
pub const SHED: &str = "postern.shed";
/// Load in percent, as shedding goes by it.
pub const LOAD: &str = "postern.load";
/// Connections that we ended while they were open, by reason.
pub const CONNECTIONS_CUT: &str = "postern.connections.cut";
/// Seconds until a certificate that we present ends, by listener and identity; negative once it has.
pub const CERTIFICATE_EXPIRY: &str = "postern.certificate.expiry";
/// 1 for a SPIFFE Workload API that is being heard, 0 for one that is lost, by socket.
pub const SPIFFE_CONNECTED: &str = "postern.spiffe.connected";
/// Seconds until an SVID of ours ends, by socket and SPIFFE ID.
pub const SVID_EXPIRY: &str = "postern.svid.expiry";
/// Handshakes since the load that passed although no current list covered the peer, by place.
pub const REVOCATION_UNKNOWN: &str = "postern.revocation.unknown";
/// Keys of an issuer that are in use, by source; absent while there are none.
pub const KEYS_HELD: &str = "postern.keys.held";
/// Seconds since an issuer last said which keys it has, by source.
pub const KEYS_AGE: &str = "postern.keys.age";
/// Fetches of keys, by source and outcome.
pub const KEYS_FETCHES: &str = "postern.keys.fetches";
/// Questions to issuers about tokens, by source and outcome.
pub const INTROSPECTIONS: &str = "postern.introspections";
/// Questions to external detectors, by detector and outcome: `clear`, `found`, `late`, `away`, `status`, `malformed`.
pub const EXTERNAL_QUESTIONS: &str = "postern.external.questions";
/// Seconds that an external detector took, by detector.
pub const EXTERNAL_DURATION: &str = "postern.external.duration";
/// Seconds since the oldest secret of a credential was last replaced, as far as that is known, by upstream and credential.
pub const SECRET_AGE: &str = "postern.secret.age";
/// Credentials with secrets, by state: `current`, `aged`, `expired`.
pub const SECRETS: &str = "postern.secrets";
/// Credentials whose secret of before may still be shown.
pub const SECRET_OVERLAPS: &str = "postern.secrets.overlapping";
/// Requests that were sent once more with the secret of before, by upstream and whether the upstream took it: `accepted`, `refused`.
pub const SECRET_RETRIES: &str = "postern.secrets.retries";
/// Tokens for upstreams from a token service, by upstream and outcome: `issued`, `reused`, `refused`, `unusable`, `unavailable`.
pub const TOKEN_EXCHANGES: &str = "postern.token_exchanges";
/// Seconds that a token service took.
pub const TOKEN_EXCHANGE_DURATION: &str = "postern.token_exchanges.duration";
/// Exceptions of the running set, by state: `active`, `ended`.
pub const EXCEPTIONS: &str = "postern.exceptions";
/// Seconds until the next exception ends; nothing where none is in force.
pub const EXCEPTION_EXPIRY: &str = "postern.exceptions.expiry";
/// Loads of the policy set, by outcome.
pub const RELOADS: &str = "postern.reloads";
/// Requests that panicked: each is a bug.
pub const PANICS: &str = "postern.panics";
/// Records that could not be handed to the audit log: each is an alarm.
pub const AUDIT_LOST: &str = "postern.audit.lost";
/// Entries in the audit log.
pub const AUDIT_ENTRIES: &str = "postern.audit.entries";
/// Policy sets in memory: the running one, and older ones that requests began with.
pub const SETS: &str = "postern.policy.sets";
/// Requests to an upstream.
pub const UPSTREAM_REQUESTS: &str = "postern.upstream.requests";
/// Those of them whose answer began.
pub const UPSTREAM_ANSWERS: &str = "postern.upstream.answers";
/// Attempts that failed, by upstream and cause.
pub const UPSTREAM_FAILURES: &str = "postern.upstream.failures";
/// Attempts after the first.
pub const UPSTREAM_RETRIES: &str = "postern.upstream.retries";
/// Endpoints, by upstream and state: `usable`, `down`, `ejected`.
pub const UPSTREAM_ENDPOINTS: &str = "postern.upstream.endpoints";
/// 1 for an upstream whose circuit breaker refuses requests.
pub const UPSTREAM_OPEN: &str = "postern.upstream.circuit.open";
/// 1 where our own process is confined as a policy demands, 0 where it is not; not there where none does.
pub const HARDENED: &str = "postern.process.hardened";
/// Unix seconds of the running policy set's load.
pub const LOADED_AT: &str = "postern.policy.loaded";
