//! What a value looks like: drawn by a machine, chosen by a person, or put there to be replaced.

use super::assigned::holds;
use super::format::{distinct, is_placeholder};

/// In a value that only says where the real one is.
#[rustfmt::skip]
const REFERENCES: &[&[u8]] = &[
    b"://", b"sha1-", b"sha256", b"sha384", b"sha512", b"md5", b"env.", b"getenv", b"process.", b"secrets.",
    b"vault:", b"arn:", b"data:", b"base64,", b"${", b"{{",
];

/// In a value that somebody wrote to show where one goes.
#[rustfmt::skip]
const WRITTEN: &[&[u8]] = &[
    b"password", b"passwd", b"passwort", b"secret", b"token", b"api_key", b"apikey", b"api-key", b"changeit",
    b"foobar", b"-----begin", b"credential",
];

/// In a value that somebody typed along the keyboard.
const SHOWN: &[&[u8]] = &[b"12345678", b"1234-1234", b"abcdefg", b"abc123", b"qwerty", b"..."];

/// How often at most a character is repeated at once.
fn longest_run(value: &[u8]) -> usize {
    value.chunk_by(|a, b| a == b).map(<[u8]>::len).max().unwrap_or(0)
}

/// A value, and not the place where one goes, or where to find it.
pub(super) fn chosen(value: &[u8]) -> bool {
    let lower = value.to_ascii_lowercase();
    let refers = matches!(value, [b'$', b'{' | b'(' | b'A'..=b'Z' | b'a'..=b'z' | b'_' | b'@', ..] | [b'%', b'(' | b'{', ..])
        || matches!(
            value,
            [b'{' | b'<' | b'[' | b'(' | b'/' | b'~', b'{' | b'<' | b'[' | b'a'..=b'z' | b'.' | b'/', ..]
        )
        || REFERENCES.iter().any(|mark| holds(&lower, mark));
    let written = WRITTEN.iter().any(|word| holds(&lower, word) && lower.len() < word.len() + 14);
    let shown = value.ends_with(b"..") || SHOWN.iter().any(|part| holds(&lower, part)) || longest_run(value) >= 6;
    !refers && !written && !shown && !is_placeholder(value) && !is_identifier(value)
}

/// `prod_…`, `req_…`: what vendors call their objects, which is no secret.
fn is_identifier(value: &[u8]) -> bool {
    #[rustfmt::skip]
    const OBJECTS: &[&[u8]] = &[
        b"prod", b"req", b"cus", b"evt", b"ch", b"pi", b"in", b"sub", b"price", b"acct", b"txn", b"re", b"card",
        b"src", b"seti", b"cs", b"msg", b"run", b"thread", b"asst", b"call", b"file", b"resp", b"chatcmpl", b"org",
        b"user", b"usr", b"proj", b"ord", b"inv", b"pm", b"po", b"si", b"plan", b"batch", b"toolu", b"pk", b"trace",
        b"span", b"sess",
    ];
    let Some(at) = memchr::memchr(b'_', value) else { return false };
    let (prefix, rest) = value.split_at(at);
    let rest = rest.get(1..).unwrap_or_default();
    OBJECTS.contains(&prefix) && rest.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_')
}

/// Drawn by a machine: many different characters of several kinds that form no words, and no digest or number.
pub(super) fn is_random(value: &[u8]) -> bool {
    let kinds = kinds(value);
    let plain = kinds < 3;
    value.len() >= if plain { 20 } else { 12 }
        && (distinct(value) as usize) >= (value.len() / 2).clamp(8, 14)
        && kinds >= 2
        && value.iter().any(|b| b.is_ascii_digit() || is_odd(*b))
        && !is_digest(value)
        && words(value) * 10 <= value.len() * if kinds == 4 { 5 } else { 4 }
        && (!plain || changes(value) >= 6)
}

/// A sign that names and paths of programs do not have.
fn is_odd(b: u8) -> bool {
    b.is_ascii_punctuation() && !matches!(b, b'.' | b'_' | b'-' | b'/' | b':' | b'=')
}

/// Chosen by a person who was told what a password has: short, but of three kinds of characters.
pub(super) fn is_password(value: &[u8]) -> bool {
    let mixed = kinds(value) >= 3 && value.iter().any(u8::is_ascii_digit) && value.len() < 40;
    let path = value.iter().filter(|b| matches!(b, b'/' | b'.' | b'\\')).count() >= 2;
    mixed && !path && !is_digest(value) && distinct(value) >= 6
}

/// Lower case, upper case, digits, signs: how many of them.
fn kinds(value: &[u8]) -> usize {
    let kinds: [fn(&u8) -> bool; 4] =
        [u8::is_ascii_lowercase, u8::is_ascii_uppercase, u8::is_ascii_digit, u8::is_ascii_punctuation];
    kinds.iter().filter(|kind| value.iter().any(*kind)).count()
}

/// Digests, UUIDs, traces, dates and versions.
fn is_digest(value: &[u8]) -> bool {
    let separator = |b: &u8| matches!(b, b'-' | b':' | b'.' | b'_' | b'/' | b'+' | b'T' | b'Z' | b'=');
    value.iter().all(|b| b.is_ascii_hexdigit() || separator(b))
}

/// Characters in runs of small letters, as words have them.
fn words(value: &[u8]) -> usize {
    value.split(|b| !b.is_ascii_lowercase()).map(<[u8]>::len).filter(|length| *length >= 4).sum()
}

/// How often a letter follows a digit, or a digit a letter.
fn changes(value: &[u8]) -> usize {
    value.windows(2).filter(|pair| matches!(pair, [a, b] if a.is_ascii_digit() != b.is_ascii_digit())).count()
}
