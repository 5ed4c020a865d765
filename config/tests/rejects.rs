//! Golden refusals: `rejects/pv-XXX-name.yaml` beside `rejects/pv-XXX-name.txt`, the whole report.
//!
//! The manifest is loaded with `rejects/postern.yaml`, unless it begins with a line `# bootstrap`: then the file itself is the
//! bootstrap, or with `# bootstrap: other.yaml`: then it is loaded with that one. To write the reports anew, run
//! `POSTERN_WRITE_GOLDENS=1 cargo test -p postern-config --test rejects` and read the difference.

#![expect(clippy::unwrap_used, reason = "a golden that cannot be read fails the test")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use postern_config::{Bootstrap, Report, Severity, SourceFile, parse_bootstrap, parse_manifests};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rejects")
}

fn bootstrap(name: &str, report: &mut Report) -> Option<Bootstrap> {
    let bytes = std::fs::read(folder().join(name)).unwrap();
    parse_bootstrap(name, &bytes, Path::new("/etc/postern"), report)
}

/// Everything a load says about one golden file.
fn report_of(name: &str) -> Report {
    let mut report = Report::new();
    let bytes = std::fs::read(folder().join(name)).unwrap();
    let head = String::from_utf8_lossy(&bytes).lines().next().unwrap_or_default().to_owned();
    if head.trim() == "# bootstrap" {
        bootstrap(name, &mut report);
        return report;
    }
    let with = head.strip_prefix("# bootstrap: ").unwrap_or("postern.yaml");
    let bootstrap = bootstrap(with.trim(), &mut report).unwrap();
    let file = SourceFile { name: name.to_owned(), bytes };
    parse_manifests(&[file], &bootstrap.manifest_rules(), &mut report);
    report
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
    for name in goldens() {
        let code: u16 = name[3..6].parse().unwrap();
        let codes: BTreeSet<u16> = report_of(&name).problems().iter().map(|problem| problem.code.0).collect();
        assert_eq!(codes, BTreeSet::from([code]), "{name}");
    }
}

#[test]
fn a_problem_names_a_way_out_and_reads_like_the_others() {
    for name in goldens() {
        for problem in report_of(&name).problems() {
            assert!(!problem.help.is_empty(), "{name}: {problem}");
            assert!(!problem.message.ends_with('.') && !problem.help.ends_with('.'), "{name}: {problem}");
            let first = problem.message.chars().next().unwrap();
            assert!(!first.is_uppercase() || problem.message.contains("Policy"), "{name}: {problem}");
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
