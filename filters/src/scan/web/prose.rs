//! Texts that people write, which quote attacks now and then.

/// Words of letters alone that make a text one that people write, as parameters do not look.
pub(super) const PROSE: usize = 6;

/// Whether that many of them stand before `end`.
pub(super) fn is_prose(text: &str, end: usize, many: usize) -> bool {
    count(text.get(..end).unwrap_or(text).split_whitespace(), many) >= many
}

/// Words of letters, up to `many`; of scripts without spaces two characters count as one.
pub(super) fn count<'w>(words: impl Iterator<Item = &'w str>, many: usize) -> usize {
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

pub(super) fn bare(word: &str) -> &str {
    word.trim_matches(|c: char| matches!(c, '.' | ',' | ':' | ';' | '?' | '!' | '(' | ')' | '"' | '\''))
}

/// Words that queries are made of.
pub(super) fn is_keyword(word: &str) -> bool {
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
