//! Answers what chains cannot find out by themselves: here is the I/O that filters do not do.
//!
//! A question is answered within its own bounds; what is asked for one request together, within [`PATIENCE`]. Whoever does not
//! know says so in the answer, and the filter that asked decides what comes of that.

mod calls;
mod external;
mod introspection;
mod keys;
pub(crate) mod limits;

use std::sync::Arc;
use std::time::Duration;

use postern_config::{Material, Snapshot};
use postern_filters::external::{Failure, Question, Verdict};
use postern_filters::limit::Waited;
use postern_filters::token::KeyRings;
use postern_filters::token::session::EndedSessions;
use postern_filters::{Given, Need, Reason, Refusal};
use tokio::sync::watch;
use tokio::time::Instant;

use calls::Calls;
pub(crate) use calls::{Setup, limits as call_limits};
use introspection::Introspections;
use keys::Keepers;

use crate::clock::Clock;
use crate::connections;
use crate::login::Issuers;
use crate::outbound::{Answer, OutboundError, Request};
use crate::shared::Shared;
use crate::telemetry::Metrics;

/// Longest time that one request spends on answers.
const PATIENCE: Duration = Duration::from_secs(10);

/// Everything outside that chains may ask.
pub(crate) struct Outside {
    calls: Arc<Calls>,
    keys: Keepers,
    introspections: Introspections,
    issuers: Issuers,
    ended: Arc<EndedSessions>,
}

impl Outside {
    pub(crate) fn new(clock: &Arc<dyn Clock>) -> Self {
        let calls = Arc::new(Calls::new());
        Self {
            keys: Keepers::new(KeyRings::new(), calls.clone(), clock.clone()),
            introspections: Introspections::new(calls.clone(), clock.clone()),
            issuers: Issuers::default(),
            ended: Arc::default(),
            calls,
        }
    }

    /// The rings that sets are compiled with.
    pub(crate) fn rings(&self) -> &KeyRings {
        &self.keys.rings
    }

    /// Where issuers let browsers log in.
    pub(crate) fn issuers(&self) -> &Issuers {
        &self.issuers
    }

    /// Who was logged out.
    pub(crate) fn ended(&self) -> &Arc<EndedSessions> {
        &self.ended
    }

    /// Makes a call of our own, believing the authorities of `ca`.
    ///
    /// # Errors
    /// [`OutboundError`]
    pub(crate) async fn call(&self, ca: Option<&Material>, request: Request) -> Result<Answer, OutboundError> {
        self.calls.send(ca, request).await
    }

    /// Does what the set needs that runs from now on, and nothing else.
    pub(crate) fn follow(&self, snapshot: &Snapshot, setup: &Arc<Setup>) {
        self.calls.follow(snapshot, setup.clone());
        self.keys.keep(&setup.keys);
        self.introspections.keep(|source| self.calls.auth(source).is_some());
    }

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
                Need::Keys(wanted) => Given::Keys(self.keys.answer(wanted).await),
                Need::Introspection(wanted) => Given::Introspection(self.introspections.answer(wanted).await),
                // Whoever serves a request waits with it; nothing else is counted.
                Need::Limits => Given::Limits(Waited::in_vain()),
                // No head is judged by services.
                Need::External(_) => Given::External(Vec::new()),
            }
        };
        let late = |_| Refusal::new(Reason::Undecided, "what the chain has to know did not come in time");
        tokio::time::timeout_at(until, answered).await.map_err(late)
    }

    /// Asks services about texts, on behalf of the exchange `id`; each takes the time that policy gives it.
    pub(crate) async fn ask(
        &self,
        questions: &[Arc<Question>],
        id: &str,
        metrics: &Metrics,
    ) -> Vec<(Arc<Question>, Result<Verdict, Failure>)> {
        external::ask(&self.calls, questions, id, metrics).await
    }

    /// What lacks at the moment, in words for people; requests that hang on it are refused.
    pub(crate) fn lacking(&self, now: i64) -> Vec<String> {
        let of = |standing: keys::Standing| {
            let why = standing.trouble.unwrap_or_else(|| "they were not fetched yet".to_owned());
            standing.keys.is_none().then(|| format!("no keys of {}: {why}", standing.source))
        };
        self.keys.standing(now).into_iter().filter_map(of).collect()
    }

    pub(crate) fn measure(&self, metrics: &Metrics, now: i64) {
        let keys = self.keys.standing(now).into_iter();
        let keys = keys.map(|s| (s.source, s.keys, s.fetched, s.failed));
        let asked = self.introspections.standing().into_iter().map(|s| (s.source, s.answered, s.failed));
        metrics.issuers(keys, asked);
    }
}

/// Judges what is open again when an issuer has taken a key away, until `stop` turns true.
pub(crate) async fn run(shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = stopped(&mut stop) => break,
            () = shared.outside.keys.changed.notified() => connections::judge(&shared).await,
        }
    }
    shared.outside.keys.keep(&[]);
}

/// Returns once `stop` is true. Holds no lock of the channel across an await of the caller's.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}
