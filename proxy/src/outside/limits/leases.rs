//! Seats that requests of this process have in the store: each is its own for a lease, and asked for again in time.
//!
//! A seat whose lease could not be renewed may be given to somebody else soon, so before that its request ends (where what
//! the store loses counts as spent). A process that is killed asks for nothing again, and its seats are free after a lease.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use postern_filters::limit::{SharedAsk, Wanted};
use tracing::warn;
use uuid::Uuid;

use super::Store;
use super::link::Away;
use crate::standing::Standing;

/// Seats that are asked for again with one command.
const BATCH: usize = 128;

/// The seats in one store.
#[derive(Debug)]
pub(super) struct Leases {
    lease: Duration,
    /// Told from those of every other process.
    process: String,
    next: AtomicU64,
    held: Mutex<HashMap<u64, Held>>,
}

/// What one request holds.
#[derive(Debug)]
struct Held {
    name: Arc<str>,
    keys: Arc<[String]>,
    is_strict: bool,
    /// From here on it is not sure to be ours.
    until: Instant,
    standing: Weak<Standing>,
}

/// The seats of one request, from the moment they are asked for. Dropping this gives them back.
#[derive(Debug)]
pub(super) struct Claimed {
    store: Arc<Store>,
    number: u64,
    pub(super) name: Arc<str>,
    keys: Arc<[String]>,
    is_strict: bool,
    /// The link that the store was asked over: what is given back has to come behind what was taken.
    link: Option<usize>,
    may_stand_in_line: bool,
}

impl Leases {
    pub(super) fn new(lease: Duration) -> Self {
        let process = Uuid::now_v7().simple().to_string();
        Self { lease, process, next: AtomicU64::new(0), held: Mutex::default() }
    }

    pub(super) fn lease(&self) -> Duration {
        self.lease
    }

    /// Requests that hold seats.
    pub(super) fn held(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often leases are looked at.
    fn tick(&self) -> Duration {
        (self.lease / 12).clamp(Duration::from_millis(20), Duration::from_secs(1))
    }

    /// How long a seat is surely ours that was asked for at `sent`: the store counts from later on, and an end takes a moment.
    fn until(&self, sent: Instant) -> Instant {
        sent + self.lease.saturating_sub(self.lease / 10 + self.tick())
    }

    /// Those of which a third of the lease is over.
    fn due(&self, now: Instant) -> Vec<(u64, Arc<str>, Arc<[String]>)> {
        let soon = self.until(now) - self.lease / 3;
        let held = self.lock();
        let due = held.iter().filter(|(_, held)| held.until <= soon);
        due.map(|(number, held)| (*number, held.name.clone(), held.keys.clone())).collect()
    }

    fn renewed(&self, numbers: impl Iterator<Item = u64>, sent: Instant) {
        let until = self.until(sent);
        let mut held = self.lock();
        for number in numbers {
            if let Some(held) = held.get_mut(&number) {
                held.until = until;
            }
        }
    }

    /// Whose lease is over, of those who do not go on without.
    fn over(&self, now: Instant) -> Vec<Arc<Standing>> {
        let held = self.lock();
        let over = held.values().filter(|held| held.is_strict && held.until <= now);
        over.filter_map(|held| held.standing.upgrade()).collect()
    }
}

impl Claimed {
    /// Nothing where `ask` wants no seat.
    pub(super) fn of(store: &Arc<Store>, ask: &SharedAsk) -> Option<Self> {
        let seats = || ask.claims.iter().filter(|claim| matches!(claim.wanted, Wanted::Seat { .. }));
        let keys: Arc<[String]> = seats().map(|claim| store.key(&claim.key)).collect();
        if keys.is_empty() {
            return None;
        }
        let number = store.leases.next.fetch_add(1, Ordering::Relaxed);
        let name = Arc::from(format!("{}:{number}", store.leases.process));
        let is_strict = seats().any(|claim| claim.strict);
        let may_stand_in_line = seats().any(|claim| claim.patience > 0);
        Some(Self { store: store.clone(), number, name, keys, is_strict, link: None, may_stand_in_line })
    }

    pub(super) fn link(&self) -> Option<usize> {
        self.link
    }

    pub(super) fn asked_over(&mut self, link: usize) {
        self.link = Some(link);
    }

    /// The store gave none, so that there is nothing to give back.
    pub(super) fn refused(&mut self) {
        self.link = None;
    }

    /// They were given, to what was asked at `sent`.
    pub(super) fn keep(&self, sent: Instant, standing: &Arc<Standing>) {
        let leases = &self.store.leases;
        let (name, keys, is_strict) = (self.name.clone(), self.keys.clone(), self.is_strict);
        let held = Held { name, keys, is_strict, until: leases.until(sent), standing: Arc::downgrade(standing) };
        leases.lock().insert(self.number, held);
    }
}

impl Drop for Claimed {
    fn drop(&mut self) {
        self.store.leases.lock().remove(&self.number);
        // Where it cannot be told, the lease ends by itself.
        let Some(link) = self.link.and_then(|link| self.store.links.get(link)) else { return };
        for key in self.keys.iter() {
            let lists = [key.clone(), format!("{key}:line"), format!("{key}:seen")];
            for list in lists.into_iter().take(if self.may_stand_in_line { 3 } else { 1 }) {
                link.tell(vec![b"ZREM".to_vec(), list.into_bytes(), self.name.as_bytes().to_vec()]);
            }
        }
    }
}

/// Keeps the seats of a store, as long as anybody uses it.
pub(super) async fn keep(store: Weak<Store>, tick: Duration) {
    loop {
        tokio::time::sleep(tick).await;
        let Some(store) = store.upgrade() else { return };
        renew(&store).await;
        for standing in store.leases.over(Instant::now()) {
            if standing
                .lose("its seat among the requests at once could not be kept: the store of shared limits is away")
            {
                store.metrics.seat_lost();
            }
        }
        store.metrics.limits_seats.set(i64::try_from(store.leases.held()).unwrap_or(i64::MAX));
    }
}

pub(super) fn tick(leases: &Leases) -> Duration {
    leases.tick()
}

async fn renew(store: &Store) {
    let due = store.leases.due(Instant::now());
    for batch in due.chunks(BATCH) {
        let sent = Instant::now();
        let seats: Vec<(&str, &str)> =
            batch.iter().flat_map(|(_, name, keys)| keys.iter().map(|key| (key.as_str(), &**name))).collect();
        match tokio::time::timeout(store.leases.tick(), store.renew(&seats)).await {
            Ok(Ok(missing)) => {
                if missing > 0 {
                    warn!("error.type" = "limit_store", missing, "the store of shared limits did not know of seats");
                }
                store.leases.renewed(batch.iter().map(|(number, ..)| *number), sent);
            }
            // What does not answer one does not answer the next.
            Ok(Err(Away(_))) | Err(_) => return,
        }
    }
}
