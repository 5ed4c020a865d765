//! The store that replicas share for their limits: Redis or Valkey.
//!
//! A decision is one script over all shared limits of a request: it takes as long as a round trip, and either spends all of
//! them or none. Time is the store's, so that replicas agree on it. A decision that does not come in time is none; what
//! happens then is policy (`onUnavailable`), and the budget may have been spent all the same.
//!
//! **What is lost counts as spent.** The store keeps an epoch: the run of its process and the moment at which the first
//! decision of that run was made. A restart, another primary, or FLUSHALL ends it, and in a new epoch every key begins as if
//! it had just spent its burst; it has that back in its own time, so no caller gets more than its limit out of a loss. A key
//! that is taken away alone is missed by every replica that has seen it spend: each remembers the highest state of a key and
//! says so with the next decision. A store that evicts keys, or one that follows another, is not asked at all.
//!
//! **While it is away** nobody waits for it: a link that is down says so at once, and one that stalls is down after a second.

mod link;
mod resp;
mod target;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::digest;
use postern_filters::limit::{Decided, DecidedClaim, SharedAsk, Unavailable};
use tracing::{info, warn};

use crate::telemetry::Metrics;
use link::{Away, Link};
use resp::Reply;
pub(crate) use target::Target;

/// Connections. Decisions of all requests go over them, one behind the other.
const LINKS: usize = 2;
/// Longest time for a decision.
const PATIENCE: Duration = Duration::from_millis(100);
const SCRIPT: &str = include_str!("limits/decide.lua");

static DIGEST: LazyLock<String> = LazyLock::new(|| {
    let sha1 = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, SCRIPT.as_bytes());
    sha1.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
});

/// The store of the running set, if it names one.
#[derive(Debug)]
pub(crate) struct LimitLinks {
    store: Mutex<Option<Arc<Store>>>,
    metrics: Arc<Metrics>,
}

/// A store and the links to it.
#[derive(Debug)]
struct Store {
    target: Arc<Target>,
    prefix: String,
    links: Vec<Link>,
    next: AtomicUsize,
}

impl LimitLinks {
    pub(crate) fn new(metrics: Arc<Metrics>) -> Self {
        Self { store: Mutex::default(), metrics }
    }

    /// Goes over to the store that a set names. One that is the same as before keeps its links.
    pub(crate) fn follow(&self, gateway: &str, target: Option<&Arc<Target>>) {
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        let same = match (store.as_ref(), target) {
            (Some(store), Some(target)) => store.target.is_same(target),
            (None, None) => true,
            _ => false,
        };
        if !same {
            *store = target.map(|target| Arc::new(Store::open(gateway, target, &self.metrics)));
        }
    }

    /// Decides over the shared limits of one step.
    ///
    /// # Errors
    /// [`Unavailable`] where the store did not say in time. It may have counted.
    pub(crate) async fn decide(&self, ask: &SharedAsk) -> Result<Decided, Unavailable> {
        let store = self.store.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let began = Instant::now();
        let decided = match store {
            Some(store) => match tokio::time::timeout(PATIENCE, store.decide(ask)).await {
                Ok(decided) => decided,
                Err(_) => Err(Away("the store did not decide in time".to_owned())),
            },
            None => Err(Away("the bootstrap names no store".to_owned())),
        };
        let outcome = match &decided {
            Ok(decided) if decided.passes => "allowed",
            Ok(_) => "refused",
            Err(_) => "unavailable",
        };
        self.metrics.limits_decided(outcome, began.elapsed().as_secs_f64());
        decided.map_err(|Away(why)| Unavailable(why))
    }
}

impl Store {
    fn open(gateway: &str, target: &Arc<Target>, metrics: &Arc<Metrics>) -> Self {
        // With several links the first one to say so is enough.
        let links: Vec<Link> = (0..LINKS)
            .map(|number| {
                Link::keep(target.clone(), move |why| {
                    if number == 0 {
                        warn!("error.type" = "limit_store", why, "the store of shared limits is away");
                    }
                })
            })
            .collect();
        if let Some(first) = links.first() {
            let (mut run, metrics) = (first.watch(), metrics.clone());
            tokio::spawn(async move {
                while run.changed().await.is_ok() {
                    let up = run.borrow_and_update().is_some();
                    metrics.limits_connected.set(i64::from(up));
                    if up {
                        info!("the store of shared limits is there");
                    }
                }
                // The set names another, or none.
                metrics.limits_connected.set(0);
            });
        }
        // In braces, so that all keys of a decision are in one slot of a cluster.
        let prefix = format!("postern:{{{gateway}}}:limits:");
        Self { target: target.clone(), prefix, links, next: AtomicUsize::new(0) }
    }

    async fn decide(&self, ask: &SharedAsk) -> Result<Decided, Away> {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let mut links =
            (0..self.links.len()).filter_map(|offset| self.links.get(first.wrapping_add(offset) % self.links.len()));
        let link = links.find(|link| link.is_up());
        let link = link.ok_or_else(|| Away("there is no connection to the store".to_owned()))?;
        let (parts, run_at) = self.command("EVALSHA", &DIGEST, ask);
        let reply = match link.call(parts, Some(run_at)).await? {
            Reply::Error(error) if error.starts_with("NOSCRIPT") => {
                // It has not run, and is known from then on.
                let (parts, run_at) = self.command("EVAL", SCRIPT, ask);
                link.call(parts, Some(run_at)).await?
            }
            reply => reply,
        };
        read(reply, ask.claims.len())
    }

    /// The command, and which of its parts is the run.
    fn command(&self, name: &str, script: &str, ask: &SharedAsk) -> (Vec<Vec<u8>>, usize) {
        let mut parts: Vec<Vec<u8>> = Vec::with_capacity(5 + ask.claims.len() * 6);
        let text = |text: String| text.into_bytes();
        parts.push(text(name.to_owned()));
        parts.push(text(script.to_owned()));
        parts.push(text((ask.claims.len() + 1).to_string()));
        parts.push(text(format!("{}epoch", self.prefix)));
        parts.extend(ask.claims.iter().map(|claim| text(format!("{}{}", self.prefix, claim.key))));
        let run_at = parts.len();
        parts.push(Vec::new());
        for claim in &ask.claims {
            let strict = u64::from(claim.strict);
            for number in [claim.interval, claim.full, claim.patience, claim.floor, strict] {
                parts.push(text(number.to_string()));
            }
        }
        (parts, run_at)
    }
}

/// What the script said. Anything else is no decision.
fn read(reply: Reply, claims: usize) -> Result<Decided, Away> {
    let odd = || Away("the store says something else than a decision".to_owned());
    let items = match reply {
        Reply::List(items) => items,
        Reply::Error(error) => {
            // The store's words, not a caller's; the first of them says what it is.
            let word = error.split(' ').next().unwrap_or_default().to_owned();
            return Err(Away(format!("the store could not decide: {word}")));
        }
        _ => return Err(odd()),
    };
    let [Reply::Integer(passes), Reply::Integer(now), Reply::List(each)] = items.as_slice() else { return Err(odd()) };
    let number = |reply: &Reply| match reply {
        Reply::Integer(number) => u64::try_from(*number).map_err(|_| odd()),
        _ => Err(odd()),
    };
    let claim = |reply: &Reply| match reply {
        Reply::List(parts) => match parts.as_slice() {
            [wait, remaining, state] => {
                Ok(DecidedClaim { wait: number(wait)?, remaining: number(remaining)?, state: number(state)? })
            }
            _ => Err(odd()),
        },
        _ => Err(odd()),
    };
    let each = each.iter().map(claim).collect::<Result<Vec<_>, _>>()?;
    if each.len() != claims || !matches!(passes, 0 | 1) {
        return Err(odd());
    }
    Ok(Decided { passes: *passes == 1, now: u64::try_from(*now).map_err(|_| odd())?, claims: each })
}
