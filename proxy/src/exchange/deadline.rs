//! How long an answer may go on: as long as the credential it was asked for with, and never longer than policy says.

use std::future::Future;
use std::time::Duration;

use postern_filters::{Reason, Refusal};
use tokio::time::Instant;

use crate::story::Story;

/// The end of one exchange.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    pub(crate) at: Instant,
    /// Whether it is the credential that ends then.
    by_credential: bool,
    /// Longest pause on either side.
    idle: Duration,
}

/// What did not happen in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Late {
    /// This step; the exchange could have gone on.
    Step,
    Credential,
    Total,
}

impl Deadline {
    /// Counted from the beginning of the request, which is the time its credential was judged at.
    pub(crate) fn of(story: &Story) -> Self {
        let credential = story.context.known_principal().map(|principal| {
            let seconds = principal.authn.expires_at.saturating_sub(story.context.now()).max(0);
            Duration::from_secs(seconds.unsigned_abs())
        });
        let (total, idle) = (story.patience.stream_total, story.patience.stream_idle);
        let left = credential.map_or(total, |left| left.min(total));
        let by_credential = credential.is_some_and(|left| left < total);
        Self { at: Instant::from_std(story.began) + left, by_credential, idle }
    }

    /// Runs one step of the exchange, within the longest pause and the deadline.
    pub(crate) async fn step<T>(self, step: impl Future<Output = T>) -> Result<T, Late> {
        self.within(self.idle, step).await
    }

    /// As [`Deadline::step`], with a pause of the caller's.
    pub(crate) async fn within<T>(self, pause: Duration, step: impl Future<Output = T>) -> Result<T, Late> {
        let limit = self.at.min(Instant::now() + pause);
        tokio::time::timeout_at(limit, step).await.map_err(|_| match self {
            _ if Instant::now() < self.at => Late::Step,
            Self { by_credential: true, .. } => Late::Credential,
            Self { by_credential: false, .. } => Late::Total,
        })
    }
}

impl Late {
    /// Why the exchange is refused, or its stream cut, where `step` was waited for.
    pub(crate) fn refusal(self, step: &str) -> Refusal {
        match self {
            Self::Step => Refusal::new(Reason::UpstreamFailed, format!("{step} took too long")),
            Self::Credential => {
                Refusal::new(Reason::CredentialInvalid, format!("the credential expired while {step} was waited for"))
            }
            Self::Total => Refusal::new(Reason::UpstreamFailed, "the answer took longer than it may"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_was_late_is_told_apart() {
        let never = || std::future::pending::<()>();
        let (total, idle) = (Duration::from_secs(3600), Duration::from_secs(300));
        let long = Deadline { at: Instant::now() + total, by_credential: false, idle };
        assert_eq!(long.step(never()).await, Err(Late::Step));
        assert_eq!(long.within(total * 2, never()).await, Err(Late::Total));
        let short = Deadline { at: Instant::now() + Duration::from_secs(5), by_credential: true, idle };
        assert_eq!(short.step(std::future::ready(7)).await, Ok(7));
        assert_eq!(short.step(never()).await, Err(Late::Credential));
    }
}
