//! Seats that requests of this process have in the store: each is its own for a lease, and asked for again in time.
//!
//! A seat whose lease could not be renewed may be given to somebody else soon, so before that its request ends (where what
//! the store loses counts as spent). One that is asked for again too late is the store's to give: where others have it by then, its
//! request ends as well. A process that is killed asks for nothing again, and its seats are free after a lease.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use postern_filters::limit::{SharedAsk, Wanted};
use tracing::warn;
use uuid::Uuid;

use super::Store;
use super::link::{Away, Link};
use crate::standing::Standing;

/// Requests whose seats are asked for again with one command.
const BATCH: usize = 128;
const AWAY: &str = "its seat among the requests at once could not be kept: the store of shared limits is away";
const GIVEN: &str = "its seat among the requests at once was not kept in time, and others have it";

/// The seats in one store.
#[derive(Debug)]
pub(super) struct Leases {
    lease: Duration,
    /// Told from those of every other process.
    process: String,
    next: AtomicU64,
    held: Mutex<HashMap<u64, Held>>,
}

/// One of the seats of a request.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) key: String,
    /// How many its key has; none where its request goes on whatever others have.
    pub(super) of: Option<u64>,
}

/// What became of a seat that was asked for again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    Known,
    /// The store did not know of it, and does now.
    New,
    /// Others have it.
    Lost,
}

/// What one request holds.
#[derive(Debug, Clone)]
struct Held {
    name: Arc<str>,
    seats: Arc<[Seat]>,
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
    seats: Arc<[Seat]>,
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
    fn due(&self, now: Instant) -> Vec<(u64, Held)> {
        let soon = self.until(now) - self.lease / 3;
        let held = self.lock();
        held.iter().filter(|(_, held)| held.until <= soon).map(|(number, held)| (*number, held.clone())).collect()
    }

    /// Takes in that seats were asked for again at `sent`. False where their request has ended meanwhile.
    fn renewed(&self, number: u64, sent: Instant) -> bool {
        let until = self.until(sent);
        self.lock().get_mut(&number).map(|held| held.until = until).is_some()
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
        let claims = || ask.claims.iter().filter(|claim| matches!(claim.wanted, Wanted::Seat { .. }));
        let seats = claims().filter_map(|claim| match claim.wanted {
            Wanted::Seat { seats } => Some(Seat { key: store.key(&claim.key), of: claim.strict.then_some(seats) }),
            Wanted::Rate { .. } | Wanted::Debt { .. } => None,
        });
        let seats: Arc<[Seat]> = seats.collect();
        if seats.is_empty() {
            return None;
        }
        let number = store.leases.next.fetch_add(1, Ordering::Relaxed);
        let name = Arc::from(format!("{}:{number}", store.leases.process));
        let is_strict = claims().any(|claim| claim.strict);
        let may_stand_in_line = claims().any(|claim| claim.patience > 0);
        Some(Self { store: store.clone(), number, name, seats, is_strict, link: None, may_stand_in_line })
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

    /// They were given, to what was asked at `sent`. False where that was so long ago that others may have them by now.
    pub(super) fn keep(&self, sent: Instant, standing: &Arc<Standing>) -> bool {
        let leases = &self.store.leases;
        let (name, seats, is_strict) = (self.name.clone(), self.seats.clone(), self.is_strict);
        let held = Held { name, seats, is_strict, until: leases.until(sent), standing: Arc::downgrade(standing) };
        if held.until <= Instant::now() {
            return false;
        }
        leases.lock().insert(self.number, held);
        self.store.metrics.limits_seats.inc();
        true
    }
}

impl Drop for Claimed {
    fn drop(&mut self) {
        if self.store.leases.lock().remove(&self.number).is_some() {
            self.store.metrics.limits_seats.dec();
        }
        // Where it cannot be told, the lease ends by itself.
        let Some(link) = self.link.and_then(|link| self.store.links.get(link)) else { return };
        give_back(link, &self.name, &self.seats, self.may_stand_in_line);
    }
}

fn give_back(link: &Link, name: &str, seats: &[Seat], stands_in_line: bool) {
    for Seat { key, .. } in seats {
        let lists = [key.clone(), format!("{key}:line"), format!("{key}:seen")];
        for list in lists.into_iter().take(if stands_in_line { 3 } else { 1 }) {
            link.tell(vec![b"ZREM".to_vec(), list.into_bytes(), name.as_bytes().to_vec()]);
        }
    }
}

/// Keeps the seats of a store, as long as anybody uses it. That a store is slow to say so must not keep requests from ending in time,
/// so both go on by themselves.
pub(super) async fn keep(store: Weak<Store>, tick: Duration) {
    let renewed = async {
        loop {
            tokio::time::sleep(tick).await;
            let Some(store) = store.upgrade() else { return };
            renew(&store).await;
        }
    };
    let ended = async {
        loop {
            tokio::time::sleep(tick).await;
            let Some(store) = store.upgrade() else { return };
            for standing in store.leases.over(Instant::now()) {
                lose(&store, &standing, AWAY);
            }
        }
    };
    tokio::join!(renewed, ended);
}

fn lose(store: &Store, standing: &Standing, why: &str) {
    if standing.lose(why) {
        store.metrics.seat_lost();
    }
}

pub(super) fn tick(leases: &Leases) -> Duration {
    leases.tick()
}

async fn renew(store: &Store) {
    let due = store.leases.due(Instant::now());
    for batch in due.chunks(BATCH) {
        let Ok(link) = store.link().map(|(_, link)| link) else { return };
        let sent = Instant::now();
        let seats: Vec<(&Seat, &str)> =
            batch.iter().flat_map(|(_, held)| held.seats.iter().map(|seat| (seat, &*held.name))).collect();
        let kept = match tokio::time::timeout(store.leases.tick(), store.renew(link, &seats)).await {
            Ok(Ok(kept)) => kept,
            // What does not answer one does not answer the next.
            Ok(Err(Away(why))) => return store.tell_trouble(&why),
            Err(_) => return store.tell_trouble("the store does not renew seats in time"),
        };
        let new = kept.iter().filter(|kept| **kept == Kept::New).count();
        let mut each = kept.into_iter();
        for (number, held) in batch {
            let lost = each.by_ref().take(held.seats.len()).filter(|kept| *kept == Kept::Lost).count();
            if lost > 0 {
                if let Some(standing) = held.standing.upgrade() {
                    lose(store, &standing, GIVEN);
                }
            } else if !store.leases.renewed(*number, sent) {
                // It was given back meanwhile, over a link of its own: perhaps before it was asked for again.
                give_back(link, &held.name, &held.seats, false);
            }
        }
        if new > 0 {
            warn!("error.type" = "limit_store", seats = new, "the store of shared limits did not know of seats");
        }
    }
}
