//! How often refused connections are recorded: a flood must not fill the log that tells of it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Records in one second; what is beyond them is counted, and the next record says how many.
const A_SECOND: u32 = 100;

/// A count of records by second.
#[derive(Debug, Default)]
pub(crate) struct Telling(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    second: u64,
    told: u32,
    silent: u64,
}

impl Telling {
    /// Whether the refusal of this moment is recorded, and then how many were not since the last that was.
    pub(crate) fn speak(&self, now: Duration) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if now.as_secs() > state.second {
            (state.second, state.told) = (now.as_secs(), 0);
        }
        if state.told >= A_SECOND {
            state.silent = state.silent.saturating_add(1);
            return None;
        }
        state.told += 1;
        Some(std::mem::take(&mut state.silent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_told_of_a_hundred_times_a_second_and_its_size_is_not_lost() {
        let telling = Telling::default();
        let at = |ms| telling.speak(Duration::from_millis(ms));
        assert!((0..100).all(|ms| at(1000 + ms) == Some(0)));
        assert!((0..500).all(|ms| at(1200 + ms).is_none()));
        assert_eq!((at(2000), at(2000)), (Some(500), Some(0)));
    }
}
