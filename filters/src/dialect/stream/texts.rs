//! Texts that are open in a stream, by where they stand in the answer.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::Hasher as _;

use postern_config::Part;

use super::{Cut, Judge};
use crate::{TextGuard, TextStep, mutant};

/// Tells texts apart, without keeping them: length and hash. Only ever compared with texts of the same answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::dialect) struct Print(u64, usize);

impl Print {
    pub(super) fn of(text: &str) -> Self {
        let mut running = Running::default();
        running.add(text);
        running.print()
    }
}

#[derive(Debug, Default)]
struct Running(DefaultHasher, usize);

impl Running {
    fn add(&mut self, text: &str) {
        self.0.write(text.as_bytes());
        self.1 += text.len();
    }

    fn print(&self) -> Print {
        Print(self.0.finish(), self.1)
    }
}

#[derive(Debug)]
struct Open {
    part: Part,
    guard: Box<dyn TextGuard>,
    received: Running,
    /// What was released, where the dialect says the whole text again.
    released: Option<String>,
    sent: Running,
}

/// One guard for each text that has begun.
#[derive(Debug)]
pub(in crate::dialect) struct Texts<K> {
    open: BTreeMap<K, Open>,
    repeats: bool,
}

/// What a text that has ended leaves.
#[derive(Debug, Default)]
pub(in crate::dialect) struct Ended {
    /// What may leave now.
    pub(in crate::dialect) release: String,
    /// All that was released of it is what was received.
    pub(in crate::dialect) unchanged: bool,
}

impl<K: Ord + Copy> Texts<K> {
    pub(in crate::dialect) fn new() -> Self {
        Self { open: BTreeMap::new(), repeats: false }
    }

    /// For a dialect that says every text again at its end.
    pub(in crate::dialect) fn repeating() -> Self {
        Self { open: BTreeMap::new(), repeats: true }
    }

    /// More of a text. Returns what may leave.
    #[cfg_attr(feature = "mutants", track_caller)]
    pub(in crate::dialect) fn push(
        &mut self,
        key: K,
        part: Part,
        text: &str,
        judge: &mut Judge,
    ) -> Result<String, Cut> {
        if mutant::is_here() {
            return Ok(text.to_owned());
        }
        let repeats = self.repeats;
        let open = self.open.entry(key).or_insert_with(|| Open {
            part,
            guard: judge.open(part),
            received: Running::default(),
            released: repeats.then(String::new),
            sent: Running::default(),
        });
        open.received.add(text);
        let step = open.guard.push(text);
        open.released(step, judge)
    }

    /// Ends a text, if it has begun.
    pub(in crate::dialect) fn finish(&mut self, key: K, judge: &mut Judge) -> Result<Ended, Cut> {
        let Some(mut open) = self.open.remove(&key) else { return Ok(Ended { unchanged: true, ..Ended::default() }) };
        let step = open.guard.finish();
        let release = open.released(step, judge)?;
        let received = open.received.print();
        let unchanged = received == open.sent.print();
        if let Some(released) = open.released {
            judge.remember(open.part, received, released)?;
        }
        Ok(Ended { release, unchanged })
    }

    /// Texts that have begun and not ended.
    pub(in crate::dialect) fn keys(&self) -> Vec<K> {
        self.open.keys().copied().collect()
    }

    /// Open matches count as found. Returns what may leave, and why nothing more may, if so.
    pub(in crate::dialect) fn stall(&mut self, judge: &mut Judge) -> (Vec<(K, String)>, Result<(), Cut>) {
        let (mut ready, mut cut) = (Vec::new(), Ok(()));
        for (key, open) in self.open.iter_mut().filter(|(_, open)| open.guard.is_holding()) {
            let step = open.guard.stall();
            match open.released(step, judge) {
                Ok(text) => ready.push((*key, text)),
                Err(why) => cut = Err(why),
            }
        }
        (ready, cut)
    }

    pub(in crate::dialect) fn is_holding(&self) -> bool {
        self.open.values().any(|open| open.guard.is_holding())
    }

    pub(in crate::dialect) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }
}

impl Open {
    fn released(&mut self, step: TextStep, judge: &mut Judge) -> Result<String, Cut> {
        judge.out.findings.extend(step.findings);
        if step.blocked {
            return Err(Cut::Blocked);
        }
        self.sent.add(&step.release);
        if let Some(released) = &mut self.released {
            released.push_str(&step.release);
            if released.len() > judge.limits.event {
                return Err(crate::dialect::DialectError::TooMany { what: "bytes of repeated text" }.into());
            }
        }
        Ok(step.release)
    }
}
