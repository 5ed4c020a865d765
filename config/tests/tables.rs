//! What comes of a set: where manifests apply, which route a request takes, what guards it, who answers for a name.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a set that does not load fails the test")]

use std::path::Path;

use postern_config::{
    Direction, Part, Report, Route, Snapshot, SourceFile, Stage, parse_bootstrap, parse_manifests, resolve,
};

const NOW: i64 = 1_790_812_800;
const SET: &str = include_str!("rejects/set.yaml");
const BOOTSTRAP: &str = include_str!("rejects/postern.yaml");

fn load(bootstrap: &str, more: &str) -> Result<Snapshot, String> {
    let mut report = Report::new();
    let bootstrap = parse_bootstrap("postern.yaml", bootstrap.as_bytes(), Path::new("/etc"), &mut report).unwrap();
    let files = [("set.yaml", SET), ("more.yaml", more)]
        .into_iter()
        .filter(|(_, text)| !text.is_empty())
        .map(|(name, text)| SourceFile { name: name.to_owned(), bytes: text.as_bytes().to_vec() })
        .collect::<Vec<_>>();
    let parsed = parse_manifests(&files, &bootstrap.manifest_rules(), &mut report);
    let snapshot = resolve(&bootstrap, &parsed, NOW, &mut report);
    if report.has_errors() { Err(report.to_string()) } else { Ok(snapshot.unwrap()) }
}

fn manifest(kind: &str, name: &str, spec: &str) -> String {
    let spec = spec.lines().map(|line| format!("  {line}\n")).collect::<String>();
    format!("apiVersion: secure.platformspec.io/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec:\n{spec}")
}

fn route<'s>(snapshot: &'s Snapshot, name: &str) -> &'s Route {
    snapshot.routes.iter().find(|route| route.name == name).unwrap()
}

#[test]
fn a_manifest_applies_where_it_is_attached_and_nowhere_else() {
    for (targets, want) in [
        ("targetRefs: [{kind: Gateway, name: edge}]", vec!["app", "chat"]),
        ("targetRefs: [{kind: Route, name: app}]", vec!["app"]),
        ("targetRefs: [{kind: Route, name: app}, {kind: Route, name: chat}]", vec!["app", "chat"]),
        ("targetRefs: [{kind: Route, name: chat}, {kind: Route, name: chat}]", vec!["chat"]),
        ("targetRefs: [{kind: Gateway, name: edge}, {kind: Route, name: chat}]", vec!["app", "chat"]),
        ("targetRefs: [{kind: Route, name: app, group: \"\"}]", vec!["app"]),
        ("targetSelector: {kind: Route, matchLabels: {app: assistant}}", vec!["chat"]),
        ("targetSelector: {kind: Route, matchLabels: {tenant: acme}}", vec!["app", "chat"]),
        ("targetSelector: {kind: Route, matchLabels: {tenant: acme, app: app}}", vec!["app"]),
    ] {
        let more = manifest("APIAccessPolicy", "small", &format!("{targets}\nmaxBodySize: 1Ki"));
        let snapshot = load(BOOTSTRAP, &more).unwrap();
        let small = |route: &&Route| route.policy.access.max_body == 1 << 10;
        let applied: Vec<&str> = snapshot.routes.iter().filter(small).map(|route| route.name.as_str()).collect();
        assert_eq!(applied, want, "{targets}");
        let index = snapshot.manifests.iter().position(|manifest| manifest.name == "small").unwrap();
        let named = snapshot.routes.iter().filter(|route| route.policy.manifests.contains(&index));
        assert_eq!(named.map(|route| route.name.as_str()).collect::<Vec<_>>(), want, "records name it for {targets}");
    }
}

#[test]
fn a_credential_goes_to_its_upstream_only() {
    let upstream = "targetSelector: {kind: Upstream, matchLabels: {vendor: internal}}";
    let credential = "credentials: [{name: app, valueFrom: \"env:APP\", inject: {type: Header, header: X-Api-Key, format: \"{secret}\"}}]";
    let snapshot = load(BOOTSTRAP, &manifest("SecretManagement", "app", &format!("{upstream}\n{credential}"))).unwrap();
    let headers = |index: usize| {
        snapshot.upstreams[index]
            .credentials
            .iter()
            .filter_map(|credential| match &credential.inject {
                postern_config::Inject::Header { header, format, .. } => Some((header.as_str(), format.0.as_str())),
                _ => None,
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(headers(0), [("x-api-key", "")]);
    assert_eq!(headers(1), [("authorization", "Bearer ")]);
}

/// Names and matches of routes; all lead to the same upstream.
fn routes(list: &[(&str, &str)]) -> String {
    let lines = list.iter().map(|(name, matches)| {
        format!("  - {{name: {name}, match: {{{matches}}}, upstream: app, dialect: http, labels: {{tenant: acme}}}}\n")
    });
    let text = BOOTSTRAP.replace("  - {name: app, match", "ROUTES  - {name: app, match");
    text.replace("ROUTES", &lines.collect::<String>())
}

#[test]
fn the_most_specific_route_takes_a_request() {
    let bootstrap = routes(&[
        ("any", "pathPrefix: /"),
        ("any-v1", "pathPrefix: /v1"),
        ("wild", "host: \"*.example.net\", pathPrefix: /"),
        ("wild-deep", "host: \"*.example.net\", pathPrefix: /a/b/c"),
        ("exact", "host: api.example.net, pathPrefix: /a"),
        ("exact-deep", "host: api.example.net, pathPrefix: /a/b"),
        ("exact-post", "host: api.example.net, pathPrefix: /a/b, method: POST"),
        ("exact-beta", "host: api.example.net, pathPrefix: /a/b, header: {X-Beta: \"1\"}"),
        ("exact-beta-post", "host: api.example.net, pathPrefix: /a/b, method: POST, header: {X-Beta: \"1\"}"),
    ]);
    let snapshot = load(&bootstrap, "").unwrap();
    for (host, method, path, beta, want) in [
        ("other.test", "GET", "/", None, "any"),
        ("other.test", "GET", "/v1", None, "any-v1"),
        ("other.test", "GET", "/v1/models", None, "any-v1"),
        ("other.test", "GET", "/v10", None, "any"),
        ("www.example.net", "GET", "/v1", None, "wild"),
        ("www.example.net", "GET", "/a/b/c/d", None, "wild-deep"),
        ("a.b.example.net", "GET", "/", None, "any"),
        ("example.net", "GET", "/", None, "any"),
        ("api.example.net", "GET", "/", None, "wild"),
        ("api.example.net", "GET", "/a", None, "exact"),
        // An exact host with a short prefix comes before a wildcard with a long one.
        ("api.example.net", "GET", "/a/b/c", None, "exact-deep"),
        ("api.example.net", "GET", "/ab", None, "wild"),
        ("api.example.net", "POST", "/a/b", None, "exact-post"),
        ("api.example.net", "PUT", "/a/b", None, "exact-deep"),
        ("api.example.net", "GET", "/a/b", Some("1"), "exact-beta"),
        ("api.example.net", "GET", "/a/b", Some("2"), "exact-deep"),
        ("api.example.net", "POST", "/a/b", Some("1"), "exact-beta-post"),
    ] {
        let found = snapshot.route("public", host, method, path, |name| beta.filter(|_| name == "x-beta"));
        assert_eq!(found.map(|route| route.name.as_str()), Some(want), "{method} {host}{path} {beta:?}");
    }
    let without = load(BOOTSTRAP, "").unwrap();
    assert!(without.route("public", "other.test", "GET", "/", |_| None).is_none(), "no route is no default route");
}

#[test]
fn routes_that_could_tie_do_not_load() {
    for (second, ties) in [
        ("host: \"*.example.net\", pathPrefix: /a", true),
        ("host: \"*.EXAMPLE.net\", pathPrefix: /a", true),
        ("host: \"*.example.net\", pathPrefix: /b", false),
        ("host: \"*.other.net\", pathPrefix: /a", false),
        ("host: api.example.net, pathPrefix: /a", false),
        ("host: \"*.example.net\", pathPrefix: /a, method: GET", false),
        ("pathPrefix: /a", false),
    ] {
        let bootstrap = routes(&[("first", "host: \"*.example.net\", pathPrefix: /a"), ("second", second)]);
        assert_eq!(load(&bootstrap, "").is_err_and(|report| report.contains("PV-005")), ties, "{second}");
    }
    for (first, second, ties) in [
        ("method: GET", "method: POST", false),
        ("method: GET", "header: {X-A: \"1\"}", false),
        ("header: {X-A: \"1\"}", "header: {X-A: \"2\"}", false),
        ("header: {X-A: \"1\"}", "header: {X-B: \"1\"}", true),
        ("header: {X-A: \"1\", X-B: \"1\"}", "header: {X-B: \"1\"}", false),
    ] {
        let bootstrap =
            routes(&[("first", &format!("pathPrefix: /a, {first}")), ("second", &format!("pathPrefix: /a, {second}"))]);
        assert_eq!(load(&bootstrap, "").is_err_and(|report| report.contains("PV-005")), ties, "{first} and {second}");
    }
}

/// `name owner stage direction parts buffered streamed`.
fn matrix(route: &Route) -> Vec<String> {
    let guards = route.policy.coverage.guards.iter().map(|guard| {
        let stage = match guard.stage {
            Stage::Inspect => "inspect",
            Stage::Answer => "answer",
            _ => "head",
        };
        let way = if guard.direction == Direction::Request { "in" } else { "out" };
        let parts: Vec<&str> = guard.parts.iter().map(|part| part.as_str()).collect();
        let modes = match (guard.buffered, guard.streamed) {
            (true, true) => "both",
            (true, false) => "buffered",
            (false, true) => "streamed",
            (false, false) => "never",
        };
        format!("{} {} {stage} {way} [{}] {modes}", guard.name, guard.owner, parts.join(" "))
    });
    guards.collect()
}

#[test]
fn the_matrix_of_a_model_route_is_word_for_word() {
    let snapshot = load(BOOTSTRAP, "").unwrap();
    assert_eq!(
        matrix(route(&snapshot, "chat")),
        [
            "frame built-in head in [] buffered",
            "crossSite built-in head in [] buffered",
            "identify built-in head in [] buffered",
            "limit/per-caller APIAccessPolicy/default/base head in [] buffered",
            "parse built-in head in [] buffered",
            "authorize built-in head in [] buffered",
            "data/cards DataProtectionPolicy/default/base inspect in [User Assistant] buffered",
            "runtime/injection RuntimeSecurityPolicy/default/base inspect in [ToolResult] buffered",
            "data/cards DataProtectionPolicy/default/base answer out [Assistant] both",
            "parse built-in answer out [] both",
        ]
    );
}

#[test]
fn the_matrix_of_a_plain_route_is_word_for_word() {
    let heads = [
        "frame built-in head in [] buffered",
        "crossSite built-in head in [] buffered",
        "identify built-in head in [] buffered",
        "limit/per-caller APIAccessPolicy/default/base head in [] buffered",
        "parse built-in head in [] buffered",
        "authorize built-in head in [] buffered",
    ];
    let snapshot = load(BOOTSTRAP, "").unwrap();
    assert_eq!(matrix(route(&snapshot, "app")), heads);

    let spec = "targetRefs: [{kind: Gateway, name: edge}]
detectors: [{name: mail, type: Builtin, id: email, class: Internal}]
rules: [{name: mails, direction: Both, parts: [HttpQuery, HttpBody, User], match: {detectors: [mail]}, action: Mask}]";
    let snapshot = load(BOOTSTRAP, &manifest("DataProtectionPolicy", "mails", spec)).unwrap();
    let expected = [
        "data/mails DataProtectionPolicy/default/mails inspect in [HttpQuery HttpBody] buffered",
        "data/mails DataProtectionPolicy/default/mails answer out [HttpBody] buffered",
        "parse built-in answer out [] buffered",
    ];
    assert_eq!(matrix(route(&snapshot, "app")), [heads.as_slice(), expected.as_slice()].concat());
    // On the model route the same rule reads what people write, and no more.
    let rule = route(&snapshot, "chat").policy.data.rules.iter().find(|rule| rule.name == "mails").unwrap();
    assert_eq!((rule.request, rule.response, rule.parts.as_slice()), (true, false, &[Part::User][..]));
}

const TWO_LISTENERS: &str = "listeners: [{name: public, bind: \"127.0.0.1:8443\", protocol: https}, {name: mesh, bind: \"127.0.0.1:8444\", protocol: https, internal: true}]";

fn certificate(name: &str, target: &str, identities: &[(&str, &str)]) -> String {
    let items = identities.iter().map(|(file, hosts)| {
        format!("{{name: {file}, hosts: [{hosts}], source: {{type: Files, certFrom: \"file:{file}.pem\", keyFrom: \"file:{file}.key\"}}}}")
    });
    let items: Vec<String> = items.collect();
    manifest(
        "CertificatePolicy",
        name,
        &format!("targetRefs: [{{kind: Gateway, name: edge{target}}}]\nidentities: [{}]", items.join(", ")),
    )
}

/// Certificate file and hosts, in the order in which they are tried.
fn presented(snapshot: &Snapshot, listener: usize) -> Vec<(String, String)> {
    let tls = snapshot.listeners[listener].tls.as_ref().unwrap();
    tls.identities.iter().map(|identity| (identity.name.clone(), identity.hosts.join(" "))).collect()
}

#[test]
fn the_certificate_for_a_name_is_the_most_specific_levels() {
    let bootstrap = BOOTSTRAP.lines().map(|line| if line.starts_with("listeners:") { TWO_LISTENERS } else { line });
    let bootstrap = bootstrap.collect::<Vec<_>>().join("\n") + "\n";
    let gateway =
        certificate("a-gateway", "", &[("a", "api.example.com, \"*.example.com\""), ("b", "www.example.com")]);
    let listener = certificate("z-mesh", ", sectionName: mesh", &[("z", "API.example.com")]);
    let snapshot = load(&bootstrap, &format!("{gateway}---\n{listener}")).unwrap();
    let of = |name: &str, hosts: &str| (name.to_owned(), hosts.to_owned());
    // `web` of the set answers for every other name.
    assert_eq!(
        presented(&snapshot, 0),
        [of("a", "api.example.com"), of("b", "www.example.com"), of("a", "*.example.com"), of("web", "")]
    );
    assert_eq!(
        presented(&snapshot, 1),
        [of("z", "api.example.com"), of("b", "www.example.com"), of("a", "*.example.com"), of("web", "")]
    );

    for (case, other, conflicts) in [
        ("another file", certificate("other", "", &[("c", "www.example.com")]), true),
        ("the same files", certificate("other", "", &[("b", "www.example.com")]), false),
        ("another name", certificate("other", "", &[("c", "shop.example.com")]), false),
        ("a lower level", certificate("other", ", sectionName: public", &[("c", "www.example.com")]), false),
    ] {
        let loaded = load(&bootstrap, &format!("{gateway}---\n{other}"));
        assert_eq!(loaded.is_err_and(|report| report.contains("PV-005")), conflicts, "{case}");
    }
    // A conflict that no listener has: the listener's own certificate beats both.
    let third = certificate("other", ", sectionName: public", &[("c", "api.example.com")]);
    let mesh = certificate("z-mesh", ", sectionName: mesh", &[("z", "api.example.com")]);
    let twice = certificate("b-gateway", "", &[("d", "api.example.com")]);
    assert!(load(&bootstrap, &[gateway, third, mesh, twice].join("---\n")).is_ok());
}

#[test]
fn client_certificates_are_required_on_internal_listeners_unless_a_manifest_says_otherwise() {
    use postern_config::ClientAuth::{Off, Optional, Required};
    let trust = "trust: {anchors: [{name: mesh, caFrom: \"file:ca.pem\"}], names: [\"spiffe://example.org/**\"]";
    for (internal, written, want) in [
        (false, "", Optional),
        (true, "", Optional),
        (false, ", clientAuth: Required", Required),
        (true, ", clientAuth: \"Off\"", Optional),
    ] {
        // The set writes `Optional`; a further manifest only tightens.
        let bootstrap = BOOTSTRAP.replace("protocol: https", &format!("protocol: https, internal: {internal}"));
        let more = manifest(
            "CertificatePolicy",
            "more",
            &format!("targetRefs: [{{kind: Gateway, name: edge}}]\n{trust}{written}}}"),
        );
        let snapshot = load(&bootstrap, &more).unwrap();
        let tls = snapshot.listeners[0].tls.as_ref().unwrap();
        assert_eq!(tls.client_auth, want, "{internal} {written}");
        assert_eq!(tls.trust.names.len(), 2, "both lists of names must match");
    }
    let set = SET.replace("    clientAuth: Optional\n", "");
    for (internal, want) in [(false, Off), (true, Required)] {
        let bootstrap = BOOTSTRAP.replace("protocol: https", &format!("protocol: https, internal: {internal}"));
        let mut report = Report::new();
        let bootstrap = parse_bootstrap("postern.yaml", bootstrap.as_bytes(), Path::new("/etc"), &mut report).unwrap();
        let file = SourceFile { name: "set.yaml".to_owned(), bytes: set.clone().into_bytes() };
        let parsed = parse_manifests(&[file], &bootstrap.manifest_rules(), &mut report);
        let snapshot = resolve(&bootstrap, &parsed, NOW, &mut report).unwrap();
        assert_eq!(snapshot.listeners[0].tls.as_ref().unwrap().client_auth, want);
    }
}

#[test]
fn limits_of_all_levels_apply_each_with_its_own_count() {
    let more = manifest(
        "APIAccessPolicy",
        "route",
        "targetRefs: [{kind: Route, name: chat}]
rateLimits:
  - {name: tenant, key: [Tenant, Route, Tenant], unit: Requests, limit: 600, window: 1m, burst: 6000}
  - {name: once, key: [SourceIp], unit: Requests, limit: 1, window: 1d}",
    );
    let snapshot = load(BOOTSTRAP, &more).unwrap();
    let limits = |name: &str| -> Vec<String> {
        let limits = route(&snapshot, name).policy.access.rate_limits.iter();
        limits.map(|l| format!("{} {} {:?} {}/{:?} {}", l.owner, l.name, l.key, l.limit, l.window, l.burst)).collect()
    };
    assert_eq!(limits("app"), ["default/base per-caller [Principal] 60/60s 60"]);
    assert_eq!(
        limits("chat"),
        [
            "default/base per-caller [Principal] 60/60s 60",
            "default/route tenant [Tenant, Route] 600/60s 6000",
            "default/route once [SourceIp] 1/86400s 1",
        ]
    );
}

#[test]
fn a_binding_that_has_ended_warns_and_loads() {
    let more = manifest(
        "RBACPolicy",
        "past",
        "targetRefs: [{kind: Route, name: app}]
bindings: [{name: old, role: reader, subjects: [{kind: Group, name: staff}], until: 2020-01-01T00:00:00Z}]",
    );
    let snapshot = load(BOOTSTRAP, &more).unwrap();
    assert_eq!(
        route(&snapshot, "app").policy.authz.bindings.iter().filter(|binding| binding.until.is_some()).count(),
        1
    );
}
