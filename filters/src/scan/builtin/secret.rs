//! Credentials: in known formats, each with its issuer's prefix and length, and as values of names that say so. A lone
//! random string is none.

mod assigned;
mod business;
mod cloud;
mod code;
mod format;
mod looks;
mod model;
#[cfg(test)]
mod tests;
mod vendors;
mod written;

use crate::scan::pattern::{Recipe, Shape};
use format::Format;

const GROUPS: &[&[Format]] = &[cloud::FORMATS, code::FORMATS, model::FORMATS, business::FORMATS, written::FORMATS];
const COUNT: usize = format::count(GROUPS);
const TOKENS: [Shape; COUNT] = format::shapes(GROUPS);

const SHAPES: [Shape; COUNT + 3] = {
    let mut shapes = [assigned::SHAPE; COUNT + 3];
    let (tokens, _) = shapes.split_at_mut(COUNT);
    tokens.copy_from_slice(&TOKENS);
    shapes[COUNT + 1] = assigned::SPOKEN;
    shapes[COUNT + 2] = assigned::USER;
    shapes
};

pub(super) const RECIPE: Recipe = Recipe { shapes: &SHAPES, lead: None, evident, needs: 256, value };

/// Long enough to be a credential that is still arriving.
fn evident(read: &[u8]) -> bool {
    let is_jwt = read.starts_with(b"eyJ") && memchr::memmem::find(read, b".eyJ").is_some();
    let is_url = memchr::memmem::find(read, b"://").is_some() && read.iter().filter(|&&b| b == b':').count() >= 2;
    is_jwt || is_url && read.len() >= 16 || GROUPS.iter().any(|formats| format::begins(formats, read))
}

/// Where the value begins behind what only gives context.
fn value(text: &[u8]) -> usize {
    let begins = |word: &[u8]| text.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word));
    match text.first() {
        Some(b'=' | b':' | b'>') => return assigned::value_at(text),
        Some(b'-') if !begins(b"-----") => return assigned::spoken_value(text),
        _ => {}
    }
    for word in [&b"AccountKey="[..], b"SharedAccessKey=", b"sig=", b"Bearer ", b"Basic ", b"SSWS "] {
        if begins(word) {
            return word.len();
        }
    }
    // The secret key of Amazon is the last forty characters behind its name.
    let is_named = text.iter().any(|b| matches!(b, b'=' | b':' | b','));
    if is_named && (begins(b"aws") || begins(b"sec")) {
        return text.len().saturating_sub(40);
    }
    let is_spoken = [&b"pass"[..], b"api ", b"secret ", b"access ", b"auth ", b"login ", b"IDENTIFIED "];
    if is_spoken.iter().any(|word| begins(word)) { assigned::spoken_value(text) } else { 0 }
}
