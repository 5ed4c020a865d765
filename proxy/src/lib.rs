//! Postern: the sockets around the decision machine.
//!
//! Follow one request: `accept` → `app` → `exchange` (frame, route, chain) → `exchange::forward` → `exchange::respond`
//! → `record`. Starting and stopping is `server`, taking over changed policy is `reload`.

mod accept;
mod answer;
mod app;
pub mod audit;
mod budget;
mod build;
pub mod cli;
mod client_certificate;
pub mod clock;
mod connection;
mod connections;
mod credentials;
pub mod demo;
mod egress;
mod exchange;
mod explain;
mod guard;
mod handover;
mod hardening;
mod head;
mod health;
mod listen;
mod listeners;
mod login;
mod outbound;
mod outside;
mod own_key;
mod private;
mod proxied;
mod random;
mod record;
mod relay;
pub mod reload;
mod runtime;
pub mod server;
mod shared;
mod spiffe;
mod standing;
mod story;
pub mod telemetry;
mod trouble;
mod tunnel;
mod upstream;
mod upstream_head;
mod workload;
