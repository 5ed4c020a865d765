//! One format of a credential, and what tells an issued one from one that somebody made up to show the form.

use crate::scan::pattern::{Candidate, Shape};

/// A row of the documented table, and the pattern that finds it.
#[cfg_attr(not(test), expect(dead_code, reason = "the documented table is compared with it"))]
#[derive(Debug, Clone, Copy)]
pub(super) struct Format {
    pub(super) issuer: &'static str,
    /// For the reader of the table.
    pub(super) form: &'static str,
    /// What it begins with, where that alone says what it is.
    pub(super) prefixes: &'static [&'static str],
    pub(super) shape: Shape,
}

/// A token that is known by its form: `token!("Issuer", "form", ["prefix"], r"pattern")`.
macro_rules! token {
    ($issuer:literal, $form:literal, [$($prefix:literal),*], $pattern:literal) => {
        token!($issuer, $form, [$($prefix),*], $pattern, $crate::scan::builtin::secret::format::random)
    };
    ($issuer:literal, $form:literal, [$($prefix:literal),*], $pattern:literal, $check:expr) => {
        $crate::scan::builtin::secret::format::Format {
            issuer: $issuer,
            form: $form,
            prefixes: &[$($prefix),*],
            shape: $crate::scan::pattern::Shape { pattern: concat!("(?-u:", $pattern, ")"), check: $check, whole: true },
        }
    };
}
pub(super) use token;

/// Bytes at either end that are looked at, so that a long candidate costs no more than a short one.
const LOOKED_AT: usize = 64;

/// Random enough to be issued rather than written: no placeholder, and characters that vary.
pub(super) fn random(candidate: Candidate<'_>) -> Option<u8> {
    let text = candidate.text;
    let tail = text.get(text.len().saturating_sub(16)..).unwrap_or(text);
    (distinct(tail) >= 6 && !is_placeholder(text)).then_some(95)
}

/// How many different ASCII characters there are.
pub(super) fn distinct(text: &[u8]) -> u32 {
    let seen = text.iter().filter(|b| b.is_ascii()).fold(0_u128, |seen, b| seen | 1 << b);
    seen.count_ones()
}

#[rustfmt::skip]
const PLACEHOLDERS: &[&[u8]] = &[
    b"example", b"xxxxxx", b"your", b"placeholder", b"000000000", b"abcdefghijkl", b"redacted", b"dummy", b"......",
    b"changeme", b"change_me", b"insert_", b"replace", b"aaaaaa", b"*****", b"-here", b"abc123xyz", b"_here",
];

pub(super) fn is_placeholder(text: &[u8]) -> bool {
    let head = text.get(..LOOKED_AT).unwrap_or(text);
    let tail = text.get(LOOKED_AT.max(text.len().saturating_sub(LOOKED_AT))..).unwrap_or_default();
    [head, tail].iter().any(|part| {
        let lower = part.to_ascii_lowercase();
        PLACEHOLDERS.iter().any(|word| memchr::memmem::find(&lower, word).is_some())
    })
}

/// A token of which `text` is evidently the beginning.
pub(super) fn begins(formats: &[Format], text: &[u8]) -> bool {
    formats.iter().flat_map(|format| format.prefixes).any(|prefix| {
        let Some(rest) = text.strip_prefix(prefix.as_bytes()) else { return false };
        let needed = 10_usize.saturating_sub(prefix.len()).max(4);
        // Words can begin as a short prefix does; a token soon has a digit.
        rest.len() >= needed && (prefix.len() > 4 || rest.iter().any(u8::is_ascii_digit))
    })
}

/// The shapes of several groups of formats, in order.
#[expect(clippy::indexing_slicing, reason = "evaluated where it is compiled")]
pub(super) const fn shapes<const N: usize>(groups: &[&[Format]]) -> [Shape; N] {
    let mut out = [groups[0][0].shape; N];
    let (mut group, mut at) = (0, 0);
    while group < groups.len() {
        let mut i = 0;
        while i < groups[group].len() {
            out[at] = groups[group][i].shape;
            at += 1;
            i += 1;
        }
        group += 1;
    }
    out
}

#[expect(clippy::indexing_slicing, reason = "evaluated where it is compiled")]
pub(super) const fn count(groups: &[&[Format]]) -> usize {
    let (mut sum, mut i) = (0, 0);
    while i < groups.len() {
        sum += groups[i].len();
        i += 1;
    }
    sum
}
