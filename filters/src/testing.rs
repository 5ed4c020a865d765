//! Short ways to requests, tokens and chains, for the tests and benches of this crate.
//!
//! Tests outside the crate include this file by its path, so it speaks of `postern_filters` from inside as well.

#![allow(dead_code, reason = "every test includes all of it and uses a part")]
#![allow(unreachable_pub, reason = "it is a module of this crate and of others")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot be set up fails")]

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use postern_config::{Report, Snapshot, SourceFile, parse_bootstrap, parse_manifests, resolve};
use postern_filters::external::Verdict;
use postern_filters::limit::LimitStore;
use postern_filters::token::mint::{SigningKey, bound_to};
use postern_filters::token::{KeyRings, PeerFacts};
use postern_filters::{
    Chain, Chains, Checked, Context, Given, Kept, Need, Permit, Progress, Refusal, RequestView, Source, SpiffeSubject,
    UpstreamSecrets, compile,
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Unix seconds.
pub const NOW: i64 = 1_800_000_000;
pub const ISSUER: &str = "https://login.example.com";
pub const AUDIENCE: &str = "https://ai.example.com";
/// Every byte of the certificate's digest.
const LEAF: u8 = 1;
pub const AGENT: &str = "spiffe://example.com/ns/acme/sa/bot";

/// A request, as a test writes it. It comes from 192.0.2.7 for `ai.example.com`, over TLS with a client certificate that
/// says nothing but that tokens are bound to it.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: String,
    pub host: String,
    pub port: Option<u16>,
    pub path: String,
    pub query: Option<String>,
    pub headers: HeaderMap,
    pub source: Source,
    pub tls: bool,
    pub peer: Option<PeerFacts>,
    pub body: Bytes,
}

/// `target` may have a query.
pub fn asked(method: &str, target: &str) -> Asked {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    Asked {
        method: method.to_owned(),
        host: "ai.example.com".to_owned(),
        port: None,
        path: path.to_owned(),
        query: query.map(str::to_owned),
        headers: HeaderMap::new(),
        source: Source::Ip([192, 0, 2, 7].into()),
        tls: true,
        peer: Some(PeerFacts { spiffe: None, ..svid("", LEAF) }),
        body: Bytes::new(),
    }
}

impl Asked {
    /// Lines `name: value`; one more line of a name is one more header.
    pub fn head(mut self, lines: &str) -> Self {
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':').unwrap();
            self.headers.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_bytes(value.trim().as_bytes()).unwrap(),
            );
        }
        self
    }

    pub fn bearer(self, token: &str) -> Self {
        self.head(&format!("authorization: Bearer {token}"))
    }

    pub fn json(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self.head("content-type: application/json")
    }

    pub fn svid(mut self, id: &str) -> Self {
        self.peer = Some(svid(id, LEAF));
        self
    }

    pub fn from(mut self, source: &str) -> Self {
        self.source = Source::Ip(source.parse().unwrap());
        self
    }

    pub fn view(&self) -> RequestView<'_> {
        RequestView {
            method: &self.method,
            host: &self.host,
            port: self.port,
            path: &self.path,
            query: self.query.as_deref(),
            headers: &self.headers,
            source: self.source,
            tls: self.tls,
            peer: self.peer.as_ref(),
            listener: "public",
        }
    }
}

/// A verified certificate with this SPIFFE ID; `number` tells its digest from others.
pub fn svid(id: &str, number: u8) -> PeerFacts {
    let spiffe = SpiffeSubject { id: id.to_owned(), not_before: NOW - 60, not_after: NOW + 3600 };
    PeerFacts { spiffe: Some(spiffe), named: None, leaf_sha256: Some([number; 32]), not_after: NOW + 3600 }
}

pub fn context() -> Context {
    context_at(Duration::from_secs(10))
}

/// The context of a request that begins so long after the process.
pub fn context_at(uptime: Duration) -> Context {
    let random = |bytes: &mut [u8]| {
        bytes.fill(7);
        true
    };
    Context::new(NOW * 1000, uptime).with_random(random)
}

/// What services outside say that find nothing. Nobody else is asked where a test runs at once.
pub fn clear(need: Need) -> Given {
    let Need::External(questions) = need else { panic!("nothing that a test runs at once asks for {need:?}") };
    let said = questions.into_iter().map(|question| {
        let asked: Value = serde_json::from_slice(question.body("test").expose()).unwrap();
        let texts = asked.get("texts").and_then(Value::as_array).unwrap();
        let texts = texts.iter().map(|text| json!({"index": text.get("index"), "score": 0}));
        let answer = json!({"version": 1, "texts": texts.collect::<Vec<_>>()}).to_string();
        let verdict = Verdict::read(&question, Some("application/json"), answer.into()).unwrap();
        (question, Ok(verdict))
    });
    Given::External(said.collect())
}

/// Walks the whole chain.
pub fn run(chain: &Chain, asked: &Asked, cx: &mut Context) -> Result<(Permit, Bytes), Refusal> {
    assert_eq!(
        chain.check_head(&asked.view(), cx)?,
        Progress::Passed,
        "nothing that a test runs at once asks for anything"
    );
    match chain.check_message(&asked.view(), asked.body.clone(), cx)? {
        Checked::Passed(permit, body) => Ok((permit, body)),
        Checked::Waits(need) => {
            cx.supply(clear(need));
            match chain.resume_message(&asked.view(), cx)? {
                Checked::Passed(permit, body) => Ok((permit, body)),
                Checked::Waits(need) => panic!("it asks again: {need:?}"),
            }
        }
    }
}

/// An issuer with a key, whose manifests and tokens fit together.
#[derive(Debug)]
pub struct House {
    dir: TempDir,
    key: SigningKey,
}

impl House {
    pub fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let key = SigningKey::generate_es256("k1").unwrap();
        std::fs::write(dir.path().join("answer.json"), r#"{"type": "object", "required": ["city"]}"#).unwrap();
        std::fs::write(dir.path().join("layer.txt"), "House rules: 4111 1111 1111 1111 is a test card.\n").unwrap();
        for name in ["jwks.json", "partners.json"] {
            std::fs::write(dir.path().join(name), key.jwks()).unwrap();
        }
        Self { dir, key }
    }

    /// Signs a request for `https://ai.example.com/TARGET` that has no body as holder of the key of `partners.json`.
    pub fn signed(&self, method: &str, target: &str) -> Asked {
        let list = format!("(\"@method\" \"@target-uri\");created={NOW};keyid=\"k1\"");
        let uri = format!("https://ai.example.com{target}");
        let base = format!("\"@method\": {method}\n\"@target-uri\": {uri}\n\"@signature-params\": {list}");
        let signature = self.key.sign_text(&base).unwrap();
        asked(method, target).head(&format!("signature-input: s={list}\nsignature: s=:{signature}:"))
    }

    /// A token of mia of acme, in group staff; `changes` replaces claims, `null` removes one.
    pub fn token(&self, changes: Value) -> String {
        let mut claims = json!({
            "iss": ISSUER, "aud": AUDIENCE, "sub": "mia", "tenant": "acme", "groups": ["staff"],
            "client_id": "test", "jti": "1", "iat": NOW - 10, "exp": NOW + 300,
            "cnf": bound_to(&[LEAF; 32]),
        });
        for (name, value) in changes.as_object().unwrap() {
            let members = claims.as_object_mut().unwrap();
            members.insert(name.clone(), value.clone());
            members.retain(|_, value| !value.is_null());
        }
        self.key.sign(&self.key.header(), &claims).unwrap()
    }

    /// The issuer's keys.
    pub fn jwks(&self) -> String {
        self.key.jwks()
    }

    /// What `routes` (flow or block items of the bootstrap) and `manifests` load as, with an identity, an audit log and its
    /// key beside them.
    pub fn resolve(&self, routes: &str, manifests: &str) -> Result<Snapshot, Report> {
        let base: PathBuf = self.dir.path().to_owned();
        let bootstrap = format!(
            "version: 1\ngateway: {{name: edge}}\nstate: {{dir: state}}\n\
             listeners:\n  - {{name: public, bind: \"127.0.0.1:0\", protocol: https}}\n\
             upstreams:\n  - {{name: model, url: \"http://127.0.0.1:9\", labels: {{vendor: test}}}}\n\
             routes:\n{routes}manifests: {{path: manifests}}\n"
        );
        let mut report = Report::new();
        let Some(bootstrap) = parse_bootstrap("postern.yaml", bootstrap.as_bytes(), &base, &mut report) else {
            return Err(report);
        };
        let file = |name: &str, text: &str| SourceFile { name: name.to_owned(), bytes: text.as_bytes().to_vec() };
        let files = [file("base.yaml", BASE), file("test.yaml", manifests)];
        let parsed = parse_manifests(&files, &bootstrap.manifest_rules(), &mut report);
        let snapshot = resolve(&bootstrap, &parsed, NOW, &mut report);
        snapshot.filter(|_| !report.has_errors()).ok_or(report)
    }

    pub fn snapshot(&self, routes: &str, manifests: &str) -> Snapshot {
        self.resolve(routes, manifests).unwrap_or_else(|report| panic!("{report}\n{manifests}"))
    }

    pub fn chains(&self, routes: &str, manifests: &str) -> Chains {
        compiled(&self.snapshot(routes, manifests))
    }
}

pub fn compiled(snapshot: &Snapshot) -> Chains {
    compile(snapshot, &LimitStore::new(), &KeyRings::new(), &Kept::default(), &UpstreamSecrets::default())
        .unwrap_or_else(|report| panic!("{report}"))
}

/// One manifest, attached to a route, or to the gateway where `route` is empty.
pub fn manifest(kind: &str, route: &str, spec: &str) -> String {
    let target = if route.is_empty() {
        "{kind: Gateway, name: edge}".to_owned()
    } else {
        format!("{{kind: Route, name: {route}}}")
    };
    let name = if route.is_empty() { "all" } else { route };
    format!(
        "---\napiVersion: secure.platformspec.io/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\n\
         spec:\n  targetRefs: [{target}]\n{spec}\n"
    )
}

const BASE: &str = r#"
apiVersion: secure.platformspec.io/v1alpha1
kind: IAMPolicy
metadata: {name: base}
spec:
  targetRefs: [{kind: Gateway, name: edge}]
  providers:
    - name: sso
      type: Jwt
      issuer: https://login.example.com
      audiences: ["https://ai.example.com"]
      algorithms: [ES256]
      jwksFrom: "file:jwks.json"
      senderConstraint: Mtls
      principal: {type: User, idClaim: sub}
      tenant: {claim: /tenant}
      tenants: [acme, globex]
      groupsClaim: groups
      tags: [{name: department, claim: /department}]
    - name: agents
      type: Spiffe
      principal: {type: Agent}
      tenant: {spiffeSegment: 1}
      tenants: [acme]
  tenancy: {resource: {from: Label, key: tenant}, crossTenant: Forbid}
---
apiVersion: secure.platformspec.io/v1alpha1
kind: CertificatePolicy
metadata: {name: base}
spec:
  targetRefs: [{kind: Gateway, name: edge, sectionName: public}]
  identities:
    - {name: edge, source: {type: Files, certFrom: "file:server.pem", keyFrom: "file:server.key"}}
  trust:
    anchors: [{name: ca, caFrom: "file:ca.pem"}]
    names: ["spiffe://example.com/**", "*.clients.example.com"]
    clientAuth: Required
---
apiVersion: secure.platformspec.io/v1alpha1
kind: AuditPolicy
metadata: {name: base}
spec:
  targetRefs: [{kind: Gateway, name: edge}]
  sinks:
    - {name: local, type: File, format: Ocsf}
  integrity: {log: TransparencyLog, origin: audit.example.com/edge, keyName: audit-log, checkpointInterval: 1s}
---
apiVersion: secure.platformspec.io/v1alpha1
kind: KeyManagementPolicy
metadata: {name: base}
spec:
  keys:
    - {name: audit-log, purpose: AuditSigning, algorithm: Ed25519, source: {type: Generate}}
"#;

/// A route `r` below `/v1` with POST of JSON to `/v1/chat/completions`, two requests per principal, and a detector of
/// secrets in texts of both directions where `inspected`.
pub fn site(house: &House, dialect: &str, inspected: bool) -> Snapshot {
    let routes = format!(
        "  - {{name: r, match: {{pathPrefix: /v1}}, upstream: model, dialect: {dialect}, labels: {{tenant: acme}}}}\n"
    );
    let access = "  authentication: {providers: [sso, agents]}
  allow: [{methods: [POST], paths: [/v1/chat/completions], contentTypes: [application/json]}]
  rateLimits: [{name: per-caller, key: [Principal], unit: Requests, limit: 2, window: 1h}]";
    let rules = "  rules: [{name: acme, effect: Permit, principals: [User, Agent], actions: [ACTION], when: 'principal.tenant == \"acme\"'}]";
    let (action, part) = if dialect == "http" { ("create", "HttpBody") } else { ("chat", "Assistant") };
    let data = "  detectors: [{name: secret, type: Builtin, id: secret, class: Restricted}]
  rules: [{name: secrets, direction: Both, parts: [PART], match: {detectors: [secret]}, action: Redact}]
  streaming: {holdBack: 1Ki}";
    let mut manifests = manifest("APIAccessPolicy", "r", access)
        + &manifest("AccessControlPolicy", "r", &rules.replace("ACTION", action));
    if inspected {
        manifests += &manifest("DataProtectionPolicy", "r", &data.replace("PART", part));
        let hidden = "  detectors: [{name: hidden, type: HiddenText, parts: [PART], action: Block}]";
        manifests += &manifest("RuntimeSecurityPolicy", "r", &hidden.replace("PART", part));
    }
    house.snapshot(&routes, &manifests)
}

pub const PROMPT: &str = r#"{"model":"small","messages":[{"role":"user","content":"How are the orders?"}]}"#;

/// The one request that the site lets pass, with this credential.
pub fn chat() -> Asked {
    asked("POST", "/v1/chat/completions").json(PROMPT)
}
