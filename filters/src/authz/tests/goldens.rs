//! Golden refusals of rules: `tests/rejects/pv-NNN-name.yaml` beside `pv-NNN-name.txt`, the whole report of a load of the set that the
//! goldens of `config` use. `POSTERN_WRITE_GOLDENS=1` writes them anew.

use std::path::{Path, PathBuf};

use postern_config::{SourceFile, parse_bootstrap, parse_manifests, resolve};

use super::*;
use crate::limit::LimitStore;

/// 2026-10-01T00:00:00Z.
const LOADED: i64 = 1_790_812_800;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rejects")
}

fn report_of(name: &str) -> Report {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/tests/rejects");
    let read = |folder: &Path, name: &str| SourceFile {
        name: name.to_owned(),
        bytes: std::fs::read(folder.join(name)).unwrap(),
    };
    let mut report = Report::new();
    let bootstrap = read(&beside, "postern.yaml");
    let bootstrap = parse_bootstrap(&bootstrap.name, &bootstrap.bytes, Path::new("/etc/postern"), &mut report).unwrap();
    let files = [read(&beside, "set.yaml"), read(&folder(), name)];
    let parsed = parse_manifests(&files, &bootstrap.manifest_rules(), &mut report);
    let snapshot = resolve(&bootstrap, &parsed, LOADED, &mut report);
    assert!(!report.has_errors(), "{name} is refused before its rules are read: {report}");
    crate::check(&snapshot.unwrap(), &LimitStore::default()).unwrap_err()
}

#[test]
fn every_refusal_of_a_rule_reads_as_written() {
    let names = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| !name.ends_with(".txt")).collect();
    names.sort();
    assert!(names.len() > 2, "{names:?}");
    for name in names {
        let report = report_of(&name);
        let code: u16 = name[3..6].parse().unwrap();
        assert!(report.problems().iter().all(|problem| problem.code.0 == code), "{name}: {report}");
        let golden = folder().join(&name).with_extension("txt");
        if std::env::var_os("POSTERN_WRITE_GOLDENS").is_some() {
            std::fs::write(&golden, report.to_string()).unwrap();
        }
        assert_eq!(report.to_string(), std::fs::read_to_string(&golden).unwrap_or_default(), "{name}");
    }
}
