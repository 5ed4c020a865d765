//! How much of what the process can do is being done, in percent: the largest of the time its workers were busy, the
//! memory for bodies that is taken, and the connections that are open. Measured aside, read on the hot path.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::shared::Shared;

/// How often it is measured.
const EVERY: Duration = Duration::from_millis(250);
/// Measures that the busy time is averaged over: the last second.
const SPAN: usize = 4;

/// The last measure of the workers.
#[derive(Debug, Default)]
pub(crate) struct Load(AtomicU8);

impl Load {
    /// Percent, with what can be counted at once counted now.
    pub(crate) fn percent(&self, shared: &Shared) -> u8 {
        let open = share(shared.connections.open(), shared.runtime.load().most_connections());
        self.0.load(Ordering::Relaxed).max(open).max(shared.budget.taken())
    }
}

/// Part of a whole, in percent.
pub(crate) fn share(part: usize, whole: usize) -> u8 {
    let percent = part.saturating_mul(100) / whole.max(1);
    u8::try_from(percent.min(100)).unwrap_or(100)
}

/// Measures until `stop` turns true.
pub(crate) async fn measure(shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let workers = Handle::current().metrics();
    let busy = || (0..workers.num_workers()).map(|worker| workers.worker_total_busy_duration(worker)).sum::<Duration>();
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // The first tick comes at once, and of no time nothing can be said.
    tick.tick().await;
    let mut seen = vec![(Instant::now(), busy())];
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            _ = tick.tick() => {}
        }
        let (at, now) = (Instant::now(), busy());
        if let Some((since, before)) = seen.first() {
            let could = at.duration_since(*since) * u32::try_from(workers.num_workers()).unwrap_or(u32::MAX);
            let was = now.saturating_sub(*before);
            let micros = |time: Duration| usize::try_from(time.as_micros()).unwrap_or(usize::MAX);
            shared.load.0.store(share(micros(was), micros(could)), Ordering::Relaxed);
        }
        seen.push((at, now));
        if seen.len() > SPAN {
            seen.remove(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn a_share_is_of_a_hundred() {
        for (part, whole, percent) in [(0, 10, 0), (5, 10, 50), (10, 10, 100), (20, 10, 100), (0, 0, 0), (1, 0, 100)] {
            assert_eq!(share(part, whole), percent, "{part} of {whole}");
        }
        assert_eq!(share(usize::MAX, 7), 100);
    }
}
