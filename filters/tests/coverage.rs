//! Every guard of the matrix runs, and every guard matters.
//!
//! `matrix` holds the matrix that is computed at load against what a chain notes while it runs, over generated policies.
//! `guards` has for each guard an input that this guard alone stops or changes. `streams` cuts a streamed answer at every
//! byte.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(missing_debug_implementations, unreachable_pub, reason = "tests")]

#[path = "coverage/guards.rs"]
mod guards;
#[path = "coverage/matrix.rs"]
mod matrix;
#[path = "coverage/streams.rs"]
mod streams;
#[path = "../src/testing.rs"]
mod testing;
