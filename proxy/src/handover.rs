//! A binary upgrade: a new process takes the sockets and the audit log over from the one that runs.
//!
//! ```text
//! old                                        new
//!  | <------------------------------ Hello -- |  has loaded its whole set
//!  | -- Offer, one descriptor a socket -----> |  binds what it needs beside
//!  | <------------------------------ Ready -- |
//!  |  stops accepting, ends its log           |  connections wait in the system's queue
//!  | -- Released ---------------------------> |  opens the log
//!  | <------------------------------ Taken -- |
//!  | -- Given ------------------------------> |  accepts
//!  |  drains                                  |
//!  | -- Record … Sync ----------------------> |  writes the old one's records into its log
//!  | <----------------------------- Synced -- |
//! ```
//!
//! Until `Given`, whatever fails leaves the old process as it was: it accepts again and takes its log back. After it, a
//! new process that dies gives the log back to an old one that still drains.

mod frame;
mod predecessor;
mod successor;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub(crate) use frame::{FrameError, Tag, expect, write};
pub(crate) use predecessor::Predecessor;
pub use predecessor::UpgradeError;
pub(crate) use successor::run;

/// Both sides speak exactly this, or nothing is handed over.
const PROTOCOL: u32 = 1;
/// Sockets of one process, at most.
const MAX_SOCKETS: usize = 256;
/// Time for the next word of the other side, where it has nothing to do for it.
const WORD: Duration = Duration::from_secs(10);
/// Time in which a new process, which has loaded its set by then, binds what it needs beside; and in which the old one
/// stops accepting and ends its log.
const READY: Duration = Duration::from_secs(15);

/// Where a process waits for the one that will follow it.
fn path(state_dir: &Path) -> PathBuf {
    state_dir.join("upgrade.sock")
}

/// What a new process says first.
#[derive(Debug, Serialize, Deserialize)]
struct Hello {
    protocol: u32,
    version: String,
}

/// What the old process has. The descriptors follow in this order, then that of the health listener.
#[derive(Debug, Serialize, Deserialize)]
struct Offer {
    protocol: u32,
    sockets: Vec<Offered>,
    health: Option<OfferedHealth>,
}

/// A listening socket by its place in the bootstrap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Offered {
    pub(crate) listener: String,
    pub(crate) plain: bool,
    pub(crate) place: Place,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Place {
    /// As the bootstrap says it, with a port that may be 0.
    Tcp(SocketAddr),
    Unix {
        path: PathBuf,
        mode: u32,
    },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct OfferedHealth {
    bind: SocketAddr,
}

/// What goes with the log.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Released {
    /// Connections count on from here, so that records of both processes can be told apart.
    pub(crate) connections: u64,
}
