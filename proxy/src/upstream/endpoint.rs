//! One endpoint of an upstream: where it is, whether it is in order, and the connections that are kept to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::HeaderValue;
use postern_config::Endpoint as Settings;

use super::balance::hash_of;
use super::health::Health;
use super::pool::Pool;
use super::resolve::Resolver;
use crate::egress::Egress;

#[derive(Debug)]
pub(crate) struct Endpoint {
    /// `host:port`, as it was written.
    pub(crate) label: String,
    pub(crate) host: String,
    pub(crate) authority: HeaderValue,
    /// For consistent hashing.
    pub(crate) hash: u64,
    pub(crate) health: Arc<Health>,
    pub(crate) pool: Pool,
    pub(crate) resolver: Arc<Resolver>,
    under_way: AtomicUsize,
}

/// A request under way to an endpoint.
#[derive(Debug)]
pub(crate) struct UnderWay(Arc<Endpoint>);

impl Endpoint {
    pub(crate) fn new(settings: &Settings, egress: Egress) -> Option<Self> {
        let label = format!("{}:{}", settings.host, settings.port);
        Some(Self {
            authority: HeaderValue::from_str(&settings.authority).ok()?,
            hash: hash_of(&label),
            label,
            host: settings.host.clone(),
            health: Arc::default(),
            pool: Pool::default(),
            resolver: Arc::new(Resolver::new(&settings.host, settings.port, egress)),
            under_way: AtomicUsize::new(0),
        })
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
