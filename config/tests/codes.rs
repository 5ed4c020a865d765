//! Every refusal that the crate can emit has a golden, and every one of the contract is somebody's business.

#![expect(clippy::unwrap_used, reason = "a source file that cannot be read fails the test")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use postern_config::codes::REFUSALS;
use regex::Regex;

/// Who refuses what, of the codes that apply to the kinds of this version:
///
/// | code | where |
/// |---|---|
/// | 001, 002, 003, 007, 008, 009, 011, 012, 014, 032, 041 | the decoder, as the text is read |
/// | 003 | also the resolver: how far an end lies ahead |
/// | 002 | also the resolver: names twice, addresses twice, headers that are the proxy's own |
/// | 004, 005, 010, 013, 022, 023, 025, 031, 050, 060, 070, 091 | the resolver |
/// | 021 | the resolver for subjects that several issuers can assert, `filters` for rules against the schema |
/// | 030 | the decoder for versions of TLS, the resolver for addresses |
/// | 053 | the decoder for patterns, the resolver for those that outgrow the hold-back, `filters` for built-in detectors |
/// | 071 | the decoder for keys, the resolver for windows and bursts |
/// | 020, 024 | `filters`, which parses the rules |
/// | all others | later: what they speak of is refused as PV-007 |
const OF_FILTERS: [u16; 2] = [20, 24];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if !path.ends_with("tests.rs") && !path.ends_with("codes.rs") {
            found.push(path);
        }
    }
}

/// Codes named in the source, as `Code(7)`, `missing 11` of a field or `with 30,` of a word.
fn emitted() -> BTreeSet<u16> {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    let named = Regex::new(r"Code\((\d+)\)|\bmissing (\d+)\]|\} with (\d+),").unwrap();
    let mut codes = BTreeSet::new();
    for file in files {
        let text = std::fs::read_to_string(file).unwrap();
        for found in named.captures_iter(&text) {
            codes.extend(found.iter().skip(1).flatten().map(|code| code.as_str().parse::<u16>().unwrap()));
        }
    }
    codes
}

fn goldens() -> BTreeSet<u16> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rejects");
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter_map(|name| name.strip_prefix("pv-").and_then(|rest| rest.get(..3)?.parse().ok())).collect()
}

#[test]
fn every_refusal_of_the_crate_has_a_golden_and_no_golden_stands_for_another() {
    let emitted = emitted();
    assert!(emitted.len() > 20, "{emitted:?}");
    assert_eq!(emitted, goldens());
}

#[test]
fn every_refusal_that_applies_is_refused_by_somebody() {
    let now: BTreeSet<u16> = REFUSALS.iter().filter(|refusal| refusal.later.is_none()).map(|r| r.code).collect();
    let somebody: BTreeSet<u16> = emitted().into_iter().chain(OF_FILTERS).collect();
    assert_eq!(now, somebody);
}
