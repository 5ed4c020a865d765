//! Driving licences of the United States, Canada and the United Kingdom. Each state has its own form and none has a
//! public check digit, so that a word has to say what it is.

use super::context::near;
use crate::scan::pattern::{Candidate, Recipe, Shape};

pub(super) const RECIPE: Recipe = Recipe {
    shapes: &[
        Shape {
            pattern: r"(?-u:\b(?:[A-Z]{1,2}[0-9]{5,14}|[A-Z]{3}[0-9]{6}|[0-9]{7,10}|[A-Z]{3}-[0-9]{2}-[0-9]{4}|[A-Z][0-9]{4}(?:[ -][0-9]{5}){2}|[A-Z](?:-[0-9]{3}){4}|[A-Z][0-9]{3}(?:-[0-9]{3,4}){1,2}-[0-9]{2,3}(?:-[0-9]{1,3})?|[0-9]{2}-[0-9]{3}-[0-9]{4}|[0-9]{3}-[0-9]{2}-[0-9]{4}|[0-9]{3} [0-9]{3} [0-9]{3})\b)",
            check,
            whole: false,
        },
        Shape { pattern: r"(?-u:\b[A-Z]{2,5}9{0,3}[0-9]{6}[A-Z9]{2}[0-9A-Z]{3}\b)", check, whole: false },
    ],
    lead: None,
    evident: |read| read.iter().filter(|b| b.is_ascii_digit()).count() >= 5,
    needs: 32,
    value: |_| 0,
};

/// Sorted: they are searched by halves.
const DRIVING: &[&str] = &["dl", "dln", "dmv", "driver", "driverlicence", "driverlicense", "drivers", "driving"];

const OTHERS: &[&str] = &["id", "invoice", "order", "phone", "ssn", "ticket", "trip", "version"];

fn check(candidate: Candidate<'_>) -> Option<u8> {
    let named = near(candidate.before, 40, DRIVING) && !near(candidate.before, 12, OTHERS);
    let joined = matches!(candidate.before, [.., a, b'-' | b'.' | b'/' | b'_'] if a.is_ascii_alphanumeric());
    // `driver 5302017`: a word for the paper itself, unless a letter leads.
    let paper = near(candidate.before, 32, &["dl", "dln", "licence", "license", "permit"]);
    let lettered = candidate.text.first().is_some_and(u8::is_ascii_uppercase);
    (named && !joined && (paper || lettered && near(candidate.before, 32, &["no", "number"]))).then_some(80)
}
