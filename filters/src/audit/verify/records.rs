//! Reads the records files line by line, in order.

use super::{LogSource, VerifyError, read};
use crate::audit::leaf::{MAX_LINE, SEGMENT, records_path};

/// No writer makes a longer file.
const MAX_FILE: usize = SEGMENT + MAX_LINE;

/// The lines of all records files.
pub(super) struct Records<'s> {
    source: &'s dyn LogSource,
    number: u32,
    bytes: Vec<u8>,
    at: usize,
    next: Option<Vec<u8>>,
}

/// What comes next in the records files.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step<'r> {
    /// A line without its newline.
    Line(&'r [u8]),
    /// The last file ends in this many bytes without a newline.
    Torn(usize),
    End,
}

impl<'s> Records<'s> {
    pub(super) fn open(source: &'s dyn LogSource) -> Result<Self, VerifyError> {
        let load = |number| read(source, &records_path(number), MAX_FILE);
        Ok(Self { source, number: 0, bytes: load(0)?.unwrap_or_default(), at: 0, next: load(1)? })
    }

    /// The file that the last step came from.
    pub(super) fn file(&self) -> String {
        records_path(self.number)
    }

    pub(super) fn step(&mut self) -> Result<Step<'_>, VerifyError> {
        while self.at >= self.bytes.len() {
            let Some(next) = self.next.take() else { return Ok(Step::End) };
            self.number = self.number.saturating_add(1);
            (self.bytes, self.at) = (next, 0);
            let path = records_path(self.number.saturating_add(1));
            self.next = read(self.source, &path, MAX_FILE)?;
        }
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let (line, taken) = match memchr::memchr(b'\n', rest) {
            Some(end) => (rest.get(..end).unwrap_or_default(), end.saturating_add(1)),
            None => (rest, rest.len()),
        };
        self.at = self.at.saturating_add(taken);
        // Only the very end of the log may be torn; elsewhere an unfinished line is a line, and a bad one.
        let torn = line.len() == taken && self.next.is_none() && self.bytes.len() <= MAX_FILE;
        Ok(if torn { Step::Torn(taken) } else { Step::Line(line) })
    }
}
