//! `postern explain unused`: permits that no recorded request used.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use postern_config::values::parse_duration;

use super::recorded::{LogArgs, told};
use super::{MISCONFIGURED, load};
use crate::clock::{Clock, SystemClock};
use crate::explain::{Log, Review};

/// A log is not what was signed.
const TAMPERED: u8 = 1;

#[derive(Debug, Args)]
pub(in crate::cli) struct UnusedArgs {
    /// The bootstrap file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// A folder of an audit log; may be repeated, as each replica keeps one. Default: that of the configuration.
    #[arg(long = "log", value_name = "DIR")]
    logs: Vec<PathBuf>,
    /// The verifier key of the logs, or a file that holds it: one for all, or one for each log in their order. Default: the key of
    /// the configuration, for its own log.
    #[arg(long = "key", value_name = "VKEY")]
    keys: Vec<String>,
    /// How far back to look: `30d`, `12h`.
    #[arg(long, default_value = "30d", value_name = "DURATION")]
    since: String,
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

pub(super) fn run(args: &UnusedArgs) -> ExitCode {
    let now_ms = SystemClock.unix_ms();
    let set = match load(&args.config, now_ms) {
        Ok(set) => set,
        Err(code) => return code,
    };
    let reviewed = window(&args.since).and_then(|back| {
        let logs = logs(args, &set)?;
        let from = now_ms.saturating_sub(i64::try_from(back.as_millis()).unwrap_or(i64::MAX));
        Review::of(&set, &logs, from, now_ms.saturating_add(1)).map_err(|error| told(&error))
    });
    match reviewed {
        Ok(review) => {
            match args.output {
                Output::Text => print!("{}", review.as_text()),
                Output::Json => println!("{}", review.as_json()),
            }
            if review.is_bad() { ExitCode::from(TAMPERED) } else { ExitCode::SUCCESS }
        }
        Err(error) => {
            eprintln!("postern: {error}");
            ExitCode::from(MISCONFIGURED)
        }
    }
}

fn window(text: &str) -> Result<Duration, String> {
    let told = || format!("`{text}` is no duration; write one such as `30d` or `12h`");
    parse_duration(text).filter(|back| !back.is_zero()).ok_or_else(told)
}

fn logs(args: &UnusedArgs, set: &crate::explain::Set) -> Result<Vec<Log>, String> {
    if args.keys.len() > 1 && args.keys.len() != args.logs.len() {
        let (keys, logs) = (args.keys.len(), args.logs.len());
        return Err(format!("{keys} keys for {logs} logs: give one for all, or one for each"));
    }
    let several = args.logs.iter().map(Some).chain(args.logs.is_empty().then_some(None));
    let of = |(index, dir): (usize, Option<&PathBuf>)| {
        let key = args.keys.get(index).or(args.keys.first()).cloned();
        let (dir, key) = LogArgs { log: dir.cloned(), key }.resolve(Some(set.snapshot()))?;
        Ok(Log { dir, key })
    };
    several.enumerate().map(of).collect()
}
