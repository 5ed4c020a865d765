//! The set that a house starts from: one tenant's model route, and plain routes with and without content policies.

/// What the model upstream gets instead of the caller's credential.
pub const UPSTREAM_KEY: &str = "house-upstream-key";

pub const FILES: [(&str, &str); 6] = [
    ("postern.yaml", BOOTSTRAP),
    ("manifests/identity.yaml", IDENTITY),
    ("manifests/tls.yaml", TLS),
    ("manifests/chat.yaml", CHAT),
    ("manifests/plain.yaml", PLAIN),
    ("manifests/house.yaml", HOUSE),
];

/// `public` demands a client certificate, `open` asks for one.
const BOOTSTRAP: &str = r#"
version: 1
gateway: {name: house}
state: {dir: state}
admin: {health: "127.0.0.1:0"}
listeners:
  - {name: public, bind: "127.0.0.1:0", protocol: https}
  - {name: open, bind: "127.0.0.1:0", protocol: https}
upstreams:
  - {name: model, url: "http://MODEL", labels: {vendor: house}}
  - {name: plain, url: "http://PLAIN", labels: {vendor: house}}
routes:
  - {name: chat, match: {pathPrefix: /v1}, upstream: model, dialect: openai, labels: {app: chat, tenant: acme}}
  - {name: orders, match: {pathPrefix: /orders}, upstream: plain, dialect: http, labels: {app: shop, tenant: acme}}
  - {name: globex, match: {pathPrefix: /globex}, rewrite: {pathPrefix: /}, upstream: plain, dialect: http, labels: {app: shop, tenant: globex}}
  - {name: forms, match: {pathPrefix: /forms}, upstream: plain, dialect: http, labels: {app: forms, tenant: acme}}
  - {name: socket, match: {pathPrefix: /socket}, upstream: plain, dialect: http, upgrades: [websocket], labels: {app: socket, tenant: acme}}
manifests: {path: manifests, recursive: true}
"#;

const IDENTITY: &str = r#"
apiVersion: secure.platformspec.io/v1alpha1
kind: IAMPolicy
metadata: {name: people-and-agents}
spec:
  targetRefs: [{kind: Gateway, name: house}]
  providers:
    - name: sso
      type: Jwt
      issuer: https://login.house.test
      audiences: ["https://ai.house.test"]
      algorithms: [ES256]
      jwksFrom: "file:keys/jwks.json"
      senderConstraint: Mtls
      principal: {type: User, idClaim: sub}
      tenant: {claim: /tenant}
      tenants: [acme, globex]
      groupsClaim: groups
    - name: agents
      type: Spiffe
      principal: {type: Agent}
      tenant: {spiffeSegment: 1}
      tenants: [acme]
  tenancy: {resource: {from: Label, key: tenant}, crossTenant: Forbid}
"#;

const TLS: &str = r#"
apiVersion: secure.platformspec.io/v1alpha1
kind: CertificatePolicy
metadata: {name: public}
spec:
  targetRefs: [{kind: Gateway, name: house, sectionName: public}]
  identities:
    - {name: house, source: {type: Files, certFrom: "file:tls/server.pem", keyFrom: "file:tls/server.key"}}
  trust:
    anchors: [{name: house-ca, caFrom: "file:tls/ca.pem"}]
    names: ["spiffe://house.test/ns/**", "*.clients.house.test"]
    clientAuth: Required
  rotation: {warnBefore: 1h}
---
apiVersion: secure.platformspec.io/v1alpha1
kind: CertificatePolicy
metadata: {name: open}
spec:
  targetRefs: [{kind: Gateway, name: house, sectionName: open}]
  identities:
    - {name: house, source: {type: Files, certFrom: "file:tls/server.pem", keyFrom: "file:tls/server.key"}}
  trust:
    anchors: [{name: house-ca, caFrom: "file:tls/ca.pem"}]
    names: ["spiffe://house.test/ns/**", "*.clients.house.test"]
    clientAuth: Optional
  rotation: {warnBefore: 1h}
---
apiVersion: secure.platformspec.io/v1alpha1
kind: EncryptionPolicy
metadata: {name: modern}
spec:
  targetRefs: [{kind: Gateway, name: house}]
  inTransit: {minVersion: TLSv1.3, keyExchange: HybridPreferred, hsts: {maxAge: 365d, includeSubdomains: false}}
"#;

const CHAT: &str = r#"
apiVersion: secure.platformspec.io/v1alpha1
kind: APIAccessPolicy
metadata: {name: chat}
spec:
  targetRefs: [{kind: Route, name: chat}]
  authentication: {providers: [sso, agents], require: AnyOf}
  allow:
    - {methods: [POST], paths: [/v1/chat/completions], contentTypes: [application/json]}
  maxBodySize: 64Ki
  rateLimits:
    - {name: per-caller, key: [Principal], unit: Requests, limit: 6000, window: 1m, burst: 1000}
---
apiVersion: secure.platformspec.io/v1alpha1
kind: RBACPolicy
metadata: {name: chat}
spec:
  targetRefs: [{kind: Route, name: chat}]
  roles:
    - name: asker
      permissions:
        - {actions: [chat], resources: ["small", "large"]}
  bindings:
    - {name: staff, role: asker, subjects: [{kind: Group, name: staff, issuer: "https://login.house.test"}]}
    - {name: assistant, role: asker, subjects: [{kind: Agent, name: "spiffe://house.test/ns/acme/sa/assistant"}]}
---
apiVersion: secure.platformspec.io/v1alpha1
kind: DataProtectionPolicy
metadata: {name: chat}
spec:
  targetRefs: [{kind: Route, name: chat}]
  detectors:
    - {name: card, type: Builtin, id: payment-card, class: Restricted}
    - {name: secret, type: Builtin, id: secret, class: Restricted}
  rules:
    - {name: hide-cards, direction: Request, parts: [User], match: {detectors: [card]}, action: Redact}
    - {name: keep-secrets, direction: Response, parts: [Assistant, ToolArguments], match: {detectors: [secret]}, action: Redact}
  streaming: {holdBack: 1Ki, stall: 5s}
---
apiVersion: secure.platformspec.io/v1alpha1
kind: RuntimeSecurityPolicy
metadata: {name: chat}
spec:
  targetRefs: [{kind: Route, name: chat}]
  detectors:
    - {name: injection, type: PromptInjection, parts: [User], untrustedOnly: false, threshold: 70, action: Block}
    - {name: hidden, type: HiddenText, parts: [User], action: Block}
"#;

const PLAIN: &str = r#"
apiVersion: secure.platformspec.io/v1alpha1
kind: APIAccessPolicy
metadata: {name: shop}
spec:
  targetSelector: {kind: Route, matchLabels: {app: shop}}
  authentication: {providers: [sso, agents], require: AnyOf}
  allow:
    - {methods: [GET, HEAD, DELETE], paths: [/orders, /orders/**, /globex/orders]}
    - {methods: [POST], paths: [/orders], contentTypes: [application/json]}
  maxBodySize: 16Ki
---
apiVersion: secure.platformspec.io/v1alpha1
kind: AccessControlPolicy
metadata: {name: shop}
spec:
  targetSelector: {kind: Route, matchLabels: {app: shop}}
  rules:
    - {name: staff, effect: Permit, principals: [User, Agent], actions: [read, create, delete], when: 'principal.groups.contains("staff") || principal has onBehalfOf'}
---
apiVersion: secure.platformspec.io/v1alpha1
kind: APIAccessPolicy
metadata: {name: forms}
spec:
  targetRefs: [{kind: Route, name: forms}]
  authentication: {providers: [sso], require: AnyOf}
  allow:
    - {methods: [GET], paths: [/forms, /forms/*]}
    - {methods: [POST], paths: [/forms], contentTypes: [application/json, text/plain, application/x-www-form-urlencoded]}
  maxBodySize: 16Ki
---
apiVersion: secure.platformspec.io/v1alpha1
kind: AccessControlPolicy
metadata: {name: forms}
spec:
  targetRefs: [{kind: Route, name: forms}]
  rules:
    - {name: staff, effect: Permit, principals: [User], actions: [read, create], when: 'principal.groups.contains("staff")'}
---
apiVersion: secure.platformspec.io/v1alpha1
kind: DataProtectionPolicy
metadata: {name: forms}
spec:
  targetRefs: [{kind: Route, name: forms}]
  detectors:
    - {name: card, type: Builtin, id: payment-card, class: Restricted}
    - {name: secret, type: Builtin, id: secret, class: Restricted}
  rules:
    - {name: hide-cards, direction: Request, parts: [HttpBody, HttpQuery], match: {detectors: [card]}, action: Redact}
    - {name: keep-secrets, direction: Response, parts: [HttpBody], match: {detectors: [secret]}, action: Redact}
---
apiVersion: secure.platformspec.io/v1alpha1
kind: APIAccessPolicy
metadata: {name: socket}
spec:
  targetRefs: [{kind: Route, name: socket}]
  authentication: {providers: [sso], require: AnyOf}
  allow:
    - {methods: [GET], paths: [/socket]}
---
apiVersion: secure.platformspec.io/v1alpha1
kind: AccessControlPolicy
metadata: {name: socket}
spec:
  targetRefs: [{kind: Route, name: socket}]
  rules:
    - {name: staff, effect: Permit, principals: [User], actions: [read], when: 'principal.groups.contains("staff")'}
"#;

const HOUSE: &str = r#"
apiVersion: secure.platformspec.io/v1alpha1
kind: AuditPolicy
metadata: {name: default}
spec:
  targetRefs: [{kind: Gateway, name: house}]
  sinks:
    - {name: local, type: File, format: Ocsf}
  integrity:
    log: TransparencyLog
    origin: audit.house.test/house
    keyName: audit-log
    checkpointInterval: 1s
---
apiVersion: secure.platformspec.io/v1alpha1
kind: KeyManagementPolicy
metadata: {name: keys}
spec:
  keys:
    - {name: audit-log, purpose: AuditSigning, algorithm: Ed25519, source: {type: Generate}}
---
apiVersion: secure.platformspec.io/v1alpha1
kind: SecretManagement
metadata: {name: model-key}
spec:
  targetRefs: [{kind: Upstream, name: model}]
  credentials:
    - name: api-key
      valueFrom: "file:keys/model"
      inject: {type: Header, header: Authorization, format: "Bearer {secret}"}
"#;
