use std::path::PathBuf;

use postern_config::{ContentAction, DataDetectorKind, Dictionary, Part, Redacted, RuntimeSecurity};

use super::*;
use crate::scan::exact_hash;
use crate::scan::tests::{assert_same_however_cut, boundaries, data, edited, guards};
use crate::text::TextGuards as _;

const SALT: &[u8] = b"0123456789abcdef";

pub(in crate::scan) fn list(text: &str) -> DataDetectorKind {
    let (file, digest, text) = (PathBuf::from("list"), [0; 32], Redacted::new(text.to_owned()));
    DataDetectorKind::Dictionary(Arc::new(Dictionary { file, digest, text }))
}

pub(in crate::scan) fn known(values: &[&str]) -> DataDetectorKind {
    let mut hashes: Vec<[u8; 32]> = values.iter().map(|value| exact_hash(SALT, value).unwrap().hash).collect();
    hashes.sort_unstable();
    DataDetectorKind::ExactMatch(Arc::new(postern_config::ExactValues {
        file: PathBuf::from("known"),
        digest: [0; 32],
        salt: Redacted::new(SALT.to_vec()),
        words: 4,
        length: 4..=24,
        hashes,
    }))
}

fn redacts(kind: DataDetectorKind) -> crate::scan::ContentGuards {
    guards(&data(vec![("it", kind, ContentAction::Redact)]), &RuntimeSecurity::default())
}

fn left(guards: &crate::scan::ContentGuards, text: &str) -> String {
    for cut in boundaries(text) {
        assert_same_however_cut(guards, text, &[cut]);
    }
    assert_same_however_cut(guards, text, &boundaries(text));
    edited(text, &guards.judge(Part::User, text))
}

#[test]
fn phrases_are_found_whole_however_they_are_written() {
    let guards = redacts(list("# code names\nProject Nightingale\nAda\nJosé García\nO'Neil\n東京タワー\n"));
    for (text, want) in [
        ("Ada met Adam", "[redacted:it] met Adam"),
        ("ADA, ada; ａｄａ A\u{200b}da Аda", "[redacted:it], [redacted:it]; [redacted:it] [redacted:it] [redacted:it]"),
        ("the project  nightingale!", "the [redacted:it]!"),
        ("PROJECT-NIGHTINGALE_x", "[redacted:it]_x"),
        ("project of nightingale", "project of nightingale"),
        ("project                    nightingale", "project                    nightingale"),
        ("project project nightingale", "project [redacted:it]"),
        ("jose garcia and Jose\u{301} Garci\u{301}a", "[redacted:it] and [redacted:it]"),
        ("o neil, O\u{2019}Neil", "[redacted:it], [redacted:it]"),
        ("昨日東京タワーへ", "昨日[redacted:it]へ"),
        ("nightingale project", "nightingale project"),
        ("Ada", "[redacted:it]"),
        ("", ""),
    ] {
        assert_eq!(left(&guards, text), want, "{text}");
    }
}

#[test]
fn values_are_found_by_their_hashes_and_nothing_shows_them() {
    let kind = known(&["ACME-2291-77", "mia@example.com", "Ōsaka Branch 7"]);
    let guards = redacts(kind.clone());
    for (text, want) in [
        ("account acme 2291 77.", "account [redacted:it]."),
        ("ACME229177", "[redacted:it]"),
        ("acme-2291-78", "acme-2291-78"),
        ("to MIA@example.com now", "to [redacted:it] now"),
        ("osaka branch: 7", "[redacted:it]"),
        ("x".repeat(300).as_str(), "x".repeat(300).as_str()),
    ] {
        assert_eq!(left(&guards, text), want, "{text}");
    }
    let shown = format!("{kind:?} {guards:?}");
    assert!(!shown.contains("acme") && !shown.contains("0123456789abcdef") && !shown.contains("48, 49"), "{shown}");
}

#[test]
fn the_hash_of_a_value_is_as_documented() {
    // printf acme229177 | openssl dgst -sha256 -mac HMAC -macopt key:0123456789abcdef
    let made = exact_hash(SALT, " Acme\u{200b}-2291 77 ").unwrap();
    assert_eq!((made.words, made.letters), (3, 10));
    let want = aws_lc_rs::hmac::sign(&aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, SALT), b"acme229177");
    assert_eq!(made.hash, want.as_ref());
    assert!(exact_hash(SALT, " - ").is_none());
}

#[test]
fn attack_45_a_long_text_costs_its_length() {
    let guards = redacts(list(&format!("{}\n", "a a a a a a a a")));
    let cost = |size: usize| {
        let text = "a ".repeat(size);
        let began = std::time::Instant::now();
        assert!(!guards.judge(Part::User, &text).edits.is_empty());
        began.elapsed()
    };
    let (short, long) = (cost(2_000), cost(16_000));
    assert!(long < short * 30 + std::time::Duration::from_millis(20), "{short:?}, {long:?}");
}

#[test]
fn what_is_only_noted_changes_nothing_of_what_is_cut_out() {
    let rules = vec![
        ("long", crate::scan::tests::regex("mail .{1,80}end"), ContentAction::Annotate),
        ("mail", DataDetectorKind::Builtin("email"), ContentAction::Redact),
        ("fine", list("please"), ContentAction::Allow),
    ];
    let guards = guards(&data(rules), &RuntimeSecurity::default());
    let text = "please mail mia@example.com at the end";
    assert_eq!(left(&guards, text), "please mail [redacted:mail] at the end");
    let mut found: Vec<String> = guards.judge(Part::User, text).findings.into_iter().map(|one| one.detector).collect();
    found.sort();
    assert_eq!(found, ["fine", "long", "mail"]);
}
