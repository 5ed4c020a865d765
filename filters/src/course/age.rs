//! How long ago a task began. A conversation goes on with another one where all of that stands before what is new in it.
//!
//! What is known of conversations is a print of each and when its task began: nothing of what they say. It is known in this process
//! alone, for as long as the task goes on, and is forgotten once the task has rested.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest::{Context as Hash, SHA256};
use postern_config::{BehaviourLimits, Part};

use crate::message::{Message, PartText};
use crate::{Context, Flow, Reason, Refusal, Verdict};

const SHARDS: usize = 16;
/// A full table is looked through for what has ended no more often, in milliseconds: a look costs its whole size (attack 46).
const SWEEP_EVERY: u64 = 1_000;
/// Entries that are looked at for their end with each request.
const LOOKS: usize = 4;

/// Refuses a request of a task that goes on for too long.
#[derive(Debug)]
pub(crate) struct TaskAge {
    /// Milliseconds.
    most: u64,
    tasks: Arc<Tasks>,
}

impl TaskAge {
    pub(crate) const NAME: &str = "taskAge";

    /// Nothing where nothing is limited.
    pub(crate) fn new(limits: &BehaviourLimits, tasks: &Arc<Tasks>) -> Option<Self> {
        let most = limits.max_age.as_ref()?.value;
        Some(Self { most: millis(most), tasks: Arc::clone(tasks) })
    }

    pub(crate) fn check(&self, cx: &Context) -> Verdict {
        let Message::Ai(ai) = cx.message()? else { return Ok(Flow::Continue) };
        let refuse = |reason, why: String| Ok(Flow::Refuse(Refusal::new(reason, why).by(BehaviourLimits::AGE)));
        let endpoint = ai.endpoint();
        if endpoint.has_output() && !endpoint.has_turns() {
            return refuse(
                Reason::TaskLimit,
                "a prompt of one text does not tell what of it was asked before".to_owned(),
            );
        }
        if let Some(what) = ai.unseen_system() {
            return refuse(
                Reason::TaskLimit,
                format!("`{what}` may hold a conversation whose beginning nobody here can know"),
            );
        }
        let principal = cx.principal()?;
        let holder = match &principal.on_behalf_of {
            Some(user) => format!("{}\n{}", principal.id(), user.id()),
            None => principal.id(),
        };
        let prints = prints(&holder, cx.message()?.texts());
        let Some((own, before)) = prints.split_last() else { return Ok(Flow::Continue) };
        match self.tasks.age(*own, before, Holder::of(&holder), millis(cx.uptime()), self.most) {
            Some(age) if age > self.most => {
                let why = format!("the task began {} s ago, and policy allows {}", age / 1000, self.most / 1000);
                refuse(Reason::TaskLimit, why)
            }
            Some(_) => Ok(Flow::Continue),
            None => refuse(Reason::Undecided, "there are more tasks than can be remembered".to_owned()),
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Half of a SHA-256 over who asks and what was said so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Print(u128);

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Holder(u128);

impl Holder {
    fn of(id: &str) -> Self {
        let mut hash = Hash::new(&SHA256);
        hash.update(id.as_bytes());
        Self(half(hash))
    }
}

fn half(hash: Hash) -> u128 {
    hash.finish().as_ref().first_chunk().map_or(0, |half| u128::from_le_bytes(*half))
}

/// The conversation up to each of its texts. What operators say is not of it, as it may tell the time.
fn prints<'a>(holder: &str, texts: impl Iterator<Item = PartText<'a>>) -> Vec<Print> {
    let mut hash = Hash::new(&SHA256);
    let mut add = |kind: u8, text: &str| {
        hash.update(&[kind]);
        hash.update(&u64::try_from(text.len()).unwrap_or(u64::MAX).to_le_bytes());
        hash.update(text.as_bytes());
        Print(half(hash.clone()))
    };
    add(0, holder);
    let said = texts.filter_map(|text| {
        let kind = match text.part {
            Part::User => 1,
            Part::Assistant => 2,
            Part::ToolArguments => 3,
            Part::ToolResult => 4,
            _ => return None,
        };
        Some(add(kind, text.text))
    });
    said.collect()
}

/// When tasks began, kept over reloads.
#[derive(Debug)]
pub(crate) struct Tasks {
    shards: [Mutex<Shard>; SHARDS],
    /// Of one shard: entries, and those of one principal.
    most: (usize, usize),
}

#[derive(Debug, Default)]
struct Shard {
    known: HashMap<Print, Task>,
    held: HashMap<Holder, usize>,
    /// In the order in which they came, with when each may have ended.
    ends: VecDeque<(Print, u64)>,
    sweep_at: u64,
}

#[derive(Debug, Clone, Copy)]
struct Task {
    began: u64,
    /// It has ended where nobody went on with it by then.
    ends: u64,
    holder: Holder,
}

impl Tasks {
    /// Requests that are remembered at once; of one principal, a quarter of them.
    const MOST: usize = 1 << 20;

    pub(crate) fn new() -> Self {
        Self::with_most(Self::MOST)
    }

    fn with_most(most: usize) -> Self {
        let most = (most / SHARDS).max(4);
        Self { shards: Default::default(), most: (most, most / 4) }
    }

    /// How long ago the task began that `own` belongs to, where one of `before` was known as a request; now, where none was. It is
    /// remembered until nobody has gone on with it for `rest`. `None`: there is no room.
    fn age(&self, own: Print, before: &[Print], holder: Holder, now: u64, rest: u64) -> Option<u64> {
        let ends = now.saturating_add(rest);
        let known = |print: &Print| self.shard(*print, |shard| shard.touch(*print, now, ends));
        let began = before.iter().rev().find_map(known).unwrap_or(now);
        let task = Task { began, ends, holder };
        let has_room = self.shard(own, |shard| shard.put(own, task, now, self.most));
        has_room.then(|| now.saturating_sub(began))
    }

    fn shard<T>(&self, print: Print, act: impl FnOnce(&mut Shard) -> T) -> T {
        let index = usize::try_from(print.0 % SHARDS as u128).unwrap_or(0);
        let shard = self.shards.get(index).unwrap_or(&self.shards[0]);
        act(&mut shard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Shard {
    /// When a task began, which goes on.
    fn touch(&mut self, print: Print, now: u64, ends: u64) -> Option<u64> {
        let task = self.known.get_mut(&print).filter(|task| task.ends > now)?;
        task.ends = task.ends.max(ends);
        Some(task.began)
    }

    fn put(&mut self, print: Print, task: Task, now: u64, (most, most_of_one): (usize, usize)) -> bool {
        for _ in 0..LOOKS {
            let Some((oldest, _)) = self.ends.pop_front_if(|(_, ends)| *ends <= now) else { break };
            match self.known.get(&oldest).map(|task| task.ends) {
                Some(ends) if ends > now => self.ends.push_back((oldest, ends)),
                _ => self.forget(oldest),
            }
        }
        if let Some(known) = self.known.get_mut(&print) {
            known.began = task.began;
            known.ends = known.ends.max(task.ends);
            return true;
        }
        let is_full = |shard: &Self| {
            shard.known.len() >= most || shard.held.get(&task.holder).is_some_and(|held| *held >= most_of_one)
        };
        if is_full(self) && now >= self.sweep_at {
            self.sweep_at = now.saturating_add(SWEEP_EVERY);
            self.sweep(now);
        }
        if is_full(self) {
            return false;
        }
        self.known.insert(print, task);
        self.ends.push_back((print, task.ends));
        *self.held.entry(task.holder).or_default() += 1;
        true
    }

    fn forget(&mut self, print: Print) {
        let Some(task) = self.known.remove(&print) else { return };
        if let Some(held) = self.held.get_mut(&task.holder) {
            *held -= 1;
            if *held == 0 {
                self.held.remove(&task.holder);
            }
        }
    }

    fn sweep(&mut self, now: u64) {
        self.known.retain(|_, task| task.ends > now);
        self.ends = self.known.iter().map(|(print, task)| (*print, task.ends)).collect();
        self.held.clear();
        for task in self.known.values() {
            *self.held.entry(task.holder).or_default() += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: u64 = 60_000;

    fn conversation(said: &[&str]) -> Vec<Print> {
        let parts = [Part::User, Part::Assistant].into_iter().cycle();
        let system = PartText { part: Part::System, text: "the time is different each time", index: None };
        let said = said.iter().zip(parts).map(|(text, part)| PartText { part, text, index: None });
        prints("mia", std::iter::once(system).chain(said))
    }

    fn age(tasks: &Tasks, said: &[&str], now: u64) -> Option<u64> {
        let prints = conversation(said);
        let (own, before) = prints.split_last().unwrap();
        tasks.age(*own, before, Holder::of("mia"), now, REST)
    }

    #[test]
    fn attack_46_a_task_ages_while_it_goes_on_and_ends_when_it_rests() {
        let tasks = Tasks::new();
        for (said, now, want) in [
            (&["go"][..], 0, 0),
            (&["go", "a", "next"], 20_000, 20_000),
            // Asked again, and on from there.
            (&["go", "a", "next"], 30_000, 30_000),
            (&["go", "a", "next", "b", "on"], 70_000, 70_000),
            (&["go", "a", "next", "b", "on", "c", "and on"], 129_000, 129_000),
            // Another task that begins in the same words.
            (&["go"], 129_500, 0),
            (&["go", "other", "next"], 130_000, 500),
            (&["go", "a", "next", "b", "on", "c", "and on", "d", "more"], 131_000, 131_000),
            // What is not known begins when it is first seen, whatever it begins with.
            (&["example", "answer", "question"], 131_000, 0),
            (&["example", "answer", "another question"], 150_000, 0),
            // It has rested.
            (&["go", "other", "next", "e", "at last"], 130_000 + REST, 0),
        ] {
            assert_eq!(age(&tasks, said, now), Some(want), "{said:?} at {now}");
        }
    }

    #[test]
    fn of_another_principal_the_same_words_are_another_task() {
        let tasks = Tasks::new();
        assert_eq!(age(&tasks, &["go"], 0), Some(0));
        let text = |part, text| PartText { part, text, index: None };
        let texts = [text(Part::User, "go"), text(Part::Assistant, "a"), text(Part::User, "next")];
        let of_tom = prints("tom", texts.into_iter());
        let (own, before) = of_tom.split_last().unwrap();
        assert_eq!(tasks.age(*own, before, Holder::of("tom"), 1000, REST), Some(0));
        assert_eq!(age(&tasks, &["go", "a", "next"], 1000), Some(1000));
    }

    #[test]
    fn attack_46_a_full_table_takes_no_new_task_forgets_none_that_goes_on_and_leaves_room_for_others() {
        let tasks = Tasks::with_most(64 * SHARDS);
        assert_eq!(age(&tasks, &["mine"], 0), Some(0));
        let flood = |n: u128, now| tasks.age(Print(n), &[], Holder::of("flood"), now, REST);
        let taken = (1000..9000).filter(|n| flood(*n, 1).is_some()).count();
        assert_eq!(taken, 16 * SHARDS);
        assert_eq!(age(&tasks, &["mine", "a", "next"], 2), Some(2));
        assert!(flood(9001, REST).is_none(), "none of them has rested");
        assert_eq!(age(&tasks, &["mine", "a", "next", "b", "on"], REST), Some(REST));
        let later = (10_000..18_000).filter(|n| flood(*n, REST + 2000).is_some()).count();
        assert_eq!(later, 16 * SHARDS, "all of them have");
        let held: usize = tasks.shards.iter().map(|shard| shard.lock().unwrap().ends.len()).sum();
        assert!(held <= 64 * SHARDS, "{held}");
        assert_eq!(age(&tasks, &["mine", "a", "next", "b", "on", "c", "more"], REST + 3000), Some(REST + 3000));
    }
}
