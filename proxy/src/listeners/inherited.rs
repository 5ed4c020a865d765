//! Sockets on their way from one process to the next: offered, paused while they change hands, given up or taken back.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use postern_config::Bind;
use tokio::net::TcpListener;
use tracing::info;

use super::{Health, HealthSocket, Listeners, Site, accept};
use crate::accept::Accepting;
use crate::handover::{Offered, Place};
use crate::listen::{self, Socket};
use crate::shared::Shared;

/// Sockets that the process before bound.
#[derive(Debug, Default)]
pub(crate) struct Inherited {
    pub(super) sockets: Vec<(Site, Arc<Socket>)>,
    /// By its address in the bootstrap.
    pub(super) health: Option<(SocketAddr, HealthSocket)>,
    /// The first set is open.
    pub(super) taken: bool,
}

/// All that listens, by its place in the bootstrap.
#[derive(Debug)]
pub(crate) struct Offering {
    pub(crate) sockets: Vec<(Offered, Arc<Socket>)>,
    pub(crate) health: Option<(SocketAddr, Arc<TcpListener>)>,
}

/// Sockets on which nobody accepts at the moment.
#[derive(Debug)]
pub(crate) struct Paused {
    sockets: Vec<Arc<Socket>>,
}

impl Inherited {
    /// Takes a socket that is said to be that of a listener.
    ///
    /// # Errors
    /// It is something else.
    pub(crate) fn socket(
        &mut self,
        name: String,
        plain: bool,
        place: Place,
        descriptor: OwnedFd,
    ) -> std::io::Result<()> {
        let bind = match place {
            Place::Tcp(address) => Bind::Tcp(address),
            Place::Unix { path, mode } => Bind::Unix { path, mode },
        };
        let socket = Socket::inherit(&bind, descriptor)?;
        // A process that ends before it serves leaves the one before it as it was.
        socket.leave_file(true);
        self.sockets.push((Site { name, bind, plain }, Arc::new(socket)));
        Ok(())
    }

    /// Takes the socket of the health listener.
    ///
    /// # Errors
    /// It is something else.
    pub(crate) fn health(&mut self, bind: SocketAddr, descriptor: OwnedFd) -> std::io::Result<()> {
        let socket = listen::tcp(descriptor)?;
        let bound = socket.local_addr()?;
        self.health = Some((bind, (Arc::new(socket), bound)));
        Ok(())
    }
}

impl Drop for Inherited {
    fn drop(&mut self) {
        // From here on they are this process's own, or nobody's.
        for (_, socket) in self.sockets.drain(..) {
            socket.leave_file(!self.taken);
        }
    }
}

impl Paused {
    /// Another process accepts on them for good: nothing is opened here any more.
    pub(crate) fn give(self, listeners: &Listeners) {
        let mut open = listeners.lock();
        open.closed = true;
        // Whoever comes after that process binds it anew.
        open.health = None;
    }
}

impl Listeners {
    /// With sockets of the process before.
    pub(crate) fn with(inherited: Inherited) -> Self {
        let this = Self::default();
        this.lock().inherited = inherited;
        this
    }

    pub(crate) fn offer(&self) -> Offering {
        let open = self.lock();
        let sockets = open.listeners.iter().map(|listener| {
            let Site { name, bind, plain } = listener.site.clone();
            let place = match bind {
                Bind::Tcp(address) => Place::Tcp(address),
                Bind::Unix { path, mode } => Place::Unix { path, mode },
            };
            (Offered { listener: name, plain, place }, listener.socket.clone())
        });
        let health = open.health.as_ref().map(|health| (health.bind, health.socket.clone()));
        Offering { sockets: sockets.collect(), health }
    }

    /// Stops accepting. Who connects waits in the system's queue; open connections go on.
    pub(crate) async fn pause(&self) -> Paused {
        let (mut tasks, sockets) = {
            let mut open = self.lock();
            let mut tasks = Vec::new();
            for listener in &mut open.listeners {
                listener.accepting.send_replace(Accepting::Closed);
                tasks.push(std::mem::replace(&mut listener.task, tokio::spawn(async {})));
            }
            if let Some(health) = &mut open.health {
                health.stop.send_replace(true);
                tasks.push(std::mem::replace(&mut health.task, tokio::spawn(async {})));
            }
            let sockets: Vec<_> = open.listeners.iter().map(|listener| listener.socket.clone()).collect();
            drop(open);
            // Whatever becomes of this process from here on: another one may listen on them.
            sockets.iter().for_each(|socket| socket.leave_file(true));
            (tasks, sockets)
        };
        for task in &mut tasks {
            let _ = task.await;
        }
        Paused { sockets }
    }

    /// Accepts again.
    pub(crate) fn resume(&self, shared: &Arc<Shared>, paused: Paused) {
        paused.sockets.iter().for_each(|socket| socket.leave_file(false));
        let mut open = self.lock();
        if open.closed {
            return;
        }
        for listener in &mut open.listeners {
            let (accepting, task) = accept(shared, &listener.site, &listener.socket, &listener.drain, &listener.cut);
            (listener.accepting, listener.task) = (accepting, task);
        }
        if let Some(Health { bind, address, socket, .. }) = open.health.take() {
            open.health = Some(Health::start(shared, bind, address, socket));
        }
        info!("accepting again");
    }
}
