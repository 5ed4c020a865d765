use super::*;

fn rules() -> ManifestRules {
    ManifestRules {
        base: std::path::PathBuf::from("/etc/postern"),
        system_namespace: "default".into(),
        end: End::Newline,
        secrets: None,
    }
}

fn parse(text: &str) -> (Parsed, Report) {
    let mut report = Report::new();
    let file = SourceFile { name: "manifests/m.yaml".into(), bytes: text.as_bytes().to_vec() };
    let parsed = parse_manifests(&[file], &rules(), &mut report);
    (parsed, report)
}

const LIMIT: &str = "\
apiVersion: secure.platformspec.io/v1alpha1
kind: APIAccessPolicy
metadata: {name: edge}
spec:
  targetRefs: [{kind: Route, name: chat}]
  rateLimits:
    - {name: per-user, key: [Principal], unit: Requests, limit: 60, window: 1m}
";

#[test]
fn a_manifest_keeps_places_defaults_and_what_was_written() {
    let (parsed, report) = parse(LIMIT);
    assert_eq!(report.to_string(), "");
    let [manifest] = parsed.manifests.as_slice() else { panic!("one manifest") };
    assert_eq!(manifest.id.to_string(), "APIAccessPolicy/default/edge");
    let Spec::ApiAccessPolicy(spec) = &manifest.spec else { panic!("its kind") };
    assert_eq!((spec.max_body_size.0, spec.max_body_size.is_written), (10 << 20, false));
    let limit = &spec.rate_limits[0];
    assert_eq!(
        (limit.pointer.as_str(), limit.limit.pointer.as_str()),
        ("spec.rateLimits[0]", "spec.rateLimits[0].limit")
    );
    assert_eq!(
        (limit.limit.position.line, limit.limit.position.column),
        (7, LIMIT.lines().nth(6).unwrap().find("60").unwrap() as u32 + 1)
    );
    assert!(limit.burst.is_none());
}

#[test]
fn the_digest_follows_the_meaning_not_the_writing_and_not_the_status() {
    let digest = |text: &str| parse(text).0.manifests[0].digest;
    let json = r#"{"spec": {"rateLimits": [{"window": "1m", "name": "per-user", "key": ["Principal"], "unit": "Requests", "limit": 60}],
        "targetRefs": [{"kind": "Route", "name": "chat"}]}, "metadata": {"name": "edge"}, "kind": "APIAccessPolicy",
        "apiVersion": "secure.platformspec.io/v1alpha1"}"#;
    assert_eq!(digest(LIMIT), digest(json));
    assert_eq!(digest(LIMIT), digest(&format!("{LIMIT}status: {{observedGeneration: 3}}\n")));
    assert_ne!(digest(LIMIT), digest(&LIMIT.replace("limit: 60", "limit: 61")));
}

#[test]
fn every_problem_of_every_manifest_is_reported_at_once() {
    let text = format!(
        "{}---\n{}",
        LIMIT.replace("limit: 60", "limit: 0").replace("key: [Principal]", "key: [Principle, Tool]"),
        LIMIT.replace("name: edge", "name: other").replace("rateLimits", "rateLimit")
    );
    let (parsed, report) = parse(&text);
    let found: Vec<_> = report.problems().iter().map(|p| (p.code.0, p.position.line, p.pointer.clone())).collect();
    assert_eq!(
        found,
        [
            (2, 7, "spec.rateLimits[0].key[0]".to_owned()),
            (7, 7, "spec.rateLimits[0].key[1]".to_owned()),
            (2, 7, "spec.rateLimits[0].limit".to_owned()),
            (2, 14, "spec.rateLimit".to_owned()),
        ]
    );
    assert!(parsed.manifests.is_empty());
    assert_eq!(parsed.broken.len(), 2, "both are there, so that nothing that names them is missing");
}

#[test]
fn a_file_cut_at_any_byte_loads_whole_or_not_at_all_but_for_cuts_after_a_whole_line() {
    for end in 0..LIMIT.len() {
        let cut = &LIMIT[..end];
        let (parsed, report) = parse(cut);
        if report.has_errors() {
            continue;
        }
        assert!(cut.ends_with('\n'), "cut at {end}: {cut}");
        assert!(parsed.manifests.len() == 1 && cut.contains("targetRefs"), "cut at {end}");
    }
}

#[test]
fn with_an_end_marker_every_cut_is_seen() {
    let text = format!("{LIMIT}---\n{}...\n", LIMIT.replace("name: edge", "name: other"));
    let marked = ManifestRules { end: End::Marker, ..rules() };
    for end in 0..=text.len() {
        let mut report = Report::new();
        let file = SourceFile { name: "m.yaml".into(), bytes: text.as_bytes()[..end].to_vec() };
        let parsed = parse_manifests(&[file], &marked, &mut report);
        assert_eq!(!report.has_errors(), end == text.len(), "cut at {end}: {report}");
        assert_eq!(parsed.whole, end == text.len(), "cut at {end}");
    }
}

#[test]
fn two_manifests_of_one_name_are_refused() {
    let (_, report) = parse(&format!("{LIMIT}---\n{LIMIT}"));
    let problems = report.problems();
    assert_eq!(problems.len(), 1, "{report}");
    assert_eq!((problems[0].code, problems[0].position.line), (Code(2), 11));
}

#[test]
fn the_least_of_every_kind_loads_with_its_defaults() {
    let (parsed, report) = parse(include_str!("least.yaml"));
    assert_eq!(report.to_string(), "");
    assert_eq!(parsed.manifests.len(), Kind::ALL.len());
    assert!(parsed.whole && parsed.broken.is_empty());
}

/// A text as it would come in the envelope of a Policy.
fn enveloped(text: &str) -> String {
    let (head, spec) = text.split_once("spec:\n").unwrap();
    let kind = head.lines().find_map(|line| line.strip_prefix("kind: ")).unwrap();
    let head = head.replace(&format!("kind: {kind}"), "kind: Policy");
    let spec: String = spec.lines().map(|line| format!("  {line}\n")).collect();
    format!("{head}spec:\n  type: {kind}\n  config:\n{spec}")
}

#[test]
fn what_comes_in_an_envelope_is_read_as_if_it_came_alone() {
    let (own, carried) = (parse(LIMIT), parse(&enveloped(LIMIT)));
    assert_eq!(carried.1.to_string(), "");
    let (own, carried) = (&own.0.manifests[0], &carried.0.manifests[0]);
    assert_eq!((&own.id, &own.metadata.name.value), (&carried.id, &carried.metadata.name.value));
    let Spec::ApiAccessPolicy(spec) = &carried.spec else { panic!("the kind that `type` names") };
    assert_eq!(spec.rate_limits[0].limit.pointer, "spec.config.rateLimits[0].limit");
    assert_eq!(spec.rate_limits[0].limit.position.line, 9);
    for (from, to) in [
        ("limit: 60", "limit: many"),
        ("unit: Requests", "unit: Tokens"),
        ("key: [Principal], ", ""),
        ("  rateLimits:", "  ratelimits:"),
        ("kind: Route", "kind: Router"),
        ("name: chat", "name: Chat"),
    ] {
        let broken = LIMIT.replace(from, to);
        let said = |text: &str, spec: &str| {
            let report = parse(text).1;
            let told = report
                .problems()
                .into_iter()
                .map(|p| (p.code, p.message.clone(), p.help.clone(), p.pointer.replacen(spec, "spec", 1)));
            told.collect::<Vec<_>>()
        };
        let (own, carried) = (said(&broken, "spec"), said(&enveloped(&broken), "spec.config"));
        assert!(!own.is_empty(), "{to}");
        assert_eq!(own, carried, "{to}");
    }
}

#[test]
fn a_policy_of_which_nobody_can_say_what_it_is_may_be_anything() {
    for text in ["spec: {type: 7}", "spec: {type: Nothing, config: {}}", "spec: {type: ThreatModel, config: {}}"] {
        let text =
            format!("apiVersion: secure.platformspec.io/v1alpha1\nkind: Policy\nmetadata: {{name: p}}\n{text}\n");
        let (parsed, report) = parse(&text);
        assert!(report.has_errors() && !parsed.whole, "{text}");
    }
}
