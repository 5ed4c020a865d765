//! What was presented once and must not be presented again: ids of proofs, for as long as they would be good.

use std::collections::HashSet;
use std::fmt;
use std::sync::{LazyLock, Mutex, PoisonError};

use super::sha256;

/// A bounded memory. Where a share of it is full, nothing more of that share is accepted: to forget would be to let pass.
pub(super) struct Replay {
    shares: Vec<Mutex<Share>>,
    /// Entries of one share and window.
    most: usize,
    /// Seconds for which an entry is kept at least.
    window: i64,
}

#[derive(Default)]
struct Share {
    began: i64,
    current: HashSet<u64>,
    previous: HashSet<u64>,
}

/// Why something is not good for this one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spent {
    Before,
    /// Nobody can say.
    Full,
}

impl Replay {
    /// One sender's flood fills one share, and leaves the others to others.
    const SHARES: usize = 16;

    pub(super) fn new(most: usize, window: i64) -> Self {
        Self { shares: (0..Self::SHARES).map(|_| Mutex::default()).collect(), most, window }
    }

    /// That of the process: one for all routes, and a reload forgets nothing. About 20 MB where it is full.
    pub(super) fn of_process() -> &'static Self {
        static MEMORY: LazyLock<Replay> =
            LazyLock::new(|| Replay::new(32_768, super::dpop::MAX_AGE + super::dpop::AHEAD));
        &MEMORY
    }

    /// That of signatures of requests, which are good for longer: 312 a second of one sender. About 70 MB where it is full.
    pub(super) fn of_signatures() -> &'static Self {
        // `maxAge` and twice `clockSkew`, at most.
        const WINDOW: i64 = 300 + 2 * 60;
        static MEMORY: LazyLock<Replay> = LazyLock::new(|| Replay::new(131_072, WINDOW));
        &MEMORY
    }

    /// Notes that `sender` presents `id` at `now` (Unix seconds), if it never did.
    pub(super) fn spend(&self, sender: &[u8; 32], id: &[u8], now: i64) -> Result<(), Spent> {
        let of_sender = sender.first().map_or(0, |byte| usize::from(*byte) % Self::SHARES);
        let share = self.shares.get(of_sender).ok_or(Spent::Full)?;
        let digest = sha256(&[&sender[..], id].concat());
        let entry = digest.iter().take(8).fold(0, |number, byte| (number << 8) | u64::from(*byte));
        // A panic in here cannot leave half an entry.
        let mut share = share.lock().unwrap_or_else(PoisonError::into_inner);
        share.turn(now, self.window);
        if share.current.contains(&entry) || share.previous.contains(&entry) {
            return Err(Spent::Before);
        }
        if share.current.len() >= self.most {
            return Err(Spent::Full);
        }
        share.current.insert(entry);
        Ok(())
    }
}

impl Share {
    /// What is older than a whole window is forgotten. A clock that is set back forgets nothing.
    fn turn(&mut self, now: i64, window: i64) {
        if now.saturating_sub(self.began) <= window {
            return;
        }
        let old = std::mem::take(&mut self.current);
        let recent = now.saturating_sub(self.began) <= window.saturating_mul(2);
        self.previous = if recent { old } else { HashSet::new() };
        self.began = now;
    }
}

impl fmt::Debug for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replay").field("most", &self.most).field("window", &self.window).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_good_twice_while_it_would_be_good() {
        let memory = Replay::new(3, 90);
        let (one, other) = ([1; 32], [2; 32]);
        assert_eq!(memory.spend(&one, b"a", 1000), Ok(()));
        assert_eq!(memory.spend(&one, b"a", 1000), Err(Spent::Before));
        assert_eq!(memory.spend(&other, b"a", 1000), Ok(()), "another sender's id is another");
        for later in [1090, 1091, 1180] {
            assert_eq!(memory.spend(&one, b"a", later), Err(Spent::Before), "at {later}");
        }
        assert_eq!(memory.spend(&one, b"a", 900), Err(Spent::Before), "a clock set back");
        assert_eq!(memory.spend(&one, b"a", 1273), Ok(()), "long after it could be good");
    }

    #[test]
    fn a_full_memory_refuses_its_own_and_forgets_nothing() {
        let memory = Replay::new(3, 90);
        let (one, other) = ([1; 32], [2; 32]);
        for id in [&b"a"[..], b"b", b"c"] {
            assert_eq!(memory.spend(&one, id, 1000), Ok(()));
        }
        assert_eq!(memory.spend(&one, b"d", 1000), Err(Spent::Full));
        assert_eq!(memory.spend(&one, b"a", 1000), Err(Spent::Before));
        assert_eq!(memory.spend(&other, b"d", 1000), Ok(()), "others have room");
        assert_eq!(memory.spend(&one, b"d", 1091), Ok(()), "room comes with time");
    }
}
