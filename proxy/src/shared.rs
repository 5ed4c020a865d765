//! What all connections of a process share: the running policy, the audit log, metrics.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use postern_certs::Workloads;
use postern_config::Direction;
use postern_filters::Peer;
use postern_filters::limit::LimitStore;
use tokio::sync::watch;
use tracing::{error, info};

use crate::audit::{AuditFull, AuditWriter, Receipt};
use crate::budget::Budget;
use crate::clock::Clock;
use crate::connection::Connection;
use crate::connections::{Cut, Registry};
use crate::credentials::{self, Standing};
use crate::guard::{self, Addresses, Bans, Load, Seats, Telling};
use crate::listeners::Listeners;
use crate::outside::Outside;
use crate::outside::limits::LimitLinks;
use crate::record;
use crate::reload::{LastLoad, Stamps};
use crate::runtime::Runtime;
use crate::spiffe::Agents;
use crate::story::Story;
use crate::telemetry::{Active, Metrics};

/// The state of a process.
pub(crate) struct Shared {
    /// The one thing that a reload swaps.
    pub(crate) runtime: ArcSwap<Runtime>,
    pub(crate) last_load: tokio::sync::Mutex<LastLoad>,
    /// Whoever swaps holds it, so that no set is made from one that is no longer the running one.
    swapping: Mutex<()>,
    /// The SPIFFE Workload APIs that the running set needs.
    pub(crate) agents: Arc<Agents>,
    /// Sets that were swapped out, as far as requests still use them.
    older: Mutex<Vec<Weak<Runtime>>>,
    pub(crate) listeners: Listeners,
    pub(crate) audit: AuditWriter,
    pub(crate) vkey: String,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) limits: Arc<LimitStore>,
    /// The store that replicas share.
    pub(crate) limit_links: LimitLinks,
    /// Where chains find out what they cannot know.
    pub(crate) outside: Arc<Outside>,
    pub(crate) connections: Arc<Connections>,
    /// The open connections themselves.
    pub(crate) registry: Arc<Registry>,
    /// How often refused connections are recorded.
    pub(crate) telling: Telling,
    /// Open connections by listener and by address.
    pub(crate) seats: Seats,
    pub(crate) addresses: Arc<Addresses>,
    pub(crate) bans: Bans,
    pub(crate) load: Load,
    pub(crate) draining: AtomicBool,
    /// Memory for bodies.
    pub(crate) budget: Arc<Budget>,
    /// Turns true when requests and connections have to end, whatever they do.
    pub(crate) cut: watch::Sender<bool>,
    requests: Arc<AtomicUsize>,
    numbers: AtomicU64,
    started: Instant,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("connections", &self.connections).finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) fn new(
        (runtime, stamps): (Runtime, Stamps),
        listeners: Listeners,
        (audit, vkey): (AuditWriter, String),
        clock: Arc<dyn Clock>,
        limits: Arc<LimitStore>,
        outside: Arc<Outside>,
        agents: Arc<Agents>,
    ) -> Self {
        let metrics = Arc::new(Metrics::new());
        runtime.start(&clock);
        outside.follow(&runtime.snapshot, &runtime.setup);
        let limit_links = LimitLinks::new(metrics.clone());
        limit_links.follow(&runtime.snapshot.gateway, runtime.store.as_ref());
        metrics.loaded_at.set(clock.unix_ms() / 1000);
        Self {
            runtime: ArcSwap::from_pointee(runtime),
            last_load: tokio::sync::Mutex::new(LastLoad::new(stamps)),
            swapping: Mutex::default(),
            agents,
            older: Mutex::default(),
            listeners,
            audit,
            vkey,
            clock,
            limits,
            limit_links,
            outside,
            connections: Arc::new(Connections::new(metrics.clone())),
            registry: Arc::default(),
            metrics,
            telling: Telling::default(),
            seats: Seats::default(),
            addresses: Arc::default(),
            bans: Bans::default(),
            load: Load::default(),
            draining: AtomicBool::new(false),
            budget: Arc::new(Budget::of_machine()),
            cut: watch::Sender::new(false),
            requests: Arc::default(),
            numbers: AtomicU64::new(0),
            started: Instant::now(),
        }
    }

    /// Puts a set into service. Requests that have begun keep the one they began with.
    pub(crate) fn swap(&self, new: Runtime) {
        let _one = self.swapping.lock().unwrap_or_else(PoisonError::into_inner);
        // Agents may have spoken while the set was made.
        let said = self.agents.now(&new.places);
        let renewed = if said.is_same(&new.workloads) { None } else { self.renewed(&new, said) };
        self.put(renewed.unwrap_or(new));
        self.agents.keep(&self.runtime.load().places);
    }

    /// Takes what agents say now into the running set. False where it is the same.
    pub(crate) fn renew(&self) -> bool {
        let _one = self.swapping.lock().unwrap_or_else(PoisonError::into_inner);
        let running = self.runtime.load_full();
        let said = self.agents.now(&running.places);
        if said.is_same(&running.workloads) {
            return false;
        }
        let renewed = self.renewed(&running, said);
        let changed = renewed.is_some();
        renewed.into_iter().for_each(|new| self.put(new));
        changed
    }

    fn renewed(&self, set: &Runtime, said: Workloads) -> Option<Runtime> {
        let failed = |why| error!("error.type" = "spiffe", why, "what the Workload API said cannot be taken over");
        set.renewed(said).map_err(failed).ok()
    }

    fn put(&self, mut new: Runtime) {
        new.adopt(&self.runtime.load());
        new.start(&self.clock);
        self.limit_links.follow(&new.snapshot.gateway, new.store.as_ref());
        let new = Arc::new(new);
        let old = self.runtime.swap(new.clone());
        self.outside.follow(&new.snapshot, &new.setup);
        tokio::task::spawn_blocking(move || new.judge_upstreams());
        let mut older = self.older.lock().unwrap_or_else(PoisonError::into_inner);
        older.retain(|set| set.strong_count() > 0);
        older.push(Arc::downgrade(&old));
    }

    /// Policy sets in memory: the running one, and those that requests began with.
    fn sets(&self) -> usize {
        let mut older = self.older.lock().unwrap_or_else(PoisonError::into_inner);
        older.retain(|set| set.strong_count() > 0);
        older.len().saturating_add(1)
    }

    /// Counts a request as being served until the guard is dropped.
    pub(crate) fn begin_request(&self) -> Busy {
        self.requests.fetch_add(1, Ordering::AcqRel);
        Busy { requests: self.requests.clone(), _active: self.metrics.enter() }
    }

    /// Whether a connection is open or a request is being served.
    pub(crate) fn is_busy(&self) -> bool {
        self.connections.open() > 0 || self.requests.load(Ordering::Acquire) > 0
    }

    /// Returns once everything has to end.
    pub(crate) async fn cut(&self) {
        let _ = self.cut.subscribe().wait_for(|cut| *cut).await;
    }

    /// Time since the start, for limits: it never goes back.
    pub(crate) fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// Numbers connections from 1, or from where the process before was.
    pub(crate) fn next_connection(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The number of the last connection.
    pub(crate) fn last_connection(&self) -> u64 {
        self.numbers.load(Ordering::Relaxed)
    }

    /// Numbers connections on from that one.
    pub(crate) fn count_from(&self, last: u64) {
        self.numbers.store(last, Ordering::Relaxed);
    }

    /// Writes the record of a finished request, and counts it.
    pub(crate) fn finish(&self, mut story: Story, connection: &Connection) {
        let seconds = story.began.elapsed().as_secs_f64();
        let reason = story.refusal.as_ref().map(|refusal| refusal.reason);
        self.metrics.request(
            story.route.as_deref().unwrap_or_default(),
            record::decision(&story).as_str(),
            reason.map_or("", postern_filters::Reason::as_str),
            seconds,
        );
        if reason.is_some_and(guard::is_finding) {
            // What a client did is not held against the proxy that relays it.
            let client = story.head.as_ref().and_then(|head| head.client);
            let source = client.map_or(connection.source, |ip| Peer::Tcp((ip, 0).into()));
            guard::find(self, &connection.listener, source);
        }
        for finding in story.context.findings() {
            self.metrics.finding(&finding.guard, record::action_word(finding.action));
        }
        let codings = [(Direction::Request, story.context.decoded()), (Direction::Response, story.answer_coding)];
        for (direction, coding) in codings.into_iter().filter_map(|(direction, coding)| Some((direction, coding?))) {
            self.metrics.decoded(direction, coding);
        }
        if let Some(would) = story.context.rehearsal(record::decision(&story) == postern_filters::audit::Decision::Deny)
        {
            self.metrics.rehearsed(&would.policy, would.outcome);
        }
        let place = story.place.take();
        let record = record::of_request(story, connection);
        match place {
            Some(place) => self.told(place.submit(record)),
            None => self.submit(record),
        }
    }

    /// Writes the record of a connection that carried no request.
    pub(crate) fn record_connection(&self, connection: &Connection, failed_handshake: bool, detail: &str) {
        let now = self.clock.unix_ms();
        self.submit(record::of_connection(connection, failed_handshake, detail, now));
    }

    /// Writes the record of a connection that was ended while it was open. Its requests have records of their own.
    pub(crate) fn record_cut(&self, connection: &Connection, cut: &Cut) {
        let (reason, detail) = (cut.reason.as_str(), &cut.detail);
        info!(connection = connection.number, listener = connection.listener, reason, detail, "connection cut");
        self.metrics.cut(reason);
        self.submit(record::of_cut(connection, detail, self.clock.unix_ms()));
    }

    /// Writes the record of a connection that was refused for whom it came from.
    pub(crate) fn record_refused(&self, connection: &Connection, detail: &str) {
        let now = self.clock.unix_ms();
        self.submit(record::of_refused(connection, detail, now));
    }

    pub(crate) fn submit(&self, record: postern_filters::audit::AuditRecord) {
        self.told(self.audit.submit(record));
    }

    fn told(&self, taken: Result<Receipt, AuditFull>) {
        if let Err(lost) = taken {
            self.metrics.audit_lost();
            error!("error.type" = "audit", error = %lost, "a record could not be written; requests are refused until it can");
        }
    }

    /// Why traffic should go elsewhere, if it should.
    pub(crate) fn ready(&self) -> Result<(), String> {
        if self.draining.load(Ordering::Relaxed) {
            return Err("draining".to_owned());
        }
        self.writable().map_err(|error| format!("audit log: {error}"))
    }

    /// What lacks although traffic may come.
    pub(crate) fn lacking(&self) -> Vec<String> {
        let now_ms = self.clock.unix_ms();
        let mut lacking = self.outside.lacking(now_ms / 1000);
        lacking.extend(credentials::standing(&self.runtime.load(), now_ms).iter().filter_map(Standing::trouble));
        lacking
    }

    /// Whether the log takes records at the moment.
    pub(crate) fn writable(&self) -> Result<(), String> {
        match self.audit.status().failed {
            Some(why) => Err(why),
            None => Ok(()),
        }
    }

    pub(crate) fn refresh_metrics(&self) {
        self.metrics.bans_active.set(i64::try_from(self.bans.active(self.uptime())).unwrap_or(i64::MAX));
        self.metrics.load.set(self.load.percent(self).into());
        self.metrics.limits_waiting.set(i64::try_from(self.limits.waiting()).unwrap_or(i64::MAX));
        self.metrics.limits_connected.set(i64::from(self.limit_links.is_connected()));
        self.metrics.audit_entries.set(self.audit.status().size);
        let now = self.clock.unix_ms() / 1000;
        self.metrics.certificates(self.runtime.load().certificates_left(now));
        self.metrics.agents(self.agents.heard(), now);
        self.metrics.revocation_unknown(self.runtime.load().unknown_passed());
        self.metrics.exceptions(self.runtime.load().exceptions_left(now));
        self.metrics.sets.set(i64::try_from(self.sets()).unwrap_or(i64::MAX));
        self.outside.measure(&self.metrics, now);
        self.metrics.secrets(credentials::standing(&self.runtime.load(), self.clock.unix_ms()));
        self.metrics.upstreams(self.runtime.load().upstreams());
    }
}

/// One request being served; the end of it is dropping it.
#[derive(Debug)]
pub(crate) struct Busy {
    requests: Arc<AtomicUsize>,
    _active: Active,
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.requests.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Counts open connections and holds the line.
#[derive(Debug)]
pub(crate) struct Connections {
    open: AtomicUsize,
    metrics: Arc<Metrics>,
}

/// One open connection; leaving is dropping it.
#[derive(Debug)]
pub(crate) struct Guest(Arc<Connections>);

impl Connections {
    fn new(metrics: Arc<Metrics>) -> Self {
        Self { open: AtomicUsize::new(0), metrics }
    }

    /// Counts a connection; nothing where `max` are open.
    pub(crate) fn enter(self: &Arc<Self>, max: usize) -> Option<Guest> {
        if self.open.fetch_add(1, Ordering::AcqRel) >= max {
            self.open.fetch_sub(1, Ordering::AcqRel);
            return None;
        }
        self.metrics.connections.inc();
        Some(Guest(self.clone()))
    }

    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::AcqRel);
        self.0.metrics.connections.dec();
    }
}
