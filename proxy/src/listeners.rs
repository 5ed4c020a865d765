//! The open listeners: opened together at start, exchanged at a reload as a whole or not at all, closed at a stop.
//!
//! New sockets are bound before anything else happens, so that a port that is taken changes nothing. A socket that two
//! sets have in common stays open all the time, whatever else changes about its listener.

mod inherited;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use postern_config::{Bind, Snapshot};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::info;

use crate::accept::{self, Accepting, Door, Notice};
use crate::health;
use crate::listen::{BindError, Socket, SocketError};
use crate::shared::Shared;
pub(crate) use inherited::{Inherited, Offering};

/// All that accepts.
#[derive(Debug, Default)]
pub(crate) struct Listeners(Mutex<Open>);

#[derive(Debug, Default)]
struct Open {
    listeners: Vec<Listener>,
    health: Option<Health>,
    /// Of the process before, until the first set is open.
    inherited: Inherited,
    /// Nothing is opened any more.
    closed: bool,
}

/// One listener, from its first connection to its last.
#[derive(Debug)]
struct Listener {
    site: Site,
    socket: Arc<Socket>,
    accepting: watch::Sender<Accepting>,
    drain: watch::Sender<bool>,
    cut: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// What makes a listener the same listener in two sets.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Site {
    name: String,
    bind: Bind,
    plain: bool,
}

#[derive(Debug)]
struct Health {
    bind: SocketAddr,
    address: SocketAddr,
    socket: Arc<TcpListener>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// The health listener's socket, and where it really is.
type HealthSocket = (Arc<TcpListener>, SocketAddr);

/// Sockets of a set that is about to run. Dropping it closes those that are new.
#[derive(Debug)]
pub(crate) struct Opening {
    listeners: Vec<(Site, Option<Arc<Socket>>)>,
    health: Option<(SocketAddr, Option<HealthSocket>)>,
}

/// Why a set's sockets cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("cannot listen on {address}: {source}")]
    Bind { address: Bind, source: BindError },
    #[error("`unix:{}` is open with another `mode`: use another path, or restart", .0.display())]
    Mode(PathBuf),
}

impl ListenError {
    /// Whether somebody else listens there.
    pub(crate) fn is_taken(&self) -> bool {
        match self {
            Self::Bind { source: BindError::Tcp(error), .. } => error.kind() == std::io::ErrorKind::AddrInUse,
            Self::Bind { source: BindError::Unix(error), .. } => matches!(error, SocketError::Busy),
            Self::Mode(_) => false,
        }
    }
}

impl Site {
    fn all(snapshot: &Snapshot) -> Vec<Self> {
        let site =
            |l: &postern_config::Listener| Self { name: l.name.clone(), bind: l.bind.clone(), plain: l.tls.is_none() };
        snapshot.listeners.iter().map(site).collect()
    }

    /// Whether `socket` of `other` can go on as the socket of this. Any free port is another one for each name.
    fn takes(&self, other: &Self, socket: &Socket) -> bool {
        match self.bind {
            Bind::Tcp(address) if address.port() == 0 => self.bind == other.bind && self.name == other.name,
            Bind::Tcp(address) => socket.address() == Some(address),
            Bind::Unix { .. } => self.bind == other.bind,
        }
    }
}

impl Listeners {
    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the named listener listens; `None` for a Unix socket too.
    pub(crate) fn address(&self, name: &str) -> Option<SocketAddr> {
        self.lock().listeners.iter().find(|listener| listener.site.name == name)?.socket.address()
    }

    pub(crate) fn health(&self) -> Option<SocketAddr> {
        self.lock().health.as_ref().map(|health| health.address)
    }

    /// Binds what `snapshot` needs and is not open yet. Nothing changes.
    ///
    /// # Errors
    /// [`ListenError`] for the first address that cannot be had.
    pub(crate) async fn prepare(&self, snapshot: &Snapshot) -> Result<Opening, ListenError> {
        let (sites, open, health, inherited) = {
            let open = self.lock();
            if open.closed {
                // What drains takes new policy over, and opens nothing.
                return Ok(Opening { listeners: Vec::new(), health: None });
            }
            let sites: Vec<_> = open.listeners.iter().map(|listener| listener.site.clone()).collect();
            let own = open.listeners.iter().map(|listener| (listener.site.clone(), listener.socket.clone()));
            let sockets: Vec<_> = own.chain(open.inherited.sockets.iter().cloned()).collect();
            (sites, sockets, open.health.as_ref().map(|health| health.bind), open.inherited.health.clone())
        };
        let mut listeners = Vec::new();
        for site in Site::all(snapshot) {
            let socket = if sites.contains(&site) {
                None
            } else if let Some((_, socket)) = open.iter().find(|(known, socket)| site.takes(known, socket)) {
                Some(socket.clone())
            } else {
                Some(Arc::new(bind(&site.bind, &open).await?))
            };
            listeners.push((site, socket));
        }
        let health = match snapshot.health {
            None => None,
            Some(address) if health == Some(address) => Some((address, None)),
            Some(address) => Some((
                address,
                Some(match inherited {
                    Some((bind, socket)) if bind == address => socket,
                    _ => bind_health(address).await?,
                }),
            )),
        };
        Ok(Opening { listeners, health })
    }

    /// Puts `opening` in the place of what is open. `swap` is called when nobody accepts any more for a listener that
    /// goes, and before anybody does for one that comes. The connections of those that went may end their requests, for
    /// as long as `grace`.
    pub(crate) async fn exchange(&self, shared: &Arc<Shared>, opening: Opening, grace: Duration, swap: impl FnOnce()) {
        let gone = {
            let mut open = self.lock();
            if open.closed {
                drop(open);
                return swap();
            }
            let stays = |listener: &Listener| opening.listeners.iter().any(|(site, _)| *site == listener.site);
            let (stay, gone): (Vec<_>, Vec<_>) = std::mem::take(&mut open.listeners).into_iter().partition(stays);
            open.listeners = stay;
            gone
        };
        let mut leaving = Vec::new();
        for mut listener in gone {
            info!(listener = listener.site.name, address = %listener.socket, "no longer listening");
            listener.accepting.send_replace(Accepting::Closed);
            let _ = (&mut listener.task).await;
            leaving.push(listener);
        }
        swap();
        self.open(shared, opening);
        for listener in leaving {
            tokio::spawn(listener.leave(grace));
        }
    }

    /// Begins to accept on all that is new.
    pub(crate) fn open(&self, shared: &Arc<Shared>, opening: Opening) {
        let mut open = self.lock();
        if open.closed {
            return;
        }
        for (site, socket) in opening.listeners {
            if let Some(socket) = socket {
                open.listeners.push(Listener::start(shared, site, socket));
            }
        }
        let stays = opening.health.as_ref().is_some_and(|(_, socket)| socket.is_none());
        if !stays && let Some(old) = open.health.take() {
            old.stop.send_replace(true);
        }
        if let Some((bind, Some((socket, address)))) = opening.health {
            info!(%address, "health and metrics");
            open.health = Some(Health::start(shared, bind, address, socket));
        }
        // What this set has no use for is closed.
        open.inherited.taken = true;
        open.inherited = Inherited::default();
    }

    /// Stops accepting for good, and tells connections to leave when they can. With `last`, who has connected already is
    /// served: nobody else will.
    pub(crate) async fn close(&self, last: bool) {
        let mut all = {
            let mut open = self.lock();
            open.closed = true;
            std::mem::take(&mut open.listeners)
        };
        for listener in &all {
            listener.accepting.send_replace(if last { Accepting::Last } else { Accepting::Closed });
            listener.drain.send_replace(true);
        }
        for listener in &mut all {
            let _ = (&mut listener.task).await;
        }
    }

    pub(crate) async fn close_health(&self) {
        let health = self.lock().health.take();
        if let Some(health) = health {
            health.stop.send_replace(true);
            let _ = health.task.await;
        }
    }
}

impl Listener {
    fn start(shared: &Arc<Shared>, site: Site, socket: Arc<Socket>) -> Self {
        info!(listener = site.name, address = %socket, "listening");
        let (drain, _) = watch::channel(false);
        let (cut, _) = watch::channel(false);
        let (accepting, task) = accept(shared, &site, &socket, &drain, &cut);
        Self { site, socket, accepting, drain, cut, task }
    }

    /// Closes the socket, now; lets open connections end, and ends those that do not.
    fn leave(self, grace: Duration) -> impl Future<Output = ()> + use<> {
        let Self { drain, cut, socket, .. } = self;
        drop(socket);
        drain.send_replace(true);
        async move {
            let _ = tokio::time::timeout(grace, cut.closed()).await;
            cut.send_replace(true);
        }
    }
}

/// Begins to accept, on behalf of a listener that has these ways to end its connections.
fn accept(
    shared: &Arc<Shared>,
    site: &Site,
    socket: &Arc<Socket>,
    drain: &watch::Sender<bool>,
    cut: &watch::Sender<bool>,
) -> (watch::Sender<Accepting>, JoinHandle<()>) {
    let (accepting, accept) = watch::channel(Accepting::Open);
    let notice = Notice { drain: drain.subscribe(), cut: cut.subscribe() };
    let door = Door { name: site.name.clone(), plain: site.plain, socket: socket.clone(), notice };
    (accepting, tokio::spawn(accept::run(shared.clone(), door, accept)))
}

impl Health {
    fn start(shared: &Arc<Shared>, bind: SocketAddr, address: SocketAddr, socket: Arc<TcpListener>) -> Self {
        let (stop, stopping) = watch::channel(false);
        let task = tokio::spawn(health::run(shared.clone(), socket.clone(), stopping));
        Self { bind, address, socket, stop, task }
    }
}

async fn bind(bind: &Bind, open: &[(Site, Arc<Socket>)]) -> Result<Socket, ListenError> {
    if let Bind::Unix { path, .. } = bind
        && open.iter().any(|(known, _)| matches!(&known.bind, Bind::Unix { path: taken, .. } if taken == path))
    {
        return Err(ListenError::Mode(path.clone()));
    }
    Socket::bind(bind).await.map_err(|source| ListenError::Bind { address: bind.clone(), source })
}

async fn bind_health(address: SocketAddr) -> Result<HealthSocket, ListenError> {
    let failed = |source| ListenError::Bind { address: Bind::Tcp(address), source: BindError::Tcp(source) };
    let socket = TcpListener::bind(address).await.map_err(failed)?;
    let bound = socket.local_addr().map_err(failed)?;
    Ok((Arc::new(socket), bound))
}
