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

mod leases;
mod link;
mod resp;
mod script;
mod target;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use postern_filters::limit::{Decided, DecidedClaim, Seats, SharedAsk, Unavailable, Wanted};
use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::standing::Standing;
use crate::telemetry::Metrics;
use leases::{Claimed, Kept, Leases, Seat};
use link::{Away, Link};
use resp::Reply;
use script::{DECIDE, RENEW};
pub(crate) use target::Target;

/// Connections. Decisions of all requests go over them, one behind the other.
const LINKS: usize = 2;
/// Longest time for a decision.
const PATIENCE: Duration = Duration::from_millis(100);
/// How often who stands in line looks whether it is its turn.
const LOOK: Duration = Duration::from_millis(50);
/// How often it is said that the store does not decide.
const TELL: Duration = Duration::from_secs(30);

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
    leases: Leases,
    metrics: Arc<Metrics>,
    /// When it was said last that it does not decide.
    told: Mutex<Option<Instant>>,
    keeper: JoinHandle<()>,
}

impl Drop for Store {
    fn drop(&mut self) {
        self.keeper.abort();
    }
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
            *store = target.map(|target| Store::open(gateway, target, &self.metrics));
        }
    }

    /// Whether decisions can be asked for.
    pub(crate) fn is_connected(&self) -> bool {
        let store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        store.as_ref().is_some_and(|store| store.link().is_ok())
    }

    /// Decides over the shared limits of one step, or a charge. Seats end `standing` where they cannot be kept.
    ///
    /// # Errors
    /// [`Unavailable`] where the store did not say in time. It may have counted.
    pub(crate) async fn decide(&self, ask: &SharedAsk, standing: &Arc<Standing>) -> Result<Decided, Unavailable> {
        let store = self.store.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let decided = match store {
            Some(store) => store.decide(ask, standing).await,
            None => {
                self.metrics.limits_decided("unavailable", 0.0);
                Err(Away("the bootstrap names no store".to_owned()))
            }
        };
        decided.map_err(|Away(why)| Unavailable(why))
    }
}

/// What the script said.
enum Said {
    Decided(Decided),
    /// It is in line.
    InLine,
}

impl Store {
    fn open(gateway: &str, target: &Arc<Target>, metrics: &Arc<Metrics>) -> Arc<Self> {
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
        if let Some(mut run) = links.first().map(Link::watch) {
            tokio::spawn(async move {
                while run.changed().await.is_ok() {
                    if run.borrow_and_update().is_some() {
                        info!("the store of shared limits is there");
                    }
                }
            });
        }
        // In braces, so that all keys of a decision are in one slot of a cluster.
        let prefix = format!("postern:{{{gateway}}}:limits:");
        let leases = Leases::new(target.lease);
        let tick = leases::tick(&leases);
        Arc::new_cyclic(|this| Self {
            target: target.clone(),
            prefix,
            links,
            next: AtomicUsize::new(0),
            leases,
            metrics: metrics.clone(),
            told: Mutex::default(),
            keeper: tokio::spawn(leases::keep(this.clone(), tick)),
        })
    }

    /// The key of a limit as the store knows it.
    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// A link that is up, and its number.
    fn link(&self) -> Result<(usize, &Link), Away> {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let numbers = (0..self.links.len()).map(|offset| first.wrapping_add(offset) % self.links.len());
        let mut links = numbers.filter_map(|number| Some((number, self.links.get(number)?)));
        links.find(|(_, link)| link.is_up()).ok_or_else(|| Away("there is no connection to the store".to_owned()))
    }

    async fn decide(self: &Arc<Self>, ask: &SharedAsk, standing: &Arc<Standing>) -> Result<Decided, Away> {
        let mut claimed = Claimed::of(self, ask);
        let began = Instant::now();
        loop {
            let sent = Instant::now();
            let said = match tokio::time::timeout(PATIENCE, self.ask(ask, claimed.as_mut(), began.elapsed())).await {
                Ok(said) => said,
                Err(_) => Err(Away("the store did not decide in time".to_owned())),
            };
            let outcome = match &said {
                Ok(Said::Decided(decided)) if decided.passes => "allowed",
                Ok(Said::Decided(_)) => "refused",
                Ok(Said::InLine) => "queued",
                Err(_) => "unavailable",
            };
            self.metrics.limits_decided(outcome, sent.elapsed().as_secs_f64());
            if let Err(Away(why)) = &said {
                self.tell_trouble(why);
            }
            match said? {
                Said::InLine => tokio::time::sleep(LOOK).await,
                Said::Decided(decided) if decided.passes => {
                    if claimed.as_ref().is_some_and(|claimed| !claimed.keep(sent, standing)) {
                        return Err(Away("the store gave a seat too long ago".to_owned()));
                    }
                    return Ok(Decided { seats: claimed.map(Seats::new), ..decided });
                }
                Said::Decided(decided) => {
                    if let Some(claimed) = &mut claimed {
                        claimed.refused();
                    }
                    return Ok(decided);
                }
            }
        }
    }

    /// Asks once, over one link that stays the same for all that is asked for one request.
    async fn ask(&self, ask: &SharedAsk, claimed: Option<&mut Claimed>, waited: Duration) -> Result<Said, Away> {
        let (number, link) = match claimed.as_ref().and_then(|claimed| claimed.link()) {
            Some(number) => {
                (number, self.links.get(number).ok_or_else(|| Away("a link that is not there".to_owned()))?)
            }
            None => self.link()?,
        };
        let name = match claimed {
            Some(claimed) => {
                claimed.asked_over(number);
                claimed.name.clone()
            }
            None => Arc::from("-"),
        };
        let waited = u64::try_from(waited.as_micros()).unwrap_or(u64::MAX);
        let (mut keys, mut arguments) = (vec![self.key("epoch")], vec![name.to_string(), self.lease()]);
        for claim in &ask.claims {
            let key = self.key(&claim.key);
            let patience = claim.patience.saturating_sub(waited);
            let kind = match claim.wanted {
                Wanted::Rate { .. } => "rate",
                Wanted::Debt { .. } => "debt",
                Wanted::Seat { .. } => "seat",
            };
            if matches!(claim.wanted, Wanted::Seat { .. }) {
                keys.extend([key.clone(), format!("{key}:line"), format!("{key}:seen")]);
            } else {
                keys.push(key);
            }
            let [floor, full, ceiling, need, least, most] = match claim.wanted {
                Wanted::Rate { budget: b, need, take } => [b.floor, b.full, b.ceiling, need, take, take],
                Wanted::Debt { budget: b, least, most } => [b.floor, b.full, b.ceiling, 0, least, most],
                Wanted::Seat { seats } => [0, 0, 0, seats, 0, 0],
            };
            arguments.push(kind.to_owned());
            let numbers = [u64::from(claim.strict), patience, floor, full, ceiling, need, least, most];
            arguments.extend(numbers.map(|number| number.to_string()));
        }
        read(DECIDE.run(link, keys, arguments).await?, ask.claims.len())
    }

    /// Says of seats that somebody is still in them, and hears of each what became of it.
    async fn renew(&self, link: &Link, seats: &[(&Seat, &str)]) -> Result<Vec<Kept>, Away> {
        let keys = std::iter::once(self.key("epoch")).chain(seats.iter().map(|(seat, _)| seat.key.clone())).collect();
        let each = seats.iter().flat_map(|(seat, name)| {
            let of = seat.of.map_or_else(|| "-1".to_owned(), |of| of.to_string());
            [(*name).to_owned(), of]
        });
        let arguments = std::iter::once(self.lease()).chain(each).collect();
        let odd = || Away("the store does not say what became of seats".to_owned());
        let said = match RENEW.run(link, keys, arguments).await? {
            Reply::Text(said) => said,
            Reply::Error(error) => return Err(refused(&error)),
            _ => return Err(odd()),
        };
        let kept = said.iter().map(|letter| match letter {
            b'k' => Ok(Kept::Known),
            b'n' => Ok(Kept::New),
            b'l' => Ok(Kept::Lost),
            _ => Err(odd()),
        });
        let kept = kept.collect::<Result<Vec<_>, _>>()?;
        if kept.len() == seats.len() { Ok(kept) } else { Err(odd()) }
    }

    /// Says that the store does not decide although it is there: once in a while, and not with every request.
    fn tell_trouble(&self, why: &str) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|told| told.elapsed() >= TELL) {
            *told = Some(Instant::now());
            warn!("error.type" = "limit_store", why, "the store of shared limits does not decide");
        }
    }

    fn lease(&self) -> String {
        self.leases.lease().as_micros().to_string()
    }
}

/// The store could not run a script. In its words, not a caller's, of which the first says what it is.
fn refused(error: &str) -> Away {
    Away(format!("the store could not decide: {}", error.split(' ').next().unwrap_or_default()))
}

/// What the script said. Anything else is no decision.
fn read(reply: Reply, claims: usize) -> Result<Said, Away> {
    let odd = || Away("the store says something else than a decision".to_owned());
    let items = match reply {
        Reply::List(items) => items,
        Reply::Error(error) => return Err(refused(&error)),
        _ => return Err(odd()),
    };
    let [Reply::Integer(passes), Reply::Integer(now), Reply::List(each)] = items.as_slice() else { return Err(odd()) };
    let number = |reply: &Reply| match reply {
        Reply::Integer(number) => u64::try_from(*number).map_err(|_| odd()),
        _ => Err(odd()),
    };
    let claim = |reply: &Reply| match reply {
        Reply::List(parts) => match parts.as_slice() {
            [wait, left, state] => Ok(DecidedClaim { wait: number(wait)?, left: number(left)?, state: number(state)? }),
            _ => Err(odd()),
        },
        _ => Err(odd()),
    };
    let each = each.iter().map(claim).collect::<Result<Vec<_>, _>>()?;
    if each.len() != claims {
        return Err(odd());
    }
    let now = u64::try_from(*now).map_err(|_| odd())?;
    match passes {
        0 | 1 => Ok(Said::Decided(Decided { passes: *passes == 1, now, claims: each, seats: None })),
        2 => Ok(Said::InLine),
        _ => Err(odd()),
    }
}
