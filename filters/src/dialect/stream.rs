//! An answer as it streams: events in, judged events out.
//!
//! Text passes through one [`TextGuard`](crate::TextGuard) per place in the answer: an event leaves in the push it came
//! in, carrying the text that is released by then. What a guard still holds when its text ends goes out in an event of the
//! same shape before the end is told.
//!
//! Tool calls are judged whole, at their end. Nobody can act on half of a call; half of a JSON string with escapes cannot
//! be read, and only a whole call can be rewritten so that it stays JSON. What is held for that counts against
//! [`StreamLimits::held`].
//!
//! Ends, all by one rule (nothing leaves before it is judged, and nothing broken looks whole):
//! * The dialect's own end: what is held is finished and sent, then the end. Whatever follows is never forwarded.
//! * The stream ends without it: whole if every text was finished and no event was cut short. Otherwise what is held is
//!   dropped and the stream ends with an error event.
//! * A guard blocks, or an event is not understood: the event is dropped, an error event is sent, all else is dropped.
//! * The upstream sends an error: its texts are judged whole, the event is sent, what is held is dropped.
//!
//! `id`, `retry`, unknown fields and the text of comments are dropped; a comment passes as an empty one, to keep the
//! connection alive.

mod judge;
mod texts;

use std::fmt;
use std::sync::Arc;

use postern_config::Opaque;

use super::DialectError;
use super::adapter::Endpoint;
use super::ai::Usage;
use super::sse::{SseItem, SseReader};
use crate::json::Limits;
use crate::output::CallDemands;
use crate::{ContentFinding, Reason, TextGuards};
pub(super) use judge::Judge;
pub(super) use texts::Texts;

/// Bounds of a stream.
#[derive(Debug, Clone, Copy)]
pub struct StreamLimits {
    /// Bytes of one event.
    pub event: usize,
    pub json: Limits,
    /// Choices, or items and blocks of one answer, numbered from 0.
    pub choices: u32,
    /// Tool calls of one choice, numbered from 0.
    pub calls: u32,
    /// Bytes of tool calls held at once, all choices together.
    pub held: usize,
    /// What becomes of content that nobody can read: it passes, or the stream is cut.
    pub opaque: Opaque,
}

impl StreamLimits {
    #[must_use]
    pub fn with_opaque(self, opaque: Opaque) -> Self {
        Self { opaque, ..self }
    }
}

impl Default for StreamLimits {
    fn default() -> Self {
        Self { event: 1 << 20, json: Limits::default(), choices: 16, calls: 128, held: 1 << 20, opaque: Opaque::Deny }
    }
}

/// What leaves after a push.
#[derive(Debug, Default)]
pub struct StreamOut {
    /// Whole events, to be sent and flushed now. May be empty.
    pub bytes: Vec<u8>,
    pub findings: Vec<ContentFinding>,
    /// A guard blocked. `bytes` ends with the error event.
    pub blocked: bool,
    /// The stream has ended, well or badly: nothing more will come, the upstream need not be read on.
    pub ended: bool,
    /// Why it ended badly.
    pub reason: Option<Reason>,
    /// What was not understood, for the log.
    pub error: Option<DialectError>,
}

/// The events of one endpoint. Keeps what has begun and not ended.
pub(super) trait Events: Send + fmt::Debug {
    /// Takes in one event and sends what may leave.
    fn event(&mut self, name: &[u8], data: Vec<u8>, judge: &mut Judge) -> Result<Next, Cut>;

    /// Open matches count as found: sends what that releases.
    fn stall(&mut self, judge: &mut Judge) -> Result<(), Cut>;

    /// Whether a guard holds back text. Held tool calls do not count: they wait for the upstream, not for a match.
    fn is_holding(&self) -> bool;

    /// Whether all that has begun has ended.
    fn is_whole(&self) -> bool;

    /// The last event of a stream that is cut. No end of the dialect's own follows it, so that no client takes what came
    /// before for a whole answer.
    fn error(&self, reason: Reason, decision_id: &str) -> Vec<u8>;

    fn model(&self) -> Option<&str>;

    fn usage(&self) -> Option<Usage>;
}

/// What comes after an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    More,
    /// The dialect's own end has been sent.
    Done,
    /// The upstream said that it failed, and the caller has been told.
    Failed,
}

/// Why a stream is cut.
#[derive(Debug)]
pub(super) enum Cut {
    Blocked,
    Refused(DialectError),
}

impl From<DialectError> for Cut {
    fn from(error: DialectError) -> Self {
        Self::Refused(error)
    }
}

/// Judges and rewrites one streamed answer. No I/O and no clock: the same bytes cut anywhere give the same bytes.
#[derive(Debug)]
pub struct EventStream {
    decision_id: String,
    sse: SseReader,
    judge: Judge,
    events: Box<dyn Events>,
    models: Vec<String>,
    ended: bool,
}

/// Models that one stream may name, in turn.
const MODELS: usize = 8;

impl EventStream {
    /// A stream of this endpoint's answers judged by `guards`, where it has streams; `decision_id` is named in the error
    /// event, if it comes to one.
    #[must_use]
    pub fn new(
        endpoint: Endpoint,
        guards: Arc<dyn TextGuards>,
        decision_id: &str,
        limits: StreamLimits,
    ) -> Option<Self> {
        let open = endpoint.adapter().events?;
        Some(Self {
            decision_id: decision_id.to_owned(),
            sse: SseReader::new(limits.event),
            judge: Judge::new(guards, limits),
            events: open(),
            models: Vec::new(),
            ended: false,
        })
    }

    /// From now on calls of tools have to meet this, said once.
    pub(crate) fn demand(&mut self, demands: impl FnOnce() -> CallDemands) {
        self.judge.demands.get_or_insert_with(demands);
    }

    /// More bytes of the answer, cut anywhere.
    pub fn push(&mut self, bytes: &[u8]) -> StreamOut {
        let mut input = bytes;
        while !self.ended {
            let step = match self.sse.next(&mut input) {
                Ok(Some(SseItem::Event { name, data })) => self.events.event(&name, data, &mut self.judge),
                Ok(Some(SseItem::Comment)) => {
                    self.judge.out.bytes.extend(b":\n\n");
                    Ok(Next::More)
                }
                Ok(None) => break,
                Err(_too_large) => Err(Cut::Refused(DialectError::TooMany { what: "bytes of an event" })),
            };
            let step = step.and_then(|next| self.name().map(|()| next));
            match step {
                Ok(Next::More) => {}
                Ok(Next::Done) => self.ended = true,
                Ok(Next::Failed) => {
                    self.judge.out.reason = Some(Reason::UpstreamFailed);
                    self.ended = true;
                }
                Err(cut) => self.cut(cut),
            }
        }
        self.out()
    }

    /// Notes who answers.
    fn name(&mut self) -> Result<(), Cut> {
        let Some(model) = self.events.model() else { return Ok(()) };
        if self.models.last().is_some_and(|last| last == model) {
            return Ok(());
        }
        if self.models.len() >= MODELS {
            return Err(DialectError::TooMany { what: "models in a stream" }.into());
        }
        self.models.push(model.to_owned());
        Ok(())
    }

    /// The answer has ended.
    pub fn finish(&mut self) -> StreamOut {
        if !self.ended {
            if self.sse.in_event() || !self.events.is_whole() {
                self.fail(Reason::UpstreamFailed);
            }
            self.ended = true;
        }
        self.out()
    }

    /// The `stall` time has passed while [`EventStream::is_holding`]: open matches count as found.
    pub fn stall(&mut self) -> StreamOut {
        if !self.ended
            && let Err(cut) = self.events.stall(&mut self.judge)
        {
            self.cut(cut);
        }
        self.out()
    }

    /// Whether a guard holds back text.
    #[must_use]
    pub fn is_holding(&self) -> bool {
        !self.ended && self.events.is_holding()
    }

    /// The models that events have named, each where another was named before.
    #[must_use]
    pub fn models(&self) -> &[String] {
        &self.models
    }

    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        self.events.usage()
    }

    /// The event that tells the caller's SDK that the stream is cut.
    #[must_use]
    pub fn error_event(&self, reason: Reason, decision_id: &str) -> Vec<u8> {
        self.events.error(reason, decision_id)
    }

    fn out(&mut self) -> StreamOut {
        StreamOut { ended: self.ended, ..std::mem::take(&mut self.judge.out) }
    }

    fn cut(&mut self, cut: Cut) {
        match cut {
            Cut::Blocked => self.judge.out.blocked = true,
            Cut::Refused(error) => {
                // A finding that cannot be cut out of its place blocks.
                self.judge.out.blocked = matches!(error, DialectError::Fixed | DialectError::Edit(_));
                self.judge.out.error = Some(error);
            }
        }
        self.fail(Reason::AnswerRefused);
        self.ended = true;
    }

    fn fail(&mut self, reason: Reason) {
        self.judge.out.reason = Some(reason);
        self.judge.out.bytes.extend(self.events.error(reason, &self.decision_id));
    }
}
