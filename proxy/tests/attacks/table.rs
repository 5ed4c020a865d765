//! The table in SECURITY.md names, for every number of the list, tests that exist.

use std::collections::BTreeSet;
use std::path::Path;

/// The numbers of the list that concern the edge; the others belong to parts that are not built yet.
fn numbers() -> BTreeSet<u32> {
    (1..=45).chain(50..=54).collect()
}

#[test]
fn every_number_has_a_row_and_every_test_it_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let security = std::fs::read_to_string(root.join("SECURITY.md")).unwrap();
    let mut told = BTreeSet::new();
    for row in
        security.lines().filter(|line| line.starts_with("| ") && line[2..].starts_with(|c: char| c.is_ascii_digit()))
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
            assert!(name.starts_with(&format!("attack_{number}_")), "`{name}` does not carry {number}");
        }
    }
    assert_eq!(told, numbers());
}
