//! The committed reference is the one that the code describes, and what the pages show is what the code reads.

#![expect(clippy::unwrap_used, reason = "a page that cannot be read fails the test")]

use std::path::{Path, PathBuf};

use postern_config::manifest::Kind;
use postern_config::{Report, SourceFile, parse_bootstrap, parse_manifests};

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs")
}

#[test]
fn the_reference_is_up_to_date() {
    let path = docs().join("manifests.md");
    let written = postern_config::docs::manifest_reference();
    if std::env::var_os("POSTERN_WRITE_DOCS").is_some() {
        std::fs::write(&path, &written).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == written,
        "docs/manifests.md is out of date; run POSTERN_WRITE_DOCS=1 cargo test -p postern-config --test docs"
    );
}

/// YAML of other programs, and what ours prints or reads elsewhere, by a word of it.
const OTHERS: [&str; 5] = ["securityContext:", "volumes:", "cases:", "request: {", "decision"];

const BOOTSTRAP: [(&str, &str); 7] = [
    ("version", "version: 1\n"),
    ("gateway", "gateway: {name: edge}\n"),
    ("state", "state: {dir: /var/lib/postern}\n"),
    ("listeners", "listeners: [{name: public, bind: \"127.0.0.1:8443\", protocol: https}]\n"),
    ("upstreams", "upstreams: [{name: app, url: \"http://127.0.0.1:8080\"}]\n"),
    ("routes", "routes: [{name: app, match: {pathPrefix: /}, upstream: app, dialect: http}]\n"),
    ("manifests", "manifests: {path: manifests}\n"),
];

/// A set reads as what it is, and a piece of one as part of the kind, or of the bootstrap, in which it makes sense. Returns what is
/// wrong with it otherwise, by the kind that has least against it.
fn read(shown: &str) -> Result<(), String> {
    if shown.contains("apiVersion:") {
        return manifests(shown);
    }
    if shown.starts_with("kind:") {
        let whole = |document: &str| {
            let name = if document.contains("metadata:") { "" } else { "metadata: {name: shown}\n" };
            format!("apiVersion: secure.platformspec.io/v1alpha1\n{name}{document}")
        };
        return manifests(&shown.split("---\n").map(whole).collect::<Vec<_>>().join("---\n"));
    }
    let shown = match shown.strip_prefix("- ") {
        Some(_) => format!("providers:\n{shown}"),
        None => shown.to_owned(),
    };
    let rest: String =
        BOOTSTRAP.iter().filter(|(key, _)| !shown.contains(&format!("{key}:"))).map(|(_, line)| *line).collect();
    let mut report = Report::new();
    parse_bootstrap("shown", format!("{rest}{shown}").as_bytes(), Path::new("/etc/postern"), &mut report);
    let spec: String = shown.lines().map(|line| format!("  {line}\n")).collect();
    let as_kind = |kind: Kind| {
        let document = format!("kind: {}\nmetadata: {{name: shown}}\nspec:\n{spec}", kind.as_str());
        manifests(&format!("apiVersion: secure.platformspec.io/v1alpha1\n{document}"))
    };
    let mut least = said(&report);
    for kind in Kind::ALL {
        if least.is_ok() {
            break;
        }
        match (&least, as_kind(kind)) {
            (Err(before), Err(now)) if now.len() >= before.len() => {}
            (_, now) => least = now,
        }
    }
    least
}

fn manifests(text: &str) -> Result<(), String> {
    let mut report = Report::new();
    let whole: String = BOOTSTRAP.iter().map(|(_, line)| *line).collect();
    let bootstrap = parse_bootstrap("postern.yaml", whole.as_bytes(), Path::new("/etc/postern"), &mut report).unwrap();
    let file = SourceFile { name: "shown".to_owned(), bytes: format!("{text}\n").into_bytes() };
    parse_manifests(&[file], &bootstrap.manifest_rules(), &mut report);
    said(&report)
}

/// What is wrong, but for what is left out of a piece.
fn said(report: &Report) -> Result<(), String> {
    let left_out = ["is missing", "says nowhere where it applies"];
    let is_wrong = |message: &str| !left_out.iter().any(|words| message.contains(words));
    let wrong = report.problems().into_iter().filter(|problem| is_wrong(&problem.message));
    let wrong: Vec<String> = wrong.map(ToString::to_string).collect();
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

/// YAML of a page, each piece without the indentation that all of it has.
fn pieces(page: &str) -> Vec<String> {
    let blocks = page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("\n```").next());
    let plain = |block: &str| {
        let lines = || block.lines().filter(|line| !line.trim().is_empty());
        let indent = lines().map(|line| line.len() - line.trim_start().len()).min().unwrap_or(0);
        // `[...]` stands for what another piece shows.
        block
            .lines()
            .filter(|line| !line.contains("[...]"))
            .map(|line| line.get(indent..).unwrap_or_default().to_owned() + "\n")
            .collect()
    };
    blocks.map(plain).collect()
}

#[test]
fn complaint_18_what_the_docs_show_is_what_is_read() {
    let (mut wrong, mut shown) = (Vec::new(), 0);
    for entry in std::fs::read_dir(docs()).unwrap() {
        let path = entry.unwrap().path();
        let page = std::fs::read_to_string(&path).unwrap();
        for (n, piece) in pieces(&page).iter().enumerate() {
            if OTHERS.iter().any(|other| piece.contains(other)) {
                continue;
            }
            shown += 1;
            if let Err(said) = read(piece) {
                wrong.push(format!("== {} #{}\n{piece}\n{said}", path.display(), n + 1));
            }
        }
    }
    assert!(shown > 40, "{shown} pieces");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
