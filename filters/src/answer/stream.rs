//! An answer that leaves as it comes: what each piece of it may be followed by, and how it ends.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use postern_config::Direction;

use super::counting::Count;
use super::mirror::Found;
use super::{CallRules, Tried, for_reader, note_tried, refused, used};
use crate::builtin::{Content, Models, blocked};
use crate::dialect::{EventStream, StreamOut};
use crate::output::{AnswerSchemas, unfit};
use crate::{ContentFinding, Context, Reason, Refusal, mutant};

/// A streamed answer on its way through the hold-back window.
#[derive(Debug)]
pub struct AnswerStream {
    pub(super) calls: CallRules,
    pub(super) schemas: Option<Arc<AnswerSchemas>>,
    pub(super) models: Option<Arc<Models>>,
    pub(super) content: Option<Arc<Content>>,
    /// Bytes of text that have come.
    pub(super) count: Count,
    pub(super) decision: String,
    pub(super) events: EventStream,
    pub(super) tried: Option<(Arc<Tried>, Found)>,
    pub(super) names: Vec<Arc<str>>,
    pub(super) stall: Duration,
}

impl AnswerStream {
    /// Takes what the upstream sent; returns what may be written now.
    ///
    /// # Errors
    /// What may still be written, which ends with the dialect's error event, and the refusal.
    pub fn push(&mut self, bytes: &[u8], cx: &mut Context) -> Result<Bytes, (Bytes, Refusal)> {
        self.events.demand(|| self.calls.of(self.schemas.as_ref(), cx));
        let out = self.events.push(bytes);
        self.conclude(out, cx)
    }

    /// The upstream has ended: what is still held is judged as it stands.
    ///
    /// # Errors
    /// As [`AnswerStream::push`]; also where the stream ended in the middle.
    pub fn finish(&mut self, cx: &mut Context) -> Result<Bytes, (Bytes, Refusal)> {
        let out = self.events.finish();
        let done = self.conclude(out, cx)?;
        cx.tally().end();
        self.note(cx);
        Ok(done)
    }

    /// Nothing came for [`AnswerStream::stall_after`] while text was held: an open match counts as found.
    ///
    /// # Errors
    /// As [`AnswerStream::push`].
    pub fn stall(&mut self, cx: &mut Context) -> Result<Bytes, (Bytes, Refusal)> {
        let out = self.events.stall();
        self.conclude(out, cx)
    }

    /// The guards have run to the end of the stream, or to where it was cut.
    fn note(&self, cx: &mut Context) {
        for guard in &self.names {
            cx.note(Direction::Response, guard);
        }
    }

    fn conclude(&self, out: StreamOut, cx: &mut Context) -> Result<Bytes, (Bytes, Refusal)> {
        if let Some((tried, found)) = &self.tried {
            let (findings, blocked) = found.take();
            note_tried(&tried.blame, blocked, findings, cx);
        }
        let bytes = Bytes::from(out.bytes);
        // However it ends: what came before that in this push was not to come from this model, or not to this reader.
        if let Err(refusal) = self.named(cx).and_then(|()| self.readable(&out.findings, cx)) {
            return Err(self.cut(out.findings, refusal, cx));
        }
        let refusal = match (out.blocked, out.reason) {
            (true, _) => blocked(Reason::AnswerRefused, &out.findings),
            (false, Some(reason)) => {
                let ended = || "the upstream ended the stream too early, or with an error".to_owned();
                Refusal::new(reason, out.error.map_or_else(ended, |error| error.to_string()))
            }
            (false, None) => match self.counted(cx) {
                Ok(()) => {
                    cx.add_findings(out.findings);
                    return Ok(bytes);
                }
                Err(refusal) => return Err(self.cut(out.findings, refusal, cx)),
            },
        };
        cx.add_findings(out.findings);
        self.note(cx);
        Err((bytes, refusal))
    }

    /// Ends the stream without what this push would have sent.
    fn cut(&self, findings: Vec<ContentFinding>, refusal: Refusal, cx: &mut Context) -> (Bytes, Refusal) {
        cx.add_findings(findings);
        self.note(cx);
        (self.error_event(refusal.reason, &self.decision), refusal)
    }

    fn readable(&self, findings: &[ContentFinding], cx: &Context) -> Result<(), Refusal> {
        for_reader(self.content.as_ref().and_then(|content| content.left_by(findings)), cx)
    }

    /// Looks who answers. Nothing leaves of a model whose answers have to fit a schema, as only a whole one could be judged: so where
    /// there are such models, a stream has to say whose it is before it says anything.
    fn named(&self, cx: &mut Context) -> Result<(), Refusal> {
        let (asked, names) = (cx.model(), self.events.models());
        if let Some(models) = &self.models {
            names.iter().try_for_each(|model| models.check_answer(asked, model))?;
        }
        let schemas = self.schemas.as_ref().filter(|schemas| schemas.are_of_models() && !mutant::is("stream schemas"));
        let Some(schemas) = schemas else { return Ok(()) };
        let unnamed = names.is_empty() && self.count.tokens() > 0;
        let held = asked.into_iter().chain(names.iter().map(String::as_str)).any(|model| schemas.hold_for(model));
        if unnamed || held { Err(refused(unfit(), cx)) } else { Ok(()) }
    }

    /// Counts what has come by the limits of tokens.
    fn counted(&self, cx: &mut Context) -> Result<(), Refusal> {
        if cx.tally().is_empty() {
            return Ok(());
        }
        if let Some(usage) = self.events.usage() {
            cx.tally().said(used(usage));
        }
        let uptime = cx.uptime();
        cx.tally().flows(self.count.tokens(), uptime)
    }

    #[must_use]
    pub fn is_holding(&self) -> bool {
        self.events.is_holding()
    }

    #[must_use]
    pub fn stall_after(&self) -> Duration {
        self.stall
    }

    /// The event that tells the caller's SDK that the stream was cut.
    #[must_use]
    pub fn error_event(&self, reason: Reason, decision: &str) -> Bytes {
        Bytes::from(self.events.error_event(reason, decision))
    }
}
