//! Attacks in values: recall and false alarms on single values, on whole requests, and on the tests of the OWASP Core Rule Set.

use std::collections::BTreeMap;

use postern_config::WebAttack;
use serde_json::Value;

use super::tally::{Tally, markdown};
use super::{crs, shared, text};

/// The threshold that manifests have unless they say otherwise.
const THRESHOLD: u8 = 80;

fn finds(attack: WebAttack, text: &str) -> bool {
    crate::scan::web::score(attack, text) >= THRESHOLD
}

fn shown(what: &str, label: &str, text: &str) {
    if std::env::var_os("SHOW").is_some() {
        println!("{what} {label} {:?}", text.chars().take(300).collect::<String>());
    }
}

/// Hits by label and source: of attacks by their own detector, of innocent values by any.
fn values() -> Option<BTreeMap<String, Tally>> {
    let mut found = BTreeMap::<String, Tally>::new();
    for row in &shared("web-attacks/payloads.jsonl")? {
        let (label, text) = (row["label"].as_str().unwrap(), text(row));
        let hit = match label {
            "sqli" => finds(WebAttack::SqlInjection, text),
            "xss" => finds(WebAttack::Xss, text),
            _ => WebAttack::ALL.into_iter().any(|attack| finds(attack, text)),
        };
        if hit == (label == "benign") {
            shown(if hit { "ALARM" } else { "MISSED" }, label, text);
        }
        found.entry(format!("{label} / {}", row["source"].as_str().unwrap())).or_default().add(hit);
        found.entry(format!("{label} / all")).or_default().add(hit);
    }
    Some(found)
}

/// Strings of a body, as the dialect `http` would show them.
fn texts(row: &Value) -> Vec<String> {
    let mut out = Vec::new();
    let body = row["body"].as_str().unwrap_or_default();
    let query = row["path"].as_str().and_then(|path| path.split_once('?')).map(|(_, query)| query);
    match serde_json::from_str::<Value>(body) {
        Ok(body) => strings(&body, &mut out),
        Err(_) => out.extend(body.split(['&', '=']).filter_map(postern_config::percent::decode_form)),
    }
    out.extend(query.iter().flat_map(|query| query.split(['&', '='])).filter_map(postern_config::percent::decode_form));
    let headers = row["headers"].as_object().into_iter().flatten();
    out.extend(headers.filter_map(|(_, value)| value.as_str()).map(str::to_owned));
    out
}

fn strings(value: &Value, out: &mut Vec<String>) {
    match value {
        Value::String(text) => out.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| strings(item, out)),
        Value::Object(fields) => fields.iter().for_each(|(name, value)| {
            out.push(name.clone());
            strings(value, out);
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Whole ordinary requests of AI traffic that a detector finds something in.
fn ordinary() -> Option<BTreeMap<String, Tally>> {
    let mut alarms = BTreeMap::<String, Tally>::new();
    for row in &shared("web-attacks/benign-requests.jsonl")? {
        let texts = texts(row);
        for attack in WebAttack::ALL {
            let hit = texts.iter().find(|text| finds(attack, text));
            if let Some(hit) = hit {
                shown("ALARM", attack.as_str(), hit);
            }
            alarms.entry(attack.as_str().to_owned()).or_default().add(hit.is_some());
        }
    }
    Some(alarms)
}

#[test]
fn attacks_in_values_keep_their_floors() {
    let Some(found) = values() else { return };
    println!("{}", markdown("values", &found));
    let percent = |name: &str| found[name].percent();
    assert!(percent("sqli / all") >= 97.9);
    assert!(percent("xss / all") >= 99.5);
    assert!(percent("benign / all") <= 0.2);
}

#[test]
fn ordinary_ai_traffic_passes_every_detector_of_attacks() {
    let Some(alarms) = ordinary() else { return };
    println!("{}", markdown("ordinary AI requests", &alarms));
    assert!(alarms.values().all(|tally| tally.hits == 0));
}

#[test]
fn the_tests_of_the_core_rule_set_keep_their_floors() {
    let Some(cases) = crs::cases() else { return };
    let mut tables = [(); 4].map(|()| BTreeMap::<String, Tally>::new());
    let [families, rules, stopped, innocent] = &mut tables;
    for case in &cases {
        let hit = case.texts.iter().find(|text| WebAttack::ALL.into_iter().any(|attack| finds(attack, text)));
        let rule = format!("{} / {}", case.family, case.rule);
        if case.is_attack {
            families.entry(case.family.clone()).or_default().add(hit.is_some());
            rules.entry(rule).or_default().add(hit.is_some());
            stopped.entry(case.family.clone()).or_default().add(hit.is_some() || case.refused);
            if hit.is_none() {
                shown("MISSED", &case.name, &format!("{:?}", case.texts));
            }
        } else {
            innocent.entry(case.family.clone()).or_default().add(hit.is_none());
            if let Some(hit) = hit {
                shown("ALARM", &case.name, hit);
            }
        }
    }
    println!("{}", markdown("attacks of the Core Rule Set: a detector finds", families));
    println!("{}", markdown("found, or refused as what cannot be read", stopped));
    println!("{}", markdown("no attack for the rule: passes", innocent));
    println!("{}", markdown("attacks by rule", rules));
    // 920 and 921 are about the protocol, which is no content. Of the others many are names of functions, commands or
    // operators alone, for the levels of paranoia above the first, and some lie in the path, which routes look at.
    for (family, found, passed) in
        [("930", 48.0, 100.0), ("931", 38.0, 100.0), ("932", 68.0, 88.5), ("941", 72.0, 92.0), ("942", 41.0, 95.0)]
    {
        assert!(families[family].percent() >= found, "{family}");
        assert!(innocent[family].percent() >= passed, "{family}");
    }
}
