//! What happened to one request, gathered on the way; the audit record is made from it once, at the end.

use std::time::{Duration, Instant};

use postern_filters::{Context, Refusal};
use uuid::Uuid;

use crate::connection::Connection;
use crate::head::Head;

/// The story of a request.
#[derive(Debug)]
pub(crate) struct Story {
    /// Decision id: UUIDv7, ordered by time.
    pub(crate) id: Uuid,
    pub(crate) began: Instant,
    pub(crate) sequence: u32,
    pub(crate) context: Context,
    pub(crate) head: Option<Head>,
    pub(crate) http_version: &'static str,
    pub(crate) route: Option<String>,
    pub(crate) upstream: Option<String>,
    pub(crate) dialect: postern_config::Dialect,
    pub(crate) refusal: Option<Refusal>,
    pub(crate) status: u16,
    /// What went wrong without being a decision: the upstream broke off, the client left.
    pub(crate) trouble: Option<String>,
    pub(crate) streamed: bool,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    /// Digest of the snapshot that decided.
    pub(crate) snapshot: postern_config::Digest,
}

impl Story {
    pub(crate) fn begin(connection: &Connection, now_ms: i64, uptime: Duration) -> Self {
        Self {
            id: Uuid::now_v7(),
            began: Instant::now(),
            sequence: connection.next_sequence(),
            context: Context::new(now_ms, uptime),
            head: None,
            http_version: "",
            route: None,
            upstream: None,
            dialect: postern_config::Dialect::Http,
            refusal: None,
            status: 0,
            trouble: None,
            streamed: false,
            bytes_in: 0,
            bytes_out: 0,
            snapshot: [0; 32],
        }
    }

    /// Notes a refusal. The first one stands.
    pub(crate) fn refuse(&mut self, refusal: Refusal) {
        if self.refusal.is_none() {
            self.refusal = Some(refusal);
        }
    }
}
