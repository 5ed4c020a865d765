//! Percent-encoding (RFC 3986 §2.1), read strictly: an escape that is cut off or no escape, and bytes that are not UTF-8, are nothing.

/// `text` without its escapes.
#[must_use]
pub fn decode(text: &str) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, tail @ ..] = rest {
        rest = match (byte, tail) {
            (b'%', [high, low, behind @ ..]) => {
                bytes.push(digit(*high)? << 4 | digit(*low)?);
                behind
            }
            (b'%', _) => return None,
            (byte, tail) => {
                bytes.push(*byte);
                tail
            }
        };
    }
    String::from_utf8(bytes).ok()
}

/// As forms write it, where `+` is a space.
#[must_use]
pub fn decode_form(text: &str) -> Option<String> {
    if text.contains('+') { decode(&text.replace('+', " ")) } else { decode(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_whole_and_make_text() {
        for (text, plain, form) in [
            ("", Some(""), Some("")),
            ("a+b", Some("a+b"), Some("a b")),
            ("a%2Bb%2bc", Some("a+b+c"), Some("a+b+c")),
            ("%C3%BC", Some("\u{fc}"), Some("\u{fc}")),
            ("%25", Some("%"), Some("%")),
            ("%2525", Some("%25"), Some("%25")),
            ("%", None, None),
            ("%2", None, None),
            ("a%+1", None, None),
            ("%zz", None, None),
            ("%ff", None, None),
            ("%C3", None, None),
        ] {
            assert_eq!(decode(text).as_deref(), plain, "{text}");
            assert_eq!(decode_form(text).as_deref(), form, "{text}");
        }
    }
}
