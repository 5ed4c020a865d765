//! A Unix socket and its file: nobody connects before its mode is right, nobody else can put a file in its place, and
//! nothing of somebody else's is ever removed.

use std::fs::{DirBuilder, Metadata, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::net::{UnixListener, UnixSocket, UnixStream};
use tracing::warn;

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;
/// Time that whoever listens on a path has to show it. One that takes longer is there, and busy.
const ANSWER: Duration = Duration::from_secs(1);
/// Bits of a mode by which others than the owner write.
const OTHERS_WRITE: u32 = 0o022;

/// Why there is no Unix socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    #[error("its folder `{}` cannot be used: {source}", folder.display())]
    Folder { folder: PathBuf, source: std::io::Error },
    #[error("its folder `{}` is open to others (mode {mode:04o}, user {owner}): they could put a socket of theirs in its place; \
        use a folder that belongs to the proxy's user or to root and that only its owner may write to", folder.display())]
    OpenFolder { folder: PathBuf, mode: u32, owner: u32 },
    #[error("there is something else than a socket; remove it, or use another path")]
    NotASocket,
    #[error("there is a socket of user {owner}; remove it, or use another path")]
    Foreign { owner: u32 },
    #[error("another process listens there")]
    Busy,
    #[error(transparent)]
    System(std::io::Error),
}

/// The file of a listening socket. Dropping it removes the file, if it still is ours.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
    /// Another process listens on it now.
    left: AtomicBool,
}

impl SocketFile {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file stays when this goes.
    pub(super) fn leave(&self, leave: bool) {
        self.left.store(leave, Ordering::Relaxed);
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.left.load(Ordering::Relaxed) {
            return;
        }
        let ours = self.path.symlink_metadata().is_ok_and(|found| identity(&found) == self.identity);
        if ours && let Err(error) = std::fs::remove_file(&self.path) {
            warn!(%error, path = %self.path.display(), "the file of a socket could not be removed");
        }
    }
}

/// Listens on `path`, with a file of this mode. A socket that nobody listens on any more is replaced, if it is ours.
pub(super) async fn bind(path: &Path, mode: u32) -> Result<(UnixListener, SocketFile), SocketError> {
    private_folder(path, mode)?;
    clear(path).await?;
    let socket = UnixSocket::new_stream().map_err(SocketError::System)?;
    socket.bind(path).map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => SocketError::Busy,
        _ => SocketError::System(error),
    })?;
    let found = path.symlink_metadata().map_err(SocketError::System)?;
    let file = SocketFile { path: path.to_owned(), identity: identity(&found), left: AtomicBool::new(false) };
    // Before anybody can connect, which is from `listen` on.
    std::fs::set_permissions(path, Permissions::from_mode(mode)).map_err(SocketError::System)?;
    Ok((socket.listen(BACKLOG).map_err(SocketError::System)?, file))
}

/// The file of a socket that another process of ours bound.
pub(super) fn inherit(path: &Path) -> std::io::Result<SocketFile> {
    let found = path.symlink_metadata()?;
    if !found.file_type().is_socket() || found.uid() != user() {
        return Err(std::io::Error::other(format!("`{}` is no socket of ours", path.display())));
    }
    Ok(SocketFile { path: path.to_owned(), identity: identity(&found), left: AtomicBool::new(false) })
}

/// The folder has to be of ours, or root's, and nobody else's to write to. Where there is none, one is made.
fn private_folder(path: &Path, mode: u32) -> Result<(), SocketError> {
    let folder = match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
        None => Path::new("/"),
    };
    let failed = |source| SocketError::Folder { folder: folder.to_owned(), source };
    // Whoever may connect has to be able to get there.
    let folder_mode = if mode & 0o060 == 0 { 0o700 } else { 0o750 };
    match DirBuilder::new().mode(folder_mode).create(folder) {
        // Once more: the umask may have taken something away.
        Ok(()) => std::fs::set_permissions(folder, Permissions::from_mode(folder_mode)).map_err(failed)?,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(failed(error)),
    }
    let found = std::fs::metadata(folder).map_err(failed)?;
    let (owner, mode) = (found.uid(), found.mode() & 0o7777);
    if mode & OTHERS_WRITE != 0 || (owner != 0 && owner != user()) {
        return Err(SocketError::OpenFolder { folder: folder.to_owned(), mode, owner });
    }
    Ok(())
}

/// Removes a socket of ours that nobody listens on.
async fn clear(path: &Path) -> Result<(), SocketError> {
    let found = match path.symlink_metadata() {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(SocketError::System(error)),
    };
    if !found.file_type().is_socket() {
        return Err(SocketError::NotASocket);
    }
    if found.uid() != user() {
        return Err(SocketError::Foreign { owner: found.uid() });
    }
    match tokio::time::timeout(ANSWER, UnixStream::connect(path)).await {
        Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => {}
        _ => return Err(SocketError::Busy),
    }
    std::fs::remove_file(path).map_err(SocketError::System)
}

fn identity(found: &Metadata) -> (u64, u64) {
    (found.dev(), found.ino())
}

/// The user we are to the file system.
fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    fn mode_of(path: &Path) -> u32 {
        path.symlink_metadata().unwrap().mode() & 0o777
    }

    #[tokio::test]
    async fn the_file_has_its_mode_and_goes_with_the_socket() {
        for mode in [0o600, 0o660] {
            let dir = folder();
            let path = dir.path().join("new/a.sock");
            let (socket, file) = bind(&path, mode).await.unwrap();
            assert_eq!(mode_of(&path), mode);
            assert_eq!(mode_of(path.parent().unwrap()), if mode == 0o600 { 0o700 } else { 0o750 });
            UnixStream::connect(&path).await.unwrap();
            drop((socket, file));
            assert!(!path.exists());
        }
    }

    #[tokio::test]
    async fn what_is_not_a_stale_socket_of_ours_stays_where_it_is() {
        let dir = folder();
        let path = dir.path().join("a.sock");
        let (socket, file) = bind(&path, 0o600).await.unwrap();
        assert!(matches!(bind(&path, 0o600).await, Err(SocketError::Busy)), "somebody listens");
        assert!(UnixStream::connect(&path).await.is_ok(), "and still does");
        std::mem::forget(file);
        drop(socket);
        assert!(path.exists(), "left by a process that was killed");
        let again = bind(&path, 0o600).await.unwrap();
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "").unwrap();
        drop(again);
        assert!(path.exists(), "what somebody else put there is not ours to remove");
        assert!(matches!(bind(&path, 0o600).await, Err(SocketError::NotASocket)));
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(dir.path().join("b.sock"), &path).unwrap();
        assert!(matches!(bind(&path, 0o600).await, Err(SocketError::NotASocket)), "a link leads somewhere else");
    }

    #[tokio::test]
    async fn a_folder_that_others_write_to_is_refused() {
        for (mode, right) in [(0o777, false), (0o1777, false), (0o770, false), (0o755, true), (0o700, true)] {
            let dir = folder();
            std::fs::set_permissions(dir.path(), Permissions::from_mode(mode)).unwrap();
            let bound = bind(&dir.path().join("a.sock"), 0o600).await;
            assert_eq!(bound.is_ok(), right, "{mode:o}: {bound:?}");
        }
        let dir = folder();
        let bound = bind(&dir.path().join("no/such/a.sock"), 0o600).await;
        assert!(matches!(bound, Err(SocketError::Folder { .. })));
    }
}
