//! What is asked of a shared store, and what is made of its answers.

use std::sync::Arc;
use std::task::{Context as Task, Poll, Waker};

use postern_config::OnUnavailable;

use super::*;
use crate::limit::{
    Budget, Decided, DecidedClaim, Facts, Judged, Rating, Seats, SharedAsk, Tokens, Unavailable, Wait, Waited, Wanted,
};

fn shared(key: &[LimitKey], on_unavailable: OnUnavailable) -> RateLimit {
    RateLimit { store: CountedIn::Shared(on_unavailable), ..limit("all", key, 2, 60, 2) }
}

fn facts<'f>(who: &'f Principal, source: &str, route: &'f str) -> Facts<'f> {
    Facts { principal: Some(who), source: ip(source), route, model: None, headers: None, tokens: Tokens::default() }
}

/// What a request asks the store for.
fn asked(set: &LimitSet, facts: &Facts<'_>, rating: &mut Rating) -> Wait {
    match set.judge(Stage::Principal, facts, rating, None, ms(0)) {
        Judged::Waits(wait) => wait,
        other => panic!("it asks for nothing: {other:?}"),
    }
}

/// The answer of a store, to whatever it is asked.
fn hears(wait: Wait, said: impl FnOnce(&SharedAsk) -> Result<Decided, Unavailable>) -> Waited {
    let over = wait.over(|_| std::future::ready(()), async |ask: &SharedAsk| said(ask));
    match std::pin::pin!(over).poll(&mut Task::from_waker(Waker::noop())) {
        Poll::Ready(waited) => waited,
        Poll::Pending => panic!("nothing to wait for"),
    }
}

fn says(passes: bool, wait: u64, state: u64) -> Result<Decided, Unavailable> {
    let claims = vec![DecidedClaim { wait, left: 30_000_000, state }];
    Ok(Decided { passes, now: 1_000_000, claims, seats: None })
}

fn away() -> Result<Decided, Unavailable> {
    Err(Unavailable("away".to_owned()))
}

#[test]
fn replicas_make_the_same_name_of_the_same_caller_and_no_other() {
    use LimitKey::{Principal as ByPrincipal, Route, SourceIp, Tenant};
    let name = |limit: RateLimit, who: &Principal, source: &str, route: &str| {
        let set = LimitSet::compile(&[limit], &LimitStore::new()).unwrap();
        let mut name = String::new();
        let wait = asked(&set, &facts(who, source, route), &mut Rating::default());
        hears(wait, |ask| {
            name.clone_from(&ask.claims[0].key);
            away()
        });
        name
    };
    let deny = |key: &[LimitKey]| shared(key, OnUnavailable::Deny);
    let mia = principal("mia", "acme");
    let own = name(deny(&[ByPrincipal, Route]), &mia, "192.0.2.1", "r");
    assert_eq!(own.len(), 32);
    assert!(!own.contains("mia") && own.bytes().all(|byte| byte.is_ascii_hexdigit()));
    for (case, other, same) in [
        ("another process", name(deny(&[ByPrincipal, Route]), &mia, "192.0.2.1", "r"), true),
        ("the key in another order", name(deny(&[Route, ByPrincipal]), &mia, "192.0.2.1", "r"), true),
        ("another address, which is not in the key", name(deny(&[ByPrincipal, Route]), &mia, "192.0.2.2", "r"), true),
        ("another caller", name(deny(&[ByPrincipal, Route]), &principal("bob", "acme"), "192.0.2.1", "r"), false),
        ("another route", name(deny(&[ByPrincipal, Route]), &mia, "192.0.2.1", "s"), false),
        ("another key", name(deny(&[Tenant, Route]), &mia, "192.0.2.1", "r"), false),
        ("a longer key", name(deny(&[ByPrincipal, Route, SourceIp]), &mia, "192.0.2.1", "r"), false),
        ("another figure", name(RateLimit { limit: 3, ..deny(&[ByPrincipal, Route]) }, &mia, "192.0.2.1", "r"), false),
        (
            "another manifest",
            name(RateLimit { owner: "x/y".to_owned(), ..deny(&[ByPrincipal, Route]) }, &mia, "192.0.2.1", "r"),
            false,
        ),
    ] {
        assert_eq!(own == other, same, "{case}");
    }
}

#[test]
fn what_the_store_says_is_done_and_what_it_does_not_say_is_policy() {
    let mia = principal("mia", "acme");
    for (case, on_unavailable, said, want) in [
        ("it passes", OnUnavailable::Deny, says(true, 0, 5_000_000), "passes"),
        ("it is over", OnUnavailable::Deny, says(false, 30_000_000, 5_000_000), "refused for 30 s"),
        ("it is away", OnUnavailable::Deny, away(), "unknown"),
        ("it is away, and each counts for itself", OnUnavailable::Local, away(), "passes"),
        ("a refusal without a reason", OnUnavailable::Deny, says(false, 0, 0), "unknown"),
        (
            "an answer to less",
            OnUnavailable::Deny,
            Ok(Decided { passes: true, now: 1, claims: Vec::new(), seats: None }),
            "unknown",
        ),
    ] {
        let set = LimitSet::compile(&[shared(&[LimitKey::Principal], on_unavailable)], &LimitStore::new()).unwrap();
        let facts = facts(&mia, "192.0.2.1", "r");
        let mut rating = Rating::default();
        let waited = hears(asked(&set, &facts, &mut rating), |_| said);
        let judged = match set.judge(Stage::Principal, &facts, &mut rating, Some(waited), ms(0)) {
            Judged::Done(Outcome::Refused { retry_after, .. }) => format!("refused for {retry_after} s"),
            Judged::Done(_) => "passes".to_owned(),
            Judged::Unknown(_) => "unknown".to_owned(),
            Judged::Waits(_) => "waits".to_owned(),
        };
        assert_eq!(judged, want, "{case}");
    }
}

#[test]
fn a_replica_remembers_how_far_a_key_was() {
    let mia = principal("mia", "acme");
    let set = LimitSet::compile(&[shared(&[LimitKey::Principal], OnUnavailable::Deny)], &LimitStore::new()).unwrap();
    let facts = facts(&mia, "192.0.2.1", "r");
    for (said, floor) in [
        (says(true, 0, 7), 0),
        (says(true, 0, 5), 7),
        (away(), 7),
        (says(false, 9_000_000, 99), 7),
        (away(), 7),
        (says(true, 0, 900_000_000), 7),
        (away(), 900_000_000),
        // The store's clock has gone back: no key is so far ahead of it.
        (says(false, 9_000_000, 99), 900_000_000),
        (away(), 121_000_000),
    ] {
        let wait = asked(&set, &facts, &mut Rating::default());
        let mut rating = Rating::default();
        let _ = asked(&set, &facts, &mut rating);
        let waited = hears(wait, |ask| {
            let budget = Budget { full: 60_000_000, ceiling: 120_000_000, floor };
            assert_eq!(ask.claims[0].wanted, Wanted::Rate { budget, need: 30_000_000, take: 30_000_000 });
            said
        });
        let _ = set.judge(Stage::Principal, &facts, &mut rating, Some(waited), ms(0));
    }
}

#[test]
fn what_another_limit_refuses_is_not_asked_of_the_store() {
    let mia = principal("mia", "acme");
    let limits = [shared(&[LimitKey::Principal], OnUnavailable::Deny), limit("here", &[LimitKey::Principal], 1, 60, 1)];
    let set = LimitSet::compile(&limits, &LimitStore::new()).unwrap();
    let facts = facts(&mia, "192.0.2.1", "r");
    let _ = asked(&set, &facts, &mut Rating::default());
    assert!(matches!(
        set.judge(Stage::Principal, &facts, &mut Rating::default(), None, ms(0)),
        Judged::Done(Outcome::Refused { .. })
    ));
    assert_eq!(set.guard_names(Stage::Principal), ["limit/all", "limit/here"]);
}

#[test]
fn bytes_are_charged_ahead_and_what_is_left_is_there_for_the_next_of_the_key() {
    let mia = principal("mia", "acme");
    // 1600 bytes in 16 seconds: a sixteenth of a burst is 100, and a byte a hundredth of a second.
    let written = RateLimit { unit: LimitUnit::Bytes, ..shared(&[LimitKey::Principal], OnUnavailable::Deny) };
    let written = RateLimit { limit: 1600, burst: 1600, window: Duration::from_secs(16), ..written };
    let set = LimitSet::compile(&[written], &LimitStore::new()).unwrap();
    let facts = facts(&mia, "192.0.2.1", "r");
    let meter = || {
        let mut rating = Rating::default();
        let waited = hears(asked(&set, &facts, &mut rating), |ask| {
            assert!(matches!(ask.claims[0].wanted, Wanted::Rate { need: 10_000, take: 0, .. }), "{ask:?}");
            says(true, 0, 1_000_000)
        });
        assert!(matches!(set.judge(Stage::Principal, &facts, &mut rating, Some(waited), ms(0)), Judged::Done(_)));
        rating.gained().1
    };
    // What is asked for, and what the store makes of it: taken, and until when.
    let charge = |bytes: usize, now: u64, taken: u64, state: u64| {
        let Some(charge) = meter().charge(bytes, ms(now)).unwrap() else { return (0, 0) };
        let Wanted::Debt { least, most, .. } = charge.ask().claims[0].wanted else { panic!("{charge:?}") };
        let claims = vec![DecidedClaim { wait: 0, left: taken, state }];
        charge.settle(Ok(Decided { passes: true, now: 1_000_000, claims, seats: None }), ms(now)).unwrap();
        (least, most)
    };
    assert_eq!(charge(50, 0, 1_500_000, 2_500_000), (500_000, 1_500_000), "a hundred ahead");
    assert_eq!(charge(60, 0, 0, 0), (0, 0), "paid for");
    assert_eq!(charge(60, 0, 200_000, 2_700_000), (200_000, 1_200_000), "what is left of it goes first");
    assert_eq!(
        charge(10, 0, 1_100_000, 3_800_000),
        (100_000, 1_100_000),
        "where the store gave no more, nothing is left"
    );
    assert_eq!(
        charge(10, 2801, 100_000, 3_800_000),
        (100_000, 1_100_000),
        "what the key would have back is not paid any more"
    );
}

#[test]
fn bytes_that_nobody_counts_stay_or_are_counted_here_as_policy_says() {
    let mia = principal("mia", "acme");
    for (on_unavailable, said, want) in [
        (OnUnavailable::Deny, away(), Some(crate::Reason::Undecided)),
        (OnUnavailable::Local, away(), None),
        (OnUnavailable::Local, says(false, 3_000_001, 0), Some(crate::Reason::OverLimit)),
        (OnUnavailable::Deny, says(false, 0, 0), Some(crate::Reason::Undecided)),
    ] {
        let written = RateLimit { unit: LimitUnit::Bytes, ..shared(&[LimitKey::Principal], on_unavailable) };
        let set = LimitSet::compile(&[written], &LimitStore::new()).unwrap();
        let (facts, mut rating) = (facts(&mia, "192.0.2.1", "r"), Rating::default());
        let waited = hears(asked(&set, &facts, &mut rating), |_| says(true, 0, 1_000_000));
        let _ = set.judge(Stage::Principal, &facts, &mut rating, Some(waited), ms(0));
        let charge = rating.gained().1.charge(3, ms(0)).unwrap().unwrap();
        let settled = charge.settle(said, ms(0));
        assert_eq!(settled.as_ref().err().map(|refusal| refusal.reason), want);
        if want == Some(crate::Reason::OverLimit) {
            assert_eq!(settled.unwrap_err().headers, [("retry-after", "4".to_owned())]);
        }
    }
}

#[test]
fn places_are_counted_here_as_well_and_held_until_the_request_ends() {
    let mia = principal("mia", "acme");
    let written =
        RateLimit { unit: LimitUnit::ConcurrentRequests, ..shared(&[LimitKey::Principal], OnUnavailable::Local) };
    let set = LimitSet::compile(&[written], &LimitStore::new()).unwrap();
    let facts = facts(&mia, "192.0.2.1", "r");
    let comes = |said: Result<Decided, Unavailable>| {
        let mut rating = Rating::default();
        let waited = hears(asked(&set, &facts, &mut rating), |ask| {
            assert_eq!(ask.claims[0].wanted, Wanted::Seat { seats: 2 });
            said
        });
        match set.judge(Stage::Principal, &facts, &mut rating, Some(waited), ms(0)) {
            Judged::Done(Outcome::Refused { .. }) => None,
            Judged::Done(_) => Some(rating.gained().0),
            other => panic!("{other:?}"),
        }
    };
    let given = Arc::new(());
    let seats = Decided { seats: Some(Seats::new(given.clone())), ..says(true, 0, 0).unwrap() };
    let first = comes(Ok(seats)).unwrap();
    assert_eq!(Arc::strong_count(&given), 2);
    assert!(comes(says(false, 1_000_000, 0)).is_none(), "others have them");
    let second = comes(away()).unwrap();
    let full = set.judge(Stage::Principal, &facts, &mut Rating::default(), None, ms(0));
    assert!(matches!(full, Judged::Done(Outcome::Refused { .. })), "here there are no more, and nobody is asked");
    drop((first, second));
    assert_eq!(Arc::strong_count(&given), 1);
    assert!(comes(away()).is_some());
}

#[test]
fn who_waits_for_the_store_is_one_of_all_who_wait() {
    let mia = principal("mia", "acme");
    let facts = facts(&mia, "192.0.2.1", "r");
    let queued = |unit: LimitUnit| RateLimit {
        unit,
        max_wait: Duration::from_secs(30),
        ..shared(&[LimitKey::Principal], OnUnavailable::Deny)
    };
    for (unit, said) in
        [(LimitUnit::Requests, says(true, 2_000_000, 5)), (LimitUnit::ConcurrentRequests, says(true, 0, 0))]
    {
        let store = LimitStore::new();
        let set = LimitSet::compile(&[queued(unit)], &store).unwrap();
        let mut rating = Rating::default();
        let wait = asked(&set, &facts, &mut rating);
        let seat = unit == LimitUnit::ConcurrentRequests;
        assert_eq!(store.waiting(), usize::from(seat), "in the store's line, as far as anybody here knows");
        let judged = set.judge(Stage::Principal, &facts, &mut rating, Some(hears(wait, |_| said)), ms(0));
        assert_eq!(matches!(judged, Judged::Waits(_)), !seat, "its moment is to come");
        drop(rating);
        assert_eq!(store.waiting(), usize::from(!seat));
        drop(judged);
        assert_eq!(store.waiting(), 0);
    }
}
