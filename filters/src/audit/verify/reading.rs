//! Reads the records of a log once, in order, and says on the way whether they are what was signed.
//!
//! For whoever wants to know what stands in a log: it reads the same bytes that it hashes, so that nothing can change between
//! being checked and being believed. [`super::verify`] says more about a log that is not whole.

use super::records::{Records, Step};
use super::sequence::Sequences;
use super::{BadEntry, Gap, LogSource, Tampering, VerifyError, read, verify};
use crate::audit::checkpoint::Checkpoint;
use crate::audit::leaf::Line;
use crate::audit::merkle::CompactRange;
use crate::audit::note::{MAX_NOTE, VerifyingKey};
use crate::audit::tiles::CHECKPOINT;

/// How far the records of a log are to be believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Those before `size` are the ones that were signed; later ones are under no checkpoint yet.
    Signed { origin: String, size: u64 },
    /// No key was given, so nothing was checked.
    Unchecked,
    /// They are not what was signed.
    Bad(BadEntry),
}

/// What came of reading a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRead {
    pub standing: Standing,
    /// Records that were read.
    pub records: u64,
    /// Lines that are no records.
    pub unreadable: u64,
    /// Sequence numbers that are missing or repeated; the first hundred of `gap_count`.
    pub gaps: Vec<Gap>,
    pub gap_count: u64,
    /// Connections whose sequence was not followed because there were too many at once.
    pub connections_not_followed: u64,
}

impl LogRead {
    /// Whether the record at `index` is shown to be what was signed.
    #[must_use]
    pub fn is_signed(&self, index: u64) -> bool {
        matches!(self.standing, Standing::Signed { size, .. } if index < size)
    }
}

/// Hands every record to `each`, with its place in the log. Without a key nothing is checked.
///
/// # Errors
/// [`VerifyError`] where a file cannot be read. What is wrong with the log itself is in [`LogRead::standing`].
pub fn read_log(
    source: &dyn LogSource,
    key: Option<&VerifyingKey>,
    each: &mut dyn FnMut(u64, &[u8]),
) -> Result<LogRead, VerifyError> {
    // Before the records, so that those it covers are there.
    let head = key.map(|key| head(source, key)).transpose()?;
    let covered = head.as_ref().and_then(|head| head.as_ref().ok()).map_or(0, |head| head.size);
    let mut records = Records::open(source)?;
    let (mut sequences, mut range, mut root) = (Sequences::default(), CompactRange::new(), None);
    let (mut at, mut count, mut unreadable) = (0u64, 0u64, 0u64);
    loop {
        if at == covered {
            root = Some(range.root());
        }
        let Step::Line(line) = records.step()? else { break };
        match Line::parse(line).filter(|line| line.index == at) {
            Some(line) => {
                range.push(line.commitment().leaf());
                sequences.observe(at, line.record);
                each(at, line.record);
                count = count.saturating_add(1);
            }
            None => {
                unreadable = unreadable.saturating_add(1);
                // Whatever comes is not the tree that was signed.
                range.push([0; 32]);
            }
        }
        at = at.saturating_add(1);
    }
    let standing = match (key, head) {
        (Some(key), Some(Ok(head))) if root != Some(head.root) => Standing::Bad(first_bad(source, key)?),
        (_, Some(Ok(head))) => Standing::Signed { origin: head.origin, size: head.size },
        (_, Some(Err(bad))) => Standing::Bad(bad),
        (_, None) => Standing::Unchecked,
    };
    let found = sequences.finish();
    Ok(LogRead {
        standing,
        records: count,
        unreadable,
        gaps: found.gaps,
        gap_count: found.count,
        connections_not_followed: found.not_followed,
    })
}

/// The signed head, or what is wrong with it.
fn head(source: &dyn LogSource, key: &VerifyingKey) -> Result<Result<Checkpoint, BadEntry>, VerifyError> {
    let bad = |what| BadEntry { index: None, file: CHECKPOINT.to_owned(), what };
    let Some(note) = read(source, CHECKPOINT, MAX_NOTE)? else { return Ok(Err(bad(Tampering::FileMissing))) };
    Ok(Checkpoint::open(&note, key, key.name()).map_err(|error| bad(Tampering::CheckpointNotBelieved(error))))
}

/// Which entry is the first that differs. One was seen, so there is one.
fn first_bad(source: &dyn LogSource, key: &VerifyingKey) -> Result<BadEntry, VerifyError> {
    let found = verify(source, key, None)?.bad;
    Ok(found.unwrap_or_else(|| BadEntry { index: None, file: CHECKPOINT.to_owned(), what: Tampering::RootWrong }))
}
