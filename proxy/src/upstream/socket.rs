//! An endpoint that is a Unix socket: the kernel tells who listens there, and nothing is said to anybody else.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use postern_config::{EndpointPlace, Upstream};
use postern_filters::{Peer, UnixPeer};
use tokio::net::UnixStream;
use tokio::time::Instant;

use super::failure::{Failure, FailureKind};
use crate::listen;

/// Between two attempts at a socket whose queue is full.
const FULL: Duration = Duration::from_millis(5);

/// Where it is, and whose processes may answer.
#[derive(Debug, Clone)]
pub(crate) struct Path {
    path: PathBuf,
    uids: Vec<u32>,
}

impl Path {
    /// `uids` as they are written; our own user and root where they are not.
    pub(crate) fn new(path: &std::path::Path, uids: Option<&[u32]>) -> Self {
        let own = || vec![rustix::process::geteuid().as_raw(), 0];
        Self { path: path.to_owned(), uids: uids.map_or_else(own, <[u32]>::to_vec) }
    }

    /// A connection to a process that may answer.
    ///
    /// # Errors
    /// [`Failure`] where nobody listens, or somebody else.
    pub(crate) async fn connect(&self, deadline: Instant) -> Result<(UnixStream, Peer), Failure> {
        let shown = self.path.display();
        let failed = |why: &dyn std::fmt::Display| {
            Failure::new(FailureKind::Connect, format!("the upstream could not be reached: `{shown}`: {why}"))
        };
        let connected = tokio::time::timeout_at(deadline, self.accepted()).await;
        let stream = connected.map_err(|_| failed(&"it took too long"))?.map_err(|error| failed(&error))?;
        // Taken by the kernel when the socket began to listen: whoever put another one on the path is not it.
        let process = listen::process_of(&stream).map_err(|error| failed(&error))?;
        self.check(process)?;
        Ok((stream, Peer::Unix(process)))
    }

    /// A socket whose queue is full is not gone: one on an address would have us wait as well.
    async fn accepted(&self) -> std::io::Result<UnixStream> {
        loop {
            match UnixStream::connect(&self.path).await {
                Err(error) if error.kind() == ErrorKind::WouldBlock => tokio::time::sleep(FULL).await,
                ended => return ended,
            }
        }
    }

    fn check(&self, process: UnixPeer) -> Result<(), Failure> {
        if self.uids.contains(&process.uid) {
            return Ok(());
        }
        let shown = self.path.display();
        let detail =
            format!("`{shown}` belongs to a process of user {}, and `peers` allows {:?}", process.uid, self.uids);
        Err(Failure::new(FailureKind::Peer, detail))
    }
}

/// Connects as the upstream that has this socket would, and says which one it is and who listens.
///
/// # Errors
/// In words: no upstream has it, nobody listens, or somebody who may not answer.
pub(crate) async fn try_socket(upstreams: &[Upstream], url: &str) -> Result<(String, UnixPeer), String> {
    let found = upstreams.iter().find_map(|upstream| {
        let endpoint = upstream.endpoints.iter().find_map(|endpoint| match &endpoint.place {
            EndpointPlace::Unix { path, uids } if format!("unix:{}", path.display()) == url => Some((path, uids)),
            EndpointPlace::Unix { .. } | EndpointPlace::Tcp { .. } => None,
        });
        endpoint.map(|(path, uids)| (upstream, Path::new(path, uids.as_deref())))
    });
    let Some((upstream, path)) = found else {
        return Err("no upstream has this socket, and our own calls go to addresses only".to_owned());
    };
    match path.connect(Instant::now() + upstream.timeouts.connect).await {
        Ok((_, Peer::Unix(process))) => Ok((upstream.name.clone(), process)),
        Ok((_, Peer::Tcp(address))) => Err(format!("{address} is no socket")),
        Err(failure) => Err(failure.detail),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_process_of_a_user_that_is_trusted_is_spoken_to() {
        let own = rustix::process::geteuid().as_raw();
        for (uids, uid, want) in [
            (None, own, true),
            (None, 0, true),
            (None, 4_000_000_000, false),
            (Some(vec![1000, 1001]), 1001, true),
            (Some(vec![1000]), 1001, false),
            // What is listed is all there is.
            (Some(vec![4_000_000_000]), own, false),
            (Some(vec![4_000_000_000]), 0, false),
            (Some(vec![]), 0, false),
        ] {
            let path = Path::new(std::path::Path::new("/run/app.sock"), uids.as_deref());
            let checked = path.check(UnixPeer { uid, gid: 0, pid: None });
            assert_eq!(checked.is_ok(), want, "{uids:?} {uid}");
        }
    }
}
