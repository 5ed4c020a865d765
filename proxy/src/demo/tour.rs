//! The tour: one request after the other, each with what the manifests promise for it.

mod judge;
mod steps;

use std::time::Instant;

use super::client::{Client, NoReply};
use super::model::Model;
use super::row::{Row, millis};
use super::shop::Shop;
use super::site::Site;
use super::{DemoError, caller::Caller};
use steps::{Step, chat};

/// Requests that the manifests let through at once.
const BURST: usize = 20;
/// By then the limit has been met, or there is none.
const MANY: usize = 60;

/// What the tour talks to, and what it looks at afterwards.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tour<'d> {
    pub(super) site: &'d Site,
    pub(super) client: &'d Client,
    pub(super) model: &'d Model,
    pub(super) shop: &'d Shop,
}

impl Tour<'_> {
    /// Takes the tour, in the order a newcomer reads it.
    pub(super) async fn rows(&self) -> Result<Vec<Row>, DemoError> {
        let mut rows = Vec::new();
        for step in steps::allowed(self.site)? {
            rows.push(self.take(step).await);
        }
        let callers = &self.site.callers;
        rows.push(self.knock("no certificate", "a handshake without one", None, "TLS alert CertificateRequired").await);
        let stranger = Some(&callers.stranger);
        rows.push(
            self.knock("certificate of another CA", "mia's name, other issuer", stranger, "TLS alert UnknownCA").await,
        );
        for step in steps::refused(self.site)?.into_iter().chain(steps::content(self.site)?) {
            rows.push(self.take(step).await);
        }
        rows.push(self.hurry().await?);
        Ok(rows)
    }

    async fn take(&self, step: Step<'_>) -> Row {
        let before = self.upstream_requests();
        let began = Instant::now();
        let answered = self.client.send(step.caller.map(|caller| &caller.issued), &step.ask).await;
        let took = began.elapsed();
        let reached = self.upstream_requests().saturating_sub(before);
        let decision = answered.as_ref().ok().and_then(judge::decision);
        let (outcome, reason) = match answered {
            Ok(reply) => judge::judge(&step, &reply, reached, &self.model.last()),
            Err(none) => no_reply(&none),
        };
        let Step { name, sent, expected, .. } = step;
        Row { name, sent, outcome, reason, expected, millis: millis(took), decision }
    }

    /// A handshake that should not succeed.
    async fn knock(
        &self,
        name: &'static str,
        sent: &'static str,
        caller: Option<&Caller>,
        expected: &'static str,
    ) -> Row {
        let began = Instant::now();
        let knocked = self.client.knock(caller.map(|caller| &caller.issued)).await;
        let took = began.elapsed();
        let (outcome, reason) = match knocked {
            Ok(()) => ("let in".to_owned(), "the server did not object".to_owned()),
            Err(none) => no_reply(&none),
        };
        Row { name, sent, outcome, reason, expected, millis: millis(took), decision: None }
    }

    /// Request after request until one is refused, which is the row.
    async fn hurry(&self) -> Result<Row, DemoError> {
        let ned = &self.site.callers.ned;
        let mut passed = 0;
        loop {
            let step = Step {
                name: "rate limited",
                sent: "request after request",
                expected: "429 rate_limit_exceeded",
                ..chat(ned, self.site.token(ned, ned, serde_json::Value::Null)?, "Hurry up")
            };
            let mut row = self.take(step).await;
            if row.outcome == "200" && passed < MANY {
                passed += 1;
                continue;
            }
            if passed < BURST {
                row.outcome = format!("{} after {passed} requests, {BURST} are allowed at once", row.outcome);
            }
            row.reason = format!("{passed} answered before it; {}", row.reason);
            return Ok(row);
        }
    }

    fn upstream_requests(&self) -> u64 {
        self.model.requests().saturating_add(self.shop.requests())
    }
}

fn no_reply(none: &NoReply) -> (String, String) {
    match none {
        NoReply::Alert(_) => (none.to_string(), "refused during the handshake".to_owned()),
        _ => ("no answer".to_owned(), none.to_string()),
    }
}
