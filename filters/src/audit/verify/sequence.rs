//! Follows the sequence numbers of connections: a number that never comes is a record that was never written.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use serde::Deserialize;

/// Most gaps that are reported one by one.
const MAX_GAPS: usize = 100;
/// Most connections followed in one run, and most records of one connection that may overtake a missing one.
const MAX_CONNECTIONS: usize = 1 << 20;
const MAX_AHEAD: usize = 4096;

/// A sequence number that is missing, or that was there before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    pub connection: u64,
    pub sequence: u64,
    /// Entry at which it was seen: the last of the connection, or the repeated one.
    pub index: u64,
    pub repeated: bool,
    /// The process stopped in order after it, so the record was not merely on its way.
    pub certain: bool,
}

/// Numbers seen since the log was last opened by a process that took over from no other.
#[derive(Debug, Default)]
pub(super) struct Sequences {
    open: HashMap<u64, Connection>,
    stopped: bool,
    /// Processes that have started and not stopped: in an upgrade there are two for a while.
    running: u32,
    found: Found,
}

#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) gaps: Vec<Gap>,
    pub(super) count: u64,
    pub(super) not_followed: u64,
}

#[derive(Debug, Default)]
struct Connection {
    next: u64,
    ahead: BTreeSet<u64>,
    last_index: u64,
}

#[derive(Deserialize)]
struct Facts<'a> {
    #[serde(borrow)]
    unmapped: Unmapped<'a>,
}

#[derive(Deserialize)]
struct Unmapped<'a> {
    #[serde(borrow)]
    postern: Ours<'a>,
}

#[derive(Deserialize)]
struct Ours<'a> {
    connection: Option<Numbers>,
    #[serde(borrow)]
    lifecycle: Option<Cow<'a, str>>,
    #[serde(default)]
    continued: bool,
}

#[derive(Deserialize)]
struct Numbers {
    number: u64,
    sequence: u64,
}

impl Sequences {
    /// Takes the numbers from a record. One that is not ours says nothing.
    pub(super) fn observe(&mut self, index: u64, record: &[u8]) {
        let Ok(facts) = serde_json::from_slice::<Facts<'_>>(record) else { return };
        let ours = facts.unmapped.postern;
        match ours.lifecycle.as_deref() {
            // Connections count on, and the process before may have records to come.
            Some("log_opened") if ours.continued => {}
            Some("log_opened") => self.close_run(),
            Some("started") => self.running = self.running.saturating_add(1),
            Some("stopped") => {
                self.running = self.running.saturating_sub(1);
                self.stopped = self.running == 0;
            }
            _ => {}
        }
        if let Some(numbers) = ours.connection {
            self.count(index, &numbers);
        }
    }

    fn count(&mut self, index: u64, numbers: &Numbers) {
        if self.open.len() >= MAX_CONNECTIONS && !self.open.contains_key(&numbers.number) {
            self.found.not_followed = self.found.not_followed.saturating_add(1);
            return;
        }
        let connection = self.open.entry(numbers.number).or_default();
        connection.last_index = index;
        let sequence = numbers.sequence;
        if sequence < connection.next || !connection.ahead.insert(sequence) {
            let gap = Gap { connection: numbers.number, sequence, index, repeated: true, certain: true };
            return self.found.push(gap);
        }
        if connection.ahead.len() > MAX_AHEAD {
            let missing = connection.next;
            let gap = Gap { connection: numbers.number, sequence: missing, index, repeated: false, certain: false };
            connection.next = connection.ahead.first().copied().unwrap_or(missing);
            self.found.push(gap);
        }
        while connection.ahead.remove(&connection.next) {
            connection.next = connection.next.saturating_add(1);
        }
    }

    fn close_run(&mut self) {
        let mut open: Vec<_> = self.open.drain().filter(|(_, connection)| !connection.ahead.is_empty()).collect();
        open.sort_by_key(|(_, connection)| connection.last_index);
        for (number, connection) in open {
            let index = connection.last_index;
            let sequence = connection.next;
            self.found.push(Gap { connection: number, sequence, index, repeated: false, certain: self.stopped });
        }
        (self.stopped, self.running) = (false, 0);
    }

    pub(super) fn finish(mut self) -> Found {
        self.close_run();
        self.found
    }
}

impl Found {
    fn push(&mut self, gap: Gap) {
        self.count = self.count.saturating_add(1);
        if self.gaps.len() < MAX_GAPS {
            self.gaps.push(gap);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(records: &[&str]) -> Vec<(u64, u64, bool, bool)> {
        let mut sequences = Sequences::default();
        for (index, record) in (0..).zip(records) {
            let ours = match record.split_once('/') {
                Some((number, sequence)) => format!(r#""connection":{{"number":{number},"sequence":{sequence}}}"#),
                None if *record == "continued" => r#""lifecycle":"log_opened","continued":true"#.to_owned(),
                None => format!(r#""lifecycle":"{record}""#),
            };
            sequences.observe(index, format!(r#"{{"class_uid":1,"unmapped":{{"postern":{{{ours}}}}}}}"#).as_bytes());
        }
        sequences.finish().gaps.iter().map(|g| (g.connection, g.sequence, g.repeated, g.certain)).collect()
    }

    #[test]
    fn missing_and_repeated_numbers_are_gaps() {
        for (case, records, want) in [
            ("in order", vec!["1/0", "2/0", "1/1", "1/2"], vec![]),
            ("overtaken and caught up", vec!["1/1", "1/0", "1/2"], vec![]),
            ("missing, still running", vec!["1/0", "1/2"], vec![(1, 1, false, false)]),
            ("missing, stopped in order", vec!["1/0", "1/2", "stopped"], vec![(1, 1, false, true)]),
            ("first missing", vec!["7/1", "stopped", "log_opened", "7/0"], vec![(7, 0, false, true)]),
            ("crash, then a new run", vec!["1/0", "1/2", "log_opened", "1/0"], vec![(1, 1, false, false)]),
            ("handed over", vec!["started", "1/0", "continued", "started", "2/0", "1/1", "stopped", "2/1"], vec![]),
            (
                "handed over, and the second is still running",
                vec!["started", "1/0", "continued", "started", "2/1", "1/2", "stopped"],
                vec![(2, 0, false, false), (1, 1, false, false)],
            ),
            (
                "handed over, and both stopped",
                vec!["started", "1/0", "continued", "started", "1/2", "stopped", "stopped"],
                vec![(1, 1, false, true)],
            ),
            ("repeated", vec!["1/0", "1/0"], vec![(1, 0, true, true)]),
        ] {
            assert_eq!(run(&records), want, "{case}");
        }
    }
}
