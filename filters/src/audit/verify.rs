//! Checks a log from its files and a public key, and names the first entry that is not what was signed.
//!
//! Three columns must tell the same story for every entry: the records with their salts, the entry bundles, and the level-0 tiles.
//! Whichever of them hashes to the signed root is true; where another differs from it first, that is the first bad entry. What a
//! directory cannot prove about itself is that it is the latest: that takes a checkpoint kept elsewhere.

mod columns;
mod diagnose;
mod reading;
mod records;
mod sequence;
mod upper;

use std::fmt;

use super::checkpoint::{Checkpoint, CheckpointError};
use super::note::{MAX_NOTE, NoteError, VerifyingKey};
use super::tiles::CHECKPOINT;
use columns::Columns;
pub use reading::{LogRead, Standing, read_log};
pub use sequence::Gap;

/// Reads files of a log by their path relative to its directory.
pub trait LogSource {
    /// The file's bytes, or `None` where there is no such file. Of a file longer than `max` bytes, its first `max + 1`: too long
    /// is wrong, not unreadable.
    ///
    /// # Errors
    /// Where it cannot be read.
    fn read(&self, path: &str, max: usize) -> std::io::Result<Option<Vec<u8>>>;
}

/// Why a log could not be checked at all; says nothing about the log.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    #[error("`{path}` of the log cannot be read")]
    Unreadable { path: String, source: std::io::Error },
    #[error("the kept checkpoint is not one of this log: {0}")]
    Kept(#[source] CheckpointError),
}

/// What is wrong with an entry or a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tampering {
    /// The record is not the one that was signed.
    Edited,
    /// The record stands where another belongs; its own place is `belongs`.
    Reordered { belongs: u64 },
    /// `count` records are missing from here.
    Removed { count: u64 },
    /// The record is there a second time.
    Duplicated { of: u64 },
    /// The tree has no leaf for the record.
    RecordWithoutLeaf,
    /// The log ends after `records` records, though `covered` were signed.
    Shortened { records: u64, covered: u64 },
    /// A line under no checkpoint is not a record, or not the next one.
    NotARecord,
    /// The entry bundle does not hold what was signed.
    EntryWrong,
    /// The tile does not hold what was signed.
    TileWrong,
    /// A file that the log needs is not there.
    FileMissing,
    /// There is a checkpoint, but not of the key, or not whole.
    CheckpointNotBelieved(CheckpointError),
    /// Records, entries and tiles agree with each other, but not with the signed root: all were rewritten.
    RootWrong,
    /// An older checkpoint was put in the place of a later one of `kept` entries.
    CheckpointReplaced { kept: u64 },
    /// The first `kept` entries are not those of the kept checkpoint: history was rewritten and signed again.
    DoesNotExtend { kept: u64 },
}

/// The first bad entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadEntry {
    /// Position in the log; `None` where the files cannot tell.
    pub index: Option<u64>,
    /// Relative to the log's directory.
    pub file: String,
    pub what: Tampering,
}

/// Whether the log is shown to be the latest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// No checkpoint from elsewhere was given.
    Unproven,
    /// The log has every entry that the kept checkpoint covers; it could still have lost later ones.
    ProvenTo(u64),
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    pub origin: String,
    /// Entries under the log's checkpoint.
    pub covered: u64,
    /// Whole records after it, verified against nothing.
    pub uncovered: u64,
    /// Bytes of an unfinished last record, as a crash leaves them.
    pub torn_bytes: u64,
    pub freshness: Freshness,
    pub bad: Option<BadEntry>,
    /// Sequence numbers that are missing or repeated; the first hundred of `gap_count`.
    pub gaps: Vec<Gap>,
    pub gap_count: u64,
    /// Connections whose sequence was not followed because there were too many at once.
    pub connections_not_followed: u64,
}

impl Verification {
    /// Whether nothing signed was changed, and no record is missing from a run that ended in order.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.bad.is_none() && !self.gaps.iter().any(|gap| gap.certain)
    }

    fn of(origin: &str) -> Self {
        Self {
            origin: origin.to_owned(),
            covered: 0,
            uncovered: 0,
            torn_bytes: 0,
            freshness: Freshness::Unproven,
            bad: None,
            gaps: Vec::new(),
            gap_count: 0,
            connections_not_followed: 0,
        }
    }
}

/// Checks the log in `source`, signed by `key`, whose name is the log's origin. `kept` is a checkpoint of the same log that was
/// kept elsewhere: the log must extend it.
///
/// # Errors
/// [`VerifyError`] where a file cannot be read, or `kept` is not a checkpoint of this log. What is wrong with the log itself is
/// in [`Verification::bad`].
pub fn verify(source: &dyn LogSource, key: &VerifyingKey, kept: Option<&[u8]>) -> Result<Verification, VerifyError> {
    let origin = key.name();
    let open = |note: &[u8]| Checkpoint::open(note, key, origin);
    let kept = kept.map(open).transpose().map_err(VerifyError::Kept)?;
    let mut report = Verification::of(origin);
    let at_checkpoint = |what| Some(BadEntry { index: None, file: CHECKPOINT.to_owned(), what });
    let Some(note) = read(source, CHECKPOINT, MAX_NOTE)? else {
        report.bad = at_checkpoint(Tampering::FileMissing);
        return Ok(report);
    };
    let head = match open(&note) {
        Ok(head) => head,
        Err(error) => {
            report.bad = at_checkpoint(Tampering::CheckpointNotBelieved(error));
            return Ok(report);
        }
    };
    let columns = Columns::walk(source, head.size, kept.as_ref().map(|kept| kept.size))?;
    report.covered = head.size;
    report.uncovered = columns.records_total.saturating_sub(head.size);
    report.torn_bytes = columns.torn_bytes;
    report.bad = diagnose::first_bad(source, &columns, &head)?;
    if let Some(kept) = &kept {
        judge_kept(&mut report, &columns, &head, kept);
    }
    let sequences = columns.sequences.finish();
    (report.gaps, report.gap_count) = (sequences.gaps, sequences.count);
    report.connections_not_followed = sequences.not_followed;
    Ok(report)
}

/// Compares the log with a checkpoint kept elsewhere.
fn judge_kept(report: &mut Verification, columns: &Columns, head: &Checkpoint, kept: &Checkpoint) {
    if report.bad.is_some() {
        return;
    }
    let bad = |index, file: &str, what| Some(BadEntry { index, file: file.to_owned(), what });
    if kept.size > columns.records_total {
        let what = Tampering::Shortened { records: columns.records_total, covered: kept.size };
        report.bad = bad(Some(columns.records_total), &columns.last_file, what);
    } else if columns.kept_root != Some(kept.root) {
        report.bad = bad(None, CHECKPOINT, Tampering::DoesNotExtend { kept: kept.size });
    } else if kept.size > head.size {
        report.bad = bad(Some(head.size), CHECKPOINT, Tampering::CheckpointReplaced { kept: kept.size });
    } else {
        report.freshness = Freshness::ProvenTo(kept.size);
    }
}

fn read(source: &dyn LogSource, path: &str, max: usize) -> Result<Option<Vec<u8>>, VerifyError> {
    source.read(path, max).map_err(|source| VerifyError::Unreadable { path: path.to_owned(), source })
}

impl fmt::Display for Tampering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Edited => write!(f, "edited: the record is not the one that was signed"),
            Self::Reordered { belongs } => write!(f, "reordered: the record belongs at {belongs}"),
            Self::Removed { count } => write!(f, "removed: {count} records are missing from here"),
            Self::Duplicated { of } => write!(f, "duplicated: the record is entry {of} again"),
            Self::RecordWithoutLeaf => write!(f, "inserted: the tree has no leaf for the record"),
            Self::Shortened { records, covered } => {
                write!(f, "shortened: the log ends after {records} records, {covered} were signed")
            }
            Self::NotARecord => write!(f, "not the next record, and under no checkpoint"),
            Self::EntryWrong => write!(f, "the entry bundle does not hold what was signed"),
            Self::TileWrong => write!(f, "the tile does not hold what was signed"),
            Self::FileMissing => write!(f, "the file is missing"),
            Self::CheckpointNotBelieved(CheckpointError::Note(NoteError::Unsigned)) => {
                write!(f, "the checkpoint is not signed by the key")
            }
            Self::CheckpointNotBelieved(error) => write!(f, "the checkpoint is not believed: {error}"),
            Self::RootWrong => write!(f, "records, entries and tiles were rewritten together: not what was signed"),
            Self::CheckpointReplaced { kept } => {
                write!(f, "the checkpoint is older than the kept one of {kept} entries")
            }
            Self::DoesNotExtend { kept } => write!(f, "the log does not extend the kept checkpoint of {kept} entries"),
        }
    }
}

impl Tampering {
    /// One word for machines.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Edited => "edited",
            Self::Reordered { .. } => "reordered",
            Self::Removed { .. } => "removed",
            Self::Duplicated { .. } => "duplicated",
            Self::RecordWithoutLeaf => "record_without_leaf",
            Self::Shortened { .. } => "shortened",
            Self::NotARecord => "not_a_record",
            Self::EntryWrong => "entry_wrong",
            Self::TileWrong => "tile_wrong",
            Self::FileMissing => "file_missing",
            Self::CheckpointNotBelieved(CheckpointError::Note(NoteError::Unsigned)) => "checkpoint_unsigned",
            Self::CheckpointNotBelieved(CheckpointError::Note(NoteError::Forged)) => "checkpoint_forged",
            Self::CheckpointNotBelieved(_) => "checkpoint_malformed",
            Self::RootWrong => "root_wrong",
            Self::CheckpointReplaced { .. } => "checkpoint_replaced",
            Self::DoesNotExtend { .. } => "does_not_extend",
        }
    }
}

impl fmt::Display for BadEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            Some(index) => write!(f, "entry {index} in {}: {}", self.file, self.what),
            None => write!(f, "{}: {}", self.file, self.what),
        }
    }
}

#[cfg(test)]
mod tests;
