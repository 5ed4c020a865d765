//! What texts cost that were made to be slow: every detector on each of them, at one length, twice and four times that. Time grows with
//! the length and with nothing else, or this ends with an error. Words behind `--` choose detectors by a part of their names.

#![allow(clippy::unwrap_used, reason = "a bench stops where it cannot go on")]

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

use postern_config::{DataProtection, Direction, Part, RuntimeDetectorKind, RuntimeSecurity, WebAttack};
use postern_filters::TextGuards;
use postern_filters::scan::{ContentGuards, defaults};

/// Said again and again: beginnings of everything that is looked for, ends of nothing, and what costs most to fold.
const PIECES: [&str; 52] = [
    "a",
    "0",
    " ",
    "\n",
    "a ",
    "a.",
    "0.",
    "0-",
    "0 ",
    "12 ",
    "0/",
    "(0",
    "0:a",
    "1,",
    "A1",
    "A.",
    "Jan 1 ",
    "Mr. Aa ",
    "1 Main St ",
    "2024-01-01 ",
    "::",
    "@",
    "a@",
    "a@a.",
    "{",
    "\"",
    "'",
    "\\",
    "\\u00",
    "%25",
    "&#x",
    "<",
    "<!--",
    "/*",
    "--",
    "((",
    "ignore ",
    "ignore all previous ",
    "system: ",
    "i g n o r e ",
    "aGVsbG8g",
    "4111 ",
    "DE89",
    "sk-",
    "eyJ",
    "password=",
    "-----BEGIN ",
    "../",
    "\u{200b}",
    "\u{e0041}",
    "e\u{301}",
    "\u{fdfa}",
];

/// Bytes of the shorter text.
const SHORT: usize = 64 << 10;
/// A byte of the longest text costs at most this many times a byte of the shortest: time that grows with the square makes it four.
const GROWTH: f64 = 2.0;
/// And grows with each doubling, or it was something else on the machine.
const STEP: f64 = 1.3;

fn main() -> ExitCode {
    let (data, runtime) = defaults();
    let none = || (DataProtection::default(), RuntimeSecurity::default());
    let mut groups = vec![("all data detectors".to_owned(), (data.clone(), none().1))];
    for rule in &data.rules {
        let one = DataProtection { rules: vec![rule.clone()], ..data.clone() };
        groups.push((rule.name.clone(), (one, none().1)));
    }
    for kind in [
        RuntimeDetectorKind::PromptInjection,
        RuntimeDetectorKind::Jailbreak,
        RuntimeDetectorKind::HiddenText,
        RuntimeDetectorKind::EncodedPayload,
    ]
    .into_iter()
    .chain(WebAttack::ALL.map(RuntimeDetectorKind::Web))
    {
        let mut one = runtime.detectors.first().unwrap().clone();
        // Nothing ends the text early.
        (one.kind, one.threshold) = (kind.clone(), 100);
        groups.push((format!("{kind:?}"), (none().0, RuntimeSecurity { detectors: vec![one], ..none().1 })));
    }
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    groups.retain(|(name, _)| wanted.is_empty() || wanted.iter().any(|part| name.contains(part.as_str())));
    let mut failed = false;
    println!("{:<28} {:>12} {:>24} {:>12}", "detector", "slowest", "on", "growth");
    for (name, (data, runtime)) in &groups {
        let guards = ContentGuards::compile(data, runtime, Direction::Request).unwrap();
        let (mut slowest, mut on, mut growth) = (0.0_f64, "", 1.0_f64);
        for piece in PIECES {
            let per_byte = |times: usize| {
                let text = piece.repeat(times * SHORT / piece.len());
                let mut best = f64::MAX;
                for _ in 0..3 {
                    let start = Instant::now();
                    black_box(guards.judge(Part::User, black_box(&text)));
                    best = best.min(start.elapsed().as_secs_f64() / text.len() as f64);
                }
                best
            };
            let grown =
                |[one, two, four]: [f64; 3]| if two > STEP * one && four > STEP * two { four / one } else { 1.0 };
            let mut times = [1, 2, 4].map(per_byte);
            if grown(times) > 1.0 {
                // Again, in case it was the machine.
                times = [1, 2, 4].map(per_byte);
            }
            growth = growth.max(grown(times));
            let [.., four] = times;
            if four > slowest {
                (slowest, on) = (four, piece);
            }
        }
        let verdict = if growth > GROWTH { "  NOT LINEAR" } else { "" };
        failed |= growth > GROWTH;
        println!("{name:<28} {:>7.1} MB/s {:>24} {growth:>11.2}x{verdict}", 1e-6 / slowest, format!("{on:?}"));
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
