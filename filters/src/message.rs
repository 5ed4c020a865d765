//! A request as the chain holds it: one of its dialect's messages, or a body that nobody on its route reads.

use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_TYPE, COOKIE};
use postern_config::{Dialect, Part, Revision, percent};

use crate::dialect::http::{HttpBody, keeps_charset, media_type};
use crate::dialect::{
    AiMessage, DialectError, Endpoint, Facts, Message as Parsed, MessagePart, StreamLimits, Target, Usage,
};
use crate::encoding::DecodeLimits;
use crate::json::{Limits, Value};
use crate::limit::Tokens;
use crate::{Edit, RequestView};

/// How large what is read may be, beside the body itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageLimits {
    /// Arrays and objects of JSON inside each other.
    pub json_depth: usize,
    /// Bytes of one event of a stream.
    pub sse_event: usize,
    /// What may come out of an encoded body of a request.
    pub decoded: DecodeLimits,
}

impl Default for MessageLimits {
    fn default() -> Self {
        Self {
            json_depth: Limits::default().depth,
            sse_event: StreamLimits::default().event,
            decoded: DecodeLimits::default(),
        }
    }
}

impl MessageLimits {
    pub(crate) fn json(self) -> Limits {
        Limits { depth: self.json_depth, ..Limits::default() }
    }

    pub(crate) fn stream(self) -> StreamLimits {
        StreamLimits { event: self.sse_event, json: self.json(), ..StreamLimits::default() }
    }
}

/// Tokens around a text: roles and marks of the dialect.
const PER_TEXT: usize = 4;

/// What policy puts into a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Added {
    pub(crate) bytes: usize,
    pub(crate) tokens: usize,
}

/// A parsed message, or an unread body.
#[derive(Debug)]
pub enum Message {
    /// Of a vendor's endpoint: a request or an answer.
    Ai(Box<AiMessage>),
    Http {
        body: Box<HttpBody>,
        /// Decoded names and values of the query. They are judged, and never rewritten: a finding in one refuses.
        query: Vec<String>,
        /// Values of header lines, as far as a guard looks at them. As the query.
        headers: Option<Vec<String>>,
    },
    /// Dialect `http` without content guards: bounded, authorized and forwarded as it is.
    Unread,
}

/// A text of a message, as guards judge it.
#[derive(Debug, Clone, Copy)]
pub struct PartText<'m> {
    pub part: Part,
    pub text: &'m str,
    /// For [`Message::rewrite`]; `None` where the text has no other spelling.
    pub index: Option<usize>,
}

impl Message {
    /// Reads a request of a vendor's endpoint. `content_type` as it was sent.
    ///
    /// # Errors
    /// Whatever is not strictly that protocol: another media type or charset, too, as an upstream that goes by it would
    /// read other text than the guards did.
    pub fn ai(
        target: Target<'_>,
        content_type: Option<&str>,
        body: Bytes,
        limits: MessageLimits,
    ) -> Result<Self, DialectError> {
        if target.endpoint.takes_body() && !is_json(content_type) {
            return Err(DialectError::MediaType);
        }
        content_type.map_or(Ok(()), |content_type| keeps_charset(content_type, &body))?;
        Ok(Self::Ai(Box::new(AiMessage::request(target, body, limits.json())?)))
    }

    /// Reads a whole answer of a vendor's endpoint, of a success or an error. `content_type` as it was sent.
    ///
    /// # Errors
    /// Whatever is not JSON of that protocol.
    pub fn ai_answer(
        endpoint: Endpoint,
        content_type: Option<&str>,
        body: Bytes,
        limits: MessageLimits,
    ) -> Result<Self, DialectError> {
        if !is_json(content_type) {
            return Err(DialectError::MediaType);
        }
        content_type.map_or(Ok(()), |content_type| keeps_charset(content_type, &body))?;
        Ok(Self::Ai(Box::new(AiMessage::answer(endpoint, body, limits.json())?)))
    }

    /// Reads a message of dialect `http` whose content is inspected. `content_type` as it was sent; `headers` where a guard looks at
    /// them.
    ///
    /// # Errors
    /// Media types that are not read, and what is wrong with the body, the query or the headers.
    pub fn http(
        content_type: Option<&str>,
        query: Option<&str>,
        headers: Option<&HeaderMap>,
        body: Bytes,
        limits: MessageLimits,
    ) -> Result<Self, DialectError> {
        let body = Box::new(HttpBody::parse(content_type, body, limits.json())?);
        let query = query.map(decode_query).transpose()?.unwrap_or_default();
        let headers = headers.map(read_headers).transpose()?;
        Ok(Self::Http { body, query, headers })
    }

    #[must_use]
    pub fn dialect(&self) -> Dialect {
        match self {
            Self::Ai(message) => message.endpoint().dialect(),
            Self::Http { .. } | Self::Unread => Dialect::Http,
        }
    }

    /// The endpoint it is of; `None` for plain HTTP.
    #[must_use]
    pub fn endpoint(&self) -> Option<Endpoint> {
        match self {
            Self::Ai(message) => Some(message.endpoint()),
            Self::Http { .. } | Self::Unread => None,
        }
    }

    /// The message in `body`, which is what guards left of this request: read anew, and as strictly.
    pub(crate) fn read_again(
        &self,
        req: &RequestView<'_>,
        model: Option<&str>,
        body: Bytes,
        limits: MessageLimits,
    ) -> Result<Self, DialectError> {
        match self {
            Self::Ai(message) => {
                let target = Target { endpoint: message.endpoint(), model };
                Ok(Self::Ai(Box::new(AiMessage::request(target, body, limits.json())?)))
            }
            Self::Http { headers, .. } => {
                let headers = headers.as_ref().map(|_| req.headers);
                Self::http(req.sole_header(&CONTENT_TYPE), req.query, headers, body, limits)
            }
            Self::Unread => Ok(Self::Unread),
        }
    }

    fn facts(&self) -> Option<&Facts> {
        match self {
            Self::Ai(message) => Some(message.facts()),
            Self::Http { .. } | Self::Unread => None,
        }
    }

    fn parsed(&self) -> Option<&dyn Parsed> {
        match self {
            Self::Ai(message) => Some(&**message),
            Self::Http { body, .. } => Some(&**body),
            Self::Unread => None,
        }
    }

    /// Every text, in the order of the message; the query and the headers come last.
    pub fn texts(&self) -> impl Iterator<Item = PartText<'_>> {
        let parts: &[MessagePart] = self.parsed().map(Parsed::parts).unwrap_or_default();
        let (query, headers): (&[String], &[String]) = if let Self::Http { query, headers, .. } = self {
            (query, headers.as_deref().unwrap_or_default())
        } else {
            (&[], &[])
        };
        let body = parts.iter().enumerate().map(|(index, part)| PartText {
            part: part.part,
            text: part.text.as_str(),
            index: (!part.fixed).then_some(index),
        });
        body.chain(fixed_texts(Part::HttpQuery, query)).chain(fixed_texts(Part::HttpHeader, headers))
    }

    /// Whether its header lines are among its texts.
    #[must_use]
    pub fn has_headers(&self) -> bool {
        matches!(self, Self::Http { headers: Some(_), .. })
    }

    /// What it carries that no guard can read, such as `image_url`.
    #[must_use]
    pub fn opaque(&self) -> Option<&'static str> {
        self.parsed().and_then(Parsed::opaque)
    }

    /// The body as `revision` leaves it, before anything is decided about it; `None` where that is as it came.
    ///
    /// # Errors
    /// [`DialectError::MediaType`] where fields are to be dropped of what is no JSON.
    pub(crate) fn revised(&self, revision: &Revision) -> Result<Option<Bytes>, DialectError> {
        match self {
            Self::Ai(message) => message.revised(revision),
            Self::Http { body, .. } => body.revised(revision),
            Self::Unread if revision.minimize.is_empty() => Ok(None),
            // Nothing of it was read, so nothing can be taken out.
            Self::Unread => Err(DialectError::MediaType),
        }
    }

    /// The body without what nobody can read.
    pub(crate) fn stripped(&self) -> Result<Bytes, DialectError> {
        match self {
            Self::Ai(message) => message.stripped(),
            Self::Http { .. } | Self::Unread => Err(DialectError::Fixed),
        }
    }

    /// The body with edits applied. What the dialect strips is gone even without any.
    ///
    /// # Errors
    /// [`DialectError::Fixed`] for an edit of a text that has no other spelling.
    pub fn rewrite(&self, edits: &[(usize, Vec<Edit>)]) -> Result<Bytes, DialectError> {
        self.parsed().map_or(Err(DialectError::Fixed), |parsed| parsed.rewrite(edits))
    }

    #[must_use]
    pub fn model(&self) -> Option<&str> {
        self.parsed().and_then(Parsed::model)
    }

    /// Whether it asks for a stream.
    #[must_use]
    pub fn streams(&self) -> bool {
        self.parsed().is_some_and(Parsed::stream)
    }

    /// Names of the tools on offer.
    #[must_use]
    pub fn tools(&self) -> &[String] {
        self.facts().map(|facts| facts.tools.as_slice()).unwrap_or_default()
    }

    /// Tools on offer, with the schemas of their arguments.
    pub(crate) fn offers(&self) -> Vec<crate::dialect::Offer<'_>> {
        match self {
            Self::Ai(message) => message.offers(),
            Self::Http { .. } | Self::Unread => Vec::new(),
        }
    }

    /// Calls of tools.
    pub(crate) fn calls(&self) -> Vec<crate::dialect::Call<'_>> {
        match self {
            Self::Ai(message) => message.calls(),
            Self::Http { .. } | Self::Unread => Vec::new(),
        }
    }

    /// What an answer says in each of its choices.
    pub(crate) fn choices(&self) -> Vec<crate::dialect::Choice<'_>> {
        match self {
            Self::Ai(message) => message.choices(),
            Self::Http { .. } | Self::Unread => Vec::new(),
        }
    }

    /// Whether it is the vendor's error object.
    pub(crate) fn is_error(&self) -> bool {
        self.facts().is_some_and(|facts| facts.is_error)
    }

    /// Never too low: no tokenizer makes more tokens than bytes.
    #[must_use]
    pub fn input_tokens(&self) -> u64 {
        match self {
            Self::Ai(message) => u64::try_from(message.size()).unwrap_or(u64::MAX),
            Self::Http { .. } | Self::Unread => 0,
        }
    }

    /// So much will be put into it, at most.
    pub(crate) fn expect_added(&mut self, added: Added) {
        if let Self::Ai(message) = self {
            message.expect_added(added);
        }
    }

    /// The body was rewritten and has `bytes` now.
    pub(crate) fn set_size(&mut self, bytes: usize) {
        if let Self::Ai(message) = self {
            message.set_size(bytes);
        }
    }

    /// As [`Message::set_size`], with all that policy puts into it.
    pub(crate) fn set_whole_size(&mut self, bytes: usize) {
        if let Self::Ai(message) = self {
            message.set_whole_size(bytes);
        }
    }

    /// What a request may come to: the first an estimate by its texts, of four bytes to a token in ASCII and two elsewhere.
    #[must_use]
    pub(crate) fn tokens(&self) -> Tokens {
        let added = if let Self::Ai(message) = self { message.added().tokens } else { 0 };
        // What stands inside of another text is counted with it.
        let parts = self.parsed().map(Parsed::parts).unwrap_or_default().iter().filter(|part| !part.is_inside());
        let input = parts.map(|part| tokens_of(part.text.as_str())).fold(added, usize::saturating_add);
        let facts = self.facts();
        let choices = facts.map_or(1, |facts| facts.choices).into();
        let asked = facts.and_then(|facts| facts.max_tokens).map(|most| most.saturating_mul(choices));
        let output = if self.has_output() { asked } else { Some(0) };
        Tokens { input: u64::try_from(input).unwrap_or(u64::MAX), output }
    }

    /// Whether a model writes an answer to it, which can be longer and shorter.
    pub(crate) fn has_output(&self) -> bool {
        self.endpoint().is_some_and(Endpoint::has_output)
    }

    /// What stands at names inside each other in a body that a model reads.
    pub(crate) fn field(&self, names: &[String]) -> Option<Value<'_>> {
        match self {
            Self::Ai(message) => message.field(names),
            Self::Http { .. } | Self::Unread => None,
        }
    }

    /// What the provider counted, where it says so.
    pub(crate) fn usage(&self) -> Option<Usage> {
        self.facts().and_then(|facts| facts.usage)
    }

    /// `u64::MAX` where the request sets no limit.
    #[must_use]
    pub fn max_output_tokens(&self) -> u64 {
        self.facts().and_then(|facts| facts.max_tokens).unwrap_or(u64::MAX)
    }
}

/// An estimate of what a text of a message counts.
pub(crate) fn tokens_of(text: &str) -> usize {
    let ascii = text.bytes().filter(u8::is_ascii).count();
    ascii.div_ceil(4) + (text.len() - ascii).div_ceil(2) + PER_TEXT
}

/// Texts that have no other spelling.
pub(crate) fn fixed_texts(part: Part, texts: &[String]) -> impl Iterator<Item = PartText<'_>> {
    texts.iter().map(move |text| PartText { part, text, index: None })
}

fn is_json(content_type: Option<&str>) -> bool {
    content_type.and_then(media_type).is_some_and(|media| media == "application/json")
}

/// Header lines that frame or route a request, and credentials, which no upstream gets from a client.
const NOT_CONTENT: [&str; 8] = [
    "authorization",
    "connection",
    "content-length",
    "cookie",
    "dpop",
    "host",
    "proxy-authorization",
    "transfer-encoding",
];

/// Values of header lines, each cookie by itself.
pub(crate) fn read_headers(headers: &HeaderMap) -> Result<Vec<String>, DialectError> {
    let mut texts = Vec::new();
    for (name, value) in headers {
        let text =
            |bytes| std::str::from_utf8(bytes).map_err(|error| DialectError::Encoding { offset: error.valid_up_to() });
        if *name == COOKIE {
            for pair in text(value.as_bytes())?.split(';').map(str::trim) {
                let value = pair.split_once('=').map_or(pair, |(_, value)| value);
                texts.push(value.trim_matches('"').to_owned());
            }
        } else if !NOT_CONTENT.contains(&name.as_str()) {
            texts.push(text(value.as_bytes())?.to_owned());
        }
    }
    texts.retain(|text| !text.is_empty());
    Ok(texts)
}

/// Names and values of a query, decoded as forms are: `+` is a space, escapes must be whole and make UTF-8.
pub(crate) fn decode_query(query: &str) -> Result<Vec<String>, DialectError> {
    let mut texts = Vec::new();
    let mut offset = 0;
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        for text in [name, value] {
            if !text.is_empty() {
                texts.push(percent::decode_form(text).ok_or(DialectError::Encoding { offset })?);
            }
        }
        offset += pair.len() + 1;
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_as_its_names_and_values() {
        for (query, want) in [
            ("a=1&b=two+words", Ok(vec!["a", "1", "b", "two words"])),
            ("card=4111%201111", Ok(vec!["card", "4111 1111"])),
            ("flag", Ok(vec!["flag"])),
            ("a=%ff", Err(())),
            ("a=%4", Err(())),
        ] {
            let read = decode_query(query).map_err(|_| ());
            assert_eq!(read, want.map(|texts| texts.into_iter().map(str::to_owned).collect()), "{query}");
        }
    }
}
