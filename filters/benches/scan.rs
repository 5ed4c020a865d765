//! What content scanning costs per byte and per prompt: best of several rounds, printed.

#![allow(clippy::unwrap_used, reason = "a bench stops where it cannot go on")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use postern_config::{
    BUILTIN_DETECTORS, ContentAction, DataClass, DataDetector, DataDetectorKind, DataProtection, DataRule, Direction,
    Part, RuntimeAction, RuntimeDetector, RuntimeDetectorKind, RuntimeSecurity, WebAttack,
};
use postern_filters::TextGuards;
use postern_filters::scan::ContentGuards;

const PROSE: &str = "The committee met on Tuesday to go over the budget for the coming year, and after a long talk about \
    the roof it was agreed that the work should begin in spring. Nobody had counted on the price of slate, which has \
    gone up again, so the treasurer will ask two more firms and report back in March. ";

fn detectors() -> DataProtection {
    let detectors: Vec<DataDetector> = BUILTIN_DETECTORS
        .iter()
        .map(|(id, _)| DataDetector {
            name: (*id).into(),
            kind: DataDetectorKind::Builtin(id),
            class: DataClass::Confidential,
        })
        .collect();
    let rule = DataRule {
        name: "all".into(),
        owner: "DataProtectionPolicy/default/bench".into(),
        request: true,
        response: true,
        parts: vec![Part::User],
        detectors: (0..detectors.len()).collect(),
        action: ContentAction::Redact,
        tokens: postern_config::TokenRule::default(),
    };
    DataProtection { detectors, rules: vec![rule], ..DataProtection::default() }
}

fn runtime(kinds: &[RuntimeDetectorKind]) -> RuntimeSecurity {
    let detector = |kind: &RuntimeDetectorKind| RuntimeDetector {
        name: format!("{kind:?}"),
        owner: "RuntimeSecurityPolicy/default/bench".into(),
        kind: kind.clone(),
        parts: vec![Part::User],
        threshold: 80,
        action: RuntimeAction::Block,
    };
    RuntimeSecurity { detectors: kinds.iter().map(detector).collect(), ..RuntimeSecurity::default() }
}

/// Best of `rounds`, each long enough for the clock.
fn best(rounds: usize, mut work: impl FnMut()) -> Duration {
    (0..rounds)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed()
        })
        .min()
        .unwrap()
}

fn main() {
    let text = PROSE.repeat((1 << 20) / PROSE.len());
    let prompt = &text[..4096];
    let both = [RuntimeDetectorKind::PromptInjection, RuntimeDetectorKind::HiddenText];
    let nothing = DataProtection { detectors: vec![], rules: vec![], ..detectors() };
    let attacks = WebAttack::ALL.map(RuntimeDetectorKind::Web);
    // They judge whole values: of streams nothing is measured.
    for (name, data, runtime) in [
        ("attacks in values", nothing.clone(), runtime(&attacks)),
        ("all data detectors", detectors(), runtime(&[])),
        ("injection and hidden text", nothing, runtime(&both)),
        ("everything", detectors(), runtime(&both)),
    ] {
        let guards = ContentGuards::compile(&data, &runtime, Direction::Request).unwrap();
        let whole = best(15, || {
            black_box(guards.judge(Part::User, black_box(&text)));
        });
        let small = best(15, || {
            for _ in 0..50 {
                black_box(guards.judge(Part::User, black_box(prompt)));
            }
        }) / 50;
        let events = prompt.as_bytes().chunks(6).count();
        let streamed = best(15, || {
            let mut guard = guards.open(Part::User);
            for chunk in prompt.as_bytes().chunks(6) {
                black_box(guard.push(std::str::from_utf8(chunk).unwrap()));
            }
            black_box(guard.finish());
        });
        println!(
            "{name:<28} {:>7.0} MB/s   4 KiB prompt {:>6.1} us   stream event {:>6.2} us",
            text.len() as f64 / whole.as_secs_f64() / 1e6,
            small.as_secs_f64() * 1e6,
            streamed.as_secs_f64() * 1e6 / events as f64,
        );
    }
}
