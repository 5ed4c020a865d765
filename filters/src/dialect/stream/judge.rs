//! Shows pieces of a stream to the guards, and sends events.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use postern_config::{Opaque, Part};

use super::texts::Print;
use super::{Cut, StreamLimits, StreamOut};
use crate::ContentFinding;
use crate::course::{Arguments, View};
use crate::dialect::DialectError;
use crate::dialect::body::{Found, JsonBody};
use crate::json::{Document, Value};
use crate::output::CallDemands;
use crate::{Edit, TextGuard, TextGuards, mutant};

/// The guards of one stream, and what leaves of it.
#[derive(Debug)]
pub(in crate::dialect) struct Judge {
    guards: Arc<dyn TextGuards>,
    pub(in crate::dialect) limits: StreamLimits,
    pub(in crate::dialect) out: StreamOut,
    /// Texts that have been judged, and what was released of them: where the dialect says a text again, it says that.
    said: HashMap<(Part, Print), Said>,
    /// Bytes of `said`.
    remembered: usize,
    /// The dialect says every text again at its end: what was found in one is noted once.
    pub(in crate::dialect) repeats: bool,
    /// What is demanded of calls, where something is.
    pub(super) demands: Option<CallDemands>,
}

/// Texts with findings of which a stream knows that they were noted.
const MOST_NOTED: usize = 4096;

#[derive(Debug)]
enum Said {
    /// Streamed; this was released.
    Streamed(String),
    /// Judged whole before: its findings are in the record.
    Whole,
}

impl Judge {
    pub(super) fn new(guards: Arc<dyn TextGuards>, limits: StreamLimits) -> Self {
        Self {
            guards,
            limits,
            out: StreamOut::default(),
            said: HashMap::new(),
            remembered: 0,
            repeats: false,
            demands: None,
        }
    }

    pub(super) fn open(&self, part: Part) -> Box<dyn TextGuard> {
        self.guards.open(part)
    }

    /// Keeps what was released of a text that the dialect will say again.
    pub(super) fn remember(&mut self, part: Part, text: Print, released: String) -> Result<(), Cut> {
        self.remembered += released.len();
        if self.remembered > self.limits.event {
            return Err(DialectError::TooMany { what: "bytes of repeated text" }.into());
        }
        self.said.insert((part, text), Said::Streamed(released));
        Ok(())
    }

    /// Reads an event.
    pub(in crate::dialect) fn read(&self, data: Vec<u8>) -> Result<Document, DialectError> {
        Ok(Document::parse(Bytes::from(data), self.limits.json)?)
    }

    /// Judges JSON whole, as `walk` finds the texts in it, and rewrites it.
    #[cfg_attr(feature = "mutants", track_caller)]
    pub(in crate::dialect) fn whole(
        &mut self,
        json: Bytes,
        walk: impl FnOnce(Value<'_>, &mut Found) -> Result<(), DialectError>,
    ) -> Result<Bytes, Cut> {
        if mutant::is_here() {
            return Ok(json);
        }
        let doc = Document::parse(json, self.limits.json).map_err(DialectError::from)?;
        Ok(self.all_of(doc, walk)?.1)
    }

    /// As [`Judge::whole`], of an event that is read on.
    #[cfg_attr(feature = "mutants", track_caller)]
    pub(in crate::dialect) fn event(
        &mut self,
        doc: Document,
        walk: impl FnOnce(Value<'_>, &mut Found) -> Result<(), DialectError>,
    ) -> Result<Document, Cut> {
        if mutant::is_here() {
            return Ok(doc);
        }
        let (body, judged) = self.all_of(doc, walk)?;
        if judged == *body.doc().bytes() {
            return Ok(body.into_doc());
        }
        Ok(Document::parse(judged, self.limits.json).map_err(DialectError::from)?)
    }

    fn all_of(
        &mut self,
        doc: Document,
        walk: impl FnOnce(Value<'_>, &mut Found) -> Result<(), DialectError>,
    ) -> Result<(JsonBody, Bytes), Cut> {
        let limits = self.limits.json;
        let (body, ()) = JsonBody::of(doc, limits, walk)?;
        self.calls(|demands| body.calls().try_for_each(|call| demands.whole(call, limits)))?;
        let judged = self.judged(&body)?;
        Ok((body, judged))
    }

    /// As [`Judge::whole`], of what says only that a call begins: its arguments come later.
    #[cfg_attr(feature = "mutants", track_caller)]
    pub(in crate::dialect) fn beginning(
        &mut self,
        json: Bytes,
        walk: impl FnOnce(Value<'_>, &mut Found) -> Result<(), DialectError>,
    ) -> Result<Bytes, Cut> {
        if mutant::is_here() {
            return Ok(json);
        }
        let (body, ()) = JsonBody::parse(json, self.limits.json, walk)?;
        self.calls(|demands| body.calls().try_for_each(|call| demands.begin(call)))?;
        self.judged(&body)
    }

    /// Judges a call whose arguments have come by themselves.
    pub(in crate::dialect) fn called(&mut self, name: &str, input: Arguments<'_>) -> Result<(), Cut> {
        let limits = self.limits.json;
        self.calls(|demands| demands.end(name, input, limits))
    }

    /// From now on calls are told in this way, until it is said again.
    pub(in crate::dialect) fn view(&mut self, view: View) {
        if let Some(demands) = &mut self.demands {
            demands.view(view);
        }
    }

    fn calls(&mut self, judge: impl FnOnce(&mut CallDemands) -> Result<(), ContentFinding>) -> Result<(), Cut> {
        let Some(demands) = self.demands.as_mut().filter(|_| !mutant::is("stream calls")) else { return Ok(()) };
        judge(demands).map_err(|finding| {
            self.out.findings.push(finding);
            Cut::Blocked
        })
    }

    fn judged(&mut self, body: &JsonBody) -> Result<Bytes, Cut> {
        if let Some(what) = body.opaque().filter(|_| self.limits.opaque != Opaque::Allow) {
            return Err(DialectError::Unsupported { what }.into());
        }
        let mut edits: Vec<(usize, Vec<Edit>)> = Vec::new();
        let mut blocked = false;
        for (index, part) in body.parts().iter().enumerate() {
            let text = part.text.as_str();
            let key = self.repeats.then(|| (part.part, Print::of(text)));
            let known = key.and_then(|key| self.said.get(&key));
            if let Some(Said::Streamed(released)) = known {
                if released != text {
                    edits.push((index, vec![Edit { range: 0..text.len(), with: released.clone() }]));
                }
                continue;
            }
            let is_new = known.is_none();
            let judgement = self.guards.judge(part.part, text);
            blocked |= judgement.blocked;
            if !judgement.findings.is_empty() && is_new {
                self.out.findings.extend(judgement.findings);
                if let Some(key) = key.filter(|_| self.said.len() < MOST_NOTED) {
                    self.said.insert(key, Said::Whole);
                }
            }
            if !judgement.edits.is_empty() {
                edits.push((index, judgement.edits));
            }
        }
        if blocked { Err(Cut::Blocked) } else { Ok(body.rewrite(&edits)?) }
    }

    /// Sends JSON as an event, named where the dialect names its events. Line ends can only stand between tokens and
    /// become spaces.
    pub(in crate::dialect) fn send(&mut self, name: &str, json: &[u8]) {
        if !name.is_empty() {
            self.out.bytes.extend(b"event: ");
            self.out.bytes.extend(name.as_bytes());
            self.out.bytes.push(b'\n');
        }
        self.out.bytes.extend(b"data: ");
        self.out.bytes.extend(json.iter().map(|b| if matches!(b, b'\n' | b'\r') { b' ' } else { *b }));
        self.out.bytes.extend(b"\n\n");
    }
}
