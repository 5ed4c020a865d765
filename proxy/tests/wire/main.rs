//! The proxy across real sockets: the real start, real TLS, real tokens, upstreams that remember what reached them, and
//! the audit log that the proxy left.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(unreachable_pub, missing_debug_implementations, reason = "one binary, nothing leaves it")]

mod access;
mod api_keys;
mod certificates;
mod challenges;
mod complaints;
mod content;
mod cors;
mod cuts;
mod dialects;
mod dpop;
mod encodings;
mod exceptions;
mod external;
mod guard;
mod health;
#[allow(dead_code, reason = "shared with the tests of attacks")]
mod house;
mod hygiene;
mod identity;
mod issuers;
mod json_suite;
mod jwt_svids;
mod leaving;
mod length;
mod limits;
mod logins;
mod models;
mod mounted;
mod mtls;
mod network;
mod outbound;
mod prompts;
mod proxies;
mod redis;
mod relay;
mod remembered;
mod revised;
mod rotation;
mod schema;
mod secrets;
mod shared_limits;
mod shared_places;
mod sidecars;
mod signatures;
mod sizes;
mod sockets;
mod spiffe;
mod spiffe_upstream;
mod standing;
mod store;
mod story;
mod tenancy;
mod tls;
mod token_exchange;
mod tokens;
mod trials;
mod txn_tokens;
mod unix;
mod upstream;
mod upstream_h2;
mod upstream_tls;
mod upstream_unix;
mod web_attacks;

use house::within;
