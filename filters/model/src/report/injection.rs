//! Attacks on a model: of users in prompts, and inside of documents.

use std::fmt::Write as _;

use anyhow::Result;
use postern_config::RuntimeDetectorKind;
use postern_filters::scan::{ContentGuards, injection_score};

use super::floors::{Figure, Figures};
use super::guards::{DOUBT, SHIPPED, finds, runtime};
use super::quote::examples;
use super::rows::{Corpora, Text, by};
use super::tally::Tally;
use crate::figures::{above, auc, cut};

const INJECTION: &str = "PromptInjection";
const JAILBREAK: &str = "Jailbreak";
/// The source whose innocent prompts have words in them that attacks have.
const TRIGGERS: &str = "bastioncorpus";

/// A text and its score.
type Scored<'c> = (&'c Text, f32);

pub(crate) fn section(corpora: &Corpora, figures: &mut Figures) -> Result<String> {
    let mut out = String::from(
        "## Orders to a model

`PromptInjection` on prompts as part `User` and on documents as part `ToolResult`, `Jailbreak` on prompts. Nothing was trained on these rows; rows
of *unseen* sources come from sources that training has no row of either, and tell more. `at 1 %` is the share of attacks found at
the threshold that one innocent text in a hundred is above, `at 0.1 %` one in a thousand.

The scores 80 and 40 were set on innocent texts: no more than one in a thousand of this page reaches 80, nor one in a hundred of those whose source was left
out of training ([model card](../filters/model/MODEL-CARD.md)), and one in a hundred of this page reaches 40. The false alarms below show what was set, and no more.\n",
    );
    for (name, texts) in [("prompts", &corpora.prompts), ("documents", &corpora.documents)] {
        let scored = texts.iter().map(|text| Ok((text, injection_score(text.part, &text.text)?.score)));
        let scored: Vec<Scored<'_>> = scored.collect::<Result<_>>()?;
        let _ = write!(out, "\n### `PromptInjection` on {name}\n\n");
        out += &ranking(name, &scored, figures);
        out += &thresholds(name, &scored, figures);
        let missed = scored.iter().filter(|(text, score)| text.is_attack() && *score < f32::from(SHIPPED));
        out += &examples(missed.map(|(text, _)| text.payload.clone().map_or(text.text.as_str(), |at| &text.text[at])));
    }
    out += &jailbreaks(corpora, figures)?;
    Ok(out)
}

fn scores(scored: &[Scored<'_>], wanted: impl Fn(&Text) -> bool) -> Vec<f32> {
    scored.iter().filter(|(text, _)| wanted(text)).map(|(_, score)| *score).collect()
}

/// How well scores tell attacks from the rest, whatever the threshold.
fn ranking(name: &str, scored: &[Scored<'_>], figures: &mut Figures) -> String {
    let mut out = String::from(
        "| rows | attacks | innocent | AUC | recall at 1 % (95 %) | recall at 0.1 % (95 %) |\n| --- | ---: | ---: | ---: | --- | --- |\n",
    );
    let innocent = scores(scored, |text| !text.is_attack());
    let of_unseen = scores(scored, |text| !text.is_attack() && text.unseen);
    let attacks = scores(scored, Text::is_attack);
    let unseen = scores(scored, |text| text.is_attack() && text.unseen);
    for (rows, attacks, innocent) in [
        ("all", &attacks, &innocent),
        ("attacks of unseen sources", &unseen, &innocent),
        ("all of unseen sources", &unseen, &of_unseen),
    ] {
        if attacks.is_empty() || innocent.is_empty() {
            continue;
        }
        let at = |share: f64| {
            let hits = (above(attacks, cut(innocent, share)) * attacks.len() as f64).round() as usize;
            Tally { hits, of: attacks.len() }
        };
        let (area, hundredth, thousandth) = (auc(attacks, innocent), at(0.01), at(0.001));
        let (n, m) = (attacks.len(), innocent.len());
        let _ = writeln!(out, "| {rows} | {n} | {m} | {area:.4} | {} | {} |", hundredth.cell(), thousandth.cell());
        figures.add(INJECTION, &format!("{name}, {rows}: area"), Figure::Area(area));
        figures.found(INJECTION, &format!("{name}, {rows}: at 1 %"), hundredth);
        figures.found(INJECTION, &format!("{name}, {rows}: at 0.1 %"), thousandth);
    }
    out
}

/// What is found at the thresholds, by source.
fn thresholds(name: &str, scored: &[Scored<'_>], figures: &mut Figures) -> String {
    let mut out = format!("\n| rows | n | at {SHIPPED} (95 %) | at {DOUBT} (95 %) |\n| --- | ---: | --- | --- |\n");
    let mut line = |rows: &str, of: &[&Scored<'_>], attacks: bool| {
        let at = |threshold: u8| Tally::of(of.iter().map(|(_, score)| *score >= f32::from(threshold)));
        let (shipped, doubt) = (at(SHIPPED), at(DOUBT));
        let _ = writeln!(out, "| {rows} | {} | {} | {} |", of.len(), shipped.cell(), doubt.cell());
        for (threshold, tally) in [(SHIPPED, shipped), (DOUBT, doubt)] {
            let figure = if attacks { Figure::Found(tally) } else { Figure::Alarms(tally) };
            figures.add(INJECTION, &format!("{name}, {rows}: at {threshold}"), figure);
        }
    };
    for (label, attacks) in [("attacks", true), ("innocent", false)] {
        let of: Vec<&Scored<'_>> = scored.iter().filter(|(text, _)| text.is_attack() == attacks).collect();
        line(&format!("**{label}**"), &of, attacks);
        let unseen: Vec<_> = of.iter().filter(|(text, _)| text.unseen).copied().collect();
        if !unseen.is_empty() {
            line(&format!("**{label} of unseen sources**"), &unseen, attacks);
        }
        let hard: Vec<_> = of.iter().filter(|(text, _)| text.hard).copied().collect();
        if !hard.is_empty() {
            line(&format!("**{label} that discuss or quote attacks** (`hard`)"), &hard, attacks);
        }
        let trigger: Vec<_> = of.iter().filter(|(text, _)| !attacks && text.source == TRIGGERS).copied().collect();
        if !trigger.is_empty() {
            line(&format!("**{label} with words of attacks** ({TRIGGERS})"), &trigger, attacks);
        }
        for (source, of) in by(of.iter().copied(), |(text, _)| text.source.as_str()) {
            line(&format!("{label}, {source}"), &of, attacks);
        }
    }
    let precision = |threshold: u8| {
        let found = scored.iter().filter(|(_, score)| *score >= f32::from(threshold));
        Tally::of(found.map(|(text, _)| text.is_attack()))
    };
    let (shipped, doubt) = (precision(SHIPPED), precision(DOUBT));
    let _ = writeln!(
        out,
        "\nPrecision on these rows, at {SHIPPED}: {}; at {DOUBT}: {}.",
        shipped.counted(),
        doubt.counted()
    );
    figures.found(INJECTION, &format!("{name}, precision: at {SHIPPED}"), shipped);
    figures.found(INJECTION, &format!("{name}, precision: at {DOUBT}"), doubt);
    out
}

fn jailbreaks(corpora: &Corpora, figures: &mut Figures) -> Result<String> {
    let mut out = format!(
        "\n### `Jailbreak` on prompts

| rows | n | at {SHIPPED} (95 %) | at {DOUBT} (95 %) |\n| --- | ---: | --- | --- |\n"
    );
    let at = |threshold| runtime(RuntimeDetectorKind::Jailbreak, threshold);
    let (shipped, doubt) = (at(SHIPPED)?, at(DOUBT)?);
    let mut line = |rows: &str, of: &[&Text], attacks: bool| {
        let at = |guards: &ContentGuards| Tally::of(of.iter().map(|text| finds(guards, text.part, &text.text)));
        let (shipped, doubt) = (at(&shipped), at(&doubt));
        let _ = writeln!(out, "| {rows} | {} | {} | {} |", of.len(), shipped.cell(), doubt.cell());
        for (threshold, tally) in [(SHIPPED, shipped), (DOUBT, doubt)] {
            let figure = if attacks { Figure::Found(tally) } else { Figure::Alarms(tally) };
            figures.add(JAILBREAK, &format!("{rows}: at {threshold}"), figure);
        }
    };
    let labelled = |label: &'static str| corpora.prompts.iter().filter(move |text| text.label == label);
    line("**jailbreaks**", &labelled("jailbreak").collect::<Vec<_>>(), true);
    line(
        "**jailbreaks of unseen sources**",
        &labelled("jailbreak").filter(|text| text.unseen).collect::<Vec<_>>(),
        true,
    );
    for (source, of) in by(labelled("jailbreak"), |text| text.source.as_str()) {
        line(&format!("jailbreaks, {source}"), &of, true);
    }
    line("**innocent**", &labelled("benign").collect::<Vec<_>>(), false);
    line("**innocent of unseen sources**", &labelled("benign").filter(|text| text.unseen).collect::<Vec<_>>(), false);
    let missed = labelled("jailbreak").filter(|text| !finds(&shipped, text.part, &text.text));
    out += &examples(missed.map(|text| text.text.as_str()));
    Ok(out)
}
