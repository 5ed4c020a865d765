//! One line of the outcome. It has places and names, and nothing of the text.

use postern_config::{DataClass, Part};
use postern_filters::ContentFinding;
use postern_filters::scan::Injection;
use serde_json::{Value, json};

use super::input::Row;

/// What is told of a detector.
pub(super) struct Detector {
    pub(super) class: Option<DataClass>,
    pub(super) kind: &'static str,
}

pub(super) fn line<'d>(
    row: &Row,
    part: Part,
    findings: &[ContentFinding],
    guards: &[&str],
    injection: &Injection,
    detector: impl Fn(&str, &str) -> Option<&'d Detector>,
) -> Value {
    let mut places = CodePoints::new(&row.text);
    let mut findings: Vec<&ContentFinding> = findings.iter().collect();
    findings.sort_by_key(|finding| (finding.range.start, finding.range.end));
    let findings: Vec<Value> = findings
        .into_iter()
        .map(|finding| {
            let detector = detector(&finding.guard, &finding.detector);
            json!({
                "detector": finding.detector,
                "type": detector.map(|one| one.kind),
                "class": detector.and_then(|one| one.class).map(DataClass::as_str),
                "start": places.of(finding.range.start),
                "end": places.of(finding.range.end),
                "startByte": finding.range.start,
                "endByte": finding.range.end,
                "score": finding.score,
                "action": finding.action.as_str(),
                "guard": finding.guard,
            })
        })
        .collect();
    json!({
        "id": row.id,
        "part": part.as_str(),
        "findings": findings,
        "score": {
            "injection": hundredths(injection.score),
            "classifier": hundredths(injection.classifier),
            "signatures": injection.signatures,
            "families": injection.families,
        },
        "guards": guards,
    })
}

/// Counts the code points before places of a text, without beginning anew for each.
struct CodePoints<'t> {
    text: &'t str,
    byte: usize,
    count: usize,
}

impl<'t> CodePoints<'t> {
    fn new(text: &'t str) -> Self {
        Self { text, byte: 0, count: 0 }
    }

    fn of(&mut self, byte: usize) -> usize {
        let between = |from, to| self.text.get(from..to).unwrap_or_default().chars().count();
        self.count = if byte < self.byte {
            self.count.saturating_sub(between(byte, self.byte))
        } else {
            self.count.saturating_add(between(self.byte, byte))
        };
        self.byte = byte;
        self.count
    }
}

/// A percentage to the hundredth, as it is printed.
fn hundredths(percent: f32) -> f64 {
    (f64::from(percent) * 100.0).round() / 100.0
}
