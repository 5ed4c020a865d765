//! From a name to addresses: looked up again every 30 s behind the requests that use it, and kept while the resolver is
//! away. What is looked up is checked, and nothing else is dialled.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::time::Instant;

use super::failure::{Failure, FailureKind};
use crate::egress::Egress;

/// How long addresses are used before the name is looked up again, and the time between two attempts to.
const AGAIN: Duration = Duration::from_secs(30);
/// Addresses of one name that are tried.
const MAX_ADDRESSES: usize = 16;

/// The addresses of one endpoint.
#[derive(Debug)]
pub(crate) struct Resolver {
    host: String,
    port: u16,
    egress: Egress,
    began: Instant,
    known: ArcSwapOption<Vec<SocketAddr>>,
    /// Milliseconds after `began` from which the name is looked up again.
    again: AtomicU64,
}

impl Resolver {
    pub(crate) fn new(host: &str, port: u16, egress: Egress) -> Self {
        let (known, again) = (ArcSwapOption::empty(), AtomicU64::new(0));
        Self { host: host.to_owned(), port, egress, began: Instant::now(), known, again }
    }

    /// At least one address. Waits for the resolver only where nothing is known yet.
    pub(crate) async fn addresses(self: &Arc<Self>) -> Result<Arc<Vec<SocketAddr>>, Failure> {
        let Some(known) = self.known.load_full() else { return self.look_up().await };
        if self.is_due() {
            let resolver = self.clone();
            // Ends within the time of a lookup; what it does not find is kept.
            tokio::spawn(async move { drop(resolver.look_up().await) });
        }
        Ok(known)
    }

    /// Whether it is this caller's turn to look again.
    fn is_due(&self) -> bool {
        let now = millis(self.began.elapsed());
        let due = self.again.load(Ordering::Relaxed);
        let next = now.saturating_add(millis(AGAIN));
        now >= due && self.again.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    async fn look_up(&self) -> Result<Arc<Vec<SocketAddr>>, Failure> {
        let mut found = match self.egress.resolve(&self.host, self.port).await {
            Ok(found) => found,
            Err(error) if error.is_refusal() => {
                // What was permitted before led elsewhere.
                self.known.store(None);
                return Err(Failure::new(FailureKind::Egress, error.to_string()));
            }
            Err(error) => return Err(Failure::new(FailureKind::Resolve, error.to_string())),
        };
        found.truncate(MAX_ADDRESSES);
        let found = Arc::new(found);
        self.known.store(Some(found.clone()));
        self.again.store(millis(self.began.elapsed().saturating_add(AGAIN)), Ordering::Relaxed);
        Ok(found)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
