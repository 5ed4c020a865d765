//! `application/x-www-form-urlencoded` (WHATWG URL §5.1), strictly: a percent sign begins an escape or the form is refused.

use std::ops::Range;

use bytes::Bytes;
use postern_config::Part;

use crate::Edit;
use crate::dialect::part::Place;
use crate::dialect::{DialectError, MessagePart, Text};
use crate::json::{EditError, OffsetMap};

/// A form and the texts in it.
#[derive(Debug)]
pub(super) struct Form {
    body: Bytes,
    parts: Vec<MessagePart>,
    /// Where each part's text lies in the body.
    maps: Vec<OffsetMap>,
}

impl Form {
    pub(super) fn parse(body: Bytes, most: usize) -> Result<Self, DialectError> {
        let mut form = Self { body: body.clone(), parts: Vec::new(), maps: Vec::new() };
        let mut at = 0;
        for pair in body.split(|b| *b == b'&') {
            let name = memchr::memchr(b'=', pair).unwrap_or(pair.len());
            form.add(at..at + name, true)?;
            if name < pair.len() {
                form.add(at + name + 1..at + pair.len(), false)?;
            }
            at += pair.len() + 1;
            if form.parts.len() > most {
                return Err(DialectError::TooMany { what: "fields" });
            }
        }
        Ok(form)
    }

    fn add(&mut self, range: Range<usize>, fixed: bool) -> Result<(), DialectError> {
        if range.is_empty() {
            return Ok(());
        }
        let raw = self.body.slice(range.clone());
        let mut text = Vec::with_capacity(raw.len());
        let mut map = OffsetMap::starting_at(range.start);
        let (mut at, mut plain) = (0, 0);
        while let Some(byte) = raw.get(at) {
            match byte {
                b'%' => {
                    let code = raw.get(at + 1..at + 3).and_then(byte_of);
                    text.push(code.ok_or(DialectError::Encoding { offset: range.start + at })?);
                    map.push(plain, 1, 3);
                    (at, plain) = (at + 3, 0);
                }
                byte => {
                    text.push(if *byte == b'+' { b' ' } else { *byte });
                    (at, plain) = (at + 1, plain + 1);
                }
            }
        }
        map.push(plain, 0, 0);
        let text = String::from_utf8(text)
            .map_err(|error| DialectError::Encoding { offset: range.start + error.utf8_error().valid_up_to() })?;
        self.parts.push(MessagePart { part: Part::HttpBody, text: Text::owned(text), fixed, place: Place::Index });
        self.maps.push(map);
        Ok(())
    }

    pub(super) fn parts(&self) -> &[MessagePart] {
        &self.parts
    }

    pub(super) fn rewrite(&self, edits: &[(usize, Vec<Edit>)]) -> Result<Bytes, DialectError> {
        let mut changes: Vec<(Range<usize>, &str)> = Vec::new();
        for (index, edits) in edits.iter().filter(|(_, edits)| !edits.is_empty()) {
            let part = self.parts.get(*index).filter(|part| !part.fixed).ok_or(DialectError::Fixed)?;
            let map = self.maps.get(*index).ok_or(DialectError::Fixed)?;
            for edit in edits {
                part.text.as_str().get(edit.range.clone()).ok_or(EditError::BadRange)?;
                changes.push((map.raw_range(edit.range.clone()).ok_or(EditError::BadRange)?, &edit.with));
            }
        }
        changes.sort_by_key(|(range, _)| (range.start, range.end));
        let mut out = Vec::with_capacity(self.body.len());
        let mut at = 0;
        for (range, with) in changes {
            out.extend_from_slice(self.body.get(at..range.start).ok_or(EditError::Overlap)?);
            with.bytes().for_each(|byte| encode(byte, &mut out));
            at = range.end;
        }
        out.extend_from_slice(self.body.get(at..).unwrap_or_default());
        Ok(out.into())
    }
}

fn byte_of(digits: &[u8]) -> Option<u8> {
    let value = digits.iter().try_fold(0, |value, digit| Some(value << 4 | char::from(*digit).to_digit(16)?))?;
    u8::try_from(value).ok()
}

fn encode(byte: u8, out: &mut Vec<u8>) {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'*' | b'-' | b'.' | b'_' => out.push(byte),
        b' ' => out.push(b'+'),
        _ => out.extend(format!("%{byte:02X}").bytes()),
    }
}
