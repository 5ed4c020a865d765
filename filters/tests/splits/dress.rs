//! Ways to write the same events.

use super::formats::Event;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dress {
    /// Events have no names.
    Plain,
    /// Lines end in CR and LF.
    CrLf,
    /// Lines end in CR, and events have no names.
    Cr,
    /// Comments, ids and times to wait between them, and no space behind colons.
    Comments,
    /// Data over several lines, which end in CR and LF.
    Lines,
    /// A byte order mark in front, and what need not be escaped is, surrogate pairs among it.
    Escapes,
}

impl Dress {
    pub const ALL: [Self; 6] = [Self::Plain, Self::CrLf, Self::Cr, Self::Comments, Self::Lines, Self::Escapes];

    pub fn write(self, events: &[Event]) -> Vec<u8> {
        let mut out = Vec::new();
        if self == Self::Escapes {
            out.extend("\u{feff}".as_bytes());
        }
        for (n, (name, data)) in events.iter().enumerate() {
            let space = if self == Self::Comments { "" } else { " " };
            let mut event = String::new();
            if self == Self::Comments && n == 1 {
                event += ": a comment\nretry: 5\nid: 7\n";
            }
            if !name.is_empty() && !matches!(self, Self::Plain | Self::Cr) {
                event += &format!("event:{space}{name}\n");
            }
            let mut data = self.data(data);
            if self == Self::Lines {
                // Between members of an object, where a line may end.
                data = data.replacen(",\"", ",\ndata: \"", 1);
            }
            event += &format!("data:{space}{data}\n\n");
            let end = match self {
                Self::CrLf | Self::Lines => "\r\n",
                Self::Cr => "\r",
                Self::Plain | Self::Comments | Self::Escapes => "\n",
            };
            out.extend(event.replace('\n', end).as_bytes());
        }
        out
    }

    /// The same JSON, as it is spelled.
    pub fn data(self, json: &str) -> String {
        if self == Self::Escapes { escaped(json) } else { json.to_owned() }
    }
}

/// JSON with escapes for all that stands outside of ASCII, and for some of what texts alone hold.
fn escaped(json: &str) -> String {
    let mut out = String::new();
    for c in json.chars() {
        if c.is_ascii() && !matches!(c, '@' | '<' | '-' | ' ') {
            out.push(c);
        } else {
            out.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    out
}
