//! The life of a process: it starts, takes changed policy over under load, drains and stops, or is killed; and what its commands say.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(unreachable_pub, missing_debug_implementations, dead_code, reason = "one binary, nothing leaves it")]

#[path = "../wire/house/agent.rs"]
mod agent;
#[path = "../wire/house/caller.rs"]
mod caller;
mod client;
mod commands;
mod egress;
mod evidence;
mod explain;
mod hardening;
mod listeners;
mod load;
mod places;
mod process;
#[path = "../wire/redis.rs"]
mod redis;
mod scan;
mod secrets;
mod site;
mod spiffe;
mod stop;
mod takeover;
mod upgrade;
#[path = "../wire/house/upstream.rs"]
mod upstream;

use std::future::Future;
use std::time::Duration;

/// Longer than anything here takes; a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for `future`, but not for ever.
async fn within<F: Future>(what: &str, future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("{what} took too long"))
}
