//! Limits against a clock that is handed in.

mod shared;
mod tokens;
mod units;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use postern_config::{CountedIn, LimitKey, LimitUnit, PrincipalType, RateLimit};
use proptest::prelude::*;

use super::{LimitSet, LimitStore, Outcome, Stage};
use crate::{Assurance, Principal, Source};

fn limit(name: &str, key: &[LimitKey], limit: u64, seconds: u64, burst: u64) -> RateLimit {
    RateLimit {
        name: name.to_owned(),
        owner: "default/edge".to_owned(),
        key: key.to_vec(),
        unit: LimitUnit::Requests,
        limit,
        window: Duration::from_secs(seconds),
        burst,
        max_wait: Duration::ZERO,
        store: CountedIn::Process,
    }
}

fn principal(subject: &str, tenant: &str) -> Principal {
    Principal {
        kind: PrincipalType::User,
        issuer: "https://login.example.com".to_owned(),
        subject: subject.to_owned(),
        tenant: tenant.to_owned(),
        groups: Vec::new(),
        scopes: Vec::new(),
        tags: Vec::new(),
        authn: Assurance::default(),
        on_behalf_of: None,
    }
}

fn ip(text: &str) -> Source {
    match text.strip_prefix("user ") {
        Some(uid) => Source::User(uid.parse().unwrap()),
        None => Source::Ip(text.parse().unwrap()),
    }
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn header(set: &LimitSet, outcome: Outcome, name: &str) -> Option<String> {
    set.headers(&outcome).into_iter().find(|(other, _)| *other == name).map(|(_, value)| value)
}

const HOUR: u64 = 3_600_000;

#[test]
fn a_burst_passes_and_then_the_rate() {
    let store = LimitStore::new();
    let set = LimitSet::compile(&[limit("per-user", &[LimitKey::Principal], 60, 60, 3)], &store).unwrap();
    let mia = principal("mia", "acme");
    for (at, passes, left, retry) in [
        (0, true, r#""per-user";r=2;t=1"#, None),
        (0, true, r#""per-user";r=1;t=1"#, None),
        (0, true, r#""per-user";r=0;t=1"#, None),
        (0, false, r#""per-user";r=0;t=1"#, Some(1)),
        (999, false, r#""per-user";r=0;t=1"#, Some(1)),
        (1000, true, r#""per-user";r=0;t=1"#, None),
        (500, false, r#""per-user";r=0;t=1"#, Some(1)),
        (1999, false, r#""per-user";r=0;t=1"#, Some(1)),
        (3000, true, r#""per-user";r=1;t=1"#, None),
        (60_000, true, r#""per-user";r=2;t=1"#, None),
    ] {
        let outcome = set.check_principal(&mia, ip("192.0.2.1"), "chat", ms(HOUR + at));
        assert_eq!(!outcome.is_refused(), passes, "at {at} ms");
        assert_eq!(header(&set, outcome, "ratelimit").as_deref(), Some(left), "at {at} ms");
        assert_eq!(outcome.retry_after(), retry, "at {at} ms");
    }
    let outcome = set.check_principal(&mia, ip("192.0.2.1"), "chat", ms(HOUR));
    assert_eq!(header(&set, outcome, "ratelimit-policy").as_deref(), Some(r#""per-user";q=60;w=60"#));
    assert_eq!(set.name_of(&outcome.standing().unwrap()), "per-user");
}

#[test]
fn retry_after_is_the_second_in_which_it_passes() {
    let set = LimitSet::compile(&[limit("slow", &[LimitKey::SourceIp], 2, 60, 1)], &LimitStore::new()).unwrap();
    let check = |at| set.check_address(ip("192.0.2.1"), "chat", ms(at));
    assert!(!check(0).is_refused());
    assert_eq!(check(1).retry_after(), Some(30), "29.999 s, rounded up");
    assert_eq!(check(29_001).retry_after(), Some(1));
    assert!(!check(30_000).is_refused());
}

#[test]
fn each_key_counts_what_it_says() {
    use LimitKey::{Principal as ByPrincipal, Route, SourceIp, Tenant};
    let mia = principal("mia", "acme");
    let agent = Principal { kind: PrincipalType::Agent, ..mia.clone() };
    let of = |issuer: &str, subject: &str| Principal { issuer: issuer.to_owned(), ..principal(subject, "acme") };
    for (case, key, first, second, together) in [
        ("same principal", &[ByPrincipal][..], (&mia, "192.0.2.1", "a"), (&mia, "192.0.2.2", "b"), true),
        (
            "other principal",
            &[ByPrincipal],
            (&mia, "192.0.2.1", "a"),
            (&principal("bob", "acme"), "192.0.2.1", "a"),
            false,
        ),
        ("other type", &[ByPrincipal], (&mia, "192.0.2.1", "a"), (&agent, "192.0.2.1", "a"), false),
        (
            "traded characters",
            &[ByPrincipal],
            (&of("i", "xs"), "192.0.2.1", "a"),
            (&of("ix", "s"), "192.0.2.1", "a"),
            false,
        ),
        ("same tenant", &[Tenant], (&mia, "192.0.2.1", "a"), (&principal("bob", "acme"), "192.0.2.9", "b"), true),
        ("other tenant", &[Tenant], (&mia, "192.0.2.1", "a"), (&principal("mia", "globex"), "192.0.2.1", "a"), false),
        ("same address", &[SourceIp], (&mia, "192.0.2.1", "a"), (&agent, "192.0.2.1", "b"), true),
        ("other address", &[SourceIp], (&mia, "192.0.2.1", "a"), (&mia, "192.0.2.2", "a"), false),
        ("same /64", &[SourceIp], (&mia, "2001:db8::1", "a"), (&mia, "2001:db8::ffff:1", "a"), true),
        ("other /64", &[SourceIp], (&mia, "2001:db8:0:1::1", "a"), (&mia, "2001:db8:0:2::1", "a"), false),
        ("IPv4 as IPv6", &[SourceIp], (&mia, "192.0.2.1", "a"), (&mia, "::ffff:192.0.2.1", "a"), true),
        ("two of them as IPv6", &[SourceIp], (&mia, "::ffff:192.0.2.2", "a"), (&mia, "::ffff:192.0.2.1", "a"), false),
        ("same user of a socket", &[SourceIp], (&mia, "user 1000", "a"), (&mia, "user 1000", "b"), true),
        ("other user of a socket", &[SourceIp], (&mia, "user 1000", "a"), (&mia, "user 1001", "a"), false),
        ("same route", &[Route], (&mia, "192.0.2.1", "a"), (&agent, "192.0.2.9", "a"), true),
        ("other route", &[Route], (&mia, "192.0.2.1", "a"), (&mia, "192.0.2.1", "b"), false),
        ("both parts", &[Tenant, Route], (&mia, "192.0.2.1", "a"), (&agent, "192.0.2.9", "a"), true),
        ("one part", &[Tenant, Route], (&mia, "192.0.2.1", "a"), (&mia, "192.0.2.1", "b"), false),
    ] {
        let set = LimitSet::compile(&[limit("l", key, 1, 60, 1)], &LimitStore::new()).unwrap();
        let check = |(principal, address, route): (&Principal, &str, &str)| {
            let first = set.check_address(ip(address), route, ms(0));
            first.tighter(set.check_principal(principal, ip(address), route, ms(0))).is_refused()
        };
        assert!(!check(first), "{case}");
        assert_eq!(check(second), together, "{case}");
    }
}

#[test]
fn address_limits_run_before_the_caller_is_known_and_the_rest_after() {
    let limits = [
        limit("per-address", &[LimitKey::SourceIp, LimitKey::Route], 10, 60, 10),
        limit("per-user", &[LimitKey::Principal], 10, 60, 10),
        limit("per-tenant", &[LimitKey::Tenant, LimitKey::SourceIp], 5, 60, 5),
    ];
    let set = LimitSet::compile(&limits, &LimitStore::new()).unwrap();
    let address = set.check_address(ip("192.0.2.1"), "chat", ms(0));
    let principal = set.check_principal(&principal("mia", "acme"), ip("192.0.2.1"), "chat", ms(0));
    for (case, outcome, left, policy) in [
        ("address", address, r#""per-address";r=9;t=6"#, r#""per-address";q=10;w=60"#),
        ("principal", principal, r#""per-tenant";r=4;t=12"#, r#""per-user";q=10;w=60, "per-tenant";q=5;w=60"#),
    ] {
        assert_eq!(header(&set, outcome, "ratelimit").as_deref(), Some(left), "{case}");
        assert_eq!(header(&set, outcome, "ratelimit-policy").as_deref(), Some(policy), "{case}");
    }
    assert_eq!(set.guard_names(Stage::Address), ["limit/per-address"]);
    assert_eq!(set.guard_names(Stage::Principal), ["limit/per-user", "limit/per-tenant"]);
    let none = LimitSet::compile(&[], &LimitStore::new()).unwrap();
    assert_eq!(none.check_address(ip("192.0.2.1"), "chat", ms(0)), Outcome::Unlimited);
    assert!(none.is_empty() && none.headers(&Outcome::Unlimited).is_empty());
}

#[test]
fn a_request_that_one_limit_refuses_spends_none_of_the_others() {
    let wide = limit("wide", &[LimitKey::Tenant], 10, 3600, 10);
    let narrow = limit("narrow", &[LimitKey::Principal], 1, 3600, 1);
    for (case, limits) in [("narrow first", [narrow.clone(), wide.clone()]), ("wide first", [wide, narrow])] {
        let set = LimitSet::compile(&limits, &LimitStore::new()).unwrap();
        let check = |who: &str| set.check_principal(&principal(who, "acme"), ip("192.0.2.1"), "chat", ms(0));
        assert!(!check("mia").is_refused(), "{case}");
        for _ in 0..50 {
            assert!(check("mia").is_refused(), "{case}");
        }
        for n in 0..9 {
            assert!(!check(&format!("user-{n}")).is_refused(), "{case}: the tenant's budget is left to others");
        }
        assert!(check("late").is_refused(), "{case}");
    }
}

#[test]
fn a_reload_keeps_what_was_spent_of_a_limit_that_stayed_the_same() {
    let store = LimitStore::new();
    let written = limit("per-user", &[LimitKey::Principal], 1, 60, 1);
    let spend = |set: &LimitSet| set.check_principal(&principal("mia", "acme"), ip("192.0.2.1"), "chat", ms(0));
    let first = LimitSet::compile(std::slice::from_ref(&written), &store).unwrap();
    assert!(!spend(&first).is_refused());
    for (case, next, kept) in [
        ("the same", written.clone(), true),
        ("the same key written twice", RateLimit { key: vec![LimitKey::Principal; 2], ..written.clone() }, true),
        ("another name", RateLimit { name: "x".to_owned(), ..written.clone() }, false),
        ("another owner", RateLimit { owner: "other/edge".to_owned(), ..written.clone() }, false),
        ("another unit", RateLimit { unit: LimitUnit::Bytes, ..written.clone() }, false),
        ("another limit", RateLimit { limit: 2, ..written.clone() }, false),
        ("another window", RateLimit { window: ms(61_000), ..written.clone() }, false),
        ("another burst", RateLimit { burst: 2, ..written.clone() }, false),
        ("another key", RateLimit { key: vec![LimitKey::Tenant], ..written.clone() }, false),
    ] {
        let set = LimitSet::compile(&[next], &store).unwrap();
        assert_eq!(spend(&set).is_refused(), kept, "{case}");
    }
    let twice = LimitSet::compile(&[written.clone(), written], &LimitStore::new()).unwrap();
    assert!(!spend(&twice).is_refused(), "a limit listed twice counts once, and locks itself once");
}

#[test]
fn a_limit_that_cannot_be_kept_does_not_compile() {
    let year = 365 * 86_400;
    for (case, written) in [
        ("no key", limit("l", &[], 1, 60, 1)),
        ("no limit", limit("l", &[LimitKey::Route], 0, 60, 1)),
        ("no window", limit("l", &[LimitKey::Route], 1, 0, 1)),
        ("no burst", limit("l", &[LimitKey::Route], 1, 60, 0)),
        ("longer than time", limit("l", &[LimitKey::Route], 1, u64::MAX, 1)),
        ("a burst longer than time", limit("l", &[LimitKey::Route], 1, year, u64::MAX)),
    ] {
        assert!(LimitSet::compile(&[written], &LimitStore::new()).is_err(), "{case}");
    }
    let fast = LimitSet::compile(
        &[limit("l", &[LimitKey::Route], 999_999_999_999_999, 1, 999_999_999_999_999)],
        &LimitStore::new(),
    )
    .unwrap();
    assert!(!fast.check_address(ip("192.0.2.1"), "a", Duration::MAX).is_refused(), "the end of time is a time");
}

#[test]
fn attack_46_many_keys_neither_fill_the_memory_nor_free_a_spent_budget() {
    let store = LimitStore::with_max_keys(100);
    let set = LimitSet::compile(&[limit("per-address", &[LimitKey::SourceIp], 1, 60, 1)], &store).unwrap();
    let check = |n: u32, at| set.check_address(Source::Ip(n.to_be_bytes().into()), "chat", ms(at)).is_refused();
    assert!(!check(0, 0));
    let passed = (1..10_000).filter(|n| !check(*n, 1)).count();
    assert_eq!(passed, 99, "the rest finds no room");
    assert_eq!(set.limits[0].limit.keys(), 100);
    assert!(check(0, 2), "who has spent is remembered through the flood");
    assert!(!check(0, 60_000), "and passes when the time has come");
    assert!(!check(20_000, 60_011), "as does a new key, in the room of one that was restored");
    assert!(set.limits[0].limit.keys() <= 100);
    let full = set.check_address(ip("203.0.113.1"), "chat", ms(0));
    assert!(full.retry_after().is_none_or(|seconds| seconds >= 1));
}

#[test]
fn requests_at_once_never_pass_more_than_the_burst() {
    let limits = [
        limit("per-user", &[LimitKey::Principal], 50, 60, 50),
        limit("per-tenant", &[LimitKey::Tenant], 120, 60, 120),
        limit("per-address", &[LimitKey::SourceIp, LimitKey::Tenant], 1000, 60, 1000),
    ];
    let store = LimitStore::new();
    // The same limits in another order on another route: their locks must not wait for each other.
    let sets = [
        LimitSet::compile(&limits, &store).unwrap(),
        LimitSet::compile(&[limits[2].clone(), limits[1].clone(), limits[0].clone()], &store).unwrap(),
    ];
    let passed = [const { AtomicU32::new(0) }; 4];
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (set, passed) = (&sets[thread % 2], &passed[thread / 2]);
            let who = principal(&format!("user-{}", thread / 2), "acme");
            scope.spawn(move || {
                for _ in 0..500 {
                    if !set.check_principal(&who, ip("192.0.2.1"), "chat", ms(5)).is_refused() {
                        passed.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let passed = passed.map(|count| count.load(Ordering::Relaxed));
    assert!(passed.iter().all(|count| *count <= 50), "{passed:?}");
    assert_eq!(passed.iter().sum::<u32>(), 120, "{passed:?}: all of the tenant's budget, and no more");
}

proptest! {
    #[test]
    fn never_more_than_burst_and_rate_pass_in_any_interval(
        rate in 1_u64..200,
        window in 1_u64..100,
        burst in 1_u64..50,
        steps in prop::collection::vec(0_u64..3_000, 1..200),
    ) {
        let set = LimitSet::compile(&[limit("l", &[LimitKey::Route], rate, window, burst)], &LimitStore::new()).unwrap();
        let mut at = 0;
        let mut passed = Vec::new();
        for step in steps {
            at += step;
            if !set.check_address(ip("192.0.2.1"), "chat", ms(at)).is_refused() {
                passed.push(at);
            }
        }
        for (first, from) in passed.iter().enumerate() {
            for (last, to) in passed.iter().enumerate().skip(first) {
                let count = u64::try_from(last - first + 1).unwrap();
                // count <= burst + rate * (to - from) / window, without fractions.
                let most = burst * window * 1000 + rate * (to - from);
                prop_assert!(count * window * 1000 <= most, "{count} from {from} to {to} ms");
            }
        }
    }

    #[test]
    fn what_is_said_to_be_left_is_left(burst in 1_u64..20, spent in 0_u64..20, wait in 0_u64..10_000) {
        let set = LimitSet::compile(&[limit("l", &[LimitKey::Route], 30, 60, burst)], &LimitStore::new()).unwrap();
        let check = |at| set.check_address(ip("192.0.2.1"), "chat", ms(at));
        for _ in 0..spent {
            let _ = check(0);
        }
        let outcome = check(wait);
        let standing = outcome.standing().unwrap();
        for _ in 0..standing.remaining {
            prop_assert!(!check(wait).is_refused());
        }
        prop_assert!(check(wait).is_refused());
        prop_assert!(!check(wait + outcome.retry_after().unwrap_or(standing.seconds) * 1000).is_refused());
    }
}

#[test]
fn three_keys_cost_little() {
    let limits = [
        limit("per-user", &[LimitKey::Principal], 1_000_000, 1, 1_000_000),
        limit("per-tenant", &[LimitKey::Tenant, LimitKey::Route], 1_000_000, 1, 1_000_000),
        limit("per-address", &[LimitKey::SourceIp, LimitKey::Tenant], 1_000_000, 1, 1_000_000),
    ];
    let set = LimitSet::compile(&limits, &LimitStore::new()).unwrap();
    let mia = principal("mia", "acme");
    let mut at = 0;
    let mut best = Duration::MAX;
    for _ in 0..9 {
        let start = Instant::now();
        for _ in 0..5_000 {
            at += 1;
            assert!(!set.check_principal(&mia, ip("192.0.2.1"), "chat", ms(at)).is_refused());
        }
        best = best.min(start.elapsed() / 5_000);
    }
    println!("three keys: {best:?} a request");
    assert!(best < Duration::from_micros(100), "{best:?}");
}
