//! Writes one line of JSON in printable ASCII, whatever the values hold (attack 52), every text within a stated length.

use super::redact::{Field, Redaction};

const MASK: &str = "[redacted]";

/// A JSON object under construction.
#[derive(Debug)]
pub(super) struct Json<'r> {
    out: Vec<u8>,
    redaction: &'r Redaction,
}

impl<'r> Json<'r> {
    pub(super) fn new(redaction: &'r Redaction) -> Self {
        Self { out: Vec::with_capacity(2048), redaction }
    }

    /// The whole line's content: one object filled by `fill`.
    pub(super) fn finish(mut self, fill: impl FnOnce(&mut Self)) -> Vec<u8> {
        self.braces(fill);
        self.out
    }

    fn braces(&mut self, fill: impl FnOnce(&mut Self)) {
        self.out.push(b'{');
        fill(self);
        self.out.push(b'}');
    }

    /// A comma, unless this is the first of its kind. Every finished value ends in `"`, `}`, `]`, a digit or a letter.
    fn separate(&mut self) {
        if !matches!(self.out.last(), None | Some(b'{' | b'[' | b':')) {
            self.out.push(b',');
        }
    }

    fn key(&mut self, name: &'static str) {
        self.separate();
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    pub(super) fn object(&mut self, name: &'static str, fill: impl FnOnce(&mut Self)) {
        self.key(name);
        self.braces(fill);
    }

    /// At most `max` items; how many there were is for the caller to say.
    pub(super) fn objects<T>(&mut self, name: &'static str, items: &[T], max: usize, fill: impl Fn(&mut Self, &T)) {
        self.key(name);
        self.out.push(b'[');
        for item in items.iter().take(max) {
            self.separate();
            self.braces(|json| fill(json, item));
        }
        self.out.push(b']');
    }

    pub(super) fn texts<T: AsRef<str>>(&mut self, name: &'static str, items: &[T], max: usize, length: usize) {
        self.key(name);
        self.out.push(b'[');
        for item in items.iter().take(max) {
            self.separate();
            write_text(&mut self.out, item.as_ref(), length);
        }
        self.out.push(b']');
    }

    pub(super) fn number(&mut self, name: &'static str, value: u64) {
        self.key(name);
        self.out.extend_from_slice(value.to_string().as_bytes());
    }

    pub(super) fn flag(&mut self, name: &'static str, value: bool) {
        self.key(name);
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
    }

    /// Text of ours or from a manifest, at most `length` bytes as written.
    pub(super) fn text(&mut self, name: &'static str, value: &str, length: usize) {
        self.key(name);
        write_text(&mut self.out, value, length);
    }

    /// Text that an operator may have redacted.
    pub(super) fn field(&mut self, field: Field, name: &'static str, value: &str, length: usize) {
        let value = if self.masks(field) { MASK } else { value };
        self.text(name, value, length);
    }

    pub(super) fn masks(&self, field: Field) -> bool {
        self.redaction.masks(field)
    }
}

/// Writes `value` in quotes, its inside cut at `length` bytes as written; what was cut is counted.
///
/// Two layers, because a reader may print what it has decoded: characters that steer a terminal, a page or the direction of
/// text become visible (`\u{1b}`, with `\` itself doubled), and everything else that is not plain ASCII becomes a JSON escape.
fn write_text(out: &mut Vec<u8>, value: &str, length: usize) {
    out.push(b'"');
    let end = out.len().saturating_add(length);
    for (at, c) in value.char_indices() {
        let start = out.len();
        write_char(out, c);
        if out.len() > end {
            out.truncate(start);
            let cut = value.len().saturating_sub(at);
            out.extend_from_slice(format!("[+{cut} bytes]").as_bytes());
            break;
        }
    }
    out.push(b'"');
}

fn write_char(out: &mut Vec<u8>, c: char) {
    match c {
        '\\' => out.extend_from_slice(br"\\\\"),
        '"' => out.extend_from_slice(b"\\\""),
        '<' | '>' | '&' | '\'' => write_unit(out, u32::from(c)),
        ' '..='~' => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        _ if steers(c) => out.extend_from_slice(format!("\\\\u{{{:x}}}", u32::from(c)).as_bytes()),
        _ => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| write_unit(out, u32::from(*unit))),
    }
}

fn write_unit(out: &mut Vec<u8>, unit: u32) {
    out.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
}

/// Controls, line separators, direction marks, invisible characters, tags, and noncharacters.
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff0}'..='\u{ffff}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(value: &str, length: usize) -> String {
        let mut out = Vec::new();
        write_text(&mut out, value, length);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn hostile_characters_are_made_visible() {
        for (value, want) in [
            ("plain /v1?x=~", r#""plain /v1?x=~""#),
            ("a\r\nb", r#""a\\u{d}\\u{a}b""#),
            ("\u{1b}[2J", r#""\\u{1b}[2J""#),
            ("\u{9b}2J\u{7f}\0", r#""\\u{9b}2J\\u{7f}\\u{0}""#),
            ("\",\"status_id\":1", r#""\",\"status_id\":1""#),
            (r"\u{1b}", r#""\\\\u{1b}""#),
            ("<b>&'", r#""\u003cb\u003e\u0026\u0027""#),
            ("\u{202e}gpj", r#""\\u{202e}gpj""#),
            ("\u{2028}", r#""\\u{2028}""#),
            ("é😀", r#""\u00e9\ud83d\ude00""#),
        ] {
            assert_eq!(written(value, 100), want, "{value:?}");
        }
    }

    #[test]
    fn a_long_text_is_cut_between_characters_and_says_by_how_much() {
        assert_eq!(written("abcdef", 6), r#""abcdef""#);
        assert_eq!(written("abcdefg", 6), r#""abcdef[+1 bytes]""#);
        assert_eq!(written("abcde\n", 6), r#""abcde[+1 bytes]""#);
        assert_eq!(written("", 0), r#""""#);
    }

    proptest! {
        #[test]
        fn any_text_is_one_bounded_printable_json_string(value in any::<String>(), length in 0usize..64) {
            let text = written(&value, length);
            prop_assert!(text.bytes().all(|b| (b' '..=b'~').contains(&b)));
            prop_assert!(text.len() <= length + 2 + "[+ bytes]".len() + 20);
            let read: String = serde_json::from_str(&text).unwrap();
            prop_assert!(!read.chars().any(steers));
        }
    }
}
