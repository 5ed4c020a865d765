//! Escapes of JSON strings, read as what they stand for.

use super::{Features, Sink};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escape {
    None,
    Backslash,
    /// Digits of `\u` read, and their value.
    Code(u8, u32),
}

impl Features {
    pub(super) fn escaped(&mut self, byte: u8, sink: &mut impl Sink) {
        let was = std::mem::replace(&mut self.escape, Escape::None);
        match (was, byte) {
            (Escape::Backslash, b'n' | b'r') => {
                self.word_ended(sink);
                self.line(sink);
            }
            (Escape::Backslash, b't') => {
                self.word_ended(sink);
                self.space(sink);
            }
            (Escape::Backslash, b'u') => self.escape = Escape::Code(0, 0),
            (Escape::Backslash, b'\\') => self.escape = Escape::Backslash,
            (Escape::Backslash, _) => {
                self.word_ended(sink);
                self.ascii(byte, sink);
            }
            (Escape::Code(read, value), _) => match char::from(byte).to_digit(16) {
                Some(digit) if read < 3 => self.escape = Escape::Code(read + 1, value * 16 + digit),
                Some(digit) => match char::from_u32(value * 16 + digit) {
                    Some(c) if c.is_ascii() && c != '\\' => self.ascii(c as u8, sink),
                    Some(c) => self.other(c, sink),
                    None => {}
                },
                None => self.ascii(byte, sink),
            },
            (Escape::None, _) => {}
        }
    }
}
