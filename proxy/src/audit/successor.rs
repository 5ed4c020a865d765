//! The writer of a process that handed its log over: what is still to be recorded goes to the process that follows, which
//! says when it is on disk.

use std::collections::HashSet;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use postern_filters::audit::Redaction;
use postern_filters::audit::leaf::{Line, MAX_LINE, SEGMENT, records_path};
use tokio::sync::mpsc;

use super::disk::read_bounded;
use super::entry::Entry;
use super::queue::Queue;
use crate::handover::{FrameError, Released, Tag, expect, write};

/// Records after which the other side says how far it is.
const BATCH: usize = 256;
/// Time for the other side to open the log and to begin.
const BEGIN: Duration = Duration::from_secs(30);
/// Time for the other side to take a batch, and to put it on disk, before that counts as a failure.
const SYNC: Duration = Duration::from_secs(60);

/// The process that takes the log over.
#[derive(Debug)]
pub(crate) struct Successor {
    pub(crate) stream: UnixStream,
    pub(crate) released: Released,
    /// Hears how it goes.
    pub(crate) told: mpsc::Sender<Word>,
}

/// What is told of a successor, in this order; at most two words.
#[derive(Debug)]
pub(crate) enum Word {
    /// It has the log.
    Began,
    /// It does not, for this reason; the log is back.
    Refused(String),
    /// It is no more, and the log is back.
    Back,
}

/// How serving through a successor ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// The queue is closed and everything is on disk.
    Closed,
    /// Once the log is back, this word is due, and these are to be written: they are not known to be on disk.
    Gone { left: Vec<Entry>, told: mpsc::Sender<Word>, word: Word },
}

/// Hands the log over, which nobody holds at this moment, and then every record that comes.
pub(super) fn serve(successor: Successor, queue: &Arc<Queue>, redaction: &Redaction, linger: Duration) -> Ended {
    let Successor { stream, released, told } = successor;
    let mut link = match Link::begin(stream, &released, queue) {
        Ok(link) => link,
        Err(error) => return Ended::Gone { left: Vec::new(), told, word: Word::Refused(error.to_string()) },
    };
    // There is room for both words.
    drop(told.try_send(Word::Began));
    loop {
        let taken = queue.take(linger, Instant::now() + BEGIN);
        let mut entries = taken.entries;
        while !entries.is_empty() {
            let count = entries.len().min(BATCH);
            let batch = entries.get(..count).unwrap_or_default();
            if let Err(error) = link.send(batch, redaction, queue) {
                tracing::error!("error.type" = "audit_log", %error, "the process that took over is gone");
                return Ended::Gone { left: entries, told, word: Word::Back };
            }
            entries.drain(..count);
            queue.note_durable(u64::try_from(count).unwrap_or(u64::MAX), None);
        }
        if taken.closing {
            return Ended::Closed;
        }
        if link.is_gone() {
            tracing::error!("error.type" = "audit_log", "the process that took over is gone");
            return Ended::Gone { left: Vec::new(), told, word: Word::Back };
        }
    }
}

/// The way to the successor. Its end is seen at once, also while there is nothing to send: whoever starts next must find the
/// log taken up again.
struct Link {
    stream: UnixStream,
    synced: Receiver<()>,
    gone: Arc<AtomicBool>,
}

impl Link {
    fn begin(mut stream: UnixStream, released: &Released, queue: &Arc<Queue>) -> Result<Self, FrameError> {
        stream.set_read_timeout(Some(BEGIN))?;
        write(&mut stream, Tag::Released, &serde_json::to_vec(released)?)?;
        expect(&mut stream, Tag::Taken)?;
        stream.set_read_timeout(None)?;
        stream.set_write_timeout(Some(SYNC))?;
        let (mut reading, queue) = (stream.try_clone()?, Arc::clone(queue));
        let (tell, synced) = channel();
        let gone = Arc::<AtomicBool>::default();
        let ended = Arc::clone(&gone);
        std::thread::Builder::new().name("successor".to_owned()).spawn(move || {
            while expect(&mut reading, Tag::Synced).is_ok() && tell.send(()).is_ok() {}
            ended.store(true, Ordering::Release);
            queue.wake();
        })?;
        // From here on it serves, and not before.
        write(&mut stream, Tag::Given, &[])?;
        Ok(Self { stream, synced, gone })
    }

    fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// Sends records, and waits until they are on disk.
    fn send(&mut self, batch: &[Entry], redaction: &Redaction, queue: &Queue) -> Result<(), FrameError> {
        for entry in batch {
            write(&mut self.stream, Tag::Record, &entry.line(redaction))?;
        }
        write(&mut self.stream, Tag::Sync, &[])?;
        let mut late = false;
        loop {
            match self.synced.recv_timeout(SYNC) {
                Ok(()) => break,
                Err(RecvTimeoutError::Timeout) if !queue.is_closing() => {
                    late = true;
                    queue.note_failure(Some("the process that took over does not write".to_owned()));
                }
                Err(_) => return Err(FrameError::Io(std::io::ErrorKind::BrokenPipe.into())),
            }
        }
        if late {
            queue.note_failure(None);
        }
        Ok(())
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // Ends the thread that reads, and tells the other side.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// For each of `entries`, whether it is missing in the log in `dir`: what was sent last may be there though nobody said so.
pub(super) fn unwritten(dir: &Path, entries: &[Entry], redaction: &Redaction) -> std::io::Result<Vec<bool>> {
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
    let missing = |(place, entry): (usize, &Entry)| place >= BATCH || sent.contains(entry.line(redaction).as_ref());
    Ok(entries.iter().enumerate().map(missing).collect())
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
            let entries: Vec<_> = numbers.map(|number| Entry::Foreign(record(number))).collect();
            let missing = unwritten(dir.path(), &entries, &redaction).unwrap();
            let left = entries.iter().zip(missing).filter(|(_, missing)| *missing);
            left.map(|(entry, _)| entry.line(&redaction).into_owned()).collect::<Vec<_>>()
        };
        assert_eq!(left(4..9), [record(7), record(8)]);
        assert_eq!(left(20..20), Vec::<Vec<u8>>::new());
        assert_eq!(left(4..4 + BATCH + 2).len(), BATCH + 2 - 3);
        assert_eq!(left(7..7 + BATCH).len(), BATCH);
    }
}
