//! The writer of a process that handed its log over: what is still to be recorded goes to the process that follows, which
//! says when it is on disk.

use std::collections::HashSet;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use postern_filters::audit::Redaction;
use postern_filters::audit::leaf::{Line, MAX_LINE, SEGMENT, records_path};
use tokio::sync::oneshot;

use super::disk::read_bounded;
use super::entry::Entry;
use super::queue::Queue;
use crate::handover::{FrameError, Released, Tag, expect, write};

/// Records after which the other side says how far it is.
const BATCH: usize = 256;
/// Time for the other side to open the log and to begin.
const BEGIN: Duration = Duration::from_secs(30);
/// Time for the other side to put a batch on disk. Its disk may be slow; nothing is given up before this.
const SYNC: Duration = Duration::from_secs(60);

/// The process that takes the log over.
#[derive(Debug)]
pub(crate) struct Successor {
    pub(crate) stream: UnixStream,
    pub(crate) released: Released,
    /// Hears whether it did.
    pub(crate) told: oneshot::Sender<Result<(), String>>,
}

/// How serving through a successor ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// The queue is closed and everything is on disk.
    Closed,
    /// The successor is no more, and these are not known to be on disk.
    Gone(Vec<Entry>),
    /// It never began. This hears so once the log is back.
    Refused(oneshot::Sender<Result<(), String>>, String),
}

/// Hands the log over, which nobody holds at this moment, and then every record that comes.
pub(super) fn serve(successor: Successor, queue: &Queue, redaction: &Redaction, linger: Duration) -> Ended {
    let Successor { mut stream, released, told } = successor;
    match begin(&mut stream, &released) {
        Ok(()) => drop(told.send(Ok(()))),
        Err(error) => return Ended::Refused(told, error.to_string()),
    }
    loop {
        let taken = queue.take(linger, Instant::now() + Duration::from_secs(1));
        let mut entries = taken.entries;
        while !entries.is_empty() {
            let count = entries.len().min(BATCH);
            let batch = entries.get(..count).unwrap_or_default();
            if let Err(error) = send(&mut stream, batch, redaction) {
                tracing::error!("error.type" = "audit_log", %error, "the process that took over is gone");
                return Ended::Gone(entries);
            }
            entries.drain(..count);
            queue.note_durable(u64::try_from(count).unwrap_or(u64::MAX), None);
        }
        if taken.closing {
            return Ended::Closed;
        }
    }
}

/// Those of `entries` that are not in the log in `dir`: what was sent last may be there though nobody said so.
pub(super) fn unwritten(dir: &Path, entries: Vec<Entry>, redaction: &Redaction) -> std::io::Result<Vec<Entry>> {
    let mut sent: HashSet<Vec<u8>> =
        entries.iter().take(BATCH).map(|entry| entry.line(redaction).into_owned()).collect();
    let count = (0..).find(|number| !dir.join(records_path(*number)).exists()).unwrap_or(0);
    // So few lines are in the last file, or in the one before where it is new.
    for number in count.saturating_sub(2)..count {
        let bytes = read_bounded(&dir.join(records_path(number)), SEGMENT + MAX_LINE)?.unwrap_or_default();
        for line in bytes.split(|byte| *byte == b'\n') {
            if let Some(line) = Line::parse(line) {
                sent.remove(line.record);
            }
        }
    }
    let mut left = entries;
    let mut place = 0;
    left.retain(|entry| {
        place += 1;
        place > BATCH || sent.contains(entry.line(redaction).as_ref())
    });
    Ok(left)
}

fn begin(stream: &mut UnixStream, released: &Released) -> Result<(), FrameError> {
    stream.set_read_timeout(Some(BEGIN))?;
    write(stream, Tag::Released, &serde_json::to_vec(released)?)?;
    expect(stream, Tag::Taken)?;
    stream.set_read_timeout(Some(SYNC))?;
    stream.set_write_timeout(Some(SYNC))?;
    Ok(())
}

fn send(stream: &mut UnixStream, batch: &[Entry], redaction: &Redaction) -> Result<(), FrameError> {
    for entry in batch {
        write(stream, Tag::Record, &entry.line(redaction))?;
    }
    write(stream, Tag::Sync, &[])?;
    expect(stream, Tag::Synced).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_the_log_is_not_written_again() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("records")).unwrap();
        let redaction = Redaction::compile::<&str>(&[]).unwrap();
        let record = |number: usize| format!("{{\"n\":{number}}}").into_bytes();
        let write = |file, numbers: std::ops::Range<usize>| {
            let mut bytes = Vec::new();
            for number in numbers {
                Line { index: 0, salt: [0; 32], record: &record(number) }.write(&mut bytes);
            }
            std::fs::write(dir.path().join(records_path(file)), bytes).unwrap();
        };
        write(0, 0..3);
        write(1, 3..5);
        write(2, 5..7);
        let left = |numbers: std::ops::Range<usize>| {
            let entries = numbers.map(|number| Entry::Foreign(record(number))).collect();
            let left = unwritten(dir.path(), entries, &redaction).unwrap();
            left.iter().map(|entry| entry.line(&redaction).into_owned()).collect::<Vec<_>>()
        };
        assert_eq!(left(4..9), [record(7), record(8)]);
        assert_eq!(left(20..20), Vec::<Vec<u8>>::new());
        assert_eq!(left(4..4 + BATCH + 2).len(), BATCH + 2 - 3);
        assert_eq!(left(7..7 + BATCH).len(), BATCH);
    }
}
