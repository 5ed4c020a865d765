//! One thread writes the log: records in groups, then tiles, and a signed checkpoint every interval and at the end.
//!
//! Records are written ahead of everything else and are what a receipt waits for; bundles and tiles follow from them and have to
//! be on disk before a checkpoint names them. While nothing can be written nothing is accepted, so the proxy refuses.

use std::fs::File;
use std::sync::Arc;
use std::time::{Duration, Instant};

use postern_config::AuditLog;
use postern_filters::audit::checkpoint::Checkpoint;
use postern_filters::audit::leaf::{Commitment, Line};
use postern_filters::audit::note::SigningKey;
use postern_filters::audit::tiles::{CHECKPOINT, TileFile, TileTree};
use postern_filters::audit::{AuditRecord, Event, LifecycleEvent, Redaction};
use uuid::{NoContext, Timestamp, Uuid};

use super::disk::{Segment, TileStore, write_atomically};
use super::entry::Entry;
use super::queue::{Queue, Work};
use super::recover::{Recovered, recover};
use super::successor::{Ended, Successor, serve, unwritten};
use super::{Limits, OpenError, UnixMillis, key};

/// Bytes after which a group is closed and written with one sync; more become the next group.
const GROUP: usize = 4 << 20;
const FIRST_RETRY: Duration = Duration::from_millis(50);
const LAST_RETRY: Duration = Duration::from_secs(5);
/// Attempts on closing, with growing pauses that take a little over a second.
const CLOSING_TRIES: u32 = 5;

/// Lets nobody wait for a writer that is gone, even by a panic.
struct Gone(Arc<Queue>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

/// What a writer needs beside the log itself.
pub(super) struct Desk {
    pub(super) queue: Arc<Queue>,
    pub(super) settings: AuditLog,
    pub(super) key: SigningKey,
    pub(super) clock: UnixMillis,
    pub(super) redaction: Redaction,
    pub(super) limits: Limits,
}

pub(super) struct Writer {
    desk: Desk,
    tiles: TileStore,
    tree: TileTree,
    segment: Segment,
    /// Full tiles that are not written yet.
    full: Vec<TileFile>,
    covered: Option<u64>,
    _lock: File,
}

/// How writing ended.
enum Done {
    /// In order, or given up; nobody hands anything in any more.
    Closed,
    Given(Successor),
}

/// Writes until the queue closes: into the log, and while another process has it, to that one.
pub(super) fn run(mut writer: Writer) {
    let _gone = Gone(Arc::clone(&writer.desk.queue));
    while let Done::Given(successor) = writer.run() {
        // Everything is written and signed.
        let desk = writer.let_go();
        let (left, told, word) = match serve(successor, &desk.queue, &desk.redaction, desk.limits.linger) {
            Ended::Closed => return,
            Ended::Gone { left, told, word } => (left, told, word),
        };
        let Some(again) = desk.take_back() else { return };
        writer = again;
        // Whoever hears this may hand the log over anew, which comes after what is left.
        if !writer.write_left(left) {
            return;
        }
        drop(told.try_send(word));
    }
}

impl Desk {
    pub(super) fn open(self, continued: bool) -> Result<Writer, OpenError> {
        let recovered = recover(&self.settings.dir, self.key.verifying_key())?;
        let (path, torn_bytes) = (self.settings.dir.clone(), recovered.torn_bytes);
        let mut writer = self.writer(recovered);
        writer.begin(torn_bytes, continued).map_err(|source| OpenError::Io { path, source })?;
        Ok(writer)
    }

    fn writer(self, recovered: Recovered) -> Writer {
        Writer {
            tiles: TileStore::new(&self.settings.dir),
            tree: recovered.tree,
            segment: recovered.segment,
            full: recovered.full,
            covered: recovered.covered,
            _lock: recovered.lock,
            desk: self,
        }
    }

    /// Opens the log again after a successor that is no more. `None` once it gave up.
    fn take_back(self) -> Option<Writer> {
        let mut recovered = None;
        let opened = insist(&self.queue, || {
            recovered = Some(recover(&self.settings.dir, self.key.verifying_key()).map_err(std::io::Error::other)?);
            Ok(())
        });
        let recovered = recovered.filter(|_| opened)?;
        let torn_bytes = recovered.torn_bytes;
        let mut writer = self.writer(recovered);
        writer.insist(|writer| writer.begin(torn_bytes, true)).then_some(writer)
    }
}

/// Records as they will be on disk.
struct Group {
    lines: Vec<u8>,
    commitments: Vec<Commitment>,
}

impl Writer {
    /// Signs the empty head of a new log, so that no log is ever without a checkpoint; records that the log was opened.
    fn begin(&mut self, torn_bytes: u64, continued: bool) -> std::io::Result<()> {
        key::publish(&self.desk.settings.dir, &self.desk.key)?;
        if self.covered.is_none() {
            self.checkpoint()?;
        }
        let opened = LifecycleEvent::LogOpened { size: self.tree.size(), torn_bytes, continued };
        let group = self.format(&[self.lifecycle(opened).into()])?;
        self.append(&group)?;
        self.checkpoint()?;
        self.desk.queue.note_durable(0, Some(self.tree.size()));
        Ok(())
    }

    fn lifecycle(&self, event: LifecycleEvent) -> AuditRecord {
        let time_ms = (self.desk.clock)();
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

    /// Closes the files and gives the lock back.
    fn let_go(self) -> Desk {
        self.desk
    }

    fn run(&mut self) -> Done {
        let mut due = self.next_due();
        loop {
            let Work { entries, successor, closing } = self.desk.queue.take(self.desk.limits.linger, due);
            if !self.write(&entries) {
                return Done::Closed;
            }
            if closing || successor.is_some() || Instant::now() >= due {
                if !self.insist(Self::checkpoint) {
                    return Done::Closed;
                }
                due = self.next_due();
            }
            if closing {
                return Done::Closed;
            }
            if let Some(successor) = successor {
                return Done::Given(successor);
            }
        }
    }

    /// Writes what a successor may have written already. `false` once it gave up.
    fn write_left(&mut self, left: Vec<Entry>) -> bool {
        let (count, mut left, mut missing) = (left.len(), Some(left), Vec::new());
        let read = self.insist(|writer| {
            let found =
                unwritten(&writer.desk.settings.dir, left.as_deref().unwrap_or_default(), &writer.desk.redaction)?;
            let all = left.take().unwrap_or_default().into_iter().zip(found);
            missing = all.filter_map(|(entry, missing)| missing.then_some(entry)).collect();
            Ok(())
        });
        let there = u64::try_from(count.saturating_sub(missing.len())).unwrap_or(0);
        self.desk.queue.note_durable(there, None);
        read && self.write(&missing)
    }

    /// Writes them all. `false` once it gave up.
    fn write(&mut self, entries: &[Entry]) -> bool {
        let mut rest = entries;
        while !rest.is_empty() {
            let Some(written) = self.write_group(rest) else { return false };
            rest = rest.get(written..).unwrap_or_default();
            if !self.insist(Self::write_full) {
                return false;
            }
        }
        true
    }

    /// Writes the first of `records`, as many as make a group, and says how many. `None` once it gave up.
    fn write_group(&mut self, records: &[Entry]) -> Option<usize> {
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
        self.desk.queue.note_durable(u64::try_from(count).unwrap_or(u64::MAX), Some(self.tree.size()));
        Some(count)
    }

    fn next_due(&self) -> Instant {
        let now = Instant::now();
        now.checked_add(self.desk.settings.checkpoint_interval).unwrap_or(now)
    }

    fn insist(&mut self, mut step: impl FnMut(&mut Self) -> std::io::Result<()>) -> bool {
        let queue = Arc::clone(&self.desk.queue);
        insist(&queue, || step(self))
    }

    fn format(&self, records: &[Entry]) -> std::io::Result<Group> {
        let no_random = |_unspecified| std::io::Error::other("the system has no random bytes");
        let mut group = Group { lines: Vec::new(), commitments: Vec::new() };
        for (record, index) in records.iter().zip(self.tree.size()..) {
            if group.lines.len() >= GROUP {
                break;
            }
            let mut salt = [0; 32];
            aws_lc_rs::rand::fill(&mut salt).map_err(no_random)?;
            let record = record.line(&self.desk.redaction);
            let line = Line { index, salt, record: &record };
            line.write(&mut group.lines);
            group.commitments.push(line.commitment());
        }
        Ok(group)
    }

    /// Writes records and makes them durable. Only then does the tree know them.
    fn append(&mut self, group: &Group) -> std::io::Result<()> {
        self.segment.append(&group.lines, self.desk.limits.segment)?;
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
        let origin = self.desk.key.verifying_key().name().to_owned();
        let head = Checkpoint { origin, size, root: self.tree.root(), extensions: Vec::new() };
        write_atomically(&self.desk.settings.dir.join(CHECKPOINT), head.sign(&self.desk.key).as_bytes())?;
        self.covered = Some(size);
        self.desk.queue.note_checkpoint(size, (self.desk.clock)());
        self.tiles.remove_outdated();
        Ok(())
    }
}

/// Tries until it works, with growing pauses; nothing is accepted meanwhile. Gives up, and says so, only when the log is
/// closing.
fn insist(queue: &Queue, mut step: impl FnMut() -> std::io::Result<()>) -> bool {
    let (mut wait, mut closing_tries) = (FIRST_RETRY, 0);
    let mut failing = false;
    while let Err(error) = step() {
        if !failing {
            tracing::error!("error.type" = "audit_log", %error, "the audit log cannot be written, refusing requests");
            failing = true;
        }
        queue.note_failure(Some(error.to_string()));
        if queue.pause(wait) {
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
        queue.note_failure(None);
    }
    true
}
