//! How much of an upstream is in use: connections, requests, and requests that wait for a connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use postern_config::CircuitBreaker;
use tokio::sync::Notify;

use super::failure::{Failure, FailureKind};

/// What is in use. A reload keeps it, as what it counts goes on.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    requests: AtomicU32,
    connections: AtomicU32,
    pending: AtomicU32,
    /// Told whenever a connection becomes free, or is gone.
    freed: Notify,
}

/// One of a number, for as long as it lives.
#[derive(Debug)]
struct One {
    usage: Arc<Usage>,
    of: Of,
}

#[derive(Debug, Clone, Copy)]
enum Of {
    Requests,
    Connections,
    Pending,
}

/// A request under way.
#[derive(Debug)]
pub(crate) struct Admission {
    _one: One,
}

/// An open connection.
#[derive(Debug)]
pub(crate) struct Lease {
    _one: One,
}

/// A request that waits for a connection.
#[derive(Debug)]
pub(crate) struct Waiting {
    _one: One,
}

/// The limits of one set over what is in use.
#[derive(Debug)]
pub(crate) struct Breaker {
    limits: CircuitBreaker,
    usage: Arc<Usage>,
}

impl Breaker {
    pub(crate) fn new(limits: CircuitBreaker) -> Self {
        Self { limits, usage: Arc::default() }
    }

    /// Counts on where `old` stands.
    pub(crate) fn adopt(&mut self, old: &Self) {
        self.usage = old.usage.clone();
    }

    pub(crate) fn admit(&self) -> Result<Admission, Failure> {
        self.take(Of::Requests, self.limits.max_requests)
            .map(|one| Admission { _one: one })
            .ok_or_else(|| self.overflow("requests under way"))
    }

    /// A place for a connection, if there is one.
    pub(crate) fn lease(&self) -> Option<Lease> {
        self.take(Of::Connections, self.limits.max_connections).map(|one| Lease { _one: one })
    }

    pub(crate) fn wait(&self) -> Result<Waiting, Failure> {
        let waiting = self.take(Of::Pending, self.limits.max_pending).map(|one| Waiting { _one: one });
        waiting.ok_or_else(|| self.overflow("connections, and requests that wait for one"))
    }

    pub(crate) fn freed(&self) -> &Notify {
        &self.usage.freed
    }

    /// Whether a limit is reached, so that a request would be refused now.
    pub(crate) fn is_open(&self) -> bool {
        let full = |of: Of, limit: u32| self.usage.number(of).load(Ordering::Relaxed) >= limit;
        full(Of::Requests, self.limits.max_requests)
            || (full(Of::Connections, self.limits.max_connections) && full(Of::Pending, self.limits.max_pending))
    }

    fn take(&self, of: Of, limit: u32) -> Option<One> {
        let number = self.usage.number(of);
        let more = |now: u32| (now < limit).then(|| now.saturating_add(1));
        number.fetch_update(Ordering::AcqRel, Ordering::Relaxed, more).ok()?;
        Some(One { usage: self.usage.clone(), of })
    }

    fn overflow(&self, what: &str) -> Failure {
        Failure::new(FailureKind::Overflow, format!("the circuit breaker is open: as many {what} as it allows"))
    }
}

impl Usage {
    fn number(&self, of: Of) -> &AtomicU32 {
        match of {
            Of::Requests => &self.requests,
            Of::Connections => &self.connections,
            Of::Pending => &self.pending,
        }
    }
}

impl Drop for One {
    fn drop(&mut self) {
        self.usage.number(self.of).fetch_sub(1, Ordering::AcqRel);
        // Where a request ends, a connection or a place on one may be free.
        if !matches!(self.of, Of::Pending) {
            self.usage.freed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaker() -> Breaker {
        Breaker::new(CircuitBreaker { max_connections: 2, max_requests: 3, max_pending: 1 })
    }

    #[test]
    fn what_goes_beyond_a_limit_is_refused_until_something_ends() {
        let breaker = breaker();
        let mut held: Vec<_> = (0..3).map(|_| breaker.admit().unwrap()).collect();
        assert!(breaker.is_open());
        assert_eq!(breaker.admit().unwrap_err().kind, FailureKind::Overflow);
        held.pop();
        assert!(breaker.admit().is_ok());
        let leases = (breaker.lease().unwrap(), breaker.lease().unwrap());
        assert!(breaker.lease().is_none());
        let waiting = breaker.wait().unwrap();
        assert_eq!(breaker.wait().unwrap_err().kind, FailureKind::Overflow);
        drop((leases, waiting));
        assert!(breaker.lease().is_some() && breaker.wait().is_ok());
    }

    #[test]
    fn a_reload_goes_on_counting() {
        let old = breaker();
        let held: Vec<_> = (0..3).map(|_| old.admit().unwrap()).collect();
        let mut new = breaker();
        new.adopt(&old);
        assert!(new.admit().is_err());
        drop(held);
        assert!(new.admit().is_ok());
    }
}
