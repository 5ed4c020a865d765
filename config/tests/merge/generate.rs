//! Manifests as text, of every kind that merges, and the load of a set of them.

use std::path::Path;
use std::sync::LazyLock;

use postern_config::{
    Bootstrap, ManifestId, Parsed, Report, Snapshot, SourceFile, parse_bootstrap, parse_manifests, resolve,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

pub(crate) const NOW: i64 = 1_790_812_800;
pub(crate) const BOOTSTRAP: &str = include_str!("../rejects/postern.yaml");
pub(crate) const BASE: &str = include_str!("base.yaml");

/// A manifest without its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) kind: &'static str,
    pub(crate) targets: Vec<&'static str>,
    /// Fields of `spec`, each a line. `%` stands for a name of the content's own.
    fields: Vec<String>,
}

impl Content {
    /// `own` names list items that must be unique on a route; `name` is the manifest's.
    pub(crate) fn text(&self, name: &str, own: &str) -> String {
        let mut text = format!(
            "apiVersion: secure.platformspec.io/v1alpha1\nkind: {}\nmetadata: {{name: {name}}}\nspec:\n  targetRefs: [{}]\n",
            self.kind,
            self.targets.join(", ")
        );
        for field in &self.fields {
            text.push_str(&format!("  {}\n", field.replace('%', own)));
        }
        text
    }

    /// The same in `mode: Audit`.
    pub(crate) fn on_trial(mut self) -> Self {
        self.fields.extend(["mode: Audit".to_owned(), "modeUntil: 2026-10-20T00:00:00Z".to_owned()]);
        self
    }

    /// Whether a second manifest with the same content is legal: it names nothing that must be unique on a route.
    pub(crate) fn may_be_repeated(&self) -> bool {
        !self.fields.iter().any(|field| field.contains('%'))
    }
}

/// Loads files; the second is every problem without its place.
pub(crate) fn load(files: &[String]) -> (Option<Snapshot>, Vec<String>) {
    let mut report = Report::new();
    let bootstrap = parse_bootstrap("postern.yaml", BOOTSTRAP.as_bytes(), Path::new(""), &mut report).unwrap();
    let files: Vec<SourceFile> = files
        .iter()
        .enumerate()
        .map(|(index, text)| SourceFile { name: format!("{index}.yaml"), bytes: text.as_bytes().to_vec() })
        .collect();
    let parsed = parse_manifests(&files, &bootstrap.manifest_rules(), &mut report);
    let snapshot = resolve(&bootstrap, &parsed, NOW, &mut report);
    let mut problems: Vec<String> = report.problems().iter().map(|p| format!("{} {}", p.code, p.message)).collect();
    problems.sort();
    problems.dedup();
    (snapshot.filter(|_| !report.has_errors()), problems)
}

/// The base and these manifests, one file each, named in their order.
pub(crate) fn with_base(contents: &[Content]) -> (Option<Snapshot>, Vec<String>) {
    load(&std::iter::once(BASE.to_owned()).chain(texts(contents)).collect::<Vec<_>>())
}

const GATEWAY: &str = "{kind: Gateway, name: edge}";
const LISTENER: &str = "{kind: Gateway, name: edge, sectionName: public}";
const APP: &str = "{kind: Route, name: app}";
const CHAT: &str = "{kind: Route, name: chat}";

fn some<T: Clone + std::fmt::Debug + 'static>(all: &[T]) -> impl Strategy<Value = Vec<T>> + use<T> {
    subsequence(all.to_vec(), 1..=all.len())
}

/// Whether every field is written, or some are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    All,
    Some,
}

fn maybe(written: Written, field: impl Strategy<Value = String> + 'static) -> BoxedStrategy<Option<String>> {
    match written {
        Written::All => field.prop_map(Some).boxed(),
        Written::Some => option::weighted(0.7, field).boxed(),
    }
}

fn word(words: &[&'static str]) -> impl Strategy<Value = String> + use<> {
    select(words.to_vec()).prop_map(str::to_owned)
}

fn list(words: &[&str]) -> String {
    format!("[{}]", words.join(", "))
}

fn content(
    kind: &'static str,
    targets: &'static [&'static str],
    fields: impl Strategy<Value = Vec<Option<String>>>,
) -> impl Strategy<Value = Content> {
    (some(targets), fields).prop_map(move |(targets, fields)| Content {
        kind,
        targets,
        fields: fields.into_iter().flatten().collect(),
    })
}

fn api_access(written: Written) -> impl Strategy<Value = Content> {
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
        "{providers: [people]}",
        "{providers: [agents]}",
        "{providers: [people, agents]}",
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
                ]),
            )
                .prop_map(|(limit, key, unit)| {
                    format!("rateLimits: [{{name: %, key: [{key}], {unit}, limit: {limit}}}]")
                }),
        ),
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
        fields.prop_map(|(a, b, c, d, e, f, g)| vec![a, b, c, d, e, f, g]),
    )
}

fn certificate(written: Written) -> impl Strategy<Value = Content> {
    let names =
        some(&["\"spiffe://example.org/**\"", "\"spiffe://example.org/ns/acme/**\"", "\"*.clients.example.org\""]);
    let anchors = some(&[
        "{name: mesh, caFrom: \"file:mesh.pem\"}",
        "{name: other, caFrom: \"file:other.pem\"}",
        "{name: own, spiffeTrustDomain: example.org}",
        "{name: own, spiffeTrustDomain: example.org, socket: \"unix:/run/other.sock\"}",
    ]);
    let trust = (
        names,
        maybe(written, anchors.prop_map(|anchors| list(&anchors))),
        maybe(written, word(&["Optional", "Required", "\"Off\""])),
        maybe(written, word(&["2048", "3072", "4096"])),
        maybe(written, some(&["P-384", "P-256", "Ed25519"]).prop_map(|curves| list(&curves))),
        maybe(written, word(&["1d", "90d", "900d"])),
        maybe(Written::Some, word(&["{crlFrom: \"file:a.crl\"}", "{crlFrom: \"file:b.crl\", onUnavailable: Deny}"])),
    );
    let trust = trust.prop_map(|(names, anchors, auth, bits, curves, lifetime, revocation)| {
        let parts = [
            Some(format!("names: {}", list(&names))),
            anchors.map(|anchors| format!("anchors: {anchors}")),
            auth.map(|auth| format!("clientAuth: {auth}")),
            bits.map(|bits| format!("minRsaBits: {bits}")),
            curves.map(|curves| format!("curves: {curves}")),
            lifetime.map(|lifetime| format!("maxLifetime: {lifetime}")),
            revocation.map(|revocation| format!("revocation: {revocation}")),
        ];
        format!("trust: {{{}}}", parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
    });
    let rotation = (select(vec!["1h", "30d"]), any::<bool>());
    let rotation =
        rotation.prop_map(|(warn, deny)| format!("rotation: {{warnBefore: {warn}, denyAfterExpiry: {deny}}}"));
    let fields = (maybe(written, trust), maybe(written, rotation)).prop_map(|(a, b)| vec![a, b]);
    content("CertificatePolicy", &[GATEWAY, LISTENER], fields)
}

fn encryption() -> impl Strategy<Value = Content> {
    let fields = (
        select(vec!["TLSv1.2", "TLSv1.3"]),
        select(vec!["Classical", "HybridPreferred", "HybridRequired"]),
        select(vec!["Default", "Fips"]),
        select(vec!["1h", "30d"]),
        any::<bool>(),
    );
    let fields = fields.prop_map(|(version, exchange, profile, age, below)| {
        vec![Some(format!(
            "inTransit: {{minVersion: {version}, keyExchange: {exchange}, profile: {profile}, hsts: {{maxAge: {age}, includeSubdomains: {below}}}}}"
        ))]
    });
    content("EncryptionPolicy", &[GATEWAY, LISTENER], fields)
}

fn data(written: Written) -> impl Strategy<Value = Content> {
    let matches = select(vec![
        "{detectors: [card]}",
        "{detectors: [mail, card]}",
        "{minClass: Confidential}",
        "{minClass: Public}",
    ]);
    let rule = (
        select(vec!["Request", "Response", "Both"]),
        some(&["User", "Assistant", "ToolResult", "HttpBody"]),
        matches,
        select(vec!["Block", "Redact", "Mask"]),
    );
    let rule = rule.prop_map(|(direction, parts, matches, action)| {
        format!(
            "rules: [{{name: %, direction: {direction}, parts: {}, match: {matches}, action: {action}}}]",
            list(&parts)
        )
    });
    let streaming = (select(vec!["32Ki", "128Ki"]), select(vec!["1s", "30s"]));
    let streaming = streaming.prop_map(|(hold, stall)| format!("streaming: {{holdBack: {hold}, stall: {stall}}}"));
    let detectors = Just("detectors: [{name: card, type: Builtin, id: payment-card, class: Restricted}]".to_owned());
    let fields = (maybe(written, rule), maybe(written, streaming), maybe(written, detectors))
        .prop_map(|(a, b, c)| vec![a, b, c]);
    content("DataProtectionPolicy", &[GATEWAY, APP, CHAT], fields)
}

fn runtime() -> impl Strategy<Value = Content> {
    let fields = (
        select(vec!["PromptInjection", "HiddenText"]),
        some(&["User", "ToolResult", "HttpBody"]),
        1_u8..100,
        select(vec!["Block", "Redact"]),
    );
    let fields = fields.prop_map(|(kind, parts, threshold, action)| {
        vec![Some(format!(
            "detectors: [{{name: %, type: {kind}, parts: {}, untrustedOnly: false, threshold: {threshold}, action: {action}}}]",
            list(&parts)
        ))]
    });
    content("RuntimeSecurityPolicy", &[GATEWAY, APP, CHAT], fields)
}

pub(crate) fn forbid() -> impl Strategy<Value = Content> {
    let rule = (some(&["read", "create", "chat"]), subsequence(vec!["User", "Agent"], 0..=2));
    let fields = rule.prop_map(|(actions, types)| {
        vec![Some(format!(
            "rules: [{{name: a, effect: Forbid, actions: {}, principals: {}}}]",
            list(&actions),
            list(&types)
        ))]
    });
    content("AccessControlPolicy", &[GATEWAY, APP, CHAT], fields)
}

fn network(written: Written) -> impl Strategy<Value = Content> {
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
fn guard(written: Written, connections: bool) -> impl Strategy<Value = Content> {
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
                "{maxHeaders: 20, maxHeaderSize: 128Ki, maxBody: 90Mi, maxJsonDepth: 120, maxSseEvent: 1Ki}",
                "{maxHeaders: 256, maxHeaderSize: 1Ki, maxBody: 3Ki, maxJsonDepth: 8, maxSseEvent: 8Mi}",
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

fn hardening() -> impl Strategy<Value = Content> {
    content(
        "WorkloadSecurityPolicy",
        &[GATEWAY],
        word(&["Warn", "Require"]).prop_map(|harden| vec![Some(format!("self: {{harden: {harden}}}"))]),
    )
}

fn others() -> impl Strategy<Value = Content> {
    let audit = (option::of(select(vec!["1s", "1h"])), some(&["X-Api-Key", "/a/b"])).prop_map(|(interval, redact)| {
        let integrity = interval.map(|interval| {
            format!("integrity: {{origin: audit.example.com/edge, keyName: audit-log, checkpointInterval: {interval}}}")
        });
        vec![
            Some("sinks: [{name: local, type: File}]".to_owned()),
            Some(format!("redact: {}", list(&redact))),
            integrity,
        ]
    });
    let roles = select(vec![
        "exclusive: [[reader, writer]]",
        "roles: [{name: reader, permissions: [{actions: [read]}]}]",
        "exclusive: [[writer, asker], [asker, writer]]",
    ]);
    let fetched = "providers: [{name: fetched, type: Jwt, issuer: \"https://fetched.example\", audiences: [a], algorithms: [ES256], \
        jwksUrl: \"https://fetched.example/keys\", keysMaxAge: 1h, senderConstraint: Mtls, principal: {type: ServiceAccount}, \
        tenant: {value: acme}, tenants: [acme]}]";
    let asked = "providers: [{name: asked, type: Introspection, issuer: \"https://asked.example\", audiences: [a], \
        introspectionUrl: \"https://asked.example/ask\", clientAuthFrom: \"file:client\", cacheFor: 10s, senderConstraint: Mtls, \
        principal: {type: ServiceAccount}, tenant: {value: acme}, tenants: [acme]}]";
    let keys = "providers: [{name: %, type: ApiKey, issuer: \"https://%.example\", prefix: %_, keysFrom: \"file:%.keys\", \
        principal: {type: ServiceAccount}, tenants: [acme]}]";
    let signed = "providers: [{name: signed, type: HttpSignature, issuer: \"https://signed.example\", jwksFrom: \"file:signed.json\", \
        algorithms: [ed25519], tag: orders, maxAge: 30s, principal: {type: ServiceAccount}, tenant: {value: acme}, tenants: [acme]}]";
    prop_oneof![
        content("AuditPolicy", &[GATEWAY, APP, CHAT], audit),
        content("RBACPolicy", &[APP, CHAT], roles.prop_map(|field| vec![Some(field.to_owned())])),
        content(
            "IAMPolicy",
            &[GATEWAY, APP, CHAT],
            (select(vec![PARTNER, fetched, asked, keys, signed]), assurance())
                .prop_map(|(field, assurance)| vec![Some(field.to_owned()), assurance])
        ),
    ]
}

const PARTNER: &str = "providers: [{name: partner, type: Jwt, issuer: \"https://partner.example\", audiences: [a], algorithms: [ES256], \
    jwksFrom: \"file:partner.json\", senderConstraint: Mtls, principal: {type: ServiceAccount}, tenant: {value: acme}, tenants: [acme]}]";

fn assurance() -> impl Strategy<Value = Option<String>> {
    let words = |words: Vec<&'static str>| option::of(subsequence(words.clone(), 1..=words.len()));
    let fields = (
        words(vec!["User", "Agent", "ServiceAccount"]),
        words(vec!["silver", "gold"]),
        words(vec!["mfa", "hwk"]),
        option::of(select(vec!["5m", "1h"])),
    );
    option::of(fields.prop_map(|(principals, acr, amr, age)| {
        let listed =
            |name: &str, words: Option<Vec<&str>>| words.map(|words| format!("{name}: [{}]", words.join(", ")));
        let fields = [
            listed("principals", principals),
            listed("acrValues", acr),
            listed("amr", amr),
            Some(format!("maxAge: {}", age.unwrap_or("12h"))),
        ];
        format!("assurance: {{{}}}", fields.into_iter().flatten().collect::<Vec<_>>().join(", "))
    }))
}

pub(crate) fn any_content() -> impl Strategy<Value = Content> {
    prop_oneof![
        4 => api_access(Written::Some),
        3 => certificate(Written::Some),
        1 => encryption(),
        3 => data(Written::Some),
        2 => runtime(),
        2 => forbid(),
        2 => network(Written::Some),
        1 => guard(Written::Some, true),
        1 => guard(Written::Some, false),
        1 => hardening(),
        2 => others(),
    ]
}

pub(crate) fn contents(most: usize) -> impl Strategy<Value = Vec<Content>> {
    vec(any_content(), 1..=most)
}

/// Two manifests of one kind. The first sets every field, so that the second can only tighten.
pub(crate) fn pair() -> impl Strategy<Value = (Content, Content)> {
    prop_oneof![
        4 => (api_access(Written::All), api_access(Written::Some)),
        6 => (certificate(Written::All), certificate(Written::Some)),
        2 => (encryption(), encryption()),
        2 => (data(Written::All), data(Written::Some)),
        1 => (runtime(), runtime()),
        2 => (guard(Written::All, true), guard(Written::Some, true)),
        2 => (guard(Written::All, false), guard(Written::Some, false)),
        3 => (network(Written::All), network(Written::Some)),
        1 => (forbid(), forbid()),
        1 => (hardening(), hardening()),
        1 => (others(), others()),
    ]
}

/// The base, without its manifest of `kind`, and these manifests.
pub(crate) fn beside(kind: Option<&str>, contents: &[Content]) -> Option<Snapshot> {
    static ALL: LazyLock<(Bootstrap, Parsed)> = LazyLock::new(|| {
        let mut report = Report::new();
        let bootstrap = parse_bootstrap("postern.yaml", BOOTSTRAP.as_bytes(), Path::new(""), &mut report).unwrap();
        let base = SourceFile { name: "base.yaml".to_owned(), bytes: BASE.as_bytes().to_vec() };
        let parsed = parse_manifests(&[base], &bootstrap.manifest_rules(), &mut report);
        assert_eq!(report.to_string(), "");
        (bootstrap, parsed)
    });
    let (bootstrap, base) = &*ALL;
    let mut report = Report::new();
    let files: Vec<SourceFile> = texts(contents)
        .enumerate()
        .map(|(index, text)| SourceFile { name: format!("{index}.yaml"), bytes: text.into_bytes() })
        .collect();
    let mut parsed = parse_manifests(&files, &bootstrap.manifest_rules(), &mut report);
    let is_gone = |id: &ManifestId| kind == Some(id.kind.as_str()) && id.name == "base";
    parsed.manifests.extend(base.manifests.iter().filter(|manifest| !is_gone(&manifest.id)).cloned());
    let snapshot = resolve(bootstrap, &parsed, NOW, &mut report);
    snapshot.filter(|_| !report.has_errors())
}

fn texts(contents: &[Content]) -> impl Iterator<Item = String> {
    let texts = contents.iter().enumerate();
    texts.map(|(index, content)| content.text(&format!("m{index}"), &format!("own{index}")))
}
