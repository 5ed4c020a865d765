//! From a name to addresses: looked up again every 30 s behind the requests that use it, and kept while the resolver is
//! away.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::time::Instant;

use super::failure::{Failure, FailureKind};

/// How long addresses are used before the name is looked up again, and the time between two attempts to.
const AGAIN: Duration = Duration::from_secs(30);
const LOOKUP: Duration = Duration::from_secs(5);
/// Addresses of one name that are tried.
const MAX_ADDRESSES: usize = 16;

/// The addresses of one endpoint.
#[derive(Debug)]
pub(crate) struct Resolver {
    host: String,
    port: u16,
    began: Instant,
    known: ArcSwapOption<Vec<SocketAddr>>,
    /// Milliseconds after `began` from which the name is looked up again.
    again: AtomicU64,
}

impl Resolver {
    pub(crate) fn new(host: &str, port: u16) -> Self {
        let known = host.parse::<IpAddr>().ok().map(|ip| Arc::new(vec![SocketAddr::new(ip, port)]));
        let again = if known.is_some() { u64::MAX } else { 0 };
        Self {
            host: host.to_owned(),
            port,
            began: Instant::now(),
            known: ArcSwapOption::new(known),
            again: AtomicU64::new(again),
        }
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
        let failed = |why: &str| Failure::new(FailureKind::Resolve, format!("`{}` could not be resolved: {why}", self.host));
        let lookup = tokio::net::lookup_host((self.host.as_str(), self.port));
        let found = tokio::time::timeout(LOOKUP, lookup).await.map_err(|_| failed("no answer in time"))?;
        let found: Vec<SocketAddr> = found.map_err(|error| failed(&error.to_string()))?.take(MAX_ADDRESSES).collect();
        if found.is_empty() {
            return Err(failed("it has no address"));
        }
        let found = Arc::new(found);
        self.known.store(Some(found.clone()));
        self.again.store(millis(self.began.elapsed().saturating_add(AGAIN)), Ordering::Relaxed);
        Ok(found)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
