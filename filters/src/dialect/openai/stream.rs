//! A chat completion as it streams: events in, judged events out.
//!
//! Text of `content`, `refusal` and reasoning passes through one [`TextGuard`](crate::TextGuard) per choice and field:
//! an event leaves in the push it came in, carrying the text that is released by then. What a guard still holds when its
//! choice finishes goes out in an event of the same shape before the finish event.
//!
//! Tool calls are held until their choice finishes, then judged whole and sent as one delta. Nobody can act on half of a
//! call; half of a JSON string with escapes cannot be read, and only a whole call can be rewritten so that it stays JSON.
//! What is held counts against [`StreamLimits::held`].
//!
//! Ends, all by design §1.4 (nothing leaves before it is judged, and nothing broken looks whole):
//! * `[DONE]`: what is held is finished and sent, then `[DONE]`. Whatever follows is never forwarded.
//! * The stream ends without `[DONE]`: whole if every choice had a finish reason and no event was cut short. Otherwise what
//!   is held is dropped and the stream ends with an error event.
//! * A guard blocks, or an event is not understood: the event is dropped, an error event is sent, all else is dropped.
//! * The upstream sends an error: its texts are judged whole, the event is sent, what is held is dropped.
//!
//! `id`, `retry`, unknown fields and the text of comments are dropped; a comment passes as an empty one, to keep the
//! connection alive.

mod calls;
mod choice;
mod chunk;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use postern_config::Part;

use self::choice::Choice;
use super::{Usage, stream_error};
use crate::dialect::body::{Found, JsonBody};
use crate::dialect::sse::{SseItem, SseReader};
use crate::dialect::{DialectError, Message, MessagePart, judge};
use crate::json::{Document, Limits, Value, quote};
use crate::{ContentFinding, Edit, Reason, TextGuards};

/// Bounds of a stream.
#[derive(Debug, Clone, Copy)]
pub struct StreamLimits {
    /// Bytes of one event.
    pub event: usize,
    pub json: Limits,
    /// Choices, numbered from 0.
    pub choices: u32,
    /// Tool calls of one choice, numbered from 0.
    pub calls: u32,
    /// Bytes of tool calls held at once, all choices together.
    pub held: usize,
}

impl Default for StreamLimits {
    fn default() -> Self {
        Self { event: 1 << 20, json: Limits::default(), choices: 16, calls: 128, held: 1 << 20 }
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

/// Judges and rewrites one streamed answer. No I/O and no clock: the same bytes cut anywhere give the same bytes.
#[derive(Debug)]
pub struct ChatStream {
    guards: Arc<dyn TextGuards>,
    limits: StreamLimits,
    decision_id: String,
    sse: SseReader,
    choices: BTreeMap<u32, Choice>,
    /// Fields of the last event that events of ours repeat, from `{` to before `"choices"`.
    head: Vec<u8>,
    model: Option<String>,
    usage: Option<Usage>,
    /// Bytes of tool calls held.
    held: usize,
    ended: bool,
}

/// Why a stream is cut.
#[derive(Debug)]
enum Cut {
    Blocked,
    Refused(DialectError),
}

impl From<DialectError> for Cut {
    fn from(error: DialectError) -> Self {
        Self::Refused(error)
    }
}

impl ChatStream {
    /// A stream judged by `guards`; `decision_id` is named in the error event, if it comes to one.
    #[must_use]
    pub fn new(guards: Arc<dyn TextGuards>, decision_id: &str, limits: StreamLimits) -> Self {
        Self {
            guards,
            limits,
            decision_id: decision_id.to_owned(),
            sse: SseReader::new(limits.event),
            choices: BTreeMap::new(),
            head: Vec::new(),
            model: None,
            usage: None,
            held: 0,
            ended: false,
        }
    }

    /// More bytes of the answer, cut anywhere.
    pub fn push(&mut self, bytes: &[u8]) -> StreamOut {
        let mut out = StreamOut::default();
        let mut input = bytes;
        while !self.ended {
            let step = match self.sse.next(&mut input) {
                Ok(Some(item)) => self.item(item, &mut out),
                Ok(None) => break,
                Err(_too_large) => Err(Cut::Refused(DialectError::TooMany { what: "bytes of an event" })),
            };
            if let Err(cut) = step {
                self.cut(cut, &mut out);
            }
        }
        out.ended = self.ended;
        out
    }

    /// The answer has ended.
    pub fn finish(&mut self) -> StreamOut {
        let mut out = StreamOut::default();
        if !self.ended {
            let whole = !self.sse.in_event() && !self.choices.is_empty() && self.choices.values().all(|c| c.finished);
            if !whole {
                self.fail(Reason::UpstreamFailed, &mut out);
            }
            self.end();
        }
        out.ended = true;
        out
    }

    /// The `stall` time has passed while [`ChatStream::is_holding`]: open matches count as found.
    pub fn stall(&mut self) -> StreamOut {
        let mut out = StreamOut::default();
        let mut ready = Vec::new();
        let mut failed = None;
        for (index, choice) in &mut self.choices {
            match choice.stall(&mut out.findings) {
                Ok(texts) => ready.extend(texts.into_iter().map(|(field, text)| (*index, field, text))),
                Err(cut) => failed = Some(cut),
            }
        }
        for (index, field, text) in ready {
            self.text_event(index, field, &text, &mut out);
        }
        if let Some(cut) = failed {
            self.cut(cut, &mut out);
        }
        out.ended = self.ended;
        out
    }

    /// Whether a guard holds back text. Held tool calls do not count: they wait for the upstream, not for a match.
    #[must_use]
    pub fn is_holding(&self) -> bool {
        self.choices.values().any(Choice::is_holding)
    }

    /// The model that the last event named.
    #[must_use]
    pub fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        self.usage
    }

    fn item(&mut self, item: SseItem, out: &mut StreamOut) -> Result<(), Cut> {
        let SseItem::Event { name, data } = item else {
            out.bytes.extend(b":\n\n");
            return Ok(());
        };
        if !matches!(name.as_slice(), b"" | b"message" | b"error") {
            return Err(DialectError::Unsupported { what: "event" }.into());
        }
        if data.trim_ascii() == b"[DONE]" {
            return self.done(out);
        }
        let doc = Document::parse(Bytes::from(data), self.limits.json).map_err(DialectError::from)?;
        if doc.root().get("error").is_some_and(|error| !error.is_null()) {
            return self.upstream_error(doc, out);
        }
        self.chunk(&doc, out)
    }

    fn done(&mut self, out: &mut StreamOut) -> Result<(), Cut> {
        let open: Vec<u32> = self.choices.iter().filter(|(_, c)| !c.finished).map(|(index, _)| *index).collect();
        for index in open {
            self.finish_choice(index, out)?;
        }
        out.bytes.extend(b"data: [DONE]\n\n");
        self.end();
        Ok(())
    }

    /// Sends what the guards and the calls of a choice still hold.
    fn finish_choice(&mut self, index: u32, out: &mut StreamOut) -> Result<(), Cut> {
        let Some(choice) = self.choices.get_mut(&index) else { return Ok(()) };
        let texts = choice.finish(&mut out.findings)?;
        let calls = choice.take_calls(&mut self.held);
        for (field, text) in texts {
            self.text_event(index, field, &text, out);
        }
        for (field, calls) in calls {
            let calls = self.judge_calls(field, calls, out)?;
            self.event(index, field, &calls, out);
        }
        Ok(())
    }

    fn upstream_error(&mut self, doc: Document, out: &mut StreamOut) -> Result<(), Cut> {
        let bytes = doc.bytes().clone();
        let walk = |root: Value<'_>, found: &mut Found| {
            found.tree(root, Part::Assistant, &[]);
            Ok(())
        };
        let (body, ()) = JsonBody::parse(bytes, self.limits.json, walk)?;
        let bytes = self.judge_body(body, out)?;
        data_event(&bytes, out);
        out.reason = Some(Reason::UpstreamFailed);
        self.end();
        Ok(())
    }

    /// Judges a body whole and rewrites it.
    fn judge_body(&self, body: JsonBody, out: &mut StreamOut) -> Result<Bytes, Cut> {
        let whole = Whole(body);
        let judged = judge(&whole, self.guards.as_ref());
        out.findings.extend(judged.findings);
        if judged.blocked { Err(Cut::Blocked) } else { Ok(whole.rewrite(&judged.edits)?) }
    }

    fn text_event(&self, index: u32, field: &str, text: &str, out: &mut StreamOut) {
        if !text.is_empty() {
            self.event(index, field, &quote(text), out);
        }
    }

    /// An event of ours, with one field of one choice.
    fn event(&self, index: u32, field: &str, json: &[u8], out: &mut StreamOut) {
        out.bytes.extend(b"data: ");
        out.bytes.extend(&self.head);
        out.bytes.extend(format!("\"choices\":[{{\"index\":{index},\"delta\":{{\"{field}\":").as_bytes());
        out.bytes.extend(json);
        out.bytes.extend(b"},\"finish_reason\":null}]}\n\n");
    }

    fn cut(&mut self, cut: Cut, out: &mut StreamOut) {
        match cut {
            Cut::Blocked => out.blocked = true,
            Cut::Refused(error) => {
                // A finding that cannot be cut out of its place blocks.
                out.blocked = matches!(error, DialectError::Fixed | DialectError::Edit(_));
                out.error = Some(error);
            }
        }
        self.fail(Reason::AnswerRefused, out);
        self.end();
    }

    fn fail(&self, reason: Reason, out: &mut StreamOut) {
        out.reason = Some(reason);
        out.bytes.extend(stream_error(reason, &self.decision_id));
    }

    /// Nothing more leaves; what is held is dropped.
    fn end(&mut self) {
        self.ended = true;
        self.choices.clear();
        self.held = 0;
    }
}

/// Sends JSON as an event. Line ends can only stand between tokens and become spaces.
fn data_event(json: &[u8], out: &mut StreamOut) {
    out.bytes.extend(b"data: ");
    out.bytes.extend(json.iter().map(|b| if *b == b'\n' { b' ' } else { *b }));
    out.bytes.extend(b"\n\n");
}

/// A piece of an answer that is judged like a whole message.
#[derive(Debug)]
struct Whole(JsonBody);

impl Message for Whole {
    fn parts(&self) -> &[MessagePart] {
        self.0.parts()
    }

    fn opaque(&self) -> Option<&'static str> {
        self.0.opaque()
    }

    fn rewrite(&self, edits: &[(usize, Vec<Edit>)]) -> Result<Bytes, DialectError> {
        self.0.rewrite(edits)
    }
}
