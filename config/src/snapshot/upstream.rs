//! How an upstream is called, after resolution.

use std::path::PathBuf;
use std::time::Duration;

use crate::bootstrap::RetryAfter;

/// One address of an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub place: EndpointPlace,
    /// `Host` of requests to it.
    pub authority: String,
}

/// Where an endpoint is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndpointPlace {
    /// Host name or address, without brackets.
    Tcp { host: String, port: u16 },
    /// A Unix socket on an absolute path, and whose processes may answer there; `None` for our own user and root.
    Unix { path: PathBuf, uids: Option<Vec<u32>> },
}

/// How an endpoint is chosen among those that are in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Balance {
    RoundRobin,
    LeastRequest,
    ConsistentHash(HashBy),
}

/// What requests that belong together have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HashBy {
    Principal,
    SourceIp,
    /// Lower case.
    Header(String),
}

/// How long an upstream may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    pub connect: Duration,
    pub first_byte: Duration,
    pub idle: Duration,
    pub total: Duration,
}

/// Which requests are sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retries {
    /// Attempts after the first.
    pub max: u32,
    /// Percent of the requests of the last 10 s.
    pub budget: u8,
    pub after: Vec<RetryAfter>,
}

/// Endpoints are asked whether they are in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    /// With the upstream's base path.
    pub path: String,
    pub interval: Duration,
    pub timeout: Duration,
    pub healthy_after: u32,
    pub unhealthy_after: u32,
}

/// Endpoints that fail requests are left out for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PassiveHealth {
    pub consecutive_failures: u32,
    pub eject_for: Duration,
    /// Percent of the endpoints.
    pub max_ejected: u8,
}

/// How much may be used at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CircuitBreaker {
    pub max_connections: u32,
    pub max_requests: u32,
    pub max_pending: u32,
}
