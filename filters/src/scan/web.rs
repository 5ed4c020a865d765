//! Attacks on what stands behind, in one value of a request: a parameter, a field of a form, a string of JSON.
//!
//! SQL injection and scripts are told by the tokens they would be read as (libinjection), the rest by rules on linear-time
//! automata. A value is read as it is, and once more for each layer of percent escapes, as servers decode more often than they
//! should. Values are judged, not prose: what stands behind several ordinary words scores half, since a sentence that quotes an
//! attack is not one.

mod command;
mod layers;
mod rules;
mod ssrf;
mod traversal;

use postern_config::WebAttack;

/// Nothing is left to doubt but what the operator of the server meant.
const SURE: u8 = 90;
/// Could as well be what it is about.
const DOUBT: u8 = 50;

/// How much `text` looks like the attack, 0–100.
pub(crate) fn score(attack: WebAttack, text: &str) -> u8 {
    let judge: fn(&str) -> u8 = match attack {
        WebAttack::SqlInjection => sql,
        WebAttack::Xss => script,
        WebAttack::CommandInjection => command::score,
        WebAttack::PathTraversal => traversal::score,
        WebAttack::Ssrf => ssrf::score,
    };
    layers::of(text).map(|layer| judge(&layer)).max().unwrap_or(0)
}

fn sql(text: &str) -> u8 {
    if !libinjectionrs::detect_sqli(text.as_bytes()).is_injection() {
        return 0;
    }
    // Only the first tokens count there, so in a text of words it is the words that happened to be like it.
    let words = text.split_whitespace().filter(|word| !is_keyword(bare(word)));
    if count(words, PROSE) >= PROSE { DOUBT } else { SURE }
}

fn script(text: &str) -> u8 {
    // What runs stands in an element or, inside one, in the value of an attribute.
    if memchr::memchr2(b'<', b'=', text.as_bytes()).is_none() {
        return 0;
    }
    if !libinjectionrs::detect_xss(text.as_bytes()).is_injection() {
        return 0;
    }
    // Comments carry scripts, so it takes more words to make it one that speaks of them.
    match runs(text) {
        Some(at) if !is_prose(text, at, 2 * PROSE) => SURE,
        _ => DOUBT,
    }
}

/// Where there is more than an element that shows something: `<link>` and `<style>` alone run nothing.
fn runs(text: &str) -> Option<usize> {
    use std::sync::LazyLock;

    use regex::Regex;
    // The pattern is a constant; one that did not compile would leave every finding sure.
    static RUNS: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(
            r#"(?i)<[\s\x00]*/?[\s\x00]*(?:script|svg|iframe|embed|object|applet|meta|base|math|xss|x:|xml|isindex|frame|layer|vmlframe|\?|!\[|!entity|!attlist|!--[^>]{0,8}\[|%)|[\s"'/\x00`]on[a-z]{3,24}[\s\x00]*=|(?:java|vb|live)[\s\x00]*script[\s\x00]*:|data[\s\x00]*:[^,]{0,64}(?:html|xml|svg|base64)|style[\s\x00]*=[^>]{0,256}(?:expression|url|@import|behaviou?r|-moz-binding)|@import|<style[^>]{0,64}>[^<]{0,256}(?:expression|javascript|@import|behaviou?r)|(?:xlink:href|formaction|srcdoc|fscommand|dynsrc|lowsrc)[\s\x00]*=|<link[^>]{1,256}(?:href|rel)[\s\x00]*=|&(?:#|colon|tab|newline)"#,
        )
        .ok()
    });
    RUNS.as_ref().map_or(Some(0), |pattern| pattern.find(text).map(|found| found.start()))
}

/// Words of letters alone that make a text one that people write, as parameters do not look.
const PROSE: usize = 6;

/// Whether that many of them stand before `end`.
fn is_prose(text: &str, end: usize, many: usize) -> bool {
    count(text.get(..end).unwrap_or(text).split_whitespace(), many) >= many
}

/// Words of letters, up to `many`; of scripts without spaces two characters count as one.
fn count<'w>(words: impl Iterator<Item = &'w str>, many: usize) -> usize {
    let mut found = 0_usize;
    for word in words {
        let word = bare(word);
        let unspaced = word.chars().filter(|c| *c >= '\u{2E80}').take(2 * many).count();
        if unspaced > 0 {
            found += unspaced.div_ceil(2);
        } else if word.chars().nth(1).is_some() && word.chars().all(|c| c.is_alphabetic() || c == '\'') {
            found += 1;
        }
        if found >= many {
            break;
        }
    }
    found
}

fn bare(word: &str) -> &str {
    word.trim_matches(|c: char| matches!(c, '.' | ',' | ':' | ';' | '?' | '!' | '(' | ')' | '"' | '\''))
}

/// Words that queries are made of.
fn is_keyword(word: &str) -> bool {
    const KEYWORDS: &[&str] = &[
        "all",
        "and",
        "as",
        "asc",
        "between",
        "by",
        "case",
        "cast",
        "char",
        "concat",
        "create",
        "declare",
        "delete",
        "desc",
        "distinct",
        "drop",
        "echo",
        "else",
        "end",
        "exec",
        "execute",
        "exists",
        "from",
        "group",
        "having",
        "in",
        "insert",
        "into",
        "is",
        "join",
        "like",
        "limit",
        "not",
        "null",
        "on",
        "or",
        "order",
        "outfile",
        "procedure",
        "rlike",
        "select",
        "set",
        "shutdown",
        "sleep",
        "table",
        "then",
        "top",
        "union",
        "update",
        "users",
        "values",
        "varchar",
        "when",
        "where",
        "xor",
    ];
    KEYWORDS.iter().any(|keyword| keyword.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests;
