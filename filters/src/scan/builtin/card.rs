//! Payment card numbers (ISO/IEC 7812).

use crate::scan::pattern::{Candidate, Recipe, Shape};
use crate::scan::validate::luhn;

pub(super) const RECIPE: Recipe = Recipe {
    shapes: &[Shape { pattern: r"(?-u:\b[0-9](?:[ -]?[0-9]){12,18}\b)", check, whole: false }],
    lead: None,
    evident: |read| digits(read).count() >= 4 && issuer_lengths(read).is_some(),
    needs: 64,
    value: |_| 0,
};

fn check(candidate: Candidate<'_>) -> Option<u8> {
    let text = candidate.text;
    if continues(candidate.before) {
        return None;
    }
    let lengths = issuer_lengths(text)?;
    let plausible = lengths.contains(&digits(text).count()) && is_grouped(text);
    (plausible && luhn(text)).then_some(100)
}

fn digits(text: &[u8]) -> impl Iterator<Item = u8> {
    text.iter().filter(|b| b.is_ascii_digit()).copied()
}

/// Groups as cards are printed: at least two digits each and one kind of separator. Lists of small numbers are not.
fn is_grouped(text: &[u8]) -> bool {
    let mut separators = text.iter().filter(|b| !b.is_ascii_digit());
    let Some(first) = separators.next() else { return true };
    separators.all(|b| b == first) && text.split(|b| b == first).all(|group| group.len() >= 2)
}

/// Whether the candidate is the tail of a longer number: a decimal fraction, or digits behind a separator.
fn continues(before: &[u8]) -> bool {
    match before {
        [.., digit, b'.' | b',' | b'_'] => digit.is_ascii_digit(),
        _ => false,
    }
}

/// How many digits a number of this issuer may have; `None` for a prefix that no card network uses.
fn issuer_lengths(text: &[u8]) -> Option<std::ops::RangeInclusive<usize>> {
    let mut first = digits(text).map(|b| u32::from(b - b'0'));
    let mut number = 0;
    let mut longer = || {
        number = number * 10 + first.next()?;
        Some(number)
    };
    match (longer()?, longer()?, longer()?, longer()?) {
        (4, ..) => Some(13..=19),
        (_, 51..=55, ..) | (_, _, _, 2221..=2720) => Some(16..=16),
        (_, 34 | 37, ..) => Some(15..=15),
        (_, 65, ..) | (_, _, 644..=649, _) | (.., 6011 | 3528..=3589) => Some(16..=19),
        (_, 36 | 38 | 39, ..) | (_, _, 300..=305 | 309, _) => Some(14..=19),
        (_, 62 | 81, ..) | (.., 2200..=2204) => Some(16..=19),
        (.., 5018 | 5020 | 5038 | 5893 | 6304 | 6759 | 6761..=6763) => Some(13..=19),
        // Verve, Elo, Hipercard, Belkart, Troy.
        (_, _, _, 5061 | 5066 | 5067 | 5078 | 5090 | 6062 | 6277 | 6362 | 6363 | 9112 | 9792) => Some(16..=19),
        _ => None,
    }
}
