//! What the process keeps to itself: its files, its memory, its state directory.

use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::Path;

use rustix::fs::Mode;
use rustix::process::{DumpableBehavior, Resource, Rlimit, geteuid, set_dumpable_behavior, setrlimit, umask};
use rustix::thread::set_no_new_privs;
use tracing::warn;

/// Why a directory is not private.
#[derive(Debug, thiserror::Error)]
pub enum PrivateError {
    #[error(transparent)]
    System(#[from] std::io::Error),
    #[error("others than its owner get at it (mode {0:04o}); run `chmod 0700` on it")]
    Open(u32),
    #[error("it belongs to user {owner}, and we are user {we}; run `chown {we}` on it")]
    Foreign { owner: u32, we: u32 },
}

/// From here on nobody else may read what we write, and our memory, which holds keys, is in no core dump and in no
/// debugger of our own user's other processes. Nothing we could start would have more privileges than we have.
pub(crate) fn keep_to_ourselves() {
    umask(Mode::RWXG | Mode::RWXO);
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) = setrlimit(Resource::Core, none) {
        warn!("error.type" = "core_limit", %error, "core dumps could not be turned off");
    }
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        warn!("error.type" = "dumpable", %error, "our memory could not be closed to debuggers");
    }
    if let Err(error) = set_no_new_privs(true) {
        warn!("error.type" = "no_new_privs", %error, "new privileges could not be forbidden");
    }
}

/// A directory of ours alone; made where there is none.
///
/// # Errors
/// [`PrivateError`] where it is not, and what to do.
pub(crate) fn directory(path: &Path) -> Result<(), PrivateError> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let found = std::fs::metadata(path)?;
    let (owner, we, mode) = (found.uid(), geteuid().as_raw(), found.mode() & 0o7777);
    if owner != we {
        return Err(PrivateError::Foreign { owner, we });
    }
    if mode & 0o077 != 0 { Err(PrivateError::Open(mode)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_directory_that_others_get_at_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let made = dir.path().join("a/b");
        directory(&made).unwrap();
        assert_eq!(std::fs::metadata(&made).unwrap().mode() & 0o777, 0o700);
        for (mode, right) in
            [(0o700, true), (0o500, true), (0o710, false), (0o750, false), (0o755, false), (0o701, false)]
        {
            std::fs::set_permissions(&made, Permissions::from_mode(mode)).unwrap();
            assert_eq!(directory(&made).is_ok(), right, "{mode:o}");
        }
    }
}
