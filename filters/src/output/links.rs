//! Links in a text, as it arrives: what leads to a host that is not allowed is taken out, from where it begins.
//!
//! Three things lead somewhere: what has a scheme (`https://host`), what has none but two slashes (`//host`) or the form of a host
//! (`www.host`, `host.com/path`), and whatever stands in the place of a destination of Markdown (`](…)`, `]: …`), where escapes and
//! entities count as what they stand for. A host that is allowed is one that every reader of URLs agrees on: letters, digits,
//! hyphens and dots, and behind it a slash, `?`, `#`, a port or the end of the word. Everything else is not allowed.
//!
//! Addresses in HTML are those of tags, of which none is left here.

mod authority;
mod destination;
mod peek;

use std::ops::Range;
use std::sync::Arc;

use super::hosts::{Hosts, Named, Scheme, named, scheme};
use super::markup::Sink;
use authority::{Authority, authority};
use destination::{Destination, Place, destination};
use peek::{Peek, peek};

/// What stands instead of a link. No URL, and no white space.
pub(super) const LABEL: &str = "[redacted:link]";

/// Bytes of a scheme, or of a name of a host.
const LONGEST_WORD: usize = 256;
/// Slashes behind a scheme: readers skip as many as there are.
const MOST_SLASHES: usize = 16;

/// What may follow of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ahead {
    More,
    /// What is there is all.
    Nothing,
    /// More may come, and is not waited for.
    TooLate,
}

/// The state on one text.
#[derive(Debug)]
pub(super) struct Reader {
    hosts: Arc<Hosts>,
    /// Bytes of a destination.
    reach: usize,
    /// Begins where it is not known yet whether a link begins.
    held: String,
    /// Bytes taken before what is held.
    position: usize,
    place: Place,
    last: Option<char>,
    /// Behind the host of a link that stays.
    in_link: bool,
    /// In a link that is taken out.
    dropping: bool,
}

/// What was decided about the beginning of what is held.
enum Step {
    /// So many bytes stay.
    Keep(usize),
    /// So many bytes are a link that stays, up to the end of its host.
    Link(usize),
    /// So many bytes stay, and then the link up to the second number goes, and all that follows of it.
    Drop(usize, usize),
    /// So many bytes go: a destination as a whole.
    Cut(usize),
    /// More has to be known. Whether it is evident that a link begins after so many bytes.
    Wait(Option<usize>),
}

impl Reader {
    pub(super) fn new(hosts: &Arc<Hosts>, reach: usize) -> Self {
        Self {
            hosts: Arc::clone(hosts),
            reach,
            held: String::new(),
            position: 0,
            place: Place::default(),
            last: None,
            in_link: false,
            dropping: false,
        }
    }

    pub(super) fn push(&mut self, text: &str, out: &mut Sink) {
        self.held.push_str(text);
        self.read(Ahead::More, out);
    }

    pub(super) fn finish(&mut self, out: &mut Sink) {
        self.read(Ahead::Nothing, out);
    }

    /// What evidently is a link counts as one that leads elsewhere; all else is let go.
    pub(super) fn stall(&mut self, out: &mut Sink) {
        self.read(Ahead::TooLate, out);
    }

    pub(super) fn is_holding(&self) -> bool {
        !self.held.is_empty()
    }

    fn read(&mut self, ahead: Ahead, out: &mut Sink) {
        let held = std::mem::take(&mut self.held);
        let mut rest = held.as_str();
        while !rest.is_empty() {
            if self.dropping {
                let end = rest.find(ends_link).unwrap_or(rest.len());
                self.position += end;
                rest = rest.get(end..).unwrap_or_default();
                self.dropping = rest.is_empty();
                continue;
            }
            let step = match self.step(rest, ahead) {
                Step::Wait(_) if ahead == Ahead::More => {
                    self.held = rest.to_owned();
                    return;
                }
                Step::Wait(Some(begin)) => Step::Drop(begin, rest.len()),
                Step::Wait(None) => Step::Keep(rest.len()),
                known => known,
            };
            let taken = match step {
                Step::Keep(length) => {
                    let first = rest.chars().next().map_or(0, char::len_utf8);
                    self.keep(rest, length.max(first), out)
                }
                Step::Link(length) => {
                    let taken = self.keep(rest, length, out);
                    self.in_link = true;
                    taken
                }
                Step::Drop(begin, end) => {
                    let kept = self.keep(rest, begin, out);
                    self.drop(self.position..self.position + (end - kept), out);
                    self.dropping = true;
                    end
                }
                Step::Cut(length) => {
                    self.drop(self.position..self.position + length, out);
                    length
                }
                Step::Wait(_) => rest.len(),
            };
            rest = rest.get(taken..).unwrap_or_default();
        }
    }

    fn keep(&mut self, text: &str, length: usize, out: &mut Sink) -> usize {
        let kept = text.get(..length).unwrap_or(text);
        for letter in kept.chars() {
            self.place.pass(letter);
            self.in_link &= !ends_link(letter) && !matches!(letter, '(' | '[' | '{' | ',' | ';') && letter.is_ascii();
            self.last = Some(letter);
        }
        out.text.push_str(kept);
        self.position += kept.len();
        kept.len()
    }

    fn drop(&mut self, range: Range<usize>, out: &mut Sink) {
        self.position = range.end;
        out.found.push(range);
        out.text.push_str(LABEL);
        (self.last, self.in_link, self.place) = (Some(']'), false, Place::default());
    }

    /// Decides about the beginning of `text`, which is not empty.
    fn step(&self, text: &str, ahead: Ahead) -> Step {
        if self.place.is_destination(text) {
            match destination(text, self.place, &self.hosts, self.reach, ahead) {
                // As a destination. A reader that knows no Markdown may still find a link in it.
                Destination::Stays => {}
                Destination::Goes(length) => return Step::Cut(length),
                Destination::TooLong(length) => return Step::Drop(0, length),
                Destination::Open => return Step::Wait(Some(0)),
            }
        }
        let Some(first) = text.chars().next() else { return Step::Keep(0) };
        match first {
            '/' | '\\' => self.slashes(text, ahead),
            '&' => match peek(text, ahead) {
                Peek::Open => Step::Wait(None),
                Peek::Char('/' | '\\', _) => self.slashes(text, ahead),
                Peek::Char(_, length) => Step::Keep(length),
                Peek::End => Step::Keep(first.len_utf8()),
            },
            _ if is_of_word(first) => self.word(text, ahead),
            _ => Step::Keep(first.len_utf8()),
        }
    }

    /// A word, and whether it is the scheme or the host of a link.
    fn word(&self, text: &str, ahead: Ahead) -> Step {
        let long = |(at, letter): &(usize, char)| !is_of_word(*letter) || *at >= LONGEST_WORD;
        let end = text.char_indices().find(long).map_or(text.len(), |(at, _)| at);
        let (word, behind) = text.split_at_checked(end).unwrap_or((text, ""));
        if end >= LONGEST_WORD {
            return Step::Keep(end);
        }
        let (next, length) = match peek(behind, ahead) {
            Peek::Open => return Step::Wait(self.evidence(word)),
            Peek::Char(next, length) => (Some(next), length),
            Peek::End => (None, 0),
        };
        if next == Some(':') {
            let behind = behind.get(length..).unwrap_or_default();
            if let Some(step) = self.scheme(word, end + length, behind, ahead) {
                return step;
            }
        }
        self.host(word, text, ahead).unwrap_or(Step::Keep(end))
    }

    /// Whether a word by itself is evidently a link.
    fn evidence(&self, word: &str) -> Option<usize> {
        (self.may_begin_host() && named(word) == Named::Host).then_some(0)
    }

    /// A scheme at the end of `word`. `behind` is what follows the colon, which ends at `colon`.
    fn scheme(&self, word: &str, colon: usize, behind: &str, ahead: Ahead) -> Option<Step> {
        let is_of_scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        let from =
            word.char_indices().rev().take_while(|(_, c)| is_of_scheme(*c)).last().map_or(word.len(), |(at, _)| at);
        let name = word.get(from..)?.trim_start_matches(|c: char| !c.is_ascii_alphabetic());
        if name.is_empty() {
            return None;
        }
        let begin = word.len() - name.len();
        let kind = scheme(name);
        let (mut at, mut slashes, mut forward) = (0, 0, 0);
        let plain = behind.starts_with("//");
        loop {
            let rest = behind.get(at..).unwrap_or_default();
            match peek(rest, ahead) {
                Peek::Open => {
                    return Some(Step::Wait((slashes > 0 || kind == Scheme::Never && at > 0).then_some(begin)));
                }
                Peek::Char(slash @ ('/' | '\\'), length) if slashes < MOST_SLASHES => {
                    (at, slashes) = (at + length, slashes + 1);
                    forward += usize::from(slash == '/');
                }
                Peek::Char(next, _) if slashes == 0 => {
                    if kind == Scheme::Never && !next.is_whitespace() {
                        return Some(Step::Drop(begin, colon));
                    }
                    return if name.eq_ignore_ascii_case("data") { data(rest, begin, colon, ahead) } else { None };
                }
                Peek::Char(..) | Peek::End => break,
            }
        }
        match (kind, slashes) {
            (_, 0) => None,
            (Scheme::Web, 2) if plain => {
                let closer = if begin == 0 { self.closer() } else { None };
                Some(match authority(behind.get(2..).unwrap_or_default(), closer, &self.hosts, ahead) {
                    Authority::Allowed(length) => Step::Link(colon + 2 + length),
                    Authority::Foreign(length) => Step::Drop(begin, colon + 2 + length),
                    Authority::Open => Step::Wait(Some(begin)),
                })
            }
            (Scheme::Web | Scheme::Never | Scheme::Special, _) => Some(Step::Drop(begin, colon + at)),
            // Not `C:\folder` or `note:/path`.
            (Scheme::Other, _) => (forward > 1).then_some(Step::Drop(begin, colon + at)),
        }
    }

    /// What ends a link that begins here, for every reader that takes it for one.
    fn closer(&self) -> Option<char> {
        self.place.closer().or(self.last.filter(|quote| matches!(quote, '"' | '\'' | '`')))
    }

    /// Whether a host may begin here: not in a path, an address of mail or a longer name.
    fn may_begin_host(&self) -> bool {
        !self.in_link && !self.last.is_some_and(|c| c.is_alphanumeric() || "./:\\-_@".contains(c))
    }

    /// A host without a scheme, at the beginning of `text`.
    fn host(&self, word: &str, text: &str, ahead: Ahead) -> Option<Step> {
        if !self.may_begin_host() {
            return None;
        }
        let begin = word.find(|c: char| c.is_alphanumeric())?;
        let name = word.get(begin..)?;
        let counts = match named(name) {
            Named::Nothing => false,
            Named::Host => true,
            Named::HostOfTwo => match tells_more(text.get(word.len()..).unwrap_or_default(), ahead) {
                Some(more) => more,
                None => return Some(Step::Wait(None)),
            },
        };
        // `someone@example.com`.
        if !counts || text.get(word.len()..).is_some_and(|behind| behind.starts_with('@')) {
            return None;
        }
        Some(self.led(text, begin, 0, ahead))
    }

    /// Two slashes, and what follows them.
    fn slashes(&self, text: &str, ahead: Ahead) -> Step {
        let (mut at, mut count) = (0, 0);
        loop {
            match peek(text.get(at..).unwrap_or_default(), ahead) {
                Peek::Open => return Step::Wait(None),
                Peek::Char('/' | '\\', length) if count < MOST_SLASHES => (at, count) = (at + length, count + 1),
                Peek::Char(..) | Peek::End => break,
            }
        }
        let last = self.last;
        if count < 2 || self.in_link || last.is_some_and(|c| c.is_alphanumeric() || c == ':') {
            return Step::Keep(at);
        }
        let behind = text.get(at..).unwrap_or_default();
        let end = behind.char_indices().find(|(at, c)| !is_of_word(*c) || *at >= LONGEST_WORD);
        let Some((end, _)) = end.or(Some((behind.len(), ' ')).filter(|_| ahead != Ahead::More)) else {
            return Step::Wait(None);
        };
        let word = behind.get(..end).unwrap_or_default();
        let in_value = last.is_some_and(|c| matches!(c, '(' | '"' | '\'' | '=')) && text.starts_with("//");
        let counts = match named(word) {
            _ if word.is_empty() => false,
            _ if in_value => true,
            Named::Nothing => false,
            Named::Host => true,
            Named::HostOfTwo => match tells_more(behind.get(end..).unwrap_or_default(), ahead) {
                Some(more) => more,
                None => return Step::Wait(None),
            },
        };
        if counts { self.led(text, at, at, ahead) } else { Step::Keep(at) }
    }

    /// A link whose host begins at `host`. What goes, if it goes, begins `before` bytes before that.
    fn led(&self, text: &str, host: usize, before: usize, ahead: Ahead) -> Step {
        let begin = host - before;
        match authority(text.get(host..).unwrap_or_default(), self.closer(), &self.hosts, ahead) {
            Authority::Allowed(length) => Step::Link(host + length),
            Authority::Foreign(length) => Step::Drop(begin, host + length),
            Authority::Open => Step::Wait(Some(begin)),
        }
    }
}

/// `data:` is a word as well: it leads somewhere where a media type follows.
fn data(behind: &str, begin: usize, colon: usize, ahead: Ahead) -> Option<Step> {
    const KINDS: [&str; 8] = ["text", "image", "application", "audio", "video", "font", "model", "multipart"];
    let kind = KINDS.into_iter().find(|kind| {
        let common = kind.len().min(behind.len());
        match (behind.get(..common), kind.get(..common)) {
            (Some(a), Some(b)) => a.eq_ignore_ascii_case(b),
            _ => false,
        }
    })?;
    match behind.as_bytes().get(kind.len()) {
        Some(b'/') => Some(Step::Drop(begin, colon)),
        Some(_) => None,
        None if ahead == Ahead::More => Some(Step::Wait(None)),
        None => None,
    }
}

/// Whether a path or a query follows a host, behind a port or not. `None` where more has to be known.
fn tells_more(behind: &str, ahead: Ahead) -> Option<bool> {
    let digits = behind.strip_prefix(':').map(|port| port.bytes().take_while(u8::is_ascii_digit).count());
    let behind = digits
        .filter(|count| (1..=5).contains(count))
        .map_or(behind, |count| behind.get(count + 1..).unwrap_or_default());
    let open = |text: &str| text.is_empty() && ahead == Ahead::More;
    if open(behind) || behind == ":" && ahead == Ahead::More {
        return None;
    }
    match peek(behind, ahead) {
        Peek::Open => None,
        Peek::Char('/' | '\\', _) => Some(true),
        Peek::Char('?', length) => {
            let query = behind.get(length..).unwrap_or_default();
            if open(query) { None } else { Some(query.starts_with(|c: char| c.is_alphanumeric())) }
        }
        Peek::Char(..) | Peek::End => Some(false),
    }
}

fn is_of_word(letter: char) -> bool {
    letter.is_alphanumeric() || matches!(letter, '+' | '-' | '.' | '_')
}

/// Where the rest of a link that is taken out ends.
fn ends_link(letter: char) -> bool {
    letter.is_whitespace()
        || letter.is_control()
        || matches!(letter, '<' | '>' | '"' | '\'' | '`' | ')' | ']' | '}' | '|')
}
