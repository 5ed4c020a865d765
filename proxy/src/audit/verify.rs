//! `postern audit verify`: checks a log in a directory with nothing but the public key.

use std::fmt;
use std::path::{Path, PathBuf};

use postern_filters::audit::note::{KeyError, MAX_NOTE, VerifyingKey};
use postern_filters::audit::verify::{Freshness, LogSource, Verification, VerifyError, verify};
use serde_json::{Value, json};

use super::disk::{read_beginning, read_bounded};

/// What to check, with what.
#[derive(Debug, Clone)]
pub struct VerifyArgs {
    /// Directory of the log.
    pub dir: PathBuf,
    /// A verifier key `name+hash+key`, or the path of a file that holds one.
    pub key: String,
    /// A checkpoint of the log that was kept elsewhere.
    pub checkpoint: Option<PathBuf>,
}

/// Why nothing could be checked. Says nothing about the log.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("`{path}` cannot be read")]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("there is no directory `{0}`")]
    NoLog(PathBuf),
    #[error("`{text}` is neither a verifier key nor a file that holds one")]
    Key { text: String, source: KeyError },
    #[error(transparent)]
    Verify(#[from] VerifyError),
}

/// What was found, for people (`Display`) and machines ([`VerifyOutcome::to_json`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyOutcome {
    pub dir: PathBuf,
    pub found: Verification,
}

/// A log in a directory.
#[derive(Debug)]
pub(super) struct Directory<'d>(pub(super) &'d Path);

impl LogSource for Directory<'_> {
    fn read(&self, path: &str, max: usize) -> std::io::Result<Option<Vec<u8>>> {
        read_beginning(&self.0.join(path), max)
    }
}

/// Checks the log.
///
/// # Errors
/// [`RunError`] where a file or the key cannot be read; a log that was tampered with is an outcome, see
/// [`VerifyOutcome::is_sound`].
pub fn run(args: &VerifyArgs) -> Result<VerifyOutcome, RunError> {
    if !args.dir.is_dir() {
        return Err(RunError::NoLog(args.dir.clone()));
    }
    let key = read_key(&args.key)?;
    let kept = args.checkpoint.as_deref().map(|path| read_file(path, MAX_NOTE)).transpose()?;
    let found = verify(&Directory(&args.dir), &key, kept.as_deref())?;
    Ok(VerifyOutcome { dir: args.dir.clone(), found })
}

fn read_file(path: &Path, max: usize) -> Result<Vec<u8>, RunError> {
    let missing = || Err(std::io::Error::from(std::io::ErrorKind::NotFound));
    let read = read_bounded(path, max).and_then(|bytes| bytes.map_or_else(missing, Ok));
    read.map_err(|source| RunError::Unreadable { path: path.to_owned(), source })
}

/// The key that `text` is, or that the file of this name holds.
pub(crate) fn read_key(text: &str) -> Result<VerifyingKey, RunError> {
    let path = Path::new(text);
    let parsed = text.parse::<VerifyingKey>();
    if parsed.is_ok() || !path.is_file() {
        return parsed.map_err(|source| RunError::Key { text: text.to_owned(), source });
    }
    let bytes = read_file(path, 4096)?;
    let inside = String::from_utf8_lossy(&bytes);
    inside.trim_end().parse().map_err(|source| RunError::Key { text: text.to_owned(), source })
}

impl VerifyOutcome {
    /// Whether everything signed is as it was signed, and no record is known to be missing.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.found.is_sound()
    }

    /// One object; `firstBad` is null where nothing is wrong.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let found = &self.found;
        let bad = found.bad.as_ref().map(|bad| {
            json!({"index": bad.index, "file": bad.file, "what": bad.what.as_str(), "message": bad.what.to_string()})
        });
        let gaps = found.gaps.iter().map(|gap| {
            json!({"connection": gap.connection, "sequence": gap.sequence, "index": gap.index,
                   "repeated": gap.repeated, "certain": gap.certain})
        });
        let proven_to = match found.freshness {
            Freshness::Unproven => None,
            Freshness::ProvenTo(size) => Some(size),
        };
        json!({
            "dir": self.dir.display().to_string(),
            "origin": found.origin,
            "verified": self.is_sound(),
            "firstBad": bad,
            "entries": found.covered,
            "entriesWithoutCheckpoint": found.uncovered,
            "tornBytes": found.torn_bytes,
            "freshness": if proven_to.is_some() { "proven" } else { "unproven" },
            "freshnessProvenTo": proven_to,
            "gaps": gaps.collect::<Vec<_>>(),
            "gapCount": found.gap_count,
            "connectionsNotFollowed": found.connections_not_followed,
        })
    }
}

impl fmt::Display for VerifyOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = &self.found;
        match &found.bad {
            Some(bad) => writeln!(f, "TAMPERED: {bad}")?,
            None if !self.is_sound() => {
                writeln!(f, "INCOMPLETE: every entry is as it was signed, but records are missing")?
            }
            None => writeln!(f, "verified: {} entries of {} are as they were signed", found.covered, found.origin)?,
        }
        if found.bad.is_none() && found.uncovered > 0 {
            writeln!(f, "{} entries not yet under a checkpoint; they are verified against nothing", found.uncovered)?;
        }
        if found.torn_bytes > 0 {
            writeln!(f, "{} bytes of an unfinished record at the end, as a crash leaves them", found.torn_bytes)?;
        }
        for gap in &found.gaps {
            let what = match (gap.repeated, gap.certain) {
                (true, _) => "was used twice",
                (false, true) => "has no record",
                (false, false) => "has no record; it may have been on its way when the process ended",
            };
            writeln!(f, "connection {} sequence {} {what}, seen at entry {}", gap.connection, gap.sequence, gap.index)?;
        }
        if found.connections_not_followed > 0 {
            writeln!(f, "{} connections were too many to follow for omissions", found.connections_not_followed)?;
        }
        match found.freshness {
            _ if found.bad.is_some() => Ok(()),
            Freshness::ProvenTo(size) => {
                writeln!(f, "freshness proven to entry {size}: the log extends the kept checkpoint")
            }
            Freshness::Unproven => writeln!(
                f,
                "freshness unproven: a directory cannot show that it is the latest; keep checkpoints elsewhere and give one \
                 with --checkpoint"
            ),
        }
    }
}
