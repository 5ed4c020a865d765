//! Attacks on what stands behind, in one value of a request: a parameter, a field of a form, a string of JSON.
//!
//! SQL injection and scripts are told by the tokens they would be read as (libinjection) and by rules, the rest by rules alone,
//! on linear-time automata. A value is read as it is, and once more for each layer of escapes, as servers decode more often than
//! they should. Values are judged, not prose: what stands behind several ordinary words scores half, since a sentence that quotes
//! an attack is not one.

mod command;
mod layers;
mod prose;
mod rules;
mod script;
mod shell;
mod sql;
mod ssrf;
mod tame;
mod traversal;

use postern_config::WebAttack;

/// Nothing is left to doubt but what the operator of the server meant.
const SURE: u8 = 90;
/// Could as well be what it is about.
const DOUBT: u8 = 50;

/// How much `text` looks like the attack, 0–100.
pub(crate) fn score(attack: WebAttack, text: &str) -> u8 {
    // Most values are names, and most texts are of the others.
    if is_name(attack, text) {
        return 0;
    }
    let judge: fn(&str) -> u8 = match attack {
        WebAttack::SqlInjection => sql::score,
        WebAttack::Xss => script::score,
        WebAttack::CommandInjection => command::score,
        WebAttack::PathTraversal => traversal::score,
        WebAttack::Ssrf => ssrf::score,
    };
    layers::of(text).map(|layer| judge(&layer)).max().unwrap_or(0)
}

/// Letters and digits with single hyphens between them; files and tables are called by names with underscores too.
fn is_name(attack: WebAttack, text: &str) -> bool {
    let underscores = !matches!(attack, WebAttack::PathTraversal | WebAttack::SqlInjection);
    let mut before = b'-';
    for byte in text.bytes() {
        let is_of_name = match byte {
            b'-' => before != b'-',
            b'_' => underscores,
            byte => byte.is_ascii_alphanumeric(),
        };
        if !is_of_name {
            return false;
        }
        before = byte;
    }
    true
}

/// Whether any byte of `text` is one of `bytes`; most texts have none of those that an attack needs.
fn has_any(text: &str, bytes: &[bool; 256]) -> bool {
    text.bytes().any(|byte| bytes.get(usize::from(byte)).copied().unwrap_or(true))
}

const fn bytes(of: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut rest = of;
    while let [byte, tail @ ..] = rest {
        #[expect(clippy::indexing_slicing, reason = "a byte is less than 256")]
        {
            table[*byte as usize] = true;
        }
        rest = tail;
    }
    table
}

#[cfg(test)]
mod tests;
