//! E-mail addresses.

use crate::scan::pattern::{Candidate, Lead, Recipe, Shape};

/// Begins at the `@`; the local part is found by walking back (RFC 5321 §4.5.3.1.1: at most 64 octets).
pub(super) const RECIPE: Recipe = Recipe {
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
