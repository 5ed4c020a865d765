//! A request or an answer of a vendor's endpoint: its texts, and the facts that are decided on.

use bytes::Bytes;
use postern_config::Revision;

use super::adapter::{Endpoint, Target, Walk};
use super::body::JsonBody;
use super::system::{Marks, SystemTexts};
use super::{DialectError, Message, MessagePart};
use crate::Edit;
use crate::json::{Limits, Value};
use crate::message::Added;

/// What a message says beside its texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    pub model: Option<String>,
    /// The request asks for a stream.
    pub stream: bool,
    /// Answers asked for.
    pub choices: u32,
    /// Most tokens of one answer, as the request bounds it.
    pub max_tokens: Option<u64>,
    /// Names of the tools on offer, in their order.
    pub tools: Vec<String>,
    pub usage: Option<Usage>,
    /// The answer is the vendor's error object.
    pub is_error: bool,
}

impl Default for Facts {
    fn default() -> Self {
        Self {
            model: None,
            stream: false,
            choices: 1,
            max_tokens: None,
            tools: Vec::new(),
            usage: None,
            is_error: false,
        }
    }
}

/// Tokens, as the provider counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    pub prompt: u64,
    pub completion: u64,
    pub total: u64,
}

/// A parsed message. Owns its bytes.
#[derive(Debug)]
pub struct AiMessage {
    endpoint: Endpoint,
    /// `None` for a request without a body.
    body: Option<JsonBody>,
    facts: Facts,
    size: usize,
    /// What policy will put into it, or did.
    added: Added,
}

impl AiMessage {
    /// Reads a whole request body.
    ///
    /// # Errors
    /// Anything that is not strict JSON, a field that the adapter does not know, or a shape that the vendor does not
    /// document; a body where the endpoint takes none.
    pub fn request(target: Target<'_>, body: Bytes, limits: Limits) -> Result<Self, DialectError> {
        let facts = Facts { model: target.model.map(str::to_owned), ..Facts::default() };
        match target.endpoint.adapter().request {
            Some(walk) => Self::read(target.endpoint, walk, facts, body, limits),
            None if body.is_empty() => {
                Ok(Self { endpoint: target.endpoint, body: None, facts, size: 0, added: Added::default() })
            }
            None => Err(DialectError::MediaType),
        }
    }

    /// Reads a whole answer, of a success or of an error status.
    ///
    /// # Errors
    /// As [`AiMessage::request`].
    pub fn answer(endpoint: Endpoint, body: Bytes, limits: Limits) -> Result<Self, DialectError> {
        Self::read(endpoint, endpoint.adapter().answer, Facts::default(), body, limits)
    }

    fn read(
        endpoint: Endpoint,
        walk: Walk,
        mut facts: Facts,
        body: Bytes,
        limits: Limits,
    ) -> Result<Self, DialectError> {
        let size = body.len();
        let (body, ()) = JsonBody::parse(body, limits, |root, found| walk(root, found, &mut facts))?;
        Ok(Self { endpoint, body: Some(body), facts, size, added: Added::default() })
    }

    #[must_use]
    pub fn endpoint(&self) -> Endpoint {
        self.endpoint
    }

    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// See [`crate::Message::revised`].
    pub(crate) fn revised(&self, revision: &Revision) -> Result<Option<Bytes>, DialectError> {
        self.body.as_ref().map_or(Ok(None), |body| body.revised(revision, Some(self.endpoint)))
    }

    /// The body without what nobody can read.
    pub(crate) fn stripped(&self) -> Result<Bytes, DialectError> {
        self.body.as_ref().map_or(Err(DialectError::Fixed), JsonBody::stripped)
    }

    /// Tools that a request offers.
    pub(crate) fn offers(&self) -> Vec<super::Offer<'_>> {
        self.body.iter().flat_map(JsonBody::offers).collect()
    }

    /// Tools that an answer calls, or that a request says were called.
    pub(crate) fn calls(&self) -> Vec<super::Call<'_>> {
        self.body.iter().flat_map(JsonBody::calls).collect()
    }

    /// What an answer says in each of its choices.
    pub(crate) fn choices(&self) -> Vec<super::Choice<'_>> {
        self.body.iter().flat_map(JsonBody::choices).collect()
    }

    /// What stands at names inside each other.
    pub(crate) fn field(&self, names: &[String]) -> Option<Value<'_>> {
        self.body.as_ref()?.field(names)
    }

    /// The body with what the operator says put in, and with texts from outside between marks.
    ///
    /// # Errors
    /// [`DialectError::Fixed`] where there is no place for it.
    pub fn with_system(&self, texts: SystemTexts<'_>, marks: Option<Marks<'_>>) -> Result<Bytes, DialectError> {
        let put = self.endpoint.adapter().put.ok_or(DialectError::Fixed)?;
        self.body.as_ref().map_or(Err(DialectError::Fixed), |body| body.with_system(put, texts, marks))
    }

    /// What cannot be read, and may say something as the operator: a stored prompt, an earlier turn.
    pub(crate) fn unseen_system(&self) -> Option<&'static str> {
        self.body.as_ref().and_then(JsonBody::unseen_system)
    }

    /// Texts from outside, each with the bytes that it has in the body.
    pub(crate) fn outside_texts(&self) -> impl Iterator<Item = &[u8]> {
        self.body.iter().flat_map(|body| body.outside_texts()).map(|value| value.raw())
    }

    /// Bytes of the body, with what policy will put into it, at most.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size.saturating_add(self.added.bytes)
    }

    pub(crate) fn added(&self) -> Added {
        self.added
    }

    pub(crate) fn expect_added(&mut self, added: Added) {
        self.added = added;
    }

    /// The body was rewritten and has `bytes` now.
    pub(crate) fn set_size(&mut self, bytes: usize) {
        self.size = bytes;
    }

    /// As [`AiMessage::set_size`], with all that policy puts into it.
    pub(crate) fn set_whole_size(&mut self, bytes: usize) {
        self.size = bytes;
        self.added.bytes = 0;
    }
}

impl Message for AiMessage {
    fn parts(&self) -> &[MessagePart] {
        self.body.as_ref().map(JsonBody::parts).unwrap_or_default()
    }

    fn opaque(&self) -> Option<&'static str> {
        self.body.as_ref().and_then(JsonBody::opaque)
    }

    fn rewrite(&self, edits: &[(usize, Vec<Edit>)]) -> Result<Bytes, DialectError> {
        self.body.as_ref().map_or(Err(DialectError::Fixed), |body| body.rewrite(edits))
    }

    fn model(&self) -> Option<&str> {
        self.facts.model.as_deref()
    }

    fn stream(&self) -> bool {
        self.facts.stream
    }
}
