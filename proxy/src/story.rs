//! What happened to one request, gathered on the way; the audit record is made from it once, at the end.

use std::sync::Arc;
use std::time::Instant;

use postern_filters::audit::SecretWord;
use postern_filters::encoding::Coding;
use postern_filters::{Context, Refusal};
use uuid::Uuid;

use crate::audit::Place;
use crate::budget::Share;
use crate::connection::Connection;
use crate::guard::{Pace, Patience};
use crate::head::Head;
use crate::random;
use crate::shared::Shared;
use crate::tunnel::Tunnel;
use crate::upstream::Told;

/// The story of a request.
#[derive(Debug)]
pub(crate) struct Story {
    /// Decision id: UUIDv7, ordered by time.
    pub(crate) id: Uuid,
    pub(crate) began: Instant,
    pub(crate) sequence: u32,
    pub(crate) context: Context,
    /// Room for the record, from the moment something is about to be done.
    pub(crate) place: Option<Place>,
    /// The memory that bodies of this exchange take.
    pub(crate) share: Share,
    pub(crate) head: Option<Head>,
    /// How long its parts may take.
    pub(crate) patience: Patience,
    /// The pace at which the client takes the answer.
    pub(crate) pace: Pace,
    pub(crate) http_version: &'static str,
    pub(crate) route: Option<String>,
    pub(crate) upstream: Option<String>,
    /// Names of the credentials that it was shown.
    pub(crate) credentials: Vec<Arc<str>>,
    /// What was done with secrets besides.
    pub(crate) secrets: Vec<SecretWord>,
    /// What is told about the call to it.
    pub(crate) told: Told,
    pub(crate) dialect: postern_config::Dialect,
    pub(crate) refusal: Option<Refusal>,
    pub(crate) status: u16,
    /// What went wrong without being a decision: the upstream broke off, the client left.
    pub(crate) trouble: Option<String>,
    pub(crate) streamed: bool,
    /// The coding in which the answer came, where it was undone.
    pub(crate) answer_coding: Option<Coding>,
    /// The answer was read, and is in no coding any more.
    pub(crate) answer_read: bool,
    /// The answer is not sent as it came, or may not be.
    pub(crate) answer_changed: bool,
    /// A tunnel that was permitted and waits to be run.
    pub(crate) tunnel: Option<Tunnel>,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    /// Digest of the snapshot that decided.
    pub(crate) snapshot: postern_config::Digest,
}

impl Story {
    pub(crate) fn begin(connection: &Connection, shared: &Shared) -> Self {
        Self {
            id: Uuid::now_v7(),
            began: Instant::now(),
            sequence: connection.next_sequence(),
            context: Context::new(shared.clock.unix_ms(), shared.uptime()).with_random(random::fill),
            place: None,
            share: shared.budget.share(),
            head: None,
            patience: Patience::default(),
            pace: Pace::new(Patience::default().stream_idle),
            http_version: "",
            route: None,
            upstream: None,
            credentials: Vec::new(),
            secrets: Vec::new(),
            told: Told::default(),
            dialect: postern_config::Dialect::Http,
            refusal: None,
            status: 0,
            trouble: None,
            streamed: false,
            answer_coding: None,
            answer_read: false,
            answer_changed: false,
            tunnel: None,
            bytes_in: 0,
            bytes_out: 0,
            snapshot: [0; 32],
        }
    }

    /// Notes where a request went, and how often.
    pub(crate) fn called(&mut self, told: Told) {
        self.told = told;
    }

    /// Notes what went wrong. The first one stands.
    pub(crate) fn note_trouble(&mut self, what: impl Into<String>) {
        self.trouble.get_or_insert_with(|| what.into());
    }

    /// Notes a refusal. The first one stands.
    pub(crate) fn refuse(&mut self, refusal: Refusal) {
        if self.refusal.is_none() {
            self.refusal = Some(refusal);
        }
    }
}
