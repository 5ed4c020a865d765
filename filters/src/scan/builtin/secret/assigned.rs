//! A value that is a credential because of the name it is given to: `DB_PASSWORD=…`, `"apiKey": "…"`, `--token …`.
//!
//! A candidate begins at the sign between name and value, which ordinary text has seldom; the name is read backwards
//! from there. What has a vendor in its name may have that vendor's form (32 hexadecimal digits are a key of Datadog's
//! and a digest of everybody else's); any other value has to look random.

use super::format::distinct;
use super::looks::{chosen, is_password, is_random};
use super::vendors::VENDORS;
use crate::scan::pattern::{Candidate, Shape};

#[rustfmt::skip]
const WORDS: &[&[u8]] = &[
    b"password", b"passwd", b"passphrase", b"passcode", b"pwd", b"secret", b"token", b"apikey", b"accesskey",
    b"authkey", b"privatekey", b"secretkey", b"signingkey", b"encryptionkey", b"masterkey", b"sharedkey",
    b"accountkey", b"credential", b"credentials", b"clientkey", b"appkey", b"servicekey", b"sessionkey",
    b"storagekey", b"jwtkey", b"kennwort", b"passwort", b"motdepasse", b"wachtwoord", b"senha", b"dbpass",
    b"userpass", b"mysqlpass", b"smtppass",
];

/// Names that end like a credential and are none.
#[rustfmt::skip]
const INNOCENT: &[&[u8]] = &[
    b"public", b"csrf", b"xsrf", b"authenticity", b"nexttoken", b"pagetoken", b"nextpage", b"synctoken",
    b"continuation", b"cancellation", b"idempotency", b"dsn", b"pubkey", b"resettoken", b"numtoken", b"maxtoken",
    b"stoptoken",
];

/// In what stands before the password of a connection string.
const CONNECTION: &[&[u8]] = &[b";user", b";uid", b"user id=", b"server=", b"data source="];

/// A value behind `=`, `:` or `>`.
pub(super) const SHAPE: Shape = Shape {
    pattern: r#"(?-u:[=:>]>?[ \t]{0,8}(?:\\?["'`][^\x00-\x20"'`<>\\\x7f-\xff]{8,}|[^\x00-\x20"'`<>,;|&(){}\[\]\\\x7f-\xff]{8,}))"#,
    check: assigned,
    whole: true,
};

/// A value behind a name on a command line, in a file for netrc, or in a sentence.
pub(super) const SPOKEN: Shape = Shape {
    pattern: r#"(?-u:(?:\B--(?:[a-z]{1,12}-){0,3}(?:password|passwd|passphrase|secret|token|api-?key|access-?key)|\blogin [!-~]{1,64}\s{1,4}password|\b(?i:password|passphrase|passcode|passwd|api key|secret key|access key|access token|api token|auth token) (?:is|was|will be|should be)(?: now| set to)?:?|\bIDENTIFIED BY) {1,2}["'`]?[^\x00-\x20"'`<>,;|&(){}\[\]\\\x7f-\xff]{8,})"#,
    check: |c| {
        let value = c.text.get(spoken_value(c.text)..)?;
        (value.len() <= MAX && chosen(value) && is_password(value)).then_some(85)
    },
    whole: true,
};

/// `curl -u name:password`.
pub(super) const USER: Shape = Shape {
    pattern: r#"(?-u:\B(?:-u|--user) ["']?[^\x00-\x20"'`<>${}:\x7f-\xff]{1,64}:[^\x00-\x20"'`<>${}\x7f-\xff]{8,})"#,
    check: |c| {
        let value = c.text.get(spoken_value(c.text)..)?;
        (value.len() <= MAX && chosen(value) && is_password(value)).then_some(85)
    },
    whole: true,
};

/// A longer value is a document, not a credential; one with a form is found by it.
const MAX: usize = 200;

fn assigned(candidate: Candidate<'_>) -> Option<u8> {
    let value = candidate.text.get(value_at(candidate.text)..)?;
    if value.len() > MAX || value.len() < 8 {
        return None;
    }
    let name = Name::before(candidate.before)?;
    if let Some(vendor) = VENDORS.iter().find(|vendor| vendor.words.iter().any(|word| name.has(word.as_bytes())))
        && (vendor.accepts)(value)
        && chosen(value)
        && distinct(value) >= 6
        && name.is_of_credential(true)
    {
        return Some(90);
    }
    if !name.is_of_credential(false) || !chosen(value) {
        return None;
    }
    // A connection string says what its password is, however bad it is.
    let lower = candidate.before.to_ascii_lowercase();
    let connects = candidate.text.starts_with(b"=") && CONNECTION.iter().any(|word| holds(&lower, word));
    (connects || is_random(value) || name.is_of_password() && is_password(value)).then_some(85)
}

/// Where the value begins: behind the sign, spaces and an opening quote.
pub(super) fn value_at(text: &[u8]) -> usize {
    text.iter().take_while(|b| matches!(b, b'=' | b':' | b'>' | b' ' | b'\t' | b'\\' | b'"' | b'\'' | b'`')).count()
}

/// Where the last word begins, of a user and a password the password.
pub(super) fn spoken_value(text: &[u8]) -> usize {
    let word = text.iter().rposition(|b| matches!(b, b' ' | b'\n' | b'"' | b'\'' | b'`')).map_or(0, |at| at + 1);
    let user = text.starts_with(b"-u") || text.starts_with(b"--user ");
    let colon = text.get(word..).and_then(|rest| memchr::memchr(b':', rest)).filter(|_| user);
    colon.map_or(word, |at| word + at + 1)
}

/// The name before the sign: letters and digits alone, in lower case.
struct Name(Vec<u8>);

impl Name {
    const MAX: usize = 48;

    fn before(before: &[u8]) -> Option<Self> {
        let (name, rest) = last_word(before)?;
        // `- name: DB_PASSWORD\n  value: …` and `<add key="password" value="…">`.
        if name.eq_ignore_ascii_case(b"value")
            || name.eq_ignore_ascii_case(b"val")
            || name.eq_ignore_ascii_case(b"default")
        {
            return Some(Self::of(last_word(rest)?.0));
        }
        Some(Self::of(name))
    }

    fn of(word: &[u8]) -> Self {
        let kept = word.iter().filter(|b| b.is_ascii_alphanumeric()).map(u8::to_ascii_lowercase);
        let mut name: Vec<u8> = kept.collect();
        while name.len() > 1 && name.last().is_some_and(u8::is_ascii_digit) {
            name.pop();
        }
        Self(name)
    }

    fn has(&self, word: &[u8]) -> bool {
        holds(&self.0, word)
    }

    /// `of_vendor`: any key of somebody who is named is meant.
    fn is_of_credential(&self, of_vendor: bool) -> bool {
        let ends = WORDS.iter().any(|word| self.0.ends_with(word)) || of_vendor && self.0.ends_with(b"key");
        let exact = self.0 == b"pass" || self.0 == b"pw" || self.0 == b"pat" || self.0 == b"authorization";
        (ends || exact) && !INNOCENT.iter().any(|word| self.has(word))
    }

    fn is_of_password(&self) -> bool {
        [&b"pass"[..], b"pwd", b"pw", b"kennwort", b"senha"].iter().any(|word| self.has(word))
    }
}

/// The last name in `before`, and what stands before it.
fn last_word(before: &[u8]) -> Option<(&[u8], &[u8])> {
    let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    let between = |b: u8| {
        matches!(b, b' ' | b'\t' | b'\n' | b'\r' | b'"' | b'\'' | b'`' | b'\\' | b']' | b')' | b':' | b'=' | b',')
    };
    let end = before.len() - before.iter().rev().take_while(|b| between(**b)).count();
    let named = before.get(..end)?;
    let length = named.iter().rev().take(Name::MAX).take_while(|b| is_name(**b)).count();
    let (rest, name) = named.split_at(end - length);
    (!name.is_empty()).then_some((name, rest))
}

pub(super) fn holds(text: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(text, part).is_some()
}
