//! Whether an endpoint is in order: by what it answers when it is asked, and by what happens to requests.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use postern_config::{HealthCheck, PassiveHealth};
use tokio::time::Instant;

/// The longest an endpoint is left out, in multiples of `ejectFor`.
const MOST: u32 = 10;

/// The state of one endpoint. A reload keeps it for an endpoint that stays.
#[derive(Debug)]
pub(crate) struct Health {
    began: Instant,
    /// Asked, and not in order.
    down: AtomicBool,
    /// Milliseconds after `began` until which it is left out; 0 for never.
    ejected_until: AtomicU64,
    row: Mutex<Row>,
}

#[derive(Debug, Default)]
struct Row {
    good: u32,
    bad: u32,
    failures: u32,
    ejections: u32,
}

/// What became of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    Same,
    Up,
    Down,
}

impl Default for Health {
    fn default() -> Self {
        Self { began: Instant::now(), down: false.into(), ejected_until: 0.into(), row: Mutex::default() }
    }
}

impl Health {
    pub(crate) fn is_usable(&self) -> bool {
        !self.is_down() && !self.is_ejected()
    }

    pub(crate) fn is_down(&self) -> bool {
        self.down.load(Ordering::Relaxed)
    }

    pub(crate) fn is_ejected(&self) -> bool {
        self.ejected_until.load(Ordering::Relaxed) > self.now()
    }

    /// An answer to a question of ours.
    pub(crate) fn asked(&self, well: bool, rules: &HealthCheck) -> Turn {
        let mut row = self.row.lock().unwrap_or_else(PoisonError::into_inner);
        (row.good, row.bad) = if well { (row.good.saturating_add(1), 0) } else { (0, row.bad.saturating_add(1)) };
        let down = self.is_down();
        if down && row.good >= rules.healthy_after {
            self.down.store(false, Ordering::Relaxed);
            return Turn::Up;
        }
        if !down && row.bad >= rules.unhealthy_after {
            self.down.store(true, Ordering::Relaxed);
            return Turn::Down;
        }
        Turn::Same
    }

    /// Nobody asks any more, so nothing could say that it is in order again.
    pub(crate) fn forget_answers(&self) {
        self.down.store(false, Ordering::Relaxed);
    }

    /// A request that was answered.
    pub(crate) fn served(&self) {
        let mut row = self.row.lock().unwrap_or_else(PoisonError::into_inner);
        row.failures = 0;
        row.ejections = 0;
    }

    /// A request that failed. `may_eject` says whether so many may be left out.
    pub(crate) fn failed(&self, rules: &PassiveHealth, may_eject: impl FnOnce() -> bool) -> Turn {
        let mut row = self.row.lock().unwrap_or_else(PoisonError::into_inner);
        row.failures = row.failures.saturating_add(1);
        if row.failures < rules.consecutive_failures || self.is_ejected() || !may_eject() {
            return Turn::Same;
        }
        row.failures = 0;
        row.ejections = row.ejections.saturating_add(1).min(MOST);
        let until = rules.eject_for.saturating_mul(row.ejections);
        self.ejected_until.store(self.now().saturating_add(millis(until)), Ordering::Relaxed);
        Turn::Down
    }

    fn now(&self) -> u64 {
        millis(self.began.elapsed())
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_that_is_asked_goes_down_and_up_by_answers_in_a_row() {
        let rules = HealthCheck {
            path: "/".to_owned(),
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            healthy_after: 2,
            unhealthy_after: 3,
        };
        let health = Health::default();
        let turns: Vec<Turn> = [false, false, true, false, false, false, false, true, false, true, true]
            .into_iter()
            .map(|well| health.asked(well, &rules))
            .collect();
        let mut want = [Turn::Same; 11];
        (want[5], want[10]) = (Turn::Down, Turn::Up);
        assert_eq!(turns, want);
        assert!(health.is_usable());
    }

    #[tokio::test(start_paused = true)]
    async fn an_endpoint_that_fails_requests_is_left_out_for_longer_each_time() {
        let rules = PassiveHealth { consecutive_failures: 2, eject_for: Duration::from_secs(30), max_ejected: 50 };
        let health = Health::default();
        assert_eq!(health.failed(&rules, || true), Turn::Same);
        health.served();
        assert_eq!(health.failed(&rules, || true), Turn::Same);
        assert_eq!(health.failed(&rules, || false), Turn::Same, "too many are left out");
        assert_eq!(health.failed(&rules, || true), Turn::Down);
        assert!(!health.is_usable());
        tokio::time::advance(Duration::from_secs(31)).await;
        assert!(health.is_usable());
        health.failed(&rules, || true);
        assert_eq!(health.failed(&rules, || true), Turn::Down);
        tokio::time::advance(Duration::from_secs(31)).await;
        assert!(!health.is_usable(), "twice as long");
        tokio::time::advance(Duration::from_secs(30)).await;
        assert!(health.is_usable());
    }
}
