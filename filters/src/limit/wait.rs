//! What a request waits for before it is within its limits: a seat, a moment.

use std::time::Duration;

use crate::Refusal;

use super::line::{Entrance, Turn};
use super::shared::Settled;
use super::{
    Charge, Decided, Facts, Hold, LimitSet, Meter, Outcome, Place, SharedAsk, Stage, Standing, Tally, Unavailable,
};

/// How far the limits of a step have come.
#[derive(Debug, Default)]
pub(crate) struct Rating {
    is_seated: bool,
    /// What the limits of this process said, and how long they let the request wait.
    outcome: Option<Outcome>,
    delay: Duration,
    place: Option<Place>,
    holds: Vec<Hold>,
    meter: Meter,
    tally: Tally,
    /// How long it has waited in this step.
    waited: Duration,
}

impl Rating {
    /// What the request holds, and what it is charged to.
    pub(crate) fn gained(self) -> (Vec<Hold>, Meter, Tally) {
        (self.holds, self.meter, self.tally)
    }
}

/// What the limits of a step say.
#[derive(Debug)]
pub(crate) enum Judged {
    Done(Outcome),
    /// Nobody can say.
    Unknown(String),
    /// They say it once this is over.
    Waits(Wait),
}

/// Something to wait for.
#[derive(Debug)]
pub struct Wait(Waits);

#[derive(Debug)]
enum Waits {
    Seats(Vec<(usize, Entrance)>),
    Moment { time: Duration, place: Option<Place> },
    Store(SharedAsk),
    Charge(Charge),
}

/// What came of it.
#[derive(Debug)]
pub struct Waited {
    came: Came,
    took: Duration,
}

#[derive(Debug)]
enum Came {
    Seated(Vec<Hold>),
    /// No seat of this limit in time.
    Unseated(usize),
    Moment,
    Store(SharedAsk, Result<Decided, Unavailable>),
    Charge(Charge, Result<Decided, Unavailable>),
}

impl From<Came> for Waited {
    fn from(came: Came) -> Self {
        Self { came, took: Duration::ZERO }
    }
}

impl Waited {
    /// Nothing came of it: the limits refuse.
    #[must_use]
    pub fn in_vain() -> Self {
        Came::Unseated(usize::MAX).into()
    }

    /// How long it took, which whatever is waited for next has less.
    #[must_use]
    pub fn after(self, took: Duration) -> Self {
        Self { took, ..self }
    }

    /// What came of a charge; nothing where something else was waited for.
    pub(crate) fn charged(self, now: Duration) -> Option<Result<(), Refusal>> {
        match self.came {
            Came::Charge(charge, said) => Some(charge.settle(said, now)),
            Came::Seated(_) | Came::Unseated(_) | Came::Moment | Came::Store(..) => None,
        }
    }
}

impl Wait {
    /// For the store to take a charge.
    pub(crate) fn of(charge: Charge) -> Self {
        Self(Waits::Charge(charge))
    }

    /// Waits. `sleep` takes as long as it is told, `store` asks the store of all replicas. Dropping the future leaves the line, and
    /// gives up the moment.
    pub async fn over<S>(
        self,
        sleep: impl Fn(Duration) -> S,
        store: impl AsyncFnOnce(&SharedAsk) -> Result<Decided, Unavailable>,
    ) -> Waited
    where
        S: Future<Output = ()>,
    {
        match self.0 {
            Waits::Store(ask) => {
                let said = store(&ask).await;
                Came::Store(ask, said).into()
            }
            Waits::Charge(charge) => {
                let said = store(charge.ask()).await;
                Came::Charge(charge, said).into()
            }
            Waits::Moment { time, place } => {
                sleep(time).await;
                drop(place);
                Came::Moment.into()
            }
            Waits::Seats(entrances) => {
                let mut holds = Vec::with_capacity(entrances.len());
                for (index, entrance) in entrances {
                    let longest = sleep(entrance.longest);
                    let seat = match entrance.join() {
                        Some(turn) => seat_in_time(turn, longest).await,
                        None => None,
                    };
                    // What it holds by now is given back.
                    let Some(hold) = seat else { return Came::Unseated(index).into() };
                    holds.push(hold);
                }
                Came::Seated(holds).into()
            }
        }
    }
}

/// The seat, unless `longest` is over before.
async fn seat_in_time(turn: Turn, longest: impl Future<Output = ()>) -> Option<Hold> {
    let (mut turn, mut longest) = (std::pin::pin!(turn), std::pin::pin!(longest));
    std::future::poll_fn(|cx| match turn.as_mut().poll(cx) {
        std::task::Poll::Ready(hold) => std::task::Poll::Ready(Some(hold)),
        std::task::Poll::Pending => longest.as_mut().poll(cx).map(|()| None),
    })
    .await
}

impl LimitSet {
    /// Judges the limits of a step, beginning where `rating` says; `waited` is what came of the last wait.
    pub(crate) fn judge(
        &self,
        stage: Stage,
        facts: &Facts<'_>,
        rating: &mut Rating,
        waited: Option<Waited>,
        now: Duration,
    ) -> Judged {
        rating.waited += waited.as_ref().map_or(Duration::ZERO, |waited| waited.took);
        let came = waited.map(|waited| waited.came);
        if !rating.is_seated {
            match came {
                None => {
                    let entrances = self.sit(stage, facts, rating, now);
                    if !entrances.is_empty() {
                        return Judged::Waits(Wait(Waits::Seats(entrances)));
                    }
                }
                Some(Came::Seated(holds)) => rating.holds.extend(holds),
                Some(Came::Unseated(limit)) => return refused(rating, limit),
                // Not what was waited for: as if it had come in vain.
                Some(Came::Moment | Came::Store(..) | Came::Charge(..)) => return refused(rating, usize::MAX),
            }
            rating.is_seated = true;
        } else if let (Some(outcome), Some(came)) = (rating.outcome, came) {
            return match came {
                Came::Moment => Judged::Done(outcome),
                Came::Store(ask, said) => self.hear(stage, facts, rating, &ask, said, now),
                Came::Seated(_) | Came::Unseated(_) | Came::Charge(..) => refused(rating, usize::MAX),
            };
        }
        let settled = self.settle(stage, facts, now);
        if settled.outcome.is_refused() {
            *rating = Rating::default();
            return Judged::Done(settled.outcome);
        }
        rating.holds.extend(settled.holds);
        rating.meter.extend(settled.meter);
        rating.tally.extend(settled.tally);
        let outcome = settled.outcome.tighter(self.seated(stage, facts));
        (rating.outcome, rating.delay, rating.place) =
            (Some(outcome), Duration::from_nanos(settled.wait), settled.place);
        match self.ask(stage, facts, rating.waited) {
            Some(mut ask) => {
                rating.place = rating.place.take().or_else(|| ask.line_up());
                Judged::Waits(Wait(Waits::Store(ask)))
            }
            None => finish(rating, outcome),
        }
    }

    /// Takes in what the store said, or did not.
    fn hear(
        &self,
        stage: Stage,
        facts: &Facts<'_>,
        rating: &mut Rating,
        ask: &SharedAsk,
        said: Result<Decided, Unavailable>,
        now: Duration,
    ) -> Judged {
        let (one, delay) = match ask.settle(&said) {
            Settled::Said { outcome, wait } => (outcome, wait),
            Settled::Unknown(why) => {
                *rating = Rating::default();
                return Judged::Unknown(why);
            }
            Settled::CountHere => {
                let settled = self.settle_here(stage, facts, now);
                rating.place = rating.place.take().or(settled.place);
                (settled.outcome, Duration::from_nanos(settled.wait))
            }
        };
        if one.is_refused() {
            *rating = Rating::default();
            return Judged::Done(one);
        }
        if !delay.is_zero() && rating.place.is_none() {
            rating.place = ask.place();
            if rating.place.is_none() {
                return refused(rating, one.standing().map_or(usize::MAX, |standing| standing.limit));
            }
        }
        rating.holds.extend(said.ok().and_then(|decided| decided.seats).map(Hold::everywhere));
        rating.meter.extend(self.meter_of(stage, facts));
        let outcome = rating.outcome.unwrap_or(Outcome::Unlimited).tighter(one);
        (rating.outcome, rating.delay) = (Some(outcome), rating.delay.max(delay));
        finish(rating, outcome)
    }

    /// Takes the seats that are free, up to the first that is not: seats are taken in the order of the limits' numbers.
    fn sit(&self, stage: Stage, facts: &Facts<'_>, rating: &mut Rating, now: Duration) -> Vec<(usize, Entrance)> {
        let mut entrances = Vec::new();
        for index in &self.step(stage).queues {
            let Some(entry) = self.limits.get(*index) else { continue };
            let (limit, longest) = (entry.limit.clone(), Duration::from_nanos(entry.max_wait));
            let key = limit.key(facts);
            if entrances.is_empty() {
                let mut shard = limit.lock(key);
                let probed = limit.probe(&mut shard, key, 0, super::gcra::nanos(now));
                if probed.wait == 0 && super::Limit::spend(&mut shard, key, &probed) {
                    rating.holds.push(Hold::of(&limit, key));
                    continue;
                }
            }
            entrances.push((*index, Entrance { limit, key, longest }));
        }
        entrances
    }

    /// How the limits that are queued for stand, with this request in its seat.
    fn seated(&self, stage: Stage, facts: &Facts<'_>) -> Outcome {
        let queues = self.step(stage).queues.iter();
        let standings = queues.filter_map(|index| {
            let limit = &self.limits.get(*index)?.limit;
            let remaining = limit.seats_left(limit.key(facts));
            Some(Outcome::Allowed(Standing { limit: *index, remaining, seconds: 0 }))
        });
        standings.fold(Outcome::Unlimited, Outcome::tighter)
    }
}

/// All is said; what is left is the request's moment.
fn finish(rating: &mut Rating, outcome: Outcome) -> Judged {
    if rating.delay.is_zero() {
        return Judged::Done(outcome);
    }
    let wait = Waits::Moment { time: std::mem::take(&mut rating.delay), place: rating.place.take() };
    Judged::Waits(Wait(wait))
}

fn refused(rating: &mut Rating, limit: usize) -> Judged {
    *rating = Rating::default();
    Judged::Done(Outcome::Refused { standing: Standing { limit, remaining: 0, seconds: 1 }, retry_after: 1 })
}
