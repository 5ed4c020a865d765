//! `postern test`: cases that users write beside their manifests, and which rules decided in none of them.

mod case;
mod told;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ValueEnum;
use postern_config::cases::load_cases;
use postern_config::{Position, Report};

use super::MISCONFIGURED;
use crate::clock::{Clock, SystemClock};
use crate::explain::{Mark, Set, marks_of};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    Text,
    Json,
    Junit,
}

/// What came of one case.
#[derive(Debug)]
struct Verdict {
    file: String,
    position: Position,
    name: String,
    /// What came of the request, in a line; why it could not be asked, where it could not.
    came: String,
    /// What is not as expected; nothing where all is.
    wrong: Vec<String>,
    /// The nearest rule, where it was refused and should not have been.
    hint: Option<String>,
    used: BTreeSet<Mark>,
}

/// What came of all of them.
#[derive(Debug)]
struct Outcome {
    verdicts: Vec<Verdict>,
    /// What the set grants and forbids: what it is, and whether it decided in some case.
    coverage: Vec<(Mark, &'static str, bool)>,
}

impl Outcome {
    fn failed(&self) -> usize {
        self.verdicts.iter().filter(|verdict| !verdict.wrong.is_empty()).count()
    }

    fn covered(&self) -> usize {
        self.coverage.iter().filter(|(_, _, used)| *used).count()
    }
}

pub(super) fn run(dir: &Path, config: Option<&PathBuf>, output: Output) -> ExitCode {
    let config = config.cloned().unwrap_or_else(|| dir.join("postern.yaml"));
    match outcome(dir, &config) {
        Ok(outcome) => {
            told::print(&outcome, output);
            if outcome.failed() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(report) => {
            eprint!("{report}");
            ExitCode::from(MISCONFIGURED)
        }
    }
}

fn outcome(dir: &Path, config: &Path) -> Result<Outcome, Report> {
    let now_ms = SystemClock.unix_ms();
    let mut report = Report::new();
    let files = load_cases(dir, &mut report);
    if files.is_empty() && !report.has_errors() {
        let start = Position { file: dir.display().to_string().into(), line: 1, column: 1 };
        let help = "write a file whose name ends with `.test.yaml`: docs/testing-policies.md";
        report.error(postern_config::Code(2), &start, "", "there is no file of test cases in the folder", help);
    }
    let cases: Vec<_> =
        files.iter().flat_map(|(path, file)| case::read(dir, path, file, now_ms, &mut report)).collect();
    let set = match Set::load(config, now_ms / 1000) {
        Ok(set) => set,
        Err(more) => {
            report.extend(more);
            return Err(report);
        }
    };
    if report.has_errors() {
        return Err(report);
    }
    let verdicts: Vec<Verdict> = cases.iter().map(|case| case.judge(&set)).collect();
    let used: BTreeSet<&Mark> = verdicts.iter().flat_map(|verdict| &verdict.used).collect();
    // A binding decides by its role.
    let deciding = marks_of(&set).into_iter().filter(|(mark, _)| !matches!(mark, Mark::Binding(_)));
    let coverage = deciding.map(|(mark, does)| {
        let decided = used.contains(&mark);
        (mark, does, decided)
    });
    Ok(Outcome { coverage: coverage.collect(), verdicts })
}
