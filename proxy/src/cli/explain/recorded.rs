//! `postern explain decision --id`: a decision that was made.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use postern_config::Snapshot;
use postern_filters::audit::note::VerifyingKey;
use uuid::Uuid;

use super::{MISCONFIGURED, Output, print};
use crate::audit::{RunError, key, read_key};
use crate::cli::print_causes;
use crate::clock::{Clock, SystemClock};
use crate::explain::{Besides, Set, find};

/// The log is not what was signed.
const TAMPERED: u8 = 1;

/// Where the log is and what checks it.
#[derive(Debug, Default, clap::Args)]
pub(in crate::cli) struct LogArgs {
    /// The folder of the audit log. Default: that of the configuration.
    #[arg(long, value_name = "DIR")]
    pub(super) log: Option<PathBuf>,
    /// The log's verifier key, or a file that holds it. Default: the key of the configuration, where it can be read.
    #[arg(long, value_name = "VKEY")]
    pub(super) key: Option<String>,
}

impl LogArgs {
    /// The log's folder and key. The key beside the log is not asked: whoever changed the one could have changed the other.
    pub(super) fn resolve(&self, snapshot: Option<&Snapshot>) -> Result<(PathBuf, Option<VerifyingKey>), String> {
        let dir = self.log.clone().or_else(|| snapshot.map(|snapshot| snapshot.audit.dir.clone()));
        let dir = dir.ok_or("the set does not load, so it does not say where the log is: give it with `--log`")?;
        let key = match &self.key {
            Some(text) => Some(read_key(text).map_err(|error| told(&error))?),
            None => snapshot.and_then(|snapshot| own_key(snapshot, &dir)),
        };
        Ok((dir, key))
    }
}

/// The configuration's own key is for its own log.
fn own_key(snapshot: &Snapshot, dir: &Path) -> Option<VerifyingKey> {
    let own = snapshot.audit.dir == dir;
    let key = own.then(|| key::existing(&snapshot.audit, &snapshot.state_dir)).flatten()?;
    Some(key.verifying_key().clone())
}

pub(super) fn told(error: &RunError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

pub(super) fn explain(config: &Path, id: &str, log: &LogArgs, besides: &Besides, output: Output) -> ExitCode {
    let Ok(id) = Uuid::parse_str(id) else {
        eprintln!("postern: `{id}` is no decision id; it is what an answer names in its header `postern-decision`");
        return ExitCode::from(MISCONFIGURED);
    };
    // As of now: what a record is of may have been longer ago than an end may lie ahead.
    let set = Set::load(config, SystemClock.unix_ms().div_euclid(1000));
    let (dir, key) = match log.resolve(set.as_ref().ok().map(Set::snapshot)) {
        Ok(found) => found,
        Err(error) => {
            set.err().iter().for_each(|report| eprint!("{report}"));
            eprintln!("postern: {error}");
            return ExitCode::from(MISCONFIGURED);
        }
    };
    let found = match find(&dir, key.as_ref(), id) {
        Ok(found) => found,
        Err(error) => {
            eprintln!("postern: {error}");
            print_causes(&error);
            return ExitCode::from(MISCONFIGURED);
        }
    };
    if !found.is_there() {
        let (records, dir) = (found.records(), dir.display());
        eprintln!("postern: no record of `{id}` among the {records} of the log in {dir}");
        eprintln!(
            "  help: another replica keeps a log of its own, which `--log` names; and `postern audit verify` tells whether this one is whole"
        );
        return ExitCode::from(if found.is_bad() { TAMPERED } else { MISCONFIGURED });
    }
    let why = set.as_ref().err().map(|report| format!("the present set does not load: {report}"));
    print(&found.document(set.as_ref().map_err(|_| why.as_deref().unwrap_or_default()), besides), output);
    if found.is_bad() { ExitCode::from(TAMPERED) } else { ExitCode::SUCCESS }
}
