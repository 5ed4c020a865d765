//! A clock that a test sets, and can make fail.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread::{self, ThreadId};

use postern_proxy::clock::{Clock, SystemClock};

/// The machine's time, moved by what a test says.
#[derive(Debug)]
pub struct TestClock {
    ahead_ms: AtomicI64,
    fails: AtomicBool,
    /// Where requests are served; the log's own thread is left alone.
    thread: ThreadId,
}

impl TestClock {
    pub fn new() -> Self {
        Self { ahead_ms: AtomicI64::new(0), fails: AtomicBool::new(false), thread: thread::current().id() }
    }

    pub fn forward(&self, seconds: i64) {
        self.ahead_ms.fetch_add(seconds * 1000, Ordering::Relaxed);
    }

    /// The next look at it panics.
    pub fn fail_once(&self) {
        self.fails.store(true, Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn unix_ms(&self) -> i64 {
        if thread::current().id() == self.thread && self.fails.swap(false, Ordering::Relaxed) {
            panic!("the clock was told to fail");
        }
        SystemClock.unix_ms() + self.ahead_ms.load(Ordering::Relaxed)
    }
}
