//! Makes the classifier of injections, shows what a change to it would give, and tells how well all detectors do.
//!
//! `train` writes the weights, their digest and the model card; `try` does the same work and only prints the figures. `report` measures the
//! detectors and writes what `check` holds them against; `cost` prints the processor time alone. All read the corpora, take nothing from
//! outside, and give the same bytes every time, but for processor time.

#![allow(
    clippy::indexing_slicing,
    reason = "a tool that runs on its own corpora, and may stop where they are not what it expects"
)]

mod calibrate;
mod card;
mod corpus;
mod figures;
mod grammar;
mod random;
mod report;
mod solve;
mod train;
mod windows;

use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, bail};
use postern_filters::scan::model::{Head, Model};

use train::{Rows, left_out, logits};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let said: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match said.as_slice() {
        ["train"] => train(true),
        ["try"] => train(false),
        ["report", options @ ..] if options.iter().all(|option| ["--cpu", "--lower"].contains(option)) => {
            report::write(options.contains(&"--cpu"), options.contains(&"--lower"))
        }
        ["check"] => report::check(),
        ["cost"] => report::cost(),
        _ => bail!("usage: postern-model train | try | report [--cpu] [--lower] | check | cost"),
    }
}

fn train(write: bool) -> Result<()> {
    let rows = Rows::load()?;
    let mut heads = Vec::new();
    let (mut left, mut dev, mut at) = (Vec::new(), Vec::new(), Vec::new());
    for (head, name, corpus) in
        [(Head::User, "prompts", "prompts-dev.jsonl"), (Head::Document, "documents", "indirect-dev.jsonl")]
    {
        let mut weights = rows.head(head, &[])?;
        let model = Arc::new(Model::of(weights.clone(), weights.clone()));
        let of_dev = corpus::load(&corpus::folder()?, corpus, head)?;
        let of = |attack: bool, unseen: bool| {
            logits(&model, head, of_dev.iter().filter(move |row| row.attack == attack && (row.unseen || !unseen)))
        };
        let (attacks, innocent) = (of(true, false)?, of(false, false)?);
        dev.push(figures::line(name, &attacks, &innocent));
        dev.push(figures::line(
            &format!("{name}, attacks of sources that training lacks"),
            &of(true, true)?,
            &innocent,
        ));
        let innocent_unseen = of(false, true)?;
        dev.push(figures::line(
            &format!("{name}, all of sources that training lacks"),
            &of(true, true)?,
            &innocent_unseen,
        ));
        let (of_others, lines) = left_out(&rows, head)?;
        (weights.slope, weights.offset) = calibrate::fit(&innocent, &of_others);
        for percent in [40.0, 80.0] {
            let share = |logits: &[f32]| {
                let above = logits.iter().filter(|logit| weights.percent(**logit) >= percent).count();
                100.0 * above as f64 / logits.len() as f64
            };
            let (found, alarms, others) = (share(&attacks), share(&innocent), share(&of_others));
            at.push(format!("| {name} | {percent} | {found:.1} % | {alarms:.2} % | {others:.2} % |"));
        }
        left.extend(lines);
        heads.push(weights);
    }
    let (Some(document), Some(user)) = (heads.pop(), heads.pop()) else { bail!("there are two heads") };
    let file = Model::write(&user, &document);
    let model = Model::of(user, document);
    let card = card::card(&model, &file, &rows, &left, (&dev, &at));
    println!("{card}");
    if write {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let beside = here.join("../src/scan/model");
        std::fs::write(beside.join("injection.model"), &file)?;
        std::fs::write(beside.join("injection.sha256"), format!("{}\n", card::digest(&file)))?;
        std::fs::write(here.join("MODEL-CARD.md"), card)?;
    }
    Ok(())
}
