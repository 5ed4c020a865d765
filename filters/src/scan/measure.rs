//! Recall and false alarms on the shared data, printed as tables, with floors that must hold.

use std::collections::BTreeMap;
use std::path::PathBuf;

use postern_config::{ContentAction, Part, RuntimeAction, RuntimeDetectorKind, RuntimeSecurity};
use serde_json::Value;

use super::tests::{builtin, data, guards, runtime};
use crate::text::TextGuards;

mod crs;
mod tally;
mod web;

use tally::Tally;

/// Where a file or folder of the shared data is.
fn place(name: &str) -> Option<PathBuf> {
    let given = std::env::var_os("POSTERN_SHARED").map(|p| PathBuf::from(p).join("data").join(name));
    let mut above =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|p| p.join("shared/data").join(name));
    let path = given.or_else(|| above.find(|p| p.exists())).filter(|p| p.exists());
    if path.is_none() {
        assert!(std::env::var_os("POSTERN_REQUIRE_SHARED").is_none_or(|v| v != "1"), "shared data is required: {name}");
        println!("skipped: no shared data ({name})");
    }
    path
}

fn shared(name: &str) -> Option<Vec<Value>> {
    let text = std::fs::read_to_string(place(name)?).unwrap();
    Some(text.lines().map(|l| serde_json::from_str(l).unwrap()).collect())
}

fn text(row: &Value) -> &str {
    row["text"].as_str().unwrap()
}

/// Byte range of a span given in code points.
fn bytes(text: &str, span: &Value) -> std::ops::Range<usize> {
    let at = |i: usize| {
        let n = usize::try_from(span[i].as_u64().unwrap()).unwrap();
        text.char_indices().nth(n).map_or(text.len(), |(b, _)| b)
    };
    at(0)..at(1)
}

fn table(title: &str, rows: &BTreeMap<String, Tally>) {
    println!("{title}");
    for (name, t) in rows {
        println!("  {name:<44} {:>5}/{:<5} {:>6.1} %", t.hits, t.of, t.percent());
    }
}

/// Recall per kind of span, and how many findings touch no span at all.
fn spans(file: &str, id: &'static str, kinds: &[&str]) -> Option<(BTreeMap<String, Tally>, Tally)> {
    let rows = shared(file)?;
    let guards = guards(&data(vec![("it", builtin(id), ContentAction::Redact)]), &RuntimeSecurity::default());
    let (mut recall, mut clean) = (BTreeMap::<String, Tally>::new(), Tally::default());
    for row in &rows {
        let text = text(row);
        let found = guards.judge(Part::User, text).findings;
        let spans = row["spans"].as_array().unwrap();
        for span in spans.iter().filter(|s| kinds.is_empty() || kinds.contains(&s[2].as_str().unwrap())) {
            let range = bytes(text, span);
            let covered = range.clone().all(|i| found.iter().any(|f| f.range.contains(&i)));
            if !covered && std::env::var_os("SHOW").is_some() {
                println!(
                    "MISS {} {:?} in {text:?}: {:?}",
                    span[2],
                    &text[range],
                    found.iter().map(|f| &text[f.range.clone()]).collect::<Vec<_>>()
                );
            }
            recall.entry(span[2].as_str().unwrap().to_owned()).or_default().add(covered);
        }
        let ranges: Vec<_> = spans.iter().map(|s| bytes(text, s)).collect();
        let stray = found.iter().find(|f| !ranges.iter().any(|r| f.range.start < r.end && r.start < f.range.end));
        if let Some(f) = stray.filter(|_| std::env::var_os("SHOW").is_some()) {
            println!("STRAY {id} {:?} in {text:?}", &text[f.range.clone()]);
        }
        clean.add(stray.is_some());
    }
    Some((recall, clean))
}

#[test]
fn data_detectors_keep_their_floors() {
    for (id, kinds, floor, strays) in [
        ("payment-card", &["CREDIT_CARD"][..], 99.0, 0.1),
        ("iban", &["IBAN"], 99.0, 0.1),
        ("email", &["EMAIL"], 99.0, 0.1),
        ("phone", &["PHONE"], 99.0, 0.1),
        ("us-ssn", &["US_SSN"], 99.0, 0.1),
        ("national-id", &["NONE"], 99.0, 0.1),
        ("ip-address", &["IP_ADDRESS"], 99.0, 0.1),
        ("date-of-birth", &["DATE_OF_BIRTH"], 99.0, 0.1),
        ("driver-license", &["US_DRIVER_LICENSE"], 99.0, 0.1),
        ("postal-address", &["ADDRESS"], 92.0, 0.3),
        ("person-name", &["PERSON"], 44.0, 0.5),
    ] {
        let Some((recall, clean)) = spans("pii.jsonl", id, kinds) else { return };
        table(&format!("{id}: recall"), &recall);
        println!("  rows with a stray finding {:>25}/{:<5} {:>6.2} %", clean.hits, clean.of, clean.percent());
        assert!(recall.values().all(|t| t.percent() >= floor), "{id}");
        assert!(clean.percent() <= strays, "{id}: {} strays", clean.hits);
    }
}

/// How many innocent rows have a finding of `id`.
fn alarms(id: &'static str) -> Option<Tally> {
    let guards = guards(&data(vec![("it", builtin(id), ContentAction::Redact)]), &RuntimeSecurity::default());
    let mut alarms = Tally::default();
    let train = std::env::var_os("POSTERN_TEST_FULL").map(|_| ["prompts-train.jsonl", "indirect-train.jsonl"]);
    for file in ["prompts-dev.jsonl", "indirect-dev.jsonl"].into_iter().chain(train.into_iter().flatten()) {
        for row in shared(file)?.iter().filter(|row| row["label"] == "benign") {
            let found = guards.judge(Part::User, text(row)).findings;
            if let (Some(f), true) = (found.first(), std::env::var_os("SHOW").is_some()) {
                let from = text(row)[..f.range.start].char_indices().rev().nth(40).map_or(0, |(i, _)| i);
                println!("INNOCENT {id} {:?} in {:?}", &text(row)[f.range.clone()], &text(row)[from..f.range.end]);
            }
            alarms.add(!found.is_empty());
        }
    }
    Some(alarms)
}

#[test]
fn data_detectors_raise_few_alarms_on_innocent_texts() {
    for (id, most) in [
        ("payment-card", 0.0),
        ("iban", 0.0),
        // Numbers of help lines and made-up people: telephone numbers all the same.
        ("phone", 1.0),
        ("us-ssn", 0.1),
        ("national-id", 0.1),
        // Of made-up people, as they are asked for.
        ("date-of-birth", 1.0),
        ("driver-license", 0.1),
        ("postal-address", 2.0),
        ("person-name", 10.0),
        // Passwords that somebody made up for a tool.
        ("secret", 1.0),
    ] {
        let Some(alarms) = alarms(id) else { return };
        println!("{id}: findings in innocent rows {}/{} {:.2} %", alarms.hits, alarms.of, alarms.percent());
        // The training rows are full of made-up cards and people, and are read to look at what is found.
        assert!(std::env::var_os("POSTERN_TEST_FULL").is_some() || alarms.percent() <= most, "{id}");
    }
}

#[test]
fn the_secret_detector_keeps_its_floors() {
    let Some((recall, clean)) = spans("secrets.jsonl", "secret", &[]) else { return };
    table("secret: recall", &recall);
    println!("  rows with a stray finding {:>25}/{:<5} {:>6.2} %", clean.hits, clean.of, clean.percent());
    assert!(recall.values().all(|t| t.percent() >= 99.0));
    assert!(clean.percent() <= 0.7);
}

#[test]
fn injection_signatures_keep_their_floors() {
    let guards = guards(&data(vec![]), &runtime(&[(RuntimeDetectorKind::PromptInjection, RuntimeAction::Block, 80)]));
    for (file, recall_floor, alarm_ceiling) in [("prompts-dev.jsonl", 40.0, 0.1), ("indirect-dev.jsonl", 25.0, 0.1)] {
        let Some(rows) = shared(file) else { return };
        let (mut recall, mut alarms) = (BTreeMap::<String, Tally>::new(), BTreeMap::<String, Tally>::new());
        let (mut caught, mut alarmed) = (Tally::default(), Tally::default());
        for row in &rows {
            let blocked = guards.judge(Part::User, text(row)).blocked;
            let source = row["source"].as_str().unwrap().to_owned();
            if row["label"] == "benign" {
                if blocked && std::env::var_os("SHOW").is_some() {
                    let f = &guards.judge(Part::User, text(row)).findings[0];
                    println!("ALARM {source} {} {:?}", f.score, &text(row)[f.range.clone()]);
                }
                alarms.entry(source).or_default().add(blocked);
                alarmed.add(blocked);
            } else {
                if !blocked && std::env::var_os("SHOW").is_some_and(|v| v == "2") {
                    println!("MISSED {source} {:?}", text(row).chars().take(300).collect::<String>());
                }
                let attack = row["attack"].as_str().unwrap_or("-");
                recall.entry(format!("{source} / {attack}")).or_default().add(blocked);
                caught.add(blocked);
            }
        }
        table(&format!("{file}: recall"), &recall);
        table(&format!("{file}: false alarms"), &alarms);
        println!("  all: recall {:.1} %, false alarms {:.2} %", caught.percent(), alarmed.percent());
        assert!(caught.percent() >= recall_floor && alarmed.percent() <= alarm_ceiling, "{file}");
    }
}

#[test]
fn jailbreaks_and_encoded_orders_keep_their_floors() {
    use base64::Engine as _;
    let jailbreak = guards(&data(vec![]), &runtime(&[(RuntimeDetectorKind::Jailbreak, RuntimeAction::Block, 80)]));
    let encoded = guards(&data(vec![]), &runtime(&[(RuntimeDetectorKind::EncodedPayload, RuntimeAction::Block, 80)]));
    let injection =
        guards(&data(vec![]), &runtime(&[(RuntimeDetectorKind::PromptInjection, RuntimeAction::Block, 80)]));
    let (mut caught, mut alarms, mut hidden, mut stray) =
        (Tally::default(), Tally::default(), Tally::default(), Tally::default());
    for file in ["prompts-dev.jsonl", "indirect-dev.jsonl"] {
        let Some(rows) = shared(file) else { return };
        for row in &rows {
            let text = text(row);
            match row["label"].as_str().unwrap() {
                "jailbreak" => caught.add(jailbreak.judge(Part::User, text).blocked),
                "benign" => {
                    let blocked = encoded.judge(Part::User, text).blocked;
                    if blocked && std::env::var_os("SHOW").is_some() {
                        let range = encoded.judge(Part::User, text).findings[0].range.clone();
                        println!("ALARM {} {:?}", row["source"], text.get(range).unwrap_or_default());
                    }
                    stray.add(blocked);
                    alarms.add(jailbreak.judge(Part::User, text).blocked);
                }
                // What is found in the open is found in an encoding.
                _ if injection.judge(Part::User, text).blocked => {
                    let text = format!("see {}", base64::engine::general_purpose::STANDARD.encode(text));
                    hidden.add(encoded.judge(Part::User, &text).blocked);
                }
                _ => {}
            }
        }
    }
    println!("jailbreaks {:.1} %, false alarms {:.2} %", caught.percent(), alarms.percent());
    println!("orders in base64 {:.1} %, false alarms {:.2} % of {}", hidden.percent(), stray.percent(), stray.of);
    assert!(caught.percent() >= 40.0 && alarms.percent() <= 0.1);
    assert!(hidden.percent() >= 97.0 && stray.hits == 0);
}

#[test]
fn hidden_text_raises_few_alarms_on_innocent_texts() {
    let guards = guards(&data(vec![]), &runtime(&[(RuntimeDetectorKind::HiddenText, RuntimeAction::Redact, 80)]));
    for file in ["prompts-dev.jsonl", "indirect-dev.jsonl"] {
        let Some(rows) = shared(file) else { return };
        let mut alarms = Tally::default();
        for row in rows.iter().filter(|r| r["label"] == "benign") {
            let found = guards.judge(Part::User, text(row)).findings;
            if let (Some(f), true) = (found.first(), std::env::var_os("SHOW").is_some()) {
                println!("HIDDEN {} {:?}", row["source"], &text(row)[f.range.clone()]);
            }
            alarms.add(!found.is_empty());
        }
        println!("{file}: hidden text in innocent rows {}/{} {:.2} %", alarms.hits, alarms.of, alarms.percent());
        assert!(alarms.percent() <= 0.1);
    }
}
