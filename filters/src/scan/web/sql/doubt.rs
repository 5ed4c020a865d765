//! Texts that begin with the tokens of an attack and are none.

use super::super::prose::{self, PROSE};
use super::super::tame;

pub(super) fn is_doubtful(text: &str) -> bool {
    // Only the first tokens count there, so in a text of words it is the words that happened to be like it.
    let words = text.split_whitespace().filter(|word| !prose::is_keyword(prose::bare(word)));
    prose::count(words, PROSE) >= PROSE
        || is_list_of_types(text)
        || is_plain(text)
        || is_code(text)
        || quotes_words(text)
}

/// `between 10 and 20`, `80% acrylic and 20% wool`: words and numbers, with nothing that a query is cut or joined by.
fn is_plain(text: &str) -> bool {
    const TELLING: &[&str] = &[
        "union",
        "select",
        "drop",
        "delete",
        "insert",
        "update",
        "exec",
        "execute",
        "declare",
        "waitfor",
        "procedure",
        "having",
        "outfile",
        "dumpfile",
        "rlike",
        "regexp",
        "sleep",
        "benchmark",
        "xor",
        "shutdown",
        "div",
        "begin",
        "alter",
        "truncate",
        "order",
        "group",
        "null",
        "or",
        "is",
    ];
    let sign =
        |b: u8| b != b'-' && b.is_ascii_punctuation() && !matches!(b, b'.' | b',' | b'%' | b'$' | b'?' | b'_' | b':');
    // Items of lists begin with one.
    let text = text.strip_prefix("- ").unwrap_or(text);
    let words = text.split(|c: char| !c.is_ascii_alphabetic());
    let hyphens = |text: &str| {
        text.as_bytes()
            .windows(3)
            .filter(|w| matches!(w, [a, b'-', c] if a.is_ascii_alphanumeric() && c.is_ascii_alphabetic()))
            .count()
    };
    !text.bytes().any(|b| sign(b) || b.is_ascii_control())
        && hyphens(text) == text.bytes().filter(|b| *b == b'-').count()
        && !words.into_iter().any(|word| TELLING.iter().any(|telling| telling.eq_ignore_ascii_case(word)))
}

/// `print(f(1))`, `if (a < b) {`: words of queries, too, and first tokens of programs.
fn is_code(text: &str) -> bool {
    const STARTS: &[&str] = &[
        "print(",
        "if (",
        "else ",
        "return ",
        "function ",
        "cout ",
        "console.",
        "def ",
        "for (",
        "while (",
        "assert ",
        "let ",
        "const ",
        "var ",
    ];
    STARTS.iter().any(|start| text.starts_with(start))
}

/// `what "like" means`: words or signs in quotes, with blanks around them and none inside, in a text of others.
fn quotes_words(text: &str) -> bool {
    let mut rest = text;
    let mut outside = String::new();
    while let Some((before, behind)) = rest.split_once(['\'', '"']) {
        let quote = rest.as_bytes().get(before.len()).copied().map_or('"', char::from);
        let Some((inside, after)) = behind.split_once(quote) else { return false };
        let opens = before.is_empty() && outside.is_empty() || before.ends_with([' ', '(']);
        let closes = after.is_empty() || after.starts_with([' ', '.', ',', '!', '?', ')']);
        if !opens || !closes || inside.contains(|c: char| c.is_whitespace() || matches!(c, '\'' | '"')) {
            return false;
        }
        outside.push_str(before);
        outside.push_str(" x ");
        rest = after;
    }
    outside.push_str(rest);
    outside
        .split(' ')
        .any(|word| word.len() > 2 && word.bytes().all(|b| b.is_ascii_alphabetic()) && !prose::is_keyword(word))
        && !super::is_injection(&tame::tamed(&outside))
}

/// `text/html, */*;q=0.8`: to the reader of tokens a comment begins there.
fn is_list_of_types(text: &str) -> bool {
    let is_type = |item: &str| {
        let essence = item.split(';').next().unwrap_or(item).trim();
        let is_token = |part: &str| {
            !part.is_empty()
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'*' | b'+' | b'.' | b'-' | b' '))
        };
        essence.split_once('/').is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype))
    };
    text.contains('/') && text.split(',').all(is_type)
}

#[cfg(test)]
#[test]
fn what_only_begins_like_a_query_is_in_doubt() {
    for (text, doubtful) in [
        ("price between 10 and 20", true),
        ("- up-to-date and reliable data", true),
        ("80% acrylic and 20% wool", true),
        ("1 and 1 union select", false),
        ("1--", false),
        ("what \"like\" means", true),
        ("Separate columns with \"|\".", true),
        ("'='", false),
        ("x' or 'x", false),
        ("x \" or \" x", false),
        ("print(f(1))", true),
        ("text/html, application/*+json;q=0.5, */*", true),
        ("x/* , y", false),
    ] {
        assert_eq!(is_doubtful(text), doubtful, "{text}");
    }
}
