//! `postern audit verify`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::{Format, MISCONFIGURED};
use crate::audit::{VerifyArgs, run};

pub(super) fn verify(dir: &Path, key: &str, checkpoint: Option<&Path>, format: Format) -> ExitCode {
    let args = VerifyArgs { dir: dir.to_owned(), key: key.to_owned(), checkpoint: checkpoint.map(PathBuf::from) };
    match run(&args) {
        Ok(outcome) => {
            match format {
                Format::Text => print!("{outcome}"),
                Format::Json => println!("{}", outcome.to_json()),
            }
            if outcome.is_sound() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("postern: {error}");
            super::print_causes(&error);
            ExitCode::from(MISCONFIGURED)
        }
    }
}
