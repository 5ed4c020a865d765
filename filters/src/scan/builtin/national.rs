//! Numbers that states give to people (and to firms, where the two look alike), with their check digits.
//!
//! A form that nothing else has stands for itself; bare digits need a word near them. Each country's rule is arithmetic
//! of public law or of its office's handbook; the table says which words count.

mod checks;
mod countries;
mod dates;
mod rules;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use super::context::any_word;
use crate::scan::pattern::{Candidate, Recipe, Shape};
use countries::COUNTRIES;

/// One kind of number.
#[cfg_attr(not(test), expect(dead_code, reason = "the documented table is compared with it"))]
#[derive(Debug, Clone, Copy)]
pub(super) struct Number {
    pub(super) country: &'static str,
    pub(super) name: &'static str,
    /// As it is written: `9` is a digit, `A` a capital, `?` either, and anything else is itself. Separators may be missing, all of
    /// them.
    pub(super) form: &'static str,
    /// Written with its separators (or at all, where it has letters), it needs no word.
    pub(super) alone: bool,
    /// Words or beginnings of words of six letters and more, in lower case.
    pub(super) words: &'static [&'static str],
    /// Of the letters and digits alone.
    pub(super) valid: fn(&[u8]) -> bool,
}

const fn shape(pattern: &'static str) -> Shape {
    Shape { pattern, check, whole: false }
}

pub(super) const RECIPE: Recipe = Recipe {
    shapes: &[
        // Digits in groups.
        shape(r"(?-u:\b[0-9](?:[ ./-]?[0-9]){7,17}\b)"),
        shape(r"(?-u:\b[0-9]{6}(?:[+-][0-9]{4}|[+-]?[0-9]{3}[0-9A-Z]|[A-FU-Y][0-9]{3}[0-9A-Z])\b)"),
        // Digits that go on behind a sign are part of something longer.
        Shape { pattern: r"(?-u:\b[0-9]{7,13}[-/.][0-9A-Za-z]{1,20}\b)", check, whole: true },
        // A letter at the end.
        shape(r"(?-u:\b[0-9](?:[ .-]?[0-9]){6,7}[ -]?[A-Za-z]{1,2}\b)"),
        shape(r"(?-u:\b[0-9]{17}[Xx]\b)"),
        shape(r"(?-u:\b[12](?: ?[0-9]){4}(?: ?[0-9]{2}| ?2[AB])(?: ?[0-9]){8}\b)"),
        // Letters first.
        shape(r"(?-u:\b[XYZxyz]-?[0-9]{7}-?[A-Za-z]\b)"),
        shape(r"(?-u:\b[STFGM][0-9]{7}[A-Z]\b)"),
        shape(r"(?-u:\b[A-Z]{1,2}[0-9]{6} ?\([0-9A]\))"),
        shape(r"(?-u:\b[A-Z][1289][0-9]{8}\b)"),
        shape(r"(?-u:\b[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z](?: ?[0-9]{2}){3} ?[A-D]\b)"),
        shape(r"(?-u:\b[A-Z]{3}[ABCFGHLJPT][A-Z][0-9]{4}[A-Z]\b)"),
        shape(r"(?-u:\b[A-Z]{6}[0-9L-NP-V]{2}[A-EHLMPR-T][0-9L-NP-V]{2}[A-Z][0-9L-NP-V]{3}[A-Z]\b)"),
        shape(r"(?-u:\b[A-Z]{4}[0-9]{6}[HMX][A-Z]{5}[0-9A-Z][0-9]\b)"),
    ],
    lead: None,
    evident: |read| read.iter().filter(|b| b.is_ascii_digit()).count() >= 7,
    needs: 64,
    value: |_| 0,
};

/// The kinds of numbers by how many letters and digits they have.
static BY_LENGTH: LazyLock<[Vec<&'static Number>; MOST + 1]> = LazyLock::new(|| {
    let length = |number: &Number| number.form.bytes().filter(|b| !is_separator(*b)).count();
    std::array::from_fn(|wanted| COUNTRIES.iter().filter(|number| length(number) == wanted).collect())
});

/// Letters and digits of the longest.
const MOST: usize = 20;

/// Bytes before a number in which a word counts.
const REACH: usize = 56;

fn check(candidate: Candidate<'_>) -> Option<u8> {
    let text = candidate.text;
    if joined(candidate.before) {
        return None;
    }
    let mut kept = [0_u8; MOST];
    let mut length = 0;
    for b in text.iter().filter(|b| b.is_ascii_alphanumeric()) {
        *kept.get_mut(length)? = b.to_ascii_uppercase();
        length += 1;
    }
    let kept = kept.get(..length)?;
    if kept.iter().all(|b| Some(b) == kept.first()) {
        return None;
    }
    let bare = kept.len() == text.len();
    let of_length = BY_LENGTH.get(length).into_iter().flatten();
    let matching = of_length.filter(|number| (number.valid)(kept) && written_as(number.form, text, bare));
    let mut named = false;
    for number in matching {
        if number.alone && !(bare && number.form.bytes().any(is_separator)) {
            return Some(95);
        }
        named |= any_word(candidate.before, REACH, |word| is_word_of(number, word));
    }
    named.then_some(90)
}

/// Words that say so in any country.
const ANYWHERE: &[&str] = &["citizen", "identity", "national", "nationalid", "taxid", "tin"];

fn is_word_of(number: &Number, word: &[u8]) -> bool {
    let says = |known: &&str| word == known.as_bytes() || known.len() >= 6 && word.starts_with(known.as_bytes());
    number.words.iter().any(says) || ANYWHERE.iter().any(says)
}

/// Whether `text` has the form, or the form without any of its separators.
fn written_as(form: &str, text: &[u8], bare: bool) -> bool {
    let fits = |(f, b): (u8, &u8)| match f {
        b'9' => b.is_ascii_digit(),
        b'A' => b.is_ascii_alphabetic(),
        b'?' => b.is_ascii_alphanumeric(),
        b' ' => matches!(b, b' ' | b'-' | b'.'),
        _ => f == *b,
    };
    let plain = || form.bytes().filter(|b| !is_separator(*b));
    let separated = form.len() == text.len() && form.bytes().zip(text).all(fits);
    separated || bare && plain().count() == text.len() && plain().zip(text).all(fits)
}

fn is_separator(b: u8) -> bool {
    matches!(b, b' ' | b'-' | b'.' | b'/' | b'(' | b')')
}

/// Whether the candidate is the tail of something longer.
fn joined(before: &[u8]) -> bool {
    match before {
        [.., a, b'-' | b'.' | b'/' | b',' | b'+' | b'_' | b':'] => a.is_ascii_alphanumeric(),
        [.., b'+' | b'#' | b'$' | b'@'] => true,
        _ => false,
    }
}
