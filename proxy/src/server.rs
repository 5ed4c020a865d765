//! Starting, running and stopping the proxy. `postern run`, the demo and the tests all come through here.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::{error, info, warn};

use postern_filters::limit::LimitStore;

use crate::audit::{AuditWriter, OpenError, key};
use crate::clock::{Clock, SystemClock};
pub use crate::handover::UpgradeError;
use crate::handover::{self, Predecessor, Released};
pub use crate::hardening::HardenError;
pub use crate::listen::{BindError, SocketError};
pub use crate::listeners::ListenError;
use crate::listeners::{Listeners, Opening};
use crate::outside::Outside;
pub use crate::private::PrivateError;
use crate::reload::Reload;
use crate::runtime::{LoadError, Runtime};
use crate::shared::Shared;
use crate::spiffe::Agents;
use crate::{connections, credentials, guard, hardening, outside, private, record, reload, spiffe};

/// How long cut requests may take to leave their records.
const CUT: Duration = Duration::from_secs(2);

/// How long a process that follows another one waits for what it needs, where somebody has it who does not hand it over yet.
const TAKEN: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_millis(100);

/// Why the proxy does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Harden(#[from] HardenError),
    #[error("the audit log in `{}` cannot be opened: {source}", dir.display())]
    Audit { dir: PathBuf, source: OpenError },
    #[error("the key of the audit log cannot be had: {0}")]
    Key(#[from] key::LoadError),
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error("the running process did not hand over, and serves on")]
    Upgrade(#[from] UpgradeError),
    #[error("`state.dir` `{}` cannot be used: {source}", dir.display())]
    State { dir: PathBuf, source: PrivateError },
}

/// The proxy.
#[derive(Debug)]
pub struct Server;

/// A running proxy. Dropping it stops nothing; call [`Running::shutdown`].
#[derive(Debug)]
pub struct Running {
    shared: Arc<Shared>,
    config: PathBuf,
    /// Ends the watching of files.
    stop: watch::Sender<bool>,
    /// Turns true when another process has taken over.
    given: watch::Receiver<bool>,
    /// Turns true when the process before has handed in its last record.
    predecessor: Option<watch::Receiver<bool>>,
    watching: JoinHandle<()>,
    /// Looks after open connections.
    judging: JoinHandle<()>,
    /// Listens to agents.
    renewing: JoinHandle<()>,
}

/// How a proxy stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped {
    /// Connections that did not end in time.
    pub cut: usize,
    /// Every record was written.
    pub recorded: bool,
}

impl Server {
    /// Loads `config`, opens the log and every listener, and serves.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left running then.
    pub async fn start(config: &Path) -> Result<Running, StartError> {
        Self::start_with(config, Arc::new(SystemClock)).await
    }

    /// As [`Server::start`], by a clock of the caller's.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left running then.
    pub async fn start_with(config: &Path, clock: Arc<dyn Clock>) -> Result<Running, StartError> {
        Self::begin(config, clock, false).await
    }

    /// As [`Server::start`], and takes over from the process that runs with the same `state.dir`, if there is one: its
    /// sockets, with all who wait there, and its audit log. That one drains and ends.
    ///
    /// # Errors
    /// [`StartError`]; the process before runs on then.
    pub async fn upgrade(config: &Path) -> Result<Running, StartError> {
        Self::begin(config, Arc::new(SystemClock), true).await
    }

    async fn begin(config: &Path, clock: Arc<dyn Clock>, upgrade: bool) -> Result<Running, StartError> {
        // First: Pingora would install another provider, without post-quantum key exchange. A second start in one
        // process finds it installed.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let limits = Arc::new(LimitStore::default());
        let agents = Arc::new(Agents::new(clock.clone()));
        let outside = Arc::new(Outside::new(&clock));
        let (loaded, stamps) = reload::load_whole(
            config,
            vec![config.to_owned()],
            &limits,
            &outside,
            &agents,
            None,
            clock.unix_ms() / 1000,
        )
        .await;
        let runtime = loaded?;
        runtime.tell();
        let hardened = hardening::enforce(runtime.snapshot.harden)?;
        make_state_dir(&runtime.snapshot.state_dir)?;
        let Holdings { listeners, opening, audit, vkey, before } = gather(&runtime, &clock, upgrade).await?;
        let shared = Arc::new(Shared::new((runtime, stamps), listeners, (audit, vkey), clock, limits, outside, agents));
        if let Some((_, released)) = &before {
            shared.count_from(released.connections);
        }
        shared.metrics.hardened(hardened);
        shared.submit(record::of_start(&shared.runtime.load().snapshot, shared.clock.unix_ms()));
        credentials::tell_load(&shared, &shared.runtime.load());
        credentials::tell_ages(&shared);
        let mut running = serve(&shared, config, opening);
        running.predecessor = before.map(|(predecessor, _)| predecessor.outlive(&shared));
        Ok(running)
    }
}

/// What one process has at a time.
struct Holdings {
    listeners: Listeners,
    opening: Opening,
    audit: AuditWriter,
    vkey: String,
    /// Who had it before.
    before: Option<(Predecessor, Released)>,
}

/// Binds the sockets and opens the log; in an upgrade from whoever has them. One that is about to leave, or to take back what
/// another one had, is waited for.
async fn gather(runtime: &Runtime, clock: &Arc<dyn Clock>, upgrade: bool) -> Result<Holdings, StartError> {
    let until = Instant::now() + if upgrade { TAKEN } else { Duration::ZERO };
    loop {
        match gather_once(runtime, clock, upgrade).await {
            Err(error) if error.is_taken() && Instant::now() < until => tokio::time::sleep(AGAIN).await,
            done => return done,
        }
    }
}

async fn gather_once(runtime: &Runtime, clock: &Arc<dyn Clock>, upgrade: bool) -> Result<Holdings, StartError> {
    let found = if upgrade { Predecessor::find(&runtime.snapshot.state_dir).await? } else { None };
    let (predecessor, listeners) = match found {
        Some((found, sockets)) => (Some(found), Listeners::with(sockets)),
        None => (None, Listeners::default()),
    };
    let opening = listeners.prepare(&runtime.snapshot).await?;
    // From here on nobody accepts, and who connects waits.
    let released = match predecessor {
        Some(predecessor) => Some(predecessor.release().await?),
        None => None,
    };
    let (audit, vkey) = open_log(runtime, clock.clone(), released.is_some())?;
    let before = match released {
        Some((predecessor, released)) => Some((predecessor.agree().await?, released)),
        None => None,
    };
    Ok(Holdings { listeners, opening, audit, vkey, before })
}

impl StartError {
    /// Whether another process has what this one needs.
    fn is_taken(&self) -> bool {
        match self {
            Self::Audit { source: OpenError::Locked(_), .. } => true,
            Self::Listen(error) => error.is_taken(),
            _ => false,
        }
    }
}

fn open_log(runtime: &Runtime, clock: Arc<dyn Clock>, continued: bool) -> Result<(AuditWriter, String), StartError> {
    let settings = &runtime.snapshot.audit;
    let key = key::load(settings, &runtime.snapshot.state_dir)?;
    let vkey = key.verifying_key().to_string();
    let failed = |source| StartError::Audit { dir: settings.dir.clone(), source };
    let now = Arc::new(move || u64::try_from(clock.unix_ms()).unwrap_or(0));
    let open = if continued { AuditWriter::go_on } else { AuditWriter::open };
    Ok((open(settings, key, now).map_err(failed)?, vkey))
}

fn make_state_dir(dir: &Path) -> Result<(), StartError> {
    private::directory(dir).map_err(|source| StartError::State { dir: dir.to_owned(), source })
}

fn serve(shared: &Arc<Shared>, config: &Path, opening: Opening) -> Running {
    let (stop, stopping) = watch::channel(false);
    let (give, given) = watch::channel(false);
    // Taken here, not in the task: once this returns, SIGHUP no longer ends the process.
    let hangup = signal(SignalKind::hangup())
        .inspect_err(|error| warn!("error.type" = "signal", %error, "SIGHUP cannot be received"))
        .ok();
    tokio::spawn(guard::measure(shared.clone(), stopping.clone()));
    let watching = tokio::spawn(reload::run(shared.clone(), config.to_owned(), hangup, stopping.clone()));
    let judging = tokio::spawn(connections::run(shared.clone(), stopping.clone()));
    let renewing = tokio::spawn(spiffe::run(shared.clone(), stopping.clone()));
    tokio::spawn(outside::run(shared.clone(), stopping.clone()));
    shared.listeners.open(shared, opening);
    tokio::spawn(handover::run(shared.clone(), give, stopping));
    Running {
        shared: shared.clone(),
        config: config.to_owned(),
        stop,
        given,
        predecessor: None,
        watching,
        judging,
        renewing,
    }
}

impl Running {
    /// Where the named listener listens; the port is real even where the bootstrap says 0. `None` for a Unix socket.
    #[must_use]
    pub fn address(&self, listener: &str) -> Option<SocketAddr> {
        self.shared.listeners.address(listener)
    }

    #[must_use]
    pub fn health(&self) -> Option<SocketAddr> {
        self.shared.listeners.health()
    }

    /// The verifier key of the audit log, as `postern audit verify --key` takes it.
    #[must_use]
    pub fn vkey(&self) -> String {
        self.shared.vkey.clone()
    }

    #[must_use]
    pub fn audit_dir(&self) -> PathBuf {
        self.shared.runtime.load().snapshot.audit.dir.clone()
    }

    #[must_use]
    pub fn state_dir(&self) -> PathBuf {
        self.shared.runtime.load().snapshot.state_dir.clone()
    }

    /// The running policy.
    #[must_use]
    pub fn snapshot(&self) -> postern_config::Snapshot {
        Arc::unwrap_or_clone(self.shared.runtime.load().snapshot.clone())
    }

    /// Loads the files again, now.
    pub async fn reload(&self) -> Reload {
        reload::reload(&self.shared, &self.config).await
    }

    /// Returns once another process has taken over, which is when this one should stop.
    pub async fn given(&self) {
        if self.given.clone().wait_for(|given| *given).await.is_err() {
            // Nobody will ever take over.
            std::future::pending().await
        }
    }

    /// Stops accepting, lets open requests end within `gateway.drain`, writes the last records and a checkpoint.
    pub async fn shutdown(self) -> Stopped {
        let grace = self.shared.runtime.load().snapshot.drain;
        self.stop(grace).await
    }

    /// As [`Running::shutdown`], with another deadline. Returns how many connections had to be cut.
    pub async fn shutdown_within(self, grace: Duration) -> usize {
        self.stop(grace).await.cut
    }

    async fn stop(mut self, grace: Duration) -> Stopped {
        let until = Instant::now() + grace;
        self.shared.draining.store(true, Ordering::Relaxed);
        self.shared.listeners.close(true).await;
        drained(&self.shared, grace).await;
        let left = self.shared.connections.open();
        if self.shared.is_busy() {
            warn!("error.type" = "drain", connections = left, "cutting what did not end in time");
            self.shared.cut.send_replace(true);
            drained(&self.shared, CUT).await;
        }
        let _ = self.stop.send(true);
        let _ = self.watching.await;
        let _ = self.judging.await;
        let _ = self.renewing.await;
        self.shared.agents.keep(&Vec::new());
        self.shared.listeners.close_health().await;
        if let Some(end) = &mut self.predecessor {
            // Its records would find the log closed.
            let _ = tokio::time::timeout_at(until, end.wait_for(|ended| *ended)).await;
        }
        self.shared.submit(record::of_stop(left, &self.shared.runtime.load().snapshot, self.shared.clock.unix_ms()));
        let shared = self.shared.clone();
        let closed = tokio::task::spawn_blocking(move || shared.audit.close()).await;
        let failed = closed.map_or_else(|panic| Some(panic.to_string()), |status| status.failed);
        if let Some(why) = &failed {
            error!("error.type" = "audit", why, "the last records could not be written");
        }
        info!(cut = left, "stopped");
        Stopped { cut: left, recorded: failed.is_none() }
    }
}

/// Waits for open connections and requests to end, but not longer than `grace`.
async fn drained(shared: &Shared, grace: Duration) {
    let mut tick = tokio::time::interval(Duration::from_millis(10));
    let empty = async {
        while shared.is_busy() {
            tick.tick().await;
        }
    };
    let _ = tokio::time::timeout(grace, empty).await;
}
