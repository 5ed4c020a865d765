//! How many requests may be sent again: a part of those of the last ten seconds, so that retries never become the load
//! that keeps an upstream down.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Seconds that count.
const WINDOW: usize = 10;
/// Retries that are allowed however few requests there are: enough for a dead endpoint to be found out.
const FLOOR: u64 = 10;

/// Requests and retries, second by second.
#[derive(Debug)]
pub(crate) struct RetryBudget {
    percent: u8,
    began: Instant,
    seconds: Mutex<[Second; WINDOW]>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Second {
    number: u64,
    requests: u64,
    retries: u64,
}

impl RetryBudget {
    pub(crate) fn new(percent: u8) -> Self {
        Self { percent, began: Instant::now(), seconds: Mutex::default() }
    }

    pub(crate) fn note_request(&self) {
        self.with_now(|second, _| second.requests = second.requests.saturating_add(1));
    }

    /// Whether there is a retry left; if so, it is spent.
    pub(crate) fn take_retry(&self) -> bool {
        self.with_now(|second, (requests, retries)| {
            let allowed = (requests.saturating_mul(self.percent.into()) / 100).max(FLOOR);
            let taken = retries < allowed;
            second.retries = second.retries.saturating_add(u64::from(taken));
            taken
        })
    }

    fn with_now<T>(&self, change: impl FnOnce(&mut Second, (u64, u64)) -> T) -> T {
        let now = self.began.elapsed().max(Duration::ZERO).as_secs();
        let mut seconds = self.seconds.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = now.saturating_sub(WINDOW as u64 - 1);
        let within = seconds.iter().filter(|second| second.number >= oldest);
        let sums = within.fold((0_u64, 0_u64), |(requests, retries), second| {
            (requests.saturating_add(second.requests), retries.saturating_add(second.retries))
        });
        let index = usize::try_from(now % WINDOW as u64).unwrap_or_default();
        let mut nobody = Second::default();
        let second = seconds.get_mut(index).unwrap_or(&mut nobody);
        if second.number != now {
            *second = Second { number: now, ..Second::default() };
        }
        change(second, sums)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn retries_are_a_part_of_the_requests_of_the_last_seconds() {
        let budget = RetryBudget::new(20);
        let spent = |budget: &RetryBudget| (0..1000).take_while(|_| budget.take_retry()).count();
        assert_eq!(spent(&budget), 10, "a quiet upstream has some");
        tokio::time::advance(Duration::from_secs(11)).await;
        (0..100).for_each(|_| budget.note_request());
        assert_eq!(spent(&budget), 20);
        tokio::time::advance(Duration::from_secs(5)).await;
        (0..50).for_each(|_| budget.note_request());
        assert_eq!(spent(&budget), 10, "what was spent stays spent");
        tokio::time::advance(Duration::from_secs(11)).await;
        assert_eq!(spent(&budget), 10);
        let none = RetryBudget::new(0);
        (0..100).for_each(|_| none.note_request());
        assert_eq!(spent(&none), 10);
    }
}
