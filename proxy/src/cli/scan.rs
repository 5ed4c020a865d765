//! `postern scan`: what the content guards find in texts, without sending one.
//!
//! The texts are judged by the code of the data path. What was found is told by its place, never by its value.

mod input;
mod policy;
mod tell;

use std::io::{BufWriter, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use postern_config::{Direction, Part};

use super::MISCONFIGURED;
use input::{Input, Texts};
use policy::Policy;

/// Prints what is found in texts, one JSON object a line: `id`, `findings`, `score`, `guards`. A finding has `detector`, `class`,
/// `start` and `end` in code points, `startByte` and `endByte` in bytes of UTF-8, `score`, `action`, `guard`, `type`.
///
/// Standard input holds objects `{"id","text","part"?,"direction"?}`, one a line, or plain text. Exit code 0 whatever is found, 1 if
/// a line could not be read (its number is told on standard error, and the others are judged), 2 if the set does not load.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Scan {
    /// The bootstrap file of a set, to judge with its policies. Without it every built-in detector looks at every part.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The route of the set whose policies judge. Needed where several have policies of content.
    #[arg(long, value_name = "NAME", requires = "config")]
    route: Option<String>,
    /// The message part of texts that name none: `User`, or `HttpBody` where the route speaks plain HTTP.
    #[arg(long, value_name = "PART", value_parser = part)]
    part: Option<Part>,
    /// The way of texts that name none. Left out, what models say (Assistant, Reasoning, ToolArguments) is on its way out,
    /// and everything else on its way in.
    #[arg(long, value_enum)]
    direction: Option<Way>,
    /// What standard input holds: objects, one text, or a text on every line. `auto` takes it for objects if it begins
    /// with `{`, and else for one text.
    #[arg(long, value_enum, default_value = "auto")]
    input: Input,
}

/// Where a text is going.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Way {
    Request,
    Response,
}

impl Way {
    fn direction(self) -> Direction {
        match self {
            Self::Request => Direction::Request,
            Self::Response => Direction::Response,
        }
    }
}

fn part(name: &str) -> Result<Part, String> {
    let known = || Part::ALL.map(Part::as_str).join(", ");
    Part::ALL.into_iter().find(|part| part.as_str() == name).ok_or_else(|| format!("the parts are {}", known()))
}

pub(super) fn run(asked: &Scan) -> ExitCode {
    let policy = match Policy::load(asked) {
        Ok(policy) => policy,
        Err(told) => {
            eprintln!("{}", told.trim_end());
            return ExitCode::from(MISCONFIGURED);
        }
    };
    policy.notes.iter().for_each(|note| eprintln!("postern: {note}"));
    let (input, output) = (std::io::stdin().lock(), BufWriter::new(std::io::stdout().lock()));
    match judge(input, output, asked, &policy) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(bad) => {
            eprintln!("postern: {bad} {} could not be read", if bad == 1 { "line" } else { "lines" });
            ExitCode::FAILURE
        }
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("postern: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Judges every text of `input`; returns how many lines could not be read.
fn judge(input: impl Read, mut output: impl Write, asked: &Scan, policy: &Policy) -> std::io::Result<usize> {
    let mut texts = Texts::new(input, asked.input)?;
    let mut bad = 0_usize;
    while let Some(read) = texts.next()? {
        match read.and_then(|row| policy.judge(&row, asked)) {
            Ok(line) => writeln!(output, "{line}")?,
            Err(why) => {
                bad = bad.saturating_add(1);
                output.flush()?;
                eprintln!("line {}: {why}", texts.line());
            }
        }
        // Whoever asks line by line gets answers line by line.
        if !texts.has_more_at_hand() {
            output.flush()?;
        }
    }
    output.flush()?;
    Ok(bad)
}
