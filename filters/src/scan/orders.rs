//! Texts that give a model orders: what signatures find and what the classifier thinks, in one score.
//!
//! The score of a window is a calibrated probability in percent: 80 means that four of five texts like it are attacks, where one text in a
//! hundred is one. Evidence of signatures raises it. What signatures alone are sure of counts without the classifier.

use std::collections::VecDeque;
use std::sync::Arc;

use super::fold::Form;
use super::hit::{Hit, Source};
use super::injection::{Reader, Signatures};
use super::model::{Head, Model, ModelRun, Weights, Window, spoken};
use super::view::View;

/// From here on signatures need nobody else.
const SURE: u8 = 80;

/// Who asked for what: signatures and a head, and from which score on it is told.
#[derive(Debug)]
struct Asked {
    source: Source,
    least: u8,
    reader: Reader,
    /// Pieces of evidence that a window to come may still have in it.
    evidence: VecDeque<Hit>,
    /// Which of the runs.
    run: usize,
}

/// The state on one text.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    asked: Vec<Asked>,
    runs: Vec<(Head, ModelRun)>,
    found: Found,
}

/// The highest scores, whatever threshold they have to reach.
#[derive(Debug, Clone, Copy)]
pub struct Found {
    /// Of a window, what signatures say in it included.
    pub logit: f32,
    /// Of a window, by the classifier alone.
    pub alone: f32,
    /// Of signatures.
    pub signatures: u8,
}

impl Default for Found {
    fn default() -> Self {
        Self { logit: f32::MIN, alone: f32::MIN, signatures: 0 }
    }
}

impl Orders {
    /// Looks for these as well: hits of `source`, from `least` on.
    pub(crate) fn ask(
        &mut self,
        source: Source,
        signatures: &Arc<Signatures>,
        model: (&Arc<Model>, Head),
        limit: usize,
        least: u8,
    ) {
        let (model, head) = model;
        let run = self.runs.iter().position(|(known, _)| *known == head).unwrap_or_else(|| {
            self.runs.push((head, ModelRun::new(model, head, limit)));
            self.runs.len() - 1
        });
        let reader = Reader::new(signatures, source, limit, 1);
        self.asked.push(Asked { source, least, reader, evidence: VecDeque::new(), run });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.asked.is_empty()
    }

    /// Reads what is new in `view`, of which `text_end` bytes of text were read.
    pub(crate) fn read(&mut self, view: &View, text_end: usize, hits: &mut Vec<Hit>) {
        let Self { asked, runs, found } = self;
        for one in asked.iter_mut() {
            one.take(found, hits, |reader, found| reader.read(view, text_end, found));
        }
        for (number, (_, run)) in runs.iter_mut().enumerate() {
            let mut windows = Vec::new();
            run.read(view, |window| windows.push(window));
            judge(asked, (number, run), &windows, found, hits);
        }
    }

    pub(crate) fn finish(&mut self, view: &View, text_end: usize, hits: &mut Vec<Hit>) {
        let Self { asked, runs, found } = self;
        for one in asked.iter_mut() {
            one.take(found, hits, |reader, found| reader.finish(view, text_end, found));
        }
        for (number, (_, run)) in runs.iter_mut().enumerate() {
            let mut windows = Vec::new();
            run.finish(text_end, |window| windows.push(window));
            judge(asked, (number, run), &windows, found, hits);
        }
    }

    /// Nothing is taken for found; what was held is let go, and still counts as evidence.
    pub(crate) fn stall(&mut self, text_end: usize) {
        self.asked.iter_mut().for_each(|one| one.reader.stall(text_end));
        self.runs.iter_mut().for_each(|(_, run)| run.stall(text_end));
    }

    /// Where the earliest text stands that a finding could still begin with.
    pub(crate) fn live(&self, text_end: usize) -> Option<usize> {
        let readers = self.asked.iter().filter_map(|one| one.reader.live(text_end));
        readers.chain(self.runs.iter().filter_map(|(_, run)| run.live(text_end))).min()
    }

    /// Where the earliest text stands that is suspect so far, or of a word that is not whole yet. What stands before was judged with
    /// all that came, and a finding that begins there needs what comes.
    pub(crate) fn suspect(&self, view: &View, text_end: usize) -> Option<usize> {
        let readers = self.asked.iter().filter_map(|one| one.reader.live(text_end));
        let runs = self.runs.iter().enumerate().filter_map(|(number, (_, run))| {
            let mut asked = self.asked.iter().filter(|one| one.run == number);
            if asked.any(|one| one.suspects(run)) { run.live(text_end) } else { run.open(view, text_end) }
        });
        readers.chain(runs).min()
    }
}

impl Asked {
    /// Keeps what signatures find as evidence, and tells what they are sure of.
    fn take(&mut self, best: &mut Found, hits: &mut Vec<Hit>, read: impl FnOnce(&mut Reader, &mut Vec<Hit>)) {
        let mut found = Vec::new();
        read(&mut self.reader, &mut found);
        for hit in found {
            self.evidence.push_back(hit);
            best.signatures = best.signatures.max(hit.score);
            if hit.score >= SURE {
                hits.extend((hit.score >= self.least).then_some(hit));
            }
        }
    }

    /// Whether what has come of a window is halfway to a finding.
    fn suspects(&self, run: &ModelRun) -> bool {
        let (start, logit) = run.so_far();
        let score = self.evidence.iter().filter(|hit| hit.end > start).map(|hit| hit.score).max().unwrap_or(0);
        2.0 * run.percent(logit + spoken(score)) >= f32::from(self.least)
    }

    /// The highest score of signatures in a window, as far as `seen` bytes of text tell.
    fn evidence(&mut self, start: usize, seen: usize) -> u8 {
        while self.evidence.pop_front_if(|hit| hit.end <= start).is_some() {}
        let known = self.evidence.iter().take_while(|hit| hit.seen <= seen);
        known.filter(|hit| hit.end > start).map(|hit| hit.score).max().unwrap_or(0)
    }
}

fn judge(asked: &mut [Asked], run: (usize, &ModelRun), windows: &[Window], best: &mut Found, hits: &mut Vec<Hit>) {
    let (number, run) = run;
    for window in windows {
        for one in asked.iter_mut().filter(|one| one.run == number) {
            let logit = window.logit + spoken(one.evidence(window.start, window.seen));
            best.logit = best.logit.max(logit);
            best.alone = best.alone.max(window.logit);
            let score = run.percent(logit) as u8;
            if score >= one.least {
                let (start, end, seen, source) = (window.start, window.end, window.seen, one.source);
                hits.push(Hit { start, end, seen, source, score, open: false, tail: false });
            }
        }
    }
}

/// What speaks for an attack in a text, in percent.
#[derive(Debug, Clone, PartialEq)]
pub struct Injection {
    /// All of it together: what a threshold is compared with.
    pub score: f32,
    /// The classifier alone.
    pub classifier: f32,
    /// Signatures alone, and the families of those that were found.
    pub signatures: u8,
    pub families: Vec<String>,
}

/// What is in the whole of `text`.
fn read(signatures: &Arc<Signatures>, model: (&Arc<Model>, Head), limit: usize, text: &str) -> Orders {
    let (mut orders, mut view, mut hits) = (Orders::default(), View::new(Form::Skeleton), Vec::new());
    orders.ask(Source::Injection, signatures, model, limit, u8::MAX);
    view.push(text, 0);
    orders.read(&view, text.len(), &mut hits);
    orders.finish(&view, text.len(), &mut hits);
    orders
}

/// The highest scores in the whole of `text`.
pub(crate) fn found(signatures: &Arc<Signatures>, model: (&Arc<Model>, Head), limit: usize, text: &str) -> Found {
    read(signatures, model, limit, text).found
}

/// What speaks for an attack in the whole of `text`.
pub(crate) fn injection(
    signatures: &Arc<Signatures>,
    model: (&Arc<Model>, Head),
    limit: usize,
    text: &str,
) -> Injection {
    let orders = read(signatures, model, limit, text);
    let (found, head) = (orders.found, model.0.head(model.1));
    Injection {
        score: score(found, head),
        classifier: head.percent(found.alone),
        signatures: found.signatures,
        families: orders.asked.iter().flat_map(|one| one.reader.families()).collect(),
    }
}

/// The highest score in the whole of `text`, in percent.
pub(crate) fn percent(signatures: &Arc<Signatures>, model: (&Arc<Model>, Head), limit: usize, text: &str) -> f32 {
    score(found(signatures, model, limit, text), model.0.head(model.1))
}

/// Signatures count alone where they are sure.
fn score(found: Found, head: &Weights) -> f32 {
    let sure = if found.signatures >= SURE { f32::from(found.signatures) } else { 0.0 };
    head.percent(found.logit).max(sure)
}
