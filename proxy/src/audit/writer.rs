//! The log as the rest of the process sees it: records are handed in, and one thread of its own writes them.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use postern_config::AuditLog;
use postern_filters::audit::leaf::SEGMENT;
use postern_filters::audit::note::SigningKey;
use postern_filters::audit::{AuditRecord, Redaction};

use super::entry::{Entry, is_line};
use super::pages::{self, Desk};
use super::queue::Queue;
use super::successor::Successor;
use super::{AuditFull, OpenError, Place, Receipt, Status, UnixMillis};

/// Bounds of the log's memory and files.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Records that may wait; refusals of the anonymous may be at most half of them.
    pub records: usize,
    /// Bytes that waiting records may take, shared likewise.
    pub bytes: usize,
    /// A records file is left before it grows past this many bytes; at most [`SEGMENT`].
    pub segment: usize,
    /// How long the writer lingers for more records when nobody waits for durability.
    pub linger: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { records: 65_536, bytes: 64 << 20, segment: SEGMENT, linger: Duration::from_millis(2) }
    }
}

/// Pause before a line that found no room is handed in again.
const AGAIN: Duration = Duration::from_millis(50);

/// The log of the process. Dropping it closes it.
#[derive(Debug)]
pub struct AuditWriter {
    queue: Arc<Queue>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl AuditWriter {
    /// Opens or makes the log and starts its writer. What a crash left unfinished is dropped, and a record says so.
    ///
    /// # Errors
    /// [`OpenError`]: the directory cannot be used or is used by another process, or the log in it contradicts its checkpoint.
    pub fn open(settings: &AuditLog, key: SigningKey, clock: UnixMillis) -> Result<Self, OpenError> {
        Self::open_with(settings, key, clock, Limits::default())
    }

    /// As [`AuditWriter::open`], for a process that took over from another one, which may have records to come.
    ///
    /// # Errors
    /// As [`AuditWriter::open`].
    pub(crate) fn go_on(settings: &AuditLog, key: SigningKey, clock: UnixMillis) -> Result<Self, OpenError> {
        Self::begin(settings, key, clock, Limits::default(), true)
    }

    /// As [`AuditWriter::open`], within `limits`.
    ///
    /// # Errors
    /// As [`AuditWriter::open`].
    pub fn open_with(
        settings: &AuditLog,
        key: SigningKey,
        clock: UnixMillis,
        limits: Limits,
    ) -> Result<Self, OpenError> {
        Self::begin(settings, key, clock, limits, false)
    }

    fn begin(
        settings: &AuditLog,
        key: SigningKey,
        clock: UnixMillis,
        limits: Limits,
        continued: bool,
    ) -> Result<Self, OpenError> {
        let limits = Limits { segment: limits.segment.min(SEGMENT), ..limits };
        let redaction = Redaction::compile(&settings.redact)?;
        let queue = Arc::new(Queue::new(limits));
        let desk = Desk { queue: Arc::clone(&queue), settings: settings.clone(), key, clock, redaction, limits };
        let writer = desk.open(continued)?;
        let thread = std::thread::Builder::new().name("audit-log".to_owned());
        let thread = thread.spawn(move || pages::run(writer)).map_err(OpenError::Thread)?;
        Ok(Self { queue, thread: Mutex::new(Some(thread)) })
    }

    /// Keeps room for the record of something that is about to be done.
    ///
    /// # Errors
    /// [`AuditFull`]: there is none, and it must not be done.
    pub fn reserve(&self) -> Result<Place, AuditFull> {
        self.queue.reserve()
    }

    /// Hands a record over. Never blocks on the disk.
    ///
    /// # Errors
    /// [`AuditFull`]: the record was not taken, and what it is about must not happen.
    pub fn submit(&self, record: AuditRecord) -> Result<Receipt, AuditFull> {
        self.queue.submit(record)
    }

    /// Hands over a record that another process wrote, which handed its log over to this one. Blocks while there is no room.
    ///
    /// # Errors
    /// No record at all, or a log that is closed.
    pub(crate) fn submit_line(&self, line: &[u8]) -> std::io::Result<Receipt> {
        if !is_line(line) {
            return Err(std::io::Error::other("something that is no record"));
        }
        loop {
            match self.queue.submit(Entry::Foreign(line.to_vec())) {
                Ok(receipt) => return Ok(receipt),
                Err(AuditFull::Closed) => return Err(std::io::Error::other(AuditFull::Closed)),
                Err(AuditFull::Full | AuditFull::AnonymousShare | AuditFull::Failed) => self.queue.pause(AGAIN),
            };
        }
    }

    /// Waits until a record is on disk, however long that takes.
    ///
    /// # Errors
    /// The log is closed, and it is not.
    pub(crate) async fn settled(&self, receipt: Receipt) -> std::io::Result<()> {
        while receipt.durable().await.is_err() {
            if self.queue.is_gone() {
                return Err(std::io::Error::other(AuditFull::Closed));
            }
            tokio::time::sleep(AGAIN).await;
        }
        Ok(())
    }

    /// Ends the log once all that waits is written, and has `successor` go on with it.
    pub(crate) fn hand_over(&self, successor: Successor) {
        self.queue.hand_over(successor);
    }

    /// Does not hand the log over after all. False where that has begun.
    pub(crate) fn withdraw(&self) -> bool {
        self.queue.withdraw().is_some()
    }

    #[must_use]
    pub fn status(&self) -> Status {
        self.queue.status()
    }

    /// Writes what waits and a last checkpoint, and stops. Blocks; later calls do nothing. With `failed` set in the
    /// status, not everything that was taken could be written.
    pub fn close(&self) -> Status {
        self.queue.close();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            self.queue.note_failure(Some("the writer panicked".to_owned()));
        }
        self.status()
    }
}

impl Drop for AuditWriter {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests;
