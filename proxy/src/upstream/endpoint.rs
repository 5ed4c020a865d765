//! One endpoint of an upstream: where it is, whether it is in order, and the connections that are kept to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::HeaderValue;
use postern_config::{Endpoint as Settings, EndpointPlace};

use super::balance::hash_of;
use super::health::Health;
use super::pool::Pool;
use super::resolve::Resolver;
use super::socket::Path;
use crate::egress::Egress;

#[derive(Debug)]
pub(crate) struct Endpoint {
    /// `host:port`, as it was written, or the path of a socket.
    pub(crate) label: String,
    pub(crate) place: Place,
    pub(crate) authority: HeaderValue,
    /// For consistent hashing.
    pub(crate) hash: u64,
    pub(crate) health: Arc<Health>,
    pub(crate) pool: Pool,
    under_way: AtomicUsize,
}

/// Where it is.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    Tcp { host: String, resolver: Arc<Resolver> },
    Unix(Path),
}

/// A request under way to an endpoint.
#[derive(Debug)]
pub(crate) struct UnderWay(Arc<Endpoint>);

impl Endpoint {
    /// The host it is dialled by; empty for a socket of this machine.
    pub(crate) fn host(&self) -> &str {
        match &self.place {
            Place::Tcp { host, .. } => host,
            Place::Unix(_) => "",
        }
    }

    pub(crate) fn new(settings: &Settings, egress: Egress) -> Option<Self> {
        let (label, place) = match &settings.place {
            EndpointPlace::Tcp { host, port } => {
                let resolver = Arc::new(Resolver::new(host, *port, egress));
                (format!("{host}:{port}"), Place::Tcp { host: host.clone(), resolver })
            }
            EndpointPlace::Unix { path, uids } => {
                (format!("unix:{}", path.display()), Place::Unix(Path::new(path, uids.as_deref())))
            }
        };
        Some(Self {
            authority: HeaderValue::from_str(&settings.authority).ok()?,
            hash: hash_of(&label),
            label,
            place,
            health: Arc::default(),
            pool: Pool::default(),
            under_way: AtomicUsize::new(0),
        })
    }

    /// The same endpoint without its connections.
    pub(crate) fn renewed(&self) -> Self {
        Self {
            label: self.label.clone(),
            place: self.place.clone(),
            authority: self.authority.clone(),
            hash: self.hash,
            health: self.health.clone(),
            pool: Pool::default(),
            under_way: AtomicUsize::new(0),
        }
    }

    pub(crate) fn load(&self) -> usize {
        self.under_way.load(Ordering::Relaxed)
    }

    pub(crate) fn begin(self: &Arc<Self>) -> UnderWay {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        UnderWay(self.clone())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}
