//! The key that signs the log.
//!
//! In the note the key has the name of the log's origin, as tlog-checkpoint recommends, so that a verifier key also says which log
//! it is for: a checkpoint of another log with the same seed is not believed.

use std::path::Path;

use postern_config::AuditLog;
use postern_filters::audit::note::{KeyError, SigningKey};

use super::disk::write_atomically;
use crate::own_key::{self, SeedError};

/// Why there is no key to sign with.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error(transparent)]
    Seed(Box<dyn std::error::Error + Send + Sync>),
    #[error("the origin of the log cannot name its key")]
    Key(#[from] KeyError),
}

impl From<SeedError> for LoadError {
    fn from(error: SeedError) -> Self {
        Self::Seed(Box::new(error))
    }
}

/// The signing key of the log.
///
/// # Errors
/// [`LoadError`]; an origin with a space or a `+` is refused.
pub fn load(settings: &AuditLog, state_dir: &Path) -> Result<SigningKey, LoadError> {
    let seed = own_key::seed(&settings.key, state_dir)?;
    Ok(SigningKey::from_seed(&settings.origin, &seed)?)
}

/// The key as it is now, where this process may read it. Nothing is made.
pub(crate) fn existing(settings: &AuditLog, state_dir: &Path) -> Option<SigningKey> {
    if own_key::is_there(&settings.key, state_dir) { load(settings, state_dir).ok() } else { None }
}

/// Writes the public half beside the log, where operators look for it.
///
/// # Errors
/// Where the file cannot be written.
pub fn publish(dir: &Path, key: &SigningKey) -> std::io::Result<()> {
    write_atomically(&dir.join("log.vkey"), format!("{}\n", key.verifying_key()).as_bytes())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use postern_config::OwnKey;

    use super::*;

    #[test]
    fn the_key_has_the_name_of_the_log() {
        let state = tempfile::tempdir().unwrap();
        let settings = |origin: &str| AuditLog {
            origin: origin.into(),
            key: OwnKey::Generate { name: "audit-log".into() },
            checkpoint_interval: Duration::from_secs(10),
            dir: PathBuf::new(),
            redact: vec![],
        };
        let key = load(&settings("log.example/edge"), state.path()).unwrap();
        assert!(key.verifying_key().to_string().starts_with("log.example/edge+"));
        assert!(matches!(load(&settings("two words"), state.path()), Err(LoadError::Key(_))));
    }
}
