//! The task that listens to one Workload API: it calls, takes every message over whole, and calls again when the call ends.

use std::sync::Arc;
use std::time::Duration;

use postern_certs::{Workload, WorkloadMessage};
use postern_config::WorkloadSocket;
use tokio::sync::{Notify, watch};
use tracing::{info, warn};

use super::call::{ANSWER, Call, CallError};
use super::message;
use crate::clock::Clock;

/// Between two calls: it doubles from the first to the last, and a half of it is chance, so that the workloads of a
/// machine do not come all at once to an agent that is back.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Between two messages, so that an agent that never stops talking costs a limited part of a core.
const BETWEEN: Duration = Duration::from_millis(20);

/// What is known of one Workload API.
#[derive(Debug, Default)]
pub(super) struct State {
    /// What it said last, less what has ended since; `None` until it said anything.
    pub(super) workload: Option<Arc<Workload>>,
    pub(super) connected: bool,
    /// Why the last call ended.
    pub(super) trouble: String,
}

/// Why nothing more is heard from an agent at the moment.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("its message cannot be read: {0}")]
    Unreadable(#[from] prost::DecodeError),
    #[error("its message is refused: {0}")]
    Refused(#[from] postern_certs::MessageFault),
}

/// Listens for as long as it is let.
pub(super) struct Listening {
    pub(super) socket: WorkloadSocket,
    pub(super) state: watch::Sender<State>,
    pub(super) changed: Arc<Notify>,
    pub(super) clock: Arc<dyn Clock>,
}

impl Listening {
    pub(super) async fn run(self) {
        let mut pause = FIRST_PAUSE;
        let mut told = String::new();
        loop {
            let mut heard = false;
            let Err(trouble) = self.listen(&mut heard).await;
            if heard {
                (pause, told) = (FIRST_PAUSE, String::new());
            }
            self.lost(&trouble, &mut told);
            tokio::time::sleep(jittered(pause)).await;
            pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
        }
    }

    /// One call, from its beginning to its end. `heard` turns true with the first message that is taken over.
    async fn listen(&self, heard: &mut bool) -> Result<std::convert::Infallible, Trouble> {
        let mut call = Call::begin(&self.socket).await?;
        let mut bytes = tokio::time::timeout(ANSWER, call.next()).await.map_err(|_| CallError::Late)??;
        loop {
            let message = message::read(&bytes)?;
            self.take(&message)?;
            *heard = true;
            tokio::time::sleep(BETWEEN).await;
            bytes = call.next().await?;
        }
    }

    /// A message that is not taken over changes nothing.
    fn take(&self, message: &WorkloadMessage) -> Result<(), Trouble> {
        let workload = Workload::read(message, self.clock.unix_ms() / 1000)?;
        let ids: Vec<String> = workload.svids().map(|(id, _)| id.to_string()).collect();
        let bundles: Vec<&str> = workload.trust_domains().collect();
        info!(socket = %self.socket, svids = ids.join(" "), bundles = bundles.join(" "), "the Workload API spoke");
        self.state.send_modify(|state| {
            *state = State { workload: Some(Arc::new(workload)), connected: true, trouble: String::new() };
        });
        self.changed.notify_one();
        Ok(())
    }

    /// What it said last stays, unless it said that nothing of it is ours any more. The same trouble is told once.
    fn lost(&self, trouble: &Trouble, told: &mut String) {
        let why = trouble.to_string();
        let denied = matches!(trouble, Trouble::Call(CallError::Denied(_)));
        if *told != why {
            let what = if denied {
                "nothing of what it gave is used any more"
            } else {
                "what it said last stays until it ends"
            };
            warn!("error.type" = "spiffe", socket = %self.socket, why, "the Workload API is lost: {what}");
            told.clone_from(&why);
        }
        self.state.send_modify(|state| {
            state.connected = false;
            state.trouble = why;
            // What is empty stays the same, so that nothing is done about it again.
            if denied && !state.workload.as_ref().is_some_and(|known| known.is_empty()) {
                state.workload = Some(Arc::default());
            }
        });
        if denied {
            self.changed.notify_one();
        }
    }
}

/// Between a half and the whole of it.
fn jittered(pause: Duration) -> Duration {
    let mut byte = [0];
    // Without chance it is the whole.
    let part = if aws_lc_rs::rand::fill(&mut byte).is_ok() { u32::from(byte[0]) } else { 255 };
    pause.saturating_mul(part.saturating_add(256)) / 511
}
