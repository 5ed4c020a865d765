//! postern-proxy

pub mod audit;
