//! Every field that names material takes every form of it, and a field that is added is not forgotten here.

#![expect(clippy::unwrap_used, reason = "a text that cannot be read fails the test")]

use std::collections::BTreeMap;
use std::path::Path;

use postern_config::bootstrap::bootstrap_shape;
use postern_config::decode::{FieldShape, Shape};
use postern_config::manifest::Kind;
use postern_config::{Report, SourceFile, parse_bootstrap, parse_manifests};

/// One manifest for each kind that names material, with all its fields that do; `MATERIAL` stands where material is named.
const MANIFESTS: &[(Kind, &str)] = &[
    (
        Kind::IamPolicy,
        "targetRefs: [{kind: Gateway, name: edge}]
  providers:
    - {name: a, type: Jwt, issuer: \"https://a.example\", audiences: [a], algorithms: [ES256], jwksFrom: MATERIAL, browser: {clientId: a, clientSecretFrom: MATERIAL}, principal: {type: User}, tenant: {value: acme}, tenants: [acme]}
    - {name: b, type: Jwt, issuer: \"https://b.example\", audiences: [a], algorithms: [ES256], jwksUrl: \"https://b.example/keys\", caFrom: MATERIAL, principal: {type: User}, tenant: {value: acme}, tenants: [acme]}
    - {name: c, type: Introspection, issuer: \"https://c.example\", audiences: [a], introspectionUrl: \"https://c.example/ask\", clientAuthFrom: MATERIAL, caFrom: MATERIAL, principal: {type: User}, tenant: {value: acme}, tenants: [acme]}
    - {name: d, type: ApiKey, issuer: \"https://d.example\", prefix: acme_, keysFrom: MATERIAL, principal: {type: User}, tenants: [acme]}
    - {name: e, type: HttpSignature, issuer: \"https://e.example\", jwksFrom: MATERIAL, algorithms: [ed25519], principal: {type: User}, tenant: {value: acme}, tenants: [acme]}
    - {name: g, type: TxnToken, issuer: \"https://g.example\", audiences: [a], algorithms: [ES256], jwksFrom: MATERIAL, principal: {type: User}, tenant: {value: acme}, tenants: [acme]}
    - {name: h, type: TxnToken, issuer: \"https://h.example\", audiences: [a], algorithms: [ES256], jwksUrl: \"https://h.example/keys\", caFrom: MATERIAL, principal: {type: User}, tenant: {value: acme}, tenants: [acme]}
    - {name: f, type: Spiffe, audiences: [a], jwtBundles: [{trustDomain: example.org, bundleFrom: MATERIAL}], principal: {type: Agent}, tenant: {value: acme}, tenants: [acme]}",
    ),
    (
        Kind::CertificatePolicy,
        "targetRefs: [{kind: Gateway, name: edge}]
  identities: [{name: a, source: {type: Files, certFrom: MATERIAL, keyFrom: MATERIAL}}]
  trust: {anchors: [{name: a, caFrom: MATERIAL}], names: [\"*.example.com\"], revocation: {crlFrom: MATERIAL}}",
    ),
    (
        Kind::SecretManagement,
        "targetRefs: [{kind: Upstream, name: app}]
  credentials:
    - {name: a, valueFrom: MATERIAL, inject: {type: TokenExchange, tokenUrl: \"https://a.example/token\", audience: a, clientAuthFrom: MATERIAL, caFrom: MATERIAL}}",
    ),
    (
        Kind::RuntimeSecurityPolicy,
        "targetRefs: [{kind: Route, name: app}]
  detectors: [{name: a, type: External, url: \"https://a.example/ask\", authFrom: MATERIAL, caFrom: MATERIAL, parts: [HttpBody], action: Block}]",
    ),
    (
        Kind::KeyManagementPolicy,
        "keys: [{name: a, purpose: AuditSigning, algorithm: Ed25519, source: {type: Material, from: MATERIAL}}]",
    ),
];

const BOOTSTRAP: &str = "version: 1
gateway: {name: edge}
state: {dir: state}
secrets: {dir: /run/secrets}
shared: {redis: \"rediss://redis.example:6379\", authFrom: MATERIAL, caFrom: MATERIAL}
listeners: [{name: public, bind: \"127.0.0.1:0\", protocol: https}]
upstreams: [{name: app, url: \"http://127.0.0.1:8080\"}]
routes: [{name: app, match: {pathPrefix: /}, upstream: app, dialect: http}]
manifests: {path: manifests}
";

/// How often each path of fields names material.
type Paths = BTreeMap<String, usize>;

fn declared(shape: &Shape, path: &str, into: &mut Paths) {
    let mut of_fields = |fields: &[FieldShape]| {
        for field in fields {
            if let Some(shape) = &field.shape {
                declared(shape, format!("{path}.{}", field.name).trim_start_matches('.'), into);
            }
        }
    };
    match shape {
        Shape::Scalar { name: "Material", .. } => *into.entry(path.to_owned()).or_default() += 1,
        Shape::Scalar { .. } | Shape::Words { .. } => {}
        Shape::Record { fields, .. } => of_fields(fields),
        Shape::Tagged { variants, .. } => variants.iter().for_each(|variant| of_fields(&variant.fields)),
        Shape::List(item) | Shape::Map(_, item) => declared(item, path, into),
    }
}

/// Where the report says that something is not a reference to material, without the numbers of items.
fn named(report: &Report) -> Paths {
    let mut paths = Paths::new();
    for problem in report.problems() {
        assert!(problem.message.ends_with("is not a reference to material"), "{problem}");
        let bare: String =
            problem.pointer.split('[').map(|piece| piece.split_once(']').map_or(piece, |(_, rest)| rest)).collect();
        *paths.entry(bare).or_default() += 1;
    }
    paths
}

fn of_kind(kind: Kind, spec: &str, material: &str) -> Report {
    let mut report = Report::new();
    let bootstrap = parse_bootstrap(
        "postern.yaml",
        BOOTSTRAP.replace("MATERIAL", "env:A").as_bytes(),
        Path::new("/etc"),
        &mut report,
    );
    let text = format!(
        "apiVersion: secure.platformspec.io/v1alpha1\nkind: {kind}\nmetadata: {{name: a}}\nspec:\n  {}\n",
        spec.replace("MATERIAL", material)
    );
    // Behind the manifest that names it.
    let credential = "apiVersion: core.platformspec.io/v1alpha1\nkind: Credential\nmetadata: {name: all}\nspec: {source: kubernetes-secret, fields: {field: key}}\n";
    let files = [("a.yaml", text), ("z.yaml", credential.to_owned())];
    let files = files.map(|(name, text)| SourceFile { name: name.to_owned(), bytes: text.into_bytes() });
    parse_manifests(&files, &bootstrap.unwrap().manifest_rules(), &mut report);
    report
}

const FORMS: [&str; 4] = ["\"env:NAME\"", "\"file:/a/path\"", "\"secret:name/key\"", "\"credential:all/field\""];

#[test]
fn every_field_of_material_takes_every_form_of_it() {
    for kind in Kind::ALL {
        let spec = MANIFESTS.iter().find(|(known, _)| *known == kind).map(|(_, spec)| *spec);
        let mut want = Paths::new();
        declared(&kind.shape(), "spec", &mut want);
        let found = spec.map(|spec| named(&of_kind(kind, spec, "nothing"))).unwrap_or_default();
        assert_eq!(found, want, "{kind}: name the field in this test");
        for form in FORMS {
            let Some(spec) = spec else { continue };
            // Keys that are taken back one by one are in a file.
            let mut spec = spec.to_owned();
            if form.contains("env:") {
                for held in ["keysFrom: ", "type: HttpSignature, issuer: \"https://e.example\", jwksFrom: "] {
                    spec = spec.replace(&format!("{held}MATERIAL"), &format!("{held}\"file:/a\""));
                }
            }
            let said = of_kind(kind, &spec, form).to_string();
            assert_eq!(said, "", "{kind} {form}");
        }
    }
    let mut want = Paths::new();
    declared(&bootstrap_shape(), "", &mut want);
    let read = |material: &str| {
        let mut report = Report::new();
        parse_bootstrap(
            "postern.yaml",
            BOOTSTRAP.replace("MATERIAL", material).as_bytes(),
            Path::new("/etc"),
            &mut report,
        );
        report
    };
    assert_eq!(named(&read("nothing")), want);
    // Credentials are manifests, which are read after it.
    for form in &FORMS[..3] {
        assert_eq!(read(form).to_string(), "", "{form}");
    }
    assert!(read(FORMS[3]).to_string().contains("PV-004"));
}
