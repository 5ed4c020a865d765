//! The files of `postern init` load as they stand.

use std::path::Path;

use postern_config::cases::parse_cases;
use postern_config::{Report, SourceFile, init_files, parse_bootstrap, parse_manifests};

#[test]
fn the_first_set_has_no_problem() {
    let mut report = Report::new();
    let (_, bootstrap) = init_files()[0];
    let bootstrap = parse_bootstrap("postern.yaml", bootstrap.as_bytes(), Path::new(""), &mut report).unwrap();
    let files: Vec<_> = init_files()
        .iter()
        .filter(|(name, _)| name.starts_with("manifests/"))
        .map(|(name, text)| SourceFile { name: (*name).to_owned(), bytes: text.as_bytes().to_vec() })
        .collect();
    let parsed = parse_manifests(&files, &bootstrap.manifest_rules(), &mut report);
    assert_eq!(report.to_string(), "");
    assert!(parsed.whole && parsed.broken.is_empty());
    let (_, cases) = init_files().iter().find(|(name, _)| *name == "app.test.yaml").unwrap();
    assert_eq!(parse_cases("app.test.yaml", cases.as_bytes(), &mut report).len(), 1, "{report}");
    assert_eq!(parsed.manifests.len(), 11);
}

#[test]
fn every_example_file_is_embedded() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/init");
    let mut found = vec!["app.test.yaml".to_owned(), "postern.yaml".to_owned()];
    for entry in std::fs::read_dir(root.join("manifests")).unwrap() {
        found.push(format!("manifests/{}", entry.unwrap().file_name().to_string_lossy()));
    }
    found.sort();
    let mut embedded: Vec<_> = init_files().iter().map(|(name, _)| (*name).to_owned()).collect();
    embedded.sort();
    assert_eq!(found, embedded);
}
