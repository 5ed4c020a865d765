//! One thread writes the log: records in groups, then tiles, and a signed checkpoint every interval and at the end.
//!
//! Records are written ahead of everything else and are what a receipt waits for; bundles and tiles follow from them and have to
//! be on disk before a checkpoint names them. While nothing can be written nothing is accepted, so the proxy refuses.

use std::fs::File;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use postern_config::AuditLog;
use postern_filters::audit::checkpoint::Checkpoint;
use postern_filters::audit::leaf::{Commitment, Line, SEGMENT};
use postern_filters::audit::note::SigningKey;
use postern_filters::audit::tiles::{CHECKPOINT, TileFile, TileTree};
use postern_filters::audit::{AuditRecord, Event, LifecycleEvent, Redaction};
use uuid::{NoContext, Timestamp, Uuid};

use super::disk::{Segment, TileStore, write_atomically};
use super::queue::Queue;
use super::recover::recover;
use super::{AuditFull, OpenError, Place, Receipt, Status, UnixMillis, key};

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

/// Bytes after which a group is closed and written with one sync; more become the next group.
const GROUP: usize = 4 << 20;
const FIRST_RETRY: Duration = Duration::from_millis(50);
const LAST_RETRY: Duration = Duration::from_secs(5);
/// Attempts on closing, with growing pauses that take a little over a second.
const CLOSING_TRIES: u32 = 5;

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
        let limits = Limits { segment: limits.segment.min(SEGMENT), ..limits };
        let redaction = Redaction::compile(&settings.redact)?;
        let recovered = recover(&settings.dir, key.verifying_key())?;
        let queue = Arc::new(Queue::new(limits));
        let mut writer = Writer {
            queue: Arc::clone(&queue),
            tiles: TileStore::new(&settings.dir),
            tree: recovered.tree,
            segment: recovered.segment,
            full: recovered.full,
            covered: recovered.covered,
            _lock: recovered.lock,
            settings: settings.clone(),
            key,
            clock,
            redaction,
            limits,
        };
        writer.begin(recovered.torn_bytes).map_err(|source| OpenError::Io { path: settings.dir.clone(), source })?;
        let thread = std::thread::Builder::new().name("audit-log".to_owned());
        let thread = thread.spawn(move || writer.run()).map_err(OpenError::Thread)?;
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

/// Lets nobody wait for a writer that is gone, even by a panic.
struct Gone(Arc<Queue>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

struct Writer {
    queue: Arc<Queue>,
    tiles: TileStore,
    tree: TileTree,
    segment: Segment,
    /// Full tiles that are not written yet.
    full: Vec<TileFile>,
    covered: Option<u64>,
    _lock: File,
    settings: AuditLog,
    key: SigningKey,
    clock: UnixMillis,
    redaction: Redaction,
    limits: Limits,
}

/// Records as they will be on disk.
struct Group {
    lines: Vec<u8>,
    commitments: Vec<Commitment>,
}

impl Writer {
    /// Signs the empty head of a new log, so that no log is ever without a checkpoint; records that the log was opened.
    fn begin(&mut self, torn_bytes: u64) -> std::io::Result<()> {
        key::publish(&self.settings.dir, &self.key)?;
        if self.covered.is_none() {
            self.checkpoint()?;
        }
        let opened = LifecycleEvent::LogOpened { size: self.tree.size(), torn_bytes };
        let group = self.format(&[self.lifecycle(opened)])?;
        self.append(&group)?;
        self.checkpoint()?;
        self.queue.note_durable(0, self.tree.size());
        Ok(())
    }

    fn lifecycle(&self, event: LifecycleEvent) -> AuditRecord {
        let time_ms = (self.clock)();
        let nanos = u32::try_from(time_ms % 1000).unwrap_or(0).saturating_mul(1_000_000);
        AuditRecord {
            id: Uuid::new_v7(Timestamp::from_unix(NoContext, time_ms / 1000, nanos)),
            time_ms,
            connection: None,
            snapshot: None,
            detail: None,
            event: Event::Lifecycle(event),
        }
    }

    fn run(mut self) {
        let _gone = Gone(Arc::clone(&self.queue));
        let mut due = self.next_due();
        loop {
            let (records, closing) = self.queue.take(self.limits.linger, due);
            let mut rest = records.as_slice();
            while !rest.is_empty() {
                let Some(written) = self.write_group(rest) else { return };
                rest = rest.get(written..).unwrap_or_default();
                if !self.insist(Self::write_full) {
                    return;
                }
            }
            if closing || Instant::now() >= due {
                if !self.insist(Self::checkpoint) {
                    return;
                }
                due = self.next_due();
            }
            if closing {
                return;
            }
        }
    }

    /// Writes the first of `records`, as many as make a group, and says how many. `None` once it gave up.
    fn write_group(&mut self, records: &[AuditRecord]) -> Option<usize> {
        // Salts are chosen once: a line that may have reached the disk must not come back as another.
        let mut group = None;
        let written = self.insist(|writer| {
            let group = match &mut group {
                Some(group) => group,
                none => none.insert(writer.format(records)?),
            };
            writer.append(group)
        });
        let count = group.filter(|_| written)?.commitments.len();
        self.queue.note_durable(u64::try_from(count).unwrap_or(u64::MAX), self.tree.size());
        Some(count)
    }

    fn next_due(&self) -> Instant {
        let now = Instant::now();
        now.checked_add(self.settings.checkpoint_interval).unwrap_or(now)
    }

    /// Tries until it works, with growing pauses; nothing is accepted meanwhile. Gives up, and says so, only when the log is
    /// closing.
    fn insist(&mut self, mut step: impl FnMut(&mut Self) -> std::io::Result<()>) -> bool {
        let (mut wait, mut closing_tries) = (FIRST_RETRY, 0);
        let mut failing = false;
        while let Err(error) = step(self) {
            if !failing {
                tracing::error!("error.type" = "audit_log", %error, "the audit log cannot be written, refusing requests");
                failing = true;
            }
            self.queue.note_failure(Some(error.to_string()));
            if self.queue.pause(wait) {
                closing_tries += 1;
                std::thread::sleep(wait.min(Duration::from_millis(400))); // words: allowed
            }
            if closing_tries >= CLOSING_TRIES {
                return false;
            }
            wait = wait.saturating_mul(2).min(LAST_RETRY);
        }
        if failing {
            tracing::warn!("the audit log can be written again");
            self.queue.note_failure(None);
        }
        true
    }

    fn format(&self, records: &[AuditRecord]) -> std::io::Result<Group> {
        let no_random = |_unspecified| std::io::Error::other("the system has no random bytes");
        let mut group = Group { lines: Vec::new(), commitments: Vec::new() };
        for (record, index) in records.iter().zip(self.tree.size()..) {
            if group.lines.len() >= GROUP {
                break;
            }
            let mut salt = [0; 32];
            aws_lc_rs::rand::fill(&mut salt).map_err(no_random)?;
            let record = record.to_json(&self.redaction);
            let line = Line { index, salt, record: &record };
            line.write(&mut group.lines);
            group.commitments.push(line.commitment());
        }
        Ok(group)
    }

    /// Writes records and makes them durable. Only then does the tree know them.
    fn append(&mut self, group: &Group) -> std::io::Result<()> {
        self.segment.append(&group.lines, self.limits.segment)?;
        for commitment in &group.commitments {
            self.tree.push(*commitment, &mut self.full);
        }
        Ok(())
    }

    fn write_full(&mut self) -> std::io::Result<()> {
        while let Some(file) = self.full.first() {
            self.tiles.write(file, self.covered.unwrap_or(0))?;
            self.full.remove(0);
        }
        Ok(())
    }

    fn checkpoint(&mut self) -> std::io::Result<()> {
        let size = self.tree.size();
        if self.covered == Some(size) {
            return Ok(());
        }
        self.write_full()?;
        for file in self.tree.partial_files() {
            self.tiles.write(&file, self.covered.unwrap_or(0))?;
        }
        self.tiles.sync()?;
        let origin = self.key.verifying_key().name().to_owned();
        let head = Checkpoint { origin, size, root: self.tree.root(), extensions: Vec::new() };
        write_atomically(&self.settings.dir.join(CHECKPOINT), head.sign(&self.key).as_bytes())?;
        self.covered = Some(size);
        self.queue.note_checkpoint(size, (self.clock)());
        self.tiles.remove_outdated();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
