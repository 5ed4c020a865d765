//! How long an exchange may go on: as long as the credential it was asked for with and the exceptions it hangs on, as its
//! upstream may take, and as policy says, whichever ends first.

use std::future::Future;
use std::time::Duration;

use postern_config::Timeouts;
use postern_filters::{Reason, Refusal};
use tokio::time::Instant;

use crate::story::Story;

/// The end of one exchange.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    pub(crate) at: Instant,
    /// Longest pause on either side.
    idle: Duration,
    /// Longest wait for the head of the answer.
    pub(crate) first_byte: Duration,
    /// What is late once it is over.
    then: Late,
}

/// What did not happen in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Late {
    /// This step; the exchange could have gone on.
    Step,
    Credential,
    Exception,
    /// The way back from its tokens.
    Tokens,
    Total,
}

impl Deadline {
    /// Counted from the beginning of the request, which is the time its credential was judged at.
    pub(crate) fn of(story: &Story, timeouts: &Timeouts) -> Self {
        let credential = story.context.known_principal().map(|principal| {
            let seconds = principal.authn.expires_at.saturating_sub(story.context.now()).max(0);
            Duration::from_secs(seconds.unsigned_abs())
        });
        let total = timeouts.total.min(story.patience.stream_total);
        let idle = timeouts.idle.min(story.patience.stream_idle);
        let first_byte = timeouts.first_byte.min(story.patience.first_byte);
        let exception = story.context.excepted_until().map(|until| {
            let ms = until.saturating_mul(1000).saturating_sub(story.context.now_ms()).max(0);
            Duration::from_millis(ms.unsigned_abs())
        });
        let ends = [Some((total, Late::Total)), credential.map(|left| (left, Late::Credential))];
        let tokens = story.context.token_map().map(|tokens| (tokens.lasts(), Late::Tokens));
        let ends = ends.into_iter().chain([exception.map(|left| (left, Late::Exception)), tokens]).flatten();
        let (left, then) = ends.min_by_key(|(left, _)| *left).unwrap_or((total, Late::Total));
        Self { at: Instant::from_std(story.began) + left, idle, first_byte, then }
    }

    /// Runs one step of the exchange, within the longest pause and the deadline.
    pub(crate) async fn step<T>(self, step: impl Future<Output = T>) -> Result<T, Late> {
        self.within(self.idle, step).await
    }

    /// The end of a pause that begins now.
    pub(crate) fn pause(self) -> Instant {
        self.after(self.idle)
    }

    /// The end of something that may take as long as `pause`.
    pub(crate) fn after(self, pause: Duration) -> Instant {
        self.at.min(Instant::now() + pause)
    }

    /// As [`Deadline::step`], with a pause of the caller's.
    pub(crate) async fn within<T>(self, pause: Duration, step: impl Future<Output = T>) -> Result<T, Late> {
        tokio::time::timeout_at(self.after(pause), step).await.map_err(|_| self.missed())
    }

    /// What is late by now.
    pub(crate) fn missed(self) -> Late {
        if Instant::now() < self.at { Late::Step } else { self.then }
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
            Self::Exception => Refusal::new(
                Reason::ExceptionEnded,
                format!("an exception the exchange hangs on ended while {step} was waited for"),
            ),
            Self::Tokens => Refusal::new(
                Reason::UpstreamFailed,
                "the exchange took longer than its tokens are kept (`retention.tokens`)",
            ),
            Self::Total => Refusal::new(Reason::UpstreamFailed, "the exchange took longer than it may"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_was_late_is_told_apart() {
        let never = || std::future::pending::<()>();
        let total = Duration::from_secs(3600);
        let idle = Duration::from_secs(300);
        let long = Deadline { at: Instant::now() + total, idle, first_byte: idle, then: Late::Total };
        assert_eq!(long.step(never()).await, Err(Late::Step));
        assert_eq!(long.within(total * 2, never()).await, Err(Late::Total));
        let short =
            Deadline { at: Instant::now() + Duration::from_secs(5), idle, first_byte: idle, then: Late::Credential };
        assert_eq!(short.step(std::future::ready(7)).await, Ok(7));
        assert_eq!(short.step(never()).await, Err(Late::Credential));
    }
}
