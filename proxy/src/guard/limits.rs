//! DDoSProtectionPolicy, compiled: what holds for the connections of a listener and for the requests of a route on it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use postern_config::{ConnectionGuard, CountedIn, LimitKey, LimitUnit, NamedRate, RateLimit, RequestGuard, Snapshot};
use postern_filters::MessageLimits;
use postern_filters::encoding::DecodeLimits;
use postern_filters::limit::{LimitError, LimitSet, LimitStore};

/// What holds before a route is known.
#[derive(Debug)]
pub(crate) struct ListenerGuard {
    pub(crate) settings: ConnectionGuard,
    pub(crate) handshakes: LimitSet,
    pub(crate) requests: LimitSet,
}

/// What holds once the route is known.
#[derive(Debug)]
pub(crate) struct RouteGuard {
    pub(crate) settings: RequestGuard,
    /// Those that the listener has not counted.
    pub(crate) requests: LimitSet,
}

/// How long a request's parts may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    pub(crate) body_idle: Duration,
    pub(crate) first_byte: Duration,
    pub(crate) stream_idle: Duration,
    pub(crate) stream_total: Duration,
}

/// How large what is read of a request may be, whose body may have `max_body` bytes.
pub(crate) fn message_limits(settings: &RequestGuard, max_body: u64) -> MessageLimits {
    MessageLimits {
        json_depth: settings.max_json_depth,
        sse_event: settings.max_sse_event,
        decoded: DecodeLimits { output: max_body, ratio: settings.max_decompression_ratio },
    }
}

/// A rate, and what it counts by.
type Keyed<'r> = (&'r NamedRate, LimitKey);
/// Makes a set of limits, and notes what is wrong with them.
type Compile<'c> = &'c mut dyn FnMut(&[Keyed<'_>]) -> LimitSet;

/// The guards of a set.
#[derive(Debug)]
pub(crate) struct Guards {
    listeners: HashMap<String, Arc<ListenerGuard>>,
    /// By route, and below it by listener.
    routes: HashMap<String, BTreeMap<String, RouteGuard>>,
    /// Of a listener that is not in the set any more.
    default: Arc<ListenerGuard>,
}

impl Guards {
    pub(crate) fn compile(snapshot: &Snapshot, store: &LimitStore, problems: &mut Vec<String>) -> Self {
        let mut compile = |rates: &[Keyed<'_>]| {
            limits(rates, store).unwrap_or_else(|error| {
                problems.push(format!("error: DDoSProtectionPolicy: {error}"));
                LimitSet::default()
            })
        };
        let listener = |settings: &ConnectionGuard, compile: Compile<'_>| {
            let handshakes: Vec<_> = settings.handshakes_per_ip.iter().map(|rate| (rate, LimitKey::SourceIp)).collect();
            let requests = both(&settings.per_ip, &settings.global);
            let (handshakes, requests) = (compile(&handshakes), compile(&requests));
            Arc::new(ListenerGuard { settings: settings.clone(), handshakes, requests })
        };
        let listeners = snapshot.listeners.iter().map(|l| (l.name.clone(), listener(&l.guard, &mut compile))).collect();
        let default = listener(&ConnectionGuard::default(), &mut compile);
        let mut routes = HashMap::new();
        for route in &snapshot.routes {
            let mut of_route = BTreeMap::new();
            for (settings, listener) in route.policy.guards.iter().zip(&snapshot.listeners) {
                let requests = compile(&both(&settings.per_ip, &settings.global));
                of_route.insert(listener.name.clone(), RouteGuard { settings: settings.clone(), requests });
            }
            routes.insert(route.name.clone(), of_route);
        }
        Self { listeners, routes, default }
    }

    pub(crate) fn listener(&self, name: &str) -> &Arc<ListenerGuard> {
        self.listeners.get(name).unwrap_or(&self.default)
    }

    /// Nothing for a listener that is not in the set any more.
    pub(crate) fn route(&self, route: &str, listener: &str) -> Option<&RouteGuard> {
        self.routes.get(route)?.get(listener)
    }
}

impl Patience {
    pub(crate) fn of(settings: &RequestGuard) -> Self {
        Self {
            body_idle: settings.body_idle,
            first_byte: settings.first_byte,
            stream_idle: settings.stream_idle,
            stream_total: settings.stream_total,
        }
    }
}

impl Default for Patience {
    fn default() -> Self {
        Self::of(&RequestGuard::default())
    }
}

fn both<'r>(per_ip: &'r [NamedRate], global: &'r [NamedRate]) -> Vec<(&'r NamedRate, LimitKey)> {
    let per_ip = per_ip.iter().map(|rate| (rate, LimitKey::SourceIp));
    // Counted over the route's name, which is the same for all: they are asked with an empty one.
    per_ip.chain(global.iter().map(|rate| (rate, LimitKey::Route))).collect()
}

fn limits(rates: &[(&NamedRate, LimitKey)], store: &LimitStore) -> Result<LimitSet, LimitError> {
    let limit = |(rate, key): &(&NamedRate, LimitKey)| RateLimit {
        name: rate.name.clone(),
        owner: rate.name.clone(),
        key: vec![key.clone()],
        unit: LimitUnit::Requests,
        limit: rate.limit.into(),
        window: rate.window,
        burst: rate.burst.into(),
        max_wait: Duration::ZERO,
        store: CountedIn::Process,
    };
    LimitSet::compile(&rates.iter().map(limit).collect::<Vec<_>>(), store)
}
