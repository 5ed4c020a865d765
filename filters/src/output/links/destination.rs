//! The place of a destination in Markdown, where anything may be an address: `](…)`, `](<…>)`, `]: …`.

use super::Ahead;
use super::authority::{Authority, authority};
use super::peek::{Peek, peek};
use crate::output::hosts::{Hosts, Named, named};

/// Where a reader of Markdown is.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place {
    last: Option<char>,
    awaits: Option<Form>,
}

/// How a destination is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Behind `](`, until white space or a parenthesis.
    Inline,
    /// Behind `]:`, until white space.
    Definition,
    /// Behind one of them and `<`, until `>`.
    Pointed,
}

impl Place {
    pub(super) fn pass(&mut self, letter: char) {
        self.awaits = match (self.last, letter, self.awaits) {
            (Some(']'), '(', _) => Some(Form::Inline),
            (Some(']'), ':', _) => Some(Form::Definition),
            (_, '<', Some(_)) => Some(Form::Pointed),
            (_, letter, awaits) if letter.is_whitespace() => awaits,
            _ => None,
        };
        self.last = Some(letter);
    }

    /// What ends a destination that begins here.
    pub(super) fn closer(self) -> Option<char> {
        match self.awaits? {
            Form::Inline => Some(')'),
            Form::Pointed => Some('>'),
            Form::Definition => None,
        }
    }

    /// Whether `text` begins with a destination.
    pub(super) fn is_destination(self, text: &str) -> bool {
        let begins = |form| match form {
            Form::Inline => !text.starts_with(|c: char| c.is_whitespace() || matches!(c, '<' | ')')),
            Form::Definition => !text.starts_with(|c: char| c.is_whitespace() || c == '<'),
            Form::Pointed => !text.starts_with('>'),
        };
        self.awaits.is_some_and(begins)
    }
}

/// What becomes of a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Destination {
    Stays,
    /// It has so many bytes.
    Goes(usize),
    /// It has so many bytes by now, and has not ended.
    TooLong(usize),
    Open,
}

pub(super) fn destination(text: &str, place: Place, hosts: &Hosts, reach: usize, ahead: Ahead) -> Destination {
    let Some(form) = place.awaits else { return Destination::Stays };
    let Some(end) = end_of(text, form, reach) else {
        return match (text.len() >= reach, ahead) {
            (true, _) => Destination::TooLong(floor(text, reach)),
            (false, Ahead::Nothing) => judged(text, text.len(), hosts),
            (false, Ahead::More | Ahead::TooLate) => Destination::Open,
        };
    };
    judged(text.get(..end).unwrap_or(text), end, hosts)
}

/// The start of the character at `most`.
fn floor(text: &str, most: usize) -> usize {
    (0..=most.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// Where it ends, if that is within `reach`.
fn end_of(text: &str, form: Form, reach: usize) -> Option<usize> {
    let (mut escaped, mut depth) = (false, 0_usize);
    for (at, letter) in text.char_indices() {
        if at >= reach {
            return None;
        }
        match letter {
            _ if letter == '\n' || letter == '\r' => return Some(at),
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '>' if form == Form::Pointed => return Some(at),
            _ if form == Form::Pointed => {}
            _ if letter.is_whitespace() || letter.is_control() => return Some(at),
            '(' if form == Form::Inline => depth += 1,
            ')' if form == Form::Inline && depth == 0 => return Some(at),
            ')' if form == Form::Inline => depth -= 1,
            _ => {}
        }
    }
    None
}

fn judged(written: &str, length: usize, hosts: &Hosts) -> Destination {
    let read = meant(written);
    if stays(&read, hosts) { Destination::Stays } else { Destination::Goes(length) }
}

/// What is written, with escapes and entities as what they stand for, and without what readers of URLs leave out.
fn meant(written: &str) -> String {
    let mut out = String::with_capacity(written.len());
    let mut rest = written;
    while let Some(first) = rest.chars().next() {
        let second = rest.chars().nth(1);
        let (letter, length) = match (first, second) {
            ('\\', Some(mark)) if mark.is_ascii_punctuation() => (mark, 1 + mark.len_utf8()),
            _ => match peek(rest, Ahead::Nothing) {
                Peek::Char(letter, length) => (letter, length),
                Peek::End | Peek::Open => (first, first.len_utf8()),
            },
        };
        if !letter.is_control() {
            out.push(letter);
        }
        rest = rest.get(length..).unwrap_or_default();
    }
    out
}

/// Whether a destination leads to a host that is allowed, or nowhere but where its text is shown.
fn stays(read: &str, hosts: &Hosts) -> bool {
    let read = read.trim();
    let scheme = read.bytes().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.')).count();
    if let Some(behind) = read.get(scheme..).and_then(|behind| behind.strip_prefix(':')) {
        let name = read.get(..scheme).unwrap_or_default();
        let web = ["http", "https"].iter().any(|known| known.eq_ignore_ascii_case(name));
        return match behind.strip_prefix("//") {
            Some(host) if web => is_allowed(host, hosts),
            // `[1]: note: …` names no address.
            _ => behind.is_empty(),
        };
    }
    if read.starts_with(['/', '\\']) && read.get(1..).is_some_and(|next| next.starts_with(['/', '\\'])) {
        return read.strip_prefix("//").is_some_and(|host| is_allowed(host, hosts));
    }
    // For a reader of Markdown it leads to a place beside the text. For others it may be a host.
    let name = read.split(['/', '\\', '?', '#', ':']).next().unwrap_or_default();
    let more = read.get(name.len()..).is_some_and(|behind| behind.starts_with(['/', '\\', '?', ':']));
    match named(name) {
        Named::Nothing => true,
        Named::Host => is_allowed(read, hosts),
        Named::HostOfTwo => !more || is_allowed(read, hosts),
    }
}

fn is_allowed(text: &str, hosts: &Hosts) -> bool {
    let end = text.find(['/', '?', '#']).unwrap_or(text.len());
    let host = text.get(..end).unwrap_or_default();
    // Of the marks that end words in a text none does here.
    let whole = host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b':'));
    whole && matches!(authority(host, None, hosts, Ahead::Nothing), Authority::Allowed(length) if length == host.len())
}
