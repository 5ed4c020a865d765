//! Answers: how each is read, and what may be written of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use postern_config::{Dialect, Direction, Part};

use crate::builtin::{Content, blocked};
use crate::dialect::openai::{self, ChatStream, StreamLimits, StreamOut};
use crate::message::Message;
use crate::{Context, Judgement, Reason, Refusal, TextGuard, TextGuards, TextStep};

/// The head of an upstream's answer.
#[derive(Debug, Clone)]
pub struct AnswerHead {
    pub status: u16,
    /// Media type, lower case, without parameters.
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
            return Err(unreadable("the answer is encoded, so no guard can read it"));
        }
        let is_stream = head.content_type.as_deref() == Some(EVENT_STREAM);
        let succeeded = (200..300).contains(&head.status);
        match (self.dialect, is_stream) {
            (Dialect::OpenAi, true) if head.asked_to_stream && succeeded => {
                Ok(AnswerWay::Stream(self.stream(decision)))
            }
            (Dialect::OpenAi, true) => Err(unreadable("a stream that was not asked for")),
            (Dialect::OpenAi, false) if head.asked_to_stream && succeeded => {
                Err(unreadable("a stream was asked for, and the answer is none"))
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
        let message = match self.dialect {
            Dialect::OpenAi => Message::openai_answer(head.content_type.as_deref(), body.clone()),
            Dialect::Http => Message::http(head.content_type.as_deref(), None, body.clone()),
        };
        let message = message.map_err(|error| unreadable(&error.to_string()))?;
        let judged = match &self.content {
            None => body,
            Some(content) => {
                let outcome = content.judge(&message);
                let refusal = outcome.refusal(Reason::AnswerRefused);
                cx.add_findings(outcome.findings);
                if let Some(refusal) = refusal {
                    self.note(&self.buffered, cx);
                    return Err(refusal);
                }
                if outcome.edits.is_empty() {
                    body
                } else {
                    message.rewrite(&outcome.edits).map_err(|error| unreadable(&error.to_string()))?
                }
            }
        };
        self.note(&self.buffered, cx);
        Ok(judged)
    }

    fn note(&self, guards: &[Arc<str>], cx: &mut Context) {
        for guard in guards {
            cx.note(Direction::Response, guard);
        }
    }
}

fn unreadable(detail: &str) -> Refusal {
    Refusal::new(Reason::AnswerRefused, detail)
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
        conclude(out, cx)
    }

    /// The upstream has ended: what is still held is judged as it stands.
    ///
    /// # Errors
    /// As [`AnswerStream::push`]; also where the stream ended in the middle.
    pub fn finish(&mut self, cx: &mut Context) -> Result<Bytes, (Bytes, Refusal)> {
        let out = self.chat.finish();
        let done = conclude(out, cx)?;
        for guard in &self.names {
            cx.note(Direction::Response, guard);
        }
        Ok(done)
    }

    /// Nothing came for [`AnswerStream::stall_after`] while text was held: an open match counts as found.
    ///
    /// # Errors
    /// As [`AnswerStream::push`].
    pub fn stall(&mut self, cx: &mut Context) -> Result<Bytes, (Bytes, Refusal)> {
        let out = self.chat.stall();
        conclude(out, cx)
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

fn conclude(out: StreamOut, cx: &mut Context) -> Result<Bytes, (Bytes, Refusal)> {
    let bytes = Bytes::from(out.bytes);
    let refusal = match (out.blocked, out.reason) {
        (true, _) => Some(blocked(Reason::AnswerRefused, &out.findings)),
        (false, Some(reason)) => {
            let detail =
                out.error.map_or_else(|| "the upstream ended the stream with an error".to_owned(), |e| e.to_string());
            Some(Refusal::new(reason, detail))
        }
        (false, None) => None,
    };
    cx.add_findings(out.findings);
    match refusal {
        Some(refusal) => Err((bytes, refusal)),
        None => Ok(bytes),
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
