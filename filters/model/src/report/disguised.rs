//! Attacks that are found in the open, in disguise.

use std::fmt::Write as _;

use anyhow::{Result, ensure};
use postern_config::Part;
use postern_filters::TextGuards as _;
use postern_filters::scan::ContentGuards;

use super::disguise::{DISGUISES, Disguise, halves};
use super::floors::Figures;
use super::guards::{SHIPPED, hostile, runtime, texts_by_default};
use super::rows::{Corpora, Text, shuffled};
use super::tally::Tally;

/// How many attacks are tried, half of them in prompts, and as many innocent texts.
const HALF: usize = 75;
/// Of an innocent text, so many characters at most: about as long as attacks are.
const PIECE: usize = 600;

const GROUP: &str = "disguises";

/// What is disguised, and what stands around it.
struct Sample<'c> {
    before: &'c str,
    text: &'c str,
    behind: &'c str,
    part: Part,
}

impl<'c> Sample<'c> {
    fn of(text: &'c Text) -> Self {
        let whole = text.text.as_str();
        let place = text.payload.clone().unwrap_or(0..whole.len());
        let (before, behind) = (&whole[..place.start], &whole[place.end..]);
        Self { before, text: &whole[place], behind, part: text.part }
    }

    /// A piece of an innocent text, alone.
    fn piece(text: &'c Text) -> Self {
        let end = text.text.char_indices().nth(PIECE).map_or(text.text.len(), |(at, _)| at);
        Self { before: "", text: &text.text[..end], behind: "", part: text.part }
    }

    fn with(&self, text: &str) -> String {
        [self.before, text, self.behind].concat()
    }
}

/// What finds texts that give orders, each alone and all together.
struct Detectors {
    each: Vec<(&'static str, ContentGuards)>,
    all: ContentGuards,
}

impl Detectors {
    fn new() -> Result<Self> {
        let by_default = hostile().into_iter().filter(|(name, _)| *name != "Jailbreak");
        let each = by_default.map(|(name, kind)| Ok((name, runtime(kind, SHIPPED)?))).collect::<Result<_>>()?;
        Ok(Self { each, all: texts_by_default()? })
    }

    /// Which of them find something in one of the texts.
    fn find(&self, part: Part, texts: &[String]) -> Vec<bool> {
        let finds = |guards: &ContentGuards| texts.iter().any(|text| !guards.findings(part, text).is_empty());
        self.each.iter().map(|(_, guards)| finds(guards)).collect()
    }

    fn judge(&self, sample: &Sample<'_>, disguise: &Disguise) -> Result<Vec<bool>> {
        match disguise {
            Disguise::Spelled(spell) => Ok(self.find(sample.part, &[sample.with(&spell(sample.text))])),
            Disguise::Halved => {
                let (first, second) = halves(sample.text);
                Ok(self.find(sample.part, &[[sample.before, first].concat(), [second, sample.behind].concat()]))
            }
            Disguise::Streamed => self.streamed(sample),
        }
    }

    /// Character by character, which has to come out as the whole does.
    fn streamed(&self, sample: &Sample<'_>) -> Result<Vec<bool>> {
        let text = sample.with(sample.text);
        let of_all = read(&self.all, sample.part, &text);
        let judged = self.all.judge(sample.part, &text);
        ensure!(of_all.blocked == judged.blocked, "a stream is not judged as the whole is: {text:?}");
        if !judged.blocked {
            let mut whole = text.clone();
            judged.edits.iter().rev().for_each(|edit| whole.replace_range(edit.range.clone(), &edit.with));
            ensure!(of_all.released == whole, "a stream does not leave as the whole does: {text:?}");
        }
        Ok(self.each.iter().map(|(_, guards)| read(guards, sample.part, &text).found).collect())
    }
}

/// What became of a stream.
#[derive(Default)]
struct Outcome {
    found: bool,
    blocked: bool,
    released: String,
}

fn read(guards: &ContentGuards, part: Part, text: &str) -> Outcome {
    let mut guard = guards.open(part);
    let mut outcome = Outcome::default();
    let mut buffer = [0; 4];
    let steps: Vec<_> = text.chars().map(|c| guard.push(c.encode_utf8(&mut buffer))).collect();
    for step in steps.into_iter().chain([guard.finish()]) {
        outcome.found |= !step.findings.is_empty();
        outcome.blocked |= step.blocked;
        outcome.released += &step.release;
    }
    outcome
}

/// In an order that is no order of the corpora.
fn ordered(texts: &[Text], wanted: impl Fn(&Text) -> bool) -> Vec<&Text> {
    let mut texts: Vec<&Text> = texts.iter().filter(|text| wanted(text)).collect();
    texts.sort_by_key(|text| (shuffled(&text.text), &text.text));
    texts
}

/// Attacks that are found as they are, and are what is found.
fn attacks<'c>(texts: &'c [Text], detectors: &Detectors) -> Vec<Sample<'c>> {
    let wanted = |text: &Text| text.is_attack() && (text.part == Part::User || text.payload.is_some());
    let samples = ordered(texts, wanted).into_iter().map(Sample::of);
    let found = |sample: &Sample<'_>, text: &str| detectors.find(sample.part, &[sample.with(text)]).contains(&true);
    samples.filter(|sample| found(sample, sample.text) && !found(sample, "")).take(HALF).collect()
}

fn innocent(texts: &[Text]) -> Vec<Sample<'_>> {
    ordered(texts, |text| !text.is_attack()).into_iter().take(HALF).map(Sample::piece).collect()
}

pub(crate) fn section(corpora: &Corpora, figures: &mut Figures) -> Result<String> {
    let detectors = Detectors::new()?;
    let (prompts, documents) = (attacks(&corpora.prompts, &detectors), attacks(&corpora.documents, &detectors));
    let innocent: Vec<Sample<'_>> =
        innocent(&corpora.prompts).into_iter().chain(innocent(&corpora.documents)).collect();
    let (users, others, alike) = (prompts.len(), documents.len(), innocent.len());
    let mut out = format!(
        "## Disguises

{users} attacks of prompts and {others} of documents that are found as they are, written in other ways; of a document only the attack, in its place. Found is
what `PromptInjection`, `HiddenText` or `EncodedPayload` finds at {SHIPPED}, as they are where nobody wrote a policy; the last columns say which of
them do. Some attacks bring something along that a disguise leaves as it is, such as an HTML comment. *Innocent* are {alike} innocent texts written in
the same way: how many of them are found, and by what. Training saw other texts in ROT13, reversed and in leetspeak, and in no other way. A stream of single characters has to come out as the whole does, text and all.

| disguise | prompts (95 %) | documents (95 %) | all (95 %) | `PromptInjection` | `HiddenText` | `EncodedPayload` | innocent |
| --- | --- | --- | --- | ---: | ---: | ---: | --- |\n"
    );
    let (mut blind, mut alarming) = (Vec::new(), Vec::new());
    for (name, disguise) in &DISGUISES {
        let judge = |samples: &[Sample<'_>]| {
            samples.iter().map(|sample| detectors.judge(sample, disguise)).collect::<Result<Vec<_>>>()
        };
        let (of_prompts, of_documents, of_innocent) = (judge(&prompts)?, judge(&documents)?, judge(&innocent)?);
        let any = |of: &[Vec<bool>]| Tally::of(of.iter().map(|each| each.contains(&true)));
        let (p, d, alarms) = (any(&of_prompts), any(&of_documents), any(&of_innocent));
        let all = Tally { hits: p.hits + d.hits, of: p.of + d.of };
        let by: Vec<String> = (0..detectors.each.len())
            .map(|i| Tally::of(of_prompts.iter().chain(&of_documents).map(|each| each[i])))
            .map(|tally| format!("{:.0} %", tally.percent()))
            .collect();
        let blamed = (detectors.each.iter().enumerate()).filter(|(i, _)| of_innocent.iter().any(|each| each[*i]));
        let blamed: Vec<String> = blamed.map(|(_, (name, _))| format!("`{name}`")).collect();
        let innocent = format!("{:.0} % {}", alarms.percent(), blamed.join(", "));
        let _ = writeln!(
            out,
            "| {name} | {} | {} | {} | {} | {} |",
            p.cell(),
            d.cell(),
            all.cell(),
            by.join(" | "),
            innocent.trim_end()
        );
        for (rows, tally) in [("prompts", p), ("documents", d)] {
            figures.found(GROUP, &format!("{name}, {rows}"), tally);
        }
        figures.alarms(GROUP, &format!("{name}, innocent"), alarms);
        if 3 * all.hits < 2 * all.of {
            blind.push(format!("{name} ({:.0} %)", all.percent()));
        }
        if alarms.percent() > 50.0 {
            alarming.push(*name);
        }
    }
    if !blind.is_empty() {
        let _ = writeln!(out, "\nBlind spots, where less than two in three are found: {}.", blind.join(", "));
    }
    if !alarming.is_empty() {
        let _ = writeln!(
            out,
            "\nInnocent texts are found as well, more than half of them, when written so: {}.",
            alarming.join(", ")
        );
    }
    Ok(out)
}
