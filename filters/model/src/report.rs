//! How well the detectors do on the corpora: `docs/detection.md`, the table in the README, and floors that must hold.
//!
//! Everything but processor time is the same in every run, so that a page that is out of date is told from one that is not. Processor time
//! is measured where it is asked for, and else left as it was recorded.

mod cost;
mod data;
pub(crate) mod disguise;
mod disguised;
mod floors;
mod guards;
mod headline;
mod injection;
mod page;
mod quote;
mod rows;
mod tally;
mod unseen;
mod web;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::corpus;
use floors::Figures;
use rows::Corpora;

const HEAD: &str = "# How well the detectors do

Written by `make detection` from the shared corpora; `make detection-check`, a step of `make check`, holds this page against what is
measured now, and every count against the floor in `filters/model/floors.json`: no fewer may be found, no more innocent texts may be,
not by one.
Shares have a 95 % interval in parentheses (Wilson). *False alarms* are innocent texts in which something is found. Corpora are not your traffic:
try yours with `postern scan` ([scan.md](scan.md)).
";

const COST_HEAD: &str = "One core, innocent texts in pieces of 4 KiB, the best of nine rounds, each detector alone, built as a release is. Written by
`make detection DETECTION=--cpu`, and left alone by everything else.\n\n";

/// Where the three files are.
struct Files {
    page: PathBuf,
    readme: PathBuf,
    floors: PathBuf,
}

impl Files {
    fn find() -> Self {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = here.join("../..");
        Self { page: root.join("docs/detection.md"), readme: root.join("README.md"), floors: here.join("floors.json") }
    }
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| path.display().to_string())
}

/// The part of the README that is written here, and the parts of the page that are kept.
const README: &str = "detection";
const COST: &str = "cpu";

/// What the files should say.
struct Measured {
    page: String,
    readme: String,
    figures: Figures,
}

/// Measures everything again but what is kept: processor time, unless `cpu` asks for it, and what others measured.
fn measure(files: &Files, cpu: bool) -> Result<Measured> {
    let corpora = Corpora::load(&corpus::folder()?)?;
    let mut figures = Figures::default();
    let mut page = HEAD.to_owned();
    for section in [injection::section, disguised::section, unseen::section, data::section, web::section] {
        page.push('\n');
        page += &section(&corpora, &mut figures)?;
    }
    page += "\n## Processor time\n\n";
    page += COST_HEAD;
    page += &page::marked(COST, "");
    let before = if files.page.exists() { read(&files.page)? } else { String::new() };
    let cost = if cpu { Some(cost::table(&corpora)?) } else { page::between(&before, COST).map(str::to_owned) };
    page = page::with(&page, COST, &cost.unwrap_or_else(|| "Not measured.\n".to_owned()))?;
    page = page::with(&page, web::RULES, page::between(&before, web::RULES).unwrap_or("Not measured.\n"))?;
    let readme = page::with(&read(&files.readme)?, README, &headline::table(&figures))?;
    Ok(Measured { page, readme, figures })
}

/// Writes the page, the table of the README and the floors. Floors sink only where `lower` says so.
pub(crate) fn cost() -> Result<()> {
    print!("{}", cost::table(&Corpora::load(&corpus::folder()?)?)?);
    Ok(())
}

pub(crate) fn write(cpu: bool, lower: bool) -> Result<()> {
    let files = Files::find();
    let measured = measure(&files, cpu)?;
    if files.floors.exists() && !lower {
        let below = measured.figures.below(&Figures::read(&read(&files.floors)?)?);
        ensure!(below.is_empty(), "below the floors, and `--lower` is not said:\n{}", below.join("\n"));
    }
    std::fs::write(&files.page, &measured.page)?;
    std::fs::write(&files.readme, &measured.readme)?;
    std::fs::write(&files.floors, measured.figures.write()?)?;
    println!("{} figures written", measured.figures.count());
    Ok(())
}

/// Holds what is measured now against the floors, the page and the table of the README.
pub(crate) fn check() -> Result<()> {
    let files = Files::find();
    let measured = measure(&files, false)?;
    let floors = Figures::read(&read(&files.floors)?)?;
    let mut wrong = measured.figures.below(&floors);
    wrong.extend(measured.figures.new_to(&floors));
    for (path, now) in [(&files.page, &measured.page), (&files.readme, &measured.readme)] {
        let recorded = read(path)?;
        if recorded != *now {
            let lines = recorded.lines().zip(now.lines()).find(|(recorded, now)| recorded != now);
            let (recorded, now) = lines.unwrap_or(("", ""));
            let name = path.file_name().unwrap_or_default().display();
            wrong.push(format!(
                "{name} is out of date, `make detection` writes it\n  says     {recorded}\n  measured {now}"
            ));
        }
    }
    wrong.iter().for_each(|what| println!("{what}"));
    println!("{} passed, {} failed", measured.figures.count(), wrong.len());
    ensure!(wrong.is_empty(), "the detectors are not what was recorded");
    Ok(())
}
