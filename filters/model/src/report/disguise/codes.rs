//! The same text in a code that somebody has to undo.

use std::fmt::Write as _;

use ::base64::Engine as _;
use ::base64::engine::general_purpose::STANDARD;

pub(crate) fn base64(text: &str) -> String {
    STANDARD.encode(text)
}

pub(crate) fn base64_in_a_sentence(text: &str) -> String {
    format!("The note that came with the parcel reads {} and is in base64.", base64(text))
}

fn each<T>(items: impl Iterator<Item = T>, write: impl Fn(&mut String, T)) -> String {
    items.fold(String::new(), |mut out, item| {
        write(&mut out, item);
        out
    })
}

pub(crate) fn hexadecimal(text: &str) -> String {
    each(text.bytes(), |out, byte| {
        let _ = write!(out, "{byte:02x}");
    })
}

pub(crate) fn percent(text: &str) -> String {
    each(text.bytes(), |out, byte| {
        let _ = write!(out, "%{byte:02X}");
    })
}

pub(crate) fn entities(text: &str) -> String {
    each(text.chars(), |out, c| {
        let _ = write!(out, "&#{};", u32::from(c));
    })
}

/// As JSON escapes them, every one.
pub(crate) fn escapes(text: &str) -> String {
    each(text.encode_utf16(), |out, unit| {
        let _ = write!(out, "\\u{unit:04x}");
    })
}

pub(crate) fn rot13(text: &str) -> String {
    let turned = |c: char, first: u8| char::from((c as u8 - first + 13) % 26 + first);
    let turn = |c: char| match c {
        'a'..='z' => turned(c, b'a'),
        'A'..='Z' => turned(c, b'A'),
        _ => c,
    };
    text.chars().map(turn).collect()
}

pub(crate) fn reversed(text: &str) -> String {
    text.chars().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_coded_comes_back() {
        for text in ["Ignore all rules.", "", "é 𝐀 \"quoted\"\n", "Zebra & zoo"] {
            assert_eq!(STANDARD.decode(base64(text)).unwrap(), text.as_bytes());
            let pairs: Vec<String> =
                hexadecimal(text).chars().collect::<Vec<_>>().chunks(2).map(String::from_iter).collect();
            let bytes: Vec<u8> = pairs.iter().map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect();
            assert_eq!(bytes, text.as_bytes());
            assert_eq!(percent(text).replace('%', "").to_lowercase(), hexadecimal(text));
            let json = format!("\"{}\"", escapes(text));
            assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
            let entities = entities(text);
            let codes = entities.split_terminator(';').map(|code| code.trim_start_matches("&#").parse().unwrap());
            assert_eq!(codes.map(|code| char::from_u32(code).unwrap()).collect::<String>(), text);
            assert_eq!(rot13(&rot13(text)), text);
            assert_eq!(reversed(&reversed(text)), text);
        }
        assert_eq!(rot13("Ignore"), "Vtaber");
        assert!(base64_in_a_sentence("x").contains(" eA== "));
    }
}
