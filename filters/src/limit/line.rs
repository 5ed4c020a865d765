//! Requests at once: seats, and the line of those who wait for one.
//!
//! A seat that is given back goes to the first in line, without being free in between, so nobody passes who came later.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::key::Digest;
use super::shared::Seats;
use super::store::Limit;

/// Requests of one key that wait for a seat; the next is refused at once.
const LONGEST: usize = 1000;

/// The seats of one key.
#[derive(Debug, Default)]
pub(super) struct Line {
    pub(super) taken: u64,
    waiting: VecDeque<Arc<Waiter>>,
}

#[derive(Debug, Default)]
struct Waiter(Mutex<Waits>);

#[derive(Debug, Default)]
struct Waits {
    has_seat: bool,
    has_left: bool,
    waker: Option<Waker>,
}

impl Waiter {
    fn lock(&self) -> MutexGuard<'_, Waits> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the seat to it, unless it has left.
    fn seat(&self) -> Option<Option<Waker>> {
        let mut waits = self.lock();
        if waits.has_left {
            return None;
        }
        waits.has_seat = true;
        Some(waits.waker.take())
    }
}

/// One request in its seat; giving the seat back is dropping it.
#[derive(Debug)]
pub(crate) struct Hold(#[expect(dead_code, reason = "held to be dropped")] Held);

#[derive(Debug)]
enum Held {
    Here(#[expect(dead_code, reason = "held to be dropped")] Seat),
    Everywhere(#[expect(dead_code, reason = "held to be dropped")] Seats),
}

/// A seat among those of this process.
#[derive(Debug)]
struct Seat {
    limit: Arc<Limit>,
    key: Digest,
}

impl Hold {
    /// For a seat that was counted.
    pub(super) fn of(limit: &Arc<Limit>, key: Digest) -> Self {
        Self(Held::Here(Seat { limit: limit.clone(), key }))
    }

    /// For seats in the store of all replicas.
    pub(super) fn everywhere(seats: Seats) -> Self {
        Self(Held::Everywhere(seats))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        give_back(&self.limit, self.key);
    }
}

fn give_back(limit: &Limit, key: Digest) {
    let waker = {
        let mut shard = limit.lock(key);
        let Some(line) = shard.lines.get_mut(&key) else { return };
        let next = loop {
            match line.waiting.pop_front() {
                Some(waiter) => {
                    if let Some(waker) = waiter.seat() {
                        break waker;
                    }
                }
                None => {
                    line.taken = line.taken.saturating_sub(1);
                    break None;
                }
            }
        };
        if line.taken == 0 {
            shard.lines.remove(&key);
        }
        next
    };
    // Without the lock: whoever is woken may take it.
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// Places of those who wait, in all lines together.
#[derive(Debug, Clone, Default)]
pub(super) struct Places(Arc<AtomicUsize>);

/// One of them; leaving is dropping it.
#[derive(Debug)]
pub(super) struct Place(Arc<AtomicUsize>);

impl Places {
    /// In a process, for everything that waits for a limit.
    const MAX: usize = 10_000;

    pub(super) fn taken(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }

    pub(super) fn take(&self) -> Option<Place> {
        let place = Place(self.0.clone());
        (self.0.fetch_add(1, Ordering::AcqRel) < Self::MAX).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A line to stand in.
#[derive(Debug)]
pub(super) struct Entrance {
    pub(super) limit: Arc<Limit>,
    pub(super) key: Digest,
    pub(super) longest: Duration,
}

impl Entrance {
    /// Joins the line at its end, or sits down where there is a seat. Nothing where the line is too long.
    pub(super) fn join(self) -> Option<Turn> {
        let Self { limit, key, .. } = self;
        let place = limit.places.take()?;
        let waiter = Arc::<Waiter>::default();
        {
            let mut shard = limit.lock(key);
            if !shard.lines.contains_key(&key) && !shard.has_room() {
                return None;
            }
            let line = shard.lines.entry(key).or_default();
            if line.taken < limit.seats() {
                line.taken += 1;
                waiter.lock().has_seat = true;
            } else if line.waiting.len() < LONGEST {
                line.waiting.push_back(waiter.clone());
            } else {
                return None;
            }
        }
        Some(Turn { limit, key, waiter, _place: place, is_over: false })
    }
}

/// Resolves with a seat. Whoever drops it has left the line.
#[derive(Debug)]
pub(super) struct Turn {
    limit: Arc<Limit>,
    key: Digest,
    waiter: Arc<Waiter>,
    _place: Place,
    is_over: bool,
}

impl Future for Turn {
    type Output = Hold;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Hold> {
        {
            let mut waits = self.waiter.lock();
            if !waits.has_seat {
                waits.waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
        }
        self.is_over = true;
        Poll::Ready(Hold::of(&self.limit, self.key))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let has_seat = {
            let mut waits = self.waiter.lock();
            waits.has_left = true;
            waits.has_seat
        };
        if has_seat {
            return give_back(&self.limit, self.key);
        }
        if let Some(line) = self.limit.lock(self.key).lines.get_mut(&self.key) {
            line.waiting.retain(|other| !Arc::ptr_eq(other, &self.waiter));
        }
    }
}
