//! The sockets that we accept on: TCP addresses, and Unix sockets with the credentials of who connects.

mod unix;

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use pingora_core::protocols::l4::stream::Stream;
use postern_config::Bind;
use postern_filters::{Peer, UnixPeer};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tracing::debug;

pub use unix::SocketError;
pub(crate) use unix::SocketFile;

/// A socket that accepts.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpListener, SocketAddr),
    /// The file goes when the socket does.
    Unix(UnixListener, SocketFile),
}

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error(transparent)]
    Tcp(std::io::Error),
    #[error(transparent)]
    Unix(SocketError),
}

/// The process at the other end: the one that connected, or the one that listened.
///
/// # Errors
/// What the system says.
pub(crate) fn process_of(stream: &UnixStream) -> std::io::Result<UnixPeer> {
    let credentials = stream.peer_cred()?;
    let pid = credentials.pid().and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid > 0);
    Ok(UnixPeer { uid: credentials.uid(), gid: credentials.gid(), pid })
}

impl Socket {
    /// Listens. What connects from here on is kept by the system until somebody accepts it.
    ///
    /// # Errors
    /// [`BindError`]; nothing is left behind.
    pub(crate) async fn bind(bind: &Bind) -> Result<Self, BindError> {
        match bind {
            Bind::Tcp(address) => {
                let socket = TcpListener::bind(address).await.map_err(BindError::Tcp)?;
                let bound = socket.local_addr().map_err(BindError::Tcp)?;
                Ok(Self::Tcp(socket, bound))
            }
            Bind::Unix { path, mode } => {
                let (socket, file) = unix::bind(path, *mode).await.map_err(BindError::Unix)?;
                Ok(Self::Unix(socket, file))
            }
        }
    }

    /// A listening socket that another process of ours bound to `bind`.
    ///
    /// # Errors
    /// It is not that.
    pub(crate) fn inherit(bind: &Bind, descriptor: OwnedFd) -> std::io::Result<Self> {
        let other = |what: &str| std::io::Error::other(format!("{what} instead of {bind}"));
        if !rustix::net::sockopt::socket_acceptconn(&descriptor)? {
            return Err(other("a socket that does not listen"));
        }
        match bind {
            Bind::Tcp(address) => {
                let socket = tcp(descriptor)?;
                let bound = socket.local_addr()?;
                let same = bound == *address || (address.port() == 0 && bound.ip() == address.ip());
                if same { Ok(Self::Tcp(socket, bound)) } else { Err(other(&bound.to_string())) }
            }
            Bind::Unix { path, .. } => {
                let socket = std::os::unix::net::UnixListener::from(descriptor);
                if socket.local_addr()?.as_pathname() != Some(path) {
                    return Err(other("a socket of another path"));
                }
                socket.set_nonblocking(true)?;
                Ok(Self::Unix(UnixListener::from_std(socket)?, unix::inherit(path)?))
            }
        }
    }

    /// Whether the file of a Unix socket stays where it is when this goes, because another process listens on it.
    pub(crate) fn leave_file(&self, leave: bool) {
        if let Self::Unix(_, file) = self {
            file.leave(leave);
        }
    }

    /// The next connection, and who is at its other end.
    ///
    /// # Errors
    /// What the system says; the socket stays usable.
    pub(crate) async fn accept(&self) -> std::io::Result<(Stream, Peer)> {
        match self {
            Self::Tcp(socket, _) => {
                let (stream, address) = socket.accept().await?;
                if let Err(error) = stream.set_nodelay(true) {
                    debug!(%error, "could not turn Nagle's algorithm off");
                }
                Ok((stream.into(), Peer::Tcp(address)))
            }
            Self::Unix(socket, _) => {
                let (stream, _) = socket.accept().await?;
                let peer = process_of(&stream)?;
                Ok((stream.into(), Peer::Unix(peer)))
            }
        }
    }

    /// Where it really listens: the port is the one the system chose. `None` for a Unix socket.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(_, address) => Some(*address),
            Self::Unix(..) => None,
        }
    }

    fn path(&self) -> Option<&Path> {
        match self {
            Self::Tcp(..) => None,
            Self::Unix(_, file) => Some(file.path()),
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(socket, _) => socket.as_fd(),
            Self::Unix(socket, _) => socket.as_fd(),
        }
    }
}

/// A listening TCP socket from a descriptor of one.
///
/// # Errors
/// What the system says.
pub(crate) fn tcp(descriptor: OwnedFd) -> std::io::Result<TcpListener> {
    let socket = std::net::TcpListener::from(descriptor);
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket)
}

/// A Unix socket for processes of our own user.
///
/// # Errors
/// [`SocketError`]
pub(crate) async fn bind_private(path: &Path) -> Result<(UnixListener, SocketFile), SocketError> {
    unix::bind(path, 0o600).await
}

impl std::fmt::Display for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.address(), self.path()) {
            (Some(address), _) => address.fmt(f),
            (None, Some(path)) => write!(f, "unix:{}", path.display()),
            (None, None) => Ok(()),
        }
    }
}
