//! What each address has open at the moment. An address is remembered only while it has something open, so there are
//! never more of them than connections.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

const SHARDS: usize = 16;

/// An address as one customer has it: an IPv4 address, or an IPv6 /64, within which a client takes any address it likes.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 => v4,
    }
}

/// All addresses that have something open.
#[derive(Debug)]
pub(crate) struct Addresses {
    shards: Vec<Mutex<HashMap<IpAddr, Arc<Address>>>>,
    hasher: RandomState,
    /// Requests being served, and addresses that have one.
    requests: AtomicUsize,
    asking: AtomicUsize,
}

#[derive(Debug, Default)]
struct Address {
    open: AtomicU32,
    requests: AtomicU32,
    /// Wakes the connections of the address to look whether it is banned.
    look: Notify,
}

/// One open connection of an address; leaving is dropping it.
#[derive(Debug)]
pub(crate) struct Visit {
    addresses: Arc<Addresses>,
    key: IpAddr,
    address: Arc<Address>,
}

/// One request of an address; its end is dropping it.
#[derive(Debug)]
pub(crate) struct Asking {
    addresses: Arc<Addresses>,
    address: Arc<Address>,
}

impl Default for Addresses {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            requests: AtomicUsize::new(0),
            asking: AtomicUsize::new(0),
        }
    }
}

impl Addresses {
    /// Counts a connection of `address`; nothing where it has `max` open.
    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr, max: Option<u32>) -> Option<Visit> {
        let key = network(address);
        let mut shard = self.shard(key)?;
        let entry = shard.entry(key).or_default();
        if max.is_some_and(|max| entry.open.load(Ordering::Relaxed) >= max) {
            return None;
        }
        entry.open.fetch_add(1, Ordering::Relaxed);
        Some(Visit { addresses: self.clone(), key, address: entry.clone() })
    }

    /// Has the open connections of `address` look whether it is banned.
    pub(crate) fn wake(&self, address: IpAddr) {
        let key = network(address);
        let found = self.shard(key).and_then(|shard| shard.get(&key).cloned());
        if let Some(address) = found {
            address.look.notify_waiters();
        }
    }

    /// INVARIANT: there is a shard for every remainder; `None` does not happen.
    fn shard(&self, key: IpAddr) -> Option<MutexGuard<'_, HashMap<IpAddr, Arc<Address>>>> {
        let index = usize::try_from(self.hasher.hash_one(key) % 16).unwrap_or_default();
        Some(self.shards.get(index)?.lock().unwrap_or_else(PoisonError::into_inner))
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap().len()).sum()
    }
}

impl Visit {
    /// Counts a request of the address.
    pub(crate) fn ask(&self) -> Asking {
        self.addresses.requests.fetch_add(1, Ordering::Relaxed);
        if self.address.requests.fetch_add(1, Ordering::Relaxed) == 0 {
            self.addresses.asking.fetch_add(1, Ordering::Relaxed);
        }
        Asking { addresses: self.addresses.clone(), address: self.address.clone() }
    }

    /// Returns once `done` is true, looked at now and whenever the address is woken.
    pub(crate) async fn until(&self, done: impl Fn() -> bool) {
        loop {
            // Listening begins before looking, so that nothing is missed in between.
            let mut woken = std::pin::pin!(self.address.look.notified());
            woken.as_mut().enable();
            if done() {
                return;
            }
            woken.await;
        }
    }

    /// Whether the address has more requests open than all addresses have on average.
    pub(crate) fn is_greedy(&self) -> bool {
        let own = usize::try_from(self.address.requests.load(Ordering::Relaxed)).unwrap_or(usize::MAX);
        let all = self.addresses.requests.load(Ordering::Relaxed);
        own > all.div_ceil(self.addresses.asking.load(Ordering::Relaxed).max(1))
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        // Under the lock, so that nobody enters an entry that is about to be taken away.
        let Some(mut shard) = self.addresses.shard(self.key) else { return };
        if self.address.open.fetch_sub(1, Ordering::Relaxed) == 1 {
            shard.remove(&self.key);
        }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.addresses.requests.fetch_sub(1, Ordering::Relaxed);
        if self.address.requests.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.addresses.asking.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn attack_42_an_address_has_so_many_connections_and_is_forgotten_with_the_last() {
        let all = Arc::new(Addresses::default());
        let (one, two) =
            (all.enter(ip("192.0.2.1"), Some(2)).unwrap(), all.enter(ip("::ffff:192.0.2.1"), Some(2)).unwrap());
        assert!(all.enter(ip("192.0.2.1"), Some(2)).is_none());
        assert!(all.enter(ip("192.0.2.2"), Some(2)).is_some(), "others are not concerned");
        drop(one);
        let again = all.enter(ip("192.0.2.1"), Some(2)).unwrap();
        assert_eq!(all.len(), 1);
        drop((two, again));
        assert_eq!(all.len(), 0);
    }

    #[test]
    fn attack_46_an_ipv6_network_is_one_address() {
        let all = Arc::new(Addresses::default());
        let kept: Vec<_> = (0..50).filter_map(|n| all.enter(ip(&format!("2001:db8:0:1::{n:x}")), Some(3))).collect();
        assert_eq!((kept.len(), all.len()), (3, 1));
        assert!(all.enter(ip("2001:db8:0:2::1"), Some(3)).is_some());
    }

    #[test]
    fn an_address_with_more_than_its_share_is_greedy() {
        let all = Arc::new(Addresses::default());
        let (big, small) = (all.enter(ip("192.0.2.1"), None).unwrap(), all.enter(ip("192.0.2.2"), None).unwrap());
        let only: Vec<_> = (0..5).map(|_| big.ask()).collect();
        assert!(!big.is_greedy(), "who is alone takes from nobody");
        let other = small.ask();
        assert!(big.is_greedy() && !small.is_greedy());
        drop(only);
        assert!(!big.is_greedy());
        drop(other);
        assert_eq!((all.requests.load(Ordering::Relaxed), all.asking.load(Ordering::Relaxed)), (0, 0));
    }
}
