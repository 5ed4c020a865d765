//! Attacks in values of requests.

use std::fmt::Write as _;

use anyhow::Result;
use postern_config::{Part, WebAttack};
use postern_filters::scan::ContentGuards;

use super::floors::Figures;
use super::guards::{SHIPPED, finds, web};
use super::page::marked;
use super::quote::examples;
use super::rows::{Corpora, Parameter, by};
use super::tally::Tally;

/// Where the table of the rule set stands, which the tests of the detectors write: what is there is kept.
pub(crate) const RULES: &str = "core-rule-set";

pub(crate) fn section(corpora: &Corpora, figures: &mut Figures) -> Result<String> {
    let guards = WebAttack::ALL.map(|attack| Ok((attack, web(attack)?))).into_iter().collect::<Result<Vec<_>>>()?;
    let mut out = format!(
        "## Attacks in values

`web-attacks/payloads.jsonl`, threshold {SHIPPED}. Attacks are found by the detector that is for them; an innocent value is a false alarm where any of
the five finds something.

| values | n | found (95 %) |\n| --- | ---: | --- |\n"
    );
    let mut missed = String::new();
    for (label, attack) in [("sqli", Some(WebAttack::SqlInjection)), ("xss", Some(WebAttack::Xss)), ("benign", None)] {
        let mine: Vec<&ContentGuards> = guards
            .iter()
            .filter(|(one, _)| attack.is_none_or(|attack| attack == *one))
            .map(|(_, guards)| guards)
            .collect();
        let judged: Vec<(&Parameter, bool)> = corpora
            .values
            .iter()
            .filter(|value| value.label == label)
            .map(|value| (value, mine.iter().any(|guards| finds(guards, Part::HttpQuery, &value.text))))
            .collect();
        let all = Tally::of(judged.iter().map(|(_, hit)| *hit));
        let group = attack.map_or("any attack in a value", WebAttack::as_str);
        let mut line = |name: &str, tally: Tally| {
            let _ = writeln!(out, "| {name} | {} | {} |", tally.of, tally.cell());
            match attack {
                Some(_) => figures.found(group, name, tally),
                None => figures.alarms(group, name, tally),
            }
        };
        line(&format!("**{label}**"), all);
        for (source, of) in by(judged.iter(), |(value, _)| value.source.as_str()) {
            line(&format!("{label}, {source}"), Tally::of(of.iter().map(|(_, hit)| *hit)));
        }
        if attack.is_some() {
            let shown = examples(judged.iter().filter(|(_, hit)| !hit).map(|(value, _)| value.text.as_str()));
            if !shown.is_empty() {
                let _ = write!(missed, "\n`{group}`:\n{shown}");
            }
        }
    }
    out += &precision(corpora, &guards, figures);
    out += &missed;
    out += &requests(corpora, &guards, figures);
    let _ = write!(out, "\n### The tests of the OWASP Core Rule Set\n\n{}", marked(RULES, ""));
    Ok(out)
}

/// Of the attacks of its kind and the innocent values that a detector finds, how many are attacks.
fn precision(corpora: &Corpora, guards: &[(WebAttack, ContentGuards)], figures: &mut Figures) -> String {
    let mut out = String::from(
        "\n| detector | innocent values (95 %) | precision on these values (95 %) |\n| --- | --- | --- |\n",
    );
    for (attack, guards) in guards {
        let found = |label: &str| {
            let values = corpora.values.iter().filter(|value| value.label == label);
            Tally::of(values.map(|value| finds(guards, Part::HttpQuery, &value.text)))
        };
        let innocent = found("benign");
        figures.alarms(attack.as_str(), "innocent values", innocent);
        let hits = match attack {
            WebAttack::SqlInjection => found("sqli").hits,
            WebAttack::Xss => found("xss").hits,
            WebAttack::CommandInjection | WebAttack::PathTraversal | WebAttack::Ssrf => 0,
        };
        let right = Tally { hits, of: if hits == 0 { 0 } else { hits + innocent.hits } };
        if right.of > 0 {
            figures.found(attack.as_str(), "findings that are right", right);
        }
        let _ = writeln!(out, "| `{}` | {} | {} |", attack.as_str(), innocent.cell(), right.counted());
    }
    out
}

/// Ordinary requests, by what is found in one of their values.
fn requests(corpora: &Corpora, guards: &[(WebAttack, ContentGuards)], figures: &mut Figures) -> String {
    let mut out = String::from(
        "\n### Ordinary requests of AI traffic

`web-attacks/benign-requests.jsonl`: every string of the body, the query and the header lines.

| detector | requests | false alarms (95 %) |\n| --- | ---: | --- |\n",
    );
    let mut any = vec![false; corpora.requests.len()];
    for (attack, guards) in guards {
        let hits =
            corpora.requests.iter().map(|values| values.iter().any(|value| finds(guards, Part::HttpBody, value)));
        let hits: Vec<bool> = hits.collect();
        any.iter_mut().zip(&hits).for_each(|(any, hit)| *any |= hit);
        let tally = Tally::of(hits.into_iter());
        let _ = writeln!(out, "| `{}` | {} | {} |", attack.as_str(), tally.of, tally.cell());
        figures.alarms(attack.as_str(), "ordinary requests", tally);
    }
    let passed = Tally::of(any.into_iter().map(|hit| !hit));
    let _ = writeln!(out, "\nOf {} requests {} pass all five.", passed.of, passed.hits);
    figures.found("any attack in a value", "ordinary requests that pass", passed);
    out
}
