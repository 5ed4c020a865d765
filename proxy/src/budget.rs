//! The memory that all inspected bodies together may take: a quarter of what there is, and then 503 (§10).
//!
//! Nothing waits for room: a request that waited would hold what others wait for.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Where neither the machine nor its control group says how much memory there is.
const UNKNOWN: usize = 1 << 30;

/// What is left of the memory for bodies.
#[derive(Debug)]
pub(crate) struct Budget {
    whole: usize,
    left: AtomicUsize,
}

/// What one exchange holds of it; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Arc<Budget>,
    held: usize,
}

/// Other bodies hold the memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the bodies being inspected hold all the memory set aside for them")]
pub(crate) struct Exhausted;

impl Budget {
    pub(crate) fn new(bytes: usize) -> Self {
        Self { whole: bytes, left: AtomicUsize::new(bytes) }
    }

    /// A quarter of the memory of this machine, or of the control group we are in where that is less.
    pub(crate) fn of_machine() -> Self {
        let machine = read("/proc/meminfo").and_then(|text| mem_total(&text));
        let groups = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
        let group = groups.iter().filter_map(read).filter_map(|text| text.trim().parse().ok()).min();
        let whole = machine.into_iter().chain(group).min().unwrap_or(UNKNOWN);
        Self::new(whole / 4)
    }

    /// How much of it is taken, in percent.
    pub(crate) fn taken(&self) -> u8 {
        let taken = self.whole.saturating_sub(self.left.load(Ordering::Relaxed));
        u8::try_from(taken.saturating_mul(100) / self.whole.max(1)).unwrap_or(100)
    }

    pub(crate) fn share(self: &Arc<Self>) -> Share {
        Share { budget: self.clone(), held: 0 }
    }
}

impl Share {
    /// Takes `bytes` more.
    ///
    /// # Errors
    /// [`Exhausted`] where there are not that many left; what is held stays held.
    pub(crate) fn take(&mut self, bytes: usize) -> Result<(), Exhausted> {
        let taken = self.budget.left.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(bytes));
        taken.map_err(|_| Exhausted)?;
        self.held = self.held.saturating_add(bytes);
        Ok(())
    }

    /// Gives back what is not needed any more.
    pub(crate) fn give(&mut self, bytes: usize) {
        let given = bytes.min(self.held);
        self.held -= given;
        self.budget.left.fetch_add(given, Ordering::AcqRel);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.left.fetch_add(self.held, Ordering::AcqRel);
    }
}

fn read(path: impl AsRef<Path>) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

/// `MemTotal` of `/proc/meminfo`, in bytes.
fn mem_total(text: &str) -> Option<usize> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_not_there_for_others_until_it_is_given_back() {
        let budget = Arc::new(Budget::new(10));
        let (mut one, mut other) = (budget.share(), budget.share());
        one.take(4).unwrap();
        one.take(3).unwrap();
        assert_eq!(other.take(4), Err(Exhausted));
        other.take(3).unwrap();
        assert_eq!(one.take(1), Err(Exhausted));
        one.give(4);
        other.take(4).unwrap();
        assert_eq!(other.take(1), Err(Exhausted));
        // No more than it holds.
        one.give(100);
        other.take(3).unwrap();
        drop(one);
        assert_eq!(other.take(1), Err(Exhausted));
        drop(other);
        budget.share().take(10).unwrap();
    }

    #[test]
    fn reads_how_much_memory_the_machine_has() {
        assert_eq!(mem_total("MemTotal:        2048 kB\nMemFree: 1 kB\n"), Some(2 << 20));
        for text in ["", "MemTotal: many kB", "MemTotal: 5", "MemTotal: 99999999999999999999 kB"] {
            assert_eq!(mem_total(text), None, "{text}");
        }
    }
}
