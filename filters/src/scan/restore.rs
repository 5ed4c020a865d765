//! Puts values back where a model speaks of their tokens, in a text that comes in pieces.
//!
//! Only tokens of this exchange, and only where a reader sees them: what stands in a URL, in the destination of a link or inside
//! of a tag stays a token, as whoever follows it would tell the value to somebody else. Where that is not sure, it stays too.

use std::collections::BTreeMap;
use std::sync::Arc;

use postern_config::{Part, Redacted};

use super::ContentGuards;
use super::tokens::{MAX_TOKEN, PREFIX, Tokens};
use crate::text::{TextGuard, TextGuards, TextStep};
use crate::Judgement;

/// Values by their tokens.
pub(crate) type Values = Arc<BTreeMap<String, Redacted<String>>>;

/// What may be put back into answers that `guards` judge: a value that another detector of theirs would take out stays away.
pub(crate) fn values(tokens: &Tokens, guards: Option<&ContentGuards>) -> Values {
    Arc::new(tokens.back(|detector, value| {
        let findings = guards.map(|guards| guards.findings(Part::Assistant, value)).unwrap_or_default();
        findings.iter().all(|one| one.action.keeps() || one.guard.starts_with("data/") && one.detector == detector)
    }))
}

/// Whether tokens in a text of this part are put back. What a tool is called with is not for the caller to read.
pub(crate) fn is_restored(part: Part) -> bool {
    part == Part::Assistant
}

/// The state on one text.
#[derive(Default)]
pub(crate) struct Restorer {
    values: Values,
    /// What may be the beginning of a token, or is one of which it is not known what follows.
    held: String,
    place: Place,
}

/// Shows lengths, never text.
impl std::fmt::Debug for Restorer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Restorer({} values, {} bytes held)", self.values.len(), self.held.len())
    }
}

impl Restorer {
    pub(crate) fn new(values: &Values) -> Self {
        Self { values: Arc::clone(values), ..Self::default() }
    }

    /// What may leave of the text so far.
    pub(crate) fn push(&mut self, text: &str) -> String {
        self.held.push_str(text);
        self.release(false)
    }

    /// The text has ended, or is not waited for any longer.
    pub(crate) fn finish(&mut self) -> String {
        self.release(true)
    }

    pub(crate) fn is_holding(&self) -> bool {
        !self.held.is_empty()
    }

    fn release(&mut self, ended: bool) -> String {
        let held = std::mem::take(&mut self.held);
        let (mut out, mut rest) = (String::with_capacity(held.len()), held.as_str());
        loop {
            let Some(at) = begins(rest, ended) else {
                self.place.pass(rest);
                out.push_str(rest);
                return out;
            };
            let (before, from) = rest.split_at(at);
            self.place.pass(before);
            out.push_str(before);
            let run = from.bytes().take(MAX_TOKEN + 1).take_while(|byte| is_of_token(*byte)).count();
            let whole = run > MAX_TOKEN || ended || from.len() > run && follows(&from[run..]).is_some();
            if !whole {
                self.held = from.to_owned();
                return out;
            }
            let (token, behind) = from.split_at(run);
            match self.values.get(token) {
                Some(value) if self.place.is_open() && follows(behind).unwrap_or(true) => {
                    out.push_str(value.expose());
                    // The reader's place is that of the token: what the value holds opens nothing.
                    self.place.pass(PREFIX);
                }
                _ => {
                    self.place.pass(token);
                    out.push_str(token);
                }
            }
            rest = behind;
        }
    }
}

/// Where a token may begin; without an end, also where only a part of the prefix is there.
fn begins(text: &str, ended: bool) -> Option<usize> {
    if let Some(at) = text.find(PREFIX) {
        return Some(at);
    }
    let partial = |length: &usize| PREFIX.get(..*length).is_some_and(|start| text.ends_with(start));
    let length = (1..PREFIX.len()).rev().find(partial).filter(|_| !ended)?;
    Some(text.len() - length)
}

fn is_of_token(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-')
}

/// Whether what follows lets a value stand before it: it must not go on as a host, a path or a mailbox. `None` where more of it
/// has to be read.
fn follows(behind: &str) -> Option<bool> {
    let mut next = behind.chars();
    match next.next() {
        None => None,
        Some('/' | '\\' | '?' | '=' | '&' | '%' | '#' | '@') => Some(false),
        Some('.' | ':' | ',' | ';' | '!' | ')') => match next.next() {
            None => None,
            Some(c) => Some(!(c.is_alphanumeric() || matches!(c, '/' | '\\'))),
        },
        Some(c) => Some(!c.is_alphanumeric()),
    }
}

/// Where in a text of Markdown or HTML a reader is.
#[derive(Debug, Default)]
struct Place {
    last: Option<char>,
    /// The run of characters without a space may be a URL.
    in_url: bool,
    /// Behind `](`, until the parenthesis is closed.
    in_destination: bool,
    /// Behind `<` and a letter, until `>`.
    in_tag: bool,
}

impl Place {
    fn is_open(&self) -> bool {
        !self.in_url && !self.in_destination && !self.in_tag && !self.last.is_some_and(char::is_alphanumeric)
    }

    fn pass(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '(' if self.last == Some(']') => self.in_destination = true,
                ')' => self.in_destination = false,
                '>' => self.in_tag = false,
                _ if self.last == Some('<') && (c.is_alphabetic() || matches!(c, '/' | '!' | '?')) => self.in_tag = true,
                _ => {}
            }
            if c.is_whitespace() {
                self.in_url = false;
            } else if matches!(c, '/' | '\\' | '?' | '=' | '&' | '%' | '#' | '@') || c == ':' && self.last == Some(']') {
                self.in_url = true;
            }
            self.last = Some(c);
        }
    }
}

/// Guards whose released text has its values put back.
#[derive(Debug)]
pub(crate) struct Restoring {
    pub(crate) inner: Arc<dyn TextGuards>,
    pub(crate) values: Values,
}

impl TextGuards for Restoring {
    fn judge(&self, part: Part, text: &str) -> Judgement {
        self.inner.judge(part, text)
    }

    fn open(&self, part: Part) -> Box<dyn TextGuard> {
        let inner = self.inner.open(part);
        if !is_restored(part) || self.values.is_empty() {
            return inner;
        }
        Box::new(Stream { inner, restorer: Restorer::new(&self.values) })
    }
}

#[derive(Debug)]
struct Stream {
    inner: Box<dyn TextGuard>,
    restorer: Restorer,
}

impl Stream {
    fn put_back(&mut self, step: TextStep, ended: bool) -> TextStep {
        if step.blocked {
            return step;
        }
        let mut release = self.restorer.push(&step.release);
        if ended {
            release.push_str(&self.restorer.finish());
        }
        TextStep { release, ..step }
    }
}

impl TextGuard for Stream {
    fn push(&mut self, text: &str) -> TextStep {
        let step = self.inner.push(text);
        self.put_back(step, false)
    }

    fn finish(&mut self) -> TextStep {
        let step = self.inner.finish();
        self.put_back(step, true)
    }

    /// Half a token is let go as it is: it tells nothing.
    fn stall(&mut self) -> TextStep {
        let step = self.inner.stall();
        self.put_back(step, true)
    }

    fn is_holding(&self) -> bool {
        self.inner.is_holding() || self.restorer.is_holding()
    }
}
