//! Where requests leave their records and the writer takes them: bounded, and never blocking a request.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use postern_filters::audit::AuditRecord;
use tokio::sync::watch;

use super::entry::Entry;
use super::{Limits, Successor};

/// The record was not taken: the request it is about has to be refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuditFull {
    #[error("the audit queue is full")]
    Full,
    #[error("the audit queue's share for anonymous refusals is full")]
    AnonymousShare,
    #[error("the audit log cannot be written")]
    Failed,
    #[error("the audit log is closed")]
    Closed,
}

/// The record was taken and is not on disk; it may still get there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the audit record could not be made durable")]
pub struct NotDurable;

/// What the log is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// Entries on disk.
    pub size: u64,
    /// Entries under the last checkpoint.
    pub checkpoint_size: u64,
    /// Unix milliseconds at which it was signed.
    pub checkpoint_ms: u64,
    /// Records waiting.
    pub queued: usize,
    /// Records not taken since the start.
    pub refused: u64,
    /// Why nothing can be written at the moment.
    pub failed: Option<String>,
}

/// How far the writer is.
#[derive(Debug, Clone, Copy, Default)]
struct Progress {
    /// Records on disk, counted in the order of submission.
    durable: u64,
    failed: bool,
}

/// The queue, shared by all requests and the writer.
#[derive(Debug)]
pub(super) struct Queue {
    limits: Limits,
    state: Mutex<State>,
    work: Condvar,
    progress: watch::Sender<Progress>,
}

#[derive(Debug, Default)]
struct State {
    records: Vec<Entry>,
    /// Places that are kept for records to come.
    kept: usize,
    bytes: usize,
    anonymous: usize,
    anonymous_bytes: usize,
    submitted: u64,
    /// Somebody waits for durability: no lingering for more records.
    asked: bool,
    /// Who takes the log over, until the writer knows.
    successor: Option<Successor>,
    woken: bool,
    closing: bool,
    gone: bool,
    status: Status,
}

/// What the writer has to do next.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) entries: Vec<Entry>,
    /// The log is to be handed over once they are written.
    pub(super) successor: Option<Successor>,
    /// Nothing comes after them.
    pub(super) closing: bool,
}

impl Queue {
    pub(super) fn new(limits: Limits) -> Self {
        let (progress, _) = watch::channel(Progress::default());
        Self { limits, state: Mutex::default(), work: Condvar::new(), progress }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The state is whole between any two statements that can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn reserve(self: &Arc<Self>) -> Result<Place, AuditFull> {
        let mut state = self.state();
        state.has_room(&self.limits, PLACE, false)?;
        state.kept = state.kept.saturating_add(1);
        Ok(Place { queue: Arc::clone(self) })
    }

    pub(super) fn submit(self: &Arc<Self>, record: impl Into<Entry>) -> Result<Receipt, AuditFull> {
        let record = record.into();
        let (weight, anonymous) = (record.weight(), record.is_anonymous_refusal());
        let mut state = self.state();
        if let Err(full) = state.has_room(&self.limits, weight, anonymous) {
            state.status.refused = state.status.refused.saturating_add(1);
            return Err(full);
        }
        Ok(self.push(state, record, weight, anonymous))
    }

    fn push(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, State>,
        record: Entry,
        weight: usize,
        anonymous: bool,
    ) -> Receipt {
        if anonymous {
            state.anonymous = state.anonymous.saturating_add(1);
            state.anonymous_bytes = state.anonymous_bytes.saturating_add(weight);
        }
        let (number, first) = (state.submitted, state.records.is_empty());
        state.bytes = state.bytes.saturating_add(weight);
        state.submitted = number.saturating_add(1);
        state.records.push(record);
        drop(state);
        if first {
            // All: whoever waits for room waits here too.
            self.work.notify_all();
        }
        Receipt { number, queue: Arc::clone(self) }
    }

    /// Waits for work, lingering `linger` for more records unless somebody waits for durability, but not beyond `until`.
    pub(super) fn take(&self, linger: Duration, until: Instant) -> Work {
        let mut state = self.state();
        while state.records.is_empty() && !state.closing && !state.woken && state.successor.is_none() {
            let Some(left) = until.checked_duration_since(Instant::now()) else { break };
            state = self.work.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        if !state.records.is_empty() && !state.asked && !state.closing {
            let wait = self.work.wait_timeout_while(state, linger, |state| !state.asked && !state.closing);
            state = wait.unwrap_or_else(PoisonError::into_inner).0;
        }
        (state.bytes, state.anonymous, state.anonymous_bytes) = (0, 0, 0);
        (state.asked, state.woken) = (false, false);
        // Nothing is taken after this, so nothing may be left here.
        state.gone |= state.closing;
        let (successor, closing) = (state.successor.take().filter(|_| !state.closing), state.closing);
        Work { entries: std::mem::take(&mut state.records), successor, closing }
    }

    /// Sleeps, less if the queue closes. Says whether it is closing.
    pub(super) fn pause(&self, wait: Duration) -> bool {
        let waited = self.work.wait_timeout_while(self.state(), wait, |state| !state.closing);
        waited.unwrap_or_else(PoisonError::into_inner).0.closing
    }

    /// `size` is that of the log, where this process writes it.
    pub(super) fn note_durable(&self, records: u64, size: Option<u64>) {
        if let Some(size) = size {
            self.state().status.size = size;
        }
        self.progress.send_modify(|progress| progress.durable = progress.durable.saturating_add(records));
    }

    pub(super) fn note_checkpoint(&self, size: u64, time_ms: u64) {
        let mut state = self.state();
        (state.status.size, state.status.checkpoint_size, state.status.checkpoint_ms) = (size, size, time_ms);
    }

    /// `None` once writing works again.
    pub(super) fn note_failure(&self, failed: Option<String>) {
        let is = failed.is_some();
        self.state().status.failed = failed;
        self.progress.send_if_modified(|progress| std::mem::replace(&mut progress.failed, is) != is);
    }

    pub(super) fn hand_over(&self, successor: Successor) {
        let mut state = self.state();
        // Without a writer nobody would tell it anything.
        state.successor = Some(successor).filter(|_| !state.gone);
        drop(state);
        self.work.notify_all();
    }

    /// Takes a successor back that the writer has not come to yet.
    pub(super) fn withdraw(&self) -> Option<Successor> {
        self.state().successor.take()
    }

    /// Has the writer look at what it waits for.
    pub(super) fn wake(&self) {
        self.state().woken = true;
        self.work.notify_all();
    }

    pub(super) fn is_closing(&self) -> bool {
        self.state().closing
    }

    pub(super) fn is_gone(&self) -> bool {
        self.state().gone
    }

    pub(super) fn close(&self) {
        self.state().closing = true;
        self.work.notify_all();
    }

    /// The writer is gone, in order or not; nobody must wait for it.
    pub(super) fn abandon(&self) {
        let mut state = self.state();
        state.gone = true;
        // Nobody will tell it anything any more.
        state.successor = None;
        drop(state);
        self.progress.send_modify(|progress| progress.failed = true);
    }

    pub(super) fn status(&self) -> Status {
        let state = self.state();
        Status { queued: state.records.len(), ..state.status.clone() }
    }
}

impl State {
    fn has_room(&self, limits: &Limits, weight: usize, anonymous: bool) -> Result<(), AuditFull> {
        if self.closing || self.gone {
            return Err(AuditFull::Closed);
        }
        if self.status.failed.is_some() {
            return Err(AuditFull::Failed);
        }
        let bytes = self.bytes.saturating_add(self.kept.saturating_mul(PLACE)).saturating_add(weight);
        if self.records.len().saturating_add(self.kept) >= limits.records || bytes > limits.bytes {
            return Err(AuditFull::Full);
        }
        let share =
            self.anonymous >= limits.records / 2 || self.anonymous_bytes.saturating_add(weight) > limits.bytes / 2;
        if anonymous && share { Err(AuditFull::AnonymousShare) } else { Ok(()) }
    }
}

/// Bytes that are set aside for a record to come. A longer one takes more than its place.
const PLACE: usize = 1024;

/// Room for one record, kept until it is there: what it is about may be done, and is written down whatever comes meanwhile.
#[derive(Debug)]
pub struct Place {
    queue: Arc<Queue>,
}

impl Place {
    /// Hands the record over. It is taken even while nothing can be written, and is written once it can.
    ///
    /// # Errors
    /// [`AuditFull::Closed`] where the log was closed meanwhile.
    pub fn submit(self, record: AuditRecord) -> Result<Receipt, AuditFull> {
        let record = Entry::from(record);
        let (weight, anonymous) = (record.weight(), record.is_anonymous_refusal());
        let mut state = self.queue.state();
        if state.gone {
            state.status.refused = state.status.refused.saturating_add(1);
            return Err(AuditFull::Closed);
        }
        Ok(self.queue.push(state, record, weight, anonymous))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.queue.state();
        state.kept = state.kept.saturating_sub(1);
    }
}

/// Proof that a record was taken.
#[derive(Debug)]
#[must_use = "a record that must be durable is so only after `durable`"]
pub struct Receipt {
    number: u64,
    queue: Arc<Queue>,
}

impl Receipt {
    /// Waits until the record is on disk. Dropping the future drops the wait, not the record.
    ///
    /// # Errors
    /// [`NotDurable`] as soon as the log cannot be written; the record stays queued and is written once it can.
    pub async fn durable(&self) -> Result<(), NotDurable> {
        let mut progress = self.queue.progress.subscribe();
        self.queue.state().asked = true;
        self.queue.work.notify_all();
        let number = self.number;
        match progress.wait_for(|progress| progress.durable > number || progress.failed).await {
            Ok(progress) if progress.durable > number => Ok(()),
            _ => Err(NotDurable),
        }
    }
}
