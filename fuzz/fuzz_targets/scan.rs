//! Any text, cut anywhere: no panic, and the same outcome as in one piece.

#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use postern_config::{
    BUILTIN_DETECTORS, ContentAction, DataClass, DataDetector, DataDetectorKind, DataProtection, DataRule, Direction,
    Part, RuntimeAction, RuntimeDetector, RuntimeDetectorKind, RuntimeSecurity,
};
use postern_filters::scan::ContentGuards;
use postern_filters::{TextGuards, TextStep};

static GUARDS: LazyLock<ContentGuards> = LazyLock::new(|| {
    let detectors: Vec<DataDetector> = BUILTIN_DETECTORS
        .iter()
        .map(|(id, _)| DataDetector {
            name: (*id).into(),
            kind: DataDetectorKind::Builtin(id),
            class: DataClass::Public,
        })
        .collect();
    let rule = DataRule {
        name: "all".into(),
        owner: "DataProtectionPolicy/default/fuzz".into(),
        request: true,
        response: true,
        parts: vec![Part::User],
        detectors: (0..detectors.len()).collect(),
        action: ContentAction::Mask,
        tokens: postern_config::TokenRule::default(),
    };
    let data = DataProtection {
        detectors,
        rules: vec![rule],
        hold_back: 512,
        stall: Duration::from_secs(5),
        ..DataProtection::default()
    };
    let detector = |kind| RuntimeDetector {
        name: format!("{kind:?}"),
        owner: "RuntimeSecurityPolicy/default/fuzz".into(),
        kind,
        parts: vec![Part::User],
        threshold: 60,
        action: RuntimeAction::Redact,
    };
    let kinds = [
        RuntimeDetectorKind::PromptInjection,
        RuntimeDetectorKind::Jailbreak,
        RuntimeDetectorKind::HiddenText,
        RuntimeDetectorKind::EncodedPayload,
    ];
    let runtime = RuntimeSecurity { detectors: kinds.map(detector).to_vec(), ..RuntimeSecurity::default() };
    ContentGuards::compile(&data, &runtime, Direction::Request).unwrap()
});

fuzz_target!(|input: (u8, &str)| {
    let (cut, text) = input;
    let whole = GUARDS.judge(Part::User, text);
    let mut guard = GUARDS.open(Part::User);
    let (mut out, mut findings) = (String::new(), Vec::new());
    let mut take = |step: TextStep| {
        out += &step.release;
        findings.extend(step.findings);
    };
    let mut rest = text;
    while !rest.is_empty() {
        let mut at = usize::from(cut).max(1).min(rest.len());
        while !rest.is_char_boundary(at) {
            at += 1;
        }
        let (piece, tail) = rest.split_at(at);
        take(guard.push(piece));
        rest = tail;
    }
    take(guard.finish());
    let (mut edited, mut at) = (String::new(), 0);
    for edit in &whole.edits {
        edited += &text[at..edit.range.start];
        edited += &edit.with;
        at = edit.range.end;
    }
    edited += &text[at..];
    assert_eq!(out, edited);
    assert_eq!(findings, whole.findings);
});
