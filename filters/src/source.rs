//! Who is at the other end of a connection, and what a request from there is counted as.

use std::net::{IpAddr, SocketAddr};

/// The other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    Tcp(SocketAddr),
    Unix(UnixPeer),
}

/// A process on this machine, as the kernel knew it when it connected. The ids are those of our own user namespace; a
/// process of another one is nobody (65534).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UnixPeer {
    pub uid: u32,
    pub gid: u32,
    /// Absent where it is in another process namespace. For people to look at: a number can be given again.
    pub pid: Option<u32>,
}

/// Where a request comes from: what limits count and policy judges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    Ip(IpAddr),
    /// Over a Unix socket, from a process of this user.
    User(u32),
}

impl Peer {
    #[must_use]
    pub fn source(self) -> Source {
        match self {
            Self::Tcp(address) => Source::Ip(address.ip()),
            Self::Unix(peer) => Source::User(peer.uid),
        }
    }
}

impl Source {
    /// The address, where there is one. A rule that reads it where there is none cannot be decided, which refuses.
    #[must_use]
    pub fn ip(self) -> Option<IpAddr> {
        match self {
            Self::Ip(ip) => Some(ip),
            Self::User(_) => None,
        }
    }
}

impl From<IpAddr> for Source {
    fn from(ip: IpAddr) -> Self {
        Self::Ip(ip)
    }
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(peer) => write!(f, "user {} over a Unix socket", peer.uid),
        }
    }
}
