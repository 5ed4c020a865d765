//! The audit log on disk: one thread writes it, anybody with the public key can check it.
//!
//! ```text
//! <dir>/records/000000.jsonl   records with index and salt, one a line; written ahead of everything else
//! <dir>/tile/...               entry bundles and hash tiles of C2SP tlog-tiles
//! <dir>/checkpoint             signed head
//! <dir>/log.vkey               public key, for people; a verifier must have it from elsewhere
//! <dir>/lock                   held while a process writes
//! ```

mod disk;
mod entry;
pub mod key;
mod pages;
mod queue;
mod read;
mod recover;
mod successor;
pub mod verify;
pub mod writer;

use std::sync::Arc;

pub(crate) use disk::sync_dir;
pub use queue::{AuditFull, NotDurable, Place, Receipt, Status};
pub(crate) use read::read;
pub use recover::OpenError;
pub(crate) use successor::{Successor, Word};
pub(crate) use verify::{RunError, read_key};
pub use verify::{VerifyArgs, VerifyOutcome, run};
pub use writer::{AuditWriter, Limits};

/// Tells the time: unix milliseconds.
pub type UnixMillis = Arc<dyn Fn() -> u64 + Send + Sync>;
