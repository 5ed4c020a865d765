//! What this proxy must withstand, by the numbers of the table in SECURITY.md: raw sockets, raw TLS and raw HTTP/2 frames
//! against the real start, and what the upstream got and the log tells of it.
//!
//! Where an attack concerns what one crate decides alone, the table names a test there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(unreachable_pub, missing_debug_implementations, reason = "one binary, nothing leaves it")]

#[allow(dead_code, reason = "shared with the tests of the wire")]
#[path = "../wire/house/mod.rs"]
mod house;

mod answers;
mod bodies;
mod callers;
mod downgrade;
mod floods;
mod frames;
mod framing;
mod headers;
mod leftovers;
mod logs;
mod one;
mod paths;
mod rpc;
mod settings;
mod slow;
mod table;
mod tls;
mod trailers;
mod upgrade;
