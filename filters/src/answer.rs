//! Answers: how each is read, and what may be written of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use postern_config::{Dialect, Direction, Part};

use crate::builtin::{Content, blocked};
use crate::dialect::http::media_type;
use crate::dialect::openai::{self, ChatStream, StreamLimits, StreamOut};
use crate::message::Message;
use crate::{Context, Judgement, Reason, Refusal, TextGuard, TextGuards, TextStep};

/// The head of an upstream's answer.
#[derive(Debug, Clone)]
pub struct AnswerHead {
    pub status: u16,
    /// `Content-Type` as it came; `None` where it is absent, repeated or not text.
    pub content_type: Option<String>,
    /// It has a `Content-Encoding` other than `identity`.
    pub encoded: bool,
    /// The request asked for a stream.
    pub asked_to_stream: bool,
}

/// How an answer goes out.
#[derive(Debug)]
pub enum AnswerWay {
    /// No guard of the route reads answers: piece by piece, as it comes.
    Pass,
    /// Read whole, then [`crate::Chain::judge_answer`].
    Whole,
    /// Event by event, through the hold-back window.
    Stream(Box<AnswerStream>),
}

/// The answer side of a chain.
#[derive(Debug)]
pub(crate) struct Answers {
    pub(crate) dialect: Dialect,
    pub(crate) content: Option<Content>,
    /// Guards of answers that are read whole, as the matrix names them.
    pub(crate) buffered: Vec<Arc<str>>,
    /// Guards of streams.
    pub(crate) streamed: Vec<Arc<str>>,
    pub(crate) stall: Duration,
}

const EVENT_STREAM: &str = "text/event-stream";

impl Answers {
    pub(crate) fn inspect(&self) -> bool {
        self.content.is_some() || self.dialect != Dialect::Http
    }

    pub(crate) fn open(&self, head: &AnswerHead, decision: &str) -> Result<AnswerWay, Refusal> {
        if !self.inspect() {
            return Ok(AnswerWay::Pass);
        }
        if head.encoded {
            return Err(unreadable(head, "the answer is encoded, so no guard can read it"));
        }
        let is_stream = head.media_type().as_deref() == Some(EVENT_STREAM);
        match (self.dialect, is_stream) {
            (Dialect::OpenAi, true) if head.asked_to_stream && head.succeeded() => {
                Ok(AnswerWay::Stream(self.stream(decision)))
            }
            (Dialect::OpenAi, true) => Err(unreadable(head, "a stream where none can be")),
            (Dialect::OpenAi, false) if head.asked_to_stream && head.succeeded() => {
                Err(unreadable(head, "a stream was asked for, and the answer is none"))
            }
            (Dialect::OpenAi | Dialect::Http, _) => Ok(AnswerWay::Whole),
        }
    }

    fn stream(&self, decision: &str) -> Box<AnswerStream> {
        let guards: Arc<dyn TextGuards> = match &self.content {
            Some(content) => content.guards().clone(),
            None => Arc::new(Unguarded),
        };
        Box::new(AnswerStream {
            chat: ChatStream::new(guards, decision, StreamLimits::default()),
            names: self.streamed.clone(),
            stall: self.stall,
        })
    }

    pub(crate) fn judge(&self, head: &AnswerHead, body: Bytes, cx: &mut Context) -> Result<Bytes, Refusal> {
        let judged = self.read(head, body.clone()).and_then(|message| match message {
            Some(message) => self.look(head, &message, body, cx),
            None => Ok(body),
        });
        self.note(&self.buffered, cx);
        judged
    }

    /// The message in a body; `None` where there is nothing to read.
    fn read(&self, head: &AnswerHead, body: Bytes) -> Result<Option<Message>, Refusal> {
        if body.is_empty() && (self.dialect == Dialect::Http || !head.succeeded() || head.status == 204) {
            return Ok(None);
        }
        let content_type = head.content_type.as_deref();
        let message = match self.dialect {
            Dialect::OpenAi => Message::openai_answer(content_type, body),
            Dialect::Http => Message::http(content_type, None, body),
        };
        let message = message.map_err(|error| unreadable(head, &error.to_string()))?;
        match message.opaque() {
            Some(what) => Err(unreadable(head, &format!("`{what}` cannot be read by any guard"))),
            None => Ok(Some(message)),
        }
    }

    /// Shows a message to the guards; returns what they leave of it.
    fn look(&self, head: &AnswerHead, message: &Message, body: Bytes, cx: &mut Context) -> Result<Bytes, Refusal> {
        let outcome = self.content.as_ref().map(|content| content.judge(message)).unwrap_or_default();
        cx.add_findings(outcome.findings);
        if let Some(refusal) = outcome.verdicts.refusal(Reason::AnswerRefused) {
            return Err(refusal);
        }
        match self.dialect {
            Dialect::Http if outcome.verdicts.edits.is_empty() => Ok(body),
            // The dialect takes out what repeats text in forms that nobody judged, edits or not.
            Dialect::Http | Dialect::OpenAi => {
                message.rewrite(&outcome.verdicts.edits).map_err(|error| unreadable(head, &error.to_string()))
            }
        }
    }

    fn note(&self, guards: &[Arc<str>], cx: &mut Context) {
        for guard in guards {
            cx.note(Direction::Response, guard);
        }
    }
}

impl AnswerHead {
    fn media_type(&self) -> Option<String> {
        self.content_type.as_deref().and_then(media_type)
    }

    fn succeeded(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Nothing of an answer passes that no guard can read. That an upstream failed is still told as such, for clients that
/// would try again.
fn unreadable(head: &AnswerHead, detail: &str) -> Refusal {
    let reason = if head.status >= 500 { Reason::UpstreamFailed } else { Reason::AnswerRefused };
    Refusal::new(reason, format!("status {}: {detail}", head.status))
}

/// A streamed answer on its way through the hold-back window.
#[derive(Debug)]
pub struct AnswerStream {
    chat: ChatStream,
    names: Vec<Arc<str>>,
    stall: Duration,
}

impl AnswerStream {
    /// Takes what the upstream sent; returns what may be written now.
    ///
    /// # Errors
    /// What may still be written, which ends with the dialect's error event, and the refusal.
    pub fn push(&mut self, bytes: &[u8], cx: &mut Context) -> Result<Bytes, (Bytes, Refusal)> {
        let out = self.chat.push(bytes);
        self.conclude(out, cx)
    }

    /// The upstream has ended: what is still held is judged as it stands.
    ///
    /// # Errors
    /// As [`AnswerStream::push`]; also where the stream ended in the middle.
    pub fn finish(&mut self, cx: &mut Context) -> Result<Bytes, (Bytes, Refusal)> {
        let out = self.chat.finish();
        let done = self.conclude(out, cx)?;
        self.note(cx);
        Ok(done)
    }

    /// Nothing came for [`AnswerStream::stall_after`] while text was held: an open match counts as found.
    ///
    /// # Errors
    /// As [`AnswerStream::push`].
    pub fn stall(&mut self, cx: &mut Context) -> Result<Bytes, (Bytes, Refusal)> {
        let out = self.chat.stall();
        self.conclude(out, cx)
    }

    /// The guards have run to the end of the stream, or to where it was cut.
    fn note(&self, cx: &mut Context) {
        for guard in &self.names {
            cx.note(Direction::Response, guard);
        }
    }

    fn conclude(&self, out: StreamOut, cx: &mut Context) -> Result<Bytes, (Bytes, Refusal)> {
        let bytes = Bytes::from(out.bytes);
        let refusal = match (out.blocked, out.reason) {
            (true, _) => blocked(Reason::AnswerRefused, &out.findings),
            (false, Some(reason)) => {
                let ended = || "the upstream ended the stream too early, or with an error".to_owned();
                Refusal::new(reason, out.error.map_or_else(ended, |error| error.to_string()))
            }
            (false, None) => {
                cx.add_findings(out.findings);
                return Ok(bytes);
            }
        };
        cx.add_findings(out.findings);
        self.note(cx);
        Err((bytes, refusal))
    }

    #[must_use]
    pub fn is_holding(&self) -> bool {
        self.chat.is_holding()
    }

    #[must_use]
    pub fn stall_after(&self) -> Duration {
        self.stall
    }

    /// The event that tells the caller's SDK that the stream was cut.
    #[must_use]
    pub fn error_event(&self, reason: Reason, decision: &str) -> Bytes {
        Bytes::from(openai::stream_error(reason, decision))
    }
}

/// Stands where no guard of the route looks into answers: everything passes as it is.
#[derive(Debug)]
struct Unguarded;

impl TextGuards for Unguarded {
    fn judge(&self, _part: Part, _text: &str) -> Judgement {
        Judgement::default()
    }

    fn open(&self, _part: Part) -> Box<dyn TextGuard> {
        Box::new(Self)
    }
}

impl TextGuard for Unguarded {
    fn push(&mut self, text: &str) -> TextStep {
        TextStep { release: text.to_owned(), ..TextStep::default() }
    }

    fn finish(&mut self) -> TextStep {
        TextStep::default()
    }

    fn stall(&mut self) -> TextStep {
        TextStep::default()
    }

    fn is_holding(&self) -> bool {
        false
    }
}
