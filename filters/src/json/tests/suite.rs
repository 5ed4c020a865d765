//! JSONTestSuite, every file decided: `y_` accepted, `n_` refused, `i_` listed here.

use std::path::PathBuf;

use super::*;

/// `i_` files that are accepted: numbers a double rounds, which therefore are never [`Value::integer`]s.
const ACCEPTED: [&str; 5] = [
    "i_number_double_huge_neg_exp.json", // 1e-… is 0 to every reader
    "i_number_real_underflow.json",
    "i_number_too_big_neg_int.json",
    "i_number_too_big_pos_int.json",
    "i_number_very_big_negative_int.json",
];

/// `y_` files that are refused, each because parsers differ: which of the two values counts.
const REFUSED: [&str; 2] = ["y_object_duplicated_key.json", "y_object_duplicated_key_and_value.json"];

fn shared() -> Option<PathBuf> {
    let from_env = std::env::var_os("POSTERN_SHARED").map(|dir| PathBuf::from(dir).join("data"));
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let above = here.ancestors().map(|dir| dir.join("shared/data")).find(|dir| dir.is_dir());
    let found = from_env.filter(|dir| dir.is_dir()).or(above);
    if found.is_none() {
        assert!(std::env::var_os("POSTERN_REQUIRE_SHARED").is_none(), "shared/data is required and not there");
        eprintln!("skipped: no shared/data beside the repository");
    }
    found
}

#[test]
fn json_test_suite_is_decided_file_by_file() {
    let Some(data) = shared() else { return };
    let mut seen = [0; 3];
    for entry in std::fs::read_dir(data.join("vectors/json-test-suite/test_parsing")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let (n, want) = match name.get(..2) {
            Some("y_") => (0, !REFUSED.contains(&name.as_str())),
            Some("n_") => (1, false),
            Some("i_") => (2, ACCEPTED.contains(&name.as_str())),
            _ => panic!("unknown name {name}"),
        };
        seen[n] += 1;
        let got = parse(std::fs::read(&path).unwrap());
        assert_eq!(got.is_ok(), want, "{name}: {got:?}");
    }
    assert!(seen[0] > 90 && seen[1] > 180 && seen[2] > 30, "{seen:?}");
}
