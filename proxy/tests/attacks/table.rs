//! The tables in SECURITY.md and in `docs/complaints.md` name, for every number of their lists, tests that exist.

use std::collections::BTreeSet;
use std::path::Path;

/// Numbers of the rows of a table, each with the tests that its last cell names, of which every one carries the number behind `word`.
fn numbers(page: &str, word: &str) -> BTreeSet<u32> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let text = std::fs::read_to_string(root.join(page)).unwrap();
    let mut told = BTreeSet::new();
    for row in text.lines().filter(|line| line.starts_with("| ") && line[2..].starts_with(|c: char| c.is_ascii_digit()))
    {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [number, attack, outcome, tests] = cells[..] else { panic!("four cells: {row}") };
        let number: u32 = number.parse().unwrap();
        assert!(told.insert(number), "two rows of {number}");
        assert!(!attack.is_empty() && !outcome.is_empty(), "{row}");
        let tests: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty(), "{number} names no test");
        for test in tests {
            let (file, name) = test.split_once("::").unwrap_or_else(|| panic!("`file::test`, not `{test}`"));
            let text = std::fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
            assert!(text.contains(&format!("fn {name}(")), "`{file}` holds no test `{name}`");
            assert!(format!("_{name}").contains(&format!("_{word}_{number}_")), "`{name}` does not carry {number}");
        }
    }
    told
}

#[test]
fn every_attack_has_a_row_and_every_test_it_names_exists() {
    assert_eq!(numbers("SECURITY.md", "attack"), (1..=54).collect());
}

#[test]
fn every_complaint_about_streams_and_guards_has_a_row_and_every_test_it_names_exists() {
    assert!(numbers("docs/complaints.md", "complaint").is_superset(&(1..=19).collect()));
}
