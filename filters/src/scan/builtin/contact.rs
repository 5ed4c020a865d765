//! E-mail addresses and telephone numbers.

use crate::scan::pattern::{Candidate, Lead, Recipe, Shape};

/// Begins at the `@`; the local part is found by walking back (RFC 5321 §4.5.3.1.1: at most 64 octets).
pub(super) const EMAIL: Recipe = Recipe {
    shapes: &[Shape {
        pattern: r"(?-u:@(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)+(?:[A-Za-z]{2,24}|[Xx][Nn]--[A-Za-z0-9-]{2,59}))",
        check: email,
        whole: false,
    }],
    lead: Some(Lead { accepts: is_local, max: 64 }),
    evident: |read| read.iter().position(|&b| b == b'@').is_some_and(|at| at > 0 && read.len() > at + 2),
    needs: 192,
    value: |_| 0,
};

fn is_local(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'%' | b'+' | b'-' | b'\'')
}

fn email(candidate: Candidate<'_>) -> Option<u8> {
    let local = candidate.text.split(|&b| b == b'@').next()?;
    // `user:pass@host` and `git@host:path` are read as addresses too; a version such as `pkg@1.2.3` has no letters
    // for a top-level domain and never comes here.
    let has_name = local.iter().any(u8::is_ascii_alphanumeric);
    (has_name && !candidate.text.ends_with(b".") && !is_file(candidate.text)).then_some(90)
}

/// `logo@2x.png`: an image for dense screens, not an address.
fn is_file(text: &[u8]) -> bool {
    [&b".png"[..], b".jpg", b".jpeg", b".gif", b".svg", b".webp"].iter().any(|end| text.ends_with(end))
}

pub(super) const PHONE: Recipe = Recipe {
    shapes: &[
        // E.164 with separators.
        Shape {
            pattern: r"(?-u:\B\+ ?\(?[1-9][0-9]{0,2}\)?(?:(?: ?\([0-9]{1,4}\) ?|[ ./-]{0,2})[0-9]){6,13}(?: ?(?:x|ext\.?) ?[0-9]{1,6})?\b)",
            check: international,
            whole: false,
        },
        // North American Numbering Plan: area and exchange begin with 2 to 9.
        Shape {
            pattern: r"(?-u:(?:\b1[ .-]|\B\+1[ .-]?)?(?:\B\([2-9][0-9]{2}\)[ .-]?|\b[2-9][0-9]{2}[ .-])[2-9][0-9]{2}[ .-][0-9]{4}(?: ?(?:x|ext\.?) ?[0-9]{1,6})?\b)",
            check: north_american,
            whole: true,
        },
        // What would make it part of something longer.
        Shape {
            pattern: r"(?-u:\b[2-9][0-9]{2}[ .-][2-9][0-9]{2}[ .-][0-9]{4}[.-][0-9]+\b)",
            check: |_| None,
            whole: true,
        },
    ],
    lead: None,
    evident: |read| read.iter().filter(|b| b.is_ascii_digit()).count() >= 6,
    needs: 64,
    value: |_| 0,
};

fn international(candidate: Candidate<'_>) -> Option<u8> {
    let digits = candidate.text.split(|b| b.is_ascii_alphabetic()).next()?;
    let count = digits.iter().filter(|b| b.is_ascii_digit()).count();
    ((7..=15).contains(&count) && !joined(candidate.before)).then_some(85)
}

fn north_american(candidate: Candidate<'_>) -> Option<u8> {
    (!joined(candidate.before)).then_some(85)
}

/// Whether the candidate is the tail of a longer number or of arithmetic.
fn joined(before: &[u8]) -> bool {
    match before {
        [.., a, b'-' | b'.' | b'/' | b',' | b'+'] => a.is_ascii_digit(),
        [.., b'+'] => true,
        _ => false,
    }
}
