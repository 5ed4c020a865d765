//! A set whose files are being written: every file cut at every byte.
//!
//! A cut file must not load, or load as the whole one. Two things decide that. With `manifests.requireEnd` every file ends
//! with a line `...`, and every cut is seen. Without it, what is seen is a cut within a line, a token or a bracket, a
//! document without all its parts, and a reference to what is gone; a cut exactly after a whole line of block style, or
//! between two documents, is a smaller set that nobody can tell from one that was meant. It may even allow more: a `Forbid` that is
//! gone forbids nothing. So shipped sets ask for the end, and a set without it must be replaced file by file with
//! `rename`, never written in place.
//!
//! What no end marker shows is a file that is not there at all. A folder must be replaced as a whole (a link that is
//! turned, as Kubernetes does with mounted volumes); `manifests.index` will list what belongs to a set.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a file that cannot be written fails the test")]

use std::path::{Path, PathBuf};

use postern_config::{Digest, Report, SourceFile, load, load_bootstrap, parse_manifests};

const NOW: i64 = 1_790_812_800;

/// A copy of an example, with or without the markers at the ends of its files.
fn copied(example: &str, end: bool) -> (tempfile::TempDir, Vec<PathBuf>) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join(example);
    let folder = tempfile::tempdir().unwrap();
    let bootstrap = std::fs::read_to_string(from.join("postern.yaml")).unwrap();
    let bootstrap = if end { bootstrap } else { bootstrap.replace("requireEnd: true", "requireEnd: false") };
    std::fs::write(folder.path().join("postern.yaml"), bootstrap).unwrap();
    std::fs::create_dir(folder.path().join("manifests")).unwrap();
    let mut files = Vec::new();
    for entry in std::fs::read_dir(from.join("manifests")).unwrap() {
        let entry = entry.unwrap();
        let text = std::fs::read_to_string(entry.path()).unwrap();
        let text = if end { text } else { text.trim_end().trim_end_matches("...").to_owned() };
        let to = folder.path().join("manifests").join(entry.file_name());
        std::fs::write(&to, text).unwrap();
        files.push(to);
    }
    files.sort();
    (folder, files)
}

fn digest(folder: &Path) -> Option<Digest> {
    load(&folder.join("postern.yaml"), NOW).ok().map(|loaded| loaded.snapshot.digest)
}

/// Cuts every file at every byte; yields the line after which a cut gave another set that loads.
fn unseen(folder: &Path, files: &[PathBuf]) -> Vec<String> {
    let whole = digest(folder).unwrap();
    let mut report = Report::new();
    let rules = load_bootstrap(&folder.join("postern.yaml"), &mut report).unwrap().manifest_rules();
    let mut unseen = Vec::new();
    for file in files {
        let bytes = std::fs::read(file).unwrap();
        for cut in 0..bytes.len() {
            // What is wrong with one file by itself is wrong with the set; the rest needs the whole load.
            let mut report = Report::new();
            parse_manifests(
                &[SourceFile { name: "cut".to_owned(), bytes: bytes[..cut].to_vec() }],
                &rules,
                &mut report,
            );
            if report.has_errors() {
                continue;
            }
            std::fs::write(file, &bytes[..cut]).unwrap();
            if digest(folder).is_some_and(|digest| digest != whole) {
                let kept = String::from_utf8_lossy(&bytes[..cut]).into_owned();
                let name = file.file_name().unwrap().to_string_lossy().into_owned();
                let line = format!("{name}: {}", kept.lines().last().unwrap_or_default().trim());
                unseen.push(line.chars().take(52).collect());
            }
        }
        std::fs::write(file, &bytes).unwrap();
    }
    unseen
}

#[test]
fn no_cut_of_a_set_that_asks_for_an_end_loads_as_another() {
    let (folder, files) = copied("examples/demo", true);
    assert_eq!(unseen(folder.path(), &files), Vec::<String>::new());
}

#[test]
fn cuts_that_only_an_end_shows_are_known() {
    let (folder, files) = copied("examples/demo", false);
    let unseen = unseen(folder.path(), &files);
    assert_eq!(unseen, UNSEEN, "a cut of these files became visible or invisible");
}

/// The beginnings of the lines of the demo after which a file without an end can be cut and still be a set of its own.
/// Some of these sets allow less. After the binding of `assistant` the `Forbid` for unbound callers is gone, after
/// `injection` the look for hidden text, after `maxBodySize` a limit.
const UNSEEN: &[&str] = &[
    "chat.yaml: - {name: per-caller, key: [Principal], un",
    "chat.yaml: targetRefs: [{kind: Route, name: chat}]",
    "chat.yaml: - name: asker",
    r#"chat.yaml: - {actions: [chat], resources: ["demo-sma"#,
    "chat.yaml: - {name: staff, role: asker, subjects: [{",
    "chat.yaml: - {name: assistant, role: asker, subjects",
    "chat.yaml: actions: [chat]",
    "content.yaml: - {name: injection, type: PromptInject",
    "content.yaml: - {name: hidden, type: HiddenText, par",
    "content.yaml: # What the model answers leads nowhere",
    "content.yaml: links: {allowHosts: [docs.demo.example",
    "content.yaml: markup: Strip",
    "orders.yaml: - {methods: [GET], paths: [/orders, /or",
    "orders.yaml: - {methods: [POST], paths: [/orders], c",
    "orders.yaml: maxBodySize: 16Ki",
    "orders.yaml: - {name: per-user, key: [Principal], un",
    "orders.yaml: - {name: staff-read, effect: Permit, pr",
    "secrets.yaml: targetRefs: [{kind: Upstream, name: mo",
    "tls.yaml: clientAuth: Required",
    "tls.yaml: rotation: {warnBefore: 1h}",
    "tls.yaml: targetRefs: [{kind: Gateway, name: demo}]",
];

#[test]
fn a_set_without_one_of_its_files_is_another_set() {
    let (folder, files) = copied("examples/demo", true);
    let whole = digest(folder.path()).unwrap();
    for file in &files {
        let bytes = std::fs::read(file).unwrap();
        std::fs::remove_file(file).unwrap();
        assert!(digest(folder.path()).is_none_or(|digest| digest != whole), "{}", file.display());
        std::fs::write(file, bytes).unwrap();
    }
    assert_eq!(digest(folder.path()), Some(whole));
}
