//! Dates of birth: any date in a usual form, where a word before it says what it is.

use super::context::near;
use crate::scan::pattern::{Candidate, Recipe, Shape};

pub(super) const RECIPE: Recipe = Recipe {
    shapes: &[
        Shape {
            pattern: r"(?-u:\b(?:19|20)[0-9]{2}(?:-(?:0?[1-9]|1[0-2])-|/(?:0?[1-9]|1[0-2])/|\.(?:0?[1-9]|1[0-2])\.)(?:0?[1-9]|[12][0-9]|3[01])\b)",
            check,
            whole: false,
        },
        Shape {
            pattern: r"(?-u:\b(?:0?[1-9]|[12][0-9]|3[01])(?:-(?:0?[1-9]|[12][0-9]|3[01])-|/(?:0?[1-9]|[12][0-9]|3[01])/|\. ?(?:0?[1-9]|[12][0-9]|3[01])\. ?)(?:(?:19|20)[0-9]{2}|[0-9]{2})\b)",
            check,
            whole: false,
        },
        // In English, and in whatever names its months alike.
        Shape {
            pattern: r"(?-u:\b(?:0?[1-9]|[12][0-9]|3[01])(?:st|nd|rd|th|\.)?(?: of| de)? (?i:jan|feb|mar|apr|may|mai|jun|jul|aug|sep|oct|okt|nov|dec|dez|m\xC3\xA4r|f\xC3\xA9v|avr|ao\xC3\xBB|d\xC3\xA9c|ene|abr|ago|dic|giu|lug|set|ott|gen|mag)[a-z\x80-\xff]{0,9}\.?,?(?: de)? (?:19|20)[0-9]{2}\b)",
            check,
            whole: false,
        },
        Shape {
            pattern: r"(?-u:\b(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}\.? (?:0?[1-9]|[12][0-9]|3[01])(?:st|nd|rd|th)?,? (?:19|20)[0-9]{2}\b)",
            check,
            whole: false,
        },
    ],
    lead: None,
    evident: |read| read.iter().filter(|b| b.is_ascii_digit()).count() >= 5,
    needs: 48,
    value: |_| 0,
};

/// Sorted: they are searched by halves.
#[rustfmt::skip]
const WORDS: &[&str] = &[
    "bday", "birth", "birthdate", "birthday", "born", "dob", "fecha_nacimiento", "geb", "geboortedatum", "geboren",
    "geburtsdatum", "geburtstag", "nacida", "nacido", "nacimiento", "naissance", "nascido", "nascimento", "nascita",
    "nata", "nato", "née", "urodzenia",
];

fn check(candidate: Candidate<'_>) -> Option<u8> {
    let joined = matches!(candidate.before, [.., a, b'-' | b'.' | b'/' | b':' | b','] if a.is_ascii_digit());
    let said = || near(candidate.before, 40, WORDS) || behind_number(candidate.before);
    (!joined && said()).then_some(85)
}

/// Whether a US social security number stands right before, as in a row of a table.
fn behind_number(before: &[u8]) -> bool {
    let between = |b: &&u8| matches!(b, b'"' | b'\'' | b',' | b';' | b'|' | b'\t' | b' ');
    let end = before.len() - before.iter().rev().take(6).take_while(between).count();
    let Some(number) = before.get(end.saturating_sub(11)..end).filter(|number| number.len() == 11) else {
        return false;
    };
    let place = |(i, b): (usize, &u8)| if matches!(i, 3 | 6) { *b == b'-' } else { b.is_ascii_digit() };
    end < before.len() && number.iter().enumerate().all(place)
}
