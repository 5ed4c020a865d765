//! How shells read names that are spelled so that nobody sees them.

/// `text` without what a shell drops inside of a word: quotes, backslashes, carets and parameters that are empty. Nothing where
/// there are none of them.
pub(super) fn respelled(text: &str) -> Option<String> {
    memchr::memchr3(b'\'', b'"', b'\\', text.as_bytes())
        .or_else(|| memchr::memchr3(b'^', b'$', b'`', text.as_bytes()))?;
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let behind = rest.as_str();
        match c {
            '\'' | '"' | '\\' | '^' => {}
            // $@, $*, $u: nothing where they are not set. `$(` and `${` stay.
            '$' => match empty_parameter(behind) {
                Some(length) => rest = behind.get(length..).unwrap_or_default().chars(),
                None => out.push(c),
            },
            // Three of them are no shell's.
            '`' if behind.starts_with("``") => {
                out.push_str("```");
                rest = behind.get(2..).unwrap_or_default().chars();
            }
            '`' if behind.starts_with('`') => rest = behind.get(1..).unwrap_or_default().chars(),
            c => out.push(c),
        }
    }
    (out != text).then_some(out)
}

/// Bytes of a special parameter, of `()` or `{}`, or of a name of one letter, at the start of what follows a `$`.
fn empty_parameter(behind: &str) -> Option<usize> {
    match behind.as_bytes() {
        [b'@' | b'*' | b'!' | b'?' | b'-' | b'_' | b'$' | b'#', ..] => Some(1),
        [b'(', b')', ..] | [b'{', b'}', ..] => Some(2),
        [b'{', b'@' | b'*', b'}', ..] => Some(3),
        [b'{', letter, b'}', ..] if letter.is_ascii_alphabetic() => Some(3),
        [letter, ..] if letter.is_ascii_alphabetic() => {
            let next = behind.as_bytes().get(1).copied().unwrap_or(b' ');
            (!next.is_ascii_alphanumeric() && next != b'_').then_some(1)
        }
        _ => None,
    }
}

#[cfg(test)]
#[test]
fn what_a_shell_drops_is_dropped() {
    for (text, want) in [
        (r#";c'a't /e""tc/p\asswd"#, Some(";cat /etc/passwd")),
        ("w^h^oami", Some("whoami")),
        ("c$@at /et$*c ${u}x pi$()ng p``ing un$u -a", Some("cat /etc x ping ping un -a")),
        ("$(id) ${IFS} $HOME `id`", None),
        ("```sh", None),
        ("cat", None),
    ] {
        assert_eq!(respelled(text).as_deref(), want, "{text}");
    }
}
