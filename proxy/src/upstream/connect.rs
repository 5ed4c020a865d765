//! A connection for one request: one that is kept, or a new one within the limits of the circuit breaker.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use postern_config::UpstreamProtocol;
use postern_filters::Peer;
use tokio::time::Instant;

use super::Upstream;
use super::breaker::Lease;
use super::conversation::Conversation;
use super::endpoint::{Endpoint, Place};
use super::failure::{Failure, FailureKind};
use super::h2_stream::H2Stream;
use super::pool::H2Connection;
use super::wire::{Line, Wire};
use crate::egress::Egress;

impl Upstream {
    /// A connection to `endpoint`, at an address where `route` may go; `fresh` for one that nobody used before.
    pub(super) async fn connect(
        &self,
        endpoint: &Arc<Endpoint>,
        route: &Egress,
        fresh: bool,
        deadline: Instant,
    ) -> Result<Conversation, Failure> {
        let deadline = deadline.min(Instant::now() + self.settings.timeouts.connect);
        let mut waiting = None;
        loop {
            let mut freed = pin!(self.breaker.freed().notified());
            // From here on nothing that becomes free is missed.
            freed.as_mut().enable();
            if !fresh && let Some(kept) = self.kept(endpoint, route) {
                return Ok(kept);
            }
            if let Some(lease) = self.lease() {
                return self.open(endpoint, route, lease, deadline).await;
            }
            if waiting.is_none() {
                waiting = Some(self.breaker.wait()?);
            }
            tokio::time::timeout_at(deadline, freed)
                .await
                .map_err(|_| Failure::new(FailureKind::Overflow, "no connection became free in time"))?;
        }
    }

    /// A place for a new connection; an idle one gives way.
    fn lease(&self) -> Option<Lease> {
        let evicted = || self.endpoints.iter().any(|endpoint| endpoint.pool.evict());
        self.breaker.lease().or_else(|| evicted().then(|| self.breaker.lease()).flatten())
    }

    fn kept(&self, endpoint: &Endpoint, route: &Egress) -> Option<Conversation> {
        self.let_go();
        let may = |at: Peer| match (&endpoint.place, at) {
            (Place::Tcp { host, .. }, Peer::Tcp(address)) => route.permits(host, address).is_ok(),
            // No address, and so nothing that a list of addresses speaks of.
            (Place::Unix(_), Peer::Unix(_)) => true,
            _ => false,
        };
        match self.settings.protocol {
            UpstreamProtocol::Http1 => endpoint.pool.take(may).map(|wire| Conversation::h1(wire, true)),
            UpstreamProtocol::Http2 => {
                let place = endpoint.pool.join(may)?;
                Some(Conversation::H2(Box::new(H2Stream::new(place, self.settings.https, true))))
            }
        }
    }

    /// A new connection, for others too where it is HTTP/2.
    async fn open(
        &self,
        endpoint: &Endpoint,
        route: &Egress,
        lease: Lease,
        deadline: Instant,
    ) -> Result<Conversation, Failure> {
        let wire = self.wire(endpoint, Some(route), Some(lease), deadline).await?;
        let (conversation, shared) = self.speak(wire, deadline).await?;
        if let Some(shared) = shared {
            endpoint.pool.share(shared);
        }
        Ok(conversation)
    }

    /// A new connection that nobody else uses, and that the circuit breaker does not count.
    pub(super) async fn open_alone(&self, endpoint: &Endpoint, deadline: Instant) -> Result<Conversation, Failure> {
        let wire = self.wire(endpoint, None, None, deadline).await?;
        Ok(self.speak(wire, deadline).await?.0)
    }

    async fn speak(&self, wire: Wire, deadline: Instant) -> Result<(Conversation, Option<H2Connection>), Failure> {
        if self.settings.protocol == UpstreamProtocol::Http1 {
            return Ok((Conversation::h1(wire, false), None));
        }
        let connection = H2Connection::begin(wire, deadline).await?;
        let none = || Failure::new(FailureKind::Connect, "the upstream takes no request on a new connection");
        let place = connection.place().ok_or_else(none)?;
        let stream = H2Stream::new(place, self.settings.https, false);
        Ok((Conversation::H2(Box::new(stream)), Some(connection)))
    }

    async fn wire(
        &self,
        endpoint: &Endpoint,
        route: Option<&Egress>,
        lease: Option<Lease>,
        deadline: Instant,
    ) -> Result<Wire, Failure> {
        let (host, resolver) = match &endpoint.place {
            Place::Tcp { host, resolver } => (host, resolver),
            Place::Unix(path) => {
                let (stream, process) = path.connect(deadline).await?;
                return Ok(Wire::new(Line::Unix(stream), process, lease));
            }
        };
        let late = |_| Failure::new(FailureKind::Resolve, format!("`{}` was not resolved in time", endpoint.label));
        let addresses = tokio::time::timeout_at(deadline, resolver.addresses()).await.map_err(late)??;
        let Some(route) = route else { return self.dialler.dial(&addresses, lease, deadline).await };
        // The route may allow less than the upstream's other callers have.
        let mut why = None;
        let may = |address: &SocketAddr| route.permits(host, *address).map_err(|error| why = Some(error)).is_ok();
        let permitted: Vec<SocketAddr> = addresses.iter().copied().filter(may).collect();
        match why.filter(|_| permitted.is_empty()) {
            Some(error) => Err(Failure::new(FailureKind::Egress, error.to_string())),
            None => self.dialler.dial(&permitted, lease, deadline).await,
        }
    }
}
