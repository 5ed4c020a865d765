//! One spelling of a request target: the path that routing, policy and the upstream all see.
//!
//! What other servers may read in two ways is refused, not repaired (attacks 11–18): empty and dot segments, encoded
//! separators, path parameters, backslashes, fragments, control and non-ASCII bytes, escapes that are not UTF-8. What
//! every parser reads the same is written one way: characters that need no escape in a segment are decoded, remaining
//! escapes have upper-case digits (RFC 3986 §6.2.2). A rule about `/models/x:delete` thus sees `/models/x%3Adelete` too.

mod glob;

use std::borrow::Cow;

pub use glob::PathGlob;

/// Longest accepted target.
pub const MAX_TARGET: usize = 8 * 1024;

/// A canonical path and the query as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target<'a> {
    pub path: Cow<'a, str>,
    pub query: Option<&'a str>,
}

/// Why a target is ambiguous.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    #[error("the target is longer than {MAX_TARGET} bytes")]
    TooLong,
    #[error("the path does not begin with `/`")]
    NotAbsolute,
    #[error("the path holds an empty segment")]
    EmptySegment,
    #[error("the path holds a dot segment")]
    DotSegment,
    #[error("the path holds path parameters or a backslash")]
    Separator,
    #[error("the target holds a byte that must be escaped")]
    IllegalByte,
    #[error("the target holds a broken escape")]
    BrokenEscape,
    #[error("the path holds an escaped separator, percent sign or control character")]
    EscapedSeparator,
    #[error("the path holds escapes that are not UTF-8")]
    NotUtf8,
}

/// Splits and canonicalises an origin-form target, as sent.
///
/// # Errors
/// [`TargetError`] for everything two parsers could read differently.
pub fn canonical(raw: &str) -> Result<Target<'_>, TargetError> {
    if raw.len() > MAX_TARGET {
        return Err(TargetError::TooLong);
    }
    let (path, query) = match raw.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (raw, None),
    };
    if let Some(query) = query {
        check_query(query)?;
    }
    Ok(Target { path: canonical_path(path)?, query })
}

fn canonical_path(path: &str) -> Result<Cow<'_, str>, TargetError> {
    if !path.starts_with('/') {
        return Err(TargetError::NotAbsolute);
    }
    let canonical = unescape(path)?;
    check_segments(&canonical)?;
    check_utf8(&canonical)?;
    Ok(canonical)
}

fn unescape(path: &str) -> Result<Cow<'_, str>, TargetError> {
    let mut out: Option<String> = None;
    let mut rest = path.as_bytes();
    let mut done = 0;
    while let [byte, tail @ ..] = rest {
        match byte {
            b'%' => {
                let [high, low, tail @ ..] = tail else { return Err(TargetError::BrokenEscape) };
                let value = hex(*high)? * 16 + hex(*low)?;
                let out = out.get_or_insert_with(|| path.get(..done).unwrap_or_default().to_owned());
                push_escape(out, value)?;
                rest = tail;
                done += 3;
            }
            b';' | b'\\' => return Err(TargetError::Separator),
            _ if is_pchar(*byte) || *byte == b'/' => {
                if let Some(out) = &mut out {
                    out.push(char::from(*byte));
                }
                rest = tail;
                done += 1;
            }
            _ => return Err(TargetError::IllegalByte),
        }
    }
    Ok(out.map_or(Cow::Borrowed(path), Cow::Owned))
}

fn push_escape(out: &mut String, value: u8) -> Result<(), TargetError> {
    match value {
        b'/' | b'\\' | b'%' | b';' | 0..=0x1f | 0x7f => return Err(TargetError::EscapedSeparator),
        // Some servers read a plain `+` as a space, so its escape says something else.
        b'+' => out.push_str("%2B"),
        _ if is_pchar(value) => out.push(char::from(value)),
        _ => {
            const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
            out.push('%');
            for nibble in [value >> 4, value & 15] {
                out.push(char::from(DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0')));
            }
        }
    }
    Ok(())
}

fn check_segments(path: &str) -> Result<(), TargetError> {
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        match segment {
            "" if segments.peek().is_some() => return Err(TargetError::EmptySegment),
            "." | ".." => return Err(TargetError::DotSegment),
            _ => {}
        }
    }
    Ok(())
}

/// Refuses overlong forms and other bytes that decoders repair each in their own way (attack 16).
fn check_utf8(canonical: &str) -> Result<(), TargetError> {
    if !canonical.contains('%') {
        return Ok(());
    }
    std::str::from_utf8(&unescaped(canonical)).map(drop).or(Err(TargetError::NotUtf8))
}

/// The bytes that escapes stand for; a `%` that begins none stands for itself.
#[must_use]
pub fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, tail @ ..] = rest {
        rest = match (byte, tail) {
            (b'%', [high, low, behind @ ..]) => match (hex(*high), hex(*low)) {
                (Ok(high), Ok(low)) => {
                    bytes.push(high * 16 + low);
                    behind
                }
                _ => {
                    bytes.push(*byte);
                    tail
                }
            },
            _ => {
                bytes.push(*byte);
                tail
            }
        };
    }
    bytes
}

fn check_query(query: &str) -> Result<(), TargetError> {
    let mut rest = query.as_bytes();
    while let [byte, tail @ ..] = rest {
        match byte {
            b'%' => {
                let [high, low, tail @ ..] = tail else { return Err(TargetError::BrokenEscape) };
                hex(*high)?;
                hex(*low)?;
                rest = tail;
            }
            _ if is_pchar(*byte) || matches!(byte, b'/' | b'?' | b';' | b'[' | b']') => rest = tail,
            _ => return Err(TargetError::IllegalByte),
        }
    }
    Ok(())
}

fn hex(digit: u8) -> Result<u8, TargetError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(TargetError::BrokenEscape),
    }
}

/// RFC 3986 §2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// RFC 3986 §3.3, without `;` and `%`, which are handled on their own.
fn is_pchar(byte: u8) -> bool {
    is_unreserved(byte)
        || matches!(byte, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b'=' | b':' | b'@')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack_11_to_18_ambiguous_targets_are_refused() {
        for (raw, want) in [
            ("admin", TargetError::NotAbsolute),
            ("http://x/", TargetError::NotAbsolute),
            ("*", TargetError::NotAbsolute),
            ("/admin;x/y", TargetError::Separator),
            ("/a;..;/admin", TargetError::Separator),
            ("/..;/admin", TargetError::Separator),
            ("/a%3bx", TargetError::EscapedSeparator),
            ("/a#frag", TargetError::IllegalByte),
            ("/a\\b", TargetError::Separator),
            ("/a%5cb", TargetError::EscapedSeparator),
            ("/a%2fb", TargetError::EscapedSeparator),
            ("/a%2Fb", TargetError::EscapedSeparator),
            ("//a", TargetError::EmptySegment),
            ("/a//b", TargetError::EmptySegment),
            ("/a/./b", TargetError::DotSegment),
            ("/a/../b", TargetError::DotSegment),
            ("/a/..", TargetError::DotSegment),
            ("/%2e%2e/b", TargetError::DotSegment),
            ("/a/%2E", TargetError::DotSegment),
            ("/%252e%252e/b", TargetError::EscapedSeparator),
            ("/a%00", TargetError::EscapedSeparator),
            ("/a%0d%0ab", TargetError::EscapedSeparator),
            ("/a%", TargetError::BrokenEscape),
            ("/a%4", TargetError::BrokenEscape),
            ("/a%zz", TargetError::BrokenEscape),
            ("/%c0%af", TargetError::NotUtf8),
            ("/%c0%ae%c0%ae/b", TargetError::NotUtf8),
            ("/a%ff", TargetError::NotUtf8),
            ("/caf%c3", TargetError::NotUtf8),
            ("/a b", TargetError::IllegalByte),
            ("/a<b", TargetError::IllegalByte),
            ("/é", TargetError::IllegalByte),
            ("/a?x=\u{e9}", TargetError::IllegalByte),
            ("/a?x=%g1", TargetError::BrokenEscape),
        ] {
            assert_eq!(canonical(raw), Err(want), "{raw}");
        }
    }

    #[test]
    fn one_spelling_for_what_every_parser_reads_the_same() {
        for (raw, path, query) in [
            ("/", "/", None),
            ("/v1/chat/completions", "/v1/chat/completions", None),
            ("/%7Euser/%41", "/~user/A", None),
            ("/caf%c3%a9", "/caf%C3%A9", None),
            ("/a/", "/a/", None),
            ("/a?x=/public&y=%2f", "/a", Some("x=/public&y=%2f")),
            ("/a:b@c,d=e", "/a:b@c,d=e", None),
            ("/models/x%3adelete", "/models/x:delete", None),
            ("/mia%40example.com%21%24%26%27%28%29%2a%2c%3d", "/mia@example.com!$&'()*,=", None),
            ("/a%2bb", "/a%2Bb", None),
            ("/a%20b%22", "/a%20b%22", None),
        ] {
            let target = canonical(raw).unwrap();
            assert_eq!((target.path.as_ref(), target.query), (path, query), "{raw}");
        }
        assert!(matches!(canonical("/v1/x").unwrap().path, Cow::Borrowed(_)));
    }

    proptest::proptest! {
        #[test]
        fn canonical_is_idempotent_and_never_panics(raw in "\\PC*|/([a-z./%;+:*?]|%[0-9a-fA-F]{2}){0,24}") {
            if let Ok(target) = canonical(&raw) {
                let again = canonical(&target.path).unwrap();
                proptest::prop_assert_eq!(again.path.as_ref(), target.path.as_ref());
            }
        }
    }
}
