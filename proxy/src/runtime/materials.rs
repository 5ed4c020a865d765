//! The files that a set is made from besides manifests: whoever names one has it watched.

use std::path::PathBuf;

use postern_config::{Anchor, Credential, IdentitySource, Material, OwnIdentity, OwnKey, PeerTrust, Snapshot};

/// Every file that material comes from.
pub(super) fn files(snapshot: &Snapshot) -> Vec<PathBuf> {
    let mut materials: Vec<&Material> = Vec::new();
    if let Some(store) = &snapshot.shared {
        materials.extend(store.auth.iter().chain(&store.ca));
    }
    for tls in snapshot.listeners.iter().filter_map(|listener| listener.tls.as_ref()) {
        materials.extend(tls.identities.iter().flat_map(of_identity));
        materials.extend(of_trust(&tls.trust));
    }
    for tls in snapshot.upstreams.iter().filter_map(|upstream| upstream.tls.as_ref()) {
        materials.extend(tls.identity.iter().flat_map(of_identity));
        materials.extend(of_trust(&tls.trust));
    }
    for upstream in &snapshot.upstreams {
        materials.extend(upstream.credentials.iter().flat_map(Credential::materials));
    }
    for route in &snapshot.routes {
        for provider in &route.policy.identity.providers {
            materials.extend(provider.kind.material());
        }
        materials.extend(route.policy.runtime.external().flat_map(|(_, source)| source.material()));
    }
    let txn = snapshot.routes.iter().filter_map(|route| route.policy.txn_tokens.as_ref()).map(|tokens| &tokens.key);
    for key in txn.chain(&snapshot.published_keys) {
        if let OwnKey::Material { from, .. } = &key.key {
            materials.push(from);
        }
    }
    if let Some(OwnKey::Material { from, .. }) = &snapshot.token_key {
        materials.push(from);
    }
    materials.into_iter().filter_map(Material::file).collect()
}

fn of_identity(identity: &OwnIdentity) -> Vec<&Material> {
    match &identity.source {
        IdentitySource::Files { cert, key } => vec![cert, key],
        IdentitySource::Spiffe { .. } => Vec::new(),
    }
}

fn of_trust(trust: &PeerTrust) -> Vec<&Material> {
    let anchors = trust.anchors.iter().filter_map(|anchor| match anchor {
        Anchor::Pem(material) => Some(material),
        Anchor::Spiffe { .. } => None,
    });
    anchors.chain(&trust.crls).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use postern_config::{Report, SourceFile, parse_bootstrap, parse_manifests, resolve};

    use super::*;

    const BOOTSTRAP: &str = r#"
version: 1
gateway: {name: edge}
state: {dir: state}
shared: {redis: "rediss://redis.example:6379", authFrom: "file:/m/store-password", caFrom: "file:/m/store-ca"}
listeners: [{name: public, bind: "127.0.0.1:8443", protocol: https}]
upstreams: [{name: app, url: "https://app.example"}]
routes: [{name: app, match: {pathPrefix: /}, upstream: app, dialect: http, labels: {tenant: acme}}]
manifests: {path: manifests}
"#;
    /// What is resolved of it names every piece of material.
    const MANIFESTS: &str = r#"
apiVersion: secure.platformspec.io/v1alpha1
kind: IAMPolicy
metadata: {name: people}
spec:
  targetRefs: [{kind: Gateway, name: edge}]
  providers:
    - {name: a, type: Jwt, issuer: "https://a.example", audiences: [a], algorithms: [ES256], caFrom: "file:/m/login-ca", browser: {clientId: a, clientSecretFrom: "file:/m/browser", keyName: sealing}, principal: {type: User}, tenant: {value: acme}, tenants: [acme]}
    - {name: b, type: Jwt, issuer: "https://b.example", audiences: [a], algorithms: [ES256], jwksUrl: "https://b.example/keys", caFrom: "file:/m/jwks-ca", principal: {type: User}, tenant: {value: acme}, tenants: [acme]}
    - {name: g, type: Jwt, issuer: "https://g.example", audiences: [a], algorithms: [ES256], jwksFrom: "file:/m/jwks", principal: {type: User}, tenant: {value: acme}, tenants: [acme]}
    - {name: c, type: Introspection, issuer: "https://c.example", audiences: [a], introspectionUrl: "https://c.example/ask", clientAuthFrom: "file:/m/client", caFrom: "file:/m/asked-ca", principal: {type: User}, tenant: {value: acme}, tenants: [acme]}
    - {name: d, type: ApiKey, issuer: "https://d.example", prefix: acme_, keysFrom: "file:/m/api-keys", principal: {type: User}, tenants: [acme]}
    - {name: e, type: HttpSignature, issuer: "https://e.example", jwksFrom: "file:/m/signers", algorithms: [ed25519], principal: {type: User}, tenant: {value: acme}, tenants: [acme]}
    - {name: f, type: Spiffe, audiences: [a], jwtBundles: [{trustDomain: example.org, bundleFrom: "file:/m/bundle"}], principal: {type: Agent}, tenant: {value: acme}, tenants: [acme]}
    - {name: h, type: TxnToken, issuer: "https://h.example", audiences: [a], algorithms: [ES256], jwksFrom: "file:/m/txn-jwks", principal: {type: User}, tenant: {value: acme}, tenants: [acme]}
  tokenForwarding: TxnToken
  txnTokens: {issuer: "https://edge.example", audience: inside.example, keyName: txn}
  tenancy: {resource: {from: Label, key: tenant}}
---
apiVersion: secure.platformspec.io/v1alpha1
kind: APIAccessPolicy
metadata: {name: app}
spec:
  targetRefs: [{kind: Route, name: app}]
  authentication: {providers: [a, b, c, d, e, f, g], require: AnyOf}
  allow: [{methods: [GET], paths: [/**]}]
---
apiVersion: secure.platformspec.io/v1alpha1
kind: RuntimeSecurityPolicy
metadata: {name: app}
spec:
  targetRefs: [{kind: Route, name: app}]
  detectors: [{name: a, type: External, url: "https://j.example/", authFrom: "file:/m/judge", caFrom: "file:/m/judge-ca", parts: [HttpQuery], action: Block}]
---
apiVersion: secure.platformspec.io/v1alpha1
kind: CertificatePolicy
metadata: {name: public}
spec:
  targetRefs: [{kind: Gateway, name: edge}]
  identities: [{name: a, source: {type: Files, certFrom: "file:/m/cert", keyFrom: "file:/m/key"}}]
  trust: {anchors: [{name: a, caFrom: "file:/m/anchor"}], names: ["*.example.com"], revocation: {crlFrom: "file:/m/crl"}}
---
apiVersion: secure.platformspec.io/v1alpha1
kind: CertificatePolicy
metadata: {name: app}
spec:
  targetRefs: [{kind: Upstream, name: app}]
  identities: [{name: b, source: {type: Files, certFrom: "file:/m/own-cert", keyFrom: "file:/m/own-key"}}]
  trust: {anchors: [{name: a, caFrom: "file:/m/app-anchor"}], names: ["app.example"], revocation: {crlFrom: "file:/m/app-crl"}}
---
apiVersion: secure.platformspec.io/v1alpha1
kind: SecretManagement
metadata: {name: app}
spec:
  targetRefs: [{kind: Upstream, name: app}]
  credentials:
    - {name: a, valueFrom: "file:/m/own-token", inject: {type: TokenExchange, tokenUrl: "https://a.example/token", audience: a, clientAuthFrom: "file:/m/exchange", caFrom: "file:/m/exchange-ca"}}
    - {name: b, valueFrom: "file:/m/header", inject: {type: Header, header: X-Key}}
---
apiVersion: secure.platformspec.io/v1alpha1
kind: KeyManagementPolicy
metadata: {name: keys}
spec:
  keys:
    - {name: audit-log, purpose: AuditSigning, algorithm: Ed25519, source: {type: Material, from: "file:/m/audit-seed"}}
    - {name: sealing, purpose: StateSealing, algorithm: AES-256, source: {type: Material, from: "file:/m/sealing"}}
    - {name: txn, purpose: TokenSigning, algorithm: ES256, source: {type: Material, from: "file:/m/txn-seed"}}
---
apiVersion: secure.platformspec.io/v1alpha1
kind: AuditPolicy
metadata: {name: default}
spec:
  targetRefs: [{kind: Gateway, name: edge}]
  sinks: [{name: local, type: File}]
  integrity: {origin: audit.example.com/edge, keyName: audit-log}
"#;

    #[test]
    fn every_piece_of_material_that_a_set_names_is_watched() {
        let mut report = Report::new();
        let bootstrap = parse_bootstrap("postern.yaml", BOOTSTRAP.as_bytes(), Path::new("/"), &mut report).unwrap();
        let file = SourceFile { name: "all.yaml".to_owned(), bytes: MANIFESTS.as_bytes().to_vec() };
        let parsed = parse_manifests(&[file], &bootstrap.manifest_rules(), &mut report);
        assert_eq!(report.to_string(), "");
        let snapshot = resolve(&bootstrap, &parsed, 1_790_812_800, &mut report).unwrap_or_else(|| panic!("{report}"));
        let written = format!("{BOOTSTRAP}{MANIFESTS}");
        let named = |text: &str, mark: &str| -> BTreeSet<String> {
            let found = text.split(mark).skip(1).filter_map(|rest| rest.split('"').next());
            found.filter(|path| path.starts_with("/m/")).map(str::to_owned).collect()
        };
        // A running log signs with one key: another one needs a restart.
        let watched: BTreeSet<String> = files(&snapshot)
            .into_iter()
            .map(|path| path.display().to_string())
            .chain(["/m/audit-seed".to_owned()])
            .collect();
        let written = named(&written, "file:");
        assert_eq!(named(&format!("{snapshot:?}"), "File(\""), written, "{report}");
        assert_eq!(written.difference(&watched).collect::<Vec<_>>(), Vec::<&String>::new());
    }
}
