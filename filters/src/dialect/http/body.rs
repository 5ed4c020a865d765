//! A body of plain HTTP as a message: text, JSON, a form, or a form of parts. All its parts are `HttpBody`.

use bytes::Bytes;
use postern_config::{Part, Revision};

use super::form::Form;
use super::multipart::Multipart;
use crate::Edit;
use crate::dialect::body::JsonBody;
use crate::dialect::part::Place;
use crate::dialect::{DialectError, Message, MessagePart, Text};
use crate::json::{Limits, apply};
use crate::media;

/// A whole body that can be read.
#[derive(Debug)]
pub struct HttpBody(Read);

#[derive(Debug)]
enum Read {
    Empty,
    /// One part, the whole.
    Text(Box<[MessagePart; 1]>),
    /// Every key, string and long number is a part; keys are fixed.
    Json(Box<JsonBody>),
    /// Every name and value is a part; names are fixed.
    Form(Form),
    /// The parts of each part; names are fixed.
    Multipart(Box<Multipart>),
}

impl HttpBody {
    /// Reads a body by its `Content-Type` (RFC 9110 §8.3): `text/*`, `application/json` and `…+json` by the strict reader,
    /// `application/x-www-form-urlencoded`, `multipart/form-data` with parts of these types. Only UTF-8 and its subset ASCII are read. An empty body needs no type.
    ///
    /// # Errors
    /// [`DialectError::MediaType`] for every other type or charset, for none, and for event streams; else what is wrong with the body.
    pub fn parse(content_type: Option<&str>, body: Bytes, limits: Limits) -> Result<Self, DialectError> {
        if body.is_empty() {
            return Ok(Self(Read::Empty));
        }
        let content_type = content_type.ok_or(DialectError::MediaType)?;
        let essence = media_type(content_type).ok_or(DialectError::MediaType)?;
        keeps_charset(content_type, &body)?;
        let read = match essence.as_str() {
            "application/x-www-form-urlencoded" => Read::Form(Form::parse(body, limits.nodes)?),
            "multipart/form-data" => Read::Multipart(Box::new(Multipart::parse(content_type, body, limits)?)),
            json if json == "application/json" || (json.starts_with("application/") && json.ends_with("+json")) => {
                let (body, ()) = JsonBody::parse(body, limits, |root, found| {
                    found.tree(root, Part::HttpBody, &[]);
                    Ok(())
                })?;
                Read::Json(Box::new(body))
            }
            // A client joins what events cut apart, and no guard of this dialect does.
            "text/event-stream" => return Err(DialectError::MediaType),
            text if text.starts_with("text/") => {
                let text = Text::shared(body).map_err(|offset| DialectError::Encoding { offset })?;
                Read::Text(Box::new([MessagePart { part: Part::HttpBody, text, fixed: false, place: Place::Index }]))
            }
            _ => return Err(DialectError::MediaType),
        };
        Ok(Self(read))
    }
}

impl HttpBody {
    /// See [`crate::Message::revised`].
    pub(crate) fn revised(&self, revision: &Revision) -> Result<Option<Bytes>, DialectError> {
        match &self.0 {
            Read::Json(body) => body.revised(revision, None),
            Read::Empty => Ok(None),
            Read::Text(_) | Read::Form(_) | Read::Multipart(_) if revision.minimize.is_empty() => Ok(None),
            Read::Text(_) | Read::Form(_) | Read::Multipart(_) => Err(DialectError::MediaType),
        }
    }
}

impl Message for HttpBody {
    fn parts(&self) -> &[MessagePart] {
        match &self.0 {
            Read::Empty => &[],
            Read::Text(whole) => whole.as_slice(),
            Read::Json(body) => body.parts(),
            Read::Form(form) => form.parts(),
            Read::Multipart(form) => form.parts(),
        }
    }

    fn opaque(&self) -> Option<&'static str> {
        None
    }

    fn rewrite(&self, edits: &[(usize, Vec<Edit>)]) -> Result<Bytes, DialectError> {
        match &self.0 {
            Read::Empty if edits.is_empty() => Ok(Bytes::new()),
            Read::Empty => Err(DialectError::Fixed),
            Read::Text(whole) => {
                let [part] = whole.as_ref();
                match edits {
                    [] => Ok(Bytes::copy_from_slice(part.text.as_str().as_bytes())),
                    [(0, edits)] => Ok(apply(part.text.as_str(), edits)?.into()),
                    _ => Err(DialectError::Fixed),
                }
            }
            Read::Json(body) => body.rewrite(edits),
            Read::Form(form) => form.rewrite(edits),
            Read::Multipart(form) => form.rewrite(edits),
        }
    }
}

/// That a body is in the charset that is said of it. All but one are the one in which it is read anyway: what is not ASCII and
/// said to be, its reader would take for something else than guards did.
pub(crate) fn keeps_charset(content_type: &str, body: &[u8]) -> Result<(), DialectError> {
    let Some((_, parameters)) = media::read(content_type) else { return Err(DialectError::MediaType) };
    let ascii =
        |(name, value): &(&str, &str)| name.eq_ignore_ascii_case("charset") && value.eq_ignore_ascii_case("us-ascii");
    match body.iter().position(|byte| !byte.is_ascii()).filter(|_| parameters.iter().any(ascii)) {
        Some(offset) => Err(DialectError::Encoding { offset }),
        None => Ok(()),
    }
}

/// Type and subtype in lower case, if every parameter is understood and the charset, once at most, is one that is read.
#[must_use]
pub fn media_type(content_type: &str) -> Option<String> {
    let (essence, parameters) = media::read(content_type)?;
    let mut charset = false;
    for (name, value) in parameters {
        if name.eq_ignore_ascii_case("charset") {
            let known = ["utf-8", "utf8", "us-ascii"].iter().any(|known| known.eq_ignore_ascii_case(value));
            if !known || std::mem::replace(&mut charset, true) {
                return None;
            }
        }
    }
    Some(essence)
}
