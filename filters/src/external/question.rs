//! What a service is asked: the texts of one message that one detector looks at.

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;

use postern_config::{Direction, ExternalSource, Part, Redacted};
use serde::ser::{Serialize, SerializeSeq as _, SerializeStruct as _, Serializer};

use super::{Failure, Judge, Verdict};

/// Of the protocol.
pub(super) const VERSION: i64 = 1;

/// One question. Its `Debug` shows lengths, never text.
#[derive(PartialEq, Eq)]
pub struct Question {
    pub(super) judge: Arc<Judge>,
    direction: Direction,
    pub(super) texts: Vec<Shown>,
}

/// A text as it will leave, if it does.
#[derive(PartialEq, Eq)]
pub(super) struct Shown {
    /// For [`crate::Message::rewrite`]; `None` where the text has no other spelling.
    pub(super) place: Option<usize>,
    pub(super) part: Part,
    pub(super) trust: &'static str,
    pub(super) text: Arc<str>,
}

impl Question {
    pub(super) fn new(judge: &Arc<Judge>, direction: Direction, texts: Vec<Shown>) -> Self {
        Self { judge: Arc::clone(judge), direction, texts }
    }

    /// Name of the guard that asks: `runtime/moderation`.
    #[must_use]
    pub fn guard(&self) -> &str {
        &self.judge.guard
    }

    /// Where it is asked.
    #[must_use]
    pub fn source(&self) -> &ExternalSource {
        &self.judge.source
    }

    /// The word in metrics for what came of it.
    #[must_use]
    pub fn outcome(&self, said: &Result<Verdict, Failure>) -> &'static str {
        match said {
            Ok(verdict) if verdict.opinions.iter().any(|one| one.score >= self.judge.threshold) => "found",
            Ok(_) => "clear",
            Err(failure) => failure.as_str(),
        }
    }

    /// Bytes of [`Question::body`].
    #[must_use]
    pub fn length(&self, id: &str) -> usize {
        let mut counted = Counted(0);
        match serde_json::to_writer(&mut counted, &Asked { question: self, id }) {
            Ok(()) => counted.0,
            // Nothing has room for what cannot be written.
            Err(_) => usize::MAX,
        }
    }

    /// The body of the call. `id` is that of the exchange, as its record has it.
    #[must_use]
    pub fn body(&self, id: &str) -> Redacted<Vec<u8>> {
        let length = self.length(id);
        // Room for all of it, so that no copy of a text is left where it grew.
        let mut body = Vec::with_capacity(if length == usize::MAX { 0 } else { length });
        // INVARIANT: texts, words and numbers can always be written; an empty body is refused by whoever reads it.
        if serde_json::to_writer(&mut body, &Asked { question: self, id }).is_err() {
            body.clear();
        }
        Redacted::new(body)
    }
}

impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes: usize = self.texts.iter().map(|shown| shown.text.len()).sum();
        write!(f, "Question({}, {} texts, {bytes} bytes)", self.judge.guard, self.texts.len())
    }
}

struct Asked<'q> {
    question: &'q Question,
    id: &'q str,
}

impl Serialize for Asked<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { question, id } = self;
        let mut asked = serializer.serialize_struct("Asked", 5)?;
        asked.serialize_field("version", &VERSION)?;
        asked.serialize_field("id", id)?;
        asked.serialize_field("detector", &question.judge.name)?;
        let direction = match question.direction {
            Direction::Request => "request",
            Direction::Response => "response",
        };
        asked.serialize_field("direction", direction)?;
        asked.serialize_field("texts", &Texts(&question.texts))?;
        asked.end()
    }
}

struct Texts<'q>(&'q [Shown]);

impl Serialize for Texts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut texts = serializer.serialize_seq(Some(self.0.len()))?;
        for (index, shown) in self.0.iter().enumerate() {
            texts.serialize_element(&Text { index, shown })?;
        }
        texts.end()
    }
}

struct Text<'q> {
    index: usize,
    shown: &'q Shown,
}

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = serializer.serialize_struct("Text", 4)?;
        text.serialize_field("index", &self.index)?;
        text.serialize_field("part", self.shown.part.as_str())?;
        text.serialize_field("trust", self.shown.trust)?;
        text.serialize_field("text", &*self.shown.text)?;
        text.end()
    }
}

struct Counted(usize);

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.saturating_add(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
