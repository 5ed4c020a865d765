//! What a service outside answers: no panic, and every place that is believed is one of its text.

#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use postern_config::{
    Direction, ExternalSource, Part, RuntimeAction, RuntimeDetector, RuntimeDetectorKind, RuntimeSecurity,
};
use postern_filters::PartText;
use postern_filters::external::{Externals, Verdict};

static EXTERNALS: LazyLock<Externals> = LazyLock::new(|| {
    let source = ExternalSource {
        url: "https://judge.example/".into(),
        timeout: Duration::from_secs(2),
        auth: None,
        ca: None,
    };
    let detector = RuntimeDetector {
        name: "judge".into(),
        owner: "RuntimeSecurityPolicy/default/fuzz".into(),
        kind: RuntimeDetectorKind::External(source),
        parts: vec![Part::User],
        threshold: 1,
        action: RuntimeAction::Redact,
    };
    let runtime = RuntimeSecurity { detectors: vec![detector], ..RuntimeSecurity::default() };
    Externals::new(&runtime, &[Part::User], Direction::Request).unwrap()
});

fuzz_target!(|input: (&str, &str, &[u8])| {
    let (one, two, answer) = input;
    let texts = [one, two].map(|text| PartText { part: Part::User, text, index: None });
    for question in EXTERNALS.ask(texts.into_iter()).unwrap_or_default() {
        assert_eq!(question.body("id").expose().len(), question.length("id"));
        let _ = Verdict::read(&question, Some("application/json"), answer.to_vec().into());
    }
});
