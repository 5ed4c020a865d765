//! Whether a connection is let in: how many there are, how many of its address, whether the address is banned, and
//! whether it is one of those that may connect. All of it is known before a byte is read, and nothing of it waits.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use postern_filters::limit::Outcome;
use postern_filters::{Peer, Source};

use super::addresses::{Asking, Visit};
use super::limits::ListenerGuard;
use super::{client_address, refuse_connection};
use crate::shared::{Guest, Shared};

/// Open connections of each listener. There are as many entries as listeners that ever were.
#[derive(Debug, Default)]
pub(crate) struct Seats(Mutex<HashMap<String, Arc<AtomicU32>>>);

/// A connection of one listener; leaving is dropping it.
#[derive(Debug)]
struct Seat(Arc<AtomicU32>);

/// A connection that was let in, for as long as it is open.
#[derive(Debug)]
pub(crate) struct Admitted {
    /// What held for the listener when the connection came.
    pub(crate) guard: Arc<ListenerGuard>,
    visit: Visit,
    listener: String,
    peer: Peer,
    _seat: Seat,
    _guest: Guest,
}

impl Seats {
    fn take(&self, listener: &str, max: u32) -> Option<Seat> {
        let mut seats = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = match seats.get(listener) {
            Some(taken) => taken.clone(),
            None => seats.entry(listener.to_owned()).or_default().clone(),
        };
        if taken.load(Ordering::Relaxed) >= max {
            return None;
        }
        taken.fetch_add(1, Ordering::Relaxed);
        Some(Seat(taken))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Lets a connection in, or records why not.
pub(crate) fn admit(shared: &Arc<Shared>, listener: &str, peer: Peer) -> Option<Arc<Admitted>> {
    let runtime = shared.runtime.load();
    let guard = runtime.listener_guard(listener);
    let refuse = |cause, detail: String| refuse_connection(shared, listener, peer, cause, &detail);
    let (address, now, settings) = (client_address(peer), shared.uptime(), &guard.settings);
    if let Some((rule, left)) = shared.bans.is_banned(&settings.bans, address, now) {
        refuse("banned", format!("{} bans {address} for {} s more", rule.name, left.as_secs().max(1)));
        return None;
    }
    if let Err(shut) = runtime.gate.admits_address(address) {
        refuse("ingress", shut.detail);
        return None;
    }
    let Some(guest) = shared.connections.enter(runtime.most_connections()) else {
        refuse("too_many", format!("{} connections are open", runtime.most_connections()));
        return None;
    };
    let Some(seat) = shared.seats.take(listener, settings.max) else {
        refuse("too_many", format!("{} connections of the listener are open", settings.max));
        return None;
    };
    let Some(visit) = shared.addresses.enter(address, settings.max_per_ip) else {
        let most = settings.max_per_ip.unwrap_or_default();
        refuse("too_many_of_address", format!("{address} has {most} connections open"));
        super::find(shared, listener, peer);
        return None;
    };
    if let Outcome::Refused { standing, .. } = guard.handshakes.check_address(Source::Ip(address), "", now) {
        refuse("too_fast", format!("{address} connects too often for {}", guard.handshakes.name_of(&standing)));
        super::find(shared, listener, peer);
        return None;
    }
    let (listener, guard) = (listener.to_owned(), guard.clone());
    Some(Arc::new(Admitted { guard, visit, listener, peer, _seat: seat, _guest: guest }))
}

impl Admitted {
    /// Counts a request of the connection's address.
    pub(crate) fn ask(&self) -> Asking {
        self.visit.ask()
    }

    /// Whether the address has more requests open than others have.
    pub(crate) fn is_greedy(&self) -> bool {
        self.visit.is_greedy()
    }

    /// Returns once the address is banned on this listener.
    pub(crate) async fn banished(&self, shared: &Shared) {
        if shared.runtime.load().listener_guard(&self.listener).settings.bans.is_empty() {
            // Nobody is banned; a reload that brings rules is seen by the next request.
            return std::future::pending().await;
        }
        let address = client_address(self.peer);
        let banned = || {
            let runtime = shared.runtime.load();
            let rules = &runtime.listener_guard(&self.listener).settings.bans;
            shared.bans.is_banned(rules, address, shared.uptime()).is_some()
        };
        self.visit.until(banned).await;
    }
}
