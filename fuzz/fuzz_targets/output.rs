//! Any answer, cut anywhere: no panic, the same outcome as in one piece, and no tag and no address of another host in it.

#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use postern_config::{DataProtection, Direction, Markup, Output, Owned, Part, RuntimeSecurity};
use postern_filters::TextGuards;
use postern_filters::scan::ContentGuards;

fn guards(markup: Markup) -> ContentGuards {
    let owner = || "RuntimeSecurityPolicy/default/fuzz".to_owned();
    let links = Owned { value: vec!["good.example".to_owned()], owner: owner() };
    let output =
        Output { links: vec![links], markup: Some(Owned { value: markup, owner: owner() }), ..Output::default() };
    let data = DataProtection { hold_back: 512, stall: Duration::from_secs(5), ..DataProtection::default() };
    let runtime = RuntimeSecurity { output, ..RuntimeSecurity::default() };
    ContentGuards::compile(&data, &runtime, Direction::Response).unwrap()
}

static GUARDS: LazyLock<[ContentGuards; 2]> = LazyLock::new(|| [guards(Markup::Strip), guards(Markup::Escape)]);

fuzz_target!(|input: (u8, bool, &str)| {
    let (cut, escape, text) = input;
    let guards = &GUARDS[usize::from(escape)];
    let whole = guards.judge(Part::Assistant, text);
    let want = whole.edits.first().map_or(text, |edit| &edit.with);
    let mut guard = guards.open(Part::Assistant);
    let (mut out, mut rest) = (String::new(), text);
    while !rest.is_empty() {
        let mut at = usize::from(cut).max(1).min(rest.len());
        while !rest.is_char_boundary(at) {
            at += 1;
        }
        let (piece, tail) = rest.split_at(at);
        out += &guard.push(piece).release;
        rest = tail;
    }
    out += &guard.finish().release;
    assert_eq!(out, want);
    let tag =
        |(at, _): (usize, &str)| out[at + 1..].starts_with(|c: char| c.is_ascii_alphabetic() || "/!?".contains(c));
    assert!(!out.match_indices('<').any(tag));
    for scheme in ["https://", "http://"] {
        for (at, _) in out.match_indices(scheme) {
            assert!(out[at + scheme.len()..].to_ascii_lowercase().starts_with("good.example"), "{out}");
        }
    }
});
