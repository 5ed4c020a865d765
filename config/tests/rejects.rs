//! Golden refusals: `rejects/pv-NNN-name.yaml` beside `rejects/pv-NNN-name.txt`, the whole report.
//!
//! The manifest is parsed with `rejects/postern.yaml`, unless its first lines say otherwise:
//!
//! * `# bootstrap`: the file itself is the bootstrap; `# bootstrap: other.yaml`: it is loaded with that one.
//! * `# with: set.yaml`: the whole load is done, with this file of manifests beside it.
//! * `# without: Kind, Kind`: and without the manifests of these kinds in it.
//! * `# beside`: files are looked for in `rejects`, where OpenAPI documents lie below `documents`.
//!
//! To write the reports anew, run `POSTERN_WRITE_GOLDENS=1 cargo test -p postern-config --test rejects` and read the
//! difference.

#![expect(clippy::unwrap_used, reason = "a golden that cannot be read fails the test")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use postern_config::manifest::Kind;
use postern_config::{Bootstrap, Report, Severity, SourceFile, parse_bootstrap, parse_manifests, resolve};

/// 2026-10-01T00:00:00Z.
const NOW: i64 = 1_790_812_800;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rejects")
}

fn bootstrap(name: &str, base: &Path, report: &mut Report) -> Option<Bootstrap> {
    let bytes = std::fs::read(folder().join(name)).unwrap();
    parse_bootstrap(name, &bytes, base, report)
}

/// What the first lines of a golden say about `key`.
fn directive<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    let heads = text.lines().map_while(|line| line.strip_prefix("# "));
    heads.filter_map(|head| head.strip_prefix(key)).map(|rest| rest.trim_start_matches(':').trim()).next()
}

/// Everything a load says about one golden file.
fn report_of(name: &str) -> Report {
    let bytes = std::fs::read(folder().join(name)).unwrap();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    load(name, bytes, directive(&text, "bootstrap"), directive(&text, "with:"), directive(&text, "without:"))
}

fn load(name: &str, bytes: Vec<u8>, boot: Option<&str>, with: Option<&str>, without: Option<&str>) -> Report {
    let mut report = Report::new();
    let own = boot == Some("");
    let boot = boot.map_or("postern.yaml", |boot| if own { name } else { boot });
    let beside = directive(&String::from_utf8_lossy(&bytes), "beside").is_some();
    let base = if beside { folder() } else { PathBuf::from("/etc/postern") };
    let Some(bootstrap) = bootstrap(boot, &base, &mut report) else { return report };
    let mut files = Vec::new();
    if let Some(set) = with {
        files.push(SourceFile { name: set.to_owned(), bytes: left(set, without.unwrap_or_default()) });
    }
    if !own {
        files.push(SourceFile { name: name.to_owned(), bytes });
    }
    if files.is_empty() {
        return report;
    }
    let parsed = parse_manifests(&files, &bootstrap.manifest_rules(), &mut report);
    if with.is_some() {
        resolve(&bootstrap, &parsed, NOW, &mut report);
    }
    report
}

/// The documents of a set but for those of some kinds.
fn left(set: &str, without: &str) -> Vec<u8> {
    let text = std::fs::read_to_string(folder().join(set)).unwrap();
    let gone = |document: &&str| without.split(", ").any(|kind| document.contains(&format!("kind: {kind}\n")));
    text.split("---\n").filter(|document| !gone(document)).collect::<Vec<_>>().join("---\n").into_bytes()
}

fn goldens() -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("pv-") && !name.ends_with(".txt"))
        .collect();
    names.sort();
    names
}

#[test]
fn every_refusal_reads_as_written() {
    let mut wrong = Vec::new();
    for name in goldens() {
        let said = report_of(&name).to_string();
        let golden = folder().join(&name).with_extension("txt");
        if std::env::var_os("POSTERN_WRITE_GOLDENS").is_some() {
            std::fs::write(&golden, &said).unwrap();
        }
        let expected = std::fs::read_to_string(&golden).unwrap_or_default();
        if said != expected {
            wrong.push(format!("== {name}\n-- expected\n{expected}\n-- said\n{said}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_golden_triggers_its_code_and_no_other() {
    let mut wrong = Vec::new();
    for name in goldens() {
        let code: u16 = name[3..6].parse().unwrap();
        let report = report_of(&name);
        let codes: BTreeSet<u16> = report.problems().iter().map(|problem| problem.code.0).collect();
        if codes != BTreeSet::from([code]) {
            wrong.push(format!("== {name}\n{report}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn complaint_17_policy_that_can_match_nothing_where_it_is_attached_does_not_load() {
    for name in ["allow", "content", "guard", "models", "output", "prompts", "restore", "rules", "traffic"] {
        let report = report_of(&format!("pv-025-{name}.yaml"));
        assert!(report.has_errors(), "{name}");
        let problems = report.problems();
        assert!(problems.iter().all(|problem| problem.code.0 == 25 && problem.severity == Severity::Error), "{report}");
    }
}

#[test]
fn a_problem_names_a_way_out_and_reads_like_the_others() {
    for name in goldens() {
        for problem in report_of(&name).problems() {
            assert!(!problem.help.is_empty(), "{name}: {problem}");
            assert!(!problem.message.ends_with('.') && !problem.help.ends_with('.'), "{name}: {problem}");
            let first = problem.message.chars().next().unwrap();
            let kind = Kind::ALL.iter().any(|kind| problem.message.starts_with(kind.as_str()));
            assert!(kind || !first.is_uppercase(), "{name}: {problem}");
            assert!(problem.position.line > 0 && problem.position.column > 0, "{name}: {problem}");
        }
    }
}

#[test]
fn a_refusal_never_repeats_the_secret() {
    let report = report_of("pv-001-secret.yaml");
    assert!(report.problems().iter().any(|problem| problem.severity == Severity::Error));
    assert!(!report.to_string().contains("a1B2c3D4"));
}

/// What one file says wrong must not be said again as something that other files lack.
#[test]
fn a_refusal_of_the_text_is_the_only_one_of_the_load() {
    let mut wrong = Vec::new();
    for name in goldens() {
        let bytes = std::fs::read(folder().join(&name)).unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if directive(&text, "bootstrap").is_some() || directive(&text, "with:").is_some() {
            continue;
        }
        let code: u16 = name[3..6].parse().unwrap();
        let report = load(&name, bytes, None, Some("set.yaml"), None);
        let others = report.problems().into_iter().filter(|problem| problem.code.0 != code);
        wrong.extend(others.map(|problem| format!("== {name}\n{problem}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_set_of_the_goldens_loads() {
    let bytes = std::fs::read(folder().join("set.yaml")).unwrap();
    assert_eq!(load("set.yaml", bytes, None, None, None).to_string(), "");
    let mut report = Report::new();
    let bootstrap = bootstrap("postern.yaml", Path::new("/etc/postern"), &mut report).unwrap();
    let file = SourceFile { name: "set.yaml".to_owned(), bytes: left("set.yaml", "") };
    let parsed = parse_manifests(&[file], &bootstrap.manifest_rules(), &mut report);
    assert!(resolve(&bootstrap, &parsed, NOW, &mut report).is_some());
    assert_eq!(report.to_string(), "");
}
