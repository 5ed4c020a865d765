//! Requests at once, bytes, and those who wait.

use std::pin::pin;
use std::task::{Context as Task, Poll, Waker};

use super::*;
use crate::limit::{Decided, Facts, Hold, Judged, Meter, Rating, SharedAsk, Tokens, Unavailable, Wait, Waited};

/// A step of the limits over addresses, for one request.
struct Asking<'s> {
    set: &'s LimitSet,
    source: &'static str,
    rating: Rating,
}

/// What a request that passed holds.
type Gained = (Vec<Hold>, Meter);

impl<'s> Asking<'s> {
    fn new(set: &'s LimitSet, source: &'static str) -> Self {
        Self { set, source, rating: Rating::default() }
    }

    fn judge(&mut self, waited: Option<Waited>, at: u64) -> Judged {
        let facts = Facts {
            principal: None,
            source: ip(self.source),
            route: "r",
            model: None,
            headers: None,
            tokens: Tokens::default(),
        };
        self.set.judge(Stage::Address, &facts, &mut self.rating, waited, ms(at))
    }

    fn passes(mut self, waited: Option<Waited>, at: u64) -> Result<Gained, Outcome> {
        match self.judge(waited, at) {
            Judged::Done(outcome) if outcome.is_refused() => Err(outcome),
            Judged::Done(_) => Ok(gained(self.rating)),
            other => panic!("it waits: {other:?}"),
        }
    }

    fn waits(&mut self, at: u64) -> Wait {
        match self.judge(None, at) {
            Judged::Waits(wait) => wait,
            other => panic!("it does not wait: {other:?}"),
        }
    }
}

fn asks(set: &LimitSet, source: &'static str, at: u64) -> Result<Gained, Outcome> {
    Asking::new(set, source).passes(None, at)
}

fn of_unit(unit: LimitUnit, figure: u64, max_wait: u64) -> RateLimit {
    let (window, burst) = if unit == LimitUnit::ConcurrentRequests { (0, figure) } else { (10, figure) };
    RateLimit { unit, max_wait: ms(max_wait), ..limit("l", &[LimitKey::SourceIp], figure, window, burst) }
}

fn set(limits: &[RateLimit]) -> LimitSet {
    LimitSet::compile(limits, &LimitStore::new()).unwrap()
}

fn poll<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> Option<T> {
    match future.poll(&mut Task::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

fn gained(rating: Rating) -> Gained {
    let (holds, meter, _) = rating.gained();
    (holds, meter)
}

fn never(_: Duration) -> std::future::Pending<()> {
    std::future::pending()
}

async fn away(_: &SharedAsk) -> Result<Decided, Unavailable> {
    Err(Unavailable("there is no store".to_owned()))
}

fn at_once(_: Duration) -> std::future::Ready<()> {
    std::future::ready(())
}

#[test]
fn a_place_is_free_again_when_the_request_has_ended_and_not_before() {
    let set = set(&[of_unit(LimitUnit::ConcurrentRequests, 2, 0)]);
    let first = asks(&set, "192.0.2.1", 0).unwrap();
    let second = asks(&set, "192.0.2.1", 0).unwrap();
    let refused = asks(&set, "192.0.2.1", HOUR).unwrap_err();
    assert_eq!(refused.retry_after(), Some(1), "time gives no place back");
    assert_eq!(header(&set, refused, "ratelimit").as_deref(), Some(r#""l";r=0;t=1"#));
    assert_eq!(header(&set, refused, "ratelimit-policy").as_deref(), Some(r#""l";q=2;qu="concurrent-requests""#));
    assert!(asks(&set, "192.0.2.2", 0).is_ok(), "another key has its own");
    drop(first);
    let third = asks(&set, "192.0.2.1", HOUR).unwrap();
    assert!(asks(&set, "192.0.2.1", HOUR).is_err());
    drop((second, third));
    assert_eq!(set.limits[0].limit.keys(), 0, "who holds nothing is not remembered");
}

#[test]
fn a_request_that_another_limit_refuses_holds_no_place() {
    let rate = limit("rate", &[LimitKey::SourceIp], 1, 3600, 1);
    for limits in [
        [of_unit(LimitUnit::ConcurrentRequests, 2, 0), rate.clone()],
        [rate, of_unit(LimitUnit::ConcurrentRequests, 2, 0)],
    ] {
        let set = set(&limits);
        let first = asks(&set, "192.0.2.1", 0).unwrap();
        for _ in 0..5 {
            assert!(asks(&set, "192.0.2.1", 0).is_err(), "over its rate");
        }
        drop(first);
        let seats = set.limits.iter().find(|entry| entry.limit.seats() > 0).unwrap();
        assert_eq!(seats.limit.keys(), 0);
    }
    let limits = [of_unit(LimitUnit::ConcurrentRequests, 1, 1000), limit("rate", &[LimitKey::SourceIp], 1, 3600, 1)];
    let set = set(&limits);
    drop(asks(&set, "192.0.2.1", 0).unwrap());
    assert!(asks(&set, "192.0.2.1", 0).is_err(), "over its rate, and so without the seat it had");
    assert!(!matches!(Asking::new(&set, "192.0.2.1").judge(None, 0), Judged::Waits(_)));
}

#[test]
fn who_waits_for_a_place_gets_it_in_turn_and_leaves_the_line_with_the_request() {
    let set = set(&[of_unit(LimitUnit::ConcurrentRequests, 1, 1000)]);
    let holder = asks(&set, "192.0.2.1", 0).unwrap();
    let mut asking: Vec<_> = (0..3).map(|_| Asking::new(&set, "192.0.2.1")).collect();
    let waits: Vec<_> = asking.iter_mut().map(|asking| asking.waits(0)).collect();
    let mut lines: Vec<_> = waits.into_iter().map(|wait| Box::pin(wait.over(never, away))).collect();
    for line in &mut lines {
        assert!(poll(line.as_mut()).is_none());
    }
    // The first in line leaves; the place goes to the second, and nobody comes in between.
    drop(lines.remove(0));
    drop(holder);
    assert!(Asking::new(&set, "192.0.2.1").waits(0).over(at_once, away).ends_in_vain(), "a newcomer waits");
    assert!(poll(lines[1].as_mut()).is_none(), "the third is not the next");
    let waited = poll(lines[0].as_mut()).unwrap();
    asking.remove(0);
    let second = asking.remove(0).passes(Some(waited), 0).unwrap();
    // One that was given the place and leaves before it sits hands it on.
    drop(second);
    drop(lines);
    assert!(asks(&set, "192.0.2.1", 0).is_ok());
    assert_eq!(set.limits[0].limit.keys(), 0);
}

/// Whether it ends at once, without what was waited for.
trait Over {
    fn ends_in_vain(self) -> bool;
}

impl<F: Future<Output = Waited>> Over for F {
    fn ends_in_vain(self) -> bool {
        let set = LimitSet::default();
        let waited = poll(pin!(self)).unwrap();
        Asking::new(&set, "192.0.2.1").passes(Some(waited), 0).is_err()
    }
}

#[test]
fn the_line_of_a_key_is_bounded() {
    let set = set(&[of_unit(LimitUnit::ConcurrentRequests, 1, 1000)]);
    let _holder = asks(&set, "192.0.2.1", 0).unwrap();
    let mut lines: Vec<_> =
        (0..1000).map(|_| Box::pin(Asking::new(&set, "192.0.2.1").waits(0).over(never, away))).collect();
    for line in &mut lines {
        assert!(poll(line.as_mut()).is_none());
    }
    let further = || Asking::new(&set, "192.0.2.1").waits(0).over(never, away);
    assert!(further().ends_in_vain(), "the thousand and first is refused at once");
    lines.pop();
    assert!(poll(pin!(further())).is_none(), "who left makes room");
}

#[test]
fn a_queued_rate_gives_each_request_its_own_moment() {
    // One each two seconds, two at once, and up to five seconds of patience.
    let set = set(&[RateLimit { burst: 2, ..of_unit(LimitUnit::Requests, 5, 5000) }]);
    for _ in 0..2 {
        asks(&set, "192.0.2.1", 0).unwrap();
    }
    let slept = |asking: &mut Asking<'_>, at: u64| {
        let slept = std::cell::Cell::new(Duration::ZERO);
        let waited = poll(pin!(asking.waits(at).over(
            |time| {
                slept.set(time);
                at_once(time)
            },
            away
        )));
        (slept.get(), waited)
    };
    for seconds in [2, 4] {
        let mut asking = Asking::new(&set, "192.0.2.1");
        let (time, waited) = slept(&mut asking, 0);
        assert_eq!(time, Duration::from_secs(seconds));
        assert!(asking.passes(waited, 0).is_ok());
    }
    let refused = asks(&set, "192.0.2.1", 0).unwrap_err();
    assert_eq!(refused.retry_after(), Some(6), "the third would wait six seconds");
    let mut later = Asking::new(&set, "192.0.2.1");
    assert_eq!(slept(&mut later, 1000).0, Duration::from_secs(5), "what was refused took no moment");
}

#[test]
fn bytes_are_charged_as_they_come_and_a_debt_is_waited_for() {
    // A thousand bytes in ten seconds.
    let set = set(&[of_unit(LimitUnit::Bytes, 1000, 0)]);
    let (_, meter) = asks(&set, "192.0.2.1", 0).unwrap();
    assert!(meter.charge(600, ms(0)).is_ok());
    let (_, other) = asks(&set, "192.0.2.1", 0).unwrap();
    assert!(other.charge(900, ms(0)).is_ok(), "what has begun goes on into debt");
    let refused = asks(&set, "192.0.2.1", 0).unwrap_err();
    assert_eq!(refused.retry_after(), Some(6), "500 owed, and one to spend: 5.01 s");
    assert_eq!(header(&set, refused, "ratelimit-policy").as_deref(), Some(r#""l";q=1000;qu="content-bytes";w=10"#));
    assert!(meter.charge(500, ms(0)).is_ok(), "up to a whole burst");
    let stopped = meter.charge(1, ms(0)).unwrap_err();
    assert_eq!((stopped.reason, stopped.rule.as_deref()), (crate::Reason::OverLimit, Some("limit/l")));
    assert_eq!(stopped.headers, [("retry-after", "11".to_owned())]);
    assert!(other.charge(1, ms(0)).is_err(), "whoever is asked: the debt is the key's");
    assert!(other.charge(0, ms(0)).is_ok(), "nothing costs nothing");
    assert!(meter.charge(100, ms(1000)).is_ok(), "a tenth of the debt has passed");
    assert!(asks(&set, "192.0.2.1", 11_000).is_err());
    assert!(asks(&set, "192.0.2.1", 11_020).is_ok());
    assert!(asks(&set, "192.0.2.2", 0).is_ok());
}

#[test]
fn a_fast_limit_of_bytes_is_kept_to_the_byte() {
    let set = set(&[RateLimit { window: ms(1000), ..of_unit(LimitUnit::Bytes, 40 << 30, 0) }]);
    let (_, meter) = asks(&set, "192.0.2.1", 0).unwrap();
    assert!(meter.charge(20 << 30, ms(0)).is_ok());
    let standing = asks(&set, "192.0.2.1", 0).map(drop);
    assert!(standing.is_ok());
    assert!(meter.charge(20 << 30, ms(0)).is_ok());
    assert!(asks(&set, "192.0.2.1", 0).is_err());
    assert!(asks(&set, "192.0.2.1", 1).is_ok(), "forty million more in a millisecond");
}

#[test]
fn a_model_is_counted_once_it_is_known() {
    let limits = [limit("per-model", &[LimitKey::SourceIp, LimitKey::Model], 1, 60, 1)];
    let set = set(&limits);
    assert!(set.guard_names(Stage::Address).is_empty() && set.guard_names(Stage::Principal).is_empty());
    assert_eq!(set.guard_names(Stage::Model), ["limit/per-model"]);
    let mia = principal("mia", "acme");
    let check = |model: Option<&str>| {
        let facts = Facts {
            principal: Some(&mia),
            source: ip("192.0.2.1"),
            route: "r",
            model,
            headers: None,
            tokens: Tokens::default(),
        };
        match set.judge(Stage::Model, &facts, &mut Rating::default(), None, ms(0)) {
            Judged::Done(outcome) => !outcome.is_refused(),
            other => panic!("it waits: {other:?}"),
        }
    };
    for (model, want) in
        [(Some("a"), true), (Some("b"), true), (Some("a"), false), (None, true), (None, false), (Some(""), true)]
    {
        assert_eq!(check(model), want, "{model:?}");
    }
}

proptest! {
    #[test]
    fn seats_are_neither_lost_nor_made(steps in prop::collection::vec((0_u8..4, 0_usize..8), 1..120)) {
        let set = set(&[of_unit(LimitUnit::ConcurrentRequests, 3, 1000)]);
        let mut held: Vec<Gained> = Vec::new();
        let mut lines = Vec::new();
        for (step, which) in steps {
            match step {
                0 | 1 => {
                    let mut asking = Asking::new(&set, "192.0.2.1");
                    match asking.judge(None, 0) {
                        Judged::Done(_) | Judged::Unknown(_) => held.push(gained(asking.rating)),
                        Judged::Waits(wait) => {
                            let mut line = Box::pin(wait.over(never, away));
                            prop_assert!(poll(line.as_mut()).is_none());
                            lines.push((asking, line));
                        }
                    }
                }
                2 if !held.is_empty() => drop(held.swap_remove(which % held.len())),
                3 if !lines.is_empty() => drop(lines.remove(which % lines.len())),
                _ => {}
            }
            let mut index = 0;
            while index < lines.len() {
                if let Some(waited) = poll(lines[index].1.as_mut()) {
                    prop_assert_eq!(index, 0, "the first in line is the first to sit");
                    let (asking, _) = lines.remove(index);
                    held.push(asking.passes(Some(waited), 0).unwrap());
                } else {
                    index += 1;
                }
            }
            prop_assert!(held.len() <= 3);
            prop_assert!(lines.is_empty() || held.len() == 3, "nobody waits for a free seat");
        }
        drop((held, lines));
        prop_assert_eq!(set.limits[0].limit.keys(), 0);
    }
}
