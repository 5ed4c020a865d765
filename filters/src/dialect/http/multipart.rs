//! `multipart/form-data` (RFC 7578), in the one reading on which all recipients agree: no preamble, no folding, no encodings, no
//! part that another reader could end elsewhere. Every part is a body of its own and is read by its type; its names are fixed.

use std::ops::Range;

use bytes::Bytes;
use memchr::memmem;
use postern_config::Part;

use super::HttpBody;
use crate::dialect::part::Place;
use crate::dialect::{DialectError, Message, MessagePart, Text};
use crate::json::{EditError, Limits};
use crate::{Edit, media};

/// Parts of one form.
const MAX_PARTS: usize = 1_000;
/// Bytes of the header lines of one part.
const MAX_HEAD: usize = 8 << 10;

/// A form and the bodies in it.
#[derive(Debug)]
pub(super) struct Multipart {
    body: Bytes,
    boundary: String,
    pieces: Vec<Piece>,
    /// Of all pieces in their order, with the piece and the index there; names are of none.
    parts: Vec<MessagePart>,
    places: Vec<Option<(usize, usize)>>,
}

#[derive(Debug)]
struct Piece {
    /// Its content in the body of the form.
    range: Range<usize>,
    content: HttpBody,
}

/// What the header lines of a part say.
#[derive(Debug, Default)]
struct Head<'h> {
    names: Vec<&'h str>,
    content_type: Option<&'h str>,
}

const SHAPE: DialectError = DialectError::Unsupported { what: "a form that recipients could read in different ways" };

impl Multipart {
    /// `content_type` as it was sent.
    pub(super) fn parse(content_type: &str, body: Bytes, limits: Limits) -> Result<Self, DialectError> {
        let boundary = boundary(content_type).ok_or(DialectError::MediaType)?;
        let (mut pieces, mut parts, mut places) = (Vec::new(), Vec::new(), Vec::new());
        let ranges = split(&body, &boundary)?;
        for (head, range) in ranges {
            let head = read_head(body.get(head).ok_or(SHAPE)?)?;
            for name in head.names {
                let text = Text::owned(name.to_owned());
                parts.push(MessagePart { part: Part::HttpBody, text, fixed: true, place: Place::Index });
                places.push(None);
            }
            let content_type = head.content_type.unwrap_or("text/plain");
            if media::read(content_type).is_none_or(|(essence, _)| essence.starts_with("multipart/")) {
                return Err(DialectError::MediaType);
            }
            let content = HttpBody::parse(Some(content_type), body.slice(range.clone()), limits)?;
            for (index, part) in content.parts().iter().enumerate() {
                parts.push(part.clone());
                places.push(Some((pieces.len(), index)));
            }
            pieces.push(Piece { range, content });
            if pieces.len() > MAX_PARTS || parts.len() > limits.nodes {
                return Err(DialectError::TooMany { what: "parts of a form" });
            }
        }
        Ok(Self { body, boundary, pieces, parts, places })
    }

    pub(super) fn parts(&self) -> &[MessagePart] {
        &self.parts
    }

    pub(super) fn rewrite(&self, edits: &[(usize, Vec<Edit>)]) -> Result<Bytes, DialectError> {
        let mut of_piece: Vec<Vec<(usize, Vec<Edit>)>> = self.pieces.iter().map(|_| Vec::new()).collect();
        for (index, edits) in edits.iter().filter(|(_, edits)| !edits.is_empty()) {
            let place = self.places.get(*index).copied().flatten().ok_or(DialectError::Fixed)?;
            of_piece.get_mut(place.0).ok_or(DialectError::Fixed)?.push((place.1, edits.clone()));
        }
        let mut out = Vec::with_capacity(self.body.len());
        let mut at = 0;
        for (piece, edits) in self.pieces.iter().zip(of_piece).filter(|(_, edits)| !edits.is_empty()) {
            out.extend_from_slice(self.body.get(at..piece.range.start).ok_or(EditError::Overlap)?);
            let content = piece.content.rewrite(&edits)?;
            // It would end the part earlier.
            if memmem::find(&content, self.boundary.as_bytes()).is_some() {
                return Err(DialectError::Fixed);
            }
            out.extend_from_slice(&content);
            at = piece.range.end;
        }
        out.extend_from_slice(self.body.get(at..).unwrap_or_default());
        Ok(out.into())
    }
}

/// One `boundary`, of what RFC 2046 §5.1.1 lets it have.
fn boundary(content_type: &str) -> Option<String> {
    let (_, parameters) = media::read(content_type)?;
    let mut found = parameters.iter().filter(|(name, _)| name.eq_ignore_ascii_case("boundary"));
    let (_, value) = found.next()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=?".contains(&byte);
    let fits = (1..=70).contains(&value.len()) && value.bytes().all(plain) && found.next().is_none();
    fits.then(|| (*value).to_owned())
}

/// Where header lines and content of a part are.
type HeadAndContent = (Range<usize>, Range<usize>);

/// Header lines and content of each part.
fn split(body: &[u8], boundary: &str) -> Result<Vec<HeadAndContent>, DialectError> {
    let delimiter = format!("--{boundary}");
    let places: Vec<usize> = memmem::find_iter(body, delimiter.as_bytes()).take(MAX_PARTS + 2).collect();
    if places.first() != Some(&0) || places.len() > MAX_PARTS + 1 {
        return Err(SHAPE);
    }
    let mut found = Vec::new();
    let mut from: Option<usize> = None;
    let last = places.len().saturating_sub(1);
    for (index, place) in places.into_iter().enumerate() {
        let behind = body.get(place + delimiter.len()..).ok_or(SHAPE)?;
        // The delimiter stands alone on its line: text that only has it in it is what readers differ about.
        if place > 0 && body.get(place.saturating_sub(2)..place) != Some(b"\r\n") {
            return Err(SHAPE);
        }
        if let Some(from) = from {
            let end = place.checked_sub(2).filter(|end| *end >= from).ok_or(SHAPE)?;
            let part = body.get(from..end).ok_or(SHAPE)?;
            // A part without header lines, or without an end of them, is none.
            let head = memmem::find(part, b"\r\n\r\n").filter(|length| *length <= MAX_HEAD).ok_or(SHAPE)?;
            found.push((from..from + head, from + head + 4..end));
        }
        let closes = index == last;
        let tail: &[&[u8]] = if closes { &[b"--", b"--\r\n"] } else { &[b"\r\n"] };
        let fits = if closes { tail.contains(&behind) } else { behind.starts_with(b"\r\n") };
        if !fits {
            return Err(SHAPE);
        }
        from = (!closes).then_some(place + delimiter.len() + 2);
    }
    Ok(found)
}

fn read_head(head: &[u8]) -> Result<Head<'_>, DialectError> {
    let text = std::str::from_utf8(head).map_err(|error| DialectError::Encoding { offset: error.valid_up_to() })?;
    let mut read = Head::default();
    let mut disposed = false;
    for line in text.split("\r\n") {
        if line.contains(['\r', '\n', '\0']) {
            return Err(SHAPE);
        }
        let (name, value) = line.split_once(':').ok_or(SHAPE)?;
        let value = value.trim_matches([' ', '\t']);
        match name.to_ascii_lowercase().as_str() {
            "content-disposition" if !std::mem::replace(&mut disposed, true) => read.names = disposition(value)?,
            "content-type" if read.content_type.is_none() => read.content_type = Some(value),
            // Encodings, and lines that nobody has to understand.
            _ => return Err(SHAPE),
        }
    }
    if disposed { Ok(read) } else { Err(SHAPE) }
}

/// `form-data; name="a"; filename="b"`: the two values, quoted, without escapes.
fn disposition(value: &str) -> Result<Vec<&str>, DialectError> {
    let mut rest = value.strip_prefix("form-data").ok_or(SHAPE)?;
    let (mut name, mut file) = (None, None);
    while !rest.is_empty() {
        rest = rest.strip_prefix(';').ok_or(SHAPE)?.trim_start_matches([' ', '\t']);
        let (key, quoted) = rest.split_once("=\"").ok_or(SHAPE)?;
        let (inner, behind) = quoted.split_once('"').ok_or(SHAPE)?;
        let place = match key {
            "name" => &mut name,
            "filename" => &mut file,
            _ => return Err(SHAPE),
        };
        if inner.contains('\\') || place.replace(inner).is_some() {
            return Err(SHAPE);
        }
        rest = behind.trim_start_matches([' ', '\t']);
    }
    Ok(std::iter::once(name.ok_or(SHAPE)?).chain(file).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=XyZ";

    fn form(parts: &[(&str, &str)]) -> String {
        let parts: String =
            parts.iter().map(|(head, content)| format!("--XyZ\r\n{head}\r\n\r\n{content}\r\n")).collect();
        format!("{parts}--XyZ--\r\n")
    }

    fn read(body: &str) -> Result<HttpBody, DialectError> {
        HttpBody::parse(Some(TYPE), Bytes::copy_from_slice(body.as_bytes()), Limits::default())
    }

    const NAMED: &str = "Content-Disposition: form-data; name=\"a\"";

    #[test]
    fn every_part_is_read_by_its_type_and_rewritten_where_it_stands() {
        let body = form(&[
            (NAMED, "one sécret two"),
            (
                "content-disposition: form-data; name=\"f\"; filename=\"n.txt\"\r\nContent-Type: text/plain; charset=utf-8",
                "x\r\ny",
            ),
            ("Content-Disposition: form-data; name=\"j\"\r\nContent-Type: application/json", r#"{"k":"s\u00e9cret"}"#),
            ("Content-Disposition: form-data; name=\"e\"", ""),
        ]);
        let read = read(&body).unwrap();
        let texts: Vec<&str> = read.parts().iter().map(|part| part.text.as_str()).collect();
        assert_eq!(texts, ["a", "one sécret two", "f", "n.txt", "x\r\ny", "j", "k", "sécret", "e"]);
        let edit = |range: Range<usize>| vec![Edit { range, with: "[cut]".into() }];
        let out = read.rewrite(&[(1, edit(4..11)), (7, edit(0..7))]).unwrap();
        let want = body.replace("one sécret two", "one [cut] two").replace(r"s\u00e9cret", "[cut]");
        assert_eq!(out, want);
        assert_eq!(read.rewrite(&[]).unwrap(), body);
        assert_eq!(read.rewrite(&[(0, edit(0..1))]), Err(DialectError::Fixed), "a name");
        let ends = vec![Edit { range: 0..1, with: "\r\n--XyZ--".into() }];
        assert_eq!(read.rewrite(&[(1, ends)]), Err(DialectError::Fixed), "an edit that would end the part");
    }

    #[test]
    fn attack_48_what_recipients_could_read_in_different_ways_is_refused() {
        let good = form(&[(NAMED, "x")]);
        assert!(read(&good).is_ok() && read(good.trim_end()).is_ok());
        for (case, body) in [
            ("a preamble", format!("hello\r\n{good}")),
            ("an epilogue", format!("{good}more")),
            ("no end", good.replace("--XyZ--\r\n", "")),
            ("lines that end with LF", good.replace("\r\n", "\n")),
            ("a boundary in a line", form(&[(NAMED, "a --XyZ b")])),
            ("a boundary after LF", form(&[(NAMED, "a\n--XyZ\n")])),
            ("padding behind the boundary", good.replace("--XyZ\r\n", "--XyZ \r\n")),
            ("no header lines", "--XyZ\r\n\r\nx\r\n--XyZ--\r\n".to_owned()),
            ("no disposition", form(&[("Content-Type: text/plain", "x")])),
            ("two dispositions", form(&[(&format!("{NAMED}\r\n{NAMED}"), "x")])),
            ("two names", form(&[(&format!("{NAMED}; name=\"b\""), "x")])),
            ("a name without quotes", form(&[("Content-Disposition: form-data; name=a", "x")])),
            ("an escape", form(&[("Content-Disposition: form-data; name=\"a\\\"b\"", "x")])),
            ("another spelling of a file name", form(&[(&format!("{NAMED}; filename*=utf-8''x"), "x")])),
            ("no name", form(&[("Content-Disposition: form-data", "x")])),
            ("an encoding", form(&[(&format!("{NAMED}\r\nContent-Transfer-Encoding: base64"), "eA==")])),
            ("a folded line", form(&[("Content-Disposition: form-data;\r\n name=\"a\"", "x")])),
            ("an image", form(&[(&format!("{NAMED}\r\nContent-Type: image/png"), "x")])),
            ("a form in a form", form(&[(&format!("{NAMED}\r\nContent-Type: {TYPE}"), "x")])),
            ("another charset", form(&[(&format!("{NAMED}\r\nContent-Type: text/plain; charset=utf-16"), "x")])),
            ("nothing in it", "--XyZ--\r\nx".to_owned()),
        ] {
            assert!(read(&body).is_err(), "{case}");
        }
        let bytes = form(&[(NAMED, "?")]).replace('?', "\u{1}").into_bytes();
        let bytes: Vec<u8> = bytes.into_iter().map(|byte| if byte == 1 { 0xff } else { byte }).collect();
        assert!(HttpBody::parse(Some(TYPE), bytes.into(), Limits::default()).is_err());
        for kind in [
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary=a; boundary=b",
            "multipart/form-data; boundary=\"a b\"",
            "multipart/mixed; boundary=XyZ",
        ] {
            let read = HttpBody::parse(Some(kind), Bytes::from(good.clone()), Limits::default());
            assert_eq!(read.unwrap_err(), DialectError::MediaType, "{kind}");
        }
        let many: Vec<(&str, &str)> = (0..1_001).map(|_| (NAMED, "x")).collect();
        assert!(read(&form(&many)).is_err());
    }
}
