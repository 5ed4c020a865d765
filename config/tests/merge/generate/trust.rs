//! Who is believed, and what is kept of it: CertificatePolicy, EncryptionPolicy, IAMPolicy, RBACPolicy, AuditPolicy.

use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::{APP, CHAT, Content, GATEWAY, LISTENER, Written, content, list, maybe, some, word};

pub(super) fn certificate(written: Written) -> impl Strategy<Value = Content> {
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

pub(super) fn encryption() -> impl Strategy<Value = Content> {
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

pub(super) fn others() -> impl Strategy<Value = Content> {
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
            (select(vec![PARTNER, WEB, WEB, LONGER, fetched, asked, keys, signed]), assurance(), forwarding())
                .prop_map(|(field, assurance, (forwarding, tokens))| {
                    vec![Some(field.to_owned()), assurance, forwarding.map(str::to_owned), tokens.map(str::to_owned)]
                })
        ),
    ]
}

const PARTNER: &str = "providers: [{name: partner, type: Jwt, issuer: \"https://partner.example\", audiences: [a], algorithms: [ES256], \
    jwksFrom: \"file:partner.json\", senderConstraint: Mtls, principal: {type: ServiceAccount}, tenant: {value: acme}, tenants: [acme]}]";

/// The one of the base.
const WEB: &str = "providers: [{name: web, type: Jwt, issuer: \"https://web.example.com\", audiences: [\"https://ai.example.com\"], \
    algorithms: [ES256], senderConstraint: Mtls, principal: {type: User}, tenant: {value: acme}, tenants: [acme], \
    browser: {clientId: postern, sessionAge: 8h}}]";

/// And the same with another login: a conflict.
const LONGER: &str = "providers: [{name: web, type: Jwt, issuer: \"https://web.example.com\", audiences: [\"https://ai.example.com\"], \
    algorithms: [ES256], senderConstraint: Mtls, principal: {type: User}, tenant: {value: acme}, tenants: [acme], \
    browser: {clientId: postern, keyName: sessions}}]";

/// What becomes of the caller's token, and how those for upstreams are made; of one level there can be only one.
fn forwarding() -> impl Strategy<Value = (Option<&'static str>, Option<&'static str>)> {
    let forwarding = select(vec!["tokenForwarding: Strip", "tokenForwarding: TxnToken", "tokenForwarding: Exchange"]);
    let tokens = select(vec![
        "txnTokens: {issuer: \"https://edge.example.com\", audience: inside.example.com, keyName: txn}",
        "txnTokens: {issuer: \"https://edge.example.com\", audience: inside.example.com, keyName: txn, lifetime: 1m}",
    ]);
    (option::weighted(0.5, forwarding), option::weighted(0.3, tokens))
}

pub(super) fn assurance() -> impl Strategy<Value = Option<String>> {
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
