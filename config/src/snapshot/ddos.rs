//! How much one address, one connection or all of them may ask of us: DDoSProtectionPolicy, merged.

use std::time::Duration;

/// What holds before a route is known, for one listener: of the gateway and of the listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionGuard {
    /// Open connections of this listener.
    pub max: u32,
    /// Open connections of one address on this listener.
    pub max_per_ip: Option<u32>,
    /// Connections that one address may begin; all of them apply.
    pub handshakes_per_ip: Vec<NamedRate>,
    pub tls: Duration,
    pub headers: Duration,
    pub max_headers: usize,
    pub max_header_size: usize,
    pub http2: Http2Limits,
    /// Requests of one address, whichever route they are for; all of them apply.
    pub per_ip: Vec<NamedRate>,
    /// Requests of all addresses together.
    pub global: Vec<NamedRate>,
    /// All of them apply.
    pub bans: Vec<BanRule>,
}

/// What holds for requests of one route on one listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestGuard {
    pub body_idle: Duration,
    pub first_byte: Duration,
    pub stream_idle: Duration,
    pub stream_total: Duration,
    pub max_headers: usize,
    pub max_header_size: usize,
    /// On top of what the route's API allows.
    pub max_body: u64,
    /// Arrays and objects of JSON inside each other.
    pub max_json_depth: usize,
    /// Bytes of one event of a stream.
    pub max_sse_event: usize,
    /// Bytes that may come out of each byte of a compressed body.
    pub max_decompression_ratio: u32,
    /// Requests of one address, by the policies that are attached to the route alone; all of them apply.
    pub per_ip: Vec<NamedRate>,
    /// Requests of all addresses together, likewise.
    pub global: Vec<NamedRate>,
    /// When a request of the route is refused for the load.
    pub shed: Option<ShedAt>,
}

/// A rate and who set it, by which it keeps its state over reloads.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NamedRate {
    /// `DDoSProtectionPolicy/default/edge#requests.perIp`.
    pub name: String,
    pub limit: u32,
    pub window: Duration,
    pub burst: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Http2Limits {
    pub max_concurrent_streams: u32,
    pub max_resets_per_minute: u32,
    pub max_continuation: u32,
}

/// An address with so many findings in a window is refused for a while.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BanRule {
    /// `DDoSProtectionPolicy/default/edge#scanners`.
    pub name: String,
    pub findings: u32,
    pub window: Duration,
    pub first: Duration,
    pub longest: Duration,
}

/// Load in percent from which requests are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShedAt {
    /// Of addresses with more than their share of the open requests.
    pub greedy: u8,
    /// Of everybody; `None` where it never comes to that.
    pub all: Option<u8>,
}

impl Default for ConnectionGuard {
    /// What holds where no manifest says otherwise (§10).
    fn default() -> Self {
        Self {
            max: 20_000,
            max_per_ip: None,
            handshakes_per_ip: Vec::new(),
            tls: Duration::from_secs(5),
            headers: Duration::from_secs(10),
            max_headers: 128,
            max_header_size: 32 << 10,
            http2: Http2Limits { max_concurrent_streams: 100, max_resets_per_minute: 200, max_continuation: 8 },
            per_ip: Vec::new(),
            global: Vec::new(),
            bans: Vec::new(),
        }
    }
}

impl Default for RequestGuard {
    /// What holds where no manifest says otherwise (§10).
    fn default() -> Self {
        Self {
            body_idle: Duration::from_secs(30),
            first_byte: Duration::from_secs(60),
            stream_idle: Duration::from_secs(300),
            stream_total: Duration::from_secs(3600),
            max_headers: 128,
            max_header_size: 32 << 10,
            max_body: 100 << 20,
            max_json_depth: 64,
            max_sse_event: 1 << 20,
            max_decompression_ratio: 100,
            per_ip: Vec::new(),
            global: Vec::new(),
            shed: None,
        }
    }
}
