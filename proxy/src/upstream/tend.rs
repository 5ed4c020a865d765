//! What goes on beside requests: endpoints are asked whether they are in order, and connections that nobody uses are
//! closed. One task an upstream, which ends with the set it belongs to.

use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use http::header;
use pingora_http::RequestHeader;
use postern_config::HealthCheck;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::{info, warn};

use super::Upstream;
use super::endpoint::Endpoint;
use super::failure::Failure;
use super::health::Turn;
use crate::clock::Clock;

/// Between two looks at kept connections.
const SWEEP: Duration = Duration::from_secs(5);

/// Tends `upstream` until it is dropped.
pub(super) async fn run(upstream: Weak<Upstream>, check: Option<HealthCheck>, clock: Arc<dyn Clock>) {
    let mut sweep = interval(SWEEP);
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut ask = interval(check.as_ref().map_or(SWEEP, |check| check.interval));
    ask.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let asking = tokio::select! {
            _ = sweep.tick() => None,
            _ = ask.tick(), if check.is_some() => check.as_ref(),
        };
        let Some(upstream) = upstream.upgrade() else { return };
        if upstream.is_over(&*clock) {
            // Requests are refused on their way; nothing else may go there either, and what is open is closed.
            upstream.endpoints.iter().for_each(|endpoint| endpoint.pool.clear());
            continue;
        }
        match asking {
            None => upstream.endpoints.iter().for_each(|endpoint| endpoint.pool.sweep()),
            Some(check) => {
                join_all(upstream.endpoints.iter().map(|endpoint| upstream.check(endpoint, check))).await;
            }
        }
    }
}

impl Upstream {
    async fn check(&self, endpoint: &Arc<Endpoint>, check: &HealthCheck) {
        let asked = tokio::time::timeout(check.timeout, self.probe(endpoint, check)).await;
        let (well, why) = match asked {
            Ok(Ok(())) => (true, String::new()),
            Ok(Err(failure)) => (false, failure.detail),
            Err(_) => (false, "no answer in time".to_owned()),
        };
        let (upstream, label) = (&self.settings.name, &endpoint.label);
        match endpoint.health.asked(well, check) {
            Turn::Same => {}
            Turn::Up => info!(upstream, endpoint = label, "an endpoint is in order again"),
            Turn::Down => {
                warn!("error.type" = "health", upstream, endpoint = label, why, "an endpoint is not in order")
            }
        }
    }

    /// Asks on a connection of its own, so that the way to the endpoint is looked at as well.
    async fn probe(&self, endpoint: &Arc<Endpoint>, check: &HealthCheck) -> Result<(), Failure> {
        let deadline = Instant::now() + check.timeout;
        let unmade = |error: Box<pingora_core::Error>| Failure::broken(error.to_string());
        let mut head = RequestHeader::build("GET", check.path.as_bytes(), Some(3)).map_err(unmade)?;
        head.insert_header(header::HOST, endpoint.authority.clone()).map_err(unmade)?;
        head.insert_header(header::USER_AGENT, "postern-health").map_err(unmade)?;
        let mut conversation = self.open_alone(endpoint, deadline).await?;
        conversation.ask(Box::new(head), Bytes::new()).await?;
        let status = conversation.head().map_or(0, |head| head.status.as_u16());
        conversation.abort().await;
        if (200..300).contains(&status) { Ok(()) } else { Err(Failure::broken(format!("it answered {status}"))) }
    }
}
