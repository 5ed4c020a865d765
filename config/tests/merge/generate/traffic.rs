//! What may come and go: APIAccessPolicy, NetworkPolicy, DDoSProtectionPolicy, WorkloadSecurityPolicy.

use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::{APP, CHAT, Content, GATEWAY, LISTENER, Written, content, list, maybe, some, word};

pub(super) fn api_access(written: Written) -> impl Strategy<Value = Content> {
    let rules = some(&[
        "{methods: [GET], paths: [/**]}",
        "{methods: [GET, HEAD], paths: [/, /v1/models]}",
        "{methods: [POST], paths: [/v1/chat/completions], contentTypes: [application/json]}",
        "{methods: [POST, PUT], paths: [/**], contentTypes: [application/json, text/plain]}",
    ]);
    let origins = some(&["\"https://a.example\"", "\"https://b.example\"", "\"https://d.example\""]);
    let cross = prop_oneof![
        Just("crossSite: {type: Deny}".to_owned()),
        origins.prop_map(|origins| format!("crossSite: {{type: AllowOrigins, origins: {}}}", list(&origins))),
    ];
    let cors = (
        select(vec!["[\"*\"]", "[\"https://a.example\"]", "[\"https://a.example\", \"https://b.example\"]"]),
        select(vec!["[GET]", "[GET, HEAD]"]),
        some(&["X-A", "X-B"]),
        select(vec!["10s", "1h"]),
    );
    let cors = cors.prop_map(|(origins, methods, headers, age)| {
        format!("cors: {{origins: {origins}, methods: {methods}, headers: {}, maxAge: {age}}}", list(&headers))
    });
    let accepted = select(vec![
        "{providers: [people, web]}",
        "{providers: [agents]}",
        "{providers: [people, agents, web]}",
        "{providers: [agents, people], require: AllOf}",
    ]);
    let fields = (
        maybe(written, rules.prop_map(|rules| format!("allow: {}", list(&rules)))),
        maybe(written, select(vec!["1Ki", "64Ki", "1Mi", "50Mi"]).prop_map(|size| format!("maxBodySize: {size}"))),
        maybe(written, cross),
        maybe(Written::Some, cors),
        maybe(written, accepted.prop_map(|accepted| format!("authentication: {accepted}"))),
        maybe(
            written,
            (
                1_u32..100,
                select(vec!["Principal", "Tenant", "SourceIp", "Route, Model", "\"Header:X-Team\""]),
                select(vec![
                    "unit: Requests, window: 1m",
                    "unit: Bytes, window: 1m, burst: 1",
                    "unit: ConcurrentRequests",
                    "unit: Requests, window: 1m, overLimit: {type: Queue, maxWait: 2s}",
                    "unit: Requests, window: 1m, store: Shared",
                    "unit: Requests, window: 1m, burst: 7, store: Shared, onUnavailable: Local",
                    "unit: Bytes, window: 1m, store: Shared, onUnavailable: Deny",
                    "unit: ConcurrentRequests, store: Shared",
                    "unit: TotalTokens, window: 1d",
                ]),
            )
                .prop_map(|(limit, key, unit)| {
                    format!("rateLimits: [{{name: %, key: [{key}], {unit}, limit: {limit}}}]")
                }),
        ),
        option::weighted(0.3, document()),
        maybe(
            written,
            some(&["Server", "X-Powered-By"]).prop_map(|names| {
                format!("responseHeaders: {{remove: {}, set: {{X-Frame-Options: DENY}}}}", list(&names))
            }),
        ),
    );
    content(
        "APIAccessPolicy",
        &[GATEWAY, APP, CHAT],
        fields.prop_map(|(a, b, c, d, e, f, g, h)| vec![a, b, c, d, e, f, g, h]),
    )
}

/// Small documents: they are read at every load.
fn document() -> impl Strategy<Value = String> {
    let files = [
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/merge/reads.yaml"),
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/merge/asks.yaml"),
    ];
    select(files.to_vec()).prop_map(|file| format!("schemaFrom: \"file:{file}\""))
}

pub(super) fn network(written: Written) -> impl Strategy<Value = Content> {
    let allow = some(&[
        "{name: a, cidrs: [\"10.0.0.0/8\"]}",
        "{name: b, cidrs: [\"10.1.0.0/16\", \"192.0.2.0/24\"]}",
        "{name: c, principals: [\"spiffe://example.org/ns/acme/**\"]}",
        "{name: d, cidrs: [\"10.0.0.0/8\"], principals: [\"spiffe://example.org/**\"]}",
    ]);
    let deny = some(&["{name: e, cidrs: [\"10.1.0.0/16\"]}", "{name: f, cidrs: [\"192.0.2.0/25\"]}"]);
    let ingress = (maybe(written, allow.prop_map(|rules| format!("allow: {}", list(&rules)))), option::of(deny))
        .prop_map(|(allow, deny)| {
            let parts = [allow, deny.map(|rules| format!("deny: {}", list(&rules)))];
            format!("ingress: {{{}}}", parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
        });
    let more = subsequence(
        vec![
            "{name: z, hosts: [other.example]}",
            "{name: x, cidrs: [\"10.20.0.0/16\"]}",
            "{name: y, cidrs: [\"10.0.0.0/8\"], ports: [443, 80]}",
        ],
        0..=3,
    );
    let private = maybe(written, word(&["Deny", "AllowListed"]).prop_map(|word| format!(", privateRanges: {word}")));
    let redirects = maybe(written, word(&["Deny", "SameHost"]).prop_map(|word| format!(", redirects: {word}")));
    let egress = (more, private, redirects).prop_map(|(more, private, redirects)| {
        // The upstreams of the bootstrap must stay within reach, or the set does not load.
        let own = ["{name: own, cidrs: [\"127.0.0.1/32\"], ports: [8080]}", "{name: models, hosts: [api.openai.com]}"];
        let rules: Vec<&str> = own.into_iter().chain(more).collect();
        format!("egress: {{allow: {}{}{}}}", list(&rules), private.unwrap_or_default(), redirects.unwrap_or_default())
    });
    let fields = (maybe(written, ingress), maybe(written, egress)).prop_map(|(a, b)| vec![a, b]);
    content("NetworkPolicy", &[GATEWAY, APP, CHAT], fields)
}

/// Of connections on the gateway and the listener, of requests also on routes. What writes all fields is for all routes.
pub(super) fn guard(written: Written, connections: bool) -> impl Strategy<Value = Content> {
    let complete = (
        "{max: 500, maxPerIp: 8}",
        "tls: 5s, headers: 20s",
        "{maxConcurrentStreams: 100, maxResetsPerMinute: 100, maxContinuation: 16}",
        "{findings: 20, window: 1m}, for: 1h",
    );
    let of_connections = (
        select(vec![
            "{max: 10}",
            "{max: 5000, maxPerIp: 5}",
            "{maxPerIp: 500, handshakesPerIp: {limit: 5, window: 1s}}",
        ]),
        select(vec!["tls: 1s, headers: 60s", "headers: 5s", "tls: 20s"]),
        select(vec!["{maxConcurrentStreams: 10, maxContinuation: 32}", "{maxResetsPerMinute: 50}"]),
        select(vec!["{findings: 5, window: 1m}, for: 1h", "{findings: 50, window: 1h}, for: 1m, maxFor: 2m"]),
    );
    let of_requests = (
        maybe(
            written,
            word(&[
                "bodyIdle: 5s, firstByte: 10s, streamIdle: 1m, streamTotal: 1h",
                "bodyIdle: 9m, firstByte: 50m, streamIdle: 50m, streamTotal: 20h",
            ]),
        ),
        maybe(
            written,
            word(&[
                "{maxHeaders: 20, maxHeaderSize: 128Ki, maxBody: 90Mi, maxJsonDepth: 120, maxSseEvent: 1Ki, maxDecompressionRatio: 9}",
                "{maxHeaders: 256, maxHeaderSize: 1Ki, maxBody: 3Ki, maxJsonDepth: 8, maxSseEvent: 8Mi, maxDecompressionRatio: 900}",
            ]),
        ),
        option::of(select(vec![
            "{perIp: {limit: 5, window: 1m}}",
            "{perIp: {limit: 50, window: 1m, burst: 5}, global: {limit: 9, window: 1s}}",
        ])),
        option::of(select(vec![
            "{atLoad: 50, order: [{matchLabels: {app: assistant}}]}",
            "{atLoad: 99, order: [{matchLabels: {tenant: acme}}, {matchLabels: {app: app}}]}",
            "{}",
        ])),
    );
    let fields = (of_connections, of_requests).prop_map(move |(some, (late, sizes, rates, shed))| {
        let (max, early, http2, ban) = if written == Written::All { complete } else { some };
        let timeouts = match (connections, late) {
            (true, Some(late)) => format!("timeouts: {{{early}, {late}}}"),
            (true, None) => format!("timeouts: {{{early}}}"),
            (false, late) => format!("timeouts: {{{}}}", late.unwrap_or_default()),
        };
        let mut fields = vec![
            Some(timeouts),
            sizes.map(|sizes| format!("sizes: {sizes}")),
            rates.map(|rates| format!("requests: {rates}")),
            shed.map(|shed| format!("shed: {shed}")),
        ];
        if connections {
            fields.push(Some(format!("connections: {max}")));
            fields.push(Some(format!("http2: {http2}")));
            fields.push(Some(format!("ban: [{{name: b, after: {ban}}}]")));
        }
        fields
    });
    let targets: &'static [&'static str] = match (written, connections) {
        (Written::All, _) => &[GATEWAY],
        (Written::Some, true) => &[GATEWAY, LISTENER],
        (Written::Some, false) => &[GATEWAY, APP, CHAT],
    };
    content("DDoSProtectionPolicy", targets, fields)
}

pub(super) fn hardening() -> impl Strategy<Value = Content> {
    content(
        "WorkloadSecurityPolicy",
        &[GATEWAY],
        word(&["Warn", "Require"]).prop_map(|harden| vec![Some(format!("self: {{harden: {harden}}}"))]),
    )
}
