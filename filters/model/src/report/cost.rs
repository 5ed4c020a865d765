//! Processor time by detector: the best of several rounds over innocent texts.

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use postern_config::{BUILTIN_DETECTORS, Part, WebAttack};
use postern_filters::TextGuards as _;
use postern_filters::scan::ContentGuards;
use postern_filters::scan::model::features::Sink;
use postern_filters::scan::model::{Head, Model, Weights, look, shipped};

use super::guards::{SHIPPED, data, everything_by_default, hostile, runtime, web};
use super::rows::Corpora;
use crate::card::digest;

const ROUNDS: usize = 9;
/// Bytes of one text: a longer prompt, or a shorter document.
const PIECE: usize = 4096;
const PIECES: usize = 64;

pub(crate) fn table(corpora: &Corpora) -> Result<String> {
    let pieces = pieces(corpora);
    let mut out = String::from("| what | µs per KiB |\n| --- | ---: |\n");
    let mut line = |name: &str, cost: f64| {
        let _ = writeln!(out, "| {name} | {cost:.1} |");
    };
    for (id, _) in BUILTIN_DETECTORS {
        line(&format!("`{id}`"), judged(&data(id)?, Part::User, &pieces));
    }
    for (name, kind) in hostile() {
        line(&format!("`{name}`"), judged(&runtime(kind, SHIPPED)?, Part::ToolResult, &pieces));
    }
    for attack in WebAttack::ALL {
        line(&format!("`{}`", attack.as_str()), judged(&web(attack)?, Part::HttpBody, &pieces));
    }
    line(
        "all that is looked for where nobody wrote a policy",
        judged(&everything_by_default()?, Part::ToolResult, &pieces),
    );
    let model = shipped()?;
    for head in Head::ALL {
        line(&format!("the classifier alone, head `{head:?}`"), of_model(&model, head, &pieces));
    }
    let _ = writeln!(out, "\nThe classifier is read once, at the start: {:.1} ms.", start()? * 1e3);
    Ok(out)
}

/// Seconds until the weights are there, digest and all.
fn start() -> Result<f64> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../src/scan/model/injection.model");
    let file = std::fs::read(path)?;
    let digest = digest(&file);
    let round = || -> Result<Duration> {
        let start = Instant::now();
        black_box(Model::read(&file, &digest).map_err(|why| anyhow!(why))?);
        Ok(start.elapsed())
    };
    let rounds: Vec<Duration> = (0..ROUNDS).map(|_| round()).collect::<Result<_>>()?;
    Ok(rounds.into_iter().min().unwrap_or_default().as_secs_f64())
}

/// Innocent texts in pieces of one size.
fn pieces(corpora: &Corpora) -> Vec<String> {
    let mut pieces = vec![String::new()];
    for text in corpora.texts().filter(|text| !text.is_attack()) {
        for c in text.text.chars().chain(['\n']) {
            if pieces.last().is_some_and(|piece| piece.len() >= PIECE) {
                pieces.push(String::new());
            }
            if let Some(piece) = pieces.last_mut() {
                piece.push(c);
            }
        }
    }
    // From all over the corpora.
    let step = (pieces.len() / PIECES).max(1);
    pieces.into_iter().step_by(step).take(PIECES).collect()
}

/// Microseconds for a KiB, in the best round.
fn best(pieces: &[String], mut work: impl FnMut(&str)) -> f64 {
    let round = |_| {
        let start = Instant::now();
        pieces.iter().for_each(|piece| work(black_box(piece)));
        start.elapsed()
    };
    let fastest = (0..ROUNDS).map(round).min().unwrap_or(Duration::ZERO);
    let kib = pieces.iter().map(String::len).sum::<usize>() as f64 / 1024.0;
    fastest.as_secs_f64() * 1e6 / kib.max(1.0)
}

fn judged(guards: &ContentGuards, part: Part, pieces: &[String]) -> f64 {
    best(pieces, |piece| {
        black_box(guards.judge(part, piece));
    })
}

/// Folding, features and their weights, without signatures.
fn of_model(model: &Arc<Model>, head: Head, pieces: &[String]) -> f64 {
    best(pieces, |piece| {
        let mut sum = Sum { weights: model.head(head), sum: 0 };
        look(head, piece, &mut sum);
        black_box(sum.sum);
    })
}

struct Sum<'m> {
    weights: &'m Weights,
    sum: i64,
}

impl Sink for Sum<'_> {
    fn gram(&mut self, index: usize) {
        self.sum += i64::from(self.weights.grams.get(index).copied().unwrap_or_default());
    }

    fn words(&mut self, index: usize) {
        self.sum += i64::from(self.weights.words.get(index).copied().unwrap_or_default());
    }

    fn block(&mut self, _: usize, _: usize) {}
}
