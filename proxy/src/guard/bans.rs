//! Addresses that are refused for a while for what they did. Findings and bans belong to a rule by its name, and outlive
//! reloads; time is handed in.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use postern_config::BanRule;

use super::addresses::network;

const SHARDS: usize = 16;
/// Addresses one shard remembers. A hundred thousand in all.
const MAX_KEYS: usize = 6_250;
/// A full shard is not searched for room more often than this: a flood of new addresses would pay for it each time.
const SWEEP_EVERY: Duration = Duration::from_millis(10);

/// All findings and bans.
#[derive(Debug)]
pub(crate) struct Bans {
    shards: Vec<Mutex<Shard>>,
    hasher: RandomState,
    max: usize,
}

/// Rule, as a keyed hash of its name, and address.
type Key = (u64, IpAddr);

#[derive(Debug, Default)]
struct Shard {
    known: HashMap<Key, Conduct>,
    sweep_at: Duration,
}

/// What one address did in the eyes of one rule.
#[derive(Debug, Clone, Copy, Default)]
struct Conduct {
    /// When the present window began, findings in it, and in the one before.
    since: Duration,
    now: u32,
    before: u32,
    /// The end of its last ban, and how many there were.
    until: Duration,
    times: u32,
    /// When it is as good as new.
    forget: Duration,
}

impl Default for Bans {
    fn default() -> Self {
        Self::with_max_keys(MAX_KEYS)
    }
}

impl Bans {
    fn with_max_keys(max: usize) -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), hasher: RandomState::new(), max }
    }

    /// Whether one of `rules` has `address` banned: the rule, and for how much longer.
    pub(crate) fn is_banned<'r>(
        &self,
        rules: &'r [BanRule],
        address: IpAddr,
        now: Duration,
    ) -> Option<(&'r BanRule, Duration)> {
        rules.iter().find_map(|rule| {
            let key = self.key(rule, address);
            let until = self.shard(key)?.known.get(&key)?.until;
            (until > now).then(|| (rule, until.saturating_sub(now)))
        })
    }

    /// Notes a finding. Returns the first rule by which the address is banned with it, and for how long.
    pub(crate) fn find<'r>(
        &self,
        rules: &'r [BanRule],
        address: IpAddr,
        now: Duration,
    ) -> Option<(&'r BanRule, Duration)> {
        let mut banned = None;
        for rule in rules {
            let key = self.key(rule, address);
            let Some(mut shard) = self.shard(key) else { continue };
            if !shard.known.contains_key(&key) && !shard.make_room(self.max, now) {
                continue;
            }
            let conduct = shard.known.entry(key).or_default();
            if let Some(time) = conduct.find(rule, now) {
                banned = banned.or(Some((rule, time)));
            }
        }
        banned
    }

    /// Bans in force.
    pub(crate) fn active(&self, now: Duration) -> usize {
        let of = |shard: &Mutex<Shard>| {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.known.values().filter(|conduct| conduct.until > now).count()
        };
        self.shards.iter().map(of).sum()
    }

    fn key(&self, rule: &BanRule, address: IpAddr) -> Key {
        (self.hasher.hash_one(&rule.name), network(address))
    }

    /// INVARIANT: there is a shard for every remainder; `None` does not happen.
    fn shard(&self, key: Key) -> Option<MutexGuard<'_, Shard>> {
        let index = usize::try_from(self.hasher.hash_one(key) % 16).unwrap_or_default();
        Some(self.shards.get(index)?.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Shard {
    /// Room for one more: who is as good as new goes, then somebody who is not banned. A flood of addresses that make one
    /// finding each may delay a ban in this way, and never lifts one.
    fn make_room(&mut self, max: usize, now: Duration) -> bool {
        if self.known.len() < max {
            return true;
        }
        if now >= self.sweep_at {
            self.sweep_at = now + SWEEP_EVERY;
            self.known.retain(|_, conduct| conduct.forget > now);
        }
        if self.known.len() >= max {
            let free = self.known.iter().take(64).find(|(_, conduct)| conduct.until <= now).map(|(key, _)| *key);
            if let Some(key) = free {
                self.known.remove(&key);
            }
        }
        self.known.len() < max
    }
}

impl Conduct {
    fn find(&mut self, rule: &BanRule, now: Duration) -> Option<Duration> {
        if self.until > now {
            return None;
        }
        if self.forget <= now {
            *self = Self { since: now, ..Self::default() };
        }
        let passed = now.saturating_sub(self.since);
        if passed >= rule.window {
            let (before, since) = match passed < rule.window * 2 {
                true => (self.now, self.since + rule.window),
                false => (0, now),
            };
            (self.before, self.now, self.since) = (before, 0, since);
        }
        self.now = self.now.saturating_add(1);
        // Of the window before, the part that a window which ends now still reaches.
        let left = rule.window.saturating_sub(now.saturating_sub(self.since));
        let part = u128::from(self.before).saturating_mul(left.as_millis()) / rule.window.as_millis().max(1);
        let found = part.saturating_add(u128::from(self.now));
        self.forget = self.forget.max(now + rule.window * 2);
        if found < u128::from(rule.findings) {
            return None;
        }
        let doubled =
            rule.first.saturating_mul(1_u32.checked_shl(self.times).filter(|_| self.times < 31).unwrap_or(u32::MAX));
        let time = doubled.min(rule.longest);
        (self.now, self.before, self.since) = (0, 0, now);
        self.times = self.times.saturating_add(1);
        self.until = now.saturating_add(time);
        // Who stays out of trouble for as long again as the longest ban begins anew.
        self.forget = self.until.saturating_add(rule.longest.max(rule.window * 2));
        Some(time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(findings: u32) -> BanRule {
        let seconds = Duration::from_secs;
        BanRule {
            name: "edge#scanners".to_owned(),
            findings,
            window: seconds(60),
            first: seconds(100),
            longest: seconds(350),
        }
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn so_many_findings_ban_and_each_ban_is_twice_the_last() {
        let (bans, rules, evil) = (Bans::default(), [rule(3)], ip("192.0.2.1"));
        let find = |seconds| bans.find(&rules, evil, at(seconds)).map(|(_, time)| time.as_secs());
        assert_eq!([find(10), find(20), find(30)], [None, None, Some(100)]);
        let left = |seconds| bans.is_banned(&rules, evil, at(seconds)).map(|(_, left)| left.as_secs());
        assert_eq!([left(31), left(129), left(130)], [Some(99), Some(1), None]);
        assert_eq!(find(60), None, "what a banned address does is no finding: it is not listened to");
        assert!(bans.is_banned(&rules, ip("192.0.2.2"), at(31)).is_none());
        assert_eq!([find(131), find(132), find(133)], [None, None, Some(200)]);
        assert_eq!([find(334), find(334), find(334)], [None, None, Some(350)], "no longer than the longest");
        assert_eq!([find(700), find(700), find(700)], [None, None, Some(350)]);
        assert_eq!([find(1500), find(1500), find(1500)], [None, None, Some(100)], "who was good for long begins anew");
    }

    #[test]
    fn findings_count_within_a_window_that_slides() {
        let (bans, rules) = (Bans::default(), [rule(4)]);
        let find = |address: &str, seconds| bans.find(&rules, ip(address), at(seconds)).is_some();
        // Two at the end of one window and two at the beginning of the next.
        assert_eq!([45, 100, 101, 106, 107].map(|s| find("192.0.2.1", s)), [false, false, false, false, true]);
        assert_eq!([50, 51, 52, 300].map(|s| find("192.0.2.2", s)), [false, false, false, false]);
        assert!((0..100).all(|n| !find("192.0.2.3", n * 30)), "two a minute are not four");
    }

    #[test]
    fn a_ban_is_of_an_ipv6_network_and_of_its_rule() {
        let (bans, rules) = (Bans::default(), [rule(1)]);
        assert!(bans.find(&rules, ip("2001:db8::1"), at(1)).is_some());
        assert!(bans.is_banned(&rules, ip("2001:db8::ffff"), at(2)).is_some());
        assert!(bans.is_banned(&rules, ip("2001:db8:0:1::1"), at(2)).is_none());
        let other = [BanRule { name: "other#scanners".to_owned(), ..rule(1) }];
        assert!(bans.is_banned(&other, ip("2001:db8::1"), at(2)).is_none());
        // Another load of the same rule finds it again, whatever else changed.
        let changed = [BanRule { findings: 9, ..rule(1) }];
        assert!(bans.is_banned(&changed, ip("2001:db8::1"), at(2)).is_some());
    }

    #[test]
    fn attack_46_memory_is_bounded_and_a_flood_lifts_no_ban() {
        let (bans, rules) = (Bans::with_max_keys(64), [rule(2)]);
        let evil = ip("192.0.2.1");
        bans.find(&rules, evil, at(1));
        assert!(bans.find(&rules, evil, at(1)).is_some());
        for n in 0..20_000_u32 {
            bans.find(&rules, IpAddr::V4((0x0a00_0000 + n).into()), at(2));
        }
        let kept: usize = bans.shards.iter().map(|shard| shard.lock().unwrap().known.len()).sum();
        assert!(kept <= 64 * SHARDS, "{kept}");
        assert!(bans.is_banned(&rules, evil, at(3)).is_some());
        assert_eq!((bans.active(at(3)), bans.active(at(500))), (1, 0));
    }
}
