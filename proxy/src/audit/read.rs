//! A log in a directory, read once from its first record to its last.

use std::path::Path;

use postern_filters::audit::note::VerifyingKey;
use postern_filters::audit::verify::{LogRead, read_log};

use super::verify::{Directory, RunError};

/// Hands every record to `each`. Without a key nothing is checked.
///
/// # Errors
/// [`RunError`] where a file cannot be read; a log that was tampered with is an outcome, see [`LogRead::standing`].
pub(crate) fn read(
    dir: &Path,
    key: Option<&VerifyingKey>,
    each: &mut dyn FnMut(u64, &[u8]),
) -> Result<LogRead, RunError> {
    if !dir.is_dir() {
        return Err(RunError::NoLog(dir.to_owned()));
    }
    Ok(read_log(&Directory(dir), key, each)?)
}
