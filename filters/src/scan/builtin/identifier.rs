//! Numbers that name an account, a person or a machine.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::context::near;
use crate::scan::pattern::{Candidate, Recipe, Shape};
use crate::scan::validate;

pub(super) const IBAN: Recipe = Recipe {
    shapes: &[Shape {
        // Countries first, so that ordinary words are passed over early.
        pattern: r"(?-u:\b(?i:A[DELTZ]|B[AEGHIRY]|C[HRYZ]|D[EJKO]|E[EGS]|F[IKOR]|G[BEILRT]|H[NRU]|I[ELQST]|JO|K[WZ]|L[BCITUVY]|M[CDEKNRTU]|N[ILO]|OM|P[KLST]|QA|R[OSU]|S[ACDEIKMOTV]|T[LNR]|UA|V[AG]|XK|YE)[0-9]{2}(?:[ -]?[A-Za-z0-9]){11,30}\b)",
        check: |c| validate::iban(c.text).then_some(100),
        whole: false,
    }],
    lead: None,
    evident: |read| read.iter().filter(|b| b.is_ascii_digit()).count() >= 6,
    needs: 80,
    value: |_| 0,
};

pub(super) const US_SSN: Recipe = Recipe {
    shapes: &[
        Shape { pattern: r"(?-u:\b[0-9]{3}[ -][0-9]{2}[ -][0-9]{4}\b)", check: us_ssn, whole: true },
        Shape { pattern: r"(?-u:\b[0-9]{3}[ -][0-9]{2}[ -][0-9]{4}[.-][0-9]+\b)", check: |_| None, whole: true },
        Shape { pattern: r"(?-u:\b[0-9]{9}\b)", check: bare_ssn, whole: true },
    ],
    lead: None,
    evident: |read| read.iter().filter(|b| b.is_ascii_digit()).count() >= 5,
    needs: 32,
    value: |_| 0,
};

/// Never assigned: area 000, 666 and 900 to 999, group 00, serial 0000 (SSA, since 2011).
fn us_ssn(candidate: Candidate<'_>) -> Option<u8> {
    let text = candidate.text;
    let separators: Vec<u8> = text.iter().filter(|b| !b.is_ascii_digit()).copied().collect();
    let mut groups = text.split(|b| !b.is_ascii_digit());
    let (area, group, serial) = (groups.next()?, groups.next()?, groups.next()?);
    let assigned = !matches!(area, b"000" | b"666" | [b'9', ..]) && group != b"00" && serial != b"0000";
    let joined = matches!(candidate.before, [.., a, b'-' | b'.' | b'/'] if a.is_ascii_digit());
    let example = text == b"078-05-1120"; // printed on sample cards, voided long ago
    (assigned && !joined && !example && separators.first() == separators.last()).then_some(90)
}

/// Nine digits are one only where a word says so.
fn bare_ssn(candidate: Candidate<'_>) -> Option<u8> {
    const WORDS: &[&str] = &["social", "ssn", "ssns"];
    let number = |range: std::ops::Range<usize>| candidate.text.get(range);
    let assigned =
        !matches!(number(0..3)?, b"000" | b"666" | [b'9', ..]) && number(3..5)? != b"00" && number(5..9)? != b"0000";
    (assigned && near(candidate.before, 40, WORDS)).then_some(85)
}

pub(super) const IP_ADDRESS: Recipe = Recipe {
    shapes: &[
        // More than four numbers is a version or an object identifier, so the candidate runs on to be refused whole.
        Shape { pattern: r"(?-u:\b[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?:\.[0-9]+)*\b)", check: ipv4, whole: true },
        Shape {
            pattern: r"(?-u:(?:\b[0-9A-Fa-f]{1,4}|\B)(?::[0-9A-Fa-f]{0,4}){2,7}(?:(?:\.[0-9]{1,3}){3})?)",
            check: ipv6,
            whole: false,
        },
        // `12::34::name`: what runs on takes the shorter candidate with it.
        Shape {
            pattern: r"(?-u:(?:\b[0-9A-Fa-f]{1,4}|\B)(?::[0-9A-Fa-f]{0,4}){2,8}[0-9A-Za-z_:]+)",
            check: ipv6,
            whole: true,
        },
    ],
    lead: None,
    evident: |read| {
        let dots = read.iter().filter(|&&b| b == b'.').count();
        dots >= 2 || read.iter().filter(|&&b| b == b':').count() >= 3
    },
    needs: 64,
    value: |_| 0,
};

fn ipv4(candidate: Candidate<'_>) -> Option<u8> {
    let address: Ipv4Addr = std::str::from_utf8(candidate.text).ok()?.parse().ok()?;
    let joined = matches!(candidate.before, [.., a, b'.' | b'-'] if a.is_ascii_alphanumeric());
    (!joined && !address.is_unspecified()).then_some(100)
}

fn ipv6(candidate: Candidate<'_>) -> Option<u8> {
    let text = std::str::from_utf8(candidate.text).ok()?;
    let address: Ipv6Addr = text.parse().ok()?;
    let glued = candidate.before.last().is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b':' | b'_'));
    // `abc::def` is as likely a path in a program: without digits it has to be written out.
    let numeric = text.bytes().any(|b| b.is_ascii_digit()) || text.split(':').filter(|g| !g.is_empty()).count() >= 4;
    (!glued && numeric && !address.is_unspecified()).then_some(100)
}
