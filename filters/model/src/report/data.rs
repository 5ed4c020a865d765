//! Personal data by type, and secrets by kind.

use std::fmt::Write as _;

use anyhow::Result;
use postern_config::{BUILTIN_DETECTORS, Part};
use postern_filters::ContentFinding;
use postern_filters::scan::ContentGuards;

use super::floors::Figures;
use super::guards::{data, touches};
use super::quote::examples;
use super::rows::{Corpora, Spanned, by};
use super::tally::Tally;

/// The types of spans that a detector is for; those that it may touch without harm follow.
const TYPES: [(&str, &str, &[&str]); 11] = [
    ("payment-card", "CREDIT_CARD", &[]),
    ("iban", "IBAN", &[]),
    ("email", "EMAIL", &[]),
    ("phone", "PHONE", &[]),
    ("us-ssn", "US_SSN", &[]),
    ("ip-address", "IP_ADDRESS", &[]),
    ("date-of-birth", "DATE_OF_BIRTH", &[]),
    ("driver-license", "US_DRIVER_LICENSE", &[]),
    ("postal-address", "ADDRESS", &[]),
    ("person-name", "PERSON", &[]),
    // No rows of its own.
    ("national-id", "", &["US_SSN", "US_DRIVER_LICENSE"]),
];

pub(crate) fn section(corpora: &Corpora, figures: &mut Figures) -> Result<String> {
    let mut out = personal(corpora, figures)?;
    out += &secrets(corpora, figures)?;
    Ok(out)
}

/// Rows with what a detector finds in each.
type Found<'c> = Vec<(&'c Spanned, Vec<ContentFinding>)>;

fn found<'c>(guards: &ContentGuards, rows: &'c [Spanned]) -> Found<'c> {
    rows.iter().map(|row| (row, guards.findings(Part::User, &row.text))).collect()
}

/// Of the spans of `kind` (all where it is empty), how many findings cover, and how many they touch.
fn spans(found: &Found<'_>, kind: &str) -> (Tally, Tally) {
    let (mut covered, mut touched) = (Tally::default(), Tally::default());
    for (row, findings) in found {
        for (range, _) in row.spans.iter().filter(|(_, of)| kind.is_empty() || of == kind) {
            covered.add(range.clone().all(|byte| findings.iter().any(|finding| finding.range.contains(&byte))));
            touched.add(findings.iter().any(|finding| touches(finding, range)));
        }
    }
    (covered, touched)
}

/// Of the findings, how many touch a span of one of these kinds (of any where none is said).
fn precision(found: &Found<'_>, kinds: &[&str]) -> Tally {
    let right = |row: &Spanned, finding: &ContentFinding| {
        let mut spans = row.spans.iter().filter(|(_, kind)| kinds.is_empty() || kinds.contains(&kind.as_str()));
        spans.any(|(range, _)| touches(finding, range))
    };
    Tally::of(found.iter().flat_map(|(row, findings)| findings.iter().map(move |finding| right(row, finding))))
}

/// Rows without spans in which something is found.
fn strays(found: &Found<'_>) -> Tally {
    Tally::of(found.iter().filter(|(row, _)| row.spans.is_empty()).map(|(_, findings)| !findings.is_empty()))
}

fn personal(corpora: &Corpora, figures: &mut Figures) -> Result<String> {
    let mut out = String::from(
        "## Personal data

`pii.jsonl`. A span is *found* where findings cover all of it, *touched* where they cover some; recall is the share that is found. *Precision* is
the share of findings that touch a span of the type. *Strays* are rows without any span (numbers that look like personal data among them) in which
the detector finds something. Validators decide, so there is no threshold.

| detector | type | spans | recall (95 %) | touched (95 %) | precision (95 %) | strays (95 %) |\n| --- | --- | ---: | --- | --- | --- | --- |\n",
    );
    let mut missed = String::new();
    for (id, _) in BUILTIN_DETECTORS.iter().filter(|(id, _)| *id != "secret") {
        let found = found(&data(id)?, &corpora.pii);
        let (_, kind, beside) = TYPES.iter().find(|(known, ..)| known == id).unwrap_or(&("", "", &[]));
        let strays = strays(&found);
        figures.alarms(id, "rows without spans", strays);
        if kind.is_empty() {
            let _ = writeln!(out, "| `{id}` | | | | | | {} |", strays.cell());
            continue;
        }
        let kinds: Vec<&str> = beside.iter().copied().chain([*kind]).collect();
        let ((covered, touched), precision) = (spans(&found, kind), precision(&found, &kinds));
        let (recall, touch, right) = (covered.cell(), touched.cell(), precision.cell());
        let _ =
            writeln!(out, "| `{id}` | {kind} | {} | {recall} | {touch} | {right} | {} |", covered.of, strays.cell());
        figures.found(id, "spans found", covered);
        figures.found(id, "spans touched", touched);
        figures.found(id, "findings that are right", precision);
        let texts = found.iter().filter(|(row, findings)| {
            let mut of_kind = row.spans.iter().filter(|(_, of)| of == kind);
            of_kind.any(|(range, _)| !findings.iter().any(|finding| touches(finding, range)))
        });
        let shown = examples(texts.map(|(row, _)| row.text.as_str()));
        if !shown.is_empty() {
            let _ = write!(missed, "\n`{id}`:\n{shown}");
        }
    }
    let unclaimed =
        TYPES.iter().filter(|(id, kind, _)| !kind.is_empty() && BUILTIN_DETECTORS.iter().all(|(known, _)| known != id));
    let unclaimed: Vec<&str> = unclaimed.map(|(_, kind, _)| *kind).collect();
    if !unclaimed.is_empty() {
        let _ = writeln!(out, "\nNo built-in detector is for {}.", unclaimed.join(", "));
    }
    Ok(out + &missed)
}

fn secrets(corpora: &Corpora, figures: &mut Figures) -> Result<String> {
    let found = found(&data("secret")?, &corpora.secrets);
    let mut out = String::from(
        "\n## Secrets

`secret` on `secrets.jsonl`: random values in public formats, and rows of other things that look alike. Kinds have 90 spans each.

| kind | spans | recall (95 %) |\n| --- | ---: | --- |\n",
    );
    let mut kinds: Vec<&str> =
        corpora.secrets.iter().flat_map(|row| &row.spans).map(|(_, kind)| kind.as_str()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let (all, _) = spans(&found, "");
    let _ = writeln!(out, "| **all** | {} | {} |", all.of, all.cell());
    figures.found("secret", "spans found", all);
    for kind in kinds {
        let (covered, _) = spans(&found, kind);
        let _ = writeln!(out, "| {kind} | {} | {} |", covered.of, covered.cell());
        figures.found("secret", &format!("spans found, {kind}"), covered);
    }
    let (precision, strays_of_all) = (precision(&found, &[]), strays(&found));
    figures.found("secret", "findings that are right", precision);
    figures.alarms("secret", "rows without spans", strays_of_all);
    let _ = write!(
        out,
        "\nPrecision: {}. False alarms by what looks like a secret:\n\n| like | rows | false alarms (95 %) |\n| --- | ---: | --- |\n| **all** | {} | {} |\n",
        precision.counted(),
        strays_of_all.of,
        strays_of_all.cell()
    );
    let innocent = found.iter().filter(|(row, _)| row.spans.is_empty());
    for (near, rows) in by(innocent, |(row, _)| row.near.as_str()) {
        let tally = Tally::of(rows.iter().map(|(_, findings)| !findings.is_empty()));
        let _ = writeln!(out, "| {near} | {} | {} |", tally.of, tally.cell());
        figures.alarms("secret", &format!("rows without spans, {near}"), tally);
    }
    let missed = found.iter().filter(|(row, findings)| !row.spans.is_empty() && findings.is_empty());
    let shortened: Vec<String> = missed.map(|(row, _)| without_secrets(row)).collect();
    Ok(out + &examples(shortened.iter().map(String::as_str)))
}

/// The text, with no more than the beginning of each secret.
fn without_secrets(row: &Spanned) -> String {
    let mut out = row.text.clone();
    for (range, _) in row.spans.iter().rev() {
        let start: String = row.text[range.clone()].chars().take(4).collect();
        out.replace_range(range.clone(), &format!("{start}…"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_findings_and_strays_are_counted_apart() {
        let row = |text: &str, spans: &[(std::ops::Range<usize>, &str)]| Spanned {
            text: text.to_owned(),
            spans: spans.iter().map(|(range, kind)| (range.clone(), (*kind).to_owned())).collect(),
            near: String::new(),
        };
        let rows = [
            row("mail a@example.com", &[(5..18, "EMAIL")]),
            row("to b@example.com now", &[(0..16, "EMAIL")]),
            row("nothing, and c@example.com", &[]),
            row("a name", &[(2..6, "PERSON")]),
        ];
        let found = found(&data("email").unwrap(), &rows);
        let tally = |hits, of| Tally { hits, of };
        assert_eq!(spans(&found, "EMAIL"), (tally(1, 2), tally(2, 2)));
        assert_eq!(spans(&found, ""), (tally(1, 3), tally(2, 3)));
        assert_eq!(precision(&found, &["EMAIL"]), tally(2, 3));
        assert_eq!(strays(&found), tally(1, 1));
    }

    #[test]
    fn secrets_are_not_quoted() {
        let row = Spanned { text: "key = abcdefgh; x".into(), spans: vec![(6..14, "K".into())], near: String::new() };
        assert_eq!(without_secrets(&row), "key = abcd…; x");
    }
}
