//! Telephone numbers: in international form, in national forms that nothing else has, and any other where a word before
//! or behind it says so.

use super::context::near;
use crate::scan::pattern::{Candidate, Recipe, Shape};

pub(super) const RECIPE: Recipe = Recipe {
    shapes: &[
        // E.164 with separators.
        Shape {
            pattern: r"(?-u:\B\+ ?\(?[1-9][0-9]{0,2}\)?(?:(?: ?\([0-9]{1,4}\) ?|[ ./-]{0,2})[0-9]){6,13}(?: ?(?:x|ext\.?) ?[0-9]{1,6})?\b)",
            check: international,
            whole: false,
        },
        // North American Numbering Plan: area and exchange begin with 2 to 9.
        Shape {
            pattern: r"(?-u:(?:\b1[ .-]|\b001[ .-]|\B\+1[ .-]?)?(?:\B\([2-9][0-9]{2}\)[ .-]?|\b[2-9][0-9]{2}[ .-])[2-9][0-9]{2}[ .-][0-9]{4}(?: ?(?:x|ext\.?) ?[0-9]{1,6})?\b)",
            check: north_american,
            whole: true,
        },
        // What would make it part of something longer.
        Shape {
            pattern: r"(?-u:\b[2-9][0-9]{2}[ .-][2-9][0-9]{2}[ .-][0-9]{4}[.-][0-9]+\b)",
            check: |_| None,
            whole: true,
        },
        // As people write them at home.
        Shape {
            pattern: r"(?-u:(?:\b|\B\()[0-9](?:[ ./-]{0,2}\(?[0-9]\)?){5,14}(?: ?(?:x|ext\.?) ?[0-9]{1,6})?\b)",
            check: national,
            whole: false,
        },
        // The word behind it, as in signatures.
        Shape {
            pattern: r"(?-u:(?:\b|\B\()[0-9](?:[ ./-]{0,2}\(?[0-9]\)?){6,14} (?i:office|fax|mobile|cell|home|work|desk|phone|landline|tel)\b)",
            check: labelled,
            whole: false,
        },
    ],
    lead: None,
    evident: |read| read.iter().filter(|b| b.is_ascii_digit()).count() >= 6,
    needs: 64,
    value: |_| 0,
};

/// Sorted: they are searched by halves.
#[rustfmt::skip]
const WORDS: &[&str] = &[
    "answering", "call", "called", "caller", "calling", "callme", "cell", "cellphone", "cellular", "cellulare",
    "celular", "contacto", "desk", "dial", "dialed", "fax", "faxe", "fixe", "fon", "gsm", "handy", "handynummer",
    "hotline", "landline", "messages", "mobiel", "mobielnummer", "mobil", "mobile", "mobilnummer", "mobiltelefon",
    "mov", "msisdn", "móvil", "phone", "phoned", "phonenumber", "phones", "portable", "puhelin", "reach", "reached",
    "ring", "rufnummer", "sms", "tel", "telef", "telefax", "telefon", "telefone", "telefoni", "telefonnummer",
    "telefono", "telefonu", "telefoon", "telefoonnummer", "telephone", "teléfono", "texted", "tlf", "tmobile",
    "téléphone", "voicemail", "whatsapp", "телефон",
];

/// Words for other numbers, which often stand nearer.
#[rustfmt::skip]
const OTHERS: &[&str] = &[
    "account", "barcode", "bsn", "build", "card", "case", "claim", "code", "confirmation", "ean", "epoch", "id",
    "imei", "invoice", "isbn", "issn", "item", "order", "pin", "po", "policy", "postcode", "product", "reference",
    "rfc", "serial", "sku", "ssn", "ticket", "timestamp", "tracking", "transaction", "upc", "uuid", "version", "zip",
];

fn international(candidate: Candidate<'_>) -> Option<u8> {
    (!joined(candidate.before) && (7..=15).contains(&digits(candidate.text))).then_some(85)
}

fn north_american(candidate: Candidate<'_>) -> Option<u8> {
    (!joined(candidate.before)).then_some(85)
}

/// Digits before an extension.
fn digits(text: &[u8]) -> usize {
    text.iter().take_while(|b| !b.is_ascii_alphabetic()).filter(|b| b.is_ascii_digit()).count()
}

fn national(candidate: Candidate<'_>) -> Option<u8> {
    if joined(candidate.before) {
        return None;
    }
    let count = digits(candidate.text);
    if !(7..=14).contains(&count) || !balanced(candidate.text) {
        return None;
    }
    if is_trunk(candidate.text, count) && !near(candidate.before, 16, OTHERS) {
        return Some(80);
    }
    let named = near(candidate.before, 40, WORDS) && !near(candidate.before, 14, OTHERS);
    (named && !is_date(candidate.text)).then_some(80)
}

fn labelled(candidate: Candidate<'_>) -> Option<u8> {
    if joined(candidate.before) {
        return None;
    }
    let number = candidate.text.split(u8::is_ascii_alphabetic).next()?.trim_ascii_end();
    let count = digits(number);
    ((9..=14).contains(&count) && balanced(number) && !is_date(number)).then_some(75)
}

/// A national number with the 0 that opens a long distance: in brackets, or in groups, of the length that the plans of
/// Europe have.
fn is_trunk(text: &[u8], count: usize) -> bool {
    let lengths = 9..=12;
    match text {
        [b'(', b'0', b'1'..=b'9', ..] => (8..=12).contains(&count),
        [b'0', b'1'..=b'9', ..] => {
            lengths.contains(&count) && groups(text) >= 2 && one_separator(text) && !is_date(text)
        }
        _ => false,
    }
}

fn groups(text: &[u8]) -> usize {
    text.split(|b| !b.is_ascii_digit()).filter(|group| !group.is_empty()).count()
}

/// Groups of at least two digits, with at most one kind of separator besides the space.
fn one_separator(text: &[u8]) -> bool {
    let mut others = text.iter().filter(|b| !b.is_ascii_digit() && !matches!(b, b' ' | b'(' | b')'));
    let first = others.next();
    let long = text.split(|b| !b.is_ascii_digit()).filter(|group| !group.is_empty()).all(|group| group.len() >= 2);
    long && first != Some(&b'.') && others.all(|b| Some(b) == first)
}

fn balanced(text: &[u8]) -> bool {
    let count = |wanted: u8| text.iter().filter(|b| **b == wanted).count();
    count(b'(') == count(b')') && count(b'(') <= 1
}

/// `2024-11-02`, `02.11.2024 12`.
fn is_date(text: &[u8]) -> bool {
    let mut groups = text.split(|b| !b.is_ascii_digit());
    let (first, second, third) = (groups.next(), groups.next(), groups.next());
    let year =
        |group: Option<&[u8]>| group.is_some_and(|g| g.len() == 4 && (g.starts_with(b"19") || g.starts_with(b"20")));
    let two = |group: Option<&[u8]>| group.is_some_and(|g| matches!(g.len(), 1 | 2));
    year(first) && two(second) && two(third) || two(first) && two(second) && year(third)
}

/// Whether the candidate is the tail of a longer number or of arithmetic.
fn joined(before: &[u8]) -> bool {
    match before {
        [.., a, b'-' | b'.' | b'/' | b',' | b'+' | b':' | b'_'] => a.is_ascii_digit(),
        [.., a, b' '] => a.is_ascii_digit() && !matches!(before, [.., b'\n', _, b' ']),
        [.., b'+' | b'#' | b'$'] => true,
        _ => false,
    }
}
