//! A text that libinjection reads in linear time, with the same tokens.

use std::borrow::Cow;

/// Dots and backquotes that one word may have. A name has three at most, and the reader looks at the whole word for each.
const DOTS: usize = 8;
/// NULs in a row that are left: the reader takes them for blanks or skips them, and starts over for every name it knows.
const NULS: usize = 2;

/// `text` with a blank behind every eighth dot or backquote of a word, and without what is more than two NULs in a row.
pub(super) fn tamed(text: &str) -> Cow<'_, str> {
    let Some(first) = wild(text.as_bytes()) else { return Cow::Borrowed(text) };
    let mut out = String::with_capacity(text.len() + text.len() / DOTS);
    let (done, rest) = text.split_at_checked(first).unwrap_or(("", text));
    out.push_str(done);
    let (mut dots, mut nuls) = (0, 0);
    for c in rest.chars() {
        nuls = if c == '\0' { nuls + 1 } else { 0 };
        if nuls > NULS {
            continue;
        }
        out.push(c);
        if matches!(c, '.' | '`') {
            dots += 1;
            if dots == DOTS {
                out.push(' ');
                dots = 0;
            }
        } else if ends_word(c) {
            dots = 0;
        }
    }
    Cow::Owned(out)
}

/// Where the first word with too many dots begins, or the first row of NULs.
fn wild(text: &[u8]) -> Option<usize> {
    let (mut word, mut dots, mut last) = (0, 0, None);
    let nuls = memchr::memmem::find(text, b"\0\0\0");
    for at in memchr::memchr2_iter(b'.', b'`', text) {
        let since = last.map_or(0, |last| last + 1);
        let between = text.get(since..at).unwrap_or_default();
        if let Some(end) = between.iter().rposition(|byte| ends_word(char::from(*byte))) {
            (word, dots) = (since + end + 1, 0);
        }
        (dots, last) = (dots + 1, Some(at));
        if dots >= DOTS {
            return Some(nuls.map_or(word, |nuls| nuls.min(word)));
        }
    }
    nuls
}

fn ends_word(c: char) -> bool {
    c.is_ascii() && !(c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '`' | '$'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_no_query_has_is_changed() {
        for (text, want) in [
            ("1' or a.b.c=1 --", "1' or a.b.c=1 --"),
            ("a. b. c. d. e. f. g. h. i. j.", "a. b. c. d. e. f. g. h. i. j."),
            ("x a.a.a.a.a.a.a.a.a.a", "x a.a.a.a.a.a.a.a. a.a"),
            ("``````````", "```````` ``"),
            ("<scr\0ipt>", "<scr\0ipt>"),
            ("é\0\0\0\0x", "é\0\0x"),
            ("é.a.a.a.a.a.a.a.a\0\0\0", "é.a.a.a.a.a.a.a. a\0\0"),
        ] {
            assert_eq!(tamed(text), want);
        }
    }
}
