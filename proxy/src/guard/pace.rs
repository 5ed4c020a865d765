//! The pace a client has to keep: some time, and a second more for each KiB that has moved. A byte now and then does not
//! put the end off, which an idle timeout would let it do (attack 42).

use std::time::Duration;

/// Slowest pace that is served to the end.
const BYTES_A_SECOND: u64 = 1024;

/// What one direction of one exchange has waited for its client, and moved meanwhile.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    patience: Duration,
    waited: Duration,
    moved: u64,
}

impl Pace {
    pub(crate) fn new(patience: Duration) -> Self {
        Self { patience, waited: Duration::ZERO, moved: 0 }
    }

    /// How long the next piece may take.
    pub(crate) fn left(&self) -> Duration {
        let earned = Duration::from_secs(self.moved / BYTES_A_SECOND);
        // A client that was fast may pause for as long as a new one, not longer.
        self.patience.saturating_add(earned).saturating_sub(self.waited).min(self.patience)
    }

    /// A piece of `bytes` took `time`.
    pub(crate) fn took(&mut self, time: Duration, bytes: usize) {
        self.waited = self.waited.saturating_add(time);
        self.moved = self.moved.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Seconds until a client is cut that moves `bytes` each second.
    fn served(bytes: usize) -> u32 {
        let mut pace = Pace::new(30 * SECOND);
        (0..4000)
            .find(|_| {
                let cut = pace.left() < SECOND;
                pace.took(SECOND, bytes);
                cut
            })
            .unwrap_or(4000)
    }

    #[test]
    fn attack_42_a_byte_a_second_is_cut_as_soon_as_silence_and_a_kilobyte_is_served() {
        assert_eq!((served(0), served(1), served(20)), (30, 30, 30));
        assert_eq!(served(1024), 4000);
        assert_eq!(served(512), 59, "half the pace, twice the time");
    }

    #[test]
    fn what_was_earned_is_not_saved_up() {
        let mut pace = Pace::new(30 * SECOND);
        pace.took(SECOND, 100 << 20);
        assert_eq!(pace.left(), 30 * SECOND);
    }
}
