//! The folded text that detectors read, with the way back to the text as received.
//!
//! A view grows with what arrives and forgets what was released, but for a short tail that look-behind needs. As long
//! as all of it is ASCII it keeps no map: positions are then equal but for one constant.

use super::blocks::ascii_run;
use super::fold::{Form, fold};

/// Folded bytes kept behind what was released, for look-behind and for the local part of an address.
pub(crate) const LOOK_BEHIND: usize = 96;

/// Positions in the text as received, in bytes from its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Origin {
    start: usize,
    end: usize,
}

pub(crate) struct View {
    form: Form,
    /// Folded bytes; the first has position `base`.
    bytes: Vec<u8>,
    base: usize,
    /// One per byte, or `None` while every byte is one ASCII character of the text.
    map: Option<Vec<Origin>>,
    /// Without a map: text position of the byte at `base`.
    offset: usize,
    /// With a map: no more text than this lies between the ends of two neighbours.
    widest: usize,
}

/// Shows lengths, never text.
impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "View({:?}, {} bytes from {})", self.form, self.bytes.len(), self.base)
    }
}

impl View {
    pub(crate) fn new(form: Form) -> Self {
        Self { form, bytes: Vec::new(), base: 0, map: None, offset: 0, widest: 1 }
    }

    /// Appends `text`, which begins at position `at` of the whole text.
    pub(crate) fn push(&mut self, text: &str, at: usize) {
        if text.is_ascii() && self.map.is_none() {
            self.bytes.extend_from_slice(text.as_bytes());
            return;
        }
        let offset = self.offset;
        let map = self.map.get_or_insert_with(|| {
            (0..self.bytes.len()).map(|i| Origin { start: offset + i, end: offset + i + 1 }).collect()
        });
        let mut last = map.last().map_or(at, |o| o.end);
        let mut i = 0;
        while let Some(rest) = text.get(i..).filter(|rest| !rest.is_empty()) {
            let ascii = ascii_run(rest.as_bytes());
            if ascii > 0 {
                let begin = at + i;
                self.bytes.extend_from_slice(rest.as_bytes().get(..ascii).unwrap_or_default());
                map.extend((begin..begin + ascii).map(|start| Origin { start, end: start + 1 }));
                self.widest = self.widest.max((begin + 1).saturating_sub(last));
                last = begin + ascii;
                i += ascii;
                continue;
            }
            let Some(c) = rest.chars().next() else { break };
            let origin = Origin { start: at + i, end: at + i + c.len_utf8() };
            let before = self.bytes.len();
            fold(self.form, c, |f| {
                let mut buffer = [0; 4];
                let encoded = f.encode_utf8(&mut buffer).as_bytes();
                self.bytes.extend_from_slice(encoded);
                map.extend(std::iter::repeat_n(origin, encoded.len()));
            });
            if self.bytes.len() > before {
                self.widest = self.widest.max(origin.end.saturating_sub(last));
                last = origin.end;
            }
            i += c.len_utf8();
        }
    }

    /// Position after the last folded byte.
    pub(crate) fn end(&self) -> usize {
        self.base + self.bytes.len()
    }

    /// Position of the first byte still kept.
    pub(crate) fn base(&self) -> usize {
        self.base
    }

    /// The kept bytes; index 0 is position [`View::base`].
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Folded bytes of a range of positions; empty where it is no longer kept.
    pub(crate) fn slice(&self, from: usize, to: usize) -> &[u8] {
        let range = from.saturating_sub(self.base)..to.saturating_sub(self.base);
        self.bytes.get(range).unwrap_or_default()
    }

    /// Where the character of the folded byte at `position` begins in the text.
    pub(crate) fn start_of(&self, position: usize) -> usize {
        let i = position.saturating_sub(self.base);
        match &self.map {
            None => self.offset + i,
            Some(map) => map.get(i).map_or_else(|| map.last().map_or(self.offset, |o| o.end), |o| o.start),
        }
    }

    /// Where the character of the folded byte at `position` ends in the text.
    pub(crate) fn end_of(&self, position: usize) -> usize {
        let i = position.saturating_sub(self.base);
        match &self.map {
            None => self.offset + i + 1,
            Some(map) => map.get(i).or(map.last()).map_or(self.offset, |o| o.end),
        }
    }

    /// Whether the `count` bytes after `position` come within `limit` bytes of text: nothing hides in between.
    pub(crate) fn is_near(&self, position: usize, count: usize, limit: usize) -> bool {
        let last = (position + count).min(self.end().saturating_sub(1));
        self.map.is_none() || self.end_of(last).saturating_sub(self.start_of(position)) <= limit
    }

    /// Whether that holds wherever one asks.
    pub(crate) fn is_near_everywhere(&self, count: usize, limit: usize) -> bool {
        // A character, which is no wider than its distance from the one before, and `count` more.
        self.map.is_none() || self.widest.saturating_mul(count).saturating_add(4) <= limit
    }

    /// Forgets what stands before text position `released`, but for the look-behind. `text_end` is how much text has
    /// been pushed in all.
    pub(crate) fn forget(&mut self, released: usize, text_end: usize) {
        let keep_from = match &self.map {
            None => released.saturating_sub(self.offset).min(self.bytes.len()),
            Some(map) => map.partition_point(|o| o.start < released),
        };
        let drop = keep_from.saturating_sub(LOOK_BEHIND);
        // Moving the tail has a price: wait until there is something to gain.
        if drop >= 4 * LOOK_BEHIND || self.map.is_some() {
            self.bytes.drain(..drop);
            self.base += drop;
            match &mut self.map {
                None => self.offset += drop,
                Some(map) => {
                    map.drain(..drop);
                }
            }
        }
        self.drop_map(text_end);
    }

    /// Goes back to keeping no map once every kept byte is again one ASCII character next to the other.
    fn drop_map(&mut self, text_end: usize) {
        let Some(map) = &self.map else { return };
        let begin = text_end.saturating_sub(self.bytes.len());
        if map.iter().enumerate().all(|(i, o)| o.start == begin + i && o.end == begin + i + 1) {
            self.offset = begin;
            self.map = None;
            self.widest = 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_lead_back_to_the_text_as_received() {
        let text = "a\u{200b}４é ﬁz";
        let mut view = View::new(Form::Plain);
        view.push(text, 0);
        assert_eq!(view.bytes(), "a4é fiz".as_bytes());
        let of = |p: usize| &text[view.start_of(p)..view.end_of(p)];
        assert_eq!((0..view.end()).map(of).collect::<Vec<_>>(), ["a", "４", "é", "é", " ", "ﬁ", "ﬁ", "z"]);
    }

    #[test]
    fn forgetting_keeps_positions_and_returns_to_plain_ascii() {
        let mut view = View::new(Form::Plain);
        let mut at = 0;
        for piece in ["é", &"x".repeat(500), &"y".repeat(500)] {
            view.push(piece, at);
            at += piece.len();
            view.forget(at, at);
        }
        assert!(view.map.is_none());
        assert!(view.bytes.len() <= 5 * LOOK_BEHIND);
        assert_eq!(view.start_of(view.end() - 1), at - 1);
        assert_eq!(view.slice(view.end() - 2, view.end()), b"yy");
    }
}
