//! Answers what chains cannot find out by themselves: here is the I/O that filters do not do.
//!
//! A question is answered within its own bounds; what is asked for one request together, within [`PATIENCE`]. Whoever does not
//! know says so in the answer, and the filter that asked decides what comes of that.

use std::time::Duration;

use postern_filters::{Given, KeysGiven, Need, Reason, Refusal};
use tokio::time::Instant;

/// Longest time that one request spends on answers.
const PATIENCE: Duration = Duration::from_secs(10);

/// Everything outside that chains may ask.
#[derive(Debug, Default)]
pub(crate) struct Outside {}

impl Outside {
    /// The end of all questions of a request that begins to ask now.
    pub(crate) fn deadline() -> Instant {
        Instant::now() + PATIENCE
    }

    /// Finds out what a chain needs.
    ///
    /// # Errors
    /// A refusal where it takes longer than `until`: nothing was decided then.
    pub(crate) async fn answer(&self, need: Need, until: Instant) -> Result<Given, Refusal> {
        let answered = async {
            match need {
                Need::Keys(_) => Given::Keys(KeysGiven::Away("nobody fetches keys".to_owned())),
            }
        };
        let late = |_| Refusal::new(Reason::Undecided, "what the chain has to know did not come in time");
        tokio::time::timeout_at(until, answered).await.map_err(late)
    }
}
