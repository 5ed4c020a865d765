//! The keys of one limit, a part of them behind one lock.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::gcra::{self, Fine};
use super::key::Digest;
use super::line::Line;

/// How long a full shard waits between two looks for keys to forget: a look costs its whole size, and a flood of new
/// keys asks for one with every request (attack 46).
const SWEEP_EVERY: u64 = 10_000_000;
/// The same, in the microseconds of a store.
const FLOORS_EVERY: u64 = 10_000;

/// What keys have spent, or hold.
#[derive(Debug)]
pub(super) struct Shard {
    /// Of a rate: the moment at which the key has its whole burst again. Once that has passed, the key is no different from
    /// one never seen.
    states: HashMap<Digest, Fine, BuildHasherDefault<Passed>>,
    /// Of requests at once: who is in, and who waits. Gone with the last of them.
    pub(super) lines: HashMap<Digest, Line, BuildHasherDefault<Passed>>,
    /// Of a limit that replicas share: the latest state that the store told, in its time.
    floors: HashMap<Digest, u64, BuildHasherDefault<Passed>>,
    /// Likewise: bytes that were charged ahead.
    paid: HashMap<Digest, Paid, BuildHasherDefault<Passed>>,
    max: usize,
    /// No sweep before this moment.
    sweep_at: u64,
    floors_swept: Option<u64>,
}

/// Bytes that a store has charged and nobody has sent. They are spent as long as their key would not have them back anyway.
#[derive(Debug, Clone, Copy)]
struct Paid {
    bytes: u64,
    until: u64,
}

impl Shard {
    pub(super) fn new(max: usize) -> Self {
        Self {
            states: HashMap::default(),
            lines: HashMap::default(),
            floors: HashMap::default(),
            paid: HashMap::default(),
            max,
            sweep_at: 0,
            floors_swept: None,
        }
    }

    pub(super) fn get(&self, key: Digest) -> Option<Fine> {
        self.states.get(&key).copied()
    }

    pub(super) fn set(&mut self, key: Digest, state: Fine) {
        self.states.insert(key, state);
    }

    /// Whether a key that is not known finds a place in line.
    pub(super) fn has_room(&self) -> bool {
        self.lines.len() < self.max
    }

    pub(super) fn floor(&self, key: Digest) -> u64 {
        self.floors.get(&key).copied().unwrap_or_default()
    }

    /// Remembers what the store told at its moment `now`. Where there is no room it is not remembered: the store still does.
    pub(super) fn raise_floor(&mut self, key: Digest, state: u64, now: u64) {
        if let Some(floor) = self.floors.get_mut(&key) {
            *floor = state.max(*floor);
            return;
        }
        if self.floors.len() >= self.max && self.floors_swept.is_none_or(|swept| now >= swept + FLOORS_EVERY) {
            self.floors.retain(|_, floor| *floor > now);
            self.floors_swept = Some(now);
        }
        if self.floors.len() < self.max {
            self.floors.insert(key, state);
        }
    }

    pub(super) fn bound_floor(&mut self, key: Digest, most: u64) {
        if let Some(floor) = self.floors.get_mut(&key) {
            *floor = most.min(*floor);
        }
    }

    /// Takes what was paid ahead, up to `bytes`, and says how much.
    pub(super) fn take_paid(&mut self, key: Digest, bytes: u64, now: u64) -> u64 {
        let Some(paid) = self.paid.get_mut(&key) else { return 0 };
        let taken = if paid.until > now { bytes.min(paid.bytes) } else { 0 };
        paid.bytes -= taken;
        if paid.bytes == 0 || paid.until <= now {
            self.paid.remove(&key);
        }
        taken
    }

    /// Remembers what was paid ahead. Where there is no room it is not remembered: it was spent for nothing.
    pub(super) fn pay_ahead(&mut self, key: Digest, bytes: u64, until: u64, now: u64) {
        if bytes == 0 {
            return;
        }
        if let Some(paid) = self.paid.get_mut(&key) {
            // What is over meanwhile is not paid any more.
            let before = if paid.until > now { paid.bytes } else { 0 };
            *paid = Paid { bytes: before.saturating_add(bytes), until };
            return;
        }
        if self.paid.len() >= self.max {
            self.paid.retain(|_, paid| paid.until > now);
        }
        if self.paid.len() < self.max {
            self.paid.insert(key, Paid { bytes, until });
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.states.len() + self.lines.len()
    }

    /// Makes room for a new key by forgetting keys that have their whole burst again. Never one that has spent: that
    /// would hand its budget back. `Err` is the earliest moment at which there may be room.
    pub(super) fn make_room(&mut self, now: u64) -> Result<(), u64> {
        if self.states.len() < self.max {
            return Ok(());
        }
        if now >= self.sweep_at {
            let moment = gcra::fine(now);
            self.states.retain(|_, state| *state > moment);
            let next = self.states.values().min().map_or(now, |next| now.saturating_add(gcra::until(*next, now)));
            self.sweep_at = next.max(now.saturating_add(SWEEP_EVERY));
        }
        if self.states.len() < self.max { Ok(()) } else { Err(self.sweep_at) }
    }
}

/// Takes the keyed hash that a [`Digest`] already is.
#[derive(Debug, Default)]
pub(super) struct Passed(u64);

impl Hasher for Passed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_shard_looks_for_room_at_most_every_ten_milliseconds() {
        let key = |n| Digest { low: n, high: n };
        let mut shard = Shard::new(2);
        shard.set(key(1), gcra::fine(100));
        shard.set(key(2), gcra::fine(1_000_000_000));
        let next = SWEEP_EVERY + 50;
        assert_eq!(shard.make_room(50), Err(next), "both have spent");
        assert_eq!(shard.make_room(200), Err(next), "the first is restored, but it is too early to look again");
        assert_eq!((shard.make_room(next), shard.len()), (Ok(()), 1));
        assert_eq!(shard.get(key(2)), Some(gcra::fine(1_000_000_000)), "who has spent stays");
    }
}
